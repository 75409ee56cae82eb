//! Sources that make their rows from the rows' positions.
//!
//! Row `i` depends only on `i`, so a range of rows is a split and a position is all that a
//! snapshot needs. Workers take blocks of rows in turn ([`Stripe`]), rather than a long range
//! each, so that they pass through event time together: windows close early and state stays small.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::NaiveDateTime;
use corelane_stream::limits::BATCH_ROWS_DEFAULT;
use corelane_stream::origin::origin_detail;
use corelane_stream::row_errors::Position;
use corelane_stream::source::{METADATA_KEY, METADATA_POSITION};
use corelane_stream::{
    Clock, Error, OriginDetail, Result, Source, SourceBatch, SourceContext, SourceCounters, SourcePoll, SourceSpec,
    Split,
};

use crate::options::{Options, wrong_value};
use crate::origins::Origins;

/// Rows of one block where nothing holds them back.
const BLOCK_ROWS: u64 = BATCH_ROWS_DEFAULT as u64;

/// Blocks a second of a source that is held to a rate: a worker's rows are due every 10 ms.
const BLOCKS_PER_SECOND: u64 = 100;

/// Makes rows from their positions.
pub(crate) trait RowGenerator: fmt::Debug + Send + Sync {
    /// The columns of `schema()` for these rows. `now_ms` is the time of day.
    fn columns(&self, rows: Range<u64>, now_ms: i64) -> Result<Vec<ArrayRef>>;

    /// The schema of `columns`, without metadata columns.
    fn schema(&self) -> SchemaRef;

    /// The same generator making only these fields.
    fn pruned(&self, schema: SchemaRef) -> Result<Arc<dyn RowGenerator>>;
}

/// How many rows, and how fast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    /// `None`: without end.
    pub(crate) rows: Option<u64>,
    /// Of all workers together; `None`: as fast as they can.
    pub(crate) rows_per_second: Option<u64>,
}

/// Reads an option such as `2015-07-15 00:00:00` as milliseconds since the epoch, in UTC.
pub(crate) fn timestamp_option(options: &Options<'_>, name: &str) -> Result<Option<i64>> {
    const FORMATS: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    let Some(text) = options.text(name) else { return Ok(None) };
    let digits = text.trim().trim_end_matches('Z');
    let time = FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(digits, format).ok());
    match time {
        Some(time) => Ok(Some(time.and_utc().timestamp_millis())),
        None => Err(wrong_value(name, text, "a time such as '2015-07-15 00:00:00' or '2015-07-15T00:00:00.000Z'")),
    }
}

/// A source of generated rows, as plain data.
#[derive(Clone, Debug)]
pub(crate) struct GeneratedSpec {
    pub(crate) connector: &'static str,
    pub(crate) volume: Volume,
    generator: Arc<dyn RowGenerator>,
    schema: SchemaRef,
}

impl GeneratedSpec {
    pub(crate) fn new(connector: &'static str, volume: Volume, generator: Arc<dyn RowGenerator>) -> Self {
        let schema = generator.schema();
        GeneratedSpec { connector, volume, generator, schema }
    }
}

fn is_position(field: &Field) -> bool {
    field.metadata().get(METADATA_KEY).is_some_and(|name| name == METADATA_POSITION)
}

