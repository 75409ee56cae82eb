//! Arguments of aggregates with a FILTER, which may fail only for the rows that pass it.
//!
//! They are marked before the optimizer runs, so that it takes no part of them for something that
//! is computed in any case.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use corelane_ops::Guarded;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Result, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use crate::lower::can_fail;

/// Guards the arguments of all aggregates that have a FILTER.
pub(super) fn guard_filtered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let guarded = plan.transform_up_with_subqueries(|plan| {
        plan.map_expressions(|expression| {
            expression.transform_up(|part| {
                Ok(match part {
                    Expr::AggregateFunction(mut call) => {
                        let guarded = guard(&mut call.params.args, call.params.filter.as_deref());
                        Transformed::new_transformed(Expr::AggregateFunction(call), guarded)
                    }
                    Expr::WindowFunction(mut call) => {
                        let params = &mut call.params;
                        let guarded = guard(&mut params.args, params.filter.as_deref());
                        Transformed::new_transformed(Expr::WindowFunction(call), guarded)
                    }
                    other => Transformed::no(other),
                })
            })
        })
    });
    Ok(guarded?.data)
}

fn guard(arguments: &mut [Expr], filter: Option<&Expr>) -> bool {
    let Some(filter) = filter else { return false };
    let mut guarded = false;
    for argument in arguments.iter_mut().filter(|argument| can_fail(argument)) {
        *argument = guarded_by(filter.clone(), std::mem::take(argument));
        guarded = true;
    }
    guarded
}

/// The value where the condition holds.
pub(super) fn guarded_by(condition: Expr, value: Expr) -> Expr {
    let udf = Arc::new(ScalarUDF::from(Guard { signature: Signature::any(2, Volatility::Immutable) }));
    Expr::ScalarFunction(ScalarFunction::new_udf(udf, vec![condition, value]))
}

/// The condition and the value of a guarded value, if it is one.
pub(super) fn guard_parts(call: &ScalarFunction) -> Option<(&Expr, &Expr)> {
    call.func.inner().downcast_ref::<Guard>()?;
    match call.args.as_slice() {
        [condition, value] => Some((condition, value)),
        _ => None,
    }
}

/// The physical expression of a guarded argument, if it is one.
pub(crate) fn guarded(expression: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
    let call = expression.downcast_ref::<ScalarFunctionExpr>()?;
    call.fun().inner().downcast_ref::<Guard>()?;
    match call.args() {
        [condition, value] => Some(Arc::new(Guarded::new(Arc::clone(value), Arc::clone(condition)))),
        _ => None,
    }
}

/// A condition, and the value that is wanted where it holds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Guard {
    signature: Signature,
}

impl ScalarUDFImpl for Guard {
    fn name(&self) -> &str {
        "guarded value"
    }

    /// Names of columns are those of the value, guarded or not.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        match arguments.last() {
            Some(value) => Ok(value.schema_name().to_string()),
            None => internal_err!("a guard has a value"),
        }
    }

    fn display_name(&self, arguments: &[Expr]) -> Result<String> {
        match arguments.last() {
            Some(value) => Ok(value.to_string()),
            None => internal_err!("a guard has a value"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [DataType::Boolean | DataType::Null, data_type] => Ok(data_type.clone()),
            _ => internal_err!("a value is guarded by a condition"),
        }
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        match arguments.arg_fields {
            [_, value] => Ok(Arc::new(value.as_ref().clone().with_nullable(true))),
            _ => internal_err!("a value is guarded by a condition"),
        }
    }

    fn short_circuits(&self) -> bool {
        true
    }

    fn conditional_arguments<'a>(&self, arguments: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        // The optimizer counts on those that are computed in any case to be the first.
        let (value, condition) = arguments.split_last()?;
        Some((condition.iter().collect(), vec![value]))
    }

    /// What the optimizer may know of it: where the condition does not hold, any value will do.
    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match arguments.args.into_iter().last() {
            Some(value) => Ok(value),
            None => internal_err!("a guard has a value"),
        }
    }
}
