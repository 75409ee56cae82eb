//! CSV records to Arrow.
//!
//! The dialect is that of Flink (Jackson's CSV): a quote counts only at the start of a field, a
//! doubled quote inside stands for one, fields go to columns by position, or by name where each file
//! begins with their names, and a field of another type than STRING is NULL when empty. A record without a quote, nearly every one, is cut at its
//! newline and delimiters by `memchr`; only the others are walked.
//! Built for 11 million rows of 42 bytes and 5 fields a second and core.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use corelane_stream::limits::RECORD_BYTES_MAX;
use corelane_stream::{Error, OriginDetail, Result};

use super::column::{Column, Structs};
use super::trace::Trace;
use super::value::{TimestampStyle, Wrong};
use super::{
    BadRecord, Decoder, Input, OnBadRecord, Progress, Rows, quoted, too_long, utf8_fault, valid_utf8_len,
    without_carriage_return,
};
use crate::format::infer::column_names;
use crate::format::{CsvOptions, is_csv_type};
use crate::options::{did_you_mean, listed};
use corelane_stream::sql_type;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug)]
pub struct CsvDecoder {
    options: CsvOptions,
    root: Structs,
    trace: Trace,
    declared: SchemaRef,
    read: SchemaRef,
    /// For each field of a record, where it goes, if it is read at all.
    columns: Vec<Option<Target>>,
    /// The columns read for which the file has no field.
    lacking: Vec<usize>,
    fields: Fields,
    /// For messages.
    path: String,
    /// Where the record lies that names the columns of the file, once it has been read.
    header_at: Option<u64>,
}

/// Where a field of a record goes.
#[derive(Debug)]
struct Target {
    column: usize,
    /// For each part of a ROW, the column inside the ROW that it goes to, if it is read at all.
    parts: Vec<Option<usize>>,
}

impl Target {
    fn of(declared: &FieldRef, read: &SchemaRef) -> Option<Target> {
        let (column, field) = read.fields().find(declared.name())?;
        let parts = match (declared.data_type(), field.data_type()) {
            (DataType::Struct(declared), DataType::Struct(read)) => {
                declared.iter().map(|part| read.find(part.name()).map(|(index, _)| index)).collect()
            }
            _ => vec![],
        };
        Some(Target { column, parts })
    }
}

impl CsvDecoder {
    /// # Errors
    /// If a column's type cannot be decoded from CSV.
    pub fn new(
        options: &CsvOptions,
        declared: &SchemaRef,
        read: &SchemaRef,
        origin: Option<OriginDetail>,
    ) -> Result<Self> {
        for field in read.fields() {
            check_type(field)?;
        }
        let root = Structs::new(read.fields())?;
        let columns = declared.fields().iter().map(|field| Target::of(field, read)).collect();
        Ok(CsvDecoder {
            options: options.clone(),
            root,
            trace: Trace::new(origin),
            declared: Arc::clone(declared),
            read: Arc::clone(read),
            columns,
            lacking: vec![],
            fields: Fields::default(),
            path: String::new(),
            header_at: None,
        })
    }

    /// Takes the names of a file's columns: where its fields go.
    fn header(&mut self, record: &[u8]) -> Result<()> {
        self.fields.split(record, &self.options).map_err(|reason| self.wrong_header(&reason))?;
        let name = |number| String::from_utf8_lossy(self.fields.get(number, record)).trim().to_owned();
        let given: Vec<String> = (0..self.fields.places.len()).map(name).collect();
        let names = if self.options.inferred { column_names(&given) } else { given };
        self.check_names(&names)?;
        let target = |name: &String| Target::of(self.declared.fields().find(name)?.1, &self.read);
        self.columns = names.iter().map(target).collect();
        let is_lacking = |(_, field): &(usize, &FieldRef)| !names.contains(field.name());
        self.lacking = self.read.fields().iter().enumerate().filter(is_lacking).map(|(column, _)| column).collect();
        Ok(())
    }

