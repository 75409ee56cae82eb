//! Flink SQL's scalar functions.
//!
//! [`FUNCTIONS`] is a closed table: a function is one line of it and one kernel. The line says
//! what the function takes and gives, so coercion, null handling and the reference docs
//! come from one place, and a kernel sees only columns of the type it asked for. The functions are our own,
//! not DataFusion's, because the two disagree on nulls, bad input, positions and result types.

mod arrays;
mod base64;
mod call;
mod conditional;
mod date_pattern;
mod datetime;
mod decimal;
mod encoding;
mod function;
mod hash;
mod instants;
mod json;
mod json_text;
mod maps;
mod math;
mod regexp;
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

use corelane_stream::Clock;
use datafusion_expr::ScalarUDF;

pub use function::{Category, FunctionDef};
pub use table::FUNCTIONS;

/// Every scalar function under its lower-case name and aliases. Functions of time read `clock`,
/// once per batch; the session's time zone is the configuration's `execution.time_zone`, UTC if unset.
pub fn scalar_functions(clock: &Arc<dyn Clock>) -> HashMap<String, Arc<ScalarUDF>> {
    let mut functions = HashMap::new();
    for definition in FUNCTIONS {
        let udf = Arc::new(definition.udf(clock));
        for name in definition.names() {
            functions.insert(name.to_ascii_lowercase(), Arc::clone(&udf));
        }
    }
    functions
}
