//! Golden rows, bounds of values, and that nothing depends on who makes the rows.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int8Type, Int64Type, Schema, TimeUnit};
use corelane_stream::SourceSpec;
use corelane_stream::connector::LENGTH_KEY;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::format::encode::{JsonEncoding, TextEncoding};
use crate::testing::{read_all, table, with_position};

fn all_types() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let list = DataType::List(Arc::new(field("element", DataType::Int16)));
    let entries =
        DataType::Struct(vec![Field::new("key", DataType::Utf8View, false), field("value", DataType::Boolean)].into());
    Arc::new(Schema::new(vec![
        field("id", DataType::Int64),
        field("small", DataType::Int8),
        field("ratio", DataType::Float64),
        field("single", DataType::Float32),
        field("price", DataType::Decimal128(10, 2)),
        field("name", DataType::Utf8View),
        field("raw", DataType::BinaryView),
        field("day", DataType::Date32),
        field("clock", DataType::Time32(TimeUnit::Millisecond)),
        field("ts", DataType::Timestamp(TimeUnit::Millisecond, None)),
        field("instant", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        field("row", DataType::Struct(vec![field("a", DataType::Int32), field("b", DataType::Utf8)].into())),
        field("list", list),
        field("map", DataType::Map(Arc::new(Field::new("entries", entries, false)), false)),
    ]))
}

const OPTIONS: &[(&str, &str)] = &[
    ("rows-per-second", "0"),
    ("fields.id.kind", "sequence"),
    ("fields.id.start", "10"),
    ("fields.id.end", "20009"),
    ("fields.small.min", "-3"),
    ("fields.small.max", "3"),
    ("fields.ratio.min", "-1"),
    ("fields.ratio.max", "1"),
    ("fields.price.min", "0.5"),
    ("fields.price.max", "99.99"),
    ("fields.name.length", "12"),
    ("fields.name.var-len", "true"),
    ("fields.name.null-rate", "0.25"),
    ("fields.raw.length", "4"),
    ("fields.row.b.length", "5"),
    ("fields.list.element.max", "9"),
    ("fields.list.element.min", "0"),
    ("fields.list.length", "2"),
    ("fields.map.length", "1"),
    ("fields.map.key.length", "3"),
    ("fields.ts.max-past", "10 s"),
    ("start-time", "2024-02-29 12:00:00"),
];

fn source(schema: &SchemaRef, options: &[(&str, &str)]) -> Arc<dyn SourceSpec> {
    let source = DatagenConnector.source(&table(schema, options)).expect("valid options");
    with_position(source.as_ref())
}

fn json(rows: &RecordBatch) -> String {
    let mut out = String::new();
    TextEncoding::Json(JsonEncoding::default()).encode(rows, &mut out).expect("json takes every type");
    out
}

