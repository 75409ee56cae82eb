//! Rewrites of the syntax tree that must come before names are bound.
//!
//! - `FLOOR(ts TO DAY)`, `TIMESTAMPADD(DAY, ..)` and their kin take a bare word, which binding
//!   would take for a column: they become calls with a string.
//! - `CAST(x AS VARCHAR(3))` cuts and `CAST(x AS CHAR(3))` pads: types do not know lengths here.
//! - Columns without a name, or with one that is taken, get the names that Flink gives them.
//! - The older group windows, `GROUP BY TUMBLE(ts, INTERVAL ..)` with `TUMBLE_START(..)`, become
//!   window table functions and the columns of those.

use std::ops::ControlFlow;

use corelane_ops::Window;
use sqlparser::ast::{
    self, AccessExpr, CastKind, CeilFloorKind, CharacterLength, DataType, ExactNumberInfo, Expr, Fetch, Function,
    FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, LimitClause, ObjectName,
    ObjectNamePart, Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, TypedString,
    Value, VisitMut, VisitorMut,
};

use super::patterns;
use super::relation::{GroupWindow, WindowRelations};
use super::unify::mark;
use super::{WINDOW_END, WINDOW_START, WINDOW_TIME};
use crate::error::SqlError;
use crate::parse::{interval_as_written, interval_value};
use crate::types::{DECIMAL_PRECISION_MAX, fewer_digits};

