//! One session: statements in, answers out.
//!
//! A session owns a catalog and its options. Statements that define things change the catalog;
//! statements that compute become jobs. A statement is planned when its turn comes, because it
//! may use what the ones before it define; but the whole script is parsed first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use corelane_connectors::FileRowErrors;
use corelane_connectors::filesystem::{TableUse, check_dead_letters, check_standard_input};
use corelane_runtime::{JobSetup, MachineFacts, RuntimeConfig, probe};
use corelane_sql::parse::{Insert, Statement as Parsed, StatementKind, add_reads, parse_script};
use corelane_sql::{Catalog, Functions, PlanOptions, Planner, Relation, SqlError, explain};
use corelane_stream::{
    Clock, Dataflow, Error, ErrorKind, NodeKind, OptionDef, Result, SinkSpec, SourceSpec, TableDefinition,
};

use crate::collect::collect;
use crate::config::Settings;
use crate::idle_options;
use crate::job::{QueryResult, RunningJob};
use crate::options::{
    IDLE_TIMEOUT, LOCAL_TIME_ZONE, NOT_NULL_ENFORCER, OPTIONS, SessionOption, closest_option, drops_nulls, duration_ms,
};
use crate::world::World;

/// What is done with statements that run jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Run,
    /// Their plans are the answer.
    Explain,
    /// They are planned, and what they read and write is looked at; nothing runs.
    Check,
}

#[derive(Clone)]
pub struct SessionOptions {
    pub settings: Settings,
    pub clock: Arc<dyn Clock>,
    /// The rows of bare SELECTs over bounded input are looked at when it has ended: aggregates
    /// then give no changes on the way.
    pub final_results: bool,
    /// As if the script began with these `SET`s.
    pub sets: Vec<(String, String)>,
    pub effect: Effect,
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SessionOptions({:?}, {} sets)", self.effect, self.sets.len())
    }
}

/// A session.
#[derive(Debug)]
pub struct Session {
    catalog: Catalog,
    functions: Functions,
    runtime: RuntimeConfig,
    final_results: bool,
    facts: MachineFacts,
    workers: usize,
    effect: Effect,
    /// Paths that the statements checked so far would have written.
    written: Vec<String>,
    clock: SharedClock,
    set: BTreeMap<String, String>,
    /// Tables and views that statements of its scripts read.
    reads: BTreeSet<String>,
    /// Files that the program itself writes.
    outputs: Vec<PathBuf>,
    /// Who has read standard input.
    standard_input_by: Option<&'static str>,
}

#[derive(Clone)]
struct SharedClock(Arc<dyn Clock>);

impl fmt::Debug for SharedClock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Clock")
    }
}

/// A parsed script.
#[derive(Debug)]
pub struct Script {
    name: Arc<str>,
    text: Arc<str>,
    statements: Vec<Statement>,
}

impl Script {
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

/// One statement of a script.
#[derive(Debug)]
pub struct Statement {
    parsed: Parsed,
    name: Arc<str>,
    text: Arc<str>,
}

impl Statement {
    /// Whether it gives rows: a query, or what lists things.
    pub fn has_rows(&self) -> bool {
        match &self.parsed.kind {
            StatementKind::Query { .. }
            | StatementKind::ShowOptions
            | StatementKind::ShowTables
            | StatementKind::ShowViews
            | StatementKind::ShowFunctions
            | StatementKind::ShowConnectors
            | StatementKind::Describe(_) => true,
            StatementKind::CreateTable(_)
            | StatementKind::CreateView(_)
            | StatementKind::Drop { .. }
            | StatementKind::Set { .. }
            | StatementKind::Reset { .. }
            | StatementKind::ShowCreate { .. }
            | StatementKind::Explain { .. }
            | StatementKind::Insert(_)
            | StatementKind::StatementSet(_) => false,
        }
    }
}

/// What a statement gives.
#[derive(Debug)]
pub enum Answer {
    /// The rows of SHOW and DESCRIBE.
    Rows { schema: arrow::datatypes::SchemaRef, batches: Vec<RecordBatch> },
    /// The text of EXPLAIN.
    Text(String),
    /// A job that runs.
    Job(RunningJob),
    /// `table orders created`.
    Done(String),
}

/// What was wrong with a statement, and where.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: ErrorKind,
    /// One line: what was attempted and why it failed.
    pub message: String,
    /// Where in the script: the place, the line and a caret under the words at fault.
    pub place: Option<String>,
    pub hint: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

/// Why a statement ended early: its text is wrong, or the world is.
enum Stop {
    Sql(SqlError),
    World(Error),
}

impl Stop {
    /// What the user is told; `sql` is the script of this name.
    fn failure(self, sql: &str, name: &str) -> Failure {
        match self {
            Stop::Sql(error) => failure(error, sql, name),
            Stop::World(error) => Failure {
                kind: error.kind(),
                message: error.message().to_owned(),
                place: None,
                hint: error.hint().map(str::to_owned),
            },
        }
    }
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Self {
        Stop::Sql(error)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::World(error)
    }
}

impl Session {
    /// # Errors
    /// If a setting does not fit this machine, or a `--set` is unknown.
    pub fn new(options: SessionOptions) -> Result<Session> {
        Self::on(options, probe())
    }

