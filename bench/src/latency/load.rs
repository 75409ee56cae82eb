//! The load: a source whose rows become due as time passes, whether or not anyone asks for them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use corelane_stream::{
    Clock, Error, Result, Source, SourceBatch, SourceContext, SourceCounters, SourcePoll, SourceSpec, Split,
};

use super::schedule::{KEYS, Schedule};

/// From the first poll of any worker to the first row, so that all of them are there.
const HEAD_START_NS: u64 = 20_000_000;

/// How often a source that has nothing due is asked again; the wait is part of every latency.
const ASK_AGAIN_MS: u64 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they are taken: finds the greatest rate.
    AtOnce,
    WhenDue,
}

/// When the first row was due, on the session's clock.
pub type Start = Arc<OnceLock<u64>>;

pub struct LoadSpec {
    schedule: Schedule,
    splits: usize,
    pace: Pace,
    start: Start,
    schema: SchemaRef,
}

impl fmt::Debug for LoadSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "LoadSpec({})", self.detail())
    }
}

impl LoadSpec {
    pub fn new(schedule: Schedule, splits: usize, pace: Pace) -> LoadSpec {
        let time = DataType::Timestamp(TimeUnit::Millisecond, None);
        let fields = [("k", DataType::Int64), ("v", DataType::Int64), ("ts", time)];
        let schema = Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec());
        LoadSpec { schedule, splits, pace, start: Start::default(), schema: Arc::new(schema) }
    }

    pub fn start(&self) -> Start {
        self.start.clone()
    }
}

impl SourceSpec for LoadSpec {
    fn name(&self) -> &'static str {
        "load"
    }

    fn detail(&self) -> String {
        format!("rows={}, splits={}", self.schedule.rows() * self.splits as u64, self.splits)
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn bounded(&self) -> bool {
        true
    }

    fn with_schema(&self, schema: SchemaRef) -> Result<Arc<dyn SourceSpec>> {
        if let Some(unknown) = schema.fields().iter().find(|field| !["k", "v", "ts"].contains(&field.name().as_str())) {
            return Err(Error::invalid(format!("a load has no column {:?}", unknown.name())));
        }
        let start = self.start.clone();
        Ok(Arc::new(LoadSpec { schema, start, schedule: self.schedule, splits: self.splits, pace: self.pace }))
    }

    fn splits(&self, _workers: usize) -> Result<Vec<Split>> {
        let split = |number: usize| Split {
            id: format!("load-{number}"),
            weight: self.schedule.rows(),
            state: (number as u64).to_le_bytes().to_vec(),
        };
        Ok((0..self.splits).map(split).collect())
    }

    fn open(&self, splits: Vec<Split>, context: &SourceContext) -> Result<Box<dyn Source>> {
        let number = |split: &Split| split.state.as_slice().try_into().map(u64::from_le_bytes);
        let numbers = splits.iter().map(number).collect::<std::result::Result<Vec<_>, _>>();
        let numbers = numbers.map_err(|_| Error::internal("a split of a load has no number"))?;
        let cycle = (KEYS as usize + context.batch_rows) as u64;
        let keys = |number: u64| Int64Array::from_iter_values((0..cycle).map(|row| key(number, row % KEYS)));
        Ok(Box::new(Load {
            schedule: self.schedule,
            pace: self.pace,
            start: self.start.clone(),
            schema: self.schema.clone(),
            clock: context.clock.clone(),
            batch_rows: context.batch_rows as u64,
            values: Int64Array::from_iter_values((0..cycle).map(|row| row as i64 % 100)),
            parts: numbers.into_iter().map(|number| Part { keys: keys(number), next: 0, ended: false }).collect(),
            rows: 0,
        }))
    }
}

/// The key with this number of a split.
fn key(split: u64, number: u64) -> i64 {
    (split * KEYS + number) as i64
}

/// One split.
struct Part {
    /// The keys of a batch that begins at row `n` are found from `n % KEYS` on.
    keys: Int64Array,
    next: u64,
    ended: bool,
}

struct Load {
    schedule: Schedule,
    pace: Pace,
    start: Start,
    schema: SchemaRef,
    clock: Arc<dyn Clock>,
    batch_rows: u64,
    values: Int64Array,
    parts: Vec<Part>,
    rows: u64,
}

impl Load {
    fn due(&self) -> u64 {
        match self.pace {
            Pace::AtOnce => {
                self.start.get_or_init(|| self.clock.monotonic_ns());
                self.schedule.rows()
            }
            Pace::WhenDue => {
                let now = self.clock.monotonic_ns();
                let start = *self.start.get_or_init(|| now + HEAD_START_NS);
                now.checked_sub(start).map_or(0, |since| self.schedule.due_by(since))
            }
        }
    }

    fn batch(&self, part: &Part, end: u64) -> Result<RecordBatch> {
        let (offset, rows) = ((part.next % KEYS) as usize, (end - part.next) as usize);
        let column = |field: &Arc<Field>| -> ArrayRef {
            match field.name().as_str() {
                "k" => Arc::new(part.keys.slice(offset, rows)),
                "v" => Arc::new(self.values.slice(offset, rows)),
                _ => {
                    let times = (part.next..end).map(|row| self.schedule.time_ms(row));
                    Arc::new(TimestampMillisecondArray::from_iter_values(times))
                }
            }
        };
        let columns = self.schema.fields().iter().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

impl Source for Load {
    fn poll(&mut self) -> Result<SourcePoll> {
        let due = self.due();
        let open = self.parts.iter().enumerate().filter(|(_, part)| !part.ended);
        let Some((split, part)) = open.min_by_key(|(_, part)| part.next) else { return Ok(SourcePoll::End) };
        if part.next == self.schedule.rows() {
            self.parts[split].ended = true;
            return Ok(SourcePoll::SplitEnd(split));
        }
        let end = due.min(part.next + self.batch_rows);
        if end <= part.next {
            return Ok(SourcePoll::Pending { retry_ms: Some(ASK_AGAIN_MS) });
        }
        let rows = self.batch(part, end)?;
        self.rows += end - part.next;
        self.parts[split].next = end;
        Ok(SourcePoll::Batch(SourceBatch { split, rows }))
    }

    fn snapshot(&self) -> Vec<Split> {
        Vec::new()
    }

    fn counters(&self) -> SourceCounters {
        SourceCounters { rows: self.rows, ..SourceCounters::default() }
    }
}
