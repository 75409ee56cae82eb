//! When each row is due, what its key is, and which row is the n-th of a key in a window.
//!
//! All of it is arithmetic on a row's number within its split, so the sink knows of each row what
//! the source knew, and nothing has to travel with the row.

/// Keys of one split; no two splits share one, so a key's rows stay in order.
pub const KEYS: u64 = 1_000;

/// 2024-01-01 00:00:00 UTC: event time at the start.
pub const START_MS: i64 = 1_704_067_200_000;

const NS_PER_MS: u64 = 1_000_000;

/// Fractional bits of the interval: at a thousand rows a second for an hour, it neither overflows
/// nor is it off by a microsecond.
const BITS: u32 = 18;

/// One split's rows.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Between two rows, in nanoseconds shifted by `BITS`.
    interval: u64,
    rows: u64,
}

impl Schedule {
    pub fn new(rows_per_second: f64, rows: u64) -> Schedule {
        let interval = (1e9 / rows_per_second * (1u64 << BITS) as f64) as u64;
        assert!(0 < interval && rows.checked_mul(interval).is_some(), "no run is that fast or that long");
        Schedule { interval, rows }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// When a row is due, from the start.
    pub fn due_ns(&self, row: u64) -> u64 {
        (row * self.interval) >> BITS
    }

    /// A row's event time is when it is due.
    pub fn time_ms(&self, row: u64) -> i64 {
        START_MS + (self.due_ns(row) / NS_PER_MS) as i64
    }

    /// How many rows are due by then.
    pub fn due_by(&self, since_start_ns: u64) -> u64 {
        let all = (self.rows * self.interval) >> BITS;
        if all <= since_start_ns {
            self.rows
        } else {
            ((since_start_ns + 1) << BITS).div_ceil(self.interval).min(self.rows)
        }
    }

    /// The first row with a key whose event time is not before a moment, as the key's how-manieth.
    pub fn first_at(&self, key: u64, time_ms: i64) -> u64 {
        let since_ns = (time_ms - START_MS).max(0).unsigned_abs() * NS_PER_MS;
        let row = (since_ns << BITS).div_ceil(self.interval);
        row.saturating_sub(key).div_ceil(KEYS)
    }

    /// The n-th row with a key, counted from 0.
    pub fn row_of(&self, key: u64, number: u64) -> u64 {
        number * KEYS + key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_due_one_after_the_other() {
        for rate in [1e3, 999_999.0, 3.7e6, 1e8] {
            let schedule = Schedule::new(rate, 10_000);
            for row in [0, 1, 17, 999, 1_000, 9_998] {
                assert!(schedule.due_by(schedule.due_ns(row)) > row, "row {row} at {rate}");
                let before = schedule.due_ns(row).saturating_sub(1);
                assert!(row == 0 || schedule.due_by(before) <= row, "row {row} at {rate}");
            }
            assert_eq!(schedule.due_by(u64::MAX >> BITS), 10_000);
        }
    }

    #[test]
    fn the_first_row_of_a_key_in_a_window_is_found() {
        let schedule = Schedule::new(12_345.0, 100_000);
        for key in [0, 1, 500, 999] {
            let rows = |number| schedule.row_of(key, number);
            for window in (0..8).map(|second| START_MS + second * 1_000) {
                let counted = (0..).take_while(|number| schedule.time_ms(rows(*number)) < window).count() as u64;
                assert_eq!(schedule.first_at(key, window), counted, "key {key}");
            }
        }
    }
}
