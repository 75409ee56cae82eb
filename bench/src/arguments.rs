//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::contrast::ContrastArguments;
use crate::scaling::ScalingArguments;
use crate::scaling::job::JobArguments;
use crate::skew::SkewArguments;

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
    /// Queries of Nexmark over bids in memory, into a blackhole
    Nexmark(NexmarkArguments),
    /// MIN, AVG and MAX by station, from a generated file of `station;temperature` lines
    Stations {
        /// Write the file here and keep it, for others to read
        #[arg(long)]
        file: Option<PathBuf>,
        #[command(flatten)]
        measured: Measured,
    },
    /// Source to sink under an open-loop load, each row clocked from when it was due
    Latency(LatencyArguments),
    /// JSON, CSV and Parquet to batches, beside the libraries
    Decode(DecodeArguments),
    /// Write the rows of the benchmarks as Parquet and CSV, for bench/peers
    Data {
        /// The folder
        folder: PathBuf,
        /// Events of Nexmark to generate, of which 46 in 50 are bids
        #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        events: u64,
        /// Rows of the scenarios, relative to the usual number of scaling
        #[arg(long, default_value_t = 0.1, value_parser = crate::scaling::share)]
        size: f64,
    },
    /// S2 and S3a of scaling where half of all rows have one key, beside the same without
    Skew(SkewArguments),
    /// What the program costs when nothing happens, and how soon it gives a first row
    Idle(IdleArguments),
    /// The most memory that the program takes: a long file, and many keys; fails above the bars
    Memory(MemoryArguments),
    /// Starts a program and writes the most memory that it had
    #[command(hide = true)]
    Peak(PeakArguments),
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

#[derive(Clone, Debug, Args)]
pub struct NexmarkArguments {
    /// Queries by name; all of them if none is given
    #[arg(long, value_delimiter = ',')]
    pub queries: Vec<String>,
    /// Events to generate, of which 46 in 50 are bids
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub events: u64,
    /// Numbers of workers; their runs are interleaved
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = positive)]
    pub workers: Vec<usize>,
    /// Runs for each number of workers; medians are reported
    #[arg(long, default_value_t = 5, value_parser = positive)]
    pub repetitions: usize,
}

#[derive(Clone, Debug, Args)]
pub struct LatencyArguments {
    /// Numbers of workers
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = positive)]
    pub workers: Vec<usize>,
    /// Loads, as shares of the rate that was found to be the most
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.5,0.8", value_parser = share)]
    pub loads: Vec<f64>,
    /// How long each load lasts
    #[arg(long, default_value_t = 5.0, value_parser = above_zero)]
    pub seconds: f64,
    /// Rows of the run that finds the most
    #[arg(long, default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rows: u64,
}

#[derive(Clone, Debug, Args)]
pub struct DecodeArguments {
    /// Rows of each file
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub rows: u64,
    /// Runs of each decoder; medians are reported
    #[arg(long, default_value_t = 5, value_parser = positive)]
    pub repetitions: usize,
}

#[derive(Clone, Debug, Args)]
pub struct IdleArguments {
    /// The program; the one beside this one if none is given
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// How long to look at a job that has nothing to do
    #[arg(long, default_value_t = 10.0, value_parser = above_zero)]
    pub seconds: f64,
    /// How often to start the program on a small file
    #[arg(long, default_value_t = 100, value_parser = positive)]
    pub starts: usize,
}

#[derive(Clone, Debug, Args)]
pub struct MemoryArguments {
    /// The program; the one beside this one if none is given
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// Size of the file of JSON lines, in GB
    #[arg(long, default_value_t = 10.0, value_parser = above_zero)]
    pub json_gb: f64,
    /// Write that file here and keep it, or read it if it is there
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Distinct keys of the query that groups
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub keys: u64,
}

#[derive(Clone, Debug, Args)]
pub struct PeakArguments {
    /// The file that is told the bytes
    pub peak: PathBuf,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| 0.0 < *number && *number <= 1.0);
    number.ok_or_else(|| "a number above 0 and up to 1 is needed".to_owned())
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| 0.0 < *number && number.is_finite());
    number.ok_or_else(|| "a number above 0 is needed".to_owned())
}

pub fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a whole number from 1 up is needed".to_owned())
}
