//! Results row by row, as a frame slides: the steps of `OVER (.. ROWS | RANGE ..)`.
//!
//! A frame takes rows in and lets them go again in an order that is the same for all calls over
//! it, so the order is worked out once, as steps, and every accumulator walks them in one loop.

use arrow::array::{Array, ArrayRef};
use arrow::compute;
use corelane_stream::Result;

use super::accumulators::Accumulators;

/// A row among the chunks of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At {
    pub chunk: u32,
    pub row: u32,
}

/// One step of a sliding frame.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The row leaves its group's frame.
    Remove { group: u32, at: At },
    /// The row enters its group's frame.
    Add { group: u32, at: At },
    /// The next result is this group's.
    Result { group: u32 },
}

/// Walks the steps through one typed column: `add(group, value, retracts)`, nulls passed over.
#[inline(always)]
pub(super) fn walk<S, V: Copy>(
    state: &mut S,
    steps: &[Step],
    value: impl Fn(At) -> Option<V>,
    mut add: impl FnMut(&mut S, usize, V, bool),
    mut result: impl FnMut(&mut S, usize) -> Result<()>,
) -> Result<()> {
    for step in steps {
        match *step {
            Step::Add { group, at } => {
                if let Some(value) = value(at) {
                    add(state, group as usize, value, false);
                }
            }
            Step::Remove { group, at } => {
                if let Some(value) = value(at) {
                    add(state, group as usize, value, true);
                }
            }
            Step::Result { group } => result(state, group as usize)?,
        }
    }
    Ok(())
}

/// Any accumulators, one row at a time: hundreds of nanoseconds a step.
pub(super) fn by_rows(
    accumulators: &mut (impl Accumulators + ?Sized),
    steps: &[Step],
    chunks: &[Vec<ArrayRef>],
) -> Result<ArrayRef> {
    let row_of = |at: At| -> Vec<ArrayRef> {
        chunks[at.chunk as usize].iter().map(|column| column.slice(at.row as usize, 1)).collect()
    };
    let mut results = Vec::new();
    for step in steps {
        match *step {
            Step::Add { group, at } => accumulators.update(&[group], &row_of(at), None, None)?,
            Step::Remove { group, at } => accumulators.update(&[group], &row_of(at), None, Some(&[true]))?,
            Step::Result { group } => results.push(accumulators.values(&[group])?),
        }
    }
    if results.is_empty() {
        return accumulators.values(&[]);
    }
    let results: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
    Ok(compute::concat(&results)?)
}
