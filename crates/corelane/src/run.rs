//! `corelane run` and `corelane explain`: a script in, its answers out.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use std::time::Duration;

use corelane_server::files::FileCompression;
use corelane_server::{
    Answer, ChangelogBatch, ChangelogMode, Collected, Effect, JobReport, RunningJob, Session, SessionOptions,
    Statement, SystemClock,
};

use crate::arguments::{ExplainArguments, Format, RunArguments, ScriptArguments};
use crate::exit::{Exit, Failed, reason};
use crate::output::{Destination, Form, Layout, Results, Shape, is_standard_output};
use crate::progress::{self, Progress, Summary};
use crate::settings;
use crate::signals::{Interrupts, Request};
use crate::stats::{self, Stats};
use crate::unfinished::Unfinished;

/// How long the loop that runs a job waits before it looks at signals and redraws.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Runs a script.
///
/// # Errors
/// Whatever ends it early.
pub fn run(arguments: RunArguments) -> Result<Exit, Failed> {
    let form = form(&arguments)?;
    let options = SessionOptions {
        settings: settings::load(&arguments.runtime)?,
        clock: Arc::new(SystemClock::new()),
        final_results: form.format != Some(Format::Changelog),
        sets: arguments.script.sets.clone(),
        effect: effect(&arguments),
    };
    let text = ScriptText::read(&arguments.script)?;
    // Whatever is wrong with where results go shall show before the work, not after it.
    let named = |path: &PathBuf, compression| Destination::named(path, arguments.overwrite, compression);
    let out = arguments.output.as_ref().map(|path| named(path, form.compression)).transpose()?;
    let out = out.unwrap_or_else(Destination::standard_output);
    let stats_file = arguments.stats_json.as_ref().map(|path| named(path, FileCompression::None)).transpose()?;
    let mut session = Session::new(options).map_err(|error| Failed::in_settings(&error))?;
    for path in arguments.output.iter().chain(&arguments.stats_json).filter(|path| !is_standard_output(path)) {
        session.writes(path);
    }
    let interrupts = Interrupts::install()?;

    let mut runner = Runner { arguments: &arguments, form, session, interrupts, out, reports: Vec::new() };
    let ended = runner.script(&text);
    let Runner { interrupts, out, reports, .. } = runner;
    if arguments.stats {
        let text: String = reports.iter().map(stats::tables).collect();
        // As for the summary: where standard error is closed nobody reads it.
        let _ = io::stderr().write_all(text.as_bytes());
    }
    if let Some(mut file) = stats_file.filter(|_| !arguments.dry_run) {
        file.write(Stats::json(&reports))?;
        file.complete()?;
    }
    ended?;
    // What only looked whether it can be written leaves nothing.
    let leaves_nothing = arguments.dry_run && arguments.output.is_some();
    if interrupts.request() != Request::Stop && !leaves_nothing {
        out.complete()?;
    }
    Ok(if interrupts.request() == Request::GoOn { Exit::Done } else { Exit::Interrupted })
}

/// Prints a script's plans.
///
/// # Errors
/// Whatever is wrong with the script.
pub fn explain(arguments: ExplainArguments) -> Result<Exit, Failed> {
    let ExplainArguments { script, runtime } = arguments;
    run(RunArguments::explain(script, runtime))
}

fn effect(arguments: &RunArguments) -> Effect {
    match (arguments.explain, arguments.dry_run) {
        (true, _) => Effect::Explain,
        (false, true) => Effect::Check,
        (false, false) => Effect::Run,
    }
}

/// What is written where rows go.
fn form(arguments: &RunArguments) -> Result<Form, Failed> {
    let form = match arguments.output.as_deref().filter(|path| !is_standard_output(path)) {
        Some(path) => Form::of(path, arguments.format)?,
        None if arguments.format == Some(Format::Parquet) => {
            return Err(Failed::usage("cannot print Parquet: it is read from its end, which only a file has")
                .with_hint("name a file with --output"));
        }
        None => Form::nameless(arguments.format),
    };
    if let (Some(rows), Some(stats)) = (&arguments.output, &arguments.stats_json)
        && !is_standard_output(rows)
        && absolute(rows).ok() == absolute(stats).ok()
    {
        return Err(Failed::usage(format!("--output and --stats-json both name {}", rows.display()))
            .with_hint("give each a file of its own"));
    }
    Ok(form)
}