/// Rewrites a whole query; group windows are left with `windows` under the names put in FROM.
pub(super) fn rewrite_query(query: &mut Query, windows: &WindowRelations) -> Result<(), SqlError> {
    match query.visit(&mut Rewriter { windows: Some(windows) }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Rewrites one expression outside of a query.
pub(super) fn rewrite_expression(expression: &mut Expr) -> Result<(), SqlError> {
    match expression.visit(&mut Rewriter { windows: None }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewriter<'a> {
    windows: Option<&'a WindowRelations>,
}

impl VisitorMut for Rewriter<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        stopped(fetch_as_limit(query))
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        mark_values(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        let Some(windows) = self.windows else { return ControlFlow::Continue(()) };
        name_columns(&mut select.projection);
        stopped(rewrite_group_window(select, windows))
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        name_values(factor);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<SqlError> {
        match expression {
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(unit) }
                if *unit != ast::DateTimeField::NoDateTime =>
            {
                *expression = call("floor_to", vec![expr.as_ref().clone(), text(&unit.to_string())]);
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(unit) }
                if *unit != ast::DateTimeField::NoDateTime =>
            {
                *expression = call("ceil_to", vec![expr.as_ref().clone(), text(&unit.to_string())]);
            }
            Expr::Function(function) if takes_unit(function) => name_unit(function),
            Expr::Cast { .. } => {
                cut_text(expression);
                cut_digits(expression);
            }
            Expr::TypedString(literal) => fit_timestamp(literal),
            Expr::Interval(literal) => return stopped(simplify_interval(literal)),
            Expr::Like { .. } | Expr::SimilarTo { .. } => return stopped(patterns::rewrite(expression)),
            Expr::Value(_) => plain_literal(expression),
            Expr::CompoundFieldAccess { root, access_chain } => name_fields(root, access_chain),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `ROW(1, 2).f0`: what follows a dot names a field, and the planner wants it as a text. The
/// first names of `a.b.c` may belong to the table and the column, so they stay.
fn name_fields(root: &Expr, chain: &mut [AccessExpr]) {
    let is_dot = |part: &&AccessExpr| matches!(part, AccessExpr::Dot(_));
    let kept = match root {
        Expr::Identifier(_) => chain.iter().take_while(is_dot).count(),
        _ => 0,
    };
    for part in &mut chain[kept..] {
        if let AccessExpr::Dot(field) = part
            && let Expr::Identifier(name) = field
        {
            *field = text(&name.value);
        }
    }
}

/// `(VALUES (1, 'a'))` has the columns `EXPR$0` and `EXPR$1`, unless others are given.
fn name_values(factor: &mut TableFactor) {
    let TableFactor::Derived { subquery, alias, .. } = factor else { return };
    let SetExpr::Values(values) = subquery.body.as_ref() else { return };
    let Some(first) = values.rows.first() else { return };
    let named = |index: usize| TableAliasColumnDef::from_name(format!("EXPR${index}"));
    let alias = alias.get_or_insert_with(|| TableAlias {
        explicit: false,
        name: Ident::new("EXPR$"),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        alias.columns = (0..first.len()).map(named).collect();
    }
}

/// `CAST(x AS VARCHAR(3))` cuts the text, `CAST(x AS CHAR(3))` pads it as well.
fn cut_text(expression: &mut Expr) {
    let Expr::Cast { data_type, .. } = expression else { return };
    let (length, function) = match data_type {
        DataType::Char(length) | DataType::Character(length) => (length.unwrap_or(ONE_CHARACTER), "rpad"),
        DataType::Varchar(Some(length))
        | DataType::CharVarying(Some(length))
        | DataType::CharacterVarying(Some(length)) => (*length, "left"),
        _ => return,
    };
    let CharacterLength::IntegerLength { length, .. } = length else { return };
    *data_type = DataType::String(None);
    let mut arguments = vec![expression.clone(), Expr::Value(Value::Number(length.to_string(), false).into())];
    if function == "rpad" {
        arguments.push(text(" "));
    }
    *expression = call(function, arguments);
}

/// The function that leaves digits behind a second out.
pub(crate) const CAST_TO_DIGITS: &str = "cast_to_digits";

/// `CAST(x AS TIMESTAMP(0))` leaves out the fraction: types know milliseconds, microseconds and nanoseconds only.
fn cut_digits(expression: &mut Expr) {
    let Expr::Cast { data_type, .. } = expression else { return };
    if let Some(digits) = fewer_digits(data_type) {
        let digits = Expr::Value(Value::Number(digits.to_string(), false).into());
        *expression = call(CAST_TO_DIGITS, vec![expression.clone(), digits]);
    }
}

const ONE_CHARACTER: CharacterLength = CharacterLength::IntegerLength { length: 1, unit: None };

/// `TIMESTAMP '2020-01-01 00:00:00'` has the digits after the second that are written, as in Flink.
fn fit_timestamp(literal: &mut TypedString) {
    if let DataType::Timestamp(precision @ None, _) = &mut literal.data_type
        && let Some(written) = literal.value.clone().into_string()
    {
        let digits = written.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end().len());
        *precision = Some(digits.min(9) as u64);
    }
}

/// `U&'..'` is a text like any other once its escapes are read, `1e2` is a DOUBLE, `5.` an INT and `0.5` a
/// DECIMAL(2, 1): all digits that are written count.
fn plain_literal(expression: &mut Expr) {
    let Expr::Value(value) = expression else { return };
    match &value.value {
        Value::UnicodeStringLiteral(letters) => *expression = text(letters),
        Value::Number(digits, _) if digits.contains(['e', 'E']) => {
            *expression = cast(text(digits), DataType::Double(ExactNumberInfo::None));
        }
        Value::Number(digits, is_long) => match digits.split_once('.') {
            Some((whole, "")) => *expression = Expr::Value(Value::Number(whole.to_owned(), *is_long).into()),
            // The planner counts no zero at the start.
            Some((whole, fraction)) if whole.starts_with('0') => {
                let scale = fraction.len();
                let precision = (whole.len() + scale).min(usize::from(DECIMAL_PRECISION_MAX)) as u64;
                let info = ExactNumberInfo::PrecisionAndScale(precision, scale as i64);
                *expression = cast(expression.clone(), DataType::Decimal(info));
            }
            _ => {}
        },
        _ => {}
    }
}

fn cast(expression: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expression), data_type, array: false, format: None }
}

/// Marks what stands in VALUES, until their types are known (`unify`).
fn mark_values(body: &mut SetExpr) {
    match body {
        SetExpr::Values(values) => values.rows.iter_mut().flat_map(|row| &mut row.content).for_each(mark),
        SetExpr::SetOperation { left, right, .. } => {
            mark_values(left);
            mark_values(right);
        }
        _ => {}
    }
}

/// Whether the planner reads an interval as it stands: it knows texts of one plain unit, and no quarters.
fn is_plain(literal: &ast::Interval) -> bool {
    literal.last_field.is_none()
        && literal.leading_precision.is_none()
        && literal.fractional_seconds_precision.is_none()
        && literal.leading_field != Some(ast::DateTimeField::Quarter)
}

/// `INTERVAL '1:30' HOUR TO MINUTE` is one of seconds, or of months.
fn simplify_interval(literal: &mut ast::Interval) -> Result<(), SqlError> {
    let value = interval_as_written(literal).map_err(|error| error.at_node(literal.value.as_ref()))?;
    if is_plain(literal) {
        return Ok(());
    }
    let (length, unit) = if value.months == 0 {
        let (sign, size) = (if value.nanos < 0 { "-" } else { "" }, value.nanos.unsigned_abs());
        let (seconds, rest) = (size / 1_000_000_000, size % 1_000_000_000);
        let length = if rest == 0 { format!("{sign}{seconds}") } else { format!("{sign}{seconds}.{rest:09}") };
        (length, ast::DateTimeField::Second)
    } else {
        (value.months.to_string(), ast::DateTimeField::Month)
    };
    *literal = ast::Interval {
        value: Box::new(text(&length)),
        leading_field: Some(unit),
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    };
    Ok(())
}

/// `FETCH NEXT 3 ROWS ONLY` is `LIMIT 3`.
fn fetch_as_limit(query: &mut Query) -> Result<(), SqlError> {
    let Some(Fetch { with_ties, percent, quantity }) = query.fetch.take() else { return Ok(()) };
    if with_ties || percent {
        return Err(SqlError::new("FETCH with WITH TIES or PERCENT is not supported yet"));
    }
    let rows = Some(quantity.unwrap_or(Expr::Value(Value::Number("1".to_owned(), false).into())));
    query.limit_clause = match query.limit_clause.take() {
        None => Some(LimitClause::LimitOffset { limit: rows, offset: None, limit_by: Vec::new() }),
        Some(LimitClause::LimitOffset { limit: None, offset, limit_by }) => {
            Some(LimitClause::LimitOffset { limit: rows, offset, limit_by })
        }
        Some(_) => return Err(SqlError::new("a query has either LIMIT or FETCH")),
    };
    Ok(())
}

fn stopped(result: Result<(), SqlError>) -> ControlFlow<SqlError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// Gives the columns of a result Flink's names: `EXPR$0` for what has none, `a0` for a second `a`.
pub(super) fn name_columns(items: &mut [SelectItem]) {
    let mut used: Vec<String> = Vec::with_capacity(items.len());
    for (index, item) in items.iter_mut().enumerate() {
        let (wanted, expression) = match item {
            SelectItem::UnnamedExpr(expression) => {
                let own = own_name(expression).map(str::to_owned);
                (own.unwrap_or_else(|| format!("EXPR${index}")), expression)
            }
            SelectItem::ExprWithAlias { expr, alias } => (alias.value.clone(), expr),
            _ => continue,
        };
        let mut name = wanted.clone();
        let mut attempt = 0;
        while used.contains(&name) {
            name = format!("{wanted}{attempt}");
            attempt += 1;
        }
        if own_name(expression) != Some(name.as_str()) {
            *item = SelectItem::ExprWithAlias { expr: expression.clone(), alias: Ident::new(&name) };
        }
        used.push(name);
    }
}

fn own_name(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.as_str()),
        Expr::Nested(inner) => own_name(inner),
        _ => None,
    }
}

fn takes_unit(function: &Function) -> bool {
    ["timestampadd", "timestampdiff"].iter().any(|name| is_named(function, name))
}

fn is_named(function: &Function, name: &str) -> bool {
    match function.name.0.as_slice() {
        [part] => part.as_ident().is_some_and(|ident| ident.value.eq_ignore_ascii_case(name)),
        _ => false,
    }
}

/// `TIMESTAMPADD(DAY, ..)` -> `TIMESTAMPADD('DAY', ..)`.
fn name_unit(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) = list.args.first_mut()
        && let Expr::Identifier(word) = unit
    {
        *unit = text(&word.value.to_uppercase());
    }
}

