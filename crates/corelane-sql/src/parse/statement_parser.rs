//! Flink's statements, as a layer on sqlparser's `Parser`.
//!
//! Each function here reads one kind of statement; queries, expressions and names are left to
//! sqlparser. None recurses but through sqlparser, which counts its depth.

use sqlparser::ast::{Ident, ObjectName};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::create_table::parse_create_table;
use super::fault::{Fault, unknown_statement};
use super::statement::{CreateView, DropKind, Emit, Insert, StatementKind};
use super::words::{Words, is_word, word};
use crate::error::{Span, SqlError};

/// The outputs of `EXPLAIN` that Flink names; a plan always tells its changelog modes.
const EXPLAIN_DETAILS: &[&str] = &["CHANGELOG_MODE"];
const EXPLAIN_DETAILS_REFUSED: &[&str] = &["ESTIMATED_COST", "JSON_EXECUTION_PLAN", "PLAN_ADVICE"];

pub(super) fn parse_statement(parser: &mut Parser) -> Result<StatementKind, Fault> {
    if parser.eat(&["EXPLAIN"]) {
        return parse_explain(parser);
    }
    parse_explainable(parser)
}

/// Any statement but `EXPLAIN`, which does not nest.
fn parse_explainable(parser: &mut Parser) -> Result<StatementKind, Fault> {
    let first = parser.peek_token();
    if first.token == Token::LParen {
        return parse_query(parser);
    }
    match word(&first.token).map(str::to_ascii_uppercase).as_deref() {
        Some("SELECT" | "WITH" | "VALUES" | "TABLE") => parse_query(parser),
        Some("INSERT") => Ok(StatementKind::Insert(parse_insert(parser)?)),
        Some("CREATE") => parse_create(parser),
        Some("DROP") => parse_drop(parser),
        Some("SET") => parse_set(parser),
        Some("RESET") => parse_reset(parser),
        Some("SHOW") => parse_show(parser),
        Some("DESCRIBE" | "DESC") => {
            parser.advance_token();
            parser.eat(&["TABLE"]);
            Ok(StatementKind::Describe(parse_name(parser)?))
        }
        Some("EXECUTE") if parser.sees(&["EXECUTE", "STATEMENT"]) => parse_statement_set(parser),
        Some("BEGIN") if parser.sees(&["BEGIN", "STATEMENT"]) => parse_statement_set(parser),
        _ => Err(unknown_statement(&first).into()),
    }
}

fn parse_query(parser: &mut Parser) -> Result<StatementKind, Fault> {
    let query = parser.parse_query()?;
    Ok(StatementKind::Query { query, emit: parse_emit(parser) })
}

/// `EMIT CHANGES` or `EMIT FINAL`, if it comes next.
pub(super) fn parse_emit(parser: &mut Parser) -> Option<Emit> {
    if parser.eat(&["EMIT", "CHANGES"]) {
        Some(Emit::Changes)
    } else if parser.eat(&["EMIT", "FINAL"]) {
        Some(Emit::Final)
    } else {
        None
    }
}

