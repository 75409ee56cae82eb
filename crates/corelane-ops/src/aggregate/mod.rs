//! Aggregate functions: what they are called, what they return, how they accumulate.

mod accumulators;
mod all_null;
mod choice;
mod count;
mod exact_sum;
mod extreme;
mod float_sum;
mod function;
mod ordered;
mod slide;
mod variance;
mod wide;

pub use accumulators::Accumulators;
pub use choice::accumulators;
pub use function::{AGGREGATES, AggregateCall, AggregateDef, AggregateFunction};
pub use slide::{At, Step};
