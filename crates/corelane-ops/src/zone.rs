//! Time zones: what the clock on the wall shows at an instant, and when it shows a time.
//!
//! Wall-clock times are milliseconds too, as if the wall hung at UTC. Where a clock is put back
//! they come twice, and where it is put forward some never come; what is said of those here is
//! such that a window, which is a span of wall-clock time, has all of its rows when it closes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use arrow::array::timezone::Tz;
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone};

const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 86_400 * SECOND_MS;

/// Zones change their offsets at the start of a quarter of an hour; one that does not costs time
/// and no correctness.
const QUARTER_MS: i64 = 900 * SECOND_MS;

/// A time zone that is not UTC.
#[derive(Clone, Copy)]
pub struct Zone(Tz);

impl Zone {
    /// Reads `Europe/Berlin`, `+02:00` or `GMT+02:00`; `Some(None)` is UTC, `None` no zone at all.
    pub fn parse(name: &str) -> Option<Option<Self>> {
        let bare = name.strip_prefix("GMT").or(name.strip_prefix("UTC")).unwrap_or(name);
        if matches!(bare, "" | "Z" | "Etc/UTC" | "+00:00") {
            return Some(None);
        }
        bare.parse::<Tz>().ok().map(|zone| Some(Zone(zone)))
    }

    /// Seconds that the wall clock is ahead of UTC at an instant.
    pub fn offset_seconds(self, ms: i64) -> i32 {
        let utc = DateTime::from_timestamp_millis(ms).map(|time| time.naive_utc());
        utc.map_or(0, |utc| self.0.offset_from_utc_datetime(&utc).fix().local_minus_utc())
    }

    fn offset_ms(self, ms: i64) -> i64 {
        i64::from(self.offset_seconds(ms)) * SECOND_MS
    }

    /// What the wall clock shows at an instant.
    pub fn local_ms(self, ms: i64) -> i64 {
        ms.saturating_add(self.offset_ms(ms))
    }

    /// The instant of a wall-clock time: the earlier of two; one that a change of the clock leaves
    /// out is read with the offset before it.
    pub fn utc_ms(self, local: NaiveDateTime) -> i64 {
        let local_ms = local.and_utc().timestamp_millis();
        let offset = match self.0.offset_from_local_datetime(&local).earliest() {
            Some(offset) => i64::from(offset.fix().local_minus_utc()) * SECOND_MS,
            None => self.offset_ms(local_ms - DAY_MS),
        };
        local_ms - offset
    }

    /// The first instant from which on the wall clock never shows less than a time.
    pub fn passes_ms(self, local_ms: i64) -> i64 {
        let last = local_ms.saturating_sub(1);
        let Some(local) = DateTime::from_timestamp_millis(last).map(|time| time.naive_utc()) else { return local_ms };
        let offset = match self.0.offset_from_local_datetime(&local) {
            MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(_, offset) => offset.fix(),
            MappedLocalTime::None => return self.change_within(local_ms - DAY_MS, local_ms + DAY_MS),
        };
        local_ms - i64::from(offset.local_minus_utc()) * SECOND_MS
    }

    /// The least that the wall clock shows at an instant and after it.
    pub fn least_from(self, ms: i64) -> i64 {
        let (now, later) = (self.offset_ms(ms), self.offset_ms(ms.saturating_add(DAY_MS)));
        let shown = ms.saturating_add(now);
        if now <= later { shown } else { shown.min(self.change_within(ms, ms.saturating_add(DAY_MS)) + later) }
    }

    /// The first instant of another offset than that at `from`; `to` has another one.
    fn change_within(self, from: i64, to: i64) -> i64 {
        let before = self.offset_ms(from);
        let (mut before_ms, mut after_ms) = (from, to);
        while before_ms + 1 < after_ms {
            let middle = before_ms + (after_ms - before_ms) / 2;
            if self.offset_ms(middle) == before {
                before_ms = middle;
            } else {
                after_ms = middle;
            }
        }
        after_ms
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_string().hash(state);
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Zone({self})")
    }
}

/// Reads the wall clock for instants near each other: an offset is looked up once a quarter of an
/// hour, and costs two comparisons after that.
#[derive(Debug)]
pub struct WallClock {
    zone: Zone,
    /// Instants that have the same offset.
    alike: Range<i64>,
    offset_ms: i64,
}

impl WallClock {
    pub fn new(zone: Zone) -> Self {
        WallClock { zone, alike: 0..0, offset_ms: 0 }
    }

