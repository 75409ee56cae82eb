//! JSON text as a tree that borrows from it, and paths into that tree.
//!
//! Members keep their order and numbers their digits, which `serde_json`'s map of values would lose.

use std::borrow::Cow;
use std::fmt::Write;

use corelane_stream::limits::JSON_DEPTH_MAX;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// Reads one value; `None` if the text is not JSON, or nested deeper than [`JSON_DEPTH_MAX`].
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let node = reader.value(0)?;
        reader.skip_space();
        reader.rest.is_empty().then_some(node)
    }

    /// Appends the value as JSON without spaces.
    /// The value as JSON.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    pub fn write(&self, out: &mut String) {
        match self {
            Node::Null => out.push_str("null"),
            Node::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Node::Number(digits) => write_number(digits, out),
            Node::Text(text) => write_quoted(text, out),
            Node::Array(items) => write_list(out, ['[', ']'], items, |item, out| item.write(out)),
            Node::Object(members) => write_list(out, ['{', '}'], members, |(name, value), out| {
                write_quoted(name, out);
                out.push(':');
                value.write(out);
            }),
        }
    }

    pub fn is_scalar(&self) -> bool {
        !matches!(self, Node::Array(_) | Node::Object(_))
    }
}

fn write_list<T>(out: &mut String, [open, close]: [char; 2], items: &[T], write: impl Fn(&T, &mut String)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if 0 < index {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

/// A whole number as it stands, another as a double: Flink's JSON library reads it so.
pub(super) fn write_number(digits: &str, out: &mut String) {
    match digits.parse::<f64>() {
        Ok(number) if digits.contains(['.', 'e', 'E']) => write_double(number, out),
        Ok(_) | Err(_) => out.push_str(digits),
    }
}

/// A double as Java prints it: `1.0`, `1.0E10`, `1.0E-5`.
pub(super) fn write_double(number: f64, out: &mut String) {
    write_scientific(&format!("{number:e}"), number.abs(), || format!("{number:?}"), out);
}

/// A float as Java prints it: the fewest digits that give it back.
pub(super) fn write_float(number: f32, out: &mut String) {
    write_scientific(&format!("{number:e}"), f64::from(number.abs()), || format!("{number:?}"), out);
}

fn write_scientific(text: &str, size: f64, plain: impl Fn() -> String, out: &mut String) {
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        out.push_str(&plain());
    } else if size.is_finite() {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let point = if mantissa.contains('.') { "" } else { ".0" };
        let _ = write!(out, "{mantissa}{point}E{exponent}");
    } else if size.is_nan() {
        out.push_str("NaN");
    } else {
        out.push_str(if text.starts_with('-') { "-Infinity" } else { "Infinity" });
    }
}

pub(super) fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        write_escaped(letter, out);
    }
    out.push('"');
}

pub(super) fn write_escaped(letter: char, out: &mut String) {
    match letter {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        control if (control as u32) < 0x20 => {
            let _ = write!(out, "\\u{:04X}", control as u32);
        }
        other => out.push(other),
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Skips spaces, then the text if it comes.
    fn skip(&mut self, text: &str) -> Option<()> {
        self.skip_space();
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Node<'a>> {
        if JSON_DEPTH_MAX < depth {
            return None;
        }
        self.skip_space();
        match self.rest.as_bytes().first()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.text().map(Node::Text),
            b't' => self.skip("true").map(|()| Node::Bool(true)),
            b'f' => self.skip("false").map(|()| Node::Bool(false)),
            b'n' => self.skip("null").map(|()| Node::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Node<'a>> {
        self.skip("{")?;
        let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
        if self.skip("}").is_some() {
            return Some(Node::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.text()?;
            self.skip(":")?;
            let value = self.value(depth + 1)?;
            // Of a name that comes twice the last counts.
            match members.iter_mut().find(|(known, _)| *known == name) {
                Some(member) => member.1 = value,
                None => members.push((name, value)),
            }
            if self.skip(",").is_none() {
                self.skip("}")?;
                return Some(Node::Object(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Node<'a>> {
        self.skip("[")?;
        let mut items = Vec::new();
        if self.skip("]").is_some() {
            return Some(Node::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.skip(",").is_none() {
                self.skip("]")?;
                return Some(Node::Array(items));
            }
        }
    }

    fn number(&mut self) -> Option<Node<'a>> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = usize::from(bytes.first() == Some(&b'-'));
        let whole = digits(end);
        if whole == 0 || (1 < whole && bytes[end] == b'0') {
            return None;
        }
        end += whole;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            end += 1 + fraction;
            if fraction == 0 {
                return None;
            }
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            end += 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end.min(bytes.len()));
            end += exponent;
            if exponent == 0 {
                return None;
            }
        }
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Node::Number(number))
    }

    fn text(&mut self) -> Option<Cow<'a, str>> {
        let body = self.rest.strip_prefix('"')?;
        let end = body.find(['"', '\\'])?;
        if body[..end].bytes().any(|byte| byte < 0x20) {
            return None;
        }
        if body.as_bytes()[end] == b'"' {
            self.rest = &body[end + 1..];
            return Some(Cow::Borrowed(&body[..end]));
        }
        let mut text = body[..end].to_owned();
        let mut letters = body[end..].chars();
        loop {
            match letters.next()? {
                '"' => break,
                '\\' => text.push(escape(&mut letters)?),
                control if (control as u32) < 0x20 => return None,
                other => text.push(other),
            }
        }
        self.rest = letters.as_str();
        Some(Cow::Owned(text))
    }
}

fn escape(letters: &mut std::str::Chars) -> Option<char> {
    Some(match letters.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let high = code_unit(letters)?;
            if !(0xd800..0xdc00).contains(&high) {
                return Some(char::from_u32(high).unwrap_or('\u{fffd}'));
            }
            // The second half of a pair; alone, a first half is no character.
            let mut ahead = letters.clone();
            if ahead.next() != Some('\\') || ahead.next() != Some('u') {
                return Some('\u{fffd}');
            }
            let low = code_unit(&mut ahead)?;
            if !(0xdc00..0xe000).contains(&low) {
                return Some('\u{fffd}');
            }
            *letters = ahead;
            char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
        }
        plain @ ('"' | '\\' | '/') => plain,
        _ => return None,
    })
}

fn code_unit(letters: &mut std::str::Chars) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit << 4 | letters.next()?.to_digit(16)?))
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    Item(i64),
    All,
}

