//! What travels an edge, in order, in the same ring: batches, watermarks and barriers.

use crate::changelog::ChangelogBatch;

/// One thing on an edge. End of input is `Watermark::END`.
#[derive(Clone, Debug)]
pub enum StreamElement {
    Batch(ChangelogBatch),
    Watermark(Watermark),
    Barrier(Barrier),
}

/// A promise: no more rows with an event time at or before this, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watermark(pub i64);

impl Watermark {
    /// Nothing is promised yet.
    pub const START: Watermark = Watermark(i64::MIN);
    /// This producer asks not to be counted until its next watermark: it is idle, and must not
    /// hold the others back.
    pub const IDLE: Watermark = Watermark(i64::MIN + 1);
    /// There will be no more rows at all.
    pub const END: Watermark = Watermark(i64::MAX);
}

/// Names one checkpoint of a job; they count up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckpointId(pub u64);

impl CheckpointId {
    /// The commit at the end of the job's input.
    pub const FINAL: CheckpointId = CheckpointId(u64::MAX);
}

/// The cut between two checkpoints, in band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    pub checkpoint: CheckpointId,
    pub kind: BarrierKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierKind {
    /// The job goes on behind it.
    Checkpoint,
    /// The job stops behind it.
    Savepoint,
}
