//! From SQL text to a checked plan to a `Dataflow`: a pure function of text and catalog.
//!
//! sqlparser and our layer on it parse (`parse`), DataFusion's planner binds names and types
//! (`bind`), and `lower` makes streaming operators of the bound plan. Nothing here does I/O but
//! what connectors do to infer a schema.

pub mod bind;
pub mod catalog;
pub mod create;
pub mod error;
pub mod explain;
pub mod functions;
pub mod lower;
pub mod parse;
pub mod plan;
mod supertype;
pub mod types;

pub use bind::Functions;
pub use catalog::{Backing, Catalog, Connectors, Relation, Table, View};
pub use corelane_ops::AGGREGATES;
pub use error::SqlError;
pub use explain::explain;
pub use plan::{BoundQuery, PlanOptions, Planner};
