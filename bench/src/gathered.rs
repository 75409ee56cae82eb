//! A sink that keeps something of every row, on each worker by itself.
//!
//! Nothing is shared while rows flow: each worker gathers alone and hands over what it has when
//! it is asked to commit.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use corelane_stream::{
    ChangelogBatch, ChangelogMode, CheckpointId, Committable, Error, Exchange, Result, Sink, SinkContext, SinkSpec,
};

/// What is kept of rows.
pub trait Gather: Default + Send + 'static {
    fn take(&mut self, batch: ChangelogBatch);

    /// Adds what another worker has.
    fn merge(&mut self, other: Self);
}

/// The rows themselves.
impl Gather for Vec<ChangelogBatch> {
    fn take(&mut self, batch: ChangelogBatch) {
        self.push(batch);
    }

    fn merge(&mut self, other: Self) {
        self.extend(other);
    }
}

/// The sink as plain data, and where its workers hand over what they have.
pub struct Gathered<G>(Arc<Mutex<G>>);

impl<G: Gather> Gathered<G> {
    pub fn new() -> Gathered<G> {
        Gathered(Arc::default())
    }

    /// What all workers handed over: complete when the job has ended.
    pub fn result(&self) -> G {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn spec(&self) -> Arc<dyn SinkSpec> {
        Arc::new(Gathered(self.0.clone()))
    }
}

impl<G> fmt::Debug for Gathered<G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Gathered")
    }
}

impl<G: Gather> SinkSpec for Gathered<G> {
    fn name(&self) -> &'static str {
        "benchmark"
    }

    fn detail(&self) -> String {
        String::new()
    }

    fn exchange(&self) -> Exchange {
        Exchange::Forward
    }

    fn accept(&self, mode: &ChangelogMode) -> Result<()> {
        match mode {
            ChangelogMode::Append | ChangelogMode::Retract => Ok(()),
            // Rows that are replaced without being taken away cannot be added up.
            ChangelogMode::Upsert(_) => Err(Error::invalid("a benchmark takes no upserts")),
        }
    }

    fn open(&self, _: &SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(GatherSink { here: G::default(), all: self.0.clone() }))
    }

    fn commit(&self, _: &[Committable]) -> Result<()> {
        Ok(())
    }

    fn abort(&self) {}
}

struct GatherSink<G> {
    here: G,
    all: Arc<Mutex<G>>,
}

impl<G: Gather> Sink for GatherSink<G> {
    fn write(&mut self, batch: ChangelogBatch) -> Result<()> {
        self.here.take(batch);
        Ok(())
    }

    fn prepare(&mut self, _: CheckpointId) -> Result<Vec<Committable>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).merge(mem::take(&mut self.here));
        Ok(Vec::new())
    }
}
