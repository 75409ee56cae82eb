//! Random windows: table functions and group windows in Flink, computed columns in batch.

use super::choices::Choices;
use super::dialects::Sql;
use super::groups::{Input, grouping};
use super::query::{Relation, Timed};
use super::values::{Column, Kind, Scope, filter, value};

/// A window function with its lengths, all in milliseconds.
enum Window {
    Tumble { size: i64 },
    Hop { slide: i64, size: i64 },
    Cumulate { step: i64, size: i64 },
}

impl Window {
    fn any(choices: &mut Choices) -> Window {
        let unit = *choices.one_of(&[10_000i64, 60_000, 3_000, 600_000, 100]);
        match choices.below(5) {
            0 | 1 => Window::Tumble { size: unit },
            2 | 3 => Window::Hop { slide: unit, size: unit * *choices.one_of(&[2, 5, 3, 1]) },
            _ => Window::Cumulate { step: unit, size: unit * *choices.one_of(&[3, 1, 2, 6]) },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Window::Tumble { .. } => "TUMBLE",
            Window::Hop { .. } => "HOP",
            Window::Cumulate { .. } => "CUMULATE",
        }
    }

    fn lengths(&self) -> String {
        let interval = |ms: i64| format!("INTERVAL '{}.{:03}' SECOND(10, 3)", ms / 1_000, ms % 1_000);
        match self {
            Window::Tumble { size } => interval(*size),
            Window::Hop { slide, size } => format!("{}, {}", interval(*slide), interval(*size)),
            Window::Cumulate { step, size } => format!("{}, {}", interval(*step), interval(*size)),
        }
    }

    /// The rows of `source` once for each of their windows, with `w_start` and `w_end` in milliseconds.
    fn rows(&self, source: &str, offset: i64) -> String {
        let (shifts, start, end) = match self {
            Window::Tumble { size } => {
                (vec![0], format!("ms - (ms - {offset}) % {size}"), format!("ms - (ms - {offset}) % {size} + {size}"))
            }
            Window::Hop { slide, size } => {
                let shifts = (0..).map(|number| number * slide).take_while(|shift| shift < size).collect();
                let start = format!("ms - (ms - {offset}) % {slide} - o.shift");
                let end = format!("{start} + {size}");
                (shifts, start, end)
            }
            Window::Cumulate { step, size } => {
                let shifts = (1..=size / step).map(|number| number * step).collect();
                let start = format!("ms - (ms - {offset}) % {size}");
                let end = format!("{start} + o.shift");
                (shifts, start, end)
            }
        };
        let shifts: Vec<String> = shifts.iter().map(|shift: &i64| format!("({shift})")).collect();
        format!(
            "(SELECT * FROM (SELECT v.*, {start} AS w_start, {end} AS w_end FROM {source} AS v CROSS JOIN (VALUES {}) AS o(shift)) AS y WHERE ms < w_end) AS z",
            shifts.join(", ")
        )
    }
}

fn time(ms: &str) -> String {
    format!("arrow_cast({ms}, 'Timestamp(Millisecond, None)')")
}

/// A query over windows, with the times of each as `ws`, `we` and `rt`, and whether it may end in
/// `EMIT CHANGES`.
pub fn window(choices: &mut Choices, source: &Timed) -> Relation {
    match choices.below(8) {
        7 => bare(choices, source),
        6 => grouped(choices, source, true),
        _ => grouped(choices, source, false),
    }
}

/// Rows with their windows, not aggregated.
fn bare(choices: &mut Choices, source: &Timed) -> Relation {
    let window = Window::any(choices);
    let kind = *choices.one_of(&[Kind::Int, Kind::Text, Kind::Decimal]);
    let item = value(choices, &source.scope, kind, 2);
    let predicate = filter(choices, &source.scope);
    let ours = format!(
        "SELECT {} AS c0, window_start AS ws, window_end AS we, window_time AS rt FROM TABLE({}(TABLE {}, DESCRIPTOR(ts), {})){}",
        item.ours,
        window.name(),
        source.sql.ours,
        window.lengths(),
        predicate.ours
    );
    let oracle = format!(
        "SELECT {} AS c0, {} AS ws, {} AS we, {} AS rt FROM {}{}",
        item.oracle,
        time("w_start"),
        time("w_end"),
        time("(w_end - 1)"),
        window.rows(&source.sql.oracle, 0),
        predicate.oracle
    );
    let columns = vec![
        Column::new("c0", kind),
        Column::new("ws", Kind::Time),
        Column::new("we", Kind::Time),
        Column::new("rt", Kind::Time),
    ];
    Relation { sql: Sql { ours, oracle }, scope: Scope(columns), changes: false }
}

