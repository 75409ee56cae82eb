//! Typed reading of `WITH (..)` options.
//!
//! Values are written as Flink writes them (`10 s`, `128mb`, `true`). Every error names the
//! option, the value found and what is accepted, so that nobody has to open the manual.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use corelane_stream::{Error, Result, TableOptions};

/// Units of durations, as Flink's `TimeUtils` knows them, in nanoseconds.
const DURATION_UNITS: &[(&[&str], u64)] = &[
    (&["ns", "nano", "nanos", "nanosecond", "nanoseconds"], 1),
    (&["us", "µs", "micro", "micros", "microsecond", "microseconds"], 1_000),
    (&["", "ms", "milli", "millis", "millisecond", "milliseconds"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["min", "m", "minute", "minutes"], 60_000_000_000),
    (&["h", "hour", "hours"], 3_600_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
];

/// Units of memory sizes, as Flink's `MemorySize` knows them, in bytes.
const MEMORY_UNITS: &[(&[&str], u64)] = &[
    (&["", "b", "bytes"], 1),
    (&["k", "kb", "kibibytes"], 1 << 10),
    (&["m", "mb", "mebibytes"], 1 << 20),
    (&["g", "gb", "gibibytes"], 1 << 30),
    (&["t", "tb", "tebibytes"], 1 << 40),
];

/// A reader of one table's options.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    options: &'a TableOptions,
}

impl<'a> Options<'a> {
    pub fn new(options: &'a TableOptions) -> Self {
        Options { options }
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.options.get(name).map(String::as_str)
    }

    /// # Errors
    /// If the option is missing or empty.
    pub fn required(&self, name: &str) -> Result<&'a str> {
        match self.text(name) {
            Some(text) if !text.is_empty() => Ok(text),
            Some(_) => Err(Error::invalid(format!("option '{name}' is empty"))),
            None => Err(Error::invalid(format!("option '{name}' is missing"))
                .with_hint(format!("add '{name}' = '..' to the table's WITH (..)"))),
        }
    }

    /// # Errors
    /// If the value is neither `true` nor `false`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// A whole number from `min` to `max`, both included.
    ///
    /// # Errors
    /// If the value is not such a number.
    pub fn integer<T>(&self, name: &str, min: T, max: T) -> Result<Option<T>>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        self.read(name, &format!("a whole number from {min} to {max}"), |text| {
            text.parse().ok().filter(|number| min <= *number && *number <= max)
        })
    }

    /// A finite number from `min` to `max`, both included.
    ///
    /// # Errors
    /// If the value is not such a number.
    pub fn number(&self, name: &str, min: f64, max: f64) -> Result<Option<f64>> {
        self.read(name, &format!("a number from {min} to {max}"), |text| {
            text.parse().ok().filter(|number| (min..=max).contains(number))
        })
    }

    /// `10 s`, `500ms`, `1 min`; a number alone is milliseconds.
    ///
    /// # Errors
    /// If the value is not a duration.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>> {
        self.read(name, "a duration such as '500 ms', '10 s', '1 min', '2 h' or '1 d'", |text| {
            scaled(text, DURATION_UNITS).map(Duration::from_nanos)
        })
    }

    /// Bytes: `128mb`, `64 kb`; a number alone is bytes.
    ///
    /// # Errors
    /// If the value is not a size.
    pub fn memory(&self, name: &str) -> Result<Option<u64>> {
        self.read(name, "a size such as '64 kb', '128 mb' or '1 gb'", |text| scaled(text, MEMORY_UNITS))
    }

    /// One ASCII character, perhaps written as an escape: `\t`, `\\`, `\u0001`.
    ///
    /// # Errors
    /// If the value is not one ASCII character.
    pub fn character(&self, name: &str) -> Result<Option<u8>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match single_character(text) {
            Some(character) => Ok(Some(character)),
            None => Err(wrong_value(name, text, "one ASCII character, or an escape such as '\\t'")),
        }
    }

    /// One of a few words, in any case.
    ///
    /// # Errors
    /// If the value is none of them.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let accepted = choices.iter().map(|(word, _)| format!("'{word}'")).collect::<Vec<_>>().join(", ");
        let chosen = self.read(name, &accepted, |text| {
            choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, choice)| *choice)
        });
        chosen.map_err(|error| meant(error, self.text(name), choices.iter().map(|(word, _)| *word)))
    }

    fn read<T>(&self, name: &str, accepted: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match parse(text.trim()) {
            Some(value) => Ok(Some(value)),
            None => Err(wrong_value(name, text, accepted)),
        }
    }
}

/// The error for a value that an option does not take.
pub fn wrong_value(name: &str, value: &str, accepted: &str) -> Error {
    Error::invalid(format!("option '{name}' has the value '{value}'")).with_hint(format!("it takes {accepted}"))
}

