//! Golden files, and files read back by Arrow's own readers.

use std::fs::File;
use std::io::Cursor;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray, StringArray, StructArray,
    TimestampMillisecondArray, TimestampSecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, IntervalUnit, TimeUnit};
use expect_test::{Expect, expect};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::*;

fn encoding(format: &str, options: &[(&str, &str)]) -> Result<Encoding> {
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Encoding::new(format, &options)
}

fn bytes(encoding: &Encoding, batches: &[RecordBatch]) -> Vec<u8> {
    let mut encoder =
        Encoder::new(encoding, &batches[0].schema(), Vec::new(), "memory".to_owned()).expect("known types");
    for batch in batches {
        encoder.write(batch).expect("memory takes all");
    }
    encoder.finish().expect("memory takes all")
}

fn sample() -> RecordBatch {
    let strings = vec![Some("plain"), Some("a,b"), Some("say \"hi\""), Some(""), None, Some("two\nlines")];
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..6).map(|row| (row != 1).then(|| (0..row).map(Some).collect::<Vec<_>>())),
    );
    let row = StructArray::from(vec![
        (
            Arc::new(Field::new("x", DataType::Int64, true)),
            Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4), Some(5), Some(6)])) as ArrayRef,
        ),
        (Arc::new(Field::new("y", DataType::Boolean, true)), Arc::new(BooleanArray::from(vec![true; 6]))),
    ]);
    RecordBatch::try_from_iter([
        ("name", Arc::new(StringArray::from(strings)) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(-2), None, Some(4), Some(5), Some(6)]))),
        ("ts", Arc::new(TimestampMillisecondArray::from(vec![1_436_918_420_000; 6]))),
        ("list", Arc::new(list)),
        ("row", Arc::new(row)),
    ])
    .expect("columns of one length")
}

fn check(format: &str, options: &[(&str, &str)], expected: &Expect) {
    let bytes = bytes(&encoding(format, options).expect("valid options"), &[sample()]);
    expected.assert_eq(&String::from_utf8(bytes).expect("text"));
}