/// A script and the name it has in messages.
struct ScriptText {
    name: String,
    text: String,
    by_standard_input: bool,
}

impl ScriptText {
    fn read(arguments: &ScriptArguments) -> Result<ScriptText, Failed> {
        let name = |name: &str| name.to_string();
        let by_standard_input = arguments.command.is_none() && arguments.file.as_deref() == Some(Path::new("-"));
        let (name, bytes) = match (&arguments.command, &arguments.file) {
            (Some(command), _) => {
                return Ok(ScriptText { name: name("command"), text: command.clone(), by_standard_input: false });
            }
            (None, Some(path)) if path == Path::new("-") => {
                let mut bytes = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut bytes);
                (name("standard input"), read.map(|_| bytes))
            }
            (None, Some(path)) => (path.display().to_string(), std::fs::read(path)),
            (None, None) => {
                return Err(Failed::usage("there is no script to run")
                    .with_hint("name a file, `-` for standard input, or give the statements: -c 'SELECT 1'"));
            }
        };
        let bytes = bytes
            .map_err(|error| Failed::new(Exit::Io, format!("cannot read the script {name}: {}", reason(&error))))?;
        match String::from_utf8(bytes) {
            Ok(mut text) => {
                // A byte order mark belongs to the file, not to its first word.
                if text.starts_with('\u{feff}') {
                    text.remove(0);
                }
                Ok(ScriptText { name, text, by_standard_input })
            }
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
                let message = format!("cannot read the script {name}: line {line} is not UTF-8");
                Err(Failed::new(Exit::Sql, message).with_hint("save it as UTF-8"))
            }
        }
    }
}

/// Runs statement after statement.
struct Runner<'a> {
    arguments: &'a RunArguments,
    form: Form,
    session: Session,
    interrupts: Interrupts,
    out: Destination,
    reports: Vec<JobReport>,
}

/// A job whose rows have all come.
struct Pumped {
    /// If it has any.
    results: Option<Results>,
    /// What it was asked for on the way.
    obeyed: Request,
}

