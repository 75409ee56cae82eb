//! Golden text of values, for each reader.

use std::sync::Arc;

use arrow::array::types::{Int32Type, Int64Type};
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    DurationMillisecondArray, Float32Array, Float64Array, Int32Array, Int64Array, IntervalYearMonthArray, ListArray,
    MapBuilder, StringArray, StringBuilder, StringViewArray, StructArray, Time32MillisecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::array::{Int64Builder, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields};
use corelane_stream::{ChangelogBatch, RowKind, RowKinds};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::{ChangelogText, ColumnText, DecimalNotation, JsonText, Reader, TimestampStyle};

fn text(array: &dyn Array, reader: Reader) -> String {
    let null = if reader == Reader::Person { "NULL" } else { "null" };
    let column = ColumnText::new(array, reader, &Arc::from(null)).expect("a type with a text");
    (0..array.len())
        .map(|row| {
            let mut out = String::new();
            column.write(row, &mut out);
            out
        })
        .collect::<Vec<_>>()
        .join(" | ")
}

/// The text for a person, a csv file and a json file.
fn check(array: &dyn Array, expected: &Expect) {
    let csv = Reader::Csv { element_delimiter: ';' };
    let json = Reader::Json(JsonText::default());
    expected.assert_eq(&format!("{}\n{}\n{}", text(array, Reader::Person), text(array, csv), text(array, json)));
}

