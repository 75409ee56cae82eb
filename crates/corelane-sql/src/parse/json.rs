//! The JSON functions, whose arguments have clauses between them.
//!
//! They become plain calls: what a clause says follows as a text, `JSON_VALUE(json, path, 'INTEGER',
//! 'NULL', NULL, 'DEFAULT', 0)`. The clauses that are left out get Flink's defaults here.

use sqlparser::ast::{Expr, Value};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::dialect::call;
use super::words::{Words, is_word};

/// The functions that are read here, by name.
pub(super) const JSON_FUNCTIONS: &[&str] =
    &["JSON_ARRAY", "JSON_ARRAYAGG", "JSON_EXISTS", "JSON_OBJECT", "JSON_OBJECTAGG", "JSON_QUERY", "JSON_VALUE"];

/// Reads a call of one of [`JSON_FUNCTIONS`] from its name on.
pub(super) fn parse_json_function(parser: &mut Parser) -> Result<Expr, ParserError> {
    let start = parser.peek_token();
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LParen)?;
    let arguments = match name.value.to_ascii_uppercase().as_str() {
        "JSON_VALUE" => value_arguments(parser)?,
        "JSON_QUERY" => query_arguments(parser)?,
        "JSON_EXISTS" => exists_arguments(parser)?,
        "JSON_OBJECT" => object_arguments(parser)?,
        "JSON_ARRAY" => array_arguments(parser)?,
        _ => return parser.expected("a function of one row; there is no aggregate of JSON yet", start),
    };
    parser.expect_token(&Token::RParen)?;
    Ok(call(name, arguments, None))
}

fn text(written: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(written.to_owned()).into())
}

fn null() -> Expr {
    Expr::Value(Value::Null.into())
}

fn json_and_path(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    let json = parser.parse_expr()?;
    parser.expect_token(&Token::Comma)?;
    Ok(vec![json, parser.parse_expr()?])
}

/// `json, path [RETURNING type] [{NULL | ERROR | DEFAULT x} ON EMPTY] [{..} ON ERROR]`
fn value_arguments(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    let mut arguments = json_and_path(parser)?;
    if parser.peek_token_ref().token == Token::RParen {
        return Ok(arguments);
    }
    let types = [
        ("STRING", "STRING"),
        ("VARCHAR", "STRING"),
        ("BOOLEAN", "BOOLEAN"),
        ("INTEGER", "INTEGER"),
        ("INT", "INTEGER"),
        ("DOUBLE", "DOUBLE"),
    ];
    let mut returning = "STRING";
    if parser.eat(&["RETURNING"]) {
        let Some((_, known)) = types.into_iter().find(|(written, _)| parser.eat(&[written])) else {
            return parser.expected_ref("STRING, BOOLEAN, INTEGER or DOUBLE", parser.peek_token_ref());
        };
        returning = known;
    }
    arguments.push(text(returning));
    let mut clauses = [("EMPTY", None), ("ERROR", None)];
    while parser.peek_token_ref().token != Token::RParen {
        let start = parser.peek_token();
        let clause = if parser.eat(&["NULL"]) {
            ("NULL", null())
        } else if parser.eat(&["ERROR"]) {
            ("ERROR", null())
        } else if parser.eat(&["DEFAULT"]) {
            ("DEFAULT", parser.parse_expr()?)
        } else {
            return parser.expected("NULL, ERROR or DEFAULT, or )", start);
        };
        set_clause(parser, &mut clauses, clause)?;
    }
    for (_, clause) in clauses {
        let (mode, default) = clause.unwrap_or(("NULL", null()));
        arguments.extend([text(mode), default]);
    }
    Ok(arguments)
}

