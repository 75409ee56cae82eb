//! What each format makes of the same rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use corelane_server::RowKind::{self, Insert, UpdateAfter, UpdateBefore};
use corelane_server::files::FileCompression;
use expect_test::{Expect, expect};

use super::*;

fn rows() -> RecordBatch {
    let names: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a, \"b\""), Some(""), None, Some("tab\there")]));
    let counts: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(-20), None, Some(300)]));
    let prices =
        Decimal128Array::from(vec![Some(150), Some(5), None, Some(0)]).with_precision_and_scale(10, 2).unwrap();
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0, 1_500, 86_400_000, 1_700_000_000_123]));
    RecordBatch::try_from_iter([("name", names), ("n", counts), ("price", Arc::new(prices)), ("ts", times)]).unwrap()
}

fn printed(format: Format, rows_max: Option<usize>, mode: ChangelogMode, batches: Vec<ChangelogBatch>) -> String {
    written(Layout { format: Some(format), delimiter: ',', rows_max, terminal: false }, mode, batches)
}

fn written(layout: Layout, mode: ChangelogMode, batches: Vec<ChangelogBatch>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut out = Destination::named(&path, false, FileCompression::None).unwrap();
    let shape = Shape { schema: batches[0].schema(), mode, bounded: true };
    let mut results = Results::new(&layout, &shape).unwrap();
    batches.into_iter().for_each(|batch| results.push(batch, &mut out).unwrap());
    results.finish(&mut out).unwrap();
    out.complete().unwrap();
    std::fs::read_to_string(path).unwrap()
}

fn check(format: Format, expected: Expect) {
    expected.assert_eq(&printed(format, None, ChangelogMode::Append, vec![ChangelogBatch::append(rows())]));
}

