//! Casts of text to DATE, TIME, BOOLEAN, FLOAT and DOUBLE as Flink does them: `'2024-5'` is the first of May,
//! `'5'` a TIME at five o'clock.
//!
//! Arrow's kernel reads other forms: `'12'` as milliseconds of the day, `'20240506'` as a date, `'on'` as TRUE.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float32Type, Float64Type, Time32MillisecondType, TimeUnit};
use chrono::{Datelike, NaiveDate};
use corelane_stream::sql_type;
use datafusion_common::{Result, exec_err, internal_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Days from the start of chrono's calendar to 1970-01-01.
const EPOCH_DAYS: i32 = 719_163;

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextCast {
    wanted: DataType,
    /// TRY_CAST: what cannot be cast is NULL.
    safe: bool,
    signature: Signature,
}

/// True for the types that text is cast to here.
pub(super) fn is_from_text(wanted: &DataType) -> bool {
    use DataType::{Boolean, Date32, Float32, Float64, Time32};
    matches!(wanted, Boolean | Date32 | Float32 | Float64 | Time32(TimeUnit::Millisecond))
}

/// The function that casts texts to a type.
pub(super) fn text_cast(wanted: &DataType, safe: bool) -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::from(TextCast { wanted: wanted.clone(), safe, signature }))
}

impl ScalarUDFImpl for TextCast {
    fn name(&self) -> &str {
        "cast_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.wanted.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [texts] = texts.as_slice() else { return internal_err!("a text is cast by itself") };
        let texts = cast(texts, &DataType::Utf8View)?;
        let texts = texts.as_string_view();
        let cast: ArrayRef = match &self.wanted {
            DataType::Boolean => Arc::new(texts.iter().map(|text| text.and_then(boolean)).collect::<BooleanArray>()),
            DataType::Date32 => values::<Date32Type>(texts, date),
            DataType::Time32(TimeUnit::Millisecond) => values::<Time32MillisecondType>(texts, time),
            DataType::Float32 => values::<Float32Type>(texts, |text| number(text)?.parse().ok()),
            DataType::Float64 => values::<Float64Type>(texts, |text| number(text)?.parse().ok()),
            other => return internal_err!("texts are not cast to {other} here"),
        };
        if !self.safe
            && cast.null_count() != texts.null_count()
            && let Some(row) = (0..texts.len()).find(|row| texts.is_valid(*row) && cast.is_null(*row))
        {
            return exec_err!("cannot cast '{}' to {}", texts.value(row), sql_type(&self.wanted));
        }
        Ok(ColumnarValue::Array(cast))
    }
}

fn values<T: arrow::array::ArrowPrimitiveType>(
    texts: &StringViewArray,
    read: impl Fn(&str) -> Option<T::Native>,
) -> ArrayRef {
    Arc::new(texts.iter().map(|text| text.and_then(&read)).collect::<PrimitiveArray<T>>())
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// `y[-m[-d]]`, and what follows behind a space is of no account.
fn date(text: &str) -> Option<i32> {
    let text = match text.find(' ') {
        Some(space) if 0 < space => &text[..space],
        _ => text,
    };
    let mut parts = text.splitn(3, '-').map(whole);
    let year = i32::try_from(parts.next()??).ok()?;
    let [month, day] = [parts.next().unwrap_or(Some(1))?, parts.next().unwrap_or(Some(1))?];
    let date = NaiveDate::from_ymd_opt(year, month, day).filter(|_| year <= 9_999)?;
    Some(date.num_days_from_ce() - EPOCH_DAYS)
}

/// `h[:m[:s[.fraction]]]`, in milliseconds of the day.
fn time(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, ':');
    let hour = whole(parts.next()?)?;
    let minute = parts.next().map_or(Some(0), whole)?;
    let (second, fraction) = match parts.next() {
        Some(seconds) => match seconds.split_once('.') {
            Some((second, fraction)) => (whole(second)?, milliseconds(fraction.trim())?),
            None => (whole(seconds)?, 0),
        },
        None => (0, 0),
    };
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then(|| ((hour * 60 + minute) * 60 + second) as i32 * 1_000 + fraction)
}

/// The first three digits of a fraction of a second.
fn milliseconds(fraction: &str) -> Option<i32> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    Some(digits.fold(0, |value, digit| value * 10 + i32::from(digit - b'0')))
}

fn whole(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A number as Java reads it, in the form in which Rust does: `1.5d` and `NaN` are numbers, `inf` is none.
fn number(text: &str) -> Option<&str> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return Some(text);
    }
    let plain = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    unsigned.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.').then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_times_and_numbers_as_flink_reads_them() {
        let day = |text: &str| date(text).map(|days| NaiveDate::from_num_days_from_ce_opt(days + EPOCH_DAYS).unwrap());
        for (text, expected) in [
            ("2024-05-06", "2024-05-06"),
            ("2024", "2024-01-01"),
            ("2024-5", "2024-05-01"),
            (" 2024-05-06 ", "2024-05-06"),
            ("2024-05-06 12:00:00", "2024-05-06"),
            ("1969-12-31", "1969-12-31"),
        ] {
            assert_eq!(day(text).map(|day| day.to_string()).as_deref(), Some(expected), "{text}");
        }
        for text in ["20240506", "2024-05-06T00:00:00", "2024-13-01", "2024-02-30", "", "x", "-5-01-01", "2024-"] {
            assert_eq!(date(text), None, "{text}");
        }
        for (text, expected) in [
            ("12", 43_200_000),
            ("1:2:3", 3_723_000),
            ("01:02", 3_720_000),
            ("23:59:59.9876", 86_399_987),
            ("5", 18_000_000),
        ] {
            assert_eq!(time(text), Some(expected), "{text}");
        }
        for text in ["123456", "99", "24:00:00", "1:60", "1:2:3.x", ""] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!([boolean("Yes"), boolean("on"), boolean(" true")], [Some(true), None, None]);
        let double = |text: &str| number(text).and_then(|text| text.parse::<f64>().ok());
        assert_eq!(
            [double("1.5d"), double(" -2 "), double("-Infinity")],
            [Some(1.5), Some(-2.0), Some(f64::NEG_INFINITY)]
        );
        assert!(double("NaN").is_some_and(f64::is_nan));
        assert_eq!([double("inf"), double("nan"), double("d"), double("1x")], [None; 4]);
    }
}
