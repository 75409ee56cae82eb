//! Where bad, late and unfinished rows go: counted always, and failed, skipped or kept as the table's policy says.
//!
//! A dead letter is one line of JSON, appended with a single write on a descriptor opened for
//! append, so that workers (and jobs) can share one file without tearing each other's lines, and
//! so that a row is on its way to disk before anything that follows it. This is not the hot path.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use corelane_stream::limits::BAD_ROW_BYTES_MAX;
use corelane_stream::wording::io_reason;
use corelane_stream::{BadRow, Error, LateRows, OnError, Result, RowErrors, RowErrorsFactory, RowPolicy};
use serde_json::{Map, Value, json};

use crate::base64;

/// Raw bytes of a bad row that are shown in an error message.
const SHOWN_BYTES_MAX: usize = 120;

/// Bad and late rows of one table, and records that never ended, over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowErrorCounts {
    pub bad: u64,
    pub late: u64,
    pub unfinished: u64,
}

#[derive(Debug, Default)]
struct SharedCounts {
    bad: AtomicU64,
    late: AtomicU64,
    unfinished: AtomicU64,
    /// Where one of the unfinished records is: the least of their places, whichever worker came first.
    unfinished_at: Mutex<Option<String>>,
}

/// Opens dead-letter files and counts bad and late rows by table.
#[derive(Debug, Default)]
pub struct FileRowErrors {
    tables: Mutex<BTreeMap<String, Arc<SharedCounts>>>,
}

impl FileRowErrors {
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been counted so far, by table, over all workers.
    pub fn counts(&self) -> BTreeMap<String, RowErrorCounts> {
        let tables = lock(&self.tables);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        tables
            .iter()
            .map(|(table, counts)| {
                let (bad, late, unfinished) = (read(&counts.bad), read(&counts.late), read(&counts.unfinished));
                (table.clone(), RowErrorCounts { bad, late, unfinished })
            })
            .collect()
    }

    /// The place of one of the unfinished records, if there are any: `in.csv, line 3`.
    pub fn unfinished_at(&self) -> Option<String> {
        let tables = lock(&self.tables);
        let place = |counts: &Arc<SharedCounts>| lock(&counts.unfinished_at).clone();
        tables.values().filter_map(place).min()
    }

