//! What the built program costs when nothing happens, and how soon it gives its first row.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::arguments::IdleArguments;
use crate::results::table::{Table, duration};
use crate::results::{Point, Results};

/// Rows of the file whose first row is waited for.
const SMALL_ROWS: usize = 100;

/// What a job takes to settle before its idling is measured.
const SETTLING: Duration = Duration::from_secs(1);

/// # Errors
/// If the program cannot be run or gives wrong rows.
pub fn measure(arguments: &IdleArguments) -> Result<Results> {
    let program = program(arguments.program.as_deref())?;
    let folder = tempfile::tempdir().context("cannot make a directory for the input")?;
    let input = folder.path().join("rows.csv");
    let rows: String = (0..SMALL_ROWS).map(|row| format!("{row},{}\n", row * 2)).collect();
    fs::write(&input, rows).with_context(|| format!("cannot write {}", input.display()))?;

    let mut results = Results::new("idle");
    let mut first_row = Point::new("start to first row").with("rows", SMALL_ROWS);
    for _ in 0..arguments.starts {
        first_row.record("first_row_ns", start_to_first_row(&program, &input)?.as_nanos() as f64);
    }
    results.points.push(first_row);
    let mut following = Point::new("following a file that does not grow").with("rows", SMALL_ROWS);
    following.record("cpu_share", idle_share(&program, &input, Duration::from_secs_f64(arguments.seconds))?);
    results.points.push(following);
    Ok(results)
}

/// Time to the first row, and the share of a CPU at rest.
pub fn table(results: &Results) -> Table {
    let mut table = Table::new(["what", "p50", "p99", "max", "share of a CPU"]);
    for point in &results.points {
        let starts = point.figures.get("first_row_ns");
        let mut sorted = starts.map(|figure| figure.runs().to_vec()).unwrap_or_default();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)));
        let share = point.median("cpu_share").map(|share| share * 100.0);
        table.row([
            point.name.clone(),
            duration(at(0.5).copied()),
            duration(at(0.99).copied()),
            duration(sorted.last().copied()),
            share.map_or_else(|| "-".to_owned(), |share| format!("{share:.3} %")),
        ]);
    }
    let starts = results.points.iter().flat_map(|point| point.figures.values()).map(|figure| figure.runs().len()).max();
    table.note(format!("{} starts.", starts.unwrap_or(0)));
    table.note(results.measured_on());
    table
}

/// The program to measure.
///
/// # Errors
/// If it is not there.
pub fn program(given: Option<&Path>) -> Result<PathBuf> {
    let program = given.map_or_else(program_beside_this, |given| Ok(given.to_owned()))?;
    ensure!(program.is_file(), "there is no program at {}; build it, or say --program", program.display());
    Ok(program)
}

/// Where a build of the whole workspace puts the program.
///
/// # Errors
/// If this program cannot tell where it is itself.
pub fn program_beside_this() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot tell where this program is")?;
    Ok(this.with_file_name("corelane"))
}

fn script(input: &Path, options: &str) -> String {
    format!(
        "CREATE TABLE numbers (a BIGINT, b BIGINT) WITH ('connector' = 'filesystem', 'path' = '{}', \
         'format' = 'csv'{options}); SELECT a, b FROM numbers WHERE a >= 0",
        input.display()
    )
}

fn start(program: &Path, script: &str) -> Result<Running> {
    let mut command = Command::new(program);
    command.args(["run", "--format", "csv", "-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.stderr(Stdio::null()).spawn();
    Ok(Running(child.with_context(|| format!("cannot start {}", program.display()))?))
}

/// From before the process is made until its first row has been read.
fn start_to_first_row(program: &Path, input: &Path) -> Result<Duration> {
    let begin = Instant::now();
    let mut running = start(program, &script(input, ""))?;
    let mut out = running.0.stdout.take().context("the program has no output")?;
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    let mut first_row = None;
    loop {
        let count = out.read(&mut chunk).context("cannot read what the program prints")?;
        read.extend_from_slice(&chunk[..count]);
        // The first line is the head.
        if first_row.is_none() && read.iter().filter(|byte| **byte == b'\n').count() >= 2 {
            first_row = Some(begin.elapsed());
        }
        if count == 0 {
            break;
        }
    }
    let ended = running.0.wait().context("cannot wait for the program")?;
    ensure!(ended.success(), "the program ended with {ended}");
    let lines = read.iter().filter(|byte| **byte == b'\n').count();
    ensure!(lines == SMALL_ROWS + 1, "the program printed {lines} lines and not {}", SMALL_ROWS + 1);
    first_row.context("the program gave no row")
}

/// The share of one CPU that a job takes which has nothing to do.
fn idle_share(program: &Path, input: &Path, look: Duration) -> Result<f64> {
    let running = start(program, &script(input, ", 'source.monitor-interval' = '1 s'"))?;
    std::thread::sleep(SETTLING);
    let (cpu, begin) = (running.cpu_ns()?, Instant::now());
    std::thread::sleep(look);
    let (used, elapsed) = (running.cpu_ns()?.saturating_sub(cpu), begin.elapsed());
    Ok(used as f64 / elapsed.as_nanos() as f64)
}

/// A process that ends with this.
struct Running(Child);

impl Running {
    fn cpu_ns(&self) -> Result<u64> {
        crate::cpu_time::of_process(self.0.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
