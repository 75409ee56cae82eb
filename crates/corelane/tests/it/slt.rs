//! Scripts of statements and their expected answers, in the format of sqllogictest.
//!
//! Every file of `tests/slt` runs on several numbers of workers and on both drivers, and must give
//! the same answers on all. What the format lacks is put into the SQL text:
//!
//! - `$data` stands for the folder `tests/data`, `$out` for an empty folder of this run alone;
//! - a first line `-- changelog` asks for the rows of the changelog as they came, on one worker and
//!   with one row of input a batch, rather than for the folded result;
//! - a first line `-- bad rows` asks for the number of undecodable or failed rows of a job, and
//!   `-- late rows` for the number of late ones.
//!
//! Values are as a person reads them, NULL as `NULL` and an empty text as `(empty)`; two spaces
//! stand between columns. With `UPDATE_EXPECT=1` the answers of the first setup are written
//! into the files, to be read with care before they are committed; `SLT_FILE=name` runs the files
//! whose path has that name in it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use corelane_server::text::{ChangelogText, ColumnText, Reader};
use corelane_server::{Answer, ChangelogBatch, Session};
use sqllogictest::{DBOutput, DefaultColumnType, Runner};

use crate::harness::{Ended, Outcome, Setup, finish, folder, session, setups};

/// What a record asks of its statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    Result,
    Changelog,
    BadRows,
    LateRows,
}

const QUESTIONS: [(&str, Question); 3] = [
    ("-- changelog\n", Question::Changelog),
    ("-- bad rows\n", Question::BadRows),
    ("-- late rows\n", Question::LateRows),
];

/// One session under test.
struct Database {
    session: Session,
    /// The text of statements that define things, to define them again in another session.
    defined: Vec<String>,
    setup: Setup,
    out: PathBuf,
}

#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl From<Ended> for Refused {
    fn from(ended: Ended) -> Self {
        Refused(ended.to_string())
    }
}

impl Database {
    fn new(setup: Setup, out: PathBuf) -> Self {
        Database { session: session(setup), defined: Vec::new(), setup, out }
    }

    fn answer(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let sql = sql
            .replace("$data", &folder("data").display().to_string())
            .replace("$out", &self.out.display().to_string());
        let question = QUESTIONS.iter().find(|(line, _)| sql.starts_with(line));
        let question = question.map_or(Question::Result, |(_, question)| *question);
        if question == Question::Changelog {
            return self.changelog(&sql);
        }
        let mut outcome = Outcome::default();
        let mut lines = None;
        execute(&mut self.session, &sql, &mut outcome, &mut lines)?;
        self.defined.push(sql);
        if let Some(text) = lines {
            return Ok(rows(1, text.lines().map(|line| vec![line.to_owned()]).collect()));
        }
        let count = |counts: Vec<u64>| Ok(rows(1, vec![vec![counts.iter().sum::<u64>().to_string()]]));
        match (question, outcome.results.last()) {
            (Question::BadRows, _) => count(outcome.reports.iter().map(|report| report.bad_rows).collect()),
            (Question::LateRows, _) => count(outcome.reports.iter().map(|report| report.late_rows).collect()),
            (_, Some((schema, batches))) => match outcome.changelogs.last() {
                // Rows that nothing takes away come in the order that ORDER BY gave them.
                Some(changes) if changes.iter().all(|batch| batch.kinds().is_none()) => {
                    let batches: Vec<RecordBatch> = changes.iter().map(|batch| batch.rows().clone()).collect();
                    Ok(rows(schema.fields().len(), texts(schema, &batches)))
                }
                _ => Ok(rows(schema.fields().len(), texts(schema, batches))),
            },
            (_, None) => Ok(DBOutput::StatementComplete(0)),
        }
    }

    /// Runs what was defined so far and then the query, where every row is a batch of its own.
    fn changelog(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let mut single = session(Setup { workers: 1, batch_rows: 1, ..self.setup });
        for defined in self.defined.iter().filter(|sql| is_definition(sql)) {
            execute(&mut single, defined, &mut Outcome::default(), &mut None)?;
        }
        let mut outcome = Outcome::default();
        execute(&mut single, sql, &mut outcome, &mut None)?;
        let changes = outcome.changelogs.last().ok_or_else(|| Refused("only a query has a changelog".to_owned()))?;
        Ok(rows(1, changes.iter().flat_map(change_texts).map(|line| vec![line]).collect()))
    }
}

