//! A job: started from a dataflow, watched, stopped, and committed when all its workers are done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use corelane_stream::{
    Clock, Committable, Dataflow, Error, NodeId, NodeKind, Result, RowErrorsFactory, SourceCounters, Split, Watermark,
};

use crate::blueprint::{JobParts, blueprints, node_name};
use crate::config::{RuntimeConfig, WorkerConfig};
use crate::control::{Control, Failure, Order};
use crate::doorbell::Doorbell;
use crate::driver::{Join, driver};
use crate::lane::{LaneEnd, panic_text};
use crate::metrics::{Durations, NodeMetrics, Slot, WorkerMetrics};
use crate::placement::{DriverKind, Placement};
use crate::probe::{MachineFacts, probe};

/// All that a job needs.
pub struct JobSetup {
    pub dataflow: Dataflow,
    pub config: RuntimeConfig,
    pub clock: Arc<dyn Clock>,
    pub row_errors: Arc<dyn RowErrorsFactory>,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Its input ended, and its output is committed.
    Finished,
    /// It was told to stop; what it had read is committed.
    Drained,
    /// It was told to stop at once; nothing is committed, unless its input had no end.
    Cancelled,
    /// As for `Cancelled`.
    Failed(Failure),
}

/// One worker's part in a job.
#[derive(Clone, Debug)]
pub struct WorkerReport {
    pub worker: usize,
    pub cpu: usize,
    /// CPU time of its thread.
    pub cpu_ns: u64,
    pub metrics: WorkerMetrics,
}

impl WorkerReport {
    /// Rows read by its sources.
    pub fn rows(&self) -> u64 {
        self.metrics.counters.rows()
    }

    /// The share of the job's time in which it had work.
    pub fn busy_ratio(&self, elapsed_ns: u64) -> f64 {
        if elapsed_ns == 0 { 0.0 } else { self.metrics.counters.busy_ns as f64 / elapsed_ns as f64 }
    }
}

/// What one node counted, over all workers.
#[derive(Clone, Debug)]
pub struct NodeReport {
    pub id: NodeId,
    /// `GroupAggregate`, `source trades (filesystem)`.
    pub name: String,
    pub metrics: NodeMetrics,
}

/// What a job did.
#[derive(Clone, Debug)]
pub struct JobReport {
    pub outcome: Outcome,
    pub driver: DriverKind,
    pub elapsed_ns: u64,
    pub workers: Vec<WorkerReport>,
    pub nodes: Vec<NodeReport>,
}

impl JobReport {
    /// Rows read by all sources.
    pub fn rows(&self) -> u64 {
        self.workers.iter().map(WorkerReport::rows).sum()
    }

    /// From leaving a source to being taken by a sink, over all workers.
    pub fn latency(&self) -> Durations {
        self.merged(|metrics| &metrics.latency)
    }

    /// From entering a ring to being read from it, over all workers.
    pub fn hops(&self) -> Durations {
        self.merged(|metrics| &metrics.hop)
    }

    fn merged(&self, of: impl Fn(&WorkerMetrics) -> &Durations) -> Durations {
        let mut merged = Durations::default();
        for worker in &self.workers {
            merged.merge(of(&worker.metrics));
        }
        merged
    }
}

/// How far a job has come; up to 100 ms old.
#[derive(Clone, Debug)]
pub struct JobProgress {
    pub rows: u64,
    pub bytes: u64,
    /// How much there is to read: the weights of the splits, in bytes or, for sources without bytes, rows; 0 if unknown.
    pub work_total: u64,
    /// How much of that was read.
    pub work_done: u64,
    /// Event time at the slowest of the sinks; `None` before the first watermark.
    pub watermark: Option<Watermark>,
    pub rows_by_worker: Vec<u64>,
    pub late_rows: u64,
    pub bad_rows: u64,
    /// Since the job started.
    pub elapsed_ns: u64,
}

/// A running job. Dropping it cancels the job and waits for its end.
pub struct JobHandle {
    control: Arc<Control>,
    dataflow: Arc<Dataflow>,
    clock: Arc<dyn Clock>,
    slots: Vec<Slot>,
    /// By node, the weights of its splits.
    weights: Vec<u64>,
    start_ns: u64,
    ended: Arc<AtomicBool>,
    coordinator: Option<thread::JoinHandle<JobReport>>,
}

/// Starts a job on this machine.
///
/// # Errors
/// If the configuration does not fit the machine, or a source, sink or thread cannot be opened.
pub fn start(setup: JobSetup) -> Result<JobHandle> {
    start_on(setup, &probe())
}

