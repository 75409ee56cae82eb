//! Random SQL over random data: the stream's folded result is the batch answer of DataFusion.
//!
//! `CORELANE_CASES` is the number of tables, `CORELANE_SEED` chooses others than the usual ones.

mod choices;
mod data;
mod oracle;
mod query;

use std::panic::catch_unwind;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use self::choices::Choices;
use self::data::Table;
use self::query::Sql;
use crate::harness::{Setup, csv_lines, drivers, run};

const CASES: u32 = 150;
const SETUPS: usize = 3;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn setup(choices: &mut Choices) -> Setup {
    let workers = *choices.one_of(&[2, 1, 4]);
    let driver = *choices.one_of(drivers());
    Setup { workers, driver, batch_rows: *choices.one_of(&[7, 1, 8192]) }
}

fn check(folder: &Path, table: &Table, sql: &Sql, setups: &[Setup]) -> Result<(), TestCaseError> {
    // DataFusion has limits and faults of its own: what it refuses, it cannot check.
    let wanted = oracle::answer(&table.batch(), &sql.oracle).map_err(TestCaseError::reject)?;
    let wanted = oracle::sorted_text(&wanted);
    let script = table.declaration(folder) + &sql.ours + ";";
    let mut known: Option<Vec<String>> = None;
    for setup in setups {
        let fail = |what: String| {
            TestCaseError::fail(format!("{what}\non {setup}, {:?}\n{}\noracle: {}", table.format, sql.ours, sql.oracle))
        };
        let ran = catch_unwind(|| run(*setup, &script)).map_err(|_| fail("a panic".to_owned()))?;
        let outcome = ran.map_err(|error| fail(error.to_string()))?;
        let (report, (_, batches)) = (&outcome.reports[0], &outcome.results[0]);
        if report.late_rows + report.bad_rows != 0 {
            return Err(fail(format!("{} late rows, {} bad rows", report.late_rows, report.bad_rows)));
        }
        let found = oracle::sorted_text(batches);
        if found != wanted {
            let missing: Vec<_> = wanted.iter().filter(|row| !found.contains(row)).take(3).collect();
            let extra: Vec<_> = found.iter().filter(|row| !wanted.contains(row)).take(3).collect();
            let counts = format!("{} rows and not {}", found.len(), wanted.len());
            return Err(fail(format!("{counts}\nmissing: {missing:#?}\ntoo many: {extra:#?}")));
        }
        let mut lines = csv_lines(batches);
        lines.sort();
        if known.get_or_insert_with(|| lines.clone()) != &lines {
            return Err(fail("the setups differ in their text".to_owned()));
        }
    }
    Ok(())
}

#[test]
fn streams_answer_as_batches_do() {
    let cases = number("CORELANE_CASES").map_or(CASES, |cases| u32::try_from(cases).expect("a number of cases"));
    let seed = number("CORELANE_SEED").unwrap_or(0);
    let config = Config { cases, failure_persistence: None, max_global_rejects: cases / 5 + 10, ..Config::default() };
    let mut seed_bytes = [0; 32];
    seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let numbers = proptest::collection::vec(any::<u16>(), 0..160);
    let result = runner.run(&(data::table(), numbers), |(table, numbers)| {
        let mut choices = Choices::new(&numbers);
        let setups: Vec<Setup> = (0..SETUPS).map(|_| setup(&mut choices)).collect();
        let sql = query::query(&mut choices, table.unique);
        let folder = tempfile::tempdir().expect("a folder");
        table.write(folder.path());
        check(folder.path(), &table, &sql, &setups)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, (table, _))) => {
            let rows: String = table.rows.iter().take(20).map(|row| format!("{row:?}\n")).collect();
            panic!("{reason}\n{rows}of {} rows, unique {}, {} files", table.rows.len(), table.unique, table.files);
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
