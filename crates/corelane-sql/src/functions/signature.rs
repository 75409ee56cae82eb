//! What a function takes: the types that its arguments may have, and what they are cast to.
//!
//! All that can be said of types is said here, as a statement is planned, so that no kernel meets a type
//! that it did not ask for.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use corelane_stream::sql_type;
use datafusion_expr::type_coercion::binary::type_union_resolution;

use crate::supertype::{common_type, goes_into};

/// What an argument may be, and what it is cast to before the kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    Long,
    Double,
    Bool,
    Bytes,
    /// Any whole number, as it is.
    Integer,
    /// Any number, as it is.
    Number,
    /// A date, a time or a timestamp, as it is.
    Instant,
    /// A time or a timestamp, as it is.
    Clock,
    /// A date, a time or a timestamp as it is, or text that is read as a timestamp: null if it is none.
    InstantOrText,
    /// An interval of months, days and nanoseconds.
    Interval,
    List,
    Map,
    /// What the first argument, an array or a map, is looked into with: a position or a key.
    Key,
    /// An element of the first argument, an array.
    Item,
    /// Alternating: the common type of every other argument.
    Pairs,
    Any,
    /// The common type of all arguments so marked.
    Common,
    /// The same of values that are less or greater than another.
    Comparable,
    /// The same of arrays.
    Lists,
    /// The first of these that it is.
    OneOf(&'static [Takes]),
}

/// The arguments of a call in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arguments {
    pub takes: &'static [Takes],
    /// How many of the last may be left out.
    pub optional: usize,
    /// How many of the last may come any number of times, all together.
    pub repeated: usize,
}

/// Why arguments are not what a function takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// They are too many, or too few.
    Count,
    /// The argument of this index is of the wrong type.
    Argument { index: usize, accepted: String },
    /// They have no type in common.
    Common,
}

impl Misfit {
    /// Of two ways to call a function, the one that the arguments came closer to.
    pub fn or(self, other: Misfit) -> Misfit {
        match (&self, &other) {
            (Misfit::Argument { index: one, accepted }, Misfit::Argument { index, accepted: also }) if one == index => {
                Misfit::Argument { index: *index, accepted: format!("{accepted} or {also}") }
            }
            (Misfit::Argument { index: one, .. }, Misfit::Argument { index, .. }) if one < index => other,
            (Misfit::Argument { .. }, Misfit::Count | Misfit::Common) => other,
            _ => self,
        }
    }
}

impl Arguments {
    fn at(&self, index: usize) -> Takes {
        match index.checked_sub(self.takes.len()) {
            Some(beyond) if 0 < self.repeated => self.takes[self.takes.len() - self.repeated + beyond % self.repeated],
            _ => self.takes[index],
        }
    }

    fn is_many(&self, count: usize) -> bool {
        if count < self.takes.len() - self.optional {
            return false;
        }
        match count.checked_sub(self.takes.len() - self.repeated) {
            Some(last) if 0 < self.repeated => last.is_multiple_of(self.repeated),
            _ => count <= self.takes.len(),
        }
    }

    /// The types that arguments of these types are cast to.
    pub fn fit(&self, types: &[DataType]) -> Result<Vec<DataType>, Misfit> {
        if !self.is_many(types.len()) {
            return Err(Misfit::Count);
        }
        let mut fitted = Vec::with_capacity(types.len());
        for (index, given) in types.iter().enumerate() {
            let wanted = self.at(index);
            let misfit = || Misfit::Argument { index, accepted: wanted.accepted(&types[0]) };
            if !wanted.is_open_to(given) {
                return Err(misfit());
            }
            fitted.push(match wanted {
                Takes::Common | Takes::Comparable | Takes::Lists => self.common(types, 0, 1).ok_or(Misfit::Common)?,
                Takes::Pairs => self.common(types, index % 2, 2).ok_or(Misfit::Common)?,
                Takes::Key => key_type(&types[0]).filter(|key| goes_into(given, key)).ok_or_else(misfit)?,
                Takes::Item => item_type(&types[0], given).ok_or_else(misfit)?,
                other => other.coerce(given).ok_or_else(misfit)?,
            });
        }
        // A null, or an empty array, takes the type of the element it is used with.
        if let [DataType::List(item), other, ..] = fitted.as_slice()
            && item.data_type().is_null()
            && self.at(1) == Takes::Item
        {
            fitted[0] = DataType::new_list(other.clone(), true);
        }
        Ok(fitted)
    }

    /// The common type of every `step`th argument from `first` that is taken as that one is.
    fn common(&self, types: &[DataType], first: usize, step: usize) -> Option<DataType> {
        let open = |takes| matches!(takes, Takes::Common | Takes::Comparable | Takes::Lists | Takes::Pairs);
        let indexes = (first..types.len()).step_by(step);
        let alike = indexes.filter(|index| open(self.at(*index)) && !types[*index].is_null());
        let alike: Vec<DataType> = alike.map(|index| types[index].clone()).collect();
        let texts = alike.iter().filter(|data_type| is_text(data_type)).count();
        match alike.len() {
            0 if self.at(first) == Takes::Lists => Some(DataType::new_list(DataType::Null, true)),
            0 => Some(DataType::Null),
            // A text among others would become what they are, or fail to.
            all if 0 < texts && texts < all => None,
            _ if alike.iter().any(DataType::is_nested) => common_type(&alike).map(widen_text),
            _ => {
                // What DataFusion knows beyond that it may not be able to cast to.
                let fits = |wanted: &DataType| alike.iter().all(|given| goes_into(given, wanted));
                common_type(&alike).or_else(|| type_union_resolution(&alike).filter(fits)).map(widen_text)
            }
        }
    }
}

