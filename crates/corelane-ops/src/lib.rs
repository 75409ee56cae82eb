//! What streaming SQL computes: one operator, one file.
//!
//! Operators are synchronous state machines over changelogs (`corelane_stream::Operator`); their
//! specs are the plain data that plans hold. Nothing here reads a clock, starts a thread or does I/O.

pub mod aggregate;
pub mod group_aggregate;
mod local_aggregate;
mod panes;
mod row_json;
#[cfg(test)]
mod testing;
pub mod window;
pub mod window_aggregate;

pub use aggregate::{AGGREGATES, Accumulators, AggregateCall, AggregateFunction, accumulators};
pub use group_aggregate::{GroupAggregateSpec, Phase};
pub use window::Window;
pub use window_aggregate::{Emit, WindowAggregateSpec};