    /// All columns that are declared have to be there; of those that were found in several files, some.
    fn check_names(&self, names: &[String]) -> Result<()> {
        let columns = self.declared.fields();
        let times = |column: &FieldRef| names.iter().filter(|name| *name == column.name()).count();
        if let Some(twice) = columns.iter().find(|column| 1 < times(column)) {
            return Err(self
                .wrong_header(&format!("it names column '{}' more than once", twice.name()))
                .with_hint("give each column of the file a name of its own"));
        }
        let missing = columns.iter().find(|column| times(column) == 0);
        let some = columns.iter().any(|column| 0 < times(column));
        let Some(missing) = missing.filter(|_| !(self.options.inferred && some)) else { return Ok(()) };
        let known = || names.iter().map(String::as_str);
        let reason = format!("it has no column '{}', its names are {}", missing.name(), listed(known()));
        let hint = "a header has the names of the table's columns, in any order; without a header and 'csv.header' \
                    fields go by position";
        Err(self.wrong_header(&reason).with_hint(match did_you_mean(missing.name(), known()) {
            Some(like) => format!("did you mean '{like}'? {hint}"),
            None => hint.to_owned(),
        }))
    }

    fn wrong_header(&self, reason: &str) -> Error {
        Error::io(format!("cannot use the header of '{}': {reason}", self.path))
    }

    fn record(&mut self, record: &[u8]) -> Result<(), String> {
        self.fields.split(record, &self.options)?;
        let (found, expected) = (self.fields.places.len(), self.columns.len());
        if found != expected {
            let extent = if found < expected { "few" } else { "many" };
            return Err(format!("too {extent} fields: found {found}, expected {expected}"));
        }
        for (number, target) in self.columns.iter().enumerate() {
            let Some(target) = target else { continue };
            let field = &self.root.fields[target.column];
            let text = self.fields.get(number, record);
            let column = &mut self.root.columns[target.column];
            let len = column.len();
            match push_field(column, field.data_type(), text, &target.parts, &self.options) {
                Ok(()) => {}
                Err(_) if self.options.ignore_parse_errors => {
                    column.truncate(len);
                    column.push_null();
                }
                Err(reason) => return Err(format!("field '{}': {reason}", field.name())),
            }
        }
        for column in &self.lacking {
            self.root.columns[*column].push_null();
        }
        self.root
            .end_row()
            .map_err(|index| format!("field '{}': it is NOT NULL but is empty", self.root.fields[index].name()))
    }
}

impl Decoder for CsvDecoder {
    fn begin_file(&mut self, path: &str) {
        path.clone_into(&mut self.path);
        self.header_at = None;
    }

    fn wants_header(&self) -> bool {
        self.options.header && self.header_at.is_none()
    }

    fn decode(&mut self, input: &Input<'_>, rows_max: usize, on_bad: &mut OnBadRecord<'_>) -> Result<Progress> {
        let mut progress = Progress::default();
        let valid_len = valid_utf8_len(input.bytes);
        while self.root.len() < rows_max {
            let start = progress.bytes;
            let offset = input.offset + start as u64;
            if input.limit <= offset {
                progress.at_limit = true;
                break;
            }
            let rest = &input.bytes[start..];
            let end = record_end(rest, &self.options);
            let (mut record, next, lines) = match end {
                End::Newline { at, lines } => (&rest[..at], start + at + 1, lines),
                End::Missing if input.at_end && !rest.is_empty() => (rest, input.bytes.len(), 1),
                // The quote is never closed: only its line is bad.
                End::InQuotes if input.at_end => {
                    let at = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    (&rest[..at], (start + at + 1).min(input.bytes.len()), 1)
                }
                End::Missing | End::InQuotes => break,
            };
            progress.bytes = next;
            let line = input.line.map(|first| first + progress.lines);
            progress.lines += lines;
            record = without_carriage_return(record);
            if offset == 0 {
                record = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
            }
            let comment = self.options.comments && record.first() == Some(&b'#');
            if record.is_empty() || comment || self.header_at == Some(offset) {
                continue;
            }
            if self.wants_header() {
                self.header(record)?;
                self.header_at = Some(offset);
                continue;
            }
            let row = self.root.len();
            let outcome = if RECORD_BYTES_MAX < record.len() {
                Err(too_long())
            } else if valid_len < next
                && let Some(fault) = utf8_fault(record)
            {
                Err(fault)
            } else {
                self.record(record)
            };
            match outcome {
                Ok(()) => self.trace.push(offset, line, record),
                Err(reason) => {
                    self.root.truncate(row);
                    on_bad(&BadRecord { offset, line, raw: record, reason: &reason })?;
                }
            }
        }
        Ok(progress)
    }

