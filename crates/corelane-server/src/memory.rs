//! Rows that a program holds in memory, as the source of a table.
//!
//! Each part is a split, so a program that wants all of `n` workers busy gives `n` parts of like
//! size. Batches are handed on as they lie, or cut where they are larger than the job's; nothing
//! is copied. For measuring, a part can be read several times over.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StructArray, UInt64Array};
use arrow::datatypes::{DataType, Field, SchemaRef};
use corelane_stream::source::{METADATA_KEY, METADATA_POSITION};
use corelane_stream::{
    Error, Result, Source, SourceBatch, SourceContext, SourceCounters, SourcePoll, SourceSpec, Split,
};

/// Bits of a position that count rows within a part.
const ROW_BITS: u32 = 44;

/// A bounded source over batches in memory.
#[derive(Clone)]
pub struct RowsInMemory {
    schema: SchemaRef,
    parts: Arc<Vec<Part>>,
    times: u64,
}

/// What one split reads.
struct Part {
    batches: Vec<RecordBatch>,
    /// By batch, the rows up to its end: a part may have many batches, and each poll looks for one.
    ends: Vec<u64>,
}

impl Part {
    fn new(batches: Vec<RecordBatch>) -> Part {
        let ends = batches.iter().scan(0, |rows, batch| {
            *rows += batch.num_rows() as u64;
            Some(*rows)
        });
        Part { ends: ends.collect(), batches }
    }

    fn rows(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The batch that holds this row, and where in it.
    fn find(&self, row: u64) -> Option<(&RecordBatch, usize)> {
        let index = self.ends.partition_point(|end| *end <= row);
        let batch = self.batches.get(index)?;
        Some((batch, (row + batch.num_rows() as u64 - self.ends[index]) as usize))
    }
}

impl fmt::Debug for RowsInMemory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RowsInMemory({})", self.detail())
    }
}

impl RowsInMemory {
    /// # Errors
    /// If a batch has another schema.
    pub fn new(schema: SchemaRef, parts: Vec<Vec<RecordBatch>>) -> Result<Self> {
        let types = |schema: &SchemaRef| -> Vec<(String, DataType)> {
            schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
        };
        let expected = types(&schema);
        if let Some(other) = parts.iter().flatten().find(|batch| types(&batch.schema()) != expected) {
            return Err(Error::invalid(format!("a batch has the schema {}, not {schema}", other.schema())));
        }
        Ok(RowsInMemory { schema, parts: Arc::new(parts.into_iter().map(Part::new).collect()), times: 1 })
    }

    /// The same rows, each part read this many times.
    pub fn repeated(self, times: u64) -> Self {
        RowsInMemory { times, ..self }
    }

    fn part_rows(&self, part: usize) -> u64 {
        self.times * self.parts[part].rows()
    }
}

impl SourceSpec for RowsInMemory {
    fn name(&self) -> &'static str {
        "table in memory"
    }

    fn detail(&self) -> String {
        let rows: u64 = (0..self.parts.len()).map(|part| self.part_rows(part)).sum();
        format!("rows={rows}, parts={}", self.parts.len())
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn bounded(&self) -> bool {
        true
    }

    fn with_schema(&self, schema: SchemaRef) -> Result<Arc<dyn SourceSpec>> {
        let unknown = schema.fields().iter().filter_map(|field| field.metadata().get(METADATA_KEY));
        if let Some(name) = unknown.into_iter().find(|name| *name != METADATA_POSITION) {
            return Err(Error::invalid(format!("a table in memory has no metadata '{name}'"))
                .with_hint(format!("it has '{METADATA_POSITION}'")));
        }
        let narrow = |batch: &RecordBatch| -> Result<RecordBatch> {
            let given = schema.fields().iter().filter(|field| !field.metadata().contains_key(METADATA_KEY));
            let columns = given.map(|field| pruned(&column(batch, field)?, field)).collect::<Result<Vec<_>>>()?;
            let rows = batch.num_rows();
            // Only names and types matter here: `poll` makes the batches that go out.
            let fields = schema.fields().iter().filter(|field| !field.metadata().contains_key(METADATA_KEY));
            let schema = arrow::datatypes::Schema::new(fields.cloned().collect::<Vec<_>>());
            Ok(RecordBatch::try_new_with_options(schema.into(), columns, &row_count(rows))?)
        };
        let narrow_part = |part: &Part| part.batches.iter().map(narrow).collect::<Result<_>>().map(Part::new);
        let parts = self.parts.iter().map(narrow_part).collect::<Result<_>>()?;
        Ok(Arc::new(RowsInMemory { schema, parts: Arc::new(parts), times: self.times }))
    }

    fn splits(&self, _workers: usize) -> Result<Vec<Split>> {
        let split = |part: usize| Cursor { part, row: 0 }.into_split(self.part_rows(part));
        Ok((0..self.parts.len()).map(split).collect())
    }

    fn open(&self, splits: Vec<Split>, context: &SourceContext) -> Result<Box<dyn Source>> {
        let cursors = splits.iter().map(|split| Cursor::from_split(split, self.parts.len()).map(Some));
        Ok(Box::new(MemorySource {
            cursors: cursors.collect::<Result<_>>()?,
            spec: self.clone(),
            batch_rows: context.batch_rows.max(1),
            counters: SourceCounters::default(),
        }))
    }
}

