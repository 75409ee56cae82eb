//! Regular expressions as Java's `Pattern` reads them, run by the `regex` crate.
//!
//! Patterns are rewritten so that what both accept means the same: Java's classes are ASCII, its dot excludes
//! all line ends, `\Q..\E` quotes. What needs backtracking (look-around, back-references, possessive
//! quantifiers) is refused: linear time per row is worth more to a stream. A compiled pattern is kept per thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::{Result, exec_err, internal_err, plan_err};
use datafusion_expr::ReturnFieldArgs;
use memchr::{memchr, memmem};
use regex::{CaptureLocations, Regex, RegexBuilder};

use super::call::{Call, Text};
use super::function::constant_text;
use super::text_builder::TextBuilder;

/// Compiled patterns a thread keeps. Patterns from data can be many: past this the cache starts anew.
const CACHED_PATTERNS_MAX: usize = 256;

/// Bytes one compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 4 << 20;

/// Shared, not cloned: a clone of a [`Regex`] starts with empty caches, and would fill them anew for every batch.
type Compiled = std::result::Result<Rc<Regex>, String>;

thread_local! {
    static CACHE: RefCell<HashMap<String, Compiled>> = RefCell::new(HashMap::new());
}

/// Compiles a pattern, or finds it compiled.
fn compile(pattern: &str) -> Compiled {
    CACHE.with_borrow_mut(|cache| {
        if let Some(compiled) = cache.get(pattern) {
            return compiled.clone();
        }
        let compiled = from_java(pattern).and_then(|translated| {
            let regex = RegexBuilder::new(&translated).size_limit(PATTERN_BYTES_MAX).build();
            regex.map(Rc::new).map_err(|error| error.to_string())
        });
        if CACHED_PATTERNS_MAX <= cache.len() {
            cache.clear();
        }
        cache.insert(pattern.to_owned(), compiled.clone());
        compiled
    })
}

