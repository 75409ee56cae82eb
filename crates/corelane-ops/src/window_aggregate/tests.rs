//! Tests against models, restarts and several workers.

use std::collections::BTreeSet;

use corelane_stream::{KeyGroup, hash_columns};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::aggregate::AggregateFunction as F;
use crate::testing::{Narrow, Pieces, batch, call, context, folded, schema, text};

const TUMBLE: Window = Window::Tumble { size_ms: 10, offset_ms: 0 };
const HOP: Window = Window::Hop { size_ms: 15, slide_ms: 5, offset_ms: 0 };
const CUMULATE: Window = Window::Cumulate { size_ms: 15, step_ms: 5, offset_ms: 0 };

fn spec(window: Window, phase: Phase, emit: Emit) -> WindowAggregateSpec {
    let input = schema("k STRING, v BIGINT, t TIMESTAMP");
    WindowAggregateSpec {
        time: Some(2),
        window,
        clock: WindowClock::AsWritten,
        keys: vec![0],
        calls: vec![call(&input, F::Count, &[]), call(&input, F::Sum, &[1])],
        input,
        phase,
        emit,
        policy: Arc::new(RowPolicy::default()),
    }
}

/// Each line is a batch, or a watermark as a number.
fn check(spec: &WindowAggregateSpec, script: &str, expected: Expect) {
    let (context, rejected) = context(2);
    let mut operator = spec.build(&context).unwrap();
    let mut lines = Vec::new();
    for line in script.lines() {
        let mut out = Narrow::default();
        let progress = match line.parse() {
            Ok(watermark) => operator.advance(Watermark(watermark), &mut out).unwrap(),
            Err(_) => operator.process(0, batch(&spec.input, line), &mut out).unwrap(),
        };
        out.drain(&mut *operator, progress).unwrap();
        lines.push(text(&out.batches));
        lines.extend(rejected.take());
    }
    let mut out = Narrow::default();
    let progress = operator.advance(Watermark::END, &mut out).unwrap();
    out.drain(&mut *operator, progress).unwrap();
    lines.push(text(&out.batches));
    assert_eq!(operator.counters().state_keys, 0, "closed panes are freed");
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn a_window_closes_with_its_last_millisecond() {
    check(
        &spec(TUMBLE, Phase::Single, Emit::Final),
        "+I[b, 1, 3] +I[a, 2, 9] +I[b, 5, 10] +I[c, 1, 0]\n8\n9\n+I[a, 1, 9] +I[a, 1, 10]",
        expect![[r#"


            +I[b, 1, 1, 0, 10, 9] +I[a, 1, 2, 0, 10, 9] +I[c, 1, 1, 0, 10, 9]

            late {"k":"a","v":1,"t":"1970-01-01T00:00:00.009"}
            +I[b, 1, 5, 10, 20, 19] +I[a, 1, 1, 10, 20, 19]"#]],
    );
}

#[test]
fn windows_add_up_their_panes() {
    let rows = "+I[a, 1, 1] +I[a, 2, 6] +I[b, 4, 11]\n9\n+I[a, 8, 4] +I[a, 16, 12]";
    check(
        &spec(HOP, Phase::Single, Emit::Final),
        rows,
        expect![[r#"

        +I[a, 1, 1, -10, 5, 4] +I[a, 2, 3, -5, 10, 9]

        +I[a, 4, 27, 0, 15, 14] +I[b, 1, 4, 0, 15, 14] +I[a, 2, 18, 5, 20, 19] +I[b, 1, 4, 5, 20, 19] +I[b, 1, 4, 10, 25, 24] +I[a, 1, 16, 10, 25, 24]"#]],
    );
    check(
        &spec(CUMULATE, Phase::Single, Emit::Final),
        rows,
        expect![[r#"

        +I[a, 1, 1, 0, 5, 4] +I[a, 2, 3, 0, 10, 9]

        +I[a, 4, 27, 0, 15, 14] +I[b, 1, 4, 0, 15, 14]"#]],
    );
}

#[test]
fn running_results_change_before_the_window_closes() {
    let rows = "+I[a, 1, 1] +I[a, 2, 6]\n+I[a, 4, 7]\n9\n+I[a, 8, 4]";
    check(
        &spec(TUMBLE, Phase::Single, Emit::Changes),
        rows,
        expect![[r#"
        +I[a, 2, 3, 0, 10, 9]
        -U[a, 2, 3, 0, 10, 9] +U[a, 3, 7, 0, 10, 9]


        late {"k":"a","v":8,"t":"1970-01-01T00:00:00.004"}
    "#]],
    );
    check(
        &spec(HOP, Phase::Single, Emit::Changes),
        rows,
        expect![[r#"
        +I[a, 1, 1, -10, 5, 4] +I[a, 2, 3, -5, 10, 9] +I[a, 2, 3, 0, 15, 14] +I[a, 1, 2, 5, 20, 19]
        -U[a, 2, 3, -5, 10, 9] +U[a, 3, 7, -5, 10, 9] -U[a, 2, 3, 0, 15, 14] +U[a, 3, 7, 0, 15, 14] -U[a, 1, 2, 5, 20, 19] +U[a, 2, 6, 5, 20, 19]

        -U[a, 3, 7, 0, 15, 14] +U[a, 4, 15, 0, 15, 14]
    "#]],
    );
}

/// Rows and watermarks of one worker, in order.
#[derive(Clone, Debug)]
enum Step {
    Rows(Vec<String>),
    Watermark(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = ("[ab]", -3..4i64, 0..60i64).prop_map(|(k, v, t)| format!("+I[{k}, {v}, {t}]"));
    let step = prop_oneof![
        3 => prop::collection::vec(row, 1..8).prop_map(Step::Rows),
        1 => (0..60i64).prop_map(Step::Watermark),
    ];
    prop::collection::vec(step, 0..12)
}

fn run(spec: &WindowAggregateSpec, steps: &[StepOf], restart_after: usize) -> Vec<StepOf> {
    let mut operator = spec.build(&context(2).0).unwrap();
    let mut results = Vec::new();
    for (position, step) in steps.iter().enumerate() {
        let mut out = Narrow::default();
        let progress = match step {
            StepOf::Batch(batch) => operator.process(0, batch.clone(), &mut out).unwrap(),
            StepOf::Watermark(watermark) => operator.advance(*watermark, &mut out).unwrap(),
        };
        out.drain(&mut *operator, progress).unwrap();
        results.extend(out.batches.into_iter().map(StepOf::Batch));
        if let StepOf::Watermark(watermark) = step {
            results.push(StepOf::Watermark(*watermark));
        }
        if position == restart_after {
            let pieces = Pieces::of(&mut *operator).unwrap();
            operator = spec.build(&context(2).0).unwrap();
            pieces.restore(&mut *operator).unwrap();
        }
    }
    results
}

#[derive(Clone, Debug)]
enum StepOf {
    Batch(ChangelogBatch),
    Watermark(Watermark),
}

fn batches(steps: Vec<StepOf>) -> Vec<ChangelogBatch> {
    let batch = |step| match step {
        StepOf::Batch(batch) => Some(batch),
        StepOf::Watermark(_) => None,
    };
    steps.into_iter().filter_map(batch).collect()
}

/// Every window computed from all rows that were not late, one by one.
fn model(window: Window, steps: &[Step]) -> Vec<String> {
    let mut watermark = i64::MIN;
    let mut windows = std::collections::BTreeMap::<(String, i64, i64), (i64, i64)>::new();
    for step in steps {
        match step {
            Step::Watermark(next) => watermark = watermark.max(*next),
            Step::Rows(rows) => {
                for row in rows {
                    let cells: Vec<&str> = row[3..row.len() - 1].split(", ").collect();
                    let time = cells[2].parse().unwrap();
                    for bounds in window.windows_of_pane(window.pane_start(time)) {
                        if bounds.end - 1 > watermark {
                            let of = windows.entry((cells[0].to_owned(), bounds.start, bounds.end)).or_default();
                            of.0 += 1;
                            of.1 += cells[1].parse::<i64>().unwrap();
                        }
                    }
                }
            }
        }
    }
    let lines = windows
        .into_iter()
        .map(|((key, start, end), (count, sum))| format!("{key}, {count}, {sum}, {start}, {end}, {}", end - 1));
    lines.collect::<BTreeSet<_>>().into_iter().collect()
}

proptest! {
    #[test]
    fn windows_hold_the_rows_that_were_not_late(
        steps in steps(),
        window in prop::sample::select(&[TUMBLE, HOP, CUMULATE][..]),
        changes in any::<bool>(),
        restart_after in 0..12usize,
    ) {
        let emit = if changes { Emit::Changes } else { Emit::Final };
        let input = spec(window, Phase::Single, emit).input;
        let mut given: Vec<StepOf> = steps.iter().map(|step| match step {
            Step::Rows(rows) => StepOf::Batch(batch(&input, &rows.concat())),
            Step::Watermark(watermark) => StepOf::Watermark(Watermark(*watermark)),
        }).collect();
        given.push(StepOf::Watermark(Watermark::END));
        let expected = model(window, &steps);
        let single = run(&spec(window, Phase::Single, emit), &given, restart_after);
        prop_assert_eq!(folded(&batches(single)), expected.clone());
        let partials = run(&spec(window, Phase::Local, emit), &given, restart_after);
        let mut merged = Vec::new();
        for worker in 0..3 {
            let own: Vec<StepOf> = partials.iter().map(|step| match step {
                StepOf::Batch(batch) => StepOf::Batch(share(batch, worker, 3)),
                StepOf::Watermark(watermark) => StepOf::Watermark(*watermark),
            }).collect();
            merged.extend(run(&spec(window, Phase::Global, emit), &own, restart_after));
        }
        prop_assert_eq!(folded(&batches(merged)), expected);
    }
}

/// The rows whose first column belongs to a worker.
fn share(batch: &ChangelogBatch, worker: usize, workers: usize) -> ChangelogBatch {
    let mut hashes = Vec::new();
    hash_columns(&batch.rows().columns()[..1], batch.num_rows(), &mut hashes).unwrap();
    batch.filter(&hashes.iter().map(|hash| Some(KeyGroup::of(*hash).worker(workers) == worker)).collect()).unwrap()
}
