//! Tables and plots from files of results: what the docs show.
//!
//! A page says in a comment which of these it wants; `cargo xtask docs` puts them there. This
//! table is the one place that names them.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use crate::results::Results;
use crate::results::table::Table;
use crate::{contrast, idle, latency, memory, peers, report, scaling, skew};

/// One way to show results.
pub struct View {
    pub name: &'static str,
    /// The benchmark whose results it shows; `None`: any.
    benchmark: Option<&'static str>,
    pub help: &'static str,
    format: Format,
    show: fn(&Results) -> String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Markdown,
    Svg,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Markdown => "md",
            Format::Svg => "svg",
        }
    }
}

const VIEWS: &[View] = &[
    View {
        name: "throughput-table",
        benchmark: None,
        help: "rows per second and CPU time of each point",
        format: Format::Markdown,
        show: |results| report::table(results).markdown(),
    },
    View {
        name: "scaling-table",
        benchmark: Some("scaling"),
        help: "the scenarios: throughput and CPU time by number of workers",
        format: Format::Markdown,
        show: |results| scaling::view::table(results).markdown(),
    },
    View {
        name: "scaling-details",
        benchmark: Some("scaling"),
        help: "the scenarios: spread, latency, ring hops, futex calls, memory",
        format: Format::Markdown,
        show: |results| scaling::view::details(results).markdown(),
    },
    View {
        name: "scaling-plot",
        benchmark: Some("scaling"),
        help: "the scenarios: CPU time of a row and throughput by number of workers",
        format: Format::Svg,
        show: |results| scaling::view::plot(results).svg(),
    },
    View {
        name: "contrast-table",
        benchmark: Some("contrast"),
        help: "S2 by what threads share: throughput, CPU time, futex calls",
        format: Format::Markdown,
        show: |results| contrast::view::table(results).markdown(),
    },
    View {
        name: "contrast-plot",
        benchmark: Some("contrast"),
        help: "S2 by what threads share, by number of workers",
        format: Format::Svg,
        show: |results| contrast::view::plot(results).svg(),
    },
    View {
        name: "latency-table",
        benchmark: Some("latency"),
        help: "latencies under each load",
        format: Format::Markdown,
        show: |results| latency::table(results).markdown(),
    },
    View {
        name: "latency-plot",
        benchmark: Some("latency"),
        help: "latencies against load",
        format: Format::Svg,
        show: |results| latency::plot(results).svg(),
    },
    View {
        name: "peers-table",
        benchmark: Some("peers"),
        help: "Corelane beside other engines",
        format: Format::Markdown,
        show: |results| peers::table(results).markdown(),
    },
    View {
        name: "skew-table",
        benchmark: Some("skew"),
        help: "S2 and S3a with half of all rows of one key, beside the same without",
        format: Format::Markdown,
        show: |results| skew::table(results).markdown(),
    },
    View {
        name: "idle-table",
        benchmark: Some("idle"),
        help: "what the program costs at rest and as it starts",
        format: Format::Markdown,
        show: |results| idle::table(results).markdown(),
    },
    View {
        name: "memory-table",
        benchmark: Some("memory"),
        help: "the most memory that the program takes, beside what it may",
        format: Format::Markdown,
        show: |results| memory::table(results).markdown(),
    },
];

/// What is printed at the end of a benchmark.
pub fn table(results: &Results) -> Table {
    match results.benchmark.as_str() {
        "scaling" => scaling::view::table(results),
        "contrast" => contrast::view::table(results),
        "latency" => latency::table(results),
        "idle" => idle::table(results),
        "memory" => memory::table(results),
        "skew" => skew::table(results),
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
    let results = Results::read(file)?;
    if let Some(benchmark) = known.benchmark.filter(|benchmark| *benchmark != results.benchmark) {
        bail!("{view} shows results of {benchmark}; {} has those of {}", file.display(), results.benchmark);
    }
    Ok((known.show)(&results))
}

/// Writes every view of these results beside their file.
///
/// # Errors
/// If one cannot be written.
pub fn write_all(results: &Results, folder: &Path) -> Result<()> {
    for view in VIEWS.iter().filter(|view| view.benchmark == Some(results.benchmark.as_str())) {
        let path = folder.join(format!("{}.{}", view.name, view.format.extension()));
        std::fs::write(&path, (view.show)(results)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The views and what they show, a line each.
pub fn list() -> String {
    VIEWS.iter().map(|view| format!("{:20} {}\n", view.name, view.help)).collect()
}
