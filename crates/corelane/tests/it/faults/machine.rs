//! Machines that do not give what is asked: CPUs, locked memory, io_uring.

use std::process::Command;

use expect_test::expect;

use crate::program::{Place, in_child};

fn select(place: &Place, flags: &[&str]) -> Command {
    let mut command = place.command(&["run", "-c", "SELECT 1 AS a"]);
    command.args(flags);
    command
}

#[test]
fn more_workers_than_cpus() {
    let place = Place::new();
    let ran = place.run(select(&place, &["--cores", "0", "--workers", "5", "--driver", "threads"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a\n1\n"), "{}", ran.stderr);
    expect![[r#"
        note: 5 workers share CPU 0; they do not spin
    "#]]
    .assert_eq(&ran.stderr);
}

#[test]
fn a_cpu_that_is_not_there() {
    let place = Place::new();
    let ran = place.run(select(&place, &["--cores", "9999"]));
    assert_eq!(ran.code, 2);
    let (error, hint) = ran.stderr.split_once('\n').expect("two lines");
    expect!["error: --cores names CPU 9999, which this process may not use"].assert_eq(error);
    assert!(hint.starts_with("hint: it may use 0"), "{hint}");
}

/// Nobody may lock memory in this program.
fn without_locked_memory(command: &mut Command) {
    in_child(command, || {
        let limit = libc::rlimit { rlim_cur: 64 << 10, rlim_max: 64 << 10 };
        // SAFETY: a system call.
        let limited = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
        if limited == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    });
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Answers io_uring_setup with EPERM, as most containers do.
fn without_io_uring(command: &mut Command) {
    without(command, libc::SYS_io_uring_setup);
}

/// A ring can be set up, and nothing be done with it.
fn without_entering_io_uring(command: &mut Command) {
    without(command, libc::SYS_io_uring_enter);
}

fn without_binding(command: &mut Command) {
    without(command, libc::SYS_sched_setaffinity);
}

/// Answers a system call with EPERM.
fn without(command: &mut Command, call: libc::c_long) {
    const fn step(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code, jt, jf, k }
    }
    const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    // The number of the system call is the first word of what a filter sees.
    let filter = [
        step(LOAD, 0, 0, 0),
        step(JUMP_EQUAL, 0, 1, call as u32),
        step(RETURN, 0, 0, REFUSE),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    in_child(command, move || {
        let mut filter = filter;
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: the filter lives until the kernel has copied it.
        let filtered = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        if filtered { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    });
}

/// Runs on threads and says so in one line; refuses if glommio is insisted on; tells the doctor.
fn falls_back(forbid: fn(&mut Command), note: expect_test::Expect, refusal: expect_test::Expect) {
    let place = Place::new();
    let mut command = select(&place, &["--workers", "1"]);
    forbid(&mut command);
    let ran = place.run(command);
    note.assert_eq(&ran.stderr);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a\n1\n"));

    let mut command = select(&place, &["--workers", "1", "--driver", "glommio"]);
    forbid(&mut command);
    let ran = place.run(command);
    refusal.assert_eq(&ran.stderr);
    assert_eq!(ran.code, 4);

    let mut command = place.command(&["doctor"]);
    forbid(&mut command);
    let ran = place.run(command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (_, chosen) = ran.stdout.split_once("\nchosen\n").expect("what was chosen");
    assert!(chosen.contains("threads"), "{}", ran.stdout);
}

#[test]
fn too_little_locked_memory() {
    falls_back(
        without_locked_memory,
        expect![[r#"
        note: running on plain threads: only 64 KiB of memory may be locked and io_uring needs 512 (ulimit -l)
    "#]],
        expect![[r#"
        error: cannot start the glommio driver: only 64 KiB of memory may be locked and io_uring needs 512 (ulimit -l)
        hint: use --driver threads, or leave --driver out
    "#]],
    );
}

#[test]
fn io_uring_forbidden() {
    falls_back(
        without_io_uring,
        expect![[r#"
        note: running on plain threads: io_uring is not permitted (a container's seccomp profile, or kernel.io_uring_disabled)
    "#]],
        expect![[r#"
        error: cannot start the glommio driver: io_uring is not permitted (a container's seccomp profile, or kernel.io_uring_disabled)
        hint: use --driver threads, or leave --driver out
    "#]],
    );
}

#[test]
fn io_uring_that_may_not_be_entered() {
    let place = Place::new();
    if !place.run(place.command(&["doctor"])).stdout.contains("io_uring          allowed") {
        eprintln!("not tested: this machine has no io_uring to enter");
        return;
    }
    falls_back(
        without_entering_io_uring,
        expect![[r#"
        note: running on plain threads: io_uring is not permitted (a container's seccomp profile, or kernel.io_uring_disabled)
    "#]],
        expect![[r#"
        error: cannot start the glommio driver: io_uring is not permitted (a container's seccomp profile, or kernel.io_uring_disabled)
        hint: use --driver threads, or leave --driver out
    "#]],
    );
}

#[test]
fn threads_that_may_not_be_bound() {
    let place = Place::new();
    let mut command = select(&place, &["--workers", "2", "--driver", "threads"]);
    without_binding(&mut command);
    let ran = place.run(command);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a\n1\n"));
    let told = "workers are not pinned: threads may not be bound to CPUs (sched_setaffinity is refused)";
    let lines: Vec<&str> =
        ran.stderr.lines().filter(|line| line.contains("pinned") || line.contains("bound")).collect();
    assert_eq!(lines, [format!("note: {told}")], "{}", ran.stderr);

    let mut command = place.command(&["doctor"]);
    without_binding(&mut command);
    let ran = place.run(command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("binding to CPUs   refused"), "{}", ran.stdout);
    assert!(ran.stdout.contains("0: not pinned"), "{}", ran.stdout);
    assert!(ran.stdout.contains("  - workers run unpinned: threads may not be bound"), "{}", ran.stdout);
    assert!(ran.stdout.contains("driver            threads"), "{}", ran.stdout);
}
