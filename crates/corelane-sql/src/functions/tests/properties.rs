//! Functions against what they must equal.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field};
use chrono::DateTime;
use datafusion_common::ScalarValue;
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs};
use proptest::prelude::*;

use super::Harness;

/// Calls a function of text results on one column and constants.
fn texts(name: &str, column: ArrayRef, constants: &[ScalarValue]) -> StringViewArray {
    let harness = Harness::new(None);
    let mut args = vec![ColumnarValue::Array(Arc::clone(&column))];
    args.extend(constants.iter().cloned().map(ColumnarValue::Scalar));
    let arg_fields = args.iter().map(|value| Arc::new(Field::new("a", value.data_type(), true))).collect();
    let args = ScalarFunctionArgs {
        args,
        arg_fields,
        number_rows: column.len(),
        return_field: Arc::new(Field::new("r", DataType::Utf8View, true)),
        config_options: Arc::clone(&harness.config),
    };
    let result = harness.functions[name].invoke_with_args(args).expect("the call succeeds");
    let result = result.into_array(column.len()).expect("a column");
    let result = result.as_string_view().clone();
    // The views were made unchecked: check them here.
    let (views, buffers, nulls) = result.into_parts();
    StringViewArray::try_new(views, buffers, nulls).expect("the views are sound")
}

fn view(text: &str) -> ScalarValue {
    ScalarValue::Utf8View(Some(text.to_owned()))
}

fn compare(given: &StringViewArray, expected: &[Option<String>]) {
    let given: Vec<Option<String>> = given.iter().map(|text| text.map(str::to_owned)).collect();
    assert_eq!(given, expected);
}

proptest! {
    #[test]
    fn split_index_is_split(
        rows in prop::collection::vec(prop::option::of("[a-c/:ä]{0,40}"), 0..50),
        separator in prop::sample::select(vec!["/", ":", "::", "ä", "abc"]),
        index in 0_i64..6,
    ) {
        let column: StringViewArray = rows.iter().map(Option::as_deref).collect();
        let given = texts("split_index", Arc::new(column), &[view(separator), ScalarValue::Int64(Some(index))]);
        let piece = |row: &String| row.split(separator).nth(index as usize).filter(|_| !row.is_empty()).map(str::to_owned);
        compare(&given, &rows.iter().map(|row| row.as_ref().and_then(piece)).collect::<Vec<_>>());
    }

    #[test]
    fn date_format_is_chrono_format(
        start in -62_000_000_000_000_i64..250_000_000_000_000,
        steps in prop::collection::vec(prop::option::of(-100_000_000_i64..200_000_000), 0..50),
        pattern in prop::sample::select(vec![
            ("yyyy-MM-dd", "%Y-%m-%d"),
            ("HH:mm", "%H:%M"),
            ("yyyy-MM-dd HH:mm:ss.SSS", "%Y-%m-%d %H:%M:%S%.3f"),
            ("EEE, dd MMM yyyy hh:mm a", "%a, %d %b %Y %I:%M %p"),
            ("D", "%-j"),
        ]),
    ) {
        let mut time = start;
        let times: Vec<Option<i64>> = steps.iter().map(|step| { time += step.unwrap_or(0); step.map(|_| time) }).collect();
        let given = texts("date_format", Arc::new(TimestampMillisecondArray::from(times.clone())), &[view(pattern.0)]);
        let text = |ms: i64| DateTime::from_timestamp_millis(ms).expect("in the calendar").format(pattern.1).to_string();
        compare(&given, &times.iter().map(|time| time.map(text)).collect::<Vec<_>>());
    }

    #[test]
    fn to_timestamp_reads_what_date_format_writes(ms in -62_000_000_000_000_i64..250_000_000_000_000) {
        let pattern = super::super::date_pattern::DatePattern::compile("yyyy-MM-dd HH:mm:ss.SSS").expect("a pattern");
        let mut text = String::new();
        prop_assert!(pattern.format(ms, 0, 0, &mut text));
        prop_assert_eq!(pattern.parse(&text).map(|time| time.and_utc().timestamp_millis()), Some(ms));
        prop_assert_eq!(super::super::datetime::parse_timestamp(&text).map(|time| time.and_utc().timestamp_millis()), Some(ms));
    }

    #[test]
    fn regexp_extract_is_regex(
        rows in prop::collection::vec(prop::option::of("[a-c&=_ ]{0,30}(channel_id=[0-9a-z]{0,20})?(&[a-z]{0,3})?"), 0..50),
        group in 0_i64..4,
        regex in prop::sample::select(vec!["(&|^)channel_id=([^&]*)", "(a)|(b)", "[abc]+", "(?:x)?([a-c]{2})"]),
    ) {
        let column: StringViewArray = rows.iter().map(Option::as_deref).collect();
        let given = texts("regexp_extract", Arc::new(column), &[view(regex), ScalarValue::Int64(Some(group))]);
        let oracle = regex::Regex::new(regex).expect("a regex");
        let find = |row: &String| oracle.captures(row)?.get(group as usize).map(|found| found.as_str().to_owned());
        compare(&given, &rows.iter().map(|row| row.as_ref().and_then(find)).collect::<Vec<_>>());
    }

    #[test]
    fn lower_is_to_lowercase(rows in prop::collection::vec(prop::option::of("[a-dA-DäÄ ]{0,30}"), 0..50)) {
        let column: StringViewArray = rows.iter().map(Option::as_deref).collect();
        let given = texts("lower", Arc::new(column), &[]);
        compare(&given, &rows.iter().map(|row| row.as_ref().map(|row| row.to_lowercase())).collect::<Vec<_>>());
    }

    #[test]
    fn substring_counts_characters(text in "[a-cäß€]{0,30}", start in -35_i64..35, length in 0_i64..35) {
        let column: ArrayRef = Arc::new(StringViewArray::from(vec![text.as_str()]));
        let constants = [ScalarValue::Int64(Some(start)), ScalarValue::Int64(Some(length))];
        let letters: Vec<char> = text.chars().collect();
        let count = letters.len() as i64;
        let first = if start > 0 { start - 1 } else if start < 0 { count + start } else { 0 };
        let expected: String = if first < 0 { String::new() } else {
            letters.iter().skip(first as usize).take(length as usize).collect()
        };
        compare(&texts("substring", column, &constants), &[Some(expected)]);
    }
}
