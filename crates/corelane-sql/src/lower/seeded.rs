//! `RAND(seed)` and `RAND_INTEGER(seed, bound)`: a number that depends on the seed and the row alone.
//!
//! Flink draws from one generator in each of its tasks, so that its numbers change with the number
//! of tasks. Here no generator is kept: a number is a hash of the seed and of the row's hidden position,
//! and so is the same whatever the number of workers and the size of batches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, Result, exec_err, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::calc::{POSITION_COLUMN, position_field};
use super::planning;
use crate::error::SqlError;
use crate::functions::{bounded, fraction, scattered};

/// The call, if the expression is one, and whether it is of a bound.
fn seeded_call(expression: &Expr) -> Option<(&ScalarFunction, bool)> {
    let Expr::ScalarFunction(call) = expression else { return None };
    match (call.func.name(), call.args.len()) {
        ("rand", 1) => Some((call, false)),
        ("rand_integer", 2) => Some((call, true)),
        _ => None,
    }
}

/// Whether a part of the expression wants to know where its row stands.
pub(super) fn is_seeded(expression: &Expr) -> bool {
    expression.exists(|part| Ok(seeded_call(part).is_some())).expect("looking at expressions cannot fail")
}

pub(super) fn refusal() -> SqlError {
    SqlError::new("RAND and RAND_INTEGER with a seed need rows whose place in their source is known")
        .with_hint("call them in a query over a table, below an aggregate or a UNION")
}

/// The names of a relation with that of its hidden position.
pub(super) fn with_position(names: &DFSchema) -> Result<DFSchema, SqlError> {
    if names.has_column_with_unqualified_name(POSITION_COLUMN) {
        return Ok(names.clone());
    }
    let mut fields: Vec<_> = names.iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
    fields.push((None, position_field()));
    DFSchema::new_with_metadata(fields, names.metadata().clone()).map_err(planning)
}

/// The expression with the position given to each call that wants it.
pub(super) fn placed(expression: &Expr) -> Result<Expr, SqlError> {
    let placed = expression.clone().transform_down(|part| {
        let Some((call, is_bounded)) = seeded_call(&part) else { return Ok(Transformed::no(part)) };
        let mut arguments = call.args.clone();
        arguments.push(Expr::Column(Column::new_unqualified(POSITION_COLUMN)));
        let random = SeededRandom { is_bounded, signature: Signature::any(arguments.len(), Volatility::Volatile) };
        let call = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(random)), arguments);
        Ok(Transformed::new(Expr::ScalarFunction(call), true, TreeNodeRecursion::Jump))
    });
    Ok(placed.map_err(planning)?.data)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SeededRandom {
    is_bounded: bool,
    signature: Signature,
}

impl ScalarUDFImpl for SeededRandom {
    fn name(&self) -> &str {
        if self.is_bounded { "rand_integer" } else { "rand" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.is_bounded { DataType::Int32 } else { DataType::Float64 })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = arguments.args.iter().map(|value| value.to_array(arguments.number_rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let (Some(seeds), Some(positions)) = (arrays.first(), arrays.last()) else {
            return internal_err!("a random number is of a seed and a position");
        };
        let longs = |array: &ArrayRef| cast(array, &DataType::Int64);
        let (seeds, positions) = (longs(seeds)?, positions.as_primitive::<UInt64Type>());
        let seeds = seeds.as_primitive::<Int64Type>();
        let random = |row: usize| scattered(scattered(seeds.value(row) as u64) ^ positions.value(row));
        let rows = 0..positions.len();
        if !self.is_bounded {
            let number = |row: usize| seeds.is_valid(row).then(|| fraction(random(row)));
            return Ok(ColumnarValue::Array(Arc::new(rows.map(number).collect::<Float64Array>())));
        }
        let bounds = longs(&arrays[1])?;
        let bounds = bounds.as_primitive::<Int64Type>();
        let number = |row: usize| match (seeds.is_valid(row) && bounds.is_valid(row), bounds.value(row)) {
            (false, _) => Ok(None),
            (true, bound @ 1..=0x7fff_ffff) => Ok(Some(bounded(random(row), bound))),
            (true, bound) => exec_err!("RAND_INTEGER takes a bound from 1 to 2147483647, not {bound}"),
        };
        Ok(ColumnarValue::Array(Arc::new(rows.map(number).collect::<Result<Int32Array>>()?)))
    }
}
