//! The command line. The flags of the runtime are not listed here: they derive from the table of settings.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};
use corelane_server::config::{SETTINGS, SettingKind};

use crate::version;

/// Streaming SQL for one Linux host, one lane per core.
#[derive(Debug, Parser)]
#[command(name = "corelane", version = version::SHORT, long_version = version::LONG.as_str(), max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 SQL, 4 input or output, 130 interrupted.")]
pub struct Arguments {
    /// When to use colour.
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true, value_name = "WHEN")]
    pub color: Color,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the statements of a script.
    Run(RunArguments),
    /// Print the plans of a script's queries without running them.
    Explain(ExplainArguments),
    /// Say what this machine offers, what Corelane makes of it, and what to change.
    Doctor(RuntimeArguments),
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell.
    Completions { shell: clap_complete::Shell },
    /// Print the manual page.
    Man,
    /// Print a page of the reference, made from the program's own tables.
    #[command(hide = true)]
    Docs { page: Page },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print each setting with its value and where that comes from.
    Show(RuntimeArguments),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Page {
    Cli,
    Settings,
    Options,
    Connectors,
    Functions,
}

/// Where the statements are.
#[derive(Args, Debug)]
pub struct ScriptArguments {
    /// The script; `-` reads it from standard input.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Statements, instead of a file.
    #[arg(short, long, value_name = "SQL", conflicts_with = "file")]
    pub command: Option<String>,

    /// Set an option before the script begins, as SET does; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub sets: Vec<(String, String)>,
}

#[derive(Args, Debug)]
pub struct RunArguments {
    #[command(flatten)]
    pub script: ScriptArguments,

    /// Print the plans and run nothing.
    #[arg(long, conflicts_with = "dry_run")]
    pub explain: bool,

    /// Check and plan every statement, look whether its inputs can be read and its outputs written, and run nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// How to print the rows of a SELECT [default: what the name of --output ends in; else table on a terminal, csv elsewhere]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Write the rows to a file, which appears when it is complete; `-` is standard output. The name may end in .csv,
    /// .tsv, .json, .jsonl or .ndjson, also with .gz or .zst, or in .parquet; with .txt or no ending it says nothing.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Let --output and --stats-json replace a file.
    #[arg(long)]
    pub overwrite: bool,

    /// Rows a table shows; the middle of a longer one is left out [default: 40 on a terminal, all elsewhere]
    #[arg(long, value_name = "N")]
    pub max_rows: Option<usize>,

    /// Print what each worker did.
    #[arg(long)]
    pub stats: bool,

    /// Write what each worker did to a file, as JSON; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub stats_json: Option<PathBuf>,

    /// Print no progress and no summary; lost rows are still told.
    #[arg(short, long)]
    pub quiet: bool,

    /// Also say what each statement without rows did.
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,

    /// Draw no progress bar.
    #[arg(long)]
    pub no_progress: bool,

    #[command(flatten)]
    pub runtime: RuntimeArguments,
}

#[derive(Args, Debug)]
pub struct ExplainArguments {
    #[command(flatten)]
    pub script: ScriptArguments,

    #[command(flatten)]
    pub runtime: RuntimeArguments,
}

#[derive(Args, Debug)]
pub struct RuntimeArguments {
    /// Read settings from a TOML file [env: CORELANE_CONFIG]
    // Read by `settings`, with the rest of the environment.
    #[arg(long, value_name = "FILE.toml", help_heading = "Runtime")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    pub settings: SettingFlags,
}

/// The runtime's settings that were given as flags.
#[derive(Debug, Default)]
pub struct SettingFlags(pub Vec<(String, String)>);

impl Args for SettingFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        SETTINGS.iter().fold(command, |command, setting| {
            let default = setting.default.map_or_else(String::new, |default| match setting.kind {
                SettingKind::Flag => String::new(),
                _ => format!(" [default: {default}]"),
            });
            let arg = Arg::new(setting.key)
                .long(setting.key)
                .value_name(setting.kind.placeholder())
                .help(format!("{}{default}", setting.help))
                .help_heading("Runtime");
            // Values are checked with those from the environment and the file, not by clap.
            command.arg(match setting.kind {
                SettingKind::Flag => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                SettingKind::Integer { .. } | SettingKind::Bytes => arg.allow_negative_numbers(true),
                SettingKind::Choice(_) | SettingKind::Cpus => arg,
            })
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = SettingFlags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let given = |key: &'static str| matches.get_one::<String>(key).map(|text| (key.to_string(), text.clone()));
        self.0 = SETTINGS.iter().filter_map(|setting| given(setting.key)).collect();
        Ok(())
    }
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Every change as it comes: +I[a, 1].
    Changelog,
    /// The final result in a box.
    Table,
    /// The final result with a header line.
    Csv,
    /// The final result, one object a line.
    Json,
    /// The final result as a Parquet file, of one query.
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// <https://no-color.org>: a variable that is set and not empty turns colour off, a flag turns it on again.
    pub fn for_stderr(self) -> bool {
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
            }
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_string(), value.trim().to_string())),
        _ => Err("write it as key=value".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use expect_test::{Expect, expect};

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("corelane").chain(line.split_whitespace()))
    }

    fn run(line: &str) -> RunArguments {
        match parse(line).unwrap().command {
            Command::Run(run) => run,
            other => panic!("not a run: {other:?}"),
        }
    }

    fn refused(line: &str, expected: Expect) {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        expected.assert_eq(&error.to_string());
    }

    #[test]
    fn the_command_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_run_with_settings() {
        let arguments =
            run("run q.sql --set a.b=c --set d=e=f --cores 0-3,6 --no-pin --overprovisioned=false --format json");
        assert_eq!(arguments.script.file, Some(PathBuf::from("q.sql")));
        assert_eq!(arguments.script.sets, [("a.b".into(), "c".into()), ("d".into(), "e=f".into())]);
        assert_eq!(arguments.format, Some(Format::Json));
        let flags = [("cores", "0-3,6"), ("no-pin", "true"), ("overprovisioned", "false")];
        assert_eq!(arguments.runtime.settings.0, flags.map(|(key, value)| (key.to_string(), value.to_string())));
    }

    #[test]
    fn standard_input_and_commands() {
        assert_eq!(run("run -").script.file, Some(PathBuf::from("-")));
        assert_eq!(run("run -c SHOW;").script.command.as_deref(), Some("SHOW;"));
        // A flag that takes no value does not swallow the script.
        assert_eq!(run("run --no-pin q.sql").script.file, Some(PathBuf::from("q.sql")));
    }

    #[test]
    fn wrong_usage() {
        refused(
            "run q.sql --worker 3",
            expect![[r#"
                error: unexpected argument '--worker' found

                  tip: a similar argument exists: '--workers'

                Usage: corelane run --workers <N> <FILE>

                For more information, try '--help'.
            "#]],
        );
        refused(
            "run q.sql --set a",
            expect![[r#"
                error: invalid value 'a' for '--set <KEY=VALUE>': write it as key=value

                For more information, try '--help'.
            "#]],
        );
    }
}
