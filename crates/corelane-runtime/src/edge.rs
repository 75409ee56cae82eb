//! One edge of the dataflow, as one worker sees it: what it sends on it and what it reads.
//!
//! Nothing is sent per row: parts are gathered per destination until they make a batch worth a
//! message, and go out earlier only when the linger has passed or the worker has nothing to read.
//! A watermark follows the rows it speaks of; while it waits, a newer one takes its place, and rows
//! may still come before it. Not so a firm one: it goes out with all that is before it. Where the
//! reader says by which time it judges rows, that is done only for the worker that gets a row which
//! a firm watermark has passed: rows ahead of a watermark are the same to it before and behind it.

use std::collections::VecDeque;

use corelane_stream::event_time::extremes_ms;
use corelane_stream::limits::{EXCHANGE_ROWS_MIN, LOCAL_QUEUE_ELEMENTS};
use corelane_stream::{ChangelogBatch, Result, StreamElement, Watermark};

use crate::exchange::Partitioner;
use crate::ring::{Envelope, RingReceiver, RingSender};

/// What an edge counted on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeCounters {
    /// Messages sent to other workers.
    pub messages: u64,
    /// Times a ring had no room.
    pub ring_full: u64,
    /// Most elements seen in one ring.
    pub ring_depth_max: usize,
}

/// What is on its way to one worker.
#[derive(Debug)]
struct Destination {
    /// `None`: this worker itself.
    sender: Option<RingSender>,
    parts: Vec<ChangelogBatch>,
    rows: usize,
    origin_ns: u64,
    watermark: Option<Envelope>,
    /// The time up to which rows may not come before the watermark that waits.
    firm: Option<Watermark>,
    /// Since when parts or a watermark wait.
    since_ns: Option<u64>,
    /// Waits for room in the ring, or, on this worker itself, to be read.
    queue: VecDeque<Envelope>,
}

/// One port of one reader, and how its producer reaches it.
#[derive(Debug)]
pub struct Edge {
    /// `None`: nothing leaves this worker.
    partitioner: Option<Partitioner>,
    destinations: Vec<Destination>,
    /// `None`: the queue of this worker's own destination.
    receivers: Vec<Option<RingReceiver>>,
    own: usize,
    linger_ns: u64,
    /// The column by whose time its reader finds rows late, if by one.
    late_by: Option<usize>,
    counters: EdgeCounters,
    /// Its reader wants no more rows.
    refused: bool,
}

/// The two halves of one edge's rings that belong to one worker.
#[derive(Debug)]
pub struct EdgeRings {
    pub senders: Vec<Option<RingSender>>,
    pub receivers: Vec<Option<RingReceiver>>,
}

impl Edge {
    /// An edge that stays on its worker.
    pub fn forward() -> Edge {
        let rings = EdgeRings { senders: vec![None], receivers: vec![None] };
        Edge::build(rings, 0)
    }

    /// An edge between all workers.
    pub fn exchange(partitioner: Partitioner, rings: EdgeRings, linger_ns: u64) -> Edge {
        Edge { partitioner: Some(partitioner), ..Edge::build(rings, linger_ns) }
    }

    fn build(rings: EdgeRings, linger_ns: u64) -> Edge {
        let own = rings.senders.iter().position(Option::is_none).expect("a worker has no ring to itself");
        let destinations = rings.senders.into_iter().map(Destination::new).collect();
        Edge {
            partitioner: None,
            destinations,
            receivers: rings.receivers,
            own,
            linger_ns,
            late_by: None,
            counters: EdgeCounters::default(),
            refused: false,
        }
    }

    /// The same, where the reader finds rows late by the time of this column.
    pub fn late_by(self, column: Option<usize>) -> Edge {
        Edge { late_by: column, ..self }
    }

    /// Its reader has enough; an edge from other workers cannot tell them.
    pub fn refuse(&mut self) {
        self.refused = self.partitioner.is_none();
    }

    pub fn is_refused(&self) -> bool {
        self.refused
    }

