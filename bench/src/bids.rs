//! Bids of the Nexmark generator, made before anything is measured.
//!
//! The queries read bids alone, so bids alone are kept: a row is what the query's table holds. How
//! long the generator took is kept beside them, apart from every figure of a query.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use arrow::array::{AsArray, BooleanArray, Int32Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{FieldRef, Int32Type, Schema, SchemaRef};
use corelane_connectors::{FileRowErrors, connector};
use corelane_server::{RowsInMemory, SystemClock};
use corelane_stream::limits::BATCH_ROWS_DEFAULT;
use corelane_stream::{Error, RowPolicy, SourceContext, SourcePoll, TableDefinition};

use crate::cpu_time;

/// How the table is declared over them; event time is four seconds behind, as the suite has it.
pub const TABLE: &str = "CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, \
                         `dateTime` TIMESTAMP(3), extra STRING, \
                         WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND)";

/// `event_type` of a bid.
const BID: i32 = 2;

/// Bids in order of time.
pub struct Bids {
    pub batches: Vec<RecordBatch>,
    pub events: u64,
    /// CPU time that the generator took for them.
    pub made_in: Duration,
}

impl Bids {
    /// # Errors
    /// If the generator fails.
    pub fn generate(events: u64) -> Result<Bids> {
        ensure!(events > 0, "there are no events to generate");
        let start = cpu_time::of_this_thread();
        let batches = generate(events).map_err(|error| anyhow!("the nexmark generator failed: {error}"))?;
        ensure!(!batches.is_empty(), "there is no bid among {events} events");
        Ok(Bids { batches, events, made_in: cpu_time::of_this_thread().saturating_sub(start) })
    }

    pub fn rows(&self) -> u64 {
        self.batches.iter().map(|batch| batch.num_rows() as u64).sum()
    }

    pub fn schema(&self) -> SchemaRef {
        self.batches[0].schema()
    }

    /// Dealt to this many workers batch by batch, so that all pass through event time together.
    ///
    /// # Errors
    /// Never: all batches have one schema.
    pub fn dealt(&self, workers: usize) -> Result<RowsInMemory> {
        let part = |worker| self.batches.iter().skip(worker).step_by(workers).cloned().collect();
        Ok(RowsInMemory::new(self.schema(), (0..workers).map(part).collect())?)
    }
}

fn generate(events: u64) -> corelane_stream::Result<Vec<RecordBatch>> {
    let nexmark = connector("nexmark")?;
    let options = BTreeMap::from([("events.num".to_owned(), events.to_string())]);
    let full = nexmark.infer_schema(&options)?;
    let wanted = |name: &&FieldRef| matches!(name.name().as_str(), "event_type" | "bid");
    let schema = Arc::new(Schema::new(full.fields().iter().filter(wanted).cloned().collect::<Vec<_>>()));
    let source = nexmark.source(&TableDefinition {
        name: "nexmark".to_owned(),
        schema,
        options,
        partitioned_by: Vec::new(),
        primary_key: Vec::new(),
        policy: Arc::new(RowPolicy::default()),
    })?;
    let context = SourceContext {
        worker: 0,
        workers: 1,
        batch_rows: BATCH_ROWS_DEFAULT,
        clock: Arc::new(SystemClock::new()),
        row_errors: Arc::new(FileRowErrors::new()),
        waker: Waker::noop().clone(),
    };
    let mut source = source.open(source.splits(1)?, &context)?;
    let mut batches = Vec::new();
    loop {
        match source.poll()? {
            SourcePoll::Batch(batch) => batches.extend(bids_of(&batch.rows)?),
            SourcePoll::SplitEnd(_) => {}
            SourcePoll::End => return Ok(batches),
            SourcePoll::Pending { .. } => return Err(Error::internal("the generator waits though no rate was set")),
        }
    }
}

/// The bids among some events, as flat rows; `None` if there are none.
fn bids_of(events: &RecordBatch) -> corelane_stream::Result<Option<RecordBatch>> {
    let kinds: &Int32Array = events.column(0).as_primitive::<Int32Type>();
    let is_bid = BooleanArray::from_unary(kinds, |kind| kind == BID);
    // A row that is no bid is null as a whole, and goes: what stays has no nulls.
    let (fields, columns, _) = events.column(1).as_struct().clone().into_parts();
    let bids = filter_record_batch(&RecordBatch::try_new(Schema::new(fields).into(), columns)?, &is_bid)?;
    Ok((bids.num_rows() > 0).then_some(bids))
}
