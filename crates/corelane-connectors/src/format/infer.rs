//! Schemas from samples of text, for tables whose columns nobody declared.
//!
//! Types widen over the sample and never narrow: whole numbers to DOUBLE, and whatever does not
//! go together to STRING, which loses nothing. So are whole numbers with zeros in front, which are
//! codes rather than numbers, and times have the digits of their seconds. Columns keep the order of
//! their first appearance.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use corelane_stream::{Error, Result};

use super::CsvOptions;
use super::decode::csv::sample_records;
use super::decode::json::sample_shape;
use super::decode::value::{self, Number, TimestampStyle};
use super::decode::{too_long, utf8_fault};

/// Records a schema is inferred from.
pub const SAMPLE_RECORDS: usize = 1_000;

/// What values have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// No value seen yet.
    Nothing,
    Boolean,
    Integer,
    Double,
    Date,
    /// With so many digits of a second: 3, 6 or 9.
    Timestamp(u8),
    Text,
    List(Box<Shape>),
    Object(Vec<(String, Shape)>),
}

impl Shape {
    /// The shape of both.
    pub fn widen(self, other: Shape) -> Shape {
        match (self, other) {
            (Shape::Nothing, shape) | (shape, Shape::Nothing) => shape,
            (Shape::Integer, Shape::Double) | (Shape::Double, Shape::Integer) => Shape::Double,
            (Shape::Timestamp(left), Shape::Timestamp(right)) => Shape::Timestamp(left.max(right)),
            (Shape::List(left), Shape::List(right)) => Shape::List(Box::new(left.widen(*right))),
            (Shape::Object(mut left), Shape::Object(right)) => {
                for (name, shape) in right {
                    put(&mut left, name, shape);
                }
                Shape::Object(left)
            }
            (left, right) if left == right => left,
            (_, _) => Shape::Text,
        }
    }

    fn of_text(text: &str) -> Shape {
        let text = text.trim().as_bytes();
        if text.is_empty() {
            return Shape::Nothing;
        }
        if let Ok(number) = Number::whole_text(text) {
            return if has_leading_zero(text) { Shape::Text } else { Shape::of_number(number) };
        }
        if value::parse_boolean(text).is_ok() { Shape::Boolean } else { Shape::of_time(text, TimestampStyle::Either) }
    }

    /// A date, a time or else a text.
    pub fn of_time(text: &[u8], style: TimestampStyle) -> Shape {
        if value::parse_date(text).is_ok() {
            return Shape::Date;
        }
        let fraction = memchr::memchr(b'.', text).map_or(&[][..], |point| &text[point + 1..]);
        let digits = match fraction.iter().take_while(|byte| byte.is_ascii_digit()).count() {
            0..=3 => 3,
            4..=6 => 6,
            7.. => 9,
        };
        match value::parse_timestamp(text, style, unit(digits), false) {
            Ok(_) => Shape::Timestamp(digits),
            Err(_) => Shape::Text,
        }
    }

    /// A whole number beyond BIGINT is text: a DOUBLE would change it.
    pub fn of_number(number: Number<'_>) -> Shape {
        if number.point || number.exponent {
            Shape::Double
        } else if number.to_i64().is_ok() {
            Shape::Integer
        } else {
            Shape::Text
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Shape::Nothing | Shape::Text => DataType::Utf8View,
            Shape::Boolean => DataType::Boolean,
            Shape::Integer => DataType::Int64,
            Shape::Double => DataType::Float64,
            Shape::Date => DataType::Date32,
            Shape::Timestamp(digits) => DataType::Timestamp(unit(*digits), None),
            Shape::List(element) => DataType::List(Arc::new(Field::new_list_field(element.data_type(), true))),
            Shape::Object(members) if members.is_empty() => DataType::Utf8View,
            Shape::Object(members) => DataType::Struct(fields(members)),
        }
    }
}

fn unit(digits: u8) -> TimeUnit {
    match digits {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        7.. => TimeUnit::Nanosecond,
    }
}

/// True for `007` and `-01`: as numbers they would not be written the same.
fn has_leading_zero(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").or(number.strip_prefix(b"+")).unwrap_or(number);
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

/// Adds a member to an object, or widens the one of that name.
pub(crate) fn put(members: &mut Vec<(String, Shape)>, name: String, shape: Shape) {
    match members.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = std::mem::replace(known, Shape::Nothing).widen(shape),
        None => members.push((name, shape)),
    }
}

