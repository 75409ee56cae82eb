//! JSON lines to Arrow, by a scanner that knows the schema.
//!
//! Objects written by one program list their keys in one order, so each struct remembers which
//! column its n-th key went to and compares that first: a key costs one comparison of bytes. The
//! grammar (RFC 8259) is checked in full, also of what is skipped: a record that another reader
//! would refuse does not pass because a query asked for few of its columns.
//! Built for 8 million rows of 80 bytes and 5 fields a second and core.

use arrow::datatypes::{DataType, SchemaRef};
use corelane_stream::limits::{JSON_DEPTH_MAX, RECORD_BYTES_MAX};
use corelane_stream::{OriginDetail, Result};

use super::column::{Column, KnownKey, Lists, Maps, Structs, Texts};
use super::trace::Trace;
use super::value::{Number, TimestampStyle, Wrong};
use super::{BadRecord, Decoder, Input, OnBadRecord, Progress, Rows, quoted, too_long, utf8_fault, valid_utf8_len};
use crate::format::JsonOptions;
use crate::format::infer::{Shape, put};
use corelane_stream::sql_type;

/// Keys of one object that a struct remembers, and bytes of one.
const KNOWN_KEYS_MAX: usize = 256;
const KNOWN_KEY_BYTES_MAX: usize = 256;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why a record is refused.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is not JSON, so nothing behind the fault can be trusted.
    Syntax(String),
    /// One value does not fit its column; the scanner stands behind it.
    Value { path: String, reason: String },
}

impl Failure {
    fn value(reason: String) -> Failure {
        Failure::Value { path: String::new(), reason }
    }

    #[cold]
    fn within(self, name: &str) -> Failure {
        match self {
            Failure::Value { path, reason } if path.is_empty() => Failure::Value { path: name.to_owned(), reason },
            Failure::Value { path, reason } => Failure::Value { path: format!("{name}.{path}"), reason },
            syntax @ Failure::Syntax(_) => syntax,
        }
    }

