//! Operators: synchronous state machines over changelogs.
//!
//! An operator sees batches and the passing of time. It sees no barrier, core, clock or thread,
//! so the same operator runs under glommio, plain threads and the simulator.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::changelog::ChangelogBatch;
use crate::dataflow::StateBound;
use crate::element::Watermark;
use crate::error::{Error, Result};
use crate::row_errors::{RowErrors, RowErrorsFactory, RowPolicy};

/// Whether an operator has given all it has to give for what it was last handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// All done: it can be given the next element.
    Done,
    /// It stopped because its output has no room: call `resume` before anything else.
    More,
}

/// Where an operator puts its rows.
pub trait Output {
    /// Takes a batch. Never fails and never blocks; empty batches are dropped.
    fn emit(&mut self, batch: ChangelogBatch);

    /// False when the operator should stop at the next convenient row and return
    /// `Progress::More`. It may exceed this by what one input batch yields row for row.
    fn has_room(&self) -> bool;
}

impl Output for Vec<ChangelogBatch> {
    fn emit(&mut self, batch: ChangelogBatch) {
        if !batch.is_empty() {
            self.push(batch);
        }
    }

    fn has_room(&self) -> bool {
        true
    }
}

/// One operator on one worker.
pub trait Operator {
    /// Takes a batch from an input port.
    ///
    /// # Errors
    /// If a row cannot be computed and its policy is to fail.
    fn process(&mut self, port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress>;

    /// Event time has passed `watermark` on all inputs; at `Watermark::END` there is no more input.
    /// The runtime forwards the watermark once this returns `Done`.
    ///
    /// # Errors
    /// As for `process`.
    fn advance(&mut self, watermark: Watermark, out: &mut dyn Output) -> Result<Progress> {
        let _ = (watermark, out);
        Ok(Progress::Done)
    }

    /// Goes on after `Progress::More`.
    ///
    /// # Errors
    /// As for `process`.
    fn resume(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let _ = out;
        Ok(Progress::Done)
    }

    /// There is nothing more to read for now: whatever is held back only to make larger batches
    /// should go out.
    ///
    /// # Errors
    /// As for `process`.
    fn idle(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let _ = out;
        Ok(Progress::Done)
    }

    /// Processing time passed, in milliseconds since the epoch. Returns when to be called next.
    ///
    /// # Errors
    /// As for `process`.
    fn tick(&mut self, now_ms: i64, out: &mut dyn Output) -> Result<Option<i64>> {
        let _ = (now_ms, out);
        Ok(None)
    }

    /// Writes the state at a cut, as batches of a fixed schema per part, a bounded piece a call.
    ///
    /// # Errors
    /// If the state cannot be written.
    fn snapshot(&mut self, state: &mut dyn StateWriter) -> Result<Progress> {
        let _ = state;
        Err(Error::internal("this operator has no snapshot"))
    }

    /// Takes back one batch that `snapshot` wrote, on any number of workers.
    ///
    /// # Errors
    /// If the state is not this operator's.
    fn restore(&mut self, part: &str, state: ChangelogBatch) -> Result<()> {
        let _ = (part, state);
        Err(Error::internal("this operator has no snapshot"))
    }

    /// True once no row that may still come changes what it gives: whoever works for it alone can stop.
    fn has_enough(&self) -> bool {
        false
    }

    /// What it counted so far.
    fn counters(&self) -> OperatorCounters {
        OperatorCounters::default()
    }
}

/// Takes the pieces of a snapshot.
pub trait StateWriter {
    /// # Errors
    /// If the piece cannot be written.
    fn write(&mut self, part: &str, state: ChangelogBatch) -> Result<()>;
}

/// Counters of one operator on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorCounters {
    /// Rows dropped because their window had closed.
    pub late_rows: u64,
    /// Rows dropped because they could not be computed.
    pub bad_rows: u64,
    /// Keys (or key and window pairs) alive.
    pub state_keys: u64,
    /// Bytes of state, roughly.
    pub state_bytes: u64,
}

/// Time of day, handed in so that tests and the simulator own it.
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> i64;
    /// Nanoseconds since some fixed point; never goes back.
    fn monotonic_ns(&self) -> u64;
}

/// What an operator is given as it is built on a worker.
#[derive(Clone)]
pub struct OperatorContext {
    pub worker: usize,
    pub workers: usize,
    /// Rows an operator aims at in one output batch.
    pub batch_rows: usize,
    pub clock: Arc<dyn Clock>,
    pub row_errors: Arc<dyn RowErrorsFactory>,
}

impl OperatorContext {
    /// Opens the place where bad rows go.
    ///
    /// # Errors
    /// If the dead-letter output cannot be opened.
    pub fn row_errors(&self, policy: &RowPolicy) -> Result<Rc<dyn RowErrors>> {
        self.row_errors.open(policy, self.worker)
    }
}

/// An operator as plain data: what the plan holds and every worker builds its own from.
pub trait OperatorSpec: fmt::Debug + Send + Sync {
    /// The operator's name in plans: `GroupAggregate`.
    fn name(&self) -> &'static str;

    /// What it does, for `EXPLAIN`: `keys=[symbol], aggregates=[COUNT(*)]`.
    fn detail(&self) -> String;

    /// The schema of its output.
    fn schema(&self) -> SchemaRef;

    /// What bounds its state.
    fn state(&self) -> StateBound;

    /// True if rows leave in the order in which they came, and none is added.
    fn keeps_order(&self) -> bool {
        false
    }

    /// The column of its one input by whose time it finds rows late, if by that alone: to it a row ahead of a
    /// watermark is the same before and behind it.
    fn late_by(&self) -> Option<usize> {
        None
    }

    /// True if it must be told of processing time.
    fn needs_ticks(&self) -> bool {
        false
    }

    /// # Errors
    /// If the operator cannot be built, for example because its dead-letter file cannot be opened.
    fn build(&self, context: &OperatorContext) -> Result<Box<dyn Operator>>;
}
