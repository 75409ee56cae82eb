//! Finds what `corelane --version` tells about the build.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let workspace = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../..");
    let lock = workspace.join("Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
    let locked = std::fs::read_to_string(&lock).unwrap_or_default();
    if !locked.is_empty() {
        println!("cargo::rerun-if-changed={}", lock.display());
    }
    let facts = [
        ("COMMIT", commit(&workspace)),
        ("RUSTC", output(Command::new(variable("RUSTC")).arg("--version"))),
        ("PROFILE", profile()),
        ("TARGET", Some(variable("TARGET"))),
        ("TARGET_FEATURES", Some(variable("CARGO_CFG_TARGET_FEATURE"))),
        ("ARROW", locked_version(&locked, "arrow")),
        ("DATAFUSION", locked_version(&locked, "datafusion-common")),
    ];
    // Not CORELANE_..: cargo hands these to the programs it runs, and that would name a setting.
    for (name, fact) in facts {
        println!("cargo::rustc-env=BUILD_{name}={}", fact.unwrap_or_else(|| "unknown".into()));
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_string();
    (!text.is_empty()).then_some(text)
}

/// The commit, if the workspace is a checkout of its own and not an archive inside some other one.
fn commit(workspace: &Path) -> Option<String> {
    let git = |arguments: &[&str]| output(Command::new("git").arg("-C").arg(workspace).args(arguments));
    let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != workspace.canonicalize().ok()? {
        return None;
    }
    // The log of HEAD grows with every commit and checkout.
    let log = PathBuf::from(git(&["rev-parse", "--absolute-git-dir"])?).join("logs/HEAD");
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// The profile's own name: cargo's `PROFILE` calls all that inherit from release `release`.
fn profile() -> Option<String> {
    let out = PathBuf::from(variable("OUT_DIR"));
    let build = out.ancestors().find(|ancestor| ancestor.ends_with("build"))?;
    Some(build.parent()?.file_name()?.to_string_lossy().into_owned())
}

fn locked_version(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"').map(str::to_string)
}
