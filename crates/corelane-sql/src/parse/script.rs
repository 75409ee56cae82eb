//! Splitting a script into statements, and the bounds that hold before anything is parsed.
//!
//! The split is on tokens, so a semicolon in a string, a quoted name or a comment does not
//! count. Bounds are checked on tokens too: a parser that recurses must not be the one to find out
//! that the text nests too deep.

use std::ops::ControlFlow;

use sqlparser::ast::{DataType, Expr, ObjectNamePart, visit_relations_mut};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span as TokenSpan, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::data_type;
use super::dialect::FlinkDialect;
use super::fault::{self, Fault};
use super::limits::{
    SQL_ATTEMPTS_PER_TOKEN_MAX, SQL_BYTES_MAX, SQL_CHAIN_MAX, SQL_DEPTH_MAX, SQL_DOUBLED_PARENTHESES_MAX,
};
use super::parentheses::subquery_around;
use super::statement::{ColumnKind, CreateTable, Statement, StatementKind};
use super::statement_parser::parse_statement;
use super::words::{is_word, starts_with, word};
use crate::error::{Span, SqlError};

/// Parses a whole script. The first fault ends it: what follows a mistake is often nonsense.
pub fn parse_script(sql: &str) -> Result<Vec<Statement>, SqlError> {
    let tokens = tokenize(sql)?;
    let mut cursor = Cursor { sql, byte: 0, at: Location { line: 1, column: 1 } };
    let mut statements = Vec::new();
    for range in split(&tokens) {
        let tokens = &tokens[range];
        let mut kind = parse_tokens(tokens, parse_statement)?;
        if let StatementKind::CreateTable(table) = &mut kind {
            keep_texts(table, sql);
        }
        place_files(&mut kind, tokens);
        let Some(span) = span_over(tokens) else { continue };
        let text = cursor.slice(tokens).to_string();
        statements.push(Statement { kind, span, text });
    }
    Ok(statements)
}

/// Says where the files in FROM stand: the parser keeps no place of a name in single quotes.
fn place_files(kind: &mut StatementKind, tokens: &[TokenWithSpan]) {
    let mut after = 0;
    for query in kind.queries_mut() {
        let _ = visit_relations_mut(query, |name| {
            let Some(ObjectNamePart::Identifier(file)) = name.0.first_mut() else {
                return ControlFlow::<()>::Continue(());
            };
            let is_file =
                |token: &TokenWithSpan| matches!(&token.token, Token::SingleQuotedString(text) if *text == file.value);
            let begins = |token: &TokenWithSpan| {
                token.token == Token::Comma || ["FROM", "JOIN", "TABLE"].iter().any(|word| is_word(&token.token, word))
            };
            if file.quote_style == Some('\'') {
                let place =
                    (after + 1..tokens.len()).find(|place| is_file(&tokens[*place]) && begins(&tokens[place - 1]));
                if let Some(place) = place {
                    file.span = tokens[place].span;
                    after = place;
                }
            }
            ControlFlow::Continue(())
        });
    }
}

/// Expressions are shown as they are written: the syntax tree has lost the clauses of JSON functions.
fn keep_texts(table: &mut CreateTable, sql: &str) {
    for column in &mut table.columns {
        if let ColumnKind::Computed { span, text, .. } = &mut column.kind {
            *text = sql[span.bytes(sql)].to_owned();
        }
    }
    if let Some(watermark) = &mut table.watermark {
        watermark.text = sql[watermark.expr_span.bytes(sql)].to_owned();
    }
}

/// Parses one expression, such as a computed column that a catalog kept as text.
pub fn parse_expr(sql: &str) -> Result<Expr, SqlError> {
    let tokens = tokenize(sql)?;
    parse_tokens(&tokens, |parser| Ok(parser.parse_expr()?))
}

/// Parses one type, such as a column of a schema kept as text.
pub fn parse_data_type(sql: &str) -> Result<DataType, SqlError> {
    let tokens = tokenize(sql)?;
    parse_tokens(&tokens, |parser| Ok(data_type::parse_data_type(parser, SQL_DEPTH_MAX)?))
}

