//! Windows as columns: `TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), ..))` without an aggregate over it.
//!
//! Every row comes out once for each of its windows, with `window_start`, `window_end` and
//! `window_time`. Aggregates over windows do not pass here: they keep panes and copy no rows.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, TimestampMillisecondArray, UInt32Array,
};
use arrow::compute;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use corelane_stream::operator::StateWriter;
use corelane_stream::{
    ChangelogBatch, Error, Operator, OperatorContext, OperatorSpec, Output, Progress, Result, StateBound,
};

use crate::window::{Window, WindowBounds, WindowClock};
use crate::zone::WallClock;

/// Appends the window columns to the rows of its input.
#[derive(Clone, Debug)]
pub struct WindowAssignSpec {
    pub input: SchemaRef,
    /// The time column, a timestamp. Rows without a time are in no window.
    pub time: usize,
    pub window: Window,
    /// How the window reads times.
    pub clock: WindowClock,
}

impl OperatorSpec for WindowAssignSpec {
    fn name(&self) -> &'static str {
        "WindowAssign"
    }

    fn detail(&self) -> String {
        format!("time={}, window={}{}", self.input.field(self.time).name(), self.window, self.clock)
    }

    fn schema(&self) -> SchemaRef {
        let bound = DataType::Timestamp(TimeUnit::Millisecond, None);
        let added = [("window_start", bound.clone()), ("window_end", bound), ("window_time", self.clock.time_type())];
        let added = added.map(|(name, data_type)| Arc::new(Field::new(name, data_type, false)));
        Arc::new(Schema::new(self.input.fields().iter().cloned().chain(added).collect::<Vec<_>>()))
    }

    fn state(&self) -> StateBound {
        StateBound::Stateless
    }

    fn build(&self, context: &OperatorContext) -> Result<Box<dyn Operator>> {
        self.window.check()?;
        Ok(Box::new(WindowAssign {
            schema: self.schema(),
            time: self.time,
            window: self.window,
            clock: self.clock,
            batch_rows: context.batch_rows.max(1),
            rest: None,
        }))
    }
}

struct WindowAssign {
    schema: SchemaRef,
    time: usize,
    window: Window,
    clock: WindowClock,
    batch_rows: usize,
    /// A batch, the times of its rows on the windows' clock, and the first row that has not gone out.
    rest: Option<(ChangelogBatch, Int64Array, usize)>,
}

impl WindowAssign {
    fn emit(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let Some((batch, times, mut row)) = self.rest.take() else { return Ok(Progress::Done) };
        let mut indices: Vec<u32> = Vec::new();
        let mut windows: Vec<WindowBounds> = Vec::new();
        while row < batch.num_rows() {
            if !out.has_room() {
                self.rest = Some((batch, times, row));
                return Ok(Progress::More);
            }
            indices.clear();
            windows.clear();
            while row < batch.num_rows() && indices.len() < self.batch_rows {
                if times.is_valid(row) {
                    windows.extend(self.window.windows_of_pane(self.window.pane_start(times.value(row))));
                    indices.resize(windows.len(), row as u32);
                }
                row += 1;
            }
            out.emit(self.expanded(&batch, &indices, &windows)?);
        }
        Ok(Progress::Done)
    }

    fn expanded(&self, batch: &ChangelogBatch, indices: &[u32], windows: &[WindowBounds]) -> Result<ChangelogBatch> {
        let taken = batch.take(&UInt32Array::from(indices.to_vec()))?;
        let bound = |of: fn(&WindowBounds) -> i64| -> ArrayRef {
            Arc::new(
                Int64Array::from_iter_values(windows.iter().map(of)).reinterpret_cast::<TimestampMillisecondType>(),
            )
        };
        let (rows, kinds) = taken.into_parts();
        let mut columns = rows.columns().to_vec();
        let times = windows.iter().map(|window| self.clock.window_time(window.end));
        let times = TimestampMillisecondArray::from_iter_values(times).with_data_type(self.clock.time_type());
        columns.extend([bound(|window| window.start), bound(|window| window.end), Arc::new(times)]);
        let options = RecordBatchOptions::new().with_row_count(Some(indices.len()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        Ok(match kinds {
            Some(kinds) => ChangelogBatch::new(rows, kinds),
            None => ChangelogBatch::append(rows),
        })
    }
}

impl Operator for WindowAssign {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        let mut times = milliseconds(batch.rows().column(self.time))?;
        if let Some(zone) = self.clock.zone() {
            let mut clock = WallClock::new(zone);
            let local = times.values().iter().map(|time| clock.local_ms(*time));
            times = Int64Array::new(local.collect(), times.nulls().cloned());
        }
        self.rest = Some((batch, times, 0));
        self.emit(out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.emit(out)
    }

    fn snapshot(&mut self, _state: &mut dyn StateWriter) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

/// A timestamp column of any unit as milliseconds since the epoch, rounded down.
pub(crate) fn milliseconds(times: &ArrayRef) -> Result<Int64Array> {
    let DataType::Timestamp(unit, _) = times.data_type() else {
        return Err(Error::internal(format!("a time column must be a timestamp, not {}", times.data_type())));
    };
    let values = compute::cast(times, &DataType::Int64)?;
    let values = values.as_primitive::<Int64Type>();
    Ok(match unit {
        TimeUnit::Second => values.unary(|time| time.saturating_mul(1_000)),
        TimeUnit::Millisecond => values.clone(),
        TimeUnit::Microsecond => values.unary(|time| time.div_euclid(1_000)),
        TimeUnit::Nanosecond => values.unary(|time| time.div_euclid(1_000_000)),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::testing::{Narrow, batch, context, schema, text};

    fn check(window: Window, batch_rows: usize, rows: &str, expected: Expect) {
        let spec = WindowAssignSpec {
            input: schema("ts TIMESTAMP, k STRING"),
            time: 0,
            window,
            clock: WindowClock::AsWritten,
        };
        let mut operator = spec.build(&context(batch_rows).0).unwrap();
        let mut out = Narrow::default();
        let progress = operator.process(0, batch(&spec.input, rows), &mut out).unwrap();
        out.drain(operator.as_mut(), progress).unwrap();
        assert!(out.batches.iter().all(|batch| batch.schema() == spec.schema()));
        expected.assert_eq(&text(&out.batches));
    }

    #[test]
    fn rows_get_their_windows() {
        check(
            Window::Tumble { size_ms: 10, offset_ms: 0 },
            8,
            "+I[3, a] -D[10, b] +I[-1, c] +I[null, d]",
            expect!["+I[3, a, 0, 10, 9] -D[10, b, 10, 20, 19] +I[-1, c, -10, 0, -1]"],
        );
    }

    #[test]
    fn rows_are_repeated_for_each_window() {
        check(
            Window::Hop { size_ms: 10, slide_ms: 5, offset_ms: 0 },
            3,
            "+I[3, a] +I[12, b] +I[5, c]",
            expect![
                "+I[3, a, -5, 5, 4] +I[3, a, 0, 10, 9] +I[12, b, 5, 15, 14] +I[12, b, 10, 20, 19] +I[5, c, 0, 10, 9] +I[5, c, 5, 15, 14]"
            ],
        );
        check(
            Window::Cumulate { size_ms: 15, step_ms: 5, offset_ms: 0 },
            8,
            "+I[7, a]",
            expect!["+I[7, a, 0, 10, 9] +I[7, a, 0, 15, 14]"],
        );
    }
}
