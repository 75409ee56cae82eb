//! How SQL spells a type: what Arrow calls `Utf8View` is a `STRING` to a reader.

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, Fields, IntervalUnit, TimeUnit};

/// The type of a `MULTISET`: a map from each element to how often it is there. By the name of the count
/// it is told from a `MAP` whose values are never null.
pub fn multiset_type(element: ArrowType) -> ArrowType {
    let fields = vec![Field::new("key", element, false), Field::new(MULTISET_COUNT, ArrowType::Int32, false)];
    ArrowType::Map(Arc::new(Field::new("entries", ArrowType::Struct(fields.into()), false)), false)
}

const MULTISET_COUNT: &str = "count";

/// How Flink spells an Arrow type. Types that no SQL type maps to are named as Arrow does.
pub fn sql_type(arrow_type: &ArrowType) -> String {
    let mut out = String::new();
    write_type(arrow_type, &mut out);
    out
}

fn write_type(arrow_type: &ArrowType, out: &mut String) {
    let plain = match arrow_type {
        ArrowType::Null => "NULL",
        ArrowType::Boolean => "BOOLEAN",
        ArrowType::Int8 => "TINYINT",
        ArrowType::Int16 => "SMALLINT",
        ArrowType::Int32 => "INT",
        ArrowType::Int64 => "BIGINT",
        ArrowType::Float32 => "FLOAT",
        ArrowType::Float64 => "DOUBLE",
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => "STRING",
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => "BYTES",
        ArrowType::Date32 => "DATE",
        ArrowType::Time32(_) => "TIME(3)",
        ArrowType::Timestamp(unit, zone) => {
            let name = if zone.is_some() { "TIMESTAMP_LTZ" } else { "TIMESTAMP" };
            return write!(out, "{name}({})", timestamp_precision(*unit)).expect("a String takes all text");
        }
        ArrowType::Interval(IntervalUnit::YearMonth) => "INTERVAL YEAR TO MONTH",
        ArrowType::Interval(IntervalUnit::DayTime | IntervalUnit::MonthDayNano) => "INTERVAL DAY TO SECOND",
        ArrowType::Decimal128(precision, scale) => {
            return write!(out, "DECIMAL({precision}, {scale})").expect("a String takes all text");
        }
        ArrowType::List(element) | ArrowType::LargeList(element) => {
            out.push_str("ARRAY<");
            write_type(element.data_type(), out);
            ">"
        }
        ArrowType::Map(entries, _) => match entries.data_type() {
            ArrowType::Struct(fields) if fields.len() == 2 && fields[1].name() == MULTISET_COUNT => {
                out.push_str("MULTISET<");
                write_type(fields[0].data_type(), out);
                ">"
            }
            ArrowType::Struct(fields) if fields.len() == 2 => {
                out.push_str("MAP<");
                write_type(fields[0].data_type(), out);
                out.push_str(", ");
                write_type(fields[1].data_type(), out);
                ">"
            }
            other => return write!(out, "MAP<{other}>").expect("a String takes all text"),
        },
        ArrowType::Struct(fields) => {
            write_row(fields, out);
            ">"
        }
        other => return write!(out, "{other}").expect("a String takes all text"),
    };
    out.push_str(plain);
}

/// Writes `ROW<a INT, ..` without its end.
fn write_row(fields: &Fields, out: &mut String) {
    out.push_str("ROW<");
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_name(field.name(), out);
        out.push(' ');
        write_type(field.data_type(), out);
        if !field.is_nullable() {
            out.push_str(" NOT NULL");
        }
    }
}

/// Back-ticks wherever a bare name might not read back as itself.
fn write_name(name: &str, out: &mut String) {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if name.chars().all(is_plain) && name.starts_with(|first: char| !first.is_ascii_digit()) {
        out.push_str(name);
    } else {
        out.push('`');
        out.push_str(&name.replace('`', "``"));
        out.push('`');
    }
}

fn timestamp_precision(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}
