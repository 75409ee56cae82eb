//! How files are cut up: byte ranges of text, row groups of Parquet.
//!
//! Ranges have a fixed size, so that the splits of an input are the same on any number of
//! workers. A range owns the records that start in it; the last of them may reach into the next.
//! In CSV with quotes a newline may lie inside a field, and only the quotes before it tell: such
//! files are walked once, here, for the starts of records. Compressed files are one split each,
//! and so are files whose quotes cannot be told from the outside: with escapes or comments.

use std::fs::File;
use std::io::{self, Read};

use corelane_stream::{Error, Result, Split};
use serde_json::{Value, json};

use super::layout::{FILE_BYTES_MAX, FILES_MAX};
use super::listing::{FileInfo, cannot_read};
use super::parquet::ParquetFile;
use super::text::{Compression, Range};
use crate::format::decode::csv::RecordStarts;
use crate::format::{CsvOptions, FormatOptions};

/// Bytes of one range: some ten milliseconds of work, far more than opening a file costs.
pub(crate) const RANGE_BYTES: u64 = 8 << 20;

const WALK_CHUNK_BYTES: usize = 1 << 20;

/// A part of a table on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileSplit {
    Text { file: FileInfo, range: Range },
    RowGroup { file: FileInfo, row_group: usize, rows_read: u64, bytes: u64 },
    Stdin,
}

impl FileSplit {
    /// The file it is a part of.
    pub fn path(&self) -> Option<&str> {
        match self {
            FileSplit::Text { file, .. } | FileSplit::RowGroup { file, .. } => Some(&file.path),
            FileSplit::Stdin => None,
        }
    }

    pub fn to_split(&self) -> Split {
        let (id, weight, state) = match self {
            FileSplit::Text { file, range } => {
                let weight = range.end.min(file.size).saturating_sub(range.start);
                let state = json!({ "file": file_state(file), "range": range_state(range) });
                (format!("{}@{}", file.path, range.start), weight, state)
            }
            FileSplit::RowGroup { file, row_group, rows_read, bytes } => {
                let state = json!({
                    "file": file_state(file), "row_group": row_group, "rows_read": rows_read, "bytes": bytes,
                });
                (format!("{}#{row_group}", file.path), *bytes, state)
            }
            FileSplit::Stdin => ("-".to_owned(), 0, Value::Null),
        };
        Split { id, weight, state: state.to_string().into_bytes() }
    }

    /// # Errors
    /// If the split is not one of ours.
    pub fn of_split(split: &Split) -> Result<FileSplit> {
        let foreign = || Error::internal(format!("the split '{}' is not one of files", split.id));
        let state: Value = serde_json::from_slice(&split.state).map_err(|_| foreign())?;
        if state.is_null() {
            return Ok(FileSplit::Stdin);
        }
        let file = file_of_state(&state["file"]).ok_or_else(foreign)?;
        if let Some(row_group) = state["row_group"].as_u64() {
            let rows_read = state["rows_read"].as_u64().ok_or_else(foreign)?;
            let bytes = state["bytes"].as_u64().ok_or_else(foreign)?;
            return Ok(FileSplit::RowGroup { file, row_group: row_group as usize, rows_read, bytes });
        }
        let range = range_of_state(&state["range"]).ok_or_else(foreign)?;
        Ok(FileSplit::Text { file, range })
    }
}

pub(crate) fn file_state(file: &FileInfo) -> Value {
    json!({
        "path": file.path,
        "ordinal": file.ordinal,
        "size": file.size,
        "modified_ms": file.modified_ms,
        "identity": file.identity,
    })
}

pub(crate) fn file_of_state(state: &Value) -> Option<FileInfo> {
    Some(FileInfo {
        path: state["path"].as_str()?.to_owned(),
        ordinal: state["ordinal"].as_u64()?,
        size: state["size"].as_u64()?,
        modified_ms: state["modified_ms"].as_i64()?,
        identity: state["identity"].as_u64()?,
    })
}

