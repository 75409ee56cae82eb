//! One writer for each Arrow type.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DecimalType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType,
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType,
    IntervalMonthDayNanoType, IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::array::{
    Array, AsArray, BooleanArray, FixedSizeBinaryArray, GenericBinaryArray, GenericStringArray, OffsetSizeTrait,
    PrimitiveArray, StringViewArray,
};
use arrow::array::{BinaryViewArray, timezone::Tz};
use arrow::buffer::ScalarBuffer;
use arrow::compute;
use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use chrono::{DateTime, Offset, TimeZone};
use corelane_stream::{Error, Result};

use super::json::quote_json;
use super::temporal::{
    resolution, write_date, write_interval_months, write_interval_ms, write_padded, write_time, write_timestamp,
};
use super::{Cell, DecimalNotation, JsonText, Reader, TimestampStyle, nested};
use crate::base64;

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> PrimitiveArray<T> {
    array.as_primitive::<T>().clone()
}

/// A closure over a typed array; the call is the only virtual one of a value.
struct Scalar<F>(F);

impl<F: Fn(usize, &mut String)> Cell for Scalar<F> {
    fn write(&self, row: usize, out: &mut String) {
        self.0(row, out);
    }
}

fn scalar(write: impl Fn(usize, &mut String) + 'static) -> Box<dyn Cell> {
    Box::new(Scalar(write))
}

/// The same, between quotes where the reader is a json parser.
fn quoted(reader: Reader, write: impl Fn(usize, &mut String) + 'static) -> Box<dyn Cell> {
    match reader {
        Reader::Json(_) => scalar(move |row, out| {
            out.push('"');
            write(row, out);
            out.push('"');
        }),
        Reader::Person | Reader::Csv { .. } => scalar(write),
    }
}

pub(super) fn cell(array: &dyn Array, reader: Reader, null: &Arc<str>) -> Result<Box<dyn Cell>> {
    Ok(match array.data_type() {
        DataType::Null => scalar(|_, _| unreachable!("every row of a null column is null")),
        DataType::Boolean => booleans(array.as_boolean().clone()),
        DataType::Int8 => integers(primitive::<Int8Type>(array)),
        DataType::Int16 => integers(primitive::<Int16Type>(array)),
        DataType::Int32 => integers(primitive::<Int32Type>(array)),
        DataType::Int64 => integers(primitive::<Int64Type>(array)),
        DataType::UInt8 => integers(primitive::<UInt8Type>(array)),
        DataType::UInt16 => integers(primitive::<UInt16Type>(array)),
        DataType::UInt32 => integers(primitive::<UInt32Type>(array)),
        DataType::UInt64 => unsigned(primitive::<UInt64Type>(array)),
        DataType::Float16 => {
            let values = primitive::<Float16Type>(array);
            floats(reader, move |row, scratch| write!(scratch, "{:e}", f32::from(values.value(row))))
        }
        DataType::Float32 => {
            let values = primitive::<Float32Type>(array);
            floats(reader, move |row, scratch| write!(scratch, "{:e}", values.value(row)))
        }
        DataType::Float64 => {
            let values = primitive::<Float64Type>(array);
            floats(reader, move |row, scratch| write!(scratch, "{:e}", values.value(row)))
        }
        DataType::Decimal32(..) => decimals(primitive::<Decimal32Type>(array), reader),
        DataType::Decimal64(..) => decimals(primitive::<Decimal64Type>(array), reader),
        DataType::Decimal128(..) => decimals(primitive::<Decimal128Type>(array), reader),
        DataType::Decimal256(..) => decimals(primitive::<Decimal256Type>(array), reader),
        DataType::Utf8 => strings(array.as_string::<i32>().clone(), reader),
        DataType::LargeUtf8 => strings(array.as_string::<i64>().clone(), reader),
        DataType::Utf8View => strings(array.as_string_view().clone(), reader),
        DataType::Binary => bytes(array.as_binary::<i32>().clone(), reader),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().clone(), reader),
        DataType::BinaryView => bytes(array.as_binary_view().clone(), reader),
        DataType::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().clone(), reader),
        DataType::Struct(_)
        | DataType::List(_)
        | DataType::LargeList(_)
        | DataType::FixedSizeList(..)
        | DataType::Map(..) => nested::cell(array, reader, null)?,
        DataType::Dictionary(_, values) => return cell(&compute::cast(array, values)?, reader, null),
        DataType::RunEndEncoded(_, values) => return cell(&compute::cast(array, values.data_type())?, reader, null),
        _ => return temporal(array, reader),
    })
}

