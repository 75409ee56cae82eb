//! Values from text: whole numbers, floats, exact decimals, dates and times.
//!
//! JSON and CSV share these, so that the same text means the same value in both. Numbers are
//! scanned once into a mantissa; what fits in it (nearly everything) never goes through a
//! library, and what does not takes the slow, exact way.

use arrow::datatypes::TimeUnit;

/// Why a text is no value of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not written like one.
    Form,
    /// It is too large or too small.
    Range,
}

/// How timestamps are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampStyle {
    /// `yyyy-MM-dd HH:mm:ss.fff`
    #[default]
    Sql,
    /// `yyyy-MM-ddTHH:mm:ss.fff`
    Iso8601,
    /// Either of them.
    Either,
}

/// The largest whole number below which every whole number is an `f64`.
const F64_EXACT_MAX: u64 = 1 << 53;
const F32_EXACT_MAX: u64 = 1 << 24;
/// Digits that always fit in a `u64` mantissa.
const MANTISSA_DIGITS_MAX: usize = 19;

const POWERS_OF_TEN_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
const POWERS_OF_TEN_F32: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// A number as it is written. `text` has been checked to be nothing but a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a> {
    pub text: &'a [u8],
    negative: bool,
    /// Its digits without point and exponent; meaningless if there are more than 19.
    mantissa: u64,
    pub whole_digits: usize,
    pub fraction_digits: usize,
    pub point: bool,
    pub exponent: bool,
}

