//! Aggregate functions: what they are called, what they return, how they accumulate.

mod function;

pub use function::{AGGREGATES, AggregateCall, AggregateDef, AggregateFunction};