fn temporal(array: &dyn Array, reader: Reader) -> Result<Box<dyn Cell>> {
    Ok(match array.data_type() {
        DataType::Date32 => {
            let days = primitive::<Date32Type>(array);
            quoted(reader, move |row, out| write_date(i64::from(days.value(row)), out))
        }
        DataType::Date64 => {
            let ms = primitive::<Date64Type>(array);
            quoted(reader, move |row, out| write_date(ms.value(row).div_euclid(86_400_000), out))
        }
        DataType::Time32(TimeUnit::Second) => times(primitive::<Time32SecondType>(array), TimeUnit::Second, reader),
        DataType::Time32(unit) => times(primitive::<Time32MillisecondType>(array), *unit, reader),
        DataType::Time64(TimeUnit::Microsecond) => {
            times(primitive::<Time64MicrosecondType>(array), TimeUnit::Microsecond, reader)
        }
        DataType::Time64(unit) => times(primitive::<Time64NanosecondType>(array), *unit, reader),
        DataType::Timestamp(unit, zone) => timestamps(ticks(array, *unit), *unit, zone.as_deref(), reader)?,
        DataType::Interval(unit) => intervals(array, *unit, reader),
        DataType::Duration(unit) => durations(array, *unit, reader),
        other => return Err(Error::invalid(format!("a value of type {other} cannot be written as text"))),
    })
}

fn booleans(values: BooleanArray) -> Box<dyn Cell> {
    scalar(move |row, out| out.push_str(if values.value(row) { "true" } else { "false" }))
}

fn integers<T: ArrowPrimitiveType>(values: PrimitiveArray<T>) -> Box<dyn Cell>
where
    T::Native: Into<i64>,
{
    scalar(move |row, out| {
        let value: i64 = values.value(row).into();
        if value < 0 {
            out.push('-');
        }
        write_padded(value.unsigned_abs(), 1, out);
    })
}

fn unsigned(values: PrimitiveArray<UInt64Type>) -> Box<dyn Cell> {
    scalar(move |row, out| write_padded(values.value(row), 1, out))
}

/// Spells a float as Java does: `0.001 .. 9999999.0` plainly, all else as `1.0E7`. `write` gives
/// the shortest digits that read back as the same number, as `1.25e-3`.
fn floats(reader: Reader, write: impl Fn(usize, &mut String) -> std::fmt::Result + 'static) -> Box<dyn Cell> {
    scalar(move |row, out| {
        let start = out.len();
        write(row, out).expect("strings grow");
        respell_float(start, reader, out);
    })
}

