//! Nexmark's queries over bids in memory, one job at a time.
//!
//! The queries are those that the program's own tests run; the batch engine's are those that
//! `bench/peers` runs. For each number of workers a query runs once with its result collected
//! and checked, and only then, into a blackhole, for its time.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use corelane_connectors::blackhole::BlackholeSpec;
use corelane_server::{JobReport, Session};

use crate::arguments::NexmarkArguments;
use crate::bids::{Bids, TABLE};
use crate::engine::{finish, refused, session};
use crate::measure::{Run, execute, fold};
use crate::oracle::BatchAnswer;
use crate::results::{Point, Results};
use crate::scaling::counters::process_cpu_ns;

/// One query of the suite.
pub struct Query {
    pub name: &'static str,
    /// As a stream.
    sql: &'static str,
    /// As a batch, for DataFusion.
    batch_sql: &'static str,
}

macro_rules! query {
    ($name:literal, $file:literal) => {
        Query {
            name: $name,
            sql: include_str!(concat!("../../crates/corelane/tests/nexmark/", $file, ".sql")),
            batch_sql: include_str!(concat!("../peers/datafusion/", $name, ".sql")),
        }
    };
}

/// The queries that read nothing but bids. q12 is on event time: on the clock it has no fixed answer.
pub const QUERIES: &[Query] = &[
    query!("q0", "q0"),
    query!("q1", "q1"),
    query!("q2", "q2"),
    query!("q5c", "q5c"),
    query!("q7m", "q7m"),
    query!("q10", "q10"),
    query!("q12", "q12e"),
    query!("q14", "q14"),
    query!("q15", "q15"),
    query!("q16", "q16"),
    query!("q17", "q17"),
    query!("q21", "q21"),
    query!("q22", "q22"),
];

/// # Errors
/// If there is no such query.
pub fn query(name: &str) -> Result<&'static Query> {
    let names = || QUERIES.iter().map(|query| query.name).collect::<Vec<_>>().join(", ");
    QUERIES
        .iter()
        .find(|query| query.name == name)
        .with_context(|| format!("there is no query {name:?} among {}", names()))
}

/// # Errors
/// If a query fails or its answer is wrong.
pub fn measure(arguments: &NexmarkArguments) -> Result<Results> {
    let names: Vec<&str> = match &arguments.queries[..] {
        [] => QUERIES.iter().map(|query| query.name).collect(),
        names => names.iter().map(String::as_str).collect(),
    };
    let queries = names.into_iter().map(query).collect::<Result<Vec<_>>>()?;
    let bids = Bids::generate(arguments.events)?;
    let ns_per_event = bids.made_in.as_nanos() as f64 / bids.events as f64;
    let mut results = Results::new("nexmark");
    let rows = bids.rows();
    results.notes.push(format!(
        "Rows are bids: {rows} of {} events, made in {ns_per_event:.0} ns of CPU time each.",
        bids.events
    ));
    for query in queries {
        let points = measure_query(query, &bids, arguments);
        results.points.extend(points.with_context(|| query.name)?);
    }
    Ok(results)
}

fn measure_query(query: &Query, bids: &Bids, arguments: &NexmarkArguments) -> Result<Vec<Point>> {
    let answer = BatchAnswer::to(query.batch_sql, "bid", &bids.batches)?;
    let mut points = Vec::new();
    for workers in &arguments.workers {
        check(query, bids, &answer, *workers).with_context(|| format!("on {workers} workers"))?;
        points.push((*workers, Point::new(query.name).with("workers", workers).with("rows", bids.rows())));
    }
    // What the answer occupies would stand in the caches beside what is measured.
    drop(answer);
    for _ in 0..arguments.repetitions {
        for (workers, point) in &mut points {
            let run = time(query, bids, *workers).with_context(|| format!("on {workers} workers"))?;
            let (rows_per_second, cpu_ns) = (run.rows_per_second(), run.cpu_ns_per_row());
            let name = query.name;
            eprintln!("{name}, {workers} workers: {:.1} M rows/s, {cpu_ns:.2} ns CPU a row", rows_per_second / 1e6);
            point.record("rows_per_second", rows_per_second);
            point.record("cpu_ns_per_row", cpu_ns);
            point.record("process_cpu_ns_per_row", run.process_cpu_ns_per_row());
            point.parameters.insert("driver".to_owned(), run.driver.to_owned());
        }
    }
    Ok(points.into_iter().map(|(_, point)| point).collect())
}

fn over(bids: &Bids, workers: usize) -> Result<Session> {
    let mut session = session(workers, &[])?;
    session.create_table(TABLE, Arc::new(bids.dealt(workers)?)).map_err(refused)?;
    Ok(session)
}

fn check(query: &Query, bids: &Bids, answer: &BatchAnswer, workers: usize) -> Result<()> {
    let mut session = over(bids, workers)?;
    let Some(job) = execute(&mut session, query.sql)? else { bail!("the query gave no job") };
    let schema = job.schema().context("the query has no result")?;
    let (result, report) = fold(job)?;
    complete(&report, bids)?;
    answer.check(&result, &schema).map(drop)
}

/// One run into a blackhole.
fn time(query: &Query, bids: &Bids, workers: usize) -> Result<Run> {
    let mut session = over(bids, workers)?;
    let began_cpu_ns = process_cpu_ns();
    let job = session.query_into(query.sql, Arc::new(BlackholeSpec)).map_err(refused)?;
    let report = finish(job)?;
    complete(&report, bids)?;
    Ok(Run::of(&report, began_cpu_ns))
}

fn complete(report: &JobReport, bids: &Bids) -> Result<()> {
    ensure!(report.rows_in == bids.rows(), "the job read {} rows of {}", report.rows_in, bids.rows());
    ensure!(report.late_rows == 0 && report.bad_rows == 0, "rows came late or were bad");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_is_not_there_is_named_with_those_that_are() {
        let error = query("q99").err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("there is no query \"q99\" among q0, q1,"), "{error}");
    }

    #[test]
    fn every_query_has_the_batch_engines_answer() {
        let bids = Bids::generate(20_000).unwrap();
        for query in QUERIES {
            let answer = BatchAnswer::to(query.batch_sql, "bid", &bids.batches).unwrap();
            for workers in [1, 3] {
                check(query, &bids, &answer, workers).unwrap_or_else(|error| panic!("{}: {error:#}", query.name));
            }
        }
    }

    #[test]
    fn a_wrong_answer_is_no_figure() {
        let bids = Bids::generate(20_000).unwrap();
        let (q2, q0) = (query("q2").unwrap(), query("q0").unwrap());
        let answer =
            BatchAnswer::to("SELECT auction, price + 1 FROM bid WHERE auction % 123 = 0", "bid", &bids.batches);
        let error = check(q2, &bids, &answer.unwrap(), 2).unwrap_err().to_string();
        assert!(error.starts_with("the answer is wrong"), "{error}");
        let fewer = BatchAnswer::to(q0.batch_sql, "bid", &bids.batches[1..]).unwrap();
        assert!(check(q0, &bids, &fewer, 2).is_err());
    }
}
