//! Tables and views by name, and the connectors that stand behind tables.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use corelane_stream::{Connector, Error, RowPolicy, SinkSpec, SourceSpec, TableDefinition, TableOptions};
use datafusion_expr::Expr;
use sqlparser::ast::Query;

/// The outside world as the planner sees it: which connectors there are and how options are checked.
pub trait Connectors: fmt::Debug + Send + Sync {
    /// # Errors
    /// If there is no such connector; the error has a did-you-mean.
    fn connector(&self, name: &str) -> corelane_stream::Result<&'static dyn Connector>;

    /// Every connector, in the order of the docs.
    fn all(&self) -> Vec<&'static dyn Connector>;

    /// # Errors
    /// If an option is unknown or a required one is missing.
    fn check_options(&self, connector: &dyn Connector, options: &TableOptions) -> corelane_stream::Result<()>;

    /// Reads `on-error`, `late-rows` and `dead-letter.path`.
    ///
    /// # Errors
    /// If a value is not one of those accepted.
    fn row_policy(&self, table: &str, options: &TableOptions) -> corelane_stream::Result<RowPolicy>;

    /// The options of a table made from a path alone: `FROM 'trades.csv.gz'`.
    ///
    /// # Errors
    /// If the path's extension names no format.
    fn options_for_path(&self, path: &str) -> corelane_stream::Result<TableOptions>;
}

/// Where a column's values come from.
#[derive(Clone, Debug)]
pub enum ColumnSource {
    /// The outside; its position in the physical schema.
    Physical(usize),
    /// An expression over the table's physical and metadata columns, and how it was written.
    Computed { expression: Box<Expr>, text: String },
    /// What the source knows about the row: `file.path`. VIRTUAL is only shown: no one writes it.
    Metadata { key: String, is_virtual: bool },
}

#[derive(Clone, Debug)]
pub struct Column {
    pub field: FieldRef,
    pub source: ColumnSource,
    /// Digits behind the second, where fewer are declared than the field's type holds.
    pub digits: Option<u8>,
}

/// `WATERMARK FOR column AS expression`.
#[derive(Clone, Debug)]
pub struct TableWatermark {
    pub column: usize,
    /// Over the table's full schema, computed columns included.
    pub expression: Expr,
    /// As the user wrote it.
    pub text: String,
}

/// Where a table's rows come from and go to.
#[derive(Clone, Debug)]
pub enum Backing {
    Connector(&'static dyn Connector),
    /// What a program gave with the declaration; such a table can only be read.
    Source(Arc<dyn SourceSpec>),
}

/// One declared (or inferred) table.
#[derive(Clone, Debug)]
pub struct Table {
    pub columns: Vec<Column>,
    /// What the connector is given: physical columns and options.
    pub definition: TableDefinition,
    pub backing: Backing,
    pub watermark: Option<TableWatermark>,
    /// The statement that made it, for `SHOW CREATE TABLE`.
    pub text: String,
}

impl Table {
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// All columns, as queries see them.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()))
    }

    /// The columns that an `INSERT` writes.
    pub fn writable(&self) -> Vec<&Column> {
        let physical = |column: &&Column| matches!(column.source, ColumnSource::Physical(_));
        self.columns.iter().filter(physical).collect()
    }

    /// # Errors
    /// If the table cannot be read, or an option's value is wrong.
    pub fn source(&self) -> corelane_stream::Result<Arc<dyn SourceSpec>> {
        match &self.backing {
            Backing::Connector(connector) => connector.source(&self.definition),
            Backing::Source(source) => Ok(source.clone()),
        }
    }

    /// # Errors
    /// If the table cannot be written, or an option's value is wrong.
    pub fn sink(&self) -> corelane_stream::Result<Arc<dyn SinkSpec>> {
        match &self.backing {
            Backing::Connector(connector) => connector.sink(&self.definition),
            Backing::Source(source) => Err(Error::invalid(format!(
                "table '{}' cannot be written: its rows are a {}",
                self.name(),
                source.name()
            ))),
        }
    }

    pub fn policy(&self) -> &Arc<RowPolicy> {
        &self.definition.policy
    }
}

/// `CREATE VIEW`: a named query, planned anew wherever it is used.
#[derive(Clone, Debug)]
pub struct View {
    pub name: String,
    pub columns: Vec<String>,
    pub query: Box<Query>,
    pub emit_changes: bool,
    pub text: String,
}

#[derive(Clone, Debug)]
pub enum Relation {
    Table(Arc<Table>),
    View(Arc<View>),
}

/// What names mean. Names are case-sensitive, as in Flink.
#[derive(Clone, Debug)]
pub struct Catalog {
    relations: BTreeMap<String, Relation>,
    pub connectors: Arc<dyn Connectors>,
}

impl Catalog {
    pub fn new(connectors: Arc<dyn Connectors>) -> Self {
        Catalog { relations: BTreeMap::new(), connectors }
    }

    pub fn get(&self, name: &str) -> Option<&Relation> {
        self.relations.get(name)
    }

    pub fn insert(&mut self, name: String, relation: Relation) {
        self.relations.insert(name, relation);
    }

    pub fn remove(&mut self, name: &str) -> Option<Relation> {
        self.relations.remove(name)
    }

    pub fn relations(&self) -> impl Iterator<Item = (&str, &Relation)> {
        self.relations.iter().map(|(name, relation)| (name.as_str(), relation))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.relations.keys().map(String::as_str)
    }
}

/// Field metadata that marks a time attribute: rows come in (bounded dis)order of this column.
pub const TIME_KEY: &str = "corelane.time";
pub const TIME_EVENT: &str = "event";
pub const TIME_PROCESSING: &str = "processing";

/// Marks a column as the time attribute of its table or view.
pub fn with_time(field: &Field, kind: &str) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(TIME_KEY.to_owned(), kind.to_owned());
    field.clone().with_metadata(metadata)
}

/// The same column, which is no time attribute by event time.
pub fn without_event_time(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.retain(|key, kind| key != TIME_KEY || kind != TIME_EVENT);
    field.clone().with_metadata(metadata)
}

/// True if rows of this relation come in order of this column's event time.
pub fn is_event_time(field: &Field) -> bool {
    field.metadata().get(TIME_KEY).is_some_and(|kind| kind == TIME_EVENT)
}

/// True of `PROCTIME()` under whatever name. A cast keeps the mark, but what it gives is a time like any other.
pub fn is_processing_time(field: &Field) -> bool {
    let is_instant = matches!(field.data_type(), DataType::Timestamp(_, Some(_)));
    is_instant && field.metadata().get(TIME_KEY).is_some_and(|kind| kind == TIME_PROCESSING)
}

/// The known name nearest to a misspelt one, if one is near.
pub fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const SIMILARITY_MIN: f64 = 0.72;
    let lower = name.to_lowercase();
    known
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
