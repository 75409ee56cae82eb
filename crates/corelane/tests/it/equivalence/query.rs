//! Random queries, each in two dialects: Flink's for the engine, DataFusion's for the oracle.
//!
//! Both texts grow together, so the places where the dialects differ are the places where the two
//! halves of an [`Sql`] differ.

#![allow(clippy::cloned_ref_to_slice_refs, reason = "one macro takes any number of parts")]

use super::choices::Choices;
use super::dialects::{Sql, joined, same, sql, two};
use super::groups::{Input, grouping};
use super::overs::over;
use super::values::{Column, KINDS, Scope, condition, filter, value};
use super::windows::{emitted, rollup, window};

/// A whole query and what it gives.
#[derive(Clone, Debug)]
pub struct Relation {
    pub sql: Sql,
    pub scope: Scope,
    /// `EMIT CHANGES` may follow it.
    pub changes: bool,
}

impl Relation {
    fn table() -> Relation {
        Relation { sql: same("t"), scope: Scope::of_table(), changes: false }
    }

    fn new(sql: Sql, columns: Vec<Column>) -> Relation {
        Relation { sql, scope: Scope(columns), changes: false }
    }

    /// As it stands in FROM.
    fn source(&self) -> Sql {
        if self.sql.ours == "t" { self.sql.clone() } else { sql!("({}) AS s", self.sql) }
    }
}

/// Rows with an event time, as they stand in FROM: the table, or a view of it. The oracle's have
/// it as a number too, `ms`, and the order of arrival, `pos`.
pub struct Timed {
    pub sql: Sql,
    pub scope: Scope,
    /// The order of arrival is known.
    pub arriving: bool,
}

/// A query and what has to be declared before it.
pub struct Query {
    pub views: String,
    pub sql: Sql,
    /// Its rows come in an order.
    pub sorted: bool,
}

/// A query; `unique`: no two rows of the table have one event time.
pub fn query(choices: &mut Choices, unique: bool) -> Query {
    let mut views = String::new();
    let sql = match choices.below(20) {
        shape @ 0..=9 => plain(choices, shape),
        shape @ (10..=12 | 16 | 17) => {
            let (timed, view) = timed(choices);
            views += &view;
            let inner = window(choices, &timed);
            match shape {
                10..=12 if inner.changes => Relation { sql: emitted(choices, &inner), ..inner },
                10..=12 => inner,
                16 => group(choices, &inner, 2, Input::Derived),
                _ => select(choices, &inner),
            }
        }
        18 => {
            let (timed, view) = timed(choices);
            views += &view;
            let (rolled, view) = rollup(choices, &timed);
            views += &view;
            // Never with EMIT CHANGES, which the windows below would have to take back.
            rolled
        }
        13..=15 => {
            let (timed, view) = timed(choices);
            views += &view;
            let inner = over(choices, &timed, unique);
            match choices.below(4) {
                0 | 1 => inner,
                2 => select(choices, &inner),
                _ => group(choices, &inner, 2, Input::Derived),
            }
        }
        _ => {
            let table = filtered(choices);
            let inner = match choices.below(2) {
                0 => select(choices, &table),
                _ => group(choices, &table, 2, Input::Arriving),
            };
            return Query { views, sql: limited(choices, &inner), sorted: true };
        }
    };
    Query { views, sql: sql.sql, sorted: false }
}

/// Queries that need no event time.
fn plain(choices: &mut Choices, shape: usize) -> Relation {
    let table = filtered(choices);
    match shape {
        0 => select(choices, &table),
        1 => {
            let inner = select(choices, &table);
            let middle = select(choices, &inner);
            distinct(choices, &middle)
        }
        2 | 3 => group(choices, &table, 2, Input::Arriving),
        4 => {
            let inner = group(choices, &table, 2, Input::Arriving);
            select(choices, &inner)
        }
        5 | 6 => {
            let inner = group(choices, &table, 2, Input::Arriving);
            group(choices, &inner, 1, Input::Derived)
        }
        7 => {
            let inner = group(choices, &table, 2, Input::Arriving);
            let middle = group(choices, &inner, 2, Input::Derived);
            match choices.below(3) {
                0 => distinct(choices, &middle),
                1 => group(choices, &middle, 1, Input::Derived),
                _ => select(choices, &middle),
            }
        }
        8 => {
            let first = group(choices, &table, 2, Input::Arriving);
            let both = union(choices, &first);
            match choices.below(3) {
                0 => both,
                1 => distinct(choices, &both),
                _ => group(choices, &both, 2, Input::Derived),
            }
        }
        _ => {
            let both = union(choices, &table);
            match choices.below(3) {
                0 => both,
                1 => distinct(choices, &both),
                _ => group(choices, &both, 2, Input::Derived),
            }
        }
    }
}

