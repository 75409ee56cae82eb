//! What an event is, by its number: its kind, and the last person and auction so far.

use std::ops::Range;

use super::config::{NexmarkConfig, Proportions};
use crate::random::FieldRandom;

/// The first id of persons and of auctions.
pub(super) const FIRST_ID: u64 = 1_000;

/// `event_type` holds these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Person = 0,
    Auction = 1,
    Bid = 2,
}

/// One event, as far as its fields depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) kind: Kind,
    /// How many persons there were before the last one; that is this one, if it is a person.
    pub(super) last_person: u64,
    /// The same of auctions.
    pub(super) last_auction: u64,
    pub(super) time_ms: i64,
}

/// Lists the events of a range, without a division per event.
pub(super) fn list(config: &NexmarkConfig, time: FieldRandom, numbers: Range<u64>) -> Vec<Event> {
    let Proportions { person, auction, .. } = config.proportions;
    let total = config.proportions.total();
    let mut round = numbers.start / total;
    let mut offset = numbers.start % total;
    let mut events = Vec::with_capacity((numbers.end - numbers.start) as usize);
    for number in numbers {
        let (kind, last_auction) = if offset < person {
            (Kind::Person, (round * auction).saturating_sub(1))
        } else if offset < person + auction {
            (Kind::Auction, round * auction + offset - person)
        } else {
            (Kind::Bid, round * auction + auction - 1)
        };
        let mut time_ms = config.timeline.time_ms(number);
        if config.out_of_order_ms > 0 {
            time_ms += time.at(number).below(config.out_of_order_ms + 1) as i64;
        }
        events.push(Event {
            number,
            kind,
            last_person: round * person + offset.min(person - 1),
            last_auction,
            time_ms,
        });
        offset += 1;
        if offset == total {
            offset = 0;
            round += 1;
        }
    }
    events
}
