//! Reading Parquet, a row group at a time.
//!
//! Only the leaf columns that are wanted are read, strings as views. The reader is not proof
//! against hostile files (it has paniced on corrupt ones), so it runs behind `catch_unwind`, and
//! a panic becomes the error that the file deserves.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use corelane_stream::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;

use super::listing::cannot_read;
use crate::options::{did_you_mean, listed};
use corelane_stream::sql_type;

/// What a Parquet file begins and ends with.
const MAGIC: &[u8; 4] = b"PAR1";

/// The letters twice, and the length of the footer.
const SMALLEST_BYTES: u64 = 12;

/// An open file, for the row groups of it that follow each other.
pub(crate) struct ParquetFile {
    path: String,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    /// # Errors
    /// If the file cannot be read or is no Parquet file.
    pub fn open(path: &str) -> Result<Self> {
        let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
        let load = |schema: Option<SchemaRef>| {
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let options = match schema {
                Some(schema) => options.with_schema(schema),
                None => options,
            };
            guarded(path, "its footer, which describes it, is damaged", || ArrowReaderMetadata::load(&file, options))
        };
        check_ends(path, &file)?;
        let stored = load(None)?;
        let views = Arc::new(Schema::new(stored.schema().fields().iter().map(with_views).collect::<Vec<_>>()));
        let metadata = if views == *stored.schema() { stored } else { load(Some(views))? };
        Ok(ParquetFile { path: path.to_owned(), file, metadata })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The size of each row group.
    pub fn row_group_bytes(&self) -> Vec<u64> {
        self.metadata.metadata().row_groups().iter().map(bytes_of).collect()
    }

    /// The schema that a table of this file has if nobody declares one.
    pub fn table_schema(&self) -> SchemaRef {
        let fields = self.metadata.schema().fields().iter().map(with_table_type);
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.metadata.metadata().row_groups().iter().map(rows_of).sum()
    }

    /// Tells a file that has nothing to do with a table: columns that a file lacks are NULL, but it has some.
    ///
    /// # Errors
    /// If it has none of the declared columns.
    pub fn check_any_of(&self, declared: &Schema) -> Result<()> {
        let found = self.metadata.schema().fields();
        let Some(first) = declared.fields().first() else { return Ok(()) };
        if declared.fields().iter().any(|declared| found.find(declared.name()).is_some()) {
            return Ok(());
        }
        let names = || found.iter().map(|field| field.name().as_str());
        let error = Error::io(format!(
            "the file '{}' has none of the declared columns: its columns are {}",
            self.path,
            listed(names())
        ));
        Err(error.with_hint(match did_you_mean(first.name(), names()) {
            Some(like) => format!("did you mean '{like}' by '{}'?", first.name()),
            None => "declare the columns by their names in the file, or give another 'path'".to_owned(),
        }))
    }

    /// Opens one row group behind its first `rows_read` rows.
    ///
    /// # Errors
    /// If a column has another type, or one that is NOT NULL is missing, or the row group cannot be read.
    pub fn row_group(&self, number: usize, rows_read: u64, columns: &SchemaRef, batch_rows: usize) -> Result<RowGroup> {
        let groups = self.metadata.metadata().row_groups();
        if groups.len() <= number {
            return Err(self.corrupt(&format!("row group {number} is gone: the file has been replaced")));
        }
        let first_row: u64 = groups[..number].iter().map(rows_of).sum();
        let mut leaves = Vec::new();
        let mut next_leaf = 0;
        for field in self.metadata.schema().fields() {
            let wanted = columns.fields().find(field.name()).map(|(_, wanted)| wanted.as_ref());
            select_leaves(field, wanted, &mut next_leaf, &mut leaves);
        }
        for wanted in columns.fields() {
            self.check_column(wanted)?;
        }
        let reader = guarded(&self.path, &damaged(number), || {
            let file = self.file.try_clone()?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
            let mask = ProjectionMask::leaves(builder.parquet_schema(), leaves);
            let builder = builder.with_projection(mask).with_row_groups(vec![number]).with_batch_size(batch_rows);
            builder.with_offset(rows_read as usize).build()
        })?;
        let mut group = RowGroup {
            path: self.path.clone(),
            number,
            columns: Arc::clone(columns),
            reader,
            rows_read,
            first_row,
            bytes: bytes_of(&groups[number]),
            rows: rows_of(&groups[number]),
            told: 0,
        };
        group.take_bytes();
        Ok(group)
    }

    fn check_column(&self, wanted: &FieldRef) -> Result<()> {
        let schema = self.metadata.schema();
        let Some((_, found)) = schema.fields().find(wanted.name()) else {
            if wanted.is_nullable() {
                return Ok(());
            }
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let message = format!("the file '{}' has no column '{}', which is NOT NULL", self.path, wanted.name());
            let error = Error::io(message);
            return Err(match did_you_mean(wanted.name(), names) {
                Some(like) => error.with_hint(format!("did you mean '{like}'?")),
                None => error,
            });
        };
        if is_lossless(found.data_type(), wanted.data_type()) {
            return Ok(());
        }
        let (found, declared) = (sql_type(with_table_type(found).data_type()), sql_type(wanted.data_type()));
        let message =
            format!("column '{}' of '{}' is a {found} and cannot be read as {declared}", wanted.name(), self.path);
        Err(Error::io(message).with_hint(format!("declare it as {found} and CAST it")))
    }

    fn corrupt(&self, reason: &str) -> Error {
        corrupt(&self.path, reason)
    }
}

fn rows_of(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or(0)
}

fn bytes_of(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.compressed_size()).unwrap_or(0)
}

