//! The options of a session: what `SET` knows. A closed table.

use corelane_stream::Result;

/// One option.
#[derive(Clone, Copy)]
pub struct SessionOption {
    pub name: &'static str,
    pub default: &'static str,
    pub check: fn(&str) -> Result<()>,
    /// One sentence.
    pub help: &'static str,
}

/// Every option of a session.
pub const OPTIONS: &[SessionOption] = &[SessionOption {
    name: "table.exec.source.idle-timeout",
    default: "0 ms",
    check: |value| corelane_connectors::options::duration_ms(value).map(drop),
    help: "How long a part of a source may be silent before it stops holding the watermark back; 0 waits for ever.",
}];

/// The known option nearest to a misspelt one.
pub fn closest_option(name: &str) -> Option<&'static str> {
    corelane_sql::catalog::closest(name, OPTIONS.iter().map(|option| option.name))
}
