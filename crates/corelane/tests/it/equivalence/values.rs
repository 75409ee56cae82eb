//! Random values and conditions over the columns in scope.
//!
//! Values stay small enough that sums rarely overflow an INT, and doubles are multiples of a
//! quarter, so that every answer is exact; what is not so is kept apart as its own kind.

#![allow(clippy::cloned_ref_to_slice_refs, reason = "one macro takes any number of parts")]

use super::choices::Choices;
use super::dialects::{Sql, joined, same, sql, two};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Long,
    Double,
    Decimal,
    Text,
    Bool,
    Time,
    Day,
    /// A DOUBLE that may be infinite, no number, or too large to be added exactly.
    Wild,
    /// A BIGINT near the ends of its range.
    Far,
}

pub const KINDS: [Kind; 10] = [
    Kind::Int,
    Kind::Long,
    Kind::Text,
    Kind::Double,
    Kind::Decimal,
    Kind::Bool,
    Kind::Time,
    Kind::Day,
    Kind::Wild,
    Kind::Far,
];
pub const NUMBERS: [Kind; 4] = [Kind::Int, Kind::Long, Kind::Double, Kind::Decimal];

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

impl Column {
    pub fn new(name: impl Into<String>, kind: Kind) -> Column {
        Column { name: name.into(), kind }
    }
}

/// The columns that a piece of a query sees.
#[derive(Clone, Debug)]
pub struct Scope(pub Vec<Column>);

impl Scope {
    pub fn of_table() -> Scope {
        let columns = [
            ("k", Kind::Text),
            ("i", Kind::Int),
            ("b", Kind::Long),
            ("d", Kind::Decimal),
            ("f", Kind::Double),
            ("ts", Kind::Time),
            ("flag", Kind::Bool),
            ("day", Kind::Day),
            ("x", Kind::Wild),
            ("far", Kind::Far),
        ];
        Scope(columns.map(|(name, kind)| Column::new(name, kind)).to_vec())
    }

    fn column(&self, choices: &mut Choices, kind: Kind) -> Option<Sql> {
        let fitting: Vec<&Column> = self.0.iter().filter(|column| column.kind == kind).collect();
        if fitting.is_empty() { None } else { Some(same(choices.one_of(&fitting).name.clone())) }
    }
}

pub fn literal(choices: &mut Choices, kind: Kind) -> Sql {
    let number = choices.below(21) as i64 - 5;
    match kind {
        Kind::Int => same(number.to_string()),
        Kind::Long => same(format!("CAST({number} AS BIGINT)")),
        Kind::Double => same(format!("CAST({} AS DOUBLE)", number as f64 / 4.0)),
        Kind::Decimal => same(format!("CAST({number}.5{} AS DECIMAL(10, 2))", choices.below(10))),
        Kind::Text => {
            same(format!("'{}'", choices.one_of(&["a", "", "ab", "b", "A", "_", "Zürich", "z z", "it''s", "日本"])))
        }
        Kind::Bool => same(*choices.one_of(&["TRUE", "FALSE"])),
        Kind::Time => same(format!("TIMESTAMP '2024-01-01 00:0{}:00'", choices.below(10))),
        Kind::Day => same(format!("DATE '2024-0{}-1{}'", choices.below(9) + 1, choices.below(10))),
        Kind::Wild => same(format!("CAST('{}' AS DOUBLE)", choices.one_of(&["NaN", "0.1", "Infinity", "1e300"]))),
        Kind::Far => same(*choices.one_of(&["9223372036854775807", "CAST(0 AS BIGINT)", "(-9223372036854775807 - 1)"])),
    }
}

/// A value of a kind; `depth` bounds how large it grows.
pub fn value(choices: &mut Choices, scope: &Scope, kind: Kind, depth: usize) -> Sql {
    if depth == 0 || choices.below(3) == 0 {
        return match scope.column(choices, kind) {
            Some(column) if choices.below(6) != 5 => column,
            _ => literal(choices, kind),
        };
    }
    match choices.below(10) {
        0 => {
            let (when, then) = (condition(choices, scope, depth - 1), value(choices, scope, kind, depth - 1));
            let other = value(choices, scope, kind, depth - 1);
            sql!("CASE WHEN {} THEN {} ELSE {} END", when, then, other)
        }
        1 => {
            let (first, second) = (value(choices, scope, kind, depth - 1), value(choices, scope, kind, depth - 1));
            sql!("COALESCE({}, {})", first, second)
        }
        2 => {
            let (first, second) = (value(choices, scope, kind, depth - 1), literal(choices, kind));
            let mut null_if = sql!("NULLIF({}, {})", first, second);
            if kind == Kind::Wild {
                let equal = compared(kind, &first, "=", &second).oracle;
                null_if.oracle = format!("CASE WHEN {equal} THEN NULL ELSE {} END", first.oracle);
            }
            null_if
        }
        3 => {
            let (when, then) = (condition(choices, scope, depth - 1), value(choices, scope, kind, depth - 1));
            sql!("CASE WHEN {} THEN {} END", when, then)
        }
        _ => operation(choices, scope, kind, depth - 1),
    }
}

