//! Rows that fail after they were decoded reach the dead-letter file as they were read: their
//! bytes, their file, their place in it. All other rows arrive.

use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use expect_test::expect;
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use super::{gzip, table};
use crate::harness::{Setup, csv_lines, drivers, run, setups};
use crate::program::{Place, Running};

const ROWS: i64 = 40;
/// The row that fails, from 1.
const BAD: i64 = 20;

const COLUMNS: &str =
    "id BIGINT, s STRING, n BIGINT, d BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND";

struct Row {
    id: i64,
    s: &'static str,
    n: i64,
    d: i64,
    second: i64,
}

/// Rows ten seconds apart; the bad one fails in every way.
fn rows() -> impl Iterator<Item = Row> {
    (1..=ROWS).map(|id| match id {
        BAD => Row { id, s: "seven, or \"7\"", n: i64::MAX, d: 0, second: 10 },
        _ => Row { id, s: "7", n: id, d: 1, second: id * 10 },
    })
}

impl Row {
    fn time(&self) -> String {
        format!("2024-01-01 00:{:02}:{:02}", self.second / 60, self.second % 60)
    }

    fn json(&self) -> String {
        let s = serde_json::to_string(self.s).expect("text");
        // An odd space, and a column that no one reads: what is kept is what was written.
        format!(
            r#"{{"id": {}, "s":{s}, "n":{},  "d":{}, "ts":"{}", "more":[1]}}"#,
            self.id,
            self.n,
            self.d,
            self.time()
        )
    }

    fn csv(&self) -> String {
        format!("{},\"{}\",{},{},{}", self.id, self.s.replace('"', "\"\""), self.n, self.d, self.time())
    }
}

fn lines(line: fn(&Row) -> String) -> String {
    rows().map(|row| line(&row) + "\n").collect()
}

fn parquet() -> Vec<u8> {
    let rows: Vec<Row> = rows().collect();
    let column = |of: fn(&Row) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(of))) };
    let first_ms = 1_704_067_200_000;
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.s)));
    let times: ArrayRef =
        Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| first_ms + row.second * 1_000)));
    let batch = RecordBatch::try_from_iter([
        ("id", column(|row| row.id)),
        ("s", text),
        ("n", column(|row| row.n)),
        ("d", column(|row| row.d)),
        ("ts", times),
    ])
    .expect("columns of one length");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("memory");
    writer.write(&batch).expect("memory");
    writer.into_inner().expect("memory")
}

/// How a row fails, what is asked, and what is said.
struct Fault {
    select: &'static str,
    reason: &'static str,
}

const FAULTS: [Fault; 5] = [
    Fault { select: "SELECT id, CAST(s AS INT) AS v FROM t", reason: "cannot cast 'seven, or \"7\"' to" },
    Fault { select: "SELECT id, n * 2 AS v FROM t WHERE id > 0", reason: "overflow happened on:" },
    Fault { select: "SELECT id, 100 / d AS v FROM t", reason: "division by zero" },
    Fault {
        select: "SELECT id, x + 1 AS v FROM (SELECT id, 100 / d AS x FROM (SELECT id, d FROM t) AS u) AS w",
        reason: "division by zero",
    },
    LATE,
];

const LATE: Fault = Fault {
    select: "SELECT MIN(id) AS id, COUNT(*) AS v FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) \
             GROUP BY window_start, window_end",
    reason: "its window has closed",
};

/// What the dead letter must say of the bad row.
struct Letter<'a> {
    path: &'a str,
    position: String,
    raw: String,
}

fn check_letters(letters: &str, fault: &Fault, expected: &Letter<'_>, context: &str) {
    let letters: Vec<Value> = letters.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let [letter] = letters.as_slice() else { panic!("{context}: {letters:?}") };
    let text = |name: &str| letter[name].as_str().unwrap_or_else(|| panic!("{context}: {letter}"));
    assert_eq!(
        (text("table"), text("source"), text("position")),
        ("t", expected.path, expected.position.as_str()),
        "{context}"
    );
    assert!(text("reason").starts_with(fault.reason), "{context}: {letter}");
    if expected.raw.is_empty() {
        let raw: Value = serde_json::from_str(text("raw")).expect("a row as JSON");
        assert!(raw.as_object().is_some_and(|raw| !raw.is_empty()), "{context}: {letter}");
    } else {
        assert_eq!(text("raw"), expected.raw, "{context}");
    }
}