/// A compiled path: `$.a['b'][0][*]`, after `lax` or `strict`.
#[derive(Clone, Debug)]
pub(super) struct Path {
    steps: Vec<Step>,
    lax: bool,
}

impl Path {
    pub fn compile(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no JSON path such as '$.a[0].b'");
        let trimmed = text.trim();
        let (mode, after) = trimmed.split_once(char::is_whitespace).unwrap_or(("", trimmed));
        let body = match mode {
            "lax" | "strict" => after.trim(),
            _ => trimmed,
        };
        let mut rest = body.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            // `$.["a"]` is `$["a"]`.
            if let Some(after) = rest.strip_prefix('.').filter(|after| !after.starts_with('[')) {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let name = &after[..end];
                if name.is_empty() {
                    return Err(wrong());
                }
                steps.push(if name == "*" { Step::All } else { Step::Member(name.to_owned()) });
                rest = &after[end..];
                continue;
            }
            let after = rest.strip_prefix(".[").or(rest.strip_prefix('[')).ok_or_else(wrong)?.trim_start();
            if let Some(quote) = after.chars().next().filter(|letter| matches!(letter, '\'' | '"')) {
                let (name, after) = after[1..].split_once(quote).ok_or_else(wrong)?;
                steps.push(Step::Member(name.to_owned()));
                rest = after.trim_start().strip_prefix(']').ok_or_else(wrong)?;
            } else {
                let (index, after) = after.split_once(']').ok_or_else(wrong)?;
                steps.push(match index.trim() {
                    "*" => Step::All,
                    index => Step::Item(index.parse().map_err(|_| wrong())?),
                });
                rest = after;
            }
        }
        Ok(Path { steps, lax: mode == "lax" })
    }

    /// True if what is not there is no error.
    pub fn is_lax(&self) -> bool {
        self.lax
    }

    /// True if the path names many values.
    pub fn is_many(&self) -> bool {
        self.steps.contains(&Step::All)
    }

    /// The values the path leads to.
    pub fn find<'n, 't>(&self, root: &'n Node<'t>) -> Vec<&'n Node<'t>> {
        let mut found = vec![root];
        for step in &self.steps {
            found = found.into_iter().flat_map(|node| follow(node, step)).collect();
        }
        found
    }
}

fn follow<'n, 't>(node: &'n Node<'t>, step: &Step) -> Vec<&'n Node<'t>> {
    match (node, step) {
        (Node::Object(members), Step::Member(name)) => {
            members.iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect()
        }
        (Node::Array(items), Step::Item(index)) => {
            let index = if *index < 0 { items.len() as i64 + index } else { *index };
            usize::try_from(index).ok().and_then(|index| items.get(index)).into_iter().collect()
        }
        (Node::Array(items), Step::All) => items.iter().collect(),
        (Node::Object(members), Step::All) => members.iter().map(|(_, value)| value).collect(),
        (_, Step::Member(_) | Step::Item(_) | Step::All) => Vec::new(),
    }
}
