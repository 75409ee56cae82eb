//! Casts as Flink does them: to text, where Arrow's kernel writes times, booleans and doubles
//! otherwise, of rows, arrays and maps, part by part, of times, some of which pass a time zone, and of
//! text to numbers. And `-x` of an integer as `0 - x`, because
//! Arrow's negation of the smallest one wraps.
//!
//! Types are needed to know which those are, so they are replaced once a plan is coerced.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use corelane_ops::Zone;
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
};

use super::constants::failing;
use super::context::Functions;
use super::float_comparisons;
use super::literals::check_constant;
use super::nested_cast::{is_nested, nested_cast};
use super::number_cast::{is_exact, number_cast};
use super::text_cast::{is_from_text, text_cast};
use super::time_cast::{passes_time, time_cast};

/// The function that casts to text.
const CAST: &str = "cast_to_string";

/// Replaces the casts of a whole plan.
pub(super) fn rewrite_plan(plan: LogicalPlan, functions: &Functions) -> Result<LogicalPlan> {
    let Some(cast) = functions.scalar(CAST) else { return Ok(plan) };
    plan.transform_up(|plan| {
        let schema = match &plan {
            LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
            plan => merge_schema(&plan.inputs()),
        };
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expression| {
            let name = names.save(&expression);
            let rewritten = rewrite_with(expression, &schema, &cast, functions.zone)?;
            Ok(if rewritten.transformed {
                rewritten.update_data(|expression| name.restore(expression))
            } else {
                rewritten
            })
        })?
        .map_data(LogicalPlan::recompute_schema)
    })
    .map(|plan| plan.data)
}

/// Replaces the casts of one expression.
pub(crate) fn rewrite_expression(expression: Expr, schema: &DFSchema, functions: &Functions) -> Result<Expr> {
    match functions.scalar(CAST) {
        Some(cast) => rewrite_with(expression, schema, &cast, functions.zone).map(|rewritten| rewritten.data),
        None => Ok(expression),
    }
}

fn rewrite_with(
    expression: Expr,
    schema: &DFSchema,
    cast: &Arc<ScalarUDF>,
    zone: Option<Zone>,
) -> Result<Transformed<Expr>> {
    expression.transform_up(|expression| {
        if let Expr::BinaryExpr(operation) = &expression
            && let Err(error) = check_constant(operation, schema)
        {
            return Ok(Transformed::yes(failing(error, expression.get_type(schema)?)));
        }
        if let Some(compared) = float_comparisons::rewritten(&expression, schema)? {
            return Ok(Transformed::yes(compared));
        }
        if let Expr::Negative(inner) = &expression {
            let data_type = inner.get_type(schema)?;
            if !data_type.is_signed_integer() {
                return Ok(Transformed::no(expression));
            }
            let zero = Box::new(Expr::Literal(ScalarValue::new_zero(&data_type)?, None));
            let difference = BinaryExpr::new(zero, Operator::Minus, inner.clone());
            if let Err(error) = check_constant(&difference, schema) {
                return Ok(Transformed::yes(failing(error, data_type)));
            }
            if matches!(inner.as_ref(), Expr::Literal(_, _)) {
                return Ok(Transformed::no(expression));
            }
            return Ok(Transformed::yes(Expr::BinaryExpr(difference)));
        }
        let (inner, wanted) = match &expression {
            Expr::Cast(cast) => (&cast.expr, cast.field.data_type()),
            Expr::TryCast(cast) => (&cast.expr, cast.field.data_type()),
            _ => return Ok(Transformed::no(expression)),
        };
        let (given, safe) = (inner.get_type(schema)?, matches!(expression, Expr::TryCast(_)));
        if is_nested(&given, wanted) {
            if given == *wanted {
                return Ok(Transformed::no(expression));
            }
            return cast_by(nested_cast(&given, wanted, zone, cast, safe)?, inner, wanted);
        }
        // A function sees its constants as the statement is planned, but not through a cast.
        if let (Expr::Literal(ScalarValue::Utf8(text), _), DataType::Utf8View) = (inner.as_ref(), wanted) {
            let text = Expr::Literal(ScalarValue::Utf8View(text.clone()), None);
            return Ok(Transformed::yes(text));
        }
        match leaf_cast(&given, wanted, zone, cast, safe) {
            None => match inner.as_ref() {
                Expr::Literal(value, _) if !safe => match value.cast_to(wanted) {
                    Ok(_) => Ok(Transformed::no(expression)),
                    Err(error) => Ok(Transformed::yes(failing(error, wanted.clone()))),
                },
                _ => Ok(Transformed::no(expression)),
            },
            // A constant is written as any other value.
            Some(function) if is_text(wanted) => {
                let call = ScalarFunction::new_udf(function, vec![inner.as_ref().clone()]);
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            Some(function) => cast_by(function, inner, wanted),
        }
    })
}

/// The function for a cast that Arrow's kernel would not do as Flink does.
pub(super) fn leaf_cast(
    given: &DataType,
    wanted: &DataType,
    zone: Option<Zone>,
    to_text: &Arc<ScalarUDF>,
    safe: bool,
) -> Option<Arc<ScalarUDF>> {
    if passes_time(given, wanted, zone) {
        return Some(time_cast(wanted, zone, safe));
    }
    if is_exact(wanted) && is_text(given) {
        return Some(number_cast(wanted, safe));
    }
    if is_from_text(wanted) && is_text(given) {
        return Some(text_cast(wanted, safe));
    }
    (is_text(wanted) && !is_text(given) && !given.is_null()).then(|| Arc::clone(to_text))
}

/// A call of the function; of a constant what it gives, if it can be cast.
fn cast_by(function: Arc<ScalarUDF>, inner: &Expr, wanted: &DataType) -> Result<Transformed<Expr>> {
    let called = |function| Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![inner.clone()]));
    let Expr::Literal(value, metadata) = inner else { return Ok(Transformed::yes(called(function))) };
    let field = |data_type: &DataType| Arc::new(Field::new("", data_type.clone(), true));
    let cast = function.invoke_with_args(ScalarFunctionArgs {
        args: vec![ColumnarValue::Scalar(value.clone())],
        arg_fields: vec![field(&value.data_type())],
        number_rows: 1,
        return_field: field(wanted),
        config_options: Arc::new(ConfigOptions::default()),
    });
    let Ok(cast) = cast else { return Ok(Transformed::yes(called(function))) };
    let cast = ScalarValue::try_from_array(&cast.into_array(1)?, 0)?;
    Ok(Transformed::yes(Expr::Literal(cast, metadata.clone())))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
