//! How far event time has come, by an expression over a source's rows.
//!
//! `WATERMARK FOR ts AS ts - INTERVAL '5' SECOND` says of each row how far time has come with it;
//! rows before the largest such value are late. A row at that value keeps the bound, and rows of one
//! time may come in several batches: so the watermark, which says that rows at or before it do not
//! come any more, is a millisecond less.
//!
//! Which rows those are must not depend on where batches end, so rows are compared with the ones
//! before them in their batch too. A batch whose earliest row is not behind its own watermark, by
//! the steps in which readers look at time, is seen to be in order by its least and largest time.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use corelane_stream::event_time::extremes_ms;
use corelane_stream::{Clock, Error, Result, TimeCut, Watermark, WatermarkGenerator, WatermarkStrategy};
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Column, Literal};

use crate::evaluate::evaluate_rows;
use crate::window::Window;
use crate::window_assign::milliseconds;

const NANOS_PER_MS: i128 = 1_000_000;

/// The moments at which the passing of time makes a difference to a query: the ends of panes. In
/// between, no row becomes late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSteps {
    every_ms: i64,
    offset_ms: i64,
}

impl TimeSteps {
    /// For a reader to whom each millisecond makes a difference.
    pub const ALL: TimeSteps = TimeSteps { every_ms: 1, offset_ms: 0 };

    pub fn of_window(window: &Window) -> TimeSteps {
        // Sizes that are refused later must do no harm here.
        let every_ms = window.pane_ms().max(1);
        TimeSteps { every_ms, offset_ms: window.offset_ms().rem_euclid(every_ms) }
    }

    /// All moments of both.
    #[must_use]
    pub fn and(self, other: TimeSteps) -> TimeSteps {
        let divisor = |mut one: i64, mut other: i64| {
            while other != 0 {
                (one, other) = (other, one % other);
            }
            one
        };
        let apart = (self.offset_ms - other.offset_ms).abs();
        let every_ms = divisor(divisor(self.every_ms, other.every_ms), apart);
        TimeSteps { every_ms, offset_ms: self.offset_ms.rem_euclid(every_ms) }
    }

    /// The last of the moments that a watermark has passed: rows before it may be late.
    fn passed(self, watermark: i64) -> i64 {
        if watermark == Watermark::START.0 {
            return watermark;
        }
        let next = watermark.saturating_add(1);
        next.saturating_sub(next.saturating_sub(self.offset_ms).rem_euclid(self.every_ms))
    }
}

/// A watermark strategy from an expression of a timestamp type.
#[derive(Clone, Debug)]
pub struct ColumnWatermark {
    form: Form,
    steps: TimeSteps,
    detail: String,
    idle_timeout_ms: Option<u64>,
}

#[derive(Clone, Debug)]
enum Form {
    /// The time is a column and the watermark a constant before it: the largest value first, one
    /// subtraction after. Where the constant is no whole number of milliseconds both are computed.
    Delayed {
        column: usize,
        delay_ms: i64,
    },
    Computed {
        watermark: Arc<dyn PhysicalExpr>,
        time: Arc<dyn PhysicalExpr>,
    },
}

impl ColumnWatermark {
    /// `expr` and `time`, which the watermark is of, are over the columns of `schema`, the source's;
    /// `detail` is what plans show.
    ///
    /// # Errors
    /// If the expression does not give a timestamp.
    pub fn new(
        expr: Arc<dyn PhysicalExpr>,
        time: Arc<dyn PhysicalExpr>,
        steps: TimeSteps,
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
        let plain = time.downcast_ref::<Column>().map(Column::index);
        let form = match delayed(&expr) {
            Some((column, delay_ns)) if plain == Some(column) && delay_ns % NANOS_PER_MS == 0 => {
                let most = i128::from(i64::MAX);
                Form::Delayed { column, delay_ms: (delay_ns / NANOS_PER_MS).clamp(-most, most) as i64 }
            }
            Some(_) | None => Form::Computed { watermark: expr, time },
        };
        Ok(ColumnWatermark { form, steps, detail, idle_timeout_ms })
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
        Ok(Box::new(Generator { form: self.form.clone(), steps: self.steps }))
    }
}

impl fmt::Display for ColumnWatermark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.detail)
    }
}

struct Generator {
    form: Form,
    steps: TimeSteps,
}

