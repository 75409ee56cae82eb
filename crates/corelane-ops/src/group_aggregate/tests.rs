use std::collections::BTreeMap;
use std::sync::Arc;

use corelane_stream::{ChangelogBatch, KeyGroup, OnError, Operator, OperatorSpec, RowPolicy, Watermark, hash_columns};
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
        expect![[r#""#]],
    );
}
