//! The program from outside: exit codes, and what it says without running a query.

use std::process::Output;

use expect_test::{Expect, expect};

use crate::program::Place;

fn corelane(arguments: &[&str]) -> Output {
    Place::new().command(arguments).output().expect("the program was built")
}

/// Checks the exit code and what is on standard error.
fn refused(arguments: &[&str], code: i32, expected: Expect) {
    let output = corelane(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    expected.assert_eq(&String::from_utf8_lossy(&output.stderr));
}

fn printed(arguments: &[&str]) -> String {
    let output = corelane(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_version_has_build_facts() {
    let version = printed(&["--version"]);
    for fact in ["commit:", "rustc:", "profile:", "target features:", "arrow:", "datafusion:"] {
        assert!(version.contains(fact), "{version}");
    }
    assert_eq!(printed(&["-V"]).lines().count(), 1);
}

#[test]
fn settings_come_from_somewhere() {
    let shown = printed(&["config", "show", "--batch-rows", "100"]);
    let line = |key: &str| shown.lines().find(|line| line.contains(key)).map(str::to_string).unwrap_or_default();
    assert!(line("batch-rows").contains("100") && line("batch-rows").contains("flag"), "{shown}");
    assert!(line("ring-slots").contains("default"), "{shown}");
}

#[test]
fn a_column_of_proctime_is_a_time_attribute() {
    let script = "CREATE TABLE made (n INT, t AS PROCTIME()) WITH ('connector' = 'datagen', 'number-of-rows' = '10'); \
                  SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE made, DESCRIPTOR(t), INTERVAL '1' MINUTE)) \
                  GROUP BY window_start, window_end";
    let plan = printed(&["explain", "-c", script]);
    assert!(plan.contains("WindowAggregate"), "{plan}");
}

#[test]
fn the_machine_is_looked_at() {
    let report = printed(&["doctor", "--driver", "threads"]);
    assert!(
        report.starts_with("found\n  kernel ") && report.contains("\nchosen\n") && report.contains("\nto change\n")
    );
}

#[test]
fn completions_and_manual() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(printed(&["completions", shell]).contains("batch-rows"), "{shell}");
    }
    assert!(printed(&["man"]).contains(".TH corelane"));
}

#[test]
fn wrong_usage_exits_with_2() {
    for command in ["run", "explain"] {
        refused(
            &[command],
            2,
            expect![[r#"
                error: there is no script to run
                hint: name a file, `-` for standard input, or give the statements: -c 'SELECT 1'
            "#]],
        );
    }
    assert_eq!(corelane(&["walk"]).status.code(), Some(2));
    refused(
        &["run", "-c", "", "--batch-rows", "0"],
        2,
        expect![[r#"
            error: --batch-rows "0" is less than 1
            hint: batch-rows takes a whole number from 1 to 65536
        "#]],
    );
    refused(
        &["run", "-c", "", "--workers", "-1"],
        2,
        expect![[r#"
            error: --workers "-1" is not a whole number
            hint: workers takes a whole number from 1 to 256
        "#]],
    );
    let colored = corelane(&["doctor", "--workers", "many", "--color", "always"]);
    assert_eq!(colored.status.code(), Some(2));
    assert!(colored.stderr.starts_with(b"\x1b[1;31merror:\x1b[0m --workers \"many\""));
}

#[test]
fn variables_that_are_not_known() {
    let place = Place::new();
    let mut command = place.sql("SELECT 1", &[]);
    command.env("CORELANE_WORKER", "1");
    let ran = place.run(command);
    expect![[r#"
        error: unknown environment variable "CORELANE_WORKER"
        hint: did you mean CORELANE_WORKERS?
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!(ran.code, 2);
}

#[test]
fn a_settings_file_that_is_not_text() {
    let place = Place::new();
    place.write("lane.toml", b"\xff\xfe");
    let ran = place.run(place.command(&["config", "show", "--config", "lane.toml"]));
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (2, "error: cannot read the settings in lane.toml: they are not UTF-8\n")
    );
}

#[test]
fn missing_files_exit_with_4() {
    refused(
        &["run", "/nowhere/q.sql"],
        4,
        expect![[r#"
        error: cannot read the script /nowhere/q.sql: no such file or directory
    "#]],
    );
    refused(
        &["run", "-c", "", "--config", "/nowhere/lane.toml"],
        4,
        expect![[r#"
        error: cannot read the settings in /nowhere/lane.toml: no such file or directory
    "#]],
    );
    refused(
        &["run", "-c", "", "--output", "/"],
        4,
        expect![[r#"
        error: cannot write to /: this is a directory
        hint: name a file in it
    "#]],
    );
    refused(
        &["run", "-c", "", "--output", "/nowhere/out.csv"],
        4,
        expect![[r#"
        error: cannot write to /nowhere/out.csv: no such file or directory
    "#]],
    );
}

#[test]
fn a_script_that_is_not_text_exits_with_3() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("q.sql");
    std::fs::write(&path, b"SELECT 1;\n\xff\xfe").expect("written");
    let output = corelane(&["run", path.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).ends_with("line 2 is not UTF-8\nhint: save it as UTF-8\n"));
}

#[test]
fn an_output_that_exists_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.csv");
    std::fs::write(&path, "mine").expect("written");
    let output = corelane(&["run", "-c", "", "--output", path.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "mine");
}
