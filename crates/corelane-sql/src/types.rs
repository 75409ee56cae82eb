//! Flink's SQL types and their Arrow counterparts.
//!
//! [`arrow_type`] and [`corelane_stream::sql_type()`] are inverse on the types that tables have. Where Flink
//! distinguishes more than Arrow (`CHAR(3)` and `STRING`, `TIMESTAMP(2)` and `TIMESTAMP(3)`) the
//! wider one comes back: lengths are not enforced and precision is kept at the next of
//! milliseconds, microseconds and nanoseconds.

use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Fields, IntervalUnit, TimeUnit};
use corelane_stream::sql_type::multiset_type;
use sqlparser::ast::{
    ArrayElemTypeDef, BinaryLength, CharacterLength, DataType, ExactNumberInfo, IntervalFields, ObjectName, SqlOption,
    TimezoneInfo,
};

use crate::error::SqlError;
use crate::parse::{NOT_NULL, RAW, TIMESTAMP_LTZ, counts};

/// Digits of a DECIMAL at most: what 128 bits hold.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// The time zone of a `TIMESTAMP_LTZ`: an instant, whatever zone shows it.
pub const INSTANT_ZONE: &str = "UTC";

/// The names of types, for a did-you-mean.
pub(crate) const TYPE_NAMES: &[&str] = &[
    "ARRAY",
    "BIGINT",
    "BINARY",
    "BOOLEAN",
    "BYTES",
    "CHAR",
    "DATE",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "INT",
    "INTEGER",
    "INTERVAL",
    "MAP",
    "MULTISET",
    "NUMERIC",
    "ROW",
    "SMALLINT",
    "STRING",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "TINYINT",
    "VARBINARY",
    "VARCHAR",
];

/// The Arrow type that holds values of a SQL type. Types that Flink lacks are refused, the
/// usual names of other systems with a hint.
pub fn arrow_type(data_type: &DataType) -> Result<ArrowType, SqlError> {
    Ok(match data_type {
        DataType::Boolean | DataType::Bool => ArrowType::Boolean,
        DataType::TinyInt(None) => ArrowType::Int8,
        DataType::SmallInt(None) => ArrowType::Int16,
        DataType::Int(None) | DataType::Integer(None) => ArrowType::Int32,
        DataType::BigInt(None) => ArrowType::Int64,
        DataType::Float(ExactNumberInfo::None) => ArrowType::Float32,
        DataType::Double(ExactNumberInfo::None) | DataType::DoublePrecision => ArrowType::Float64,
        DataType::Decimal(info) | DataType::Dec(info) | DataType::Numeric(info) => decimal(*info)?,
        DataType::Char(_)
        | DataType::Character(_)
        | DataType::Varchar(_)
        | DataType::CharVarying(_)
        | DataType::CharacterVarying(_)
        | DataType::String(None) => ArrowType::Utf8View,
        DataType::Binary(_) | DataType::Varbinary(_) | DataType::Bytes(None) => ArrowType::Binary,
        DataType::Date => ArrowType::Date32,
        DataType::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => time(*precision)?,
        DataType::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
            ArrowType::Timestamp(timestamp_unit(*precision)?, None)
        }
        DataType::Interval { fields, .. } => ArrowType::Interval(interval_unit(fields.as_ref())),
        DataType::Array(ArrayElemTypeDef::AngleBracket(element)) => {
            ArrowType::List(Arc::new(Field::new_list_field(arrow_type(element)?, true)))
        }
        DataType::Map(element, value) if counts(value) => multiset_type(arrow_type(element)?),
        DataType::Map(key, value) => map(arrow_type(key)?, arrow_type(value)?),
        DataType::Struct(fields, _) => ArrowType::Struct(struct_fields(fields)?),
        DataType::Custom(name, modifiers) => return named(name, modifiers),
        other => return Err(refuse(other)),
    })
}

/// The lengths that texts and bytes are declared with, by the path of their column, which types forget.
pub(crate) fn declared_lengths(path: &str, data_type: &DataType, lengths: &mut Vec<(String, u64)>) {
    let below = |name: &str| format!("{path}.{name}");
    let length = match data_type {
        DataType::Char(length) | DataType::Character(length) => match length {
            Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
            Some(CharacterLength::Max) => None,
            None => Some(1),
        },
        DataType::Varchar(Some(CharacterLength::IntegerLength { length, .. }))
        | DataType::CharVarying(Some(CharacterLength::IntegerLength { length, .. }))
        | DataType::CharacterVarying(Some(CharacterLength::IntegerLength { length, .. }))
        | DataType::Varbinary(Some(BinaryLength::IntegerLength { length })) => Some(*length),
        DataType::Binary(length) => Some(length.unwrap_or(1)),
        DataType::Array(ArrayElemTypeDef::AngleBracket(element)) => {
            declared_lengths(&below("element"), element, lengths);
            None
        }
        DataType::Map(key, value) => {
            declared_lengths(&below("key"), key, lengths);
            declared_lengths(&below("value"), value, lengths);
            None
        }
        DataType::Struct(fields, _) => {
            for field in fields {
                let name = field.field_name.as_ref().map_or("", |name| name.value.as_str());
                declared_lengths(&below(name), &field.field_type, lengths);
            }
            None
        }
        _ => None,
    };
    lengths.extend(length.map(|length| (path.to_owned(), length)));
}

