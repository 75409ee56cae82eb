//! Parquet, with row groups small enough that an open file costs bounded memory.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use corelane_stream::{OptionDef, Result, TableOptions};
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
