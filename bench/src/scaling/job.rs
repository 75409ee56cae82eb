//! `corelane-bench job`: one scenario, run once and by itself.
//!
//! For tools that watch a process from outside (strace, perf): no batch engine runs beside it,
//! and it reports no time, for its answer is not checked.

use anyhow::Result;
use clap::Args;

use super::rows::parts;
use super::workload::Workload;
use crate::arguments::positive;
use crate::digest::Digest;
use crate::engine;
use crate::gathered::Gathered;

#[derive(Clone, Debug, Args)]
pub struct JobArguments {
    /// One of the scenarios of `scaling`
    #[arg(value_parser = super::scenario)]
    pub scenario: &'static Workload,
    #[arg(long, default_value_t = 2, value_parser = positive)]
    pub workers: usize,
    /// Rows that each worker reads
    #[arg(long, default_value_t = 8 << 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub rows_per_worker: u64,
}

/// Runs it and says how many rows were read and what the result adds up to.
///
/// # Errors
/// If the job fails.
pub fn run(arguments: &JobArguments) -> Result<String> {
    let workload = arguments.scenario;
    let parts = parts(workload.table, workload.times, arguments.workers, arguments.rows_per_worker)?;
    let gathered = Gathered::<Digest>::new();
    let Workload { declaration, query, .. } = workload;
    let job = engine::start(arguments.workers, &[], declaration, &parts.source()?, query, gathered.spec())?;
    let report = engine::finish(job)?;
    Ok(format!("{} rows read; the result adds up to {}\n", report.rows_in, gathered.result()))
}
