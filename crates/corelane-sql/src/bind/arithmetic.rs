//! Arithmetic with decimals: the digits that Flink gives its results.
//!
//! DataFusion has the same rules but for two: a BIGINT has 20 digits there, and a result of more than
//! 38 digits keeps those after the point and overflows before it. It is found out here, where the types of
//! all inputs are settled.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, ScalarUDF};

use super::context::Functions;
use crate::supertype::{exact_digits, is_decimal};

/// Digits of a BIGINT.
const BIGINT_DIGITS: u8 = 19;

/// `left op right` with the type that Flink gives it.
pub(super) fn arithmetic(operation: BinaryExpr, schema: &DFSchema, functions: &Functions) -> Result<Expr> {
    let function = match operation.op {
        Operator::Plus => "plus",
        Operator::Minus => "minus",
        Operator::Multiply => "times",
        Operator::Divide => "divide",
        Operator::Modulo => "mod",
        _ => return Ok(Expr::BinaryExpr(operation)),
    };
    let (left, right) = (operation.left.get_type(schema)?, operation.right.get_type(schema)?);
    if !is_decimal(&left) && !is_decimal(&right) {
        return Ok(Expr::BinaryExpr(operation));
    }
    if left == DataType::Float32 || right == DataType::Float32 {
        let wide = |side: Box<Expr>| Box::new(Expr::Cast(Cast::new(side, DataType::Float64)));
        let (left, right) = (wide(operation.left), wide(operation.right));
        return Ok(Expr::BinaryExpr(BinaryExpr::new(left, operation.op, right)));
    }
    let (Some(_), Some(_), Some(function)) = (exact_digits(&left), exact_digits(&right), functions.scalar(function))
    else {
        return Ok(Expr::BinaryExpr(operation));
    };
    let called = call(function, &operation);
    if matches!(operation.op, Operator::Divide | Operator::Modulo) {
        return Ok(called);
    }
    let side = |side: Box<Expr>, given: &DataType| match given {
        DataType::Int64 => Box::new(Expr::Cast(Cast::new(side, DataType::Decimal128(BIGINT_DIGITS, 0)))),
        _ => side,
    };
    let plain = BinaryExpr::new(side(operation.left, &left), operation.op, side(operation.right, &right));
    let plain = Expr::BinaryExpr(plain);
    // It has no type for a product of more than 38 digits after the point.
    let same = plain.get_type(schema).is_ok_and(|found| called.get_type(schema).is_ok_and(|wanted| wanted == found));
    Ok(if same { plain } else { called })
}

fn call(function: Arc<ScalarUDF>, operation: &BinaryExpr) -> Expr {
    let arguments = vec![operation.left.as_ref().clone(), operation.right.as_ref().clone()];
    Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
}
