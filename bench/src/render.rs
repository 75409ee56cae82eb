//! Tables and plots from files of results: what the docs show.
//!
//! A page says in a comment which of these it wants; `cargo xtask docs` puts them there. This
//! table is the one place that names them.

use std::path::Path;

use anyhow::{Result, anyhow};

use crate::results::Results;
use crate::results::table::Table;
use crate::{idle, latency, peers, report};

/// One way to show results.
pub struct View {
    pub name: &'static str,
    pub help: &'static str,
    show: fn(&Results) -> Result<String>,
}

pub const VIEWS: &[View] = &[
    View {
        name: "throughput-table",
        help: "rows per second and CPU time of each point, as Markdown",
        show: |results| Ok(report::table(results).markdown()),
    },
    View {
        name: "latency-table",
        help: "latencies under each load, as Markdown",
        show: |results| Ok(latency::table(results).markdown()),
    },
    View {
        name: "latency-plot",
        help: "latencies against load, as SVG",
        show: |results| Ok(latency::plot(results).svg()),
    },
    View {
        name: "peers-table",
        help: "Corelane beside other engines, as Markdown",
        show: |results| Ok(peers::table(results).markdown()),
    },
    View {
        name: "idle-table",
        help: "what the program costs at rest and as it starts, as Markdown",
        show: |results| Ok(idle::table(results).markdown()),
    },
];

/// What is printed at the end of a benchmark.
pub fn table(results: &Results) -> Table {
    match results.benchmark.as_str() {
        "latency" => latency::table(results),
        "idle" => idle::table(results),
        _ => report::table(results),
    }
}

/// Shows a file of results.
///
/// # Errors
/// If there is no such view, or the file does not hold what it shows.
pub fn render(view: &str, file: &Path) -> Result<String> {
    let known = VIEWS.iter().find(|known| known.name == view);
    let known = known.ok_or_else(|| {
        let names: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
        anyhow!("there is no view {view:?}; there are: {}", names.join(", "))
    })?;
    (known.show)(&Results::read(file)?)
}

/// The views and what they show, a line each.
pub fn list() -> String {
    VIEWS.iter().map(|view| format!("{:20} {}\n", view.name, view.help)).collect()
}
