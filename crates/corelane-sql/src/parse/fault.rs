//! From the parser's complaint to an error that helps.
//!
//! sqlparser reports text with a line and column at its end. Here that becomes a span over the
//! word at fault, and the words around it are compared with the keywords that might have been
//! meant: a misspelt `FORM` is read as an alias, so the fault shows one word later.

use sqlparser::keywords::Keyword;
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan};

use super::data_type::TYPE;
use super::limits::SQL_DEPTH_MAX;
use super::parentheses::unclosed;
use super::script::span_over;
use super::words::word;
use crate::error::{Span, SqlError};
use crate::types::TYPE_NAMES;

/// Characters of an offending token that a message repeats.
const FOUND_CHARACTERS_MAX: usize = 40;

/// What this layer fails with until the tokens are at hand.
#[derive(Debug)]
pub(super) enum Fault {
    Parser(ParserError),
    Refused(Box<SqlError>),
}

impl From<ParserError> for Fault {
    fn from(error: ParserError) -> Self {
        Fault::Parser(error)
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        Fault::Refused(Box::new(error))
    }
}

/// The first words of statements, for a did-you-mean.
const STATEMENTS: &[&str] =
    &["SELECT", "INSERT", "CREATE", "DROP", "EXPLAIN", "DESCRIBE", "EXECUTE", "RESET", "SHOW", "VALUES", "WITH", "SET"];

/// The words whose misspelling derails a statement.
const CLAUSES: &[&str] = &[
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COMMENT",
    "CONNECTOR",
    "CONSTRAINT",
    "CUMULATE",
    "DESCRIPTOR",
    "DISTINCT",
    "EMIT",
    "ENFORCED",
    "FROM",
    "GROUP",
    "HAVING",
    "INNER",
    "INTERVAL",
    "INTO",
    "JOIN",
    "LATERAL",
    "LIKE",
    "LIMIT",
    "METADATA",
    "ORDER",
    "PARTITION",
    "PARTITIONED",
    "PRIMARY",
    "SELECT",
    "TABLE",
    "TEMPORARY",
    "TUMBLE",
    "UNION",
    "VALUES",
    "VIEW",
    "WATERMARK",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Words of statements that other systems have and this one refuses, by their first word.
pub(super) fn refusal(first: &str) -> Option<&'static str> {
    let hint = match first.to_ascii_uppercase().as_str() {
        "UPDATE" | "DELETE" | "MERGE" | "UPSERT" | "TRUNCATE" => {
            "tables are streams: INSERT INTO is the only way to write"
        }
        "ALTER" => "drop the table and create it anew",
        "USE" => "there is one catalog and one database",
        "BEGIN" | "COMMIT" | "ROLLBACK" | "START" => {
            "there are no transactions; several INSERTs in one job are EXECUTE STATEMENT SET BEGIN .. END"
        }
        "ADD" | "REMOVE" | "LOAD" | "UNLOAD" | "ANALYZE" | "CALL" | "COPY" | "GRANT" | "REVOKE" => {
            "write the job with CREATE TABLE, CREATE VIEW, INSERT and SELECT"
        }
        _ => return None,
    };
    Some(hint)
}

/// The error for a statement that does not begin like any.
pub(super) fn unknown_statement(token: &TokenWithSpan) -> SqlError {
    let found = describe(&token.token);
    let span = Span::from_parser(token.span);
    let first = word(&token.token).unwrap_or_default();
    if let Some(hint) = refusal(first) {
        let message = format!("{} is not supported", first.to_ascii_uppercase());
        return SqlError::new(message).with_hint(hint).at(span);
    }
    let error = SqlError::new(format!("expected a statement, found {found}")).with_expected("a statement").at(span);
    match closest(first, STATEMENTS) {
        Some(meant) => error.with_hint(format!("did you mean {meant}?")),
        None => {
            error.with_hint("statements begin with SELECT, WITH, INSERT, CREATE, DROP, SET, SHOW, DESCRIBE or EXPLAIN")
        }
    }
}