    fn reason(self) -> String {
        match self {
            Failure::Value { path, reason } if path.is_empty() => reason,
            Failure::Value { path, reason } => format!("field '{path}': {reason}"),
            Failure::Syntax(reason) => reason,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Strictness {
    fail_on_missing_field: bool,
    ignore_parse_errors: bool,
    timestamps: TimestampStyle,
}

#[derive(Debug)]
pub struct JsonDecoder {
    root: Structs,
    trace: Trace,
    strictness: Strictness,
    /// Strings with escapes are written out here.
    scratch: Vec<u8>,
}

impl JsonDecoder {
    /// # Errors
    /// If a column's type cannot be decoded from JSON.
    pub fn new(options: &JsonOptions, read: &SchemaRef, origin: Option<OriginDetail>) -> Result<Self> {
        let strictness = Strictness {
            fail_on_missing_field: options.fail_on_missing_field,
            ignore_parse_errors: options.ignore_parse_errors,
            timestamps: options.timestamps,
        };
        Ok(JsonDecoder { root: Structs::new(read.fields())?, trace: Trace::new(origin), strictness, scratch: vec![] })
    }

    fn record(&mut self, record: &[u8]) -> Result<(), Failure> {
        let mut scanner = Scanner { bytes: record, at: 0, strictness: self.strictness, scratch: &mut self.scratch };
        scanner.skip_space();
        if scanner.peek() != Some(b'{') {
            return Err(Failure::Syntax(format!("expected a JSON object, found {}", scanner.found())));
        }
        scanner.at += 1;
        scanner.object(&mut self.root, 1)?;
        scanner.skip_space();
        if scanner.at < record.len() {
            return Err(scanner.unexpected("the end of the line after the object"));
        }
        Ok(())
    }
}

impl Decoder for JsonDecoder {
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
            let (mut record, next) = match memchr::memchr(b'\n', rest) {
                Some(newline) => (&rest[..newline], start + newline + 1),
                None if input.at_end && !rest.is_empty() => (rest, input.bytes.len()),
                None => break,
            };
            progress.bytes = next;
            let line = input.line.map(|first| first + progress.lines);
            progress.lines += 1;
            if offset == 0 {
                record = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
            }
            if record.trim_ascii().is_empty() {
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
                self.record(record).map_err(Failure::reason)
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

/// The shape of one record, for the inference of schemas.
pub(crate) fn sample_shape(record: &[u8], timestamps: TimestampStyle) -> Result<Shape, String> {
    if let Some(fault) = utf8_fault(record) {
        return Err(fault);
    }
    let record = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
    let strictness = Strictness { fail_on_missing_field: false, ignore_parse_errors: false, timestamps };
    let mut scanner = Scanner { bytes: record, at: 0, strictness, scratch: &mut vec![] };
    scanner.skip_space();
    if scanner.peek() != Some(b'{') {
        return Err(format!("expected a JSON object, found {}", scanner.found()));
    }
    scanner.shape(1).map_err(Failure::reason)
}

/// A place in one record.
struct Scanner<'a, 's> {
    bytes: &'a [u8],
    at: usize,
    strictness: Strictness,
    scratch: &'s mut Vec<u8>,
}

impl<'a> Scanner<'a, '_> {
    /// Reads the members of an object, and its closing brace, as one row of `row`.
    fn object(&mut self, row: &mut Structs, depth: usize) -> Result<(), Failure> {
        let len = row.len();
        let mut filled = 0;
        let mut key_number = 0;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let column = self.key(row, key_number)?;
                key_number += 1;
                match column {
                    Some(index) => {
                        let column = &mut row.columns[index];
                        // The last of several members of one name counts, as in Flink.
                        if len < column.len() {
                            column.truncate(len);
                        } else {
                            filled += 1;
                        }
                        let field = &row.fields[index];
                        self.value(column, field.data_type(), depth).map_err(|failure| failure.within(field.name()))?;
                    }
                    None => self.skip_value(depth)?,
                }
                if !self.another(b'}', "',' or '}'")? {
                    break;
                }
            }
        }
        if filled < row.columns.len() {
            self.fill_missing(row, len)?;
        }
        row.end_row().map_err(|index| {
            Failure::value("it is NOT NULL but has no value".to_owned()).within(row.fields[index].name())
        })
    }

    fn fill_missing(&self, row: &mut Structs, len: usize) -> Result<(), Failure> {
        for (column, field) in row.columns.iter_mut().zip(&row.fields) {
            if len < column.len() {
                continue;
            }
            if self.strictness.fail_on_missing_field {
                return Err(Failure::value("it is missing".to_owned()).within(field.name()));
            }
            column.push_null();
        }
        Ok(())
    }

    /// Reads a key and its colon; says which column the member belongs to.
    #[inline]
    fn key(&mut self, row: &mut Structs, key_number: usize) -> Result<Option<usize>, Failure> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a field's name in double quotes"));
        }
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let column = match row.key_order.get(key_number) {
            Some(known) if rest.starts_with(&known.raw) && rest.get(known.raw.len()) == Some(&b'"') => {
                self.at += known.raw.len() + 1;
                known.column
            }
            Some(_) | None => self.unexpected_key(row, key_number)?,
        };
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("':' after a field's name"));
        }
        self.at += 1;
        self.skip_space();
        Ok(column)
    }

    #[cold]
    fn unexpected_key(&mut self, row: &mut Structs, key_number: usize) -> Result<Option<usize>, Failure> {
        let (raw, escaped) = self.string()?;
        if escaped {
            self.unescape(raw)?;
            return Ok(row.fields.iter().position(|field| field.name().as_bytes() == self.scratch.as_slice()));
        }
        let column = row.fields.iter().position(|field| field.name().as_bytes() == raw);
        if key_number < KNOWN_KEYS_MAX && raw.len() <= KNOWN_KEY_BYTES_MAX {
            let known = KnownKey { raw: raw.into(), column };
            if let Some(place) = row.key_order.get_mut(key_number) {
                *place = known;
            } else if key_number == row.key_order.len() {
                row.key_order.push(known);
            }
        }
        Ok(column)
    }

    /// Reads a value into the column: one row, null or not.
    #[inline]
    fn value(&mut self, column: &mut Column, data_type: &DataType, depth: usize) -> Result<(), Failure> {
        if !self.strictness.ignore_parse_errors {
            return self.typed_value(column, data_type, depth);
        }
        let len = column.len();
        match self.typed_value(column, data_type, depth) {
            Err(Failure::Value { .. }) => {
                column.truncate(len);
                column.push_null();
                Ok(())
            }
            outcome => outcome,
        }
    }

    #[inline]
    fn typed_value(&mut self, column: &mut Column, data_type: &DataType, depth: usize) -> Result<(), Failure> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                let (raw, escaped) = self.string()?;
                if escaped {
                    self.unescape(raw)?;
                }
                let text = if escaped { self.scratch.as_slice() } else { raw };
                column
                    .push_text(text, self.strictness.timestamps)
                    .map_err(|wrong| wrong_text(wrong, text, data_type, self.strictness.timestamps))
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.number()?;
                column.push_number(number).map_err(|wrong| wrong_number(wrong, number.text, data_type))
            }
            Some(b'{' | b'[') => self.container(column, data_type, depth),
            Some(_) | None => self.word(column, data_type),
        }
    }

    /// Reads `true`, `false` or `null`.
    fn word(&mut self, column: &mut Column, data_type: &DataType) -> Result<(), Failure> {
        let word = self.skip_word()?;
        match (word, column) {
            (b"null", column) => column.push_null(),
            (_, Column::Boolean(booleans)) => booleans.push(word == b"true"),
            (_, Column::Text(texts)) => texts.push(word),
            (_, _) => return Err(wrong_number(Wrong::Form, word, data_type)),
        }
        Ok(())
    }

    fn container(&mut self, column: &mut Column, data_type: &DataType, depth: usize) -> Result<(), Failure> {
        self.check_depth(depth)?;
        let start = self.at;
        let outcome = match (self.peek(), column) {
            (Some(b'{'), Column::Struct(row)) => {
                self.at += 1;
                self.object(row, depth + 1)
            }
            (Some(b'{'), Column::Map(maps)) => self.map(maps, depth + 1),
            (Some(b'['), Column::List(lists)) => self.list(lists, depth + 1),
            (_, Column::Text(texts)) => {
                self.skip_value(depth)?;
                compact(&self.bytes[start..self.at], self.scratch);
                texts.push(self.scratch);
                Ok(())
            }
            (open, _) => {
                let found = if open == Some(b'{') { "an object" } else { "an array" };
                Err(Failure::value(format!("cannot read {found} as {}", sql_type(data_type))))
            }
        };
        if let Err(Failure::Value { .. }) = outcome {
            // The fault was found inside; whoever ignores it goes on behind the whole value.
            self.at = start;
            self.skip_value(depth)?;
        }
        outcome
    }

    fn list(&mut self, lists: &mut Lists, depth: usize) -> Result<(), Failure> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.value(&mut lists.elements, lists.element.data_type(), depth)?;
                if !lists.element.is_nullable() && lists.elements.last_is_null() {
                    return Err(Failure::value("an element of the ARRAY is null but is NOT NULL".to_owned()));
                }
                if !self.another(b']', "',' or ']'")? {
                    break;
                }
            }
        }
        lists.end_row();
        Ok(())
    }

    fn map(&mut self, maps: &mut Maps, depth: usize) -> Result<(), Failure> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.map_key(&mut maps.keys)?;
                self.value(&mut maps.values, maps.value.data_type(), depth)?;
                if !maps.value.is_nullable() && maps.values.last_is_null() {
                    return Err(Failure::value("a value of the MAP is null but is NOT NULL".to_owned()));
                }
                if !self.another(b'}', "',' or '}'")? {
                    break;
                }
            }
        }
        maps.end_row();
        Ok(())
    }

    fn map_key(&mut self, keys: &mut Texts) -> Result<(), Failure> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        self.at += 1;
        let (raw, escaped) = self.string()?;
        if escaped {
            self.unescape(raw)?;
            keys.push(self.scratch);
        } else {
            keys.push(raw);
        }
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("':' after a key"));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// Reads a comma (true) or the closing bracket (false).
    #[inline]
    fn another(&mut self, close: u8, expected: &str) -> Result<bool, Failure> {
        self.skip_space();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(_) | None => Err(self.unexpected(expected)),
        }
    }

    /// Reads over a value of any kind, checking it.
    fn skip_value(&mut self, depth: usize) -> Result<(), Failure> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                let (raw, escaped) = self.string()?;
                if escaped { self.unescape(raw) } else { Ok(()) }
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            Some(open @ (b'{' | b'[')) => {
                self.check_depth(depth)?;
                self.at += 1;
                self.skip_members(open == b'{', depth)
            }
            Some(_) | None => self.skip_word().map(|_| ()),
        }
    }

    fn skip_members(&mut self, object: bool, depth: usize) -> Result<(), Failure> {
        let (close, expected) = if object { (b'}', "',' or '}'") } else { (b']', "',' or ']'") };
        self.skip_space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            if object {
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected("a field's name in double quotes"));
                }
                self.skip_value(depth)?;
                self.skip_space();
                if self.peek() != Some(b':') {
                    return Err(self.unexpected("':' after a field's name"));
                }
                self.at += 1;
                self.skip_space();
            }
            self.skip_value(depth + 1)?;
            if !self.another(close, expected)? {
                return Ok(());
            }
        }
    }

    /// Reads over a value of any kind and says what shape it has.
    fn shape(&mut self, depth: usize) -> Result<Shape, Failure> {
        match self.peek() {
            Some(b'{') => {
                self.check_depth(depth)?;
                self.at += 1;
                let mut members = vec![];
                self.skip_space();
                if self.peek() == Some(b'}') {
                    self.at += 1;
                    return Ok(Shape::Object(members));
                }
                loop {
                    let mut keys = Texts::default();
                    self.map_key(&mut keys)?;
                    let name = keys.finish().value(0).to_owned();
                    put(&mut members, name, self.shape(depth + 1)?);
                    if !self.another(b'}', "',' or '}'")? {
                        return Ok(Shape::Object(members));
                    }
                }
            }
            Some(b'[') => {
                self.check_depth(depth)?;
                self.at += 1;
                let mut element = Shape::Nothing;
                self.skip_space();
                if self.peek() == Some(b']') {
                    self.at += 1;
                    return Ok(Shape::List(Box::new(element)));
                }
                loop {
                    element = element.widen(self.shape(depth + 1)?);
                    if !self.another(b']', "',' or ']'")? {
                        return Ok(Shape::List(Box::new(element)));
                    }
                }
            }
            Some(b'-' | b'0'..=b'9') => Ok(Shape::of_number(self.number()?)),
            Some(b'"') => {
                let start = self.at + 1;
                self.skip_value(depth)?;
                // As it is written: a time has nothing to escape.
                Ok(Shape::of_time(&self.bytes[start..self.at - 1], self.strictness.timestamps))
            }
            Some(_) | None => Ok(if self.skip_word()? == b"null" { Shape::Nothing } else { Shape::Boolean }),
        }
    }

    fn check_depth(&self, depth: usize) -> Result<(), Failure> {
        if depth < JSON_DEPTH_MAX {
            return Ok(());
        }
        Err(Failure::Syntax(format!("values are nested deeper than {JSON_DEPTH_MAX} levels at byte {}", self.at)))
    }

    fn skip_word(&mut self) -> Result<&'static [u8], Failure> {
        let rest = &self.bytes[self.at..];
        for word in [b"null".as_slice(), b"true", b"false"] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(word);
            }
        }
        Err(self.unexpected("a value"))
    }

    /// Reads a number by JSON's grammar, which has no leading zeros, bare points or plus signs.
    #[inline]
    fn number(&mut self) -> Result<Number<'a>, Failure> {
        let rest = &self.bytes[self.at..];
        let Some(number) = Number::scan(rest) else { return Err(self.unexpected("a number")) };
        let first_digit = number.text[usize::from(rest[0] == b'-')];
        let leading_zero = first_digit == b'0' && 1 < number.whole_digits;
        if leading_zero || number.whole_digits == 0 || (number.point && number.fraction_digits == 0) {
            let reason = format!("malformed number {} at byte {}", quoted(number.text), self.at);
            return Err(Failure::Syntax(reason));
        }
        self.at += number.text.len();
        Ok(number)
    }

    /// Reads a string behind its opening quote: its raw text, and whether that has escapes.
    #[inline]
    fn string(&mut self) -> Result<(&'a [u8], bool), Failure> {
        let start = self.at;
        let mut at = start;
        let mut escaped = false;
        loop {
            at = string_break(self.bytes, at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok((&self.bytes[start..at], escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    at = (at + 2).min(self.bytes.len());
                }
                Some(byte) => {
                    let reason = format!("unescaped control character 0x{byte:02x} in a string at byte {at}");
                    return Err(Failure::Syntax(reason));
                }
                None => {
                    let reason = format!("the record is cut off in the string that starts at byte {}", start - 1);
                    return Err(Failure::Syntax(reason));
                }
            }
        }
    }

    /// Writes out a string with escapes into `scratch`.
    fn unescape(&mut self, raw: &[u8]) -> Result<(), Failure> {
        let fault = |what: &str| Failure::Syntax(format!("{what} in the string {}", quoted(raw)));
        self.scratch.clear();
        let mut rest = raw;
        while let Some(backslash) = memchr::memchr(b'\\', rest) {
            self.scratch.extend_from_slice(&rest[..backslash]);
            let (plain, len) = match rest.get(backslash + 1) {
                Some(plain @ (b'"' | b'\\' | b'/')) => (*plain as char, 2),
                Some(b'b') => ('\u{8}', 2),
                Some(b'f') => ('\u{c}', 2),
                Some(b'n') => ('\n', 2),
                Some(b'r') => ('\r', 2),
                Some(b't') => ('\t', 2),
                Some(b'u') => unicode_escape(&rest[backslash..]).ok_or_else(|| fault("malformed \\u escape"))?,
                Some(_) | None => return Err(fault("unknown escape")),
            };
            self.scratch.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[backslash + len..];
        }
        self.scratch.extend_from_slice(rest);
        Ok(())
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
    fn unexpected(&self, expected: &str) -> Failure {
        if self.at == self.bytes.len() {
            return Failure::Syntax(format!("the record is cut off at byte {}: expected {expected}", self.at));
        }
        Failure::Syntax(format!("expected {expected} at byte {}, found {}", self.at, self.found()))
    }

    fn found(&self) -> String {
        let rest = String::from_utf8_lossy(&self.bytes[self.at..self.bytes.len().min(self.at + 4)]);
        match rest.chars().next() {
            Some(character) => format!("'{}'", character.escape_debug()),
            None => "the end of the line".to_owned(),
        }
    }
}

/// The first quote, backslash or control character at or behind `at`; the end if there is none.
#[inline]
fn string_break(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    // Eight bytes a step. A borrow can only spoil the marks above the lowest one, which is all we use.
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let marks = zero_byte(word ^ (ONES * u64::from(b'"'))) | zero_byte(word ^ (ONES * u64::from(b'\\'))) | control;
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' || *byte == b'\\' || *byte < 0x20 {
            break;
        }
        at += 1;
    }
    at
}

