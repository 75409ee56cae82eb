//! Filter and projection in one pass over a batch.

use std::fmt;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use corelane_stream::operator::StateWriter;
use corelane_stream::origin::{compacted_origin, origin_detail};
use corelane_stream::wording::with_sql_types;
use corelane_stream::{
    ChangelogBatch, Operator, OperatorContext, OperatorCounters, OperatorSpec, OriginDetail, Output, Progress, Result,
    RowKinds, RowPolicy, StateBound,
};
use datafusion_physical_expr::PhysicalExpr;

use crate::bad_rows::BadRows;
use crate::evaluate::{Predicate, Projection};

/// `SELECT columns FROM input WHERE predicate`. Expressions are over `input`'s columns.
#[derive(Clone, Debug)]
pub struct CalcSpec {
    pub input: SchemaRef,
    pub predicate: Option<Arc<dyn PhysicalExpr>>,
    pub columns: Vec<(Arc<dyn PhysicalExpr>, FieldRef)>,
    pub policy: Arc<RowPolicy>,
    /// What bad rows are said to come from.
    pub source: String,
}

impl OperatorSpec for CalcSpec {
    fn name(&self) -> &'static str {
        "Calc"
    }

    fn detail(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|(expr, field)| named(expr.as_ref(), field)).collect();
        match &self.predicate {
            Some(predicate) => format!("select=[{}], where=[{}]", columns.join(", "), Plain(predicate.as_ref())),
            None => format!("select=[{}]", columns.join(", ")),
        }
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|(_, field)| Arc::clone(field)).collect::<Vec<_>>()))
    }

    fn state(&self) -> StateBound {
        StateBound::Stateless
    }

    fn keeps_order(&self) -> bool {
        true
    }

    fn build(&self, context: &OperatorContext) -> Result<Box<dyn Operator>> {
        let predicate = self.predicate.as_ref().map(|predicate| Predicate::new(predicate, &self.input)).transpose()?;
        Ok(Box::new(Calc {
            predicate,
            projection: Projection::new(&self.columns, &self.input)?,
            bad: BadRows::open(context, &self.policy, &self.source)?,
            origin: self.columns.iter().position(|(_, field)| origin_detail(field) == Some(OriginDetail::Raw)),
        }))
    }
}

fn named(expr: &dyn PhysicalExpr, field: &FieldRef) -> String {
    // A column prints as `name@index`; the index says nothing to a reader.
    match expr.downcast_ref::<datafusion_physical_expr::expressions::Column>() {
        Some(column) if column.name() == field.name() => with_sql_types(field.name()),
        Some(column) => format!("{} AS {}", with_sql_types(column.name()), with_sql_types(field.name())),
        None => format!("{} AS {}", Plain(expr), with_sql_types(field.name())),
    }
}

/// An expression as SQL-like text.
struct Plain<'a>(&'a dyn PhysicalExpr);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = fmt::from_fn(|out| self.0.fmt_sql(out)).to_string();
        out.write_str(&with_sql_types(&text))
    }
}

struct Calc {
    predicate: Option<Predicate>,
    projection: Projection,
    bad: BadRows,
    /// The column of the output that tells where rows came from.
    origin: Option<usize>,
}

