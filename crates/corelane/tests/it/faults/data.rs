//! Bad rows where nothing was said of them: the first one fails the job, exit code 1.

use std::io::Write;

use expect_test::expect;

use super::table;
use crate::program::Place;

const ALL: &str = "SELECT * FROM t";

#[test]
fn fields_too_few_and_too_many() {
    let place = Place::with(&[("few.csv", "1,x\n2\n"), ("many.csv", "1,x\n2,y,z\n")]);
    place.refused(&(table("a BIGINT, b STRING", "csv", "few.csv", "") + ALL), 1, expect![]);
    place.refused(&(table("a BIGINT, b STRING", "csv", "many.csv", "") + ALL), 1, expect![]);
}

#[test]
fn json_that_is_cut_off() {
    let place = Place::with(&[("cut.json", "{\"a\":1}\n{\"a\":2"), ("odd.json", "{\"a\":1}\n{\"a\" 2}\n")]);
    place.refused(&(table("a BIGINT", "json", "cut.json", "") + ALL), 1, expect![]);
    place.refused(&(table("a BIGINT", "json", "odd.json", "") + ALL), 1, expect![]);
}

#[test]
fn bytes_that_are_not_text() {
    let place = Place::new();
    place.write("in.json", b"{\"a\":\"x\"}\n{\"a\":\"\xff\xfe\"}\n");
    place.refused(&(table("a STRING", "json", "in.json", "") + ALL), 1, expect![]);
    place.write("in.csv", b"x\n\xff\xfe\n");
    place.refused(&(table("a STRING", "csv", "in.csv", "") + ALL), 1, expect![]);
}

#[test]
fn numbers_out_of_range() {
    let place = Place::with(&[
        ("big.json", "{\"a\":1}\n{\"a\":99999999999999999999}\n"),
        ("most.json", "{\"a\":9223372036854775807}\n{\"a\":1}\n"),
    ]);
    place.refused(&(table("a BIGINT", "json", "big.json", "") + ALL), 1, expect![]);
    let most = table("a BIGINT", "json", "most.json", "");
    place.refused(&(most.clone() + "SELECT SUM(a) FROM t"), 1, expect![]);
    place.refused(&(most.clone() + "SELECT a + 1 FROM t"), 1, expect![]);
    place.refused(&(most.clone() + "SELECT CAST(a AS INT) FROM t"), 1, expect![]);
    place.answers(&(most + "SELECT TRY_CAST(a AS INT) AS a FROM t"), expect![]);
}

#[test]
fn a_division_by_zero() {
    let place = Place::with(&[("in.csv", "1,1\n1,0\n")]);
    let sql = table("a BIGINT, b BIGINT", "csv", "in.csv", "");
    place.refused(&(sql.clone() + "SELECT a / b FROM t"), 1, expect![]);
    place.refused(&(sql + "SELECT MOD(a, b) FROM t"), 1, expect![]);
}

#[test]
fn a_time_that_is_no_date() {
    let place = Place::with(&[("in.json", "{\"t\":\"2024-02-30 00:00:00\"}\n")]);
    place.refused(&(table("t TIMESTAMP(3)", "json", "in.json", "") + ALL), 1, expect![]);
    place.refused(&(table("t STRING", "json", "in.json", "") + "SELECT CAST(t AS TIMESTAMP(3)) FROM t"), 1, expect![]);
    place.answers(&(table("t STRING", "json", "in.json", "") + "SELECT TO_TIMESTAMP(t) AS x FROM t"), expect![]);
}

/// A record has a limit, and what is beyond it is not kept.
#[test]
fn a_hundred_megabytes_on_one_line() {
    const LINE_BYTES: usize = 100 << 20;
    let place = Place::new();
    let mut file = std::fs::File::create(place.path("long.json")).expect("a file");
    file.write_all(b"{\"a\":\"").expect("written");
    let piece = vec![b'x'; 1 << 20];
    (0..LINE_BYTES / piece.len()).for_each(|_| file.write_all(&piece).expect("written"));
    file.write_all(b"\"}\n{\"a\":\"y\"}\n").expect("written");
    drop(file);

    let columns = "a STRING";
    place.refused(&(table(columns, "json", "long.json", "") + ALL), 1, expect![]);
    let ran = place.run(place.sql(&(table(columns, "json", "long.json", "'on-error' = 'skip'") + ALL), &[]));
    expect![].assert_eq(&format!("{}{}", ran.stdout, ran.stderr));
    assert!(ran.peak_bytes < LINE_BYTES as u64, "{} bytes of memory", ran.peak_bytes);
}

#[test]
fn more_state_than_memory() {
    let place = Place::new();
    let sql = "CREATE TABLE t (a BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '50000000',\n\
               'fields.a.kind' = 'sequence', 'fields.a.start' = '1', 'fields.a.end' = '50000000');\n\
               SELECT a, COUNT(*) FROM t GROUP BY a";
    let ran =
        place.run(place.sql(sql, &["--memory", "64MiB", "--workers", "2", "--format", "changelog", "-o", "/dev/null"]));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let (before, after) = ran.stderr.split_once(" of state on worker ").expect("it says why");
    assert!(
        before.starts_with("error: cannot keep ") && after.contains("share of the memory is 32.0 MiB: "),
        "{}",
        ran.stderr
    );
    assert!(after.contains("Aggregate ") && after.contains("hint: give more with --memory"), "{}", ran.stderr);
}
