//! A job that runs: its rows, its progress, its end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use corelane_connectors::FileRowErrors;
use corelane_runtime::{JobHandle, Outcome};
use corelane_stream::{ChangelogMode, Dataflow, NodeKind, Result, SinkSpec, Watermark};

use crate::collect::{Collected, Collector};

/// How often a reader without rows looks whether the job has failed.
const LOOK_FOR_END: Duration = Duration::from_millis(20);

/// A job that runs; dropping it stops it.
pub struct RunningJob {
    handle: JobHandle,
    result: Option<QueryResult>,
    bounded: bool,
    row_errors: Arc<FileRowErrors>,
    sinks: Vec<(usize, Arc<dyn SinkSpec>)>,
    /// What is told of the plan, whatever the workers do.
    notices: Vec<String>,
}

/// The rows of a bare `SELECT`.
pub(crate) struct QueryResult {
    pub collector: Collector,
    pub schema: SchemaRef,
    pub mode: ChangelogMode,
}

impl fmt::Debug for RunningJob {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RunningJob(bounded: {})", self.bounded)
    }
}

impl RunningJob {
    pub(crate) fn new(
        handle: JobHandle,
        dataflow: &Dataflow,
        result: Option<QueryResult>,
        row_errors: Arc<FileRowErrors>,
        notices: Vec<String>,
    ) -> Self {
        let sinks = dataflow.nodes.iter().enumerate().filter_map(|(id, node)| match &node.kind {
            NodeKind::Sink(sink) => Some((id, Arc::clone(&sink.spec))),
            NodeKind::Source(_) | NodeKind::Operator(_) => None,
        });
        RunningJob { handle, result, bounded: dataflow.bounded(), row_errors, sinks: sinks.collect(), notices }
    }

    /// The columns of a bare SELECT; `None` for a job that writes to tables.
    pub fn schema(&self) -> Option<SchemaRef> {
        self.result.as_ref().map(|result| result.schema.clone())
    }

    pub fn mode(&self) -> ChangelogMode {
        self.result.as_ref().map_or(ChangelogMode::Append, |result| result.mode.clone())
    }

    /// True if it ends by itself.
    pub fn bounded(&self) -> bool {
        self.bounded
    }

