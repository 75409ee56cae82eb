//! What streaming SQL computes: one operator, one file.
//!
//! Operators are synchronous state machines over changelogs (`corelane_stream::Operator`); their
//! specs are the plain data that plans hold. Nothing here reads a clock, starts a thread or does I/O.

pub mod aggregate;
pub mod bad_rows;
pub mod calc;
pub mod evaluate;
pub mod first_rows;
pub mod float_comparison;
pub mod fold;
pub mod group_aggregate;
pub mod guarded;
mod local_aggregate;
pub mod over;
mod panes;
pub mod sort_limit;
#[cfg(test)]
mod testing;
pub mod union;
pub mod values;
pub mod watermark;
pub mod window;
pub mod window_aggregate;
pub mod window_assign;
pub mod zone;

pub use aggregate::{AGGREGATES, Accumulators, AggregateCall, AggregateFunction, accumulators};
pub use bad_rows::{BadRows, grouped_source, over_source};
pub use calc::CalcSpec;
pub use evaluate::{Evaluated, Predicate, Projection, Selection, checked, evaluate_rows};
pub use first_rows::FirstRowsSpec;
pub use float_comparison::{FloatComparison, compare_floats};
pub use fold::ChangelogFold;
pub use group_aggregate::{GroupAggregateSpec, Phase};
pub use guarded::Guarded;
pub use over::{OverAggregateSpec, OverCall, OverFrame, OverFunction};
pub use sort_limit::{SortKey, SortLimitSpec};
pub use union::UnionSpec;
pub use values::ValuesSource;
pub use watermark::{ColumnWatermark, TimeSteps};
pub use window::{Window, WindowClock};
pub use window_aggregate::{Emit, WindowAggregateSpec};
pub use window_assign::WindowAssignSpec;
pub use zone::{WallClock, Zone};
