//! Arithmetic with decimals: the digits that Flink gives its results.
//!
//! DataFusion has the same rules but for two: a BIGINT has 20 digits there, and a result of more than
//! 38 digits keeps those after the point and overflows before it. It is found out here, where the types of
//! all inputs are settled.

use std::sync::Arc;

use arrow::datatypes::DataType;
use corelane_stream::sql_type;
use datafusion_common::{DFSchema, DataFusionError, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator, ScalarUDF};

use super::context::Functions;
use crate::error::SqlError;
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
    check_times(&operation, &left, &right)?;
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

/// Times go with intervals alone. DataFusion takes numbers for days, and has differences of times.
fn check_times(operation: &BinaryExpr, left: &DataType, right: &DataType) -> Result<()> {
    let is_time = |side: &DataType| matches!(side, DataType::Date32 | DataType::Time32(_) | DataType::Timestamp(_, _));
    let hint = match (is_time(left), is_time(right)) {
        (true, true) => "TIMESTAMPDIFF(SECOND, from, to) is the time between two",
        (true, false) if right.is_numeric() => "write an INTERVAL, as in t + INTERVAL '1' DAY",
        (false, true) if left.is_numeric() => "write an INTERVAL, as in t + INTERVAL '1' DAY",
        _ => return Ok(()),
    };
    let (left, right) = (sql_type(left), sql_type(right));
    let error = SqlError::new(format!("{} does not go with {left} and {right}", operation.op)).with_hint(hint);
    Err(DataFusionError::External(Box::new(error)))
}

fn call(function: Arc<ScalarUDF>, operation: &BinaryExpr) -> Expr {
    let arguments = vec![operation.left.as_ref().clone(), operation.right.as_ref().clone()];
    Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
}
