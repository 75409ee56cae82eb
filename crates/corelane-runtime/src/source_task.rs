//! A source on one worker: batches, and event time from them.
//!
//! Event time is kept per split and passed on as the minimum over the splits that are open and
//! not idle, behind the batch that moved it. It never goes back. A batch with rows that are behind
//! time is cut in front of them, so that what is late does not depend on where batches end.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use corelane_stream::{
    ChangelogBatch, Result, Source, SourceBatch, SourceCounters, SourcePoll, StreamElement, TimeCut, Watermark,
    WatermarkGenerator,
};

use crate::doorbell::Bell;
use crate::ring::Envelope;
use crate::task::{Outputs, TaskContext};

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Event time of a table.
pub struct EventTime {
    pub generator: Box<dyn WatermarkGenerator>,
    pub idle_timeout_ms: Option<u64>,
}

/// How far one split has come.
#[derive(Clone, Copy, Debug)]
struct SplitTime {
    watermark: Watermark,
    /// When it gave its last batch.
    seen_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// Until its bell rings, or this time if there is one.
    Waiting(Option<u64>),
    Finished,
}

pub struct SourceTask {
    /// `None`: there is no split for this worker.
    source: Option<Box<dyn Source>>,
    bell: Arc<Bell>,
    time: Option<EventTime>,
    /// By split; `None` before it is open and after it has ended.
    splits: Vec<Option<SplitTime>>,
    /// When any split gave its last batch; `None` before the first poll.
    seen_ns: Option<u64>,
    /// The last true watermark passed on.
    passed: Watermark,
    /// The last watermark that was passed on as a firm one.
    firm: Watermark,
    /// True if `IDLE` was passed on last.
    idle: bool,
    /// The rest of a batch that was cut.
    rest: VecDeque<Envelope>,
    cuts: Vec<TimeCut>,
    state: State,
    outputs: Outputs,
}

impl SourceTask {
    pub fn new(
        source: Option<Box<dyn Source>>,
        bell: Arc<Bell>,
        time: Option<EventTime>,
        outputs: Outputs,
    ) -> SourceTask {
        SourceTask {
            source,
            bell,
            time,
            splits: Vec::new(),
            seen_ns: None,
            passed: Watermark::START,
            firm: Watermark::START,
            idle: false,
            rest: VecDeque::new(),
            cuts: Vec::new(),
            state: State::Ready,
            outputs,
        }
    }

    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    pub fn counters(&self) -> SourceCounters {
        self.source.as_ref().map(|source| source.counters()).unwrap_or_default()
    }

    /// Asks the source once if it may have something and the outputs have room; true if it had.
    ///
    /// # Errors
    /// If the source fails.
    pub fn run(&mut self, context: &mut TaskContext<'_>) -> Result<bool> {
        if !self.is_due(context.now_ns) {
            return Ok(false);
        }
        // Its bell has been asked and forgets: it stays ready until the outputs have room.
        self.state = State::Ready;
        if !self.outputs.have_room(context.edges) {
            return Ok(false);
        }
        if !self.rest.is_empty() {
            self.send_rest(context)?;
            return Ok(true);
        }
        self.seen_ns.get_or_insert(context.now_ns);
        let polled = match &mut self.source {
            Some(source) => source.poll()?,
            None => SourcePoll::End,
        };
        match polled {
            SourcePoll::Batch(batch) => self.batch(batch, context)?,
            SourcePoll::SplitEnd(split) => {
                if let Some(time) = self.splits.get_mut(split) {
                    *time = None;
                }
                self.pass_time(context)?;
            }
            SourcePoll::Pending { retry_ms } => {
                // The last of its unread input may have been without a row.
                self.pass_time(context)?;
                let until =
                    retry_ms.map(|ms| context.now_ns.saturating_add(ms.saturating_mul(NANOSECONDS_PER_MILLISECOND)));
                self.state = State::Waiting(until);
                return Ok(false);
            }
            SourcePoll::End => {
                self.state = State::Finished;
                self.outputs.push(Envelope::watermark(Watermark::END, context.now_ns, false), context)?;
            }
        }
        Ok(true)
    }

    /// Ends the source where it is because somebody wants that, and has it tell what it leaves unfinished.
    ///
    /// # Errors
    /// If that cannot be told, or as for `drain`.
    pub fn stop(&mut self, context: &mut TaskContext<'_>) -> Result<bool> {
        if let Some(source) = self.source.as_mut().filter(|_| self.state != State::Finished) {
            source.stop()?;
        }
        self.drain(context)
    }

    /// Ends the source where it is, as if its input ended there.
    ///
    /// # Errors
    /// If what is held back cannot be sent.
    pub fn drain(&mut self, context: &mut TaskContext<'_>) -> Result<bool> {
        if self.is_finished() {
            return Ok(false);
        }
        self.state = State::Finished;
        for envelope in std::mem::take(&mut self.rest) {
            self.outputs.push(envelope, context)?;
        }
        self.outputs.push(Envelope::watermark(Watermark::END, context.now_ns, false), context)?;
        Ok(true)
    }

    /// Ends the source if no reader wants its rows.
    ///
    /// # Errors
    /// As for `drain`.
    pub fn end_if_refused(&mut self, context: &mut TaskContext<'_>) -> Result<bool> {
        if self.outputs.are_refused(context.edges) { self.drain(context) } else { Ok(false) }
    }

    /// Stops counting splits that have been silent for too long; true if that moved event time.
    ///
    /// # Errors
    /// If what is held back cannot be sent.
    pub fn check_idle(&mut self, context: &mut TaskContext<'_>) -> Result<bool> {
        let timed = self.time.as_ref().is_some_and(|time| time.idle_timeout_ms.is_some());
        if !timed || self.is_finished() || !self.rest.is_empty() || !self.outputs.have_room(context.edges) {
            return Ok(false);
        }
        self.pass_time(context)
    }

