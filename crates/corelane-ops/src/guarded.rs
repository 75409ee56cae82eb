//! A value that is wanted only where a condition holds: the argument of an aggregate with a FILTER.
//!
//! `SUM(10 / z) FILTER (WHERE z <> 0)` must not fail for a row that the filter leaves out. All rows
//! are computed at once, which nearly always succeeds and costs nothing more; only if it fails, the
//! condition is asked for, and the value computed again for the rows in which it is true. What
//! stands in the other rows is no one's business: it is null there, or was computed.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute;
use arrow::datatypes::{DataType, Schema};
use datafusion_common::cast::as_boolean_array;
use datafusion_common::{Result, internal_err};
use datafusion_expr::ColumnarValue;
use datafusion_physical_expr::PhysicalExpr;

#[derive(Debug, Eq)]
pub struct Guarded {
    value: Arc<dyn PhysicalExpr>,
    condition: Arc<dyn PhysicalExpr>,
}

// By hand: what is derived would move the trait objects.
impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.value.eq(&other.value) && self.condition.eq(&other.condition)
    }
}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
        self.condition.hash(state);
    }
}

impl Guarded {
    pub fn new(value: Arc<dyn PhysicalExpr>, condition: Arc<dyn PhysicalExpr>) -> Self {
        Guarded { value, condition }
    }

    /// The value where the condition holds, and null elsewhere.
    fn where_wanted(&self, rows: &RecordBatch, wanted: &BooleanArray) -> Result<ColumnarValue> {
        if wanted.true_count() == 0 {
            let data_type = self.value.data_type(rows.schema_ref())?;
            return Ok(ColumnarValue::Array(new_null_array(&data_type, rows.num_rows())));
        }
        let kept = compute::filter_record_batch(rows, wanted)?;
        let values = self.value.evaluate(&kept)?.into_array(kept.num_rows())?;
        let mut next = 0;
        let places = wanted.values().iter().map(|wanted| {
            let place = wanted.then_some(next);
            next += u32::from(wanted);
            place
        });
        Ok(ColumnarValue::Array(compute::take(&values, &places.collect::<UInt32Array>(), None)?))
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(out)
    }
}

impl PhysicalExpr for Guarded {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.value.data_type(input)
    }

    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, rows: &RecordBatch) -> Result<ColumnarValue> {
        let error = match self.value.evaluate(rows) {
            Ok(values) => return Ok(values),
            Err(error) => error,
        };
        let condition = self.condition.evaluate(rows)?.into_array(rows.num_rows())?;
        let condition = as_boolean_array(&condition)?;
        let wanted = match condition.nulls() {
            Some(nulls) => BooleanArray::new(condition.values() & nulls.inner(), None),
            None => condition.clone(),
        };
        if wanted.true_count() == rows.num_rows() {
            return Err(error);
        }
        self.where_wanted(rows, &wanted)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.value, &self.condition]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[_; 2]>::try_from(children) {
            Ok([value, condition]) => Ok(Arc::new(Guarded { value, condition })),
            Err(_) => internal_err!("a guarded value has one condition"),
        }
    }

    fn fmt_sql(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt_sql(out)
    }
}
