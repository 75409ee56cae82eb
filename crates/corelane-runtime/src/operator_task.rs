//! An operator on one worker: elements in, alignment, elements out.
//!
//! An operator may stop in the middle of its output; it is resumed before it is given anything
//! else. On workers that have no share in a gathered node, the task only passes time on.
//!
//! With many producers nearly every batch moves event time a little, and each move has a price: a
//! sort, windows to look for, a watermark to every reader. So while there is more to read, time is
//! held back for a batch's worth of rows. A firm watermark, which decides about late rows, is not.

use std::collections::VecDeque;

use corelane_stream::limits::ADVANCE_ROWS;
use corelane_stream::{
    Barrier, BarrierKind, ChangelogBatch, Operator, OperatorCounters, Progress, Result, StreamElement, Watermark,
};

use crate::ring::Envelope;
use crate::task::{Emission, Inputs, Outputs, Received, TaskContext};

/// One thing to do; a snapshot and a watermark are passed on once they are done.
enum Work {
    Process(usize, ChangelogBatch),
    /// And whether the rows behind the watermark must stay behind it.
    Advance(Watermark, bool),
    Idle,
    Snapshot(Barrier),
}

pub struct OperatorTask {
    /// `None`: all rows of this node are on another worker.
    operator: Option<Box<dyn Operator>>,
    inputs: Inputs,
    outputs: Outputs,
    emission: Emission,
    /// What is left to do before the next element is read.
    works: VecDeque<Work>,
    /// The work that said `More`.
    unfinished: Option<Work>,
    /// Event time that the operator has not been told of, because there was more to read.
    held: Option<Watermark>,
    /// Rows since it was told of event time.
    rows: usize,
    /// True if it was given anything since it was last idle.
    dirty: bool,
    finished: bool,
    /// It has told its inputs that it has enough.
    refused: bool,
    /// When to call `tick` next, in milliseconds since the epoch; `None`: never.
    tick_ms: Option<i64>,
}

impl OperatorTask {
    pub fn new(operator: Option<Box<dyn Operator>>, inputs: Inputs, outputs: Outputs, tick_ms: Option<i64>) -> Self {
        OperatorTask {
            operator,
            inputs,
            outputs,
            emission: Emission::default(),
            works: VecDeque::new(),
            unfinished: None,
            held: None,
            rows: 0,
            dirty: false,
            finished: false,
            refused: false,
            tick_ms,
        }
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }

    pub fn tick_ms(&self) -> Option<i64> {
        if self.finished { None } else { self.tick_ms }
    }

    pub fn counters(&self) -> OperatorCounters {
        self.operator.as_ref().map(|operator| operator.counters()).unwrap_or_default()
    }

    /// Does one thing if there is one and the outputs have room; true if it did.
    ///
    /// # Errors
    /// If the operator fails.
    pub fn run(&mut self, context: &mut TaskContext<'_>) -> Result<bool> {
        if self.finished || !self.outputs.have_room(context.edges) {
            return Ok(false);
        }
        if let Some(work) = self.unfinished.take() {
            self.resume(work, context)?;
            return Ok(true);
        }
        if self.works.is_empty() {
            match self.inputs.receive(context) {
                Some(received) => self.receive(received),
                None if self.held.is_some() => self.pass_held(),
                None => return Ok(false),
            }
        }
        if let Some(work) = self.works.pop_front() {
            self.start(work, context)?;
        }
        Ok(true)
    }

    /// Tells the inputs if no row is wanted any more, by the operator or by any reader; true if
    /// that is news.
    pub fn refuse(&mut self, context: &mut TaskContext<'_>) -> bool {
        let enough = self.operator.as_ref().is_some_and(|operator| operator.has_enough());
        if self.refused || !(enough || self.outputs.are_refused(context.edges)) {
            return false;
        }
        self.refused = true;
        self.inputs.refuse(context.edges);
        true
    }

    /// Lets the operator put out what it holds back; true if there was something to ask.
    ///
    /// # Errors
    /// If the operator fails.
    pub fn idle(&mut self, context: &mut TaskContext<'_>) -> Result<bool> {
        let busy = self.finished || self.unfinished.is_some() || !self.works.is_empty() || self.held.is_some();
        if busy || !self.dirty || !self.outputs.have_room(context.edges) {
            return Ok(false);
        }
        self.dirty = false;
        self.start(Work::Idle, context)?;
        Ok(true)
    }