pub(crate) fn range_state(range: &Range) -> Value {
    json!({
        "start": range.start,
        "end": range.end,
        "aligned": range.aligned,
        "line": range.line,
        "reading_over": range.reading_over,
    })
}

pub(crate) fn range_of_state(state: &Value) -> Option<Range> {
    Some(Range {
        start: state["start"].as_u64()?,
        end: state["end"].as_u64()?,
        aligned: state["aligned"].as_bool()?,
        line: state["line"].as_u64(),
        reading_over: state["reading_over"].as_bool()?,
    })
}

/// Cuts files into splits of at most about `range_bytes`.
///
/// # Errors
/// If a file cannot be read, or there is more than positions can count.
pub(crate) fn cut(files: Vec<FileInfo>, format: &FormatOptions, range_bytes: u64) -> Result<Vec<FileSplit>> {
    if FILES_MAX <= files.len() as u64 {
        return Err(Error::invalid(format!("a table has at most {FILES_MAX} files, and this one has {}", files.len())));
    }
    let mut splits = Vec::new();
    for file in files {
        if FILE_BYTES_MAX <= file.size {
            let message =
                format!("the file '{}' has {} bytes, and at most {FILE_BYTES_MAX} can be read", file.path, file.size);
            return Err(Error::invalid(message));
        }
        match format {
            FormatOptions::Parquet => {
                for (row_group, bytes) in ParquetFile::open(&file.path)?.row_group_bytes().into_iter().enumerate() {
                    splits.push(FileSplit::RowGroup { file: file.clone(), row_group, rows_read: 0, bytes });
                }
            }
            FormatOptions::Json(_) => cut_text(file, None, range_bytes, &mut splits)?,
            FormatOptions::Csv(csv) => cut_text(file, Some(csv), range_bytes, &mut splits)?,
        }
    }
    Ok(splits)
}

fn cut_text(file: FileInfo, csv: Option<&CsvOptions>, range_bytes: u64, splits: &mut Vec<FileSplit>) -> Result<()> {
    let opaque = csv.is_some_and(|csv| csv.escape.is_some() || csv.comments);
    let whole = file.size <= range_bytes || opaque || Compression::of_file(&file.path)? != Compression::None;
    if whole {
        splits.push(FileSplit::Text { file, range: Range::WHOLE });
        return Ok(());
    }
    let quote = csv.and_then(|csv| Some((csv.quote?, csv.delimiter)));
    let starts = match quote {
        Some((quote, delimiter)) => quoted_starts(&file.path, range_bytes, quote, delimiter)?,
        None => (1..file.size.div_ceil(range_bytes)).map(|number| number * range_bytes).collect(),
    };
    let mut range = Range::WHOLE;
    for start in starts {
        range.end = start;
        splits.push(FileSplit::Text { file: file.clone(), range });
        range = Range { start, end: u64::MAX, aligned: quote.is_some(), line: None, reading_over: false };
    }
    range.end = file.size;
    splits.push(FileSplit::Text { file, range });
    Ok(())
}

/// Where records of a CSV file start: the first at or behind each multiple of `range_bytes`.
fn quoted_starts(path: &str, range_bytes: u64, quote: u8, delimiter: u8) -> Result<Vec<u64>> {
    let mut file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    let mut chunk = vec![0; WALK_CHUNK_BYTES];
    let mut walk = RecordStarts::new(quote, delimiter);
    let mut starts = Vec::new();
    let mut offset = 0u64;
    let mut wanted = range_bytes;
    loop {
        let len = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cannot_read(path, &error)),
        };
        let mut at = if offset == 0 && chunk[..len].starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        // The newline at `wanted - 1` makes a record start at `wanted`.
        while let Some(found) = walk.walk(&chunk[at..len], (wanted - 1).saturating_sub(offset + at as u64) as usize) {
            at += found;
            let start = offset + at as u64;
            starts.push(start);
            wanted = (start / range_bytes + 1) * range_bytes;
        }
        offset += len as u64;
    }
    // The last start may be the end of the file.
    while starts.last().is_some_and(|start| offset <= *start) {
        starts.pop();
    }
    Ok(starts)
}
