//! Random aggregate calls, keys and HAVING clauses.

#![allow(clippy::cloned_ref_to_slice_refs, reason = "one macro takes any number of parts")]

use super::choices::Choices;
use super::dialects::{Sql, joined, same, sql, two};
use super::values::{Column, KINDS, Kind, NUMBERS, Scope, condition, literal, value};

/// Kinds whose values have an order.
const ORDERED: [Kind; 9] =
    [Kind::Int, Kind::Text, Kind::Long, Kind::Double, Kind::Decimal, Kind::Time, Kind::Day, Kind::Wild, Kind::Far];

/// Where the rows that are aggregated come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Straight from the table: they have an order of arrival, in the oracle's column `pos`.
    Arriving,
    /// From another query.
    Derived,
}

fn aggregate(choices: &mut Choices, scope: &Scope, input: Input) -> (Sql, Kind) {
    let filter = match choices.below(4) {
        3 => sql!(" FILTER (WHERE {})", condition(choices, scope, 1)),
        _ => same(""),
    };
    let distinct = same(if choices.below(5) == 4 { "DISTINCT " } else { "" });
    let number = *choices.one_of(&NUMBERS);
    let ordered = *choices.one_of(&ORDERED);
    match choices.below(if input == Input::Arriving { 12 } else { 8 }) {
        0 => (sql!("COUNT(*){}", filter), Kind::Long),
        1 => {
            let kind = *choices.one_of(&KINDS);
            let argument = value(choices, scope, kind, 1);
            (sql!("COUNT({}{}){}", distinct, argument, filter), Kind::Long)
        }
        2 => (sql!("SUM({}{}){}", distinct, value(choices, scope, number, 1), filter), number),
        3 => {
            let argument = value(choices, scope, ordered, 1);
            (sql!("MIN({}){}", argument, filter), ordered)
        }
        4 => {
            let argument = value(choices, scope, ordered, 1);
            (sql!("MAX({}){}", argument, filter), ordered)
        }
        5 => average(choices, scope, number, &filter),
        6 => {
            let kind = *choices.one_of(&KINDS);
            (sql!("COUNT(DISTINCT {}){}", value(choices, scope, kind, 1), filter), Kind::Long)
        }
        7 => spread(choices, scope, &filter),
        8 | 9 => arrived(choices, scope, "FIRST_VALUE", "first_value", &filter),
        10 => arrived(choices, scope, "LAST_VALUE", "last_value", &filter),
        _ => {
            let text = value(choices, scope, Kind::Text, 1);
            (two!("LISTAGG({}){}", "string_agg({}, ',' ORDER BY pos){}", text, filter), Kind::Text)
        }
    }
}

/// Standard deviation and variance, which are compared to nine digits.
fn spread(choices: &mut Choices, scope: &Scope, filter: &Sql) -> (Sql, Kind) {
    let number = *choices.one_of(&[Kind::Int, Kind::Double]);
    let argument = value(choices, scope, number, 1);
    let argument = sql!("CAST({} AS DOUBLE)", argument);
    let call = same(*choices.one_of(&["VAR_POP", "VAR_SAMP", "STDDEV_POP", "STDDEV_SAMP"]));
    (sql!("{}({}){}", call, argument, filter), Kind::Wild)
}

/// The first or last value that is not null, in order of arrival.
fn arrived(choices: &mut Choices, scope: &Scope, ours: &str, oracle: &str, filter: &Sql) -> (Sql, Kind) {
    let kind = *choices.one_of(&KINDS);
    let argument = value(choices, scope, kind, 1);
    let condition = match filter.oracle.strip_prefix(" FILTER (WHERE ").and_then(|text| text.strip_suffix(')')) {
        Some(condition) => format!("{condition} AND "),
        None => String::new(),
    };
    let (a, w) = (&argument, &filter.ours);
    let ours = format!("{ours}({}){w}", a.ours);
    let oracle = format!("{oracle}({0} ORDER BY pos) FILTER (WHERE {condition}({0}) IS NOT NULL)", a.oracle);
    (Sql { ours, oracle }, kind)
}

