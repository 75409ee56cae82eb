//! Flink SQL's scalar functions.
//!
//! [`FUNCTIONS`] is a closed table: a function is one line of it and one kernel. The line says
//! what the function takes and gives, so coercion, null handling and the reference docs
//! come from one place, and a kernel sees only columns of the type it asked for. The functions are our own,
//! not DataFusion's, because the two disagree on nulls, bad input, positions and result types.

mod arrays;
mod base64;
mod call;
mod cast_text;
mod conditional;
mod date_pattern;
mod datetime;
mod decimal;
mod encoding;
mod function;
mod hash;
mod instants;
mod json;
mod json_clauses;
mod json_text;
mod maps;
mod math;
mod regexp;
mod signature;
mod slices;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod text_builder;
mod time_units;
mod types;
mod url;

use std::collections::HashMap;
use std::sync::Arc;

use corelane_ops::Zone;
use corelane_stream::Clock;
use datafusion_expr::ScalarUDF;

pub use function::{Category, FunctionDef};
pub(crate) use math::{bounded, fraction, scattered};
pub use table::FUNCTIONS;

/// Every scalar function under its lower-case name and aliases. Functions of time read `clock`,
/// once per batch; `time_zone` is the session's, UTC if there is none.
pub fn scalar_functions(clock: &Arc<dyn Clock>, time_zone: Option<&str>) -> HashMap<String, Arc<ScalarUDF>> {
    let time_zone: Option<Arc<str>> = time_zone.map(Arc::from);
    let mut functions = HashMap::new();
    for definition in FUNCTIONS {
        let udf = Arc::new(definition.udf(clock, time_zone.as_ref()));
        for name in definition.names() {
            functions.insert(name.to_ascii_lowercase(), Arc::clone(&udf));
        }
    }
    functions
}

/// Checks the name of a time zone: `Europe/Berlin`, `UTC` or `+02:00`.
///
/// # Errors
/// If there is no such zone.
pub fn check_time_zone(name: &str) -> corelane_stream::Result<()> {
    Zone::parse(name).map(drop).ok_or_else(|| {
        corelane_stream::Error::invalid(format!("there is no time zone '{name}'"))
            .with_hint("write it as 'Europe/Berlin', 'UTC' or '+02:00'")
    })
}
