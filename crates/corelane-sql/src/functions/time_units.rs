//! Fields of a time, rounding a time to a unit, and distances in units.
//!
//! Flink's conventions: `DAYOFWEEK` counts from Sunday = 1, `WEEK` is the ISO week, while a week that a
//! time is rounded to starts on Sunday.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time32MillisecondType,
    Time32SecondType, TimeUnit,
};
use chrono::{Datelike, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ReturnFieldArgs;

use super::call::Call;
use super::date_pattern::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use super::function::constant_text;
use super::instants::{Instants, since_epoch, utc_ms};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Nanosecond,
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Epoch,
}

impl Unit {
    fn parse(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        let name = upper.strip_prefix("SQL_TSI_").unwrap_or(&upper);
        // The plural is Flink's too, but for `CENTURIES` and `MILLENNIUMS`.
        Some(match name.strip_suffix('S').unwrap_or(name) {
            "NANOSECOND" => Unit::Nanosecond,
            "MICROSECOND" | "FRAC_SECOND" => Unit::Microsecond,
            "MILLISECOND" => Unit::Millisecond,
            "SECOND" => Unit::Second,
            "MINUTE" => Unit::Minute,
            "HOUR" => Unit::Hour,
            "DAY" => Unit::Day,
            "WEEK" => Unit::Week,
            "MONTH" => Unit::Month,
            "QUARTER" => Unit::Quarter,
            "YEAR" => Unit::Year,
            "DECADE" => Unit::Decade,
            "CENTURY" => Unit::Century,
            "MILLENNIUM" => Unit::Millennium,
            "DOW" | "DAYOFWEEK" => Unit::DayOfWeek,
            "ISODOW" => Unit::IsoDayOfWeek,
            "DOY" | "DAYOFYEAR" => Unit::DayOfYear,
            "ISOYEAR" => Unit::IsoYear,
            "EPOCH" => Unit::Epoch,
            _ => return None,
        })
    }

    /// The unit's length, if it has one.
    fn length_ms(self) -> Option<i64> {
        Some(match self {
            Unit::Millisecond => 1,
            Unit::Second => SECOND_MS,
            Unit::Minute => MINUTE_MS,
            Unit::Hour => HOUR_MS,
            Unit::Day => DAY_MS,
            Unit::Week => 7 * DAY_MS,
            _ => return None,
        })
    }

    /// The unit in months, if it is some.
    fn months(self) -> Option<i64> {
        Some(match self {
            Unit::Month => 1,
            Unit::Quarter => 3,
            Unit::Year => 12,
            Unit::Decade => 120,
            Unit::Century => 1_200,
            Unit::Millennium => 12_000,
            _ => return None,
        })
    }
}