/// Runs every fault over a file in every setup.
fn check(format: &str, name: &str, bytes: &[u8], letter: &Letter<'_>) {
    let place = Place::new();
    place.write(name, bytes);
    let path = place.path(name).display().to_string();
    let letter = Letter { path: &path, position: letter.position.clone(), raw: letter.raw.clone() };
    let dead = place.path("dead.jsonl");
    let options =
        format!("'on-error' = 'dead-letter', 'late-rows' = 'dead-letter', 'dead-letter.path' = '{}'", dead.display());
    for fault in &FAULTS {
        for setup in setups(&[1, 2, 4], &[7, 8192]) {
            let context = format!("{format}, {setup}: {}", fault.select);
            let _ = std::fs::remove_file(&dead);
            let outcome = run(setup, &(table(COLUMNS, format, &path, &options) + fault.select));
            let outcome = outcome.unwrap_or_else(|ended| panic!("{context}: {ended}"));
            let mut ids: Vec<i64> = csv_lines(&outcome.results[0].1)
                .iter()
                .map(|line| line.split(',').next().and_then(|id| id.parse().ok()).expect("a number"))
                .collect();
            ids.sort_unstable();
            assert_eq!(ids, (1..=ROWS).filter(|id| *id != BAD).collect::<Vec<_>>(), "{context}");
            check_letters(&place.read("dead.jsonl"), fault, &letter, &context);
        }
    }
}

fn bad_line(line: fn(&Row) -> String) -> String {
    line(&rows().nth(BAD as usize - 1).expect("it is there"))
}

#[test]
fn json() {
    let letter = Letter { path: "", position: format!("line {BAD}"), raw: bad_line(Row::json) };
    check("json", "in.json", lines(Row::json).as_bytes(), &letter);
    check("json", "in.json.gz", &gzip(lines(Row::json).as_bytes()), &letter);
}

#[test]
fn csv() {
    let letter = Letter { path: "", position: format!("line {BAD}"), raw: bad_line(Row::csv) };
    check("csv", "in.csv", lines(Row::csv).as_bytes(), &letter);
    check("csv", "in.csv.gz", &gzip(lines(Row::csv).as_bytes()), &letter);
}

#[test]
fn parquet_has_rows_and_no_bytes() {
    let letter = Letter { path: "", position: format!("row {}", BAD - 1), raw: String::new() };
    check("parquet", "in.parquet", &parquet(), &letter);
}

/// The program on few rows at a time.
fn small(place: &Place, sql: &str, workers: &str, driver: &str) -> Command {
    place.command(&["run", "-c", sql, "--workers", workers, "--driver", driver, "--no-pin", "--batch-rows", "7"])
}

#[test]
fn standard_input() {
    let options = "'on-error' = 'dead-letter', 'late-rows' = 'dead-letter', 'dead-letter.path' = 'dead.jsonl'";
    let letter = Letter { path: "-", position: format!("line {BAD}"), raw: bad_line(Row::json) };
    for driver in drivers() {
        for workers in ["1", "2", "4"] {
            for fault in &FAULTS {
                let place = Place::new();
                let sql = table(COLUMNS, "json", "-", options) + fault.select;
                let mut running = Running::start(small(&place, &sql, workers, driver));
                running.type_in(&lines(Row::json));
                running.close_input();
                let ran = running.finish(&place);
                let context = format!("{workers} workers, {driver}: {}", fault.select);
                assert_eq!((ran.code, ran.stdout.lines().count()), (0, ROWS as usize), "{context}: {}", ran.stderr);
                check_letters(&place.read("dead.jsonl"), fault, &letter, &context);
            }
        }
    }
}

#[test]
fn ranges_of_a_large_file_tell_bytes() {
    // More than one range of a file: lines are counted in the first only.
    let line = |id: usize| format!("{id},{},1", "x".repeat(100));
    let mut text = String::new();
    let mut bad = (String::new(), 0);
    for id in 0..90_000 {
        if id == 85_000 {
            bad = (line(id).replace(",1", ",0"), text.len());
            text.push_str(&bad.0);
        } else {
            text.push_str(&line(id));
        }
        text.push('\n');
    }
    assert!(8 << 20 < bad.1, "it lies in the second range");
    let place = Place::with(&[("in.csv", &text)]);
    let path = place.path("in.csv").display().to_string();
    let dead = place.path("dead.jsonl");
    let options = format!("'on-error' = 'dead-letter', 'dead-letter.path' = '{}'", dead.display());
    let letter = Letter { path: &path, position: format!("byte {}", bad.1), raw: bad.0 };
    for workers in [1, 2] {
        let setup = Setup { workers, driver: "threads", batch_rows: 8192 };
        let sql = table("id BIGINT, s STRING, d BIGINT", "csv", &path, &options)
            + "SELECT COUNT(*) AS n, SUM(v) AS v FROM (SELECT 6 / d AS v FROM t) AS u";
        let outcome = run(setup, &sql).unwrap_or_else(|ended| panic!("{setup}: {ended}"));
        assert_eq!(csv_lines(&outcome.results[0].1), ["89999,539994"], "{setup}");
        check_letters(&place.read("dead.jsonl"), &FAULTS[2], &letter, &setup.to_string());
        std::fs::remove_file(&dead).expect("it is there");
    }
}

