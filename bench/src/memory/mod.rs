//! The most memory that the built program takes: on a file much larger than that, and with many keys.
//!
//! What is promised of it are bars, and a run above one fails like one with a wrong answer.

pub mod peak;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::answer::{Answer, Key};
use crate::arguments::MemoryArguments;
use crate::idle::program;
use crate::market_data::{BySymbol, QUERY, Trades};
use crate::results::table::{Table, decimals};
use crate::results::{Point, Results};
use crate::text_files::TextFormat;

const WORKERS: &str = "2";

/// What a query over a file may take, however long the file is.
const FILE_PEAK_BYTES_MAX: u64 = 512_000_000;

/// What three aggregates of ten million keys may take, with the fold of their changelog.
const KEYS_PEAK_BYTES_MAX: u64 = 2_000_000_000;

/// Rows of each key.
const ROWS_PER_KEY: u64 = 2;

/// # Errors
/// If the program cannot be run, gives a wrong answer, or takes more memory than it may.
pub fn measure(arguments: &MemoryArguments) -> Result<Results> {
    let program = program(arguments.program.as_deref())?;
    let folder = tempfile::tempdir().context("cannot make a directory for the input")?;
    let mut results = Results::new("memory");
    results.points.push(long_file(&program, arguments, folder.path())?);
    results.points.push(many_keys(&program, arguments.keys, folder.path())?);
    for point in &results.points {
        let (peak, most) = (point.median("peak_rss_bytes"), point.median("peak_rss_bytes_max"));
        ensure!(peak <= most, "{} took {} MB and may take {}", point.name, megabytes(peak), megabytes(most));
    }
    Ok(results)
}

/// What each query took, and what it may.
pub fn table(results: &Results) -> Table {
    let mut table = Table::new(["query", "input", "workers", "peak memory, MB", "of at most, MB"]);
    for point in &results.points {
        table.row([
            point.name.clone(),
            point.parameter("input").unwrap_or("-").to_owned(),
            point.parameter("workers").unwrap_or("-").to_owned(),
            megabytes(point.median("peak_rss_bytes")),
            megabytes(point.median("peak_rss_bytes_max")),
        ]);
    }
    table.note("The most that was resident, as the kernel counts it for the process; answers checked.");
    table.note(results.measured_on());
    table
}

fn megabytes(bytes: Option<f64>) -> String {
    decimals(bytes.map(|bytes| bytes / 1e6), 0)
}

fn point(name: &str, input: String, peak_bytes: u64, peak_bytes_max: u64) -> Point {
    let mut point = Point::new(name).with("workers", WORKERS).with("input", input);
    point.record("peak_rss_bytes", peak_bytes as f64);
    point.record("peak_rss_bytes_max", peak_bytes_max as f64);
    point
}

fn long_file(program: &Path, arguments: &MemoryArguments, folder: &Path) -> Result<Point> {
    let path = arguments.file.clone().unwrap_or_else(|| folder.join("market_data.json"));
    let (expected, rows) = trades(&path, (arguments.json_gb * 1e9) as u64)?;
    let script = format!("{}; {QUERY}", TextFormat::Json.table(&path));
    let mut found = BTreeMap::new();
    let peak_bytes = peak::of(&run(program, &script), folder, &mut |out| {
        for line in out.lines().skip(1) {
            let (key, values) = row(&line.context("cannot read what the program prints")?)?;
            ensure!(found.insert(key, values).is_none(), "the answer is wrong: a symbol is there twice");
        }
        Ok(())
    })?;
    expected.check_rows(&found)?;
    let input = format!("{:.3} GB of JSON lines, {rows} rows", fs::metadata(&path)?.len() as f64 / 1e9);
    Ok(point("five aggregates by symbol", input, peak_bytes, FILE_PEAK_BYTES_MAX))
}

fn run(program: &Path, script: &str) -> Vec<String> {
    let words = ["run", "--workers", WORKERS, "--format", "csv", "-c", script];
    std::iter::once(program.display().to_string()).chain(words.map(str::to_owned)).collect()
}

/// Makes the file unless it is there; says what the query must give, and how many rows there are.
fn trades(path: &Path, bytes: u64) -> Result<(Answer, u64)> {
    let told = || format!("cannot write {}", path.display());
    let written = fs::metadata(path).ok().map(|file| file.len());
    let mut out: Box<dyn Write> = match written {
        // The same lines go nowhere: what they add up to is wanted.
        Some(_) => Box::new(io::sink()),
        None => Box::new(BufWriter::with_capacity(1 << 20, File::create(path).with_context(told)?)),
    };
    let (mut totals, mut rows, mut length) = (BySymbol::default(), 0, 0);
    let mut line = Vec::new();
    for trade in Trades::new(0) {
        if bytes <= length {
            break;
        }
        line.clear();
        TextFormat::Json.write(&mut line, rows, &trade)?;
        out.write_all(&line).with_context(told)?;
        totals.add(&trade);
        rows += 1;
        length += line.len() as u64;
    }
    out.flush().with_context(told)?;
    ensure!(
        written.is_none_or(|written| written == length),
        "{} is not the file that this makes: remove it, or give --json-gb as when it was made",
        path.display()
    );
    Ok((totals.answer(1), rows))
}

