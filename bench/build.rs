//! Finds what results tell about the build: its commit and its profile.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit().unwrap_or_else(|| "unknown".to_owned()));
    println!("cargo::rustc-env=BUILD_PROFILE={}", profile().unwrap_or_else(|| "unknown".to_owned()));
}

/// The commit, if the workspace is a checkout of its own and not an archive inside some other one.
fn commit() -> Option<String> {
    let workspace = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").ok()?).join("..");
    let top = git(&workspace, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != workspace.canonicalize().ok()? {
        return None;
    }
    // The log of HEAD grows with every commit and checkout.
    let log = PathBuf::from(git(&workspace, &["rev-parse", "--absolute-git-dir"])?).join("logs/HEAD");
    if log.exists() {
        println!("cargo::rerun-if-changed={}", log.display());
    }
    git(&workspace, &["rev-parse", "--short=12", "HEAD"])
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The profile's own name: cargo's `PROFILE` calls all that inherit from release `release`.
fn profile() -> Option<String> {
    let out = PathBuf::from(std::env::var("OUT_DIR").ok()?);
    let build = out.ancestors().find(|ancestor| ancestor.ends_with("build"))?;
    Some(build.parent()?.file_name()?.to_string_lossy().into_owned())
}
