//! SIGINT: once, and the job finishes what it has read and commits; twice, and it stops at once.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::{Child, Stdio};

use super::table;
use crate::program::{Place, Running, until};

fn job(place: &Place, source: &str) -> std::process::Command {
    let sql = format!(
        "{source}\
         CREATE TABLE o (a BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = 'out');\n\
         CREATE TABLE p (a BIGINT) WITH ('connector' = 'print');\n\
         EXECUTE STATEMENT SET BEGIN INSERT INTO o SELECT a FROM t; INSERT INTO p SELECT a FROM t; END;\n\
         SELECT 'not reached' AS a;"
    );
    place.sql(&sql, &["--batch-rows", "100"])
}

#[test]
fn once_drains_and_commits() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let place = Place::with(&[("in.csv", "1\n2\n3\n")]);
        let source = table("a BIGINT", "csv", "in.csv", "'source.monitor-interval' = '5 ms'");
        let mut running = Running::start(job(&place, &source));
        let lines = [running.line(), running.line(), running.line()];
        assert_eq!(lines, ["+I[1]", "+I[2]", "+I[3]"]);
        let visible = |place: &Place| place.names("out").into_iter().filter(|name| !name.starts_with('.')).count();
        assert_eq!(visible(&place), 0);
        running.signal(signal);
        let ran = running.finish(&place);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (130, "", ""));
        let parts = place.names("out");
        assert_eq!(parts.iter().map(|part| place.read(&format!("out/{part}"))).collect::<String>(), "1\n2\n3\n");
    }
}

/// `timeout` signals its child, and at once the group that the child is in.
#[test]
fn the_echo_of_a_signal_is_not_a_second_one() {
    let place = Place::with(&[("in.csv", "1\n2\n3\n")]);
    let source = table("a BIGINT", "csv", "in.csv", "'source.monitor-interval' = '5 ms'");
    let mut running = Running::start(job(&place, &source));
    assert_eq!([running.line(), running.line(), running.line()], ["+I[1]", "+I[2]", "+I[3]"]);
    running.signal(libc::SIGTERM);
    running.signal(libc::SIGTERM);
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stderr.as_str()), (130, ""));
    let parts = place.names("out");
    assert_eq!(parts.iter().map(|part| place.read(&format!("out/{part}"))).collect::<String>(), "1\n2\n3\n");
}

/// Input that has an end did not come to it, so its result is not the whole one.
#[test]
fn a_result_that_was_cut_short() {
    for format in ["csv", "json", "changelog"] {
        let place = Place::new();
        let sql = table("a BIGINT", "csv", "-", "") + "SELECT a FROM t";
        let mut running = Running::start(place.sql(&sql, &["--format", format, "--quiet"]));
        running.type_in("1\n2\n");
        while !running.line().contains('2') {}
        running.signal(libc::SIGINT);
        running.wait();
        let ran = running.finish(&place);
        assert_eq!((ran.code, ran.stdout.as_str()), (130, ""), "{format}");
        assert_eq!(ran.stderr, "interrupted: the result is of the 2 rows read so far\n", "{format}");
    }
    let place = Place::new();
    let sql = table("a BIGINT", "csv", "-", "")
        + "CREATE TABLE p (a BIGINT) WITH ('connector' = 'print');\nINSERT INTO p SELECT a FROM t";
    let mut running = Running::start(place.sql(&sql, &[]));
    running.type_in("1\n");
    assert_eq!(running.line(), "+I[1]");
    running.signal(libc::SIGTERM);
    running.wait();
    let ran = running.finish(&place);
    assert_eq!((ran.code, ran.stderr.as_str()), (130, "interrupted: the output is of the 1 row read so far\n"));
}

/// Bytes in a pipe that nobody has read.
fn waiting(child: &Child) -> i32 {
    let mut bytes = 0;
    let stdout = child.stdout.as_ref().expect("piped").as_raw_fd();
    // SAFETY: the kernel fills one number.
    let asked = unsafe { libc::ioctl(stdout, libc::FIONREAD, &raw mut bytes) };
    assert_eq!(asked, 0, "{}", std::io::Error::last_os_error());
    bytes
}

/// True once the child has taken the signal and can tell another from it.
fn taken(child: &Child, signal: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap_or("0");
    let pending = u64::from_str_radix(pending.trim(), 16).unwrap_or(0);
    pending & (1 << (signal - 1)) == 0
}

#[test]
fn twice_stops_at_once() {
    let place = Place::new();
    let source = "CREATE TABLE t (a BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10000000');\n";
    let mut command = job(&place, source);
    command.args(["--output", "rows.csv"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program was built");
    // Nobody reads what it prints: it cannot drain.
    until("the pipe is full", || waiting(&child) > 50_000);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: a signal to a child that was not waited for yet.
        unsafe { libc::kill(child.id() as libc::pid_t, signal) };
        until("the signal is taken", || taken(&child, signal));
    }
    until("it has ended", || child.try_wait().expect("ours").is_some());
    let code = child.wait().expect("ours").code();
    let mut told = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut told).expect("text");
    assert_eq!((code, told.as_str()), (Some(130), ""));
    assert_eq!((place.names("."), place.names("out")), (vec![], vec![]), "hidden files go too");
}