/// A row group being read.
pub(crate) struct RowGroup {
    path: String,
    number: usize,
    columns: SchemaRef,
    reader: ParquetRecordBatchReader,
    rows_read: u64,
    /// The number in the file of the row group's first row.
    first_row: u64,
    bytes: u64,
    rows: u64,
    /// The part of `bytes` that has been told.
    told: u64,
}

impl RowGroup {
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// The columns of the next rows, and the numbers of those rows in the file.
    ///
    /// # Errors
    /// If the file is corrupt, or a value does not fit the declared type.
    pub fn next(&mut self) -> Result<Option<(Vec<ArrayRef>, Vec<u64>)>> {
        let next = guarded(&self.path, &damaged(self.number), || self.reader.next().transpose())?;
        let Some(batch) = next else {
            if self.rows_read != self.rows {
                let (number, told, found) = (self.number, self.rows, self.rows_read);
                let reason = format!("row group {number} has {found} rows and the footer says {told}");
                return Err(corrupt(&self.path, &reason));
            }
            return Ok(None);
        };
        let columns =
            self.columns.fields().iter().map(|wanted| self.column(&batch, wanted)).collect::<Result<Vec<_>>>()?;
        let first = self.first_row + self.rows_read;
        self.rows_read += batch.num_rows() as u64;
        Ok(Some((columns, (first..first + batch.num_rows() as u64).collect())))
    }

    /// The share of the row group's bytes that the rows since the last call take.
    pub fn take_bytes(&mut self) -> u64 {
        let share = u128::from(self.bytes) * u128::from(self.rows_read) / u128::from(self.rows.max(1));
        let told = std::mem::replace(&mut self.told, share as u64);
        self.told - told
    }

    fn column(&self, batch: &RecordBatch, wanted: &FieldRef) -> Result<ArrayRef> {
        // Rows that were written before there was such a column have no value for it.
        let Some(column) = batch.column_by_name(wanted.name()) else {
            return Ok(new_null_array(wanted.data_type(), batch.num_rows()));
        };
        adapt(column, wanted.data_type()).map_err(|error| {
            let name = sql_type(wanted.data_type());
            Error::data(format!("cannot read column '{}' of '{}' as {name}: {error}", wanted.name(), self.path))
        })
    }
}

fn corrupt(path: &str, reason: &str) -> Error {
    Error::io(format!("cannot read '{path}' as Parquet: {reason}"))
        .with_hint("write the file again, or fetch it again from where it came")
}

fn unsupported(path: &str, what: &str) -> Error {
    Error::io(format!("cannot read '{path}' as Parquet: it uses what is not supported: {what}"))
        .with_hint("write the file without it")
}

fn damaged(row_group: usize) -> String {
    format!("its row group {row_group} is damaged")
}

/// Whether a file may be one that is still being written: the footer comes last, and it has none yet.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn is_unfinished(path: &str) -> Result<bool> {
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    let Ends { size, first, last } = Ends::of(path, &file)?;
    Ok(size < SMALLEST_BYTES || (&first == MAGIC && &last != MAGIC))
}

