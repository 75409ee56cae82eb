//! The sink: clocks every row that a running count has newly counted.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use corelane_stream::{
    ChangelogBatch, ChangelogMode, CheckpointId, Clock, Committable, Error, Exchange, Result, Sink, SinkContext,
    SinkSpec,
};
use hdrhistogram::Histogram;

use super::load::Start;
use super::schedule::{KEYS, Schedule};

/// The longest latency that is told from longer ones: ten minutes.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// Three significant digits: within 0.1 %.
const DIGITS: u8 = 3;

/// What all workers clocked.
#[derive(Clone)]
pub struct Latency(Arc<Mutex<Histogram<u64>>>);

impl Latency {
    fn merge(&self, other: &Histogram<u64>) -> Result<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.add(other).map_err(|error| Error::internal(format!("cannot add up latencies: {error}")))
    }

    pub fn take(&self) -> Histogram<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).expect("the bounds are right for every run")
}

pub struct ClockedSpec {
    schedule: Schedule,
    start: Start,
    latency: Latency,
}

impl fmt::Debug for ClockedSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClockedSpec")
    }
}

impl ClockedSpec {
    pub fn new(schedule: Schedule, start: Start) -> ClockedSpec {
        ClockedSpec { schedule, start, latency: Latency(Arc::new(Mutex::new(empty()))) }
    }

    pub fn latency(&self) -> Latency {
        self.latency.clone()
    }
}

impl SinkSpec for ClockedSpec {
    fn name(&self) -> &'static str {
        "clocked"
    }

    fn detail(&self) -> String {
        String::new()
    }

    fn exchange(&self) -> Exchange {
        Exchange::Forward
    }

    fn accept(&self, _: &ChangelogMode) -> Result<()> {
        Ok(())
    }

    fn open(&self, context: &SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Clocked {
            schedule: self.schedule,
            start: self.start.clone(),
            clock: context.clock.clone(),
            counted: HashMap::new(),
            clocked: empty(),
            latency: self.latency.clone(),
        }))
    }

    fn commit(&self, _: &[Committable]) -> Result<()> {
        Ok(())
    }

    fn abort(&self) {}
}

struct Clocked {
    schedule: Schedule,
    start: Start,
    clock: Arc<dyn Clock>,
    /// By key and window: the first row of the window as the key's how-manieth, and rows clocked.
    counted: HashMap<(i64, i64), (u64, u64)>,
    clocked: Histogram<u64>,
    latency: Latency,
}

impl Sink for Clocked {
    fn write(&mut self, batch: ChangelogBatch) -> Result<()> {
        let start = *self.start.get().ok_or_else(|| Error::internal("a row came before the load began"))?;
        let now = self.clock.monotonic_ns();
        let keys = batch.rows().column(0).as_primitive::<Int64Type>().values();
        let windows = batch.rows().column(1).as_primitive::<TimestampMillisecondType>().values();
        let counts = batch.rows().column(2).as_primitive::<Int64Type>().values();
        for row in 0..batch.rows().num_rows() {
            if batch.kinds().is_some_and(|kinds| !kinds.get(row).is_addition()) {
                continue;
            }
            let (key, window) = (keys[row], windows[row]);
            let number = key.unsigned_abs() % KEYS;
            let first = || (self.schedule.first_at(number, window), 0);
            let (first, counted) = self.counted.entry((key, window)).or_insert_with(first);
            let count = counts[row].unsigned_abs();
            for nth in *counted..count {
                let due = start + self.schedule.due_ns(self.schedule.row_of(number, *first + nth));
                self.clocked.saturating_record(now.saturating_sub(due).max(1));
            }
            *counted = count.max(*counted);
        }
        Ok(())
    }

    fn prepare(&mut self, _: CheckpointId) -> Result<Vec<Committable>> {
        self.latency.merge(&self.clocked)?;
        self.clocked.reset();
        Ok(Vec::new())
    }
}
