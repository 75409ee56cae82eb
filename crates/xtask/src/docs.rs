//! What is generated in the docs: the reference, which the program prints from its own tables, and
//! figures from results of benchmarks.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::figures;

/// Where generated pages lie, and what the program calls them.
const FOLDER: &str = "docs/book/reference";
const PAGES: &[&str] = &["cli", "settings", "options", "connectors", "functions"];

/// What the docs are made with.
pub struct Programs {
    corelane: PathBuf,
    bench: PathBuf,
}

/// The programs, built if need be. A build of the whole workspace comes first in `ci`, so that none is needed there.
///
/// # Errors
/// If they cannot be built.
pub fn programs(root: &Path) -> Result<Programs> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--workspace", "--all-targets", "--quiet"])
        .current_dir(root)
        .status()
        .context("cannot start cargo")?;
    if !built.success() {
        bail!("the program does not build");
    }
    let built = root.join("target/release");
    Ok(Programs { corelane: built.join("corelane"), bench: built.join("corelane-bench") })
}

/// Writes the pages and the figures in pages.
///
/// # Errors
/// If one cannot be made or written.
pub fn write(root: &Path, programs: &Programs) -> Result<()> {
    let folder = root.join(FOLDER);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {FOLDER}"))?;
    for page in PAGES {
        let path = folder.join(format!("{page}.md"));
        std::fs::write(&path, text(&programs.corelane, page)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    figures::write(root, &programs.bench)
}

/// Compares the pages with what the program says, and figures with the results they are from.
///
/// # Errors
/// If they differ.
pub fn check(root: &Path, programs: &Programs) -> Result<()> {
    for page in PAGES {
        let name = format!("{FOLDER}/{page}.md");
        let written = std::fs::read_to_string(root.join(&name)).unwrap_or_default();
        let says = text(&programs.corelane, page)?;
        if written != says {
            let line = 1 + written.lines().zip(says.lines()).take_while(|(old, new)| old == new).count();
            bail!("{name} is not current, from line {line}; run `cargo xtask docs`");
        }
    }
    figures::check(root, &programs.bench)
}

fn text(program: &Path, page: &str) -> Result<String> {
    let output = Command::new(program).args(["docs", page]).output().context("cannot start corelane")?;
    if !output.status.success() {
        bail!("corelane docs {page} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("page {page} is not UTF-8"))
}
