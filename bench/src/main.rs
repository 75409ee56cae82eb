//! Benchmarks of the whole engine, each with an answer that is checked.
//!
//! A query goes through planner, workers, exchange and sink as a user's does; only the rows come
//! from memory where decoding is not what is measured. What the query must give is computed
//! beside it by plain loops that share no code with the engine: a wrong answer ends the program
//! with exit code 1, and no figure is printed for it.

mod answer;
mod arguments;
mod batch_engine;
mod bids;
mod contrast;
mod cpu_time;
mod data;
mod decode;
mod digest;
mod engine;
mod gathered;
mod idle;
mod latency;
mod market_data;
mod measure;
mod memory;
mod nexmark;
mod oracle;
mod peers;
mod render;
mod report;
mod results;
mod scaling;
mod scenario;
mod skew;
mod stations;
mod text_files;
mod tumble;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::arguments::{
    Arguments, Command, DecodeArguments, IdleArguments, LatencyArguments, Measured, MemoryArguments, NexmarkArguments,
};
use crate::contrast::ContrastArguments;
use crate::results::Results;
use crate::scaling::ScalingArguments;
use crate::scenario::{Scenario, Size};
use crate::skew::SkewArguments;
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
    let results = match &arguments.command {
        Command::Scaling(arguments) => scaling::run(arguments)?,
        Command::Contrast(arguments) => contrast::run(arguments)?,
        Command::Job(arguments) => {
            print!("{}", scaling::job::run(arguments)?);
            return Ok(());
        }
        Command::GroupBy(measured) => measured_alone("group-by", &market_data::group_by, measured)?,
        Command::Tumble { groups, measured } => {
            let shape = Shape::of(*groups);
            measured_alone("tumble", &|size: Size| tumble::tumble(shape, size), measured)?
        }
        Command::Json(measured) => {
            measured_alone("json", &|size| text_files::scenario(TextFormat::Json, size), measured)?
        }
        Command::Csv(measured) => measured_alone("csv", &|size| text_files::scenario(TextFormat::Csv, size), measured)?,
        Command::Nexmark(arguments) => nexmark::measure(arguments)?,
        Command::Stations { file, measured } => {
            measured_alone("stations", &|size| stations::scenario(size, file.as_deref()), measured)?
        }
        Command::Latency(arguments) => latency::measure(arguments)?,
        Command::Decode(arguments) => decode::measure(arguments)?,
        Command::Skew(arguments) => skew::measure(arguments)?,
        Command::Data { folder, events, size } => return data::write_all(folder, *events, *size),
        Command::Idle(arguments) => idle::measure(arguments)?,
        Command::Memory(arguments) => memory::measure(arguments)?,
        Command::Peak(arguments) => return memory::peak::write(arguments),
        Command::Smoke => smoke()?,
        Command::Render { view: Some(view), file: Some(file) } => {
            print!("{}", render::render(view, file)?);
            return Ok(());
        }
        Command::Render { .. } => {
            print!("{}", render::list());
            return Ok(());
        }
    };
    if let Some(folder) = &arguments.out {
        let path = results.write(folder)?;
        eprintln!("results are in {}", path.display());
        render::write_all(&results, folder)?;
    }
    let table = render::table(&results);
    print!("{}", if arguments.markdown { table.markdown() } else { table.text() });
    Ok(())
}

/// A benchmark of one scenario.
fn measured_alone(benchmark: &str, make: &dyn Fn(Size) -> Result<Scenario>, measured: &Measured) -> Result<Results> {
    let mut results = Results::new(benchmark);
    report::measure(&mut results, make, measured)?;
    Ok(results)
}

/// Every benchmark on little data: the answers are what matters.
fn smoke() -> Result<Results> {
    let few = Measured { workers: vec![1, 2, 3], rows: 200_000, repetitions: 1 };
    let all: [&dyn Fn(Size) -> Result<Scenario>; 6] = [
        &market_data::group_by,
        &|size| tumble::tumble(Shape::ManyRowsPerGroup, size),
        &|size| tumble::tumble(Shape::OneRowPerGroup, size),
        &|size| text_files::scenario(TextFormat::Json, size),
        &|size| text_files::scenario(TextFormat::Csv, size),
        &|size| stations::scenario(size, None),
    ];
    let mut results = Results::new("smoke");
    all.iter().try_for_each(|make| report::measure(&mut results, make, &few))?;
    let mut parts = vec![
        scaling::run(&ScalingArguments::smoke())?,
        contrast::run(&ContrastArguments::smoke())?,
        nexmark::measure(&NexmarkArguments {
            queries: Vec::new(),
            events: 50_000,
            workers: vec![1, 3],
            repetitions: 1,
        })?,
        decode::measure(&DecodeArguments { rows: 20_000, repetitions: 1 })?,
        skew::measure(&SkewArguments { workers: vec![1, 3], repetitions: 1, size: 0.001 })?,
        latency::measure(&LatencyArguments { workers: vec![1, 3], loads: vec![0.2], seconds: 0.2, rows: 100_000 })?,
    ];
    // A build of the benchmarks alone has no program beside them.
    if idle::program_beside_this()?.is_file() {
        parts.push(idle::measure(&IdleArguments { program: None, seconds: 0.1, starts: 2 })?);
        parts.push(memory::measure(&MemoryArguments { program: None, json_gb: 0.01, file: None, keys: 50_000 })?);
    }
    results.points.extend(parts.into_iter().flat_map(|part| part.points));
    Ok(results)
}