impl<'a> Number<'a> {
    /// Scans the number that `bytes` begin with; `None` if they do not begin with one.
    #[inline]
    pub fn scan(bytes: &'a [u8]) -> Option<Number<'a>> {
        let negative = bytes.first() == Some(&b'-');
        let start = usize::from(negative || bytes.first() == Some(&b'+'));
        let mut mantissa = 0u64;
        let mut at = start;
        at += digits(&bytes[at..], &mut mantissa);
        let whole_digits = at - start;
        let mut fraction_digits = 0;
        let point = bytes.get(at) == Some(&b'.');
        if point {
            at += 1;
            fraction_digits = digits(&bytes[at..], &mut mantissa);
            at += fraction_digits;
        }
        if whole_digits + fraction_digits == 0 {
            return None;
        }
        let exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
        if exponent {
            at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent_digits = digits(bytes.get(at..)?, &mut 0);
            if exponent_digits == 0 {
                return None;
            }
            at += exponent_digits;
        }
        Some(Number { text: &bytes[..at], negative, mantissa, whole_digits, fraction_digits, point, exponent })
    }

    /// Scans a text that must be a number from end to end.
    #[inline]
    pub fn whole_text(text: &'a [u8]) -> Result<Number<'a>, Wrong> {
        match Number::scan(text) {
            Some(number) if number.text.len() == text.len() => Ok(number),
            Some(_) | None => Err(Wrong::Form),
        }
    }

    fn is_plain(&self) -> bool {
        !self.exponent && self.whole_digits + self.fraction_digits <= MANTISSA_DIGITS_MAX
    }

    /// As a whole number; a fraction of zeros is none.
    #[inline]
    pub fn to_i64(self) -> Result<i64, Wrong> {
        if self.is_plain() && self.fraction_digits == 0 {
            let magnitude = i64::try_from(self.mantissa);
            return match magnitude {
                Ok(magnitude) => Ok(if self.negative { -magnitude } else { magnitude }),
                Err(_) if self.negative && self.mantissa == 1 << 63 => Ok(i64::MIN),
                Err(_) => Err(Wrong::Range),
            };
        }
        let (value, exact) = self.scaled(0)?;
        if exact { i64::try_from(value).map_err(|_| Wrong::Range) } else { Err(Wrong::Form) }
    }

    /// As the nearest `f64`.
    #[inline]
    pub fn to_f64(self) -> Result<f64, Wrong> {
        // Both mantissa and power are exact, so the one division rounds correctly (Clinger, 1990).
        if self.is_plain() && self.mantissa <= F64_EXACT_MAX {
            let magnitude = self.mantissa as f64 / POWERS_OF_TEN_F64[self.fraction_digits];
            return Ok(if self.negative { -magnitude } else { magnitude });
        }
        let value: f64 = self.as_str().parse().map_err(|_| Wrong::Form)?;
        if value.is_finite() { Ok(value) } else { Err(Wrong::Range) }
    }

    /// As the nearest `f32`.
    pub fn to_f32(self) -> Result<f32, Wrong> {
        if self.is_plain() && self.mantissa <= F32_EXACT_MAX && self.fraction_digits < POWERS_OF_TEN_F32.len() {
            let magnitude = self.mantissa as f32 / POWERS_OF_TEN_F32[self.fraction_digits];
            return Ok(if self.negative { -magnitude } else { magnitude });
        }
        let value: f32 = self.as_str().parse().map_err(|_| Wrong::Form)?;
        if value.is_finite() { Ok(value) } else { Err(Wrong::Range) }
    }

    /// As an exact decimal, rounded half up to the scale as Flink does.
    #[inline]
    pub fn to_decimal(self, precision: u8, scale: i8) -> Result<i128, Wrong> {
        let missing = scale as isize - self.fraction_digits as isize;
        let value = match u32::try_from(missing) {
            Ok(missing) if self.is_plain() => {
                let magnitude = 10i128.checked_pow(missing).and_then(|power| power.checked_mul(self.mantissa.into()));
                let magnitude = magnitude.ok_or(Wrong::Range)?;
                if self.negative { -magnitude } else { magnitude }
            }
            Ok(_) | Err(_) => self.scaled(scale)?.0,
        };
        let limit = 10i128.pow(u32::from(precision));
        if -limit < value && value < limit { Ok(value) } else { Err(Wrong::Range) }
    }

    /// The number times ten to the `scale`, rounded half up, and whether nothing was rounded away.
    fn scaled(self, scale: i8) -> Result<(i128, bool), Wrong> {
        let mantissa_end = self.text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(self.text.len());
        let exponent: i64 = match std::str::from_utf8(&self.text[(mantissa_end + 1).min(self.text.len())..]) {
            Ok("") | Err(_) => 0,
            // An exponent beyond i32 is as good as infinite for 38 digits.
            Ok(text) => {
                text.parse::<i32>().map_or(if text.starts_with('-') { i32::MIN } else { i32::MAX }, |e| e).into()
            }
        };
        let mut digits = self.text[..mantissa_end].iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0');
        let kept = self.whole_digits as i64 + exponent + i64::from(scale);
        if kept < 0 {
            return Ok((0, digits.all(|digit| digit == 0)));
        }
        let mut value = 0i128;
        for _ in 0..kept {
            let digit = digits.next();
            if digit.is_none() && value == 0 {
                break;
            }
            let shifted = value.checked_mul(10).and_then(|value| value.checked_add(digit.unwrap_or(0).into()));
            value = shifted.ok_or(Wrong::Range)?;
        }
        let first_dropped = digits.next().unwrap_or(0);
        let exact = first_dropped == 0 && digits.all(|digit| digit == 0);
        value += i128::from(first_dropped >= 5);
        Ok((if self.negative { -value } else { value }, exact))
    }

    fn as_str(&self) -> &'a str {
        std::str::from_utf8(self.text).expect("a number is written in ASCII")
    }
}

#[inline]
fn digits(bytes: &[u8], mantissa: &mut u64) -> usize {
    let mut count = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if 9 < digit {
            break;
        }
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(digit.into());
        count += 1;
    }
    count
}

/// A float, or one of the words that Java's `Double` reads.
pub(crate) fn parse_f64(text: &[u8]) -> Result<f64, Wrong> {
    match text {
        b"NaN" => Ok(f64::NAN),
        b"Infinity" | b"+Infinity" => Ok(f64::INFINITY),
        b"-Infinity" => Ok(f64::NEG_INFINITY),
        _ => Number::whole_text(text)?.to_f64(),
    }
}

pub(crate) fn parse_f32(text: &[u8]) -> Result<f32, Wrong> {
    match text {
        b"NaN" => Ok(f32::NAN),
        b"Infinity" | b"+Infinity" => Ok(f32::INFINITY),
        b"-Infinity" => Ok(f32::NEG_INFINITY),
        _ => Number::whole_text(text)?.to_f32(),
    }
}

