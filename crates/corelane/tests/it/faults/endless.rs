//! Jobs without end that write files: a rolled file is seen at once, and stays whatever comes after.

use super::table;
use crate::program::{Place, Running, until};

const FOLLOW: &str = "'source.monitor-interval' = '5 ms'";

fn job(place: &Place, workers: &str, sink: &str) -> Running {
    let sql = table("a BIGINT", "csv", "in", FOLLOW)
        + "CREATE TABLE o (a BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', "
        + sink
        + ");\nCREATE TABLE p (a BIGINT) WITH ('connector' = 'print');\n\
           EXECUTE STATEMENT SET BEGIN INSERT INTO o SELECT a FROM t; INSERT INTO p SELECT a FROM t; END";
    Running::start(place.command(&["run", "-c", &sql, "--workers", workers, "--driver", "threads"]))
}

fn place(rows: &str) -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).expect("a folder");
    place.write("in/1.csv", rows.as_bytes());
    place
}

/// The rows of the files that a reader of the directory sees.
fn visible(place: &Place) -> Vec<String> {
    let names = place.names("out").into_iter().filter(|name| !name.starts_with('.'));
    let text: String = names.map(|name| place.read(&format!("out/{name}"))).collect();
    let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

#[test]
fn a_file_that_is_large_enough_stays_though_the_job_fails() {
    for workers in ["1", "2"] {
        let place = place("1\n2\n");
        let running = job(&place, workers, "'path' = 'out', 'sink.rolling-policy.file-size' = '1 b'");
        until("the file is there", || visible(&place) == ["1", "2"]);
        place.write("in/2.csv", b"bad\n");
        let ran = running.finish(&place);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let kept = "note: sink o (filesystem): 'out' keeps 1 file that was complete\n";
        assert!(ran.stderr.contains(kept), "{}", ran.stderr);
        assert!(ran.stderr.contains("error: cannot use a row of table 't': in/2.csv, line 1"), "{}", ran.stderr);
        assert_eq!(visible(&place), ["1", "2"]);
        assert!(place.names("out").iter().all(|name| !name.starts_with('.')), "{:?}", place.names("out"));
    }
}

#[test]
fn a_file_that_is_not_complete_is_dropped_and_that_is_said() {
    let place = place("1\n");
    let mut running = job(&place, "1", "'path' = 'out'");
    assert_eq!(running.line(), "+I[1]");
    place.write("in/2.csv", b"bad\n");
    let ran = running.finish(&place);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("note: sink o (filesystem): 'out' loses 1 file that was not complete\n"),
        "{}",
        ran.stderr
    );
    assert!(!place.path("out").exists());
}

/// No row comes after the first: time alone completes the file.
#[test]
fn a_file_that_is_old_enough() {
    for workers in ["1", "2"] {
        let place = place("1\n2\n");
        let running = job(&place, workers, "'path' = 'out', 'sink.rolling-policy.rollover-interval' = '20 ms'");
        until("the file is there", || visible(&place) == ["1", "2"]);
        place.write("in/2.csv", b"3\n");
        until("the second file is there", || visible(&place) == ["1", "2", "3"]);
        running.signal(libc::SIGTERM);
        let ran = running.finish(&place);
        assert_eq!((ran.code, ran.stderr.as_str()), (130, ""));
        assert_eq!(visible(&place), ["1", "2", "3"]);
    }
}

#[test]
fn the_first_complete_file_replaces_old_output() {
    let place = place("1\n2\n");
    std::fs::create_dir(place.path("out")).expect("a folder");
    place.write("out/part-0-0.csv", b"old\n");
    place.write("out/part-1-7.csv", b"old\n");
    let sink = "'path' = 'out', 'sink.mode' = 'overwrite', 'sink.rolling-policy.file-size' = '1 b'";
    let running = job(&place, "2", sink);
    until("the file is there", || visible(&place) == ["1", "2"]);
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish(&place).code, 130);
    assert_eq!(visible(&place), ["1", "2"]);
}

/// A path that names one file is complete only at the end.
#[test]
fn a_single_file_is_seen_at_the_end() {
    let place = place("1\n2\n");
    let mut running = job(&place, "1", "'path' = 'out.csv'");
    assert_eq!([running.line(), running.line()], ["+I[1]", "+I[2]"]);
    assert!(!place.path("out.csv").exists());
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish(&place).code, 130);
    assert_eq!(place.read("out.csv"), "1\n2\n");
}
