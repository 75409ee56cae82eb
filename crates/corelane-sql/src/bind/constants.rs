//! Constants that cannot be computed: `1 / 0`, `CAST('abc' AS INT)`, `2147483647 + 1`.
//!
//! One that every row needs is an error of the statement, at its place. One that stands under a condition, in
//! a branch of CASE or behind AND, is an error of those rows that come to it, and of none if no row does. The
//! planner would compute it beforehand in any case, and fail or wrap: so a call that fails takes its place.

use std::sync::Arc;

use arrow::array::new_empty_array;
use arrow::datatypes::DataType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;

use super::sql_error;
use crate::error::SqlError;
use crate::lower::{can_fail, constant_value};

/// # Errors
/// If a constant that every row of a plan's node needs cannot be computed.
pub(super) fn check_plan(plan: &LogicalPlan) -> Result<()> {
    let checked = plan.apply(|node| {
        node.apply_expressions(|expression| {
            check(expression)?;
            Ok(TreeNodeRecursion::Continue)
        })
    });
    checked.map(drop)
}

/// The same for one expression.
pub(super) fn check(expression: &Expr) -> Result<()> {
    if !can_fail(expression) {
        return Ok(());
    }
    if is_constant(expression) {
        // Functions that choose among their arguments are not called, but written as what they stand for.
        let context = SimplifyContext::builder().with_schema(Arc::new(DFSchema::empty())).build();
        let simplified = ExprSimplifier::new(context).simplify(expression.clone())?;
        return match constant_value(&simplified) {
            Ok(_) => Ok(()),
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        };
    }
    sure_parts(expression).into_iter().try_for_each(check)
}

fn is_constant(expression: &Expr) -> bool {
    let varies = expression.exists(|part| {
        Ok(match part {
            Expr::Column(_)
            | Expr::OuterReferenceColumn(_, _)
            | Expr::Placeholder(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_) => true,
            other => other.is_volatile_node(),
        })
    });
    !varies.expect("looking at expressions cannot fail")
}

/// The parts of an expression that are computed in any row, whatever its conditions say.
fn sure_parts(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::Case(case) => {
            let first = case.when_then_expr.first().map(|(when, _)| when.as_ref());
            case.expr.as_deref().into_iter().chain(first).collect()
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right: _ }) => vec![left.as_ref()],
        Expr::ScalarFunction(call) => match call.func.conditional_arguments(&call.args) {
            Some((sure, _)) => sure,
            None => call.args.iter().collect(),
        },
        Expr::AggregateFunction(call) => match &call.params.filter {
            Some(filter) => vec![filter.as_ref()],
            None => call.params.args.iter().collect(),
        },
        Expr::WindowFunction(call) => match &call.params.filter {
            Some(filter) => vec![filter.as_ref()],
            None => call.params.args.iter().collect(),
        },
        other => {
            let mut parts = Vec::new();
            let walked = other.apply_children(|part| {
                parts.push(part);
                Ok(TreeNodeRecursion::Continue)
            });
            walked.expect("collecting parts cannot fail");
            parts
        }
    }
}

/// A call that fails with this error wherever it is computed.
pub(super) fn failing(error: DataFusionError, data_type: DataType) -> Expr {
    let SqlError { message, hint, .. } = sql_error(error);
    let signature = Signature::nullary(Volatility::Immutable);
    let function = ScalarUDF::from(Failing { message, hint, data_type, signature });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), Vec::new()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Failing {
    message: String,
    hint: Option<String>,
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Failing {
    fn name(&self) -> &str {
        "fail"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if arguments.number_rows == 0 {
            return Ok(ColumnarValue::Array(new_empty_array(&self.data_type)));
        }
        let mut error = SqlError::new(self.message.clone());
        error.hint.clone_from(&self.hint);
        Err(DataFusionError::External(Box::new(error)))
    }
}