/// Puts the accepted word that is most like the value found into the error's hint.
pub(crate) fn meant<'a>(error: Error, value: Option<&str>, accepted: impl IntoIterator<Item = &'a str>) -> Error {
    match (value.and_then(|value| did_you_mean(value, accepted)), error.hint().map(str::to_owned)) {
        (Some(like), Some(hint)) => error.with_hint(format!("did you mean '{like}'? {hint}")),
        (Some(_), None) | (None, _) => error,
    }
}

/// Names between quotes, as many as can be read at a glance.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const NAMES_MAX: usize = 20;
    let names: Vec<String> = names.into_iter().map(|name| format!("'{name}'")).collect();
    match names.get(NAMES_MAX..) {
        Some(more @ [_, ..]) => format!("{} and {} more", names[..NAMES_MAX].join(", "), more.len()),
        Some([]) | None => names.join(", "),
    }
}

/// The candidate most like `name`, if one is like it at all.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LIKENESS_MIN: f64 = 0.6;
    let mut best = None;
    let mut best_likeness = LIKENESS_MIN;
    for candidate in candidates {
        let likeness = strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase());
        if best_likeness < likeness {
            best_likeness = likeness;
            best = Some(candidate);
        }
    }
    best
}

fn scaled(text: &str, units: &[(&[&str], u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let (_, scale) = units.iter().find(|(names, _)| names.contains(&unit.as_str()))?;
    number.checked_mul(*scale)
}

fn single_character(text: &str) -> Option<u8> {
    let character = match text.as_bytes() {
        [single] => *single,
        b"\\t" => b'\t',
        b"\\n" => b'\n',
        b"\\r" => b'\r',
        b"\\\\" => b'\\',
        b"\\'" => b'\'',
        b"\\\"" => b'"',
        [b'\\', b'u', _, _, _, _] => u8::try_from(u32::from_str_radix(&text[2..], 16).ok()?).ok()?,
        _ => return None,
    };
    character.is_ascii().then_some(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn options(value: &str) -> TableOptions {
        TableOptions::from([("o".to_owned(), value.to_owned())])
    }

    fn check<T: std::fmt::Debug>(value: &str, read: impl Fn(&Options<'_>) -> Result<T>, expected: Expect) {
        let options = options(value);
        let text = match read(&Options::new(&options)) {
            Ok(value) => format!("{value:?}"),
            Err(error) => format!("{error}; {}", error.hint().unwrap_or("no hint")),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn values_are_written_as_flink_writes_them() {
        check("10 s", |o| o.duration("o"), expect!["Some(10s)"]);
        check("500ms", |o| o.duration("o"), expect!["Some(500ms)"]);
        check("1 min", |o| o.duration("o"), expect!["Some(60s)"]);
        check("250", |o| o.duration("o"), expect!["Some(250ms)"]);
        check("128MB", |o| o.memory("o"), expect!["Some(134217728)"]);
        check("TRUE", |o| o.boolean("o"), expect!["Some(true)"]);
        check("\\t", |o| o.character("o"), expect!["Some(9)"]);
        check(" ", |o| o.character("o"), expect!["Some(32)"]);
        check("iso-8601", |o| o.choice("o", &[("SQL", 1), ("ISO-8601", 2)]), expect!["Some(2)"]);
        check("7", |o| o.integer("o", 1u64, 9), expect!["Some(7)"]);
        check("x", |o| o.integer("p", 1u64, 9), expect!["None"]);
    }

    #[test]
    fn errors_name_option_value_and_what_is_accepted() {
        check(
            "10 parsecs",
            |o| o.duration("o"),
            expect![
                "option 'o' has the value '10 parsecs'; it takes a duration such as '500 ms', '10 s', '1 min', '2 h' or '1 d'"
            ],
        );
        check("ja", |o| o.boolean("o"), expect!["option 'o' has the value 'ja'; it takes true or false"]);
        check(
            "0",
            |o| o.integer("o", 1u64, 9),
            expect!["option 'o' has the value '0'; it takes a whole number from 1 to 9"],
        );
        check(
            "99999999999 gb",
            |o| o.memory("o"),
            expect!["option 'o' has the value '99999999999 gb'; it takes a size such as '64 kb', '128 mb' or '1 gb'"],
        );
        check(
            "--",
            |o| o.character("o"),
            expect!["option 'o' has the value '--'; it takes one ASCII character, or an escape such as '\\t'"],
        );
        check(
            "XML",
            |o| o.choice("o", &[("SQL", 1), ("ISO-8601", 2)]),
            expect!["option 'o' has the value 'XML'; it takes 'SQL', 'ISO-8601'"],
        );
        check("", |o| o.required("o").map(str::to_owned), expect!["option 'o' is empty; no hint"]);
        check(
            "1",
            |o| o.required("path").map(str::to_owned),
            expect!["option 'path' is missing; add 'path' = '..' to the table's WITH (..)"],
        );
    }
}