#[test]
fn late_rows_of_over_and_rows_behind_a_union() {
    let place = Place::with(&[("in.csv", &lines(Row::csv))]);
    let options = "'on-error' = 'dead-letter', 'late-rows' = 'dead-letter', 'dead-letter.path' = 'dead.jsonl'";
    let over = "SELECT id, COUNT(*) OVER (PARTITION BY d ORDER BY ts) AS v FROM t";
    let union = "SELECT id, 100 / d AS v FROM (SELECT id, d FROM t WHERE id < 25 UNION ALL SELECT id, d FROM t WHERE id >= 25) AS u";
    let faults = [
        Fault { select: over, reason: "the watermark has passed its time" },
        Fault { select: union, reason: "division by zero" },
    ];
    let letter = Letter { path: "in.csv", position: format!("line {BAD}"), raw: bad_line(Row::csv) };
    for fault in &faults {
        for workers in ["1", "2", "4"] {
            let sql = table(COLUMNS, "csv", "in.csv", options) + fault.select;
            let ran = place.run(small(&place, &sql, workers, "threads"));
            assert_eq!((ran.code, ran.stdout.lines().count()), (0, ROWS as usize), "{}", ran.stderr);
            check_letters(&place.read("dead.jsonl"), fault, &letter, fault.select);
            std::fs::remove_file(place.path("dead.jsonl")).expect("it is there");
        }
    }
}

#[test]
fn a_job_that_fails_says_where() {
    let place =
        Place::with(&[("in.csv", "1,1\n2,1\n3,0\n"), ("in.json", "{\"a\":1}\n\n{\"a\":9223372036854775807}\n")]);
    place.refused(
        &(table("a BIGINT, b BIGINT", "csv", "in.csv", "") + "SELECT a / b FROM t WHERE a > 1"),
        1,
        expect![[r#"
            error: cannot use a row of table 't': in.csv, line 3: division by zero: {"a":3,"b":0}
            hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
        "#]],
    );
    place.refused(&(table("a BIGINT", "json", "in.json", "") + "SELECT SUM(a * 2) AS s FROM t"), 1, expect![[r#"
        error: cannot use a row of table 't': in.json, line 3: overflow happened on: 9223372036854775807 * 2: {"a":9223372036854775807}
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]]);
    place.refused(
        &("CREATE TABLE g (a BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '10', 'rows-per-second' = '0', \
           'fields.a.kind' = 'sequence', 'fields.a.start' = '0', 'fields.a.end' = '9');\n"
            .to_owned() + "SELECT 10 / (a - 7) AS v FROM g"),
        1,
        expect![[r#"
            error: cannot use a row of table 'g': datagen, row 7: division by zero: {"a":7}
            hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
        "#]],
    );
}

#[test]
fn a_sum_that_overflows_costs_its_group_alone() {
    let text = "k,9223372036854775807\nk,1\nl,1\nk,5\nl,2\nm,9223372036854775807\nm,1\nm,-1\n";
    let place = Place::with(&[("in.csv", text)]);
    let path = place.path("in.csv").display().to_string();
    let dead = place.path("dead.jsonl");
    let options = format!("'on-error' = 'dead-letter', 'dead-letter.path' = '{}'", dead.display());
    let sql =
        table("k STRING, a BIGINT", "csv", &path, &options) + "SELECT k, SUM(a) AS a, COUNT(*) AS n FROM t GROUP BY k";
    for setup in setups(&[1, 2, 4], &[1, 3, 8192]) {
        let outcome = run(setup, &sql).unwrap_or_else(|ended| panic!("{setup}: {ended}"));
        let mut lines = csv_lines(&outcome.results[0].1);
        lines.sort();
        assert_eq!(lines, ["l,3,2", "m,9223372036854775807,3"], "{setup}");
        let letters = place.read("dead.jsonl");
        let of_k = letters.lines().filter(|line| line.contains(r#""raw":"{\"k\":\"k\"}""#)).count();
        assert_eq!(of_k, 1, "{setup}: {letters}");
        std::fs::remove_file(&dead).expect("it is there");
    }
}