fn respell_float(start: usize, reader: Reader, out: &mut String) {
    let mut scratch = [0_u8; 32];
    let length = out.len() - start;
    scratch[..length].copy_from_slice(&out.as_bytes()[start..]);
    out.truncate(start);
    let text = std::str::from_utf8(&scratch[..length]).expect("floats are written in ASCII");
    let Some((mantissa, exponent)) = text.split_once('e') else {
        let word = match text {
            "inf" => "Infinity",
            "-inf" => "-Infinity",
            _ => "NaN",
        };
        let quote = if matches!(reader, Reader::Json(_)) { "\"" } else { "" };
        out.extend([quote, word, quote]);
        return;
    };
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    out.push_str(sign);
    if first == "0" {
        out.push_str("0.0");
    } else if (0..7).contains(&exponent) {
        let whole = exponent as usize;
        out.push_str(first);
        out.push_str(&rest[..whole.min(rest.len())]);
        out.extend(std::iter::repeat_n('0', whole.saturating_sub(rest.len())));
        out.push('.');
        out.push_str(if rest.len() > whole { &rest[whole..] } else { "0" });
    } else if (-3..0).contains(&exponent) {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.extend([first, rest]);
    } else {
        out.extend([first, ".", if rest.is_empty() { "0" } else { rest }, "E"]);
        write!(out, "{exponent}").expect("strings grow");
    }
}

fn decimals<T: DecimalType>(values: PrimitiveArray<T>, reader: Reader) -> Box<dyn Cell>
where
    T::Native: std::fmt::Display,
{
    let scale = i32::from(values.scale());
    let scientific = matches!(reader, Reader::Json(JsonText { decimals: DecimalNotation::Scientific, .. }));
    scalar(move |row, out| {
        let start = out.len();
        write!(out, "{}", values.value(row)).expect("strings grow");
        place_point(start, scale, scientific, out);
    })
}

/// Turns the digits of an unscaled decimal, which stand from `start` on, into its text.
fn place_point(start: usize, scale: i32, scientific: bool, out: &mut String) {
    let first = start + usize::from(out[start..].starts_with('-'));
    let digits = (out.len() - first) as i32;
    if scale <= 0 {
        if out[first..] != *"0" {
            out.extend(std::iter::repeat_n('0', -scale as usize));
        }
        return;
    }
    // Java's `BigDecimal.toString` turns to exponents when the first digit stands behind the sixth place.
    let exponent = digits - 1 - scale;
    if scientific && exponent < -6 {
        if digits > 1 {
            out.insert(first + 1, '.');
        }
        write!(out, "E{exponent}").expect("strings grow");
        return;
    }
    for _ in digits..=scale {
        out.insert(first, '0');
    }
    out.insert(out.len() - scale as usize, '.');
}

/// Arrays whose values are strings.
trait Strings: Array + 'static {
    fn text(&self, row: usize) -> &str;
}

impl<O: OffsetSizeTrait> Strings for GenericStringArray<O> {
    fn text(&self, row: usize) -> &str {
        self.value(row)
    }
}

impl Strings for StringViewArray {
    fn text(&self, row: usize) -> &str {
        self.value(row)
    }
}

fn strings<A: Strings>(values: A, reader: Reader) -> Box<dyn Cell> {
    match reader {
        Reader::Json(_) => scalar(move |row, out| quote_json(values.text(row), out)),
        Reader::Person | Reader::Csv { .. } => scalar(move |row, out| out.push_str(values.text(row))),
    }
}

/// Arrays whose values are bytes.
trait Bytes: Array + 'static {
    fn bytes(&self, row: usize) -> &[u8];
}

impl<O: OffsetSizeTrait> Bytes for GenericBinaryArray<O> {
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row)
    }
}

impl Bytes for BinaryViewArray {
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row)
    }
}

impl Bytes for FixedSizeBinaryArray {
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row)
    }
}

fn bytes<A: Bytes>(values: A, reader: Reader) -> Box<dyn Cell> {
    match reader {
        Reader::Person => scalar(move |row, out| {
            out.push_str("x'");
            for byte in values.bytes(row) {
                write!(out, "{byte:02x}").expect("strings grow");
            }
            out.push('\'');
        }),
        Reader::Csv { .. } | Reader::Json(_) => {
            let scratch = RefCell::new(Vec::new());
            quoted(reader, move |row, out| {
                let mut coded = scratch.borrow_mut();
                coded.clear();
                base64::encode(values.bytes(row), &mut coded);
                out.push_str(std::str::from_utf8(&coded).expect("base64 is ASCII"));
            })
        }
    }
}

