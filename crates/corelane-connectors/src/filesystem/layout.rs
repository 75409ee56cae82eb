//! The columns of a batch: those read from the file, and those that are known about the file.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringViewArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use corelane_stream::origin::origin_detail;
use corelane_stream::source::{METADATA_KEY, METADATA_POSITION};
use corelane_stream::{Error, OriginDetail, Result};

use super::listing::FileInfo;
use super::partition_values::PartitionNames;
use crate::options::did_you_mean;
use corelane_stream::sql_type;

/// Bits of a position that hold the offset (or row number) in a file; those above hold the
/// file's ordinal.
const POSITION_OFFSET_BITS: u32 = 40;

/// Bytes of a file whose rows have positions.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << POSITION_OFFSET_BITS;
/// Files of one table.
pub(crate) const FILES_MAX: u64 = 1 << (64 - POSITION_OFFSET_BITS);

pub(crate) const METADATA_NAMES: &[&str] =
    &[METADATA_POSITION, "file.path", "file.name", "file.size", "file.modification-time"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// The next column read.
    Column,
    /// A column of `PARTITIONED BY`.
    Partition,
    Position,
    Origin(OriginDetail),
    Path,
    Name,
    Size,
    Modified,
}

/// What the columns of a batch are made from.
#[derive(Debug)]
pub(crate) struct Layout {
    schema: SchemaRef,
    columns: SchemaRef,
    slots: Vec<Slot>,
    partitions: PartitionNames,
    /// The columns of a batch in which no row may have NULL.
    required: Vec<usize>,
}

impl Layout {
    /// # Errors
    /// If a metadata column is not known, or is asked for as a type that it has not.
    pub fn new(schema: SchemaRef, partitions: PartitionNames) -> Result<Layout> {
        let slots = schema.fields().iter().map(|field| slot(field, &partitions)).collect::<Result<Vec<_>>>()?;
        let columns = schema.fields().iter().zip(&slots).filter(|(_, slot)| **slot == Slot::Column);
        let columns = Arc::new(Schema::new(columns.map(|(field, _)| Arc::clone(field)).collect::<Vec<_>>()));
        Ok(Layout { schema, columns, slots, partitions, required: Vec::new() })
    }

    /// The same for other columns of the table.
    ///
    /// # Errors
    /// As for `new`.
    pub fn with_schema(&self, schema: SchemaRef) -> Result<Layout> {
        Layout::new(schema, self.partitions.clone())
    }

    /// The same, where no row may have NULL in some columns.
    pub fn refusing_nulls(&self, names: &[&str]) -> Layout {
        let is_required = |field: &Field| names.contains(&field.name().as_str());
        let strict = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(!is_required(field)));
        let columns = self.columns.fields().iter().map(strict).collect::<Vec<_>>();
        let fields = self.schema.fields().iter().zip(&self.slots).enumerate();
        let required = fields
            .filter(|(_, (field, slot))| matches!(slot, Slot::Column | Slot::Partition) && is_required(field))
            .map(|(index, _)| index);
        Layout {
            schema: Arc::clone(&self.schema),
            columns: Arc::new(Schema::new(columns)),
            slots: self.slots.clone(),
            partitions: self.partitions.clone(),
            required: required.collect(),
        }
    }

    /// The columns of a batch in which no row may have NULL.
    pub fn required(&self) -> &[usize] {
        &self.required
    }

    /// All columns of a batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns that are read from the file.
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// What is to be told of each row's origin, if anything is.
    pub fn origin(&self) -> Option<OriginDetail> {
        self.slots.iter().find_map(|slot| if let Slot::Origin(detail) = slot { Some(*detail) } else { None })
    }

    /// Makes a batch of the columns read; row `r` lies at the r-th of `offsets` in the file.
    /// `origin` is the column of origins, where it is told.
    ///
    /// # Errors
    /// If the columns do not fit the schema.
    pub fn batch(
        &self,
        columns: Vec<ArrayRef>,
        offsets: &[u64],
        origin: Option<ArrayRef>,
        file: &FileInfo,
    ) -> Result<RecordBatch> {
        let rows = offsets.len();
        let mut columns = columns.into_iter();
        let fields = self.schema.fields().iter();
        let arrays = self.slots.iter().zip(fields).map(|(slot, field)| -> Result<ArrayRef> {
            Ok(match slot {
                Slot::Partition => self.partitions.column(field, &file.path, rows)?,
                Slot::Column => columns.next().expect("there is a column for each slot"),
                Slot::Position => {
                    let base = file.ordinal << POSITION_OFFSET_BITS;
                    Arc::new(UInt64Array::from_iter_values(offsets.iter().map(|offset| base | offset)))
                }
                Slot::Origin(_) => origin.clone().expect("origins are given where they are told"),
                Slot::Path => repeated(&file.path, rows),
                Slot::Name => repeated(file.name(), rows),
                Slot::Size => Arc::new(Int64Array::from_value(i64::try_from(file.size).unwrap_or(i64::MAX), rows)),
                Slot::Modified => {
                    Arc::new(TimestampMillisecondArray::from_value(file.modified_ms, rows).with_timezone("UTC"))
                }
            })
        });
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let arrays = arrays.collect::<Result<_>>()?;
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| Error::data(format!("cannot use the rows of '{}': {error}", file.path)))
    }
}

/// True for a column that is filled from what is known about the file.
pub(crate) fn is_metadata(field: &Field) -> bool {
    field.metadata().contains_key(METADATA_KEY)
}

fn slot(field: &Field, partitions: &PartitionNames) -> Result<Slot> {
    let Some(name) = field.metadata().get(METADATA_KEY) else {
        return Ok(if partitions.contains(field) { Slot::Partition } else { Slot::Column });
    };
    if let Some(detail) = origin_detail(field) {
        return Ok(Slot::Origin(detail));
    }
    let (slot, data_type) = match name.as_str() {
        METADATA_POSITION => (Slot::Position, DataType::UInt64),
        "file.path" => (Slot::Path, DataType::Utf8View),
        "file.name" => (Slot::Name, DataType::Utf8View),
        "file.size" => (Slot::Size, DataType::Int64),
        "file.modification-time" => {
            (Slot::Modified, DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC"))))
        }
        unknown => {
            let hint = match did_you_mean(unknown, METADATA_NAMES.iter().copied()) {
                Some(like) => format!("did you mean '{like}'?"),
                None => format!(
                    "there are {}",
                    METADATA_NAMES.iter().map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ")
                ),
            };
            return Err(
                Error::invalid(format!("connector 'filesystem' has no metadata column '{unknown}'")).with_hint(hint)
            );
        }
    };
    if *field.data_type() == data_type {
        return Ok(slot);
    }
    let (found, expected) = (sql_type(field.data_type()), sql_type(&data_type));
    Err(Error::invalid(format!(
        "column '{}' is a {found}, but the metadata column '{name}' is a {expected}",
        field.name()
    ))
    .with_hint(format!("declare it as {expected}")))
}

fn repeated(text: &str, rows: usize) -> ArrayRef {
    Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(text, rows)))
}
