//! Dates, times and timestamps of any unit as milliseconds, and the session's time zone.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Date32Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use chrono::{DateTime, NaiveDateTime};
use corelane_ops::Zone;
use datafusion_common::{Result, exec_err, internal_err};

use super::call::Call;
use super::date_pattern::{DAY_MS, DatePattern, SECOND_MS, civil};

/// The zone of a name; `None` is UTC.
pub(super) fn zone_named(name: &str) -> Result<Option<Zone>> {
    match Zone::parse(name) {
        Some(zone) => Ok(zone),
        None => exec_err!("there is no time zone '{name}'"),
    }
}

/// Milliseconds since the epoch of a wall-clock time in a zone.
pub(super) fn utc_ms(zone: Option<Zone>, local: NaiveDateTime) -> i64 {
    zone.map_or(local.and_utc().timestamp_millis(), |zone| zone.utc_ms(local))
}

#[derive(Clone, Copy, Debug)]
enum Scale {
    Days,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// Dates, times or timestamps by row.
pub(super) struct Instants<'a> {
    values: Cow<'a, [i64]>,
    constant: bool,
    scale: Scale,
    /// The zone in which the wall clock of these is read, if not UTC.
    pub zone: Option<Zone>,
}

impl Instants<'_> {
    /// Milliseconds since the epoch (or midnight), and nanoseconds below.
    pub fn at(&self, row: usize) -> (i64, u32) {
        let value = self.values[if self.constant { 0 } else { row }];
        match self.scale {
            // What leaves 64 bits is far out of the calendar, and refused there.
            Scale::Days => (value.saturating_mul(DAY_MS), 0),
            Scale::Seconds => (value.saturating_mul(SECOND_MS), 0),
            Scale::Milliseconds => (value, 0),
            Scale::Microseconds => (value.div_euclid(1_000), value.rem_euclid(1_000) as u32 * 1_000),
            Scale::Nanoseconds => (value.div_euclid(1_000_000), value.rem_euclid(1_000_000) as u32),
        }
    }

    /// Seconds that the wall clock is ahead of UTC then.
    pub fn offset_seconds(&self, row: usize) -> i32 {
        self.zone.map_or(0, |zone| zone.offset_seconds(self.at(row).0))
    }

    /// [`Instants::at`] on the wall clock of the zone.
    pub fn local(&self, row: usize) -> (i64, u32) {
        let (ms, nanos) = self.at(row);
        match self.zone {
            None => (ms, nanos),
            Some(zone) => (ms.saturating_add(i64::from(zone.offset_seconds(ms)) * SECOND_MS), nanos),
        }
    }

    /// The wall-clock date and time.
    pub fn civil(&self, row: usize) -> Result<NaiveDateTime> {
        let (ms, nanos) = self.local(row);
        match civil(ms, nanos) {
            Some(time) => Ok(time),
            None => exec_err!("the time {ms} ms is out of the calendar"),
        }
    }
}

