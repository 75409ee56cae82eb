//! Tasks: the nodes of a dataflow as one worker runs them.
//!
//! A task takes one element at a time, and only when its outputs have room. What all kinds of
//! tasks share is here; each kind has its own file.

use corelane_stream::limits::LOCAL_QUEUE_ELEMENTS;
use corelane_stream::operator::StateWriter;
use corelane_stream::{ChangelogBatch, Output, Result, StreamElement, Watermark};

use crate::alignment::Alignment;
use crate::edge::Edge;
use crate::metrics::{Durations, NodeMetrics};
use crate::operator_task::OperatorTask;
use crate::ring::Envelope;
use crate::sink_task::SinkTask;
use crate::source_task::SourceTask;

pub enum Task {
    Source(SourceTask),
    Operator(Box<OperatorTask>),
    Sink(SinkTask),
}

impl Task {
    /// When it wants to be told of the time, in milliseconds since the epoch. Sources go by another clock.
    pub fn tick_ms(&self) -> Option<i64> {
        match self {
            Task::Source(_) => None,
            Task::Operator(task) => task.tick_ms(),
            Task::Sink(task) => task.tick_ms(),
        }
    }
}

/// What a task works with while it runs.
pub struct TaskContext<'a> {
    pub edges: &'a mut [Edge],
    pub now_ns: u64,
    pub metrics: &'a mut NodeMetrics,
    pub hop: &'a mut Durations,
    pub latency: &'a mut Durations,
    pub state: &'a mut dyn StateWriter,
}

/// The channels of a task, over all its ports.
#[derive(Debug)]
pub struct Inputs {
    /// The port, edge and channel of each channel of the task.
    channels: Vec<Inlet>,
    pub alignment: Alignment,
    /// The channel to look at first, so that none is starved.
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Inlet {
    port: usize,
    edge: usize,
    channel: usize,
}

/// An element, and the channel and port that it came by.
#[derive(Debug)]
pub struct Received {
    pub channel: usize,
    pub port: usize,
    pub envelope: Envelope,
}

impl Inputs {
    /// Inputs by these edges, one for each port.
    pub fn new(ports: &[usize], edges: &[Edge]) -> Inputs {
        let mut channels = Vec::new();
        for (port, edge) in ports.iter().enumerate() {
            channels.extend((0..edges[*edge].channels()).map(|channel| Inlet { port, edge: *edge, channel }));
        }
        let alignment = Alignment::new(channels.len());
        Inputs { channels, alignment, next: 0 }
    }

    /// The same, told by which of a port's channels nothing but the end is to come.
    pub fn with_empty(mut self, empty: impl Fn(usize, usize) -> bool) -> Inputs {
        for (index, inlet) in self.channels.iter().enumerate() {
            if empty(inlet.port, inlet.channel) {
                self.alignment.ignore(index);
            }
        }
        self
    }

    /// Tells whoever feeds this task alone that it has enough.
    pub fn refuse(&self, edges: &mut [Edge]) {
        self.channels.iter().for_each(|inlet| edges[inlet.edge].refuse());
    }

    /// True if any channel that is not held has an element.
    pub fn is_ready(&self, edges: &[Edge]) -> bool {
        let mut channels = self.channels.iter().enumerate();
        channels.any(|(index, inlet)| !self.alignment.is_held(index) && edges[inlet.edge].is_ready(inlet.channel))
    }

    /// Takes the next element of any channel that is not held.
    pub fn receive(&mut self, context: &mut TaskContext<'_>) -> Option<Received> {
        for turn in 0..self.channels.len() {
            let index = (self.next + turn) % self.channels.len();
            if self.alignment.is_held(index) {
                continue;
            }
            let inlet = self.channels[index];
            if let Some(envelope) = context.edges[inlet.edge].receive(inlet.channel) {
                self.next = (index + 1) % self.channels.len();
                if envelope.sent_ns != 0 {
                    context.hop.record(context.now_ns.saturating_sub(envelope.sent_ns));
                }
                if let StreamElement::Batch(batch) = &envelope.element {
                    context.metrics.rows_in += batch.num_rows() as u64;
                    context.metrics.batches_in += 1;
                }
                return Some(Received { channel: index, port: inlet.port, envelope });
            }
        }
        None
    }
}

/// The edges that a task feeds, one for each reader.
#[derive(Debug)]
pub struct Outputs(pub Vec<usize>);

impl Outputs {
    /// True if every reader has said that it wants no more rows.
    pub fn are_refused(&self, edges: &[Edge]) -> bool {
        !self.0.is_empty() && self.0.iter().all(|edge| edges[*edge].is_refused())
    }

    pub fn have_room(&self, edges: &[Edge]) -> bool {
        self.0.iter().all(|edge| edges[*edge].has_room())
    }

    /// Gives an element to every reader; batches share their columns.
    ///
    /// # Errors
    /// If a key column's type cannot be hashed.
    pub fn push(&self, envelope: Envelope, context: &mut TaskContext<'_>) -> Result<()> {
        match &envelope.element {
            StreamElement::Batch(batch) => {
                context.metrics.rows_out += batch.num_rows() as u64;
                context.metrics.batches_out += 1;
            }
            StreamElement::Watermark(Watermark::IDLE) | StreamElement::Barrier(_) => {}
            StreamElement::Watermark(watermark) => context.metrics.watermark = *watermark,
        }
        let Some((last, others)) = self.0.split_last() else {
            return Ok(());
        };
        for edge in others {
            context.edges[*edge].push(envelope.clone(), context.now_ns)?;
        }
        context.edges[*last].push(envelope, context.now_ns)
    }
}

/// What an operator has put out in one call.
#[derive(Debug, Default)]
pub struct Emission {
    pub batches: Vec<ChangelogBatch>,
    /// When the oldest row behind it left its source.
    pub origin_ns: u64,
}

impl Output for Emission {
    fn emit(&mut self, batch: ChangelogBatch) {
        if !batch.is_empty() {
            self.batches.push(batch);
        }
    }

    fn has_room(&self) -> bool {
        self.batches.len() < LOCAL_QUEUE_ELEMENTS
    }
}
