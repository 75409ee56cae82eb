//! Dates and times in digits, straight from their numbers.
//!
//! Going through chrono's format strings would cost more than the rest of a csv row.

use arrow::datatypes::TimeUnit;

const DAY_SECONDS: i64 = 86_400;

/// Ticks of a unit in a second, and how many digits a fraction of it has.
pub(super) fn resolution(unit: TimeUnit) -> (i64, usize) {
    match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    }
}

/// All numbers of two digits.
const PAIRS: &str = "\
    0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
    5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/// Appends a number with leading zeros.
pub(super) fn write_padded(mut value: u64, width: usize, out: &mut String) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    if width == 2 && value < 100 {
        let pair = 2 * value as usize;
        out.push_str(&PAIRS[pair..pair + 2]);
        return;
    }
    while value > 0 {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    start = start.min(digits.len() - width);
    out.push_str(std::str::from_utf8(&digits[start..]).expect("digits are ASCII"));
}

/// Appends `yyyy-MM-dd`. The algorithm is Howard Hinnant's `civil_from_days`: years begin in
/// March, so that the leap day is the last of its year.
pub(super) fn write_date(days: i64, out: &mut String) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if year < 0 {
        out.push('-');
    }
    write_padded(year.unsigned_abs(), 4, out);
    out.push('-');
    write_padded(month.unsigned_abs(), 2, out);
    out.push('-');
    write_padded(day.unsigned_abs(), 2, out);
}

/// Appends `HH:mm:ss`, with as many digits of a fraction as the unit has.
pub(super) fn write_time(ticks: i64, unit: TimeUnit, out: &mut String) {
    let (ticks_per_second, digits) = resolution(unit);
    let seconds = ticks.div_euclid(ticks_per_second);
    write_padded((seconds / 3_600).unsigned_abs(), 2, out);
    out.push(':');
    write_padded((seconds / 60 % 60).unsigned_abs(), 2, out);
    out.push(':');
    write_padded((seconds % 60).unsigned_abs(), 2, out);
    if digits > 0 {
        out.push('.');
        write_padded(ticks.rem_euclid(ticks_per_second).unsigned_abs(), digits, out);
    }
}

/// Appends the date, the separator and the time of an instant.
pub(super) fn write_timestamp(ticks: i64, unit: TimeUnit, separator: char, out: &mut String) {
    let ticks_per_day = DAY_SECONDS * resolution(unit).0;
    write_date(ticks.div_euclid(ticks_per_day), out);
    out.push(separator);
    write_time(ticks.rem_euclid(ticks_per_day), unit, out);
}

/// Appends a day-time interval as Flink does: `+1 02:03:04.005`.
pub(super) fn write_interval_ms(ms: i64, out: &mut String) {
    out.push(if ms < 0 { '-' } else { '+' });
    let absolute = ms.unsigned_abs();
    write_padded(absolute / 86_400_000, 1, out);
    out.push(' ');
    write_time((absolute % 86_400_000) as i64, TimeUnit::Millisecond, out);
}

/// Appends a year-month interval as Flink does: `+1-02`.
pub(super) fn write_interval_months(months: i32, out: &mut String) {
    out.push(if months < 0 { '-' } else { '+' });
    let absolute = u64::from(months.unsigned_abs());
    write_padded(absolute / 12, 1, out);
    out.push('-');
    write_padded(absolute % 12, 2, out);
}
