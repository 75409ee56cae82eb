//! How far event time has come, by an expression over a source's rows.
//!
//! `WATERMARK FOR ts AS ts - INTERVAL '5' SECOND` says of each row how far time has come with it;
//! the watermark is the largest such value as it is, and rows at or before it are late. (The extra
//! millisecond that Flink's `DataStream` strategies take off is not part of its SQL.)

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute;
use arrow::datatypes::{
    ArrowTimestampType, DataType, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use corelane_stream::{Clock, Error, Result, Watermark, WatermarkGenerator, WatermarkStrategy};
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Column, Literal};

use crate::evaluate::evaluate_rows;

const NANOS_PER_MS: i128 = 1_000_000;

/// A watermark strategy from an expression of a timestamp type.
#[derive(Clone, Debug)]
pub struct ColumnWatermark {
    form: Form,
    detail: String,
    idle_timeout_ms: Option<u64>,
}

#[derive(Clone, Debug)]
enum Form {
    /// `column - constant`: the largest value first, one subtraction after.
    Delayed {
        column: usize,
        delay_ns: i128,
    },
    Computed(Arc<dyn PhysicalExpr>),
}

impl ColumnWatermark {
    /// `expr` is over the columns of `schema`, the source's; `detail` is what plans show.
    ///
    /// # Errors
    /// If the expression does not give a timestamp.
    pub fn new(
        expr: Arc<dyn PhysicalExpr>,
        schema: &Schema,
        detail: impl Into<String>,
        idle_timeout_ms: Option<u64>,
    ) -> Result<Self> {
        let detail = detail.into();
        let found = expr
            .data_type(schema)
            .map_err(|error| Error::internal(format!("the watermark `{detail}` has no type: {error}")))?;
        if !matches!(found, DataType::Timestamp(_, _)) {
            return Err(Error::invalid(format!("the watermark `{detail}` must be a timestamp, not {found}")));
        }
        let form = match delayed(&expr) {
            Some((column, delay_ns)) => Form::Delayed { column, delay_ns },
            None => Form::Computed(expr),
        };
        Ok(ColumnWatermark { form, detail, idle_timeout_ms })
    }
}

/// Matches `column` and `column - INTERVAL ..` of a fixed length.
fn delayed(expr: &Arc<dyn PhysicalExpr>) -> Option<(usize, i128)> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return Some((column.index(), 0));
    }
    let binary = expr.downcast_ref::<BinaryExpr>().filter(|binary| *binary.op() == Operator::Minus)?;
    let column = binary.left().downcast_ref::<Column>()?;
    let delay_ns = match binary.right().downcast_ref::<Literal>()?.value() {
        ScalarValue::IntervalDayTime(Some(value)) => {
            (i128::from(value.days) * 86_400_000 + i128::from(value.milliseconds)) * NANOS_PER_MS
        }
        ScalarValue::IntervalMonthDayNano(Some(value)) if value.months == 0 => {
            i128::from(value.days) * 86_400_000 * NANOS_PER_MS + i128::from(value.nanoseconds)
        }
        ScalarValue::DurationSecond(Some(value)) => i128::from(*value) * 1_000 * NANOS_PER_MS,
        ScalarValue::DurationMillisecond(Some(value)) => i128::from(*value) * NANOS_PER_MS,
        ScalarValue::DurationMicrosecond(Some(value)) => i128::from(*value) * 1_000,
        ScalarValue::DurationNanosecond(Some(value)) => i128::from(*value),
        _ => return None,
    };
    Some((column.index(), delay_ns))
}

impl WatermarkStrategy for ColumnWatermark {
    fn detail(&self) -> String {
        self.detail.clone()
    }

    fn idle_timeout_ms(&self) -> Option<u64> {
        self.idle_timeout_ms
    }

    fn build(&self, _clock: Arc<dyn Clock>) -> Result<Box<dyn WatermarkGenerator>> {
        Ok(Box::new(Generator(self.form.clone())))
    }
}

impl fmt::Display for ColumnWatermark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.detail)
    }
}

struct Generator(Form);

impl WatermarkGenerator for Generator {
    fn observe(&mut self, rows: &RecordBatch) -> Result<Option<Watermark>> {
        match &self.0 {
            Form::Delayed { column, delay_ns } => latest(rows.column(*column), *delay_ns),
            Form::Computed(expr) => {
                let compute = |rows: &RecordBatch| Ok(vec![expr.evaluate(rows)?.into_array(rows.num_rows())?]);
                // A row whose watermark cannot be computed says nothing of time; it is reported
                // where the row itself is computed.
                match evaluate_rows(rows, &compute, &mut |_, _| Ok(()))? {
                    Some(evaluated) => latest(&evaluated.columns[0], 0),
                    None => Ok(None),
                }
            }
        }
    }
}