/// `[PLAN FOR | detail, ..] statement`
fn parse_explain(parser: &mut Parser) -> Result<StatementKind, Fault> {
    let mut details = Vec::new();
    if parser.sees(&["STATEMENT"]) {
        return Ok(StatementKind::Explain { details, statement: Box::new(parse_statement_set(parser)?) });
    }
    if !parser.eat(&["PLAN", "FOR"]) {
        if let Some(detail) = EXPLAIN_DETAILS_REFUSED.iter().find(|detail| parser.sees(&[detail])) {
            return Err(SqlError::new(format!("EXPLAIN {detail} is not supported"))
                .with_hint("EXPLAIN shows operators, exchanges, changelog modes and what state is kept")
                .at(Span::from_parser(parser.peek_token_ref().span))
                .into());
        }
        while let Some(detail) = EXPLAIN_DETAILS.iter().find(|detail| parser.sees(&[detail])) {
            parser.advance_token();
            details.push(detail.to_string());
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    Ok(StatementKind::Explain { details, statement: Box::new(parse_explainable(parser)?) })
}

/// `INSERT INTO t [(a, b)] query [EMIT ..]`
fn parse_insert(parser: &mut Parser) -> Result<Insert, Fault> {
    let start = parser.peek_token_ref().span;
    parser.require(&["INSERT"])?;
    let mode = parser.peek_token_ref().span;
    if parser.eat(&["OVERWRITE"]) {
        return Err(SqlError::new("INSERT OVERWRITE is not supported")
            .with_hint("INSERT INTO appends; a table with a PRIMARY KEY replaces by key")
            .at(Span::from_parser(mode))
            .into());
    }
    parser.require(&["INTO"])?;
    parser.eat(&["TABLE"]);
    let table = parse_name(parser)?;
    let partition = parser.peek_token_ref().span;
    if parser.eat(&["PARTITION"]) {
        return Err(SqlError::new("a PARTITION clause in INSERT is not supported")
            .with_hint("select the partition's columns like all others")
            .at(Span::from_parser(partition))
            .into());
    }
    let is_column_list = parser.peek_token_ref().token == Token::LParen && !opens_query(parser);
    let columns = if is_column_list { parse_column_names(parser)? } else { Vec::new() };
    let query = parser.parse_query()?;
    let emit = parse_emit(parser);
    let span = span_since(parser, start);
    Ok(Insert { table, columns, query, emit, span })
}

/// Whether the parentheses that come next enclose a query.
fn opens_query(parser: &Parser) -> bool {
    let inside = &parser.peek_nth_token_ref(1).token;
    *inside == Token::LParen || ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|query| is_word(inside, query))
}

/// The words from `start` to the last one taken.
pub(super) fn span_since(parser: &Parser, start: sqlparser::tokenizer::Span) -> Span {
    let end = parser.get_current_token().span.end;
    let nowhere = crate::error::Position { line: 1, column: 1 };
    Span::from_parser(sqlparser::tokenizer::Span::new(start.start, end))
        .unwrap_or(Span { start: nowhere, end: nowhere })
}

/// `EXECUTE STATEMENT SET BEGIN insert; .. END` or `BEGIN STATEMENT SET; insert; .. END`.
fn parse_statement_set(parser: &mut Parser) -> Result<StatementKind, Fault> {
    if parser.eat(&["EXECUTE"]) || parser.sees(&["STATEMENT"]) {
        parser.require(&["STATEMENT", "SET", "BEGIN"])?;
    } else {
        parser.require(&["BEGIN", "STATEMENT", "SET"])?;
        parser.expect_token(&Token::SemiColon)?;
    }
    let mut inserts = Vec::new();
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        if parser.sees(&["END"]) {
            break;
        }
        let next = parser.peek_token();
        if next.token == Token::EOF {
            return Ok(parser.expected("END", next)?);
        }
        if !is_word(&next.token, "INSERT") {
            return Err(SqlError::new("a statement set holds INSERT statements only")
                .with_hint("put other statements before it, and END; after its last INSERT")
                .at(Span::from_parser(next.span))
                .into());
        }
        inserts.push(parse_insert(parser)?);
        if !parser.sees(&["END"]) {
            parser.expect_token(&Token::SemiColon)?;
        }
    }
    let end = parser.next_token();
    if inserts.is_empty() {
        return Err(SqlError::new("the statement set is empty").at(Span::from_parser(end.span)).into());
    }
    Ok(StatementKind::StatementSet(inserts))
}

fn parse_create(parser: &mut Parser) -> Result<StatementKind, Fault> {
    parser.require(&["CREATE"])?;
    let replace = parser.peek_token_ref().span;
    let or_replace = parser.eat(&["OR", "REPLACE"]);
    let temporary = parser.eat(&["TEMPORARY"]);
    if parser.eat(&["TABLE"]) {
        if or_replace {
            return Err(SqlError::new("OR REPLACE is for views, not tables")
                .with_hint("DROP TABLE IF EXISTS first")
                .at(Span::from_parser(replace))
                .into());
        }
        return Ok(StatementKind::CreateTable(Box::new(parse_create_table(parser, temporary)?)));
    }
    if parser.eat(&["VIEW"]) {
        return parse_create_view(parser, or_replace, temporary);
    }
    refuse_object(parser, "CREATE")
}

