//! The contract of Corelane: the words and traits that every crate speaks.
//!
//! Nothing here does I/O, starts a thread or reads a clock. Operators compute, sources and
//! sinks touch the world, the runtime decides where and when; they meet only in these types.

pub mod changelog;
pub mod connector;
pub mod dataflow;
pub mod element;
pub mod error;
pub mod event_time;
pub mod key;
pub mod limits;
pub mod operator;
pub mod origin;
pub mod row_errors;
pub mod sink;
pub mod source;
pub mod sql_type;
pub mod wording;

pub use changelog::{ChangelogBatch, ChangelogMode, RowKind, RowKinds};
pub use connector::{Connector, OptionDef, TableDefinition, TableOptions};
pub use dataflow::{Dataflow, Edge, Exchange, Node, NodeId, NodeKind, StateBound};
pub use element::{Barrier, BarrierKind, CheckpointId, StreamElement, Watermark};
pub use error::{Error, ErrorKind, Result};
pub use key::{KEY_GROUPS, KeyGroup, hash_columns};
pub use operator::{Clock, Operator, OperatorContext, OperatorCounters, OperatorSpec, Output, Progress};
pub use origin::OriginDetail;
pub use row_errors::{BadRow, LateRows, OnError, RowErrors, RowErrorsFactory, RowPolicy};
pub use sink::{Committable, Sink, SinkContext, SinkSpec};
pub use source::{
    Source, SourceBatch, SourceContext, SourceCounters, SourcePoll, SourceSpec, Split, TimeCut, WatermarkGenerator,
    WatermarkStrategy,
};
pub use sql_type::sql_type;
