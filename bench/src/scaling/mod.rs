//! `corelane-bench scaling`: five scenarios at several numbers of workers.
//!
//! Each worker reads the same number of rows at every number of workers, from memory, through
//! the whole engine, into a sink that adds up every value on its own worker. Before anything is
//! timed, each scenario's result is compared row by row with DataFusion's on fewer rows; then
//! every timed run's result must add up to what DataFusion's does on all rows. A wrong answer
//! ends the program.

pub mod counters;
pub mod job;
pub mod rows;
pub mod view;
pub mod workload;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use clap::Args;
use corelane_server::{DurationSummary, ResultFold, RowsInMemory};
use corelane_stream::{ChangelogBatch, ChangelogMode};

use self::counters::{FutexCalls, machine_cpu_ns, memory_bytes, peak_memory_bytes, process_cpu_ns, reset_peak_memory};
use self::rows::{Parts, Table, parts};
use self::workload::{Repeated, WORKLOADS, Workload};
use crate::answer::Answer;
use crate::arguments::positive;
use crate::digest::Digest;
use crate::gathered::Gathered;
use crate::results::{Point, Results};
use crate::{batch_engine, engine};

#[derive(Clone, Debug, Args)]
pub struct ScalingArguments {
    /// Numbers of workers; all runs are interleaved
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8", value_parser = positive)]
    pub workers: Vec<usize>,
    /// Runs of each scenario at each number of workers; medians are reported
    #[arg(long, default_value_t = 5, value_parser = positive)]
    pub repetitions: usize,
    /// Scenarios, all by default
    #[arg(long, value_delimiter = ',', value_parser = scenario)]
    pub only: Vec<&'static Workload>,
    /// Rows of each run, relative to the usual number
    #[arg(long, default_value_t = 1.0, value_parser = share)]
    pub size: f64,
    /// Expect a row more than is right, to see that a wrong answer ends the program
    #[arg(long, hide = true)]
    pub falsify: bool,
}

fn scenario(name: &str) -> Result<&'static Workload, String> {
    Workload::named(name).ok_or_else(|| {
        let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        format!("there are the scenarios {}", names.join(", "))
    })
}

pub fn share(text: &str) -> Result<f64, String> {
    const RANGE: std::ops::RangeInclusive<f64> = 0.0001..=100.0;
    let parsed = text.parse().ok().filter(|size| RANGE.contains(size));
    parsed.ok_or_else(|| format!("a number from {} to {} is needed", RANGE.start(), RANGE.end()))
}

impl ScalingArguments {
    /// All scenarios on little data.
    pub fn smoke() -> ScalingArguments {
        ScalingArguments { workers: vec![1, 3], repetitions: 1, only: Vec::new(), size: 0.005, falsify: false }
    }

    fn workloads(&self) -> Vec<&'static Workload> {
        if self.only.is_empty() { WORKLOADS.iter().collect() } else { self.only.clone() }
    }
}