fn row_count(rows: usize) -> RecordBatchOptions {
    RecordBatchOptions::new().with_row_count(Some(rows))
}

fn column(batch: &RecordBatch, field: &Field) -> Result<ArrayRef> {
    let column = batch.column_by_name(field.name());
    column.cloned().ok_or_else(|| Error::internal(format!("a table in memory has no column {:?}", field.name())))
}

/// The column without the fields of rows that the wanted type leaves out.
fn pruned(column: &ArrayRef, wanted: &Field) -> Result<ArrayRef> {
    let DataType::Struct(fields) = wanted.data_type() else { return Ok(column.clone()) };
    let rows = column.as_struct();
    let parts = fields.iter().map(|field| {
        let part = rows.column_by_name(field.name());
        let part = part.ok_or_else(|| Error::internal(format!("a row in memory has no field {:?}", field.name())))?;
        pruned(part, field)
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), parts, rows.nulls().cloned(), rows.len())?))
}

/// How far one part is read, in rows and counting repetitions.
#[derive(Clone, Copy)]
struct Cursor {
    part: usize,
    row: u64,
}

impl Cursor {
    fn into_split(self, end: u64) -> Split {
        let words = [self.part as u64, self.row];
        Split {
            id: format!("part-{}", self.part),
            weight: end - self.row,
            state: words.iter().flat_map(|word| word.to_le_bytes()).collect(),
        }
    }

    fn from_split(split: &Split, parts: usize) -> Result<Cursor> {
        match split.state.as_chunks::<8>() {
            ([part, row], []) if u64::from_le_bytes(*part) < parts as u64 => {
                Ok(Cursor { part: u64::from_le_bytes(*part) as usize, row: u64::from_le_bytes(*row) })
            }
            _ => Err(Error::internal(format!("split '{}' is no part of a table in memory", split.id))),
        }
    }
}

struct MemorySource {
    spec: RowsInMemory,
    /// `None`: its end has been told.
    cursors: Vec<Option<Cursor>>,
    batch_rows: usize,
    counters: SourceCounters,
}

impl MemorySource {
    /// The rows at a cursor, without metadata; `None` at the end.
    fn rows_at(&self, cursor: Cursor) -> Option<RecordBatch> {
        let part = &self.spec.parts[cursor.part];
        if cursor.row >= self.spec.part_rows(cursor.part) {
            return None;
        }
        let (batch, offset) = part.find(cursor.row % part.rows())?;
        let rows = (batch.num_rows() - offset).min(self.batch_rows);
        Some(batch.slice(offset, rows))
    }

    fn with_metadata(&self, cursor: Cursor, rows: &RecordBatch) -> Result<RecordBatch> {
        let mut given = rows.columns().iter().cloned();
        let first = ((cursor.part as u64) << ROW_BITS) + cursor.row;
        let columns = self.spec.schema.fields().iter().map(|field| -> ArrayRef {
            if field.metadata().contains_key(METADATA_KEY) {
                return Arc::new(UInt64Array::from_iter_values(first..first + rows.num_rows() as u64));
            }
            given.next().expect("with_schema left one column for each field that is no metadata")
        });
        let columns = columns.collect();
        Ok(RecordBatch::try_new_with_options(self.spec.schema.clone(), columns, &row_count(rows.num_rows()))?)
    }
}

impl Source for MemorySource {
    fn poll(&mut self) -> Result<SourcePoll> {
        // The part that is least far goes next, so that all pass through event time together.
        let open = self.cursors.iter().enumerate().filter_map(|(split, cursor)| Some((split, (*cursor)?)));
        let Some((split, cursor)) = open.min_by_key(|(_, cursor)| cursor.row) else { return Ok(SourcePoll::End) };
        let Some(rows) = self.rows_at(cursor) else {
            self.cursors[split] = None;
            return Ok(SourcePoll::SplitEnd(split));
        };
        self.cursors[split] = Some(Cursor { row: cursor.row + rows.num_rows() as u64, ..cursor });
        self.counters.rows += rows.num_rows() as u64;
        Ok(SourcePoll::Batch(SourceBatch { split, rows: self.with_metadata(cursor, &rows)? }))
    }

    fn snapshot(&self) -> Vec<Split> {
        self.cursors.iter().flatten().map(|cursor| cursor.into_split(self.spec.part_rows(cursor.part))).collect()
    }

    fn counters(&self) -> SourceCounters {
        self.counters
    }
}
