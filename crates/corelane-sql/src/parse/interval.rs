//! The value of an `INTERVAL` literal.
//!
//! sqlparser keeps the quoted text as it stands. Its meaning depends on the fields named after
//! it: `'1:30' MINUTE TO SECOND` is ninety seconds. Months and nanoseconds are kept apart because
//! a month has no fixed length.

use sqlparser::ast::{DateTimeField, Expr, Interval, UnaryOperator, Value};

use crate::error::SqlError;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Digits that a precision may give the first field, as in Flink.
const LEADING_DIGITS_MAX: u64 = 10;

/// Digits that a precision may give the fraction of a second.
const FRACTION_DIGITS_MAX: u64 = 9;

/// The digits that both have where none are written, as in Flink.
const LEADING_DIGITS: u64 = 2;
const FRACTION_DIGITS: u64 = 6;

/// A signed length of time. One of the two parts is zero, as SQL has no mixed intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalValue {
    pub months: i32,
    pub nanos: i64,
}

impl IntervalValue {
    /// Whole milliseconds; none for months and for what is finer.
    pub fn millis(self) -> Option<i64> {
        let is_exact = self.months == 0 && self.nanos % 1_000_000 == 0;
        is_exact.then_some(self.nanos / 1_000_000)
    }
}

/// Units from the largest to the smallest, in nanoseconds, or in months for the first three.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

impl Unit {
    fn of(field: &DateTimeField) -> Option<Unit> {
        Some(match field {
            DateTimeField::Year | DateTimeField::Years => Unit::Year,
            DateTimeField::Quarter => Unit::Quarter,
            DateTimeField::Month | DateTimeField::Months => Unit::Month,
            DateTimeField::Week(_) | DateTimeField::Weeks => Unit::Week,
            DateTimeField::Day | DateTimeField::Days => Unit::Day,
            DateTimeField::Hour | DateTimeField::Hours => Unit::Hour,
            DateTimeField::Minute | DateTimeField::Minutes => Unit::Minute,
            DateTimeField::Second | DateTimeField::Seconds => Unit::Second,
            _ => return None,
        })
    }

    fn is_of_months(self) -> bool {
        self <= Unit::Month
    }

    /// Months or nanoseconds in one of this unit.
    fn size(self) -> i64 {
        match self {
            Unit::Year => 12,
            Unit::Quarter => 3,
            Unit::Month => 1,
            Unit::Week => 7 * 86_400 * NANOS_PER_SECOND,
            Unit::Day => 86_400 * NANOS_PER_SECOND,
            Unit::Hour => 3_600 * NANOS_PER_SECOND,
            Unit::Minute => 60 * NANOS_PER_SECOND,
            Unit::Second => NANOS_PER_SECOND,
        }
    }

    /// What separates this unit from the next smaller one in the quoted text.
    fn separator(self) -> char {
        match self {
            Unit::Year => '-',
            Unit::Day => ' ',
            Unit::Quarter | Unit::Month | Unit::Week | Unit::Hour | Unit::Minute | Unit::Second => ':',
        }
    }

    fn next_smaller(self) -> Option<Unit> {
        match self {
            Unit::Year => Some(Unit::Month),
            Unit::Day => Some(Unit::Hour),
            Unit::Hour => Some(Unit::Minute),
            Unit::Minute => Some(Unit::Second),
            Unit::Quarter | Unit::Month | Unit::Week | Unit::Second => None,
        }
    }
}

/// Reads an interval literal as it is written: its numbers have no more digits than its fields say.
///
/// # Errors
/// As for [`interval_value`], and for a digit too many.
pub fn interval_as_written(interval: &Interval) -> Result<IntervalValue, SqlError> {
    let value = interval_value(interval)?;
    let text = quoted_text(&interval.value).map_or("", |(text, _)| text.trim());
    check_digits(interval, text).map_err(|error| error.at_node(interval.value.as_ref()))?;
    Ok(value)
}

