//! Sources: replayable splits that give batches and never block.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::element::Watermark;
use crate::error::Result;
use crate::operator::Clock;
use crate::origin::OriginDetail;
use crate::row_errors::RowErrorsFactory;

/// A replayable part of a source, and how far it has been read: a byte range of a file, a row
/// group, a range of generated rows. A snapshot of a source is the list of what is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Unique within the source, and the same on every run over the same input.
    pub id: String,
    /// Bytes (or rows, for sources without bytes) left to read, for balance and progress; 0 if unknown.
    pub weight: u64,
    /// The connector's own words: what to read, and from where.
    pub state: Vec<u8>,
}

/// Rows of one split, in its order.
#[derive(Clone, Debug)]
pub struct SourceBatch {
    /// The split's index in this source; indices count up as splits are opened.
    pub split: usize,
    pub rows: RecordBatch,
}

/// What a source has to give now.
#[derive(Debug)]
pub enum SourcePoll {
    Batch(SourceBatch),
    /// This split has ended: it no longer holds the watermark back.
    SplitEnd(usize),
    /// Nothing now. The source wakes the worker by its waker, or wants to be asked again after
    /// this many milliseconds.
    Pending {
        retry_ms: Option<u64>,
    },
    /// Nothing ever again.
    End,
}

/// One source on one worker.
pub trait Source {
    /// Gives the next batch; must return within about a millisecond and never block on a peer.
    ///
    /// # Errors
    /// If the outside fails, or a row is bad and the policy is to fail.
    fn poll(&mut self) -> Result<SourcePoll>;

    /// True while input is unread whose event time may lie before that of what is being read: it
    /// holds event time back. The parts of one file follow each other; files need not.
    fn holds_time(&self) -> bool {
        false
    }

    /// True while there is nothing that this worker could read, though there may be later: event
    /// time does not wait for it.
    fn is_vacant(&self) -> bool {
        false
    }

    /// Called once where reading is stopped though there may be more to come. What was begun and has
    /// not ended will not be a row of this job: the source tells its `RowErrors` of it.
    ///
    /// # Errors
    /// If the dead letter cannot be written.
    fn stop(&mut self) -> Result<()> {
        Ok(())
    }

    /// What is left to read, positions included.
    fn snapshot(&self) -> Vec<Split>;

    fn counters(&self) -> SourceCounters;
}

/// Counters of one source on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounters {
    pub rows: u64,
    pub bytes: u64,
    pub bad_rows: u64,
}

/// What a source is given as it is opened on a worker.
#[derive(Clone)]
pub struct SourceContext {
    pub worker: usize,
    pub workers: usize,
    pub batch_rows: usize,
    pub clock: Arc<dyn Clock>,
    pub row_errors: Arc<dyn RowErrorsFactory>,
    /// Wakes the worker from any thread.
    pub waker: Waker,
}

/// The key, in a field's metadata, of a column that the source fills from what it knows about a
/// row rather than from the row: `position`, `file.path`, ...
pub const METADATA_KEY: &str = "corelane.metadata";

/// The metadata column (non-null `UInt64`) that orders all rows of a source as they were written:
/// later files after earlier ones, later rows after earlier ones. It is the same on any number of workers.
pub const METADATA_POSITION: &str = "position";

/// A source as plain data.
pub trait SourceSpec: fmt::Debug + Send + Sync {
    /// The connector, for plans: `filesystem`.
    fn name(&self) -> &'static str;

    /// What is read, for plans: `path=trades.json, format=json`.
    fn detail(&self) -> String;

    /// The schema of its batches.
    fn schema(&self) -> SchemaRef;

    /// True if it ends by itself.
    fn bounded(&self) -> bool;

    /// The most that it can tell of a row's origin, as the metadata column `METADATA_ORIGIN`.
    fn origin(&self) -> Option<OriginDetail> {
        None
    }

    /// The same source reading only these fields: a pruned copy of `schema()` (struct fields may
    /// be pruned too), plus metadata columns marked by `METADATA_KEY`.
    ///
    /// # Errors
    /// If a metadata column is not known.
    fn with_schema(&self, schema: SchemaRef) -> Result<Arc<dyn SourceSpec>>;

    /// The same source, to which a row with NULL in one of these columns is a bad row; `None` if it
    /// never has such rows.
    fn refusing_nulls(&self, _columns: &[&str]) -> Option<Arc<dyn SourceSpec>> {
        None
    }

    /// Lists the splits, once per job. Worker `w` is given splits `w`, `w + workers`, and so on.
    ///
    /// # Errors
    /// If the outside cannot be listed: a missing file, a directory without matching files.
    fn splits(&self, workers: usize) -> Result<Vec<Split>>;

    /// Looks whether the source can be read, without reading it.
    ///
    /// # Errors
    /// If it cannot.
    fn check(&self) -> Result<()> {
        self.splits(1).map(drop)
    }

    /// # Errors
    /// If a split cannot be opened.
    fn open(&self, splits: Vec<Split>, context: &SourceContext) -> Result<Box<dyn Source>>;
}

/// Says how far event time has come, from rows. Built by the planner from `WATERMARK FOR`.
pub trait WatermarkStrategy: fmt::Debug + Send + Sync {
    /// For plans: `ts - INTERVAL '5' SECOND`.
    fn detail(&self) -> String;

    /// How long a split may be silent before it stops holding others back; `None`: for ever.
    fn idle_timeout_ms(&self) -> Option<u64>;

    /// # Errors
    /// If the expression cannot be built.
    fn build(&self, clock: Arc<dyn Clock>) -> Result<Box<dyn WatermarkGenerator>>;
}

/// A row of a batch that is behind time: the rows before it have brought time to where it may be late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeCut {
    pub row: usize,
    /// How far time has come in front of the row.
    pub watermark: Watermark,
}

/// One worker's generator; it keeps no state between batches, the runtime keeps one maximum per split.
pub trait WatermarkGenerator {
    /// The largest watermark among these rows; `None` if none of them has one. To `cuts` it appends, in order, the
    /// rows that may be late, given that time had `reached` so far; of rows for which that makes no
    /// difference to the one before, only the first.
    ///
    /// # Errors
    /// If the expression fails on every row's evaluation for a reason other than data.
    fn observe(&mut self, rows: &RecordBatch, reached: Watermark, cuts: &mut Vec<TimeCut>)
    -> Result<Option<Watermark>>;
}
