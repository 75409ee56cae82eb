//! Words of others in our messages: the system's reasons, and Arrow's names of types.

use std::io;

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

/// Arrow's names of types, and SQL's.
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

/// Arrow's types with an argument, and SQL's.
const TYPES_WITH_UNITS: [(&str, &str); 9] = [
    ("Timestamp(ms, \"UTC\")", "TIMESTAMP_LTZ(3)"),
    ("Timestamp(µs, \"UTC\")", "TIMESTAMP_LTZ(6)"),
    ("Timestamp(ns, \"UTC\")", "TIMESTAMP_LTZ(9)"),
    ("Timestamp(ms)", "TIMESTAMP(3)"),
    ("Timestamp(µs)", "TIMESTAMP(6)"),
    ("Timestamp(ns)", "TIMESTAMP(9)"),
    ("Time32(ms)", "TIME"),
    ("Interval(YearMonth)", "INTERVAL YEAR TO MONTH"),
    ("Interval(MonthDayNano)", "INTERVAL DAY TO SECOND"),
];

/// A message in which types are called as SQL calls them.
pub fn with_sql_types(message: &str) -> String {
    let replaced = TYPES_WITH_UNITS
        .iter()
        .filter(|(arrow, _)| message.contains(arrow))
        .fold(None, |text: Option<String>, (arrow, sql)| Some(text.as_deref().unwrap_or(message).replace(arrow, sql)));
    let message = replaced.as_deref().unwrap_or(message);
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let word_ends = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_ends);
        let named = TYPE_NAMES.iter().find(|(arrow, _)| *arrow == word);
        out.push_str(named.map_or(word, |(_, sql)| sql));
        let gap_ends = after.find(is_word).unwrap_or(after.len());
        out.push_str(&after[..gap_ends]);
        rest = &after[gap_ends..];
    }
    out
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
        assert_eq!(with_sql_types("a Timestamp(ms) or List(Time32(ms))"), "a TIMESTAMP(3) or List(TIME)");
    }
}
