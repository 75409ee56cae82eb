//! Bad rows where nothing was said of them: the first one fails the job, exit code 1.

use std::io::Write;

use expect_test::expect;

use super::table;
use crate::program::Place;

const ALL: &str = "SELECT * FROM t";

#[test]
fn fields_too_few_and_too_many() {
    let place = Place::with(&[("few.csv", "1,x\n2\n"), ("many.csv", "1,x\n2,y,z\n")]);
    place.refused(
        &(table("a BIGINT, b STRING", "csv", "few.csv", "") + ALL),
        1,
        expect![[r#"
        error: cannot use a row of table 't': few.csv, line 2: too few fields: found 1, expected 2: 2
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]],
    );
    place.refused(
        &(table("a BIGINT, b STRING", "csv", "many.csv", "") + ALL),
        1,
        expect![[r#"
        error: cannot use a row of table 't': many.csv, line 2: too many fields: found 3, expected 2: 2,y,z
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]],
    );
}

#[test]
fn json_that_is_cut_off() {
    let place = Place::with(&[("cut.json", "{\"a\":1}\n{\"a\":2"), ("odd.json", "{\"a\":1}\n{\"a\" 2}\n")]);
    place.refused(&(table("a BIGINT", "json", "cut.json", "") + ALL), 1, expect![[r#"
        error: cannot use a row of table 't': cut.json, line 2: the record is cut off at byte 6: expected ',' or '}': {"a":2
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]]);
    place.refused(&(table("a BIGINT", "json", "odd.json", "") + ALL), 1, expect![[r#"
        error: cannot use a row of table 't': odd.json, line 2: expected ':' after a field's name at byte 5, found '2': {"a" 2}
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]]);
}

#[test]
fn bytes_that_are_not_text() {
    let place = Place::new();
    place.write("in.json", b"{\"a\":\"x\"}\n{\"a\":\"\xff\xfe\"}\n");
    place.refused(
        &(table("a STRING", "json", "in.json", "") + ALL),
        1,
        expect![[r#"
        error: cannot use a row of table 't': in.json, line 2: invalid UTF-8 at byte 6 of the record: {"a":"��"}
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]],
    );
    place.write("in.csv", b"x\n\xff\xfe\n");
    place.refused(
        &(table("a STRING", "csv", "in.csv", "") + ALL),
        1,
        expect![[r#"
        error: cannot use a row of table 't': in.csv, line 2: invalid UTF-8 at byte 0 of the record: ��
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]],
    );
}

#[test]
fn numbers_out_of_range() {
    let place = Place::with(&[
        ("big.json", "{\"a\":1}\n{\"a\":99999999999999999999}\n"),
        ("most.json", "{\"a\":9223372036854775807}\n{\"a\":1}\n"),
    ]);
    place.refused(&(table("a BIGINT", "json", "big.json", "") + ALL), 1, expect![[r#"
        error: cannot use a row of table 't': big.json, line 2: field 'a': 99999999999999999999 is out of the range of BIGINT: {"a":99999999999999999999}
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]]);
    let most = table("a BIGINT", "json", "most.json", "");
    place.refused(&(most.clone() + "SELECT SUM(a) FROM t"), 1, expect![[r#"
        error: cannot use a row of table 't': result of all rows: the SUM called "sum(t.a)" is out of range for BIGINT (cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE)
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]]);
    place.refused(
        &(most.clone() + "SELECT a + 1 FROM t"),
        1,
        expect![[r#"
            error: cannot use a row of table 't': most.json, line 1: overflow happened on: 9223372036854775807 + 1: {"a":9223372036854775807}
            hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
        "#]],
    );
    place.refused(&(most.clone() + "SELECT CAST(a AS INT) FROM t"), 1, expect![[r#"
        error: cannot use a row of table 't': most.json, line 1: 9223372036854775807 is out of the range of INT: {"a":9223372036854775807}
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]]);
    place.answers(
        &(most + "SELECT TRY_CAST(a AS INT) AS a FROM t"),
        expect![[r#"
        a

        1
    "#]],
    );
}

#[test]
fn a_division_by_zero() {
    let place = Place::with(&[("in.csv", "1,1\n1,0\n")]);
    let sql = table("a BIGINT, b BIGINT", "csv", "in.csv", "");
    place.refused(
        &(sql.clone() + "SELECT a / b FROM t"),
        1,
        expect![[r#"
            error: cannot use a row of table 't': in.csv, line 2: division by zero: {"a":1,"b":0}
            hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
        "#]],
    );
    place.refused(
        &(sql + "SELECT MOD(a, b) FROM t"),
        1,
        expect![[r#"
            error: cannot use a row of table 't': in.csv, line 2: MOD divides by zero: {"a":1,"b":0}
            hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
        "#]],
    );
}

#[test]
fn a_time_that_is_no_date() {
    let place = Place::with(&[("in.json", "{\"t\":\"2024-02-30 00:00:00\"}\n")]);
    place.refused(&(table("t TIMESTAMP(3)", "json", "in.json", "") + ALL), 1, expect![[r#"
        error: cannot use a row of table 't': in.json, line 1: field 't': cannot read "2024-02-30 00:00:00" as TIMESTAMP(3): {"t":"2024-02-30 00:00:00"}
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]]);
    place.refused(&(table("t STRING", "json", "in.json", "") + "SELECT CAST(t AS TIMESTAMP(3)) FROM t"), 1, expect![[r#"
        error: cannot use a row of table 't': in.json, line 1: cannot cast '2024-02-30 00:00:00' to TIMESTAMP: {"t":"2024-02-30 00:00:00"}
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]]);
    place.answers(
        &(table("t STRING", "json", "in.json", "") + "SELECT TO_TIMESTAMP(t) AS x FROM t"),
        expect![[r#"
        x
        2024-02-29 00:00:00.000
    "#]],
    );
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
    place.refused(&(table(columns, "json", "long.json", "") + ALL), 1, expect![[r#"
        error: cannot use a row of table 't': long.json, line 1: the record is longer than 16 MiB: {"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..
        hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
    "#]]);
    let skipping = table(columns, "json", "long.json", "'on-error' = 'skip'") + ALL;
    let ran = place.run(place.sql(&skipping, &[]));
    expect![[r#"
        a
        y
        1 row bad
    "#]]
    .assert_eq(&format!("{}{}", ran.stdout, ran.stderr));
    let peak_bytes = place.peak_bytes(&place.sql(&skipping, &[]));
    assert!(peak_bytes < LINE_BYTES as u64, "{peak_bytes} bytes of memory");
}

#[test]
fn more_state_than_memory() {
    let place = Place::new();
    let sql = "CREATE TABLE t (a BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '50000000',\n\
               'fields.a.kind' = 'sequence', 'fields.a.start' = '1', 'fields.a.end' = '50000000');\n\
               SELECT a, COUNT(*) FROM t GROUP BY a";
    let flags = ["--memory", "64MiB", "--workers", "2", "--driver", "threads", "--no-pin", "-o", "/dev/null"];
    let mut command = place.command(&["run", "-c", sql]);
    command.args(flags);
    let ran = place.run(command);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let (before, after) = ran.stderr.split_once(" of state on worker ").expect("it says why");
    assert!(
        before.starts_with("error: cannot keep ") && after.contains("share of the memory is 32.0 MiB: "),
        "{}",
        ran.stderr
    );
    assert!(after.contains("Aggregate ") && after.contains("hint: give more with --memory"), "{}", ran.stderr);
}

/// What several columns have in common is computed below them; the row that fails is still told by its place.
#[test]
fn a_row_that_fails_above_a_shared_part() {
    let place = Place::with(&[("in.csv", "1,1\n0,2\n")]);
    place.refused(
        &(table("z BIGINT, x BIGINT", "csv", "in.csv", "") + "SELECT MOD(5, z + x - 2), z + x, (z + x) * 2 FROM t"),
        1,
        expect![[r#"
            error: cannot use a row of table 't': in.csv, line 1: MOD divides by zero: {}
            hint: set 'on-error' = 'skip' or 'dead-letter' to go on without such rows
        "#]],
    );
}