/// Fails on the object that a `CREATE` or `DROP` names, which is neither table nor view.
fn refuse_object(parser: &Parser, verb: &str) -> Result<StatementKind, Fault> {
    let objects = [
        "CATALOG",
        "DATABASE",
        "SCHEMA",
        "FUNCTION",
        "MODEL",
        "STREAM",
        "SOURCE",
        "SINK",
        "SYSTEM",
        "MATERIALIZED",
        "INDEX",
    ];
    let next = parser.peek_token();
    match objects.iter().find(|object| is_word(&next.token, object)) {
        Some(object) => Err(SqlError::new(format!("{verb} {object} is not supported"))
            .with_hint(format!("{verb} TABLE and {verb} VIEW are"))
            .at(Span::from_parser(next.span))
            .into()),
        None => Ok(parser.expected("TABLE or VIEW", next)?),
    }
}

/// `[IF NOT EXISTS] v [(a, b)] [COMMENT '..'] AS query [EMIT ..]`
fn parse_create_view(parser: &mut Parser, or_replace: bool, temporary: bool) -> Result<StatementKind, Fault> {
    let condition = parser.peek_token_ref().span;
    let if_not_exists = parser.eat(&["IF", "NOT", "EXISTS"]);
    if if_not_exists && or_replace {
        return Err(SqlError::new("OR REPLACE and IF NOT EXISTS exclude each other")
            .with_hint("leave one of them out")
            .at(Some(span_since(parser, condition)))
            .into());
    }
    let name = parse_name(parser)?;
    let columns = if parser.peek_token_ref().token == Token::LParen { parse_column_names(parser)? } else { Vec::new() };
    let comment = parse_comment(parser)?;
    parser.require(&["AS"])?;
    let query = parser.parse_query()?;
    let emit = parse_emit(parser);
    Ok(StatementKind::CreateView(CreateView {
        name,
        columns,
        if_not_exists,
        or_replace,
        temporary,
        comment,
        query,
        emit,
    }))
}

fn parse_drop(parser: &mut Parser) -> Result<StatementKind, Fault> {
    parser.require(&["DROP"])?;
    let temporary = parser.eat(&["TEMPORARY"]);
    let Some(kind) = parse_kind(parser) else { return refuse_object(parser, "DROP") };
    let if_exists = parser.eat(&["IF", "EXISTS"]);
    Ok(StatementKind::Drop { kind, if_exists, name: parse_name(parser)?, temporary })
}

fn parse_kind(parser: &mut Parser) -> Option<DropKind> {
    if parser.eat(&["TABLE"]) {
        Some(DropKind::Table)
    } else if parser.eat(&["VIEW"]) {
        Some(DropKind::View)
    } else {
        None
    }
}

/// `SET`, `SET 'key' = 'value'` or, as older Flink had it, `SET a.b.c = value`.
fn parse_set(parser: &mut Parser) -> Result<StatementKind, Fault> {
    parser.require(&["SET"])?;
    if parser.peek_token_ref().token == Token::EOF {
        return Ok(StatementKind::ShowOptions);
    }
    let (key, key_span) = parse_option_key(parser)?;
    parser.expect_token(&Token::Eq)?;
    let (value, value_span) = parse_option_value(parser)?;
    Ok(StatementKind::Set { key, value, key_span, value_span })
}

fn parse_reset(parser: &mut Parser) -> Result<StatementKind, Fault> {
    parser.require(&["RESET"])?;
    if parser.peek_token_ref().token == Token::EOF {
        return Ok(StatementKind::Reset { key: None, key_span: None });
    }
    let (key, key_span) = parse_option_key(parser)?;
    Ok(StatementKind::Reset { key: Some(key), key_span })
}

fn parse_show(parser: &mut Parser) -> Result<StatementKind, Fault> {
    parser.require(&["SHOW"])?;
    if parser.eat(&["CREATE"]) {
        return match parse_kind(parser) {
            Some(kind) => Ok(StatementKind::ShowCreate { kind, name: parse_name(parser)? }),
            None => Ok(parser.expected_ref("TABLE or VIEW", parser.peek_token_ref())?),
        };
    }
    if parser.eat(&["COLUMNS"]) {
        if !parser.eat(&["IN"]) {
            parser.require(&["FROM"])?;
        }
        return Ok(StatementKind::Describe(parse_name(parser)?));
    }
    let lists = [
        ("TABLES", StatementKind::ShowTables),
        ("VIEWS", StatementKind::ShowViews),
        ("FUNCTIONS", StatementKind::ShowFunctions),
        ("CONNECTORS", StatementKind::ShowConnectors),
    ];
    for (list, kind) in lists {
        if parser.eat(&[list]) {
            return Ok(kind);
        }
    }
    Ok(parser.expected_ref("TABLES, VIEWS, COLUMNS, FUNCTIONS, CONNECTORS or CREATE", parser.peek_token_ref())?)
}

