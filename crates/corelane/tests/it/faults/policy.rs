//! `'on-error'` and `'late-rows'`: one bad row costs that row only, and is counted.

use expect_test::expect;

use super::table;
use crate::program::{Place, Ran};

/// Runs the same rows under both policies, on one and two workers; gives what was kept of bad rows.
fn kept(files: &[(&str, &str)], columns: &str, format: &str, path: &str, select: &str) -> String {
    let skip = |place: &Place| run(place, &(table(columns, format, path, "'on-error' = 'skip'") + select), "1");
    let place = Place::with(files);
    let skipped = skip(&place);
    assert_eq!(skipped.code, 0, "{}", skipped.stderr);
    let options = "'on-error' = 'dead-letter', 'dead-letter.path' = 'dead.jsonl'";
    let mut letters = String::new();
    for workers in ["1", "2"] {
        let place = Place::with(files);
        let ran = run(&place, &(table(columns, format, path, options) + select), workers);
        assert_eq!((ran.code, sorted(&ran.stdout)), (0, sorted(&skipped.stdout)), "{}", ran.stderr);
        letters = place.read("dead.jsonl");
    }
    format!("{}{}{letters}", skipped.stdout, skipped.stderr)
}

fn run(place: &Place, sql: &str, workers: &str) -> Ran {
    place.run(place.command(&["run", "-c", sql, "--workers", workers, "--driver", "threads", "--no-pin"]))
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn rows_that_cannot_be_decoded() {
    let csv = "1,x\n2\n3,y,z\nfour,w\n5,v\n";
    expect![[r#"
        a,b
        1,x
        5,v
        3 rows bad
        {"position":"line 2","raw":"2","reason":"too few fields: found 1, expected 2","source":"in.csv","table":"t"}
        {"position":"line 3","raw":"3,y,z","reason":"too many fields: found 3, expected 2","source":"in.csv","table":"t"}
        {"position":"line 4","raw":"four,w","reason":"field 'a': cannot read \"four\" as BIGINT","source":"in.csv","table":"t"}
    "#]].assert_eq(&kept(&[("in.csv", csv)], "a BIGINT, b STRING", "csv", "in.csv", "SELECT * FROM t"));
    let json = "{\"a\":1}\n{\"a\" 2}\n{\"a\":99999999999999999999}\n[3]\n{\"a\":4}\n{\"a\":5";
    expect![[r#"
        a
        1
        4
        4 rows bad
        {"position":"line 2","raw":"{\"a\" 2}","reason":"expected ':' after a field's name at byte 5, found '2'","source":"in.json","table":"t"}
        {"position":"line 3","raw":"{\"a\":99999999999999999999}","reason":"field 'a': 99999999999999999999 is out of the range of BIGINT","source":"in.json","table":"t"}
        {"position":"line 4","raw":"[3]","reason":"expected a JSON object, found '['","source":"in.json","table":"t"}
        {"position":"line 6","raw":"{\"a\":5","reason":"the record is cut off at byte 6: expected ',' or '}'","source":"in.json","table":"t"}
    "#]].assert_eq(&kept(&[("in.json", json)], "a BIGINT", "json", "in.json", "SELECT * FROM t"));
}

#[test]
fn casts_that_fail() {
    let csv = "1,10\n2,x\n3,30\n";
    let select = "SELECT a, CAST(b AS INT) AS b FROM t";
    expect![[r#"
        a,b
        1,10
        3,30
        1 row bad
        {"position":"line 2","raw":"2,x","reason":"cannot cast 'x' to INT","source":"in.csv","table":"t"}
    "#]]
    .assert_eq(&kept(&[("in.csv", csv)], "a BIGINT, b STRING", "csv", "in.csv", select));
}

#[test]
fn overflow_and_division_by_zero() {
    let csv = "1,1\n9223372036854775807,1\n2,0\n3,1\n";
    let select = "SELECT a, (a + 1) / b AS c FROM t WHERE a / b > 0";
    expect![[r#"
        a,c
        1,2
        3,4
        2 rows bad
        {"position":"line 3","raw":"2,0","reason":"division by zero","source":"in.csv","table":"t"}
        {"position":"line 2","raw":"9223372036854775807,1","reason":"overflow happened on: 9223372036854775807 + 1","source":"in.csv","table":"t"}
    "#]].assert_eq(&kept(&[("in.csv", csv)], "a BIGINT, b BIGINT", "csv", "in.csv", select));
}

#[test]
fn a_sum_that_overflows() {
    let csv = "k,9223372036854775807\nk,1\nl,1\n";
    let select = "SELECT k, SUM(a) AS a FROM t GROUP BY k";
    expect![[r#"
        k,a
        l,1
        1 row bad
        {"position":null,"raw":"{\"k\":\"k\"}","reason":"the SUM called \"sum(t.a)\" is out of range for BIGINT (cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE)","source":"result of GROUP BY k","table":"t"}
    "#]].assert_eq(&kept(&[("in.csv", csv)], "k STRING, a BIGINT", "csv", "in.csv", select));
}

#[test]
fn a_dead_letter_file_that_cannot_be_written() {
    let place = Place::with(&[("in.csv", "x\n")]);
    let options = "'on-error' = 'dead-letter', 'dead-letter.path' = 'none/dead.jsonl'";
    place.refused(
        &(table("a BIGINT", "csv", "in.csv", options) + "SELECT * FROM t"),
        4,
        expect![[r#"
        error: cannot open the dead-letter file 'none/dead.jsonl': no such file or directory
        hint: 'dead-letter.path' must name a file in a directory that can be written
    "#]],
    );
    let full = "'on-error' = 'dead-letter', 'dead-letter.path' = '/dev/full'";
    place.refused(
        &(table("a BIGINT", "csv", "in.csv", full) + "SELECT * FROM t"),
        4,
        expect![[r#"
        error: cannot write the dead-letter file '/dev/full': no space left on device
    "#]],
    );
    let nowhere = "'on-error' = 'dead-letter'";
    place.refused(
        &(table("a BIGINT", "csv", "in.csv", nowhere) + "SELECT * FROM t"),
        3,
        expect![[r#"
            error: option 'on-error' is 'dead-letter' but there is no path for it
            command:2:85
            WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'in.csv', 'on-error' = 'dead-letter');
                                                                                                ^^^^^^^^^^^^^
            hint: add 'dead-letter.path' = 'file.jsonl'
        "#]],
    );
    let wrong = "'on-error' = 'skp'";
    place.refused(
        &(table("a BIGINT", "csv", "in.csv", wrong) + "SELECT * FROM t"),
        3,
        expect![[r#"
            error: option 'on-error' has the value 'skp'
            command:2:85
            WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'in.csv', 'on-error' = 'skp');
                                                                                                ^^^^^
            hint: did you mean 'skip'? it takes 'fail', 'skip', 'dead-letter'
        "#]],
    );
}

const LATE: &str = "1,2024-01-01 00:00:01\n2,2024-01-01 00:00:30\n3,2024-01-01 00:00:02\n4,2024-01-01 00:00:31\n";

fn late(options: &str) -> String {
    let columns = "a BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND";
    table(columns, "csv", "in.csv", options)
        + "SELECT window_start, SUM(a) AS a FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))\n\
           GROUP BY window_start, window_end"
}

#[test]
fn rows_that_are_late() {
    let place = Place::with(&[("in.csv", LATE)]);
    place.answers_with(
        &late(""),
        &["--batch-rows", "1"],
        expect![[r#"
        window_start,a
        2024-01-01 00:00:00.000,1
        2024-01-01 00:00:30.000,6
        1 row late
    "#]],
    );
    let kept = late("'late-rows' = 'dead-letter', 'dead-letter.path' = 'late.jsonl'");
    place.answers_with(
        &kept,
        &["--batch-rows", "1"],
        expect![[r#"
        window_start,a
        2024-01-01 00:00:00.000,1
        2024-01-01 00:00:30.000,6
        1 row late
    "#]],
    );
    expect![[r#"
        {"position":"line 3","raw":"3,2024-01-01 00:00:02","reason":"its window has closed","source":"in.csv","table":"t"}
    "#]].assert_eq(&place.read("late.jsonl"));
    let nowhere = late("'late-rows' = 'dead-letter'");
    place.refused(
        &nowhere,
        3,
        expect![[r#"
            error: option 'late-rows' is 'dead-letter' but there is no path for it
            command:2:86
            WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'in.csv', 'late-rows' = 'dead-letter');
                                                                                                 ^^^^^^^^^^^^^
            hint: add 'dead-letter.path' = 'file.jsonl'
        "#]],
    );
}

#[test]
fn lost_rows_are_told_even_when_quiet() {
    let place = Place::with(&[("in.csv", "1\nx\n")]);
    let sql = table("a BIGINT", "csv", "in.csv", "'on-error' = 'skip'") + "SELECT * FROM t";
    place.answers_with(
        &sql,
        &["--quiet"],
        expect![[r#"
        a
        1
        1 row bad
    "#]],
    );
    place.answers(
        &(table("a BIGINT", "csv", "in.csv", "'csv.ignore-parse-errors' = 'true'") + "SELECT * FROM t"),
        expect![[r#"
            a
            1

        "#]],
    );
}

/// Bad rows must not be mixed into what is read, or into results.
#[test]
fn a_dead_letter_file_that_is_an_input_or_an_output() {
    let place = Place::with(&[("in.csv", "1\nx\n"), ("other.csv", "1\n")]);
    std::fs::create_dir(place.path("in")).expect("a folder");
    place.write("in/1.csv", b"1\nx\n");
    std::os::unix::fs::symlink("in.csv", place.path("link.csv")).expect("a link");
    std::os::unix::fs::symlink("in", place.path("way")).expect("a link");
    let dead = |path: &str| format!("'on-error' = 'dead-letter', 'dead-letter.path' = '{path}'");
    let select = |input: &str, letters: &str| table("a BIGINT", "csv", input, &dead(letters)) + "SELECT a FROM t";
    let hint = "hint: give 'dead-letter.path' a file of its own";
    for (sql, told) in [
        (select("in.csv", "in.csv"), "'in.csv' of table 't' is read by table 't'"),
        (select("in.csv", "./in.csv"), "'./in.csv' of table 't' is read by table 't'"),
        (select("in.csv", "link.csv"), "'link.csv' of table 't' is read by table 't'"),
        (select("i*.csv", "in.csv"), "'in.csv' of table 't' is read by table 't'"),
        (select("in", "in/dead.csv"), "'in/dead.csv' of table 't' is read by table 't'"),
        (select("in/*.csv", "in/dead.csv"), "'in/dead.csv' of table 't' is read by table 't'"),
        (select("./[i]n/?*.csv", "in/dead.csv"), "'in/dead.csv' of table 't' is read by table 't'"),
        (select("in/../**/*.csv", "./in/dead.csv"), "'./in/dead.csv' of table 't' is read by table 't'"),
        (select("[i]*", "in/dead.csv"), "'in/dead.csv' of table 't' is read by table 't'"),
        (select("way/*.csv", "in/dead.csv"), "'in/dead.csv' of table 't' is read by table 't'"),
        (select("wa?/*.csv", "way/dead.csv"), "'way/dead.csv' of table 't' is read by table 't'"),
        (
            table("a BIGINT", "csv", "in.csv", &dead("other.csv")) + "SELECT a FROM t UNION ALL SELECT f0 FROM u",
            "'other.csv' of table 't' is read by table 'u'",
        ),
        (
            table("a BIGINT", "csv", "in.csv", &dead("out.csv")) + "INSERT INTO o SELECT a FROM t",
            "'out.csv' of table 't' is written by table 'o'",
        ),
        (
            table("a BIGINT", "csv", "in.csv", &dead("out/dead.csv")) + "INSERT INTO q SELECT a FROM t",
            "'out/dead.csv' of table 't' is written by table 'q'",
        ),
    ] {
        let others = "CREATE TABLE u (f0 BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'other.csv');\n\
                      CREATE TABLE o (a BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'out.csv');\n\
                      CREATE TABLE q (a BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'out');\n";
        let ran = place.run(place.sql(&(others.to_owned() + &sql), &[]));
        let expected = format!("error: the dead-letter file {told}\n{hint}\n");
        assert_eq!((ran.code, ran.stderr), (3, expected), "{sql}");
    }
    assert_eq!(place.names(""), ["in", "in.csv", "link.csv", "other.csv", "way"]);
    assert_eq!((place.read("in.csv"), place.names("in")), ("1\nx\n".to_owned(), vec!["1.csv".to_owned()]));
    // What a pattern skips is none of it.
    let ran = place.run(place.sql(&select("in/*.csv", "in/_dead.csv"), &[]));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a\n1\n"), "{}", ran.stderr);
    // A table that is not of this job may well be made of dead letters.
    let sql =
        "CREATE TABLE d (raw STRING) WITH ('connector' = 'filesystem', 'format' = 'json', 'path' = 'dead.json');\n";
    let ran = place.run(place.sql(&(sql.to_owned() + &select("in.csv", "dead.json") + ";\nSELECT raw FROM d"), &[]));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a\n1\nraw\nx\n"), "{}", ran.stderr);
}

#[test]
fn options_of_reading_on_a_table_that_is_only_written_are_told_of() {
    let place = Place::with(&[("in.csv", "1\n2\n")]);
    let script = "CREATE TABLE t (a BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'in.csv');
        CREATE TABLE o (a BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'out',
          'on-error' = 'skip', 'source.monitor-interval' = '1 s');
        INSERT INTO o SELECT a FROM t";
    let ran = place.run(place.sql(script, &[]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let note = "note: table 'o' is only written here: 'on-error', 'source.monitor-interval' have no effect\n";
    assert!(ran.stderr.contains(note), "{}", ran.stderr);

    let place = Place::with(&[("in.csv", "1\n2\n")]);
    let read = script.replace(", 'source.monitor-interval' = '1 s'", "") + "; SELECT COUNT(*) FROM o";
    let ran = place.run(place.sql(&read, &[]));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "EXPR$0\n2\n"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("note"), "{}", ran.stderr);
}
