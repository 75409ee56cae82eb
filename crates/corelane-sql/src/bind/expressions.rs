//! How operators and special syntax read: Flink's functions in the place of DataFusion's.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_SCALE, DataType, Field};
use datafusion_common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr};
use datafusion_expr::{Expr, ExprSchemable, GetFieldAccess, ScalarUDF, lit};
use datafusion_functions::core::get_field;
use datafusion_functions_aggregate::planner::AggregateFunctionPlanner;
use datafusion_functions_nested::planner::FieldAccessPlanner;
use datafusion_functions_window::planner::WindowFunctionPlanner;

use sqlparser::ast::BinaryOperator;

use super::context::Functions;

/// The planners of expressions, first come first served.
pub(super) fn planners(functions: &Functions) -> Vec<Arc<dyn ExprPlanner>> {
    let flink = FlinkSyntax {
        extract: functions.scalar("extract"),
        position: functions.scalar("position"),
        substring: functions.scalar("substring"),
        overlay: functions.scalar("overlay"),
        interval_times: functions.scalar("interval_times"),
        times: functions.scalar("times"),
        element_at: functions.scalar("element_at"),
        array: functions.scalar("array"),
        map: functions.scalar("map"),
        row: functions.scalar("row"),
        concat: functions.scalar("concat"),
    };
    vec![
        Arc::new(flink),
        Arc::new(FieldAccessPlanner),
        Arc::new(AggregateFunctionPlanner),
        Arc::new(WindowFunctionPlanner),
    ]
}

#[derive(Debug)]
struct FlinkSyntax {
    extract: Option<Arc<ScalarUDF>>,
    position: Option<Arc<ScalarUDF>>,
    substring: Option<Arc<ScalarUDF>>,
    overlay: Option<Arc<ScalarUDF>>,
    interval_times: Option<Arc<ScalarUDF>>,
    times: Option<Arc<ScalarUDF>>,
    element_at: Option<Arc<ScalarUDF>>,
    array: Option<Arc<ScalarUDF>>,
    map: Option<Arc<ScalarUDF>>,
    row: Option<Arc<ScalarUDF>>,
    concat: Option<Arc<ScalarUDF>>,
}

fn call(function: Option<&Arc<ScalarUDF>>, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
    Ok(match function {
        Some(function) => {
            PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), arguments)))
        }
        None => PlannerResult::Original(arguments),
    })
}

/// Whether a product has more digits after the point than a DECIMAL.
fn is_too_fine(product: &RawBinaryExpr, schema: &DFSchema) -> bool {
    let scale = |side: &Expr| match side.get_type(schema) {
        Ok(DataType::Decimal128(_, scale)) => scale,
        Ok(_) | Err(_) => 0,
    };
    DECIMAL128_MAX_SCALE < scale(&product.left).saturating_add(scale(&product.right))
}

impl ExprPlanner for FlinkSyntax {
    /// `bid.price` of a ROW column is named `price` in a result, as in Flink.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let column = Expr::Column(Column::from((qualifier, field)));
        let value = nested.iter().fold(column, |value, name| {
            let arguments = vec![value, lit(ScalarValue::from(name.clone()))];
            Expr::ScalarFunction(ScalarFunction::new_udf(get_field(), arguments))
        });
        Ok(PlannerResult::Planned(match nested.last() {
            Some(name) => value.alias(name),
            None => value,
        }))
    }

    /// `||` takes texts, and `INTERVAL '1' DAY * n` is n days.
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let (function, arguments) = match &expr.op {
            BinaryOperator::StringConcat => (&self.concat, vec![expr.left.clone(), expr.right.clone()]),
            BinaryOperator::Multiply => {
                let is_interval = |side: &Expr| matches!(side.get_type(schema), Ok(DataType::Interval(_)));
                match (is_interval(&expr.left), is_interval(&expr.right)) {
                    (true, false) => (&self.interval_times, vec![expr.left.clone(), expr.right.clone()]),
                    (false, true) => (&self.interval_times, vec![expr.right.clone(), expr.left.clone()]),
                    // The planner knows no type for it, so it cannot wait for `arithmetic`.
                    _ if is_too_fine(&expr, schema) => (&self.times, vec![expr.left.clone(), expr.right.clone()]),
                    _ => return Ok(PlannerResult::Original(expr)),
                }
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let Some(function) = function else { return Ok(PlannerResult::Original(expr)) };
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), arguments))))
    }

    fn plan_array_literal(&self, elements: Vec<Expr>, _: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        call(self.array.as_ref(), elements)
    }

    fn plan_make_map(&self, entries: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call(self.map.as_ref(), entries)
    }

    /// `(1, 'a')` is a ROW.
    fn plan_struct_literal(&self, values: Vec<Expr>, _named: bool) -> Result<PlannerResult<Vec<Expr>>> {
        call(self.row.as_ref(), values)
    }

    /// `a[1]` and `m['key']`.
    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let key = match &expr.field_access {
            GetFieldAccess::ListIndex { key } => key.as_ref().clone(),
            GetFieldAccess::NamedStructField { name }
                if matches!(expr.expr.get_type(schema)?, DataType::Map(_, _) | DataType::List(_)) =>
            {
                lit(name.clone())
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let Some(function) = &self.element_at else { return Ok(PlannerResult::Original(expr)) };
        let arguments = vec![expr.expr, key];
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), arguments))))
    }

    /// `EXTRACT(unit FROM x)` is a BIGINT, as in Flink.
    fn plan_extract(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call(self.extract.as_ref(), arguments)
    }

    /// `POSITION(x IN y)`: DataFusion hands over `y, x`.
    fn plan_position(&self, mut arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        arguments.reverse();
        call(self.position.as_ref(), arguments)
    }

    fn plan_substring(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call(self.substring.as_ref(), arguments)
    }

    fn plan_overlay(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        call(self.overlay.as_ref(), arguments)
    }
}
