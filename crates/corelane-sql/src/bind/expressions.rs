//! How operators and special syntax read: Flink's functions in the place of DataFusion's.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
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
        divide: functions.scalar("divide"),
        modulo: functions.scalar("mod"),
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
    divide: Option<Arc<ScalarUDF>>,
    modulo: Option<Arc<ScalarUDF>>,
    element_at: Option<Arc<ScalarUDF>>,
    array: Option<Arc<ScalarUDF>>,
    map: Option<Arc<ScalarUDF>>,
    row: Option<Arc<ScalarUDF>>,
    concat: Option<Arc<ScalarUDF>>,
}

/// A whole literal is an INT in Flink, which decides how many digits a decimal result has.
fn narrow_literal(operand: Expr) -> Expr {
    match operand {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) => match i32::try_from(value) {
            Ok(value) => Expr::Literal(ScalarValue::Int32(Some(value)), metadata),
            Err(_) => Expr::Literal(ScalarValue::Int64(Some(value)), metadata),
        },
        other => other,
    }
}

fn call(function: Option<&Arc<ScalarUDF>>, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
    Ok(match function {
        Some(function) => {
            PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), arguments)))
        }
        None => PlannerResult::Original(arguments),
    })
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

    /// `||` takes texts; a quotient of decimals has the digits that Flink gives it, a remainder the type of `MOD`.
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Divide, Minus, Modulo, Multiply, Plus, StringConcat};
        if let (StringConcat, Some(concat)) = (&expr.op, &self.concat) {
            let arguments = vec![expr.left, expr.right];
            return Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(
                concat.clone(),
                arguments,
            ))));
        }
        let (Divide | Minus | Modulo | Multiply | Plus, Ok(left), Ok(right)) =
            (&expr.op, expr.left.get_type(schema), expr.right.get_type(schema))
        else {
            return Ok(PlannerResult::Original(expr));
        };
        let exact = |given: &DataType| given.is_integer() || matches!(given, DataType::Decimal128(_, _));
        let decimal = !left.is_integer() || !right.is_integer();
        if !decimal || !exact(&left) || !exact(&right) {
            return Ok(PlannerResult::Original(expr));
        }
        let (left, right) = (narrow_literal(expr.left), narrow_literal(expr.right));
        let function = match &expr.op {
            Divide => self.divide.as_ref(),
            Modulo => self.modulo.as_ref(),
            _ => None,
        };
        let Some(function) = function else {
            return Ok(PlannerResult::Original(RawBinaryExpr { op: expr.op, left, right }));
        };
        let arguments = vec![left, right];
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
            GetFieldAccess::NamedStructField { name } if matches!(expr.expr.get_type(schema)?, DataType::Map(_, _)) => {
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