    /// As [`Zone::local_ms`].
    pub fn local_ms(&mut self, ms: i64) -> i64 {
        if self.alike.contains(&ms) {
            return ms + self.offset_ms;
        }
        let Some(end) = (ms - ms.rem_euclid(QUARTER_MS)).checked_add(QUARTER_MS) else { return ms };
        let start = end - QUARTER_MS;
        let offset_ms = self.zone.offset_ms(start);
        if offset_ms != self.zone.offset_ms(end - 1) {
            return self.zone.local_ms(ms);
        }
        self.alike = start..end;
        self.offset_ms = offset_ms;
        ms.saturating_add(offset_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).flatten().expect("a zone")
    }

    fn ms(text: &str) -> i64 {
        text.parse::<NaiveDateTime>().expect("a time").and_utc().timestamp_millis()
    }

    #[test]
    fn names() {
        assert_eq!(Zone::parse("UTC"), Some(None));
        assert_eq!(Zone::parse("Mars/Olympus"), None);
        assert_eq!(zone("Asia/Kolkata").local_ms(0), 19_800_000);
        assert_eq!(zone("GMT+02:00").local_ms(0), 7_200_000);
        assert_eq!(zone("Asia/Kolkata"), zone("Asia/Kolkata"));
        assert_ne!(zone("Asia/Kolkata"), zone("Europe/Berlin"));
    }

    #[test]
    fn a_clock_put_back_shows_an_hour_twice() {
        // At 01:00 UTC it goes from 03:00 back to 02:00.
        let berlin = zone("Europe/Berlin");
        let change = ms("2024-10-27T01:00:00");
        assert_eq!(berlin.passes_ms(ms("2024-10-27T02:00:00")), ms("2024-10-27T00:00:00"));
        assert_eq!(berlin.passes_ms(ms("2024-10-27T02:30:00")), ms("2024-10-27T01:30:00"));
        assert_eq!(berlin.passes_ms(ms("2024-10-27T03:00:00")), ms("2024-10-27T02:00:00"));
        assert_eq!(berlin.least_from(change - 1), ms("2024-10-27T02:00:00"));
        assert_eq!(berlin.least_from(ms("2024-10-26T23:59:00")), ms("2024-10-27T01:59:00"));
        assert_eq!(berlin.least_from(change + 60_000), ms("2024-10-27T02:01:00"));
    }

    #[test]
    fn a_clock_put_forward_leaves_an_hour_out() {
        // At 01:00 UTC it goes from 02:00 to 03:00.
        let berlin = zone("Europe/Berlin");
        let change = ms("2024-03-31T01:00:00");
        assert_eq!(berlin.passes_ms(ms("2024-03-31T02:00:00")), change);
        assert_eq!(berlin.passes_ms(ms("2024-03-31T02:30:00")), change);
        assert_eq!(berlin.passes_ms(ms("2024-03-31T03:00:00")), change);
        assert_eq!(berlin.passes_ms(ms("2024-03-31T03:30:00")), ms("2024-03-31T01:30:00"));
        assert_eq!(berlin.least_from(change - 1), ms("2024-03-31T01:59:59.999"));
        assert_eq!(berlin.least_from(change), ms("2024-03-31T03:00:00"));
    }

    #[test]
    fn a_window_has_passed_when_nothing_less_can_come() {
        for name in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"] {
            let zone = zone(name);
            let starts = ["2024-03-30T20:00:00", "2024-10-26T20:00:00", "2024-04-06T10:00:00", "2011-12-29T20:00:00"];
            for start in starts.map(ms) {
                for step in 0..400 {
                    let local = start + step * 300_000;
                    let passes = zone.passes_ms(local);
                    assert!(local <= zone.least_from(passes), "{name} {local}");
                    assert!(zone.least_from(passes - 1) < local, "{name} {local}");
                }
            }
        }
    }

    #[test]
    fn a_wall_clock_shows_what_its_zone_does() {
        for name in ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"] {
            let mut clock = WallClock::new(zone(name));
            for step in 0..3_000 {
                let at = ms("2024-10-05T00:00:00") + step * 777_777;
                assert_eq!(clock.local_ms(at), zone(name).local_ms(at));
            }
        }
        let mut clock = WallClock::new(zone("Europe/Berlin"));
        assert_eq!([clock.local_ms(i64::MIN), clock.local_ms(i64::MAX)], [i64::MIN, i64::MAX]);
    }
}
