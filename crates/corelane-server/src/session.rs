//! One session: statements in, answers out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use corelane_stream::{ChangelogMode, Clock, ErrorKind, Result};

use crate::collect::Collected;
use crate::config::Settings;

/// What is done with statements that run jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Run,
    /// Their plans are the answer.
    Explain,
    /// They are planned; nothing runs.
    Check,
}

#[derive(Clone)]
pub struct SessionOptions {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    /// As if the script began with these `SET`s.
    pub sets: Vec<(String, String)>,
    pub effect: Effect,
}

pub struct Session {
    options: SessionOptions,
}

#[derive(Debug)]
pub struct Script {
    statements: Vec<Statement>,
}

impl Script {
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

#[derive(Debug)]
pub struct Statement;

impl Session {
    /// # Errors
    /// If a setting does not fit this machine.
    pub fn new(options: SessionOptions) -> Result<Session> {
        Ok(Session { options })
    }

    /// Parses a whole script.
    ///
    /// # Errors
    /// At the first statement that is not SQL.
    pub fn script(&mut self, name: &str, sql: &str) -> Result<Script, Failure> {
        let _ = (name, sql, &self.options);
        Ok(Script { statements: Vec::new() })
    }

    /// # Errors
    /// If the statement is refused or its job cannot start.
    pub fn execute(&mut self, statement: &Statement) -> Result<Answer, Failure> {
        let _ = statement;
        Ok(Answer::Done(String::new()))
    }
}

/// What a statement gives.
#[derive(Debug)]
pub enum Answer {
    /// The rows of SHOW and DESCRIBE.
    Rows { schema: SchemaRef, batches: Vec<RecordBatch> },
    /// The text of EXPLAIN.
    Text(String),
    /// A job that runs.
    Job(RunningJob),
    /// `table orders created`.
    Done(String),
}

/// A job that runs; dropping it stops it.
#[derive(Debug)]
pub struct RunningJob;

impl RunningJob {
    /// The columns of a bare SELECT; `None` for a job that writes to tables.
    pub fn schema(&self) -> Option<SchemaRef> {
        None
    }

    pub fn mode(&self) -> ChangelogMode {
        ChangelogMode::Append
    }

    /// True if it ends by itself.
    pub fn bounded(&self) -> bool {
        true
    }

    /// Waits for rows of a bare SELECT; for any job, `End` says that it has ended.
    pub fn next(&self, timeout: Duration) -> Collected {
        let _ = timeout;
        Collected::End
    }

    pub fn progress(&self) -> JobProgress {
        JobProgress::default()
    }

    /// Lines for the user: which driver was chosen and why, stalls.
    pub fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Reads no more, finishes what was read, commits.
    pub fn drain(&self) {}

    /// Stops without committing.
    pub fn cancel(&self) {}

    /// # Errors
    /// What failed the job.
    pub fn wait(self) -> Result<JobReport> {
        Ok(JobReport::default())
    }
}

#[derive(Clone, Debug, Default)]
pub struct JobProgress {
    pub rows_in: u64,
    pub bytes_in: u64,
    pub bytes_total: Option<u64>,
    pub watermark_ms: Option<i64>,
}

#[derive(Clone, Debug, Default)]
pub struct JobReport {
    pub elapsed: Duration,
    pub rows_in: u64,
    pub bytes_in: u64,
    pub rows_out: u64,
    pub late_rows: u64,
    pub bad_rows: u64,
    pub driver: &'static str,
    pub workers: Vec<WorkerReport>,
}

#[derive(Clone, Debug, Default)]
pub struct WorkerReport {
    pub worker: usize,
    pub cpu: Option<usize>,
    pub rows: u64,
    pub batches: u64,
    pub busy: f64,
    pub ring_depth_max: u64,
    pub cpu_ns: u64,
    pub parks: u64,
    pub step_p50_ns: u64,
    pub step_p99_ns: u64,
    pub step_p999_ns: u64,
}

/// What was wrong with a statement, and where.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: ErrorKind,
    /// One line: what was attempted and why it failed.
    pub message: String,
    /// Where in the script: the place, the line and a caret under the words at fault.
    pub place: Option<String>,
    pub hint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}