/// Refuses a constant unit, the first argument, that does not exist.
pub(super) fn check_unit(args: &ReturnFieldArgs) -> Result<()> {
    match constant_text(args, 0) {
        Some(name) if Unit::parse(name).is_none() => plan_err!("there is no time unit '{name}'"),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a constant unit, the second argument, that does not exist.
pub(super) fn check_rounding(args: &ReturnFieldArgs) -> Result<()> {
    let is_time = args.arg_fields.first().is_some_and(|field| matches!(field.data_type(), DataType::Time32(_)));
    let Some(name) = constant_text(args, 1) else { return Ok(()) };
    match Unit::parse(name).map(Unit::length_ms) {
        None => plan_err!("there is no time unit '{name}'"),
        Some(length) if is_time && length.is_none_or(|length| DAY_MS <= length) => {
            plan_err!("a TIME is rounded to HOUR, MINUTE, SECOND or MILLISECOND, not to {name}")
        }
        Some(_) => Ok(()),
    }
}

/// The unit of a call: a constant, for units come from the grammar.
fn constant_unit(call: &Call, index: usize) -> Result<Unit> {
    let Some(name) = call.text(index)?.constant() else {
        return exec_err!("{} takes a constant time unit", call.name);
    };
    match Unit::parse(name) {
        Some(unit) => Ok(unit),
        None => exec_err!("there is no time unit '{name}'"),
    }
}

fn field_of(time: NaiveDateTime, unit: Unit) -> i64 {
    let (year, nanos) = (i64::from(time.year()), i64::from(time.nanosecond() % 1_000_000_000));
    // The year 0 is 1 BC, so that centuries, which count from 1, come without a zeroth.
    let era = |years: i64| if 0 < year { (year + years - 1) / years } else { (year - years) / years };
    match unit {
        Unit::Nanosecond => nanos,
        Unit::Microsecond => nanos / 1_000,
        Unit::Millisecond => nanos / 1_000_000,
        Unit::Second => i64::from(time.second()),
        Unit::Minute => i64::from(time.minute()),
        Unit::Hour => i64::from(time.hour()),
        Unit::Day => i64::from(time.day()),
        Unit::Week => i64::from(time.iso_week().week()),
        Unit::Month => i64::from(time.month()),
        Unit::Quarter => i64::from(time.month0() / 3 + 1),
        Unit::Year => year,
        Unit::Decade => year.div_euclid(10),
        Unit::Century => era(100),
        Unit::Millennium => era(1_000),
        Unit::DayOfWeek => i64::from(time.weekday().number_from_sunday()),
        Unit::IsoDayOfWeek => i64::from(time.weekday().number_from_monday()),
        Unit::DayOfYear => i64::from(time.ordinal()),
        Unit::IsoYear => i64::from(time.iso_week().year()),
        Unit::Epoch => time.and_utc().timestamp(),
    }
}

fn extract_unit(call: &Call, times: &Instants, unit: Unit) -> Result<ArrayRef> {
    // What repeats daily needs no calendar: 300 M rows/s.
    let cyclic =
        |cycle: i64, divisor: i64| call.map_total::<Int64Type>(|row| times.local(row).0.rem_euclid(cycle) / divisor);
    match unit {
        Unit::Hour => cyclic(DAY_MS, HOUR_MS),
        Unit::Minute => cyclic(HOUR_MS, MINUTE_MS),
        Unit::Second => cyclic(MINUTE_MS, SECOND_MS),
        Unit::Millisecond => cyclic(SECOND_MS, 1),
        Unit::Epoch => call.map_total::<Int64Type>(|row| times.at(row).0.div_euclid(SECOND_MS)),
        other => call.map_values::<Int64Type>(|row| Ok(Some(field_of(times.civil(row)?, other)))),
    }
}

/// `EXTRACT(unit, time)`, the function that `EXTRACT(unit FROM time)` calls.
pub(super) fn extract(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(1)?, constant_unit(call, 0)?)
}

pub(super) fn year(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::Year)
}

pub(super) fn quarter(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::Quarter)
}

pub(super) fn month(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::Month)
}

pub(super) fn week(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::Week)
}

pub(super) fn day_of_year(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::DayOfYear)
}

pub(super) fn day_of_month(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::Day)
}

pub(super) fn day_of_week(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::DayOfWeek)
}

pub(super) fn hour(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::Hour)
}

pub(super) fn minute(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::Minute)
}

pub(super) fn second(call: &Call) -> Result<ArrayRef> {
    extract_unit(call, &call.instants(0)?, Unit::Second)
}

/// The start of the unit that holds a time.
fn start_of(time: NaiveDateTime, unit: Unit) -> Option<NaiveDateTime> {
    let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN);
    if let (Some(length), true) = (unit.length_ms(), unit != Unit::Week) {
        let ms = time.and_utc().timestamp_millis();
        return super::date_pattern::civil(ms - ms.rem_euclid(length), 0);
    }
    if unit == Unit::Week {
        let back = TimeDelta::days(i64::from(time.weekday().num_days_from_sunday()));
        return time.date().checked_sub_signed(back).map(midnight);
    }
    let year = time.year();
    let first = |year: i32, month: u32| NaiveDate::from_ymd_opt(year, month, 1).map(midnight);
    match unit {
        Unit::Month => first(year, time.month()),
        Unit::Quarter => first(year, time.month0() / 3 * 3 + 1),
        Unit::Year => first(year, 1),
        Unit::Decade => first(year - year.rem_euclid(10), 1),
        Unit::Century => first(year - (year - 1).rem_euclid(100), 1),
        Unit::Millennium => first(year - (year - 1).rem_euclid(1_000), 1),
        _ => None,
    }
}

