//! Random OVER windows, with ties of event time broken by the order of arrival.

#![allow(clippy::cloned_ref_to_slice_refs, reason = "one macro takes any number of parts")]

use super::choices::Choices;
use super::dialects::{Sql, joined, same, sql, two};
use super::query::{Relation, Timed};
use super::values::{Column, Kind, NUMBERS, Scope, condition, filter, value};

/// Which rows a call sees.
struct Frame {
    clause: Sql,
    /// Rows of one time may differ in what they see.
    by_rows: bool,
}

fn frame(choices: &mut Choices, by_rows: bool) -> Frame {
    let ms = *choices.one_of(&[10_000, 1_000, 0, 100_000, 1]);
    let rows = *choices.one_of(&[2, 0, 1, 10, 100]);
    let time = Sql {
        ours: format!(
            " RANGE BETWEEN INTERVAL '{}.{:03}' SECOND(10, 3) PRECEDING AND CURRENT ROW",
            ms / 1_000,
            ms % 1_000
        ),
        oracle: format!(" RANGE BETWEEN {ms} PRECEDING AND CURRENT ROW"),
    };
    let default = two!("", " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW");
    let clauses = [
        time,
        default,
        same(" RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
        same(format!(" ROWS BETWEEN {rows} PRECEDING AND CURRENT ROW")),
        same(" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
    ];
    let place = choices.below(if by_rows { 5 } else { 3 });
    Frame { clause: clauses[place].clone(), by_rows: 3 <= place }
}

/// One call, the place of its FILTER being before OVER.
fn call(
    choices: &mut Choices,
    scope: &Scope,
    window: &dyn Fn(&Sql) -> Sql,
    frame: &Frame,
    ordered: bool,
) -> (Sql, Kind) {
    let number = *choices.one_of(&NUMBERS);
    let kind = *choices.one_of(&[
        Kind::Int,
        Kind::Text,
        Kind::Double,
        Kind::Decimal,
        Kind::Day,
        Kind::Far,
        Kind::Time,
        Kind::Long,
    ]);
    let filter = match choices.below(4) {
        3 => sql!(" FILTER (WHERE {})", condition(choices, scope, 1)),
        _ => same(""),
    };
    let over = window(&frame.clause);
    let argument = value(choices, scope, number, 1);
    let other = value(choices, scope, kind, 1);
    match choices.below(if frame.by_rows && ordered { 11 } else { 8 }) {
        0 => (sql!("COUNT(*){} {}", filter, over), Kind::Long),
        1 => (sql!("COUNT({}){} {}", argument, filter, over), Kind::Long),
        2 => (sql!("SUM({}){} {}", argument, filter, over), number),
        3 => (sql!("MIN({}){} {}", other, filter, over), kind),
        4 => (sql!("MAX({}){} {}", other, filter, over), kind),
        5 => {
            let argument = value(choices, scope, Kind::Long, 1);
            let average = sql!("AVG({}){} {}", argument, filter, over).ours;
            let sum = sql!("SUM({}){} {}", argument, filter, over).oracle;
            let count = sql!("COUNT({}){} {}", argument, filter, over).oracle;
            (Sql { ours: average, oracle: format!("({sum} / NULLIF({count}, 0))") }, Kind::Long)
        }
        6 => (sql!("COUNT(DISTINCT {}){} {}", other, filter, over), Kind::Long),
        7 => (sql!("SUM(DISTINCT {}){} {}", value(choices, scope, Kind::Long, 1), filter, over), Kind::Long),
        8 => (two!("FIRST_VALUE({}) {}", "first_value({}) IGNORE NULLS {}", other, over), kind),
        9 => (two!("LAST_VALUE({}) {}", "last_value({}) IGNORE NULLS {}", other, over), kind),
        _ => {
            let plain = window(&same(""));
            match choices.below(2) {
                // The oracle's row numbers have no sign, which would make its division another one.
                0 => (two!("ROW_NUMBER() {}", "CAST(ROW_NUMBER() {} AS BIGINT)", plain), Kind::Long),
                _ => {
                    let offset = same((choices.below(3) + 1).to_string());
                    (sql!("LAG({}, {}) {}", other, offset, plain), kind)
                }
            }
        }
    }
}

/// Rows with what was computed over the rows before each. `unique`: no two rows have one time.
pub fn over(choices: &mut Choices, source: &Timed, unique: bool) -> Relation {
    let scope = &source.scope;
    let partition = match choices.below(6) {
        0 => same("PARTITION BY k "),
        1 => same(""),
        2 => two!("PARTITION BY MOD(i, 3) ", "PARTITION BY (i % 3) "),
        3 => same("PARTITION BY x "),
        4 => same("PARTITION BY day, d "),
        _ => same("PARTITION BY flag, k "),
    };
    let mut items: Vec<Sql> = ["k", "i", "ts"].map(same).to_vec();
    let mut columns = vec![Column::new("k", Kind::Text), Column::new("i", Kind::Int), Column::new("ts", Kind::Time)];
    let ordered = unique || source.arriving;
    let frame = frame(choices, ordered);
    let order = match frame.by_rows {
        true => two!("ts", "ms, pos"),
        false => two!("ts", "ms"),
    };
    let window = |clause: &Sql| sql!("OVER ({}ORDER BY {}{})", partition, order, clause);
    for index in 0..choices.below(3) + 1 {
        let (item, kind) = call(choices, scope, &window, &frame, ordered);
        items.push(sql!("{} AS o{}", item, same(index.to_string())));
        columns.push(Column::new(format!("o{index}"), kind));
    }
    let sql = sql!("SELECT {} FROM {} AS v{}", joined(&items, ", "), source.sql, filter(choices, scope));
    Relation { sql, scope: Scope(columns), changes: false }
}
