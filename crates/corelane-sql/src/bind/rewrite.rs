//! Rewrites of the syntax tree that must come before names are bound.
//!
//! - `FLOOR(ts TO DAY)`, `TIMESTAMPADD(DAY, ..)` and their kin take a bare word, which binding
//!   would take for a column: they become calls with a string.
//! - The older group windows, `GROUP BY TUMBLE(ts, INTERVAL ..)` with `TUMBLE_START(..)`, become
//!   window table functions and the columns of those.

use std::ops::ControlFlow;

use corelane_ops::Window;
use sqlparser::ast::{
    self, CeilFloorKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments,
    GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, TableFactor, Value, VisitMut, VisitorMut,
};

use super::relation::{GroupWindow, WindowRelations};
use super::{WINDOW_END, WINDOW_START, WINDOW_TIME};
use crate::error::SqlError;
use crate::parse::interval_value;

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

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        let Some(windows) = self.windows else { return ControlFlow::Continue(()) };
        match rewrite_group_window(select, windows) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
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
            _ => {}
        }
        ControlFlow::Continue(())
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

fn text(value: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.to_owned()).into())
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
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
    let Some((kind, mut window)) = found else { return Ok(()) };
    groups.retain(|group| !matches!(group, Expr::Function(function) if is_named(function, &kind)));
    groups.extend([WINDOW_START, WINDOW_END, WINDOW_TIME].map(column));

    let [from] = select.from.as_mut_slice() else {
        return Err(SqlError::new(format!("{} in GROUP BY needs one table in FROM", kind.to_uppercase())));
    };
    if !from.joins.is_empty() {
        return Err(SqlError::new(format!("{} in GROUP BY over a join is not supported yet", kind.to_uppercase())));
    }
    std::mem::swap(&mut window.relation, &mut from.relation);
    let name = windows.add(window);
    from.relation = TableFactor::Function {
        lateral: false,
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        args: Vec::new(),
        with_ordinality: false,
        alias: None,
    };
    let mut helpers = Helpers { kind: &kind };
    let visits = select.projection.visit(&mut helpers).is_break() || select.having.visit(&mut helpers).is_break();
    assert!(!visits, "replacing functions never stops");
    Ok(())
}

fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::new(name))
}

/// Puts columns in the place of `TUMBLE_START(..)` and its kin.
struct Helpers<'a> {
    kind: &'a str,
}

impl VisitorMut for Helpers<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expression {
            let named = |suffix: &str| is_named(function, &format!("{}_{suffix}", self.kind));
            if named("start") {
                *expression = column(WINDOW_START);
            } else if named("end") {
                *expression = column(WINDOW_END);
            } else if named("rowtime") || named("proctime") {
                *expression = column(WINDOW_TIME);
            }
        }
        ControlFlow::Continue(())
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
    Ok(GroupWindow { window, time, relation: nothing() })
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
