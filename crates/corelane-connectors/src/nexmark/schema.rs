//! The table's columns: one row type for each kind of event, of which one is not null.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use corelane_stream::{Error, Result, sql_type};

use super::events::Kind;
use crate::options::did_you_mean;

/// A field of one kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventField {
    PersonId,
    PersonName,
    PersonEmail,
    PersonCreditCard,
    PersonCity,
    PersonState,
    PersonTime,
    PersonExtra,
    AuctionId,
    AuctionItem,
    AuctionDescription,
    AuctionInitialBid,
    AuctionReserve,
    AuctionTime,
    AuctionExpires,
    AuctionSeller,
    AuctionCategory,
    AuctionExtra,
    BidAuction,
    BidBidder,
    BidPrice,
    BidChannel,
    BidUrl,
    BidTime,
    BidExtra,
}

/// A field's name, type and meaning.
type NamedField = (&'static str, FieldType, EventField);

#[derive(Clone, Copy)]
enum FieldType {
    Number,
    Text,
    Time,
}

const PERSON: &[NamedField] = &[
    ("id", FieldType::Number, EventField::PersonId),
    ("name", FieldType::Text, EventField::PersonName),
    ("emailAddress", FieldType::Text, EventField::PersonEmail),
    ("creditCard", FieldType::Text, EventField::PersonCreditCard),
    ("city", FieldType::Text, EventField::PersonCity),
    ("state", FieldType::Text, EventField::PersonState),
    ("dateTime", FieldType::Time, EventField::PersonTime),
    ("extra", FieldType::Text, EventField::PersonExtra),
];

const AUCTION: &[NamedField] = &[
    ("id", FieldType::Number, EventField::AuctionId),
    ("itemName", FieldType::Text, EventField::AuctionItem),
    ("description", FieldType::Text, EventField::AuctionDescription),
    ("initialBid", FieldType::Number, EventField::AuctionInitialBid),
    ("reserve", FieldType::Number, EventField::AuctionReserve),
    ("dateTime", FieldType::Time, EventField::AuctionTime),
    ("expires", FieldType::Time, EventField::AuctionExpires),
    ("seller", FieldType::Number, EventField::AuctionSeller),
    ("category", FieldType::Number, EventField::AuctionCategory),
    ("extra", FieldType::Text, EventField::AuctionExtra),
];

const BID: &[NamedField] = &[
    ("auction", FieldType::Number, EventField::BidAuction),
    ("bidder", FieldType::Number, EventField::BidBidder),
    ("price", FieldType::Number, EventField::BidPrice),
    ("channel", FieldType::Text, EventField::BidChannel),
    ("url", FieldType::Text, EventField::BidUrl),
    ("dateTime", FieldType::Time, EventField::BidTime),
    ("extra", FieldType::Text, EventField::BidExtra),
];

const ROWS: &[(&str, Kind, &[NamedField])] =
    &[("person", Kind::Person, PERSON), ("auction", Kind::Auction, AUCTION), ("bid", Kind::Bid, BID)];

fn data_type(field_type: FieldType) -> DataType {
    match field_type {
        FieldType::Number => DataType::Int64,
        FieldType::Text => DataType::Utf8View,
        FieldType::Time => DataType::Timestamp(TimeUnit::Millisecond, None),
    }
}

/// All columns.
pub(super) fn full() -> SchemaRef {
    let mut fields = vec![Field::new("event_type", DataType::Int32, true)];
    for (name, _, row) in ROWS {
        let children = row.iter().map(|(name, field_type, _)| Field::new(*name, data_type(*field_type), true));
        fields.push(Field::new(*name, DataType::Struct(children.collect()), true));
    }
    Arc::new(Schema::new(fields))
}

/// A column that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    EventType,
    Row { kind: Kind, fields: Vec<EventField> },
}

/// Finds what is asked for among the columns that there are.
pub(super) fn resolve(asked: &Schema) -> Result<Vec<Column>> {
    asked.fields().iter().map(|field| resolve_column(field)).collect()
}

fn resolve_column(field: &Field) -> Result<Column> {
    let wrong_type = |expected: &str| {
        Error::invalid(format!(
            "column '{}' is declared as {}, but nexmark's is {expected}",
            field.name(),
            sql_type(field.data_type())
        ))
        .with_hint("leave the columns out: CREATE TABLE t WITH ('connector' = 'nexmark')")
    };
    if field.name() == "event_type" {
        return if *field.data_type() == DataType::Int32 { Ok(Column::EventType) } else { Err(wrong_type("INT")) };
    }
    let Some((_, kind, row)) = ROWS.iter().find(|(name, ..)| name == field.name()) else {
        let names = ["event_type", "person", "auction", "bid"];
        let error = Error::invalid(format!("nexmark has no column '{}'", field.name()));
        return Err(error.with_hint(match did_you_mean(field.name(), names) {
            Some(like) => format!("did you mean '{like}'?"),
            None => format!("its columns are {}", names.join(", ")),
        }));
    };
    let DataType::Struct(children) = field.data_type() else { return Err(wrong_type("a ROW")) };
    if !field.is_nullable() {
        return Err(Error::invalid(format!("column '{}' is NOT NULL, but an event is of one kind only", field.name()))
            .with_hint("leave NOT NULL out"));
    }
    let fields = children.iter().map(|child| resolve_child(field.name(), child, row)).collect::<Result<_>>()?;
    Ok(Column::Row { kind: *kind, fields })
}

fn resolve_child(parent: &str, child: &Field, row: &[NamedField]) -> Result<EventField> {
    let Some((_, field_type, event_field)) = row.iter().find(|(name, ..)| name == child.name()) else {
        let error = Error::invalid(format!("nexmark has no field '{parent}.{}'", child.name()));
        let names = || row.iter().map(|(name, ..)| *name);
        return Err(error.with_hint(match did_you_mean(child.name(), names()) {
            Some(like) => format!("did you mean '{like}'?"),
            None => format!("its fields are {}", names().collect::<Vec<_>>().join(", ")),
        }));
    };
    let expected = data_type(*field_type);
    if *child.data_type() != expected || !child.is_nullable() {
        return Err(Error::invalid(format!(
            "field '{parent}.{}' is declared as {}{}, but nexmark's is {}",
            child.name(),
            sql_type(child.data_type()),
            if child.is_nullable() { "" } else { " NOT NULL" },
            sql_type(&expected),
        ))
        .with_hint("leave the columns out: CREATE TABLE t WITH ('connector' = 'nexmark')"));
    }
    Ok(*event_field)
}
