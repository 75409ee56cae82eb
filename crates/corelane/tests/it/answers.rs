//! Answers that once were wrong, each by the smallest query that showed it.

use crate::harness::{Setup, csv_lines, run, setups};

const ROWS: &str = r#"{"k":"a","i":1,"ts":"2024-01-01 00:00:01.000"}
{"k":"b","i":7,"ts":"2024-01-01 00:00:02.000"}
{"k":"a","ts":"2024-01-01 00:00:03.000"}
{"i":3,"ts":"2024-01-01 00:00:04.000"}
{"k":"b","i":5,"ts":"2024-01-01 00:00:05.000"}
{"k":"c","i":2,"ts":"2024-01-01 00:00:06.000"}
"#;

fn check(query: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("rows"), ROWS).expect("room for the rows");
    let script = format!(
        "CREATE TABLE t (k STRING, i INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND)
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'json');\n{query};",
        folder.path().display()
    );
    for setup in setups(&[1, 2], &[1, 8192]) {
        assert_eq!(answer(setup, &script), expected, "on {setup}: {query}");
    }
}

fn answer(setup: Setup, script: &str) -> Vec<String> {
    let outcome = run(setup, script).unwrap_or_else(|error| panic!("on {setup}: {error}"));
    let mut lines = csv_lines(&outcome.results[0].1);
    lines.sort();
    lines
}

#[test]
fn null_is_the_smallest_value_in_order_by() {
    check("SELECT ts IS NULL AS none, k FROM t ORDER BY k LIMIT 1", &["false,"]);
    check("SELECT i, k FROM t ORDER BY i DESC LIMIT 1", &["7,b"]);
}

#[test]
fn order_by_with_limit_takes_rows_that_change() {
    let query = "SELECT MOD(i, 5) AS g, COUNT(*) AS n FROM t GROUP BY MOD(i, 5) ORDER BY g DESC LIMIT 1";
    check(query, &["3,1"]);
}

#[test]
fn the_maximum_of_a_text_needs_no_order_of_arrival() {
    let inner = "SELECT k, i, SUM(i) OVER (PARTITION BY k ORDER BY ts) AS s FROM t";
    check(&format!("SELECT MAX(k) AS k, MAX(s) AS s FROM ({inner}) AS o WHERE i IS NOT NULL"), &["c,12"]);
}

#[test]
fn functions_over_one_partition_may_have_frames_of_both_kinds() {
    let by_time = "PARTITION BY MOD(i, 2) ORDER BY ts RANGE BETWEEN INTERVAL '2' SECOND PRECEDING AND CURRENT ROW";
    let query = format!(
        "SELECT i, COUNT(*) OVER ({by_time}) AS n, LAG(i, 1) OVER (PARTITION BY MOD(i, 2) ORDER BY ts) AS l,
         SUM(i) OVER ({by_time}) AS s FROM t WHERE i IS NOT NULL"
    );
    check(&query, &["1,1,,1", "2,1,,2", "3,2,7,10", "5,2,3,8", "7,2,1,8"]);
}
