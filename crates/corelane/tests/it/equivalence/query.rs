//! Random queries, each in two dialects: Flink's for the engine, DataFusion's for the oracle.
//!
//! Both texts grow together, so the places where the dialects differ are the places where the two
//! halves of an [`Sql`] differ. Values stay small enough that no sum overflows an INT and doubles are
//! multiples of a quarter, so that every answer is exact.

#![allow(clippy::cloned_ref_to_slice_refs, reason = "one macro takes any number of parts")]

use super::choices::Choices;

/// One piece of SQL in both dialects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql {
    pub ours: String,
    pub oracle: String,
}

/// Fills both dialects' text into one template.
macro_rules! sql {
    ($template:literal $(, $part:expr)* $(,)?) => { filled($template, $template, &[$($part.clone()),*]) };
}

/// Fills each dialect's text into its own template.
macro_rules! two {
    ($ours:literal, $oracle:literal $(, $part:expr)* $(,)?) => { filled($ours, $oracle, &[$($part.clone()),*]) };
}

/// Puts the parts, which are drawn once for both dialects, in the places of `{}`.
fn filled(ours: &str, oracle: &str, parts: &[Sql]) -> Sql {
    let fill = |template: &str, side: fn(&Sql) -> &str| {
        let mut pieces = template.split("{}");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        let mut left = parts.iter();
        for piece in pieces {
            text += side(left.next().expect("a part for every place"));
            text += piece;
        }
        assert!(left.next().is_none(), "a place for every part");
        text
    };
    Sql { ours: fill(ours, |part| &part.ours), oracle: fill(oracle, |part| &part.oracle) }
}

fn same(text: impl Into<String>) -> Sql {
    let ours = text.into();
    Sql { oracle: ours.clone(), ours }
}

fn joined(parts: &[Sql], separator: &str) -> Sql {
    let join = |side: fn(&Sql) -> &str| parts.iter().map(side).collect::<Vec<_>>().join(separator);
    Sql { ours: join(|part| &part.ours), oracle: join(|part| &part.oracle) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Long,
    Double,
    Decimal,
    Text,
    Bool,
    Time,
}

const KINDS: [Kind; 7] = [Kind::Int, Kind::Long, Kind::Text, Kind::Double, Kind::Decimal, Kind::Bool, Kind::Time];
const NUMBERS: [Kind; 4] = [Kind::Int, Kind::Long, Kind::Double, Kind::Decimal];

#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: Kind,
}

/// The columns that a piece of a query sees.
#[derive(Clone, Debug)]
struct Scope(Vec<Column>);

impl Scope {
    fn of_table() -> Scope {
        let column = |(name, kind): (&str, Kind)| Column { name: name.to_owned(), kind };
        let columns = [
            ("k", Kind::Text),
            ("i", Kind::Int),
            ("b", Kind::Long),
            ("d", Kind::Decimal),
            ("f", Kind::Double),
            ("ts", Kind::Time),
            ("flag", Kind::Bool),
        ];
        Scope(columns.map(column).to_vec())
    }

    fn column(&self, choices: &mut Choices, kind: Kind) -> Option<Sql> {
        let fitting: Vec<&Column> = self.0.iter().filter(|column| column.kind == kind).collect();
        if fitting.is_empty() { None } else { Some(same(choices.one_of(&fitting).name.clone())) }
    }
}

fn literal(choices: &mut Choices, kind: Kind) -> Sql {
    let number = choices.below(21) as i64 - 5;
    match kind {
        Kind::Int => same(number.to_string()),
        Kind::Long => same(format!("CAST({number} AS BIGINT)")),
        Kind::Double => same(format!("CAST({} AS DOUBLE)", number as f64 / 4.0)),
        Kind::Decimal => same(format!("CAST({number}.5{} AS DECIMAL(10, 2))", choices.below(10))),
        Kind::Text => same(format!("'{}'", choices.one_of(&["a", "", "ab", "b", "A", "_", "Zürich", "z z"]))),
        Kind::Bool => same(*choices.one_of(&["TRUE", "FALSE"])),
        Kind::Time => same(format!("TIMESTAMP '2024-01-01 00:0{}:00'", choices.below(10))),
    }
}