impl Call<'_> {
    /// The session's time zone, `None` for UTC.
    pub fn zone(&self) -> Result<Option<Zone>> {
        self.time_zone.map_or(Ok(None), zone_named)
    }

    pub fn instants(&self, index: usize) -> Result<Instants<'_>> {
        let argument = self.argument(index)?;
        let data_type = argument.array.data_type();
        let widened = |array: &ArrayRef| -> Result<Cow<'_, [i64]>> {
            let wide = cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?;
            Ok(Cow::Owned(wide.as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()))
        };
        let array = &argument.array;
        let (values, scale) = match data_type {
            DataType::Date32 => (widened(array)?, Scale::Days),
            DataType::Time32(TimeUnit::Second) => (widened(array)?, Scale::Seconds),
            DataType::Time32(_) => (widened(array)?, Scale::Milliseconds),
            DataType::Time64(TimeUnit::Microsecond) => (longs::<Time64MicrosecondType>(array), Scale::Microseconds),
            DataType::Time64(_) => (longs::<Time64NanosecondType>(array), Scale::Nanoseconds),
            DataType::Timestamp(TimeUnit::Second, _) => (longs::<TimestampSecondType>(array), Scale::Seconds),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                (longs::<TimestampMillisecondType>(array), Scale::Milliseconds)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                (longs::<TimestampMicrosecondType>(array), Scale::Microseconds)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                (longs::<TimestampNanosecondType>(array), Scale::Nanoseconds)
            }
            other => return internal_err!("{} takes a time, not {other}", self.name),
        };
        let zone = if matches!(data_type, DataType::Timestamp(_, Some(_))) { self.zone()? } else { None };
        Ok(Instants { values, constant: argument.is_constant(), scale, zone })
    }

    /// Builds a column of the result's type, a date or a timestamp, from milliseconds and nanoseconds.
    pub fn map_instants(&self, mut compute: impl FnMut(usize) -> Result<Option<(i64, u32)>>) -> Result<ArrayRef> {
        let mut values: Vec<Option<i64>> = Vec::with_capacity(self.rows);
        let unit = match self.returns {
            DataType::Timestamp(unit, _) => Some(*unit),
            _ => None,
        };
        for row in 0..self.rows {
            let instant = if self.is_null(row) { None } else { compute(row)? };
            let value = match instant {
                None => None,
                Some((ms, nanos)) => match rescale(ms, nanos, unit) {
                    Some(value) => Some(value),
                    None => {
                        return exec_err!("{} made the time {ms} ms, which {} cannot hold", self.name, self.returns);
                    }
                },
            };
            values.push(value);
        }
        Ok(match unit {
            None => {
                let days: Option<Vec<Option<i32>>> = values
                    .into_iter()
                    .map(|day| day.map_or(Some(None), |day| i32::try_from(day).ok().map(Some)))
                    .collect();
                match days {
                    Some(days) => Arc::new(Date32Array::from_iter(days)),
                    None => return exec_err!("{} made a date out of the calendar", self.name),
                }
            }
            Some(TimeUnit::Second) => self.timestamps::<TimestampSecondType>(values),
            Some(TimeUnit::Millisecond) => self.timestamps::<TimestampMillisecondType>(values),
            Some(TimeUnit::Microsecond) => self.timestamps::<TimestampMicrosecondType>(values),
            Some(TimeUnit::Nanosecond) => self.timestamps::<TimestampNanosecondType>(values),
        })
    }

    fn timestamps<T: ArrowPrimitiveType<Native = i64>>(&self, values: Vec<Option<i64>>) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::from_iter(values).with_data_type(self.returns.clone()))
    }
}

fn longs<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef) -> Cow<'_, [i64]> {
    Cow::Borrowed(array.as_primitive::<T>().values())
}

/// A time in a timestamp's unit, or in days.
fn rescale(ms: i64, nanos: u32, unit: Option<TimeUnit>) -> Option<i64> {
    match unit {
        None => Some(ms.div_euclid(DAY_MS)),
        Some(TimeUnit::Second) => Some(ms.div_euclid(SECOND_MS)),
        Some(TimeUnit::Millisecond) => Some(ms),
        Some(TimeUnit::Microsecond) => ms.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000)),
        Some(TimeUnit::Nanosecond) => ms.checked_mul(1_000_000)?.checked_add(i64::from(nanos)),
    }
}

/// The current time as the wall clock of the session's zone shows it.
pub(super) fn local_now(call: &Call) -> Result<i64> {
    let ms = call.clock.now_ms();
    Ok(ms + call.zone()?.map_or(0, |zone| i64::from(zone.offset_seconds(ms)) * SECOND_MS))
}

/// Compiled date patterns of a call: one if constant, else the last is kept.
pub(super) struct DatePatterns<'a> {
    text: Option<super::call::Text<'a>>,
    last: Option<(&'a str, DatePattern)>,
}

impl<'a> DatePatterns<'a> {
    pub fn new(text: Option<super::call::Text<'a>>) -> Self {
        DatePatterns { text, last: None }
    }

    /// The pattern of a row, and whether it is that of the row asked for before.
    pub fn at(&mut self, row: usize, default: &'static str) -> Result<(&DatePattern, bool)> {
        let pattern = self.text.map_or(default, |text| text.at(row));
        let same = self.last.as_ref().is_some_and(|(last, _)| *last == pattern);
        if !same {
            match DatePattern::compile(pattern) {
                Ok(compiled) => self.last = Some((pattern, compiled)),
                Err(reason) => return exec_err!("{reason}"),
            }
        }
        match &self.last {
            Some((_, compiled)) => Ok((compiled, same)),
            None => internal_err!("a pattern was just compiled"),
        }
    }
}

/// Milliseconds and nanoseconds of a date and time.
pub(super) fn since_epoch(time: NaiveDateTime) -> (i64, u32) {
    let utc: DateTime<chrono::Utc> = time.and_utc();
    (utc.timestamp_millis(), utc.timestamp_subsec_nanos() % 1_000_000)
}