/// Splits a schema into the generator's part; metadata columns are checked here.
fn without_metadata(connector: &str, schema: &SchemaRef) -> Result<SchemaRef> {
    let mut fields = Vec::new();
    for field in schema.fields() {
        match field.metadata().get(METADATA_KEY) {
            None => fields.push(Arc::clone(field)),
            Some(_) if origin_detail(field) == Some(OriginDetail::Place) => {}
            Some(name) if name == METADATA_POSITION && *field.data_type() == DataType::UInt64 => {}
            Some(name) if name == METADATA_POSITION => {
                return Err(Error::invalid(format!(
                    "the metadata column '{}' is of type {}, but '{METADATA_POSITION}' is UInt64",
                    field.name(),
                    field.data_type()
                )));
            }
            Some(name) => {
                return Err(Error::invalid(format!("connector '{connector}' has no metadata '{name}'"))
                    .with_hint(format!("it has '{METADATA_POSITION}'")));
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

impl SourceSpec for GeneratedSpec {
    fn name(&self) -> &'static str {
        self.connector
    }

    fn detail(&self) -> String {
        let rows = self.volume.rows.map_or("unbounded".to_owned(), |rows| rows.to_string());
        match self.volume.rows_per_second {
            Some(rate) => format!("rows={rows}, rows per second={rate}"),
            None => format!("rows={rows}"),
        }
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn bounded(&self) -> bool {
        self.volume.rows.is_some()
    }

    fn origin(&self) -> Option<OriginDetail> {
        Some(OriginDetail::Place)
    }

    fn with_schema(&self, schema: SchemaRef) -> Result<Arc<dyn SourceSpec>> {
        let generator = self.generator.pruned(without_metadata(self.connector, &schema)?)?;
        Ok(Arc::new(GeneratedSpec { generator, schema, ..self.clone() }))
    }

    fn splits(&self, workers: usize) -> Result<Vec<Split>> {
        let block = match self.volume.rows_per_second {
            Some(rate) => (rate / BLOCKS_PER_SECOND).clamp(1, BLOCK_ROWS),
            None => BLOCK_ROWS,
        };
        let end = self.volume.rows.unwrap_or(u64::MAX);
        let stripes = end.div_ceil(block).clamp(1, workers.max(1) as u64);
        Ok((0..stripes).map(|index| Stripe { index, stripes, block, next: index * block, end }.into_split()).collect())
    }

    fn open(&self, splits: Vec<Split>, context: &SourceContext) -> Result<Box<dyn Source>> {
        let stripes = splits.iter().map(|split| Stripe::from_split(split).map(Some)).collect::<Result<Vec<_>>>()?;
        Ok(Box::new(GeneratedSource {
            connector: self.connector,
            origins: Origins::default(),
            generator: Arc::clone(&self.generator),
            schema: Arc::clone(&self.schema),
            pace: self.volume.rows_per_second.map(|rows_per_second| Pace { rows_per_second, start: None }),
            stripes,
            batch_rows: context.batch_rows.max(1) as u64,
            clock: Arc::clone(&context.clock),
            counters: SourceCounters::default(),
        }))
    }
}

/// Every `stripes`-th block of rows, from the `index`-th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stripe {
    index: u64,
    stripes: u64,
    /// Rows of a block.
    block: u64,
    /// The next row to make; it may lie behind the end.
    next: u64,
    /// The first row of the table that is not made.
    end: u64,
}

impl Stripe {
    fn into_split(self) -> Split {
        let Stripe { index, stripes, block, next, end } = self;
        let words = [index, stripes, block, next, end];
        Split {
            id: format!("stripe-{index}-of-{stripes}"),
            weight: if end == u64::MAX { 0 } else { end.saturating_sub(next).div_ceil(stripes) },
            state: words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        }
    }

    fn from_split(split: &Split) -> Result<Self> {
        let words: Vec<u64> = split
            .state
            .chunks_exact(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("chunks are of eight bytes")))
            .collect();
        match words[..] {
            [index, stripes, block, next, end] if split.state.len() == 40 && block > 0 && index < stripes => {
                Ok(Stripe { index, stripes, block, next, end })
            }
            _ => Err(Error::internal(format!("split '{}' is not a stripe of generated rows", split.id))),
        }
    }

    fn ended(&self) -> bool {
        self.next >= self.end
    }

    /// The rows from `next` on that lie in one block and below `limit`.
    fn rows(&self, batch_rows: u64, limit: u64) -> Range<u64> {
        // A single stripe has no neighbour whose rows come between its blocks.
        let block_end = if self.stripes == 1 { u64::MAX } else { (self.next / self.block + 1) * self.block };
        self.next..self.next.saturating_add(batch_rows).min(block_end).min(limit).min(self.end)
    }

    fn advance(&mut self, next: u64) {
        self.next = next;
        if next.is_multiple_of(self.block) && self.stripes > 1 {
            self.next = next.saturating_add(self.block * (self.stripes - 1));
        }
    }
}

/// Rows become due one by one, from the moment that the source is first asked.
struct Pace {
    rows_per_second: u64,
    /// When that was, and the first row of the round of blocks that was open then.
    start: Option<(u64, u64)>,
}

impl Pace {
    /// The first row that is not due yet.
    fn limit(&mut self, stripe: &Stripe, now_ns: u64) -> u64 {
        let (start_ns, first) = *self.start.get_or_insert_with(|| {
            let round = stripe.block * stripe.stripes;
            (now_ns, stripe.next / round * round)
        });
        let elapsed = u128::from(now_ns.saturating_sub(start_ns));
        let due = elapsed * u128::from(self.rows_per_second) / 1_000_000_000 + 1;
        first.saturating_add(u64::try_from(due).unwrap_or(u64::MAX))
    }

    /// Milliseconds until a row is due, given the first that is not.
    fn wait_ms(&self, row: u64, limit: u64) -> u64 {
        let rows = u128::from(row - limit + 1);
        u64::try_from((rows * 1_000).div_ceil(u128::from(self.rows_per_second))).unwrap_or(u64::MAX)
    }
}

struct GeneratedSource {
    connector: &'static str,
    origins: Origins,
    generator: Arc<dyn RowGenerator>,
    schema: SchemaRef,
    pace: Option<Pace>,
    /// `None`: its end was told.
    stripes: Vec<Option<Stripe>>,
    batch_rows: u64,
    clock: Arc<dyn Clock>,
    counters: SourceCounters,
}

impl GeneratedSource {
    fn batch(&mut self, rows: Range<u64>) -> Result<RecordBatch> {
        let count = (rows.end - rows.start) as usize;
        let mut made = self.generator.columns(rows.clone(), self.clock.now_ms())?.into_iter();
        let origins = &mut self.origins;
        let columns = self.schema.fields().iter().map(|field| -> Result<ArrayRef> {
            if is_position(field) {
                Ok(Arc::new(UInt64Array::from_iter_values(rows.clone())))
            } else if origin_detail(field).is_some() {
                let places = rows.clone().map(|row| Position::Row(row).to_word()).collect();
                origins.column(self.connector, places, None)
            } else {
                Ok(made.next().expect("a generator makes every column of its schema"))
            }
        });
        let columns = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl Source for GeneratedSource {
    fn poll(&mut self) -> Result<SourcePoll> {
        let ended = self.stripes.iter().position(|stripe| stripe.as_ref().is_some_and(Stripe::ended));
        if let Some(split) = ended {
            self.stripes[split] = None;
            return Ok(SourcePoll::SplitEnd(split));
        }
        let open = self.stripes.iter_mut().enumerate();
        let earliest = open.filter_map(|(split, stripe)| Some((split, stripe.as_mut()?))).min_by_key(|(_, s)| s.next);
        let Some((split, stripe)) = earliest else { return Ok(SourcePoll::End) };
        let mut limit = u64::MAX;
        if let Some(pace) = &mut self.pace {
            limit = pace.limit(stripe, self.clock.monotonic_ns());
            if stripe.next >= limit {
                return Ok(SourcePoll::Pending { retry_ms: Some(pace.wait_ms(stripe.next, limit)) });
            }
        }
        let rows = stripe.rows(self.batch_rows, limit);
        stripe.advance(rows.end);
        self.counters.rows += rows.end - rows.start;
        Ok(SourcePoll::Batch(SourceBatch { split, rows: self.batch(rows)? }))
    }

    fn snapshot(&self) -> Vec<Split> {
        self.stripes.iter().flatten().map(|stripe| stripe.into_split()).collect()
    }

    fn counters(&self) -> SourceCounters {
        self.counters
    }
}

#[cfg(test)]
pub(crate) mod tests;