/// Runs `parse` over all of `tokens` and turns its fault into an error that points at them.
fn parse_tokens<T>(
    tokens: &[TokenWithSpan],
    parse: impl FnOnce(&mut Parser) -> Result<T, Fault>,
) -> Result<T, SqlError> {
    let dialect = FlinkDialect::new(SQL_ATTEMPTS_PER_TOKEN_MAX * (tokens.len() + 1));
    check_limits(tokens)?;
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(SQL_DEPTH_MAX).with_tokens_with_locations(tokens.to_vec());
    let parsed = parse(&mut parser).and_then(|parsed| {
        let next = parser.peek_token_ref();
        if next.token == Token::EOF { Ok(parsed) } else { Ok(parser.expected_ref("end of statement", next)?) }
    });
    parsed.map_err(|fault| match fault {
        Fault::Parser(ParserError::RecursionLimitExceeded) if dialect.is_exhausted() => {
            SqlError::new("the statement can be read in too many ways").at(span_over(tokens))
        }
        Fault::Parser(ParserError::RecursionLimitExceeded) | Fault::Refused(_) => fault::explain(fault, tokens),
        fault => innermost(tokens, fault::explain(fault, tokens)),
    })
}

/// The fault that a subquery has by itself, if the one that was found lies in it.
fn innermost(tokens: &[TokenWithSpan], mut error: SqlError) -> SqlError {
    let mut after = None;
    loop {
        let fault = tokens.iter().position(|token| Span::from_parser(token.span) == error.span);
        let around = fault.and_then(|fault| subquery_around(tokens, fault, after));
        let Some(around) = around else { return error };
        let inside = &tokens[around.start + 1..around.end];
        let is_closed = inside.last().is_some_and(|token| token.token == Token::RParen);
        match parse_subquery(inside) {
            Ok(()) if is_closed => return error,
            Ok(()) => return fault::never_closed(&tokens[around.start]),
            Err(own) => error = own,
        }
        after = Some(around.start);
    }
}

/// Reads a query up to its closing parenthesis.
fn parse_subquery(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let dialect = FlinkDialect::new(SQL_ATTEMPTS_PER_TOKEN_MAX * (tokens.len() + 1));
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(SQL_DEPTH_MAX).with_tokens_with_locations(tokens.to_vec());
    let parsed = parser.parse_query().and_then(|_| {
        let next = parser.peek_token_ref();
        let at_end = parser.peek_nth_token_ref(1).token == Token::EOF;
        match next.token {
            Token::EOF => Ok(()),
            Token::RParen if at_end => Ok(()),
            _ => parser.expected_ref(")", next),
        }
    });
    parsed.map_err(|error| fault::explain(error.into(), tokens))
}

/// The tokens of a script without white space and comments.
fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    if SQL_BYTES_MAX < sql.len() {
        let message = format!("the script has {} bytes, more than SQL_BYTES_MAX ({SQL_BYTES_MAX})", sql.len());
        return Err(SqlError::new(message).with_hint("split it into several files"));
    }
    let dialect = FlinkDialect::new(0);
    let found = Tokenizer::new(&dialect, sql).tokenize_with_location().map_err(|error| {
        if let Some(open) = unclosed_comment(sql) {
            return SqlError::new("this comment is never closed").with_hint("end it with */").at(Some(open));
        }
        let mut end = error.location;
        end.column += 1;
        let message = match error.message.starts_with("Expected close delimiter") {
            true => "unterminated name in quotes".to_owned(),
            false => fault::lowercase_first(&error.message),
        };
        SqlError::new(message).at(Span::from_parser(TokenSpan { start: error.location, end }))
    })?;
    let mut tokens = Vec::with_capacity(found.len());
    for token in found {
        match &token.token {
            Token::Whitespace(Whitespace::MultiLineComment(comment)) if comment.starts_with('+') => {
                return Err(refused_hint(comment).at(Span::from_parser(token.span)));
            }
            Token::Whitespace(_) => {}
            // Flink has no shift operator; `>>` closes two nested types.
            Token::ShiftRight => {
                let mut middle = token.span.start;
                middle.column += 1;
                tokens.push(TokenWithSpan::new(Token::Gt, TokenSpan { start: token.span.start, end: middle }));
                tokens.push(TokenWithSpan::new(Token::Gt, TokenSpan { start: middle, end: token.span.end }));
            }
            Token::SingleQuotedString(more) => match tokens.last_mut() {
                // A text goes on behind a line's end.
                Some(TokenWithSpan { token: Token::SingleQuotedString(text), span })
                    if span.end.line < token.span.start.line =>
                {
                    text.push_str(more);
                    span.end = token.span.end;
                }
                _ => tokens.push(token),
            },
            _ => tokens.push(token),
        }
    }
    Ok(with_rows(tokens))
}