/// Turns a fault of the parser into an error that points at one of `tokens`.
pub(super) fn explain(fault: Fault, tokens: &[TokenWithSpan]) -> SqlError {
    let text = match fault {
        Fault::Refused(error) => return error.at(end_of(tokens)),
        Fault::Parser(ParserError::RecursionLimitExceeded) => {
            return SqlError::new(format!("the statement nests deeper than SQL_DEPTH_MAX ({SQL_DEPTH_MAX})"))
                .with_hint("split the statement with views")
                .at(span_over(tokens));
        }
        Fault::Parser(ParserError::ParserError(text) | ParserError::TokenizerError(text)) => text,
    };
    let (complaint, location) = split_location(&text);
    let index = location.and_then(|location| tokens.iter().position(|token| token.span.start == location));
    let span = match (index, location) {
        (Some(index), _) => Span::from_parser(tokens[index].span),
        (None, Some(location)) => Span::from_parser(sqlparser::tokenizer::Span::new(location, location)),
        (None, None) => end_of(tokens),
    };
    let at_end = location.is_none();
    if at_end && let Some(open) = unclosed(tokens) {
        return never_closed(&tokens[open]);
    }
    // It names the token as the parser keeps it.
    let no_operator = complaint.strip_prefix("No infix parser for token ").map(|found| ("an operator", found));
    let unexpected = complaint.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found: "));
    let mut error = match unexpected.or(no_operator) {
        Some((expected, found)) => {
            let found = index.map_or_else(|| shorten(found), |index| describe(&tokens[index].token));
            let found = if at_end { "the end of the statement".to_string() } else { found };
            SqlError::new(format!("expected {expected}, found {found}")).with_expected(expected)
        }
        None => SqlError::new(lowercase_first(complaint)),
    }
    .at(span);
    error.hint = hint_for(tokens, index.unwrap_or(tokens.len()), &error);
    error
}

/// The error for a parenthesis that the statement does not close.
pub(super) fn never_closed(open: &TokenWithSpan) -> SqlError {
    SqlError::new(format!("this {} is never closed", open.token)).at(Span::from_parser(open.span))
}

/// The place behind the last token.
fn end_of(tokens: &[TokenWithSpan]) -> Option<Span> {
    span_over(tokens).map(|span| Span { start: span.end, end: span.end })
}

/// Splits `".. at Line: 3, Column: 7"` off a message.
fn split_location(text: &str) -> (&str, Option<Location>) {
    let parse = || {
        let (complaint, place) = text.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((complaint, Location { line: line.parse().ok()?, column: column.parse().ok()? }))
    };
    match parse() {
        Some((complaint, location)) => (complaint, Some(location)),
        None => (text, None),
    }
}

/// A likely cure, from the word at fault and the two before it.
fn hint_for(tokens: &[TokenWithSpan], fault: usize, error: &SqlError) -> Option<String> {
    let nearby = tokens.iter().enumerate().take(fault.saturating_add(1)).skip(fault.saturating_sub(2));
    for (_, token) in nearby.rev() {
        let Some(written) = word(&token.token) else { continue };
        if error.expected.as_deref() == Some(TYPE)
            && let Some(meant) = closest(written, TYPE_NAMES)
        {
            return Some(format!("did you mean {meant}?"));
        }
        if written.eq_ignore_ascii_case("EMIT") {
            return Some("EMIT CHANGES and EMIT FINAL stand at the very end of a statement".to_string());
        }
        // What is a keyword is not misspelt.
        let is_keyword = matches!(&token.token, Token::Word(word) if word.keyword != Keyword::NoKeyword);
        if !is_keyword && let Some(meant) = closest(written, CLAUSES) {
            return Some(format!("did you mean {meant}?"));
        }
    }
    let found = word(&tokens.get(fault)?.token)?;
    let is_name = error.expected.as_deref() == Some("identifier");
    is_name.then(|| format!("a name that is a keyword needs back-ticks: `{found}`"))
}

/// The known word closest to a misspelt one, if it is close enough and not the word itself.
fn closest(written: &str, known: &[&'static str]) -> Option<&'static str> {
    let written = written.to_ascii_uppercase();
    if written.len() < 3 || known.contains(&written.as_str()) {
        return None;
    }
    let distance_max = if written.len() < 5 { 1 } else { 2 };
    known
        .iter()
        .map(|&candidate| (strsim::damerau_levenshtein(&written, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= distance_max && distance * 2 < candidate.len())
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// A token as a message names it.
fn describe(token: &Token) -> String {
    match token {
        Token::EOF => "the end of the statement".to_string(),
        other => shorten(&other.to_string()),
    }
}

fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.len() == text.len() && line.chars().count() <= FOUND_CHARACTERS_MAX {
        return line.to_string();
    }
    let kept: String = line.chars().take(FOUND_CHARACTERS_MAX).collect();
    format!("{kept}...")
}

pub(super) fn lowercase_first(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        // A word in capitals is a keyword and stays.
        Some(first) if !characters.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => text.to_string(),
    }
}