/// The digits behind the second of a declared type, where the Arrow type that holds it has more.
pub(crate) fn fewer_digits(data_type: &DataType) -> Option<u8> {
    let digits = match data_type {
        DataType::Timestamp(digits, _) => *digits,
        DataType::Time(digits, _) => Some(digits.unwrap_or(0)),
        DataType::Custom(name, modifiers) if name.to_string().eq_ignore_ascii_case(TIMESTAMP_LTZ) => {
            modifiers.first().and_then(|digits| digits.parse().ok())
        }
        _ => None,
    };
    digits.filter(|digits| matches!(digits, 0..=2 | 4 | 5 | 7 | 8)).and_then(|digits| u8::try_from(digits).ok())
}

fn decimal(info: ExactNumberInfo) -> Result<ArrowType, SqlError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let in_bounds = (1..=u64::from(DECIMAL_PRECISION_MAX)).contains(&precision);
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if in_bounds && (0..=precision.cast_signed()).contains(&scale) => {
            Ok(ArrowType::Decimal128(precision, scale))
        }
        _ => Err(SqlError::new(format!("DECIMAL({precision}, {scale}) is out of range"))
            .with_hint(format!("the precision is 1 to {DECIMAL_PRECISION_MAX}, the scale 0 to the precision"))),
    }
}

fn time(precision: Option<u64>) -> Result<ArrowType, SqlError> {
    match precision.unwrap_or(0) {
        0..=3 => Ok(ArrowType::Time32(TimeUnit::Millisecond)),
        precision => Err(SqlError::new(format!("TIME({precision}) is finer than a millisecond"))
            .with_hint("use TIME(3) or TIMESTAMP(9)")),
    }
}

fn timestamp_unit(precision: Option<u64>) -> Result<TimeUnit, SqlError> {
    match precision.unwrap_or(6) {
        0..=3 => Ok(TimeUnit::Millisecond),
        4..=6 => Ok(TimeUnit::Microsecond),
        7..=9 => Ok(TimeUnit::Nanosecond),
        precision => Err(SqlError::new(format!("TIMESTAMP({precision}) is finer than a nanosecond"))
            .with_hint("the precision is 0 to 9")),
    }
}

fn interval_unit(fields: Option<&IntervalFields>) -> IntervalUnit {
    match fields {
        Some(IntervalFields::Year | IntervalFields::Month | IntervalFields::YearToMonth) => IntervalUnit::YearMonth,
        _ => IntervalUnit::MonthDayNano,
    }
}

fn map(key: ArrowType, value: ArrowType) -> ArrowType {
    let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    ArrowType::Map(Arc::new(Field::new("entries", ArrowType::Struct(entries), false)), false)
}

/// Fields of a `ROW`; those without a name get Flink's `f0`, `f1`, ..
fn struct_fields(fields: &[sqlparser::ast::StructField]) -> Result<Fields, SqlError> {
    let mut converted = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        let name = field.field_name.as_ref().map_or_else(|| format!("f{index}"), |name| name.value.clone());
        let is_not_null = |option: &SqlOption| matches!(option, SqlOption::Ident(ident) if ident.value == NOT_NULL);
        let not_null = field.options.iter().flatten().any(is_not_null);
        converted.push(Field::new(name, arrow_type(&field.field_type)?, !not_null));
    }
    Ok(Fields::from(converted))
}

/// The types that sqlparser knows only as a name.
fn named(name: &ObjectName, modifiers: &[String]) -> Result<ArrowType, SqlError> {
    let written = name.to_string().to_ascii_uppercase();
    match written.as_str() {
        TIMESTAMP_LTZ => {
            let precision = modifiers.first().and_then(|digits| digits.parse().ok());
            Ok(ArrowType::Timestamp(timestamp_unit(precision)?, Some(INSTANT_ZONE.into())))
        }
        RAW => Err(SqlError::new("RAW is not supported").with_hint("use BYTES")),
        _ => Err(SqlError::new(format!("{name} is not a type")).at_node(name)),
    }
}

/// Names what Flink calls a type that other systems spell otherwise.
fn refuse(data_type: &DataType) -> SqlError {
    let error = SqlError::new(format!("the type {data_type} is not supported"));
    let hint = match data_type {
        DataType::Text
        | DataType::Nvarchar(_)
        | DataType::Clob(_)
        | DataType::Uuid
        | DataType::JSON
        | DataType::JSONB => "use STRING",
        DataType::Timestamp(..) | DataType::Datetime(_) => "use TIMESTAMP(3), or TIMESTAMP_LTZ(3) for an instant",
        DataType::Real | DataType::Float4 | DataType::Float(_) => "use FLOAT",
        DataType::Float8 | DataType::Float64 | DataType::Double(_) => "use DOUBLE",
        DataType::Bytea | DataType::Blob(_) => "use BYTES",
        DataType::Int8(_) | DataType::Int64 => "use BIGINT",
        DataType::Int4(_) | DataType::Int32 => "use INT",
        DataType::Int2(_) | DataType::Int16 => "use SMALLINT",
        DataType::Time(..) => "use TIME without a zone",
        DataType::Array(_) => "use ARRAY<T>",
        DataType::TinyIntUnsigned(_)
        | DataType::SmallIntUnsigned(_)
        | DataType::IntUnsigned(_)
        | DataType::IntegerUnsigned(_)
        | DataType::BigIntUnsigned(_) => "numbers have a sign: use the next wider type",
        _ => return error,
    };
    error.with_hint(hint)
}
