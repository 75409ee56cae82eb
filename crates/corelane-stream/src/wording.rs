//! Words of others in our messages: the system's reasons, and Arrow's names of types.

use std::io;

use arrow::datatypes::DataType;

use crate::sql_type::sql_type;

/// The system's words for an error, without Rust's ` (os error 2)`, in our spelling.
pub fn io_reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => "unknown error".into(),
    }
}

/// Arrow's names of types that messages name alone, and SQL's.
const TYPE_NAMES: [(&str, &str); 15] = [
    ("Boolean", "BOOLEAN"),
    ("Int8", "TINYINT"),
    ("Int16", "SMALLINT"),
    ("Int32", "INT"),
    ("Int64", "BIGINT"),
    ("Float32", "FLOAT"),
    ("Float64", "DOUBLE"),
    ("Decimal128", "DECIMAL"),
    ("Utf8", "STRING"),
    ("LargeUtf8", "STRING"),
    ("Utf8View", "STRING"),
    ("Binary", "BYTES"),
    ("BinaryView", "BYTES"),
    ("Date32", "DATE"),
    ("Null", "NULL"),
];

/// A message in which types are called as SQL calls them, and literals stand without their types:
/// `Decimal128(20, 0)` is `DECIMAL(20, 0)`, and `Int64(1)` is `1`. A cast that failed is told in SQL's words.
pub fn with_sql_types(message: &str) -> String {
    let named = types_as_sql(message);
    failed_cast(&named).unwrap_or(named)
}

/// What Arrow's kernels say of a value that they cannot cast.
fn failed_cast(message: &str) -> Option<String> {
    if let Some(rest) = message.strip_prefix(['E', 'e']) {
        let (value, _) = rest.strip_prefix("rror parsing timestamp from ")?.rsplit_once(": ")?;
        return Some(format!("cannot cast {value} to TIMESTAMP"));
    }
    let rest = message.strip_prefix(['C', 'c'])?;
    if let Some(rest) = rest.strip_prefix("annot cast string ").or_else(|| rest.strip_prefix("annot cast value ")) {
        let (value, wanted) = rest.strip_suffix(" type")?.rsplit_once(" to value of ")?;
        return Some(format!("cannot cast {value} to {wanted}"));
    }
    let (value, wanted) = match rest.strip_prefix("annot cast to ") {
        Some(rest) => rest.split_once(". Overflowing on ").map(|(wanted, value)| (value, wanted))?,
        None => rest.strip_prefix("an't cast value ")?.rsplit_once(" to type ")?,
    };
    Some(format!("{value} is out of the range of {wanted}"))
}

fn types_as_sql(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let word_ends = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_ends);
        let after = match argument(after) {
            Some((argument, behind)) if is_type_name(word) => {
                let whole = &rest[..rest.len() - behind.len()];
                match whole.parse::<DataType>() {
                    Ok(data_type) => out.push_str(&sql_type(&data_type)),
                    Err(_) if NESTED.contains(&word) => out.push_str(whole),
                    Err(_) => out.push_str(&literal(argument)),
                }
                behind
            }
            _ => {
                let named = TYPE_NAMES.iter().find(|(arrow, _)| *arrow == word);
                out.push_str(named.map_or(word, |(_, sql)| sql));
                after
            }
        };
        let gap_ends = after.find(is_word).unwrap_or(after.len());
        out.push_str(&after[..gap_ends]);
        rest = &after[gap_ends..];
    }
    out
}

/// Arrow's types that hold others.
const NESTED: [&str; 3] = ["List", "Struct", "Map"];

fn is_type_name(word: &str) -> bool {
    let plain = TYPE_NAMES.iter().any(|(arrow, _)| *arrow == word);
    plain || NESTED.contains(&word) || ["Timestamp", "Time32", "Interval"].contains(&word)
}

/// What stands in the parentheses at the start of a text, and what stands behind them.
fn argument(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('(')?;
    let mut depth = 1;
    let mut quoted = false;
    for (at, character) in inner.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&inner[..at], &inner[at + 1..]));
        }
    }
    None
}

/// A literal of a plan, `"text"` or a number, as SQL writes it.
fn literal(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_without_numbers() {
        assert_eq!(io_reason(&io::Error::from_raw_os_error(2)), "no such file or directory");
        assert_eq!(io_reason(&io::Error::other("Odd")), "odd");
    }

    #[test]
    fn types_are_sql() {
        let text = "cannot coerce Int64 + Utf8View to valid types, not Decimal128(38, 0) or MyInt64";
        assert_eq!(with_sql_types(text), "cannot coerce BIGINT + STRING to valid types, not DECIMAL(38, 0) or MyInt64");
        assert_eq!(with_sql_types("(Int8)"), "(TINYINT)");
        assert_eq!(with_sql_types("CAST(a AS Timestamp(ms))"), "CAST(a AS TIMESTAMP(3))");
        assert_eq!(with_sql_types(r#"a Timestamp(µs, "UTC") or Time32(ms)"#), "a TIMESTAMP_LTZ(6) or TIME(3)");
        assert_eq!(with_sql_types("Interval(MonthDayNano)"), "INTERVAL DAY TO SECOND");
    }

    #[test]
    fn casts_that_failed() {
        let told = "Cannot cast string 'to value of x' to value of Int32 type";
        assert_eq!(with_sql_types(told), "cannot cast 'to value of x' to INT");
        assert_eq!(with_sql_types("Can't cast value 300 to type Int8"), "300 is out of the range of TINYINT");
        let overflow = "Cannot cast to Decimal128(3, 1). Overflowing on 1e40";
        assert_eq!(with_sql_types(overflow), "1e40 is out of the range of DECIMAL(3, 1)");
        let time = "Error parsing timestamp from 'abc': timestamp must contain at least 10 characters";
        assert_eq!(with_sql_types(time), "cannot cast 'abc' to TIMESTAMP");
        assert_eq!(with_sql_types("error of another kind"), "error of another kind");
    }

    #[test]
    fn literals_are_plain() {
        assert_eq!(with_sql_types("count(Int64(1)) FILTER a > Int32(-5)"), "count(1) FILTER a > -5");
        assert_eq!(with_sql_types(r#"s = Utf8("it's (odd") AND t"#), "s = 'it''s (odd' AND t");
        assert_eq!(with_sql_types("Int64(1"), "BIGINT(1");
    }
}
