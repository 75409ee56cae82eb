//! Which pane each row belongs to, and which rows come too late for any.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{
    DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use corelane_stream::{Clock, Error, OperatorContext, Result, RowPolicy, Watermark};

use crate::bad_rows::BadRows;
use crate::window::Window;
use crate::window_assign::milliseconds;
use crate::zone::{WallClock, Zone};

/// Assigns rows to panes. Keeps the time that has passed.
pub struct Panes {
    window: Window,
    /// On whose wall clock panes and windows are, if not on that of the rows' times.
    zone: Option<Zone>,
    /// The event-time column; `None` means processing time.
    time: Option<usize>,
    /// The time that has passed, by the clock of the rows.
    passed_ms: i64,
    /// No window that ends here or before is open.
    closed_to: i64,
    /// The earliest pane of the rows assigned last.
    earliest: Option<i64>,
    clock: Arc<dyn Clock>,
    pub bad: BadRows,
}

impl Panes {
    /// # Errors
    /// If the window's sizes do not fit, or the dead-letter output cannot be opened.
    pub fn new(
        window: Window,
        zone: Option<Zone>,
        time: Option<usize>,
        policy: &RowPolicy,
        context: &OperatorContext,
    ) -> Result<Self> {
        window.check()?;
        Ok(Panes {
            window,
            zone,
            time,
            passed_ms: Watermark::START.0,
            closed_to: Watermark::START.0,
            earliest: None,
            clock: context.clock.clone(),
            bad: BadRows::open(context, policy, &policy.table)?,
        })
    }

    pub fn window(&self) -> Window {
        self.window
    }

    pub fn passed_ms(&self) -> i64 {
        self.passed_ms
    }

    /// The earliest pane of the rows that were assigned last.
    pub fn earliest(&self) -> Option<i64> {
        self.earliest
    }

    /// Time has passed; it never goes back.
    pub fn pass(&mut self, time_ms: i64) {
        if self.passed_ms < time_ms {
            self.passed_ms = time_ms;
            let next = time_ms.saturating_add(1);
            self.closed_to = self.zone.map_or(next, |zone| zone.least_from(next));
        }
    }

    /// The first instant by the clock of the rows at which a window that ends at `end` is closed.
    pub fn closes_at(&self, end: i64) -> i64 {
        self.zone.map_or(end, |zone| zone.passes_ms(end))
    }

    /// True if no window ending at `end` can take rows any more: its last millisecond has passed.
    pub fn is_closed(&self, end: i64) -> bool {
        end <= self.closed_to && self.passed_ms != Watermark::START.0
    }

    /// Leaves the rows that have a time and an open window, and the pane of each.
    ///
    /// # Errors
    /// If a time is null and the policy is to fail, or the time column is none.
    pub fn assign(&mut self, rows: RecordBatch, panes: &mut Vec<i64>) -> Result<RecordBatch> {
        panes.clear();
        self.earliest = None;
        let Some(time) = self.time else {
            // Processing time does not go back, so rows cannot be late.
            let now = self.clock.now_ms().max(self.passed_ms.saturating_add(1));
            let now = self.zone.map_or(now, |zone| zone.local_ms(now));
            panes.resize(rows.num_rows(), self.window.pane_start(now));
            self.earliest = panes.first().copied();
            return Ok(rows);
        };
        let times = rows.column(time).clone();
        if let Some(zone) = self.zone {
            let mut clock = WallClock::new(zone);
            self.fill(milliseconds(&times)?.values(), |time| clock.local_ms(time), panes);
            return self.drop_unusable(rows, &times, panes);
        }
        match times.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                self.fill(times.as_primitive::<TimestampMillisecondType>().values(), |time| time, panes);
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let values = times.as_primitive::<TimestampMicrosecondType>().values();
                self.fill(values, |time| time.div_euclid(1_000), panes);
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                let values = times.as_primitive::<TimestampNanosecondType>().values();
                self.fill(values, |time| time.div_euclid(1_000_000), panes);
            }
            DataType::Timestamp(TimeUnit::Second, _) => {
                let times = cast(&times, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
                self.fill(times.as_primitive::<TimestampMillisecondType>().values(), |time| time, panes);
            }
            other => return Err(Error::internal(format!("a column of type {other} is no event time"))),
        }
        self.drop_unusable(rows, &times, panes)
    }

    /// About 1 ns a row: the pane of a row is most often that of the row before.
    fn fill(&mut self, times: &[i64], mut milliseconds: impl FnMut(i64) -> i64, panes: &mut Vec<i64>) {
        let (window, length) = (self.window, self.window.pane_ms());
        let Some(first) = times.first() else { return };
        let mut pane = window.pane_start(milliseconds(*first));
        let mut earliest = pane;
        panes.extend(times.iter().map(|time| {
            let time = milliseconds(*time);
            if time.wrapping_sub(pane) as u64 >= length as u64 {
                pane = window.pane_start(time);
                earliest = earliest.min(pane);
            }
            pane
        }));
        self.earliest = Some(earliest);
    }

    fn drop_unusable(&mut self, rows: RecordBatch, times: &ArrayRef, panes: &mut Vec<i64>) -> Result<RecordBatch> {
        // The earliest pane has the earliest last window.
        let none_late = self.earliest.is_none_or(|pane| !self.is_closed(self.last_end(pane)));
        if none_late && times.null_count() == 0 {
            return Ok(rows);
        }
        let mut keep = Vec::with_capacity(panes.len());
        for (row, pane) in panes.iter().enumerate() {
            let (null, late) = (times.is_null(row), self.is_closed(self.last_end(*pane)));
            keep.push(!null && !late);
            if null {
                self.bad.bad(&rows, row, "the event time is null")?;
            } else if late {
                self.late(&rows, row)?;
            }
        }
        let mut kept = keep.iter();
        panes.retain(|_| *kept.next().expect("one decision for each row"));
        self.earliest = panes.iter().copied().min();
        Ok(filter_record_batch(&rows, &BooleanArray::from(keep))?)
    }

    /// The end of the last window that holds a pane.
    pub fn last_end(&self, pane: i64) -> i64 {
        match self.window {
            Window::Tumble { size_ms, .. } | Window::Hop { size_ms, .. } => pane.saturating_add(size_ms),
            Window::Cumulate { size_ms, offset_ms, .. } => pane - (pane - offset_ms).rem_euclid(size_ms) + size_ms,
        }
    }

    /// Counts and reports a row that came after its last window closed.
    ///
    /// # Errors
    /// If the dead letter cannot be written.
    pub fn late(&mut self, rows: &RecordBatch, row: usize) -> Result<()> {
        self.bad.late(rows, row, "its window has closed")
    }
}
