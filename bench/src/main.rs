//! Benchmarks of the whole engine, each with an answer that is checked.
//!
//! A query goes through planner, workers, exchange and sink as a user's does; only the rows come
//! from memory where decoding is not what is measured. What the query must give is computed
//! beside it by plain loops that share no code with the engine: a wrong answer ends the program
//! with exit code 1, and no figure is printed for it.

mod answer;
mod arguments;
mod bids;
mod market_data;
mod measure;
mod nexmark;
mod oracle;
mod report;
mod scenario;
mod text_files;
mod tumble;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use crate::arguments::{Arguments, Command, Measured};
use crate::report::Report;
use crate::scenario::{Scenario, Size};
use crate::text_files::TextFormat;
use crate::tumble::Shape;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corelane-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new();
    match &arguments.command {
        Command::GroupBy(measured) => report.measure(&market_data::group_by, measured)?,
        Command::Tumble { groups, measured } => {
            let shape = Shape::of(*groups);
            report.measure(&|size: Size| tumble::tumble(shape, size), measured)?;
        }
        Command::Json(measured) => report.measure(&|size| text_files::scenario(TextFormat::Json, size), measured)?,
        Command::Csv(measured) => report.measure(&|size| text_files::scenario(TextFormat::Csv, size), measured)?,
        Command::Nexmark(arguments) => nexmark::measure(&mut report, arguments)?,
        Command::Smoke => smoke(&mut report)?,
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write the results to {}", path.display()))?;
    }
    print!("{}", if arguments.markdown { report.markdown() } else { report.text() });
    Ok(())
}

/// Every benchmark on little data: the answers are what matters.
fn smoke(report: &mut Report) -> Result<()> {
    let few = Measured { workers: vec![1, 2, 3], rows: 200_000, repetitions: 1 };
    let all: [&dyn Fn(Size) -> Result<Scenario>; 5] = [
        &market_data::group_by,
        &|size| tumble::tumble(Shape::ManyRowsPerGroup, size),
        &|size| tumble::tumble(Shape::OneRowPerGroup, size),
        &|size| text_files::scenario(TextFormat::Json, size),
        &|size| text_files::scenario(TextFormat::Csv, size),
    ];
    all.iter().try_for_each(|make| report.measure(make, &few))
}
