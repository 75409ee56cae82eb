//! Aggregate functions: what they are called, what they return, how they accumulate.

mod accumulators;
mod all_null;
mod alternate;
pub(crate) mod call_set;
pub(crate) mod changes;
mod choice;
mod count;
mod distinct;
mod distinct_counts;
mod exact_sum;
mod extreme;
mod float_sum;
mod function;
pub(crate) mod group_table;
mod hyper_log_log;
mod key_arena;
mod key_column;
pub(crate) mod key_index;
mod members;
mod ordered;
pub(crate) mod paged;
mod slide;
mod variance;
mod wide;

pub use accumulators::Accumulators;
pub use choice::accumulators;
pub use function::{AGGREGATES, AggregateCall, AggregateDef, AggregateFunction};
pub(crate) use function::{describe, growth};
pub use slide::{At, Step};