pub(super) fn text(value: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.to_owned()).into())
}

pub(super) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter().map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The group windows and what their helper functions are called.
const GROUP_WINDOWS: [&str; 3] = ["tumble", "hop", "session"];

fn rewrite_group_window(select: &mut Select, windows: &WindowRelations) -> Result<(), SqlError> {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else { return Ok(()) };
    let mut found: Option<(String, GroupWindow)> = None;
    for group in groups.iter() {
        let Expr::Function(function) = group else { continue };
        let Some(kind) = GROUP_WINDOWS.iter().find(|kind| is_named(function, kind)) else { continue };
        if found.is_some() {
            return Err(SqlError::new("a query can group by one window").at_node(group));
        }
        let window = group_window(kind, function).map_err(|error| error.at_node(group))?;
        found = Some(((*kind).to_owned(), window));
    }
    let Some((kind, mut window)) = found else { return replace_helpers(select, None).map(drop) };
    groups.retain(|group| !matches!(group, Expr::Function(function) if is_named(function, &kind)));
    groups.extend([WINDOW_START, WINDOW_END, WINDOW_TIME].map(column));

    let [from] = select.from.as_mut_slice() else {
        return Err(SqlError::new(format!("{} in GROUP BY needs one table in FROM", kind.to_uppercase())));
    };
    if !from.joins.is_empty() {
        return Err(SqlError::new(format!("{} in GROUP BY over a join is not supported yet", kind.to_uppercase())));
    }
    let (bounds, time) = (window.window, window.time.clone());
    std::mem::swap(&mut window.relation, &mut from.relation);
    window.times_asked = replace_helpers(select, Some((&kind, bounds, &time)))?;
    let name = windows.add(window);
    select.from[0].relation = TableFactor::Function {
        lateral: false,
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        args: Vec::new(),
        with_ordinality: false,
        alias: None,
    };
    Ok(())
}

