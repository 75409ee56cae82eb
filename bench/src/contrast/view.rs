//! How results of `contrast` are shown.
//!
//! Wall time is shown at every number of workers, and nothing is projected: a thread that waits
//! for a lock uses no CPU time, so CPU time would promise what a lock does not keep.

use crate::results::by_workers::{marks, workers_axis};
use crate::results::plot::{Axis, Panel, Plot, Series};
use crate::results::table::{Table, decimals, millions};
use crate::results::{Point, Results};

pub fn table(results: &Results) -> Table {
    let cpus = results.machine.cpus;
    let mut table = Table::new([
        "design",
        "rows of a batch",
        "workers",
        "M rows/s, wall",
        "times 1 worker",
        "CPU ns/row",
        "batches computed again",
        "futex calls per million rows",
    ]);
    for point in &results.points {
        let workers = point.workers().unwrap_or(1);
        let rate = point.median("rows_per_second");
        let alone = peers(results, point).find(|other| other.workers() == Some(1));
        let alone = alone.and_then(|other| other.median("rows_per_second"));
        let rows: Option<f64> = point.parameter("rows").and_then(|rows| rows.parse().ok());
        let batch_rows: Option<f64> = point.parameter("batch_rows").and_then(|rows| rows.parse().ok());
        let batches = rows.zip(batch_rows).map(|(rows, batch_rows)| rows / batch_rows);
        let again = point.median("repeated_batches").zip(batches).map(|(again, batches)| 100.0 * again / batches);
        let futexes = point.median("futex_calls").zip(rows).map(|(calls, rows)| calls * 1e6 / rows);
        let mark = |text: String| if cpus < workers { format!("({text})") } else { text };
        table.row([
            point.name.clone(),
            point.parameter("batch_rows").unwrap_or("-").to_owned(),
            workers.to_string(),
            mark(millions(rate)),
            mark(decimals(rate.zip(alone).map(|(rate, alone)| rate / alone), 2)),
            decimals(point.median("cpu_ns_per_row"), 2),
            decimals(again, 0) + " %",
            decimals(futexes, 1),
        ]);
    }
    table.note("S2: GROUP BY symbol, 5 aggregates, 200 symbols; the same batches for all, every answer checked.");
    table.note(results.measured_on());
    if results.points.iter().any(|point| point.workers().is_some_and(|workers| cpus < workers)) {
        table.note(format!("In brackets: wall time of more workers than the {cpus} CPUs."));
    }
    results.notes.iter().for_each(|note| table.note(note.clone()));
    table
}

/// Throughput above, CPU time below; a column for each size of batches.
pub fn plot(results: &Results) -> Plot {
    let mut sizes: Vec<&str> = results.points.iter().filter_map(|point| point.parameter("batch_rows")).collect();
    sizes.dedup();
    sizes.sort_by_key(|size| std::cmp::Reverse(size.parse::<u64>().unwrap_or(0)));
    sizes.dedup();
    let panel = |size: &&str, what: &str, label: &str, figure: &str, scale: f64| Panel {
        title: format!("{what}, batches of {size} rows"),
        x: workers_axis(results),
        y: Axis { label: label.to_owned(), ..Axis::default() },
        series: results
            .names()
            .into_iter()
            .map(|name| {
                let of_size = results.named(name).filter(|point| point.parameter("batch_rows") == Some(size));
                Series { name: name.to_owned(), marks: marks(of_size, figure, scale), dashed: false }
            })
            .collect(),
    };
    let rates = sizes.iter().map(|size| panel(size, "Throughput", "M rows/s, wall", "rows_per_second", 1e6));
    let times = sizes.iter().map(|size| panel(size, "CPU time of a row", "ns, all workers", "cpu_ns_per_row", 1.0));
    Plot {
        title: format!("S2 by what workers share, on {} CPUs ({})", results.machine.cpus, results.machine.cpu),
        panels: rates.chain(times).collect(),
        columns: sizes.len(),
    }
}

/// The points of the same design and the same batches.
fn peers<'a>(results: &'a Results, point: &'a Point) -> impl Iterator<Item = &'a Point> {
    results.named(&point.name).filter(|other| other.parameter("batch_rows") == point.parameter("batch_rows"))
}