/// The largest time of a column less a delay; down to the millisecond, because a watermark must
/// not promise a millisecond of which a part is yet to come.
fn latest(times: &ArrayRef, delay_ns: i128) -> Result<Option<Watermark>> {
    let latest_ns = match times.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => max_ns::<TimestampSecondType>(times, 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => max_ns::<TimestampMillisecondType>(times, 1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => max_ns::<TimestampMicrosecondType>(times, 1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => max_ns::<TimestampNanosecondType>(times, 1),
        other => return Err(Error::internal(format!("a watermark must be a timestamp, not {other}"))),
    };
    Ok(latest_ns.map(|latest_ns| {
        let ms = (latest_ns - delay_ns).div_euclid(NANOS_PER_MS);
        // The ends of the range have meanings of their own.
        let (least, most) = (i128::from(Watermark::IDLE.0) + 1, i128::from(Watermark::END.0) - 1);
        Watermark(ms.clamp(least, most) as i64)
    }))
}

fn max_ns<T: ArrowTimestampType>(times: &ArrayRef, unit_ns: i128) -> Option<i128> {
    let times: &PrimitiveArray<T> = times.as_primitive();
    compute::max(times).map(|latest| i128::from(latest) * unit_ns)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, TimestampMicrosecondArray, TimestampMillisecondArray};
    use arrow::datatypes::{Field, IntervalMonthDayNano};

    use super::*;

    struct NoClock;

    impl Clock for NoClock {
        fn now_ms(&self) -> i64 {
            0
        }

        fn monotonic_ns(&self) -> u64 {
            0
        }
    }

    fn interval(nanoseconds: i64) -> Arc<dyn PhysicalExpr> {
        let value = IntervalMonthDayNano::new(0, 0, nanoseconds);
        Arc::new(Literal::new(ScalarValue::IntervalMonthDayNano(Some(value))))
    }

    fn column(index: usize) -> Arc<dyn PhysicalExpr> {
        Arc::new(Column::new("c", index))
    }

    fn minus(left: Arc<dyn PhysicalExpr>, right: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(left, Operator::Minus, right))
    }

    fn observe(expr: Arc<dyn PhysicalExpr>, columns: Vec<ArrayRef>) -> Option<Watermark> {
        let fields = columns.iter().map(|column| Field::new("c", column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let rows = RecordBatch::try_new(schema, columns).unwrap();
        let strategy = ColumnWatermark::new(expr, &rows.schema(), "ts", None).unwrap();
        strategy.build(Arc::new(NoClock)).unwrap().observe(&rows).unwrap()
    }

    #[test]
    fn the_watermark_is_the_latest_time_less_the_delay() {
        let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(7_000), None, Some(9_000), Some(3)]));
        assert_eq!(observe(column(0), vec![times.clone()]), Some(Watermark(9_000)));
        assert_eq!(observe(minus(column(0), interval(5_000_000_000)), vec![times.clone()]), Some(Watermark(4_000)));
        // The same through evaluation, which only the nesting forces.
        let nested = minus(minus(column(0), interval(4_000_000_000)), interval(1_000_000_000));
        assert_eq!(observe(nested, vec![times]), Some(Watermark(4_000)));
    }

    #[test]
    fn a_part_of_a_millisecond_is_not_promised() {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_999, -1]));
        assert_eq!(observe(column(0), vec![times]), Some(Watermark(1)));
        let before: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![-1]));
        assert_eq!(observe(column(0), vec![before]), Some(Watermark(-1)));
    }

    #[test]
    fn rows_without_a_time_promise_nothing_and_no_row_ends_the_stream() {
        let nulls: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![None, None]));
        assert_eq!(observe(column(0), vec![nulls]), None);
        let never: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![i64::MAX]));
        assert_eq!(observe(column(0), vec![never]), Some(Watermark(i64::MAX - 1)));
    }

    #[test]
    fn a_watermark_is_a_timestamp() {
        let schema = Schema::new(vec![Field::new("c", Int64Array::from(vec![1]).data_type().clone(), true)]);
        let error = ColumnWatermark::new(column(0), &schema, "c", None).unwrap_err();
        assert_eq!(error.message(), "the watermark `c` must be a timestamp, not Int64");
    }
}
