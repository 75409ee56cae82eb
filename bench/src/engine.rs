//! The engine as a program holds it: a session, a table in memory, a query into a sink of ours.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use corelane_server::{
    Effect, Failure, JobReport, RowsInMemory, RunningJob, Session, SessionOptions, Settings, Sources, SystemClock,
};
use corelane_stream::SinkSpec;

/// Flags as on the command line, without the dashes.
pub type Flags<'a> = &'a [(&'a str, String)];

/// A session with so many workers, and by default with nothing else that a user may set.
///
/// # Errors
/// If the machine cannot run so many.
pub fn session(workers: usize, flags: Flags<'_>) -> Result<Session> {
    let given = flags.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let sources = Sources {
        flags: given.chain([("workers".to_owned(), workers.to_string())]).collect(),
        environment: std::env::vars().collect(),
        file: None,
    };
    let options = SessionOptions {
        final_results: false,
        settings: Settings::resolve(&sources).map_err(|error| anyhow!("{error}"))?,
        clock: Arc::new(SystemClock::new()),
        sets: Vec::new(),
        effect: Effect::Run,
    };
    Session::new(options).map_err(|error| anyhow!("{error}"))
}

pub fn refused(failure: Failure) -> anyhow::Error {
    anyhow!("{}\n{}", failure.message, failure.place.unwrap_or_default())
}

/// Starts a query over one table.
///
/// # Errors
/// If either is refused, or the job cannot start.
pub fn start(
    workers: usize,
    flags: Flags<'_>,
    table: &str,
    rows: &RowsInMemory,
    query: &str,
    sink: Arc<dyn SinkSpec>,
) -> Result<RunningJob> {
    let mut session = session(workers, flags)?;
    session.create_table(table, Arc::new(rows.clone())).map_err(refused)?;
    session.query_into(query, sink).map_err(refused)
}

/// Waits for a job and looks whether it lost or refused rows.
///
/// # Errors
/// If it failed, or counted late or bad rows.
pub fn finish(job: RunningJob) -> Result<JobReport> {
    let report = job.wait().map_err(|error| anyhow!("the job failed: {error}"))?;
    anyhow::ensure!(report.late_rows == 0 && report.bad_rows == 0, "rows came late or were bad");
    Ok(report)
}
