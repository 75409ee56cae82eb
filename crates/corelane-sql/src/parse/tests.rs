//! Text in, text out: statements to a summary of what was understood, mistakes to their drawing.
//!
//! The goldens stand in `golden/`; `UPDATE_EXPECT=1` writes them anew, to be read before they
//! are kept.

use expect_test::{Expect, expect, expect_file};
use proptest::prelude::*;
use sqlparser::ast::{SetExpr, TableFactor};

use super::{
    ColumnKind, CreateTable, Emit, Insert, SQL_BYTES_MAX, SQL_CHAIN_MAX, SQL_DEPTH_MAX, Statement, StatementKind,
    file_path, parse_data_type, parse_script, window_tvf,
};
use crate::types::arrow_type;
use corelane_stream::sql_type;

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

fn emit_suffix(emit: Option<Emit>) -> &'static str {
    match emit {
        Some(Emit::Changes) => " [emit changes]",
        Some(Emit::Final) => " [emit final]",
        None => "",
    }
}

fn summarise_insert(insert: &Insert) -> String {
    let columns = if insert.columns.is_empty() { String::new() } else { format!(" ({})", list(&insert.columns)) };
    format!("insert into {}{columns} {}{}", insert.table, insert.query, emit_suffix(insert.emit))
}

fn summarise_table(table: &CreateTable) -> String {
    let mut lines = vec![format!(
        "create table {}{}{}",
        table.name,
        if table.temporary { " temporary" } else { "" },
        if table.if_not_exists { " if-not-exists" } else { "" },
    )];
    for column in &table.columns {
        let kind = match &column.kind {
            ColumnKind::Physical { data_type, not_null } => {
                let arrow = arrow_type(data_type).map_or_else(|error| error.message, |arrow| sql_type(&arrow));
                format!("{arrow}{}", if *not_null { " not-null" } else { "" })
            }
            ColumnKind::Computed { expr, .. } => format!("= {expr}"),
            ColumnKind::Metadata { data_type, not_null, from, is_virtual } => {
                format!("{data_type} metadata from {from:?} virtual {is_virtual} not-null {not_null}")
            }
        };
        let comment = column.comment.as_ref().map_or(String::new(), |comment| format!(" comment {comment:?}"));
        lines.push(format!("  {} {kind}{comment}", column.name));
    }
    if let Some(watermark) = &table.watermark {
        lines.push(format!("  watermark {} = {}", watermark.column, watermark.expr));
    }
    if !table.primary_key.is_empty() {
        lines.push(format!("  primary key {}", list(&table.primary_key)));
    }
    if !table.partitioned_by.is_empty() {
        lines.push(format!("  partitioned by {}", list(&table.partitioned_by)));
    }
    lines.extend(table.options.iter().map(|option| format!("  {} = {}", option.key, option.value)));
    if let Some(like) = &table.like {
        let options: Vec<_> =
            like.options.iter().map(|option| format!("{:?} {:?}", option.strategy, option.feature)).collect();
        lines.push(format!("  like {} [{}]", like.table, options.join(", ")));
    }
    if let Some(query) = &table.as_query {
        lines.push(format!("  as {query}{}", emit_suffix(table.emit)));
    }
    lines.extend(table.comment.iter().map(|comment| format!("  comment {comment:?}")));
    lines.join("\n")
}

fn summarise(kind: &StatementKind) -> String {
    match kind {
        StatementKind::CreateTable(table) => summarise_table(table),
        StatementKind::CreateView(view) => format!(
            "create view {} ({}) if-not-exists {} or-replace {} temporary {} comment {:?} as {}{}",
            view.name,
            list(&view.columns),
            view.if_not_exists,
            view.or_replace,
            view.temporary,
            view.comment,
            view.query,
            emit_suffix(view.emit)
        ),
        StatementKind::Drop { kind, if_exists, name, temporary } => {
            format!("drop {kind:?} {name} if-exists {if_exists} temporary {temporary}")
        }
        StatementKind::Set { key, value, .. } => format!("set {key:?} = {value:?}"),
        StatementKind::ShowOptions => "show options".to_string(),
        StatementKind::Reset { key, .. } => format!("reset {key:?}"),
        StatementKind::ShowTables => "show tables".to_string(),
        StatementKind::ShowViews => "show views".to_string(),
        StatementKind::ShowFunctions => "show functions".to_string(),
        StatementKind::ShowConnectors => "show connectors".to_string(),
        StatementKind::ShowCreate { kind, name } => format!("show create {kind:?} {name}"),
        StatementKind::Describe(name) => format!("describe {name}"),
        StatementKind::Explain { details, statement } => {
            format!("explain [{}] {}", list(details), summarise(statement))
        }
        StatementKind::Insert(insert) => summarise_insert(insert),
        StatementKind::StatementSet(inserts) => {
            let inserts: Vec<_> = inserts.iter().map(|insert| format!("\n  {}", summarise_insert(insert))).collect();
            format!("statement set{}", inserts.concat())
        }
        StatementKind::Query { query, emit } => {
            let mut out = format!("query {query}{}", emit_suffix(*emit));
            if let SetExpr::Select(select) = query.body.as_ref() {
                for table in &select.from {
                    out.push_str(&summarise_factor(&table.relation));
                }
            }
            out
        }
    }
}

