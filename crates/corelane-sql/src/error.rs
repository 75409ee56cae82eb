//! What is wrong with a statement, and where: message, hint and the words at fault.
//!
//! A person who mistypes SQL needs three things at once: the line, the words, and the likely
//! cure. So an error carries a span, and [`SqlError::render`] draws it. Positions are lines and
//! columns rather than byte offsets because that is what the parser's syntax tree carries: the
//! planner can point at any node without having the text at hand.

use std::fmt;
use std::ops::Range;

use corelane_stream::{Error, ErrorKind};
use sqlparser::ast::{Ident, Spanned};

/// Columns of the source line that [`SqlError::render`] shows at most.
const RENDER_COLUMNS_MAX: usize = 120;

/// A place in a script. Both count from one; columns count characters, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// A stretch of a script, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    pub start: Position,
    pub end: Position,
}

impl Position {
    fn from_parser(location: sqlparser::tokenizer::Location) -> Position {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Position { line: narrow(location.line), column: narrow(location.column) }
    }

    /// The byte offset of this place in `sql`; its length where the place lies beyond the text.
    pub fn byte(self, sql: &str) -> usize {
        let mut line_start = 0;
        for _ in 1..self.line {
            match memchr::memchr(b'\n', &sql.as_bytes()[line_start..]) {
                Some(length) => line_start += length + 1,
                None => return sql.len(),
            }
        }
        let characters = self.column.saturating_sub(1) as usize;
        sql[line_start..].char_indices().nth(characters).map_or(sql.len(), |(offset, _)| line_start + offset)
    }
}

impl Span {
    /// A span of the parser; none for the empty span that stands for "unknown".
    pub fn from_parser(span: sqlparser::tokenizer::Span) -> Option<Span> {
        if span.start.line == 0 || span.end.line == 0 {
            return None;
        }
        Some(Span { start: Position::from_parser(span.start), end: Position::from_parser(span.end) })
    }

    /// The stretch from the start of `self` to the end of `other`.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// The bytes of `sql`, the whole script, that this span covers.
    pub fn bytes(self, sql: &str) -> Range<usize> {
        let start = self.start.byte(sql);
        start..self.end.byte(sql).max(start)
    }
}

/// Where a node of the syntax tree stands in its script, if the parser recorded it.
pub fn span_of<T: Spanned>(node: &T) -> Option<Span> {
    Span::from_parser(node.span())
}

/// An error in SQL text, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SqlError {
    /// `Invalid` for what the text got wrong; else what the world refused while planning.
    pub kind: ErrorKind,
    /// Lowercase, no full stop: what was attempted and why it failed.
    pub message: String,
    /// What would have been right at this place.
    pub expected: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    pub span: Option<Span>,
}

impl SqlError {
    pub fn new(message: impl Into<String>) -> Self {
        SqlError { kind: ErrorKind::Invalid, message: message.into(), expected: None, hint: None, span: None }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn with_expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says where the fault is, unless that is known already: the innermost place wins.
    #[must_use]
    pub fn at(mut self, span: Option<Span>) -> Self {
        self.span = self.span.or(span);
        self
    }

    /// Points at a node of the syntax tree, unless the place is known already.
    #[must_use]
    pub fn at_node<T: Spanned>(self, node: &T) -> Self {
        let span = span_of(node);
        self.at(span)
    }

    /// Points at a name.
    #[must_use]
    pub fn at_ident(self, ident: &Ident) -> Self {
        self.at(Span::from_parser(ident.span))
    }

    /// Draws the error: place and message, the line, carets under the words at fault, the hint.
    ///
    /// `sql` is the whole script, `name` what to call it (a path, or `<stdin>`). Columns are
    /// counted in characters, and a tab is drawn as one space, so that the carets line up.
    pub fn render(&self, sql: &str, name: &str) -> String {
        let mut out = match self.span {
            Some(Span { start, .. }) => format!("{name}:{}:{}: {}\n", start.line, start.column, self.message),
            None => format!("{name}: {}\n", self.message),
        };
        if let Some(span) = self.span {
            draw(sql, span, &mut out);
        }
        if let Some(hint) = &self.hint {
            out.push_str("hint: ");
            out.push_str(hint);
            out.push('\n');
        }
        out
    }

    /// Draws where the error is, without its message: the place, the line, the carets.
    pub fn place(&self, sql: &str, name: &str) -> Option<String> {
        let span = self.span?;
        let mut out = format!("{name}:{}:{}\n", span.start.line, span.start.column);
        draw(sql, span, &mut out);
        out.truncate(out.trim_end().len());
        Some(out)
    }
}

fn draw(sql: &str, span: Span, out: &mut String) {
    let span = closed(sql, span);
    if let Some(line) = sql.split('\n').nth(span.start.line.saturating_sub(1) as usize) {
        draw_line(line, span, out);
    }
}

/// The span with the brackets that close what is opened in it: the syntax tree keeps no place of theirs.
fn closed(sql: &str, span: Span) -> Span {
    let Range { start, end } = span.bytes(sql);
    let mut open: usize = 0;
    let mut quote = None;
    for character in sql[start..end].chars() {
        match (quote, character) {
            (Some(other), _) if other != character => {}
            (Some(_), _) => quote = None,
            (None, '\'' | '`' | '"') => quote = Some(character),
            (None, '(' | '[') => open += 1,
            (None, ')' | ']') => open = open.saturating_sub(1),
            (None, _) => {}
        }
    }
    let mut end = span.end;
    for character in sql[end.byte(sql)..].chars() {
        match character {
            _ if open == 0 => break,
            ')' | ']' => {
                open -= 1;
                end.column += 1;
            }
            ' ' | '\t' => end.column += 1,
            _ => break,
        }
    }
    Span { end: if open == 0 { end } else { span.end }, ..span }
}

/// Draws one source line and the carets below it, both cut to the columns around the fault.
fn draw_line(line: &str, span: Span, out: &mut String) {
    const CUT: &str = "...";
    let characters: Vec<char> = line.trim_end_matches('\r').chars().collect();
    let fault_start = (span.start.column.saturating_sub(1) as usize).min(characters.len());
    let fault_end = if span.end.line == span.start.line {
        (span.end.column.saturating_sub(1) as usize).min(characters.len())
    } else {
        characters.len()
    };
    let shown = if characters.len() <= RENDER_COLUMNS_MAX {
        0..characters.len()
    } else {
        let room = RENDER_COLUMNS_MAX - 2 * CUT.len();
        let start = fault_start.saturating_sub(room / 3).min(characters.len() - room);
        start..start + room
    };
    let before = if shown.start == 0 { "" } else { CUT };
    let after = if shown.end == characters.len() { "" } else { CUT };
    out.push_str(before);
    out.extend(characters[shown.clone()].iter().map(|&character| if character.is_control() { ' ' } else { character }));
    out.push_str(after);
    out.push('\n');
    let carets = fault_end.min(shown.end).saturating_sub(fault_start).max(1);
    out.extend(std::iter::repeat_n(' ', before.len() + fault_start - shown.start));
    out.extend(std::iter::repeat_n('^', carets));
    out.push('\n');
}

impl fmt::Display for SqlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

/// A connector's or an operator's refusal while planning, to be pointed at the text that led to it.
impl From<Error> for SqlError {
    fn from(error: Error) -> Self {
        SqlError {
            kind: error.kind(),
            message: error.message().to_owned(),
            expected: None,
            hint: error.hint().map(str::to_owned),
            span: None,
        }
    }
}
