//! The statements of a script, as the planner gets them.
//!
//! Queries and expressions stay sqlparser's syntax tree, which DataFusion's binder takes. The
//! statements around them are ours, with only what Flink's grammar has.

use sqlparser::ast::{DataType, Expr, Ident, ObjectName, Query};

use crate::error::Span;

/// One statement and where it stands in its script.
#[derive(Clone, Debug)]
pub struct Statement {
    pub kind: StatementKind,
    /// From the first to the last word, without the semicolon.
    pub span: Span,
    /// The source text under `span`.
    pub text: String,
}

#[derive(Clone, Debug)]
pub enum StatementKind {
    CreateTable(Box<CreateTable>),
    CreateView(CreateView),
    Drop {
        kind: DropKind,
        if_exists: bool,
        name: ObjectName,
        temporary: bool,
    },
    Set {
        key: String,
        value: String,
        key_span: Option<Span>,
        value_span: Option<Span>,
    },
    /// `SET` alone lists the options.
    ShowOptions,
    /// `RESET` alone puts every option back.
    Reset {
        key: Option<String>,
        key_span: Option<Span>,
    },
    ShowTables,
    ShowViews,
    ShowFunctions,
    ShowConnectors,
    ShowCreate {
        kind: DropKind,
        name: ObjectName,
    },
    Describe(ObjectName),
    /// `EXPLAIN [PLAN FOR | CHANGELOG_MODE, ..]`; the details are in upper case.
    Explain {
        details: Vec<String>,
        statement: Box<StatementKind>,
    },
    Insert(Insert),
    /// One job with several sinks.
    StatementSet(Vec<Insert>),
    Query {
        query: Box<Query>,
        emit: Option<Emit>,
    },
}

impl StatementKind {
    /// The queries in a statement, in the order in which they stand there.
    pub(super) fn queries_mut(&mut self) -> Vec<&mut Query> {
        match self {
            StatementKind::CreateTable(table) => table.as_query.as_deref_mut().into_iter().collect(),
            StatementKind::CreateView(view) => vec![&mut view.query],
            StatementKind::Explain { details: _, statement } => statement.queries_mut(),
            StatementKind::Insert(insert) => vec![&mut insert.query],
            StatementKind::StatementSet(inserts) => inserts.iter_mut().map(|insert| insert.query.as_mut()).collect(),
            StatementKind::Query { query, emit: _ } => vec![query],
            StatementKind::Drop { .. }
            | StatementKind::Set { .. }
            | StatementKind::ShowOptions
            | StatementKind::Reset { .. }
            | StatementKind::ShowTables
            | StatementKind::ShowViews
            | StatementKind::ShowFunctions
            | StatementKind::ShowConnectors
            | StatementKind::ShowCreate { .. }
            | StatementKind::Describe(_) => Vec::new(),
        }
    }
}

/// What a `DROP` or `SHOW CREATE` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropKind {
    Table,
    View,
}

/// When a query gives out its results; beyond Flink, which always gives out changes of an
/// unbounded aggregate and only the final result of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    Changes,
    Final,
}

#[derive(Clone, Debug)]
pub struct Insert {
    pub table: ObjectName,
    /// Empty: all columns in their order.
    pub columns: Vec<Ident>,
    pub query: Box<Query>,
    pub emit: Option<Emit>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct CreateView {
    pub name: ObjectName,
    /// Empty: the names of the query.
    pub columns: Vec<Ident>,
    pub if_not_exists: bool,
    pub or_replace: bool,
    pub temporary: bool,
    pub comment: Option<String>,
    pub query: Box<Query>,
    pub emit: Option<Emit>,
}

#[derive(Clone, Debug)]
pub struct CreateTable {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub temporary: bool,
    pub columns: Vec<ColumnDef>,
    /// Empty: none was declared.
    pub primary_key: Vec<Ident>,
    pub watermark: Option<WatermarkDef>,
    pub partitioned_by: Vec<Ident>,
    pub options: Vec<TableOption>,
    pub like: Option<LikeClause>,
    pub as_query: Option<Box<Query>>,
    pub emit: Option<Emit>,
    pub comment: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ColumnDef {
    pub name: Ident,
    pub kind: ColumnKind,
    pub comment: Option<String>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ColumnKind {
    Physical {
        data_type: DataType,
        not_null: bool,
    },
    /// With the text of the expression, as it is written.
    Computed {
        expr: Box<Expr>,
        span: Span,
        text: String,
    },
    Metadata {
        data_type: DataType,
        not_null: bool,
        from: Option<String>,
        is_virtual: bool,
    },
}

#[derive(Clone, Debug)]
pub struct WatermarkDef {
    pub column: Ident,
    pub expr: Expr,
    pub expr_span: Span,
    /// The expression as it is written.
    pub text: String,
    pub span: Span,
}

/// One pair of a `WITH` clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOption {
    pub key: String,
    pub value: String,
    pub key_span: Option<Span>,
    pub value_span: Option<Span>,
}

/// `LIKE t (INCLUDING ALL, ..)`.
#[derive(Clone, Debug)]
pub struct LikeClause {
    pub table: ObjectName,
    pub options: Vec<LikeOption>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LikeOption {
    pub strategy: LikeStrategy,
    pub feature: LikeFeature,
    pub span: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LikeStrategy {
    Including,
    Excluding,
    Overwriting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LikeFeature {
    All,
    Constraints,
    Distribution,
    Generated,
    Metadata,
    Options,
    Partitions,
    Watermarks,
}

impl LikeClause {
    /// What happens to a feature of the source table: the clause for it, else that for `ALL`,
    /// else Flink's default: everything is included, and options of the new table win.
    pub fn strategy(&self, feature: LikeFeature) -> LikeStrategy {
        let named = |wanted| self.options.iter().find(|option| option.feature == wanted).map(|option| option.strategy);
        named(feature).or_else(|| named(LikeFeature::All)).unwrap_or(match feature {
            LikeFeature::Options => LikeStrategy::Overwriting,
            LikeFeature::All
            | LikeFeature::Constraints
            | LikeFeature::Distribution
            | LikeFeature::Generated
            | LikeFeature::Metadata
            | LikeFeature::Partitions
            | LikeFeature::Watermarks => LikeStrategy::Including,
        })
    }
}