/// Reads `ON EMPTY` or `ON ERROR` behind what is to happen then.
fn set_clause<T>(parser: &mut Parser, clauses: &mut [(&'static str, Option<T>)], clause: T) -> Result<(), ParserError> {
    parser.require(&["ON"])?;
    let start = parser.peek_token();
    match clauses.iter_mut().find(|(when, taken)| taken.is_none() && parser.sees(&[when])) {
        Some((_, free)) => {
            *free = Some(clause);
            parser.advance_token();
            Ok(())
        }
        None => {
            let free: Vec<&str> = clauses.iter().filter(|(_, taken)| taken.is_none()).map(|(when, _)| *when).collect();
            parser.expected(&free.join(" or "), start)
        }
    }
}

/// `json, path [{WITHOUT | WITH [CONDITIONAL | UNCONDITIONAL]} [ARRAY] WRAPPER] [.. ON EMPTY] [.. ON ERROR]`
fn query_arguments(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    let mut arguments = json_and_path(parser)?;
    if parser.peek_token_ref().token == Token::RParen {
        return Ok(arguments);
    }
    if parser.eat(&["RETURNING"]) && !parser.eat(&["STRING"]) && !parser.eat(&["VARCHAR"]) {
        return parser.expected_ref("STRING", parser.peek_token_ref());
    }
    let mut wrapper = "WITHOUT";
    if parser.sees(&["WITHOUT"]) || parser.sees(&["WITH"]) {
        if parser.eat(&["WITH"]) {
            wrapper = if parser.eat(&["CONDITIONAL"]) { "CONDITIONAL" } else { "UNCONDITIONAL" };
            parser.eat(&["UNCONDITIONAL"]);
        } else {
            parser.advance_token();
        }
        parser.eat(&["ARRAY"]);
        parser.require(&["WRAPPER"])?;
    }
    arguments.push(text(wrapper));
    let mut clauses = [("EMPTY", None), ("ERROR", None)];
    while parser.peek_token_ref().token != Token::RParen {
        let start = parser.peek_token();
        let clause = if parser.eat(&["NULL"]) {
            "NULL"
        } else if parser.eat(&["ERROR"]) {
            "ERROR"
        } else if parser.eat(&["EMPTY", "ARRAY"]) {
            "[]"
        } else if parser.eat(&["EMPTY", "OBJECT"]) {
            "{}"
        } else {
            return parser.expected("NULL, EMPTY ARRAY, EMPTY OBJECT or ERROR, or )", start);
        };
        set_clause(parser, &mut clauses, clause)?;
    }
    arguments.extend(clauses.map(|(_, clause)| text(clause.unwrap_or("NULL"))));
    Ok(arguments)
}

/// `json, path [{TRUE | FALSE | UNKNOWN | ERROR} ON ERROR]`
fn exists_arguments(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    let mut arguments = json_and_path(parser)?;
    if parser.peek_token_ref().token == Token::RParen {
        return Ok(arguments);
    }
    let Some(clause) = ["TRUE", "FALSE", "UNKNOWN", "ERROR"].into_iter().find(|word| parser.eat(&[word])) else {
        return parser.expected_ref("TRUE, FALSE, UNKNOWN or ERROR, or )", parser.peek_token_ref());
    };
    let mut clauses = [("ERROR", None)];
    set_clause(parser, &mut clauses, clause)?;
    arguments.push(text(clause));
    Ok(arguments)
}

/// `[[KEY] name VALUE value, ..] [{NULL | ABSENT} ON NULL]`: first what becomes of nulls and,
/// for each value, whether it is JSON already.
fn object_arguments(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    let mut members = Vec::new();
    let mut raw = String::new();
    if !ends(parser) {
        loop {
            // `key` may also be the name of a column.
            if parser.sees(&["KEY"]) && !is_word(&parser.peek_nth_token_ref(1).token, "VALUE") {
                parser.advance_token();
            }
            members.push(parser.parse_expr()?);
            parser.require(&["VALUE"])?;
            push_value(parser, &mut members, &mut raw)?;
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    let nulls = nulls(parser, "NULL")?;
    members.insert(0, text(&format!("{nulls} {raw}")));
    Ok(members)
}

/// `[value, ..] [{NULL | ABSENT} ON NULL]`
fn array_arguments(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    let mut items = Vec::new();
    let mut raw = String::new();
    if !ends(parser) {
        loop {
            push_value(parser, &mut items, &mut raw)?;
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    let nulls = nulls(parser, "ABSENT")?;
    items.insert(0, text(&format!("{nulls} {raw}")));
    Ok(items)
}

/// Whether no member follows.
fn ends(parser: &Parser) -> bool {
    parser.peek_token_ref().token == Token::RParen
        || parser.sees(&["NULL", "ON", "NULL"])
        || parser.sees(&["ABSENT", "ON", "NULL"])
}

/// A call that makes JSON is put in as it is, any other text is quoted.
fn push_value(parser: &mut Parser, values: &mut Vec<Expr>, raw: &mut String) -> Result<(), ParserError> {
    let value = parser.parse_expr()?;
    let is_json = match &value {
        Expr::Function(function) => {
            let name = function.name.to_string();
            ["JSON_OBJECT", "JSON_ARRAY"].iter().any(|json| name.eq_ignore_ascii_case(json))
        }
        _ => false,
    };
    raw.push(if is_json { 'j' } else { 'v' });
    values.push(value);
    Ok(())
}

fn nulls(parser: &mut Parser, default: &'static str) -> Result<&'static str, ParserError> {
    if parser.eat(&["NULL", "ON", "NULL"]) {
        Ok("NULL")
    } else if parser.eat(&["ABSENT", "ON", "NULL"]) {
        Ok("ABSENT")
    } else {
        Ok(default)
    }
}
