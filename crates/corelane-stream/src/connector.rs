//! What a connector tells the planner: its options, its sources and its sinks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::row_errors::RowPolicy;
use crate::sink::SinkSpec;
use crate::source::SourceSpec;

/// One option of a connector or a format, for checking, `SHOW CONNECTORS` and the docs.
#[derive(Clone, Copy, Debug)]
pub struct OptionDef {
    /// Flink's name: `csv.field-delimiter`.
    pub name: &'static str,
    /// `None`: there is no default and it may be left out, unless `required`.
    pub default: Option<&'static str>,
    pub required: bool,
    /// One sentence.
    pub help: &'static str,
}

/// With the path of a column behind it, the key, in the metadata of a table's schema, of the length that a text or
/// bytes are declared with: `corelane.length.name` is `12` for `name VARCHAR(12)`.
pub const LENGTH_KEY: &str = "corelane.length.";

/// The options of `WITH (..)`, in the order of their names.
pub type TableOptions = BTreeMap<String, String>;

/// A table as the planner hands it to its connector.
#[derive(Clone, Debug)]
pub struct TableDefinition {
    pub name: String,
    /// The physical columns: no computed ones.
    pub schema: SchemaRef,
    pub options: TableOptions,
    /// `PARTITIONED BY` columns, by name.
    pub partitioned_by: Vec<String>,
    /// `PRIMARY KEY .. NOT ENFORCED` columns, by name.
    pub primary_key: Vec<String>,
    pub policy: Arc<RowPolicy>,
}

/// A kind of table. Adding one is one folder and one line in the table of connectors.
pub trait Connector: fmt::Debug + Send + Sync {
    /// The value of `'connector'`.
    fn name(&self) -> &'static str;

    /// One sentence.
    fn help(&self) -> &'static str;

    /// Its options, formats' options included; `connector` and the row-policy options are not listed.
    fn options(&self) -> Vec<OptionDef>;

    /// False if its tables can only be written: what becomes of bad rows is no matter of theirs.
    fn can_be_read(&self) -> bool {
        true
    }

    /// True if `PARTITIONED BY` says something to it.
    fn can_be_partitioned(&self) -> bool {
        false
    }

    /// Metadata columns that a source can fill: name and Arrow type are checked by `source`.
    fn metadata(&self) -> &'static [&'static str] {
        &[]
    }

    /// Makes the table's source.
    ///
    /// # Errors
    /// If the connector has no source, or an option's value is wrong. Options' names are already checked.
    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceSpec>>;

    /// Makes the table's sink.
    ///
    /// # Errors
    /// If the connector has no sink, or an option's value is wrong. Options' names are already checked.
    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkSpec>>;

    /// Finds the schema where the table has no columns declared.
    ///
    /// # Errors
    /// If the schema cannot be read from the outside.
    fn infer_schema(&self, options: &TableOptions) -> Result<SchemaRef>;
}
