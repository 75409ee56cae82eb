//! Tests against models, restarts and several workers.

use corelane_stream::{KeyGroup, OnError, hash_columns};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::aggregate::AggregateFunction as F;
use crate::testing::{Narrow, Pieces, batch, call, context, folded, schema, text};

fn spec(columns: &str, keys: &[usize], calls: &[(F, &[usize])], phase: Phase) -> GroupAggregateSpec {
    let input = schema(columns);
    GroupAggregateSpec {
        keys: keys.to_vec(),
        calls: calls.iter().map(|(function, arguments)| call(&input, function.clone(), arguments)).collect(),
        input,
        phase,
        retracting: phase == Phase::Single,
        emit_empty: true,
        at_end: false,
        policy: Arc::new(RowPolicy { on_error: OnError::Skip, ..RowPolicy::default() }),
    }
}

/// Runs batches, one a line, and then the end of input.
fn check(spec: &GroupAggregateSpec, batches: &str, expected: Expect) {
    let (context, rejected) = context(3);
    let mut operator = spec.build(&context).unwrap();
    let mut lines = Vec::new();
    for line in batches.lines() {
        let mut out = Narrow::default();
        let progress = operator.process(0, batch(&spec.input, line), &mut out).unwrap();
        out.drain(&mut *operator, progress).unwrap();
        lines.push(text(&out.batches));
    }
    let mut out = Narrow::default();
    let progress = operator.advance(Watermark::END, &mut out).unwrap();
    out.drain(&mut *operator, progress).unwrap();
    lines.push(text(&out.batches));
    lines.extend(rejected.take());
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn updates_retract_the_old_row() {
    let spec = spec("k STRING, v BIGINT", &[0], &[(F::Count, &[]), (F::Sum, &[1]), (F::Max, &[1])], Phase::Single);
    check(
        &spec,
        "+I[a, 1] +I[b, null] +I[a, 4]\n+I[a, 2] -D[b, null] +I[null, 7] +I[c, 1]\n-U[a, 4] +U[a, 3] -D[c, 1] +I[c, 1]",
        expect![[r#"
            +I[a, 2, 5, 4] +I[b, 1, null, null]
            -U[a, 2, 5, 4] +U[a, 3, 7, 4] -D[b, 1, null, null] +I[null, 1, 7, 7] +I[c, 1, 1, 1]
            -U[a, 3, 7, 4] +U[a, 3, 6, 3]
        "#]],
    );
}

#[test]
fn at_the_end_of_input_only_what_is_left_goes_out() {
    let calls: &[(F, &[usize])] = &[(F::Count, &[]), (F::Sum, &[1])];
    let spec =
        |keys: &[usize]| GroupAggregateSpec { at_end: true, ..spec("k STRING, v BIGINT", keys, calls, Phase::Single) };
    let batches = "+I[a, 1] +I[b, null] +I[a, 4] +I[c, 9223372036854775807]\n+I[a, 2] -D[b, null] +I[c, 1] +I[d, 5]";
    check(
        &spec(&[0]),
        batches,
        expect![[r#"


        +I[a, 3, 7] +I[d, 1, 5]
        bad the SUM called "out" is out of range for BIGINT (cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE): {"k":"c"}"#]],
    );
    check(
        &spec(&[]),
        "+I[a, 1]\n-D[a, 1]",
        expect![[r#"


        +I[0, null]"#]],
    );
    check(&spec(&[]), "", expect!["+I[0, null]"]);
}

#[test]
fn distinct_emits_a_key_once() {
    check(
        &spec("k STRING, v BIGINT", &[0, 1], &[], Phase::Single),
        "+I[a, 1] +I[a, 1] +I[a long key of many bytes, 1]\n+I[a, 1] -D[a long key of many bytes, 1]",
        expect![[r#"
            +I[a, 1] +I[a long key of many bytes, 1]
            -D[a long key of many bytes, 1]
        "#]],
    );
}

#[test]
fn no_rows_have_a_result_at_the_end() {
    let spec = spec("v BIGINT", &[], &[(F::Count, &[]), (F::Sum, &[0])], Phase::Single);
    check(&spec, "", expect!["+I[0, null]"]);
    check(
        &spec,
        "+I[3]\n-D[3]",
        expect![[r#"
        +I[1, 3]
        -D[1, 3]
        +I[0, null]"#]],
    );
}

#[test]
fn results_out_of_range_are_bad_rows() {
    check(
        &spec("k STRING, v INT", &[0], &[(F::Sum, &[1])], Phase::Single),
        "+I[a, 2147483647] +I[b, 1]\n+I[a, 1]\n+I[a, -1]",
        expect![[r#"
            +I[a, 2147483647] +I[b, 1]
            -D[a, 2147483647]
            +I[a, 2147483647]

            bad the SUM called "out" is out of range for INT (cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE): {"k":"a"}"#]],
    );
}

#[test]
fn a_result_out_of_range_is_reported_once_while_it_lasts() {
    check(
        &spec("k STRING, v INT", &[0], &[(F::Sum, &[1]), (F::Count, &[])], Phase::Single),
        "+I[a, 2147483647] +I[a, 1] +I[b, 1] +I[c, 1]\n+I[a, 1] +I[b, 1]\n+I[a, -2]\n+I[a, 1]\n+I[a, 1]",
        expect![[r#"
            +I[b, 1, 1] +I[c, 1, 1]
            -U[b, 1, 1] +U[b, 2, 2]
            +I[a, 2147483647, 4]
            -D[a, 2147483647, 4]


            bad the SUM called "out" is out of range for INT (cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE): {"k":"a"}
            bad the SUM called "out" is out of range for INT (cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE): {"k":"a"}"#]],
    );
}

const COLUMNS: &str = "k STRING, i BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, b BOOLEAN, t BIGINT";

/// Every function, some with DISTINCT, FILTER and an order.
fn all_calls(input: &SchemaRef, distinct: bool) -> Vec<AggregateCall> {
    let mut calls: Vec<AggregateCall> = [
        (F::Count, &[][..]),
        (F::Count, &[4]),
        (F::Sum, &[1]),
        (F::Sum, &[2]),
        (F::Avg, &[1]),
        (F::Avg, &[2]),
        (F::Avg, &[3]),
        (F::Min, &[1]),
        (F::Max, &[2]),
        (F::Min, &[4]),
        (F::FirstValue, &[4]),
        (F::LastValue, &[1]),
        (F::ListAgg { separator: ";".to_owned() }, &[4]),
        (F::VarPop, &[2]),
        (F::StddevSamp, &[1]),
        (F::ApproxCountDistinct, &[1]),
        (F::Collect, &[4]),
    ]
    .into_iter()
    .map(|(function, arguments)| call(input, function, arguments))
    .collect();
    let filtered: Vec<_> =
        [1, 3, 5].map(|at| AggregateCall { filter: Some(5), ..calls[at].clone() }).into_iter().collect();
    for call in &mut calls[10..13] {
        call.order = vec![6];
    }
    if distinct {
        let of = |function, arguments| AggregateCall { distinct: true, ..call(input, function, arguments) };
        calls.push(of(F::Count, &[1, 4]));
        calls.push(of(F::Sum, &[2]));
        calls.push(of(F::Collect, &[1]));
        calls.push(AggregateCall { filter: Some(5), ..of(F::ListAgg { separator: ",".to_owned() }, &[4]) });
    }
    calls.extend(filtered);
    calls
}

fn row() -> impl Strategy<Value = String> {
    let cell = |values: &'static [&'static str]| prop::sample::select(values);
    (
        cell(&["a", "b", "a key that is long", "null"]),
        cell(&["1", "2", "-7", "null"]),
        cell(&["0.1", "0.2", "1e300", "-1e300", "1e-300", "3.5", "null"]),
        cell(&["1.25", "-0.01", "99.99", "null"]),
        cell(&["x", "y", "a string that is long", "null"]),
        cell(&["true", "false", "null"]),
        0..4i64,
    )
        .prop_map(|(k, i, d, m, s, b, t)| format!("{k}, {i}, {d}, {m}, {s}, {b}, {t}"))
}

/// The rows of the final result of a spec over batches, given one by one.
fn run(spec: &GroupAggregateSpec, batches: &[ChangelogBatch], restart_after: usize) -> Vec<ChangelogBatch> {
    let mut operator = spec.build(&context(4).0).unwrap();
    let mut out = Vec::new();
    for (position, batch) in batches.iter().enumerate() {
        assert_eq!(operator.process(0, batch.clone(), &mut out).unwrap(), Progress::Done);
        if position == restart_after {
            let pieces = Pieces::of(&mut *operator).unwrap();
            operator = spec.build(&context(4).0).unwrap();
            pieces.restore(&mut *operator).unwrap();
        }
    }
    assert_eq!(operator.advance(Watermark::END, &mut out).unwrap(), Progress::Done);
    out
}

/// The share of each of these workers.
fn shares(batches: &[ChangelogBatch], keys: usize, workers: usize) -> Vec<Vec<ChangelogBatch>> {
    let mut shares = vec![Vec::new(); workers];
    for batch in batches {
        let mut hashes = Vec::new();
        hash_columns(&batch.rows().columns()[..keys], batch.num_rows(), &mut hashes).unwrap();
        for (worker, share) in shares.iter_mut().enumerate() {
            let own = hashes.iter().map(|hash| Some(KeyGroup::of(*hash).worker(workers) == worker));
            share.push(batch.filter(&own.collect()).unwrap());
        }
    }
    shares
}

proptest! {
    #[test]
    fn a_changelog_folds_to_the_result_of_the_rows_that_stand(
        rows in prop::collection::vec((row(), any::<prop::sample::Index>(), 0..3u8), 0..40),
        size in 1..9usize,
        restart_after in 0..20usize,
    ) {
        let input = schema(COLUMNS);
        let (mut changes, mut standing): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for (row, index, action) in rows {
            if action == 0 && !standing.is_empty() {
                let gone = standing.swap_remove(index.index(standing.len()));
                changes.push(format!("-D[{gone}]"));
            } else {
                changes.push(format!("+I[{row}]"));
                standing.push(row);
            }
        }
        let batches: Vec<_> = changes.chunks(size).map(|rows| batch(&input, &rows.concat())).collect();
        let mut spec = GroupAggregateSpec {
            calls: all_calls(&input, true),
            ..spec(COLUMNS, &[0], &[], Phase::Single)
        };
        let streamed = run(&spec, &batches, restart_after);
        standing.sort();
        let whole: Vec<String> = standing.iter().map(|row| format!("+I[{row}]")).collect();
        spec.retracting = false;
        let at_once = run(&spec, &[batch(&input, &whole.concat())], usize::MAX);
        prop_assert_eq!(folded(&streamed), folded(&at_once));
    }

    #[test]
    fn two_phases_on_many_workers_give_the_same(
        rows in prop::collection::vec(row(), 0..60),
        size in 1..9usize,
        restart_after in 0..9usize,
        workers in 1..4usize,
    ) {
        let input = schema(COLUMNS);
        let rows: Vec<String> = rows.iter().map(|row| format!("+I[{row}]")).collect();
        let batches: Vec<_> = rows.chunks(size).map(|rows| batch(&input, &rows.concat())).collect();
        let spec = |phase| GroupAggregateSpec {
            calls: all_calls(&input, false),
            retracting: false,
            ..spec(COLUMNS, &[0], &[], phase)
        };
        let expected = folded(&run(&spec(Phase::Single), &batches, usize::MAX));
        let mut partials = Vec::new();
        for worker in 0..workers {
            let own: Vec<_> = batches.iter().skip(worker).step_by(workers).cloned().collect();
            partials.extend(run(&spec(Phase::Local), &own, restart_after));
        }
        let mut out = Vec::new();
        for share in shares(&partials, 1, workers) {
            out.extend(run(&spec(Phase::Global), &share, restart_after));
        }
        prop_assert_eq!(folded(&out), expected);
    }
}

#[test]
fn plans_say_what_is_kept() {
    let bound = |keys: &[usize], calls: &[(F, &[usize])], phase| {
        spec("k STRING, v BIGINT, s STRING", keys, calls, phase).state().to_string()
    };
    let listagg = || F::ListAgg { separator: ",".to_owned() };
    let (append, retract) = (Phase::Global, Phase::Single);
    expect!["bounded by one group"].assert_eq(&bound(&[], &[(F::Sum, &[1]), (F::Min, &[1])], append));
    expect!["grows with distinct values of v"].assert_eq(&bound(&[], &[(F::Sum, &[1]), (F::Min, &[1])], retract));
    expect!["grows with all values of s and distinct values of v"].assert_eq(&bound(
        &[],
        &[(listagg(), &[2]), (F::Collect, &[1])],
        append,
    ));
    expect!["grows with distinct values of k, each with all values of v"].assert_eq(&bound(
        &[0],
        &[(F::FirstValue, &[1])],
        retract,
    ));
}