/// The letters that a file begins and ends with, if it is as long as any Parquet file.
struct Ends {
    size: u64,
    first: [u8; 4],
    last: [u8; 4],
}

impl Ends {
    fn of(path: &str, mut file: &File) -> Result<Ends> {
        let fault = |error: &io::Error| cannot_read(path, error);
        let size = file.metadata().map_err(|error| fault(&error))?.len();
        let (mut first, mut last) = ([0; 4], [0; 4]);
        if SMALLEST_BYTES <= size {
            file.seek(SeekFrom::Start(0)).and_then(|_| file.read_exact(&mut first)).map_err(|error| fault(&error))?;
            file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut last)).map_err(|error| fault(&error))?;
        }
        Ok(Ends { size, first, last })
    }
}

/// Tells what is no Parquet file from one that is damaged.
fn check_ends(path: &str, file: &File) -> Result<()> {
    let Ends { size, first, last } = Ends::of(path, file)?;
    if size == 0 {
        return Err(corrupt(path, "it is empty"));
    }
    match (&first == MAGIC, &last == MAGIC) {
        (true, true) => Ok(()),
        (true, false) => Err(corrupt(path, "it is cut off: a Parquet file ends in a footer, and this one has none")),
        (false, _) if &last == b"PARE" || &first == b"PARE" => Err(corrupt(path, "it is encrypted")),
        (false, _) => Err(corrupt(path, "it is another format")
            .with_hint("name the format that it has: 'format' = 'csv' or 'json', or the ending .csv or .json")),
    }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// True while a panic of this thread would be that of a reader over a corrupt file, which is
/// caught and told as the file's fault: nobody else need tell of it.
pub fn is_reading_guarded() -> bool {
    GUARDED.get()
}

/// Runs the reader so that neither its errors nor its panics pass by without the file's name, in
/// words of ours: its own speak of the format's inside.
fn guarded<T, E: Into<ParquetError>>(path: &str, damage: &str, read: impl FnOnce() -> Result<T, E>) -> Result<T> {
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(false);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match error.into() {
            ParquetError::NYI(what) => unsupported(path, &what),
            ParquetError::External(error) => match error.downcast_ref::<io::Error>() {
                Some(error) if error.raw_os_error().is_some() => cannot_read(path, error),
                // An error on its way through arrow is a text.
                Some(_) | None => match error.to_string().split_once("NYI: ") {
                    Some((_, what)) => unsupported(path, what),
                    None => corrupt(path, damage),
                },
            },
            _ => corrupt(path, damage),
        }),
        Err(_) => Err(corrupt(path, damage)),
    }
}

