//! `corelane-bench contrast`: S2 by other designs, beside Corelane.
//!
//! What a lock costs depends on how often it is taken, so batches come in two sizes: large ones
//! as under full load, and small ones as where rows must not wait for each other.

mod designs;
mod groups;
pub mod view;

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use clap::Args;

use self::designs::{Run, engine_per_partition, nothing_shared, shared_engine};
use crate::arguments::positive;
use crate::digest::Digest;
use crate::gathered::Gathered;
use crate::results::{Point, Results};
use crate::scaling::counters::FutexCalls;
use crate::scaling::expected_digest;
use crate::scaling::rows::{Parts, parts};
use crate::scaling::workload::GROUP_BY;
use crate::{engine, market_data};

#[derive(Clone, Debug, Args)]
pub struct ContrastArguments {
    /// Numbers of workers or threads; all runs are interleaved
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8", value_parser = positive)]
    pub workers: Vec<usize>,
    /// Runs of each design at each number of workers; medians are reported
    #[arg(long, default_value_t = 5, value_parser = positive)]
    pub repetitions: usize,
    /// Rows that each worker reads
    #[arg(long, default_value_t = 8 << 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub rows_per_worker: u64,
}

impl ContrastArguments {
    /// All designs on little data.
    pub fn smoke() -> ContrastArguments {
        ContrastArguments { workers: vec![1, 3], repetitions: 1, rows_per_worker: 100_000 }
    }
}

/// Rows of a batch: what a loaded source gives, and what one gives that must answer soon.
const BATCH_ROWS: [usize; 2] = [market_data::BATCH_ROWS, 256];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Design {
    Corelane,
    SharedEngine,
    EnginePerPartition,
    NothingShared,
}

const DESIGNS: [Design; 4] =
    [Design::Corelane, Design::SharedEngine, Design::EnginePerPartition, Design::NothingShared];

impl Design {
    fn name(self) -> &'static str {
        match self {
            Design::Corelane => "Corelane",
            Design::SharedEngine => "one engine, Arc<RwLock>, state copied",
            Design::EnginePerPartition => "an engine per partition, Mutex",
            Design::NothingShared => "bare aggregate, nothing shared",
        }
    }

    fn run(self, input: &Input, batch_rows: usize) -> Result<Outcome> {
        match self {
            Design::Corelane => corelane(input, batch_rows),
            Design::SharedEngine => shared_engine(&input.parts, batch_rows)?.outcome(),
            Design::EnginePerPartition => engine_per_partition(&input.parts, batch_rows)?.outcome(),
            Design::NothingShared => nothing_shared(&input.parts, batch_rows)?.outcome(),
        }
    }
}

/// The rows for one number of workers.
struct Input {
    parts: Parts,
    expected: Digest,
}

struct Outcome {
    digest: Digest,
    elapsed_ns: u64,
    cpu_ns: Vec<u64>,
    repeated: u64,
}

impl Run {
    fn outcome(self) -> Result<Outcome> {
        let Run { result, elapsed_ns, cpu_ns, repeated } = self;
        Ok(Outcome { digest: Digest::of(&[result] as &[RecordBatch])?, elapsed_ns, cpu_ns, repeated })
    }
}

/// # Errors
/// If a run fails or gives a wrong answer.
pub fn run(arguments: &ContrastArguments) -> Result<Results> {
    let mut results = Results::new("contrast");
    let mut configurations = Vec::new();
    for workers in &arguments.workers {
        let parts = parts(GROUP_BY.table, GROUP_BY.times, *workers, arguments.rows_per_worker)?;
        let input = Input { expected: expected_digest(&GROUP_BY, &parts)?, parts };
        let mut points = Vec::new();
        for batch_rows in BATCH_ROWS {
            for design in DESIGNS {
                let point = Point::new(design.name())
                    .with("workers", workers)
                    .with("batch_rows", batch_rows)
                    .with("rows", input.parts.rows());
                points.push((design, batch_rows, point));
            }
        }
        configurations.push((input, points));
    }
    for _ in 0..arguments.repetitions {
        for (input, points) in &mut configurations {
            for (design, batch_rows, point) in points {
                let workers = input.parts.parts.len();
                let title = || format!("{} on {workers} workers", design.name());
                measure(*design, input, *batch_rows, point).with_context(title)?;
            }
        }
    }
    for (_, points) in configurations {
        results.points.extend(points.into_iter().map(|(_, _, point)| point));
    }
    Ok(results)
}

fn measure(design: Design, input: &Input, batch_rows: usize, point: &mut Point) -> Result<()> {
    let futexes = FutexCalls::start();
    let outcome = design.run(input, batch_rows)?;
    let futexes = futexes.and_then(|calls| calls.count());
    outcome.digest.check(&input.expected)?;
    let rows = input.parts.rows() as f64;
    let rows_per_second = rows * 1e9 / outcome.elapsed_ns as f64;
    let cpu_ns_per_row = outcome.cpu_ns.iter().sum::<u64>() as f64 / rows;
    point.record("rows_per_second", rows_per_second);
    point.record("cpu_ns_per_row", cpu_ns_per_row);
    point.record("repeated_batches", outcome.repeated as f64);
    if let Some(calls) = futexes {
        point.record("futex_calls", calls as f64);
    }
    eprintln!(
        "{}, batches of {batch_rows}, {} workers: {:.1} M rows/s, {cpu_ns_per_row:.2} ns CPU a row",
        design.name(),
        input.parts.parts.len(),
        rows_per_second / 1e6,
    );
    Ok(())
}

fn corelane(input: &Input, batch_rows: usize) -> Result<Outcome> {
    let workers = input.parts.parts.len();
    let gathered = Gathered::<Digest>::new();
    let flags = [("batch-rows", batch_rows.to_string())];
    let flags = if batch_rows == market_data::BATCH_ROWS { &[][..] } else { &flags[..] };
    let source = input.parts.source()?;
    let job = engine::start(workers, flags, GROUP_BY.declaration, &source, GROUP_BY.query, gathered.spec())?;
    let report = engine::finish(job)?;
    ensure!(report.rows_in == input.parts.rows(), "the job read {} rows", report.rows_in);
    Ok(Outcome {
        digest: gathered.result(),
        elapsed_ns: report.elapsed.as_nanos() as u64,
        cpu_ns: report.workers.iter().map(|worker| worker.cpu_ns).collect(),
        repeated: 0,
    })
}
