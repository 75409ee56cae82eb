//! Flink's expressions and lexical rules, as a dialect of sqlparser.
//!
//! sqlparser asks the dialect before it parses an expression. That hook is where Flink's own
//! forms come in: `TABLE t PARTITION BY k` as an argument, `MAP[..]`, casts to `ROW<..>`.
//! They become ordinary nodes of its syntax tree, so the planner needs no second tree.
//!
//! Double quotes delimit identifiers here. Flink has no such form, but whoever comes from DuckDB
//! or psql writes it, and it has no other meaning.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::{
    BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    Ident, ObjectName, TrimWhereField, UnaryOperator, Value, WindowSpec, WindowType,
};
use sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::data_type::parse_data_type;
use super::json::{JSON_FUNCTIONS, parse_json_function};
use super::limits::SQL_DEPTH_MAX;
use super::words::{Words, is_word};

/// Bytes of an operand of `BETWEEN SYMMETRIC`, which is written out twice.
const SYMMETRIC_OPERAND_BYTES_MAX: usize = 256;

/// Words that go on with a statement. sqlparser would take them for columns, and `a, b + FROM t` for
/// a sum with a column `FROM` of no table at all.
const RESERVED: &[Keyword] = &[
    Keyword::AND,
    Keyword::AS,
    Keyword::BETWEEN,
    Keyword::BY,
    Keyword::CROSS,
    Keyword::ELSE,
    Keyword::END,
    Keyword::EXCEPT,
    Keyword::FETCH,
    Keyword::FROM,
    Keyword::FULL,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::IN,
    Keyword::INNER,
    Keyword::INTERSECT,
    Keyword::INTO,
    Keyword::IS,
    Keyword::JOIN,
    Keyword::LIKE,
    Keyword::LIMIT,
    Keyword::NATURAL,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::OR,
    Keyword::ORDER,
    Keyword::SELECT,
    Keyword::THEN,
    Keyword::UNION,
    Keyword::USING,
    Keyword::WHEN,
    Keyword::WHERE,
    Keyword::WITH,
];

/// The name of the call that stands for a `TABLE t [PARTITION BY ..]` argument.
pub(super) const TABLE_ARGUMENT: &str = "TABLE";

#[derive(Debug)]
pub(super) struct FlinkDialect {
    /// Expressions that may still be tried. sqlparser backtracks, and some mistakes cost it
    /// time exponential in their depth.
    attempts_left: Cell<usize>,
}

impl FlinkDialect {
    pub(super) fn new(attempts_max: usize) -> Self {
        FlinkDialect { attempts_left: Cell::new(attempts_max) }
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.attempts_left.get() == 0
    }
}

