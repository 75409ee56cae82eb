//! Output that cannot be written, or not in full; and output as it should be.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use expect_test::expect;

use super::table;
use crate::program::{Place, in_child};

const SINK: &str = "CREATE TABLE o (a BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'out');\n\
                    INSERT INTO o SELECT a FROM t";

#[test]
fn an_output_that_exists() {
    let place = Place::with(&[("in.csv", "1\n"), ("taken.csv", "mine\n")]);
    place.refused_with(
        "SELECT 1 AS a",
        &["-o", "taken.csv"],
        4,
        expect![[r#"
        error: cannot write to taken.csv: it exists
        hint: --overwrite replaces it
    "#]],
    );
    assert_eq!(place.read("taken.csv"), "mine\n");
    fs::create_dir(place.path("out")).expect("a folder");
    place.write("out/part-0-0.csv", b"mine\n");
    place.refused(&(table("a BIGINT", "csv", "in.csv", "") + SINK), 4, expect![[r#"
        error: the output 'out' is not empty
        hint: remove it, choose another path, or add 'sink.mode' = 'overwrite' (or 'append', for a directory) to WITH (..)
    "#]]);
    assert_eq!(place.names("out"), ["part-0-0.csv"]);
    place.refused_with(
        "SELECT 1 AS a",
        &["-o", "out"],
        4,
        expect![[r#"
        error: cannot write to out: this is a directory
        hint: name a file in it
    "#]],
    );
}

#[test]
fn an_output_that_cannot_be_written() {
    let place = Place::with(&[("in.csv", "1\n")]);
    place.refused_with(
        "SELECT 1 AS a",
        &["-o", "none/out.csv"],
        4,
        expect![[r#"
        error: cannot write to none/out.csv: no such file or directory
    "#]],
    );
    place.refused_with(
        "SELECT 1 AS a",
        &["--stats-json", "none/stats.json"],
        4,
        expect![[r#"
        error: cannot write to none/stats.json: no such file or directory
    "#]],
    );
    let sink = SINK.replace("'out'", "'in.csv/out'");
    place.refused(
        &(table("a BIGINT", "csv", "in.csv", "") + &sink),
        4,
        expect![[r#"
        error: cannot write into 'in.csv': it is a file, not a directory
        hint: name a directory, or give the path an ending such as '.csv' to write a single file
    "#]],
    );
    let sink = SINK.replace("'out'", "'/proc/corelane'");
    place.refused(
        &(table("a BIGINT", "csv", "in.csv", "") + &sink),
        4,
        expect![[r#"
        error: cannot write '/proc/corelane': no such file or directory
        hint: choose a path whose directories can be made
    "#]],
    );
}

fn numbers(place: &Place) -> String {
    let lines: String = (0..500_000).map(|number| format!("{number}\n")).collect();
    place.write("in.csv", lines.as_bytes());
    table("a BIGINT", "csv", "in.csv", "")
}

#[test]
fn a_full_device() {
    let place = Place::new();
    let numbers = numbers(&place);
    place.refused_with(
        &(numbers.clone() + "SELECT a FROM t"),
        &["-o", "/dev/full"],
        4,
        expect![[r#"
        error: cannot write to /dev/full: no space left on device
    "#]],
    );
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
    let mut command = place.sql(&(numbers + "SELECT a FROM t"), &[]);
    let child = command.stdout(full).stderr(std::process::Stdio::piped()).spawn().expect("the program was built");
    let ran = place.finish(child);
    expect![[r#"
        error: cannot write to standard output: no space left on device
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!(ran.code, 4);
}

/// A tiny file system; only root may mount one.
struct TinyDisk(PathBuf);

impl TinyDisk {
    fn mount(at: &Path) -> std::io::Result<TinyDisk> {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(at.as_os_str().as_bytes()).expect("no zero bytes");
        // SAFETY: all arguments are strings that end in zero.
        let mounted = unsafe {
            libc::mount(c"tmpfs".as_ptr(), path.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=256k".as_ptr().cast())
        };
        if mounted == 0 { Ok(TinyDisk(at.to_owned())) } else { Err(std::io::Error::last_os_error()) }
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::CString::new(self.0.as_os_str().as_bytes()).expect("no zero bytes");
        // SAFETY: a string that ends in zero.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
fn a_full_disk() {
    let place = Place::new();
    let numbers = numbers(&place);
    fs::create_dir(place.path("disk")).expect("a folder");
    let disk = match TinyDisk::mount(&place.path("disk")) {
        Ok(disk) => disk,
        Err(error) => {
            eprintln!("not tested on a full disk: mounting one: {error}");
            return;
        }
    };
    place.refused(
        &(numbers.clone() + &SINK.replace("'out'", "'disk/out'")),
        4,
        expect![[r#"
        error: cannot write 'disk/out/part-0-0.csv': no space left on device
        hint: free some space, or choose another path
    "#]],
    );
    assert_eq!(place.names("disk/out"), [""; 0], "what was written in vain gives its room back");
    place.refused_with(
        &(numbers + "SELECT a FROM t"),
        &["-o", "disk/out.csv"],
        4,
        expect![[r#"
        error: cannot write to disk/out.csv: no space left on device
    "#]],
    );
    assert!(!place.names("disk").iter().any(|name| name.contains("out.csv")));
    drop(disk);
}

/// As a full disk, but anybody can have it.
#[test]
fn files_that_may_not_grow() {
    let place = Place::new();
    let mut command = place.sql(&(numbers(&place) + SINK), &[]);
    in_child(&mut command, || {
        let limit = libc::rlimit { rlim_cur: 100 << 10, rlim_max: 100 << 10 };
        // SAFETY: system calls.
        let limited = unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit)
        };
        if limited == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    });
    let ran = place.run(command);
    expect![[r#"
        error: cannot write 'out/part-0-0.csv': file too large
        hint: raise the limit on the size of files (ulimit -f), or roll files earlier
    "#]]
    .assert_eq(&ran.stderr);
    assert_eq!((ran.code, place.names("out").len()), (4, 0));
}

/// `corelane .. | head -1`
#[test]
fn a_reader_that_leaves() {
    let place = Place::new();
    let sql = numbers(&place) + "SELECT a FROM t";
    for format in ["csv", "json", "changelog", "table"] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = place.sql(&sql, &["--format", format]);
        let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().expect("the program was built");
        drop((command, reader));
        let ran = place.finish(child);
        assert_eq!((ran.code, ran.stderr.as_str()), (4, ""), "{format}");
    }
    let print = "CREATE TABLE o (a BIGINT) WITH ('connector' = 'print');\nINSERT INTO o SELECT a FROM t";
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = place.sql(&sql.replace("SELECT a FROM t", print), &[]);
    let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().expect("the program was built");
    drop((command, reader));
    let ran = place.finish(child);
    assert_eq!((ran.code, ran.stderr.as_str()), (4, ""));
}

const CHANGES: &str = "SELECT k, SUM(v) AS v FROM (VALUES ('a', 1), ('b', 2), ('a', 3)) AS t(k, v) GROUP BY k";

#[test]
fn every_format() {
    let place = Place::new();
    let one = |format| ["--format", format, "--batch-rows", "1"];
    place.answers_with(
        CHANGES,
        &one("changelog"),
        expect![[r#"
        +I[a, 1]
        +I[b, 2]
        -U[a, 1]
        +U[a, 4]
    "#]],
    );
    place.answers_with(
        CHANGES,
        &one("table"),
        expect![[r#"
        ┌───┬───┐
        │ k │ v │
        ├───┼───┤
        │ a │ 4 │
        │ b │ 2 │
        └───┴───┘
        2 rows
    "#]],
    );
    place.answers_with(
        CHANGES,
        &one("csv"),
        expect![[r#"
        k,v
        a,4
        b,2
    "#]],
    );
    place.answers_with(
        CHANGES,
        &one("json"),
        expect![[r#"
        {"k":"a","v":4}
        {"k":"b","v":2}
    "#]],
    );
}

#[test]
fn output_to_a_file() {
    let place = Place::new();
    place.answers_with(CHANGES, &["-o", "out.csv"], expect![]);
    assert_eq!(place.read("out.csv"), "k,v\na,4\nb,2\n");
    place.answers_with("SELECT 1 AS a", &["--output", "out.csv", "--overwrite"], expect![]);
    assert_eq!(place.read("out.csv"), "a\n1\n");
    assert_eq!(place.names("."), ["out.csv"]);
}

#[test]
fn the_name_of_the_output_says_its_format() {
    let place = Place::new();
    let rows = [("out.json", "{\"k\":\"a\",\"v\":4}\n{\"k\":\"b\",\"v\":2}\n"), ("out.tsv", "k\tv\na\t4\nb\t2\n")];
    for (name, text) in rows {
        place.answers_with(CHANGES, &["-o", name], expect![]);
        assert_eq!(place.read(name), text);
    }
    for name in ["out.parquet", "out.csv.gz", "out.ndjson.zst"] {
        place.answers_with(CHANGES, &["-o", name], expect![]);
        place.answers(
            &format!("SELECT * FROM '{name}'"),
            expect![[r#"
            k,v
            a,4
            b,2
        "#]],
        );
    }
    assert!(place.read("out.parquet").starts_with("PAR1"));
    assert_eq!(std::fs::read(place.path("out.csv.gz")).expect("it is there")[..2], [0x1f, 0x8b]);
    place.answers_with(CHANGES, &["-o", "out.txt", "--format", "changelog", "--batch-rows", "1"], expect![]);
    assert_eq!(place.read("out.txt"), "+I[a, 1]\n+I[b, 2]\n-U[a, 1]\n+U[a, 4]\n");
    place.refused_with(
        CHANGES,
        &["-o", "other.parquet", "--format", "json"],
        2,
        expect![[r#"
        error: --format json does not go with other.parquet, which is to be parquet
        hint: leave --format out, or let the name end in .json
    "#]],
    );
    place.answers_with(
        "SELECT 1 AS a",
        &["-o", "-"],
        expect![[r#"
        a
        1
    "#]],
    );
    let names = ["out.csv.gz", "out.json", "out.ndjson.zst", "out.parquet", "out.tsv", "out.txt"];
    assert_eq!(place.names("."), names);
}

/// More rows than are held back before they are written.
#[test]
fn a_large_parquet_file() {
    let place = Place::new();
    let sql = numbers(&place) + "SELECT a FROM t";
    place.answers_with(&sql, &["-o", "out.parquet"], expect![]);
    place.answers(
        "SELECT COUNT(*) AS n, SUM(a) AS a FROM 'out.parquet'",
        expect![[r#"
        n,a
        500000,124999750000
    "#]],
    );
}

#[test]
fn what_a_parquet_file_cannot_hold() {
    let place = Place::new();
    for (sql, found) in [("SELECT 1; SELECT 2", "2"), ("RESET", "none")] {
        let ran = place.run(place.sql(sql, &["-o", "out.parquet"]));
        let told = format!("error: out.parquet takes the rows of one query, and the script has {found}\n");
        assert!(ran.stderr.starts_with(&told), "{}", ran.stderr);
        assert_eq!(ran.code, 2);
    }
    place.refused_with(
        "SELECT 1",
        &["-o", "out.parquet", "--explain"],
        2,
        expect![[r#"
        error: cannot write a text as Parquet
        hint: let the name of --output end in .txt, or leave it out
    "#]],
    );
    place.refused_with(
        "SELECT 1",
        &["--format", "parquet"],
        2,
        expect![[r#"
        error: cannot print Parquet: it is read from its end, which only a file has
        hint: name a file with --output
    "#]],
    );
    place.refused_with(
        "SELECT 1",
        &["-o", "out.json", "--stats-json", "./out.json"],
        2,
        expect![[r#"
        error: --output and --stats-json both name out.json
        hint: give each a file of its own
    "#]],
    );
    assert_eq!(place.names("."), [""; 0]);
}

#[test]
fn a_sink_shows_whole_files_only() {
    let place = Place::with(&[("in.csv", "1\n2\n")]);
    place.answers(&(table("a BIGINT", "csv", "in.csv", "") + SINK), expect![]);
    let parts = place.names("out");
    assert_eq!(parts.iter().map(|part| place.read(&format!("out/{part}"))).collect::<String>(), "1\n2\n");
}

#[test]
fn plans_without_work() {
    let place = Place::with(&[("in.csv", "1\n")]);
    let sql = table("a BIGINT", "csv", "in.csv", "") + SINK;
    place.answers_with(&sql, &["--dry-run"], expect![]);
    place.answers_with(
        &sql,
        &["--dry-run", "--verbose"],
        expect![[r#"
        table t created
        table o created
        the plan is fine
    "#]],
    );
    place.answers_with(
        &sql,
        &["--explain"],
        expect![[r#"
        #0 Source filesystem(table=t, path=in.csv, format=csv)
             columns [a BIGINT]
             changelog append; state none
        #1 Sink filesystem(table=o, path=out, format=csv)
             from #0 by forward, on its core
             columns [a BIGINT]
             changelog append; state none
        workers 1; input bounded
    "#]],
    );
    place.answers_with(&sql, &["--dry-run", "-o", "rows.csv", "--stats-json", "stats.json"], expect![]);
    assert_eq!(place.names("."), ["in.csv"]);
    place.refused_with(
        &sql.replace("SELECT a", "SELECT b"),
        &["--dry-run"],
        3,
        expect![[r#"
        error: column 'b' not found
        command:4:22
        INSERT INTO o SELECT b FROM t
                             ^
    "#]],
    );
}

/// What a run would say before it begins.
#[test]
fn a_dry_run_looks_at_files() {
    let place = Place::with(&[("in.csv", "1\n"), ("mine.csv", "1\n")]);
    let dry = |sql: &str, code: i32, expected: expect_test::Expect| {
        place.refused_with(sql, &["--dry-run"], code, expected);
        assert_eq!(place.names("."), ["in.csv", "mine.csv"]);
    };
    let from = |path: &str| table("a BIGINT", "csv", path, "");
    dry(
        &(from("none/x.csv") + SINK),
        4,
        expect![[r#"
        error: table 't': cannot read 'none/x.csv': there is no such file
        hint: paths are relative to the directory that the command runs in
    "#]],
    );
    dry(
        &(from("in.csv") + &SINK.replace("'out'", "'mine.csv'")),
        4,
        expect![[r#"
        error: the output 'mine.csv' already exists
        hint: remove it, choose another path, or add 'sink.mode' = 'overwrite' (or 'append', for a directory) to WITH (..)
    "#]],
    );
    dry(
        &(from("in.csv") + &SINK.replace("'out'", "'in.csv/out'")),
        4,
        expect![[r#"
        error: cannot write into 'in.csv': it is a file, not a directory
        hint: name a directory, or give the path an ending such as '.csv' to write a single file
    "#]],
    );
    place.refused_with(
        "SELECT 1",
        &["--dry-run", "-o", "mine.csv"],
        4,
        expect![[r#"
        error: cannot write to mine.csv: it exists
        hint: --overwrite replaces it
    "#]],
    );
    // What an earlier statement would have written need not be there.
    let sql = from("in.csv")
        + &SINK.replace("'out'", "'new/out'")
        + ";\nCREATE TABLE p (a BIGINT) WITH ('connector' = 'print');\nINSERT INTO p SELECT a FROM o";
    dry(&sql, 0, expect![]);
}

/// Queries without a table, whose options could say what becomes of a row.
#[test]
fn a_row_of_no_table() {
    let place = Place::new();
    place.refused(
        "SELECT 1 / a FROM (VALUES (0)) AS v(a)",
        1,
        expect![[r#"
        error: cannot compute a row: division by zero: {"column1":0}
    "#]],
    );
    place.refused(
        "SELECT 1 / 0",
        3,
        expect![[r#"
            error: division by zero
            command:1:8
            SELECT 1 / 0
                   ^^^^^
        "#]],
    );
}

#[test]
fn the_summary_is_told_once() {
    let place = Place::new();
    let ran = place.run(place.sql("SELECT 1 AS a", &["--verbose", "--stats"]));
    assert_eq!(ran.stderr.matches("1 row in, 1 out").count(), 1, "{}", ran.stderr);
}

#[test]
fn what_workers_did() {
    let place = Place::with(&[("in.csv", "1\n2\nx\n")]);
    let sql = table("a BIGINT", "csv", "in.csv", "'on-error' = 'skip'") + "SELECT a FROM t";
    let ran = place.run(place.sql(&sql, &["--stats", "--stats-json", "stats.json"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a\n1\n2\n"), "{}", ran.stderr);
    for column in ["rows", "busy %", "ring depth max", "batches", "step p50", "step p99", "step p99.9"] {
        assert!(ran.stderr.contains(column), "{}", ran.stderr);
    }
    let stats: serde_json::Value = serde_json::from_str(&place.read("stats.json")).expect("JSON");
    let job = &stats["jobs"][0];
    assert_eq!(
        (&job["rows_in"], &job["bad_rows"], &job["driver"]),
        (&2.into(), &1.into(), &"threads".into()),
        "{stats}"
    );
}

#[test]
fn options_from_the_command_line() {
    let place = Place::new();
    place.refused_with(
        "SELECT 1",
        &["--set", "no.such=1"],
        2,
        expect![[r#"
        error: there is no option 'no.such'
        hint: SET alone lists the options
    "#]],
    );
    let ran = place.run(place.sql("SET", &["--set", "table.exec.source.idle-timeout=7 s"]));
    assert!(ran.stdout.contains("table.exec.source.idle-timeout,7 s"), "{}{}", ran.stdout, ran.stderr);
}

/// Standard error of a command, when that is a terminal.
fn on_a_terminal(mut command: Command) -> String {
    let (mut terminal, mut theirs) = (0, 0);
    let none = std::ptr::null_mut();
    // SAFETY: the kernel fills two descriptors, which are then ours.
    let (mut terminal, theirs) = unsafe {
        let opened = libc::openpty(&raw mut terminal, &raw mut theirs, none, none.cast(), none.cast());
        assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
        (File::from_raw_fd(terminal), OwnedFd::from_raw_fd(theirs))
    };
    let mut child = command.stderr(theirs).env("TERM", "xterm").spawn().expect("the program was built");
    child.wait().expect("ours");
    drop(command);
    let mut text = Vec::new();
    // Where the other end is closed, a terminal ends in an error and not in an end of file.
    let _ = terminal.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn color_is_for_terminals_and_can_be_refused() {
    let place = Place::new();
    let command = |no_color: Option<&str>| {
        let mut command = place.sql("SELEC", &[]);
        command.env_remove("NO_COLOR").envs(no_color.map(|value| ("NO_COLOR", value)));
        command
    };
    assert!(on_a_terminal(command(None)).starts_with("\x1b[1;31merror:"));
    assert!(on_a_terminal(command(Some("1"))).starts_with("error: "));
    assert!(place.run(command(None)).stderr.starts_with("error: "));
}

#[test]
fn an_output_that_is_written_otherwise_too() {
    let place = Place::with(&[("in.csv", "1\nx\n")]);
    let letters = "'on-error' = 'dead-letter', 'dead-letter.path' = 'o.csv'";
    let sql = table("a BIGINT", "csv", "in.csv", letters) + "SELECT a FROM t";
    place.refused_with(
        &sql,
        &["--output", "./o.csv", "--overwrite"],
        3,
        expect![[r#"
            error: the dead letters of table 't' and the program's own output both go to o.csv
            hint: give each a file of its own
        "#]],
    );
}

#[test]
fn a_map_in_csv() {
    let place = Place::new();
    let ran = place.run(place.sql("SELECT MAP['a', 1] AS m", &["--format", "csv"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("'m'") && ran.stderr.contains("MAP") && ran.stderr.contains("hint: "),
        "{}",
        ran.stderr
    );
}
