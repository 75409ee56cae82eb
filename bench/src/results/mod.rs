//! What a benchmark found, as it is kept under `bench/results`.
//!
//! One form for all benchmarks: points, each with a name, the parameters it was measured with and
//! its figures; beside them the machine, the build and the flags, without which a figure means
//! nothing. Tables and plots are made from these files alone (`corelane-bench render`), so that no
//! figure is ever copied by hand.

pub mod by_workers;
mod machine;
pub mod plot;
pub mod statistics;
pub mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

pub use machine::{Machine, cpus_in_order, value_in as kernel_value};
pub use statistics::Figure;

/// All of one benchmark, measured on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    pub benchmark: String,
    pub machine: Machine,
    pub build: Build,
    /// The command line, without the program.
    pub flags: Vec<String>,
    /// What a reader must know: one sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
    pub points: Vec<Point>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    pub commit: String,
    /// Cargo's profile: `dist` for figures that are kept.
    pub profile: String,
}

impl Build {
    /// This very program.
    pub fn this() -> Build {
        Build { commit: env!("BUILD_COMMIT").to_owned(), profile: env!("BUILD_PROFILE").to_owned() }
    }
}

/// One thing measured in one way, several times.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What was measured: a scenario, a query.
    pub name: String,
    /// With what: `workers` = `2`, `engine` = `corelane`.
    pub parameters: BTreeMap<String, String>,
    /// By name, which ends in the unit: `rows_per_second`, `cpu_ns_per_row`, `peak_rss_bytes`.
    pub figures: BTreeMap<String, Figure>,
}

impl Point {
    pub fn new(name: impl Into<String>) -> Point {
        Point { name: name.into(), ..Point::default() }
    }

    pub fn with(mut self, parameter: &str, value: impl ToString) -> Point {
        self.parameters.insert(parameter.to_owned(), value.to_string());
        self
    }

    /// Adds what one run measured.
    pub fn record(&mut self, figure: &str, value: f64) {
        self.figures.entry(figure.to_owned()).or_default().push(value);
    }

    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The number of workers, for the points that have one.
    pub fn workers(&self) -> Option<usize> {
        self.parameter("workers")?.parse().ok()
    }

    /// The median of a figure.
    pub fn median(&self, figure: &str) -> Option<f64> {
        self.figures.get(figure).and_then(Figure::median)
    }
}

impl Results {
    /// Empty results of this program on this machine.
    pub fn new(benchmark: &str) -> Results {
        Results {
            benchmark: benchmark.to_owned(),
            machine: Machine::this(),
            build: Build::this(),
            flags: std::env::args().skip(1).collect(),
            notes: Vec::new(),
            points: Vec::new(),
        }
    }

    /// The points of one name, in the order in which they were measured.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Point> {
        self.points.iter().filter(move |point| point.name == name)
    }

    /// The names of the points, each once, in order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for point in &self.points {
            if !names.contains(&point.name.as_str()) {
                names.push(&point.name);
            }
        }
        names
    }

    /// # Errors
    /// If the file cannot be read or is no result of a benchmark.
    pub fn read(path: &Path) -> Result<Results> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| anyhow!("{} holds no results: {error}", path.display()))
    }

    /// Writes `FOLDER/BENCHMARK.json`, and says where.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(format!("{}.json", self.benchmark));
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// On what all this was measured: one sentence for below a table.
    pub fn measured_on(&self) -> String {
        let Machine { cpu, cpus, cores, kernel, .. } = &self.machine;
        let Build { commit, profile } = &self.build;
        let threads = if 0 < *cores && cores < cpus { format!(" of {cores} cores") } else { String::new() };
        format!("Measured on {cpus} CPUs{threads} ({cpu}), Linux {kernel}, commit {commit}, profile {profile}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_survive_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut results = Results::new("group-by");
        let mut point = Point::new("S2").with("workers", 2).with("engine", "corelane");
        point.record("rows_per_second", 1.5e8);
        point.record("rows_per_second", 1.25e8);
        point.record("cpu_ns_per_row", 0.1);
        results.points.push(point);
        let path = results.write(folder.path()).unwrap();
        assert_eq!(Results::read(&path).unwrap(), results);
        assert_eq!(results.points[0].workers(), Some(2));
        assert_eq!(results.names(), ["S2"]);
    }

    #[test]
    fn a_file_without_results_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        std::fs::write(&path, "{}").unwrap();
        let told = Results::read(&path).unwrap_err().to_string();
        assert!(told.contains("x.json holds no results: missing field"), "{told}");
    }
}
