//! One run of a scenario: a session, a job, its rows, its report.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use arrow::array::RecordBatch;
use corelane_server::{Answer, ChangelogBatch, Collected, JobReport, ResultFold, RunningJob, Session};

use crate::engine::{refused, session};
use crate::scaling::counters::process_cpu_ns;
use crate::scenario::{Input, Scenario};

/// How long to wait for rows before looking again.
const PATIENCE: Duration = Duration::from_secs(1);

/// What one run took.
#[derive(Clone, Debug)]
pub struct Run {
    pub rows: u64,
    pub elapsed: Duration,
    pub driver: &'static str,
    /// By worker: rows read, and CPU time of its thread.
    pub workers: Vec<(u64, u64)>,
    /// CPU time of all threads, from the query's text on.
    pub process_cpu_ns: u64,
}

impl Run {
    /// A run that began when the process had used so much CPU time, and ends now.
    pub fn of(report: &JobReport, began_cpu_ns: u64) -> Run {
        Run {
            process_cpu_ns: process_cpu_ns().saturating_sub(began_cpu_ns),
            rows: report.rows_in,
            elapsed: report.elapsed,
            driver: report.driver,
            workers: report.workers.iter().map(|worker| (worker.rows, worker.cpu_ns)).collect(),
        }
    }

    pub fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.elapsed.as_secs_f64()
    }

    pub fn process_cpu_ns_per_row(&self) -> f64 {
        self.process_cpu_ns as f64 / self.rows as f64
    }

    /// CPU time of all workers for each row.
    pub fn cpu_ns_per_row(&self) -> f64 {
        self.workers.iter().map(|(_, cpu_ns)| *cpu_ns as f64).sum::<f64>() / self.rows as f64
    }
}

/// Runs a scenario once and checks its answer.
///
/// # Errors
/// If the job fails or the answer is wrong.
pub fn run(scenario: &Scenario, workers: usize) -> Result<Run> {
    let mut session = session(workers, &[])?;
    match &scenario.input {
        Input::Memory(rows) => session.create_table(&scenario.table, Arc::new(rows.clone())).map_err(refused)?,
        Input::File(directory) => {
            ensure!(directory.path().is_dir(), "the generated input is gone");
            execute(&mut session, &scenario.table)?;
        }
    }
    let began_cpu_ns = process_cpu_ns();
    let Some(job) = execute(&mut session, scenario.query)? else { bail!("the query gave no job") };
    let (result, report) = fold(job)?;
    let run = Run::of(&report, began_cpu_ns);
    scenario.expected.check(&result, scenario.keys)?;
    let (read, rows) = (report.rows_in, scenario.rows);
    ensure!(read == rows, "the job read {read} rows of {rows}");
    ensure!(report.late_rows == 0 && report.bad_rows == 0, "rows came late or were bad");
    Ok(run)
}

/// Runs a job to its end; its result as a batch would give it.
///
/// # Errors
/// If the job fails.
pub fn fold(job: RunningJob) -> Result<(Vec<RecordBatch>, JobReport)> {
    let schema = job.schema().context("the query has no result")?;
    let mode = job.mode();
    let changes = read(&job);
    let report = job.wait().map_err(|error| anyhow!("the job failed: {error}"))?;
    // Only now: folding on this thread would take a worker's core from it.
    let mut fold = ResultFold::new(schema, &mode).map_err(|error| anyhow!("{error}"))?;
    for batch in changes {
        fold.push(batch).map_err(|error| anyhow!("the changelog is wrong: {error}"))?;
    }
    let rows = fold.finish().and_then(Iterator::collect);
    Ok((rows.map_err(|error| anyhow!("{error}"))?, report))
}

/// Runs statements; the last job among them is handed on.
///
/// # Errors
/// If a statement is refused.
pub fn execute(session: &mut Session, sql: &str) -> Result<Option<RunningJob>> {
    let script = session.script("benchmark", sql).map_err(refused)?;
    let mut job = None;
    for statement in script.statements() {
        if let Answer::Job(running) = session.execute(statement).map_err(refused)? {
            job = Some(running);
        }
    }
    Ok(job)
}

fn read(job: &RunningJob) -> Vec<ChangelogBatch> {
    let mut batches = Vec::new();
    loop {
        match job.next(PATIENCE) {
            Collected::Batch(batch) => batches.push(batch),
            Collected::Nothing => {}
            Collected::End => return batches,
        }
    }
}