#[test]
fn csv() {
    check(
        Format::Csv,
        expect![[r#"
        name,n,price,ts
        "a, ""b""",1,1.50,1970-01-01 00:00:00.000
        "",-20,0.05,1970-01-01 00:00:01.500
        ,,,1970-01-02 00:00:00.000
        tab	here,300,0.00,2023-11-14 22:13:20.123
    "#]],
    );
}

#[test]
fn csv_between_tabs() {
    let layout = Layout { format: Some(Format::Csv), delimiter: '\t', rows_max: None, terminal: false };
    let text = written(layout, ChangelogMode::Append, vec![ChangelogBatch::append(rows().project(&[0, 1]).unwrap())]);
    assert_eq!(text, "name\tn\n\"a, \"\"b\"\"\"\t1\n\"\"\t-20\n\t\n\"tab\there\"\t300\n");
}

#[test]
fn json() {
    check(
        Format::Json,
        expect![[r#"
        {"name":"a, \"b\"","n":1,"price":1.50,"ts":"1970-01-01 00:00:00.000"}
        {"name":"","n":-20,"price":0.05,"ts":"1970-01-01 00:00:01.500"}
        {"name":null,"n":null,"price":null,"ts":"1970-01-02 00:00:00.000"}
        {"name":"tab\there","n":300,"price":0.00,"ts":"2023-11-14 22:13:20.123"}
    "#]],
    );
}

#[test]
fn table() {
    check(
        Format::Table,
        expect![[r#"
        ┌───────────┬──────┬───────┬─────────────────────────┐
        │ name      │ n    │ price │ ts                      │
        ├───────────┼──────┼───────┼─────────────────────────┤
        │ a, "b"    │    1 │  1.50 │ 1970-01-01 00:00:00.000 │
        │           │  -20 │  0.05 │ 1970-01-01 00:00:01.500 │
        │ NULL      │ NULL │  NULL │ 1970-01-02 00:00:00.000 │
        │ tab\there │  300 │  0.00 │ 2023-11-14 22:13:20.123 │
        └───────────┴──────┴───────┴─────────────────────────┘
        4 rows
    "#]],
    );
}

#[test]
fn changelog() {
    check(
        Format::Changelog,
        expect![[r#"
        +I[a, "b", 1, 1.50, 1970-01-01 00:00:00.000]
        +I[, -20, 0.05, 1970-01-01 00:00:01.500]
        +I[NULL, NULL, NULL, 1970-01-02 00:00:00.000]
        +I[tab	here, 300, 0.00, 2023-11-14 22:13:20.123]
    "#]],
    );
}

fn numbers(values: std::ops::Range<i64>) -> RecordBatch {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    RecordBatch::try_from_iter([("n", values)]).unwrap()
}

#[test]
fn a_long_table_shows_its_ends() {
    for sizes in [vec![1_000], vec![1; 1_000], vec![3, 990, 7], vec![999, 1]] {
        let mut start = 0;
        let batches = sizes.iter().map(|size| {
            start += size;
            ChangelogBatch::append(numbers(start - size..start))
        });
        let expected = expect![[r#"
            ┌─────┐
            │ n   │
            ├─────┤
            │   0 │
            │   1 │
            │   · │
            │ 998 │
            │ 999 │
            └─────┘
            1,000 rows (4 shown; --max-rows or --format csv shows more)
        "#]];
        expected.assert_eq(&printed(Format::Table, Some(4), ChangelogMode::Append, batches.collect()));
    }
    let odd = printed(Format::Table, Some(3), ChangelogMode::Append, vec![ChangelogBatch::append(numbers(0..9))]);
    assert!(odd.ends_with("9 rows (3 shown; --max-rows or --format csv shows more)\n"), "{odd}");
    let fits = printed(Format::Table, Some(4), ChangelogMode::Append, vec![ChangelogBatch::append(numbers(0..4))]);
    assert!(fits.ends_with("\n4 rows\n") && !fits.contains('·'), "{fits}");
}

fn updates() -> Vec<ChangelogBatch> {
    let kinds: Vec<RowKind> = vec![Insert, Insert, UpdateBefore, UpdateAfter];
    let values: ArrayRef = Arc::new(Int64Array::from(vec![7, 5, 7, 8]));
    let rows = RecordBatch::try_from_iter([("n", values)]).unwrap();
    vec![ChangelogBatch::new(rows, kinds.into_iter().collect())]
}

#[test]
fn an_updating_result_is_folded_but_its_changelog_is_not() {
    assert_eq!(printed(Format::Csv, None, ChangelogMode::Retract, updates()), "n\n5\n8\n");
    assert_eq!(printed(Format::Json, None, ChangelogMode::Retract, updates()), "{\"n\":5}\n{\"n\":8}\n");
    assert_eq!(printed(Format::Changelog, None, ChangelogMode::Retract, updates()), "+I[7]\n+I[5]\n-U[7]\n+U[8]\n");
}

#[test]
fn no_rows_still_have_a_header() {
    let none = vec![ChangelogBatch::append(numbers(0..0))];
    assert_eq!(printed(Format::Csv, None, ChangelogMode::Append, none.clone()), "n\n");
    assert_eq!(printed(Format::Json, None, ChangelogMode::Append, none.clone()), "");
    expect![[r#"
        ┌───┐
        │ n │
        ├───┤
        └───┘
        0 rows
    "#]]
    .assert_eq(&printed(Format::Table, None, ChangelogMode::Append, none));
}

#[test]
fn the_default_format_follows_terminal_and_input() {
    let format = |terminal, bounded| {
        let layout = Layout { format: None, delimiter: ',', rows_max: None, terminal };
        let shape = Shape { schema: numbers(0..0).schema(), mode: ChangelogMode::Append, bounded };
        layout.format_for(&shape)
    };
    assert_eq!(format(true, true), Format::Table);
    assert_eq!(format(true, false), Format::Changelog);
    assert_eq!([format(false, true), format(false, false)], [Format::Csv; 2]);
}

#[test]
fn a_terminal_without_a_width_has_80_columns_unless_it_is_told() {
    assert_eq!([Some("132"), Some("0"), Some("wide"), None].map(crate::output::table::columns_told), [132, 80, 80, 80]);
}

#[test]
fn a_final_result_needs_an_end() {
    let refused = |format, mode| {
        let layout = Layout { format: Some(format), delimiter: ',', rows_max: None, terminal: false };
        let shape = Shape { schema: numbers(0..0).schema(), mode, bounded: false };
        Results::new(&layout, &shape).err().map(|failed| failed.exit())
    };
    assert_eq!(refused(Format::Csv, ChangelogMode::Retract), Some(Exit::Sql));
    assert_eq!(refused(Format::Table, ChangelogMode::Append), Some(Exit::Sql));
    assert_eq!(refused(Format::Json, ChangelogMode::Append), None);
    assert_eq!(refused(Format::Changelog, ChangelogMode::Upsert(vec![0])), None);
}