/// What is special about a table factor: a window or a file.
fn summarise_factor(factor: &TableFactor) -> String {
    match window_tvf(factor) {
        Ok(Some(tvf)) => format!(
            "\n  window {:?} over {} partition by [{}] time {} offset {} alias {:?}",
            tvf.kind,
            tvf.table,
            list(&tvf.partition_by),
            tvf.time_column,
            tvf.offset_ms,
            tvf.alias.map(|alias| alias.to_string()),
        ),
        Ok(None) => match factor {
            TableFactor::Table { name, .. } => {
                file_path(name).map_or(String::new(), |path| format!("\n  file {path:?}"))
            }
            _ => String::new(),
        },
        Err(error) => format!("\n  error: {}", error.message),
    }
}

/// The scripts of a golden file are separated by lines of `====`.
fn scripts(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split("\n====\n").map(|script| script.trim_end_matches('\n'))
}

#[test]
fn statements_are_understood() {
    let mut out = String::new();
    for sql in scripts(include_str!("golden/statements.sql")) {
        out.push_str(sql);
        out.push_str("\n----\n");
        match parse_script(sql) {
            Ok(statements) => {
                for Statement { kind, span, text } in statements {
                    assert_eq!(&sql[span.bytes(sql)], text, "the span covers the text");
                    out.push_str(&summarise(&kind));
                    out.push('\n');
                }
            }
            Err(error) => out.push_str(&error.render(sql, "golden.sql")),
        }
        out.push_str("====\n");
    }
    assert!(!out.contains("golden.sql:"), "every statement here parses:\n{out}");
    expect_file!["golden/statements.txt"].assert_eq(&out);
}

/// Parses a script, recognises the windows in its queries, and draws the first fault.
fn fault(sql: &str) -> String {
    let found = parse_script(sql).and_then(|statements| {
        for statement in &statements {
            if let StatementKind::Query { query, .. } = &statement.kind
                && let SetExpr::Select(select) = query.body.as_ref()
            {
                for table in &select.from {
                    window_tvf(&table.relation)?;
                }
            }
        }
        Ok(statements)
    });
    found.map_or_else(|error| error.render(sql, "job.sql"), |_| "no fault\n".to_string())
}

#[test]
fn faults_are_drawn() {
    let mut out = String::new();
    for sql in scripts(include_str!("golden/faults.sql")) {
        out.push_str(&fault(sql));
        out.push_str("====\n");
    }
    assert!(!out.contains("no fault"), "every script here is wrong:\n{out}");
    expect_file!["golden/faults.txt"].assert_eq(&out);
}

fn check_fault(sql: &str, expected: Expect) {
    expected.assert_eq(&fault(sql));
}

