//! Records of text to Arrow.
//!
//! A decoder takes whole records off the front of a buffer, row by row, into columns that a bad
//! row can be taken out of again: a bad row costs that row only, and no chunk is decoded twice.
//! The scanners are our own because they know the schema: they compare each key with the one
//! expected there, parse straight into the column, and never build a value in between.

pub(crate) mod column;
pub mod csv;
pub mod json;
mod trace;
pub mod value;

use arrow::array::{ArrayRef, BinaryViewArray};
use arrow::datatypes::SchemaRef;
use corelane_stream::limits::RECORD_BYTES_MAX;
use corelane_stream::{OriginDetail, Result};

use super::FormatOptions;

/// A buffer of records, and where it lies in its file.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Begins at the start of a record.
    pub bytes: &'a [u8],
    /// Offset of the first byte in the (uncompressed) file.
    pub offset: u64,
    /// Number of the first line, from 1, if it is known.
    pub line: Option<u64>,
    /// The file ends behind `bytes`, so that a last record without a newline is one.
    pub at_end: bool,
    /// Records that start at this offset of the file or behind it are not ours.
    pub limit: u64,
}

/// How far a call of `decode` came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub bytes: usize,
    pub lines: u64,
    /// The limit is reached: the rest is not ours.
    pub at_limit: bool,
}

/// A record that could not be decoded.
#[derive(Clone, Copy, Debug)]
pub struct BadRecord<'a> {
    pub offset: u64,
    pub line: Option<u64>,
    pub raw: &'a [u8],
    pub reason: &'a str,
}

/// Takes bad records; an error of it ends the decoding.
pub type OnBadRecord<'a> = dyn FnMut(&BadRecord<'_>) -> Result<()> + 'a;

/// Decoded rows.
#[derive(Debug)]
pub struct Rows {
    /// One array for each field of the read schema.
    pub columns: Vec<ArrayRef>,
    /// Where each row starts in its file.
    pub offsets: Vec<u64>,
    /// The same as words of positions, by line where lines are counted, if origins are wanted.
    pub places: Option<Vec<u64>>,
    /// The bytes of each row, if they are wanted.
    pub raw: Option<BinaryViewArray>,
}

pub trait Decoder {
    /// What follows is of this file, until the next call. Files may name their columns.
    fn begin_file(&mut self, _path: &str) {}

    /// True where the file is to name its columns and has not yet: its first record will.
    fn wants_header(&self) -> bool {
        false
    }

    /// Takes whole records off the front of `input` until it holds `rows_max` rows, the rest is
    /// no whole record, or the limit is reached.
    ///
    /// # Errors
    /// What `on_bad` returns; if the file does not name the columns of the table.
    fn decode(&mut self, input: &Input<'_>, rows_max: usize, on_bad: &mut OnBadRecord<'_>) -> Result<Progress>;

    /// Rows held.
    fn rows(&self) -> usize;

    /// Gives the rows held.
    ///
    /// # Errors
    /// If they break Arrow's rules, which would be a fault of the decoder.
    fn flush(&mut self) -> Result<Rows>;
}

/// Makes a decoder for text records. `declared` has all columns as they lie in the file; `read`
/// has those wanted, perhaps with fewer fields inside a `ROW`; `origin` is what is noted of rows.
///
/// # Errors
/// If a column's type cannot be decoded from the format, or the format is not one of text records.
pub fn decoder(
    format: &FormatOptions,
    declared: &SchemaRef,
    read: &SchemaRef,
    origin: Option<OriginDetail>,
) -> Result<Box<dyn Decoder>> {
    match format {
        FormatOptions::Json(options) => Ok(Box::new(json::JsonDecoder::new(options, read, origin)?)),
        FormatOptions::Csv(options) => Ok(Box::new(csv::CsvDecoder::new(options, declared, read, origin)?)),
        FormatOptions::Parquet => Err(corelane_stream::Error::internal("Parquet is not made of text records")),
    }
}

/// Why a record longer than the limit is refused.
pub(crate) fn too_long() -> String {
    format!("the record is longer than {} MiB", RECORD_BYTES_MAX >> 20)
}

/// How many bytes from the front are known to be UTF-8.
fn valid_utf8_len(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) => error.valid_up_to(),
    }
}

/// The reason why a record is not UTF-8; `None` if it is.
pub(crate) fn utf8_fault(record: &[u8]) -> Option<String> {
    let error = std::str::from_utf8(record).err()?;
    Some(format!("invalid UTF-8 at byte {} of the record", error.valid_up_to()))
}

fn without_carriage_return(record: &[u8]) -> &[u8] {
    record.strip_suffix(b"\r").unwrap_or(record)
}

fn quoted(text: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 60;
    let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN_BYTES_MAX)]);
    let more = if SHOWN_BYTES_MAX < text.len() { ".." } else { "" };
    format!("\"{}{more}\"", shown.escape_debug())
}