/// Flink's AVG of integers is an integer, and of decimals one with six more digits.
fn average(choices: &mut Choices, scope: &Scope, number: Kind, filter: &Sql) -> (Sql, Kind) {
    let argument = value(choices, scope, number, 1);
    let (a, w) = (&argument, filter);
    match number {
        Kind::Double => (sql!("AVG({}){}", a, w), Kind::Wild),
        Kind::Decimal => {
            let ours = format!("CAST(AVG({}){} * 1000000 AS BIGINT)", a.ours, w.ours);
            let (a, w) = (&a.oracle, &w.oracle);
            let sum = format!("CAST(SUM({a}){w} * 100 AS BIGINT)");
            let count = format!("NULLIF(COUNT({a}){w}, 0)");
            let magnitude = format!("((abs({sum}) * 20000 + {count}) / (2 * {count}))");
            let oracle = format!("CASE WHEN {sum} < 0 THEN - {magnitude} ELSE {magnitude} END");
            (Sql { ours, oracle }, Kind::Far)
        }
        _ => {
            let ours = format!("AVG({}){}", a.ours, w.ours);
            let (a, w) = (&a.oracle, &w.oracle);
            (Sql { ours, oracle: format!("(SUM({a}){w} / NULLIF(COUNT({a}){w}, 0))") }, number)
        }
    }
}

/// A grouping key: never a bare literal, which would be read as a position.
fn key(choices: &mut Choices, scope: &Scope) -> (Sql, Kind) {
    let column = choices.one_of(&scope.0).clone();
    let name = same(column.name);
    let key = match (column.kind, choices.below(3)) {
        (Kind::Int | Kind::Long, 1) => two!("MOD({}, 5)", "({} % 5)", name),
        (Kind::Text, 1) => sql!("UPPER({})", name),
        (Kind::Time, 1) => two!("FLOOR({} TO MINUTE)", "date_trunc('minute', {})", name),
        (kind, 2) => {
            let other = literal(choices, kind);
            sql!("CASE WHEN {} THEN {} ELSE {} END", condition(choices, scope, 1), name, other)
        }
        _ => name,
    };
    (key, column.kind)
}

/// The parts of a grouped query.
pub struct Grouping {
    pub keys: Vec<Sql>,
    pub items: Vec<Sql>,
    pub columns: Vec<Column>,
    pub having: Sql,
}

pub fn grouping(choices: &mut Choices, scope: &Scope, keys_max: usize, input: Input) -> Grouping {
    let mut grouping = Grouping { keys: Vec::new(), items: Vec::new(), columns: Vec::new(), having: same("") };
    let keys = choices.below(keys_max + 1);
    for index in 0..keys {
        let (key, kind) = key(choices, scope);
        if grouping.keys.contains(&key) {
            continue;
        }
        grouping.items.push(sql!("{} AS g{}", key, same(index.to_string())));
        grouping.columns.push(Column::new(format!("g{index}"), kind));
        grouping.keys.push(key);
    }
    let mut first = None;
    for index in 0..choices.below(4) + 1 {
        let (call, kind) = aggregate(choices, scope, input);
        grouping.items.push(sql!("{} AS a{}", call, same(index.to_string())));
        grouping.columns.push(Column::new(format!("a{index}"), kind));
        first.get_or_insert((call, kind));
    }
    if let Some((call, kind)) = first
        && choices.below(5) == 4
    {
        grouping.having = match choices.below(3) {
            0 => sql!(" HAVING {} > {}", call, literal(choices, kind)),
            1 => sql!(" HAVING {} IS NOT NULL", call),
            _ => same(" HAVING COUNT(*) > 1"),
        };
    }
    grouping
}

impl Grouping {
    pub fn selected(&self) -> Sql {
        joined(&self.items, ", ")
    }
}
