//! Java's date patterns: `yyyy-MM-dd HH:mm:ss.SSS` compiled to fields, written and read.
//!
//! Times are milliseconds since the epoch on the wall clock of the session's zone, plus the nanoseconds below the
//! millisecond. A compiled pattern knows its finest unit: times in one such unit have one text.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub(super) const SECOND_MS: i64 = 1_000;
pub(super) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(super) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// The longest fraction of a second that a pattern may ask for.
const FRACTION_DIGITS_MAX: usize = 9;

/// What a letter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Year,
    WeekYear,
    Quarter,
    Month,
    WeekOfYear,
    DayOfYear,
    Day,
    WeekdayName,
    WeekdayNumber,
    AmPm,
    /// 0 to 23.
    Hour,
    /// 1 to 24.
    ClockHour,
    /// 0 to 11.
    HalfDayHour,
    /// 1 to 12.
    HalfDayClockHour,
    Minute,
    Second,
    Fraction,
    MilliOfDay,
    Era,
    Offset,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Literal(String),
    Value(Letter, usize),
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct DatePattern {
    fields: Vec<Field>,
    /// All times within one multiple of this many milliseconds have the same text.
    pub resolution_ms: i64,
}

impl DatePattern {
    /// # Errors
    /// If a letter of the pattern is unknown or a quote is left open.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let mut fields: Vec<Field> = Vec::new();
        let mut resolution_ms = DAY_MS;
        let mut letters = pattern.chars().peekable();
        let literal = |fields: &mut Vec<Field>, letter: char| match fields.last_mut() {
            Some(Field::Literal(text)) => text.push(letter),
            _ => fields.push(Field::Literal(letter.to_string())),
        };
        while let Some(letter) = letters.next() {
            if letter == '\'' {
                if letters.peek() == Some(&'\'') {
                    letters.next();
                    literal(&mut fields, '\'');
                    continue;
                }
                loop {
                    match letters.next() {
                        Some('\'') if letters.peek() == Some(&'\'') => {
                            letters.next();
                            literal(&mut fields, '\'');
                        }
                        Some('\'') => break,
                        Some(quoted) => literal(&mut fields, quoted),
                        None => return Err(format!("date pattern '{pattern}' leaves a quote open")),
                    }
                }
                continue;
            }
            if !letter.is_ascii_alphabetic() {
                literal(&mut fields, letter);
                continue;
            }
            let mut width = 1;
            while letters.next_if_eq(&letter).is_some() {
                width += 1;
            }
            let (value, unit_ms) =
                meaning(letter).ok_or(format!("date pattern '{pattern}' has the unknown letter '{letter}'"))?;
            if FRACTION_DIGITS_MAX < width {
                return Err(format!("date pattern '{pattern}' repeats '{letter}' too often"));
            }
            // Below a millisecond no two times are taken to be alike.
            let unit_ms = if value == Letter::Fraction && 3 < width { 0 } else { unit_ms };
            resolution_ms = resolution_ms.min(unit_ms);
            fields.push(Field::Value(value, width));
        }
        Ok(DatePattern { fields, resolution_ms })
    }

    /// Appends the text of a time; false if it is out of the calendar.
    pub fn format(&self, ms: i64, nanos: u32, offset_seconds: i32, out: &mut String) -> bool {
        let Some(time) = civil(ms, nanos) else { return false };
        for field in &self.fields {
            match field {
                Field::Literal(text) => out.push_str(text),
                Field::Value(letter, width) => write_value(*letter, *width, time, offset_seconds, out),
            }
        }
        true
    }

    /// The time a text denotes; what the pattern leaves out is that of 1970-01-01 00:00:00.
    pub fn parse(&self, text: &str) -> Option<NaiveDateTime> {
        let mut read = Read::default();
        let mut rest = text;
        for (index, field) in self.fields.iter().enumerate() {
            let adjacent = matches!(self.fields.get(index + 1), Some(Field::Value(_, _)));
            rest = match field {
                Field::Literal(literal) => rest.strip_prefix(literal.as_str())?,
                Field::Value(letter, width) => read.take(*letter, *width, adjacent, rest)?,
            };
        }
        if rest.is_empty() { read.time() } else { None }
    }
}