    /// A session on a machine with these facts.
    ///
    /// # Errors
    /// As for `new`.
    pub fn on(options: SessionOptions, facts: MachineFacts) -> Result<Session> {
        let runtime = options.settings.runtime()?;
        let workers = runtime.resolve(&facts)?.workers.len();
        let mut session = Session {
            catalog: Catalog::new(Arc::new(World)),
            functions: Functions::new(options.clock.clone(), None),
            runtime,
            final_results: options.final_results,
            facts,
            workers,
            effect: options.effect,
            written: Vec::new(),
            clock: SharedClock(options.clock),
            set: BTreeMap::new(),
            reads: BTreeSet::new(),
            outputs: Vec::new(),
            standard_input_by: None,
        };
        for (key, value) in &options.sets {
            session.set_option(key, value)?;
        }
        Ok(session)
    }

    /// Says that the program itself writes this file: no job may write it, too. A device takes all.
    pub fn writes(&mut self, path: &Path) {
        if path.is_file() || !path.exists() {
            self.outputs.extend(std::path::absolute(path));
        }
    }

    /// Says that the script itself came by standard input, which no table can read then.
    pub fn took_standard_input(&mut self) {
        self.standard_input_by = Some("the script");
    }

    /// Parses a whole script.
    ///
    /// # Errors
    /// At the first statement that is not SQL.
    pub fn script(&mut self, name: &str, sql: &str) -> Result<Script, Failure> {
        let parsed = parse_script(sql).map_err(|error| failure(error, sql, name))?;
        parsed.iter().for_each(|statement| add_reads(&statement.kind, &mut self.reads));
        let name: Arc<str> = name.into();
        let text: Arc<str> = sql.into();
        let statement = |parsed| Statement { parsed, name: name.clone(), text: text.clone() };
        let statements = parsed.into_iter().map(statement).collect();
        Ok(Script { name, text, statements })
    }

    /// Makes a table whose rows this program gives. `declaration` is a `CREATE TABLE` without
    /// `WITH`; a column of the source has the declared column's name and type.
    ///
    /// # Errors
    /// If the declaration is refused, or the source lacks a column.
    pub fn create_table(&mut self, declaration: &str, source: Arc<dyn SourceSpec>) -> Result<(), Failure> {
        let fault = |error: SqlError| failure(error, declaration, "declaration");
        let statements = parse_script(declaration).map_err(fault)?;
        let [Parsed { kind: StatementKind::CreateTable(create), .. }] = &statements[..] else {
            return Err(fault(SqlError::new("a table is declared by one CREATE TABLE")));
        };
        let table =
            corelane_sql::create::create_table_over(&self.catalog, &self.functions, create, source, declaration)
                .map_err(fault)?;
        self.catalog.insert(table.name().to_owned(), Relation::Table(Arc::new(table)));
        Ok(())
    }