    fn rows(&self) -> usize {
        self.root.len()
    }

    fn flush(&mut self) -> Result<Rows> {
        let columns = self.root.finish_columns()?;
        self.trace.take(columns)
    }
}

fn check_type(field: &FieldRef) -> Result<()> {
    if is_csv_type(field.data_type()) {
        return Ok(());
    }
    let message = format!("column '{}' is a {}, which CSV cannot hold", field.name(), sql_type(field.data_type()));
    Err(Error::invalid(message).with_hint("use 'format' = 'json', or an ARRAY or ROW of plain types"))
}

/// Where a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// At this newline; `lines` counts it and those inside quotes.
    Newline { at: usize, lines: u64 },
    /// Not in these bytes.
    Missing,
    /// Not in these bytes, and they end inside quotes.
    InQuotes,
}

/// Finds the end of the record that `bytes` begin with.
fn record_end(bytes: &[u8], options: &CsvOptions) -> End {
    let Some(quote) = options.quote else {
        return match options.escape {
            Some(escape) => record_end_walked(bytes, None, Some(escape), options.delimiter),
            None => memchr::memchr(b'\n', bytes).map_or(End::Missing, |at| End::Newline { at, lines: 1 }),
        };
    };
    if options.comments && bytes.first() == Some(&b'#') {
        return memchr::memchr(b'\n', bytes).map_or(End::Missing, |at| End::Newline { at, lines: 1 });
    }
    if let Some(escape) = options.escape {
        return record_end_walked(bytes, Some(quote), Some(escape), options.delimiter);
    }
    match memchr::memchr2(b'\n', quote, bytes) {
        Some(at) if bytes[at] == b'\n' => End::Newline { at, lines: 1 },
        Some(_) => record_end_walked(bytes, Some(quote), None, options.delimiter),
        None => End::Missing,
    }
}

fn record_end_walked(bytes: &[u8], quote: Option<u8>, escape: Option<u8>, delimiter: u8) -> End {
    let mut lines = 1;
    let mut at = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut field_start = true;
    let mut in_quotes = false;
    while let Some(byte) = bytes.get(at).copied() {
        if Some(byte) == escape {
            lines += u64::from(bytes.get(at + 1) == Some(&b'\n'));
            at += 1;
            field_start = false;
        } else if in_quotes {
            lines += u64::from(byte == b'\n');
            if Some(byte) == quote {
                if bytes.get(at + 1).copied() == quote {
                    at += 1;
                } else {
                    in_quotes = false;
                }
            }
        } else if byte == b'\n' {
            return End::Newline { at, lines };
        } else {
            in_quotes = field_start && Some(byte) == quote;
            field_start = byte == delimiter;
        }
        at += 1;
    }
    if in_quotes { End::InQuotes } else { End::Missing }
}

/// The fields of the records that a sample begins with; records that cannot be cut are left out.
pub(crate) fn sample_records(
    sample: &[u8],
    at_end: bool,
    records_max: usize,
    options: &CsvOptions,
) -> Vec<Vec<String>> {
    let mut records = vec![];
    let mut rest = sample.strip_prefix(BYTE_ORDER_MARK).unwrap_or(sample);
    while !rest.is_empty() && records.len() < records_max {
        let (record, next) = match record_end(rest, options) {
            End::Newline { at, .. } => (&rest[..at], &rest[at + 1..]),
            End::Missing if at_end => (rest, &rest[rest.len()..]),
            End::Missing | End::InQuotes => break,
        };
        rest = next;
        let record = without_carriage_return(record);
        let comment = options.comments && record.first() == Some(&b'#');
        let mut fields = Fields::default();
        if !record.is_empty() && !comment && fields.split(record, options).is_ok() {
            let text = |number| String::from_utf8_lossy(fields.get(number, record)).into_owned();
            records.push((0..fields.places.len()).map(text).collect());
        }
    }
    records
}

