//! Rows to bytes: csv, json lines and parquet.
//!
//! An [`Encoding`] is a format and its options, plain data; an [`Encoder`] is one file being
//! written with it. Text formats need no state, so [`TextEncoding`] can also be used alone by
//! whoever prints rows.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use corelane_stream::wording::io_reason;
use corelane_stream::{Error, OptionDef, Result, TableOptions};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

mod csv;
mod json;
mod parquet_file;

pub use self::csv::{CsvEncoding, check_csv};
pub use self::json::JsonEncoding;
pub use self::parquet_file::{ParquetEncoding, check_parquet};

use crate::options::wrong_value;

/// Rows of one piece of text: bounds the buffer between a batch and the file.
const TEXT_ROWS: usize = 1_024;

/// Options of the formats that concern writing alone; those that reading shares are listed there.
pub fn options() -> Vec<OptionDef> {
    [json::OPTIONS, parquet_file::OPTIONS].concat()
}

/// A format of lines of text, and its options.
#[derive(Clone, Debug, PartialEq)]
pub enum TextEncoding {
    Csv(CsvEncoding),
    Json(JsonEncoding),
}

impl TextEncoding {
    /// Appends what stands before the first row: the names of the columns, if csv is to have them.
    pub fn header(&self, schema: &Schema, out: &mut String) {
        match self {
            TextEncoding::Csv(csv) => csv.header(schema, out),
            TextEncoding::Json(_) => {}
        }
    }

    /// Appends rows, each with its line end.
    ///
    /// # Errors
    /// If the format has no text for a column's type.
    pub fn encode(&self, rows: &RecordBatch, out: &mut String) -> Result<()> {
        match self {
            TextEncoding::Csv(csv) => csv.encode(rows, out),
            TextEncoding::Json(json) => json.encode(rows, out),
        }
    }
}

/// A format and its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    Text(TextEncoding),
    Parquet(ParquetEncoding),
}

impl Encoding {
    /// Reads the options of a format.
    ///
    /// # Errors
    /// If there is no such format, or an option's value is wrong.
    pub fn new(format: &str, options: &TableOptions) -> Result<Self> {
        Ok(match format {
            "csv" => Encoding::Text(TextEncoding::Csv(CsvEncoding::new(options)?)),
            "json" => Encoding::Text(TextEncoding::Json(JsonEncoding::new(options)?)),
            "parquet" => Encoding::Parquet(ParquetEncoding::new(options)?),
            other => return Err(wrong_value("format", other, "'csv', 'json', 'parquet'")),
        })
    }

    /// The ending of its files' names: `csv`.
    pub fn extension(&self) -> &'static str {
        match self {
            Encoding::Text(TextEncoding::Csv(_)) => "csv",
            Encoding::Text(TextEncoding::Json(_)) => "json",
            Encoding::Parquet(_) => "parquet",
        }
    }

    /// Checks that rows of this schema can be written at all.
    ///
    /// # Errors
    /// If the format has no way to write a column's type.
    pub fn check(&self, schema: &SchemaRef) -> Result<()> {
        let refused = |error: Error| {
            let message = format!("format '{}' cannot take the table's columns: {error}", self.extension());
            let error_out = Error::invalid(message);
            match error.hint() {
                Some(hint) => error_out.with_hint(hint),
                None => error_out,
            }
        };
        let mut encoder = Encoder::new(self, schema, io::sink(), "nowhere".to_owned()).map_err(refused)?;
        encoder.write(&RecordBatch::new_empty(Arc::clone(schema))).map_err(refused)?;
        encoder.finish().map_err(refused)?;
        Ok(())
    }
}

/// One file being written.
pub struct Encoder<W: Write + Send> {
    /// For messages: where the bytes go.
    destination: String,
    body: Body<W>,
}

enum Body<W: Write + Send> {
    Text {
        encoding: TextEncoding,
        text: String,
        out: W,
    },
    /// With the schema that the columns are cast to, where Parquet lacks a type.
    Parquet {
        writer: Box<ArrowWriter<W>>,
        schema: SchemaRef,
    },
}

impl<W: Write + Send> Encoder<W> {
    /// Starts a file; `destination` names it in messages.
    ///
    /// # Errors
    /// If the format cannot write a column's type, or the destination cannot be written.
    pub fn new(encoding: &Encoding, schema: &SchemaRef, mut out: W, destination: String) -> Result<Self> {
        let body = match encoding {
            Encoding::Text(encoding) => {
                let mut text = String::new();
                encoding.header(schema, &mut text);
                out.write_all(text.as_bytes()).map_err(|error| cannot_write(&destination, &error))?;
                Body::Text { encoding: encoding.clone(), text, out }
            }
            Encoding::Parquet(encoding) => {
                check_parquet(schema)?;
                let schema = parquet_file::storable(schema);
                let writer = encoding.writer(out, &schema).map_err(|error| parquet_refused(&destination, &error))?;
                Body::Parquet { writer: Box::new(writer), schema }
            }
        };
        Ok(Encoder { destination, body })
    }

    /// Writes rows; they need not reach the destination yet.
    ///
    /// # Errors
    /// If the destination cannot be written.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        match &mut self.body {
            Body::Text { encoding, text, out } => {
                for start in (0..rows.num_rows().max(1)).step_by(TEXT_ROWS) {
                    text.clear();
                    encoding.encode(&rows.slice(start, TEXT_ROWS.min(rows.num_rows() - start)), text)?;
                    out.write_all(text.as_bytes()).map_err(|error| cannot_write(&self.destination, &error))?;
                }
                Ok(())
            }
            Body::Parquet { writer, schema } => {
                let rows = parquet_file::cast(rows, schema)?;
                writer.write(&rows).map_err(|error| parquet_refused(&self.destination, &error))
            }
        }
    }

    /// Bytes that are held back and not yet written.
    pub fn buffered(&self) -> usize {
        match &self.body {
            Body::Text { .. } => 0,
            Body::Parquet { writer, .. } => writer.in_progress_size(),
        }
    }

    /// Where the bytes go.
    pub fn destination(&mut self) -> &mut W {
        match &mut self.body {
            Body::Text { out, .. } => out,
            Body::Parquet { writer, .. } => writer.inner_mut(),
        }
    }

    /// Writes what is held back and the end of the file.
    ///
    /// # Errors
    /// If the destination cannot be written.
    pub fn finish(self) -> Result<W> {
        match self.body {
            Body::Text { out, .. } => Ok(out),
            Body::Parquet { writer, .. } => {
                writer.into_inner().map_err(|error| parquet_refused(&self.destination, &error))
            }
        }
    }
}

/// The error of a file that cannot be written; `destination` is as messages show it.
pub(crate) fn cannot_write(destination: &str, error: &io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some("free some space, or choose another path"),
        io::ErrorKind::FileTooLarge => Some("raise the limit on the size of files (ulimit -f), or roll files earlier"),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Some("choose a path whose directories can be made"),
        io::ErrorKind::PermissionDenied => Some("check the owner and the mode of the directory"),
        io::ErrorKind::ReadOnlyFilesystem => Some("choose a path on a filesystem that can be written"),
        _ => None,
    };
    let error = Error::io(format!("cannot write {destination}: {}", io_reason(error)));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// What the Parquet writer says of its file is the file's error in a wrapping.
fn parquet_refused(destination: &str, error: &ParquetError) -> Error {
    if let ParquetError::External(inner) = error
        && let Some(inner) = inner.downcast_ref::<io::Error>()
    {
        return cannot_write(destination, inner);
    }
    Error::io(format!("cannot write {destination}: {error}"))
}

#[cfg(test)]
mod tests;
