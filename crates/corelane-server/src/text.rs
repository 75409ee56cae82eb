//! How rows become text, for the programs that print them.

pub use corelane_connectors::format::display::{
    ChangelogText, ColumnText, DecimalNotation, JsonText, Reader, quote_json,
};
