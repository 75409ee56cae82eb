//! Flink's type names, read into sqlparser's [`DataType`].
//!
//! sqlparser knows most types, but not `ROW<..>`, `MAP<..>`, `MULTISET<..>`, `TIMESTAMP_LTZ` or
//! `NOT NULL` inside a type. `ROW` becomes its `Struct`, whose field options carry `NOT NULL` and
//! the comment, `MULTISET` a `Map`; types it has no node for become `Custom` names.

use sqlparser::ast::{
    ArrayElemTypeDef, DataType, Expr, Ident, ObjectName, SqlOption, StructBracketKind, StructField, TimezoneInfo, Value,
};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::words::{Words, is_word, word};

/// The field option that marks a field of a `ROW` as `NOT NULL`.
pub(crate) const NOT_NULL: &str = "NOT NULL";
pub(crate) const TIMESTAMP_LTZ: &str = "TIMESTAMP_LTZ";
const MULTISET: &str = "MULTISET";
pub(crate) const RAW: &str = "RAW";

/// What is expected where a word is no type.
pub(super) const TYPE: &str = "a type";

/// Reads one type, nested at most `depth_left` deep.
pub(super) fn parse_data_type(parser: &mut Parser, depth_left: usize) -> Result<DataType, ParserError> {
    let Some(depth_left) = depth_left.checked_sub(1) else { return Err(ParserError::RecursionLimitExceeded) };
    let name = word(&parser.peek_token_ref().token).map(str::to_ascii_uppercase).unwrap_or_default();
    let opens = matches!(parser.peek_nth_token_ref(1).token, Token::Lt);
    let opens_list = matches!(parser.peek_nth_token_ref(1).token, Token::LParen);
    let mut data_type = match name.as_str() {
        "ROW" if opens || opens_list => parse_row(parser, depth_left)?,
        "ARRAY" if opens => {
            parser.advance_token();
            parser.expect_token(&Token::Lt)?;
            let element = parse_element(parser, depth_left)?;
            parser.expect_token(&Token::Gt)?;
            array_of(element)
        }
        "MULTISET" if opens => {
            parser.advance_token();
            parser.expect_token(&Token::Lt)?;
            let element = parse_element(parser, depth_left)?;
            parser.expect_token(&Token::Gt)?;
            multiset_of(element)
        }
        "MAP" if opens => {
            parser.advance_token();
            parser.expect_token(&Token::Lt)?;
            let key = parse_element(parser, depth_left)?;
            parser.expect_token(&Token::Comma)?;
            let value = parse_element(parser, depth_left)?;
            parser.expect_token(&Token::Gt)?;
            DataType::Map(Box::new(key), Box::new(value))
        }
        "TIMESTAMP" => parse_timestamp(parser)?,
        "TIMESTAMP_LTZ" => {
            parser.advance_token();
            local_timestamp(parser.parse_optional_precision()?)
        }
        // sqlparser would read these, but as types that Flink lacks.
        "ENUM" | "SET" | "TABLE" | "TRIGGER" | "UNION" | "NESTED" | "TUPLE" => {
            return parser.expected_ref(TYPE, parser.peek_token_ref());
        }
        _ => {
            let start = parser.peek_token();
            match parser.parse_data_type()? {
                DataType::Custom(name, _) if !is_word(&start.token, RAW) || 1 < name.0.len() => {
                    return parser.expected(TYPE, start);
                }
                known => known,
            }
        }
    };
    // `INT ARRAY` is Flink's other spelling of `ARRAY<INT>`.
    let mut suffixes_left = depth_left;
    loop {
        if parser.eat(&["ARRAY"]) {
            data_type = array_of(data_type);
        } else if parser.eat(&["MULTISET"]) {
            data_type = multiset_of(data_type);
        } else {
            return Ok(data_type);
        }
        suffixes_left = suffixes_left.checked_sub(1).ok_or(ParserError::RecursionLimitExceeded)?;
    }
}

fn array_of(element: DataType) -> DataType {
    DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(element)))
}

/// A map to what cannot be written: counts.
fn multiset_of(element: DataType) -> DataType {
    let count = DataType::Custom(ObjectName::from(vec![Ident::new(MULTISET)]), Vec::new());
    DataType::Map(Box::new(element), Box::new(count))
}

/// True if a map's values are the counts of a `MULTISET`.
pub(crate) fn counts(value: &DataType) -> bool {
    matches!(value, DataType::Custom(name, _) if *name == ObjectName::from(vec![Ident::new(MULTISET)]))
}

fn local_timestamp(precision: Option<u64>) -> DataType {
    let modifiers = precision.map(|precision| precision.to_string()).into_iter().collect();
    DataType::Custom(ObjectName::from(vec![Ident::new(TIMESTAMP_LTZ)]), modifiers)
}

/// An element may say `[NOT] NULL`; elements are not checked for it.
fn parse_element(parser: &mut Parser, depth_left: usize) -> Result<DataType, ParserError> {
    let element = parse_data_type(parser, depth_left)?;
    if !parser.eat(&["NOT", "NULL"]) {
        parser.eat(&["NULL"]);
    }
    Ok(element)
}

fn parse_timestamp(parser: &mut Parser) -> Result<DataType, ParserError> {
    parser.advance_token();
    let precision = parser.parse_optional_precision()?;
    if parser.eat(&["WITH", "LOCAL", "TIME", "ZONE"]) {
        return Ok(local_timestamp(precision));
    }
    let zone = if parser.eat(&["WITH", "TIME", "ZONE"]) {
        TimezoneInfo::WithTimeZone
    } else if parser.eat(&["WITHOUT", "TIME", "ZONE"]) {
        TimezoneInfo::WithoutTimeZone
    } else {
        TimezoneInfo::None
    };
    Ok(DataType::Timestamp(precision, zone))
}

fn parse_row(parser: &mut Parser, depth_left: usize) -> Result<DataType, ParserError> {
    parser.advance_token();
    let closing = if parser.next_token().token == Token::Lt { Token::Gt } else { Token::RParen };
    let fields = parser.parse_comma_separated(|parser| parse_field(parser, depth_left))?;
    parser.expect_token(&closing)?;
    Ok(DataType::Struct(fields, StructBracketKind::AngleBrackets))
}

fn parse_field(parser: &mut Parser, depth_left: usize) -> Result<StructField, ParserError> {
    let field_name = if field_is_named(parser) { Some(parser.parse_identifier()?) } else { None };
    let field_type = parse_data_type(parser, depth_left)?;
    let mut options = Vec::new();
    if parser.eat(&["NOT", "NULL"]) {
        options.push(SqlOption::Ident(Ident::new(NOT_NULL)));
    } else {
        parser.eat(&["NULL"]);
    }
    if let Token::SingleQuotedString(_) = parser.peek_token_ref().token {
        let comment = Value::SingleQuotedString(parser.parse_literal_string()?);
        options.push(SqlOption::KeyValue { key: Ident::new("COMMENT"), value: Expr::value(comment) });
    }
    Ok(StructField { field_name, field_type, options: (!options.is_empty()).then_some(options) })
}

/// `a INT` against `INT`: a name is a word before another word that does not go on with a type.
fn field_is_named(parser: &Parser) -> bool {
    let Token::Word(name) = &parser.peek_token_ref().token else { return false };
    let next = &parser.peek_nth_token_ref(1).token;
    let continues_type = ["NOT", "NULL", "PRECISION", "WITH", "WITHOUT", "VARYING"];
    name.quote_style.is_some()
        || matches!(next, Token::Word(_)) && !continues_type.iter().any(|keyword| is_word(next, keyword))
}