/// The character of `\uXXXX`, or of a surrogate pair of them, and how many bytes that took.
fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"\\u")?.get(..4)?;
        digits.iter().try_fold(0u32, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
    };
    let first = unit(text)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = unit(&text[6..]).filter(|second| (0xdc00..0xe000).contains(second))?;
    Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 12))
}

/// Copies JSON without the space between its tokens.
fn compact(json: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b' ' | b'\t' | b'\r' => at += 1,
            b'"' => {
                let start = at;
                at = string_break(json, at + 1);
                while json.get(at) == Some(&b'\\') {
                    at = string_break(json, at + 2);
                }
                at += 1;
                out.extend_from_slice(&json[start..at]);
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
}

#[cold]
fn wrong_text(wrong: Wrong, text: &[u8], data_type: &DataType, style: TimestampStyle) -> Failure {
    let name = sql_type(data_type);
    let mut reason = match wrong {
        Wrong::Form => format!("cannot read {} as {name}", quoted(text)),
        Wrong::Range => format!("{} is out of the range of {name}", quoted(text)),
    };
    if let (DataType::Timestamp(..), Some(separator)) = (data_type, text.get(10)) {
        let standard = match (style, separator) {
            (TimestampStyle::Sql, b'T') => Some("ISO-8601"),
            (TimestampStyle::Iso8601, b' ') => Some("SQL"),
            _ => None,
        };
        if let Some(standard) = standard {
            reason += &format!(" (set 'json.timestamp-format.standard' = '{standard}')");
        }
    }
    Failure::value(reason)
}

#[cold]
fn wrong_number(wrong: Wrong, text: &[u8], data_type: &DataType) -> Failure {
    let (text, name) = (String::from_utf8_lossy(&text[..text.len().min(60)]), sql_type(data_type));
    Failure::value(match wrong {
        Wrong::Form => format!("cannot read {text} as {name}"),
        Wrong::Range => format!("{text} is out of the range of {name}"),
    })
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
