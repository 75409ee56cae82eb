//! Random SQL over random data: the stream's folded result is the batch answer of DataFusion, and
//! its changelog is exact.
//!
//! `CORELANE_CASES` is the number of tables, `CORELANE_SEED` chooses others than the usual ones,
//! `CORELANE_SETUPS` is on how many setups each is run (24 are all).

mod changelog;
mod choices;
mod data;
mod dialects;
mod groups;
mod oracle;
mod overs;
mod query;
mod values;
mod windows;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use self::choices::Choices;
use self::data::Table;
use self::query::Query;
use crate::harness::{Setup, csv_lines, run, setups};

const CASES: u32 = 150;
const SETUPS: usize = 3;

/// How many cases in a hundred have to be compared; the oracle refuses the others.
const COMPARED_PERCENT: usize = 95;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Some of the setups, or all.
fn chosen(choices: &mut Choices) -> Vec<Setup> {
    let mut all = setups(&[2, 1, 4, 8], &[7, 1, 8192]);
    let count = number("CORELANE_SETUPS").map_or(SETUPS, |count| count as usize).min(all.len());
    (0..count).map(|_| all.remove(choices.below(all.len()))).collect()
}

/// How cases ended.
#[derive(Debug, Default)]
struct Tally {
    compared: usize,
    /// By reason.
    dropped: BTreeMap<String, usize>,
}

impl Tally {
    fn drop(&mut self, reason: &str) {
        *self
            .dropped
            .entry(reason.chars().filter(|letter| !letter.is_ascii_digit()).take(120).collect())
            .or_default() += 1;
    }

    fn check(&self) {
        let dropped: usize = self.dropped.values().sum();
        eprintln!("{} cases compared, {dropped} dropped: {:#?}", self.compared, self.dropped);
        let enough = self.compared * 100 >= (self.compared + dropped) * COMPARED_PERCENT;
        assert!(enough, "of {} cases {dropped} could not be compared: {:#?}", self.compared + dropped, self.dropped);
    }
}

/// Runs a query on each setup and compares it. Gives the reason where it cannot be compared: the
/// engine refuses it by name, or says that a number is out of range, which the oracle's wider types
/// do not.
fn check(
    folder: &Path,
    table: &Table,
    query: &Query,
    setups: &[Setup],
    wanted: &[String],
) -> Result<Option<&'static str>, TestCaseError> {
    let script = table.declaration(folder) + &query.views + &query.sql.ours + ";";
    let mut known: Option<Vec<String>> = None;
    for setup in setups {
        let fail = |what: String| {
            let (views, sql) = (&query.views, &query.sql);
            TestCaseError::fail(format!(
                "{what}\non {setup}, {:?}, {:?}\n{views}{}\noracle: {}",
                table.format, table.layout, sql.ours, sql.oracle
            ))
        };
        let ran = catch_unwind(|| run(*setup, &script)).map_err(|_| fail("a panic".to_owned()))?;
        let outcome = match ran {
            Ok(outcome) => outcome,
            Err(error) if error.to_string().contains("out of range") => return Ok(Some("out of range")),
            Err(error) if error.to_string().contains("is not supported yet") => return Ok(Some("not supported yet")),
            Err(error) => return Err(fail(error.to_string())),
        };
        let (report, (_, batches)) = (&outcome.reports[0], &outcome.results[0]);
        if report.late_rows + report.bad_rows != 0 {
            return Err(fail(format!("{} late rows, {} bad rows", report.late_rows, report.bad_rows)));
        }
        let mut found = match query.sorted {
            // As it came: the fold has an order of its own.
            true => oracle::text(&outcome.changelogs[0].iter().map(|batch| batch.rows().clone()).collect::<Vec<_>>()),
            false => oracle::text(batches),
        };
        if !query.sorted {
            found.sort();
        }
        if found != wanted {
            let missing: Vec<_> = wanted.iter().filter(|row| !found.contains(row)).take(3).collect();
            let extra: Vec<_> = found.iter().filter(|row| !wanted.contains(row)).take(3).collect();
            let counts = format!("{} rows and not {}", found.len(), wanted.len());
            return Err(fail(format!("{counts}\nmissing: {missing:#?}\ntoo many: {extra:#?}")));
        }
        let mut lines = csv_lines(batches);
        lines.sort();
        let filtered = query.sql.ours.contains(" HAVING ");
        changelog::check(&outcome.changelogs[0], &lines, filtered).map_err(fail)?;
        if known.get_or_insert_with(|| lines.clone()) != &lines {
            return Err(fail("the setups differ in their text".to_owned()));
        }
    }
    Ok(None)
}

#[test]
fn streams_answer_as_batches_do() {
    let cases = number("CORELANE_CASES").map_or(CASES, |cases| u32::try_from(cases).expect("a number of cases"));
    let seed = number("CORELANE_SEED").unwrap_or(0);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut seed_bytes = [0; 32];
    seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let numbers = proptest::collection::vec(any::<u16>(), 0..160);
    let tally = RefCell::new(Tally::default());
    let result = runner.run(&(data::table(), numbers), |(table, numbers)| {
        let mut choices = Choices::new(&numbers);
        let setups = chosen(&mut choices);
        let query = query::query(&mut choices, table.unique);
        let mut wanted = match oracle::answer(&table.batch(), &query.sql.oracle) {
            Ok(batches) => oracle::text(&batches),
            // DataFusion has limits and faults of its own: what it refuses, it cannot check.
            Err(reason) => {
                tally.borrow_mut().drop(&reason);
                return Ok(());
            }
        };
        if !query.sorted {
            wanted.sort();
        }
        let folder = tempfile::tempdir().expect("a folder");
        table.write(folder.path());
        match check(folder.path(), &table, &query, &setups, &wanted)? {
            None => tally.borrow_mut().compared += 1,
            Some(reason) => tally.borrow_mut().drop(reason),
        }
        Ok(())
    });
    match result {
        Ok(()) => tally.borrow().check(),
        Err(TestError::Fail(reason, (table, _))) => {
            let rows: String = table.rows.iter().take(20).map(|row| format!("{row:?}\n")).collect();
            panic!("{reason}\n{rows}of {} rows, unique {}, {} files", table.rows.len(), table.unique, table.files);
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}
