//! Tests against models, restarts and several workers.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use arrow::datatypes::{DataType, Field};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::testing::{Narrow, Pieces, batch, context, rows_of, schema, text, with_origin};

/// `p` is the rows' position.
fn input() -> SchemaRef {
    let fields = schema("k STRING, ts TIMESTAMP, v BIGINT, d DOUBLE, s STRING, f BOOLEAN").fields().to_vec();
    let position = Arc::new(Field::new("p", DataType::UInt64, false));
    Arc::new(Schema::new(fields.into_iter().chain([position]).collect::<Vec<_>>()))
}

fn column(name: &str) -> usize {
    input().index_of(name).unwrap()
}

fn rows(preceding: u64) -> OverFrame {
    OverFrame::Rows { preceding: Some(preceding) }
}

fn range(preceding_ms: i64) -> OverFrame {
    OverFrame::Range { preceding_ms: Some(preceding_ms) }
}

const ALL_ROWS: OverFrame = OverFrame::Rows { preceding: None };
const ALL_RANGE: OverFrame = OverFrame::Range { preceding_ms: None };

fn aggregate(name: &str, argument: Option<&str>, frame: OverFrame) -> OverCall {
    let function = AggregateFunction::from_name(name).unwrap();
    let arguments: Vec<usize> = argument.map(column).into_iter().collect();
    let types: Vec<DataType> = arguments.iter().map(|column| input().field(*column).data_type().clone()).collect();
    let output: FieldRef = Arc::new(Field::new(name, function.return_type(&types).unwrap(), true));
    let call = AggregateCall {
        function,
        arguments,
        distinct: false,
        filter: None,
        order: Vec::new(),
        output: Arc::clone(&output),
    };
    OverCall { function: OverFunction::Aggregate(call), frame, output }
}

fn where_f(mut call: OverCall) -> OverCall {
    if let OverFunction::Aggregate(call) = &mut call.function {
        call.filter = Some(column("f"));
    }
    call
}

fn distinct(mut call: OverCall) -> OverCall {
    if let OverFunction::Aggregate(call) = &mut call.function {
        call.distinct = true;
    }
    call
}

fn row_number() -> OverCall {
    let output = Arc::new(Field::new("n", DataType::Int64, false));
    OverCall { function: OverFunction::RowNumber, frame: ALL_ROWS, output }
}

fn lag(name: &str, offset: u64, default: Option<ScalarValue>) -> OverCall {
    let argument = column(name);
    let output = Arc::new(Field::new("lag", input().field(argument).data_type().clone(), true));
    OverCall { function: OverFunction::Lag { argument, offset, default }, frame: ALL_ROWS, output }
}

fn spec(calls: Vec<OverCall>) -> OverAggregateSpec {
    OverAggregateSpec {
        input: input(),
        partition: vec![column("k")],
        time: Some(column("ts")),
        order: vec![column("p")],
        calls,
        policy: Arc::new(RowPolicy { on_error: corelane_stream::OnError::Skip, ..Default::default() }),
        source: "t".into(),
    }
}

/// Lines are rows, or `@` and a watermark; of the output only the key, the time and the calls show.
fn check(spec: &OverAggregateSpec, lines: &[&str], expected: Expect) {
    let (context, rejected) = context(3);
    let mut over = spec.build(&context).unwrap();
    let mut shown = String::new();
    for line in lines {
        let mut out = Narrow::default();
        let progress = match line.strip_prefix('@') {
            Some(watermark) => over.advance(Watermark(watermark.parse().unwrap()), &mut out).unwrap(),
            None => over.process(0, batch(&spec.input, line), &mut out).unwrap(),
        };
        out.drain(over.as_mut(), progress).unwrap();
        let kept: Vec<usize> =
            [0, 1].into_iter().chain(spec.input.fields().len()..spec.schema().fields().len()).collect();
        let kept = out.batches.iter().map(|batch| batch.with_rows(batch.rows().project(&kept).unwrap()));
        let kept: Vec<ChangelogBatch> = kept.collect();
        if !kept.is_empty() {
            writeln!(shown, "{line}: {}", text(&kept)).unwrap();
        }
    }
    rejected.take().into_iter().for_each(|row| writeln!(shown, "{row}").unwrap());
    expected.assert_eq(&shown);
}