/// Lets go of the bytes of rows that are gone.
fn compacted(rows: RecordBatch, origin: usize) -> Result<RecordBatch> {
    let (schema, mut columns, count) = rows.into_parts();
    columns[origin] = compacted_origin(&columns[origin]);
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

impl Operator for Calc {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        let Calc { predicate, projection, bad, origin } = self;
        let rows = batch.rows();
        let mut report = |row: usize, reason: &str| bad.bad(rows, row, reason);
        let selection = match predicate {
            Some(predicate) => predicate.select(rows, &mut report)?,
            None => crate::evaluate::Selection::All,
        };
        if let Some((columns, kept)) = projection.project(rows, &selection, &mut report)? {
            let columns = match origin {
                Some(origin) if columns.num_rows() < rows.num_rows() / 2 => compacted(columns, *origin)?,
                Some(_) | None => columns,
            };
            out.emit(match (batch.kinds(), kept) {
                (None, _) => ChangelogBatch::append(columns),
                (Some(kinds), None) => ChangelogBatch::new(columns, kinds.clone()),
                (Some(kinds), Some(kept)) => ChangelogBatch::new(columns, remaining(kinds, &kept)),
            });
        }
        Ok(Progress::Done)
    }

    fn snapshot(&mut self, _state: &mut dyn StateWriter) -> Result<Progress> {
        Ok(Progress::Done)
    }

    fn counters(&self) -> OperatorCounters {
        let mut counters = OperatorCounters::default();
        self.bad.count(&mut counters);
        counters
    }
}