/// A name of a table or view: one to three parts, none of them a string.
pub(super) fn parse_name(parser: &mut Parser) -> Result<ObjectName, Fault> {
    if let Token::SingleQuotedString(_) = parser.peek_token_ref().token {
        return Ok(parser.expected_ref("a name", parser.peek_token_ref())?);
    }
    let start = parser.peek_token_ref().span;
    let name = parser.parse_object_name(false)?;
    if 3 < name.0.len() {
        return Err(SqlError::new(format!("the name {name} has {} parts", name.0.len()))
            .with_hint("a full name is catalog.database.table")
            .at(Some(span_since(parser, start)))
            .into());
    }
    Ok(name)
}

/// `(a, b)`
pub(super) fn parse_column_names(parser: &mut Parser) -> Result<Vec<Ident>, Fault> {
    parser.expect_token(&Token::LParen)?;
    let names = parser.parse_comma_separated(Parser::parse_identifier)?;
    parser.expect_token(&Token::RParen)?;
    Ok(names)
}

/// `COMMENT '..'`, if it comes next.
pub(super) fn parse_comment(parser: &mut Parser) -> Result<Option<String>, Fault> {
    if parser.eat(&["COMMENT"]) { Ok(Some(parser.parse_literal_string()?)) } else { Ok(None) }
}

/// The name or the value of an option in `WITH`: a text in single quotes, as in Flink.
pub(super) fn parse_option_text(parser: &mut Parser, what: &str) -> Result<(String, Option<Span>), Fault> {
    let token = parser.next_token();
    let written = match &token.token {
        Token::SingleQuotedString(text) => return Ok((text.clone(), Span::from_parser(token.span))),
        Token::Word(word) => word.value.clone(),
        Token::Number(digits, _) => digits.clone(),
        _ => return Ok(parser.expected(&format!("an option's {what}, as '{what}'"), token)?),
    };
    let mut end = token.span;
    // All of `scan.mode` or `5s` is the text that was meant.
    let mut meant = written;
    loop {
        let next = parser.peek_token_ref();
        let part = match &next.token {
            Token::Word(word) if word.quote_style.is_none() => word.value.clone(),
            part @ (Token::Period | Token::Minus | Token::Number(_, _)) => part.to_string(),
            _ => break,
        };
        if next.span.start != end.end {
            break;
        }
        meant.push_str(&part);
        end = next.span;
        parser.advance_token();
    }
    Err(SqlError::new(format!("an option's {what} is a text in single quotes"))
        .with_hint(format!("write '{meant}'"))
        .at(Span::from_parser(sqlparser::tokenizer::Span::new(token.span.start, end.end)))
        .into())
}

/// The key of an option of the session: a string or, as older Flink had it, words joined by dots or dashes.
fn parse_option_key(parser: &mut Parser) -> Result<(String, Option<Span>), Fault> {
    let start = parser.peek_token_ref().span;
    if !matches!(&parser.peek_token_ref().token, Token::Word(word) if word.quote_style.is_none()) {
        return parse_option_text(parser, "name");
    }
    let mut key = parser.parse_identifier()?.value;
    loop {
        let joint = match parser.peek_token_ref().token {
            Token::Period => '.',
            Token::Minus => '-',
            _ => break,
        };
        parser.advance_token();
        key.push(joint);
        key.push_str(&parser.parse_identifier()?.value);
    }
    Ok((key, Some(span_since(parser, start))))
}

/// The value of an option of the session: a string or, as older Flink had it, one word or number.
fn parse_option_value(parser: &mut Parser) -> Result<(String, Option<Span>), Fault> {
    let token = parser.peek_token();
    let value = match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.clone(),
        Token::Number(digits, _) => digits.clone(),
        _ => return parse_option_text(parser, "value"),
    };
    parser.advance_token();
    Ok((value, Span::from_parser(token.span)))
}