/// The type that a column is read as: strings and their like as views.
fn with_views(field: &FieldRef) -> FieldRef {
    let nested = |inner: &FieldRef| with_views(inner);
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::List(element) => DataType::List(nested(element)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nested).collect()),
        DataType::Map(entries, sorted) => DataType::Map(nested(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// The SQL type that stands for a column: no unsigned or narrow types that SQL has not.
fn with_table_type(field: &FieldRef) -> FieldRef {
    let nested = |inner: &FieldRef| with_table_type(inner);
    let data_type = match field.data_type() {
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("UTC".into())),
        DataType::FixedSizeBinary(_) | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(element) => DataType::List(nested(element)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nested).collect()),
        DataType::Map(entries, sorted) => DataType::Map(nested(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

/// Notes the leaf columns below `field` that are wanted, in the order of the file.
fn select_leaves(field: &Field, wanted: Option<&Field>, next_leaf: &mut usize, leaves: &mut Vec<usize>) {
    match field.data_type() {
        DataType::Struct(children) => {
            for child in children {
                let inner = match wanted.map(Field::data_type) {
                    Some(DataType::Struct(fields)) => fields.find(child.name()).map(|(_, field)| field.as_ref()),
                    // Another type: the check of the column will say so.
                    Some(_) | None => None,
                };
                select_leaves(child, inner, next_leaf, leaves);
            }
        }
        DataType::List(element) => {
            let inner = match wanted.map(Field::data_type) {
                Some(DataType::List(inner)) => Some(inner.as_ref()),
                Some(_) | None => None,
            };
            select_leaves(element, inner, next_leaf, leaves);
        }
        // A map is read whole; the names of its inner fields are anybody's.
        DataType::Map(entries, _) => {
            let DataType::Struct(children) = entries.data_type() else { return };
            for child in children {
                select_leaves(child, wanted.map(|_| child.as_ref()), next_leaf, leaves);
            }
        }
        _ => {
            if wanted.is_some() {
                leaves.push(*next_leaf);
            }
            *next_leaf += 1;
        }
    }
}

/// Whether every value of one type can be had as the other. A timestamp may lose digits, since
/// its precision is declared in so many words.
fn is_lossless(found: &DataType, wanted: &DataType) -> bool {
    use DataType::*;
    if found == wanted {
        return true;
    }
    match (found, wanted) {
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (UInt8, Int16 | Int32 | Int64) | (UInt16, Int32 | Int64) | (UInt32, Int64) => true,
        (Int8 | Int16 | UInt8 | UInt16, Float32 | Float64) | (Int32 | UInt32, Float64) => true,
        (Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64, Decimal128(precision, scale)) => {
            whole_digits(found) <= i16::from(*precision) - i16::from(*scale)
        }
        (Decimal128(p, s), Decimal128(precision, scale)) => {
            s <= scale && i16::from(*p) - i16::from(*s) <= i16::from(*precision) - i16::from(*scale)
        }
        (Float16, Float32 | Float64) | (Float32, Float64) => true,
        (Timestamp(_, _), Timestamp(_, _)) | (Date32 | Date64, Timestamp(_, None)) => true,
        (Time32(_) | Time64(_), Time32(_) | Time64(_)) => true,
        (Utf8 | LargeUtf8 | Utf8View, Utf8View) | (Dictionary(_, _), Utf8View) => true,
        (Binary | LargeBinary | BinaryView | FixedSizeBinary(_), Binary) => true,
        (List(found), List(wanted)) => is_lossless(found.data_type(), wanted.data_type()),
        (Map(found, _), Map(wanted, _)) => match (found.data_type(), wanted.data_type()) {
            (Struct(found), Struct(wanted)) => {
                found.iter().zip(wanted).all(|(found, wanted)| is_lossless(found.data_type(), wanted.data_type()))
            }
            (_, _) => false,
        },
        (Struct(found), Struct(wanted)) => wanted.iter().all(|wanted| {
            found.find(wanted.name()).is_some_and(|(_, found)| is_lossless(found.data_type(), wanted.data_type()))
        }),
        (_, _) => false,
    }
}

fn whole_digits(integer: &DataType) -> i16 {
    match integer {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        _ => 20,
    }
}

/// Gives an array the wanted type. ROWs are matched by name, so Arrow's cast will not do for them.
fn adapt(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    Ok(match (array.data_type(), wanted) {
        (DataType::Struct(_), DataType::Struct(fields)) => Arc::new(adapt_struct(array.as_struct(), fields)?),
        (DataType::List(_), DataType::List(element)) => {
            let lists: &ListArray = array.as_list();
            let elements = adapt(lists.values(), element.data_type())?;
            Arc::new(ListArray::try_new(
                Arc::clone(element),
                lists.offsets().clone(),
                elements,
                lists.nulls().cloned(),
            )?)
        }
        (DataType::Map(_, _), DataType::Map(entries, sorted)) => {
            let maps: &MapArray = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else {
                return Err(ArrowError::SchemaError("a map without entries".to_owned()));
            };
            let columns =
                maps.entries().columns().iter().zip(fields).map(|(column, field)| adapt(column, field.data_type()));
            let rows = StructArray::try_new(fields.clone(), columns.collect::<Result<Vec<_>, _>>()?, None)?;
            let offsets = maps.offsets().clone();
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, rows, maps.nulls().cloned(), *sorted)?)
        }
        (_, _) => cast_with_options(array, wanted, &CastOptions { safe: false, ..Default::default() })?,
    })
}

fn adapt_struct(rows: &StructArray, fields: &Fields) -> Result<StructArray, ArrowError> {
    let columns = fields.iter().map(|field| match rows.column_by_name(field.name()) {
        Some(column) => adapt(column, field.data_type()),
        None => Err(ArrowError::SchemaError(format!("the ROW has no field '{}'", field.name()))),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new_with_length(fields.clone(), columns, rows.nulls().cloned(), rows.len())
}
