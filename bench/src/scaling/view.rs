//! How results of `scaling` are shown.
//!
//! What was measured and what is only computed are kept apart: where workers outnumber the CPUs, or
//! share them with other programs, wall time says nothing, and what is shown is called a projection. It is what
//! the rows would take if each worker had a CPU of its own and its CPU time stayed the same,
//! which leaves out what more CPUs would fight for (memory bandwidth, shared caches).

use super::workload::{WORKLOADS, Workload};
use crate::results::by_workers::{marks, workers_axis};
use crate::results::plot::{Axis, Panel, Plot, Series};
use crate::results::table::{Table, decimals, duration, millions};
use crate::results::{Figure, Point, Results};

/// Throughput and CPU time.
pub fn table(results: &Results) -> Table {
    let cpus = results.machine.cpus;
    let mut table = Table::new([
        "scenario",
        "workers",
        "M rows/s",
        "M rows/s per worker",
        "times 1 worker",
        "CPU ns/row",
        "CPU ns/row, against 1 worker",
        "against 2 workers",
    ]);
    let mut projected = false;
    for point in &results.points {
        let workers = point.workers().unwrap_or(1);
        // What was projected is compared with what is projected for one worker, not with its wall time.
        let had_cpus = had_cpus(point, cpus);
        let rate_of = if had_cpus { "rows_per_second" } else { "projected_rows_per_second" };
        let rate = point.median(rate_of);
        projected |= !had_cpus;
        let mark = |text: String| if had_cpus { text } else { format!("({text})") };
        let cpu_ns = point.median("cpu_ns_per_row");
        let against = |base: usize, figure: &str| {
            let base = results.named(&point.name).find(|point| point.workers() == Some(base))?;
            Some(point.median(figure)? / base.median(figure)?)
        };
        let cpu_against = |base| decimals(against(base, "cpu_ns_per_row"), 2);
        table.row([
            point.name.clone(),
            workers.to_string(),
            mark(millions(rate)),
            mark(millions(rate.map(|rate| rate / workers as f64))),
            mark(decimals(against(1, rate_of), 2)),
            decimals(cpu_ns, 2),
            cpu_against(1),
            cpu_against(2),
        ]);
    }
    for workload in named_workloads(results) {
        table.note(format!("{}: {}.", workload.name, workload.what));
    }
    table.note(format!("Medians of {} interleaved runs; every answer was checked against DataFusion.", runs(results)));
    table.note(results.measured_on());
    if projected {
        table.note(format!(
            "In brackets, a projection and not a measurement, because there were {cpus} CPUs for more workers or other \
             programs kept them busy: what the busiest worker's CPU time allows if each worker has a CPU to itself."
        ));
    }
    let cores = results.machine.cores;
    if 0 < cores && cores < cpus {
        table.note(format!("More than {cores} workers share cores: two hardware threads of one are not two cores."));
    }
    results.notes.iter().for_each(|note| table.note(note.clone()));
    table
}

/// All else that was measured.
pub fn details(results: &Results) -> Table {
    let mut table = Table::new([
        "scenario",
        "workers",
        "rows",
        "M rows/s, wall: least to greatest",
        "CPU ns/row, all workers: least to greatest",
        "CPU ns per own row, busiest worker",
        "CPU ns/row, whole process",
        "futex calls",
        "ring hops",
        "rows per hop",
        "hop p50 / p99",
        "latency p50 / p99 / p99.99",
        "peak memory, MB",
        "of it the run's, MB",
        "other CPUs busy",
    ]);
    for point in &results.points {
        let rows: Option<f64> = point.parameter("rows").and_then(|rows| rows.parse().ok());
        let of = |figure: &str| point.median(figure);
        let hops = of("ring_hops").filter(|hops| *hops > 0.0);
        let spread = |figure: &str, scale: f64| {
            let figure = point.figures.get(figure);
            let (least, greatest) = (figure.and_then(Figure::least), figure.and_then(Figure::greatest));
            let text = |value: Option<f64>| decimals(value.map(|value| value / scale), 1);
            format!("{} to {}", text(least), text(greatest))
        };
        let durations = |names: &[&str]| {
            let told: Vec<String> = names.iter().map(|name| duration(of(name))).collect();
            told.join(" / ")
        };
        table.row([
            point.name.clone(),
            point.workers().unwrap_or(1).to_string(),
            decimals(rows, 0),
            spread("rows_per_second", 1e6),
            spread("cpu_ns_per_row", 1.0),
            decimals(of("busiest_worker_cpu_ns_per_own_row"), 2),
            decimals(of("process_cpu_ns_per_row"), 2),
            decimals(of("futex_calls"), 0),
            decimals(of("ring_hops"), 0),
            decimals(rows.zip(hops).map(|(rows, hops)| rows / hops), 0),
            if hops.is_some() { durations(&["hop_p50_ns", "hop_p99_ns"]) } else { "-".to_owned() },
            durations(&["latency_p50_ns", "latency_p99_ns", "latency_p9999_ns"]),
            decimals(of("peak_rss_bytes").map(|bytes| bytes / 1e6), 0),
            decimals(of("rss_growth_bytes").map(|bytes| bytes / 1e6), 0),
            decimals(of("other_cpus_busy"), 2),
        ]);
    }
    table.note(
        "Latency is from the source to the sink, by batch, under full load: queues are full, so it is not what a stream \
         at a rate below the maximum sees. Peak memory has the input in it.",
    );
    table.note("Other CPUs busy: how many CPUs other programs kept busy meanwhile.");
    table.note(results.measured_on());
    results.notes.iter().for_each(|note| table.note(note.clone()));
    table
}