fn add(time: NaiveDateTime, unit: Unit, count: i64) -> Option<NaiveDateTime> {
    if let Some(months) = unit.months() {
        let months = months.checked_mul(count)?;
        let span = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
        return if months < 0 { time.checked_sub_months(span) } else { time.checked_add_months(span) };
    }
    let span = match unit {
        Unit::Nanosecond => TimeDelta::nanoseconds(count),
        Unit::Microsecond => TimeDelta::microseconds(count),
        other => TimeDelta::try_milliseconds(other.length_ms()?.checked_mul(count)?)?,
    };
    time.checked_add_signed(span)
}

/// A time of day rounded; the end of the day is its start.
fn round_time(call: &Call, length: i64, up: bool) -> Result<ArrayRef> {
    let times = call.instants(0)?;
    let rounded = |row: usize| {
        let ms = times.at(row).0 + if up { length - 1 } else { 0 };
        (ms - ms.rem_euclid(length)).rem_euclid(DAY_MS)
    };
    match call.returns {
        DataType::Time32(TimeUnit::Second) => {
            call.map_total::<Time32SecondType>(|row| (rounded(row) / SECOND_MS) as i32)
        }
        _ => call.map_total::<Time32MillisecondType>(|row| rounded(row) as i32),
    }
}

fn round(call: &Call, up: bool) -> Result<ArrayRef> {
    let (times, unit) = (call.instants(0)?, constant_unit(call, 1)?);
    if let (DataType::Time32(_), Some(length)) = (call.returns, unit.length_ms()) {
        return round_time(call, length, up);
    }
    let is_date = *call.returns == DataType::Date32;
    call.map_instants(|row| {
        let time = times.civil(row)?;
        let start =
            start_of(time, unit).and_then(|start| if up && start < time { add(start, unit, 1) } else { Some(start) });
        match start {
            Some(start) if is_date => Ok(Some(since_epoch(start))),
            Some(start) => Ok(Some((utc_ms(times.zone, start), 0))),
            None => exec_err!("{} cannot round {time} to {unit:?}", call.name),
        }
    })
}

/// `FLOOR(time TO unit)`.
pub(super) fn floor(call: &Call) -> Result<ArrayRef> {
    round(call, false)
}

/// `CEIL(time TO unit)`.
pub(super) fn ceil(call: &Call) -> Result<ArrayRef> {
    round(call, true)
}

/// A date stays a date unless a time of day is added to it.
pub(super) fn add_type(args: &ReturnFieldArgs) -> Result<DataType> {
    let unit = constant_text(args, 0).and_then(Unit::parse);
    Ok(match args.arg_fields.get(2).map(|field| field.data_type()) {
        Some(DataType::Date32) => match unit {
            Some(Unit::Day | Unit::Week) => DataType::Date32,
            Some(unit) if unit.months().is_some() => DataType::Date32,
            _ => DataType::Timestamp(TimeUnit::Millisecond, None),
        },
        Some(other) => other.clone(),
        None => return plan_err!("TIMESTAMPADD takes a unit, a number and a time"),
    })
}

/// `TIMESTAMPADD(unit, number, time)`; the day of a shorter month is its last.
pub(super) fn timestamp_add(call: &Call) -> Result<ArrayRef> {
    let (unit, count, times) = (constant_unit(call, 0)?, call.longs(1)?, call.instants(2)?);
    // Lengths are added to the instant, months to the calendar.
    let zone = if unit.months().is_some() { times.zone } else { None };
    call.map_instants(|row| {
        let (ms, nanos) = if zone.is_some() { times.local(row) } else { times.at(row) };
        let time = super::date_pattern::civil(ms, nanos).and_then(|time| add(time, unit, count.at(row)));
        match time {
            Some(time) => Ok(Some((utc_ms(zone, time), since_epoch(time).1))),
            None => exec_err!("adding {} times {unit:?} leaves the calendar", count.at(row)),
        }
    })
}