#[test]
fn first_rows() {
    let rows = read_all(source(&all_types(), &[OPTIONS, &[("number-of-rows", "3")]].concat()).as_ref(), 1, 8_192);
    expect![[r#"
        {"id":10,"small":0,"ratio":0.4298246741662026,"single":9.349384E37,"price":37.56,"name":"dfc","raw":"P2xzGQ==","day":"2024-02-29","clock":"12:00:00.000","ts":"2024-02-29 11:59:53.315","instant":"2024-02-29 12:00:00.000000Z","row":{"a":1645713622,"b":"1123f"},"list":[5,9],"map":{"d61":true},"$position":0}
        {"id":11,"small":2,"ratio":0.9381551639788943,"single":1.2060566E38,"price":36.78,"name":"5b229","raw":"FF2Trw==","day":"2024-02-29","clock":"12:00:00.001","ts":"2024-02-29 11:59:53.033","instant":"2024-02-29 12:00:00.001000Z","row":{"a":-1589169535,"b":"b4705"},"list":[1,2],"map":{"b79":false},"$position":1}
        {"id":12,"small":-2,"ratio":0.9727760133487111,"single":4.815533E37,"price":60.74,"name":"1176","raw":"Wpst3w==","day":"2024-02-29","clock":"12:00:00.002","ts":"2024-02-29 11:59:59.298","instant":"2024-02-29 12:00:00.002000Z","row":{"a":-1733951126,"b":"01ab5"},"list":[9,2],"map":{"298":true},"$position":2}
    "#]].assert_eq(&json(&rows));
}

#[test]
fn rows_do_not_depend_on_workers_and_batches() {
    let spec = source(&all_types(), OPTIONS);
    let expected = read_all(spec.as_ref(), 1, 8_192);
    assert_eq!(expected.num_rows(), 20_000, "the sequence bounds the rows");
    for (workers, batch_rows) in [(1, 1_000), (2, 8_192), (7, 777)] {
        assert_eq!(read_all(spec.as_ref(), workers, batch_rows), expected, "{workers} workers, {batch_rows} rows");
    }
    let pruned = Schema::new(vec![all_types().field(5).clone(), all_types().field(0).clone()]);
    let pruned = with_position(spec.with_schema(Arc::new(pruned)).expect("a pruned copy").as_ref());
    let pruned = read_all(pruned.as_ref(), 2, 500);
    assert_eq!(&pruned["name"], &expected["name"]);
    assert_eq!(&pruned["id"], &expected["id"]);
}

#[test]
fn values_keep_their_bounds() {
    let rows = read_all(source(&all_types(), OPTIONS).as_ref(), 1, 8_192);
    let small = rows["small"].as_primitive::<Int8Type>();
    assert!(small.values().iter().all(|value| (-3..=3).contains(value)));
    assert_eq!([-3, 3].map(|bound| small.values().contains(&bound)), [true, true]);
    assert!(rows["ratio"].as_primitive::<Float64Type>().values().iter().all(|value| (-1.0..=1.0).contains(value)));
    let prices = rows["price"].as_primitive::<Decimal128Type>();
    assert!(prices.values().iter().all(|value| (50..=9_999).contains(value)));
    let names = rows["name"].as_string_view();
    assert!((4_700..5_300).contains(&names.null_count()));
    assert!(names.iter().flatten().all(|name| (1..=12).contains(&name.len())));
    assert_eq!(rows["id"].as_primitive::<Int64Type>().value(19_999), 20_009);
}

proptest! {
    /// Any bounds of a type can be asked for, the widest included.
    #[test]
    fn integers_keep_any_bounds(a: i64, b: i64, seed: u64) {
        let (min, max) = (a.min(b), a.max(b));
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let text = [min.to_string(), max.to_string(), seed.to_string()];
        let options = [
            ("rows-per-second", "0"), ("number-of-rows", "100"),
            ("fields.n.min", &text[0]), ("fields.n.max", &text[1]), ("seed", &text[2]),
        ];
        let rows = read_all(source(&schema, &options).as_ref(), 1, 100);
        prop_assert!(rows["n"].as_primitive::<Int64Type>().values().iter().all(|n| (min..=max).contains(n)));
    }
}

fn refused(options: &[(&str, &str)], expected: &Expect) {
    let error = DatagenConnector.source(&table(&all_types(), options)).expect_err("it is wrong");
    expected.assert_eq(&format!("{error}; {}", error.hint().unwrap_or("no hint")));
}

#[test]
fn wrong_options_are_refused() {
    refused(
        &[("fields.smal.min", "1")],
        &expect!["option 'fields.smal.min' has no meaning for this table's columns; did you mean 'fields.small.min'?"],
    );
    refused(
        &[("fields.name.min", "1")],
        &expect!["option 'fields.name.min' has no meaning for this table's columns; did you mean 'fields.name.kind'?"],
    );
    refused(
        &[("fields.small.min", "300")],
        &expect!["option 'fields.small.min' has the value '300'; it takes a whole number from -128 to 127"],
    );
    refused(
        &[("fields.small.min", "3"), ("fields.small.max", "1")],
        &expect!["option 'fields.small.max' has the value '1'; it takes a value not below the smallest, 3"],
    );
    refused(
        &[("fields.id.kind", "sequence")],
        &expect![
            "option 'fields.id.start' is missing; a sequence needs its first value 'start' and its last value 'end'"
        ],
    );
    refused(
        &[("fields.ts.kind", "sequence")],
        &expect!["column 'ts' of type Timestamp(ms) cannot be a sequence; sequences are of numbers or strings"],
    );
    refused(
        &[("fields.price.max", "1000000000")],
        &expect!["option 'fields.price.max' has the value '1000000000'; it takes a number of type DECIMAL(10, 2)"],
    );
    refused(
        &[("fields.name.null-rate", "2")],
        &expect!["option 'fields.name.null-rate' has the value '2'; it takes a number from 0 to 1"],
    );
}

#[test]
fn texts_have_the_length_of_their_type() {
    let noted = [("name", "12"), ("raw", "3"), ("row.b", "2"), ("map.key", "1"), ("list", "7")];
    let noted = noted.map(|(path, length)| (format!("{LENGTH_KEY}{path}"), length.to_owned()));
    let schema = Arc::new(all_types().as_ref().clone().with_metadata(noted.into()));
    let columns = Schema::new([5, 6, 11].map(|column| schema.field(column).clone()).to_vec());
    let spec = source(&schema, &[("number-of-rows", "1"), ("rows-per-second", "0"), ("fields.raw.length", "2")]);
    let rows = read_all(with_position(spec.with_schema(Arc::new(columns)).expect("a part").as_ref()).as_ref(), 1, 10);
    assert_eq!(rows["name"].as_string_view().value(0).len(), 12);
    assert_eq!(rows["raw"].as_binary_view().value(0).len(), 2);
    assert_eq!(rows["row"].as_struct().column(1).as_string::<i32>().value(0).len(), 2);
    let error = DatagenConnector.source(&table(&schema, &[("fields.name.length", "13")])).expect_err("it is too long");
    let text = format!("{error}; {}", error.hint().unwrap_or("no hint"));
    expect![
        "option 'fields.name.length' has the value '13'; it takes a whole number up to 12, the length of the column's type"
    ]
    .assert_eq(&text);
}

#[test]
fn options_of_columns_are_known_by_pattern() {
    let options = |name: &str| TableOptions::from([(name.to_owned(), "1".to_owned())]);
    assert!(crate::check_options(&DatagenConnector, &options("fields.price.min")).is_ok());
    assert!(crate::check_options(&DatagenConnector, &options("fields.row.a.min")).is_ok());
    assert!(crate::check_options(&DatagenConnector, &options("fields..min")).is_err());
    assert!(crate::check_options(&DatagenConnector, &options("fields.price.mim")).is_err());
}
