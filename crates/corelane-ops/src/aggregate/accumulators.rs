//! What every aggregate function keeps, for all groups of an operator at once.
//!
//! Groups are dense ids, so an accumulator is a slice indexed by group. A batch updates one
//! accumulator after the other: `dyn` is paid once a batch, the loops over rows are generic.

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::Field;
use corelane_stream::{Error, Result};

use super::slide::{Step, by_rows};

/// Accumulators of one aggregate call for all groups; groups are dense ids.
///
/// `columns` are the call's arguments and, after them, its order columns.
pub trait Accumulators {
    /// Makes room for groups `0..groups`; new ones are empty. Never shrinks.
    fn resize(&mut self, groups: usize);

    /// Row `i` belongs to `groups[i]`. Only rows whose `keep` is true count (`FILTER`); rows whose
    /// `retract` is true are taken away again, which needs accumulators made for retraction.
    ///
    /// # Errors
    /// If a column's values cannot be encoded.
    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()>;

    /// Adds partial states, as `states` of like accumulators gave them.
    ///
    /// # Errors
    /// If the columns are not such states.
    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()>;

    /// The columns of a partial state.
    fn state_fields(&self) -> Vec<Field>;

    /// The partial states of these groups.
    ///
    /// # Errors
    /// If a state is too large for a column.
    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>>;

    /// The results of these groups.
    ///
    /// # Errors
    /// `ErrorKind::Data` if a result is out of its type's range; the message names the aggregate.
    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef>;

    /// Takes the steps one after the other, over rows of `chunks` (each of the same columns as for
    /// `update`); gives one result for each step that asks. A result out of its type's range is
    /// null, and is found by `failures`.
    ///
    /// # Errors
    /// As for `update`.
    fn slide(&mut self, steps: &[Step], chunks: &[Vec<ArrayRef>]) -> Result<ArrayRef> {
        by_rows(self, steps, chunks)
    }

    /// Which results of the last `slide` are out of their type's range, in order, and the reason.
    fn failures(&self) -> Option<(&[usize], Error)> {
        None
    }

    /// Empties these groups, so that their ids can be used again.
    fn clear(&mut self, groups: &[u32]);

    /// Frees what it can of a page of groups that will not be asked for again.
    fn free_page(&mut self, page: usize);

    /// Bytes held, roughly.
    fn size_bytes(&self) -> usize;
}

/// Calls `each(row, group, retracts)` for the rows that count: argument not null, filter true.
#[inline(always)]
pub(super) fn each_row(
    groups: &[u32],
    nulls: Option<&NullBuffer>,
    keep: Option<&BooleanArray>,
    retract: Option<&[bool]>,
    mut each: impl FnMut(usize, usize, bool),
) {
    match (counted(nulls, keep), retract) {
        (None, None) => {
            for (row, group) in groups.iter().enumerate() {
                each(row, *group as usize, false);
            }
        }
        (None, Some(retract)) => {
            for (row, (group, retract)) in groups.iter().zip(retract).enumerate() {
                each(row, *group as usize, *retract);
            }
        }
        (Some(mask), None) => {
            for row in mask.set_indices() {
                each(row, groups[row] as usize, false);
            }
        }
        (Some(mask), Some(retract)) => {
            for row in mask.set_indices() {
                each(row, groups[row] as usize, retract[row]);
            }
        }
    }
}

/// The rows that count, or `None` if all do.
pub(super) fn counted(nulls: Option<&NullBuffer>, keep: Option<&BooleanArray>) -> Option<BooleanBuffer> {
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0).map(NullBuffer::inner);
    let keep = keep.map(|keep| match keep.nulls() {
        Some(nulls) => keep.values() & nulls.inner(),
        None => keep.values().clone(),
    });
    match (nulls, keep) {
        (None, None) => None,
        (Some(nulls), None) => Some(nulls.clone()),
        (None, Some(keep)) => Some(keep),
        (Some(nulls), Some(keep)) => Some(nulls & &keep),
    }
}

/// Rows in which any of these columns is null.
pub(super) fn any_null(columns: &[ArrayRef]) -> Option<NullBuffer> {
    columns.iter().fold(None, |nulls, column| NullBuffer::union(nulls.as_ref(), column.logical_nulls().as_ref()))
}
