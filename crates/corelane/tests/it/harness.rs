//! Runs scripts in this process, on any number of workers, and gives their rows as text.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use corelane_server::text::{ColumnText, Reader};
use corelane_server::{
    Answer, ChangelogBatch, Collected, Effect, Failure, JobReport, ResultFold, RunningJob, Session, SessionOptions,
    Settings, Sources, SystemClock,
};

/// How a job is run; its result must not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    pub workers: usize,
    pub driver: &'static str,
    pub batch_rows: usize,
}

impl Setup {
    pub const SMALL: Setup = Setup { workers: 2, driver: "threads", batch_rows: 7 };
}

impl fmt::Display for Setup {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} workers, driver {}, {} rows a batch", self.workers, self.driver, self.batch_rows)
    }
}

/// Every combination that a result must not depend on.
pub fn setups(workers: &[usize], batch_rows: &[usize]) -> Vec<Setup> {
    let mut setups = Vec::new();
    for driver in drivers() {
        for workers in workers {
            for batch_rows in batch_rows {
                setups.push(Setup { workers: *workers, driver, batch_rows: *batch_rows });
            }
        }
    }
    setups
}

/// The drivers this machine can run. Where io_uring is refused, says so once.
pub fn drivers() -> &'static [&'static str] {
    use std::sync::LazyLock;
    static DRIVERS: LazyLock<Vec<&str>> = LazyLock::new(|| match glommio_refusal() {
        None => vec!["threads", "glommio"],
        Some(reason) => {
            eprintln!("tests run on the thread driver only: {reason}");
            vec!["threads"]
        }
    });
    &DRIVERS
}

fn glommio_refusal() -> Option<String> {
    let flags = vec![("driver".to_owned(), "glommio".to_owned())];
    let settings = Settings::resolve(&Sources { flags, environment: Vec::new(), file: None }).expect("test settings");
    corelane_server::doctor::report(&settings).err().map(|error| error.to_string())
}

pub fn session(setup: Setup) -> Session {
    let flag = |name: &str, value: &dyn fmt::Display| (name.to_owned(), value.to_string());
    let flags = vec![
        flag("workers", &setup.workers),
        flag("driver", &setup.driver),
        flag("batch-rows", &setup.batch_rows),
        flag("no-pin", &"true"),
    ];
    let settings = Settings::resolve(&Sources { flags, environment: Vec::new(), file: None }).expect("test settings");
    // Half of the setups fold what comes as the program does, the other half sees every change.
    let final_results = setup.driver == "threads" && setup.workers > 1;
    let clock = Arc::new(SystemClock::new());
    let options = SessionOptions { settings, clock, final_results, sets: Vec::new(), effect: Effect::Run };
    Session::new(options).expect("a session")
}

/// What the statements of a script gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The folded result of each bare SELECT, with its schema.
    pub results: Vec<(SchemaRef, Vec<RecordBatch>)>,
    pub reports: Vec<JobReport>,
    /// Every changelog row of each bare SELECT, as it came.
    pub changelogs: Vec<Vec<ChangelogBatch>>,
}

/// Why a script ended early.
#[derive(Debug)]
pub enum Ended {
    Statement(Failure),
    Job(corelane_server::Error),
}

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Statement(failure) => {
                write!(out, "{failure}")?;
                failure.place.iter().try_for_each(|place| write!(out, "\n{place}"))?;
                failure.hint.iter().try_for_each(|hint| write!(out, "\nhint: {hint}"))
            }
            Ended::Job(error) => {
                write!(out, "{error}")?;
                error.hint().iter().try_for_each(|hint| write!(out, "\nhint: {hint}"))
            }
        }
    }
}

/// Runs a script to its end.
pub fn run(setup: Setup, sql: &str) -> Result<Outcome, Ended> {
    let mut session = session(setup);
    let script = session.script("test.sql", sql).map_err(Ended::Statement)?;
    let mut outcome = Outcome::default();
    for statement in script.statements() {
        match session.execute(statement).map_err(Ended::Statement)? {
            Answer::Rows { schema, batches } => outcome.results.push((schema, batches)),
            Answer::Job(job) => finish(job, &mut outcome)?,
            Answer::Text(_) | Answer::Done(_) => {}
        }
    }
    Ok(outcome)
}

/// Takes a job to its end.
pub fn finish(job: RunningJob, outcome: &mut Outcome) -> Result<(), Ended> {
    let schema = job.schema();
    let mut fold =
        schema.as_ref().map(|schema| ResultFold::new(schema.clone(), &job.mode()).expect("results can be compared"));
    let mut changelog = Vec::new();
    loop {
        match job.next(Duration::from_secs(60)) {
            Collected::Batch(batch) => {
                changelog.push(batch.clone());
                if let Some(fold) = &mut fold {
                    fold.push(batch).map_err(Ended::Job)?;
                }
            }
            Collected::Nothing => panic!("the job gave nothing for a minute: {:?}", job.progress()),
            Collected::End => break,
        }
    }
    let report = job.wait().map_err(Ended::Job)?;
    outcome.reports.push(report);
    if let (Some(schema), Some(fold)) = (schema, fold) {
        outcome.results.push((schema, fold.finish().and_then(Iterator::collect).map_err(Ended::Job)?));
        outcome.changelogs.push(changelog);
    }
    Ok(())
}

/// Rows as Flink's goldens write them: fields by comma, NULL empty, an empty string as `""`.
pub fn csv_lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    let null: Arc<str> = Arc::from("");
    for batch in batches {
        let reader = Reader::Csv { element_delimiter: ';' };
        let columns: Vec<ColumnText> = batch
            .columns()
            .iter()
            .map(|column| ColumnText::new(column, reader, &null).expect("a printable type"))
            .collect();
        for row in 0..batch.num_rows() {
            let mut line = String::new();
            for (index, column) in columns.iter().enumerate() {
                if index != 0 {
                    line.push(',');
                }
                if column.is_null(row) {
                    continue;
                }
                let mut value = String::new();
                column.write(row, &mut value);
                if value.is_empty() || value.contains([',', '"', '\n', '\r']) {
                    line.push('"');
                    line.push_str(&value.replace('"', "\"\""));
                    line.push('"');
                } else {
                    line.push_str(&value);
                }
            }
            lines.push(line);
        }
    }
    lines
}

/// A folder of this crate's tests.
pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}