/// Aggregates by window; `old` is the older syntax of group windows.
fn grouped(choices: &mut Choices, source: &Timed, old: bool) -> Relation {
    let mut window = Window::any(choices);
    if old && let Window::Cumulate { step, .. } = window {
        window = Window::Tumble { size: step };
    }
    let offset = if old { 0 } else { *choices.one_of(&[0, 0, 0, 700]) };
    let input = if source.arriving { Input::Arriving } else { Input::Derived };
    let grouping = grouping(choices, &source.scope, 2, input);
    let predicate = filter(choices, &source.scope);
    let (name, mut lengths) = (window.name(), window.lengths());
    let (start, end, rowtime, from) = if old {
        let part = |what: &str| format!("{name}_{what}(ts, {lengths})");
        (part("START"), part("END"), part("ROWTIME"), source.sql.ours.clone())
    } else {
        if offset != 0 {
            lengths += &format!(", INTERVAL '0.{offset}' SECOND(10, 3)");
        }
        let from = format!("TABLE({name}(TABLE {}, DESCRIPTOR(ts), {lengths}))", source.sql.ours);
        ("window_start".to_owned(), "window_end".to_owned(), "window_time".to_owned(), from)
    };
    let mut columns = grouping.columns.clone();
    columns.extend(["ws", "we", "rt"].map(|name| Column::new(name, Kind::Time)));
    let items = grouping.selected();
    let mut ours_keys: Vec<String> = grouping.keys.iter().map(|key| key.ours.clone()).collect();
    if old {
        ours_keys.push(format!("{name}(ts, {lengths})"));
    } else {
        ours_keys.extend([start.clone(), end.clone(), rowtime.clone()]);
    }
    let mut oracle_keys: Vec<String> = grouping.keys.iter().map(|key| key.oracle.clone()).collect();
    oracle_keys.extend(["w_start".to_owned(), "w_end".to_owned()]);
    let ours = format!(
        "SELECT {}, {start} AS ws, {end} AS we, {rowtime} AS rt FROM {from}{} GROUP BY {}{}",
        items.ours,
        predicate.ours,
        ours_keys.join(", "),
        grouping.having.ours
    );
    let oracle = format!(
        "SELECT {}, {} AS ws, {} AS we, {} AS rt FROM {}{} GROUP BY {}{}",
        items.oracle,
        time("w_start"),
        time("w_end"),
        time("(w_end - 1)"),
        window.rows(&source.sql.oracle, offset),
        predicate.oracle,
        oracle_keys.join(", "),
        grouping.having.oracle
    );
    Relation { sql: Sql { ours, oracle }, scope: Scope(columns), changes: true }
}

/// Windows over the results of windows, by the time of each, and the view that they are over.
pub fn rollup(choices: &mut Choices, source: &Timed) -> (Relation, String) {
    let inner = grouped(choices, source, false);
    let ours = format!("CREATE VIEW w AS {};\n", inner.sql.ours);
    let oracle = format!("(SELECT *, rt AS ts, arrow_cast(rt, 'Int64') AS ms FROM ({}) AS s)", inner.sql.oracle);
    let timed = Timed { sql: Sql { ours: "w".to_owned(), oracle }, scope: inner.scope, arriving: false };
    let outer = grouped(choices, &timed, false);
    let sql = Sql { ours: outer.sql.ours.replace("DESCRIPTOR(ts)", "DESCRIPTOR(rt)"), ..outer.sql };
    (Relation { sql, ..outer }, ours)
}

/// `EMIT CHANGES` in half of the cases.
pub fn emitted(choices: &mut Choices, relation: &Relation) -> Sql {
    match choices.below(2) {
        0 => relation.sql.clone(),
        _ => Sql { ours: format!("{} EMIT CHANGES", relation.sql.ours), oracle: relation.sql.oracle.clone() },
    }
}
