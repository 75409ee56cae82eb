//! Files that grow, and standard input: what has come is seen, and no line before it has ended.

use std::io::Write;

use expect_test::expect;

use super::{parquet, table};
use crate::program::{Place, Running};

const FOLLOW: &str = "'source.monitor-interval' = '5 ms'";

fn follow(place: &Place, path: &str) -> Running {
    let sql = table("a STRING", "csv", path, FOLLOW) + "SELECT a FROM t";
    Running::start(place.sql(&sql, &["--format", "changelog"]))
}

#[test]
fn a_growing_file() {
    let place = Place::with(&[("in.csv", "one\ntwo\nthr")]);
    let mut running = follow(&place, "in.csv");
    assert_eq!([running.line(), running.line()], ["+I[one]", "+I[two]"]);
    // Were `thr` a record it would have come by now, or would come before what follows.
    place.append("in.csv", "ee\nfour\nfi");
    assert_eq!([running.line(), running.line()], ["+I[three]", "+I[four]"]);
    running.signal(libc::SIGINT);
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""));
    expect![[r#"
        1 unfinished record left out (in.csv, line 5)
    "#]]
    .assert_eq(&ran.stderr);
}

/// What never ended is no bad row, but it is told of, and kept where bad rows are.
#[test]
fn records_that_never_end() {
    let lines: String = (0..5_000).map(|number| format!("row {number},{number}\n")).collect();
    let cut_off = super::gzip(lines.as_bytes());
    for workers in ["1", "2"] {
        let place = Place::new();
        std::fs::create_dir(place.path("in")).expect("a folder");
        place.write("in/1.csv", b"one,1\n\"two\nlines");
        place.write("in/2.csv", b"three,3\nfour,");
        place.write("in/3.csv", b"five,5\n");
        place.write("in/4.csv.gz", &cut_off[..cut_off.len() / 2]);
        let options = format!("{FOLLOW}, 'on-error' = 'dead-letter', 'dead-letter.path' = 'dead.json'");
        let sql = table("a STRING, b INT", "csv", "in", &options) + "SELECT a FROM t WHERE b < 6 OR b > 2000";
        let mut running = Running::start(place.command(&["run", "-c", &sql, "--workers", workers, "--driver=threads"]));
        // A file is read to its end in one go, so its rest has been looked at.
        let mut awaited = vec!["one".to_owned(), "three".to_owned(), "five".to_owned(), "row 2001".to_owned()];
        while !awaited.is_empty() {
            let line = running.line();
            awaited.retain(|awaited| *awaited != line);
        }
        running.signal(libc::SIGTERM);
        let ran = running.finish(&place);
        assert_eq!(ran.code, 130);
        expect![[r#"
            3 unfinished records left out (one of them: in/1.csv, line 2)
        "#]]
        .assert_eq(&ran.stderr);
        let dead = place.read("dead.json");
        let mut dead: Vec<&str> = dead.lines().collect();
        dead.sort();
        expect![[r#"
            {"position":"line 2","raw":"\"two\nlines","reason":"the record never ended: the job was stopped before the rest of it came","source":"in/1.csv","table":"t"}
            {"position":"line 2","raw":"four,","reason":"the record never ended: the job was stopped before the rest of it came","source":"in/2.csv","table":"t"}
            {"position":"line 2225","raw":"row 2224,22","reason":"the record never ended: the job was stopped before the rest of it came","source":"in/4.csv.gz","table":"t"}
        "#]]
        .assert_eq(&(dead.join("\n") + "\n"));
    }
}

#[test]
fn a_record_whose_file_is_replaced_before_it_ends() {
    let place = Place::with(&[("in.csv", "one\ntw")]);
    let mut running = follow(&place, "in.csv");
    assert_eq!(running.line(), "+I[one]");
    place.write("new", b"first\n");
    std::fs::rename(place.path("new"), place.path("in.csv")).expect("the same folder");
    assert_eq!(running.line(), "+I[first]");
    running.signal(libc::SIGINT);
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""));
    expect![[r#"
        1 unfinished record left out (in.csv, line 2)
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn standard_input_that_is_stopped() {
    let place = Place::new();
    let sql = table("a STRING", "csv", "-", "'on-error' = 'dead-letter', 'dead-letter.path' = 'dead.json'")
        + "SELECT a FROM t";
    let mut running = Running::start(place.sql(&sql, &["--format", "changelog"]));
    running.type_in("one\ntw");
    assert_eq!(running.line(), "+I[one]");
    running.signal(libc::SIGINT);
    running.wait();
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""));
    expect![[r#"
        interrupted: the result is of the 1 row read so far
        1 unfinished record left out (-, line 2)
    "#]]
    .assert_eq(&ran.stderr);
    expect![[r#"
        {"position":"line 2","raw":"tw","reason":"the record never ended: the job was stopped before the rest of it came","source":"-","table":"t"}
    "#]]
    .assert_eq(&place.read("dead.json"));
}

#[test]
fn new_files_in_a_directory() {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).expect("a folder");
    place.write("in/1.csv", b"one\n");
    let mut running = follow(&place, "in");
    assert_eq!(running.line(), "+I[one]");
    place.write("in/2.csv", b"two\n");
    assert_eq!(running.line(), "+I[two]");
    assert_eq!(running.line_now(), None);
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish(&place).code, 130);
}

fn follow_parquet(place: &Place) -> Running {
    let sql = table("a BIGINT", "parquet", "in", FOLLOW) + "SELECT a FROM t";
    Running::start(place.sql(&sql, &["--format", "changelog"]))
}

/// A file without its footer is no file yet.
#[test]
fn new_parquet_files_in_a_directory() {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).expect("a folder");
    let whole = parquet(3..5);
    place.write("in/0.parquet", &whole[..whole.len() / 2]);
    place.write("in/1.parquet", &parquet(1..3));
    let mut running = follow_parquet(&place);
    assert_eq!([running.line(), running.line()], ["+I[1]", "+I[2]"]);
    place.write("in/2.parquet", &whole[..whole.len() / 2]);
    place.write("new", &whole);
    std::fs::rename(place.path("new"), place.path("in/2.parquet")).expect("the same disk");
    assert_eq!([running.line(), running.line()], ["+I[3]", "+I[4]"]);
    running.signal(libc::SIGINT);
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""));
    expect![[r#"
        1 unfinished record left out (in/0.parquet, row 0)
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn a_parquet_file_that_changes_after_it_was_read() {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).expect("a folder");
    place.write("in/1.parquet", &parquet(1..3));
    let mut running = follow_parquet(&place);
    assert_eq!([running.line(), running.line()], ["+I[1]", "+I[2]"]);
    place.write("in/1.parquet", &parquet(1..9));
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""));
    let told = "error: the file 'in/1.parquet' was changed or replaced after it was read\n";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
}

#[test]
fn files_that_take_the_place_of_others() {
    let place = Place::with(&[("in.csv", "one\ntwo\n")]);
    let mut running = follow(&place, "in.csv");
    assert_eq!([running.line(), running.line()], ["+I[one]", "+I[two]"]);
    // Longer than the first: what comes must not be its rest from where the first ended.
    place.write("new", b"first\nsecond\nthird\n");
    std::fs::rename(place.path("new"), place.path("in.csv")).expect("the same folder");
    assert_eq!([running.line(), running.line(), running.line()], ["+I[first]", "+I[second]", "+I[third]"]);
    // Removed and made again, with a number that the file system may have given out before.
    std::fs::remove_file(place.path("in.csv")).expect("it is there");
    place.write("in.csv", b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\n");
    for letter in "abcdefghijk".chars() {
        assert_eq!(running.line(), format!("+I[{letter}]"));
    }
    running.signal(libc::SIGINT);
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (130, "", ""));
}

/// The same file with as many bytes as before, or more; one that is only touched is not read again.
#[test]
fn a_file_that_is_written_anew_in_its_place() {
    let place = Place::with(&[("in.csv", "one\ntwo\n")]);
    let file = || std::fs::OpenOptions::new().write(true).open(place.path("in.csv")).expect("it is there");
    let touch = |seconds| {
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        file().set_modified(time).expect("it is ours");
    };
    touch(1_000);
    let mut running = follow(&place, "in.csv");
    assert_eq!([running.line(), running.line()], ["+I[one]", "+I[two]"]);
    let mut written = file();
    written.write_all(b"six\nten\n").expect("written");
    assert_eq!([running.line(), running.line()], ["+I[six]", "+I[ten]"]);
    touch(2_000);
    let mut written = file();
    written.write_all(b"SIX\nten\nmore\n").expect("written");
    assert_eq!([running.line(), running.line(), running.line()], ["+I[SIX]", "+I[ten]", "+I[more]"]);
    touch(3_000);
    place.append("in.csv", "end\n");
    assert_eq!(running.line(), "+I[end]");
    running.signal(libc::SIGINT);
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (130, "", ""));
}

#[test]
fn a_compressed_file_that_is_being_written() {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).expect("a folder");
    place.write("in/0.csv", b"first\n");
    let lines: Vec<String> = (0..5_000).map(|number| format!("row {number}")).collect();
    let whole = super::gzip((lines.join("\n") + "\n").as_bytes());
    let mut running = follow(&place, "in");
    assert_eq!(running.line(), "+I[first]");
    place.write("in/1.csv.gz", &whole[..whole.len() / 2]);
    assert_eq!(running.line(), "+I[row 0]");
    let mut file = std::fs::OpenOptions::new().append(true).open(place.path("in/1.csv.gz")).expect("it is there");
    file.write_all(&whole[whole.len() / 2..]).expect("written");
    for line in &lines[1..] {
        assert_eq!(running.line(), format!("+I[{line}]"));
    }
    running.signal(libc::SIGINT);
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (130, "", ""));
}

