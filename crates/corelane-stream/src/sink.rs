//! Sinks: two-phase commit, from every worker to one coordinator.
//!
//! Workers write and prepare; what `prepare` returns says how to make it visible. When every
//! worker has prepared, the coordinator commits all at once, off the workers. A job that does not
//! end by itself would show nothing that way: what its sinks say is complete is committed as it
//! comes, by the worker that wrote it. Where checkpoints are taken they decide, and nobody asks.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::changelog::{ChangelogBatch, ChangelogMode};
use crate::dataflow::Exchange;
use crate::element::CheckpointId;
use crate::error::Result;
use crate::operator::Clock;

/// What one worker prepared for one checkpoint, in the connector's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committable(pub Vec<u8>);

/// One sink on one worker.
pub trait Sink {
    /// False if the outside takes no more for now; it will wake the worker.
    ///
    /// # Errors
    /// If the outside failed.
    fn has_room(&mut self) -> Result<bool> {
        Ok(true)
    }

    /// # Errors
    /// If the outside failed: a full disk, a closed pipe.
    fn write(&mut self, batch: ChangelogBatch) -> Result<()>;

    /// Nothing more to write for now: what is buffered only for efficiency should go out.
    ///
    /// # Errors
    /// As for `write`.
    fn idle(&mut self) -> Result<()> {
        Ok(())
    }

    /// When to call `tick` next, in milliseconds since the epoch; `None`: not for what was written so far.
    fn tick_ms(&self) -> Option<i64> {
        None
    }

    /// Time has passed, whether or not there was anything to write.
    ///
    /// # Errors
    /// As for `write`.
    fn tick(&mut self, _now_ms: i64) -> Result<()> {
        Ok(())
    }

    /// Gives up what is whole, durable and can be committed by itself, if there is any; `prepare`
    /// does not give it again. Only asked in a job that neither ends by itself nor takes checkpoints.
    fn take_complete(&mut self) -> Vec<Committable> {
        Vec::new()
    }

    /// Makes everything written so far durable but not visible.
    ///
    /// # Errors
    /// As for `write`.
    fn prepare(&mut self, checkpoint: CheckpointId) -> Result<Vec<Committable>>;
}

/// What a sink is given as it is opened on a worker.
#[derive(Clone)]
pub struct SinkContext {
    pub worker: usize,
    pub workers: usize,
    pub clock: Arc<dyn Clock>,
    /// Wakes the worker from any thread.
    pub waker: Waker,
}

/// A sink as plain data.
pub trait SinkSpec: fmt::Debug + Send + Sync {
    /// The connector, for plans: `filesystem`.
    fn name(&self) -> &'static str;

    /// For plans: `path=out, format=csv`.
    fn detail(&self) -> String;

    /// How rows get to it: `Forward` if every worker writes its own, `Gather` if one writes all.
    fn exchange(&self) -> Exchange;

    /// Checks that the sink can take such a changelog.
    ///
    /// # Errors
    /// If it cannot, with the reason.
    fn accept(&self, mode: &ChangelogMode) -> Result<()>;

    /// Looks whether `begin` would succeed, and leaves the outside as it is.
    ///
    /// # Errors
    /// As for `begin`.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Called once per job, before any worker opens the sink.
    ///
    /// # Errors
    /// If the outside is not fit: an output path that exists or cannot be written.
    fn begin(&self) -> Result<()> {
        Ok(())
    }

    /// # Errors
    /// If the outside cannot be opened.
    fn open(&self, context: &SinkContext) -> Result<Box<dyn Sink>>;

    /// Makes visible what all workers prepared, or what one of them has complete; the latter on any
    /// of the workers, and on several at once. Repeating it does no harm.
    ///
    /// # Errors
    /// If the outside failed.
    fn commit(&self, committables: &[Committable]) -> Result<()>;

    /// Throws away what was not committed. Best effort.
    fn abort(&self);

    /// What `abort` would keep and throw away, a line each, for a job that is not expected to do all
    /// or nothing: `'out' keeps 3 files that were complete`.
    fn remains(&self) -> Vec<String> {
        Vec::new()
    }
}
