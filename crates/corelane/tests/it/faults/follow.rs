//! Files that grow, and standard input: what has come is seen, and no line before it has ended.

use expect_test::expect;

use super::table;
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
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (130, "", ""));
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