fn filtered(choices: &mut Choices) -> Relation {
    let table = Relation::table();
    match choices.below(4) {
        3 => {
            let scope = table.scope.clone();
            let predicate = condition(choices, &scope, 2);
            let sql = sql!("SELECT * FROM t WHERE {}", predicate);
            Relation::new(sql, scope.0)
        }
        _ => table,
    }
}

/// The table or a view of it that keeps its event time.
fn timed(choices: &mut Choices) -> (Timed, String) {
    let scope = Scope::of_table();
    let columns = "k, i, b, d, f, flag, day, x, far";
    let (ours, oracle) = (format!("{columns}, ts"), format!("{columns}, ts, ms, pos"));
    let lists = Sql { ours, oracle };
    let (view, arriving) = match choices.below(6) {
        4 => (sql!("SELECT {} FROM t WHERE {}", lists, condition(choices, &scope, 2)), true),
        5 => {
            let (left, right) = (condition(choices, &scope, 1), condition(choices, &scope, 1));
            (sql!("SELECT {} FROM t WHERE {} UNION ALL SELECT {} FROM t WHERE {}", lists, left, lists, right), false)
        }
        _ => return (Timed { sql: same("t"), scope, arriving: true }, String::new()),
    };
    let declared = format!("CREATE VIEW v AS {};\n", view.ours);
    let sql = Sql { ours: "v".to_owned(), oracle: format!("({})", view.oracle) };
    (Timed { sql, scope, arriving }, declared)
}

fn select(choices: &mut Choices, from: &Relation) -> Relation {
    let mut items = Vec::new();
    let mut columns = Vec::new();
    for index in 0..choices.below(4) + 1 {
        let kind = *choices.one_of(&KINDS);
        let item = value(choices, &from.scope, kind, 3);
        items.push(sql!("{} AS c{}", item, same(index.to_string())));
        columns.push(Column::new(format!("c{index}"), kind));
    }
    let sql = sql!("SELECT {} FROM {}{}", joined(&items, ", "), from.source(), filter(choices, &from.scope));
    Relation::new(sql, columns)
}

fn distinct(choices: &mut Choices, from: &Relation) -> Relation {
    let inner = select(choices, from);
    let items: Vec<Sql> = inner.scope.0.iter().map(|column| same(column.name.clone())).collect();
    let sql = sql!("SELECT DISTINCT {} FROM ({}) AS s", joined(&items, ", "), inner.sql);
    Relation::new(sql, inner.scope.0)
}

fn union(choices: &mut Choices, from: &Relation) -> Relation {
    let first = select(choices, from);
    let mut items = Vec::new();
    for column in &first.scope.0 {
        let item = value(choices, &Scope::of_table(), column.kind, 1);
        items.push(sql!("{} AS {}", item, same(column.name.clone())));
    }
    let predicate = filter(choices, &Scope::of_table());
    let sql = sql!("{} UNION ALL SELECT {} FROM t{}", first.sql, joined(&items, ", "), predicate);
    Relation::new(sql, first.scope.0)
}

fn group(choices: &mut Choices, from: &Relation, keys_max: usize, input: Input) -> Relation {
    let grouping = grouping(choices, &from.scope, keys_max, input);
    let predicate = filter(choices, &from.scope);
    let groups = match grouping.keys.as_slice() {
        [] => same(""),
        keys => sql!(" GROUP BY {}", joined(keys, ", ")),
    };
    let sql = sql!("SELECT {} FROM {}{}{}{}", grouping.selected(), from.source(), predicate, groups, grouping.having);
    Relation::new(sql, grouping.columns)
}

/// By all columns, so that it does not matter which of equal rows is taken. NULL is Flink's smallest value.
fn limited(choices: &mut Choices, from: &Relation) -> Sql {
    let mut keys = Vec::new();
    for column in &from.scope.0 {
        let name = same(column.name.clone());
        keys.push(match choices.below(2) {
            0 => two!("{}", "{} ASC NULLS FIRST", name),
            _ => two!("{} DESC", "{} DESC NULLS LAST", name),
        });
    }
    let sorted = sql!("SELECT * FROM ({}) AS l ORDER BY {}", from.sql, joined(&keys, ", "));
    match choices.below(6) {
        5 => sorted,
        _ => sql!("{} LIMIT {}", sorted, same(choices.one_of(&[3, 1, 0, 20, 1_000]).to_string())),
    }
}