/// `VALUES 1, 2` as `VALUES (1), (2)`.
fn with_rows(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    const ENDS: &[&str] = &["EMIT", "EXCEPT", "FETCH", "INTERSECT", "LIMIT", "MINUS", "OFFSET", "ORDER", "UNION"];
    if !tokens.iter().any(|token| is_word(&token.token, "VALUES")) {
        return tokens;
    }
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len() + 2);
    // For each open parenthesis, whether rows of VALUES are in it and whether one was opened here.
    let mut levels = vec![Rows::None];
    let mut starts = false;
    for token in tokens {
        let level = levels.last_mut().expect("the outermost level stays");
        if starts {
            starts = false;
            let has_own = token.token == Token::LParen || is_word(&token.token, "ROW");
            let is_row = !has_own && !ends_row(&token.token);
            *level = if is_row { Rows::Opened } else { Rows::Written };
            if is_row {
                out.push(TokenWithSpan::new(Token::LParen, token.span));
            }
        }
        let ends_values = ends_row(&token.token) || ENDS.iter().any(|word| is_word(&token.token, word));
        if *level == Rows::Opened && (ends_values || token.token == Token::Comma) {
            let span = out.last().map_or(token.span, |token| token.span);
            out.push(TokenWithSpan::new(Token::RParen, span));
            *level = Rows::Written;
        }
        if ends_values {
            *level = Rows::None;
        }
        match &token.token {
            Token::Comma => starts = *level == Rows::Written,
            Token::LParen => levels.push(Rows::None),
            Token::RParen if levels.len() > 1 => drop(levels.pop()),
            other => starts = is_word(other, "VALUES"),
        }
        out.push(token);
    }
    if levels.last() == Some(&Rows::Opened)
        && let Some(last) = out.last()
    {
        out.push(TokenWithSpan::new(Token::RParen, last.span));
    }
    out
}

/// What of VALUES stands in a pair of parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    None,
    /// Rows that have their parentheses.
    Written,
    /// A row whose parenthesis was put in and is still to be closed.
    Opened,
}

fn ends_row(token: &Token) -> bool {
    matches!(token, Token::RParen | Token::SemiColon | Token::EOF)
}

/// The place of a comment that is never closed: with one more `*/` it is the last token.
fn unclosed_comment(sql: &str) -> Option<Span> {
    let closed = format!("{sql}*/");
    let tokens = Tokenizer::new(&FlinkDialect::new(0), &closed).tokenize_with_location().ok()?;
    let last = tokens.last()?;
    let Token::Whitespace(Whitespace::MultiLineComment(_)) = last.token else { return None };
    let mut end = last.span.start;
    end.column += 2;
    Span::from_parser(TokenSpan { start: last.span.start, end })
}

/// `/*+ OPTIONS(..) */` changes what a table reads, so a hint must not pass as a comment.
fn refused_hint(comment: &str) -> SqlError {
    let name = comment[1..].trim().split(|letter: char| !letter.is_alphanumeric() && letter != '_').next();
    let name = name.unwrap_or_default().to_ascii_uppercase();
    let error = SqlError::new(format!("the hint {name} is not supported"));
    match name.as_str() {
        "OPTIONS" => error.with_hint("set the option in the WITH clause, or in that of CREATE TABLE .. LIKE"),
        _ => error.with_hint("leave it out"),
    }
}

/// The token ranges of the statements, without their semicolons.
fn split(tokens: &[TokenWithSpan]) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    while start < tokens.len() {
        let end = start + statement_length(&tokens[start..]);
        if start < end {
            ranges.push(start..end);
        }
        start = end + 1;
    }
    ranges
}

/// Tokens up to the semicolon that ends the first statement. Inside a statement set that is the
/// one after an `END` that begins a statement.
fn statement_length(tokens: &[TokenWithSpan]) -> usize {
    let header = statement_set_header(tokens);
    let mut in_set = header != 0;
    let mut starts_statement = true;
    for (index, token) in tokens.iter().enumerate().skip(header) {
        if starts_statement && is_word(&token.token, "END") {
            in_set = false;
        }
        starts_statement = token.token == Token::SemiColon;
        if starts_statement && !in_set {
            return index;
        }
    }
    tokens.len()
}

/// Length of the words that open a statement set, zero if none does.
fn statement_set_header(tokens: &[TokenWithSpan]) -> usize {
    let opens = starts_with(tokens, &["EXECUTE", "STATEMENT", "SET", "BEGIN"])
        || starts_with(tokens, &["EXPLAIN", "STATEMENT", "SET", "BEGIN"])
        || (starts_with(tokens, &["BEGIN", "STATEMENT", "SET"]) && tokens.get(3).is_some_and(is_semicolon));
    if opens { 4 } else { 0 }
}

