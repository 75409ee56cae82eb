//! What a worker counts: plain cells of its own, published by copy.
//!
//! Nothing here is shared while it is counted. Every `PUBLISH_NS` (and before a worker sleeps or
//! ends) the counters are copied into a slot that the job's handle reads; histograms are merged
//! only when the job has ended.

use std::sync::{Arc, Mutex, PoisonError};

use corelane_stream::{OperatorCounters, SourceCounters, Watermark};
use hdrhistogram::Histogram;

use crate::edge::EdgeCounters;

/// How often a worker publishes its counters.
pub const PUBLISH_NS: u64 = 100_000_000;

/// The longest duration that is told from longer ones: one minute.
const DURATION_NS_MAX: u64 = 60_000_000_000;

/// Two significant digits: within 1 %, 30 KiB a histogram.
const DIGITS: u8 = 2;

/// Durations in nanoseconds.
#[derive(Clone, Debug)]
pub struct Durations(Histogram<u64>);

impl Default for Durations {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, DURATION_NS_MAX, DIGITS);
        Durations(histogram.expect("the bounds are right for every run"))
    }
}

impl Durations {
    pub fn record(&mut self, duration_ns: u64) {
        self.0.saturating_record(duration_ns.max(1));
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The duration that this share of all stays below, 0.99 for p99; 0 if there are none.
    pub fn quantile_ns(&self, share: f64) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.value_at_quantile(share) }
    }

    pub fn max_ns(&self) -> u64 {
        self.0.max()
    }

    pub fn merge(&mut self, other: &Durations) {
        self.0.add(&other.0).expect("all histograms have the same bounds");
    }
}

/// What one node counted on one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeMetrics {
    pub rows_in: u64,
    pub batches_in: u64,
    pub rows_out: u64,
    pub batches_out: u64,
    pub busy_ns: u64,
    /// What the operator counted: late and bad rows, keys and bytes of state.
    pub operator: OperatorCounters,
    /// What the source counted: rows, bytes and bad rows.
    pub source: SourceCounters,
    /// Event time as the node has passed it on.
    pub watermark: Watermark,
}

impl Default for NodeMetrics {
    fn default() -> Self {
        NodeMetrics {
            rows_in: 0,
            batches_in: 0,
            rows_out: 0,
            batches_out: 0,
            busy_ns: 0,
            operator: OperatorCounters::default(),
            source: SourceCounters::default(),
            watermark: Watermark::START,
        }
    }
}

impl NodeMetrics {
    /// Adds another worker's; event time is the earlier of the two.
    pub fn merge(&mut self, other: &NodeMetrics) {
        self.rows_in += other.rows_in;
        self.batches_in += other.batches_in;
        self.rows_out += other.rows_out;
        self.batches_out += other.batches_out;
        self.busy_ns += other.busy_ns;
        self.operator.late_rows += other.operator.late_rows;
        self.operator.bad_rows += other.operator.bad_rows;
        self.operator.state_keys += other.operator.state_keys;
        self.operator.state_bytes += other.operator.state_bytes;
        self.source.rows += other.source.rows;
        self.source.bytes += other.source.bytes;
        self.source.bad_rows += other.source.bad_rows;
        self.watermark = self.watermark.min(other.watermark);
    }
}

/// What a worker did so far, without histograms.
#[derive(Clone, Debug, Default)]
pub struct WorkerCounters {
    /// By node.
    pub nodes: Vec<NodeMetrics>,
    pub steps: u64,
    pub busy_ns: u64,
    pub parks: u64,
    /// Steps longer than the stall limit.
    pub stalls: u64,
    pub edges: EdgeCounters,
}

impl WorkerCounters {
    /// Rows read by this worker's sources.
    pub fn rows(&self) -> u64 {
        self.nodes.iter().map(|node| node.source.rows).sum()
    }
}

/// Everything a worker counts.
#[derive(Clone, Debug, Default)]
pub struct WorkerMetrics {
    pub counters: WorkerCounters,
    /// Steps that found work.
    pub step: Durations,
    /// From entering a ring to being read from it.
    pub hop: Durations,
    /// From leaving a source to being taken by a sink, by batch.
    pub latency: Durations,
}

/// Where a worker publishes its counters.
#[derive(Clone, Debug, Default)]
pub struct Slot(Arc<Mutex<WorkerCounters>>);

impl Slot {
    /// Copies the counters, unless someone is reading right now: then the next time will do.
    pub fn publish(&self, counters: &WorkerCounters) {
        if let Ok(mut slot) = self.0.try_lock() {
            slot.clone_from(counters);
        }
    }

    pub fn read(&self) -> WorkerCounters {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
