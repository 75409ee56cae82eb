//! Files with bytes flipped, cut out and put in: whatever comes of one, it is told, and no row comes
//! out that was not there.
//!
//! `CORELANE_CASES` is the number of files, `CORELANE_SEED` chooses others than the usual ones.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use corelane_server::ErrorKind;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::Value;

use crate::harness::{Ended, Outcome, Setup, csv_lines, run};

const CASES: u32 = 300;
const ROWS: i64 = 30;
const COLUMNS: &str = "a BIGINT, b STRING, c DOUBLE";

/// One change to the bytes of a file; places are taken modulo its length.
#[derive(Clone, Debug)]
enum Change {
    Flip { place: usize, bit: u8 },
    Set { place: usize, byte: u8 },
    Cut { place: usize, length: usize },
    Insert { place: usize, bytes: Vec<u8> },
    Repeat { place: usize, from: usize, length: usize },
    End { place: usize },
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let within = |place: &usize| place % bytes.len();
        let until = |place: usize, length: &usize| place..bytes.len().min(place + length);
        match self {
            Change::Flip { place, bit } => {
                let place = within(place);
                bytes[place] ^= 1 << bit;
            }
            Change::Set { place, byte } => {
                let place = within(place);
                bytes[place] = *byte;
            }
            Change::Cut { place, length } => {
                let part = until(within(place), length);
                bytes.drain(part);
            }
            Change::Insert { place, bytes: new } => {
                let place = within(place);
                bytes.splice(place..place, new.iter().copied());
            }
            Change::Repeat { place, from, length } => {
                let (place, part) = (within(place), bytes[until(within(from), length)].to_vec());
                bytes.splice(place..place, part);
            }
            Change::End { place } => bytes.truncate(within(place)),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<usize>();
    let telling = proptest::sample::select(&b"\0\xff\x80\x7f\"{}[],:\\\n\r-+.9eEtfn "[..]);
    prop_oneof![
        3 => (place, 0u8..8).prop_map(|(place, bit)| Change::Flip { place, bit }),
        3 => (place, telling).prop_map(|(place, byte)| Change::Set { place, byte }),
        1 => (place, 1usize..9).prop_map(|(place, length)| Change::Cut { place, length }),
        1 => (place, proptest::collection::vec(any::<u8>(), 1..9)).prop_map(|(place, bytes)| Change::Insert { place, bytes }),
        1 => (place, any::<usize>(), 1usize..60).prop_map(|(place, from, length)| Change::Repeat { place, from, length }),
        1 => place.prop_map(|place| Change::End { place }),
    ]
}

fn texts() -> [&'static str; 5] {
    ["x", "é日本", "", "two words", "null"]
}

fn json() -> Vec<u8> {
    let line = |a: i64| format!("{{\"a\":{a},\"b\":\"{}\",\"c\":{}.5}}\n", texts()[(a % 5) as usize], a * 3);
    (0..ROWS).map(line).collect::<String>().into_bytes()
}

fn csv() -> Vec<u8> {
    let line = |a: i64| format!("{a},\"{}\",{}.5\n", texts()[(a % 5) as usize], a * 3);
    (0..ROWS).map(line).collect::<String>().into_bytes()
}

fn parquet() -> Vec<u8> {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(Int64Array::from_iter_values(0..ROWS))),
        ("b", Arc::new(StringArray::from_iter_values((0..ROWS).map(|a| texts()[(a % 5) as usize])))),
        ("c", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|a| a as f64 * 3.0 + 0.5)))),
    ];
    let rows = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(11)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).expect("known types");
    writer.write(&rows).expect("memory takes all");
    writer.into_inner().expect("memory takes all")
}

fn cases(changes_max: usize, check: impl Fn(Vec<Change>, Setup) -> Result<(), TestCaseError>) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u32>().expect("a number"));
    let config =
        Config { cases: number("CORELANE_CASES").unwrap_or(CASES), failure_persistence: None, ..Config::default() };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number("CORELANE_SEED").unwrap_or(0).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let setup = (1usize..3, proptest::sample::select(&[1usize, 7, 8192][..]));
    let all = (proptest::collection::vec(change(), 1..changes_max), setup);
    let checked = runner
        .run(&all, |(changes, (workers, batch_rows))| check(changes, Setup { workers, driver: "threads", batch_rows }));
    if let Err(error) = checked {
        panic!("{error}");
    }
}

/// What a script came to; a bug of ours is no way for it to end.
fn ended(setup: Setup, sql: &str) -> Result<Option<Outcome>, TestCaseError> {
    match run(setup, sql) {
        Ok(outcome) => Ok(Some(outcome)),
        Err(error) => {
            let kind = match &error {
                Ended::Statement(failure) => failure.kind,
                Ended::Job(error) => error.kind(),
            };
            prop_assert!(matches!(kind, ErrorKind::Io | ErrorKind::Data | ErrorKind::Invalid), "{kind:?}: {error}");
            Ok(None)
        }
    }
}

fn table(format: &str, path: &std::path::Path) -> String {
    super::table(COLUMNS, format, &path.display().to_string(), "'on-error' = 'skip'") + "SELECT * FROM t;"
}

/// What a line says of the columns, if it is an object at all; serde is the judge of that.
fn meant(line: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(line).ok().filter(Value::is_object)
}

