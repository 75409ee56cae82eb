//! Corelane beside other engines, from the results that `bench/peers/run.py` leaves.

use crate::results::table::{Table, decimals, millions};
use crate::results::{Point, Results};

const FIGURE: &str = "rows_per_cpu_second";

/// Engines that see all rows at once.
const BATCH_ENGINES: [&str; 3] = ["duckdb", "polars", "datafusion"];

/// Million rows per CPU-second of each engine, and how many times that of others ours is.
pub fn table(results: &Results) -> Table {
    let mut engines: Vec<&str> = Vec::new();
    for engine in results.points.iter().filter_map(|point| point.parameter("engine")) {
        if !engines.contains(&engine) {
            engines.push(engine);
        }
    }
    engines.sort_by_key(|engine| (*engine != "corelane", *engine != "flink", *engine));
    let heads = ["query"].into_iter().chain(engines.iter().copied()).chain(["to flink", "to the best batch engine"]);
    let mut table = Table { head: heads.map(str::to_owned).collect(), ..Table::default() };
    for name in results.names() {
        let of = |engine: &str| {
            let point = |point: &&Point| point.parameter("engine") == Some(engine);
            results.named(name).find(point).and_then(|point| point.median(FIGURE))
        };
        let ours = of("corelane");
        let ratio = |other: Option<f64>| decimals(ours.zip(other).map(|(ours, other)| ours / other), 2);
        let best = BATCH_ENGINES.iter().filter_map(|engine| of(engine)).max_by(f64::total_cmp);
        let cells = engines.iter().map(|engine| millions(of(engine)));
        table
            .rows
            .push(std::iter::once(name.to_owned()).chain(cells).chain([ratio(of("flink")), ratio(best)]).collect());
    }
    table.note("Million rows per CPU-second of the whole process, on one worker or thread; medians.");
    results.notes.iter().for_each(|note| table.note(note.clone()));
    table.note(results.measured_on());
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_flink_and_to_the_best_of_the_others() {
        let mut results = Results::new("peers");
        for (engine, rate) in [("polars", 2e6), ("corelane", 10e6), ("flink", 0.5e6), ("duckdb", 8e6)] {
            let mut point = Point::new("q0").with("engine", engine);
            point.record(FIGURE, rate);
            results.points.push(point);
        }
        let Table { head, rows, .. } = table(&results);
        assert_eq!(head, ["query", "corelane", "flink", "duckdb", "polars", "to flink", "to the best batch engine"]);
        assert_eq!(rows, [["q0", "10.0", "0.50", "8.00", "2.00", "20.00", "1.25"]]);
    }
}