    /// Runs one query into a sink that this program gives: its rows go there from every worker, as
    /// the sink's exchange says, instead of through one reader.
    ///
    /// # Errors
    /// If the text is no single query, the query is refused, or its job cannot start.
    pub fn query_into(&mut self, sql: &str, sink: Arc<dyn SinkSpec>) -> Result<RunningJob, Failure> {
        let script = self.script("query", sql)?;
        let fault = |stop: Stop| stop.failure(sql, "query");
        let [Statement { parsed: Parsed { kind: StatementKind::Query { query, emit }, .. }, .. }] = script.statements()
        else {
            return Err(fault(Stop::Sql(SqlError::new("one query is needed, and nothing else"))));
        };
        let plan = |session: &mut Session| -> Result<Answer, Stop> {
            let bound = session.planner()?.bind(query, *emit)?;
            let (dataflow, _) = session.planner()?.query(&bound, "result", sink)?;
            session.run(dataflow, None)
        };
        match plan(self).map_err(fault)? {
            Answer::Job(job) => Ok(job),
            Answer::Rows { .. } | Answer::Text(_) | Answer::Done(_) => {
                Err(fault(Stop::World(Error::invalid("this session plans queries but runs none"))))
            }
        }
    }

    /// # Errors
    /// If the statement is refused or its job cannot start.
    pub fn execute(&mut self, statement: &Statement) -> Result<Answer, Failure> {
        self.perform(&statement.parsed).map_err(|stop| {
            let stop = match stop {
                Stop::Sql(error) => Stop::Sql(error.at(Some(statement.parsed.span))),
                world @ Stop::World(_) => world,
            };
            stop.failure(&statement.text, &statement.name)
        })
    }

    fn perform(&mut self, statement: &Parsed) -> Result<Answer, Stop> {
        match &statement.kind {
            StatementKind::CreateTable(create) => {
                let name = corelane_sql::create::simple_name(&create.name)?;
                if let Some(done) = self.taken(&name, create.if_not_exists, &create.name)? {
                    return Ok(done);
                }
                let table =
                    corelane_sql::create::create_table(&self.catalog, &self.functions, create, &statement.text)?;
                self.catalog.insert(name.clone(), Relation::Table(Arc::new(table)));
                Ok(Answer::Done(format!("table {name} created")))
            }
            StatementKind::CreateView(create) => {
                let name = corelane_sql::create::simple_name(&create.name)?;
                if !create.or_replace
                    && let Some(done) = self.taken(&name, create.if_not_exists, &create.name)?
                {
                    return Ok(done);
                }
                let view = corelane_sql::create::create_view(&self.catalog, &self.functions, create, &statement.text)?;
                self.catalog.insert(name.clone(), Relation::View(Arc::new(view)));
                Ok(Answer::Done(format!("view {name} created")))
            }
            StatementKind::Drop { kind, if_exists, name, .. } => self.drop_relation(*kind, *if_exists, name),
            StatementKind::Set { key, value, key_span, .. } => {
                self.set_option(key, value).map_err(|error| Stop::Sql(SqlError::from(error).at(*key_span)))?;
                Ok(Answer::Done(format!("{key} = {value}")))
            }
            StatementKind::Reset { key, key_span } => {
                match key {
                    Some(key) => {
                        known_option(key).map_err(|error| Stop::Sql(SqlError::from(error).at(*key_span)))?;
                        self.set.remove(key);
                    }
                    None => self.set.clear(),
                }
                self.follow_options();
                Ok(Answer::Done("options reset".to_owned()))
            }
            StatementKind::ShowOptions => {
                let value = |option: &SessionOption| {
                    self.set.get(option.name).cloned().unwrap_or_else(|| option.default.to_owned())
                };
                Ok(rows(
                    ["option", "value", "help"],
                    OPTIONS.iter().map(|option| [option.name.to_owned(), value(option), option.help.to_owned()]),
                ))
            }
            StatementKind::ShowTables => {
                let tables = self.catalog.relations().map(|(name, _)| [name.to_owned()]);
                Ok(rows(["table name"], tables))
            }
            StatementKind::ShowViews => {
                let views = self.catalog.relations().filter(|(_, relation)| matches!(relation, Relation::View(_)));
                Ok(rows(["view name"], views.map(|(name, _)| [name.to_owned()])))
            }
            StatementKind::ShowFunctions => Ok(show_functions()),
            StatementKind::ShowConnectors => Ok(self.show_connectors()),
            StatementKind::ShowCreate { kind, name } => self.show_create(*kind, name),
            StatementKind::Describe(name) => self.describe(name),
            StatementKind::Explain { statement: inner, .. } => self.explain_statement(inner),
            StatementKind::Insert(insert) => self.insert(std::slice::from_ref(insert)),
            StatementKind::StatementSet(inserts) => self.insert(inserts),
            StatementKind::Query { query, emit } => {
                let bound = self.planner()?.bind(query, *emit)?;
                let (sink, collector) = collect();
                let (dataflow, mode) = self.planner()?.query(&bound, "result", Arc::new(sink))?;
                let result = QueryResult { collector, schema: bound.schema(), mode };
                self.run(dataflow, Some(result))
            }
        }
    }

