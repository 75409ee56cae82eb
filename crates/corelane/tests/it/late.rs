//! Which rows are late is a matter of the input alone: of one split it is the same on any number
//! of workers, on both drivers and with any size of batches.

use std::fmt::Write as _;

use crate::harness::{Outcome, Setup, csv_lines, run, setups};
use crate::program::Place;

const ROWS: i64 = 2_000;
const KEYS: i64 = 5;
const BOUND_MS: i64 = 5_000;

struct Row {
    id: i64,
    time_ms: i64,
}

/// Rows that come a fifth of a second apart; one in nine breaks the bound, by up to 40 seconds.
fn rows() -> Vec<Row> {
    let mut random = 1u64;
    let mut next = |below: i64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((random >> 33) % below as u64) as i64
    };
    let mut latest_ms = 100_000;
    (0..ROWS)
        .map(|id| {
            latest_ms += next(400);
            let behind_ms = if next(9) == 0 { BOUND_MS + next(40_000) } else { next(BOUND_MS - 1) };
            Row { id, time_ms: latest_ms - behind_ms }
        })
        .collect()
}

fn file() -> String {
    let mut text = String::new();
    for Row { id, time_ms } in rows() {
        let (minutes, ms) = (time_ms / 60_000, time_ms % 60_000);
        let (seconds, ms) = (ms / 1_000, ms % 1_000);
        writeln!(text, "{id},{},2024-01-01 00:{minutes:02}:{seconds:02}.{ms:03}", id % KEYS).expect("memory");
    }
    text
}

/// The rows that are more than the bound behind a row before them.
fn passed() -> Vec<i64> {
    let mut reached_ms = i64::MIN;
    let mut passed = Vec::new();
    for Row { id, time_ms } in rows() {
        if time_ms < reached_ms {
            passed.push(id);
        }
        reached_ms = reached_ms.max(time_ms - BOUND_MS);
    }
    passed
}

fn answer(setup: Setup, place: &Place, select: &str) -> (Vec<String>, u64) {
    let path = place.path("in.csv").display().to_string();
    let dead = place.path("dead.jsonl").display().to_string();
    let sql = format!(
        "SET 'table.exec.source.idle-timeout' = '1 h';\n\
         CREATE TABLE t (id BIGINT, k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)\n\
         WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}');\n\
         CREATE TABLE kept (id BIGINT, k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)\n\
         WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}',\n\
         'late-rows' = 'dead-letter', 'dead-letter.path' = '{dead}');\n\
         CREATE TABLE computed (id BIGINT, k BIGINT, t TIMESTAMP(3), ts AS t + INTERVAL '1' HOUR,\n\
         WATERMARK FOR ts AS CASE WHEN k < 9 THEN ts - INTERVAL '5' SECOND ELSE ts END)\n\
         WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}');\n{select}"
    );
    let Outcome { results, reports, .. } =
        run(setup, &sql).unwrap_or_else(|ended| panic!("{setup}: {select}: {ended}"));
    let mut lines = csv_lines(&results[0].1);
    lines.sort();
    (lines, reports.iter().map(|report| report.late_rows).sum())
}

fn check(select: &str) -> (Vec<String>, u64) {
    let place = Place::with(&[("in.csv", &file())]);
    let expected = answer(Setup { workers: 1, driver: "threads", batch_rows: 1 }, &place, select);
    assert!(0 < expected.1, "{select}: no row is late");
    for setup in setups(&[1, 2, 4, 8], &[1, 7, 100, 8192]) {
        let found = answer(setup, &place, select);
        assert_eq!(found.1, expected.1, "late rows on {setup}: {select}");
        assert_eq!(found.0, expected.0, "{setup}: {select}");
    }
    expected
}

fn window(window: &str, keys: &str, calls: &str) -> String {
    let table = if calls.contains("FIRST_VALUE") { "kept" } else { "t" };
    format!(
        "SELECT {keys} window_start, window_end, {calls} FROM TABLE({}) GROUP BY {keys} window_start, window_end",
        window.replacen("TABLE t", &format!("TABLE {table}"), 1)
    )
}

const TUMBLE: &str = "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)";
const HOP: &str = "HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND)";
const CUMULATE: &str = "CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND)";

#[test]
fn of_tumbling_windows() {
    check(&window(TUMBLE, "k,", "COUNT(*) AS n, SUM(id) AS s"));
    check(&window(TUMBLE, "", "COUNT(*) AS n, SUM(id) AS s"));
    check(&window(TUMBLE, "k,", "COUNT(*) AS n, FIRST_VALUE(id) AS f"));
}

/// Such a row may be late for some of its windows and in time for others.
#[test]
fn of_windows_that_overlap() {
    check(&window(HOP, "k,", "COUNT(*) AS n, SUM(id) AS s"));
    check(&window(HOP, "k,", "COUNT(*) AS n, FIRST_VALUE(id) AS f"));
    check(&window(CUMULATE, "k,", "COUNT(*) AS n, SUM(id) AS s"));
}

#[test]
fn of_windows_that_emit_changes() {
    check(&(window(HOP, "k,", "COUNT(*) AS n, SUM(id) AS s") + " EMIT CHANGES"));
}

#[test]
fn of_over() {
    for table in ["t", "computed"] {
        let select = format!("SELECT id, COUNT(*) OVER (PARTITION BY k ORDER BY ts) AS n FROM {table}");
        let (lines, late) = check(&select);
        let mut ids: Vec<i64> =
            lines.iter().map(|line| line.split(',').next().expect("an id").parse().expect("a number")).collect();
        ids.sort_unstable();
        let passed = passed();
        assert_eq!(late, passed.len() as u64);
        assert_eq!(ids, (0..ROWS).filter(|id| !passed.contains(id)).collect::<Vec<_>>());
    }
}

/// A row that is behind by the bound itself keeps it.
#[test]
fn of_times_that_repeat() {
    let place = Place::with(&[("in.csv", "1,1\n2,1\n3,2\n4,3\n5,3\n6,2\n7,3\n8,4\n")]);
    let path = place.path("in.csv").display().to_string();
    for setup in setups(&[1, 2, 4], &[1, 4, 8192]) {
        let sql = format!(
            "CREATE TABLE t (id BIGINT, s BIGINT, ts AS TO_TIMESTAMP_LTZ(s, 0), WATERMARK FOR ts AS ts)\n\
             WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{path}');\n\
             SELECT id, COUNT(*) OVER (PARTITION BY id / 10 ORDER BY ts) AS n FROM t"
        );
        let Outcome { results, reports, .. } = run(setup, &sql).unwrap_or_else(|ended| panic!("{setup}: {ended}"));
        assert_eq!(csv_lines(&results[0].1), ["1,2", "2,2", "3,3", "4,6", "5,6", "7,6", "8,7"], "{setup}");
        assert_eq!(reports[0].late_rows, 1, "{setup}");
    }
}