#[test]
fn files_of_one_time_that_are_there_already() {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).expect("a folder");
    place.write("in/1.csv", b"2024-01-01 00:00:00\n2024-01-01 00:01:00\n");
    place.write("in/2.csv", b"2024-01-01 00:00:01\n2024-01-01 00:01:01\n");
    place.write("in/3.csv", b"2024-01-01 00:0");
    let columns = "ts TIMESTAMP(3), WATERMARK FOR ts AS ts";
    let sql = table(columns, "csv", "in", FOLLOW)
        + "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))\n\
           GROUP BY window_start, window_end";
    let mut running = Running::start(place.sql(&sql, &["--format", "changelog"]));
    assert_eq!(running.line(), "+I[2024-01-01 00:00:00.000, 2]");
    running.signal(libc::SIGINT);
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stderr.as_str()), (130, "1 unfinished record left out (in/3.csv, line 1)\n"));
}

/// Workers without a file do not hold time back; a signal ends the input, and with it open windows.
#[test]
fn one_file_for_many_workers() {
    for workers in ["1", "2", "4"] {
        let place = Place::with(&[("in.csv", "2024-01-01 00:00:00\n2024-01-01 00:01:00\n2024-01-01 00:02:00\n")]);
        let columns = "ts TIMESTAMP(3), WATERMARK FOR ts AS ts";
        let sql = table(columns, "csv", "in.csv", FOLLOW)
            + "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE))\n\
               GROUP BY window_start, window_end";
        let mut running =
            Running::start(place.command(&["run", "-c", &sql, "--format=changelog", "--workers", workers]));
        assert_eq!(running.line(), "+I[2024-01-01 00:00:00.000, 1]");
        assert_eq!(running.line(), "+I[2024-01-01 00:01:00.000, 1]");
        running.signal(libc::SIGINT);
        let ran = running.finish(&place);
        assert_eq!((ran.code, ran.stdout.as_str()), (130, "+I[2024-01-01 00:02:00.000, 1]\n"), "{}", ran.stderr);
    }
}

