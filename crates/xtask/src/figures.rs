//! Figures of benchmarks in the pages: tables between markers, and plots beside the page.
//!
//! A page says which figures it wants, and `corelane-bench render` makes them from results that
//! were measured and committed; so none is typed by hand, and none outlives its results.
//!
//! ```markdown
//! <!-- figures: scaling-table bench/results/scaling.json -->
//! (generated)
//! <!-- end of figures -->
//! <!-- plot: scaling-plot bench/results/scaling.json docs/book/plots/scaling.svg -->
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::pages;

const FIGURES: &str = "<!-- figures: ";
const PLOT: &str = "<!-- plot: ";
const CLOSE: &str = " -->";
const END: &str = "<!-- end of figures -->";

/// A file as it should be.
struct Generated {
    path: PathBuf,
    text: String,
}

/// Writes tables and plots.
///
/// # Errors
/// If a page asks for what there is not, or a file cannot be written.
pub fn write(root: &Path, bench: &Path) -> Result<()> {
    for Generated { path, text } in generated(root, bench)? {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Compares tables and plots with what the results give.
///
/// # Errors
/// If they differ.
pub fn check(root: &Path, bench: &Path) -> Result<()> {
    for Generated { path, text } in generated(root, bench)? {
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            let name = path.strip_prefix(root).unwrap_or(&path).display();
            bail!("the figures in {name} are not those of bench/results; run `cargo xtask docs`");
        }
    }
    Ok(())
}

fn generated(root: &Path, bench: &Path) -> Result<Vec<Generated>> {
    let render = |words: &[&str]| -> Result<String> {
        let output = Command::new(bench).arg("render").args(words).current_dir(root).output();
        let output = output.context("cannot start corelane-bench")?;
        if !output.status.success() {
            bail!("corelane-bench render failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8(output.stdout).context("a figure is not UTF-8")
    };
    let mut all = Vec::new();
    for page in pages::all(root)? {
        let text = std::fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
        let plots = text.lines().filter_map(|line| line.strip_prefix(PLOT)?.strip_suffix(CLOSE));
        for plot in plots {
            let [view, results, file] = words(plot)?;
            all.push(Generated { path: root.join(file), text: render(&[view, results])? });
        }
        if text.contains(FIGURES) {
            all.push(Generated { text: filled(&text, render)?, path: page });
        }
    }
    Ok(all)
}

fn words<const N: usize>(text: &str) -> Result<[&str; N]> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.try_into().map_err(|_| anyhow::anyhow!("{text:?} should be {N} words"))
}

/// The page with what lies between its markers made anew.
fn filled(page: &str, render: impl Fn(&[&str]) -> Result<String>) -> Result<String> {
    let mut text = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        text = text + line + "\n";
        let Some(wanted) = line.strip_prefix(FIGURES).and_then(|rest| rest.strip_suffix(CLOSE)) else { continue };
        let [view, results] = words(wanted)?;
        text = text + render(&[view, results])?.trim_end() + "\n";
        if !lines.any(|line| line == END) {
            bail!("{wanted:?} has no {END:?} after it");
        }
        text = text + END + "\n";
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled_with(page: &str, figure: &str) -> Result<String> {
        filled(page, |words| Ok(format!("{figure} of {}\n", words.join(" in "))))
    }

    #[test]
    fn only_what_is_between_markers_is_made_anew() {
        let page = "before\n<!-- figures: t r.json -->\nold\n| x |\n<!-- end of figures -->\nafter\n";
        let filled = filled_with(page, "new").unwrap();
        assert_eq!(filled, "before\n<!-- figures: t r.json -->\nnew of t in r.json\n<!-- end of figures -->\nafter\n");
        assert_eq!(filled_with(&filled, "new").unwrap(), filled, "a second time changes nothing");
    }

    #[test]
    fn a_marker_without_end_eats_no_page() {
        let told = filled_with("<!-- figures: t r.json -->\nrest\n", "new").unwrap_err().to_string();
        assert!(told.contains("has no \"<!-- end of figures -->\" after it"), "{told}");
        assert!(filled_with("<!-- figures: t -->\n<!-- end of figures -->\n", "new").is_err());
    }
}
