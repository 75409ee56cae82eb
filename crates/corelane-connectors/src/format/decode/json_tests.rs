//! JSON records in, rows and reasons out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// All types that JSON can hold.
fn every_type() -> SchemaRef {
    let entries = Fields::from(vec![Field::new("key", DataType::Utf8View, false), field("value", DataType::Int32)]);
    schema(vec![
        field("b", DataType::Boolean),
        field("i", DataType::Int64),
        field("s", DataType::Int16),
        field("d", DataType::Float64),
        field("x", DataType::Decimal128(10, 2)),
        field("t", DataType::Utf8View),
        field("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("ltz", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        field("day", DataType::Date32),
        field("time", DataType::Time32(TimeUnit::Millisecond)),
        field("bytes", DataType::Binary),
        field("list", DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)))),
        field("map", DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)),
        field("row", DataType::Struct(vec![field("p", DataType::Int32), field("q", DataType::Utf8View)].into())),
    ])
}

/// Decodes all of `text`: a line for each row and for each bad record.
fn decode(text: &[u8], schema: &SchemaRef, options: &JsonOptions) -> String {
    let mut decoder = JsonDecoder::new(options, schema, None).expect("types fit");
    let mut lines = vec![];
    let input = Input { bytes: text, offset: 0, line: Some(1), at_end: true, limit: u64::MAX };
    decoder
        .decode(&input, usize::MAX, &mut |bad| {
            lines.push(format!("line {} byte {}: {}", bad.line.expect("is known"), bad.offset, bad.reason));
            Ok(())
        })
        .expect("no bad record fails");
    let rows = decoder.flush().expect("rows fit");
    let count = rows.offsets.len();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(count));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), rows.columns, &options).expect("rows fit");
    let format = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &format).expect("can be shown")).collect();
    for row in 0..count {
        lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | "));
    }
    lines.join("\n")
}

fn check(text: &str, schema: &SchemaRef, options: &JsonOptions, expected: Expect) {
    expected.assert_eq(&decode(text.as_bytes(), schema, options));
}