/// Finds where records start at or behind each of some offsets of a file with quotes.
///
/// Whether a newline lies inside quotes depends on every quote before it, so the file is walked
/// once from its start; between quotes that is `memchr`, at the speed of memory.
#[derive(Debug)]
pub(crate) struct RecordStarts {
    quote: u8,
    delimiter: u8,
    state: Walk,
    /// The byte before the next chunk; a file starts like a line.
    previous: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walk {
    Unquoted,
    Quoted,
    /// Behind a quote inside quotes: it was the closing one unless another follows.
    QuoteInQuotes,
}

impl RecordStarts {
    pub fn new(quote: u8, delimiter: u8) -> Self {
        RecordStarts { quote, delimiter, state: Walk::Unquoted, previous: b'\n' }
    }

    /// Walks the next chunk of the file, up to and with the first newline at or behind `from`
    /// that ends a record; gives the position behind that newline.
    pub fn walk(&mut self, chunk: &[u8], from: usize) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = &chunk[at..];
            match self.state {
                Walk::Unquoted => {
                    // Before `from` only quotes matter.
                    let (found, searched) = if at < from {
                        let searched = from.min(chunk.len());
                        (memchr::memchr(self.quote, &chunk[at..searched]), searched)
                    } else {
                        (memchr::memchr2(self.quote, b'\n', rest), chunk.len())
                    };
                    let Some(found) = found else {
                        if at < searched {
                            self.previous = chunk[searched - 1];
                        }
                        at = searched;
                        if at == chunk.len() {
                            return None;
                        }
                        continue;
                    };
                    let before = if found == 0 { self.previous } else { rest[found - 1] };
                    self.previous = rest[found];
                    at += found + 1;
                    if self.previous == b'\n' {
                        return Some(at);
                    }
                    if before == self.delimiter || before == b'\n' {
                        self.state = Walk::Quoted;
                    }
                }
                Walk::Quoted => {
                    let found = memchr::memchr(self.quote, rest)?;
                    at += found + 1;
                    self.state = Walk::QuoteInQuotes;
                }
                Walk::QuoteInQuotes => match rest.first() {
                    Some(byte) if *byte == self.quote => {
                        at += 1;
                        self.state = Walk::Quoted;
                    }
                    Some(_) => {
                        self.previous = self.quote;
                        self.state = Walk::Unquoted;
                    }
                    None => return None,
                },
            }
        }
    }
}

/// The fields of one record: where each lies in the record, or in `unquoted` where it had to be
/// written out.
#[derive(Debug, Default)]
struct Fields {
    places: Vec<Place>,
    unquoted: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    end: usize,
    written_out: bool,
}

impl Fields {
    #[inline]
    fn get<'a>(&'a self, number: usize, record: &'a [u8]) -> &'a [u8] {
        let Place { start, end, written_out } = self.places[number];
        if written_out { &self.unquoted[start..end] } else { &record[start..end] }
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize, written_out: bool) {
        self.places.push(Place { start, end, written_out });
    }

    fn split(&mut self, record: &[u8], options: &CsvOptions) -> Result<(), String> {
        self.places.clear();
        self.unquoted.clear();
        let quoted = options.quote.is_some_and(|quote| memchr::memchr(quote, record).is_some());
        let escaped = options.escape.is_some_and(|escape| memchr::memchr(escape, record).is_some());
        if quoted || escaped {
            return self.split_walked(record, options);
        }
        let mut start = 0;
        for end in memchr::memchr_iter(options.delimiter, record) {
            self.push(start, end, false);
            start = end + 1;
        }
        self.push(start, record.len(), false);
        Ok(())
    }

