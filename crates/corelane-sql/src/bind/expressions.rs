//! How operators and special syntax read: Flink's functions in the place of DataFusion's.

use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion_common::{Column, Result, ScalarValue, TableReference};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{ExprPlanner, PlannerResult};
use datafusion_expr::{Expr, ScalarUDF, lit};
use datafusion_functions::core::get_field;
use datafusion_functions::core::planner::CoreFunctionPlanner;
use datafusion_functions_aggregate::planner::AggregateFunctionPlanner;
use datafusion_functions_nested::planner::{FieldAccessPlanner, NestedFunctionPlanner};
use datafusion_functions_window::planner::WindowFunctionPlanner;

use super::context::Functions;

/// The planners of expressions, first come first served.
pub(super) fn planners(functions: &Functions) -> Vec<Arc<dyn ExprPlanner>> {
    let flink = FlinkSyntax {
        extract: functions.scalar("extract"),
        position: functions.scalar("position"),
        substring: functions.scalar("substring"),
        overlay: functions.scalar("overlay"),
    };
    vec![
        Arc::new(flink),
        Arc::new(CoreFunctionPlanner::default()),
        Arc::new(NestedFunctionPlanner),
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