#[test]
fn carets_count_characters_and_long_lines_are_cut() {
    check_fault(
        "SELECT 'grüße',\t`ключ`, FROM t",
        expect![[r#"
        job.sql:1:25: expected an expression, found FROM
        SELECT 'grüße', `ключ`, FROM t
                                ^^^^
    "#]],
    );
    let padding = "a, ".repeat(60);
    check_fault(
        &format!("SELECT {padding} b + , {padding} c FROM t"),
        expect![[r#"
        job.sql:1:193: expected an expression, found ,
        ...a, a, a, a, a, a, a, a, a, a, a,  b + , a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a,...
                                                 ^
    "#]],
    );
}

#[test]
fn types_round_trip() {
    let types = [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL(10, 0)",
        "DECIMAL(38, 38)",
        "STRING",
        "BYTES",
        "DATE",
        "TIME(3)",
        "TIMESTAMP(3)",
        "TIMESTAMP(6)",
        "TIMESTAMP(9)",
        "TIMESTAMP_LTZ(3)",
        "TIMESTAMP_LTZ(9)",
        "INTERVAL YEAR TO MONTH",
        "INTERVAL DAY TO SECOND",
        "ARRAY<ARRAY<INT>>",
        "MULTISET<INT>",
        "ARRAY<MULTISET<ROW<a STRING>>>",
        "MAP<STRING, ROW<a INT, b ARRAY<MAP<INT, DATE>>>>",
        "ROW<a INT NOT NULL, `b c` STRING, `d``e` DOUBLE>",
    ];
    for written in types {
        let data_type = parse_data_type(written).expect("the type parses");
        assert_eq!(sql_type(&arrow_type(&data_type).expect("the type has an Arrow type")), written);
    }
}

#[test]
fn types_are_refused_by_name() {
    let types = [
        "STRNG",
        "TEXT",
        "DECIMAL(39, 0)",
        "DECIMAL(3, 4)",
        "TIMESTAMP(10)",
        "TIME(6)",
        "TIMESTAMP WITH TIME ZONE",
        "REAL",
        "JSON",
        "INT UNSIGNED",
        "FLOAT(3)",
        "ROW<a INT, b UUID>",
    ];
    let mut out = String::new();
    for written in types {
        let error =
            parse_data_type(written).and_then(|data_type| arrow_type(&data_type)).expect_err("the type is refused");
        out.push_str(&format!("{}; {}\n", error.message, error.hint.unwrap_or_default()));
    }
    expect_file!["golden/types.txt"].assert_eq(&out);
}

fn message(sql: &str) -> String {
    parse_script(sql).expect_err("the script is refused").message
}

#[test]
fn limits_are_errors_that_name_the_limit() {
    let deep = 100_000;
    let nested = [
        format!("SELECT {}1{}", "(".repeat(deep), ")".repeat(deep)),
        format!("SELECT * FROM {}t", "(".repeat(deep)),
        format!("SELECT * FROM {}t", "(SELECT * FROM ".repeat(deep)),
        format!("SELECT {}1", "NOT ".repeat(deep)),
        format!("SELECT {}1", "- ".repeat(deep)),
        format!("SELECT {}1", "CASE WHEN ".repeat(deep)),
        format!("SELECT {}1", "f(".repeat(deep)),
        format!("SELECT {}1", "CAST(".repeat(deep)),
        format!("SELECT {}1", "ARRAY[".repeat(deep)),
        format!("SELECT CAST(a AS {}INT", "ARRAY<".repeat(deep)),
        format!("SELECT {}INT", "ARRAY<".repeat(deep)),
        format!("CREATE TABLE t (a {}INT)", "ROW<a ".repeat(deep)),
        format!("CREATE TABLE t (a INT{})", " ARRAY".repeat(deep)),
        format!("CREATE TABLE t (a {}INT)", "MAP<INT, ".repeat(deep)),
        format!("SELECT 1{}", " + 1".repeat(deep)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(deep)),
        format!("SELECT 1{}", " IS NULL".repeat(deep)),
        format!("SELECT a{}", "::INT".repeat(deep)),
        format!("SELECT {}1", "INTERVAL ".repeat(deep)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(deep)),
        format!("{}SELECT 1", "WITH a AS (".repeat(deep)),
        format!("SELECT * FROM t {}", "MATCH_RECOGNIZE (PATTERN (".repeat(deep)),
        format!("SELECT * FROM {}t", "((SELECT * FROM ".repeat(deep)),
    ];
    for sql in &nested {
        let message = message(sql);
        let names_limit =
            ["SQL_DEPTH_MAX", "SQL_CHAIN_MAX", "SQL_DOUBLED_PARENTHESES_MAX", "EXPLAIN", "value of the interval"]
                .iter()
                .any(|name| message.contains(name));
        assert!(names_limit, "{} ..: {message}", &sql[..40]);
    }
    assert!(message(&" ".repeat(SQL_BYTES_MAX + 1)).contains("SQL_BYTES_MAX"));
}

#[test]
fn what_is_within_the_limits_parses() {
    let depth = SQL_DEPTH_MAX - 4;
    for sql in [
        format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth)),
        format!("SELECT 1{}", " + 1".repeat(SQL_CHAIN_MAX)),
        format!("SELECT a IN (1{})", ", 1".repeat(50_000)),
        format!("INSERT INTO t VALUES (1){}", ", (1)".repeat(50_000)),
        "SELECT 1; ".repeat(5_000),
    ] {
        if let Err(error) = parse_script(&sql) {
            panic!("{} ..: {}", &sql[..20], error.message);
        }
    }
}

#[test]
fn wrong_statements_do_not_take_exponential_time() {
    for depth in 1..40 {
        for part in [
            "((SELECT * FROM ",
            "(SELECT * FROM (",
            "((a JOIN ",
            "CASE WHEN ",
            "f((",
            "EXTRACT(YEAR FROM ",
            "FLOOR(",
            "TRIM(",
            "ARRAY(",
            "POSITION(",
        ] {
            let sql = format!("SELECT * FROM {}", part.repeat(depth));
            survives(&sql);
            let sql = format!("SELECT {}", part.repeat(depth));
            survives(&sql);
        }
    }
}

/// Words and signs of the language, so that random sequences get far into the grammar.
const SOUP: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "BY",
    "CREATE",
    "TABLE",
    "TEMPORARY",
    "VIEW",
    "AS",
    "WITH",
    "LIKE",
    "INSERT",
    "INTO",
    "VALUES",
    "SET",
    "BEGIN",
    "END",
    "STATEMENT",
    "EXECUTE",
    "EXPLAIN",
    "DROP",
    "IF",
    "EXISTS",
    "NOT",
    "NULL",
    "WATERMARK",
    "FOR",
    "PRIMARY",
    "KEY",
    "METADATA",
    "ROW",
    "MAP",
    "ARRAY",
    "CAST",
    "INTERVAL",
    "SECOND",
    "TUMBLE",
    "DESCRIPTOR",
    "PARTITION",
    "BETWEEN",
    "SYMMETRIC",
    "AND",
    "OR",
    "CASE",
    "WHEN",
    "JOIN",
    "ON",
    "LATERAL",
    "UNNEST",
    "OVER",
    "EMIT",
    "CHANGES",
    "FINAL",
    "MATCH_RECOGNIZE",
    "PATTERN",
    "TIMESTAMP",
    "INT",
    "STRING",
    "a",
    "b",
    "`c`",
    "\"d\"",
    "'e'",
    "1",
    "2.5",
    "(",
    ")",
    "<",
    ">",
    ">>",
    "[",
    "]",
    ",",
    ";",
    ".",
    "+",
    "-",
    "*",
    "=",
    "=>",
    "::",
    "||",
    "\n",
    "--x\n",
    "/*",
    "*/",
    "'",
    "é",
    "{",
    "}",
    "@",
    "?",
    ":",
    "\t",
    "\0",
];

/// What must hold for any text: no panic, and an error that can be drawn and lies in the text.
fn survives(sql: &str) {
    match parse_script(sql) {
        Ok(statements) => {
            for statement in statements {
                assert_eq!(&sql[statement.span.bytes(sql)], statement.text);
                summarise(&statement.kind);
            }
        }
        Err(error) => {
            error.render(sql, "soup.sql");
            let span = error.span.expect("an error of the parser has a place");
            assert!(span.bytes(sql).end <= sql.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn token_soup_never_panics(words in prop::collection::vec(prop::sample::select(SOUP), 0..40)) {
        survives(&words.join(" "));
        survives(&words.concat());
    }

    #[test]
    fn any_text_never_panics(text in ".{0,200}") {
        survives(&text);
    }

    #[test]
    fn truncated_and_spliced_statements_never_panic(
        script in prop::sample::select(scripts(include_str!("golden/statements.sql")).collect::<Vec<_>>()),
        from in 0usize..400,
        length in 0usize..400,
        inserted in prop::sample::select(SOUP),
    ) {
        let characters: Vec<char> = script.chars().collect();
        let from = from.min(characters.len());
        let to = (from + length).min(characters.len());
        let start: String = characters[..from].iter().collect();
        let middle: String = characters[from..to].iter().collect();
        let end: String = characters[to..].iter().collect();
        survives(&start);
        survives(&middle);
        survives(&format!("{start} {inserted} {end}"));
    }
}
