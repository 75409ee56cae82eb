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
/// `Decimal128(20, 0)` is `DECIMAL(20, 0)`, and `Int64(1)` is `1`.
pub fn with_sql_types(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let word_ends = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_ends);
        let after = match argument(after) {
            Some((argument, behind)) if is_type_name(word) => {
                match rest[..rest.len() - behind.len()].parse::<DataType>() {
                    Ok(data_type) => out.push_str(&sql_type(&data_type)),
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

fn is_type_name(word: &str) -> bool {
    TYPE_NAMES.iter().any(|(arrow, _)| *arrow == word) || ["Timestamp", "Time32", "Interval"].contains(&word)
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
    }

    #[test]
    fn literals_are_plain() {
        assert_eq!(with_sql_types("count(Int64(1)) FILTER a > Int32(-5)"), "count(1) FILTER a > -5");
        assert_eq!(with_sql_types(r#"s = Utf8("it's (odd") AND t"#), "s = 'it''s (odd' AND t");
        assert_eq!(with_sql_types("Int64(1"), "BIGINT(1");
    }
}