fn meaning(letter: char) -> Option<(Letter, i64)> {
    Some(match letter {
        'y' | 'u' => (Letter::Year, DAY_MS),
        'Y' => (Letter::WeekYear, DAY_MS),
        'Q' | 'q' => (Letter::Quarter, DAY_MS),
        'M' | 'L' => (Letter::Month, DAY_MS),
        'w' => (Letter::WeekOfYear, DAY_MS),
        'D' => (Letter::DayOfYear, DAY_MS),
        'd' => (Letter::Day, DAY_MS),
        'E' => (Letter::WeekdayName, DAY_MS),
        'e' => (Letter::WeekdayNumber, DAY_MS),
        'G' => (Letter::Era, DAY_MS),
        'a' => (Letter::AmPm, 12 * HOUR_MS),
        'H' => (Letter::Hour, HOUR_MS),
        'k' => (Letter::ClockHour, HOUR_MS),
        'K' => (Letter::HalfDayHour, HOUR_MS),
        'h' => (Letter::HalfDayClockHour, HOUR_MS),
        'm' => (Letter::Minute, MINUTE_MS),
        's' => (Letter::Second, SECOND_MS),
        'S' => (Letter::Fraction, 1),
        'n' => (Letter::Fraction, 0),
        'A' => (Letter::MilliOfDay, 1),
        // One wall-clock minute can come twice, with two offsets.
        'X' | 'x' | 'Z' => (Letter::Offset, 0),
        _ => return None,
    })
}

/// The date and time of milliseconds since the epoch; `None` if out of the calendar.
pub(super) fn civil(ms: i64, nanos: u32) -> Option<NaiveDateTime> {
    let seconds = ms.div_euclid(SECOND_MS);
    let nanos = ms.rem_euclid(SECOND_MS) as u32 * 1_000_000 + nanos;
    DateTime::from_timestamp(seconds, nanos).map(|time| time.naive_utc())
}

fn write_value(letter: Letter, width: usize, time: NaiveDateTime, offset_seconds: i32, out: &mut String) {
    let hour = time.hour();
    match letter {
        Letter::Year if width == 2 => write_padded(out, time.year().rem_euclid(100).unsigned_abs(), 2),
        Letter::Year => write_year(out, time.year(), width),
        // Weeks start on Sunday, the first holds January 1st: Java's defaults for English.
        Letter::WeekYear => write_year(out, week(time.date()).0, width),
        Letter::WeekOfYear => write_padded(out, week(time.date()).1, width),
        Letter::Quarter => match (width, time.month0() / 3 + 1) {
            (1 | 2, quarter) => write_padded(out, quarter, width),
            (3, quarter) => {
                let _ = write!(out, "Q{quarter}");
            }
            (_, quarter) => {
                let _ = write!(out, "{} quarter", ["1st", "2nd", "3rd", "4th"][quarter as usize - 1]);
            }
        },
        Letter::Month => match width {
            1 | 2 => write_padded(out, time.month(), width),
            3 => out.push_str(&MONTHS[time.month0() as usize][..3]),
            _ => out.push_str(MONTHS[time.month0() as usize]),
        },
        Letter::DayOfYear => write_padded(out, time.ordinal(), width),
        Letter::Day => write_padded(out, time.day(), width),
        Letter::WeekdayName => {
            let name = WEEKDAYS[time.weekday().num_days_from_monday() as usize];
            out.push_str(if width <= 3 { &name[..3] } else { name });
        }
        Letter::WeekdayNumber => write_padded(out, time.weekday().number_from_sunday(), width),
        Letter::AmPm => out.push_str(if hour < 12 { "AM" } else { "PM" }),
        Letter::Hour => write_padded(out, hour, width),
        Letter::ClockHour => write_padded(out, (hour + 23) % 24 + 1, width),
        Letter::HalfDayHour => write_padded(out, hour % 12, width),
        Letter::HalfDayClockHour => write_padded(out, (hour + 11) % 12 + 1, width),
        Letter::Minute => write_padded(out, time.minute(), width),
        Letter::Second => write_padded(out, time.second(), width),
        Letter::Fraction => {
            write_padded(out, time.nanosecond() / 10_u32.pow((FRACTION_DIGITS_MAX - width) as u32), width)
        }
        Letter::MilliOfDay => {
            write_padded(out, time.num_seconds_from_midnight() * 1_000 + time.nanosecond() / 1_000_000, width);
        }
        Letter::Era => out.push_str(if 0 < time.year() { "AD" } else { "BC" }),
        Letter::Offset => {
            let minutes = offset_seconds.abs() / 60;
            let (sign, separator) = (if offset_seconds < 0 { '-' } else { '+' }, if width == 3 { ":" } else { "" });
            let _ = write!(out, "{sign}{:02}{separator}{:02}", minutes / 60, minutes % 60);
        }
    }
}