/// A panel for each scenario's throughput, and one for the CPU time of them all.
pub fn plot(results: &Results) -> Plot {
    let cpus = results.machine.cpus;
    let mut panels = Vec::new();
    for name in results.names() {
        let throughput = |what: &str, figure: &str, included: &dyn Fn(&Point) -> bool, dashed: bool| {
            let points = results.named(name).filter(|point| included(point));
            Series { name: what.to_owned(), marks: marks(points, figure, 1e6), dashed }
        };
        panels.push(Panel {
            title: format!("{name}: {}", title(name)),
            x: workers_axis(results),
            y: Axis { label: "M rows/s".to_owned(), ..Axis::default() },
            series: vec![
                throughput("measured", "rows_per_second", &|point| had_cpus(point, cpus), false),
                throughput("projected from CPU time", "projected_rows_per_second", &|_| true, true),
            ],
        });
    }
    let of_scenario = |name: &&str| Series {
        name: (*name).to_owned(),
        marks: marks(results.named(name), "cpu_ns_per_row", 1.0),
        dashed: false,
    };
    panels.push(Panel {
        title: "CPU time of a row".to_owned(),
        x: workers_axis(results),
        y: Axis { label: "ns, all workers".to_owned(), ..Axis::default() },
        series: results.names().iter().map(of_scenario).collect(),
    });
    Plot { title: format!("Scaling on {cpus} CPUs ({})", results.machine.cpu), panels, columns: 3 }
}

/// Whether each worker could have a CPU to itself all the time, so that wall time tells of the engine.
fn had_cpus(point: &Point, cpus: usize) -> bool {
    /// Of a CPU, what the system itself and a measurement's own other threads may take.
    const OTHERS_MAX: f64 = 0.1;
    let enough = point.workers().is_some_and(|workers| workers <= cpus);
    enough && point.median("other_cpus_busy").is_none_or(|busy| busy <= OTHERS_MAX * cpus as f64)
}

fn title(name: &str) -> &'static str {
    match name {
        "S0" => "filter, project",
        "S1" => "AVG over last 100 rows",
        "S2" => "GROUP BY symbol",
        "S3a" => "TUMBLE by trader, symbol",
        "S3b" => "the same, EMIT CHANGES",
        _ => "",
    }
}

fn named_workloads(results: &Results) -> impl Iterator<Item = &'static Workload> {
    let names: Vec<String> = results.names().into_iter().map(str::to_owned).collect();
    WORKLOADS.iter().filter(move |workload| names.iter().any(|name| name == workload.name))
}

fn runs(results: &Results) -> usize {
    let figures = results.points.iter().flat_map(|point| point.figures.values());
    figures.map(|figure| figure.runs().len()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Build, Machine};

    fn point(workers: usize, rate: f64, busy: f64) -> Point {
        let mut point = Point::new("S2").with("workers", workers).with("rows", 1_000);
        point.record("rows_per_second", rate);
        point.record("projected_rows_per_second", workers as f64 * 60e6);
        point.record("cpu_ns_per_row", 16.0);
        point.record("other_cpus_busy", busy);
        point
    }

    fn results(points: Vec<Point>) -> Results {
        let machine =
            Machine { cpu: "a CPU".to_owned(), cpus: 2, cores: 2, kernel: "6.0".to_owned(), memory_bytes: 1 << 30 };
        let build = Build { commit: "c0ffee".to_owned(), profile: "dist".to_owned() };
        Results { benchmark: "scaling".to_owned(), machine, build, flags: Vec::new(), notes: Vec::new(), points }
    }

    #[test]
    fn what_is_projected_is_in_brackets_and_explained() {
        let measured = point(2, 100e6, 0.05);
        let shown = table(&results(vec![point(1, 50e6, 0.0), measured, point(4, 90e6, 0.0)])).text();
        assert!(shown.contains(" 100 ") && shown.contains("(240)") && shown.contains("(4.00)"), "{shown}");
        assert!(shown.contains("a projection and not a measurement"), "{shown}");
    }

    #[test]
    fn wall_time_of_a_busy_machine_is_not_shown() {
        let shown = table(&results(vec![point(1, 3e6, 1.9)])).text();
        assert!(shown.contains("(60.0)") && !shown.contains("3.00"), "{shown}");
        let quiet = table(&results(vec![point(1, 50e6, 0.1)])).text();
        assert!(!quiet.contains("projection"), "{quiet}");
    }
}
