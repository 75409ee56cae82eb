//! Which crate may use which: the borders of the house, read from each `Cargo.toml`.

use std::path::Path;

use anyhow::{Context, Result};

/// A crate of ours and those of ours that it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("corelane-stream", &[]),
    ("corelane-ops", &["corelane-stream"]),
    ("corelane-runtime", &["corelane-stream"]),
    ("corelane-connectors", &["corelane-stream"]),
    ("corelane-sql", &["corelane-stream", "corelane-ops"]),
    (
        "corelane-server",
        &["corelane-stream", "corelane-ops", "corelane-sql", "corelane-runtime", "corelane-connectors"],
    ),
    ("corelane", &["corelane-server"]),
    (
        "corelane-bench",
        &[
            "corelane-stream",
            "corelane-ops",
            "corelane-sql",
            "corelane-runtime",
            "corelane-connectors",
            "corelane-server",
        ],
    ),
    ("xtask", &[]),
];

/// A dependency that only some crates may have: the reason is in the crate's own page of DESIGN.
const FENCES: &[(&str, &[&str])] = &[
    ("glommio", &["corelane-runtime"]),
    ("core_affinity", &["corelane-runtime"]),
    ("crossbeam-channel", &["corelane-runtime"]),
    ("crossbeam-utils", &["corelane-runtime"]),
    ("sqlparser", &["corelane-sql"]),
    ("datafusion-sql", &["corelane-sql"]),
    ("datafusion-optimizer", &["corelane-sql"]),
    ("parquet", &["corelane-connectors", "corelane-bench"]),
    ("clap", &["corelane", "corelane-bench"]),
    ("indicatif", &["corelane"]),
    ("comfy-table", &["corelane"]),
    ("anyhow", &["corelane", "corelane-bench", "xtask"]),
    // The umbrella brings a runtime of its own: tests and benchmarks compare with it, nothing ships with it.
    ("datafusion", &["corelane-bench"]),
];

/// Within the crate that may have it, the files that may name it.
const FENCED_FILES: &[(&str, &str, &[&str])] = &[
    ("corelane-runtime", "glommio::", &["driver/"]),
    ("corelane-runtime", "core_affinity::", &["driver/"]),
    ("corelane-runtime", "crossbeam_channel::", &["ring.rs"]),
];

/// Checks one crate's dependencies; the findings are sentences.
///
/// # Errors
/// If its `Cargo.toml` cannot be read.
pub fn check_manifest(folder: &Path, findings: &mut Vec<String>) -> Result<()> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("cannot parse {}", path.display()))?;
    let name = manifest["package"]["name"].as_str().unwrap_or_default().to_string();
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let names: Vec<&str> = dependencies.keys().map(String::as_str).collect();
    check_names(&name, &names, findings);
    Ok(())
}

fn check_names(name: &str, dependencies: &[&str], findings: &mut Vec<String>) {
    let Some((_, allowed)) = EDGES.iter().find(|(known, _)| *known == name) else {
        findings.push(format!("crate {name} is not in the table of edges (crates/xtask/src/edges.rs)"));
        return;
    };
    for dependency in dependencies {
        let ours = EDGES.iter().any(|(known, _)| known == dependency);
        if ours && !allowed.contains(dependency) {
            findings.push(format!("{name} may not use {dependency}"));
        }
        let fence = FENCES.iter().find(|(fenced, _)| fenced == dependency);
        if fence.is_some_and(|(_, inside)| !inside.contains(&name)) {
            findings.push(format!("{dependency} is fenced off from {name}"));
        }
    }
}

/// Checks that a file may name what it names. `file` is relative to the crate's `src`.
pub fn check_fenced_file(name: &str, file: &str, text: &str, findings: &mut Vec<String>) {
    for (fenced_crate, word, files) in FENCED_FILES {
        let inside = files.iter().any(|inside| file.starts_with(inside));
        if *fenced_crate == name && !inside && text.contains(word) {
            findings.push(format!("{name}/src/{file} names {word}, which only {} may", files.join(", ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, dependencies: &[&str]) -> Vec<String> {
        let mut findings = Vec::new();
        check_names(name, dependencies, &mut findings);
        findings
    }

    #[test]
    fn siblings_are_blind_to_each_other() {
        assert_eq!(findings("corelane-ops", &["corelane-stream", "arrow"]), Vec::<String>::new());
        assert_eq!(findings("corelane-ops", &["corelane-runtime"]), ["corelane-ops may not use corelane-runtime"]);
        assert_eq!(findings("corelane-sql", &["glommio"]), ["glommio is fenced off from corelane-sql"]);
        assert_eq!(findings("corelane-new", &[]).len(), 1);
    }

    #[test]
    fn fenced_files() {
        let mut found = Vec::new();
        check_fenced_file("corelane-runtime", "ring.rs", "use crossbeam_channel::bounded;", &mut found);
        assert!(found.is_empty());
        check_fenced_file("corelane-runtime", "edge.rs", "use crossbeam_channel::bounded;", &mut found);
        assert_eq!(found.len(), 1);
    }
}