/// What an array or a map is looked into with.
fn key_type(container: &DataType) -> Option<DataType> {
    match container {
        DataType::List(_) => Some(DataType::Int64),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => fields.first().map(|key| key.data_type().clone()),
            _ => None,
        },
        _ => None,
    }
}

/// What a value becomes among the elements of an array.
fn item_type(list: &DataType, given: &DataType) -> Option<DataType> {
    match list {
        DataType::List(item) if !item.data_type().is_null() => {
            goes_into(given, item.data_type()).then(|| item.data_type().clone())
        }
        _ => Some(widen_text(given.clone())),
    }
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn widen_text(data_type: DataType) -> DataType {
    match data_type {
        DataType::List(item) if matches!(item.data_type(), DataType::Utf8 | DataType::LargeUtf8) => {
            DataType::new_list(DataType::Utf8View, item.is_nullable())
        }
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        other => other,
    }
}

/// Whether values of a type are less or greater than others: a MAP has no order.
fn is_comparable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_, _) => false,
        DataType::List(item) => is_comparable(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| is_comparable(field.data_type())),
        _ => true,
    }
}

impl Takes {
    /// What is asked of each argument where all of them get one type.
    fn is_open_to(self, given: &DataType) -> bool {
        match self {
            Takes::Comparable => is_comparable(given),
            Takes::Lists => matches!(given, DataType::List(_) | DataType::Null),
            _ => true,
        }
    }

    fn coerce(self, given: &DataType) -> Option<DataType> {
        use DataType::{Binary, BinaryView, Boolean, Float64, Int64, LargeBinary, Null, Timestamp, Utf8View};
        let given = if let DataType::Dictionary(_, value) = given { value.as_ref() } else { given };
        let is_text = is_text(given);
        let is_clock = matches!(given, Timestamp(_, _) | DataType::Time32(_));
        let is_instant = is_clock || *given == DataType::Date32;
        let milliseconds = Timestamp(TimeUnit::Millisecond, None);
        match self {
            Takes::Text => (is_text || given.is_null()).then_some(Utf8View),
            Takes::Long => (given.is_integer() || given.is_null()).then_some(Int64),
            Takes::Double => (given.is_numeric() || given.is_null()).then_some(Float64),
            Takes::Bool => matches!(given, Boolean | Null).then_some(Boolean),
            Takes::Bytes => match given {
                Binary | LargeBinary | BinaryView | DataType::FixedSizeBinary(_) | Null => Some(Binary),
                _ => None,
            },
            Takes::Integer | Takes::Number if given.is_null() => Some(Int64),
            Takes::Integer => given.is_integer().then(|| given.clone()),
            Takes::Number => match given {
                DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                    Some(DataType::Decimal128(*precision, *scale))
                }
                DataType::Decimal256(_, _) => None,
                DataType::Float16 => Some(DataType::Float32),
                other => other.is_numeric().then(|| other.clone()),
            },
            Takes::Instant | Takes::InstantOrText if is_instant => Some(given.clone()),
            Takes::Clock if is_clock => Some(given.clone()),
            Takes::InstantOrText if is_text => Some(Utf8View),
            Takes::Instant | Takes::Clock | Takes::InstantOrText => given.is_null().then_some(milliseconds),
            Takes::Interval => {
                matches!(given, DataType::Interval(_) | Null).then_some(DataType::Interval(IntervalUnit::MonthDayNano))
            }
            Takes::List => match given {
                DataType::List(_) => Some(given.clone()),
                DataType::LargeList(item) | DataType::ListView(item) | DataType::FixedSizeList(item, _) => {
                    Some(DataType::List(Arc::clone(item)))
                }
                Null => Some(DataType::new_list(Null, true)),
                _ => None,
            },
            Takes::Map => matches!(given, DataType::Map(_, _)).then(|| given.clone()),
            Takes::OneOf(takes) => takes.iter().find_map(|takes| takes.coerce(given)),
            Takes::Any | Takes::Common | Takes::Comparable | Takes::Lists | Takes::Pairs | Takes::Key | Takes::Item => {
                Some(widen_text(given.clone()))
            }
        }
    }

    /// What may stand here, in words; `first` is the type of the first argument.
    fn accepted(self, first: &DataType) -> String {
        let plain = match self {
            Takes::Text => "a text",
            Takes::Long | Takes::Integer => "an integer",
            Takes::Double | Takes::Number => "a number",
            Takes::Bool => "a condition",
            Takes::Bytes => "bytes",
            Takes::Instant => "a date, a time or a timestamp",
            Takes::Clock => "a time or a timestamp",
            Takes::InstantOrText => "a date, a time, a timestamp or a text",
            Takes::Interval => "an interval",
            Takes::List | Takes::Lists => "an array",
            Takes::Map => "a map",
            Takes::Comparable => "a value that has an order",
            Takes::Any | Takes::Common | Takes::Pairs => "a value",
            Takes::Key => {
                return match key_type(first) {
                    Some(DataType::Int64) | None if !matches!(first, DataType::Map(_, _)) => "an integer".to_owned(),
                    key => format!("a key of type {}", key.map_or_else(String::new, |key| sql_type(&key))),
                };
            }
            Takes::Item => return format!("an element of {}", sql_type(first)),
            Takes::OneOf(takes) => {
                let each: Vec<String> = takes.iter().map(|takes| takes.accepted(first)).collect();
                return each.join(" or ");
            }
        };
        plain.to_owned()
    }
}
