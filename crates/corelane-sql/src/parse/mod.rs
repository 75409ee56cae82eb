//! From SQL text to statements.
//!
//! sqlparser reads queries and expressions; the statements of Flink around them, which it does
//! not know, are a layer on its `Parser`. Everything that comes out points back at the text.
//! Nothing here knows a catalog: a statement that parses may still make no sense.

mod create_table;
mod data_type;
mod dialect;
mod fault;
mod interval;
mod json;
mod limits;
mod parentheses;
mod reads;
mod script;
mod statement;
mod statement_parser;
mod table_factor;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use data_type::{NOT_NULL, RAW, TIMESTAMP_LTZ, counts};
pub use sqlparser::ast::ObjectName;

pub use interval::{IntervalValue, interval_as_written, interval_value};
pub use limits::{SQL_BYTES_MAX, SQL_CHAIN_MAX, SQL_DEPTH_MAX};
pub use reads::add_reads;
pub use script::{parse_data_type, parse_expr, parse_script};
pub use statement::{
    ColumnDef, ColumnKind, CreateTable, CreateView, DropKind, Emit, Insert, LikeClause, LikeFeature, LikeOption,
    LikeStrategy, Statement, StatementKind, TableOption, WatermarkDef,
};
pub use table_factor::{WindowKind, WindowTvf, file_path, window_tvf};