    fn planner(&self) -> Result<Planner<'_>, Stop> {
        let idle_timeout_ms = match self.set.get(IDLE_TIMEOUT) {
            Some(text) => Some(duration_ms(IDLE_TIMEOUT, text)?).filter(|timeout| *timeout > 0),
            None => None,
        };
        let nulls_dropped = self.set.get(NOT_NULL_ENFORCER).map_or(Ok(false), |value| drops_nulls(value))?;
        let final_results = self.final_results;
        let options = PlanOptions { workers: self.workers, idle_timeout_ms, final_results, nulls_dropped };
        Ok(Planner { catalog: &self.catalog, functions: &self.functions, options })
    }

    /// `Some` if the name is taken and that is fine.
    fn taken(
        &self,
        name: &str,
        if_not_exists: bool,
        at: &corelane_sql::parse::ObjectName,
    ) -> Result<Option<Answer>, Stop> {
        match self.catalog.get(name) {
            None => Ok(None),
            Some(_) if if_not_exists => Ok(Some(Answer::Done(format!("{name} exists already")))),
            Some(_) => Err(Stop::Sql(
                SqlError::new(format!("{name:?} exists already"))
                    .with_hint("choose another name, drop the other first, or say IF NOT EXISTS")
                    .at_node(at),
            )),
        }
    }

    fn drop_relation(
        &mut self,
        kind: corelane_sql::parse::DropKind,
        if_exists: bool,
        name: &corelane_sql::parse::ObjectName,
    ) -> Result<Answer, Stop> {
        use corelane_sql::parse::DropKind;
        let simple = corelane_sql::create::simple_name(name)?;
        let (what, is_kind) = match (kind, self.catalog.get(&simple)) {
            (DropKind::Table, found) => ("table", matches!(found, Some(Relation::Table(_)))),
            (DropKind::View, found) => ("view", matches!(found, Some(Relation::View(_)))),
        };
        if is_kind {
            self.catalog.remove(&simple);
            return Ok(Answer::Done(format!("{what} {simple} dropped")));
        }
        if if_exists {
            return Ok(Answer::Done(format!("there is no {what} {simple}")));
        }
        let mut error = self.unknown(what, &simple);
        match self.catalog.get(&simple) {
            Some(Relation::Table(_)) => error.hint = Some(format!("it is a table: DROP TABLE {simple}")),
            Some(Relation::View(_)) => error.hint = Some(format!("it is a view: DROP VIEW {simple}")),
            None => {}
        }
        Err(Stop::Sql(error.at_node(name)))
    }

    fn unknown(&self, what: &str, name: &str) -> SqlError {
        let error = SqlError::new(format!("there is no {what} named {name:?}"));
        match corelane_sql::catalog::closest(name, self.catalog.names()) {
            Some(close) => error.with_hint(format!("did you mean {close:?}?")),
            None => error,
        }
    }

    fn set_option(&mut self, key: &str, value: &str) -> Result<()> {
        (known_option(key)?.check)(value)?;
        self.set.insert(key.to_owned(), value.to_owned());
        self.follow_options();
        Ok(())
    }

    /// Puts into force what statements do not look up by themselves.
    fn follow_options(&mut self) {
        let time_zone = self.set.get(LOCAL_TIME_ZONE).map(String::as_str);
        self.functions = Functions::new(self.clock.0.clone(), time_zone);
    }

    fn insert(&mut self, inserts: &[Insert]) -> Result<Answer, Stop> {
        let dataflow = self.planner()?.inserts(inserts)?;
        self.run(dataflow, None)
    }