    pub fn channels(&self) -> usize {
        self.receivers.len()
    }

    pub fn counters(&self) -> EdgeCounters {
        self.counters
    }

    /// True if its producer may go on.
    pub fn has_room(&self) -> bool {
        self.destinations.iter().all(|destination| match destination.sender {
            Some(_) => destination.queue.is_empty(),
            None => destination.queue.len() < LOCAL_QUEUE_ELEMENTS,
        })
    }

    /// True if nothing waits to go to another worker.
    pub fn is_drained(&self) -> bool {
        self.destinations.iter().all(|destination| {
            destination.since_ns.is_none() && (destination.sender.is_none() || destination.queue.is_empty())
        })
    }

    /// True if a channel has an element.
    pub fn is_ready(&self, channel: usize) -> bool {
        match &self.receivers[channel] {
            Some(receiver) => receiver.is_ready(),
            None => !self.destinations[self.own].queue.is_empty(),
        }
    }

    /// Reads the next element of a channel.
    pub fn receive(&mut self, channel: usize) -> Option<Envelope> {
        match &self.receivers[channel] {
            Some(receiver) => receiver.receive(),
            None => self.destinations[self.own].queue.pop_front(),
        }
    }

    /// Takes an element from the producer.
    ///
    /// # Errors
    /// If a key column's type cannot be hashed.
    pub fn push(&mut self, envelope: Envelope, now_ns: u64) -> Result<()> {
        let Some(partitioner) = &mut self.partitioner else {
            self.destinations[self.own].enqueue(Envelope { sent_ns: 0, ..envelope });
            return Ok(());
        };
        let Envelope { element, origin_ns, firm, .. } = envelope;
        match element {
            StreamElement::Batch(batch) => {
                let (destinations, late_by) = (&mut self.destinations, self.late_by);
                partitioner.partition(batch, |destination, part| {
                    let destination = &mut destinations[destination];
                    if let (Some(firm), Some(column)) = (destination.firm, late_by)
                        && extremes_ms(part.rows().column(column))?.is_some_and(|(least_ms, _)| least_ms <= firm.0)
                    {
                        destination.close()?;
                    }
                    destination.gather(part, origin_ns, now_ns);
                    Ok(())
                })?;
                for index in 0..self.destinations.len() {
                    if self.destinations[index].rows >= EXCHANGE_ROWS_MIN {
                        self.flush(index, now_ns)?;
                    } else if self.late_by.is_some() {
                        self.send(index, now_ns);
                    }
                }
            }
            StreamElement::Watermark(watermark)
                if (!firm || self.late_by.is_some()) && watermark != Watermark::END && watermark != Watermark::IDLE =>
            {
                for destination in &mut self.destinations {
                    if firm {
                        destination.firm = Some(watermark);
                    }
                    destination.watermark = Some(Envelope::new(element.clone(), origin_ns));
                    destination.since_ns.get_or_insert(now_ns);
                }
            }
            StreamElement::Watermark(_) | StreamElement::Barrier(_) => {
                for index in 0..self.destinations.len() {
                    if firm {
                        self.destinations[index].watermark = None;
                    }
                    self.flush(index, now_ns)?;
                    self.destinations[index].enqueue(Envelope { firm, ..Envelope::new(element.clone(), origin_ns) });
                    self.send(index, now_ns);
                }
            }
        }
        Ok(())
    }

    /// Sends on what waited for room; true if anything moved.
    pub fn retry(&mut self, now_ns: u64) -> bool {
        let mut moved = false;
        for index in 0..self.destinations.len() {
            if self.destinations[index].sender.is_some() && !self.destinations[index].queue.is_empty() {
                moved |= self.send(index, now_ns);
            }
        }
        moved
    }

    /// Sends what has waited for the linger; true if anything moved.
    ///
    /// # Errors
    /// If the parts do not fit together.
    pub fn flush_due(&mut self, now_ns: u64) -> Result<bool> {
        let linger_ns = self.linger_ns;
        self.flush_where(now_ns, |since_ns| since_ns.saturating_add(linger_ns) <= now_ns)
    }

