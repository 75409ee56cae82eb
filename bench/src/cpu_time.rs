//! CPU time of a process, by the kernel's own account in nanoseconds.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// CPU time of all threads of a process that live now.
///
/// # Errors
/// If there is no such process, or the kernel keeps no account of scheduling.
pub fn of_process(id: u32) -> Result<u64> {
    let folder = format!("/proc/{id}/task");
    let threads = fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))?;
    // A thread may end while they are listed.
    let times: Vec<u64> = threads.flatten().filter_map(|thread| of_thread(&thread.path()).ok()).collect();
    ensure!(!times.is_empty(), "process {id} has no account of its CPU time");
    Ok(times.iter().sum())
}

fn of_thread(folder: &Path) -> Result<u64> {
    let path = folder.join("schedstat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let first = text.split_whitespace().next().and_then(|word| word.parse().ok());
    first.with_context(|| format!("{} has no CPU time", path.display()))
}

/// CPU time of the calling thread, exact at every instant.
pub fn of_this_thread() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists in every Linux, and `time` is a timespec of ours that outlives the call.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert!(status == 0, "every thread has a clock of its CPU time");
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