/// Reads an interval literal that may have been simplified, to more digits than fields have.
///
/// # Errors
/// Where the text does not fit its fields or is too long.
pub fn interval_value(interval: &Interval) -> Result<IntervalValue, SqlError> {
    let malformed = || {
        SqlError::new(format!("{interval} is not an interval"))
            .with_hint("write it as INTERVAL '10' SECOND or INTERVAL '1:30' MINUTE TO SECOND")
            .at_node(interval.value.as_ref())
    };
    let (text, is_negated) = quoted_text(&interval.value).ok_or_else(malformed)?;
    let first = interval.leading_field.as_ref().and_then(Unit::of).ok_or_else(malformed)?;
    let last = match &interval.last_field {
        Some(field) => Unit::of(field).ok_or_else(malformed)?,
        None => first,
    };
    let amount = parse_amount(text.trim(), first, last).ok_or_else(malformed)?;
    let amount = if is_negated { -amount } else { amount };
    if first.is_of_months() {
        let months = i32::try_from(amount).map_err(|_| malformed())?;
        return Ok(IntervalValue { months, nanos: 0 });
    }
    Ok(IntervalValue { months: 0, nanos: amount })
}

/// `INTERVAL '100' DAY` has a digit too many: without a precision there are two. A bare number may have any.
fn check_digits(interval: &Interval, text: &str) -> Result<(), SqlError> {
    let field = interval.leading_field.as_ref().map_or_else(String::new, ToString::to_string);
    let check = |what: &str, digits: usize, written: Option<u64>, own: u64, most: u64| {
        if let Some(precision) = written.filter(|precision| !(1..=most).contains(precision)) {
            return Err(SqlError::new(format!("the precision of {what} is 1 to {most}, not {precision}")));
        }
        let precision = written.unwrap_or(own);
        if digits as u64 <= precision {
            return Ok(());
        }
        let hint = match (written, what == field) {
            (Some(_), _) => "raise the precision".to_owned(),
            (None, true) => format!("say how many it has: {field}({digits})"),
            (None, false) => format!("say how many it has: SECOND({LEADING_DIGITS}, {digits})"),
        };
        let error = format!("the interval has {digits} digits of {what}, more than its precision {precision}");
        Err(SqlError::new(error).with_hint(hint))
    };
    let leading = text.trim_start_matches(['+', '-', '0']);
    let leading = leading.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(leading.len());
    let is_bare = matches!(interval.value.as_ref(), Expr::Value(value) if matches!(value.value, Value::Number(_, _)));
    let own = if is_bare { LEADING_DIGITS_MAX } else { LEADING_DIGITS };
    let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    check(&field, leading, interval.leading_precision, own, LEADING_DIGITS_MAX)?;
    let precision = interval.fractional_seconds_precision;
    check("the fraction of a SECOND", fraction, precision, FRACTION_DIGITS, FRACTION_DIGITS_MAX)
}

/// The text of `'..'` or a bare number, and whether a minus stands before it.
fn quoted_text(expr: &Expr) -> Option<(&str, bool)> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::Number(text, _) => Some((text, false)),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(_) => quoted_text(expr).map(|(text, _)| (text, true)),
            _ => None,
        },
        _ => None,
    }
}

/// Adds up the fields from `first` to `last`. None where the text has more or fewer, where a
/// field is not a number, and on overflow.
fn parse_amount(text: &str, first: Unit, last: Unit) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut unit = first;
    let mut sum: i64 = 0;
    while unit != last {
        let (field, smaller) = rest.split_once(unit.separator())?;
        sum = sum.checked_add(whole(field)?.checked_mul(unit.size())?)?;
        rest = smaller.trim_start();
        unit = unit.next_smaller()?;
    }
    let (field, fraction) = match rest.split_once('.') {
        Some((field, fraction)) if unit == Unit::Second => (field, nanos_of_fraction(fraction)?),
        Some(_) => return None,
        None => (rest, 0),
    };
    sum = sum.checked_add(whole(field)?.checked_mul(unit.size())?)?.checked_add(fraction)?;
    Some(sign * sum)
}

/// Digits only: `parse` alone would take a sign.
fn whole(field: &str) -> Option<i64> {
    if field.is_empty() || !field.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    field.parse().ok()
}

/// `"5"` is half a second: 500,000,000 nanoseconds.
fn nanos_of_fraction(digits: &str) -> Option<i64> {
    let length = u32::try_from(digits.len()).ok()?;
    Some(whole(digits)? * 10_i64.pow(9_u32.checked_sub(length)?))
}
