//! The type that values of several types have in common, by Flink's rules.
//!
//! DataFusion has rules of its own: it makes a DECIMAL of a DOUBLE and a DECIMAL, and nanoseconds of a DATE
//! and a TIMESTAMP, which leaves the years after 2262 out.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Fields, TimeUnit};

/// The digits, and those after the point, of a type of exact numbers.
pub(crate) fn exact_digits(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Decimal128(precision, scale) => (*precision, *scale),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        _ => return None,
    })
}

pub(crate) fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(_, _))
}

/// The type of all; none where Flink knows none. Rows have the names of the first.
pub(crate) fn common_type<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Option<DataType> {
    types.into_iter().try_fold(DataType::Null, |common, other| of_two(&common, other))
}

fn of_two(one: &DataType, other: &DataType) -> Option<DataType> {
    if one == other || other.is_null() {
        return Some(one.clone());
    }
    if one.is_null() {
        return Some(other.clone());
    }
    if one.is_string() && other.is_string() {
        return Some(DataType::Utf8View);
    }
    if let (Some(left), Some(right)) = (exact_digits(one), exact_digits(other)) {
        return Some(exact(one, left, other, right));
    }
    match (one, other) {
        (DataType::Date32, DataType::Timestamp(_, None)) => Some(other.clone()),
        (DataType::Timestamp(_, None), DataType::Date32) => Some(one.clone()),
        (DataType::Timestamp(unit, zone), DataType::Timestamp(other, other_zone)) if zone == other_zone => {
            Some(DataType::Timestamp(finer(*unit, *other), zone.clone()))
        }
        (DataType::List(item), DataType::List(other)) => Some(DataType::List(of_fields(item, other)?)),
        (DataType::Map(entries, sorted), DataType::Map(other, _)) => {
            Some(DataType::Map(of_fields(entries, other)?, *sorted))
        }
        (DataType::Struct(fields), DataType::Struct(others)) if fields.len() == others.len() => {
            let fields = fields.iter().zip(others).map(|(one, other)| of_fields(one, other));
            Some(DataType::Struct(fields.collect::<Option<Fields>>()?))
        }
        _ => approximate(one, other),
    }
}

fn of_fields(one: &FieldRef, other: &FieldRef) -> Option<FieldRef> {
    let common = of_two(one.data_type(), other.data_type())?;
    Some(Arc::new(Field::new(one.name(), common, one.is_nullable() || other.is_nullable())))
}

/// Whether values of a type are less or greater than one another: those with a MAP or a MULTISET in them are not.
pub(crate) fn has_order(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(_, _) => false,
        DataType::List(item) => has_order(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| has_order(field.data_type())),
        _ => true,
    }
}

/// Whether a value of one type may stand where one of another is wanted, by Flink's implicit casts. An integer
/// may for a narrower one: literals are wide until their types are settled.
pub(crate) fn goes_into(given: &DataType, wanted: &DataType) -> bool {
    use DataType::{Date32, List, Map, Struct, Timestamp};
    if given == wanted || given.is_null() {
        return true;
    }
    match (given, wanted) {
        (List(given), List(wanted)) | (Map(given, _), Map(wanted, _)) => {
            goes_into(given.data_type(), wanted.data_type())
        }
        (Struct(given), Struct(wanted)) => {
            let mut fields = given.iter().zip(wanted);
            given.len() == wanted.len()
                && fields.all(|(given, wanted)| goes_into(given.data_type(), wanted.data_type()))
        }
        (Date32 | Timestamp(_, _), Date32 | Timestamp(_, _)) => true,
        _ if wanted.is_integer() => given.is_integer(),
        _ => {
            (given.is_string() && wanted.is_string())
                || (given.is_numeric() && wanted.is_numeric())
                || (given.is_binary() && wanted.is_binary())
        }
    }
}

