//! Whole jobs with toy sources, operators and sinks.
