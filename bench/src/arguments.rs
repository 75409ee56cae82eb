//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::contrast::ContrastArguments;
use crate::scaling::ScalingArguments;
use crate::scaling::job::JobArguments;

#[derive(Debug, Parser)]
#[command(name = "corelane-bench", version, about = "Benchmarks of Corelane with checked answers")]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// Write every run, and what it ran on, as JSON into this folder
    #[arg(long, global = true, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Print the table as Markdown
    #[arg(long, global = true)]
    pub markdown: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Five scenarios at several numbers of workers, from memory
    Scaling(ScalingArguments),
    /// S2 of scaling by designs that share state between threads, beside Corelane
    Contrast(ContrastArguments),
    /// One scenario of scaling, once and unchecked, to be watched from outside; reports no time
    Job(JobArguments),
    /// GROUP BY symbol with five aggregates, 200 symbols, from memory
    GroupBy(Measured),
    /// A tumbling window of one minute by trader and symbol, from memory
    Tumble {
        /// How rows spread over groups
        #[arg(long, value_enum, default_value = "few")]
        groups: Groups,
        #[command(flatten)]
        measured: Measured,
    },
    /// The query of group-by from a generated file of JSON lines
    Json(Measured),
    /// The query of group-by from a generated CSV file
    Csv(Measured),
    /// Every benchmark on little data, to see that the answers are right
    Smoke,
    /// Show a file of results as a table or plot; without arguments, list the ways to show one
    Render {
        view: Option<String>,
        #[arg(requires = "view")]
        file: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Groups {
    /// Hundreds of groups in a minute, of many rows each
    Few,
    /// About one group for each row
    Many,
}

#[derive(Clone, Debug, Args)]
pub struct Measured {
    /// Numbers of workers; their runs are interleaved
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = positive)]
    pub workers: Vec<usize>,
    /// Rows of one run, over all workers
    #[arg(long, default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rows: u64,
    /// Runs for each number of workers; medians are reported
    #[arg(long, default_value_t = 5, value_parser = positive)]
    pub repetitions: usize,
}

pub fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a whole number from 1 up is needed".to_owned())
}