#[test]
fn rows_wait_for_the_watermark_and_leave_in_order() {
    check(
        &spec(vec![aggregate("sum", Some("v"), rows(1)), row_number()]),
        &[
            "+I[a, 5, 1, 0, x, true, 1] +I[b, 3, 10, 0, x, true, 2] +I[a, 4, 100, 0, x, true, 3]",
            "@4",
            "+I[a, 4, 7, 0, late, true, 4] +I[a, null, 7, 0, x, true, 5] +I[a, 5, 1000, 0, x, true, 0]",
            "@9",
        ],
        expect![[r#"
            @4: +I[b, 3, 10, 1] +I[a, 4, 100, 1]
            @9: +I[a, 5, 1100, 2] +I[a, 5, 1001, 3]
            late {"k":"a","ts":"1970-01-01T00:00:00.004","v":7,"d":0.0,"s":"late","f":true,"p":4}
            bad its time, column `ts`, is null: {"k":"a","ts":null,"v":7,"d":0.0,"s":"x","f":true,"p":5}
        "#]],
    );
}

#[test]
fn a_range_takes_in_all_rows_of_its_time() {
    check(
        &spec(vec![
            aggregate("count", None, range(0)),
            aggregate("sum", Some("v"), range(2)),
            aggregate("sum", Some("v"), rows(2)),
            aggregate("max", Some("s"), ALL_RANGE),
        ]),
        &[
            "+I[a, 1, 1, 0, x, true, 1] +I[a, 1, 10, 0, y, true, 2] +I[a, 3, 100, 0, z, true, 3] +I[a, 4, 1000, 0, w, true, 4]",
            "@9",
        ],
        expect![[r#"
            @9: +I[a, 1, 2, 11, 1, y] +I[a, 1, 2, 11, 11, y] +I[a, 3, 1, 111, 111, z] +I[a, 4, 1, 1100, 1110, z]
        "#]],
    );
}

#[test]
fn processing_time_is_the_order_of_arrival() {
    let mut spec =
        spec(vec![aggregate("avg", Some("d"), rows(1)), aggregate("count", None, ALL_RANGE), lag("s", 1, None)]);
    spec.time = None;
    check(
        &spec,
        &[
            "+I[a, 5, 1, 1, x, true, 1] +I[b, 3, 1, 2, x, true, 1] +I[a, 1, 1, 2, y, true, 1]",
            "+I[a, 1, 1, 4, z, true, 1]",
        ],
        expect![[r#"
            +I[a, 5, 1, 1, x, true, 1] +I[b, 3, 1, 2, x, true, 1] +I[a, 1, 1, 2, y, true, 1]: +I[a, 5, 1.0, 1, null] +I[b, 3, 2.0, 1, null] +I[a, 1, 1.5, 2, x]
            +I[a, 1, 1, 4, z, true, 1]: +I[a, 1, 3.0, 3, y]
        "#]],
    );
}

#[test]
fn keys_are_forgotten_once_their_frames_are_empty() {
    let spec = spec(vec![aggregate("sum", Some("v"), range(10)), aggregate("min", Some("v"), range(5))]);
    let mut over = spec.build(&context(8).0).unwrap();
    let mut out = Vec::new();
    for time in 0..100 {
        let rows = batch(&spec.input, &format!("+I[key{time}, {time}, 1, 0, x, true, 1]"));
        assert_eq!(over.process(0, rows, &mut out).unwrap(), Progress::Done);
        assert_eq!(over.advance(Watermark(time), &mut out).unwrap(), Progress::Done);
        assert!(over.counters().state_keys <= 22, "{:?}", over.counters());
    }
    assert_eq!(out.iter().map(ChangelogBatch::num_rows).sum::<usize>(), 100);
}

#[test]
fn plans_show_partition_order_and_calls() {
    let spec = spec(vec![aggregate("avg", Some("d"), rows(99)), row_number(), lag("v", 2, None)]);
    expect![
        "partitionBy=[k], orderBy=[ts], select=[AVG(d) ROWS 99 PRECEDING AS avg, ROW_NUMBER() AS n, LAG(v, 2) AS lag]"
    ]
    .assert_eq(&spec.detail());
    expect!["grows with distinct values of k"].assert_eq(&spec.state().to_string());
}

#[test]
fn plans_say_what_is_kept() {
    let state = |calls| spec(calls).state().to_string();
    expect!["grows with distinct values of k, each with all values of s"].assert_eq(&state(vec![aggregate(
        "listagg",
        Some("s"),
        ALL_ROWS,
    )]));
    expect!["grows with distinct values of k"].assert_eq(&state(vec![aggregate("listagg", Some("s"), rows(9))]));
    expect!["bounded by its frames, and the rows that the watermark has not passed"]
        .assert_eq(&state(vec![aggregate("listagg", Some("s"), range(9))]));
}

#[derive(Clone, Debug)]
struct Row {
    key: u8,
    time: i64,
    value: Option<i64>,
    flag: bool,
    position: usize,
}

impl Row {
    fn cells(&self) -> String {
        let value = self.value.map_or("null".to_owned(), |value| value.to_string());
        let double = self.value.map_or("null".to_owned(), |value| format!("{:?}", value as f64 / 4.0));
        let word = self.value.map_or("null".to_owned(), |value| format!("word {value}"));
        format!("{}, {}, {value}, {double}, {word}, {}, {}", self.key, self.time, self.flag, self.position)
    }
}

/// The naive answer over the rows of a frame, and over all rows of the key so far.
type Naive = fn(&[&Row], &[&Row]) -> String;

/// Every kind of call, beside its naive answer.
fn calls() -> Vec<(OverCall, Naive)> {
    fn shown(value: Option<i64>) -> String {
        value.map_or("null".to_owned(), |value| value.to_string())
    }
    fn values(frame: &[&Row]) -> Vec<i64> {
        frame.iter().filter_map(|row| row.value).collect()
    }
    fn flagged(frame: &[&Row]) -> Vec<i64> {
        frame.iter().filter(|row| row.flag).filter_map(|row| row.value).collect()
    }
    fn sum(values: &[i64]) -> String {
        shown((!values.is_empty()).then(|| values.iter().sum()))
    }
    fn different(mut values: Vec<i64>) -> Vec<i64> {
        values.sort_unstable();
        values.dedup();
        values
    }
    fn before(rows: &[&Row], offset: usize) -> Option<Option<i64>> {
        rows.len().checked_sub(offset + 1).map(|row| rows[row].value)
    }
    vec![
        (aggregate("count", None, rows(2)), |frame, _| frame.len().to_string()),
        (aggregate("count", Some("v"), ALL_RANGE), |frame, _| values(frame).len().to_string()),
        (aggregate("sum", Some("v"), rows(2)), |frame, _| sum(&values(frame))),
        (aggregate("sum", Some("v"), range(5)), |frame, _| sum(&values(frame))),
        (aggregate("sum", Some("v"), ALL_RANGE), |frame, _| sum(&values(frame))),
        (where_f(aggregate("sum", Some("v"), rows(4))), |frame, _| sum(&flagged(frame))),
        (aggregate("avg", Some("d"), rows(2)), |frame, _| {
            let values = values(frame);
            let mean = || values.iter().map(|value| *value as f64 / 4.0).sum::<f64>() / values.len() as f64;
            if values.is_empty() { "null".to_owned() } else { format!("{:?}", mean()) }
        }),
        (aggregate("min", Some("v"), rows(3)), |frame, _| shown(values(frame).into_iter().min())),
        (aggregate("max", Some("v"), range(5)), |frame, _| shown(values(frame).into_iter().max())),
        (aggregate("max", Some("v"), ALL_ROWS), |frame, _| shown(values(frame).into_iter().max())),
        (where_f(aggregate("min", Some("v"), rows(2))), |frame, _| shown(flagged(frame).into_iter().min())),
        (aggregate("first_value", Some("v"), rows(2)), |frame, _| shown(values(frame).first().copied())),
        (aggregate("first_value", Some("v"), ALL_RANGE), |frame, _| shown(values(frame).first().copied())),
        (aggregate("last_value", Some("v"), range(5)), |frame, _| shown(values(frame).last().copied())),
        (aggregate("last_value", Some("v"), ALL_ROWS), |frame, _| shown(values(frame).last().copied())),
        (aggregate("max", Some("s"), rows(1)), |frame, _| {
            let words = values(frame).into_iter().map(|value| format!("word {value}"));
            words.max().unwrap_or("null".to_owned())
        }),
        (aggregate("listagg", Some("s"), rows(1)), |frame, _| {
            let words: Vec<String> = values(frame).into_iter().map(|value| format!("word {value}")).collect();
            if words.is_empty() { "null".to_owned() } else { words.join(",") }
        }),
        (distinct(aggregate("count", Some("v"), rows(4))), |frame, _| different(values(frame)).len().to_string()),
        (distinct(aggregate("count", Some("s"), ALL_RANGE)), |frame, _| different(values(frame)).len().to_string()),
        (distinct(aggregate("sum", Some("v"), range(5))), |frame, _| sum(&different(values(frame)))),
        (distinct(aggregate("sum", Some("v"), ALL_ROWS)), |frame, _| sum(&different(values(frame)))),
        (where_f(distinct(aggregate("sum", Some("v"), rows(6)))), |frame, _| sum(&different(flagged(frame)))),
        (distinct(aggregate("min", Some("v"), rows(3))), |frame, _| shown(values(frame).into_iter().min())),
        (distinct(aggregate("listagg", Some("s"), rows(3))), |frame, _| {
            let words = different(values(frame)).into_iter().map(|value| format!("word {value}"));
            let words: BTreeSet<String> = words.collect();
            if words.is_empty() { "null".to_owned() } else { words.into_iter().collect::<Vec<_>>().join(",") }
        }),
        (row_number(), |_, rows| rows.len().to_string()),
        (lag("v", 1, Some(ScalarValue::Int64(Some(-9)))), |_, rows| shown(before(rows, 1).unwrap_or(Some(-9)))),
        (lag("v", 3, None), |_, rows| shown(before(rows, 3).flatten())),
    ]
}

/// The rows of one firing, given all rows so far in order, with what each call must say.
fn model(done: &[Row], from: usize) -> Vec<String> {
    let calls = calls();
    let firing = done.iter().enumerate().skip(from).map(|(index, row)| {
        let own: Vec<&Row> = done[..=index].iter().filter(|other| other.key == row.key).collect();
        let peers =
            done[index + 1..].iter().take_while(|other| other.time == row.time).filter(|other| other.key == row.key);
        let with_peers: Vec<&Row> = own.iter().copied().chain(peers).collect();
        let results = calls.iter().map(|(call, expected)| {
            let frame: Vec<&Row> = match call.frame {
                OverFrame::Rows { preceding } => {
                    let first = preceding.map_or(0, |rows| own.len().saturating_sub(rows as usize + 1));
                    own[first..].to_vec()
                }
                OverFrame::Range { preceding_ms } => {
                    let bound = preceding_ms.map_or(i64::MIN, |ms| row.time - ms);
                    with_peers.iter().copied().filter(|other| bound <= other.time).collect()
                }
            };
            expected(&frame, &own)
        });
        format!("{}, {}", row.cells(), results.collect::<Vec<_>>().join(", "))
    });
    firing.collect()
}

fn any_row() -> impl Strategy<Value = Row> {
    (0u8..3, 0i64..40, prop::option::of(-9i64..9), any::<bool>()).prop_map(|(key, time, value, flag)| Row {
        key,
        time,
        value,
        flag,
        position: 0,
    })
}

proptest! {
    /// Rows out of order, watermarks and restarts anywhere: always the naive answer.
    #[test]
    fn frames_are_those_of_the_model(
        steps in prop::collection::vec((prop::collection::vec(any_row(), 0..12), 0i64..8, any::<bool>()), 1..10),
        batch_rows in 1usize..5,
        keyed in any::<bool>(),
    ) {
        let mut spec = spec(calls().into_iter().map(|(call, _)| call).collect());
        if !keyed {
            spec.partition.clear();
        }
        let (context, rejected) = context(batch_rows);
        let mut over = spec.build(&context).unwrap();
        let (mut watermark, mut position, mut late) = (-1, 0, 0);
        assert_eq!(over.advance(Watermark(watermark), &mut Vec::new()).unwrap(), Progress::Done);
        let (mut waiting, mut done): (Vec<Row>, Vec<Row>) = (Vec::new(), Vec::new());
        for (mut rows, progress_ms, restart) in steps {
            for row in &mut rows {
                position += 1;
                row.position = position;
                row.time += watermark - 3;
                if !keyed {
                    row.key = 0;
                }
            }
            let lines: Vec<String> = rows.iter().map(|row| format!("+I[{}]", row.cells())).collect();
            let mut out = Narrow::default();
            let progress = over.process(0, batch(&spec.input, &lines.join(" ")), &mut out).unwrap();
            out.drain(over.as_mut(), progress).unwrap();
            prop_assert!(out.batches.is_empty());
            late += rows.iter().filter(|row| row.time <= watermark).count();
            waiting.extend(rows.into_iter().filter(|row| watermark < row.time));
            if restart {
                let pieces = Pieces::of(over.as_mut()).unwrap();
                over = spec.build(&context).unwrap();
                pieces.restore(over.as_mut()).unwrap();
            }
            watermark += progress_ms;
            let progress = over.advance(Watermark(watermark), &mut out).unwrap();
            out.drain(over.as_mut(), progress).unwrap();
            let (mut due, left): (Vec<Row>, Vec<Row>) = waiting.into_iter().partition(|row| row.time <= watermark);
            waiting = left;
            due.sort_by_key(|row| (row.time, row.position));
            let from = done.len();
            done.extend(due);
            let found: Vec<String> = rows_of(&out.batches).into_iter().map(|(_, row)| row).collect();
            prop_assert_eq!(found, model(&done, from));
        }
        prop_assert_eq!(rejected.take().len(), late);
    }

    /// Packing the history leaves all that frames hold.
    #[test]
    fn packing_keeps_what_is_held(rows in prop::collection::vec(any_row(), 1..60), cut in 1usize..20) {
        let spec = spec(calls().into_iter().map(|(call, _)| call).collect());
        let (context, _) = context(8);
        let mut over = Over::new(&spec, &context).unwrap();
        let mut sorted: Vec<Row> = rows;
        sorted.sort_by_key(|row| row.time);
        sorted.iter_mut().enumerate().for_each(|(position, row)| row.position = position);
        // A batch may not part rows of one time.
        let mut done = Vec::new();
        for rows in sorted.chunk_by(|one, next| one.time / cut as i64 == next.time / cut as i64) {
            let lines: Vec<String> = rows.iter().map(|row| format!("+I[{}]", row.cells())).collect();
            let rows_in = batch(&spec.input, &lines.join(" ")).into_parts().0;
            let times: Vec<i64> = rows.iter().map(|row| row.time).collect();
            let columns = over.compute(&rows_in, &times).unwrap();
            over.pack().unwrap();
            let from = done.len();
            done.extend(rows.iter().cloned());
            let found = rows_of(&[over.output(rows_in, columns).unwrap()]);
            let found: Vec<String> = found.into_iter().map(|(_, row)| row).collect();
            prop_assert_eq!(found, model(&done, from));
        }
    }
}

#[test]
fn a_result_out_of_range_costs_its_row_alone() {
    check(
        &spec(vec![aggregate("sum", Some("v"), rows(1)), row_number()]),
        &[
            "+I[a, 1, 9223372036854775807, 0, x, true, 1] +I[a, 2, 1, 0, x, true, 2] +I[a, 3, 2, 0, x, true, 3]",
            "+I[b, 2, 5, 0, x, true, 4]",
            "@9",
        ],
        expect![[r#"
            @9: +I[a, 1, 9223372036854775807, 1] +I[b, 2, 5, 1] +I[a, 3, 3, 3]
            bad the SUM called "sum" is out of range for BIGINT (cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE): {"k":"a","ts":"1970-01-01T00:00:00.002","v":1,"d":0.0,"s":"x","f":true,"p":2}
        "#]],
    );
}

#[test]
fn a_distinct_result_out_of_range_costs_its_row_alone() {
    check(
        &spec(vec![distinct(aggregate("sum", Some("v"), rows(2)))]),
        &[
            "+I[a, 1, 9223372036854775807, 0, x, true, 1] +I[a, 2, 9223372036854775807, 0, x, true, 2]",
            "+I[a, 3, 2, 0, x, true, 3] +I[a, 4, 3, 0, x, true, 4] +I[a, 5, 2, 0, x, true, 5]",
            "@9",
        ],
        expect![[r#"
            @9: +I[a, 1, 9223372036854775807] +I[a, 2, 9223372036854775807] +I[a, 5, 5]
            bad the SUM called "sum" is out of range for BIGINT (cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE): {"k":"a","ts":"1970-01-01T00:00:00.003","v":2,"d":0.0,"s":"x","f":true,"p":3}
            bad the SUM called "sum" is out of range for BIGINT (cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE): {"k":"a","ts":"1970-01-01T00:00:00.004","v":3,"d":0.0,"s":"x","f":true,"p":4}
        "#]],
    );
}

#[test]
fn origins_are_told_of_late_rows_and_not_kept() {
    let spec = spec(vec![row_number()]);
    let (context, rejected) = context(8);
    let mut over = spec.build(&context).unwrap();
    assert_eq!(over.advance(Watermark(4), &mut Vec::new()).unwrap(), Progress::Done);
    let rows = with_origin(batch(&input(), "+I[a, 4, 7, 0, x, true, 1] +I[a, 5, 7, 0, x, true, 2]"));
    let mut out = Vec::new();
    assert_eq!(over.process(0, rows, &mut out).unwrap(), Progress::Done);
    assert_eq!(over.advance(Watermark(5), &mut out).unwrap(), Progress::Done);
    assert_eq!(out[0].schema(), spec.schema());
    assert_eq!(rejected.take(), ["late in.csv, line 1: raw 1"]);
}