fn write_year(out: &mut String, year: i32, width: usize) {
    if year < 0 {
        out.push('-');
    }
    write_padded(out, year.unsigned_abs(), width);
}

/// Writes a number with at least `width` digits.
fn write_padded(out: &mut String, number: u32, width: usize) {
    if width == 2 && number < 100 {
        out.push(char::from(b'0' + (number / 10) as u8));
        out.push(char::from(b'0' + (number % 10) as u8));
        return;
    }
    let _ = write!(out, "{number:0width$}");
}

/// The week-based year and its week, weeks from Sunday.
fn week(date: NaiveDate) -> (i32, u32) {
    let first_weekday =
        |year| NaiveDate::from_ymd_opt(year, 1, 1).map_or(0, |first| first.weekday().num_days_from_sunday());
    let days = if date.leap_year() { 366 } else { 365 };
    if days <= date.ordinal0() + first_weekday(date.year() + 1) && date.month() == 12 {
        return (date.year() + 1, 1);
    }
    (date.year(), (date.ordinal0() + first_weekday(date.year())) / 7 + 1)
}

/// What a text gave so far.
#[derive(Default)]
struct Read {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    hour: Option<u32>,
    half_day_hour: Option<u32>,
    afternoon: Option<bool>,
    minute: Option<u32>,
    second: Option<u32>,
    nanos: Option<u32>,
    offset_minutes: i32,
}

