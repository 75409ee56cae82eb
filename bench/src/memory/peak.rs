//! The most memory that a program had.
//!
//! The kernel keeps the peak of a process for whoever waits for it, and in it counts what the
//! process that started it had by then. Benchmarks have much. So this program starts itself, with
//! nothing to do but to start the other and to wait.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::arguments::PeakArguments;

/// Runs a program, gives its output to `read`, and says how many bytes it had at most.
///
/// # Errors
/// If it cannot be run or fails, or `read` does.
pub fn of(command: &[String], folder: &Path, read: &mut dyn FnMut(&mut dyn BufRead) -> Result<()>) -> Result<u64> {
    let this = std::env::current_exe().context("cannot tell where this program is")?;
    let peak = folder.join("peak");
    let mut starting = Command::new(this);
    starting.arg("peak").arg(&peak).arg("--").args(command).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut starter = starting.spawn().context("cannot start this program again")?;
    let out = starter.stdout.take().context("the program has no output")?;
    // Dropped before the end is waited for: a program that still writes must not wait for us.
    let read = read(&mut BufReader::with_capacity(1 << 20, out));
    let ended = starter.wait().context("cannot wait for the program")?;
    read?;
    ensure!(ended.success(), "{} failed", command[0]);
    let text = fs::read_to_string(&peak).with_context(|| format!("cannot read {}", peak.display()))?;
    text.trim().parse().with_context(|| format!("{text:?} is no number of bytes"))
}

/// Runs a program and writes down how many bytes it had at most.
///
/// # Errors
/// If it cannot be run or fails.
pub fn write(arguments: &PeakArguments) -> Result<()> {
    let [program, words @ ..] = arguments.command.as_slice() else { anyhow::bail!("there is no program to start") };
    let status = Command::new(program).args(words).status().with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program} ended with {status}");
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: zeros are such a struct, and the kernel fills it.
    let (told, usage) = unsafe { (libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()), usage.assume_init()) };
    ensure!(told == 0, "cannot tell how much memory {program} had: {}", io::Error::last_os_error());
    let bytes = usage.ru_maxrss as u64 * 1024;
    fs::write(&arguments.peak, bytes.to_string()).with_context(|| format!("cannot write {}", arguments.peak.display()))
}
