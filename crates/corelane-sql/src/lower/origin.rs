//! Which rows tell where they came from, so that one that fails can be reported by its bytes and
//! its place.
//!
//! Dead letters want the bytes, and so whatever may fail or refuse a row asks for them below it.
//! An error that ends the job wants the place only: it is had for next to nothing by the first
//! expressions above a scan, and is not carried further. Elsewhere no one asks, and nothing is read.

use corelane_stream::{OnError, OriginDetail, RowPolicy, SourceSpec};
use datafusion_common::tree_node::TreeNode;
use datafusion_expr::{Expr, Operator};

use super::Wanted;
use crate::bind::FLOAT_COMPARISON;

/// Whether some row may make this expression fail. It errs on the side of yes.
pub(crate) fn can_fail(expression: &Expr) -> bool {
    let fails = |part: &Expr| {
        Ok(match part {
            Expr::Column(_) | Expr::Literal(_, _) | Expr::Alias(_) | Expr::Not(_) | Expr::TryCast(_) => false,
            Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsUnknown(_) => false,
            Expr::IsNotTrue(_) | Expr::IsNotFalse(_) | Expr::IsNotUnknown(_) => false,
            Expr::Between(_) | Expr::InList(_) | Expr::Case(_) | Expr::Like(_) => false,
            Expr::BinaryExpr(binary) => !compares(binary.op),
            Expr::ScalarFunction(call) => !["get_field", FLOAT_COMPARISON].contains(&call.func.name()),
            _ => true,
        })
    };
    expression.exists(fails).expect("looking at expressions cannot fail")
}

fn compares(operator: Operator) -> bool {
    use Operator::{And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq, Or};
    matches!(operator, And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// What a scan asks of its source. `fails`: its own filter or columns may fail.
pub(super) fn told_by(
    source: &dyn SourceSpec,
    policy: &RowPolicy,
    wanted: Wanted,
    fails: bool,
) -> Option<OriginDetail> {
    let kept = policy.keeps_rows() && wanted.origin || policy.on_error == OnError::DeadLetter && fails;
    let detail = match policy.on_error {
        _ if kept => OriginDetail::Raw,
        OnError::Fail if fails => OriginDetail::Place,
        OnError::Fail | OnError::Skip | OnError::DeadLetter => return None,
    };
    source.origin().map(|most| most.min(detail))
}
