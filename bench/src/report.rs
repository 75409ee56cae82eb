//! Runs of a scenario, interleaved, and what is told of them.
//!
//! A machine has phases: another guest wakes up, a clock steps down. So numbers of workers take
//! turns (A B A B), and medians are reported. Where workers outnumber the CPUs, wall time says
//! nothing about them; CPU time for each row still does, and that is said.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::arguments::Measured;
use crate::measure::{Run, run};
use crate::scenario::{Scenario, Size};

/// All runs of one scenario on one number of workers.
struct Point {
    name: &'static str,
    workers: usize,
    runs: Vec<Run>,
}

impl Point {
    fn median(&self, of: impl Fn(&Run) -> f64) -> f64 {
        let mut values: Vec<f64> = self.runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    }

    fn rows(&self) -> u64 {
        self.runs[0].rows
    }
}

#[derive(Default)]
pub struct Report {
    points: Vec<Point>,
    cpus: usize,
}

impl Report {
    pub fn new() -> Self {
        Report { points: Vec::new(), cpus: std::thread::available_parallelism().map_or(1, usize::from) }
    }

    /// # Errors
    /// If a run fails or gives a wrong answer.
    pub fn measure(&mut self, make: &dyn Fn(Size) -> Result<Scenario>, measured: &Measured) -> Result<()> {
        let mut scenarios = Vec::new();
        for workers in &measured.workers {
            let scenario = make(Size { rows: measured.rows, workers: *workers })?;
            let point = Point { name: scenario.name, workers: *workers, runs: Vec::new() };
            scenarios.push((scenario, point));
        }
        for _ in 0..measured.repetitions {
            for (scenario, point) in &mut scenarios {
                let workers = point.workers;
                let run = run(scenario, workers).with_context(|| format!("{} on {workers} workers", scenario.name))?;
                eprintln!(
                    "{}, {workers} workers: {:.1} M rows/s, {:.2} ns CPU a row",
                    scenario.name,
                    run.rows_per_second() / 1e6,
                    run.cpu_ns_per_row()
                );
                point.runs.push(run);
            }
        }
        self.points.extend(scenarios.into_iter().map(|(_, point)| point));
        Ok(())
    }

    /// Keeps one run of a benchmark on a number of workers.
    pub fn add(&mut self, name: &'static str, workers: usize, run: Run) {
        eprintln!(
            "{name}, {workers} workers: {:.1} M rows/s, {:.2} ns CPU a row",
            run.rows_per_second() / 1e6,
            run.cpu_ns_per_row()
        );
        match self.points.iter_mut().find(|point| point.name == name && point.workers == workers) {
            Some(point) => point.runs.push(run),
            None => self.points.push(Point { name, workers, runs: vec![run] }),
        }
    }

    fn cells(&self, point: &Point) -> [String; 6] {
        let millions = |rows_per_second: f64| format!("{:.1}", rows_per_second / 1e6);
        let cpu_ns = point.median(Run::cpu_ns_per_row);
        let wall = millions(point.median(Run::rows_per_second));
        [
            point.name.to_owned(),
            point.workers.to_string(),
            point.rows().to_string(),
            if point.workers > self.cpus { format!("({wall})") } else { wall },
            format!("{cpu_ns:.2}"),
            millions(1e9 / cpu_ns),
        ]
    }

    const HEAD: [&str; 6] = ["benchmark", "workers", "rows", "M rows/s", "CPU ns/row", "M rows/s per CPU-second"];

    fn footnote(&self) -> String {
        let runs = self.points.iter().map(|point| point.runs.len()).max().unwrap_or(0);
        let mut note =
            format!("Medians of {runs} interleaved runs on {} CPUs ({}); answers checked.", self.cpus, cpu_model());
        if self.points.iter().any(|point| point.workers > self.cpus) {
            note += " In brackets: more workers than CPUs, so wall time says nothing.";
        }
        note
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = line(&Report::HEAD.map(str::to_owned)) + "|---|--:|--:|--:|--:|--:|\n";
        text.extend(self.points.iter().map(|point| line(&self.cells(point))));
        format!("{text}\n{}\n", self.footnote())
    }

    pub fn text(&self) -> String {
        let rows: Vec<[String; 6]> = std::iter::once(Report::HEAD.map(str::to_owned))
            .chain(self.points.iter().map(|point| self.cells(point)))
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let mut text = String::new();
        for row in &rows {
            for (column, cell) in row.iter().enumerate() {
                let width = width(column);
                text += &if column == 0 { format!("{cell:width$}") } else { format!("  {cell:>width$}") };
            }
            text.push('\n');
        }
        format!("{text}{}\n", self.footnote())
    }

    /// Every run, and what it ran on.
    pub fn json(&self) -> Value {
        let run = |run: &Run| {
            let workers = run.workers.iter().map(|(rows, cpu_ns)| json!({"rows": rows, "cpu_ns": cpu_ns}));
            json!({
                "elapsed_ns": run.elapsed.as_nanos() as u64,
                "driver": run.driver,
                "workers": workers.collect::<Vec<_>>(),
            })
        };
        let point = |point: &Point| {
            json!({
                "benchmark": point.name,
                "workers": point.workers,
                "rows": point.rows(),
                "rows_per_second": point.median(Run::rows_per_second),
                "cpu_ns_per_row": point.median(Run::cpu_ns_per_row),
                "runs": point.runs.iter().map(run).collect::<Vec<_>>(),
            })
        };
        json!({
            "machine": {
                "cpu": cpu_model(),
                "cpus": self.cpus,
                "kernel": first_line("/proc/sys/kernel/osrelease"),
            },
            "commit": std::env::var("CORELANE_BENCH_COMMIT").ok(),
            "flags": std::env::args().skip(1).collect::<Vec<_>>(),
            "optimised": !cfg!(debug_assertions),
            "points": self.points.iter().map(point).collect::<Vec<_>>(),
        })
    }
}

fn first_line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.to_owned())
}