    fn shared(&self, table: &str) -> Arc<SharedCounts> {
        let mut tables = lock(&self.tables);
        Arc::clone(tables.entry(table.to_owned()).or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RowErrorsFactory for FileRowErrors {
    fn open(&self, policy: &RowPolicy, _worker: usize) -> Result<Rc<dyn RowErrors>> {
        let dead_letter = match &policy.dead_letter_path {
            Some(path) if policy.keeps_rows() => Some(DeadLetter::open(path)?),
            Some(_) | None => None,
        };
        Ok(Rc::new(TableRowErrors { policy: policy.clone(), counts: self.shared(&policy.table), dead_letter }))
    }
}

/// The bad rows of one table on one worker.
struct TableRowErrors {
    policy: RowPolicy,
    counts: Arc<SharedCounts>,
    dead_letter: Option<DeadLetter>,
}

impl TableRowErrors {
    fn keep(&self, row: &BadRow<'_>) -> Result<()> {
        match &self.dead_letter {
            Some(dead_letter) => dead_letter.append(&self.policy.table, row),
            None => Err(Error::internal("a dead letter was asked for without a path")),
        }
    }
}

impl RowErrors for TableRowErrors {
    fn bad(&self, row: &BadRow<'_>) -> Result<()> {
        self.counts.bad.fetch_add(1, Ordering::Relaxed);
        match self.policy.on_error {
            OnError::Fail => Err(bad_row_error(&self.policy.table, row)),
            OnError::Skip => Ok(()),
            OnError::DeadLetter => self.keep(row),
        }
    }

    fn late(&self, row: &BadRow<'_>) -> Result<()> {
        self.counts.late.fetch_add(1, Ordering::Relaxed);
        match self.policy.late_rows {
            LateRows::Drop => Ok(()),
            LateRows::DeadLetter => self.keep(row),
        }
    }

    fn unfinished(&self, row: &BadRow<'_>) -> Result<()> {
        self.counts.unfinished.fetch_add(1, Ordering::Relaxed);
        let place = row.position.map_or(row.source.to_owned(), |position| format!("{}, {position}", row.source));
        let mut known = lock(&self.counts.unfinished_at);
        *known = known.take().into_iter().chain([place]).min();
        drop(known);
        match self.policy.on_error {
            OnError::Fail | OnError::Skip => Ok(()),
            OnError::DeadLetter => self.keep(row),
        }
    }
}

fn bad_row_error(table: &str, row: &BadRow<'_>) -> Error {
    // A row that was decoded already has its table as its source, and no position in it.
    let place = match row.position {
        Some(position) => format!("{}, {position}: ", row.source),
        None if row.source == table => String::new(),
        None => format!("{}: ", row.source),
    };
    let shown = &row.raw[..row.raw.len().min(SHOWN_BYTES_MAX)];
    let more = if shown.len() < row.raw.len() { ".." } else { "" };
    let shown = printable(&String::from_utf8_lossy(shown));
    // Without a position it is no line of a file that reads like this, but a row of which nothing was kept.
    let shown = if row.position.is_none() && shown == "{}" { String::new() } else { format!(": {shown}{more}") };
    if table.is_empty() {
        // No table stands behind the row, and so no option does.
        return Error::data(format!("cannot compute a row: {place}{}{shown}", row.reason));
    }
    let message = format!("cannot use a row of table '{table}': {place}{}{shown}", row.reason);
    Error::data(message).with_hint("set 'on-error' = 'skip' or 'dead-letter' to go on without such rows")
}

/// The text with its control characters escaped: a message is one line, and no row moves a cursor.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

struct DeadLetter {
    path: PathBuf,
    file: File,
}

impl DeadLetter {
    fn open(path: &Path) -> Result<Self> {
        match OpenOptions::new().append(true).create(true).open(path) {
            Ok(file) => Ok(DeadLetter { path: path.to_owned(), file }),
            Err(error) => {
                Err(Error::io(format!("cannot open the dead-letter file '{}': {}", path.display(), io_reason(&error)))
                    .with_hint("'dead-letter.path' must name a file in a directory that can be written"))
            }
        }
    }

    fn append(&self, table: &str, row: &BadRow<'_>) -> Result<()> {
        let mut line = dead_letter_line(table, row).into_bytes();
        line.push(b'\n');
        (&self.file).write_all(&line).map_err(|error| {
            let reason = io_reason(&error);
            Error::io(format!("cannot write the dead-letter file '{}': {reason}", self.path.display()))
        })
    }
}

/// `{"table":..,"source":..,"position":..,"reason":..,"raw":..}`
fn dead_letter_line(table: &str, row: &BadRow<'_>) -> String {
    let mut line = Map::new();
    line.insert("table".to_owned(), json!(table));
    line.insert("source".to_owned(), json!(row.source));
    line.insert("position".to_owned(), row.position.map_or(Value::Null, |position| json!(position.to_string())));
    line.insert("reason".to_owned(), json!(row.reason));
    match std::str::from_utf8(row.raw) {
        Ok(raw) if raw.len() <= BAD_ROW_BYTES_MAX => line.insert("raw".to_owned(), json!(raw)),
        Ok(_) | Err(_) => {
            let mut raw = Vec::new();
            base64::encode(&row.raw[..row.raw.len().min(BAD_ROW_BYTES_MAX)], &mut raw);
            line.insert("raw_base64".to_owned(), json!(String::from_utf8_lossy(&raw)))
        }
    };
    Value::Object(line).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use corelane_stream::row_errors::Position;
    use expect_test::expect;

    fn row<'a>(raw: &'a [u8]) -> BadRow<'a> {
        BadRow { source: "in.json", position: Some(Position::Line(3)), raw, reason: "expected ':'" }
    }

    fn policy(on_error: OnError, path: Option<&Path>) -> RowPolicy {
        RowPolicy {
            table: "trades".to_owned(),
            on_error,
            late_rows: LateRows::DeadLetter,
            dead_letter_path: path.map(Path::to_owned),
        }
    }

    #[test]
    fn a_failing_policy_says_which_row_and_what_to_do() {
        let errors = FileRowErrors::new();
        let directory = tempfile::tempdir().expect("temporary directory");
        let table = errors.open(&policy(OnError::Fail, Some(&directory.path().join("dead"))), 0).expect("opens");
        let error = table.bad(&row(b"{\"a\" 1}")).expect_err("fails");
        expect![[r#"cannot use a row of table 'trades': in.json, line 3: expected ':': {"a" 1}"#]]
            .assert_eq(&error.to_string());
        expect!["set 'on-error' = 'skip' or 'dead-letter' to go on without such rows"]
            .assert_eq(error.hint().expect("has a hint"));
        assert_eq!(errors.counts()["trades"], RowErrorCounts { bad: 1, ..RowErrorCounts::default() });
    }

    #[test]
    fn a_row_without_a_table_or_columns() {
        let errors = FileRowErrors::new();
        let reason = "division by zero";
        let none = errors.open(&RowPolicy::default(), 0).expect("opens");
        let bare = BadRow { source: "", position: None, raw: b"{}", reason };
        let error = none.bad(&bare).expect_err("fails");
        assert_eq!((error.to_string().as_str(), error.hint()), ("cannot compute a row: division by zero", None));
        let error = none.bad(&BadRow { raw: b"{\"a\":0}", ..bare.clone() }).expect_err("fails");
        assert_eq!(error.to_string(), "cannot compute a row: division by zero: {\"a\":0}");
        let table = errors.open(&policy(OnError::Fail, None), 0).expect("opens");
        let error = table.bad(&BadRow { source: "trades", ..bare }).expect_err("fails");
        assert_eq!(error.to_string(), "cannot use a row of table 'trades': division by zero");
        let error = table.bad(&row(b"{}")).expect_err("fails");
        assert_eq!(error.to_string(), "cannot use a row of table 'trades': in.json, line 3: expected ':': {}");
    }

    #[test]
    fn dead_letters_are_whole_json_lines() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("dead.jsonl");
        let errors = FileRowErrors::new();
        let first = errors.open(&policy(OnError::DeadLetter, Some(&path)), 0).expect("opens");
        let second = errors.open(&policy(OnError::DeadLetter, Some(&path)), 1).expect("opens");
        first.bad(&row(b"{\"a\" 1}")).expect("is kept");
        second.bad(&row(b"\xff\xfe")).expect("is kept");
        first.late(&BadRow { position: None, ..row(b"old") }).expect("is kept");
        expect![[r#"
            {"position":"line 3","raw":"{\"a\" 1}","reason":"expected ':'","source":"in.json","table":"trades"}
            {"position":"line 3","raw_base64":"//4=","reason":"expected ':'","source":"in.json","table":"trades"}
            {"position":null,"raw":"old","reason":"expected ':'","source":"in.json","table":"trades"}
        "#]]
        .assert_eq(&std::fs::read_to_string(&path).expect("reads"));
        assert_eq!(errors.counts()["trades"], RowErrorCounts { bad: 2, late: 1, unfinished: 0 });
    }

    #[test]
    fn a_dead_letter_file_that_cannot_be_opened_is_named() {
        let error = FileRowErrors::new()
            .open(&policy(OnError::DeadLetter, Some(Path::new("/nowhere/dead.jsonl"))), 0)
            .err()
            .expect("fails");
        expect!["cannot open the dead-letter file '/nowhere/dead.jsonl': no such file or directory"]
            .assert_eq(&error.to_string());
    }
}