    /// When it is to be asked again though nothing happens, if ever.
    pub fn deadline_ns(&self, now_ns: u64) -> Option<u64> {
        if self.is_finished() {
            return None;
        }
        let retry_ns = match self.state {
            State::Waiting(until) => until,
            State::Ready | State::Finished => None,
        };
        let timeout_ns = self.idle_timeout_ns();
        let silent = timeout_ns.and_then(|timeout_ns| {
            let seen = self.splits.iter().flatten().map(|split| split.seen_ns).chain(self.seen_ns);
            seen.map(|seen_ns| seen_ns.saturating_add(timeout_ns)).filter(|due_ns| *due_ns > now_ns).min()
        });
        retry_ns.into_iter().chain(silent).min()
    }

    fn is_due(&self, now_ns: u64) -> bool {
        match self.state {
            State::Ready => true,
            State::Waiting(until) => self.bell.take() || until.is_some_and(|until_ns| until_ns <= now_ns),
            State::Finished => false,
        }
    }

    fn batch(&mut self, batch: SourceBatch, context: &mut TaskContext<'_>) -> Result<()> {
        let SourceBatch { split, rows } = batch;
        if self.splits.len() <= split {
            self.splits.resize(split + 1, None);
        }
        let now_ns = context.now_ns;
        self.seen_ns = Some(now_ns);
        let time = self.splits[split].get_or_insert(SplitTime { watermark: Watermark::START, seen_ns: now_ns });
        time.seen_ns = now_ns;
        let reached = time.watermark.max(self.passed);
        let observed = match &mut self.time {
            Some(time) => time.generator.observe(&rows, reached, &mut self.cuts)?,
            None => None,
        };
        let mut sent = 0;
        for cut in std::mem::take(&mut self.cuts) {
            self.advance(split, cut.watermark);
            let Some(watermark) = self.time(now_ns).filter(|time| *time != Watermark::IDLE && self.firm < *time) else {
                continue;
            };
            self.queue(rows.slice(sent, cut.row - sent), now_ns);
            sent = cut.row;
            (self.passed, self.firm, self.idle) = (watermark, watermark, false);
            self.rest.push_back(Envelope::watermark(watermark, now_ns, true));
        }
        self.queue(if sent == 0 { rows } else { rows.slice(sent, rows.num_rows() - sent) }, now_ns);
        self.advance(split, observed.unwrap_or(Watermark::START));
        let moved = self.moved_time(now_ns);
        self.rest.extend(moved.map(|watermark| Envelope::watermark(watermark, now_ns, false)));
        self.send_rest(context)
    }

    /// Time of a split that is open; it never goes back.
    fn advance(&mut self, split: usize, watermark: Watermark) {
        if let Some(time) = &mut self.splits[split] {
            time.watermark = time.watermark.max(watermark);
        }
    }

    fn queue(&mut self, rows: RecordBatch, now_ns: u64) {
        if rows.num_rows() > 0 {
            let batch = ChangelogBatch::append(rows);
            self.rest.push_back(Envelope::new(StreamElement::Batch(batch), now_ns));
        }
    }

    /// Sends what waits: a batch if there is room, and the watermarks behind it.
    fn send_rest(&mut self, context: &mut TaskContext<'_>) -> Result<()> {
        while let Some(envelope) = self.rest.pop_front() {
            let behind = matches!(envelope.element, StreamElement::Watermark(_));
            if !behind && !self.outputs.have_room(context.edges) {
                self.rest.push_front(envelope);
                break;
            }
            self.outputs.push(envelope, context)?;
        }
        Ok(())
    }

    fn is_vacant(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.is_vacant())
    }

    fn idle_timeout_ns(&self) -> Option<u64> {
        let timeout_ms = self.time.as_ref()?.idle_timeout_ms?;
        Some(timeout_ms.saturating_mul(NANOSECONDS_PER_MILLISECOND))
    }

    /// Event time of the splits together, or `IDLE`; `None` if there is nothing to say of it.
    fn time(&self, now_ns: u64) -> Option<Watermark> {
        if self.time.is_none() || self.source.as_ref().is_some_and(|source| source.holds_time()) {
            return None;
        }
        let timeout_ns = self.idle_timeout_ns();
        let silent = |seen_ns: u64| timeout_ns.is_some_and(|timeout_ns| seen_ns.saturating_add(timeout_ns) <= now_ns);
        let counted = self.splits.iter().flatten().filter(|split| !silent(split.seen_ns));
        match counted.map(|split| split.watermark).min() {
            Some(watermark) => Some(watermark.max(self.passed)),
            None if self.seen_ns.is_some_and(silent) || self.is_vacant() => Some(Watermark::IDLE),
            None => None,
        }
    }

    /// Event time if it moved since it was passed on last.
    fn moved_time(&mut self, now_ns: u64) -> Option<Watermark> {
        let watermark = self.time(now_ns)?;
        if watermark == Watermark::IDLE {
            if self.idle {
                return None;
            }
            self.idle = true;
        } else {
            // A source that was idle repeats its watermark, so that it is counted again.
            let moved = self.passed < watermark || self.idle;
            if !moved || watermark == Watermark::START {
                return None;
            }
            self.passed = watermark;
            self.idle = false;
        }
        Some(watermark)
    }

    /// Passes event time on if it moved; true if it did.
    fn pass_time(&mut self, context: &mut TaskContext<'_>) -> Result<bool> {
        let Some(watermark) = self.moved_time(context.now_ns) else {
            return Ok(false);
        };
        self.outputs.push(Envelope::watermark(watermark, context.now_ns, false), context)?;
        Ok(true)
    }
}