impl Read {
    /// Reads one field and gives the rest of the text.
    fn take<'t>(&mut self, letter: Letter, width: usize, adjacent: bool, text: &'t str) -> Option<&'t str> {
        match letter {
            Letter::Month if 3 <= width => {
                let (index, rest) = take_name(text, &MONTHS, width)?;
                self.month = Some(index + 1);
                return Some(rest);
            }
            Letter::WeekdayName => return take_name(text, &WEEKDAYS, width).map(|(_, rest)| rest),
            Letter::AmPm => {
                let half = text.get(..2)?;
                self.afternoon = Some(half.eq_ignore_ascii_case("PM"));
                return (self.afternoon == Some(true) || half.eq_ignore_ascii_case("AM")).then(|| &text[2..]);
            }
            Letter::Era => return text.strip_prefix("AD"),
            Letter::Offset => return self.take_offset(text),
            _ => {}
        }
        let (number, rest) = take_number(letter, width, adjacent, text)?;
        match letter {
            Letter::Year if width == 2 => self.year = Some(2000 + number as i32),
            Letter::Year => self.year = Some(number as i32),
            Letter::Month => self.month = Some(number),
            Letter::Day => self.day = Some(number),
            Letter::DayOfYear => self.day_of_year = Some(number),
            Letter::Hour => self.hour = Some(number),
            Letter::ClockHour => self.hour = Some(if number == 24 { 0 } else { number }),
            Letter::HalfDayHour => self.half_day_hour = (number < 12).then_some(number),
            Letter::HalfDayClockHour => self.half_day_hour = (1..=12).contains(&number).then_some(number % 12),
            Letter::Minute => self.minute = Some(number),
            Letter::Second => self.second = Some(number),
            Letter::Fraction => {
                let digits = (text.len() - rest.len()) as u32;
                self.nanos = Some(number * 10_u32.pow(FRACTION_DIGITS_MAX as u32 - digits));
            }
            Letter::Quarter | Letter::WeekYear | Letter::WeekOfYear | Letter::WeekdayNumber => {}
            Letter::MilliOfDay | Letter::WeekdayName | Letter::AmPm | Letter::Era | Letter::Offset => return None,
        }
        Some(rest)
    }

    fn take_offset<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        if let Some(rest) = text.strip_prefix('Z') {
            return Some(rest);
        }
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours: i32 = digits(text.get(1..3)?)? as i32;
        let rest = &text[3..];
        let after = rest.strip_prefix(':').unwrap_or(rest);
        let minutes = after.get(..2).and_then(digits);
        self.offset_minutes = sign * (hours * 60 + minutes.map_or(0, |minutes| minutes as i32));
        Some(if minutes.is_some() { &after[2..] } else { rest })
    }

    fn time(&self) -> Option<NaiveDateTime> {
        let year = self.year.unwrap_or(1970);
        let date = match self.day_of_year {
            Some(day) => NaiveDate::from_yo_opt(year, day)?,
            None => date_of(year, self.month.unwrap_or(1), self.day.unwrap_or(1))?,
        };
        let half_day = self.half_day_hour.map(|hour| if self.afternoon == Some(true) { hour + 12 } else { hour });
        let hour = self.hour.or(half_day).unwrap_or(0);
        let (minute, second) = (self.minute.unwrap_or(0), self.second.unwrap_or(0));
        let time = NaiveTime::from_hms_nano_opt(hour, minute, second, self.nanos.unwrap_or(0))?;
        date.and_time(time).checked_sub_signed(chrono::TimeDelta::minutes(i64::from(self.offset_minutes)))
    }
}

/// A date; a day up to 31 that its month lacks becomes the month's last, as Java's formatters resolve it.
pub(super) fn date_of(year: i32, month: u32, day: u32) -> Option<NaiveDate> {
    let last = |day: &u32| NaiveDate::from_ymd_opt(year, month, *day).is_some();
    if day == 0 || 31 < day {
        return None;
    }
    (28..=day).rev().find(last).or(Some(day)).and_then(|day| NaiveDate::from_ymd_opt(year, month, day))
}

fn digits(text: &str) -> Option<u32> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn take_name<'t>(text: &'t str, names: &[&str], width: usize) -> Option<(u32, &'t str)> {
    let found = names.iter().position(|name| {
        let name = if width == 3 { &name[..3] } else { name };
        text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
    })?;
    let length = if width == 3 { 3 } else { names[found].len() };
    Some((found as u32, &text[length..]))
}

/// Reads a number: exactly `width` digits where it counts or another number follows, else as many as there are.
fn take_number(letter: Letter, width: usize, adjacent: bool, text: &str) -> Option<(u32, &str)> {
    let (least, most) = match letter {
        Letter::Fraction => (width, width),
        Letter::Year if width == 2 => (2, 2),
        Letter::Year | Letter::WeekYear if !adjacent => (width, FRACTION_DIGITS_MAX),
        _ if adjacent || 2 <= width => (width, width),
        _ => (1, FRACTION_DIGITS_MAX),
    };
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return None;
    }
    Some((digits(&text[..length])?, &text[length..]))
}