impl Runner<'_> {
    fn script(&mut self, text: &ScriptText) -> Result<(), Failed> {
        if text.by_standard_input {
            self.session.took_standard_input();
        }
        let script = self.session.script(&text.name, &text.text)?;
        self.check_parquet(script.statements())?;
        for statement in script.statements() {
            if self.interrupts.request() != Request::GoOn {
                break;
            }
            match self.session.execute(statement)? {
                Answer::Rows { schema, batches } => {
                    let shape = Shape { schema, mode: ChangelogMode::Append, bounded: true };
                    let mut results = Results::new(&self.layout(), &shape)?;
                    for rows in batches {
                        results.push(ChangelogBatch::append(rows), &mut self.out)?;
                    }
                    results.finish(&mut self.out)?;
                }
                Answer::Text(_) if self.form.format == Some(Format::Parquet) => {
                    return Err(Failed::usage("cannot write a text as Parquet")
                        .with_hint("let the name of --output end in .txt, or leave it out"));
                }
                Answer::Text(text) => {
                    self.out.write(text.trim_end())?;
                    self.out.write("\n")?;
                }
                Answer::Job(job) => self.job(job)?,
                Answer::Done(what) if self.arguments.verbose && !what.is_empty() => {
                    let _ = writeln!(io::stderr(), "{what}");
                }
                Answer::Done(_) => {}
            }
            self.out.flush()?;
        }
        Ok(())
    }

    /// One Parquet file holds the rows of one statement, while the others go one behind the other.
    fn check_parquet(&self, statements: &[Statement]) -> Result<(), Failed> {
        let with_rows = statements.iter().filter(|statement| statement.has_rows()).count();
        if self.form.format != Some(Format::Parquet) || with_rows == 1 {
            return Ok(());
        }
        let path = self.arguments.output.as_deref().unwrap_or(Path::new("-")).display();
        let found = if with_rows == 0 { "none".to_owned() } else { with_rows.to_string() };
        Err(Failed::usage(format!("{path} takes the rows of one query, and the script has {found}"))
            .with_hint("INSERT INTO a table with 'connector' = 'filesystem' writes a file for each"))
    }

    fn layout(&self) -> Layout {
        let Form { format, delimiter, .. } = self.form;
        Layout { format, delimiter, rows_max: self.arguments.max_rows, terminal: self.out.is_terminal() }
    }

    fn job(&mut self, job: RunningJob) -> Result<(), Failed> {
        let watched = progress::watched() && !self.arguments.quiet;
        let mut progress = if watched && !self.arguments.no_progress { Progress::drawn() } else { Progress::hidden() };
        let _unfinished = Unfinished::begin(job.undo());
        let what = if job.schema().is_some() { "the result" } else { "the output" };
        let ends = job.bounded();
        let pumped = self.pump(&job, &mut progress);
        if pumped.is_err() {
            job.cancel();
        }
        progress.finish();
        let waited = job.wait();
        // What failed the output is the cause, what the job says to its cancelling is not.
        let Pumped { results, obeyed } = pumped?;
        let report = waited?;
        let stopped = self.interrupts.request() == Request::Stop;
        if let Some(results) = results.filter(|_| !stopped) {
            results.finish(&mut self.out)?;
        }
        self.out.flush()?;
        // Input without an end has no other one.
        if ends && obeyed == Request::Drain && !stopped {
            progress::tell_cut(what, &report);
        }
        // The statistics begin with the summary.
        let whole = (watched || self.arguments.verbose) && !self.arguments.stats;
        progress::summarize(&report, if whole { Summary::Whole } else { Summary::Losses });
        self.reports.push(report);
        Ok(())
    }

    /// Moves rows from the job to the output until the job has ended.
    fn pump(&mut self, job: &RunningJob, progress: &mut Progress) -> Result<Pumped, Failed> {
        let layout = self.layout();
        let shape = |schema| Shape { schema, mode: job.mode(), bounded: job.bounded() };
        let mut results = job.schema().map(|schema| Results::new(&layout, &shape(schema))).transpose()?;
        let mut obeyed = Request::GoOn;
        let mut told = 0;
        loop {
            let request = self.interrupts.request();
            if obeyed < request {
                obeyed = request;
                match request {
                    Request::GoOn => {}
                    Request::Drain => job.drain(),
                    Request::Stop => job.cancel(),
                }
            }
            let mut next = job.next(Duration::ZERO);
            if matches!(next, Collected::Nothing) {
                self.out.flush()?;
                told = self.tell(&job.notices(), told, progress);
                progress.update(|| job.progress());
                next = job.next(LOOK_UP);
            }
            match next {
                Collected::Batch(batch) => {
                    if let Some(results) = &mut results {
                        let out = &mut self.out;
                        progress.suspend(|| results.push(batch, out))?;
                    }
                    progress.update(|| job.progress());
                }
                Collected::Nothing => {}
                Collected::End => {
                    self.tell(&job.notices(), told, progress);
                    return Ok(Pumped { results, obeyed });
                }
            }
        }
    }

    /// Prints the notices after those already told; returns how many are told now.
    fn tell(&self, notices: &[String], told: usize, progress: &Progress) -> usize {
        if !self.arguments.quiet && told < notices.len() {
            // As elsewhere: where standard error is closed nobody reads it.
            let text: String = notices[told..].iter().map(|notice| format!("note: {notice}\n")).collect();
            let _ = progress.suspend(|| io::stderr().write_all(text.as_bytes()));
        }
        notices.len()
    }
}

impl RunArguments {
    fn explain(script: ScriptArguments, runtime: crate::arguments::RuntimeArguments) -> RunArguments {
        RunArguments {
            script,
            explain: true,
            dry_run: false,
            format: None,
            output: None::<PathBuf>,
            overwrite: false,
            max_rows: None,
            stats: false,
            stats_json: None,
            quiet: false,
            verbose: false,
            no_progress: true,
            runtime,
        }
    }
}