    /// Checks that no dead letters go where this job reads or writes rows, and that nothing is read twice that
    /// can be read but once.
    fn check_files(&mut self, dataflow: &Dataflow) -> Result<()> {
        let tables: Vec<TableUse<'_>> = dataflow
            .nodes
            .iter()
            .filter_map(|node| {
                let (name, connector, written) = match &node.kind {
                    NodeKind::Source(source) => (&source.table, source.spec.name(), false),
                    NodeKind::Sink(sink) => (&sink.table, sink.spec.name(), true),
                    NodeKind::Operator(_) => return None,
                };
                let policy = self.declared(name).map(|table| table.policy.as_ref());
                Some(TableUse { table: name, path: self.path(name, connector), policy, written })
            })
            .collect();
        check_dead_letters(&tables)?;
        for table in &tables {
            let letters = table.policy.and_then(|policy| policy.dead_letter_path.as_deref());
            let target = table.path.filter(|_| table.written).map(Path::new);
            let what = [("dead letters", letters), ("rows", target)];
            let both = what
                .into_iter()
                .filter_map(|(what, path)| Some((what, path?)))
                .find(|(_, path)| std::path::absolute(path).is_ok_and(|path| self.outputs.contains(&path)));
            if let Some((what, path)) = both {
                let path = path.display();
                let message =
                    format!("the {what} of table '{}' and the program's own output both go to {path}", table.table);
                return Err(Error::invalid(message).with_hint("give each a file of its own"));
            }
        }
        // Nothing is read for an explanation.
        let explains = self.effect == Effect::Explain;
        if check_standard_input(&tables, self.standard_input_by.filter(|_| !explains))? && !explains {
            self.standard_input_by = Some("an earlier statement");
        }
        Ok(())
    }

    /// `None` for a file without a declaration.
    fn declared(&self, table: &str) -> Option<&TableDefinition> {
        match self.catalog.get(table) {
            Some(Relation::Table(table)) => Some(&table.definition),
            Some(Relation::View(_)) | None => None,
        }
    }

    /// Where a table's files are, if it is one of files.
    fn path<'a>(&'a self, table: &'a str, connector: &str) -> Option<&'a str> {
        let path = match self.declared(table) {
            Some(table) => table.options.get("path").map(String::as_str),
            // A file without a declaration has its path for a name.
            None => Some(table),
        };
        path.filter(|_| connector == "filesystem")
    }

    /// Looks at what a job would read and write. What an earlier statement of the script would have
    /// written need not be there.
    fn check_world(&mut self, dataflow: &Dataflow) -> Result<()> {
        let mut written = Vec::new();
        for node in &dataflow.nodes {
            match &node.kind {
                NodeKind::Source(source) => {
                    let path = self.path(&source.table, source.spec.name());
                    if !path.is_some_and(|path| self.written.iter().any(|earlier| path.starts_with(earlier))) {
                        source.spec.check()?;
                    }
                }
                NodeKind::Sink(sink) => {
                    sink.spec.check()?;
                    written.extend(self.path(&sink.table, sink.spec.name()).map(str::to_owned));
                }
                NodeKind::Operator(_) => {}
            }
        }
        self.written.extend(written);
        Ok(())
    }

    fn run(&mut self, dataflow: Dataflow, result: Option<QueryResult>) -> Result<Answer, Stop> {
        self.check_files(&dataflow)?;
        match self.effect {
            Effect::Explain => return Ok(Answer::Text(explain(&dataflow, self.workers))),
            Effect::Check => {
                self.check_world(&dataflow)?;
                return Ok(Answer::Done("the plan is fine".to_owned()));
            }
            Effect::Run => {}
        }
        let row_errors = Arc::new(FileRowErrors::new());
        let setup = JobSetup {
            dataflow: dataflow.clone(),
            config: self.runtime.clone(),
            clock: self.clock.0.clone(),
            row_errors: row_errors.clone(),
        };
        let handle = corelane_runtime::start_on(setup, &self.facts)?;
        let notices = idle_options::notices(&dataflow, &self.catalog, &self.reads);
        Ok(Answer::Job(RunningJob::new(handle, &dataflow, result, row_errors, notices)))
    }

    fn explain_statement(&mut self, statement: &StatementKind) -> Result<Answer, Stop> {
        let dataflow = match statement {
            StatementKind::Insert(insert) => self.planner()?.inserts(std::slice::from_ref(insert))?,
            StatementKind::StatementSet(inserts) => self.planner()?.inserts(inserts)?,
            StatementKind::Query { query, emit } => {
                let bound = self.planner()?.bind(query, *emit)?;
                self.planner()?.query(&bound, "result", Arc::new(collect().0))?.0
            }
            _ => return Err(Stop::Sql(SqlError::new("EXPLAIN takes a query or an INSERT"))),
        };
        Ok(Answer::Text(explain(&dataflow, self.workers)))
    }