fn is_definition(sql: &str) -> bool {
    ["CREATE", "SET", "RESET", "DROP"].iter().any(|word| sql.trim_start().starts_with(word))
}

fn execute(session: &mut Session, sql: &str, outcome: &mut Outcome, lines: &mut Option<String>) -> Result<(), Ended> {
    let script = session.script("test.sql", sql).map_err(Ended::Statement)?;
    for statement in script.statements() {
        match session.execute(statement).map_err(Ended::Statement)? {
            Answer::Rows { schema, batches } => outcome.results.push((schema, batches)),
            Answer::Job(job) => finish(job, outcome)?,
            Answer::Text(text) => *lines = Some(text),
            Answer::Done(_) => {}
        }
    }
    Ok(())
}

fn rows(columns: usize, rows: Vec<Vec<String>>) -> DBOutput<DefaultColumnType> {
    DBOutput::Rows { types: vec![DefaultColumnType::Text; columns], rows }
}

fn texts(schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let null: Arc<str> = Arc::from("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        assert_eq!(batch.num_columns(), schema.fields().len());
        let columns: Vec<ColumnText> = batch
            .columns()
            .iter()
            .map(|column| ColumnText::new(column, Reader::Person, &null).expect("a printable type"))
            .collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| text(column, row)).collect());
        }
    }
    rows
}

fn text(column: &ColumnText, row: usize) -> String {
    let mut text = String::new();
    column.write(row, &mut text);
    if text.is_empty() { "(empty)".to_owned() } else { text }
}

fn change_texts(batch: &ChangelogBatch) -> Vec<String> {
    let text = ChangelogText::new(batch).expect("a printable type");
    let line = |row| {
        let mut line = String::new();
        text.write(row, &mut line);
        line
    };
    (0..batch.rows().num_rows()).map(line).collect()
}

fn scripts() -> Vec<PathBuf> {
    let only = std::env::var("SLT_FILE").ok();
    let files = std::fs::read_dir(folder("slt")).expect("the scripts").map(|entry| entry.expect("a file").path());
    let wanted = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "slt")
            && only.as_ref().is_none_or(|only| path.to_string_lossy().contains(only.as_str()))
    };
    let mut files: Vec<PathBuf> = files.filter(wanted).collect();
    files.sort();
    files
}

/// Runs one script; `Err` says where an answer differs.
fn check(script: &Path, setup: Setup) -> Result<(), String> {
    let out = tempfile::tempdir().expect("a folder for this run");
    let path = out.path().to_owned();
    let mut runner = Runner::new(|| async { Ok(Database::new(setup, path.clone())) });
    runner.run_file(script).map_err(|error| format!("{} on {setup}:\n{}", script.display(), error.display(false)))
}

fn update(script: &Path, setup: Setup) {
    let out = tempfile::tempdir().expect("a folder for this run");
    let path = out.path().to_owned();
    let mut runner = Runner::new(|| async { Ok(Database::new(setup, path.clone())) });
    let updated = runner.update_test_file(
        script,
        "  ",
        sqllogictest::default_validator,
        sqllogictest::default_normalizer,
        sqllogictest::default_column_validator,
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(updated).expect("a script that can be rewritten");
}

#[test]
fn scripts_answer_the_same_on_every_setup() {
    let scripts = scripts();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        scripts.iter().for_each(|script| update(script, Setup::SMALL));
    }
    let mut failures = Vec::new();
    for script in &scripts {
        // A script that fails on one setup says nothing new on the next.
        let failed = setups(&[1, 2, 4], &[7]).into_iter().find_map(|setup| check(script, setup).err());
        failures.extend(failed);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

impl sqllogictest::DB for Database {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        self.answer(sql)
    }

    fn engine_name(&self) -> &str {
        "corelane"
    }
}