fn operation(choices: &mut Choices, scope: &Scope, kind: Kind, depth: usize) -> Sql {
    let first = value(choices, scope, kind, depth);
    match kind {
        Kind::Int | Kind::Long => integer_operation(choices, scope, kind, depth, &first),
        Kind::Double => match choices.below(6) {
            0 => sql!("({} + {})", first, value(choices, scope, kind, depth)),
            1 => sql!("({} - {})", first, value(choices, scope, kind, depth)),
            2 => sql!("({} * 2)", first),
            3 => sql!("({} + {})", first, value(choices, scope, Kind::Int, depth)),
            4 => sql!("ABS({})", first),
            _ => sql!("CAST({} AS DOUBLE)", value(choices, scope, Kind::Long, depth)),
        },
        Kind::Decimal => match choices.below(5) {
            0 => sql!("({} + {})", first, value(choices, scope, kind, depth)),
            1 => sql!("({} - {})", first, value(choices, scope, kind, depth)),
            2 => sql!("({} * 3)", first),
            3 => sql!("({} + {})", first, value(choices, scope, Kind::Int, depth)),
            _ => sql!("ABS({})", first),
        },
        Kind::Text => text_operation(choices, scope, depth, &first),
        Kind::Bool => condition(choices, scope, depth),
        Kind::Time => match choices.below(4) {
            0 => sql!("({} + INTERVAL '10' SECOND)", first),
            1 => two!("FLOOR({} TO MINUTE)", "date_trunc('minute', {})", first),
            2 => two!("FLOOR({} TO HOUR)", "date_trunc('hour', {})", first),
            _ => {
                let day = value(choices, scope, Kind::Day, depth);
                two!("CAST({} AS TIMESTAMP(3))", "arrow_cast({}, 'Timestamp(Millisecond, None)')", day)
            }
        },
        Kind::Day => match choices.below(2) {
            0 => sql!("({} + INTERVAL '3' DAY)", first),
            _ => sql!("CAST({} AS DATE)", value(choices, scope, Kind::Time, depth)),
        },
        Kind::Wild | Kind::Far => first,
    }
}

fn integer_operation(choices: &mut Choices, scope: &Scope, kind: Kind, depth: usize, first: &Sql) -> Sql {
    match choices.below(9) {
        0 => sql!("({} + {})", first, value(choices, scope, kind, depth)),
        1 => sql!("({} - {})", first, value(choices, scope, kind, depth)),
        2 => sql!("({} * {})", first, same((choices.below(8) + 2).to_string())),
        3 => two!("MOD({}, {})", "({} % {})", first, same((choices.below(8) + 2).to_string())),
        4 => sql!("({} / {})", first, same((choices.below(8) + 2).to_string())),
        5 => sql!("({} / NULLIF({}, 0))", first, value(choices, scope, kind, depth)),
        6 => sql!("ABS({})", first),
        7 => {
            let text = value(choices, scope, Kind::Text, depth);
            two!("CHAR_LENGTH({})", "CAST(character_length({}) AS INT)", text)
        }
        _ if kind == Kind::Long => match choices.below(4) {
            0 => {
                let time = value(choices, scope, Kind::Time, depth);
                two!("EXTRACT(SECOND FROM {})", "CAST(floor(date_part('second', {})) AS BIGINT)", time)
            }
            1 => sql!("CAST({} AS BIGINT)", value(choices, scope, Kind::Double, depth)),
            2 => {
                let day = value(choices, scope, Kind::Day, depth);
                two!("EXTRACT(DAY FROM {})", "CAST(date_part('day', {}) AS BIGINT)", day)
            }
            _ => sql!("CAST({} AS BIGINT)", value(choices, scope, Kind::Int, depth)),
        },
        _ => first.clone(),
    }
}

