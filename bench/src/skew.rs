//! What one key with half of all rows costs: S2 and S3a with it and without.
//!
//! All rows of a key go to one worker, so without aggregation before the exchange that worker
//! would have half of the work. Wall time is what tells: the slowest worker decides it. Where
//! workers outnumber the CPUs it is projected from the busiest worker's CPU time.

use anyhow::Result;
use clap::Args;

use crate::arguments::positive;
use crate::results::table::{Table, decimals, millions};
use crate::results::{Point, Results};
use crate::scaling::workload::{BY_MINUTE, GROUP_BY, SKEWED, Workload};
use crate::scaling::{self, ScalingArguments};

/// What is compared: even, skewed.
const PAIRS: [[&Workload; 2]; 2] = [[&GROUP_BY, &SKEWED[0]], [&BY_MINUTE, &SKEWED[1]]];

#[derive(Clone, Debug, Args)]
pub struct SkewArguments {
    /// Numbers of workers; all runs are interleaved
    #[arg(long, value_delimiter = ',', default_value = "1,2,4", value_parser = positive)]
    pub workers: Vec<usize>,
    /// Runs of each; medians are reported
    #[arg(long, default_value_t = 5, value_parser = positive)]
    pub repetitions: usize,
    /// Rows of each run, relative to the usual number of scaling
    #[arg(long, default_value_t = 1.0, value_parser = scaling::share)]
    pub size: f64,
}

/// # Errors
/// If a run fails or gives a wrong answer.
pub fn measure(arguments: &SkewArguments) -> Result<Results> {
    let SkewArguments { workers, repetitions, size } = arguments.clone();
    let only = PAIRS.concat();
    let results = scaling::run(&ScalingArguments { workers, repetitions, only, size, falsify: false })?;
    Ok(Results { benchmark: "skew".to_owned(), ..results })
}

/// Rates of both, and how many times as long the skewed one takes.
pub fn table(results: &Results) -> Table {
    let cpus = results.machine.cpus;
    let mut table = Table::new(["scenario", "workers", "M rows/s even", "M rows/s skewed", "time", "CPU time"]);
    for [even, skewed] in PAIRS {
        for point in results.named(even.name) {
            let Some(workers) = point.workers() else { continue };
            let other = results.named(skewed.name).find(|point| point.workers() == Some(workers));
            let rate = |point: &Point| {
                point.median(if cpus < workers { "projected_rows_per_second" } else { "rows_per_second" })
            };
            let ratio = |of: &dyn Fn(&Point) -> Option<f64>| Some(of(other?)? / of(point)?);
            table.row([
                even.name.to_owned(),
                workers.to_string(),
                millions(rate(point)),
                millions(other.and_then(rate)),
                decimals(ratio(&rate).map(|ratio| 1.0 / ratio), 2),
                decimals(ratio(&|point| point.median("cpu_ns_per_row")), 2),
            ]);
        }
    }
    table.note(
        "Times as long as without skew, in wall time and in CPU time; every answer was checked against DataFusion.",
    );
    if results.points.iter().any(|point| point.workers().is_some_and(|workers| cpus < workers)) {
        table.note(format!("With more than {cpus} workers rates are projections from the busiest worker's CPU time."));
    }
    table.note(results.measured_on());
    table
}