impl Dialect for FlinkDialect {
    /// A few clauses, such as UNNEST as a table, are open only to dialects known by name.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        character == '`' || character == '"'
    }

    fn is_identifier_start(&self, character: char) -> bool {
        character.is_alphabetic() || character == '_' || character == '$'
    }

    fn is_identifier_part(&self, character: char) -> bool {
        character.is_alphanumeric() || character == '_' || character == '$'
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_match_recognize(&self) -> bool {
        true
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_interval_options(&self) -> bool {
        true
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        true
    }

    fn is_select_item_alias(&self, explicit: bool, keyword: &Keyword, parser: &mut Parser) -> bool {
        (explicit || self.is_column_alias(keyword, parser)) && !is_emit(parser)
    }

    fn is_table_factor_alias(&self, explicit: bool, keyword: &Keyword, parser: &mut Parser) -> bool {
        (explicit || self.is_table_alias(keyword, parser)) && !is_emit(parser)
    }

    /// Words that begin an expression and are never columns. Saying so spares sqlparser a
    /// second reading and keeps the error of the first, which is the one that helps.
    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        matches!(
            keyword,
            Keyword::CASE | Keyword::CAST | Keyword::EXISTS | Keyword::INTERVAL | Keyword::NOT | Keyword::TRY_CAST
        )
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        match self.attempts_left.get().checked_sub(1) {
            Some(left) => self.attempts_left.set(left),
            None => return Some(Err(ParserError::RecursionLimitExceeded)),
        }
        let Token::Word(word) = &parser.peek_token_ref().token else { return None };
        if word.quote_style.is_some() {
            return None;
        }
        let next = &parser.peek_nth_token_ref(1).token;
        match (word.keyword, next) {
            (Keyword::TABLE, Token::Word(_)) => Some(parse_table_argument(parser)),
            // sqlparser recurses here without counting, and nothing can be meant by it.
            (Keyword::INTERVAL, Token::Word(inner)) if inner.keyword == Keyword::INTERVAL => {
                Some(parser.expected_ref("the value of the interval", parser.peek_nth_token_ref(1)))
            }
            (Keyword::MAP, Token::LBracket) => Some(parse_map(parser)),
            (Keyword::CAST, Token::LParen) => Some(parse_cast(parser, CastKind::Cast)),
            (Keyword::TRY_CAST, Token::LParen) => Some(parse_cast(parser, CastKind::TryCast)),
            (Keyword::TRIM, Token::LParen) => Some(parse_trim(parser)),
            (keyword, _) if RESERVED.contains(&keyword) => {
                Some(parser.expected_ref("an expression", parser.peek_token_ref()))
            }
            (_, Token::LParen) if JSON_FUNCTIONS.iter().any(|name| name.eq_ignore_ascii_case(&word.value)) => {
                Some(parse_json_function(parser))
            }
            _ => None,
        }
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        let negated = parser.sees(&["NOT", "BETWEEN"]);
        let flavour = parser.peek_nth_token_ref(if negated { 2 } else { 1 });
        let is_flavoured = is_word(&flavour.token, "SYMMETRIC") || is_word(&flavour.token, "ASYMMETRIC");
        if is_flavoured && (negated || parser.sees(&["BETWEEN"])) {
            let precedence = self.prec_value(Precedence::Between);
            return Some(parse_flavoured_between(parser, expr, negated, precedence));
        }
        if parser.sees(&["IS", "JSON"]) || parser.sees(&["IS", "NOT", "JSON"]) {
            return Some(parse_is_json(parser, expr));
        }
        None
    }
}

/// Whether the word just taken begins `EMIT CHANGES` or `EMIT FINAL` rather than being an alias.
fn is_emit(parser: &Parser) -> bool {
    is_word(&parser.get_current_token().token, "EMIT") && (parser.sees(&["CHANGES"]) || parser.sees(&["FINAL"]))
}

/// `TABLE a.b [PARTITION BY x, y] [ORDER BY z]` becomes `TABLE(a.b) OVER (PARTITION BY x, y ORDER BY z)`.
fn parse_table_argument(parser: &mut Parser) -> Result<Expr, ParserError> {
    let marker = Ident::with_span(parser.peek_token_ref().span, TABLE_ARGUMENT);
    parser.advance_token();
    let mut parts = vec![parser.parse_identifier()?];
    while parser.consume_token(&Token::Period) {
        parts.push(parser.parse_identifier()?);
    }
    let in_parentheses = parser.sees(&["PARTITION", "BY"]) && parser.peek_nth_token_ref(2).token == Token::LParen;
    let partition_by = if in_parentheses {
        parser.require(&["PARTITION", "BY"])?;
        parser.parse_parenthesized(|parser| parser.parse_comma_separated(Parser::parse_expr))?
    } else if parser.eat(&["PARTITION", "BY"]) {
        parse_partition_columns(parser)?
    } else {
        Vec::new()
    };
    let order_by = if parser.eat(&["ORDER", "BY"]) {
        parser.parse_comma_separated(Parser::parse_order_by_expr)?
    } else {
        Vec::new()
    };
    let over = (!partition_by.is_empty() || !order_by.is_empty()).then_some(WindowType::WindowSpec(WindowSpec {
        window_name: None,
        partition_by,
        order_by,
        window_frame: None,
    }));
    let table = if parts.len() == 1 { Expr::Identifier(parts.remove(0)) } else { Expr::CompoundIdentifier(parts) };
    Ok(call(marker, vec![table], over))
}

/// The columns of `PARTITION BY a, b, DESCRIPTOR(ts)`: the list ends where the next argument,
/// a call or a named argument, begins.
fn parse_partition_columns(parser: &mut Parser) -> Result<Vec<Expr>, ParserError> {
    let mut columns = vec![parser.parse_expr()?];
    while parser.peek_token_ref().token == Token::Comma
        && matches!(parser.peek_nth_token_ref(1).token, Token::Word(_))
        && !matches!(parser.peek_nth_token_ref(2).token, Token::LParen | Token::RArrow)
    {
        parser.advance_token();
        columns.push(parser.parse_expr()?);
    }
    Ok(columns)
}