impl WatermarkGenerator for Generator {
    fn observe(
        &mut self,
        rows: &RecordBatch,
        reached: Watermark,
        cuts: &mut Vec<TimeCut>,
    ) -> Result<Option<Watermark>> {
        match &self.form {
            Form::Delayed { column, delay_ms } => {
                let times = rows.column(*column);
                let Some((least_ms, most_ms)) = extremes_ms(times)? else { return Ok(None) };
                let watermark = watermark(most_ms, *delay_ms);
                if least_ms < self.steps.passed(watermark.max(reached).0) {
                    let times = milliseconds(times)?;
                    let of_time = |row: usize| self::watermark(times.value(row), *delay_ms);
                    let marks = (0..rows.num_rows()).map(|row| times.is_valid(row).then(|| of_time(row)));
                    self.cut(0..rows.num_rows(), &times, marks, reached, cuts);
                }
                Ok(Some(watermark))
            }
            Form::Computed { watermark, time } => {
                let compute = |rows: &RecordBatch| {
                    let column = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(rows)?.into_array(rows.num_rows());
                    Ok(vec![column(watermark)?, column(time)?])
                };
                // A row whose watermark cannot be computed says nothing of time; it is reported
                // where the row itself is computed.
                let Some(evaluated) = evaluate_rows(rows, &compute, &mut |_, _| Ok(()))? else { return Ok(None) };
                let Some((_, most_ms)) = extremes_ms(&evaluated.columns[0])? else { return Ok(None) };
                let (marks, times) = (milliseconds(&evaluated.columns[0])?, milliseconds(&evaluated.columns[1])?);
                let of_row = |row: usize| marks.is_valid(row).then(|| self::watermark(marks.value(row), 0));
                let marks = (0..marks.len()).map(of_row);
                match &evaluated.good {
                    None => self.cut(0..rows.num_rows(), &times, marks, reached, cuts),
                    Some(good) => self.cut(good.values().set_indices(), &times, marks, reached, cuts),
                }
                Ok(Some(self::watermark(most_ms, 0)))
            }
        }
    }
}

impl Generator {
    /// Finds rows that may be late, in front of which time has to be told: for each moment that time
    /// has passed the first such row. About 1 ns a row.
    fn cut(
        &self,
        rows: impl Iterator<Item = usize>,
        times: &Int64Array,
        marks: impl Iterator<Item = Option<Watermark>>,
        reached: Watermark,
        cuts: &mut Vec<TimeCut>,
    ) {
        let mut watermark = reached;
        let mut passed = self.steps.passed(watermark.0);
        let mut told = false;
        for ((index, row), mark) in rows.enumerate().zip(marks) {
            if !told && times.is_valid(index) && times.value(index) < passed {
                cuts.push(TimeCut { row, watermark });
                told = true;
            }
            if let Some(mark) = mark.filter(|mark| watermark < *mark) {
                watermark = mark;
                // The moment before the next one is the last at which nothing has changed.
                if passed == Watermark::START.0 || passed.saturating_add(self.steps.every_ms - 1) <= mark.0 {
                    passed = self.steps.passed(mark.0);
                    told = false;
                }
            }
        }
    }
}

