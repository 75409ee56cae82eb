//! What tests hand to sinks and sources in place of a worker.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Waker;

use arrow::array::{AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use corelane_stream::source::{METADATA_KEY, METADATA_POSITION};
use corelane_stream::{
    BadRow, Clock, Error, Result, RowErrors, RowErrorsFactory, RowPolicy, SinkContext, SourceContext, SourcePoll,
    SourceSpec, Split, TableDefinition, TableOptions,
};

/// A clock that goes only when told.
#[derive(Debug, Default)]
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn set_ms(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic_ns(&self) -> u64 {
        self.now_ms().unsigned_abs() * 1_000_000
    }
}

struct NoRowErrors;

impl RowErrorsFactory for NoRowErrors {
    fn open(&self, _: &RowPolicy, _: usize) -> Result<Rc<dyn RowErrors>> {
        Ok(Rc::new(NoRowErrors))
    }
}

impl RowErrors for NoRowErrors {
    fn bad(&self, row: &BadRow<'_>) -> Result<()> {
        Err(Error::data(format!("{}: {:?}", row.reason, String::from_utf8_lossy(row.raw))))
    }

    fn late(&self, _: &BadRow<'_>) -> Result<()> {
        Ok(())
    }

    fn unfinished(&self, _: &BadRow<'_>) -> Result<()> {
        Ok(())
    }
}

pub(crate) fn sink_context(worker: usize, workers: usize, clock: &Arc<ManualClock>) -> SinkContext {
    SinkContext { worker, workers, clock: Arc::clone(clock) as Arc<dyn Clock>, waker: Waker::noop().clone() }
}

pub(crate) fn source_context(worker: usize, workers: usize, batch_rows: usize) -> SourceContext {
    SourceContext {
        worker,
        workers,
        batch_rows,
        clock: Arc::new(ManualClock::default()),
        row_errors: Arc::new(NoRowErrors),
        waker: Waker::noop().clone(),
    }
}

pub(crate) fn table(schema: &SchemaRef, options: &[(&str, &str)]) -> TableDefinition {
    TableDefinition {
        name: "t".to_owned(),
        schema: Arc::clone(schema),
        options: options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<TableOptions>(),
        partitioned_by: Vec::new(),
        primary_key: Vec::new(),
        policy: Arc::default(),
    }
}

/// The splits that one worker is given.
pub(crate) fn splits_of(splits: &[Split], worker: usize, workers: usize) -> Vec<Split> {
    splits.iter().skip(worker).step_by(workers).cloned().collect()
}

/// Adds the column by which rows of several workers can be brought into order.
pub(crate) fn with_position(spec: &dyn SourceSpec) -> Arc<dyn SourceSpec> {
    let position = Field::new("$position", DataType::UInt64, false)
        .with_metadata([(METADATA_KEY.to_owned(), METADATA_POSITION.to_owned())].into());
    let mut fields: Vec<Arc<Field>> = spec.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(position));
    spec.with_schema(Arc::new(Schema::new(fields))).expect("positions are known")
}

/// All rows of a bounded source whose last column is the position, as so many workers read them, in order.
pub(crate) fn read_all(spec: &dyn SourceSpec, workers: usize, batch_rows: usize) -> RecordBatch {
    let splits = spec.splits(workers).expect("splits of generated rows");
    let mut batches = Vec::new();
    for worker in 0..workers {
        let context = source_context(worker, workers, batch_rows);
        let mut source = spec.open(splits_of(&splits, worker, workers), &context).expect("splits open");
        loop {
            match source.poll().expect("rows can be made") {
                SourcePoll::Batch(batch) => {
                    assert!(batch.rows.num_rows() <= batch_rows);
                    batches.push(batch.rows);
                }
                SourcePoll::SplitEnd(_) => {}
                SourcePoll::Pending { .. } => panic!("this source is not held to a rate"),
                SourcePoll::End => break,
            }
        }
    }
    in_order(&compute::concat_batches(&spec.schema(), &batches).expect("one schema"))
}

/// Sorts rows by their last column, the position.
pub(crate) fn in_order(rows: &RecordBatch) -> RecordBatch {
    let order = positions(rows);
    let mut indices: Vec<u32> = (0..rows.num_rows() as u32).collect();
    indices.sort_by_key(|index| order.value(*index as usize));
    compute::take_record_batch(rows, &UInt32Array::from(indices)).expect("indices of these rows")
}

pub(crate) fn positions(rows: &RecordBatch) -> &UInt64Array {
    rows.column(rows.num_columns() - 1).as_primitive::<UInt64Type>()
}
