//! Events as columns. Expected per core: 20 M events/s for a bid's numbers, 5 M for all fields.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, StringArray, StringViewArray, StructArray, TimestampMillisecondArray, UInt32Array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute;
use arrow::datatypes::{DataType, SchemaRef};
use corelane_stream::{Error, Result};

use super::channels::{self, Channels};
use super::config::NexmarkConfig;
use super::events::{self, Event, FIRST_ID, Kind};
use super::schema::{self, Column, EventField};
use crate::generated::RowGenerator;
use crate::random::{Alphabet, FieldRandom, Random};

/// The hot auction, bidder and seller are the last whose number is a multiple of this.
const HOT_EVERY: u64 = 100;
/// Auctions that take bids at a time.
const AUCTIONS_OPEN: u64 = 100;
/// Persons that bid and sell at a time.
const PERSONS_ACTIVE: u64 = 1_000;
/// Ids that are named before they exist.
const ID_LEAD: u64 = 10;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];

const ITEM_LETTERS: usize = 20;
const DESCRIPTION_LETTERS: usize = 100;
/// `xxxxxxx@xxxxx.com`
const EMAIL_BYTES: u64 = 17;
/// `dddd dddd dddd dddd`
const CREDIT_CARD_BYTES: u64 = 19;

/// The sequences of all fields that are drawn.
#[derive(Clone, Copy, Debug)]
struct Sequences {
    time: FieldRandom,
    name: FieldRandom,
    email: FieldRandom,
    credit_card: FieldRandom,
    city: FieldRandom,
    state: FieldRandom,
    person_extra: FieldRandom,
    item: FieldRandom,
    description: FieldRandom,
    initial_bid: FieldRandom,
    reserve: FieldRandom,
    expires: FieldRandom,
    seller: FieldRandom,
    category: FieldRandom,
    auction_extra: FieldRandom,
    auction: FieldRandom,
    bidder: FieldRandom,
    price: FieldRandom,
    channel: FieldRandom,
    bid_extra: FieldRandom,
}

impl Sequences {
    fn new(seed: u64) -> Self {
        let field = |name| FieldRandom::new(seed, name);
        Sequences {
            time: field("time"),
            name: field("person.name"),
            email: field("person.emailAddress"),
            credit_card: field("person.creditCard"),
            city: field("person.city"),
            state: field("person.state"),
            person_extra: field("person.extra"),
            item: field("auction.itemName"),
            description: field("auction.description"),
            initial_bid: field("auction.initialBid"),
            reserve: field("auction.reserve"),
            expires: field("auction.expires"),
            seller: field("auction.seller"),
            category: field("auction.category"),
            auction_extra: field("auction.extra"),
            auction: field("bid.auction"),
            bidder: field("bid.bidder"),
            price: field("bid.price"),
            channel: field("bid.channel"),
            bid_extra: field("bid.extra"),
        }
    }
}

/// Makes the columns that are asked for.
#[derive(Clone, Debug)]
pub(super) struct NexmarkGenerator {
    config: NexmarkConfig,
    sequences: Sequences,
    prices: Arc<Prices>,
    /// Made only where a channel or its address is asked for.
    channels: Option<Arc<Channels>>,
    schema: SchemaRef,
    columns: Vec<Column>,
}

impl NexmarkGenerator {
    /// A generator that makes nothing until it is told of the schema.
    pub(super) fn new(config: NexmarkConfig) -> Self {
        NexmarkGenerator {
            sequences: Sequences::new(config.seed),
            config,
            prices: Arc::new(Prices::new()),
            channels: None,
            schema: Arc::new(arrow::datatypes::Schema::empty()),
            columns: Vec::new(),
        }
    }