/// Whether a value of JSON can be read as this cell of CSV.
fn agrees(value: &Value, cell: &str) -> bool {
    let unquoted = || {
        cell.strip_prefix('"')
            .and_then(|cell| cell.strip_suffix('"'))
            .map_or(cell.to_owned(), |cell| cell.replace("\"\"", "\""))
    };
    match value {
        Value::Null => cell.is_empty(),
        Value::String(text) => {
            *text == unquoted()
                || text.trim().parse::<f64>().ok().is_some_and(|number| Some(number) == cell.parse().ok())
        }
        Value::Number(number) => number.to_string() == unquoted() || number.as_f64() == cell.parse::<f64>().ok(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

#[test]
fn json_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.json");
    cases(8, |changes, setup| {
        let mut bytes = json();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        std::fs::write(&path, &bytes).expect("room for a file");
        let setup = Setup { workers: 1, ..setup };
        let Some(outcome) = ended(setup, &table("json", &path))? else { return Ok(()) };
        let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        let count = lines.clone().count() as u64;
        let changelog: Vec<RecordBatch> = outcome.changelogs[0].iter().map(|batch| batch.rows().clone()).collect();
        let rows = csv_lines(&changelog);
        prop_assert_eq!(rows.len() as u64 + outcome.reports[0].bad_rows, count, "each line is a row or a bad row");
        for row in &rows {
            let cell = row.split(',').next().unwrap_or_default();
            let found = lines.any(|line| match meant(line) {
                Some(object) => agrees(object.get("a").unwrap_or(&Value::Null), cell),
                None => false,
            });
            prop_assert!(found, "no line says {row}\n{}", String::from_utf8_lossy(&bytes));
        }
        Ok(())
    });
}

#[test]
fn compressed_json_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.json.gz");
    let wanted: Vec<String> = csv_of_all();
    cases(6, |changes, setup| {
        let mut bytes = super::gzip(&json());
        changes.iter().for_each(|change| change.apply(&mut bytes));
        std::fs::write(&path, &bytes).expect("room for a file");
        // The checksum of gzip tells every change, but of the header; what is no gzip is bad rows.
        if let Some(outcome) = ended(setup, &table("json", &path))? {
            let rows = csv_lines(&outcome.results[0].1);
            prop_assert!(rows.is_empty() || rows == wanted, "{rows:?}");
        }
        Ok(())
    });
}

fn csv_of_all() -> Vec<String> {
    let cell = |text: &'static str| if text.is_empty() { "\"\"" } else { text };
    (0..ROWS).map(|a| format!("{a},{},{}.5", cell(texts()[(a % 5) as usize]), a * 3)).collect()
}

#[test]
fn csv_lines_of_fields() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.csv");
    cases(8, |changes, setup| {
        let mut bytes = csv();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        std::fs::write(&path, &bytes).expect("room for a file");
        let Some(outcome) = ended(setup, &table("csv", &path))? else { return Ok(()) };
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
        let report = &outcome.reports[0];
        prop_assert!(report.bad_rows != 0 || outcome.results[0].1.iter().all(|batch| batch.num_rows() as u64 <= lines));
        // Every cell of a row is somewhere in the file.
        for row in csv_lines(&outcome.results[0].1) {
            let first = row.split(',').next().unwrap_or_default().as_bytes();
            prop_assert!(first.is_empty() || bytes.windows(first.len()).any(|part| part == first), "{row}");
        }
        Ok(())
    });
}

#[test]
fn parquet_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.parquet");
    let whole = parquet();
    cases(3, |changes, setup| {
        let mut bytes = whole.clone();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        std::fs::write(&path, &bytes).expect("room for a file");
        ended(setup, &table("parquet", &path))?;
        ended(setup, &format!("SELECT * FROM '{}';", path.display()))?;
        Ok(())
    });
}

#[test]
fn sql_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("in.json");
    std::fs::write(&path, json()).expect("room for a file");
    let scripts = [
        "SELECT a, CAST(b AS INT) AS n, c * 2 FROM t WHERE a > 3 AND b LIKE 'x%' ORDER BY a LIMIT 3",
        "SELECT b, COUNT(*) FILTER (WHERE a > 2), SUM(DISTINCT c) FROM t GROUP BY b HAVING COUNT(*) > 1",
        "WITH w AS (SELECT a, CASE WHEN c IS NULL THEN 'x' ELSE `b` END AS q FROM t) SELECT q, MAX(a) FROM w GROUP BY q UNION ALL VALUES ('z', 1)",
        "SELECT DATE_FORMAT(TO_TIMESTAMP('2024-01-01 00:00:00'), 'yyyy'), JSON_VALUE('{\"a\":1}', '$.a'), SPLIT_INDEX(b, ',', 0) FROM t",
        "SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
    ];
    cases(4, |changes, setup| {
        let script = scripts[format!("{changes:?}").len() % scripts.len()];
        let mut bytes = script.as_bytes().to_vec();
        changes.iter().for_each(|change| change.apply(&mut bytes));
        let declared = super::table(COLUMNS, "json", &path.display().to_string(), "");
        ended(setup, &(declared + &String::from_utf8_lossy(&bytes)))?;
        Ok(())
    });
}