/// The kinds of the rows that are kept, as they are. Where one half of an update passes the filter and
/// the other does not, it stays half an update, as in Flink.
fn remaining(kinds: &RowKinds, kept: &BooleanArray) -> RowKinds {
    kept.values().set_indices().map(|row| kinds.get(row)).collect()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};
    use corelane_stream::OnError;
    use datafusion_expr::Operator::{self as Op, And, Divide, Gt, Multiply, NotEq, Or, Plus};
    use datafusion_physical_expr::expressions::{BinaryExpr, CastExpr, case, col, lit};
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::checked;
    use crate::testing::{batch, context, schema, text, with_origin};

    type Expr = Arc<dyn PhysicalExpr>;

    fn input() -> SchemaRef {
        schema("a BIGINT, b BIGINT, s STRING")
    }

    fn column(name: &str) -> Expr {
        col(name, &input()).unwrap()
    }

    fn binary(left: Expr, op: Op, right: Expr) -> Expr {
        checked(Arc::new(BinaryExpr::new(left, op, right))).unwrap()
    }

    fn quotient() -> Expr {
        binary(column("a"), Divide, column("b"))
    }

    fn b_is_not_zero() -> Expr {
        binary(column("b"), NotEq, lit(0i64))
    }

    fn spec(predicate: Option<Expr>, columns: Vec<(Expr, DataType)>) -> CalcSpec {
        let columns = columns.into_iter().enumerate();
        let columns = columns
            .map(|(index, (expr, data_type))| (expr, Arc::new(Field::new(format!("c{index}"), data_type, true)) as _));
        let policy = RowPolicy { on_error: OnError::Skip, ..Default::default() };
        CalcSpec { input: input(), predicate, columns: columns.collect(), policy: policy.into(), source: "t".into() }
    }

    fn run(spec: &CalcSpec, rows: &str) -> (String, Vec<String>) {
        let (context, rejected) = context(8);
        let mut calc = spec.build(&context).unwrap();
        let mut out = Vec::new();
        assert_eq!(calc.process(0, batch(&input(), rows), &mut out).unwrap(), Progress::Done);
        for batch in &out {
            assert_eq!(batch.schema(), spec.schema());
        }
        let rejected = rejected.take();
        assert_eq!(calc.counters().bad_rows, rejected.len() as u64);
        (text(&out), rejected)
    }

    fn check(predicate: Option<Expr>, columns: Vec<(Expr, DataType)>, rows: &str, expected: Expect) {
        let (rows, rejected) = run(&spec(predicate, columns), rows);
        expected.assert_eq(&[vec![rows], rejected].concat().join("\n"));
    }

    #[test]
    fn rows_are_filtered_and_projected() {
        check(
            Some(binary(column("a"), Gt, lit(1i64))),
            vec![(column("s"), DataType::Utf8View), (binary(column("a"), Plus, lit(10i64)), DataType::Int64)],
            "+I[1, 0, x] +I[2, 0, y] +I[null, 0, z] +I[3, 0, null]",
            expect!["+I[y, 12] +I[null, 13]"],
        );
    }

    #[test]
    fn columns_alone_are_not_computed() {
        check(
            None,
            vec![(column("s"), DataType::Utf8View), (column("a"), DataType::Int64), (column("s"), DataType::Utf8View)],
            "+I[1, 0, x] -D[2, 0, y]",
            expect!["+I[x, 1, x] -D[y, 2, y]"],
        );
    }

    #[test]
    fn a_bad_row_costs_only_itself() {
        check(
            Some(binary(column("a"), Gt, lit(0i64))),
            vec![(quotient(), DataType::Int64)],
            "+I[8, 2, x] +I[-1, 1, x] +I[1, 0, x] +I[9, 3, x] +I[2, 0, null] +I[10, 5, y]",
            expect![[r#"
                +I[4] +I[3] +I[2]
                bad division by zero: {"a":1,"b":0,"s":"x"}
                bad division by zero: {"a":2,"b":0,"s":null}"#]],
        );
    }

    #[test]
    fn arithmetic_does_not_wrap() {
        check(
            None,
            vec![(binary(column("a"), Multiply, column("b")), DataType::Int64)],
            "+I[9223372036854775807, 2, x] +I[3, 2, x]",
            expect![[r#"
                +I[6]
                bad overflow happened on: 9223372036854775807 * 2: {"a":9223372036854775807,"b":2,"s":"x"}"#]],
        );
    }

    #[test]
    fn a_failed_cast_is_a_bad_row() {
        let cast = Arc::new(CastExpr::new(column("s"), DataType::Int32, None));
        check(
            None,
            vec![(cast, DataType::Int32)],
            "+I[1, 0, 7] +I[2, 0, seven]",
            expect![[r#"
                +I[7]
                bad cannot cast 'seven' to INT: {"a":2,"b":0,"s":"seven"}"#]],
        );
    }

    #[test]
    fn branches_not_taken_do_not_fail() {
        let guarded = case(None, vec![(b_is_not_zero(), quotient())], None).unwrap();
        check(
            None,
            vec![(checked(guarded).unwrap(), DataType::Int64)],
            "+I[8, 2, x] +I[1, 0, x] +I[1, null, x]",
            expect!["+I[4] +I[null] +I[null]"],
        );
        let guarded = case(None, vec![(b_is_not_zero(), quotient())], Some(binary(column("a"), Divide, lit(2i64))));
        check(
            None,
            vec![(checked(guarded.unwrap()).unwrap(), DataType::Int64)],
            "+I[8, 2, x] +I[1, 0, x] +I[4, 0, x]",
            expect!["+I[4] +I[0] +I[2]"],
        );
    }

    #[test]
    fn and_guards_what_comes_after() {
        check(
            Some(binary(b_is_not_zero(), And, binary(quotient(), Gt, lit(1i64)))),
            vec![(column("a"), DataType::Int64)],
            "+I[8, 2, x] +I[1, 0, x] +I[9, 3, x] +I[1, null, x] +I[5, 0, x]",
            expect!["+I[8] +I[9]"],
        );
        // The same as a value, and by OR: row by row, each is decided by its left side.
        let either = binary(binary(column("b"), Op::Eq, lit(0i64)), Or, binary(quotient(), Gt, lit(1i64)));
        check(
            None,
            vec![
                (binary(b_is_not_zero(), And, binary(quotient(), Gt, lit(1i64))), DataType::Boolean),
                (either, DataType::Boolean),
            ],
            "+I[8, 2, x] +I[1, 0, x] +I[1, null, x] +I[1, 3, x]",
            expect!["+I[true, true] +I[false, true] +I[null, null] +I[false, false]"],
        );
    }

    #[test]
    fn half_an_update_stays_one() {
        check(
            Some(binary(column("a"), Gt, lit(1i64))),
            vec![(column("a"), DataType::Int64)],
            "-U[1, 0, x] +U[2, 0, x] -U[2, 0, x] +U[3, 0, x] -U[3, 0, x] +U[1, 0, x] +U[4, 0, y] -D[0, 0, z]",
            expect!["+U[2] -U[2] +U[3] -U[3] +U[4]"],
        );
    }

    #[test]
    fn bad_rows_tell_their_origin_and_good_ones_keep_it() {
        let mut spec = spec(Some(binary(column("a"), Gt, lit(0i64))), vec![(quotient(), DataType::Int64)]);
        let rows = "+I[8, 2, x] +I[1, 0, x] +I[0, 1, x] +I[0, 1, y] +I[0, 1, z] +I[0, 1, w]";
        let rows = with_origin(batch(&input(), rows));
        spec.input = rows.schema();
        let origin = spec.input.fields().len() - 1;
        spec.columns.push((col(" origin", &spec.input).unwrap(), spec.input.fields()[origin].clone()));
        let (context, rejected) = context(8);
        let mut out = Vec::new();
        assert_eq!(spec.build(&context).unwrap().process(0, rows, &mut out).unwrap(), Progress::Done);
        assert_eq!(rejected.take(), ["bad division by zero: in.csv, line 2: raw 2"]);
        let found = corelane_stream::origin::origin_at(out[0].rows().column(1), 0).unwrap();
        assert_eq!((out[0].num_rows(), found.raw), (1, Some(b"raw 1".as_slice())));
    }

    #[test]
    fn a_null_in_a_column_that_has_none_is_a_bad_row() {
        let mut spec = spec(None, vec![(column("a"), DataType::Int64)]);
        spec.columns[0].1 = Arc::new(Field::new("c0", DataType::Int64, false));
        let (rows, rejected) = run(&spec, "+I[1, 0, x] +I[null, 0, x]");
        assert_eq!(rows, "+I[1]");
        assert_eq!(rejected, [r#"bad column `c0` is null, but it is NOT NULL: {"a":null,"b":0,"s":"x"}"#]);
    }

    #[test]
    fn the_policy_may_be_to_fail() {
        let mut spec = spec(None, vec![(quotient(), DataType::Int64)]);
        spec.policy = Arc::new(RowPolicy::default());
        let mut calc = spec.build(&context(8).0).unwrap();
        let error = calc.process(0, batch(&input(), "+I[1, 1, x] +I[1, 0, y]"), &mut Vec::new()).unwrap_err();
        assert_eq!(error.message(), r#"division by zero: {"a":1,"b":0,"s":"y"}"#);
    }

    #[test]
    fn plans_show_what_is_computed() {
        let spec = spec(Some(binary(column("a"), Gt, lit(1i64))), vec![(quotient(), DataType::Int64)]);
        expect!["select=[a / b AS c0], where=[a > 1]"].assert_eq(&spec.detail());
    }

    proptest! {
        /// Rows one by one, and all at once, give the same rows and the same complaints.
        #[test]
        fn results_do_not_depend_on_batches(rows in prop::collection::vec((0i64..3, -1i64..2), 0..40), cut in 1usize..9) {
            let predicate = binary(b_is_not_zero(), Or, binary(quotient(), Gt, column("a")));
            let columns = vec![(binary(quotient(), Plus, column("b")), DataType::Int64)];
            let spec = spec(Some(predicate), columns);
            let lines: Vec<String> = rows.iter().map(|(a, b)| format!("+I[{a}, {b}, x]")).collect();
            let whole = run(&spec, &lines.join(" "));
            let mut parts = (Vec::new(), Vec::new());
            for chunk in lines.chunks(cut) {
                let (rows, rejected) = run(&spec, &chunk.join(" "));
                parts.0.extend((!rows.is_empty()).then_some(rows));
                parts.1.extend(rejected);
            }
            prop_assert_eq!(whole.0, parts.0.join(" "));
            let (mut expected, mut found) = (whole.1, parts.1);
            expected.sort();
            found.sort();
            prop_assert_eq!(expected, found);
        }
    }
}
