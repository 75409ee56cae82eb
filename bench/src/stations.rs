//! Lowest, mean and highest temperature by station, from one file of `station;temperature` lines.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::answer::{Answer, Expected};
use crate::market_data::Trades;
use crate::scenario::{Input, Scenario, Size};

const QUERY: &str = "SELECT station, MIN(temperature), AVG(temperature), MAX(temperature) \
                     FROM measurements GROUP BY station";

const STATIONS: u64 = 413;

/// Parts of which names are made: from 4 to 21 letters, as places have.
const HEADS: [&str; 21] = [
    "Aber", "Bel", "Cas", "Dun", "El", "Fair", "Gros", "Hoch", "Ista", "Jer", "Kil", "Los ", "Mar", "New ", "Ost",
    "Port ", "Que", "Ros", "San ", "Tam", "Upper ",
];
const TAILS: [&str; 20] = [
    "by",
    "ville",
    "burg",
    "ton",
    "dale",
    "ham",
    "mouth",
    "ford",
    "castle",
    "field",
    "haven",
    "stadt",
    "grad",
    "pur",
    "chester",
    "hill",
    "minster",
    "bridge",
    "wick",
    "landstrassen",
];

/// Tenths of a degree, as they are written.
#[derive(Clone, Copy)]
struct Totals {
    count: u64,
    sum: i64,
    least: i64,
    greatest: i64,
}

fn name(station: u64) -> String {
    let (head, tail) = (station as usize / TAILS.len(), station as usize % TAILS.len());
    format!("{}{}", HEADS[head], TAILS[tail])
}

/// Writes the file and says what the query must give.
///
/// # Errors
/// If the file cannot be written.
pub fn scenario(size: Size, keep: Option<&Path>) -> Result<Scenario> {
    let directory = tempfile::tempdir().context("cannot make a directory for the input")?;
    let path = keep.map_or_else(|| directory.path().join("measurements.txt"), Path::to_path_buf);
    let expected = write(&path, size.rows)?;
    Ok(Scenario {
        name: "stations",
        table: format!(
            "CREATE TABLE measurements (station STRING, temperature DOUBLE) \
             WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'csv.field-delimiter' = ';')",
            path.display()
        ),
        input: Input::File(directory),
        query: QUERY,
        keys: 1,
        rows: size.rows,
        expected,
    })
}

fn write(path: &PathBuf, rows: u64) -> Result<Answer> {
    let cannot = || format!("cannot write {}", path.display());
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).with_context(cannot)?);
    let names: Vec<String> = (0..STATIONS).map(name).collect();
    let mut totals = vec![Totals { count: 0, sum: 0, least: i64::MAX, greatest: i64::MIN }; names.len()];
    let mut random = Trades::new(0);
    for _ in 0..rows {
        let station = random.number(STATIONS) as usize;
        // Means far from zero: a sum of doubles that cancel each other has no digits to compare.
        let tenths = random.number(1_200) as i64 - 200;
        let totals = &mut totals[station];
        totals.count += 1;
        totals.sum += tenths;
        totals.least = totals.least.min(tenths);
        totals.greatest = totals.greatest.max(tenths);
        let sign = if tenths < 0 { "-" } else { "" };
        let (degrees, tenth) = (tenths.abs() / 10, tenths.abs() % 10);
        writeln!(out, "{};{sign}{degrees}.{tenth}", names[station]).with_context(cannot)?;
    }
    out.flush().with_context(cannot)?;
    let degrees = |tenths: i64| tenths as f64 / 10.0;
    let row = |(name, totals): (&String, &Totals)| {
        let mean = degrees(totals.sum) / totals.count as f64;
        let values = [Expected::Exact(degrees(totals.least)), Expected::Near(mean)];
        (vec![name.clone()], [&values[..], &[Expected::Exact(degrees(totals.greatest))]].concat())
    };
    Ok(Answer(names.iter().zip(&totals).filter(|(_, totals)| totals.count > 0).map(row).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_stations_share_a_name() {
        let names: std::collections::BTreeSet<String> = (0..STATIONS).map(name).collect();
        assert_eq!(names.len() as u64, STATIONS);
    }
}
