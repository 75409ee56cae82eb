//! Comparisons of FLOAT and DOUBLE as IEEE 754, and with it Java and Flink, has them.
//!
//! Arrow compares floats in total order, in which NaN is a number like others, the largest, and -0.0
//! is less than 0.0. So `temperature > 30` would keep the rows in which a sensor gave NaN. Here NaN
//! compares false with everything, itself included (`<>` is true), and the zeros are equal.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::PhysicalExpr;

/// A comparison of two values of one floating type.
#[derive(Debug, Eq)]
pub struct FloatComparison {
    left: Arc<dyn PhysicalExpr>,
    operator: Operator,
    right: Arc<dyn PhysicalExpr>,
}

impl FloatComparison {
    /// `operator` is one that compares.
    pub fn new(left: Arc<dyn PhysicalExpr>, operator: Operator, right: Arc<dyn PhysicalExpr>) -> Self {
        assert!(Self::compares(operator), "{operator} does not compare");
        FloatComparison { left, operator, right }
    }

    /// True of `=`, `<>`, `<`, `<=`, `>` and `>=`.
    pub fn compares(operator: Operator) -> bool {
        use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
        matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq)
    }
}

// By hand: what is derived would move the trait objects.
impl PartialEq for FloatComparison {
    fn eq(&self, other: &Self) -> bool {
        self.left.eq(&other.left) && self.operator == other.operator && self.right.eq(&other.right)
    }
}

impl Hash for FloatComparison {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.left.hash(state);
        self.operator.hash(state);
        self.right.hash(state);
    }
}

impl fmt::Display for FloatComparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {} {}", self.left, self.operator, self.right)
    }
}

impl PhysicalExpr for FloatComparison {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        Ok(self.left.nullable(input)? || self.right.nullable(input)?)
    }

    fn evaluate(&self, rows: &RecordBatch) -> Result<ColumnarValue> {
        compare_floats(self.operator, &self.left.evaluate(rows)?, &self.right.evaluate(rows)?, rows.num_rows())
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.left, &self.right]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match <[_; 2]>::try_from(children) {
            Ok([left, right]) => Ok(Arc::new(FloatComparison { left, operator: self.operator, right })),
            Err(_) => internal_err!("a comparison has two sides"),
        }
    }

    fn fmt_sql(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.left.fmt_sql(out)?;
        write!(out, " {} ", self.operator)?;
        self.right.fmt_sql(out)
    }
}

/// Compares two values of one floating type; of two constants the result is one, too.
///
/// # Errors
/// If the values are no floats, or `operator` does not compare.
pub fn compare_floats(
    operator: Operator,
    left: &ColumnarValue,
    right: &ColumnarValue,
    rows: usize,
) -> Result<ColumnarValue> {
    let constant = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { rows };
    let compared = match left.data_type() {
        DataType::Float32 => compare_as::<Float32Type>(left, right, rows, operator)?,
        DataType::Float64 => compare_as::<Float64Type>(left, right, rows, operator)?,
        other => return internal_err!("{other} is no floating type"),
    };
    Ok(if constant {
        ColumnarValue::Scalar(ScalarValue::try_from_array(&compared, 0)?)
    } else {
        ColumnarValue::Array(Arc::new(compared))
    })
}

fn compare_as<T>(left: &ColumnarValue, right: &ColumnarValue, rows: usize, operator: Operator) -> Result<BooleanArray>
where
    T: ArrowPrimitiveType,
    T::Native: PartialOrd,
{
    let (Some(left), Some(right)) = (Side::<T>::of(left)?, Side::<T>::of(right)?) else {
        return Ok(BooleanArray::new_null(rows));
    };
    let bits = match operator {
        Operator::Eq => bits(&left, &right, rows, |left, right| left == right),
        Operator::NotEq => bits(&left, &right, rows, |left, right| left != right),
        Operator::Lt => bits(&left, &right, rows, |left, right| left < right),
        Operator::LtEq => bits(&left, &right, rows, |left, right| left <= right),
        Operator::Gt => bits(&left, &right, rows, |left, right| left > right),
        Operator::GtEq => bits(&left, &right, rows, |left, right| left >= right),
        other => return internal_err!("{other} does not compare"),
    };
    Ok(BooleanArray::new(bits, NullBuffer::union(left.nulls().as_ref(), right.nulls().as_ref())))
}