fn exact(one: &DataType, left: (u8, i8), other: &DataType, right: (u8, i8)) -> DataType {
    if !is_decimal(one) && !is_decimal(other) {
        return if left.0 < right.0 { other.clone() } else { one.clone() };
    }
    let whole = |(precision, scale): (u8, i8)| i64::from(precision) - i64::from(scale);
    let most = i64::from(DECIMAL128_MAX_PRECISION);
    let digits = whole(left).max(whole(right)).min(most);
    let scale = i64::from(left.1.max(right.1)).min(most - digits);
    DataType::Decimal128((digits + scale) as u8, scale as i8)
}

/// A FLOAT holds what a DECIMAL does too badly, but not what a BIGINT does.
fn approximate(one: &DataType, other: &DataType) -> Option<DataType> {
    let is_number = |data_type: &DataType| data_type.is_floating() || exact_digits(data_type).is_some();
    if !is_number(one) || !is_number(other) {
        return None;
    }
    let wide = |data_type: &DataType| is_decimal(data_type) || *data_type == DataType::Float64;
    Some(if wide(one) || wide(other) { DataType::Float64 } else { DataType::Float32 })
}

fn finer(one: TimeUnit, other: TimeUnit) -> TimeUnit {
    [TimeUnit::Nanosecond, TimeUnit::Microsecond, TimeUnit::Millisecond]
        .into_iter()
        .find(|unit| *unit == one || *unit == other)
        .unwrap_or(TimeUnit::Second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(types: &[DataType]) -> Option<DataType> {
        let backwards = common_type(types.iter().rev());
        let found = common_type(types);
        assert_eq!(found, backwards, "the order of types makes no difference");
        found
    }

    #[test]
    fn numbers() {
        use DataType::{Decimal128, Float32, Float64, Int8, Int32, Int64};
        assert_eq!(common(&[Int8, Int64, Int32]), Some(Int64));
        assert_eq!(common(&[Int32, Int64, Decimal128(2, 2)]), Some(Decimal128(21, 2)));
        assert_eq!(common(&[Decimal128(38, 0), Decimal128(10, 5)]), Some(Decimal128(38, 0)));
        assert_eq!(common(&[Int64, Float32]), Some(Float32));
        assert_eq!(common(&[Decimal128(2, 1), Float32]), Some(Float64));
        assert_eq!(common(&[Decimal128(2, 1), Float64, DataType::Null]), Some(Float64));
        assert_eq!(common(&[Int64, DataType::Boolean]), None);
    }

    #[test]
    fn values_in_the_place_of_others() {
        use DataType::{Date32, Decimal128, Float32, Int8, Int64, Utf8View};
        assert!(goes_into(&Int8, &Int64) && goes_into(&Int64, &Int8));
        assert!(goes_into(&Decimal128(2, 1), &Float32) && !goes_into(&Decimal128(2, 1), &Int64));
        assert!(!goes_into(&Utf8View, &Date32) && !goes_into(&Int64, &Utf8View));
        let list = |item| DataType::new_list(item, true);
        assert!(goes_into(&list(Int8), &list(Int64)) && !goes_into(&list(Float32), &list(Int64)));
        assert!(goes_into(&DataType::Null, &list(Int64)));
    }

    #[test]
    fn types_with_parts() {
        use DataType::{Int8, Int64, Utf8View};
        let list = |item| DataType::new_list(item, true);
        assert_eq!(common(&[list(Int8), list(Int64), list(DataType::Null)]), Some(list(Int64)));
        assert_eq!(common(&[list(Int8), list(Utf8View)]), None);
        assert_eq!(common(&[list(Int8), Int8]), None);
    }

    #[test]
    fn times_and_texts() {
        let timestamp = |unit| DataType::Timestamp(unit, None);
        let [milliseconds, nanoseconds] = [TimeUnit::Millisecond, TimeUnit::Nanosecond].map(timestamp);
        assert_eq!(common(&[DataType::Date32, milliseconds.clone()]), Some(milliseconds.clone()));
        assert_eq!(common(&[milliseconds.clone(), nanoseconds.clone()]), Some(nanoseconds));
        assert_eq!(common(&[milliseconds, DataType::Utf8View]), None);
        assert_eq!(common(&[DataType::Utf8, DataType::Utf8View]), Some(DataType::Utf8View));
        assert_eq!(common(&[DataType::Null]), Some(DataType::Null));
    }
}