#[test]
fn csv_quotes_what_needs_it() {
    check(
        "csv",
        &[],
        &expect![[r#"
        plain,1,2015-07-15 00:00:20.000,"",1;true
        "a,b",-2,2015-07-15 00:00:20.000,,;true
        "say ""hi""",,2015-07-15 00:00:20.000,0;1,3;true
        "",4,2015-07-15 00:00:20.000,0;1;2,4;true
        ,5,2015-07-15 00:00:20.000,0;1;2;3,5;true
        "two
        lines",6,2015-07-15 00:00:20.000,0;1;2;3;4,6;true
    "#]],
    );
    check(
        "csv",
        &[("csv.header", "true"), ("csv.field-delimiter", ";"), ("csv.null-literal", "n/a")],
        &expect![[r#"
            name;n;ts;list;row
            plain;1;2015-07-15 00:00:20.000;;"1;true"
            a,b;-2;2015-07-15 00:00:20.000;n/a;"n/a;true"
            "say ""hi""";n/a;2015-07-15 00:00:20.000;"0;1";"3;true"
            ;4;2015-07-15 00:00:20.000;"0;1;2";"4;true"
            n/a;5;2015-07-15 00:00:20.000;"0;1;2;3";"5;true"
            "two
            lines";6;2015-07-15 00:00:20.000;"0;1;2;3;4";"6;true"
        "#]],
    );
    check(
        "csv",
        &[("csv.field-delimiter", "-"), ("csv.escape-character", "\\")],
        &expect![[r#"
        plain-1-"2015-07-15 00:00:20.000"-""-1;true
        a,b-"-2"-"2015-07-15 00:00:20.000"--;true
        "say \"hi\""--"2015-07-15 00:00:20.000"-0;1-3;true
        ""-4-"2015-07-15 00:00:20.000"-0;1;2-4;true
        -5-"2015-07-15 00:00:20.000"-0;1;2;3-5;true
        "two
        lines"-6-"2015-07-15 00:00:20.000"-0;1;2;3;4-6;true
    "#]],
    );
    check(
        "csv",
        &[("csv.disable-quote-character", "true"), ("csv.field-delimiter", "\\t")],
        &expect![[r#"
        plain	1	2015-07-15 00:00:20.000		1;true
        a,b	-2	2015-07-15 00:00:20.000		;true
        say "hi"		2015-07-15 00:00:20.000	0;1	3;true
        	4	2015-07-15 00:00:20.000	0;1;2	4;true
        	5	2015-07-15 00:00:20.000	0;1;2;3	5;true
        two
        lines	6	2015-07-15 00:00:20.000	0;1;2;3;4	6;true
    "#]],
    );
}

#[test]
fn json_is_an_object_a_line() {
    check(
        "json",
        &[],
        &expect![[r#"
        {"name":"plain","n":1,"ts":"2015-07-15 00:00:20.000","list":[],"row":{"x":1,"y":true}}
        {"name":"a,b","n":-2,"ts":"2015-07-15 00:00:20.000","list":null,"row":{"x":null,"y":true}}
        {"name":"say \"hi\"","n":null,"ts":"2015-07-15 00:00:20.000","list":[0,1],"row":{"x":3,"y":true}}
        {"name":"","n":4,"ts":"2015-07-15 00:00:20.000","list":[0,1,2],"row":{"x":4,"y":true}}
        {"name":null,"n":5,"ts":"2015-07-15 00:00:20.000","list":[0,1,2,3],"row":{"x":5,"y":true}}
        {"name":"two\nlines","n":6,"ts":"2015-07-15 00:00:20.000","list":[0,1,2,3,4],"row":{"x":6,"y":true}}
    "#]],
    );
    let options = [("json.timestamp-format.standard", "ISO-8601"), ("json.encode.ignore-null-fields", "true")];
    check(
        "json",
        &options,
        &expect![[r#"
        {"name":"plain","n":1,"ts":"2015-07-15T00:00:20.000","list":[],"row":{"x":1,"y":true}}
        {"name":"a,b","n":-2,"ts":"2015-07-15T00:00:20.000","row":{"y":true}}
        {"name":"say \"hi\"","ts":"2015-07-15T00:00:20.000","list":[0,1],"row":{"x":3,"y":true}}
        {"name":"","n":4,"ts":"2015-07-15T00:00:20.000","list":[0,1,2],"row":{"x":4,"y":true}}
        {"n":5,"ts":"2015-07-15T00:00:20.000","list":[0,1,2,3],"row":{"x":5,"y":true}}
        {"name":"two\nlines","n":6,"ts":"2015-07-15T00:00:20.000","list":[0,1,2,3,4],"row":{"x":6,"y":true}}
    "#]],
    );
}

#[test]
fn wrong_options_are_refused() {
    let refused = |format: &str, options: &[(&str, &str)], expected: &Expect| {
        let error = encoding(format, options).expect_err("it is wrong");
        expected.assert_eq(&format!("{error}; {}", error.hint().unwrap_or("no hint")));
    };
    refused("xml", &[], &expect!["option 'format' has the value 'xml'; it takes 'csv', 'json', 'parquet'"]);
    refused(
        "csv",
        &[("csv.field-delimiter", "\"")],
        &expect![[
            r#"option 'csv.field-delimiter' has the value '\"'; it takes any character but a line end and the quote character"#
        ]],
    );
    refused(
        "json",
        &[("json.timestamp-format.standard", "RFC")],
        &expect!["option 'json.timestamp-format.standard' has the value 'RFC'; it takes 'SQL', 'ISO-8601'"],
    );
    refused(
        "parquet",
        &[("parquet.compression", "rar")],
        &expect![
            "option 'parquet.compression' has the value 'rar'; it takes 'snappy', 'zstd', 'gzip', 'lz4', 'uncompressed', 'none'"
        ],
    );
}

#[test]
fn types_that_a_format_lacks_are_refused() {
    let refused = |format: &str, data_type: DataType, expected: &Expect| {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("c", data_type, true)]));
        let error = encoding(format, &[]).expect("no options").check(&schema).expect_err("the type is not known");
        expected.assert_eq(&format!("{error}; {}", error.hint().unwrap_or("no hint")));
    };
    let list = |element: DataType| DataType::List(Arc::new(Field::new_list_field(element, true)));
    let row = |data_type: DataType| DataType::Struct(vec![Field::new("x", data_type, true)].into());
    refused(
        "csv",
        list(list(DataType::Int32)),
        &expect![
            "format 'csv' cannot take the table's columns: column 'c' is a ARRAY<ARRAY<INT>>, for which csv has no text; write json, which has one, or CAST the column to STRING"
        ],
    );
    refused(
        "csv",
        list(row(DataType::Int32)),
        &expect![
            "format 'csv' cannot take the table's columns: column 'c' is a ARRAY<ROW<x INT>>, for which csv has no text; write json, which has one, or CAST the column to STRING"
        ],
    );
    refused(
        "csv",
        row(row(DataType::Int32)),
        &expect![
            "format 'csv' cannot take the table's columns: column 'c' is a ROW<x ROW<x INT>>, for which csv has no text; write json, which has one, or CAST the column to STRING"
        ],
    );
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    refused(
        "parquet",
        interval.clone(),
        &expect![
            "format 'parquet' cannot take the table's columns: column 'c' is of type INTERVAL DAY TO SECOND, and Parquet files are written without INTERVALs; CAST it to STRING, or write json or csv"
        ],
    );
    refused(
        "parquet",
        list(row(interval)),
        &expect![
            "format 'parquet' cannot take the table's columns: column 'c' is of type ARRAY<ROW<x INTERVAL DAY TO SECOND>>, and Parquet files are written without INTERVALs; CAST it to STRING, or write json or csv"
        ],
    );
    let entries = [Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)];
    let entries = Field::new("entries", DataType::Struct(entries.into_iter().collect()), false);
    refused(
        "csv",
        DataType::Map(Arc::new(entries), false),
        &expect![
            "format 'csv' cannot take the table's columns: column 'c' is a MAP<STRING, STRING>, for which csv has no text; write json, which has one, or CAST the column to STRING"
        ],
    );
}

#[test]
fn parquet_keeps_seconds_as_milliseconds() {
    let seconds = Arc::new(TimestampSecondArray::from(vec![20])) as ArrayRef;
    let rows = RecordBatch::try_from_iter([("ts", seconds)]).expect("one column");
    let file = bytes(&encoding("parquet", &[]).expect("no options"), &[rows]);
    let schema = Arc::clone(ParquetRecordBatchReaderBuilder::try_new(parquet_file(&file)).expect("parquet").schema());
    assert_eq!(*schema.field(0).data_type(), DataType::Timestamp(TimeUnit::Millisecond, None));
}

fn parquet_file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("the disk has room");
    file
}

/// One row of every type that all formats hold.
type Row = (Option<i64>, Option<String>, Option<f64>, Option<i64>, Option<i64>, Option<bool>);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text =
        proptest::option::of("[ -~äλ\n\"\\\\,;]{0,12}".prop_filter("not the null literal", |text| text != "NIL"));
    let float = proptest::option::of(any::<f64>().prop_filter("a number", |value| value.is_finite()));
    let decimal = proptest::option::of(-999_999_999_999_999_999_i64..=999_999_999_999_999_999);
    let time = proptest::option::of(0_i64..253_402_300_799_999);
    let row = (any::<Option<i64>>(), text, float, decimal, time, any::<Option<bool>>());
    proptest::collection::vec(row, 0..50)
}

fn batch(rows: &[Row]) -> RecordBatch {
    let decimals: Decimal128Array = rows.iter().map(|row| row.3.map(i128::from)).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("n", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()) as ArrayRef, true),
        ("s", Arc::new(rows.iter().map(|row| row.1.clone()).collect::<StringArray>()), true),
        ("f", Arc::new(rows.iter().map(|row| row.2).collect::<Float64Array>()), true),
        ("d", Arc::new(decimals.with_precision_and_scale(18, 9).expect("a valid type")), true),
        ("t", Arc::new(rows.iter().map(|row| row.4).collect::<TimestampMillisecondArray>()), true),
        ("b", Arc::new(rows.iter().map(|row| row.5).collect::<BooleanArray>()), true),
    ])
    .expect("columns of one length")
}

proptest! {
    #[test]
    fn arrow_reads_back_what_was_written(first in rows(), second in rows()) {
        let batches = [batch(&first), batch(&second)];
        let schema = batches[0].schema();
        let expected = arrow::compute::concat_batches(&schema, &batches).expect("one schema");
        let joined = |read: Vec<RecordBatch>| arrow::compute::concat_batches(&schema, &read).expect("one schema");

        let csv = bytes(&encoding("csv", &[("csv.null-literal", "NIL")]).expect("valid options"), &batches);
        let reader = arrow::csv::ReaderBuilder::new(Arc::clone(&schema))
            .with_null_regex(regex::Regex::new("^NIL$").expect("a regex"))
            .build(Cursor::new(csv))
            .expect("a reader");
        prop_assert_eq!(joined(reader.collect::<Result<_, _>>().expect("csv")), expected.clone());

        let json = bytes(&encoding("json", &[]).expect("no options"), &batches);
        let reader = arrow::json::ReaderBuilder::new(Arc::clone(&schema)).build(Cursor::new(json)).expect("a reader");
        prop_assert_eq!(joined(reader.collect::<Result<_, _>>().expect("json")), expected.clone());

        let parquet = bytes(&encoding("parquet", &[("parquet.compression", "zstd")]).expect("valid options"), &batches);
        let reader = ParquetRecordBatchReaderBuilder::try_new(parquet_file(&parquet)).expect("parquet").build().expect("a reader");
        prop_assert_eq!(joined(reader.collect::<Result<_, _>>().expect("parquet")), expected);
    }
}
