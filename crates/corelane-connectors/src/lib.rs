//! The outside world as sources and sinks, and its formats.

pub mod format;
