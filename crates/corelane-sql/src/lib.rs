//! From SQL text to a checked plan to a dataflow.

pub mod error;
pub mod parse;
pub mod types;