fn fields(members: &[(String, Shape)]) -> Fields {
    members.iter().map(|(name, shape)| Field::new(name, shape.data_type(), true)).collect()
}

/// Delimiters of files that do not say theirs.
const DELIMITERS: [u8; 4] = [b',', b';', b'|', b'\t'];

/// Records that a delimiter is judged by.
const DELIMITER_RECORDS: usize = 100;

/// The delimiter of a sample: a comma if records have as many fields by it as the first, which has
/// several; else that of the others by which they do and have most fields; else a comma.
pub(crate) fn find_delimiter(sample: &[u8], at_end: bool, options: &CsvOptions) -> u8 {
    let width = |delimiter: u8| {
        let options = CsvOptions { delimiter, ..options.clone() };
        let records = sample_records(sample, at_end, DELIMITER_RECORDS, &options);
        let width = records.first().map_or(0, Vec::len);
        // A few may be broken.
        let alike = records.iter().filter(|record| record.len() == width).count();
        if records.len() * 9 <= alike * 10 { width } else { 0 }
    };
    if 1 < width(b',') {
        return b',';
    }
    let others = DELIMITERS.into_iter().rev().map(|delimiter| (width(delimiter), delimiter));
    others.filter(|(width, _)| 1 < *width).max_by_key(|(width, _)| *width).map_or(b',', |(_, delimiter)| delimiter)
}

/// Whether the first record names the columns: it has other types than the records behind it, or all
/// is text, where nothing speaks against it (as in DuckDB's sniffer).
pub(crate) fn has_header(sample: &[u8], at_end: bool, options: &CsvOptions) -> bool {
    let mut records = sample_records(sample, at_end, SAMPLE_RECORDS, options).into_iter();
    let Some(first) = records.next() else { return true };
    let shape_of = |text: &String| match &options.null_literal {
        Some(literal) if literal == text => Shape::Nothing,
        _ => Shape::of_text(text),
    };
    let mut shapes = vec![Shape::Nothing; first.len()];
    for record in records.filter(|record| record.len() == first.len()) {
        for (shape, text) in shapes.iter_mut().zip(&record) {
            *shape = std::mem::replace(shape, Shape::Nothing).widen(shape_of(text));
        }
    }
    let first: Vec<Shape> = first.iter().map(shape_of).collect();
    if first.iter().all(|shape| *shape == Shape::Nothing) {
        return true;
    }
    let whole: Vec<Shape> = shapes.iter().zip(&first).map(|(rest, first)| rest.clone().widen(first.clone())).collect();
    let all_text = whole.iter().all(|shape| matches!(shape, Shape::Text | Shape::Nothing));
    let differs =
        |rest: &Shape, whole: &Shape| *rest != Shape::Nothing && *rest != Shape::Text && *whole == Shape::Text;
    all_text || shapes.iter().zip(&whole).any(|(rest, whole)| differs(rest, whole))
}

/// What a text in UTF-16 begins with.
const UTF_16_MARKS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// What a file begins with.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub path: String,
    pub text: Vec<u8>,
    /// It is all of the file.
    pub at_end: bool,
}

impl Sample {
    /// The encoding that files are read in is UTF-8.
    ///
    /// # Errors
    /// If the file says by its first bytes that it has another.
    pub fn check_encoding(&self) -> Result<()> {
        if !UTF_16_MARKS.iter().any(|mark| self.text.starts_with(mark)) {
            return Ok(());
        }
        Err(Error::io(format!("cannot read '{}': it is written in UTF-16, and files are read as UTF-8", self.path))
            .with_hint("write it in UTF-8: iconv -f UTF-16 -t UTF-8 old > new"))
    }

    /// Its lines with something in them, without one that is cut off.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.numbered_lines().map(|(_, line)| line)
    }

    fn numbered_lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let whole = if self.at_end { self.text.len() } else { memchr::memrchr(b'\n', &self.text).unwrap_or(0) };
        let lines = self.text[..whole].split(|byte| *byte == b'\n');
        (1..).zip(lines).filter(|(_, line)| !line.trim_ascii().is_empty())
    }
}

