//! Runs of a scenario, interleaved, and what is told of them.
//!
//! A machine has phases: another guest wakes up, a clock steps down. So numbers of workers take
//! turns (A B A B), and medians are reported. Where workers outnumber the CPUs, wall time says
//! nothing about them; CPU time for each row still does, and that is said.

use anyhow::{Context, Result};

use crate::arguments::Measured;
use crate::measure::run;
use crate::results::table::{Table, decimals, millions};
use crate::results::{Point, Results};
use crate::scenario::{Scenario, Size};

/// Runs a scenario at each number of workers and adds a point for each.
///
/// # Errors
/// If a run fails or gives a wrong answer.
pub fn measure(results: &mut Results, make: &dyn Fn(Size) -> Result<Scenario>, measured: &Measured) -> Result<()> {
    let mut scenarios = Vec::new();
    for workers in &measured.workers {
        let scenario = make(Size { rows: measured.rows, workers: *workers })?;
        let point = Point::new(scenario.name).with("workers", workers).with("rows", scenario.rows);
        scenarios.push((scenario, *workers, point));
    }
    for _ in 0..measured.repetitions {
        for (scenario, workers, point) in &mut scenarios {
            let run = run(scenario, *workers).with_context(|| format!("{} on {workers} workers", scenario.name))?;
            let (rows_per_second, cpu_ns_per_row) = (run.rows_per_second(), run.cpu_ns_per_row());
            eprintln!(
                "{}, {workers} workers: {:.1} M rows/s, {cpu_ns_per_row:.2} ns CPU a row",
                scenario.name,
                rows_per_second / 1e6,
            );
            point.record("rows_per_second", rows_per_second);
            point.record("cpu_ns_per_row", cpu_ns_per_row);
            point.record("process_cpu_ns_per_row", run.process_cpu_ns_per_row());
            point.parameters.insert("driver".to_owned(), run.driver.to_owned());
        }
    }
    results.points.extend(scenarios.into_iter().map(|(_, _, point)| point));
    Ok(())
}

/// Throughput and CPU time of every point that has a number of workers.
pub fn table(results: &Results) -> Table {
    let cpus = results.machine.cpus;
    let mut table = Table::new(["benchmark", "workers", "rows", "M rows/s", "CPU ns/row", "M rows/s per CPU-second"]);
    for point in &results.points {
        let workers = point.workers().unwrap_or(1);
        let wall = millions(point.median("rows_per_second"));
        let cpu_ns = point.median("cpu_ns_per_row");
        table.row([
            point.name.clone(),
            workers.to_string(),
            point.parameter("rows").unwrap_or("-").to_owned(),
            if workers > cpus { format!("({wall})") } else { wall },
            decimals(cpu_ns, 2),
            millions(cpu_ns.map(|ns| 1e9 / ns)),
        ]);
    }
    let runs = results.points.iter().flat_map(|point| point.figures.values()).map(|figure| figure.runs().len()).max();
    table.note(format!("Medians of {} interleaved runs; answers checked.", runs.unwrap_or(0)));
    table.note(results.measured_on());
    if results.points.iter().any(|point| point.workers().is_some_and(|workers| workers > cpus)) {
        table.note("In brackets: more workers than CPUs, so wall time says nothing.");
    }
    table
}
