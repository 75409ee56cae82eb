//! Whole literals are INT where they fit, as in Flink, and BIGINT beyond; then the types that follow from that.
//!
//! DataFusion reads every whole literal as a BIGINT. Its plan is changed before types are coerced, so
//! that `a + 1` of an INT column stays an INT, and a sum that no INT holds is an error. This goes from the
//! leaves up, so that what is above sees the types of what is below.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, WindowFunctionDefinition};

use super::arithmetic::arithmetic;
use super::context::Functions;
use super::unify;
use crate::error::SqlError;
use corelane_stream::sql_type;

/// Narrows the literals of a plan that is not coerced yet, and settles the types that DataFusion would find
/// otherwise.
pub(super) fn narrow_plan(plan: LogicalPlan, functions: &Functions) -> Result<LogicalPlan> {
    plan.transform_up(|plan| match plan {
        // How many rows is no value.
        LogicalPlan::Limit(_) => Ok(Transformed::no(plan)),
        LogicalPlan::Values(values) => {
            let schema = DFSchema::empty();
            let row = |row: Vec<Expr>| {
                row.into_iter().map(|value| narrow(value, &schema, functions)).collect::<Result<Vec<_>>>()
            };
            let rows = values.values.into_iter().map(row).collect::<Result<Vec<_>>>()?;
            unify::values(rows).map(Transformed::yes)
        }
        LogicalPlan::Union(union) => unify::union(union).map(Transformed::yes),
        plan => {
            let schema = match &plan {
                LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
                plan => merge_schema(&plan.inputs()),
            };
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expression| {
                let name = names.save(&expression);
                let narrowed = narrow(expression, &schema, functions)?;
                Ok(Transformed::yes(name.restore(narrowed)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        }
    })
    .map(|plan| plan.data)
}

/// The same for one expression.
pub(super) fn narrow(expression: Expr, schema: &DFSchema, functions: &Functions) -> Result<Expr> {
    let narrowed = expression.transform_up(|expression| {
        Ok(match expression {
            Expr::Literal(ScalarValue::Int64(Some(value)), metadata) => match i32::try_from(value) {
                Ok(value) => Transformed::yes(Expr::Literal(ScalarValue::Int32(Some(value)), metadata)),
                Err(_) => Transformed::no(Expr::Literal(ScalarValue::Int64(Some(value)), metadata)),
            },
            Expr::ScalarFunction(call) => Transformed::yes(match unify::unnamed_cast(call) {
                Expr::ScalarFunction(call) => Expr::ScalarFunction(arguments_of(call, schema)?),
                cast => cast,
            }),
            Expr::AggregateFunction(AggregateFunction { func, mut params }) if func.name() == "count" => {
                params.args.iter_mut().for_each(widen);
                Transformed::yes(Expr::AggregateFunction(AggregateFunction { func, params }))
            }
            Expr::WindowFunction(mut function) => {
                places_of(&mut function);
                Transformed::yes(Expr::WindowFunction(function))
            }
            Expr::Cast(cast) => Transformed::yes(with_digits(cast)),
            Expr::BinaryExpr(operation) if operation.op.is_numerical_operators() => {
                Transformed::yes(arithmetic(operation, schema, functions)?)
            }
            other => Transformed::yes(unify::unify(other, schema)?),
        })
    })?;
    Ok(narrowed.data)
}

/// A decimal literal has the digits that are written, `0.5` two: it comes as a cast to that many.
fn with_digits(cast: Cast) -> Expr {
    match (cast.expr.as_ref(), cast.field.data_type()) {
        (Expr::Literal(ScalarValue::Decimal128(value, digits, scale), metadata), DataType::Decimal128(wider, same))
            if scale == same && digits <= wider =>
        {
            Expr::Literal(ScalarValue::Decimal128(*value, *wider, *scale), metadata.clone())
        }
        _ => Expr::Cast(cast),
    }
}

/// What a function takes as a BIGINT stays a literal: it looks at its constants as it is planned.
fn arguments_of(mut call: ScalarFunction, schema: &DFSchema) -> Result<ScalarFunction> {
    if !call.args.iter().any(is_int) {
        return Ok(call);
    }
    let types = call.args.iter().map(|argument| argument.get_type(schema)).collect::<Result<Vec<_>>>()?;
    // A call that does not fit is refused where types are checked, with the place it has.
    let Ok(wanted) = call.func.coerce_types(&types) else { return Ok(call) };
    for (argument, wanted) in call.args.iter_mut().zip(wanted) {
        if wanted == DataType::Int64 {
            widen(argument);
        }
    }
    Ok(call)
}

/// The offset of LAG is a number of rows, and `COUNT(*)` is planned as a count of a BIGINT.
fn places_of(function: &mut WindowFunction) {
    match &function.fun {
        WindowFunctionDefinition::AggregateUDF(aggregate) if aggregate.name() == "count" => {
            function.params.args.iter_mut().for_each(widen);
        }
        WindowFunctionDefinition::WindowUDF(_) => function.params.args.iter_mut().skip(1).take(1).for_each(widen),
        WindowFunctionDefinition::AggregateUDF(_) => {}
    }
}

fn is_int(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(ScalarValue::Int32(Some(_)), _))
}

fn widen(expression: &mut Expr) {
    if let Expr::Literal(value @ ScalarValue::Int32(Some(_)), _) = expression
        && let Ok(wide) = value.cast_to(&DataType::Int64)
    {
        *value = wide;
    }
}

/// # Errors
/// If a sum, difference or product of whole constants is out of its type's range. The planner
/// would compute it once and let it wrap.
pub(super) fn check_constant(expression: &BinaryExpr, schema: &DFSchema) -> Result<()> {
    let Some(value) = constant(expression) else { return Ok(()) };
    let data_type = Expr::BinaryExpr(expression.clone()).get_type(schema)?;
    let range = match data_type {
        DataType::Int8 => i128::from(i8::MIN)..=i128::from(i8::MAX),
        DataType::Int16 => i128::from(i16::MIN)..=i128::from(i16::MAX),
        DataType::Int32 => i128::from(i32::MIN)..=i128::from(i32::MAX),
        DataType::Int64 => i128::from(i64::MIN)..=i128::from(i64::MAX),
        _ => return Ok(()),
    };
    if range.contains(&value) {
        return Ok(());
    }
    let name = sql_type(&data_type);
    let error = SqlError::new(format!("{value} is out of the range of {name}"));
    Err(DataFusionError::External(Box::new(match data_type {
        DataType::Int64 => error.with_hint("cast an operand to DECIMAL(38, 0)"),
        _ => error.with_hint("cast an operand to BIGINT"),
    })))
}

fn constant(expression: &BinaryExpr) -> Option<i128> {
    let (left, right) = (whole(&expression.left)?, whole(&expression.right)?);
    match expression.op {
        Operator::Plus => left.checked_add(right),
        Operator::Minus => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        _ => None,
    }
}

fn whole(expression: &Expr) -> Option<i128> {
    match expression {
        Expr::Literal(ScalarValue::Int8(value), _) => value.map(i128::from),
        Expr::Literal(ScalarValue::Int16(value), _) => value.map(i128::from),
        Expr::Literal(ScalarValue::Int32(value), _) => value.map(i128::from),
        Expr::Literal(ScalarValue::Int64(value), _) => value.map(i128::from),
        Expr::Cast(cast) if cast.field.data_type().is_signed_integer() => whole(&cast.expr),
        Expr::Negative(inner) => whole(inner).map(|value| -value),
        Expr::BinaryExpr(inner) => constant(inner),
        _ => None,
    }
}