    fn show_connectors(&self) -> Answer {
        let connectors = self.catalog.connectors.all();
        let described = |connector: &str, option: &OptionDef| {
            [
                connector.to_owned(),
                option.name.to_owned(),
                option.default.unwrap_or_default().to_owned(),
                option.required.to_string(),
                option.help.to_owned(),
            ]
        };
        let of_all = corelane_connectors::POLICY_OPTIONS.iter().map(|option| described("any", option));
        rows(
            ["connector", "option", "default", "required", "help"],
            connectors
                .iter()
                .flat_map(|connector| {
                    let head = [
                        connector.name().to_owned(),
                        String::new(),
                        String::new(),
                        String::new(),
                        connector.help().to_owned(),
                    ];
                    let options = connector.options().into_iter().map(|option| described(connector.name(), &option));
                    std::iter::once(head).chain(options.collect::<Vec<_>>())
                })
                .chain(of_all),
        )
    }

    fn show_create(
        &self,
        kind: corelane_sql::parse::DropKind,
        name: &corelane_sql::parse::ObjectName,
    ) -> Result<Answer, Stop> {
        use corelane_sql::parse::DropKind;
        let simple = corelane_sql::create::simple_name(name)?;
        let (what, hint) = match (kind, self.catalog.get(&simple)) {
            (DropKind::Table, Some(Relation::Table(table))) => return Ok(Answer::Text(table.text.clone())),
            (DropKind::View, Some(Relation::View(view))) => return Ok(Answer::Text(view.text.clone())),
            (DropKind::Table, Some(Relation::View(_))) => ("table", Some("it is a view: SHOW CREATE VIEW")),
            (DropKind::View, Some(Relation::Table(_))) => ("view", Some("it is a table: SHOW CREATE TABLE")),
            (DropKind::Table, None) => ("table", None),
            (DropKind::View, None) => ("view", None),
        };
        let mut error = self.unknown(what, &simple);
        error.hint = hint.map(|hint| format!("{hint} {simple}")).or(error.hint);
        Err(Stop::Sql(error.at_node(name)))
    }

    fn describe(&self, name: &corelane_sql::parse::ObjectName) -> Result<Answer, Stop> {
        let simple = corelane_sql::create::simple_name(name)?;
        let columns: Vec<[String; 6]> = match self.catalog.get(&simple) {
            None => return Err(Stop::Sql(self.unknown("table or view", &simple).at_node(name))),
            Some(Relation::Table(table)) => corelane_sql::create::describe_table(table),
            Some(Relation::View(view)) => {
                let bound = self.planner()?.bind(&view.query, None)?;
                corelane_sql::create::describe_view(view, &bound.schema())
            }
        };
        Ok(rows(["name", "type", "null", "key", "extras", "watermark"], columns))
    }
}

/// The option of this name, to set or to put back.
fn known_option(key: &str) -> Result<&'static SessionOption> {
    OPTIONS.iter().find(|option| option.name == key).ok_or_else(|| {
        let hint = match closest_option(key) {
            Some(close) => format!("did you mean '{close}'?"),
            None => "SET alone lists the options".to_owned(),
        };
        Error::invalid(format!("there is no option '{key}'")).with_hint(hint)
    })
}

fn show_functions() -> Answer {
    let scalars = corelane_sql::functions::FUNCTIONS
        .iter()
        .map(|def| [def.name.to_owned(), def.category.name().to_owned(), def.usage.to_owned(), def.help.to_owned()]);
    let aggregates = corelane_sql::AGGREGATES
        .iter()
        .map(|def| [def.name.to_owned(), "aggregate".to_owned(), def.usage.to_owned(), def.help.to_owned()]);
    rows(["function", "category", "usage", "help"], scalars.chain(aggregates))
}

/// A table of strings.
fn rows<const N: usize>(names: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Answer {
    let mut columns: [Vec<String>; N] = std::array::from_fn(|_| Vec::new());
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).expect("columns of one length");
    Answer::Rows { schema, batches: vec![batch] }
}

fn failure(error: SqlError, sql: &str, name: &str) -> Failure {
    Failure { kind: error.kind, message: error.message.clone(), place: error.place(sql, name), hint: error.hint }
}