fn times<T: ArrowPrimitiveType>(values: PrimitiveArray<T>, unit: TimeUnit, reader: Reader) -> Box<dyn Cell>
where
    T::Native: Into<i64>,
{
    quoted(reader, move |row, out| write_time(values.value(row).into(), unit, out))
}

fn ticks(array: &dyn Array, unit: TimeUnit) -> ScalarBuffer<i64> {
    match unit {
        TimeUnit::Second => primitive::<TimestampSecondType>(array).values().clone(),
        TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(array).values().clone(),
        TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(array).values().clone(),
        TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(array).values().clone(),
    }
}

/// A timestamp with a zone is an instant: files get it in UTC with a `Z`, a person gets it in
/// the zone of the type.
fn timestamps(ticks: ScalarBuffer<i64>, unit: TimeUnit, zone: Option<&str>, reader: Reader) -> Result<Box<dyn Cell>> {
    let separator = match reader {
        Reader::Json(JsonText { timestamps: TimestampStyle::Iso8601, .. }) => 'T',
        Reader::Json(_) | Reader::Csv { .. } | Reader::Person => ' ',
    };
    let Some(zone) = zone else {
        return Ok(quoted(reader, move |row, out| write_timestamp(ticks[row], unit, separator, out)));
    };
    if reader != Reader::Person {
        return Ok(quoted(reader, move |row, out| {
            write_timestamp(ticks[row], unit, separator, out);
            out.push('Z');
        }));
    }
    let zone: Tz = zone.parse()?;
    let per_second = resolution(unit).0;
    Ok(scalar(move |row, out| {
        let instant = DateTime::from_timestamp(ticks[row].div_euclid(per_second), 0);
        let offset = instant.map_or(0, |instant| {
            i64::from(zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc())
        });
        write_timestamp(ticks[row].saturating_add(offset * per_second), unit, separator, out);
    }))
}

fn intervals(array: &dyn Array, unit: IntervalUnit, reader: Reader) -> Box<dyn Cell> {
    match unit {
        IntervalUnit::YearMonth => {
            let values = primitive::<IntervalYearMonthType>(array);
            quoted(reader, move |row, out| write_interval_months(values.value(row), out))
        }
        IntervalUnit::DayTime => {
            let values = primitive::<IntervalDayTimeType>(array);
            quoted(reader, move |row, out| {
                let value = values.value(row);
                write_interval_ms(i64::from(value.days) * 86_400_000 + i64::from(value.milliseconds), out);
            })
        }
        IntervalUnit::MonthDayNano => {
            let values = primitive::<IntervalMonthDayNanoType>(array);
            quoted(reader, move |row, out| {
                let value = values.value(row);
                if value.months != 0 {
                    write_interval_months(value.months, out);
                }
                let ms = i64::from(value.days) * 86_400_000 + value.nanoseconds / 1_000_000;
                if value.months != 0 && ms != 0 {
                    out.push(' ');
                }
                if value.months == 0 || ms != 0 {
                    write_interval_ms(ms, out);
                }
            })
        }
    }
}

fn durations(array: &dyn Array, unit: TimeUnit, reader: Reader) -> Box<dyn Cell> {
    let values = match unit {
        TimeUnit::Second => primitive::<DurationSecondType>(array).values().clone(),
        TimeUnit::Millisecond => primitive::<DurationMillisecondType>(array).values().clone(),
        TimeUnit::Microsecond => primitive::<DurationMicrosecondType>(array).values().clone(),
        TimeUnit::Nanosecond => primitive::<DurationNanosecondType>(array).values().clone(),
    };
    let per_second = resolution(unit).0;
    quoted(reader, move |row, out| {
        let ms = i128::from(values[row]) * 1_000 / i128::from(per_second);
        write_interval_ms(i64::try_from(ms).unwrap_or(i64::MAX), out);
    })
}
