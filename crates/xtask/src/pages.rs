//! What is looked for in a page of Markdown: links that lead somewhere, and records that stay short.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A record of a decision longer than this is not read.
const DECISION_LINES_MAX: usize = 60;

/// Checks the pages of the root and of `docs`.
///
/// # Errors
/// If one cannot be read.
pub fn check(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    for page in all(root)? {
        let text = std::fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
        let name = page.strip_prefix(root).unwrap_or(&page).display().to_string();
        let lines = text.lines().count();
        if name.starts_with("docs/decisions/") && DECISION_LINES_MAX < lines {
            findings.push(format!("{name} has {lines} lines; the most is {DECISION_LINES_MAX}"));
        }
        let folder = page.parent().unwrap_or(root);
        for link in links(&text).filter(|link| !folder.join(link).exists()) {
            findings.push(format!("{name} links to {link}, which is not there"));
        }
    }
    Ok(())
}

/// The pages of the root and of `docs`, in order.
///
/// # Errors
/// If a folder cannot be listed.
pub fn all(root: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(root).context("cannot list the root")? {
        pages.push(entry?.path());
    }
    pages_below(&root.join("docs"), &mut pages)?;
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    Ok(pages)
}

fn pages_below(folder: &Path, pages: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            pages_below(&path, pages)?;
        } else {
            pages.push(path);
        }
    }
    Ok(())
}

/// The files that a page links to, as it names them; code in fences has none.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| {
        let file = rest.split(')').next()?.split('#').next()?;
        (!file.is_empty() && !file.contains("://")).then_some(file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_to_files() {
        let text = "[a](b.md#c), [d](#e), [f](https://g.h)\n```\n[i](j.md)\n```\n[k](../l/)\n";
        assert_eq!(links(text).collect::<Vec<_>>(), ["b.md", "../l/"]);
    }
}
