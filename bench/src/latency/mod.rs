//! How long a row takes from source to sink, under a load that does not wait for the engine.
//!
//! Row `i` is due at a time that is fixed before the run begins. Where the engine falls behind,
//! rows that are due wait in the source, and their wait counts: clocking them from when they were
//! read would leave out just those delays that hurt (coordinated omission). The query goes
//! through an exchange and a window, and the sink knows for every row of a window's running count
//! when it was due, so each row is clocked by itself and none is left out.

mod clocked;
mod load;
mod schedule;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use corelane_server::JobReport;
use hdrhistogram::Histogram;

use crate::arguments::LatencyArguments;
use crate::engine::{finish, refused, session};
use crate::results::plot::{Axis, Mark, Panel, Plot, Scale, Series};
use crate::results::table::{Table, duration, millions};
use crate::results::{Point, Results};
use clocked::ClockedSpec;
use load::{LoadSpec, Pace};
use schedule::Schedule;

/// A millisecond has many rows: event time has passed it only when one of the next has come.
const TABLE: &str =
    "CREATE TABLE load (k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND)";

/// The running count of a window changes with every row, so every row shows at the sink.
const QUERY: &str = "SELECT k, window_start, COUNT(*), SUM(v) \
                     FROM TABLE(TUMBLE(TABLE load, DESCRIPTOR(ts), INTERVAL '1' SECOND)) \
                     GROUP BY k, window_start, window_end EMIT CHANGES";

/// Rows a second of event time where the rate that can be reached is not known yet.
const NOMINAL_RATE: f64 = 5e6;

/// The shares below which latencies are told, and the names of their figures.
const QUANTILES: [(f64, &str); 4] = [(0.5, "p50_ns"), (0.99, "p99_ns"), (0.999, "p999_ns"), (0.9999, "p9999_ns")];

/// # Errors
/// If a job fails or rows are missing at its end.
pub fn measure(arguments: &LatencyArguments) -> Result<Results> {
    let mut results = Results::new("latency");
    results.notes.push("Each row is clocked from when it was due to when the sink had it.".to_owned());
    for workers in &arguments.workers {
        let workers = *workers;
        let about = |what: &str| format!("{what} on {workers} workers");
        let rows = (arguments.rows / workers as u64).max(1);
        let (report, _) = run(workers, Schedule::new(NOMINAL_RATE / workers as f64, rows), Pace::AtOnce)
            .with_context(|| about("the most"))?;
        let most = report.rows_in as f64 / report.elapsed.as_secs_f64();
        for load in &arguments.loads {
            let rate = most * load;
            let rows = (rate * arguments.seconds / workers as f64).ceil() as u64;
            let schedule = Schedule::new(rate / workers as f64, rows.max(1));
            let (report, latency) =
                run(workers, schedule, Pace::WhenDue).with_context(|| about(&format!("a load of {load}")))?;
            let mut point = Point::new(format!("{:.0} % of the most", load * 100.0)).with("workers", workers);
            point = point.with("load", load).with("driver", report.driver);
            point.record("rows", report.rows_in as f64);
            point.record("rate_rows_per_second", rate);
            point.record("most_rows_per_second", most);
            for (share, name) in QUANTILES {
                point.record(name, latency.value_at_quantile(share) as f64);
            }
            point.record("max_ns", latency.max() as f64);
            let p99 = duration(point.median("p99_ns"));
            eprintln!("{workers} workers, {:.2} M rows/s of {:.2} M: p99 {p99}", rate / 1e6, most / 1e6);
            results.points.push(point);
        }
    }
    Ok(results)
}

fn run(workers: usize, schedule: Schedule, pace: Pace) -> Result<(JobReport, Histogram<u64>)> {
    let load = LoadSpec::new(schedule, workers, pace);
    let sink = ClockedSpec::new(schedule, load.start());
    let latency = sink.latency();
    let mut session = session(workers, &[])?;
    session.create_table(TABLE, Arc::new(load)).map_err(refused)?;
    let job = session.query_into(QUERY, Arc::new(sink)).map_err(refused)?;
    let report = finish(job)?;
    let latency = latency.take();
    let wanted = schedule.rows() * workers as u64;
    ensure!(latency.len() == wanted, "the answer is wrong: {} rows reached the sink, not {wanted}", latency.len());
    Ok((report, latency))
}

/// Rates and latencies of each load.
pub fn table(results: &Results) -> Table {
    let mut table = Table::new(["load", "workers", "M rows/s", "the most", "p50", "p99", "p99.9", "p99.99", "max"]);
    for point in &results.points {
        let told = |figure: &str| duration(point.median(figure));
        table.row([
            point.name.clone(),
            point.parameter("workers").unwrap_or("-").to_owned(),
            millions(point.median("rate_rows_per_second")),
            millions(point.median("most_rows_per_second")),
            told("p50_ns"),
            told("p99_ns"),
            told("p999_ns"),
            told("p9999_ns"),
            told("max_ns"),
        ]);
    }
    results.notes.iter().for_each(|note| table.note(note.clone()));
    table.note(results.measured_on());
    table
}

/// Latency against load, a panel for each number of workers.
pub fn plot(results: &Results) -> Plot {
    let mut workers: Vec<usize> = results.points.iter().filter_map(Point::workers).collect();
    workers.sort_unstable();
    workers.dedup();
    let figures = QUANTILES.iter().map(|(_, name)| *name).chain(["max_ns"]);
    let labels = ["p50", "p99", "p99.9", "p99.99", "max"];
    let panel = |workers: usize| {
        let points: Vec<&Point> = results.points.iter().filter(|point| point.workers() == Some(workers)).collect();
        let series = figures.clone().zip(labels).map(|(figure, label)| Series {
            name: label.to_owned(),
            marks: points.iter().filter_map(|point| mark(point, figure)).collect(),
            dashed: false,
        });
        Panel {
            title: if workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") },
            x: Axis { label: "share of the greatest rate, %".to_owned(), ..Axis::default() },
            y: Axis { label: "milliseconds".to_owned(), scale: Scale::Logarithmic, ticks: Vec::new() },
            series: series.collect(),
        }
    };
    let panels: Vec<Panel> = workers.into_iter().map(panel).collect();
    Plot { title: "From due to the sink".to_owned(), columns: panels.len().min(2), panels }
}

fn mark(point: &Point, figure: &str) -> Option<Mark> {
    let load: f64 = point.parameter("load")?.parse().ok()?;
    let figure = point.figures.get(figure)?;
    let ms = |ns: Option<f64>| ns.map(|ns| ns / 1e6);
    Some(Mark {
        x: load * 100.0,
        y: ms(figure.median())?,
        least: ms(figure.least())?,
        greatest: ms(figure.greatest())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_clocked() {
        for workers in [1, 3] {
            for pace in [Pace::AtOnce, Pace::WhenDue] {
                // A run checks that no row is missing.
                let (report, latency) = run(workers, Schedule::new(1e6, 30_001), pace).unwrap();
                assert_eq!((report.rows_in, latency.len()), (30_001 * workers as u64, 30_001 * workers as u64));
            }
        }
    }
}