/// `INTERVAL '1' DAY * n`.
pub(super) fn interval_times(call: &Call) -> Result<ArrayRef> {
    let (lengths, counts) = (call.primitive::<IntervalMonthDayNanoType>(0)?, call.longs(1)?);
    call.map_values::<IntervalMonthDayNanoType>(|row| {
        let (length, count) = (lengths.at(row), counts.at(row));
        let narrow = |part: i32| i64::from(part).checked_mul(count).and_then(|part| i32::try_from(part).ok());
        let parts = narrow(length.months).zip(narrow(length.days)).zip(length.nanoseconds.checked_mul(count));
        match parts {
            Some(((months, days), nanoseconds)) => Ok(Some(IntervalMonthDayNano { months, days, nanoseconds })),
            None => exec_err!("an interval {count} times over is too long"),
        }
    })
}

/// Whole months from one time to another.
fn months_between(from: NaiveDateTime, to: NaiveDateTime) -> i64 {
    let count = |time: NaiveDateTime| i64::from(time.year()) * 12 + i64::from(time.month0());
    let months = count(to) - count(from);
    let rest = |time: NaiveDateTime| (time.day(), time.time());
    if 0 < months && rest(to) < rest(from) {
        months - 1
    } else if months < 0 && rest(from) < rest(to) {
        months + 1
    } else {
        months
    }
}

/// `TIMESTAMPDIFF(unit, from, to)`: whole units, towards zero.
pub(super) fn timestamp_diff(call: &Call) -> Result<ArrayRef> {
    let (unit, from, to) = (constant_unit(call, 0)?, call.instants(1)?, call.instants(2)?);
    call.map_values::<Int32Type>(|row| {
        let difference = match (unit.months(), unit.length_ms()) {
            (Some(months), _) => months_between(from.civil(row)?, to.civil(row)?) / months,
            (None, Some(length)) => to.at(row).0.saturating_sub(from.at(row).0) / length,
            (None, None) => return exec_err!("TIMESTAMPDIFF does not count in {unit:?}"),
        };
        match i32::try_from(difference) {
            Ok(difference) => Ok(Some(difference)),
            Err(_) => exec_err!("TIMESTAMPDIFF gave {difference}, which an INT cannot hold"),
        }
    })
}

/// `CAST(x AS TIMESTAMP(2))`: a type holds milliseconds, microseconds or nanoseconds, so other digits are cut off here.
pub(super) fn keep_digits(call: &Call) -> Result<ArrayRef> {
    let (times, digits) = (&call.argument(0)?.array, call.longs(1)?.at(0));
    let held = match times.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => 0,
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Time32(_) => 3,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 6,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 9,
        other => return exec_err!("{} takes a time with a fraction, not {other}", call.name),
    };
    let Some(step) = u32::try_from(held - digits).ok().and_then(|cut| 10_i64.checked_pow(cut)) else {
        return Ok(Arc::clone(times));
    };
    let cut = |time: i64| time - time.rem_euclid(step);
    if let DataType::Time32(_) = times.data_type() {
        let values = times.as_primitive::<Time32MillisecondType>();
        return Ok(Arc::new(values.unary::<_, Time32MillisecondType>(|time| cut(i64::from(time)) as i32)));
    }
    let values = cast(times, &DataType::Int64)?;
    let kept = values.as_primitive::<Int64Type>().unary::<_, Int64Type>(cut);
    Ok(cast(&kept, times.data_type())?)
}

/// `DATEDIFF(to, from)`: days between two dates.
pub(super) fn date_diff(call: &Call) -> Result<ArrayRef> {
    let (to, from) = (call.instants(0)?, call.instants(1)?);
    call.map_total::<Int32Type>(|row| {
        (to.local(row).0.div_euclid(DAY_MS) - from.local(row).0.div_euclid(DAY_MS)) as i32
    })
}
