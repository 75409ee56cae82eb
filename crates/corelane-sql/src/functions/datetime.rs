//! Times to and from text and numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Time32MillisecondArray, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use chrono::NaiveDateTime;
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ReturnFieldArgs;

use super::call::{Call, Text};
use super::date_pattern::{DAY_MS, DatePattern, SECOND_MS, date_of};
use super::function::{constant_long, constant_text};
use super::instants::{DatePatterns, local_now, since_epoch, utc_ms, zone_named};
use super::text_builder::TextBuilder;

const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

/// Refuses a constant pattern, the second argument, that does not compile.
pub(super) fn check_pattern(args: &ReturnFieldArgs) -> Result<()> {
    match constant_text(args, 1).map(DatePattern::compile) {
        Some(Err(reason)) => plan_err!("{reason}"),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Writes times by their patterns. Rows of a stream are near in time, so most have the text of the row before;
/// that costs two comparisons: 160 M rows/s for `yyyy-MM-dd` in order, 20 M rows/s at random.
fn format(call: &Call, mut at: impl FnMut(usize) -> (i64, u32, i32), pattern: Option<Text<'_>>) -> Result<ArrayRef> {
    let mut patterns = DatePatterns::new(pattern);
    let mut builder = TextBuilder::new(call.rows);
    let mut buffer = String::new();
    // The times whose text is that of the row before; empty at first and after a null.
    let mut alike = 0..0_i64;
    for row in 0..call.rows {
        if call.is_null(row) {
            builder.append_null();
            alike = 0..0;
            continue;
        }
        let (pattern, same) = patterns.at(row, DEFAULT_PATTERN)?;
        let (ms, nanos, offset_seconds) = at(row);
        if same && alike.contains(&ms) {
            builder.append_again();
            continue;
        }
        buffer.clear();
        if !pattern.format(ms, nanos, offset_seconds, &mut buffer) {
            return exec_err!("{} cannot write the time {ms} ms: it is out of the calendar", call.name);
        }
        builder.append(&buffer);
        alike = 0..0;
        if 0 < pattern.resolution_ms {
            let start = ms - ms.rem_euclid(pattern.resolution_ms);
            alike = start..start + pattern.resolution_ms;
        }
    }
    Ok(builder.finish())
}

pub(super) fn date_format(call: &Call) -> Result<ArrayRef> {
    let times = call.instants(0)?;
    format(
        call,
        |row| {
            let (ms, nanos) = times.local(row);
            (ms, nanos, times.offset_seconds(row))
        },
        Some(call.text(1)?),
    )
}

/// Seconds since the epoch as text in the session's zone.
pub(super) fn from_unixtime(call: &Call) -> Result<ArrayRef> {
    let (seconds, zone) = (call.longs(0)?, call.zone()?);
    let pattern = if call.has(1) { Some(call.text(1)?) } else { None };
    format(
        call,
        |row| {
            let ms = seconds.at(row).saturating_mul(SECOND_MS);
            let offset = zone.map_or(0, |zone| zone.offset_seconds(ms));
            (ms.saturating_add(i64::from(offset) * SECOND_MS), 0, offset)
        },
        pattern,
    )
}

/// Reads `2024-03-01`, `2024-3-1 4:5:6`, `2024-03-01 04:05:06.789`.
pub(super) fn parse_timestamp(text: &str) -> Option<NaiveDateTime> {
    let (date, time) = text.split_once(' ').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let year = parts.next().filter(|year| year.len() == 4).and_then(|year| number(year, 4))?;
    let (month, day) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let date = if parts.next().is_some() { None } else { date_of(year as i32, month, day) }?;
    let Some(time) = time else { return date.and_hms_opt(0, 0, 0) };
    let (time, fraction) = time.split_once('.').map_or((time, "0"), |(time, fraction)| (time, fraction));
    let mut parts = time.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let second = number(parts.next()?, 2)?;
    let nanos = number(fraction, 9)? * 10_u32.pow(9 - fraction.len() as u32);
    if parts.next().is_some() { None } else { date.and_hms_nano_opt(hour, minute, second, nanos) }
}

fn number(text: &str, digits_max: usize) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= digits_max && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Null where the text is no timestamp.
pub(super) fn to_timestamp(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    let mut patterns = DatePatterns::new(if call.has(1) { Some(call.text(1)?) } else { None });
    call.map_instants(|row| {
        let time =
            if call.has(1) { patterns.at(row, "")?.0.parse(text.at(row)) } else { parse_timestamp(text.at(row)) };
        Ok(time.map(since_epoch))
    })
}

/// `TO_TIMESTAMP_LTZ(number[, 0 or 3])` or `TO_TIMESTAMP_LTZ(text[, pattern[, zone]])`.
pub(super) fn to_timestamp_ltz(call: &Call) -> Result<ArrayRef> {
    let numbers = call.argument(0)?;
    if numbers.array.data_type().is_string() {
        return text_to_timestamp_ltz(call);
    }
    if call.has(1) && !call.argument(1)?.array.data_type().is_integer() {
        return exec_err!("TO_TIMESTAMP_LTZ of a number takes the precision 0 or 3");
    }
    let seconds = call.has(1) && precision(call)? == 0;
    if numbers.array.data_type().is_integer() {
        let wide = cast(&numbers.array, &DataType::Int64)?;
        let wide = wide.as_primitive::<Int64Type>();
        return call.map_instants(|row| {
            let number = wide.value(numbers.index(row));
            Ok(if seconds { number.checked_mul(SECOND_MS) } else { Some(number) }.map(|ms| (ms, 0)))
        });
    }
    let wide = cast(&numbers.array, &DataType::Float64)?;
    let wide = wide.as_primitive::<arrow::datatypes::Float64Type>();
    call.map_instants(|row| {
        let number = wide.value(numbers.index(row)) * if seconds { SECOND_MS as f64 } else { 1.0 };
        Ok((number.abs() < i64::MAX as f64).then_some((number as i64, 0)))
    })
}

fn precision(call: &Call) -> Result<i64> {
    let precision = cast(&call.argument(1)?.array, &DataType::Int64)?;
    match precision.as_primitive::<Int64Type>().iter().next().flatten() {
        Some(digits @ (0 | 3)) => Ok(digits),
        _ => exec_err!("TO_TIMESTAMP_LTZ takes the precision 0 or 3"),
    }
}

/// Refuses a precision other than seconds and milliseconds.
pub(super) fn check_precision(args: &ReturnFieldArgs) -> Result<()> {
    match args.arg_fields.get(1).map(|field| field.data_type()) {
        Some(digits) if digits.is_integer() => match constant_long(args, 1) {
            Some(0 | 3) => Ok(()),
            _ => plan_err!("TO_TIMESTAMP_LTZ takes the precision 0 (seconds) or 3 (milliseconds), as a constant"),
        },
        Some(_) => check_pattern(args),
        None => Ok(()),
    }
}

fn text_to_timestamp_ltz(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    let mut patterns = DatePatterns::new(if call.has(1) { Some(call.text(1)?) } else { None });
    let zones = if call.has(2) { Some(call.text(2)?) } else { None };
    call.map_instants(|row| {
        // Without a zone of its own the text is in UTC, whatever the session's zone.
        let zone = zones.map_or(Ok(None), |zones| zone_named(zones.at(row)))?;
        let time =
            if call.has(1) { patterns.at(row, "")?.0.parse(text.at(row)) } else { parse_timestamp(text.at(row)) };
        Ok(time.map(|time| (utc_ms(zone, time), 0)))
    })
}

/// Reads `2024-03-01`, also `2024-3` and `2024`; what follows a space is left out.
fn parse_date(text: &str) -> Option<i32> {
    let text = text.trim();
    let mut parts = text.split(' ').next()?.split('-');
    let year = number(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |month| number(month, 2))?;
    let day = parts.next().map_or(Some(1), |day| number(day, 2))?;
    let date = chrono::NaiveDate::from_ymd_opt(year as i32, month, day).filter(|_| parts.next().is_none())?;
    Some(date.to_epoch_days())
}

pub(super) fn to_date(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    let mut patterns = DatePatterns::new(if call.has(1) { Some(call.text(1)?) } else { None });
    call.map_values::<arrow::datatypes::Date32Type>(|row| {
        if !call.has(1) {
            return Ok(parse_date(text.at(row)));
        }
        Ok(patterns.at(row, "")?.0.parse(text.at(row)).map(|time| time.date().to_epoch_days()))
    })
}

/// Seconds since the epoch, now or of a text in the session's zone; a text that is no time gives the least number, as in Flink.
pub(super) fn unix_timestamp(call: &Call) -> Result<ArrayRef> {
    if !call.has(0) {
        return call.map_total::<Int64Type>(|_| call.clock.now_ms().div_euclid(SECOND_MS));
    }
    let (text, zone) = (call.text(0)?, call.zone()?);
    let mut patterns = DatePatterns::new(if call.has(1) { Some(call.text(1)?) } else { None });
    call.map_values::<Int64Type>(|row| {
        let time = patterns.at(row, DEFAULT_PATTERN)?.0.parse(text.at(row));
        Ok(Some(time.map_or(i64::MIN, |time| utc_ms(zone, time).div_euclid(SECOND_MS))))
    })
}

/// `CONVERT_TZ(text, from zone, to zone)`: null where the text is no time.
pub(super) fn convert_tz(call: &Call) -> Result<ArrayRef> {
    let (text, from, to) = (call.text(0)?, call.text(1)?, call.text(2)?);
    let mut patterns = DatePatterns::new(None);
    call.write_texts(|row, out| {
        let (from, to) = (zone_named(from.at(row))?, zone_named(to.at(row))?);
        let (pattern, _) = patterns.at(row, DEFAULT_PATTERN)?;
        let Some(time) = pattern.parse(text.at(row)) else { return Ok(false) };
        let ms = utc_ms(from, time);
        let offset = to.map_or(0, |zone| zone.offset_seconds(ms));
        Ok(pattern.format(ms + i64::from(offset) * SECOND_MS, 0, offset, out))
    })
}

fn alike<T: Clone>(call: &Call, value: T) -> Vec<T> {
    vec![value; call.rows]
}

pub(super) fn current_timestamp(call: &Call) -> Result<ArrayRef> {
    let now = alike(call, call.clock.now_ms());
    Ok(Arc::new(TimestampMillisecondArray::from(now).with_data_type(call.returns.clone())))
}

pub(super) fn local_timestamp(call: &Call) -> Result<ArrayRef> {
    Ok(Arc::new(TimestampMillisecondArray::from(alike(call, local_now(call)?))))
}

pub(super) fn current_date(call: &Call) -> Result<ArrayRef> {
    Ok(Arc::new(Date32Array::from(alike(call, local_now(call)?.div_euclid(DAY_MS) as i32))))
}

pub(super) fn current_time(call: &Call) -> Result<ArrayRef> {
    Ok(Arc::new(Time32MillisecondArray::from(alike(call, local_now(call)?.rem_euclid(DAY_MS) as i32))))
}