    /// Tells the operator of processing time, if it is time; true if it was.
    ///
    /// # Errors
    /// If the operator fails.
    pub fn tick(&mut self, now_ms: i64, context: &mut TaskContext<'_>) -> Result<bool> {
        let due = self.tick_ms().is_some_and(|tick_ms| tick_ms <= now_ms);
        let busy = self.unfinished.is_some() || !self.works.is_empty();
        if !due || busy || !self.outputs.have_room(context.edges) {
            return Ok(false);
        }
        let Some(operator) = &mut self.operator else {
            self.tick_ms = None;
            return Ok(false);
        };
        self.emission.origin_ns = context.now_ns;
        // Asking to be called at once would keep the worker awake for ever.
        self.tick_ms = operator.tick(now_ms, &mut self.emission)?.map(|next_ms| next_ms.max(now_ms + 1));
        self.dirty = true;
        self.emit(context)?;
        Ok(true)
    }

    fn receive(&mut self, received: Received) {
        let Received { channel, port, envelope } = received;
        self.emission.origin_ns = envelope.origin_ns;
        match envelope.element {
            StreamElement::Batch(batch) => {
                if ADVANCE_ROWS <= self.rows {
                    self.pass_held();
                }
                self.rows += batch.num_rows();
                self.works.push_back(Work::Process(port, batch));
            }
            StreamElement::Watermark(watermark) => {
                let merged = self.inputs.alignment.watermark(channel, watermark);
                // Time that has not moved is said again where rows must not come before it.
                let again = || self.inputs.alignment.time().filter(|_| envelope.firm);
                match merged.or_else(again) {
                    Some(Watermark::IDLE) => {
                        self.pass_held();
                        self.advance(Watermark::IDLE, envelope.firm);
                    }
                    Some(merged) if envelope.firm || merged == Watermark::END => {
                        self.held = None;
                        self.advance(merged, envelope.firm);
                    }
                    Some(merged) => self.held = Some(merged),
                    None => {}
                }
                // An ended channel is no longer waited for.
                self.align();
            }
            StreamElement::Barrier(barrier) => {
                self.inputs.alignment.barrier(channel, barrier);
                self.align();
            }
        }
    }

    /// Tells the operator of the time that was held back.
    fn pass_held(&mut self) {
        if let Some(watermark) = self.held.take() {
            self.advance(watermark, false);
        }
    }

    fn advance(&mut self, watermark: Watermark, firm: bool) {
        self.rows = 0;
        self.works.push_back(Work::Advance(watermark, firm));
    }

    fn align(&mut self) {
        if let Some(barrier) = self.inputs.alignment.aligned() {
            self.pass_held();
            self.works.push_back(Work::Snapshot(barrier));
        }
    }

    fn start(&mut self, work: Work, context: &mut TaskContext<'_>) -> Result<()> {
        let Some(operator) = &mut self.operator else {
            return self.settle(Progress::Done, work, context);
        };
        let out = &mut self.emission;
        let (progress, work) = match work {
            Work::Process(port, batch) => {
                self.dirty = true;
                let done = Work::Idle;
                (operator.process(port, batch, out)?, done)
            }
            Work::Advance(Watermark::IDLE, firm) => (Progress::Done, Work::Advance(Watermark::IDLE, firm)),
            Work::Advance(watermark, firm) => {
                self.dirty = true;
                (operator.advance(watermark, out)?, Work::Advance(watermark, firm))
            }
            Work::Idle => (operator.idle(out)?, Work::Idle),
            Work::Snapshot(barrier) => (operator.snapshot(context.state)?, Work::Snapshot(barrier)),
        };
        self.settle(progress, work, context)
    }

    fn resume(&mut self, work: Work, context: &mut TaskContext<'_>) -> Result<()> {
        let Some(operator) = &mut self.operator else {
            return self.settle(Progress::Done, work, context);
        };
        let progress = match &work {
            Work::Snapshot(_) => operator.snapshot(context.state)?,
            Work::Process(..) | Work::Advance(..) | Work::Idle => operator.resume(&mut self.emission)?,
        };
        self.settle(progress, work, context)
    }

    /// Sends what was put out, and passes on what is done.
    fn settle(&mut self, progress: Progress, work: Work, context: &mut TaskContext<'_>) -> Result<()> {
        self.emit(context)?;
        if progress == Progress::More {
            self.unfinished = Some(work);
            return Ok(());
        }
        let origin_ns = self.emission.origin_ns;
        match work {
            Work::Process(..) | Work::Idle => Ok(()),
            Work::Advance(watermark, firm) => {
                self.finished = watermark == Watermark::END;
                self.outputs.push(Envelope::watermark(watermark, origin_ns, firm), context)
            }
            Work::Snapshot(barrier) => {
                self.finished = barrier.kind == BarrierKind::Savepoint;
                self.outputs.push(Envelope::new(StreamElement::Barrier(barrier), origin_ns), context)
            }
        }
    }

    fn emit(&mut self, context: &mut TaskContext<'_>) -> Result<()> {
        let origin_ns = self.emission.origin_ns;
        for batch in self.emission.batches.drain(..) {
            self.outputs.push(Envelope::new(StreamElement::Batch(batch), origin_ns), context)?;
        }
        Ok(())
    }
}