#[test]
fn every_type_is_read() {
    let text = r#"{"b":true,"i":-5,"s":7,"d":1.5e3,"x":12.345,"t":"naïve \"q\" \u00e9\ud83d\ude00\n","ts":"2024-02-29 01:02:03.456","ltz":"2024-02-29 01:02:03.456789Z","day":"2024-02-29","time":"01:02:03","bytes":"Zm9v","list":[1,null,3],"map":{"a":1,"b":null},"row":{"q":"w","p":1}}
{}
{"i":"12","s":" 3 ","d":"2.5","x":"0.1","b":"TRUE","t":12.50,"row":null,"list":[],"map":{},"unknown":[{"x":[]}]}
  { "i" : 1 , "i" : 2 , "t" : { "k" : [ 1, "a b" ] } }  
"#;
    check(
        text,
        &every_type(),
        &JsonOptions::default(),
        expect![[r#"
            true | -5 | 7 | 1500.0 | 12.35 | naïve "q" é😀
             | 2024-02-29T01:02:03.456 | 2024-02-29T01:02:03.456789Z | 2024-02-29 | 01:02:03 | 666f6f | [1, NULL, 3] | {a: 1, b: NULL} | {p: 1, q: w}
            NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL
            true | 12 | 3 | 2.5 | 0.10 | 12.50 | NULL | NULL | NULL | NULL | NULL | [] | {} | NULL
            NULL | 2 | NULL | NULL | NULL | {"k":[1,"a b"]} | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL"#]],
    );
}

#[test]
fn each_bad_record_costs_itself_only_and_says_why() {
    let deep = format!("{{\"u\":{}", "[".repeat(100_000));
    let text = [
        r#"{"i":1}"#,
        r#"{"i":99999999999999999999}"#,
        r#"{"s":40000}"#,
        r#"{"i":1.5}"#,
        r#"{"i":"abc"}"#,
        r#"{"x":123456789.00}"#,
        r#"{"d":1e999}"#,
        r#"{"ts":"2024-02-30 00:00:00"}"#,
        r#"{"ts":"2024-02-28T00:00:00"}"#,
        r#"{"ts":1709210096789}"#,
        r#"{"day":"tomorrow"}"#,
        r#"{"i":1"#,
        r#"{"t":"abc"#,
        r#"{"t":"a\x"}"#,
        r#"{"t":"\ud800"}"#,
        "{\"t\":\"a\tb\"}",
        r#"{"i":01}"#,
        r#"{"i" 1}"#,
        r#"{i:1}"#,
        r#"{"i":1,}"#,
        r#"{"i":1} x"#,
        r#"[1]"#,
        r#"null"#,
        r#"{"row":{"p":"z"}}"#,
        r#"{"row":[1]}"#,
        r#"{"list":[1,"z"]}"#,
        r#"{"map":{"k":true}}"#,
        r#"{"bytes":"*"}"#,
        r#"{"u":tru}"#,
        &deep,
        r#"{"i":2}"#,
    ]
    .join("\n");
    check(
        &text,
        &every_type(),
        &JsonOptions::default(),
        expect![[r#"
            line 2 byte 8: field 'i': 99999999999999999999 is out of the range of BIGINT
            line 3 byte 35: field 's': 40000 is out of the range of SMALLINT
            line 4 byte 47: field 'i': cannot read 1.5 as BIGINT
            line 5 byte 57: field 'i': cannot read "abc" as BIGINT
            line 6 byte 69: field 'x': 123456789.00 is out of the range of DECIMAL(10, 2)
            line 7 byte 88: field 'd': 1e999 is out of the range of DOUBLE
            line 8 byte 100: field 'ts': cannot read "2024-02-30 00:00:00" as TIMESTAMP(3)
            line 9 byte 129: field 'ts': cannot read "2024-02-28T00:00:00" as TIMESTAMP(3) (set 'json.timestamp-format.standard' = 'ISO-8601')
            line 10 byte 158: field 'ts': cannot read 1709210096789 as TIMESTAMP(3)
            line 11 byte 179: field 'day': cannot read "tomorrow" as DATE
            line 12 byte 198: the record is cut off at byte 6: expected ',' or '}'
            line 13 byte 205: the record is cut off in the string that starts at byte 5
            line 14 byte 215: unknown escape in the string "a\\x"
            line 15 byte 227: malformed \u escape in the string "\\ud800"
            line 16 byte 242: unescaped control character 0x09 in a string at byte 7
            line 17 byte 254: malformed number "01" at byte 5
            line 18 byte 263: expected ':' after a field's name at byte 5, found '1'
            line 19 byte 271: expected a field's name in double quotes at byte 1, found 'i'
            line 20 byte 277: expected a field's name in double quotes at byte 7, found '}'
            line 21 byte 286: expected the end of the line after the object at byte 8, found 'x'
            line 22 byte 296: expected a JSON object, found '['
            line 23 byte 300: expected a JSON object, found 'n'
            line 24 byte 305: field 'row.p': cannot read "z" as INT
            line 25 byte 323: field 'row': cannot read an array as ROW<p INT, q STRING>
            line 26 byte 335: field 'list': cannot read "z" as INT
            line 27 byte 352: field 'map': cannot read true as INT
            line 28 byte 371: field 'bytes': cannot read "*" as BYTES
            line 29 byte 385: expected a value at byte 5, found 't'
            line 30 byte 395: values are nested deeper than 128 levels at byte 132
            NULL | 1 | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL
            NULL | 2 | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL"#]],
    );
}

#[test]
fn invalid_utf8_costs_its_record_only() {
    let schema = schema(vec![field("t", DataType::Utf8View)]);
    let text = b"{\"t\":\"a\"}\n{\"t\":\"\xff\"}\n{\"t\":\"b\"}\n";
    expect![[r#"
        line 2 byte 10: invalid UTF-8 at byte 6 of the record
        a
        b"#]]
    .assert_eq(&decode(text, &schema, &JsonOptions::default()));
}

#[test]
fn parse_errors_are_ignored_by_field_where_flink_does_so() {
    let options = JsonOptions { ignore_parse_errors: true, ..JsonOptions::default() };
    let schema = schema(vec![
        field("i", DataType::Int32),
        field("list", DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)))),
        field("row", DataType::Struct(vec![Field::new("p", DataType::Int32, false)].into())),
    ]);
    check(
        "{\"i\":\"x\",\"list\":[1,\"y\",3]}\n{\"i\" 1}\n{\"list\":7,\"row\":{\"z\":{}},\"i\":5}\n",
        &schema,
        &options,
        expect![[r#"
            line 2 byte 27: expected ':' after a field's name at byte 5, found '1'
            NULL | [1, NULL, 3] | NULL
            5 | NULL | NULL"#]],
    );
}

#[test]
fn missing_fields_fail_where_asked_and_where_not_null() {
    let options = JsonOptions { fail_on_missing_field: true, ..JsonOptions::default() };
    let columns = schema(vec![field("a", DataType::Int32), Field::new("b", DataType::Int32, false)]);
    check(
        "{\"a\":1}\n{\"a\":null,\"b\":2}\n",
        &columns,
        &options,
        expect![[r#"
        line 1 byte 0: field 'b': it is missing
        NULL | 2"#]],
    );
    check(
        "{\"a\":1}\n{\"b\":null}\n",
        &columns,
        &JsonOptions::default(),
        expect![[r#"
        line 1 byte 0: field 'b': it is NOT NULL but has no value
        line 2 byte 8: field 'b': it is NOT NULL but has no value"#]],
    );
}

#[test]
fn iso_timestamps_are_read_where_asked() {
    let options = JsonOptions { timestamps: TimestampStyle::Iso8601, ..JsonOptions::default() };
    let schema = schema(vec![field("ts", DataType::Timestamp(TimeUnit::Millisecond, None))]);
    check(
        "{\"ts\":\"2024-02-28T00:00:00.5Z\"}\n{\"ts\":\"2024-02-28 00:00:00\"}\n",
        &schema,
        &options,
        expect![[r#"
        line 2 byte 32: field 'ts': cannot read "2024-02-28 00:00:00" as TIMESTAMP(3) (set 'json.timestamp-format.standard' = 'SQL')
        2024-02-28T00:00:00.500"#]],
    );
}

#[test]
fn rows_are_counted_where_no_column_is_read() {
    let mut decoder = JsonDecoder::new(&JsonOptions::default(), &schema(vec![]), None).expect("no types");
    let input = Input { bytes: b"{}\n{\"a\":1}\n\n{\"b\":[]}", offset: 0, line: None, at_end: true, limit: u64::MAX };
    decoder.decode(&input, usize::MAX, &mut |_| panic!("no bad record")).expect("decodes");
    assert_eq!(decoder.rows(), 3);
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,3}|[a-c]", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever serde_json writes we accept, and strings and numbers come out as they went in.
    #[test]
    fn what_serde_writes_is_read(t: String, i: i64, d in -1e300..1e300f64, u in json_value()) {
        let columns = schema(vec![field("t", DataType::Utf8View), field("i", DataType::Int64), field("d", DataType::Float64)]);
        let text = serde_json::json!({ "u": u, "t": t, "i": i, "d": d }).to_string();
        let mut decoder = JsonDecoder::new(&JsonOptions::default(), &columns, None).expect("types fit");
        let input = Input { bytes: text.as_bytes(), offset: 0, line: None, at_end: true, limit: u64::MAX };
        let mut reasons = vec![];
        decoder.decode(&input, 10, &mut |bad| { reasons.push(bad.reason.to_owned()); Ok(()) }).expect("decodes");
        prop_assert_eq!(reasons, Vec::<String>::new());
        let rows = decoder.flush().expect("rows fit");
        use arrow::array::AsArray;
        prop_assert_eq!(rows.columns[0].as_string_view().value(0), t);
        prop_assert_eq!(rows.columns[1].as_primitive::<arrow::datatypes::Int64Type>().value(0), i);
        prop_assert_eq!(rows.columns[2].as_primitive::<arrow::datatypes::Float64Type>().value(0), d);
    }

    /// A record is accepted exactly if serde_json accepts it (as an object of moderate depth).
    #[test]
    fn what_serde_refuses_is_refused(text in r#"\{("a":)?[\[\]{},:"\\0-9eE.+\-a-c tfn]{0,12}\}?"#) {
        let mut decoder = JsonDecoder::new(&JsonOptions::default(), &schema(vec![]), None).expect("no types");
        let input = Input { bytes: text.as_bytes(), offset: 0, line: None, at_end: true, limit: u64::MAX };
        let mut refused = false;
        decoder.decode(&input, 10, &mut |_| { refused = true; Ok(()) }).expect("decodes");
        let by_serde = serde_json::from_str::<serde_json::Value>(&text).is_err();
        prop_assert_eq!(refused, by_serde, "{}", text);
    }
}
