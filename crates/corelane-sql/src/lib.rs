//! From SQL text to a checked plan to a dataflow.

pub mod functions;