/// The names of columns by a header: one that has none, or that of a column before it, is given one.
pub(crate) fn column_names(given: &[String]) -> Vec<String> {
    let mut names: Vec<String> = vec![];
    for (index, name) in given.iter().enumerate() {
        let mut name = name.trim().to_owned();
        if name.is_empty() || names.contains(&name) {
            // Any of the columns may have such a name, but not each of them.
            let is_free = |name: &String| !names.contains(name) && !given.iter().any(|given| given.trim() == name);
            name = (index..).map(|number| format!("f{number}")).find(is_free).expect("names do not end");
        }
        names.push(name);
    }
    names
}

/// Columns of all samples, by name where there are headers.
///
/// # Errors
/// If the samples hold no record.
pub(crate) fn infer_csv(samples: &[Sample], options: &CsvOptions) -> Result<SchemaRef> {
    let mut members: Vec<(String, Shape)> = vec![];
    let mut records_left = SAMPLE_RECORDS;
    for sample in samples {
        let Sample { path, text, at_end } = sample;
        let records = sample_records(text, *at_end, records_left, options);
        let Some(first) = records.first() else { continue };
        if first.iter().any(|cell| cell.contains('\r')) && memchr::memchr(b'\n', text).is_none() {
            return Err(Error::io(format!(
                "cannot infer the columns of '{path}': its lines end in carriage returns alone"
            ))
            .with_hint("have them end in newlines: tr '\\r' '\\n' < old.csv > new.csv"));
        }
        let is_comment = |line: &[u8]| options.comments && line.starts_with(b"#");
        let header = sample.numbered_lines().find(|(_, line)| !is_comment(line)).filter(|_| options.header);
        if let Some((line, names)) = header
            && let Some(fault) = utf8_fault(names)
        {
            return Err(Error::io(format!(
                "cannot infer the columns of '{path}': line {line}, which names them: {fault}"
            ))
            .with_hint("write the file in UTF-8"));
        }
        records_left -= records.len();
        let names = match (options.header, members.is_empty()) {
            (true, _) => column_names(first),
            (false, true) => column_names(&vec![String::new(); first.len()]),
            (false, false) => members.iter().map(|(name, _)| name.clone()).collect(),
        };
        // Rows where names should be, or another table: who reads it will be told.
        let is_known = |name: &String| members.iter().any(|(known, _)| known == name);
        if !members.is_empty() && !names.iter().any(is_known) {
            continue;
        }
        names.iter().for_each(|name| put(&mut members, name.clone(), Shape::Nothing));
        let data = records.iter().skip(usize::from(options.header));
        for record in data.filter(|record| record.len() == names.len()) {
            for (name, text) in names.iter().zip(record).filter(|(_, text)| options.null_literal.as_ref() != Some(text))
            {
                put(&mut members, name.clone(), Shape::of_text(text));
            }
        }
    }
    if members.is_empty() {
        return Err(nothing_to_infer(samples));
    }
    Ok(Arc::new(Schema::new(fields(&members))))
}

/// Columns of all samples.
///
/// # Errors
/// If the samples hold no JSON object.
pub(crate) fn infer_json(samples: &[Sample], style: TimestampStyle) -> Result<SchemaRef> {
    let mut shape = Shape::Nothing;
    let mut fault = None;
    let lines = samples.iter().flat_map(|sample| sample.lines().map(|line| (&sample.path, line)));
    for (path, line) in lines.take(SAMPLE_RECORDS) {
        match sample_shape(line, style) {
            Ok(record) => shape = shape.widen(record),
            Err(reason) => fault = fault.or(Some((path, reason))),
        }
    }
    match (shape, fault) {
        (Shape::Object(members), _) if !members.is_empty() => Ok(Arc::new(Schema::new(fields(&members)))),
        (_, Some((path, reason))) => Err(Error::io(format!("cannot infer the columns of '{path}': {reason}"))
            .with_hint("the file must hold one JSON object on each line")),
        (_, None) => Err(nothing_to_infer(samples)),
    }
}

