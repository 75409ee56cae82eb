//! The options of a session: what `SET` knows. A closed table.

use corelane_connectors::options::Options;
use corelane_stream::{Result, TableOptions};

/// The name of the option that lets silent parts of a source stop holding back event time.
pub const IDLE_TIMEOUT: &str = "table.exec.source.idle-timeout";

/// The name of the option that says where clocks on the wall are.
pub const LOCAL_TIME_ZONE: &str = "table.local-time-zone";

/// The name of the option that says what becomes of rows with NULL for a NOT NULL column.
pub const NOT_NULL_ENFORCER: &str = "table.exec.sink.not-null-enforcer";

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
pub const OPTIONS: &[SessionOption] = &[
    SessionOption {
        name: NOT_NULL_ENFORCER,
        default: "ERROR",
        check: |value| drops_nulls(value).map(drop),
        help: "What becomes of a row with NULL for a NOT NULL column that it is inserted into: ERROR, or DROP to leave it out.",
    },
    SessionOption {
        name: IDLE_TIMEOUT,
        default: "0 ms",
        check: |value| duration_ms(IDLE_TIMEOUT, value).map(drop),
        help: "How long a part of a source may be silent before it stops holding the watermark back; 0 waits for ever.",
    },
    SessionOption {
        name: LOCAL_TIME_ZONE,
        default: "UTC",
        check: corelane_sql::functions::check_time_zone,
        help: "The time zone of a TIMESTAMP_LTZ's date and time in functions and casts, and of the windows over it.",
    },
];

/// The known option nearest to a misspelt one.
pub fn closest_option(name: &str) -> Option<&'static str> {
    corelane_sql::catalog::closest(name, OPTIONS.iter().map(|option| option.name))
}

/// Reads [`NOT_NULL_ENFORCER`].
///
/// # Errors
/// If the value is neither ERROR nor DROP.
pub fn drops_nulls(value: &str) -> Result<bool> {
    let given = TableOptions::from([(NOT_NULL_ENFORCER.to_owned(), value.to_ascii_uppercase())]);
    let drops = Options::new(&given).choice(NOT_NULL_ENFORCER, &[("ERROR", false), ("DROP", true)])?;
    Ok(drops.unwrap_or(false))
}

/// Reads a duration as Flink writes it.
///
/// # Errors
/// If the value is not a duration.
pub fn duration_ms(name: &str, value: &str) -> Result<u64> {
    let given = TableOptions::from([(name.to_owned(), value.to_owned())]);
    let duration = Options::new(&given).duration(name)?;
    Ok(duration.map_or(0, |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}
