//! Numbers, written for people.

use std::time::Duration;

use arrow::temporal_conversions::timestamp_ms_to_datetime;

/// `12,345,678`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1.2 GiB`.
pub fn bytes(number: u64) -> String {
    scaled(number as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// `3.4 M rows/s`.
pub fn row_rate(rows: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if 0.0 < seconds { rows as f64 / seconds } else { 0.0 };
    scaled(rate, 1000.0, &["rows/s", "k rows/s", "M rows/s", "G rows/s"])
}

/// `850 ns`, `1.3 ms`.
pub fn nanoseconds(number: u64) -> String {
    scaled(number as f64, 1000.0, &["ns", "us", "ms", "s"])
}

/// `0.84 s`, `12.3 s`, `2 min 5 s`.
pub fn duration(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    match seconds {
        ..10.0 => format!("{seconds:.2} s"),
        ..120.0 => format!("{seconds:.1} s"),
        _ => format!("{} min {} s", elapsed.as_secs() / 60, elapsed.as_secs() % 60),
    }
}

/// `2023-11-14 22:13:20`, of milliseconds since the epoch.
pub fn timestamp(millis: i64) -> String {
    match timestamp_ms_to_datetime(millis.div_euclid(1_000) * 1_000) {
        Some(time) => time.to_string(),
        None => "beyond the calendar".into(),
    }
}

/// `1 row`, `2 rows`.
pub fn rows(number: u64) -> String {
    format!("{} {}", thousands(number), if number == 1 { "row" } else { "rows" })
}

fn scaled(number: f64, step: f64, units: &[&str]) -> String {
    let mut number = number;
    let mut at = 0;
    while step <= number.round() && at + 1 < units.len() {
        number /= step;
        at += 1;
    }
    let decimals = usize::from(0 < at && number < 99.95);
    format!("{number:.decimals$} {}", units[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_for_people() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(thousands), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([0, 1_023, 1_024, 5 << 30].map(bytes), ["0 B", "1023 B", "1.0 KiB", "5.0 GiB"]);
        assert_eq!(row_rate(3_400_000, Duration::from_secs(1)), "3.4 M rows/s");
        assert_eq!(row_rate(5, Duration::ZERO), "0 rows/s");
        assert_eq!([850, 1_300_000, 250_000].map(nanoseconds), ["850 ns", "1.3 ms", "250 us"]);
        assert_eq!(
            [840, 12_300, 125_000].map(|ms| duration(Duration::from_millis(ms))),
            ["0.84 s", "12.3 s", "2 min 5 s"]
        );
        assert_eq!(
            [0, 1_709_210_096_999, -1].map(timestamp),
            ["1970-01-01 00:00:00", "2024-02-29 12:34:56", "1969-12-31 23:59:59"]
        );
        assert_eq!([1, 2].map(rows), ["1 row", "2 rows"]);
    }
}
