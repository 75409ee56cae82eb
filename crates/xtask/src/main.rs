//! Checks and chores of the project: `cargo xtask ci | tidy | docs`.

mod ci;
mod docs;
mod edges;
mod figures;
mod pages;
mod source;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

const USAGE: &str = "usage: cargo xtask ci            every check, as before a merge
       cargo xtask tidy          rules of the house that no compiler knows
       cargo xtask docs          write the generated pages of docs/book, and figures in pages
       cargo xtask docs --check  fail if they are not what the program and the results say";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    let root = root()?;
    match words {
        ["ci"] => ci::ci(&root),
        ["tidy"] => tidy::tidy(&root),
        ["docs"] => docs::write(&root, &docs::programs(&root)?),
        ["docs", "--check"] => docs::check(&root, &docs::programs(&root)?),
        _ => bail!("{USAGE}"),
    }
}

/// The workspace, wherever in it the command is given.
fn root() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().nth(2).context("xtask lies in crates/ of the workspace")?;
    Ok(root.to_path_buf())
}
