//! What is looked for in one source file.

/// A file longer than this is two.
const LINES_MAX: usize = 1_000;

/// Flat tables may be longer: one line an entry, nothing to split.
const FLAT_TABLES: &[&str] = &["crates/corelane-sql/src/functions/table.rs"];

/// Words that do not merge. Each is written in two parts, so that this file may contain it.
const BANNED: &[(&str, &str)] = &[
    ("todo", "!("),
    ("unimplemented", "!("),
    ("dbg", "!("),
    ("#[ign", "ore"),
    ("allow(dead", "_code)"),
    ("TO", "DO"),
    ("FIX", "ME"),
    // Paths of somebody's machine.
    ("/wo", "rk/"),
    ("/ho", "me/"),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc", "manager"];

/// Checks one file; `path` is relative to the root, with `/`.
pub fn check(path: &str, text: &str, findings: &mut Vec<String>) {
    let lines = text.lines().count();
    if LINES_MAX < lines && !FLAT_TABLES.contains(&path) {
        findings.push(format!("{path} has {lines} lines; the most is {LINES_MAX}"));
    }
    if !text.starts_with("//!") {
        findings.push(format!("{path} does not begin with //! and what it is"));
    }
    check_name(path, findings);
    let production = production_lines(path, text);
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{path}:{}", number + 1);
        for (first, second) in BANNED {
            let word = format!("{first}{second}");
            if line.contains(&word) {
                findings.push(format!("{} has {word:?}", place()));
            }
        }
        if number < production && line.contains(concat!(".unw", "rap()")) && !line.trim_start().starts_with("//") {
            findings.push(format!("{} unwraps outside of tests; say why it is safe with expect", place()));
        }
        if let Some(name) = numbered_name(line).filter(|_| number < production) {
            findings.push(format!("{} names {name:?}; rename the old one, do not number the new", place()));
        }
    }
}

fn check_name(path: &str, findings: &mut Vec<String>) {
    let stem = |part: &str| part.trim_end_matches(".rs").to_ascii_lowercase();
    for part in path.split('/') {
        let words = stem(part);
        if words.split(['_', '-']).any(|word| EMPTY_NAMES.contains(&word)) {
            findings.push(format!("{path}: {part:?} says nothing; name what it knows"));
        }
    }
}

/// Lines before the tests begin; a file of tests has none.
fn production_lines(path: &str, text: &str) -> usize {
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("build.rs");
    if is_test {
        return 0;
    }
    text.lines().position(|line| line.trim_start().starts_with("#[cfg(test)]")).unwrap_or(usize::MAX)
}

/// The name of an item that ends in `V2` and the like.
fn numbered_name(line: &str) -> Option<&str> {
    let item = ["struct ", "enum ", "trait ", "fn ", "mod "].iter().find_map(|word| line.split_once(word))?.1;
    let name = item.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
    let numbered = name.ends_with("V2") || name.ends_with("V3") || name.ends_with("_v2") || name.ends_with("_v3");
    numbered.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(path, text, &mut findings);
        findings
    }

    #[test]
    fn a_good_file_has_no_findings() {
        let text = "//! Good.\nfn f() {}\n#[cfg(test)]\nmod tests { fn g() { h().unwrap() } }\n";
        assert_eq!(findings("crates/a/src/good.rs", text), Vec::<String>::new());
    }

    #[test]
    fn each_rule_is_told() {
        assert_eq!(findings("crates/a/src/good.rs", "fn f() {}\n").len(), 1);
        assert_eq!(findings("crates/a/src/text_utils.rs", "//! Bad.\n").len(), 1);
        assert_eq!(findings("crates/a/src/good.rs", "//! Bad.\nlet a = b.unwrap();\n").len(), 1);
        assert_eq!(findings("crates/a/src/good.rs", "//! Bad.\nstruct PlanV2;\n").len(), 1);
        let banned = format!("//! Bad.\n{}{}\"later\")\n", "todo", "!(");
        assert_eq!(findings("crates/a/src/good.rs", &banned).len(), 1);
        assert_eq!(findings("crates/a/src/good.rs", &"//! Long.\n".repeat(1_001)).len(), 1);
    }
}
