//! Functions that choose between arguments.
//!
//! `COALESCE`, `IFNULL` and `IF` become `CASE` where plans are simplified, so that what is not chosen is not
//! computed; the kernels here serve plans that are not.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Float32Type};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion_common::{Result, plan_err};
use datafusion_expr::{Expr, when};

use super::call::Call;

/// Builds a column by choosing, for each row, the argument it comes from.
fn choose(call: &Call, mut chosen: impl FnMut(usize) -> Option<usize>) -> Result<ArrayRef> {
    let null = new_null_array(call.returns, 1);
    let mut columns: Vec<&dyn Array> = Vec::with_capacity(call.arguments.len() + 1);
    columns.push(null.as_ref());
    // An argument of another type, such as a condition, is never chosen: the null stands for it.
    let fitting = |array: &ArrayRef| array.data_type() == call.returns;
    for argument in &call.arguments {
        columns.push(if fitting(&argument.array) { argument.array.as_ref() } else { null.as_ref() });
    }
    let places: Vec<(usize, usize)> = (0..call.rows)
        .map(|row| match chosen(row) {
            Some(index) if fitting(&call.arguments[index].array) => (index + 1, call.arguments[index].index(row)),
            Some(_) | None => (0, 0),
        })
        .collect();
    Ok(interleave(&columns, &places)?)
}

pub(super) fn coalesce(call: &Call) -> Result<ArrayRef> {
    choose(call, |row| call.arguments.iter().position(|argument| !argument.is_null(row)))
}

pub(super) fn if_then(call: &Call) -> Result<ArrayRef> {
    let (condition, argument) = (call.booleans(0)?, call.argument(0)?);
    choose(call, |row| {
        let holds = !argument.is_null(row) && condition.value(argument.index(row));
        Some(if holds { 1 } else { 2 })
    })
}

pub(super) fn null_if(call: &Call) -> Result<ArrayRef> {
    let given = |row: usize| !call.arguments.iter().any(|argument| argument.is_null(row));
    let unless = |equal: bool| if equal { None } else { Some(0) };
    // NaN equals nothing, and the zeros each other.
    match call.argument(0)?.array.data_type() {
        DataType::Float64 => {
            let (value, other) = (call.doubles(0)?, call.doubles(1)?);
            choose(call, |row| unless(given(row) && value.at(row) == other.at(row)))
        }
        DataType::Float32 => {
            let (value, other) = (call.primitive::<Float32Type>(0)?, call.primitive::<Float32Type>(1)?);
            choose(call, |row| unless(given(row) && value.at(row) == other.at(row)))
        }
        _ => {
            let rows = comparable(call)?;
            choose(call, |row| unless(given(row) && compare(call, &rows, 0, 1, row) == Ordering::Equal))
        }
    }
}

/// Every argument's values in a form that compares as bytes.
fn comparable(call: &Call) -> Result<Vec<Rows>> {
    let mut rows = Vec::with_capacity(call.arguments.len());
    let data_type = call.argument(0)?.array.data_type().clone();
    let converter = RowConverter::new(vec![SortField::new(data_type)])?;
    for argument in &call.arguments {
        rows.push(converter.convert_columns(std::slice::from_ref(&argument.array))?);
    }
    Ok(rows)
}

fn compare(call: &Call, rows: &[Rows], left: usize, right: usize, row: usize) -> Ordering {
    let value = |index: usize| rows[index].row(call.arguments[index].index(row));
    value(left).cmp(&value(right))
}

fn extreme(call: &Call, wanted: Ordering) -> Result<ArrayRef> {
    let rows = comparable(call)?;
    choose(call, |row| {
        if call.is_null(row) {
            return None;
        }
        let better = |best, index| if compare(call, &rows, index, best, row) == wanted { index } else { best };
        Some((1..call.arguments.len()).fold(0, better))
    })
}

pub(super) fn greatest(call: &Call) -> Result<ArrayRef> {
    extreme(call, Ordering::Greater)
}

pub(super) fn least(call: &Call) -> Result<ArrayRef> {
    extreme(call, Ordering::Less)
}

pub(super) fn rewrite_coalesce(mut args: Vec<Expr>) -> Result<Expr> {
    let Some(last) = args.pop() else { return plan_err!("COALESCE takes at least one argument") };
    args.into_iter().rev().try_fold(last, |rest, value| when(value.clone().is_not_null(), value).otherwise(rest))
}

pub(super) fn rewrite_if(args: Vec<Expr>) -> Result<Expr> {
    match <[Expr; 3]>::try_from(args) {
        Ok([condition, then, otherwise]) => when(condition, then).otherwise(otherwise),
        Err(_) => plan_err!("IF takes a condition and two values"),
    }
}