/// A value of a kind; `depth` bounds how large it grows.
fn value(choices: &mut Choices, scope: &Scope, kind: Kind, depth: usize) -> Sql {
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
            sql!("NULLIF({}, {})", first, second)
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
        Kind::Time => match choices.below(3) {
            0 => sql!("({} + INTERVAL '10' SECOND)", first),
            1 => two!("FLOOR({} TO MINUTE)", "date_trunc('minute', {})", first),
            _ => two!("FLOOR({} TO HOUR)", "date_trunc('hour', {})", first),
        },
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
        _ if kind == Kind::Long => match choices.below(3) {
            0 => {
                let time = value(choices, scope, Kind::Time, depth);
                two!("EXTRACT(SECOND FROM {})", "CAST(floor(date_part('second', {})) AS BIGINT)", time)
            }
            1 => sql!("CAST({} AS BIGINT)", value(choices, scope, Kind::Double, depth)),
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
            let kind = *choices.one_of(&[Kind::Int, Kind::Long]);
            two!("CAST({} AS STRING)", "CAST({} AS VARCHAR)", value(choices, scope, kind, depth))
        }
    }
}

fn condition(choices: &mut Choices, scope: &Scope, depth: usize) -> Sql {
    let kinds: Vec<Kind> =
        KINDS.iter().copied().filter(|kind| scope.0.iter().any(|column| column.kind == *kind)).collect();
    let kind = if kinds.is_empty() { Kind::Int } else { *choices.one_of(&kinds) };
    let deeper = depth.saturating_sub(1);
    let first = value(choices, scope, kind, deeper);
    match choices.below(if depth == 0 { 7 } else { 11 }) {
        0 | 1 if kind != Kind::Bool => {
            let operator = same(*choices.one_of(&["<", "=", ">", "<=", ">=", "<>"]));
            let second = value(choices, scope, kind, deeper);
            sql!("({} {} {})", first, operator, second)
        }
        2 => sql!("({} IS NULL)", first),
        3 => sql!("({} IS NOT NULL)", first),
        4 if kind != Kind::Bool => {
            let not = same(*choices.one_of(&["", "NOT "]));
            let (low, high) = (literal(choices, kind), value(choices, scope, kind, deeper));
            sql!("({} {}BETWEEN {} AND {})", first, not, low, high)
        }
        5 if kind != Kind::Bool => {
            let not = same(*choices.one_of(&["", "NOT "]));
            let count = choices.below(4) + 1;
            let items: Vec<Sql> = (0..count).map(|_| literal(choices, kind)).collect();
            sql!("({} {}IN ({}))", first, not, joined(&items, ", "))
        }
        6 if kind == Kind::Text => {
            let pattern = same(*choices.one_of(&["a%", "%b", "_", "%", "", "%a%", "x__", "A"]));
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
        _ => sql!("({} = {})", first, literal(choices, kind)),
    }
}

/// A whole query and what it gives.
#[derive(Clone, Debug)]
struct Relation {
    sql: Sql,
    scope: Scope,
}

impl Relation {
    fn table() -> Relation {
        Relation { sql: same("t"), scope: Scope::of_table() }
    }

    /// As it stands in FROM.
    fn source(&self) -> Sql {
        if self.sql.ours == "t" { self.sql.clone() } else { sql!("({}) AS s", self.sql) }
    }
}

/// Queries that depend on an order of rows need unique event times.
pub fn query(choices: &mut Choices, unique: bool) -> Sql {
    let table = filtered(choices);
    let relation = match choices.below(14) {
        0 => select(choices, &table),
        1 => distinct(choices, &table),
        2 | 3 => group(choices, &table, 2),
        4 => {
            let inner = group(choices, &table, 2);
            select(choices, &inner)
        }
        5 | 6 => {
            let inner = group(choices, &table, 2);
            group(choices, &inner, 1)
        }
        7 => {
            let both = union(choices, &table);
            match choices.below(3) {
                0 => both,
                1 => distinct(choices, &both),
                _ => group(choices, &both, 2),
            }
        }
        8 | 9 => window(choices),
        10 => {
            let inner = window(choices);
            group(choices, &inner, 2)
        }
        11 | 12 => {
            let inner = over(choices, unique);
            match choices.below(4) {
                0 | 1 => inner,
                2 => select(choices, &inner),
                _ => group(choices, &inner, 2),
            }
        }
        _ => {
            let inner = match choices.below(2) {
                0 => select(choices, &table),
                _ => group(choices, &table, 2),
            };
            return limited(choices, &inner);
        }
    };
    relation.sql
}

fn filtered(choices: &mut Choices) -> Relation {
    let table = Relation::table();
    match choices.below(4) {
        3 => {
            let scope = table.scope.clone();
            let predicate = condition(choices, &scope, 2);
            let sql = two!("SELECT * FROM t WHERE {}", "SELECT * FROM t WHERE {}", predicate);
            Relation { sql, scope }
        }
        _ => table,
    }
}

fn filter(choices: &mut Choices, scope: &Scope) -> Sql {
    match choices.below(2) {
        0 => same(""),
        _ => sql!(" WHERE {}", condition(choices, scope, 2)),
    }
}

fn select(choices: &mut Choices, from: &Relation) -> Relation {
    let mut items = Vec::new();
    let mut columns = Vec::new();
    for index in 0..choices.below(4) + 1 {
        let kind = *choices.one_of(&KINDS);
        let item = value(choices, &from.scope, kind, 3);
        items.push(sql!("{} AS c{}", item, same(index.to_string())));
        columns.push(Column { name: format!("c{index}"), kind });
    }
    let sql = sql!("SELECT {} FROM {}{}", joined(&items, ", "), from.source(), filter(choices, &from.scope));
    Relation { sql, scope: Scope(columns) }
}

fn distinct(choices: &mut Choices, from: &Relation) -> Relation {
    let inner = select(choices, from);
    let items: Vec<Sql> = inner.scope.0.iter().map(|column| same(column.name.clone())).collect();
    let sql = sql!("SELECT DISTINCT {} FROM ({}) AS s", joined(&items, ", "), inner.sql);
    Relation { sql, scope: inner.scope }
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
    Relation { sql, scope: first.scope }
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

fn aggregate(choices: &mut Choices, scope: &Scope) -> (Sql, Kind) {
    let filter = match choices.below(4) {
        3 => sql!(" FILTER (WHERE {})", condition(choices, scope, 1)),
        _ => same(""),
    };
    let distinct = same(if choices.below(5) == 4 { "DISTINCT " } else { "" });
    let number = *choices.one_of(&NUMBERS);
    let ordered = *choices.one_of(&[Kind::Int, Kind::Text, Kind::Long, Kind::Double, Kind::Decimal, Kind::Time]);
    match choices.below(7) {
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
        _ => {
            let kind = *choices.one_of(&KINDS);
            (sql!("COUNT(DISTINCT {}){}", value(choices, scope, kind, 1), filter), Kind::Long)
        }
    }
}

/// Flink's AVG of integers is an integer, and of decimals one with six more digits.
fn average(choices: &mut Choices, scope: &Scope, number: Kind, filter: &Sql) -> (Sql, Kind) {
    let argument = value(choices, scope, number, 1);
    let (a, w) = (&argument, filter);
    match number {
        Kind::Double => (sql!("AVG({}){}", a, w), Kind::Double),
        Kind::Decimal => {
            let ours = format!("CAST(AVG({}){} * 1000000 AS BIGINT)", a.ours, w.ours);
            let (a, w) = (&a.oracle, &w.oracle);
            let sum = format!("CAST(SUM({a}){w} * 100 AS BIGINT)");
            let count = format!("NULLIF(COUNT({a}){w}, 0)");
            let magnitude = format!("((abs({sum}) * 20000 + {count}) / (2 * {count}))");
            let oracle = format!("CASE WHEN {sum} < 0 THEN - {magnitude} ELSE {magnitude} END");
            (Sql { ours, oracle }, Kind::Long)
        }
        _ => {
            let ours = format!("AVG({}){}", a.ours, w.ours);
            let (a, w) = (&a.oracle, &w.oracle);
            (Sql { ours, oracle: format!("(SUM({a}){w} / NULLIF(COUNT({a}){w}, 0))") }, number)
        }
    }
}

struct Grouping {
    keys: Vec<Sql>,
    items: Vec<Sql>,
    columns: Vec<Column>,
    having: Sql,
}

fn grouping(choices: &mut Choices, scope: &Scope, keys_max: usize) -> Grouping {
    let mut grouping = Grouping { keys: Vec::new(), items: Vec::new(), columns: Vec::new(), having: same("") };
    let keys = choices.below(keys_max + 1);
    for index in 0..keys {
        let (key, kind) = key(choices, scope);
        if grouping.keys.contains(&key) {
            continue;
        }
        grouping.items.push(sql!("{} AS g{}", key, same(index.to_string())));
        grouping.columns.push(Column { name: format!("g{index}"), kind });
        grouping.keys.push(key);
    }
    let mut first = None;
    for index in 0..choices.below(4) + 1 {
        let (call, kind) = aggregate(choices, scope);
        grouping.items.push(sql!("{} AS a{}", call, same(index.to_string())));
        grouping.columns.push(Column { name: format!("a{index}"), kind });
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

fn group(choices: &mut Choices, from: &Relation, keys_max: usize) -> Relation {
    let grouping = grouping(choices, &from.scope, keys_max);
    let predicate = filter(choices, &from.scope);
    let groups = match grouping.keys.as_slice() {
        [] => same(""),
        keys => sql!(" GROUP BY {}", joined(keys, ", ")),
    };
    let items = joined(&grouping.items, ", ");
    let sql = sql!("SELECT {} FROM {}{}{}{}", items, from.source(), predicate, groups, grouping.having);
    Relation { sql, scope: Scope(grouping.columns) }
}

/// A window: a table function in Flink, a computed column (and a cross join) in batch.
fn window(choices: &mut Choices) -> Relation {
    let size = *choices.one_of(&[10i64, 60, 3, 600]);
    let slices = *choices.one_of(&[1i64, 2, 5, 3]);
    let slide_ms = size * 1_000;
    let size_ms = slide_ms * slices;
    let old = choices.below(4) == 3;
    let scope = Scope::of_table();
    let grouping = grouping(choices, &scope, 2);
    let predicate = filter(choices, &scope);
    let starts: Vec<String> = (0..slices).map(|slice| format!("({})", slice * slide_ms)).collect();
    let time = |ms: &str| format!("arrow_cast({ms}, 'Timestamp(Millisecond, None)')");
    let oracle_from = format!(
        "(SELECT t.*, ms - ms % {slide_ms} - o.shift AS w FROM t CROSS JOIN (VALUES {}) AS o(shift))",
        starts.join(", ")
    );
    let (start, end) = (time("w"), time(&format!("(w + {size_ms})")));
    let seconds = size * slices;
    let lengths = match slices {
        1 => format!("INTERVAL '{size}' SECOND(3)"),
        _ => format!("INTERVAL '{size}' SECOND(3), INTERVAL '{seconds}' SECOND(3)"),
    };
    let name = if slices == 1 { "TUMBLE" } else { "HOP" };
    let (ours_start, ours_end, ours_from) = match old {
        true => (format!("{name}_START(ts, {lengths})"), format!("{name}_END(ts, {lengths})"), "t".to_owned()),
        false => (
            "window_start".to_owned(),
            "window_end".to_owned(),
            format!("TABLE({name}(TABLE t, DESCRIPTOR(ts), {lengths}))"),
        ),
    };
    let mut columns = grouping.columns.clone();
    columns.push(Column { name: "ws".to_owned(), kind: Kind::Time });
    columns.push(Column { name: "we".to_owned(), kind: Kind::Time });
    let items = joined(&grouping.items, ", ");
    let mut ours_keys: Vec<String> = grouping.keys.iter().map(|key| key.ours.clone()).collect();
    match old {
        true => ours_keys.push(format!("{name}(ts, {lengths})")),
        false => ours_keys.extend([ours_start.clone(), ours_end.clone()]),
    }
    let mut oracle_keys: Vec<String> = grouping.keys.iter().map(|key| key.oracle.clone()).collect();
    oracle_keys.push("w".to_owned());
    let ours = format!(
        "SELECT {}, {ours_start} AS ws, {ours_end} AS we FROM {ours_from}{} GROUP BY {}{}",
        items.ours,
        predicate.ours,
        ours_keys.join(", "),
        grouping.having.ours
    );
    let oracle = format!(
        "SELECT {}, {start} AS ws, {end} AS we FROM {oracle_from}{} GROUP BY {}{}",
        items.oracle,
        predicate.oracle,
        oracle_keys.join(", "),
        grouping.having.oracle
    );
    Relation { sql: Sql { ours, oracle }, scope: Scope(columns) }
}

fn over(choices: &mut Choices, unique: bool) -> Relation {
    let scope = Scope::of_table();
    let partition = match choices.below(4) {
        0 => same("PARTITION BY k "),
        1 => same(""),
        2 => two!("PARTITION BY MOD(i, 3) ", "PARTITION BY (i % 3) "),
        _ => same("PARTITION BY flag, k "),
    };
    let mut items: Vec<Sql> = ["k", "i", "ts"].map(same).to_vec();
    let mut columns = vec![
        Column { name: "k".to_owned(), kind: Kind::Text },
        Column { name: "i".to_owned(), kind: Kind::Int },
        Column { name: "ts".to_owned(), kind: Kind::Time },
    ];
    let seconds = *choices.one_of(&[10, 1, 0, 100]);
    let rows = *choices.one_of(&[2, 0, 1, 10]);
    let by_rows = same(format!(" ROWS BETWEEN {rows} PRECEDING AND CURRENT ROW"));
    let by_time = two!(
        " RANGE BETWEEN INTERVAL '{}' SECOND(3) PRECEDING AND CURRENT ROW",
        " RANGE BETWEEN INTERVAL '{}' SECOND PRECEDING AND CURRENT ROW",
        Sql { ours: seconds.to_string(), oracle: seconds.to_string() }
    );
    let frames = [
        by_time,
        same(""),
        same(" RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
        by_rows,
        same(" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"),
    ];
    let frame = choices.one_of(&frames[..if unique { 5 } else { 3 }]).clone();
    for index in 0..choices.below(3) + 1 {
        let number = *choices.one_of(&NUMBERS);
        let ordered = *choices.one_of(&[Kind::Int, Kind::Text, Kind::Double, Kind::Decimal]);
        let over = |call: &Sql| sql!("{} OVER ({}ORDER BY ts{})", call, partition, frame);
        let bare = |call: &Sql| sql!("{} OVER ({}ORDER BY ts)", call, partition);
        let argument = value(choices, &scope, number, 1);
        let (item, kind) = match choices.below(if unique { 8 } else { 6 }) {
            0 => (over(&same("COUNT(*)")), Kind::Long),
            1 => (over(&sql!("COUNT({})", argument)), Kind::Long),
            2 => (over(&sql!("SUM({})", argument)), number),
            3 => (over(&sql!("MIN({})", value(choices, &scope, ordered, 1))), ordered),
            4 => (over(&sql!("MAX({})", value(choices, &scope, ordered, 1))), ordered),
            5 => {
                let argument = value(choices, &scope, Kind::Long, 1);
                let average = over(&sql!("AVG({})", argument)).ours;
                let (sum, count) = (over(&sql!("SUM({})", argument)).oracle, over(&sql!("COUNT({})", argument)).oracle);
                (Sql { ours: average, oracle: format!("({sum} / NULLIF({count}, 0))") }, Kind::Long)
            }
            6 => (bare(&same("ROW_NUMBER()")), Kind::Long),
            _ => {
                let offset = same((choices.below(3) + 1).to_string());
                (bare(&sql!("LAG({}, {})", argument, offset)), number)
            }
        };
        items.push(sql!("{} AS o{}", item, same(index.to_string())));
        columns.push(Column { name: format!("o{index}"), kind });
    }
    let sql = sql!("SELECT {} FROM t{}", joined(&items, ", "), filter(choices, &scope));
    Relation { sql, scope: Scope(columns) }
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
    let limit = same(choices.one_of(&[3, 1, 0, 20, 1_000]).to_string());
    sql!("SELECT * FROM ({}) AS l ORDER BY {} LIMIT {}", from.sql, joined(&keys, ", "), limit)
}