/// LIMIT ends the input: nobody has to.
#[test]
fn a_limit_of_standard_input() {
    for workers in ["1", "2"] {
        let place = Place::new();
        let sql = table("a BIGINT", "csv", "-", "") + "SELECT a * 10 AS a FROM t WHERE a > 1 LIMIT 2";
        let mut running = Running::start(place.command(&["run", "-c", &sql, "--format=csv", "--workers", workers]));
        running.type_in("1\n2\n3\n4\n");
        assert_eq!([running.line(), running.line(), running.line()], ["a", "20", "30"]);
        let ran = running.finish(&place);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    }
}

#[test]
fn standard_input() {
    let place = Place::new();
    let sql = table("a STRING", "csv", "-", "") + "SELECT a FROM t";
    let mut running = Running::start(place.sql(&sql, &["--format", "changelog"]));
    running.type_in("one\ntw");
    assert_eq!(running.line(), "+I[one]");
    running.type_in("o\nthree");
    assert_eq!(running.line(), "+I[two]");
    running.close_input();
    let ran = running.finish(&place);
    expect![[r#"
        +I[three]
    "#]]
    .assert_eq(&ran.stdout);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_script_on_standard_input() {
    let place = Place::new();
    let mut running = Running::start(place.command(&["run", "-", "--workers", "1", "--driver", "threads"]));
    running.type_in("SELECT 1 AS a;");
    running.close_input();
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "a\n1\n", ""));
}

/// Editors of other systems put a byte order mark in front.
#[test]
fn a_script_with_a_byte_order_mark() {
    let place = Place::with(&[("in.sql", "\u{feff}SELECT 1 AS a")]);
    let ran = place.run(place.command(&["run", "in.sql", "--workers", "1", "--driver", "threads"]));
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "a\n1\n", ""));
}