    fn row(&self, kind: Kind, fields: &[EventField], data_type: &DataType, events: &[Event]) -> Result<ArrayRef> {
        let nulls = NullBuffer::from_iter(events.iter().map(|event| event.kind == kind));
        let rows = Rows { kind, events, nulls: &nulls };
        let DataType::Struct(types) = data_type else {
            return Err(Error::internal("a row of the generator is not a ROW"));
        };
        let children = fields.iter().map(|field| self.field(*field, &rows)).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(StructArray::try_new_with_length(types.clone(), children, Some(nulls), events.len())?))
    }

    fn field(&self, field: EventField, rows: &Rows<'_>) -> Result<ArrayRef> {
        let of = &self.sequences;
        Ok(match field {
            EventField::PersonId => rows.numbers(|event| (FIRST_ID + event.last_person) as i64),
            EventField::AuctionId => rows.numbers(|event| (FIRST_ID + event.last_auction) as i64),
            EventField::AuctionInitialBid => rows.numbers(|event| self.initial_bid(event)),
            EventField::AuctionReserve => {
                rows.numbers(|event| self.initial_bid(event) + self.prices.pick(of.reserve.at(event.number)))
            }
            EventField::AuctionSeller => rows.numbers(|event| self.seller(event)),
            EventField::AuctionCategory => {
                rows.numbers(|event| (FIRST_CATEGORY + of.category.at(event.number).below(CATEGORIES)) as i64)
            }
            EventField::BidAuction => rows.numbers(|event| self.auction(event)),
            EventField::BidBidder => rows.numbers(|event| self.bidder(event)),
            EventField::BidPrice => rows.numbers(|event| self.prices.pick(of.price.at(event.number))),
            EventField::PersonTime | EventField::AuctionTime | EventField::BidTime => rows.times(|event| event.time_ms),
            EventField::AuctionExpires => rows.times(|event| self.expires(event)),
            EventField::BidChannel => self.channel(rows, |channels| &channels.names)?,
            EventField::BidUrl => self.channel(rows, |channels| &channels.urls)?,
            EventField::PersonName
            | EventField::PersonEmail
            | EventField::PersonCreditCard
            | EventField::PersonCity
            | EventField::PersonState
            | EventField::PersonExtra
            | EventField::AuctionItem
            | EventField::AuctionDescription
            | EventField::AuctionExtra
            | EventField::BidExtra => rows.texts(|event, out| self.write_text(field, event, out))?,
        })
    }

    fn initial_bid(&self, event: &Event) -> i64 {
        self.prices.pick(self.sequences.initial_bid.at(event.number))
    }

    /// The hot seller, or one of those that are active.
    fn seller(&self, event: &Event) -> i64 {
        let mut random = self.sequences.seller.at(event.number);
        let hot = random.below(self.config.hot_seller_ratio) > 0;
        let number = if hot { hottest(event.last_person) } else { active_person(event.last_person, &mut random) };
        (FIRST_ID + number) as i64
    }

    /// The hot auction, or one of those that are open.
    fn auction(&self, event: &Event) -> i64 {
        let mut random = self.sequences.auction.at(event.number);
        let number = if random.below(self.config.hot_auction_ratio) > 0 {
            hottest(event.last_auction)
        } else {
            let oldest = event.last_auction.saturating_sub(AUCTIONS_OPEN);
            oldest + random.below(event.last_auction - oldest + 1 + ID_LEAD)
        };
        (FIRST_ID + number) as i64
    }

    /// The hot bidder, who is the one after the hot seller, or one of those that are active.
    fn bidder(&self, event: &Event) -> i64 {
        let mut random = self.sequences.bidder.at(event.number);
        let hot = random.below(self.config.hot_bidder_ratio) > 0;
        let number = if hot { hottest(event.last_person) + 1 } else { active_person(event.last_person, &mut random) };
        (FIRST_ID + number) as i64
    }

    /// An auction lasts, on average, as long as it takes until `AUCTIONS_OPEN` others have begun.
    fn expires(&self, event: &Event) -> i64 {
        let events = AUCTIONS_OPEN * self.config.proportions.total() / self.config.proportions.auction;
        let timeline = &self.config.timeline;
        let horizon = timeline.time_ms(event.number.saturating_add(events)) - timeline.time_ms(event.number);
        let length = self.sequences.expires.at(event.number).below(horizon.unsigned_abs().max(1) * 2);
        event.time_ms.saturating_add_unsigned(1 + length)
    }

    fn channel(&self, rows: &Rows<'_>, of: impl Fn(&Channels) -> &StringViewArray) -> Result<ArrayRef> {
        let channels = self.channels.as_ref().expect("channels are made with the schema that asks for them");
        let picked = rows.events.iter().map(|event| match event.kind {
            Kind::Bid => channels::pick(self.sequences.channel.at(event.number)),
            Kind::Person | Kind::Auction => 0,
        });
        let picked = UInt32Array::new(picked.collect(), Some(rows.nulls.clone()));
        Ok(compute::take(of(channels), &picked, None)?)
    }

    fn write_text(&self, field: EventField, event: &Event, out: &mut Vec<u8>) {
        let of = &self.sequences;
        let config = &self.config;
        match field {
            EventField::PersonName => {
                let (first, last) = self.name(event);
                out.extend_from_slice(first.as_bytes());
                out.push(b' ');
                out.extend_from_slice(last.as_bytes());
            }
            EventField::PersonEmail => {
                let mut random = of.email.at(event.number);
                random.letters(Alphabet::Lowercase, 7, out);
                out.push(b'@');
                random.letters(Alphabet::Lowercase, 5, out);
                out.extend_from_slice(b".com");
            }
            EventField::PersonCreditCard => write_credit_card(of.credit_card.at(event.number), out),
            EventField::PersonCity => out.extend_from_slice(self.city(event).as_bytes()),
            EventField::PersonState => {
                out.extend_from_slice(one_of(&STATES, &mut of.state.at(event.number)).as_bytes());
            }
            EventField::PersonExtra => {
                let (first, last) = self.name(event);
                let state = 2;
                let names = first.len() + 1 + last.len() + self.city(event).len() + state;
                let size = 8 + names as u64 + EMAIL_BYTES + CREDIT_CARD_BYTES;
                write_filler(config.person_bytes, size, of.person_extra.at(event.number), out);
            }
            EventField::AuctionItem => of.item.at(event.number).letters(Alphabet::Lowercase, ITEM_LETTERS, out),
            EventField::AuctionDescription => {
                of.description.at(event.number).letters(Alphabet::Lowercase, DESCRIPTION_LETTERS, out);
            }
            EventField::AuctionExtra => {
                let size = 6 * 8 + (ITEM_LETTERS + DESCRIPTION_LETTERS) as u64;
                write_filler(config.auction_bytes, size, of.auction_extra.at(event.number), out);
            }
            EventField::BidExtra => write_filler(config.bid_bytes, 4 * 8, of.bid_extra.at(event.number), out),
            numeric => unreachable!("{numeric:?} is not a text"),
        }
    }

    fn name(&self, event: &Event) -> (&'static str, &'static str) {
        let mut random = self.sequences.name.at(event.number);
        (one_of(&FIRST_NAMES, &mut random), one_of(&LAST_NAMES, &mut random))
    }

    fn city(&self, event: &Event) -> &'static str {
        one_of(&CITIES, &mut self.sequences.city.at(event.number))
    }
}

