//! A benchmark whose answer is wrong is a failure and gives no figures.

use std::process::{Command, Output};

/// A tiny run of the scaling benchmark.
fn scaling(more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_corelane-bench"))
        .args(["scaling", "--only", "S2", "--workers", "2", "--repetitions", "1", "--size", "0.001", "--out"])
        .arg(folder.path())
        .args(more)
        .output()
        .expect("the benchmark starts");
    assert_eq!(output.status.success(), folder.path().join("scaling.json").exists());
    output
}

#[test]
fn a_right_answer_gives_figures() {
    let output = scaling(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("every answer was checked"));
}

#[test]
fn a_wrong_answer_gives_none() {
    let output = scaling(&["--falsify"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("S2 on 2 workers: the answer is wrong: it has 200 rows, not 201"), "{told}");
}