/// Starts a job on a machine with these facts.
///
/// # Errors
/// As for `start`.
pub fn start_on(setup: JobSetup, facts: &MachineFacts) -> Result<JobHandle> {
    let JobSetup { dataflow, config, clock, row_errors } = setup;
    let placement = config.resolve(facts)?;
    let splits = list_splits(&dataflow, placement.workers.len())?;
    let weights = splits.iter().map(|splits| splits.iter().map(|split| split.weight).sum()).collect();
    let doorbells: Vec<Arc<Doorbell>> = placement.workers.iter().map(|_| Arc::default()).collect();
    let slots: Vec<Slot> = placement.workers.iter().map(|_| Slot::default()).collect();
    let control = Arc::new(Control::new(doorbells.clone()));
    for notice in &placement.notices {
        control.notice(notice.clone());
    }
    let dataflow = Arc::new(dataflow);
    begin_sinks(&dataflow)?;
    let start_ns = clock.monotonic_ns();
    let job = JobParts { dataflow: dataflow.clone(), clock: clock.clone(), row_errors, control: control.clone() };
    let joins = start_workers(&job, &placement, &splits, &doorbells, &slots);
    let ended = Arc::new(AtomicBool::new(false));
    let coordinator = Coordinator { job, placement, start_ns, joins, ended: ended.clone() };
    let started = thread::Builder::new().name("corelane-job".to_owned()).spawn(move || coordinator.run());
    let coordinator = started.map_err(|error| {
        control.give(Order::Cancel);
        abort_sinks(&dataflow);
        Error::io(format!("cannot start the job's thread: {error}"))
    })?;
    let coordinator = Some(coordinator);
    Ok(JobHandle { control, dataflow, clock, slots, weights, start_ns, ended, coordinator })
}

impl JobHandle {
    /// How far the job has come.
    pub fn progress(&self) -> JobProgress {
        let mut progress = JobProgress {
            rows: 0,
            bytes: 0,
            work_total: self.weights.iter().sum(),
            work_done: 0,
            watermark: None,
            rows_by_worker: Vec::with_capacity(self.slots.len()),
            late_rows: 0,
            bad_rows: 0,
            elapsed_ns: self.clock.monotonic_ns().saturating_sub(self.start_ns),
        };
        let mut watermark = Watermark::END;
        let mut read: Vec<SourceCounters> = vec![SourceCounters::default(); self.weights.len()];
        for slot in &self.slots {
            let counters = slot.read();
            progress.rows_by_worker.push(counters.rows());
            progress.rows += counters.rows();
            for ((node, metrics), read) in self.dataflow.nodes.iter().zip(&counters.nodes).zip(&mut read) {
                progress.bytes += metrics.source.bytes;
                read.bytes += metrics.source.bytes;
                read.rows += metrics.source.rows;
                progress.bad_rows += metrics.source.bad_rows + metrics.operator.bad_rows;
                progress.late_rows += metrics.operator.late_rows;
                if matches!(node.kind, NodeKind::Sink(_)) {
                    watermark = watermark.min(metrics.watermark);
                }
            }
        }
        progress.work_done = work_done(&self.weights, &read);
        progress.watermark = Some(watermark).filter(|time| *time != Watermark::START && *time != Watermark::END);
        progress
    }

    /// Stops reading, finishes what was read and commits it. No window closes because of it.
    pub fn drain(&self) {
        self.control.give(Order::Drain);
    }

    /// Stops at once and commits nothing more.
    pub fn cancel(&self) {
        self.control.give(Order::Cancel);
    }

    /// What the user should know, a line each: a fallback, a stalled worker.
    pub fn notices(&self) -> Vec<String> {
        self.control.notices()
    }

    /// True when `wait` will not block for long.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits for the job's end.
    pub fn wait(mut self) -> JobReport {
        let coordinator = self.coordinator.take().expect("a job is waited for once");
        coordinator.join().unwrap_or_else(|panic| JobReport {
            outcome: Outcome::Failed(Failure::from(Error::internal(format!(
                "the job's thread panicked: {}",
                panic_text(&*panic)
            )))),
            driver: DriverKind::Threads,
            elapsed_ns: 0,
            workers: Vec::new(),
            nodes: Vec::new(),
        })
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        if let Some(coordinator) = self.coordinator.take() {
            self.control.give(Order::Cancel);
            // Nobody is left to be told how it ended.
            let _ = coordinator.join();
        }
    }
}

/// How much of its weight each source has read. One that gives rows but no bytes is weighed in rows.
fn work_done(weights: &[u64], read: &[SourceCounters]) -> u64 {
    let done = weights.iter().zip(read).map(|(weight, read)| {
        let done = if read.bytes == 0 { read.rows } else { read.bytes };
        done.min(*weight)
    });
    done.sum()
}

/// The job's own thread: waits for the workers, then commits or aborts.
struct Coordinator {
    job: JobParts,
    placement: Placement,
    start_ns: u64,
    joins: Vec<Join>,
    ended: Arc<AtomicBool>,
}

impl Coordinator {
    fn run(self) -> JobReport {
        let Coordinator { job, placement, start_ns, joins, ended } = self;
        let mut ends = Vec::new();
        for join in joins {
            match join() {
                Ok(end) => ends.push(end),
                Err(error) => job.control.fail(Failure::from(error)),
            }
        }
        let outcome = settle(&job, &mut ends);
        let elapsed_ns = job.clock.monotonic_ns().saturating_sub(start_ns);
        let report = report(&job.dataflow, &placement, ends, elapsed_ns, outcome);
        ended.store(true, Ordering::Release);
        report
    }
}

