//! Bad rows are data: counted, and then the table's policy decides.

use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;

use crate::error::Result;

/// What becomes of a row that cannot be decoded or computed (`'on-error'`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnError {
    /// The job fails and says which row.
    #[default]
    Fail,
    /// The row is dropped and counted.
    Skip,
    /// The row is dropped, counted and written to the dead-letter file.
    DeadLetter,
}

/// What becomes of a row whose window has closed (`'late-rows'`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LateRows {
    /// Dropped and counted.
    #[default]
    Drop,
    /// Dropped, counted and written to the dead-letter file.
    DeadLetter,
}

/// The policy of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RowPolicy {
    /// The table the rows come from.
    pub table: String,
    pub on_error: OnError,
    pub late_rows: LateRows,
    /// JSON lines; each worker appends whole lines.
    pub dead_letter_path: Option<PathBuf>,
}

impl RowPolicy {
    /// True if rows go to the dead-letter file, so that their bytes are wanted.
    pub fn keeps_rows(&self) -> bool {
        self.on_error == OnError::DeadLetter || self.late_rows == LateRows::DeadLetter
    }
}

/// One row that could not be used.
#[derive(Clone, Debug)]
pub struct BadRow<'a> {
    /// Where it comes from, as the source names it: a path, a split.
    pub source: &'a str,
    /// Where in the source, if known.
    pub position: Option<Position>,
    /// The raw bytes, or the row as JSON where those are gone.
    pub raw: &'a [u8],
    pub reason: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Line of a text file, counted from 1.
    Line(u64),
    /// Byte offset of a text file, where lines were not counted.
    Byte(u64),
    /// Row of a columnar file, counted from 0.
    Row(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Line(line) => write!(out, "line {line}"),
            Position::Byte(byte) => write!(out, "byte {byte}"),
            Position::Row(row) => write!(out, "row {row}"),
        }
    }
}

/// Takes the bad rows of one table on one worker. Not on the hot path.
pub trait RowErrors {
    /// Counts the row and does as the policy says.
    ///
    /// # Errors
    /// `ErrorKind::Data` if the policy is to fail; `ErrorKind::Io` if the dead letter cannot be written.
    fn bad(&self, row: &BadRow<'_>) -> Result<()>;

    /// Counts a late row and does as the policy says.
    ///
    /// # Errors
    /// `ErrorKind::Io` if the dead letter cannot be written.
    fn late(&self, row: &BadRow<'_>) -> Result<()>;

    /// Counts a record that was begun and never ended. It is not bad, as far as one can tell: it
    /// fails no job, and is written where bad rows are.
    ///
    /// # Errors
    /// `ErrorKind::Io` if the dead letter cannot be written.
    fn unfinished(&self, row: &BadRow<'_>) -> Result<()>;
}

/// Opens the place where bad rows go; handed to the job by whoever owns files.
pub trait RowErrorsFactory: Send + Sync {
    /// # Errors
    /// If the dead-letter file cannot be opened.
    fn open(&self, policy: &RowPolicy, worker: usize) -> Result<Rc<dyn RowErrors>>;
}
