//! Parquet, with row groups small enough that an open file costs bounded memory.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use corelane_stream::{Error, OptionDef, Result, TableOptions, sql_type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::options::Options;

/// Rows of one row group: what is read at once by a worker, and held in memory by the writer.
const ROW_GROUP_ROWS: usize = 128 << 10;

/// Bytes of one row group, for wide rows.
const ROW_GROUP_BYTES: usize = 64 << 20;

pub(super) const OPTIONS: &[OptionDef] = &[OptionDef {
    name: "parquet.compression",
    default: Some("snappy"),
    required: false,
    help: "How pages are compressed: 'snappy', 'zstd', 'gzip', 'lz4' or 'uncompressed'.",
}];

/// Parquet and its options.
#[derive(Clone, Debug, PartialEq)]
pub struct ParquetEncoding {
    compression: Compression,
}

impl ParquetEncoding {
    /// # Errors
    /// If an option's value is wrong.
    pub fn new(options: &TableOptions) -> Result<Self> {
        let choices = [
            ("snappy", Compression::SNAPPY),
            ("zstd", Compression::ZSTD(ZstdLevel::default())),
            ("gzip", Compression::GZIP(Default::default())),
            ("lz4", Compression::LZ4_RAW),
            ("uncompressed", Compression::UNCOMPRESSED),
            ("none", Compression::UNCOMPRESSED),
        ];
        let compression = Options::new(options).choice("parquet.compression", &choices)?;
        Ok(ParquetEncoding { compression: compression.unwrap_or(Compression::SNAPPY) })
    }

    pub(super) fn writer<W: Write + Send>(&self, out: W, schema: &SchemaRef) -> Result<ArrowWriter<W>, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(self.compression)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .build();
        ArrowWriter::try_new(out, Arc::clone(schema), Some(properties))
    }
}

/// Checks that all columns can be written to a Parquet file.
///
/// # Errors
/// If one is or holds an INTERVAL: the writer has none of nanoseconds.
pub fn check_parquet(schema: &Schema) -> Result<()> {
    let Some(field) = schema.fields().iter().find(|field| holds_interval(field.data_type())) else { return Ok(()) };
    let (name, data_type) = (field.name(), sql_type(field.data_type()));
    Err(Error::invalid(format!(
        "column '{name}' is of type {data_type}, and Parquet files are written without INTERVALs"
    ))
    .with_hint("CAST it to STRING, or write json or csv"))
}

fn holds_interval(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_) => true,
        DataType::List(inner) | DataType::Map(inner, _) => holds_interval(inner.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_interval(field.data_type())),
        _ => false,
    }
}

/// The schema as Parquet can hold it: it has no timestamps and times in seconds.
pub(super) fn storable(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> =
        schema.fields().iter().map(|field| field.as_ref().clone().with_data_type(storable_type(field))).collect();
    Arc::new(Schema::new(fields))
}

fn storable_type(field: &Field) -> DataType {
    match field.data_type() {
        DataType::Timestamp(TimeUnit::Second, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::Time32(TimeUnit::Second) => DataType::Time32(TimeUnit::Millisecond),
        other => other.clone(),
    }
}

pub(super) fn cast(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = rows
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| compute::cast(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
