//! `CREATE TABLE` as Flink has it.
//!
//! Columns are physical, computed or metadata; beside them stand a watermark and a primary key.
//! What follows the list comes in Flink's fixed order: comment, partitioning, options, and then
//! either `LIKE` or `AS`.

use sqlparser::ast::Ident;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::data_type::parse_data_type;
use super::fault::Fault;
use super::limits::SQL_DEPTH_MAX;
use super::statement::{
    ColumnDef, ColumnKind, CreateTable, LikeClause, LikeFeature, LikeOption, LikeStrategy, TableOption, WatermarkDef,
};
use super::statement_parser::{
    parse_column_names, parse_comment, parse_emit, parse_name, parse_option_text, span_since,
};
use super::words::Words;
use crate::error::{Span, SqlError};

/// Reads what follows `CREATE [TEMPORARY] TABLE`.
pub(super) fn parse_create_table(parser: &mut Parser, temporary: bool) -> Result<CreateTable, Fault> {
    let if_not_exists = parser.eat(&["IF", "NOT", "EXISTS"]);
    let mut table = CreateTable {
        name: parse_name(parser)?,
        if_not_exists,
        temporary,
        columns: Vec::new(),
        primary_key: Vec::new(),
        watermark: None,
        partitioned_by: Vec::new(),
        options: Vec::new(),
        like: None,
        as_query: None,
        emit: None,
        comment: None,
    };
    if parser.consume_token(&Token::LParen) {
        loop {
            parse_element(parser, &mut table)?;
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        if !parser.consume_token(&Token::RParen) {
            return Ok(parser.expected_ref(", or )", parser.peek_token_ref())?);
        }
    }
    table.comment = parse_comment(parser)?;
    if parser.eat(&["PARTITIONED", "BY"]) {
        table.partitioned_by = parse_column_names(parser)?;
    }
    if parser.eat(&["WITH"]) {
        table.options = parse_options(parser)?;
    }
    if parser.eat(&["LIKE"]) {
        table.like = Some(parse_like(parser)?);
    } else if parser.eat(&["AS"]) {
        table.as_query = Some(parser.parse_query()?);
        table.emit = parse_emit(parser);
    }
    Ok(table)
}

/// One element of the list: a column, the watermark or the primary key.
fn parse_element(parser: &mut Parser, table: &mut CreateTable) -> Result<(), Fault> {
    let start = parser.peek_token_ref().span;
    if parser.eat(&["WATERMARK", "FOR"]) {
        let column = parser.parse_identifier()?;
        parser.require(&["AS"])?;
        let expr_start = parser.peek_token_ref().span;
        let expr = parser.parse_expr()?;
        let expr_span = span_since(parser, expr_start);
        let span = span_since(parser, start);
        if table.watermark.is_some() {
            return Err(SqlError::new("the table has a second WATERMARK").at(Some(span)).into());
        }
        table.watermark = Some(WatermarkDef { column, text: expr.to_string(), expr, expr_span, span });
        return Ok(());
    }
    let is_named = parser.sees(&["CONSTRAINT"]) && matches!(parser.peek_nth_token_ref(2).token, Token::Word(_));
    if is_named {
        parser.advance_token();
        parser.parse_identifier()?;
        if !parser.sees(&["PRIMARY", "KEY"]) {
            return Ok(parser.expected_ref("PRIMARY KEY", parser.peek_token_ref())?);
        }
    }
    if parser.eat(&["PRIMARY", "KEY"]) {
        let columns = parse_column_names(parser)?;
        parse_not_enforced(parser, start)?;
        return set_primary_key(table, columns, span_since(parser, start));
    }
    let column = parse_column(parser, table)?;
    table.columns.push(column);
    Ok(())
}

/// Rows are others' and no key is enforced: as in Flink the declaration has to say so.
fn parse_not_enforced(parser: &mut Parser, start: sqlparser::tokenizer::Span) -> Result<(), Fault> {
    if parser.eat(&["NOT", "ENFORCED"]) {
        return Ok(());
    }
    let enforced = parser.peek_token_ref().span;
    let at = if parser.eat(&["ENFORCED"]) { Span::from_parser(enforced) } else { Some(span_since(parser, start)) };
    Err(SqlError::new("a PRIMARY KEY cannot be enforced")
        .with_hint("write PRIMARY KEY (..) NOT ENFORCED")
        .at(at)
        .into())
}

fn set_primary_key(table: &mut CreateTable, columns: Vec<Ident>, span: Span) -> Result<(), Fault> {
    if !table.primary_key.is_empty() {
        return Err(SqlError::new("the table has a second PRIMARY KEY").at(Some(span)).into());
    }
    table.primary_key = columns;
    Ok(())
}

/// `a INT [NOT NULL]`, `a AS expr` or `a INT METADATA [FROM 'key'] [VIRTUAL]`, each with a comment.
fn parse_column(parser: &mut Parser, table: &mut CreateTable) -> Result<ColumnDef, Fault> {
    let start = parser.peek_token_ref().span;
    if let Token::SingleQuotedString(_) = parser.peek_token_ref().token {
        return Ok(parser.expected_ref("a column's name", parser.peek_token_ref())?);
    }
    let name = parser.parse_identifier()?;
    let kind = if parser.eat(&["AS"]) {
        let start = parser.peek_token_ref().span;
        let expr = Box::new(parser.parse_expr()?);
        let text = expr.to_string();
        ColumnKind::Computed { expr, span: span_since(parser, start), text }
    } else {
        parse_typed_column(parser, table, &name)?
    };
    let comment = parse_comment(parser)?;
    Ok(ColumnDef { name, kind, comment, span: span_since(parser, start) })
}

fn parse_typed_column(parser: &mut Parser, table: &mut CreateTable, name: &Ident) -> Result<ColumnKind, Fault> {
    if matches!(parser.peek_token_ref().token, Token::Comma | Token::RParen | Token::EOF) {
        return Ok(parser.expected_ref("a type or AS", parser.peek_token_ref())?);
    }
    let data_type = parse_data_type(parser, SQL_DEPTH_MAX)?;
    let mut not_null = false;
    loop {
        let start = parser.peek_token_ref().span;
        if parser.eat(&["NOT", "NULL"]) {
            not_null = true;
        } else if parser.eat(&["PRIMARY", "KEY"]) {
            parse_not_enforced(parser, start)?;
            set_primary_key(table, vec![name.clone()], span_since(parser, start))?;
        } else if parser.eat(&["METADATA"]) {
            let from = if parser.eat(&["FROM"]) { Some(parser.parse_literal_string()?) } else { None };
            let is_virtual = parser.eat(&["VIRTUAL"]);
            return Ok(ColumnKind::Metadata { data_type, not_null, from, is_virtual });
        } else if parser.eat(&["NULL"]) {
            if not_null {
                return Err(SqlError::new("the column is NOT NULL, and NULL")
                    .with_hint("leave one of them out")
                    .at(Some(span_since(parser, start)))
                    .into());
            }
        } else {
            return Ok(ColumnKind::Physical { data_type, not_null });
        }
    }
}

/// `('key' = 'value', ..)`
fn parse_options(parser: &mut Parser) -> Result<Vec<TableOption>, Fault> {
    parser.expect_token(&Token::LParen)?;
    let mut options: Vec<TableOption> = Vec::new();
    while parser.peek_token_ref().token != Token::RParen {
        let (key, key_span) = parse_option_text(parser, "name")?;
        parser.expect_token(&Token::Eq)?;
        let (value, value_span) = parse_option_text(parser, "value")?;
        if options.iter().any(|option| option.key == key) {
            return Err(SqlError::new(format!("option '{key}' is set twice")).at(key_span).into());
        }
        options.push(TableOption { key, value, key_span, value_span });
        if !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    parser.expect_token(&Token::RParen)?;
    Ok(options)
}

/// `t [(INCLUDING ALL EXCLUDING OPTIONS ..)]`
fn parse_like(parser: &mut Parser) -> Result<LikeClause, Fault> {
    let table = parse_name(parser)?;
    let mut options = Vec::new();
    if parser.consume_token(&Token::LParen) {
        while !parser.consume_token(&Token::RParen) {
            options.push(parse_like_option(parser)?);
        }
    }
    Ok(LikeClause { table, options })
}

fn parse_like_option(parser: &mut Parser) -> Result<LikeOption, Fault> {
    let strategies = [
        ("INCLUDING", LikeStrategy::Including),
        ("EXCLUDING", LikeStrategy::Excluding),
        ("OVERWRITING", LikeStrategy::Overwriting),
    ];
    let features = [
        ("ALL", LikeFeature::All),
        ("CONSTRAINTS", LikeFeature::Constraints),
        ("DISTRIBUTION", LikeFeature::Distribution),
        ("GENERATED", LikeFeature::Generated),
        ("METADATA", LikeFeature::Metadata),
        ("OPTIONS", LikeFeature::Options),
        ("PARTITIONS", LikeFeature::Partitions),
        ("WATERMARKS", LikeFeature::Watermarks),
    ];
    let start = parser.peek_token_ref().span;
    let Some((_, strategy)) = strategies.into_iter().find(|(word, _)| parser.eat(&[word])) else {
        return Ok(parser.expected_ref("INCLUDING, EXCLUDING or OVERWRITING", parser.peek_token_ref())?);
    };
    let Some((_, feature)) = features.into_iter().find(|(word, _)| parser.eat(&[word])) else {
        let names = features.map(|(word, _)| word).join(", ");
        return Ok(parser.expected_ref(&format!("one of {names}"), parser.peek_token_ref())?);
    };
    let span = span_since(parser, start);
    let is_whole = matches!(feature, LikeFeature::All | LikeFeature::Constraints | LikeFeature::Partitions);
    if strategy == LikeStrategy::Overwriting && is_whole {
        return Err(SqlError::new("OVERWRITING does not apply to ALL, CONSTRAINTS or PARTITIONS")
            .with_hint("write INCLUDING or EXCLUDING")
            .at(Some(span))
            .into());
    }
    Ok(LikeOption { strategy, feature, span: Some(span) })
}