fn text_operation(choices: &mut Choices, scope: &Scope, depth: usize, first: &Sql) -> Sql {
    match choices.below(8) {
        0 => sql!("UPPER({})", first),
        1 => sql!("({} || {})", first, value(choices, scope, Kind::Text, depth)),
        2 => sql!("LOWER({})", first),
        3 => {
            let (start, length) = (choices.below(3) + 1, choices.below(4));
            let places = same(format!("{start}, {length}"));
            two!("SUBSTRING({}, {})", "substr({}, {})", first, places)
        }
        4 => sql!("TRIM({})", first),
        5 => sql!("REPLACE({}, 'a', 'xy')", first),
        6 => sql!("REVERSE({})", first),
        _ => {
            let kind = *choices.one_of(&[Kind::Int, Kind::Long, Kind::Day]);
            two!("CAST({} AS STRING)", "CAST({} AS VARCHAR)", value(choices, scope, kind, depth))
        }
    }
}

pub fn condition(choices: &mut Choices, scope: &Scope, depth: usize) -> Sql {
    let kinds: Vec<Kind> =
        KINDS.iter().copied().filter(|kind| scope.0.iter().any(|column| column.kind == *kind)).collect();
    let kind = if kinds.is_empty() { Kind::Int } else { *choices.one_of(&kinds) };
    let deeper = depth.saturating_sub(1);
    let first = value(choices, scope, kind, deeper);
    match choices.below(if depth == 0 { 7 } else { 11 }) {
        0 | 1 if kind != Kind::Bool => {
            let operator = *choices.one_of(&["<", "=", ">", "<=", ">=", "<>"]);
            let second = value(choices, scope, kind, deeper);
            compared(kind, &first, operator, &second)
        }
        2 => sql!("({} IS NULL)", first),
        3 => sql!("({} IS NOT NULL)", first),
        4 if kind != Kind::Bool => {
            let not = same(*choices.one_of(&["", "NOT "]));
            let (low, high) = (literal(choices, kind), value(choices, scope, kind, deeper));
            let mut between = sql!("({} {}BETWEEN {} AND {})", first, not, low, high);
            if kind == Kind::Wild {
                let (low, high) = (compared(kind, &first, ">=", &low), compared(kind, &first, "<=", &high));
                between.oracle = format!("({}({} AND {}))", not.oracle, low.oracle, high.oracle);
            }
            between
        }
        5 if kind != Kind::Bool => {
            let not = same(*choices.one_of(&["", "NOT "]));
            let count = choices.below(4) + 1;
            let items: Vec<Sql> = (0..count).map(|_| literal(choices, kind)).collect();
            let mut within = sql!("({} {}IN ({}))", first, not, joined(&items, ", "));
            if kind == Kind::Wild {
                let equal: Vec<Sql> = items.iter().map(|item| compared(kind, &first, "=", item)).collect();
                within.oracle = format!("({}({}))", not.oracle, joined(&equal, " OR ").oracle);
            }
            within
        }
        6 if kind == Kind::Text => {
            let pattern = same(*choices.one_of(&["a%", "%b", "_", "%", "", "%a%", "x__", "A", "%本"]));
            let not = same(*choices.one_of(&["", "NOT "]));
            sql!("({} {}LIKE '{}')", first, not, pattern)
        }
        7 => sql!("({} AND {})", condition(choices, scope, deeper), condition(choices, scope, deeper)),
        8 => sql!("({} OR {})", condition(choices, scope, deeper), condition(choices, scope, deeper)),
        9 => sql!("(NOT {})", condition(choices, scope, deeper)),
        10 => {
            let test = same(*choices.one_of(&["IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE"]));
            sql!("({} {})", condition(choices, scope, deeper), test)
        }
        _ if kind == Kind::Bool => first,
        _ => compared(kind, &first, "=", &literal(choices, kind)),
    }
}

/// A comparison. The oracle compares doubles in total order: NaN, which is never equal nor in order
/// here, is taken out before.
fn compared(kind: Kind, first: &Sql, operator: &str, second: &Sql) -> Sql {
    let mut compared = sql!("({} {} {})", first, same(operator), second);
    if kind == Kind::Wild {
        let (left, right) = (&first.oracle, &second.oracle);
        compared.oracle = format!(
            "(CASE WHEN {left} IS NULL OR {right} IS NULL THEN NULL WHEN isnan({left}) OR isnan({right}) THEN {} \
             ELSE {left} {operator} {right} END)",
            operator == "<>"
        );
    }
    compared
}

/// A WHERE clause in half of the cases.
pub fn filter(choices: &mut Choices, scope: &Scope) -> Sql {
    match choices.below(2) {
        0 => same(""),
        _ => sql!(" WHERE {}", condition(choices, scope, 2)),
    }
}
