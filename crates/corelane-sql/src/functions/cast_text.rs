//! `CAST(x AS STRING)`: any value as Flink writes it.
//!
//! Arrow's own cast writes `2015-07-15T00:00:00`, `true` and `10000000.0`; Flink writes
//! `2015-07-15 00:00:00.000`, `TRUE` and `1.0E7`.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, Time32MillisecondType, TimeUnit,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use corelane_ops::Zone;
use datafusion_common::{Result, exec_err};

use super::call::Call;
use super::json_text::{write_double, write_float};

/// `CAST(x AS STRING)`.
pub(super) fn cast_text(call: &Call) -> Result<ArrayRef> {
    let argument = call.argument(0)?;
    let zone = call.zone()?;
    call.write_texts(|row, out| {
        write_value(&argument.array, argument.index(row), zone, out)?;
        Ok(true)
    })
}

fn write_value(array: &dyn Array, index: usize, zone: Option<Zone>, out: &mut String) -> Result<()> {
    if array.data_type().is_null() || array.is_null(index) {
        out.push_str("NULL");
        return Ok(());
    }
    match array.data_type() {
        DataType::Boolean => out.push_str(if array.as_boolean().value(index) { "TRUE" } else { "FALSE" }),
        DataType::Utf8View => out.push_str(array.as_string_view().value(index)),
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(index)),
        DataType::Float64 => write_double(array.as_primitive::<Float64Type>().value(index), out),
        DataType::Float32 => write_float(array.as_primitive::<Float32Type>().value(index), out),
        DataType::Decimal128(_, _) => out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(index)),
        DataType::Binary => write_bytes(array.as_binary::<i32>().value(index), out)?,
        DataType::BinaryView => write_bytes(array.as_binary_view().value(index), out)?,
        DataType::Date32 => write_date(array.as_primitive::<Date32Type>().value(index), out)?,
        DataType::Time32(TimeUnit::Millisecond) => {
            write_time(array.as_primitive::<Time32MillisecondType>().value(index), out);
        }
        DataType::Timestamp(unit, instant) => {
            let zone = if instant.is_some() { zone } else { None };
            write_timestamp(array, index, *unit, zone, out)?;
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            write_months(array.as_primitive::<IntervalYearMonthType>().value(index), out);
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(index);
            if value.months != 0 {
                write_months(value.months, out);
            } else {
                write_interval(i64::from(value.days) * 86_400_000 + value.nanoseconds / 1_000_000, out);
            }
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(index);
            write_items(items.len(), ["[", "]"], out, |item, out| write_value(&items, item, zone, out))?;
        }
        DataType::Struct(fields) => {
            let row = array.as_struct();
            write_items(fields.len(), ["(", ")"], out, |field, out| write_value(row.column(field), index, zone, out))?;
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(index);
            write_items(entries.len(), ["{", "}"], out, |entry, out| {
                write_value(entries.column(0), entry, zone, out)?;
                out.push('=');
                write_value(entries.column(1), entry, zone, out)
            })?;
        }
        _ => {
            let formatter = ArrayFormatter::try_new(array, &FormatOptions::default())?;
            let _ = write!(out, "{}", formatter.value(index));
        }
    }
    Ok(())
}

fn write_items(
    count: usize,
    [open, close]: [&str; 2],
    out: &mut String,
    mut write: impl FnMut(usize, &mut String) -> Result<()>,
) -> Result<()> {
    out.push_str(open);
    for item in 0..count {
        if 0 < item {
            out.push_str(", ");
        }
        write(item, out)?;
    }
    out.push_str(close);
    Ok(())
}

fn write_bytes(bytes: &[u8], out: &mut String) -> Result<()> {
    match std::str::from_utf8(bytes) {
        Ok(text) => out.push_str(text),
        Err(_) => return exec_err!("cannot cast bytes to STRING: they are not UTF-8"),
    }
    Ok(())
}

fn write_date(days: i32, out: &mut String) -> Result<()> {
    let Some(date) = NaiveDate::from_epoch_days(days) else {
        return exec_err!("day {days} is out of the calendar");
    };
    let _ = write!(out, "{date}");
    Ok(())
}

/// A TIME has no fraction unless it needs one.
fn write_time(ms: i32, out: &mut String) {
    let seconds = ms / 1_000;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if ms % 1_000 != 0 {
        let _ = write!(out, ".{:03}", ms % 1_000);
    }
}

fn write_timestamp(
    array: &dyn Array,
    index: usize,
    unit: TimeUnit,
    zone: Option<Zone>,
    out: &mut String,
) -> Result<()> {
    use arrow::datatypes::{
        TimestampMicrosecondType as Micros, TimestampMillisecondType as Millis, TimestampNanosecondType as Nanos,
        TimestampSecondType as Seconds,
    };
    let (utc, digits) = match unit {
        TimeUnit::Second => (DateTime::from_timestamp_secs(array.as_primitive::<Seconds>().value(index)), 0),
        TimeUnit::Millisecond => (DateTime::from_timestamp_millis(array.as_primitive::<Millis>().value(index)), 3),
        TimeUnit::Microsecond => (DateTime::from_timestamp_micros(array.as_primitive::<Micros>().value(index)), 6),
        TimeUnit::Nanosecond => (Some(DateTime::from_timestamp_nanos(array.as_primitive::<Nanos>().value(index))), 9),
    };
    let Some(utc) = utc.map(|time| time.naive_utc()) else {
        return exec_err!("a timestamp is out of the calendar");
    };
    let local: NaiveDateTime = match zone {
        Some(zone) => utc + TimeDelta::seconds(i64::from(zone.offset_seconds(utc.and_utc().timestamp_millis()))),
        None => utc,
    };
    let _ = write!(out, "{}", local.format("%Y-%m-%d %H:%M:%S"));
    if 0 < digits {
        let fraction = format!("{:09}", local.and_utc().timestamp_subsec_nanos());
        let _ = write!(out, ".{}", &fraction[..digits]);
    }
    Ok(())
}

fn write_months(months: i32, out: &mut String) {
    let size = months.unsigned_abs();
    let _ = write!(out, "{}{}-{:02}", if months < 0 { '-' } else { '+' }, size / 12, size % 12);
}

fn write_interval(ms: i64, out: &mut String) {
    let size = ms.unsigned_abs();
    let (days, rest) = (size / 86_400_000, size % 86_400_000);
    let seconds = rest / 1_000;
    let sign = if ms < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{sign}{days} {hours:02}:{minutes:02}:{seconds:02}.{:03}", rest % 1_000);
}