    fn split_walked(&mut self, record: &[u8], options: &CsvOptions) -> Result<(), String> {
        let mut at = 0;
        loop {
            let start = self.unquoted.len();
            if options.quote.is_some() && record.get(at).copied() == options.quote {
                at = self.unquote(record, at + 1, options)?;
                if at < record.len() && record[at] != options.delimiter {
                    return Err(format!("text follows the closing quote of field {}", self.places.len() + 1));
                }
            } else {
                while at < record.len() && record[at] != options.delimiter {
                    at = self.write_out(record, at, options)?;
                }
            }
            self.push(start, self.unquoted.len(), true);
            if at == record.len() {
                return Ok(());
            }
            at += 1;
        }
    }

    /// Writes out a field up to its closing quote; gives the position behind it.
    fn unquote(&mut self, record: &[u8], mut at: usize, options: &CsvOptions) -> Result<usize, String> {
        while at < record.len() {
            if Some(record[at]) != options.quote {
                at = self.write_out(record, at, options)?;
            } else if record.get(at + 1).copied() == options.quote {
                self.unquoted.push(record[at]);
                at += 2;
            } else {
                return Ok(at + 1);
            }
        }
        Err(format!("the quote of field {} is never closed", self.places.len() + 1))
    }

    /// Writes out one character, which may be escaped; gives the position behind it.
    fn write_out(&mut self, record: &[u8], at: usize, options: &CsvOptions) -> Result<usize, String> {
        if Some(record[at]) != options.escape {
            self.unquoted.push(record[at]);
            return Ok(at + 1);
        }
        let Some(escaped) = record.get(at + 1) else { return Err("the record ends in an escape character".to_owned()) };
        self.unquoted.push(match escaped {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'0' => 0,
            other => *other,
        });
        Ok(at + 2)
    }
}

fn push_field(
    column: &mut Column,
    data_type: &DataType,
    text: &[u8],
    parts: &[Option<usize>],
    options: &CsvOptions,
) -> Result<(), String> {
    if is_null(column, text, options) {
        column.push_null();
        return Ok(());
    }
    match column {
        Column::List(lists) => {
            for element in text.split(|byte| *byte == options.element_delimiter) {
                push_plain(&mut lists.elements, lists.element.data_type(), element, options)?;
                if !lists.element.is_nullable() && lists.elements.last_is_null() {
                    return Err("an element of the ARRAY is null but is NOT NULL".to_owned());
                }
            }
            lists.end_row();
            Ok(())
        }
        Column::Struct(row) => push_row(row, text, parts, options),
        plain => push_plain(plain, data_type, text, options),
    }
}

fn push_row(row: &mut Structs, text: &[u8], parts: &[Option<usize>], options: &CsvOptions) -> Result<(), String> {
    let found = text.split(|byte| *byte == options.element_delimiter).count();
    if found != parts.len() {
        return Err(format!("fields of the ROW: found {found}, expected {}", parts.len()));
    }
    for (part, index) in text.split(|byte| *byte == options.element_delimiter).zip(parts) {
        let Some(index) = *index else { continue };
        push_plain(&mut row.columns[index], row.fields[index].data_type(), part, options)?;
    }
    row.end_row().map_err(|index| format!("'{}' is NOT NULL but is empty", row.fields[index].name()))
}

fn is_null(column: &Column, text: &[u8], options: &CsvOptions) -> bool {
    options.null_literal.as_ref().is_some_and(|literal| literal.as_bytes() == text)
        || (text.trim_ascii().is_empty() && !matches!(column, Column::Text(_)))
}

#[inline]
fn push_plain(column: &mut Column, data_type: &DataType, text: &[u8], options: &CsvOptions) -> Result<(), String> {
    if is_null(column, text, options) {
        column.push_null();
        return Ok(());
    }
    column.push_text(text, TimestampStyle::Either).map_err(|wrong| match wrong {
        Wrong::Form => format!("cannot read {} as {}", quoted(text), sql_type(data_type)),
        Wrong::Range => format!("{} is out of the range of {}", quoted(text), sql_type(data_type)),
    })
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
