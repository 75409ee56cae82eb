//! `corelane run` and `corelane explain`: a script in, its answers out.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use corelane_server::{
    Answer, ChangelogBatch, ChangelogMode, Collected, Effect, JobReport, RunningJob, Session, SessionOptions,
    SystemClock,
};

use crate::arguments::{ExplainArguments, Format, RunArguments, ScriptArguments};
use crate::exit::{Exit, Failed, reason};
use crate::output::{Destination, Layout, Results, Shape};
use crate::progress::{self, Progress, Summary};
use crate::settings;
use crate::signals::{Interrupts, Request};
use crate::stats::{self, Stats};

/// How long the loop that runs a job waits before it looks at signals and redraws.
const LOOK_UP: Duration = Duration::from_millis(100);

/// Runs a script.
///
/// # Errors
/// Whatever ends it early.
pub fn run(arguments: RunArguments) -> Result<Exit, Failed> {
    let options = SessionOptions {
        settings: settings::load(&arguments.runtime)?,
        clock: Arc::new(SystemClock::new()),
        final_results: arguments.format != Some(Format::Changelog),
        sets: arguments.script.sets.clone(),
        effect: effect(&arguments),
    };
    let text = ScriptText::read(&arguments.script)?;
    // Whatever is wrong with where results go shall show before the work, not after it.
    let out = destination(&arguments)?;
    let stats_file = arguments.stats_json.as_deref().map(|path| Destination::file(path, arguments.overwrite));
    let stats_file = stats_file.transpose()?;
    let session = Session::new(options).map_err(|error| Failed::in_settings(&error))?;
    let interrupts = Interrupts::install()?;

    let mut runner = Runner { arguments: &arguments, session, interrupts, out, reports: Vec::new() };
    let ended = runner.script(&text);
    let Runner { interrupts, out, reports, .. } = runner;
    if arguments.stats {
        let text: String = reports.iter().map(stats::tables).collect();
        // As for the summary: where standard error is closed nobody reads it.
        let _ = io::stderr().write_all(text.as_bytes());
    }
    if let Some(mut file) = stats_file {
        file.write(&Stats::json(&reports))?;
        file.complete()?;
    }
    ended?;
    if interrupts.request() != Request::Stop {
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

fn destination(arguments: &RunArguments) -> Result<Destination, Failed> {
    match &arguments.output {
        Some(path) => Destination::file(path, arguments.overwrite),
        None => Ok(Destination::standard_output()),
    }
}

/// A script and the name it has in messages.
struct ScriptText {
    name: String,
    text: String,
}

impl ScriptText {
    fn read(arguments: &ScriptArguments) -> Result<ScriptText, Failed> {
        let name = |name: &str| name.to_string();
        let (name, bytes) = match (&arguments.command, &arguments.file) {
            (Some(command), _) => return Ok(ScriptText { name: name("command"), text: command.clone() }),
            (None, Some(path)) if path == Path::new("-") => {
                let mut bytes = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut bytes);
                (name("standard input"), read.map(|_| bytes))
            }
            (None, Some(path)) => (path.display().to_string(), std::fs::read(path)),
            (None, None) => return Err(Failed::usage("there is no script to run")),
        };
        let bytes = bytes
            .map_err(|error| Failed::new(Exit::Io, format!("cannot read the script {name}: {}", reason(&error))))?;
        match String::from_utf8(bytes) {
            Ok(mut text) => {
                // A byte order mark belongs to the file, not to its first word.
                if text.starts_with('\u{feff}') {
                    text.remove(0);
                }
                Ok(ScriptText { name, text })
            }
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
                Err(Failed::new(Exit::Sql, format!("cannot read the script {name}: line {line} is not UTF-8")))
            }
        }
    }
}

/// Runs statement after statement.
struct Runner<'a> {
    arguments: &'a RunArguments,
    session: Session,
    interrupts: Interrupts,
    out: Destination,
    reports: Vec<JobReport>,
}

impl Runner<'_> {
    fn script(&mut self, text: &ScriptText) -> Result<(), Failed> {
        let script = self.session.script(&text.name, &text.text)?;
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

    fn layout(&self) -> Layout {
        let arguments = self.arguments;
        Layout { format: arguments.format, rows_max: arguments.max_rows, terminal: self.out.is_terminal() }
    }

    fn job(&mut self, job: RunningJob) -> Result<(), Failed> {
        let watched = progress::watched() && !self.arguments.quiet;
        let mut progress = if watched && !self.arguments.no_progress { Progress::drawn() } else { Progress::hidden() };
        let pumped = self.pump(&job, &mut progress);
        if pumped.is_err() {
            job.cancel();
        }
        progress.finish();
        let waited = job.wait();
        // What failed the output is the cause, what the job says to its cancelling is not.
        let results = pumped?;
        let report = waited?;
        let stopped = self.interrupts.request() == Request::Stop;
        if let Some(results) = results.filter(|_| !stopped) {
            results.finish(&mut self.out)?;
        }
        self.out.flush()?;
        let whole = watched || self.arguments.verbose;
        progress::summarize(&report, if whole { Summary::Whole } else { Summary::Losses });
        self.reports.push(report);
        Ok(())
    }

    /// Moves rows from the job to the output until the job has ended.
    fn pump(&mut self, job: &RunningJob, progress: &mut Progress) -> Result<Option<Results>, Failed> {
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
                    return Ok(results);
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
