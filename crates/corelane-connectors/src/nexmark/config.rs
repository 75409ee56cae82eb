//! The generator's options and their defaults, which are those of the suite.

use corelane_stream::{OptionDef, Result, TableOptions};

use crate::generated::{Volume, timestamp_option};
use crate::options::Options;

/// 2015-07-15 00:00:00 UTC, where the suite's event time begins.
const BASE_TIME_MS: i64 = 1_436_918_400_000;

const fn option(name: &'static str, default: &'static str, help: &'static str) -> OptionDef {
    OptionDef { name, default: Some(default), required: false, help }
}

pub(super) const OPTIONS: &[OptionDef] = &[
    option("events.num", "0", "How many events there are; 0 is without end."),
    option("first-event.rate", "10000", "Events a second of event time, in the first half of each 'rate.period'."),
    option("next-event.rate", "10000", "Events a second of event time, in the second half of each 'rate.period'."),
    option("rate.period", "600 s", "How often the rate goes from the first to the next and back, in whole seconds."),
    option("rate-limit", "0", "Events a second by the clock on the wall; 0 is as fast as possible."),
    option("out-of-order.ms", "0", "An event's time is up to this many milliseconds ahead of its place in the stream."),
    option("base-time", "2015-07-15 00:00:00", "The event time of the first event, in UTC."),
    option("seed", "0", "The same seed makes the same events."),
    option("person.proportion", "1", "Persons in each round of events."),
    option("auction.proportion", "3", "Auctions in each round of events."),
    option("bid.proportion", "46", "Bids in each round of events."),
    option("person.avg-size", "200", "Bytes of a person on average; 'extra' fills it up."),
    option("auction.avg-size", "500", "Bytes of an auction on average; 'extra' fills it up."),
    option("bid.avg-size", "100", "Bytes of a bid on average; 'extra' fills it up."),
    option("bid.hot-ratio.auctions", "2", "All but one of this many bids are for the hot auction."),
    option("bid.hot-ratio.bidders", "4", "All but one of this many bids are by the hot bidder."),
    option("auction.hot-ratio.sellers", "4", "All but one of this many auctions are by the hot seller."),
];

/// How many of each kind make one round, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proportions {
    pub(super) person: u64,
    pub(super) auction: u64,
    pub(super) bid: u64,
}

impl Proportions {
    pub(super) fn total(&self) -> u64 {
        self.person + self.auction + self.bid
    }
}

/// Event time by an event's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    base_ms: i64,
    first_rate: u64,
    next_rate: u64,
    /// Half of `rate.period`.
    half_ms: u64,
}

impl Timeline {
    /// The time of an event's place in the stream, in milliseconds since the epoch.
    #[inline]
    pub(super) fn time_ms(&self, event: u64) -> i64 {
        let since_base = if self.first_rate == self.next_rate {
            event.saturating_mul(1_000) / self.first_rate
        } else {
            let first_half = self.first_rate * self.half_ms / 1_000;
            let period = first_half + self.next_rate * self.half_ms / 1_000;
            let within = event % period;
            let passed = (event / period).saturating_mul(2 * self.half_ms);
            passed.saturating_add(match within.checked_sub(first_half) {
                None => within * 1_000 / self.first_rate,
                Some(behind) => self.half_ms + behind * 1_000 / self.next_rate,
            })
        };
        self.base_ms.saturating_add_unsigned(since_base)
    }
}

/// All that the events depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NexmarkConfig {
    pub(super) volume: Volume,
    pub(super) seed: u64,
    pub(super) proportions: Proportions,
    pub(super) timeline: Timeline,
    pub(super) out_of_order_ms: u64,
    pub(super) person_bytes: u64,
    pub(super) auction_bytes: u64,
    pub(super) bid_bytes: u64,
    pub(super) hot_auction_ratio: u64,
    pub(super) hot_bidder_ratio: u64,
    pub(super) hot_seller_ratio: u64,
}

impl NexmarkConfig {
    pub(super) fn new(options: &TableOptions) -> Result<Self> {
        /// Beyond these the arithmetic on event numbers would overflow long before an event was made.
        const RATE_MAX: u64 = 1_000_000_000_000;
        const PROPORTION_MAX: u64 = 1_000_000;
        const BYTES_MAX: u64 = 1 << 20;
        const SECONDS_MAX: u64 = 86_400;
        let options = Options::new(options);
        let number = |name: &str, min: u64, max: u64, default: u64| -> Result<u64> {
            Ok(options.integer(name, min, max)?.unwrap_or(default))
        };
        let events = number("events.num", 0, u64::MAX - 1, 0)?;
        let rate_limit = number("rate-limit", 0, RATE_MAX, 0)?;
        let period = options.duration("rate.period")?.map_or(600, |period| period.as_secs()).clamp(2, SECONDS_MAX);
        Ok(NexmarkConfig {
            volume: Volume {
                rows: (events > 0).then_some(events),
                rows_per_second: (rate_limit > 0).then_some(rate_limit),
            },
            seed: number("seed", 0, u64::MAX, 0)?,
            proportions: Proportions {
                person: number("person.proportion", 1, PROPORTION_MAX, 1)?,
                auction: number("auction.proportion", 1, PROPORTION_MAX, 3)?,
                bid: number("bid.proportion", 0, PROPORTION_MAX, 46)?,
            },
            timeline: Timeline {
                base_ms: timestamp_option(&options, "base-time")?.unwrap_or(BASE_TIME_MS),
                first_rate: number("first-event.rate", 1, RATE_MAX, 10_000)?,
                next_rate: number("next-event.rate", 1, RATE_MAX, 10_000)?,
                half_ms: period * 500,
            },
            out_of_order_ms: number("out-of-order.ms", 0, SECONDS_MAX * 1_000, 0)?,
            person_bytes: number("person.avg-size", 0, BYTES_MAX, 200)?,
            auction_bytes: number("auction.avg-size", 0, BYTES_MAX, 500)?,
            bid_bytes: number("bid.avg-size", 0, BYTES_MAX, 100)?,
            hot_auction_ratio: number("bid.hot-ratio.auctions", 1, u64::MAX, 2)?,
            hot_bidder_ratio: number("bid.hot-ratio.bidders", 1, u64::MAX, 4)?,
            hot_seller_ratio: number("auction.hot-ratio.sellers", 1, u64::MAX, 4)?,
        })
    }
}