#[test]
fn numbers() {
    check(
        &Int64Array::from(vec![Some(0), Some(i64::MIN), None, Some(i64::MAX)]),
        &expect![[r#"
            0 | -9223372036854775808 | NULL | 9223372036854775807
            0 | -9223372036854775808 | null | 9223372036854775807
            0 | -9223372036854775808 | null | 9223372036854775807"#]],
    );
    assert_eq!(text(&UInt64Array::from(vec![u64::MAX]), Reader::Person), u64::MAX.to_string());
    check(
        &BooleanArray::from(vec![true, false]),
        &expect![[r#"
            true | false
            true | false
            true | false"#]],
    );
}

#[test]
fn floats_are_spelled_as_in_java() {
    let values = [0.0, -0.0, 1.0, 0.1, -1.5, 0.001, 0.000_999, 9_999_999.0, 1e7, 1.25e-300, 123_456.789, f64::MAX];
    check(
        &Float64Array::from(values.to_vec()),
        &expect![[r#"
            0.0 | -0.0 | 1.0 | 0.1 | -1.5 | 0.001 | 9.99E-4 | 9999999.0 | 1.0E7 | 1.25E-300 | 123456.789 | 1.7976931348623157E308
            0.0 | -0.0 | 1.0 | 0.1 | -1.5 | 0.001 | 9.99E-4 | 9999999.0 | 1.0E7 | 1.25E-300 | 123456.789 | 1.7976931348623157E308
            0.0 | -0.0 | 1.0 | 0.1 | -1.5 | 0.001 | 9.99E-4 | 9999999.0 | 1.0E7 | 1.25E-300 | 123456.789 | 1.7976931348623157E308"#]],
    );
    check(
        &Float32Array::from(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.4e10, 100.0]),
        &expect![[r#"
            NaN | Infinity | -Infinity | 3.4E10 | 100.0
            NaN | Infinity | -Infinity | 3.4E10 | 100.0
            "NaN" | "Infinity" | "-Infinity" | 3.4E10 | 100.0"#]],
    );
}

#[test]
fn decimals_are_exact() {
    let array = |values: Vec<i128>, scale| {
        Decimal128Array::from(values).with_precision_and_scale(38, scale).expect("a valid decimal type")
    };
    check(
        &array(vec![0, 1, -1, 1234, -123_456], 3),
        &expect![[r#"
            0.000 | 0.001 | -0.001 | 1.234 | -123.456
            0.000 | 0.001 | -0.001 | 1.234 | -123.456
            0.000 | 0.001 | -0.001 | 1.234 | -123.456"#]],
    );
    let tiny = array(vec![1, -12, 100, 0], 9);
    check(
        &tiny,
        &expect![[r#"
            0.000000001 | -0.000000012 | 0.000000100 | 0.000000000
            0.000000001 | -0.000000012 | 0.000000100 | 0.000000000
            1E-9 | -1.2E-8 | 1.00E-7 | 0E-9"#]],
    );
    let plain = Reader::Json(JsonText { decimals: DecimalNotation::Plain, ..JsonText::default() });
    assert_eq!(text(&tiny, plain), "0.000000001 | -0.000000012 | 0.000000100 | 0.000000000");
    assert_eq!(text(&array(vec![-7, 0], 0), Reader::Person), "-7 | 0");
}

#[test]
fn times_have_the_digits_of_their_type() {
    check(
        &TimestampMillisecondArray::from(vec![1_436_918_420_000, -1, 0]),
        &expect![[r#"
            2015-07-15 00:00:20.000 | 1969-12-31 23:59:59.999 | 1970-01-01 00:00:00.000
            2015-07-15 00:00:20.000 | 1969-12-31 23:59:59.999 | 1970-01-01 00:00:00.000
            "2015-07-15 00:00:20.000" | "1969-12-31 23:59:59.999" | "1970-01-01 00:00:00.000""#]],
    );
    assert_eq!(text(&TimestampSecondArray::from(vec![20]), Reader::Person), "1970-01-01 00:00:20");
    assert_eq!(text(&TimestampMicrosecondArray::from(vec![20]), Reader::Person), "1970-01-01 00:00:00.000020");
    let iso = Reader::Json(JsonText { timestamps: TimestampStyle::Iso8601, ..JsonText::default() });
    assert_eq!(text(&TimestampMillisecondArray::from(vec![1]), iso), "\"1970-01-01T00:00:00.001\"");
    check(
        &TimestampMillisecondArray::from(vec![1_436_918_420_000]).with_timezone("Europe/Berlin"),
        &expect![[r#"
            2015-07-15 02:00:20.000
            2015-07-15 00:00:20.000Z
            "2015-07-15 00:00:20.000Z""#]],
    );
    check(
        &Date32Array::from(vec![0, 16_631, -719_163, -719_529, 2_932_896]),
        &expect![[r#"
            1970-01-01 | 2015-07-15 | 0000-12-31 | -0001-12-31 | 9999-12-31
            1970-01-01 | 2015-07-15 | 0000-12-31 | -0001-12-31 | 9999-12-31
            "1970-01-01" | "2015-07-15" | "0000-12-31" | "-0001-12-31" | "9999-12-31""#]],
    );
    assert_eq!(text(&Time32MillisecondArray::from(vec![86_399_999]), Reader::Person), "23:59:59.999");
    assert_eq!(text(&DurationMillisecondArray::from(vec![93_784_005]), Reader::Person), "+1 02:03:04.005");
    assert_eq!(text(&IntervalYearMonthArray::from(vec![-14]), Reader::Person), "-1-02");
}

#[test]
fn strings_and_bytes() {
    check(
        &StringViewArray::from(vec!["plain", "a \"quoted\" \\ thing", "line\nbreak\tä"]),
        &expect![[r#"
            plain | a "quoted" \ thing | line
            break	ä
            plain | a "quoted" \ thing | line
            break	ä
            "plain" | "a \"quoted\" \\ thing" | "line\nbreak\tä""#]],
    );
    check(
        &BinaryArray::from(vec![&b""[..], b"f", b"fo", b"foo", b"foob"]),
        &expect![[r#"
            x'' | x'66' | x'666f' | x'666f6f' | x'666f6f62'
             | Zg== | Zm8= | Zm9v | Zm9vYg==
            "" | "Zg==" | "Zm8=" | "Zm9v" | "Zm9vYg==""#]],
    );
    let dictionary: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
    assert_eq!(text(&dictionary, Reader::Person), "a | NULL | a");
}

#[test]
fn nested_values() {
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
    check(
        &list,
        &expect![[r#"
            [1, NULL] | NULL | []
            1;null | null | 
            [1,null] | null | []"#]],
    );
    let row = StructArray::new(
        Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)]),
        vec![
            Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
            Arc::new(StringArray::from(vec![Some("x"), Some("y")])),
        ],
        None,
    );
    check(
        &row,
        &expect![[r#"
            (1, x) | (NULL, y)
            1;x | null;y
            {"a":1,"b":"x"} | {"a":null,"b":"y"}"#]],
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1);
    map.keys().append_value("l");
    map.values().append_null();
    map.append(true).expect("as many keys as values");
    let map = map.finish();
    assert_eq!(text(&map, Reader::Person), "{k=1, l=NULL}");
    assert_eq!(text(&map, Reader::Json(JsonText::default())), r#"{"k":1,"l":null}"#);
    assert!(ColumnText::new(&map, Reader::Csv { element_delimiter: ';' }, &Arc::from("")).is_err());
}

#[test]
fn changelog_rows() {
    let rows = RecordBatch::try_from_iter([
        ("k", Arc::new(StringArray::from(vec![Some("a"), None])) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![1, 2]))),
    ])
    .expect("columns of one length");
    let kinds: RowKinds = [RowKind::Insert, RowKind::UpdateBefore].into_iter().collect();
    let batch = ChangelogBatch::new(rows, kinds);
    let text = ChangelogText::new(&batch).expect("types with a text");
    let mut out = String::new();
    text.write(0, &mut out);
    text.write(1, &mut out);
    assert_eq!(out, "+I[a, 1]-U[NULL, 2]");
}

proptest! {
    /// Whatever the float, its text reads back as the same number, in plain text and in json.
    #[test]
    fn floats_read_back(value in any::<f64>().prop_filter("a number", |value| value.is_finite())) {
        let spelled = text(&Float64Array::from(vec![value]), Reader::Person);
        prop_assert_eq!(spelled.parse::<f64>().expect("a float"), value);
    }

    #[test]
    fn json_strings_read_back(value in any::<String>()) {
        let spelled = text(&StringArray::from(vec![value.as_str()]), Reader::Json(JsonText::default()));
        prop_assert_eq!(serde_json::from_str::<String>(&spelled).expect("json"), value);
    }

    /// Dates agree with chrono over all years that Flink knows.
    #[test]
    fn dates_agree_with_chrono(days in -719_162_i32..2_932_897) {
        let expected = chrono::NaiveDate::from_num_days_from_ce_opt(days + 719_163).expect("a date");
        prop_assert_eq!(text(&Date32Array::from(vec![days]), Reader::Person), expected.format("%Y-%m-%d").to_string());
    }
}
