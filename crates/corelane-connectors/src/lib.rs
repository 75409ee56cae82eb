//! The outside world as sources and sinks, and its formats.
//!
//! The set of connectors is closed: one table from which the planner, `SHOW CONNECTORS`, the
//! did-you-mean for misspelt options and the reference docs all derive. Adding one is one
//! folder and one line in `CONNECTORS`.

pub mod blackhole;
pub mod datagen;
pub mod dead_letter;
pub mod filesystem;
pub mod format;
pub mod nexmark;
pub mod options;
pub mod print;

mod base64;
mod generated;
mod origins;
mod policy;
mod random;
#[cfg(test)]
mod testing;

use corelane_stream::{Connector, Error, Result, TableOptions};

pub use dead_letter::FileRowErrors;
pub use policy::{POLICY_OPTIONS, row_policy};

/// Every connector, in the order of the docs.
pub static CONNECTORS: &[&dyn Connector] = &[
    &filesystem::FilesystemConnector,
    &datagen::DatagenConnector,
    &nexmark::NexmarkConnector,
    &print::PrintConnector,
    &blackhole::BlackholeConnector,
];

/// Finds a connector by the value of `'connector'`.
///
/// # Errors
/// If there is none of that name.
pub fn connector(name: &str) -> Result<&'static dyn Connector> {
    if let Some(connector) = CONNECTORS.iter().find(|connector| connector.name() == name) {
        return Ok(*connector);
    }
    let names = || CONNECTORS.iter().map(|connector| connector.name());
    let hint = match options::did_you_mean(name, names()) {
        Some(like) => format!("did you mean '{like}'?"),
        None => format!("connectors are {}", names().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")),
    };
    Err(Error::invalid(format!("there is no connector '{name}'")).with_hint(hint))
}

/// True if an option is the one that is known, where `#` in the known name stands for a column:
/// `fields.#.min` is known, `fields.price.min` given.
fn matches_name(known: &str, given: &str) -> bool {
    match known.split_once('#') {
        Some((before, after)) => {
            given.len() > before.len() + after.len() && given.starts_with(before) && given.ends_with(after)
        }
        None => known == given,
    }
}

/// Checks the names of a table's options, and that the required ones are there.
///
/// # Errors
/// If an option is not known to the connector, or a required one is missing.
pub fn check_options(connector: &dyn Connector, given: &TableOptions) -> Result<()> {
    let known = connector.options();
    let names = || {
        let policy = if connector.can_be_read() { POLICY_OPTIONS } else { &[] };
        let policy = policy.iter().map(|option| option.name);
        std::iter::once("connector").chain(known.iter().map(|option| option.name)).chain(policy)
    };
    for name in given.keys() {
        if names().any(|known| matches_name(known, name)) {
            continue;
        }
        let hint = match options::did_you_mean(name, names()) {
            Some(like) => format!("did you mean '{like}'?"),
            None => {
                format!("its options are {}", names().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "))
            }
        };
        let message = format!("connector '{}' has no option '{name}'", connector.name());
        return Err(Error::invalid(message).with_hint(hint));
    }
    check_formats(given)?;
    let missing: Vec<_> = known.iter().filter(|option| option.required && !given.contains_key(option.name)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let list = missing.iter().map(|option| format!("'{}'", option.name)).collect::<Vec<_>>().join(", ");
    Err(Error::invalid(format!("connector '{}' needs the option {list}", connector.name()))
        .with_hint(format!("add '{}' = '..' to WITH (..): {}", first.name, first.help)))
}

/// Refuses an option of another format than the table's, which would do nothing.
fn check_formats(given: &TableOptions) -> Result<()> {
    let formats = ["json", "csv", "parquet"];
    let Some(format) = given.get("format").filter(|format| formats.contains(&format.as_str())) else { return Ok(()) };
    let of_another = |name: &&String| {
        let prefix = name.split('.').next().unwrap_or_default();
        formats.contains(&prefix) && prefix != format
    };
    match given.keys().find(of_another) {
        Some(name) => Err(Error::invalid(format!("option '{name}' is not of the format '{format}'"))
            .with_hint("leave it out, or choose its format")),
        None => Ok(()),
    }
}