/// The millisecond before a time less a delay, where the ends of the range have meanings of their own.
fn watermark(time_ms: i64, delay_ms: i64) -> Watermark {
    let reached_ms = time_ms.saturating_sub(delay_ms);
    Watermark(reached_ms.saturating_sub(1).clamp(Watermark::IDLE.0 + 1, Watermark::END.0 - 1))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray, TimestampMillisecondArray};
    use arrow::datatypes::{Field, IntervalMonthDayNano};
    use proptest::prelude::*;

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
        observed(expr, TimeSteps::ALL, Watermark::START, columns).0
    }

    /// The watermark, and the cuts as rows with their watermarks.
    fn observed(
        expr: Arc<dyn PhysicalExpr>,
        steps: TimeSteps,
        reached: Watermark,
        columns: Vec<ArrayRef>,
    ) -> (Option<Watermark>, Vec<(usize, i64)>) {
        let fields = columns.iter().map(|column| Field::new("c", column.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let rows = RecordBatch::try_new(schema, columns).unwrap();
        let strategy = ColumnWatermark::new(expr, column(0), steps, &rows.schema(), "ts", None).unwrap();
        let mut cuts = Vec::new();
        let watermark = strategy.build(Arc::new(NoClock)).unwrap().observe(&rows, reached, &mut cuts).unwrap();
        (watermark, cuts.iter().map(|cut| (cut.row, cut.watermark.0)).collect())
    }

    fn tumble(size_ms: i64, offset_ms: i64) -> TimeSteps {
        TimeSteps::of_window(&Window::Tumble { size_ms, offset_ms })
    }

    #[test]
    fn rows_behind_time_are_cut_off() {
        let check = |steps: TimeSteps, reached: i64, times: Vec<Option<i64>>, expected: &[(usize, i64)]| {
            let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(times));
            // The same through evaluation, which only the nesting forces.
            let nested = minus(minus(column(0), interval(3_000_000)), interval(1_000_000));
            for expr in [minus(column(0), interval(4_000_000)), nested] {
                let (_, cuts) = observed(expr, steps, Watermark(reached), vec![times.clone()]);
                assert_eq!(cuts, expected);
            }
        };
        let times = vec![Some(10), Some(7), None, Some(5), Some(4), Some(20), Some(15), Some(16), Some(14)];
        check(TimeSteps::ALL, Watermark::START.0, times.clone(), &[(3, 5), (6, 15)]);
        check(TimeSteps::ALL, 8, times.clone(), &[(1, 8), (6, 15)]);
        check(TimeSteps::ALL, 30, times.clone(), &[(0, 30)]);
        // Windows of ten: time has passed 10 with the row of 20, and 15 is no end of a window.
        check(tumble(10, 0), Watermark::START.0, times.clone(), &[]);
        check(tumble(10, 0), Watermark::START.0, vec![Some(10), Some(20), Some(14), Some(9), Some(8)], &[(3, 15)]);
        check(tumble(10, 0), 9, times.clone(), &[(1, 9)]);
        check(tumble(10, 5), Watermark::START.0, times, &[(4, 5), (8, 15)]);
    }

    #[test]
    fn steps_of_several_windows_have_all_their_ends() {
        assert_eq!(tumble(10, 0).and(tumble(15, 0)), tumble(5, 0));
        assert_eq!(tumble(10, 3).and(tumble(10, 3)), tumble(10, 3));
        assert_eq!(tumble(10, 0).and(tumble(10, 4)), tumble(2, 0));
        assert_eq!(tumble(10, 0).and(TimeSteps::ALL), TimeSteps::ALL);
    }

    proptest! {
        /// Batches of one row are told the same moments as one batch of all.
        #[test]
        fn cuts_do_not_depend_on_batches(
            times in prop::collection::vec(0i64..200, 1..60),
            every_ms in 1i64..30,
            delay_ms in 0i64..20,
        ) {
            let steps = tumble(every_ms, every_ms / 3);
            let array = |times: &[i64]| -> ArrayRef { Arc::new(TimestampMillisecondArray::from(times.to_vec())) };
            let expr = || minus(column(0), interval(delay_ms * 1_000_000));
            let (watermark, cuts) = observed(expr(), steps, Watermark::START, vec![array(&times)]);
            let mut reached = Watermark::START;
            let mut told = i64::MIN;
            for (row, time) in times.iter().enumerate() {
                let (mark, single) = observed(expr(), steps, reached, vec![array(&[*time])]);
                let fresh = single.iter().any(|(_, watermark)| told < steps.passed(*watermark));
                prop_assert_eq!(cuts.iter().any(|cut| cut.0 == row), fresh, "row {}", row);
                if fresh {
                    told = steps.passed(reached.0);
                }
                reached = reached.max(mark.expect("it has a time"));
            }
            prop_assert_eq!(watermark, Some(reached));
        }
    }

    #[test]
    fn the_watermark_is_just_before_the_latest_time_less_the_delay() {
        let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(7_000), None, Some(9_000), Some(3)]));
        assert_eq!(observe(column(0), vec![times.clone()]), Some(Watermark(8_999)));
        assert_eq!(observe(minus(column(0), interval(5_000_000_000)), vec![times.clone()]), Some(Watermark(3_999)));
        // The same through evaluation, which only the nesting forces.
        let nested = minus(minus(column(0), interval(4_000_000_000)), interval(1_000_000_000));
        assert_eq!(observe(nested, vec![times]), Some(Watermark(3_999)));
    }

    #[test]
    fn a_part_of_a_millisecond_is_not_promised() {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_999, -1]));
        assert_eq!(observe(column(0), vec![times]), Some(Watermark(0)));
        let before: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![-1]));
        assert_eq!(observe(column(0), vec![before]), Some(Watermark(-2)));
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
        let error = ColumnWatermark::new(column(0), column(0), TimeSteps::ALL, &schema, "c", None).unwrap_err();
        assert_eq!(error.message(), "the watermark `c` must be a timestamp, not Int64");
    }
}