    /// Sends everything that waits, because there is nothing more to read; true if anything moved.
    ///
    /// # Errors
    /// If the parts do not fit together.
    pub fn flush_all(&mut self, now_ns: u64) -> Result<bool> {
        self.flush_where(now_ns, |_| true)
    }

    /// A destination whose ring is full gathers on: what it has could not overtake the queue.
    fn flush_where(&mut self, now_ns: u64, due: impl Fn(u64) -> bool) -> Result<bool> {
        let mut moved = false;
        for index in 0..self.destinations.len() {
            let destination = &self.destinations[index];
            if destination.queue.is_empty() && destination.since_ns.is_some_and(&due) {
                self.flush(index, now_ns)?;
                moved = true;
            }
        }
        Ok(moved)
    }

    fn flush(&mut self, index: usize, now_ns: u64) -> Result<()> {
        self.destinations[index].close()?;
        self.send(index, now_ns);
        Ok(())
    }

    /// Moves the queue of one destination into its ring; true if anything moved.
    fn send(&mut self, index: usize, now_ns: u64) -> bool {
        let Destination { sender: Some(sender), queue, .. } = &mut self.destinations[index] else {
            return false;
        };
        let mut moved = false;
        while let Some(mut envelope) = queue.pop_front() {
            envelope.sent_ns = now_ns;
            match sender.send(envelope) {
                Ok(depth) => {
                    moved = true;
                    self.counters.messages += 1;
                    self.counters.ring_depth_max = self.counters.ring_depth_max.max(depth);
                }
                Err(envelope) => {
                    queue.push_front(*envelope);
                    self.counters.ring_full += 1;
                    break;
                }
            }
        }
        moved
    }
}

impl Destination {
    fn new(sender: Option<RingSender>) -> Destination {
        Destination {
            sender,
            parts: Vec::new(),
            rows: 0,
            origin_ns: 0,
            watermark: None,
            firm: None,
            since_ns: None,
            queue: VecDeque::new(),
        }
    }

    fn gather(&mut self, part: ChangelogBatch, origin_ns: u64, now_ns: u64) {
        self.origin_ns = if self.parts.is_empty() { origin_ns } else { self.origin_ns.min(origin_ns) };
        self.since_ns.get_or_insert(now_ns);
        self.rows += part.num_rows();
        self.parts.push(part);
    }

    /// Lets nothing more come before what has been gathered, and the watermark behind it.
    fn close(&mut self) -> Result<()> {
        self.since_ns = None;
        self.rows = 0;
        let parts = std::mem::take(&mut self.parts);
        if !parts.is_empty() {
            let batch = joined(parts)?;
            self.queue.push_back(Envelope::new(StreamElement::Batch(batch), self.origin_ns));
        }
        let firm = self.firm.take().is_some();
        if let Some(watermark) = self.watermark.take() {
            self.enqueue(Envelope { firm, ..watermark });
        }
        Ok(())
    }

    /// Appends to the queue; of two watermarks in a row only the newer one stays.
    fn enqueue(&mut self, mut envelope: Envelope) {
        if let StreamElement::Watermark(_) = envelope.element
            && let Some(Envelope { element: StreamElement::Watermark(last), firm, .. }) = self.queue.back()
            && *last != Watermark::IDLE
            && !matches!(envelope.element, StreamElement::Watermark(Watermark::IDLE))
        {
            envelope.firm |= *firm;
            self.queue.pop_back();
        }
        self.queue.push_back(envelope);
    }
}

fn joined(mut parts: Vec<ChangelogBatch>) -> Result<ChangelogBatch> {
    if parts.len() == 1 {
        return Ok(parts.swap_remove(0));
    }
    // The parts' own schema: a plan's may differ from it in nullability.
    ChangelogBatch::concat(&parts[0].schema(), &parts)
}
