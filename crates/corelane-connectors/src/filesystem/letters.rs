//! What the tables of a job do to each other's files: dead letters must not be mixed into files that
//! are read or written as rows, and standard input has one reader.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use corelane_stream::{Error, Result, RowPolicy};

use super::listing::{is_glob, is_matched, list, written_out};

/// A table of files that a job reads or writes.
#[derive(Clone, Copy, Debug)]
pub struct TableUse<'a> {
    pub table: &'a str,
    /// Its `path`; `None` if it is not one of files.
    pub path: Option<&'a str>,
    /// `None` for a file without a declaration.
    pub policy: Option<&'a RowPolicy>,
    pub written: bool,
}

/// Checks where the dead letters of a job go, before anything is written.
///
/// # Errors
/// If the file is one that the job reads or writes, or would become one.
pub fn check_dead_letters(tables: &[TableUse<'_>]) -> Result<()> {
    let policies = tables.iter().filter_map(|table| table.policy).filter(|policy| policy.keeps_rows());
    for policy in policies {
        let Some(letters) = &policy.dead_letter_path else { continue };
        let taken = |table: &&TableUse<'_>| table.path.is_some_and(|path| holds(path, letters, table.written));
        if let Some(table) = tables.iter().find(taken) {
            let how = if table.written { "written" } else { "read" };
            return Err(Error::invalid(format!(
                "the dead-letter file '{}' of table '{}' is {how} by table '{}'",
                letters.display(),
                policy.table,
                table.table
            ))
            .with_hint("give 'dead-letter.path' a file of its own"));
        }
    }
    Ok(())
}

/// Checks that standard input, which can be read but once, is read by one scan of a job, and by none if
/// `taken` has read it before. Returns whether the job reads it.
///
/// # Errors
/// If it is read by several: each of its rows would go to one of them only.
pub fn check_standard_input(tables: &[TableUse<'_>], taken: Option<&str>) -> Result<bool> {
    let mut readers = tables.iter().filter(|table| !table.written && table.path.is_some_and(is_standard_input));
    let Some(first) = readers.next() else { return Ok(false) };
    let readers = match (taken, readers.next()) {
        (Some(taken), _) => format!("{taken} has read it before table '{}' does", first.table),
        (None, Some(second)) if first.table == second.table => format!("table '{}' is read twice", first.table),
        (None, Some(second)) => format!("tables '{}' and '{}' are both read", first.table, second.table),
        (None, None) => return Ok(true),
    };
    Err(Error::invalid(format!("standard input can be read once, and {readers}"))
        .with_hint("write it to a file first and read that"))
}

fn is_standard_input(path: &str) -> bool {
    path.strip_prefix("file://").unwrap_or(path) == "-"
}

fn holds(path: &str, letters: &Path, written: bool) -> bool {
    if is_standard_input(path) {
        return false;
    }
    let path = path.strip_prefix("file://").unwrap_or(path);
    let (path_there, letters_there) = (resolved(Path::new(path)), resolved(letters));
    if letters_there.starts_with(&path_there) {
        return true;
    }
    if written {
        return false;
    }
    if is_glob(path) && !Path::new(path).exists() {
        let prefix = written_out(path);
        let rest = Path::new(path).strip_prefix(&prefix).expect("a pattern begins with what is written out of it");
        let prefix = if prefix.as_os_str().is_empty() { Path::new(".") } else { prefix.as_path() };
        // Links may stand in the part that is written out, or among what the rest of it matches.
        let matched = |way: fn(&Path) -> PathBuf| is_matched(&way(prefix), rest, &way(letters));
        if matched(resolved) || matched(absolute) {
            return true;
        }
    }
    // What cannot be listed has its own error when it is read.
    let (Ok(files), Some(Ok(letters))) = (list(path), letters.to_str().map(list)) else { return false };
    letters.iter().any(|letters| files.iter().any(|file| file.is_same(letters)))
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path = absolute(path);
    let mut missing: Vec<&OsStr> = Vec::new();
    for there in path.ancestors() {
        if let Ok(there) = fs::canonicalize(there) {
            return missing.iter().rev().fold(there, |path, name| path.join(name));
        }
        missing.extend(there.file_name());
    }
    path
}
