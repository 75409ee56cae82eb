//! Rules of the house that no compiler knows: borders between crates, files, names, banned words.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{edges, pages, source};

const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "clippy.toml",
    "rustfmt.toml",
    "crates",
    "bench",
    "scripts",
    "docs",
    "target",
];

/// Checks everything and tells all findings at once.
///
/// # Errors
/// If there is any.
pub fn tidy(root: &Path) -> Result<()> {
    let mut findings = Vec::new();
    for folder in crate_folders(root)? {
        edges::check_manifest(&folder, &mut findings)?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut files = Vec::new();
        rust_files(&folder, &mut files)?;
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            source::check(&relative(root, &file), &text, &mut findings);
            if let Ok(inside) = file.strip_prefix(folder.join("src")) {
                edges::check_fenced_file(&name, &inside.to_string_lossy(), &text, &mut findings);
            }
        }
    }
    check_top_level(root, &mut findings)?;
    pages::check(root, &mut findings)?;
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    bail!("tidy has {} findings", findings.len())
}

/// What lies at the top is fixed: a reader takes it in at a glance.
fn check_top_level(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(root).context("cannot list the root")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) {
            findings.push(format!("{name} does not belong at the top; put it in one of {}", TOP_LEVEL.join(", ")));
        }
    }
    Ok(())
}

fn crate_folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![root.join("bench")];
    for entry in std::fs::read_dir(root.join("crates")).context("cannot list crates/")? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn relative(root: &Path, file: &Path) -> String {
    file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_house_is_tidy() {
        let root = crate::root().unwrap();
        super::tidy(&root).unwrap();
    }
}
