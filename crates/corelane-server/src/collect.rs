//! The rows of a bare `SELECT`, from the workers to whoever asked.
//!
//! A sink like any other at the workers' end, a blocking reader at the other. What is between
//! them holds few batches: when the reader is slow (a pager, a pipe) the sink has no room, and
//! that stops the job in the same way as a full ring does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use corelane_stream::{
    ChangelogBatch, ChangelogMode, CheckpointId, Committable, Exchange, Result, Sink, SinkContext, SinkSpec,
};

/// Batches between the job and the reader.
const BATCHES_MAX: usize = 16;

#[derive(Default)]
struct State {
    batches: VecDeque<ChangelogBatch>,
    /// Workers that found no room and want to be woken.
    waiting: Vec<Waker>,
    /// Sinks opened, and of these closed again. Rows are gathered, so one worker opens one.
    opened: usize,
    closed: usize,
    /// The reader went away: rows are dropped.
    abandoned: bool,
}

struct Shared {
    state: Mutex<State>,
    filled: Condvar,
}

impl Shared {
    /// The state is a queue and counters: whole at every instant, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sink end, as plain data for the plan.
pub struct CollectSpec {
    shared: Arc<Shared>,
}

impl fmt::Debug for CollectSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("CollectSpec")
    }
}

/// The reading end.
pub struct Collector {
    shared: Arc<Shared>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Collector")
    }
}

/// What the reader got.
#[derive(Debug)]
pub enum Collected {
    Batch(ChangelogBatch),
    /// Nothing within the time given.
    Nothing,
    /// Every worker has closed its sink and all rows were read.
    End,
}

/// Makes both ends.
pub fn collect() -> (CollectSpec, Collector) {
    let shared = Arc::new(Shared { state: Mutex::new(State::default()), filled: Condvar::new() });
    (CollectSpec { shared: Arc::clone(&shared) }, Collector { shared })
}

impl Collector {
    /// Waits for the next batch.
    pub fn next(&self, timeout: Duration) -> Collected {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        loop {
            if let Some(batch) = state.batches.pop_front() {
                let waiting = std::mem::take(&mut state.waiting);
                drop(state);
                waiting.iter().for_each(Waker::wake_by_ref);
                return Collected::Batch(batch);
            }
            if 0 < state.opened && state.opened == state.closed {
                return Collected::End;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Collected::Nothing;
            }
            state = self.shared.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.abandoned = true;
        state.batches.clear();
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.iter().for_each(Waker::wake_by_ref);
    }
}

impl SinkSpec for CollectSpec {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn detail(&self) -> String {
        String::new()
    }

    fn exchange(&self) -> Exchange {
        // One worker gathers, so that the order of a sorted result survives.
        Exchange::Gather
    }

    fn accept(&self, _mode: &ChangelogMode) -> Result<()> {
        Ok(())
    }

    fn open(&self, context: &SinkContext) -> Result<Box<dyn Sink>> {
        self.shared.lock().opened += 1;
        Ok(Box::new(CollectSink { shared: Arc::clone(&self.shared), waker: context.waker.clone() }))
    }

    fn commit(&self, _committables: &[Committable]) -> Result<()> {
        Ok(())
    }

    fn abort(&self) {}
}

struct CollectSink {
    shared: Arc<Shared>,
    waker: Waker,
}

impl Sink for CollectSink {
    fn has_room(&mut self) -> Result<bool> {
        let mut state = self.shared.lock();
        let room = state.abandoned || state.batches.len() < BATCHES_MAX;
        if !room && !state.waiting.iter().any(|waker| waker.will_wake(&self.waker)) {
            state.waiting.push(self.waker.clone());
        }
        Ok(room)
    }

    fn write(&mut self, batch: ChangelogBatch) -> Result<()> {
        let mut state = self.shared.lock();
        if !state.abandoned && !batch.is_empty() {
            state.batches.push_back(batch);
            self.shared.filled.notify_one();
        }
        Ok(())
    }

    fn prepare(&mut self, _checkpoint: CheckpointId) -> Result<Vec<Committable>> {
        Ok(Vec::new())
    }
}

impl Drop for CollectSink {
    fn drop(&mut self) {
        self.shared.lock().closed += 1;
        self.shared.filled.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use arrow::array::{Int64Array, RecordBatch};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn batch(value: i64) -> ChangelogBatch {
        let column: arrow::array::ArrayRef = Arc::new(Int64Array::from(vec![value]));
        ChangelogBatch::append(RecordBatch::try_from_iter([("a", column)]).unwrap())
    }

    fn open(spec: &CollectSpec, wakes: &Arc<Count>) -> Box<dyn Sink> {
        let waker = Waker::from(Arc::clone(wakes));
        spec.open(&SinkContext { worker: 0, workers: 1, clock: Arc::new(SystemClock::new()), waker }).unwrap()
    }

    #[test]
    fn a_full_queue_stops_the_writer_and_a_read_wakes_it() {
        let (spec, collector) = collect();
        let wakes = Arc::new(Count(AtomicUsize::new(0)));
        let mut sink = open(&spec, &wakes);
        for value in 0..BATCHES_MAX {
            assert!(sink.has_room().unwrap());
            sink.write(batch(value as i64)).unwrap();
        }
        assert!(!sink.has_room().unwrap());
        assert!(matches!(collector.next(Duration::ZERO), Collected::Batch(_)));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(sink.has_room().unwrap());
    }

    #[test]
    fn the_end_comes_after_the_rows() {
        let (spec, collector) = collect();
        let wakes = Arc::new(Count(AtomicUsize::new(0)));
        let mut sink = open(&spec, &wakes);
        assert!(matches!(collector.next(Duration::ZERO), Collected::Nothing));
        sink.write(batch(1)).unwrap();
        drop(sink);
        assert!(matches!(collector.next(Duration::ZERO), Collected::Batch(_)));
        assert!(matches!(collector.next(Duration::ZERO), Collected::End));
    }

    #[test]
    fn a_reader_that_left_does_not_stop_the_job() {
        let (spec, collector) = collect();
        let wakes = Arc::new(Count(AtomicUsize::new(0)));
        let mut sink = open(&spec, &wakes);
        for value in 0..BATCHES_MAX {
            sink.write(batch(value as i64)).unwrap();
        }
        assert!(!sink.has_room().unwrap());
        drop(collector);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(sink.has_room().unwrap());
        sink.write(batch(1)).unwrap();
    }
}
