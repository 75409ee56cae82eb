//! What one benchmark runs: tables, a query, and the answer it must give.

use arrow::array::RecordBatch;
use corelane_server::RowsInMemory;
use tempfile::TempDir;

use crate::answer::Answer;

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Over all workers.
    pub rows: u64,
    pub workers: usize,
}

/// Where the rows come from.
pub enum Input {
    Memory(RowsInMemory),
    /// A file, gone when the scenario is.
    File(TempDir),
}

pub struct Scenario {
    pub name: &'static str,
    /// `CREATE TABLE`, without `WITH` where the rows are in memory.
    pub table: String,
    pub input: Input,
    pub query: &'static str,
    /// Columns of the result that name a row of it.
    pub keys: usize,
    pub rows: u64,
    pub expected: Answer,
}

/// Batches of a part, so that no run measures how they are made.
pub type Part = Vec<RecordBatch>;