    /// Waits for rows of a bare SELECT; for any job, `End` says that it has ended.
    pub fn next(&self, timeout: Duration) -> Collected {
        let Some(result) = &self.result else {
            return self.await_end(timeout);
        };
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let found = result.collector.next(left.min(LOOK_FOR_END));
            if !matches!(found, Collected::Nothing) {
                return found;
            }
            if self.handle.has_ended() {
                // A job that failed early never opened its sink; one that did may have left rows.
                return match result.collector.next(Duration::ZERO) {
                    Collected::Nothing => Collected::End,
                    found => found,
                };
            }
            if left <= LOOK_FOR_END {
                return Collected::Nothing;
            }
        }
    }

    fn await_end(&self, timeout: Duration) -> Collected {
        const LOOK_AGAIN: Duration = Duration::from_millis(1);
        let deadline = Instant::now() + timeout;
        loop {
            if self.handle.has_ended() {
                return Collected::End;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Collected::Nothing;
            }
            std::thread::sleep(left.min(LOOK_AGAIN));
        }
    }

    pub fn progress(&self) -> JobProgress {
        let progress = self.handle.progress();
        JobProgress {
            rows_in: progress.rows,
            bytes_in: progress.bytes,
            done: Some(progress.work_done as f64 / progress.work_total as f64).filter(|_| progress.work_total > 0),
            watermark_ms: progress
                .watermark
                .filter(|watermark| ![Watermark::START, Watermark::IDLE, Watermark::END].contains(watermark))
                .map(|watermark| watermark.0),
        }
    }

    /// Lines for the user: options without effect, which driver was chosen and why, stalls.
    pub fn notices(&self) -> Vec<String> {
        // Those of the plan first: the handle's grow in number.
        self.notices.iter().cloned().chain(self.handle.notices()).collect()
    }

    /// Reads no more, finishes what was read, commits.
    pub fn drain(&self) {
        self.handle.drain();
    }

    /// Stops without committing.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Throws away what was not committed, for a program that ends while the job hangs.
    pub fn undo(&self) -> impl FnOnce() + Send + use<> {
        let sinks: Vec<Arc<dyn SinkSpec>> = self.sinks.iter().map(|(_, sink)| Arc::clone(sink)).collect();
        move || sinks.iter().for_each(|sink| sink.abort())
    }

    /// # Errors
    /// What failed the job.
    pub fn wait(self) -> Result<JobReport> {
        let RunningJob { handle, result, row_errors, sinks, .. } = self;
        // A job that still has rows to give must not wait for a reader that is not there.
        drop(result);
        let report = handle.wait();
        if let Outcome::Failed(failure) = &report.outcome {
            return Err(failure.error.clone());
        }
        let rows_out = sinks.iter().filter_map(|(id, _)| report.nodes.get(*id)).map(|node| node.metrics.rows_in).sum();
        let counts = row_errors.counts();
        let elapsed_ns = report.elapsed_ns;
        let worker = |worker: &corelane_runtime::WorkerReport| WorkerReport {
            worker: worker.worker,
            cpu: Some(worker.cpu),
            rows: worker.rows(),
            batches: worker.metrics.counters.nodes.iter().map(|node| node.batches_in).sum(),
            busy: worker.busy_ratio(elapsed_ns),
            ring_depth_max: worker.metrics.counters.edges.ring_depth_max as u64,
            cpu_ns: worker.cpu_ns,
            parks: worker.metrics.counters.parks,
            step_p50_ns: worker.metrics.step.quantile_ns(0.5),
            step_p99_ns: worker.metrics.step.quantile_ns(0.99),
            step_p999_ns: worker.metrics.step.quantile_ns(0.999),
        };
        Ok(JobReport {
            elapsed: Duration::from_nanos(elapsed_ns),
            rows_in: report.rows(),
            bytes_in: report.nodes.iter().map(|node| node.metrics.source.bytes).sum(),
            rows_out,
            late_rows: counts.values().map(|count| count.late).sum(),
            bad_rows: counts.values().map(|count| count.bad).sum(),
            unfinished_records: counts.values().map(|count| count.unfinished).sum(),
            unfinished_at: row_errors.unfinished_at(),
            driver: report.driver.name(),
            hops: DurationSummary::of(&report.hops()),
            latency: DurationSummary::of(&report.latency()),
            workers: report.workers.iter().map(worker).collect(),
        })
    }
}

/// How far a job has come.
#[derive(Clone, Debug, Default)]
pub struct JobProgress {
    pub rows_in: u64,
    pub bytes_in: u64,
    /// The share of the input that was read, 0 to 1; `None` if it does not say how long it is.
    pub done: Option<f64>,
    pub watermark_ms: Option<i64>,
}

/// What a job did.
#[derive(Clone, Debug, Default)]
pub struct JobReport {
    pub elapsed: Duration,
    pub rows_in: u64,
    pub bytes_in: u64,
    pub rows_out: u64,
    pub late_rows: u64,
    pub bad_rows: u64,
    /// Records that had begun when the job was stopped, or their file replaced, and never ended.
    pub unfinished_records: u64,
    /// Where one of them is, if there are any.
    pub unfinished_at: Option<String>,
    pub driver: &'static str,
    /// Messages that went through a ring, from entering it to being read.
    pub hops: DurationSummary,
    /// Batches taken by sinks, from leaving their source.
    pub latency: DurationSummary,
    pub workers: Vec<WorkerReport>,
}

/// How long something took that was done many times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurationSummary {
    pub count: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub p9999_ns: u64,
    pub max_ns: u64,
}

impl DurationSummary {
    fn of(durations: &corelane_runtime::Durations) -> DurationSummary {
        DurationSummary {
            count: durations.count(),
            p50_ns: durations.quantile_ns(0.5),
            p99_ns: durations.quantile_ns(0.99),
            p999_ns: durations.quantile_ns(0.999),
            p9999_ns: durations.quantile_ns(0.9999),
            max_ns: durations.max_ns(),
        }
    }
}

/// One worker's part in it.
#[derive(Clone, Debug, Default)]
pub struct WorkerReport {
    pub worker: usize,
    pub cpu: Option<usize>,
    pub rows: u64,
    pub batches: u64,
    /// The share of the time in which it had work, 0 to 1.
    pub busy: f64,
    pub ring_depth_max: u64,
    /// CPU time of its thread.
    pub cpu_ns: u64,
    pub parks: u64,
    pub step_p50_ns: u64,
    pub step_p99_ns: u64,
    pub step_p999_ns: u64,
}