/// A query, the table it reads, and the number of workers whose rows the table has.
type Question = (&'static str, Table, usize);

/// A scenario at one number of workers, ready to run.
struct Prepared {
    workload: &'static Workload,
    workers: usize,
    parts: Parts,
    source: RowsInMemory,
    expected: Digest,
    point: Point,
}

/// # Errors
/// If a run fails or gives a wrong answer.
pub fn run(arguments: &ScalingArguments) -> Result<Results> {
    let mut results = Results::new("scaling");
    let mut prepared = prepare(arguments)?;
    for configuration in &prepared {
        configuration.compare().with_context(|| configuration.title())?;
    }
    eprintln!("{} configurations: every row is as DataFusion has it", prepared.len());
    let mut futexes_counted = true;
    for _ in 0..arguments.repetitions {
        for configuration in &mut prepared {
            futexes_counted &= configuration.measure().with_context(|| configuration.title())?;
        }
    }
    results.points = prepared.into_iter().map(|configuration| configuration.point).collect();
    if !futexes_counted {
        results.notes.push("Futex calls were not counted: the kernel's tracepoints cannot be read here.".to_owned());
    }
    Ok(results)
}

fn prepare(arguments: &ScalingArguments) -> Result<Vec<Prepared>> {
    let mut prepared = Vec::new();
    for workload in arguments.workloads() {
        let rows = (workload.rows_per_worker as f64 * arguments.size) as u64;
        for workers in &arguments.workers {
            let parts = parts(workload.table, workload.times, *workers, rows)?;
            let point = Point::new(workload.name).with("workers", workers).with("rows", parts.rows());
            prepared.push(Prepared {
                workload,
                workers: *workers,
                source: parts.source()?,
                parts,
                expected: Digest::default(),
                point,
            });
        }
    }
    let expected = expected_digests(&prepared)?;
    for configuration in &mut prepared {
        let digest = expected[&configuration.question()].clone();
        configuration.expected = if arguments.falsify { digest.falsified() } else { digest };
    }
    Ok(prepared)
}

/// DataFusion's answers to all questions, as many at a time as there are CPUs.
fn expected_digests(prepared: &[Prepared]) -> Result<BTreeMap<Question, Digest>> {
    let mut questions: BTreeMap<Question, &Prepared> = BTreeMap::new();
    for configuration in prepared {
        questions.insert(configuration.question(), configuration);
    }
    // Long ones first, so that none is left alone at the end.
    let mut ordered: Vec<_> = questions.into_iter().collect();
    ordered.sort_by_key(|(_, configuration)| std::cmp::Reverse(configuration.parts.rows() / configuration.parts.times));
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(BTreeMap::new());
    let answer_some = || -> Result<()> {
        while let Some((question, configuration)) = ordered.get(next.fetch_add(1, Ordering::Relaxed)) {
            let digest = expected_digest(configuration.workload, &configuration.parts)?;
            answers.lock().unwrap_or_else(PoisonError::into_inner).insert(*question, digest);
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(answer_some)).collect();
        let answered =
            threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("DataFusion panicked"))?);
        answered.collect::<Result<Vec<()>>>()
    })?;
    Ok(answers.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What all rows of DataFusion's answer add up to.
///
/// # Errors
/// If DataFusion fails.
pub fn expected_digest(workload: &Workload, parts: &Parts) -> Result<Digest> {
    let Workload { table_name, batch_query, .. } = workload;
    let once = Digest::of(&batch_engine::answer(table_name, parts.schema(), parts.parts.clone(), batch_query)?)?;
    Ok(match workload.repeated {
        Repeated::Rows => once.times(parts.times),
        Repeated::Columns(columns) => once.columns_times(columns, parts.times),
    })
}

impl Prepared {
    fn title(&self) -> String {
        format!("{} on {} workers", self.workload.name, self.workers)
    }

    /// What a batch engine is asked, over which rows.
    fn question(&self) -> Question {
        (self.workload.batch_query, self.workload.table, self.workers)
    }

    /// Compares the result with DataFusion's row by row, on the first rows of each part.
    fn compare(&self) -> Result<()> {
        let Workload { table_name, batch_query, keys, .. } = *self.workload;
        let few = self.parts.first((self.workload.compared_batches / self.workers).max(1));
        let right = batch_engine::answer(table_name, few.schema(), few.parts.clone(), batch_query)?;
        let gathered = Gathered::<Vec<ChangelogBatch>>::new();
        let job = engine::start(
            self.workers,
            &[],
            self.workload.declaration,
            &few.source()?,
            self.workload.query,
            gathered.spec(),
        )?;
        engine::finish(job)?;
        let changes = gathered.result();
        let schema = changes.first().context("the result is empty")?.schema();
        let mut fold = ResultFold::new(schema, &ChangelogMode::Retract).map_err(|error| anyhow::anyhow!("{error}"))?;
        for batch in changes {
            fold.push(batch).map_err(|error| anyhow::anyhow!("the changelog is wrong: {error}"))?;
        }
        let result = fold.finish().and_then(|rows| rows.collect::<Result<Vec<_>, _>>());
        let result = result.map_err(|error| anyhow::anyhow!("{error}"))?;
        Answer::of(&right, keys)?.check(&result, keys)
    }

    /// One timed run; true if futex calls were counted.
    fn measure(&mut self) -> Result<bool> {
        let gathered = Gathered::<Digest>::new();
        reset_peak_memory();
        let memory_before = memory_bytes();
        let (machine_before, process_before) = (machine_cpu_ns(), process_cpu_ns());
        let futexes = FutexCalls::start();
        let Workload { declaration, query, .. } = self.workload;
        let job = engine::start(self.workers, &[], declaration, &self.source, query, gathered.spec())?;
        let report = engine::finish(job)?;
        let futexes = futexes.and_then(|calls| calls.count());
        let process_ns = process_cpu_ns() - process_before;
        let machine_ns = machine_before.zip(machine_cpu_ns()).map(|(before, after)| after.saturating_sub(before));
        let rows = self.parts.rows();
        ensure!(report.rows_in == rows, "the job read {} rows of {rows}", report.rows_in);
        gathered.result().check(&self.expected)?;

        let elapsed_s = report.elapsed.as_secs_f64();
        let of_workers = || report.workers.iter().map(|worker| worker.cpu_ns as f64);
        let busiest_ns = of_workers().fold(0.0, f64::max);
        let cpu_ns_per_row = of_workers().sum::<f64>() / rows as f64;
        let point = &mut self.point;
        point.parameters.insert("driver".to_owned(), report.driver.to_owned());
        point.record("rows_per_second", rows as f64 / elapsed_s);
        point.record("cpu_ns_per_row", cpu_ns_per_row);
        point.record("busiest_worker_cpu_ns_per_own_row", busiest_ns / rows as f64 * self.workers as f64);
        point.record("process_cpu_ns_per_row", process_ns as f64 / rows as f64);
        point.record("projected_rows_per_second", rows as f64 * 1e9 / busiest_ns);
        point.record("parks", report.workers.iter().map(|worker| worker.parks as f64).sum());
        if let Some(calls) = futexes {
            point.record("futex_calls", calls as f64);
        }
        point.record("ring_hops", report.hops.count as f64);
        record_durations(point, "hop", &report.hops);
        record_durations(point, "latency", &report.latency);
        if let Some(peak) = peak_memory_bytes() {
            point.record("peak_rss_bytes", peak as f64);
            point.record("rss_growth_bytes", peak.saturating_sub(memory_before.unwrap_or(0)) as f64);
        }
        if let Some(machine_ns) = machine_ns {
            point.record("other_cpus_busy", machine_ns.saturating_sub(process_ns) as f64 / 1e9 / elapsed_s);
        }
        eprintln!("{}: {:.1} M rows/s, {cpu_ns_per_row:.2} ns CPU a row", self.title(), rows as f64 / elapsed_s / 1e6);
        Ok(futexes.is_some())
    }
}

fn record_durations(point: &mut Point, what: &str, durations: &DurationSummary) {
    let DurationSummary { p50_ns, p99_ns, p9999_ns, max_ns, .. } = *durations;
    for (name, value) in [("p50", p50_ns), ("p99", p99_ns), ("p9999", p9999_ns), ("max", max_ns)] {
        point.record(&format!("{what}_{name}_ns"), value as f64);
    }
}