/// `MAP['k', v, ..]` becomes a call of `MAP`.
fn parse_map(parser: &mut Parser) -> Result<Expr, ParserError> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LBracket)?;
    let entries = parser.parse_comma_separated0(Parser::parse_expr, Token::RBracket)?;
    parser.expect_token(&Token::RBracket)?;
    Ok(call(name, entries, None))
}

fn parse_cast(parser: &mut Parser, kind: CastKind) -> Result<Expr, ParserError> {
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    let expr = parser.parse_expr()?;
    parser.require(&["AS"])?;
    let data_type = parse_data_type(parser, SQL_DEPTH_MAX)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Cast { kind, expr: Box::new(expr), data_type, array: false, format: None })
}

/// `TRIM(s)` or `TRIM([BOTH | LEADING | TRAILING] [characters] FROM s)`.
fn parse_trim(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    let sides =
        [("BOTH", TrimWhereField::Both), ("LEADING", TrimWhereField::Leading), ("TRAILING", TrimWhereField::Trailing)];
    let trim_where = sides.into_iter().find(|(side, _)| parser.eat(&[side])).map(|(_, side)| side);
    let first = if parser.sees(&["FROM"]) {
        Expr::Value(Value::SingleQuotedString(" ".to_owned()).into())
    } else {
        parser.parse_expr()?
    };
    let is_whole = trim_where.is_none() && parser.peek_token_ref().token == Token::RParen;
    let (expr, trim_what) = if is_whole {
        (Box::new(first), None)
    } else {
        parser.require(&["FROM"])?;
        (Box::new(parser.parse_expr()?), Some(Box::new(first)))
    };
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Trim { expr, trim_where, trim_what, trim_characters: None })
}

/// `BETWEEN [A]SYMMETRIC`: the symmetric form holds with its bounds in either order.
fn parse_flavoured_between(
    parser: &mut Parser,
    expr: &Expr,
    negated: bool,
    precedence: u8,
) -> Result<Expr, ParserError> {
    if negated {
        parser.require(&["NOT"])?;
    }
    parser.require(&["BETWEEN"])?;
    let flavour = parser.next_token();
    let low = parser.parse_subexpr(precedence)?;
    parser.require(&["AND"])?;
    let high = parser.parse_subexpr(precedence)?;
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(expr.clone()),
        negated,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    if is_word(&flavour.token, "ASYMMETRIC") {
        return Ok(between(&low, &high));
    }
    if [expr, &low, &high].iter().any(|operand| SYMMETRIC_OPERAND_BYTES_MAX < operand.to_string().len()) {
        return parser.expected("short operands for BETWEEN SYMMETRIC, which repeats them", flavour);
    }
    let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
    let either = Expr::BinaryOp { left: Box::new(between(&low, &high)), op, right: Box::new(between(&high, &low)) };
    Ok(Expr::Nested(Box::new(either)))
}

/// `x IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT]` becomes a call of `IS_JSON`.
fn parse_is_json(parser: &mut Parser, expr: &Expr) -> Result<Expr, ParserError> {
    parser.require(&["IS"])?;
    let negated = parser.eat(&["NOT"]);
    let name = Ident::with_span(parser.peek_token_ref().span, "IS_JSON");
    parser.require(&["JSON"])?;
    let mut arguments = vec![expr.clone()];
    if let Some(kind) = ["VALUE", "SCALAR", "ARRAY", "OBJECT"].into_iter().find(|kind| parser.eat(&[kind])) {
        arguments.push(Expr::Value(Value::SingleQuotedString(kind.to_owned()).into()));
    }
    let is_json = call(name, arguments, None);
    if !negated {
        return Ok(is_json);
    }
    Ok(Expr::Nested(Box::new(Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(is_json) })))
}

/// A plain call.
pub(super) fn call(name: Ident, arguments: Vec<Expr>, over: Option<WindowType>) -> Expr {
    let args = arguments.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over,
        within_group: Vec::new(),
    })
}