fn nothing_to_infer(samples: &[Sample]) -> Error {
    // A sample without a line is as long as any record may be.
    if let Some(sample) = samples.iter().find(|sample| !sample.at_end && sample.lines().next().is_none()) {
        let (path, fault) = (&sample.path, too_long());
        let line = 1 + memchr::memchr_iter(b'\n', &sample.text).count();
        return Error::io(format!("cannot infer the columns of '{path}': line {line}: {fault}"))
            .with_hint("write each record on a line of its own");
    }
    let path = samples.first().map_or("", |sample| sample.path.as_str());
    Error::io(format!("cannot infer the columns of '{path}': it holds no record"))
        .with_hint("declare them with CREATE TABLE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_told_from_rows() {
        let has = |sample: &str| has_header(sample.as_bytes(), true, &CsvOptions::default());
        for rows in
            ["1,2\n3,4\n", "a,1\nb,2\n", "1.5,a\n2,b\n", "true,1\nfalse,2\n", "a,2024-01-01\n", "1\n", "1,\n,2\n"]
        {
            assert!(!has(rows), "{rows:?} has no header");
        }
        for headed in ["a,b\n1,2\n", "a,b\nx,1\n", "a,b\nc,d\n", "a\n", "id,at\n1,2024-01-01\n", "", "2023,x\nb,y\n"] {
            assert!(has(headed), "{headed:?} has a header");
        }
    }
    use corelane_stream::sql_type;
    use expect_test::{Expect, expect};

    fn sample(text: &[u8], at_end: bool) -> Sample {
        Sample { path: "a.csv".to_owned(), text: text.to_owned(), at_end }
    }

    fn check(schema: Result<SchemaRef>, expected: Expect) {
        expected.assert_eq(&match schema {
            Ok(schema) => sql_type(&DataType::Struct(schema.fields().clone())),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn csv_columns_widen_over_the_sample() {
        let text = b"id,price,ok,day,at,note,mixed\n1,2,true,2024-01-01,2024-01-01 00:00:00,x,1\n,2.5,FALSE,,2024-01-01T00:00:00Z,,b\n";
        let options = CsvOptions { header: true, ..CsvOptions::default() };
        check(
            infer_csv(&[sample(text, true)], &options),
            expect!["ROW<id BIGINT, price DOUBLE, ok BOOLEAN, day DATE, at TIMESTAMP(3), note STRING, mixed STRING>"],
        );
        check(infer_csv(&[sample(b"1,a\n", true)], &CsvOptions::default()), expect!["ROW<f0 BIGINT, f1 STRING>"]);
        check(
            infer_csv(&[sample(b"", true)], &options),
            expect!["cannot infer the columns of 'a.csv': it holds no record"],
        );
    }

    #[test]
    fn columns_of_later_files_are_columns() {
        let options = CsvOptions { header: true, ..CsvOptions::default() };
        check(
            infer_csv(&[sample(b"id,a\n1,2\n", true), sample(b"b,id,a\nx,3,2.5\n", true)], &options),
            expect!["ROW<id BIGINT, a DOUBLE, b STRING>"],
        );
        check(
            infer_csv(&[sample(b"1,2\n", true), sample(b"x,3\n1\n", true)], &CsvOptions::default()),
            expect!["ROW<f0 STRING, f1 BIGINT>"],
        );
        check(
            infer_json(&[sample(b"{\"a\":1}\n", true), sample(b"{\"b\":true}", true)], TimestampStyle::Either),
            expect!["ROW<a BIGINT, b BOOLEAN>"],
        );
    }

    #[test]
    fn a_delimiter_is_one_that_records_agree_on() {
        let find = |sample: &str| char::from(find_delimiter(sample.as_bytes(), true, &CsvOptions::default()));
        for (sample, delimiter) in [
            ("a;b\n1,5;2,5\n", ';'),
            ("a|b;c|d\n1|x|y\n", '|'),
            ("a\tb\n1\t\"x\ty\"\n", '\t'),
            ("a,b;c;d\n1,2;3;4\n", ','),
            ("note\na;b\n", ','),
            ("a;b\n1\n2\n", ','),
            ("", ','),
        ] {
            assert_eq!(find(sample), delimiter, "{sample:?}");
        }
    }

    #[test]
    fn json_columns_keep_the_order_of_their_first_appearance() {
        let text = b"{\"z\":1,\"a\":{\"y\":[1,2.5],\"x\":null}}\n{\"b\":18446744073709551615,\"z\":true}\n\n{\"a\":{\"w\":\"t\"}}\n{\"cut";
        check(
            infer_json(&[sample(text, false)], TimestampStyle::Either),
            expect!["ROW<z STRING, a ROW<y ARRAY<DOUBLE>, x STRING, w STRING>, b STRING>"],
        );
        check(
            infer_json(&[sample(b"[1]\n", true)], TimestampStyle::Either),
            expect!["cannot infer the columns of 'a.csv': expected a JSON object, found '['"],
        );
    }
}
