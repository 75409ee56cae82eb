//! Everything that must hold before a merge, step by step, each with its time.
//!
//! All builds are of the whole workspace with all targets: cargo unifies features over what it is
//! asked for, so a build of one package alone would compile the large dependencies a second time.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{docs, tidy};

type Step = (&'static str, fn(&Path) -> Result<()>);

const STEPS: &[Step] = &[
    ("fmt", |root| cargo(root, &["fmt", "--all", "--check"])),
    ("tidy", tidy::tidy),
    ("build", |root| cargo(root, &["build", "--release", "--workspace", "--all-targets"])),
    ("clippy", |root| cargo(root, &["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("test", |root| cargo(root, &["test", "--release", "--workspace"])),
    ("docs", |root| docs::check(root, &docs::programs(root)?)),
    ("first query", first_query),
    ("bench smoke", bench_smoke),
];

/// # Errors
/// At the first step that fails.
pub fn ci(root: &Path) -> Result<()> {
    let start = Instant::now();
    for (name, step) in STEPS {
        eprintln!("==> {name}");
        let began = Instant::now();
        step(root).with_context(|| format!("step {name:?} failed after {}", seconds(began.elapsed())))?;
        eprintln!("<== {name}: {}", seconds(began.elapsed()));
    }
    eprintln!("ci: all {} steps passed in {}", STEPS.len(), seconds(start.elapsed()));
    Ok(())
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.1} s", elapsed.as_secs_f64())
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    run(Command::new(env!("CARGO")).current_dir(root).args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// Runs the first command of the README as a reader would: from the root, in a shell. Nothing large
/// compiles: a build of the program alone selects the features that the whole workspace does.
fn first_query(root: &Path) -> Result<()> {
    let readme = std::fs::read_to_string(root.join("README.md")).context("cannot read README.md")?;
    let command = first_command(&readme).context("README.md shows no `cargo run` in a fenced block")?;
    eprintln!("{command}");
    run(Command::new("bash").args(["-euo", "pipefail", "-c", command]).current_dir(root))
}

/// The first line of a fenced block that builds the program and runs a script.
fn first_command(readme: &str) -> Option<&str> {
    let fenced = readme.split("```").skip(1).step_by(2);
    let mut lines = fenced.flat_map(|block| block.lines().skip(1)).map(|line| line.trim_start_matches("$ ").trim());
    lines.find(|line| line.starts_with("cargo run ") && line.contains(" -- run "))
}

/// Runs every benchmark on little data: their answers are checked, their times are not.
fn bench_smoke(root: &Path) -> Result<()> {
    run(Command::new(root.join("target/release/corelane-bench")).arg("smoke").current_dir(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_names_the_first_query() {
        let readme = "Text `cargo run` inline.\n```sh\ncargo build\ncargo run --release -- run q.sql\n```\n";
        assert_eq!(first_command(readme), Some("cargo run --release -- run q.sql"));
        assert_eq!(first_command("nothing"), None);
    }
}