fn is_semicolon(token: &TokenWithSpan) -> bool {
    token.token == Token::SemiColon
}

/// Refuses what would cost stack or time beyond measure. Linear in the tokens.
fn check_limits(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let refuse = |token: &TokenWithSpan, what: &str, name: &str, limit: usize| {
        Err(SqlError::new(format!("{what} exceed {name} ({limit})"))
            .with_hint("split the statement with views")
            .at(Span::from_parser(token.span)))
    };
    let mut levels = vec![Level::default()];
    let mut doubled = 0;
    for (index, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                let is_doubled = index > 0 && tokens[index - 1].token == Token::LParen;
                doubled += usize::from(is_doubled && leads_to_query(&tokens[index..]));
                levels.push(Level { chain: 0, is_doubled: is_doubled && leads_to_query(&tokens[index..]) });
                if SQL_DEPTH_MAX < levels.len() {
                    return refuse(token, "nested parentheses", "SQL_DEPTH_MAX", SQL_DEPTH_MAX);
                }
                if SQL_DOUBLED_PARENTHESES_MAX < doubled {
                    let name = "SQL_DOUBLED_PARENTHESES_MAX";
                    return refuse(token, "doubled parentheses", name, SQL_DOUBLED_PARENTHESES_MAX);
                }
            }
            Token::RParen | Token::RBracket | Token::RBrace if levels.len() > 1 => {
                doubled -= usize::from(levels.pop().is_some_and(|level| level.is_doubled));
            }
            Token::Comma | Token::SemiColon => {
                if let Some(level) = levels.last_mut() {
                    level.chain = 0;
                }
            }
            other if is_operator(other) => {
                if let Some(level) = levels.last_mut() {
                    // A nested type costs the parser a level of recursion that it does not count.
                    let opens_type = *other == Token::Lt && index > 0 && is_word(&tokens[index - 1].token, "ARRAY");
                    level.chain += if opens_type { SQL_CHAIN_MAX / SQL_DEPTH_MAX } else { 1 };
                    if SQL_CHAIN_MAX < level.chain {
                        return refuse(token, "chained operators", "SQL_CHAIN_MAX", SQL_CHAIN_MAX);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[derive(Default)]
struct Level {
    chain: usize,
    is_doubled: bool,
}

/// Whether the parentheses that open here enclose a query rather than an expression.
fn leads_to_query(tokens: &[TokenWithSpan]) -> bool {
    tokens
        .iter()
        .find(|token| token.token != Token::LParen)
        .is_some_and(|token| ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|query| is_word(&token.token, query)))
}

/// Whether a token makes the tree to its left one level deeper. Names, literals and
/// punctuation do not; a word that is missing here costs only an overcautious count elsewhere.
fn is_operator(token: &Token) -> bool {
    const WORDS: &[&str] = &[
        "AND",
        "ARRAY",
        "AT",
        "BETWEEN",
        "COLLATE",
        "EXCEPT",
        "IN",
        "INTERSECT",
        "IS",
        "LIKE",
        "MULTISET",
        "NOT",
        "OR",
        "OVERLAPS",
        "SIMILAR",
        "UNION",
        "XOR",
    ];
    match token {
        Token::Word(_) => word(token).is_some_and(|word| WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))),
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Period
        | Token::Comma
        | Token::SemiColon
        | Token::LParen
        | Token::RParen => false,
        _ => true,
    }
}

/// From the first token to the last.
pub(super) fn span_over(tokens: &[TokenWithSpan]) -> Option<Span> {
    let first = Span::from_parser(tokens.first()?.span)?;
    let last = Span::from_parser(tokens.last()?.span)?;
    Some(first.to(last))
}

/// Walks a script once, from place to place, so that slicing out its statements stays linear
/// even when they all stand on one line.
struct Cursor<'a> {
    sql: &'a str,
    byte: usize,
    at: Location,
}

impl<'a> Cursor<'a> {
    /// The text under `tokens`, which lie behind everything asked for before.
    fn slice(&mut self, tokens: &[TokenWithSpan]) -> &'a str {
        let start = tokens.first().map_or(self.byte, |token| self.advance(token.span.start));
        let end = tokens.last().map_or(start, |token| self.advance(token.span.end));
        &self.sql[start..end]
    }

    fn advance(&mut self, target: Location) -> usize {
        for character in self.sql[self.byte..].chars() {
            if target <= self.at {
                break;
            }
            self.byte += character.len_utf8();
            if character == '\n' {
                self.at = Location { line: self.at.line + 1, column: 1 };
            } else {
                self.at.column += 1;
            }
        }
        self.byte
    }
}