pub(crate) fn parse_boolean(text: &[u8]) -> Result<bool, Wrong> {
    if text.eq_ignore_ascii_case(b"true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Ok(false)
    } else {
        Err(Wrong::Form)
    }
}

/// `yyyy-MM-dd` as days since the epoch.
pub(crate) fn parse_date(text: &[u8]) -> Result<i32, Wrong> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else { return Err(Wrong::Form) };
    let year = i32::from(two_digits(*y0, *y1)?) * 100 + i32::from(two_digits(*y2, *y3)?);
    let month = two_digits(*m0, *m1)?;
    let day = two_digits(*d0, *d1)?;
    if !(1..=12).contains(&month) || day == 0 || days_in_month(year, month) < day {
        return Err(Wrong::Form);
    }
    Ok(days_from_civil(year, month, day))
}

/// `HH:mm:ss[.fffffffff]` as nanoseconds of the day.
pub(crate) fn parse_time(text: &[u8]) -> Result<i64, Wrong> {
    let (hour, minute, rest) = match text {
        [h0, h1, b':', m0, m1, rest @ ..] => (two_digits(*h0, *h1)?, two_digits(*m0, *m1)?, rest),
        _ => return Err(Wrong::Form),
    };
    let (second, fraction) = match rest {
        [] => (0, rest),
        [b':', s0, s1, fraction @ ..] => (two_digits(*s0, *s1)?, fraction),
        _ => return Err(Wrong::Form),
    };
    if 23 < hour || 59 < minute || 59 < second {
        return Err(Wrong::Form);
    }
    let mut nanos = 0i64;
    if let [b'.', fraction @ ..] = fraction {
        if fraction.is_empty() || 9 < fraction.len() || !fraction.iter().all(u8::is_ascii_digit) {
            return Err(Wrong::Form);
        }
        nanos = fraction.iter().fold(0, |nanos, byte| nanos * 10 + i64::from(byte - b'0'));
        nanos *= 10i64.pow(9 - fraction.len() as u32);
    } else if !fraction.is_empty() {
        return Err(Wrong::Form);
    }
    let seconds = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
    Ok(seconds * 1_000_000_000 + nanos)
}

/// A timestamp in `unit`s since the epoch. `Z` is accepted behind any; an offset only where
/// `zoned`, because a plain TIMESTAMP has no zone to be moved to.
pub(crate) fn parse_timestamp(text: &[u8], style: TimestampStyle, unit: TimeUnit, zoned: bool) -> Result<i64, Wrong> {
    if text.len() < 16 {
        return Err(Wrong::Form);
    }
    let separator_fits = match style {
        TimestampStyle::Sql => text[10] == b' ',
        TimestampStyle::Iso8601 => text[10] == b'T',
        TimestampStyle::Either => matches!(text[10], b' ' | b'T'),
    };
    if !separator_fits {
        return Err(Wrong::Form);
    }
    let days = parse_date(&text[..10])?;
    let mut time = &text[11..];
    let mut offset_seconds = 0;
    if let [rest @ .., b'Z'] = time {
        time = rest;
    } else if let [rest @ .., sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] = time
        && zoned
    {
        let seconds = (i64::from(two_digits(*h0, *h1)?) * 60 + i64::from(two_digits(*m0, *m1)?)) * 60;
        offset_seconds = if *sign == b'-' { -seconds } else { seconds };
        time = rest;
    }
    let nanos_of_day = parse_time(time)?;
    let seconds = i64::from(days) * 86_400 + nanos_of_day.div_euclid(1_000_000_000) - offset_seconds;
    let nanos = nanos_of_day.rem_euclid(1_000_000_000);
    match unit {
        TimeUnit::Second => Ok(seconds),
        TimeUnit::Millisecond => Ok(seconds * 1_000 + nanos / 1_000_000),
        TimeUnit::Microsecond => Ok(seconds * 1_000_000 + nanos / 1_000),
        TimeUnit::Nanosecond => {
            seconds.checked_mul(1_000_000_000).and_then(|value| value.checked_add(nanos)).ok_or(Wrong::Range)
        }
    }
}

fn two_digits(tens: u8, ones: u8) -> Result<u8, Wrong> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens <= 9 && ones <= 9 { Ok(tens * 10 + ones) } else { Err(Wrong::Form) }
}

fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible
/// low-level date algorithms").
fn days_from_civil(year: i32, month: u8, day: u8) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (i32::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i32::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Number<'_> {
        Number::whole_text(text.as_bytes()).expect("is a number")
    }

    #[test]
    fn numbers_at_the_edges() {
        assert_eq!(number("9223372036854775807").to_i64(), Ok(i64::MAX));
        assert_eq!(number("-9223372036854775808").to_i64(), Ok(i64::MIN));
        assert_eq!(number("9223372036854775808").to_i64(), Err(Wrong::Range));
        assert_eq!(number("99999999999999999999999").to_i64(), Err(Wrong::Range));
        assert_eq!(number("12.00").to_i64(), Ok(12));
        assert_eq!(number("12.5").to_i64(), Err(Wrong::Form));
        assert_eq!(number("1e3").to_i64(), Ok(1000));
        assert_eq!(number("0e999999999999").to_i64(), Ok(0));
        assert_eq!(number("1e999999999999").to_i64(), Err(Wrong::Range));
        assert_eq!(number("1e999").to_f64(), Err(Wrong::Range));
        assert_eq!(number("1.005").to_decimal(10, 2), Ok(101));
        assert_eq!(number("-1.005").to_decimal(10, 2), Ok(-101));
        assert_eq!(number("1.5e-3").to_decimal(10, 4), Ok(15));
        assert_eq!(number("99999999.99").to_decimal(10, 2), Ok(9_999_999_999));
        assert_eq!(number("100000000").to_decimal(10, 2), Err(Wrong::Range));
        assert_eq!(
            number("12345678901234567890123456789012345678").to_decimal(38, 0),
            Ok(12_345_678_901_234_567_890_123_456_789_012_345_678)
        );
        assert!(Number::whole_text(b"1.2.3").is_err());
        assert!(Number::whole_text(b"1e").is_err());
        assert!(Number::whole_text(b".").is_err());
    }

    #[test]
    fn times_that_are_none_are_refused() {
        let ms = |text: &str, style| parse_timestamp(text.as_bytes(), style, TimeUnit::Millisecond, false);
        assert_eq!(ms("2024-02-29 12:34:56.789", TimestampStyle::Sql), Ok(1_709_210_096_789));
        assert_eq!(ms("2024-02-29T12:34:56.789Z", TimestampStyle::Iso8601), Ok(1_709_210_096_789));
        assert_eq!(ms("1969-12-31 23:59:59.999", TimestampStyle::Sql), Ok(-1));
        for text in [
            "2023-02-29 00:00:00",
            "2024-13-01 00:00:00",
            "2024-01-01 24:00:00",
            "2024-01-01T00:00:00",
            "yesterday, about ten",
        ] {
            assert_eq!(ms(text, TimestampStyle::Sql), Err(Wrong::Form), "{text}");
        }
        let zoned = parse_timestamp(b"2024-01-01T01:00:00+01:00", TimestampStyle::Either, TimeUnit::Second, true);
        assert_eq!(zoned, Ok(1_704_067_200));
        assert_eq!(parse_date(b"1970-01-01"), Ok(0));
        assert_eq!(parse_time(b"00:00:01.5"), Ok(1_500_000_000));
    }

    proptest! {
        #[test]
        fn floats_are_the_nearest(text in "-?[0-9]{1,18}(\\.[0-9]{1,18})?(e-?[0-9]{1,2})?") {
            prop_assert_eq!(number(&text).to_f64(), Ok(text.parse::<f64>().expect("is a float")));
            prop_assert_eq!(number(&text).to_f32().ok(), Some(text.parse::<f32>().expect("is a float")).filter(|f| f.is_finite()));
        }

        #[test]
        fn dates_agree_with_chrono(days in -700_000i32..2_900_000) {
            let date = chrono::DateTime::from_timestamp(i64::from(days) * 86_400, 0).expect("in range").date_naive();
            prop_assume!((0..=9999).contains(&chrono::Datelike::year(&date)));
            prop_assert_eq!(parse_date(date.format("%Y-%m-%d").to_string().as_bytes()), Ok(days));
        }
    }
}