impl RowGenerator for NexmarkGenerator {
    fn columns(&self, rows: Range<u64>, _: i64) -> Result<Vec<ArrayRef>> {
        let events = events::list(&self.config, self.sequences.time, rows);
        let columns = self.columns.iter().zip(self.schema.fields());
        columns
            .map(|(column, field)| match column {
                Column::EventType => {
                    let kinds = events.iter().map(|event| event.kind as i32);
                    Ok(Arc::new(Int32Array::from_iter_values(kinds)) as ArrayRef)
                }
                Column::Row { kind, fields } => self.row(*kind, fields, field.data_type(), &events),
            })
            .collect()
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn pruned(&self, schema: SchemaRef) -> Result<Arc<dyn RowGenerator>> {
        let columns = schema::resolve(&schema)?;
        let asks = |column: &Column| match column {
            Column::EventType => false,
            Column::Row { fields, .. } => {
                fields.iter().any(|field| matches!(field, EventField::BidChannel | EventField::BidUrl))
            }
        };
        let channels = match &self.channels {
            Some(channels) => Some(Arc::clone(channels)),
            None => columns.iter().any(asks).then(|| Arc::new(Channels::new(self.config.seed))),
        };
        Ok(Arc::new(NexmarkGenerator { schema, columns, channels, ..self.clone() }))
    }
}

fn hottest(last: u64) -> u64 {
    last / HOT_EVERY * HOT_EVERY
}

fn active_person(last: u64, random: &mut Random) -> u64 {
    let persons = last + 1;
    let active = persons.min(PERSONS_ACTIVE);
    persons - active + random.below(active + ID_LEAD)
}

fn one_of(words: &[&'static str], random: &mut Random) -> &'static str {
    words[random.below(words.len() as u64) as usize]
}

fn write_credit_card(mut random: Random, out: &mut Vec<u8>) {
    for group in 0..4 {
        if group > 0 {
            out.push(b' ');
        }
        let number = random.below(10_000) as u16;
        out.extend([1_000, 100, 10, 1].map(|unit| b'0' + (number / unit % 10) as u8));
    }
}

/// Fills an event of `size` bytes up to `average`, give or take a fifth of what is missing.
fn write_filler(average: u64, size: u64, mut random: Random, out: &mut Vec<u8>) {
    let Some(missing) = average.checked_sub(size) else { return };
    let spread = (missing + 2) / 5;
    let letters = missing - spread + if spread == 0 { 0 } else { random.below(2 * spread) };
    random.letters(Alphabet::Lowercase, letters as usize, out);
}

/// The events of a batch, as a column of one kind sees them. All other events are null in it, and
/// so in each of its fields: whoever reads a field alone must find nulls there too.
struct Rows<'a> {
    kind: Kind,
    events: &'a [Event],
    nulls: &'a NullBuffer,
}

impl Rows<'_> {
    fn values(&self, make: impl Fn(&Event) -> i64) -> ScalarBuffer<i64> {
        self.events.iter().map(|event| if event.kind == self.kind { make(event) } else { 0 }).collect()
    }

    fn numbers(&self, make: impl Fn(&Event) -> i64) -> ArrayRef {
        Arc::new(Int64Array::new(self.values(make), Some(self.nulls.clone())))
    }

    fn times(&self, make: impl Fn(&Event) -> i64) -> ArrayRef {
        Arc::new(TimestampMillisecondArray::new(self.values(make), Some(self.nulls.clone())))
    }

    fn texts(&self, make: impl Fn(&Event, &mut Vec<u8>)) -> Result<ArrayRef> {
        let mut bytes = Vec::new();
        let mut ends: Vec<i32> = Vec::with_capacity(self.events.len() + 1);
        ends.push(0);
        for event in self.events {
            if event.kind == self.kind {
                make(event, &mut bytes);
            }
            let end = i32::try_from(bytes.len()).map_err(|_| {
                Error::invalid("a batch of events has more than 2 GiB of text")
                    .with_hint("make the events smaller by 'bid.avg-size' and its like, or the batches by --batch-rows")
            })?;
            ends.push(end);
        }
        let offsets = OffsetBuffer::new(ends.into());
        let strings = StringArray::try_new(offsets, Buffer::from_vec(bytes), Some(self.nulls.clone()))?;
        Ok(Arc::new(StringViewArray::from(&strings)))
    }
}

/// Prices from 100 to 100,000,000, as many between 1 and 10 times a price as between 10 and 100 times.
///
/// The curve is laid through 1,025 points that are made by multiplication alone: a library's
/// power function may differ in the last digit from machine to machine, and events must not.
#[derive(Debug)]
struct Prices(Vec<f64>);

impl Prices {
    const STEPS: usize = 1_024;
    /// `10 ^ (6 / STEPS)`
    const STEP: f64 = 1.013_583_133_334_065_7;

    fn new() -> Self {
        let points = std::iter::successors(Some(100.0), |point| Some(point * Self::STEP));
        Prices(points.take(Self::STEPS + 1).collect())
    }

    #[inline]
    fn pick(&self, mut random: Random) -> i64 {
        let place = random.unit() * Self::STEPS as f64;
        let below = place as usize;
        let (low, high) = (self.0[below], self.0[below + 1]);
        (low + (high - low) * (place - below as f64)).round() as i64
    }
}
