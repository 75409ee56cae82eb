//! A sink on one worker: writes while there is room, prepares at the end.

use std::sync::Arc;

use corelane_stream::{BarrierKind, CheckpointId, Committable, Result, Sink, SinkSpec, StreamElement, Watermark};

use crate::doorbell::Bell;
use crate::task::{Inputs, Received, TaskContext};

pub struct SinkTask {
    /// `None`: another worker writes for all.
    sink: Option<Box<dyn Sink>>,
    /// Commits what is complete before the job ends; `None`: all is committed at its end.
    early: Option<Arc<dyn SinkSpec>>,
    inputs: Inputs,
    bell: Arc<Bell>,
    /// True if the sink had no room and has not rung since.
    full: bool,
    /// True if anything was written since it was last idle.
    dirty: bool,
    finished: bool,
    prepared: Vec<Committable>,
}

impl SinkTask {
    pub fn new(sink: Option<Box<dyn Sink>>, inputs: Inputs, bell: Arc<Bell>) -> SinkTask {
        SinkTask { sink, early: None, inputs, bell, full: false, dirty: false, finished: false, prepared: Vec::new() }
    }

    /// The same, which commits by `spec` whatever is complete.
    pub fn committing_early(self, spec: Arc<dyn SinkSpec>) -> SinkTask {
        SinkTask { early: Some(spec), ..self }
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// What is to be committed at the end of the job.
    pub fn into_prepared(self) -> Vec<Committable> {
        self.prepared
    }

    /// Takes one element if there is one and the sink has room; true if it did.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn run(&mut self, context: &mut TaskContext<'_>) -> Result<bool> {
        // A sink is asked for room only when there is something to write.
        if self.finished || !self.inputs.is_ready(context.edges) || !self.has_room()? {
            return Ok(false);
        }
        let Some(Received { channel, envelope, .. }) = self.inputs.receive(context) else {
            return Ok(false);
        };
        match envelope.element {
            StreamElement::Batch(batch) => {
                if let Some(sink) = &mut self.sink {
                    sink.write(batch)?;
                    self.dirty = true;
                    self.commit_complete()?;
                }
                context.latency.record(context.now_ns.saturating_sub(envelope.origin_ns));
            }
            StreamElement::Watermark(watermark) => {
                if let Some(merged) = self.inputs.alignment.watermark(channel, watermark) {
                    if merged == Watermark::END {
                        self.finish()?;
                    }
                    if merged != Watermark::IDLE {
                        context.metrics.watermark = merged;
                    }
                }
                self.align()?;
            }
            StreamElement::Barrier(barrier) => {
                self.inputs.alignment.barrier(channel, barrier);
                self.align()?;
            }
        }
        Ok(true)
    }

    /// Lets the sink put out what it buffers; true if there was something to ask.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn idle(&mut self) -> Result<bool> {
        let Some(sink) = self.sink.as_mut().filter(|_| self.dirty && !self.finished) else {
            return Ok(false);
        };
        self.dirty = false;
        sink.idle()?;
        Ok(true)
    }

    /// When to call `tick` next, in milliseconds since the epoch.
    pub fn tick_ms(&self) -> Option<i64> {
        self.sink.as_ref().filter(|_| !self.finished)?.tick_ms()
    }

    /// Tells the sink of time that has passed, if it is time; true if it was.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn tick(&mut self, now_ms: i64) -> Result<bool> {
        if self.tick_ms().is_none_or(|tick_ms| now_ms < tick_ms) {
            return Ok(false);
        }
        if let Some(sink) = &mut self.sink {
            sink.tick(now_ms)?;
        }
        self.commit_complete()?;
        Ok(true)
    }

    fn commit_complete(&mut self) -> Result<()> {
        let (Some(sink), Some(spec)) = (&mut self.sink, &self.early) else {
            return Ok(());
        };
        let complete = sink.take_complete();
        if complete.is_empty() { Ok(()) } else { spec.commit(&complete) }
    }

    fn has_room(&mut self) -> Result<bool> {
        let Some(sink) = &mut self.sink else {
            return Ok(true);
        };
        if self.full && !self.bell.take() {
            return Ok(false);
        }
        // Asked again after it rang: a sink that rings first and says so after loses no wake.
        self.full = !sink.has_room()?;
        Ok(!self.full)
    }

    fn align(&mut self) -> Result<()> {
        let Some(barrier) = self.inputs.alignment.aligned() else {
            return Ok(());
        };
        if let Some(sink) = &mut self.sink {
            self.prepared.extend(sink.prepare(barrier.checkpoint)?);
        }
        self.finished = barrier.kind == BarrierKind::Savepoint;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(sink) = &mut self.sink {
            self.prepared.extend(sink.prepare(CheckpointId::FINAL)?);
        }
        self.finished = true;
        Ok(())
    }
}