/// One side of a comparison: a value a row, or one for all.
enum Side<T: ArrowPrimitiveType> {
    Rows(arrow::array::PrimitiveArray<T>),
    One(T::Native),
}

impl<T: ArrowPrimitiveType> Side<T> {
    /// `None` for the null that stands for all rows.
    fn of(value: &ColumnarValue) -> Result<Option<Self>> {
        Ok(match value {
            ColumnarValue::Array(array) => Some(Side::Rows(array.as_primitive::<T>().clone())),
            ColumnarValue::Scalar(scalar) if scalar.is_null() => None,
            ColumnarValue::Scalar(scalar) => Some(Side::One(scalar.to_array()?.as_primitive::<T>().value(0))),
        })
    }

    fn nulls(&self) -> Option<NullBuffer> {
        match self {
            Side::Rows(values) => values.nulls().cloned(),
            Side::One(_) => None,
        }
    }
}

/// One bit a row, without a branch.
fn bits<T: ArrowPrimitiveType>(
    left: &Side<T>,
    right: &Side<T>,
    rows: usize,
    holds: impl Fn(T::Native, T::Native) -> bool,
) -> BooleanBuffer {
    match (left, right) {
        (Side::Rows(left), Side::Rows(right)) => {
            let (left, right) = (&left.values()[..rows], &right.values()[..rows]);
            BooleanBuffer::collect_bool(rows, |row| holds(left[row], right[row]))
        }
        (Side::Rows(left), Side::One(right)) => {
            let left = &left.values()[..rows];
            BooleanBuffer::collect_bool(rows, |row| holds(left[row], *right))
        }
        (Side::One(left), Side::Rows(right)) => {
            let right = &right.values()[..rows];
            BooleanBuffer::collect_bool(rows, |row| holds(*left, right[row]))
        }
        (Side::One(left), Side::One(right)) => {
            let same = holds(*left, *right);
            BooleanBuffer::collect_bool(rows, |_| same)
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Float64Array;
    use arrow::datatypes::Field;
    use datafusion_physical_expr::expressions::{col, lit};
    use proptest::prelude::*;

    use super::*;

    const OPERATORS: [Operator; 6] =
        [Operator::Eq, Operator::NotEq, Operator::Lt, Operator::LtEq, Operator::Gt, Operator::GtEq];

    fn expected(operator: Operator, left: f64, right: f64) -> bool {
        match operator {
            Operator::Eq => left == right,
            Operator::NotEq => left != right,
            Operator::Lt => left < right,
            Operator::LtEq => left <= right,
            Operator::Gt => left > right,
            _ => left >= right,
        }
    }

    fn value() -> impl Strategy<Value = Option<f64>> {
        prop_oneof![
            Just(None),
            Just(Some(f64::NAN)),
            Just(Some(-f64::NAN)),
            Just(Some(0.0)),
            Just(Some(-0.0)),
            Just(Some(f64::INFINITY)),
            (-2.0..2.0f64).prop_map(Some),
        ]
    }

    proptest! {
        #[test]
        fn rows_and_constants_compare_as_the_hardware_has_it(
            rows in proptest::collection::vec((value(), value()), 1..200),
            constant in value(),
        ) {
            let input = Schema::new(vec![
                Field::new("a", DataType::Float64, true),
                Field::new("b", DataType::Float64, true),
            ]);
            let (a, b): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
            let columns: Vec<arrow::array::ArrayRef> =
                vec![Arc::new(Float64Array::from(a)), Arc::new(Float64Array::from(b))];
            let batch = RecordBatch::try_new(Arc::new(input.clone()), columns).unwrap();
            let constant_expr = lit(ScalarValue::Float64(constant));
            for operator in OPERATORS {
                let both = [
                    (col("b", &input).unwrap(), None),
                    (Arc::clone(&constant_expr), Some(constant)),
                ];
                for (right, fixed) in both {
                    let compared = FloatComparison::new(col("a", &input).unwrap(), operator, right);
                    let compared = compared.evaluate(&batch).unwrap().into_array(rows.len()).unwrap();
                    let compared: Vec<Option<bool>> = compared.as_boolean().iter().collect();
                    let wanted = rows.iter().map(|(a, b)| Some(expected(operator, (*a)?, fixed.unwrap_or(*b)?)));
                    prop_assert_eq!(compared, wanted.collect::<Vec<_>>());
                }
            }
        }
    }
}