/// Gives the names of the helpers that give a time attribute.
fn replace_helpers(select: &mut Select, group: Option<(&str, Window, &Ident)>) -> Result<Vec<Ident>, SqlError> {
    let mut helpers = Helpers { group, times_asked: Vec::new() };
    let mut visited = select.projection.visit(&mut helpers);
    if visited.is_continue() {
        visited = select.having.visit(&mut helpers);
    }
    match visited {
        ControlFlow::Continue(()) => Ok(helpers.times_asked),
        ControlFlow::Break(error) => Err(error),
    }
}

fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::new(name))
}

/// What the helper functions of group windows end in, and the columns that they stand for.
const HELPERS: [(&str, &str); 4] =
    [("start", WINDOW_START), ("end", WINDOW_END), ("rowtime", WINDOW_TIME), ("proctime", WINDOW_TIME)];

/// Puts columns in the place of `TUMBLE_START(..)` and its kin, whose window must be the one in GROUP BY.
struct Helpers<'a> {
    group: Option<(&'a str, Window, &'a Ident)>,
    times_asked: Vec<Ident>,
}

impl VisitorMut for Helpers<'_> {
    type Break = SqlError;

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<SqlError> {
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        for kind in GROUP_WINDOWS {
            for (suffix, replacement) in HELPERS {
                if is_named(function, &format!("{kind}_{suffix}")) {
                    if let Err(error) = self.check(kind, function) {
                        return ControlFlow::Break(error.at_node(expression));
                    }
                    if replacement == WINDOW_TIME {
                        self.times_asked.extend(function.name.0.last().and_then(|part| part.as_ident()).cloned());
                    }
                    *expression = column(replacement);
                    return ControlFlow::Continue(());
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Helpers<'_> {
    fn check(&self, kind: &str, function: &Function) -> Result<(), SqlError> {
        let (name, window) = (function.name.to_string().to_uppercase(), kind.to_uppercase());
        let Some((grouped, bounds, time)) = self.group.filter(|(grouped, _, _)| *grouped == kind) else {
            return Err(SqlError::new(format!("{name} needs {window}(..) in the GROUP BY of its query"))
                .with_hint(format!("write GROUP BY {window}(..) with the arguments of {name}")));
        };
        let given = group_window(grouped, function)?;
        if given.window == bounds && given.time.value == time.value {
            return Ok(());
        }
        Err(SqlError::new(format!("{name} is of another window than the {window} in GROUP BY"))
            .with_hint(format!("give {name} the arguments of {window} in GROUP BY")))
    }
}

/// Reads `TUMBLE(ts, INTERVAL '10' SECOND)` or `HOP(ts, slide, size)`.
fn group_window(kind: &str, function: &Function) -> Result<GroupWindow, SqlError> {
    if kind == "session" {
        return Err(SqlError::new("SESSION windows are not supported yet"));
    }
    let usage = if kind == "tumble" { "TUMBLE(time, size)" } else { "HOP(time, slide, size)" };
    let wrong = || SqlError::new(format!("a group window is written {usage}, with intervals"));
    let FunctionArguments::List(list) = &function.args else { return Err(wrong()) };
    let mut arguments = Vec::new();
    for argument in &list.args {
        match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => arguments.push(expression),
            _ => return Err(wrong()),
        }
    }
    let (time, intervals) = arguments.split_first().ok_or_else(wrong)?;
    let lengths = intervals.iter().map(|interval| interval_ms(interval)).collect::<Result<Vec<i64>, _>>()?;
    let window = match (kind, lengths.as_slice()) {
        ("tumble", [size_ms]) => Window::Tumble { size_ms: *size_ms, offset_ms: 0 },
        ("tumble", [size_ms, offset_ms]) => Window::Tumble { size_ms: *size_ms, offset_ms: *offset_ms },
        ("hop", [slide_ms, size_ms]) => Window::Hop { size_ms: *size_ms, slide_ms: *slide_ms, offset_ms: 0 },
        _ => return Err(wrong()),
    };
    window.check()?;
    let time = match time {
        Expr::Identifier(column) => column.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().ok_or_else(wrong)?.clone(),
        _ => return Err(SqlError::new("a group window is over a time column, not an expression")),
    };
    Ok(GroupWindow { window, time, relation: nothing(), times_asked: Vec::new() })
}

fn interval_ms(interval: &Expr) -> Result<i64, SqlError> {
    let Expr::Interval(literal) = interval else {
        return Err(SqlError::new("the length of a window must be an INTERVAL literal").at_node(interval));
    };
    let value = interval_value(literal).map_err(|error| error.at_node(interval))?;
    value
        .millis()
        .ok_or_else(|| SqlError::new("the length of a window must be a whole number of milliseconds").at_node(interval))
}

/// A place holder until the FROM clause is swapped in.
fn nothing() -> TableFactor {
    TableFactor::Function {
        lateral: false,
        name: ObjectName(Vec::new()),
        args: Vec::new(),
        with_ordinality: false,
        alias: None,
    }
}
