//! Which types go together: Flink's table of casts, and what its CASE, AND, OR and NOT take.
//!
//! DataFusion casts nearly everything to everything, a number to a date for one. What Flink
//! refuses is refused here, before the planner's own casts come in.

use arrow::datatypes::{DataType, Field, IntervalUnit};
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, Result};
use datafusion_expr::expr::WindowFunction;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator};

use crate::error::SqlError;
use corelane_stream::sql_type;

/// # Errors
/// At the first cast, CASE or condition whose types do not go together.
pub(super) fn check_plan(plan: &LogicalPlan) -> Result<()> {
    plan.apply(|node| {
        let schema = match node {
            LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
            node => merge_schema(&node.inputs()),
        };
        node.apply_expressions(|expression| {
            check_expression(expression, &schema)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })
    .map(|_| ())
}

/// The same for one expression.
pub(super) fn check_expression(expression: &Expr, schema: &DFSchema) -> Result<()> {
    expression
        .apply(|part| {
            match part {
                Expr::Cast(cast) => check_cast(&cast.expr.get_type(schema)?, cast.field.data_type())?,
                Expr::TryCast(cast) => check_cast(&cast.expr.get_type(schema)?, cast.field.data_type())?,
                Expr::Case(case) => check_case(case, schema)?,
                Expr::Not(inner) => check_condition("NOT", inner, schema)?,
                Expr::AggregateFunction(call) => {
                    if let Some(filter) = &call.params.filter {
                        check_condition("FILTER (WHERE ..)", filter, schema)?;
                    }
                }
                Expr::WindowFunction(call) => {
                    if let Some(filter) = &call.params.filter {
                        check_condition("FILTER (WHERE ..)", filter, schema)?;
                    }
                    check_default(call, schema)?;
                }
                Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                    check_condition(&op.to_string(), left, schema)?;
                    check_condition(&op.to_string(), right, schema)?;
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map(|_| ())
}

fn refused<T>(error: SqlError) -> Result<T> {
    Err(DataFusionError::External(Box::new(error)))
}

/// Types that are cast alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Text,
    Bytes,
    Boolean,
    Number,
    Date,
    Time,
    Timestamp,
    Months,
    Days,
    Array,
    Map,
    Row,
}

fn family(data_type: &DataType) -> Option<Family> {
    Some(match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Family::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Family::Bytes,
        DataType::Boolean => Family::Boolean,
        DataType::Date32 => Family::Date,
        DataType::Time32(_) => Family::Time,
        DataType::Timestamp(_, _) => Family::Timestamp,
        DataType::Interval(IntervalUnit::YearMonth) => Family::Months,
        DataType::Interval(IntervalUnit::DayTime | IntervalUnit::MonthDayNano) => Family::Days,
        DataType::List(_) => Family::Array,
        DataType::Map(_, _) => Family::Map,
        DataType::Struct(_) => Family::Row,
        other if other.is_numeric() => Family::Number,
        _ => return None,
    })
}

/// Flink's table, by families.
fn can_cast(from: Family, to: Family) -> bool {
    use Family::{Array, Boolean, Bytes, Date, Days, Map, Months, Number, Row, Text, Time, Timestamp};
    if from == to || to == Text {
        return true;
    }
    match from {
        Text => !matches!(to, Months | Days | Array | Map | Row),
        Number => to == Boolean,
        Boolean => to == Number,
        Date => to == Timestamp,
        Time => to == Timestamp,
        Timestamp => matches!(to, Date | Time),
        Bytes | Months | Days | Array | Map | Row => false,
    }
}

fn check_cast(from: &DataType, to: &DataType) -> Result<()> {
    let (Some(given), Some(wanted)) = (family(from), family(to)) else { return Ok(()) };
    if can_cast(given, wanted) && parts_can_cast(from, to) {
        return Ok(());
    }
    let error = SqlError::new(format!("{} cannot be cast to {}", sql_type(from), sql_type(to)));
    refused(match (given, wanted) {
        (Family::Number, Family::Timestamp) => error.with_hint(
            "write TO_TIMESTAMP_LTZ(n, 3) of milliseconds since the epoch, or TO_TIMESTAMP_LTZ(n, 0) of seconds",
        ),
        (Family::Timestamp, Family::Number) => {
            error.with_hint("write TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', t) or EXTRACT(.. FROM t)")
        }
        _ => error,
    })
}

/// A value with parts is cast part by part.
fn parts_can_cast(from: &DataType, to: &DataType) -> bool {
    let part = |from: &Field, to: &Field| check_cast(from.data_type(), to.data_type()).is_ok();
    match (from, to) {
        (DataType::List(from), DataType::List(to)) | (DataType::Map(from, _), DataType::Map(to, _)) => part(from, to),
        (DataType::Struct(from), DataType::Struct(to)) => {
            from.len() == to.len() && from.iter().zip(to).all(|(from, to)| part(from, to))
        }
        _ => true,
    }
}

fn check_condition(word: &str, condition: &Expr, schema: &DFSchema) -> Result<()> {
    match condition.get_type(schema)? {
        DataType::Boolean | DataType::Null => Ok(()),
        other => refused(SqlError::new(format!("{word} takes conditions, not {}", with_article(&sql_type(&other))))),
    }
}

/// `LAG(x, n, default)`: a default of another kind would become NULL.
fn check_default(call: &WindowFunction, schema: &DFSchema) -> Result<()> {
    let [value, _, default] = call.params.args.as_slice() else { return Ok(()) };
    let (given, wanted) = (default.get_type(schema)?, value.get_type(schema)?);
    if given.is_null() || family(&given) == family(&wanted) {
        return Ok(());
    }
    let (name, given, wanted) = (call.fun.name().to_uppercase(), sql_type(&given), sql_type(&wanted));
    let error =
        SqlError::new(format!("{name} gives {} and its default is {}", with_article(&wanted), with_article(&given)));
    refused(error.with_hint("cast one to the other's type"))
}

/// Conditions are conditions. A text and a number have no common type; DataFusion would make one of them
/// the other's.
fn check_case(case: &Case, schema: &DFSchema) -> Result<()> {
    if case.expr.is_none() {
        for (when, _) in &case.when_then_expr {
            check_condition("CASE WHEN", when, schema)?;
        }
    }
    let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let types = results.map(|result| result.get_type(schema)).collect::<Result<Vec<_>>>()?;
    check_texts("CASE", &types)
}

/// # Errors
/// If some of the types are texts and some are not.
pub(super) fn check_texts(what: &str, types: &[DataType]) -> Result<()> {
    let known: Vec<&DataType> = types.iter().filter(|data_type| !data_type.is_null()).collect();
    let text = known.iter().find(|data_type| family(data_type) == Some(Family::Text));
    let other = known.iter().find(|data_type| family(data_type) != Some(Family::Text));
    match (text, other) {
        (Some(text), Some(other)) => refused(
            SqlError::new(format!("{what} gives {} here and {} there", sql_type(known[0]), {
                let second = if family(known[0]) == Some(Family::Text) { other } else { text };
                sql_type(second)
            }))
            .with_hint("cast one to the other's type"),
        ),
        _ => Ok(()),
    }
}

/// # Errors
/// If values of these types are never equal nor in order. Texts are compared with times by what they
/// say, and dates with the start of their day.
pub(super) fn check_compared(types: &[DataType]) -> Result<()> {
    let mut known = types.iter().filter(|data_type| !data_type.is_null());
    let Some(first) = known.next() else { return Ok(()) };
    let is_time = |family| matches!(family, Family::Date | Family::Time | Family::Timestamp);
    for other in known {
        let (Some(one), Some(another)) = (family(first), family(other)) else { continue };
        let compares = one == another
            || matches!((one, another), (Family::Date, Family::Timestamp) | (Family::Timestamp, Family::Date))
            || one == Family::Text && is_time(another)
            || another == Family::Text && is_time(one);
        if !compares {
            let (one, another) = (with_article(&sql_type(first)), with_article(&sql_type(other)));
            let error = SqlError::new(format!("{one} is not compared with {another}"));
            return refused(
                error.with_hint("cast one to the other's type, or TRY_CAST it: NULL where it cannot be cast"),
            );
        }
    }
    Ok(())
}

fn with_article(name: &str) -> String {
    let article = if name.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    format!("{article} {name}")
}