/// Refuses a constant pattern that does not compile.
pub(super) fn check(args: &ReturnFieldArgs) -> Result<()> {
    match constant_text(args, 1).map(compile) {
        Some(Err(reason)) => plan_err!("the regular expression is not valid or not supported: {reason}"),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Rewrites a Java pattern to one of the `regex` crate.
fn from_java(pattern: &str) -> std::result::Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut letters = pattern.chars().peekable();
    let mut class_depth = 0_usize;
    // True where a `+` would make the quantifier before it possessive.
    let mut quantified = false;
    let dot_all = pattern.contains("(?s") || pattern.contains("(?is") || pattern.contains("(?ms");
    while let Some(letter) = letters.next() {
        let was_quantified = std::mem::take(&mut quantified);
        match letter {
            '\\' => {
                let Some(escaped) = letters.next() else { return Err("it ends in a backslash".to_owned()) };
                translate_escape(escaped, &mut letters, class_depth, &mut out)?;
            }
            '[' => {
                class_depth += 1;
                out.push('[');
                if letters.peek() == Some(&'^') {
                    out.extend(letters.next());
                }
                if letters.peek() == Some(&']') {
                    letters.next();
                    out.push_str("\\]");
                }
            }
            ']' if 0 < class_depth => {
                class_depth -= 1;
                out.push(']');
            }
            // Set difference in the crate, plain characters in Java.
            '-' | '~' if 0 < class_depth && letters.peek() == Some(&letter) => {
                out.push('\\');
                out.push(letter);
            }
            '.' if class_depth == 0 && !dot_all => out.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]"),
            '+' if class_depth == 0 && was_quantified => {
                return Err("possessive quantifiers are not supported".to_owned());
            }
            '*' | '+' | '?' | '}' if class_depth == 0 => {
                // `(?` opens a group: its mark is no quantifier.
                let opens_group = letter == '?' && out.ends_with('(');
                quantified = !opens_group && !was_quantified;
                out.push(letter);
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

fn translate_escape(
    escaped: char,
    letters: &mut std::iter::Peekable<std::str::Chars>,
    class_depth: usize,
    out: &mut String,
) -> std::result::Result<(), String> {
    match escaped {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str(r"[ \t\n\x0B\x0C\r]"),
        'S' => out.push_str(r"[^ \t\n\x0B\x0C\r]"),
        'h' => out.push_str(r"[ \t\x{A0}\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"),
        'R' if class_depth == 0 => out.push_str(r"(?:\r\n|[\n\x0B\x0C\r\x{85}\x{2028}\x{2029}])"),
        'b' if class_depth == 0 => out.push_str(r"\b"),
        'e' => out.push_str(r"\x1B"),
        'Z' => out.push_str(r"\z"),
        'u' => {
            let digits: String = letters.by_ref().take(4).collect();
            out.push_str("\\x{");
            out.push_str(&digits);
            out.push('}');
        }
        'Q' => {
            let mut quoted = String::new();
            while let Some(letter) = letters.next() {
                if letter == '\\' && letters.peek() == Some(&'E') {
                    letters.next();
                    break;
                }
                quoted.push(letter);
            }
            out.push_str(&regex::escape(&quoted));
        }
        'p' | 'P' | 'x' if letters.peek() == Some(&'{') => {
            let name: String = letters.by_ref().skip(1).take_while(|letter| *letter != '}').collect();
            match (posix_class(&name), escaped) {
                (Some(class), 'p') => out.push_str(&format!("[[:{class}:]]")),
                (Some(class), _) => out.push_str(&format!("[[:^{class}:]]")),
                (None, _) => out.push_str(&format!("\\{escaped}{{{}}}", name.trim_start_matches("Is"))),
            }
        }
        '1'..='9' | 'k' => return Err("back-references are not supported".to_owned()),
        'G' => return Err("\\G is not supported".to_owned()),
        // Java lets any character that is no letter be escaped.
        other if !other.is_ascii_alphanumeric() => out.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        other => {
            out.push('\\');
            out.push(other);
        }
    }
    Ok(())
}

/// Java's names of the ASCII classes.
fn posix_class(name: &str) -> Option<&'static str> {
    Some(match name {
        "Alpha" => "alpha",
        "Digit" => "digit",
        "Alnum" => "alnum",
        "Upper" => "upper",
        "Lower" => "lower",
        "Punct" => "punct",
        "Space" => "space",
        "Blank" => "blank",
        "Cntrl" => "cntrl",
        "Graph" => "graph",
        "Print" => "print",
        "XDigit" => "xdigit",
        "ASCII" => "ascii",
        _ => return None,
    })
}

/// The patterns of a call: compiled once if constant, else from the cache, row by row.
enum Patterns<'a> {
    One(Option<Rc<Regex>>),
    Each(Text<'a>),
}

impl<'a> Patterns<'a> {
    fn new(text: Text<'a>) -> Self {
        match text.constant() {
            Some(pattern) => Patterns::One(compile(pattern).ok()),
            None => Patterns::Each(text),
        }
    }

    /// Runs `search` with the pattern of `row`; a pattern that does not compile finds nothing.
    fn with<R>(&self, row: usize, search: impl FnOnce(&Regex) -> R) -> Option<R> {
        match self {
            Patterns::One(regex) => regex.as_deref().map(search),
            Patterns::Each(text) => compile(text.at(row)).ok().as_deref().map(search),
        }
    }
}

/// The pattern `(&|^)name=([^&]*)`, which reads a parameter of a URL's query: found by a search for the name,
/// for to run the regular expression takes 170 ns on a url of 70 bytes.
struct Parameter<'p> {
    finder: memmem::Finder<'p>,
    /// Bytes of `name=`.
    width: usize,
}

impl<'p> Parameter<'p> {
    fn recognize(pattern: &'p str) -> Option<Self> {
        let named = pattern.strip_prefix("(&|^)")?.strip_suffix("([^&]*)")?;
        let name = named.strip_suffix('=')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let recognized = !name.is_empty() && name.bytes().all(plain);
        recognized.then(|| Parameter { finder: memmem::Finder::new(named), width: named.len() })
    }

    /// The range of a group of the first match.
    fn find(&self, whole: &str, group: usize) -> Option<Range<usize>> {
        let bytes = whole.as_bytes();
        // No two finds overlap, for `=` is the last of each and in none before.
        let name = self.finder.find_iter(bytes).find(|start| *start == 0 || bytes[start - 1] == b'&')?;
        let (start, value) = (name.saturating_sub(1), name + self.width);
        let end = memchr(b'&', &bytes[value..]).map_or(bytes.len(), |length| value + length);
        match group {
            0 => Some(start..end),
            1 => Some(start..name),
            2 => Some(value..end),
            _ => None,
        }
    }
}

/// `REGEXP_EXTRACT(s, regex[, group])`: null if nothing matches, or there is no such group.
pub(super) fn extract(call: &Call) -> Result<ArrayRef> {
    let (text, patterns) = (call.text(0)?, Patterns::new(call.text(1)?));
    let group = if call.has(2) { Some(call.longs(2)?) } else { None };
    if let Some(parameter) = call.text(1)?.constant().and_then(Parameter::recognize) {
        return call.slice_texts(text, |row, whole| {
            let group = usize::try_from(group.map_or(0, |group| group.at(row))).ok();
            Ok(group.and_then(|group| parameter.find(whole, group)).map(|range| &whole[range]))
        });
    }
    // Kept between rows: a pattern's captures are then found without allocation.
    let mut kept: Option<CaptureLocations> = None;
    call.slice_texts(text, |row, whole| {
        let Ok(group) = usize::try_from(group.map_or(0, |group| group.at(row))) else { return Ok(None) };
        let found = patterns.with(row, |regex| {
            if group == 0 {
                return regex.find(whole).map(|found| found.range());
            }
            if regex.captures_len() <= group {
                return None;
            }
            let locations = match &mut kept {
                Some(locations) if matches!(patterns, Patterns::One(_)) => locations,
                _ => kept.insert(regex.capture_locations()),
            };
            regex.captures_read(locations, whole)?;
            locations.get(group).map(|(start, end)| start..end)
        });
        Ok(found.flatten().map(|range| &whole[range]))
    })
}

/// `REGEXP(s, regex)`: an empty or bad pattern is false.
pub(super) fn is_match(call: &Call) -> Result<ArrayRef> {
    let (text, pattern) = (call.text(0)?, call.text(1)?);
    let patterns = Patterns::new(pattern);
    call.map_booleans(|row| {
        let found = patterns.with(row, |regex| regex.is_match(text.at(row))).unwrap_or(false);
        Ok(Some(found && !pattern.at(row).is_empty()))
    })
}

/// The replacement is taken as it stands: `$1` is no group.
pub(super) fn replace(call: &Call) -> Result<ArrayRef> {
    let (text, patterns, replacement) = (call.text(0)?, Patterns::new(call.text(1)?), call.text(2)?);
    call.write_texts(|row, out| {
        let (whole, replacement) = (text.at(row), replacement.at(row));
        let replaced = patterns.with(row, |regex| {
            let mut last = 0;
            for found in regex.find_iter(whole) {
                out.push_str(&whole[last..found.start()]);
                out.push_str(replacement);
                last = found.end();
            }
            out.push_str(&whole[last..]);
        });
        Ok(replaced.is_some())
    })
}

pub(super) fn count(call: &Call) -> Result<ArrayRef> {
    let (text, patterns) = (call.text(0)?, Patterns::new(call.text(1)?));
    call.map_values::<Int32Type>(|row| Ok(patterns.with(row, |regex| regex.find_iter(text.at(row)).count() as i32)))
}

/// The position (from 1) of the first match, or 0.
pub(super) fn instr(call: &Call) -> Result<ArrayRef> {
    let (text, patterns) = (call.text(0)?, Patterns::new(call.text(1)?));
    call.map_values::<Int32Type>(|row| {
        let whole = text.at(row);
        let position = |start: usize| whole[..start].chars().count() as i32 + 1;
        Ok(patterns.with(row, |regex| regex.find(whole).map_or(0, |found| position(found.start()))))
    })
}

pub(super) fn substr(call: &Call) -> Result<ArrayRef> {
    let (text, patterns) = (call.text(0)?, Patterns::new(call.text(1)?));
    call.slice_texts(text, |row, whole| {
        Ok(patterns.with(row, |regex| regex.find(whole).map(|found| found.as_str())).flatten())
    })
}

/// `REGEXP_EXTRACT_ALL(s, regex[, group])`: that group (1 by default) of every match; null if there is no such group.
pub(super) fn extract_all(call: &Call) -> Result<ArrayRef> {
    let (text, patterns) = (call.text(0)?, Patterns::new(call.text(1)?));
    let group = if call.has(2) { Some(call.longs(2)?) } else { None };
    let DataType::List(item) = call.returns else { return internal_err!("REGEXP_EXTRACT_ALL gives a list") };
    let mut parts = TextBuilder::over(call.rows, text.array);
    let mut offsets = vec![0_i32];
    let mut valid = Vec::with_capacity(call.rows);
    let mut count = 0;
    for row in 0..call.rows {
        let whole = text.at(row);
        let group = usize::try_from(group.map_or(1, |group| group.at(row))).ok();
        let done = patterns.with(row, |regex| {
            let Some(group) = group.filter(|group| *group < regex.captures_len() && !call.is_null(row)) else {
                return false;
            };
            for captures in regex.captures_iter(whole) {
                match captures.get(group) {
                    Some(part) => parts.append_part(text.view(row), whole, part.as_str()),
                    None => parts.append_null(),
                }
                count += 1;
            }
            true
        });
        valid.push(done == Some(true));
        offsets.push(count);
    }
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, parts.finish(), Some(valid.into()))?))
}

/// Cuts a text at matches, into `most` pieces; empty ones at the end are left out, as `String.split` does.
pub(super) fn split<'t>(text: &'t str, pattern: &str, most: usize) -> Result<Vec<&'t str>> {
    let mut pieces: Vec<&str> = match compile(pattern) {
        Ok(regex) => regex.splitn(text, most).collect(),
        Err(reason) => return exec_err!("the regular expression '{pattern}' is not valid or not supported: {reason}"),
    };
    while most == usize::MAX && 1 < pieces.len() && pieces.last() == Some(&"") {
        pieces.pop();
    }
    Ok(pieces)
}