/// Commits every sink, or aborts them all.
fn settle(job: &JobParts, ends: &mut [LaneEnd]) -> Outcome {
    let order = job.control.order();
    let outcome = match (job.control.failure(), order) {
        (Some(failure), _) => Outcome::Failed(failure),
        (None, Order::Cancel) => Outcome::Cancelled,
        (None, Order::Run | Order::Drain) => match commit_sinks(&job.dataflow, ends) {
            Ok(()) if order == Order::Drain => Outcome::Drained,
            Ok(()) => Outcome::Finished,
            Err(failure) => Outcome::Failed(failure),
        },
    };
    if matches!(outcome, Outcome::Cancelled | Outcome::Failed(_)) {
        if !job.dataflow.bounded() {
            tell_remains(job);
        }
        abort_sinks(&job.dataflow);
    }
    outcome
}

fn list_splits(dataflow: &Dataflow, workers: usize) -> Result<Vec<Vec<Split>>> {
    let listed = dataflow.nodes.iter().map(|node| match &node.kind {
        NodeKind::Source(source) => source.spec.splits(workers),
        NodeKind::Operator(_) | NodeKind::Sink(_) => Ok(Vec::new()),
    });
    listed.collect()
}

/// Begins the sinks; if one refuses, those before it are undone.
fn begin_sinks(dataflow: &Dataflow) -> Result<()> {
    for (position, node) in dataflow.nodes.iter().enumerate() {
        if let NodeKind::Sink(sink) = &node.kind
            && let Err(error) = sink.spec.begin()
        {
            for node in &dataflow.nodes[..position] {
                if let NodeKind::Sink(begun) = &node.kind {
                    begun.spec.abort();
                }
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Says what is left of output that was seen before its job was to end.
fn tell_remains(job: &JobParts) {
    for node in &job.dataflow.nodes {
        if let NodeKind::Sink(sink) = &node.kind {
            let name = node_name(&node.kind);
            sink.spec.remains().into_iter().for_each(|line| job.control.notice(format!("{name}: {line}")));
        }
    }
}

fn abort_sinks(dataflow: &Dataflow) {
    for node in &dataflow.nodes {
        if let NodeKind::Sink(sink) = &node.kind {
            sink.spec.abort();
        }
    }
}

/// Commits what the workers prepared, in the order of workers, a sink at a time.
fn commit_sinks(dataflow: &Dataflow, ends: &mut [LaneEnd]) -> Result<(), Failure> {
    let mut prepared: BTreeMap<NodeId, Vec<Committable>> = BTreeMap::new();
    for end in ends {
        for (node, committables) in end.prepared.drain(..) {
            prepared.entry(node).or_default().extend(committables);
        }
    }
    for (node, committables) in prepared {
        let kind = &dataflow.node(node).kind;
        if let NodeKind::Sink(sink) = kind {
            let committed = sink.spec.commit(&committables);
            committed.map_err(|error| Failure { error, worker: None, node: Some(node_name(kind)) })?;
        }
    }
    Ok(())
}

/// Starts all workers. If one cannot be started the job fails, and those that run end at once.
fn start_workers(
    job: &JobParts,
    placement: &Placement,
    splits: &[Vec<Split>],
    doorbells: &[Arc<Doorbell>],
    slots: &[Slot],
) -> Vec<Join> {
    let driver = driver(placement.driver);
    let mut joins = Vec::new();
    for blueprint in blueprints(job, &placement.workers, splits, doorbells, slots) {
        let WorkerConfig { cpu, .. } = placement.workers[blueprint.index()];
        match driver.start(blueprint, placement.pin.then_some(cpu)) {
            Ok(join) => joins.push(join),
            Err(error) => {
                job.control.fail(Failure::from(error));
                break;
            }
        }
    }
    joins
}

fn report(
    dataflow: &Dataflow,
    placement: &Placement,
    ends: Vec<LaneEnd>,
    elapsed_ns: u64,
    outcome: Outcome,
) -> JobReport {
    let mut nodes: Vec<NodeReport> = Vec::new();
    for (index, node) in dataflow.nodes.iter().enumerate() {
        let mut of_workers = ends.iter().filter_map(|end| end.metrics.counters.nodes.get(index));
        let mut metrics = of_workers.next().copied().unwrap_or_default();
        of_workers.for_each(|other| metrics.merge(other));
        nodes.push(NodeReport { id: NodeId(index), name: node_name(&node.kind), metrics });
    }
    let workers = ends.into_iter().map(|end| WorkerReport {
        worker: end.worker,
        cpu: placement.workers[end.worker].cpu,
        cpu_ns: end.cpu_ns,
        metrics: end.metrics,
    });
    JobReport { outcome, driver: placement.driver, elapsed_ns, workers: workers.collect(), nodes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_in_what_a_source_is_weighed_by() {
        let file = SourceCounters { rows: 10, bytes: 400, bad_rows: 0 };
        let generated = SourceCounters { rows: 30, bytes: 0, bad_rows: 0 };
        assert_eq!(work_done(&[1_000, 100], &[file, generated]), 430);
        // Bytes between ranges may be read twice, and rows of an endless source have no total.
        assert_eq!(work_done(&[300, 0], &[file, generated]), 300);
    }
}