/// A line of the result: the column that names it, and its numbers.
fn row(line: &str) -> Result<(Key, Vec<f64>)> {
    let mut cells = line.split(',');
    let key = cells.next().unwrap_or_default().to_owned();
    let values = cells.map(|cell| cell.parse().with_context(|| format!("the answer is wrong: {cell:?} is no number")));
    Ok((vec![key], values.collect::<Result<_>>()?))
}

fn many_keys(program: &Path, keys: u64, folder: &Path) -> Result<Point> {
    let rows = keys * ROWS_PER_KEY;
    let script = format!(
        "CREATE TABLE numbers (a BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '0', 'number-of-rows' = '{rows}', \
         'fields.a.kind' = 'sequence', 'fields.a.start' = '1', 'fields.a.end' = '{rows}'); \
         SELECT MOD(a, {keys}) AS k, COUNT(*) AS n, SUM(a) AS s, SUM(CAST(a AS DOUBLE) / 2) AS d FROM numbers \
         GROUP BY MOD(a, {keys})"
    );
    let mut totals = KeyTotals::default();
    let peak_bytes = peak::of(&run(program, &script), folder, &mut |out| {
        out.lines().skip(1).try_for_each(|line| totals.add(&line.context("cannot read what the program prints")?, keys))
    })?;
    totals.check(keys)?;
    Ok(point(
        "COUNT, SUM of BIGINT, SUM of DOUBLE",
        format!("{keys} keys, {rows} rows"),
        peak_bytes,
        KEYS_PEAK_BYTES_MAX,
    ))
}

/// The result as it streams by: too long to be kept here.
#[derive(Default)]
struct KeyTotals {
    rows: u64,
    sum: u64,
}

impl KeyTotals {
    fn add(&mut self, line: &str, keys: u64) -> Result<()> {
        let wrong = || format!("the answer is wrong: {line:?}");
        let cells = line.split(',').map(str::parse::<f64>).collect::<Result<Vec<_>, _>>().with_context(wrong)?;
        let &[key, count, sum, halves] = cells.as_slice() else { anyhow::bail!(wrong()) };
        // The numbers that leave `key`: `key` itself, unless that is 0, and those that come `keys` later.
        let first = if key == 0.0 { keys } else { key as u64 };
        let expected = (0..ROWS_PER_KEY).map(|turn| first + turn * keys).sum::<u64>();
        let right = key < keys as f64
            && count == ROWS_PER_KEY as f64
            && sum == expected as f64
            && halves == expected as f64 / 2.0;
        ensure!(right, "{}", wrong());
        self.rows += 1;
        self.sum += expected;
        Ok(())
    }

    /// Every row was right: that none is there twice or missing shows in their number and sum.
    fn check(&self, keys: u64) -> Result<()> {
        let rows = keys * ROWS_PER_KEY;
        let sum = rows * (rows + 1) / 2;
        ensure!(self.rows == keys, "the answer is wrong: it has {} rows and not {keys}", self.rows);
        ensure!(self.sum == sum, "the answer is wrong: its sum is {} and not {sum}", self.sum);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_keys_are_checked() {
        let check = |lines: &[&str]| -> Result<()> {
            let mut totals = KeyTotals::default();
            lines.iter().try_for_each(|line| totals.add(line, 3))?;
            totals.check(3)
        };
        let told = |lines: &[&str]| check(lines).map_err(|error| error.to_string());
        assert_eq!(told(&["1,2,5,2.5", "0,2,9,4.5", "2,2,7,3.5"]), Ok(()));
        let wrong = |text: &str| Err(format!("the answer is wrong: {text}"));
        assert_eq!(told(&["1,2,5,2.5", "0,2,9,4.5"]), wrong("it has 2 rows and not 3"));
        assert_eq!(told(&["1,2,5,2.5", "0,2,9,4.5", "1,2,5,2.5"]), wrong("its sum is 19 and not 21"));
        for line in ["1,1,5,2.5", "1,2,4,2.5", "1,2,5,2", "3,2,9,4.5", "1,2,5", "x,2,5,2.5"] {
            assert_eq!(told(&[line]), wrong(&format!("{line:?}")));
        }
    }

    #[test]
    fn a_file_is_made_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("in.json");
        let (first, rows) = trades(&path, 10_000).expect("written");
        let length = fs::metadata(&path).expect("it is there").len();
        assert!((10_000..10_100).contains(&length), "{length}");
        let (again, rows_again) = trades(&path, 10_000).expect("it is the same");
        assert_eq!((format!("{first:?}"), rows), (format!("{again:?}"), rows_again));
        let other = trades(&path, 20_000).expect_err("it is another").to_string();
        assert!(other.ends_with("remove it, or give --json-gb as when it was made"), "{other}");
    }
}
