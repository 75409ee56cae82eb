//! From results before and after a batch to the rows of a changelog.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::{concat, take};
use arrow::datatypes::SchemaRef;
use corelane_stream::{BadRow, ChangelogBatch, ErrorKind, Output, Result, RowErrors, RowKind};

use super::call_set::CallSet;
use super::group_table::GroupTable;
use crate::row_json::row_json;

/// The results of some groups.
#[derive(Default)]
pub struct Results {
    pub groups: Vec<u32>,
    pub columns: Vec<ArrayRef>,
}

impl Results {
    /// # Errors
    /// As for `Accumulators::values`.
    pub fn of(calls: &mut CallSet, groups: Vec<u32>) -> Result<Results> {
        let columns = if groups.is_empty() { Vec::new() } else { calls.values(&groups)? };
        Ok(Results { groups, columns })
    }
}

/// Where results that cannot be computed go.
pub struct BadResults<'a> {
    pub row_errors: &'a dyn RowErrors,
    /// The table that the rows come from.
    pub source: &'a str,
    /// Begins with the names of the keys.
    pub schema: &'a SchemaRef,
    /// Columns of the table before the keys.
    pub slot_columns: usize,
    pub count: &'a mut u64,
}

impl BadResults<'_> {
    /// The results of those groups that have one; the others are bad rows.
    ///
    /// # Errors
    /// If the policy for bad rows is to fail.
    pub fn results(&mut self, calls: &mut CallSet, table: &GroupTable, groups: Vec<u32>) -> Result<Results> {
        let error = match calls.values(&groups) {
            Ok(columns) => return Ok(Results { groups, columns }),
            Err(error) => error,
        };
        if error.kind() != ErrorKind::Data {
            return Err(error);
        }
        let mut good = Vec::with_capacity(groups.len());
        for group in groups {
            match calls.values(&[group]) {
                Ok(_) => good.push(group),
                Err(error) => {
                    let keys = table.keys(&[group])?;
                    let names =
                        self.schema.fields().iter().map(|field| field.name()).zip(keys[self.slot_columns..].to_vec());
                    let key = if keys.len() == self.slot_columns {
                        b"{}".to_vec()
                    } else {
                        row_json(&RecordBatch::try_from_iter(names)?, 0)?
                    };
                    let reason = match error.hint() {
                        Some(hint) => format!("{error} ({hint})"),
                        None => error.to_string(),
                    };
                    *self.count += 1;
                    self.row_errors.bad(&BadRow { source: self.source, position: None, raw: &key, reason: &reason })?;
                }
            }
        }
        Results::of(calls, good)
    }
}

/// Rows to emit: the kind and group of each, and its results.
pub struct Changes {
    pub kinds: Vec<RowKind>,
    pub groups: Vec<u32>,
    pub columns: Vec<ArrayRef>,
}

/// What takes the old results to the new; the groups of both are in the order of `touched`, and
/// no others. Equal results say nothing.
///
/// # Errors
/// If arrow refuses a column.
pub fn changes(touched: &[u32], old: &Results, new: &Results) -> Result<Changes> {
    let changed = changed(old, new)?;
    let (mut kinds, mut groups, mut picks) = (Vec::new(), Vec::new(), Vec::new());
    let (mut next_old, mut next_new, mut pair) = (0, 0, 0);
    let offset = old.groups.len() as u32;
    let mut push = |kind, group, pick| {
        kinds.push(kind);
        groups.push(group);
        picks.push(pick);
    };
    for group in touched {
        let was = old.groups.get(next_old) == Some(group);
        let is = new.groups.get(next_new) == Some(group);
        let (at_old, at_new) = (next_old as u32, offset + next_new as u32);
        match (was, is) {
            (true, true) => {
                if changed.value(pair) {
                    push(RowKind::UpdateBefore, *group, at_old);
                    push(RowKind::UpdateAfter, *group, at_new);
                }
                pair += 1;
            }
            (true, false) => push(RowKind::Delete, *group, at_old),
            (false, true) => push(RowKind::Insert, *group, at_new),
            (false, false) => {}
        }
        next_old += usize::from(was);
        next_new += usize::from(is);
    }
    Ok(Changes { kinds, groups, columns: picked(old, new, picks)? })
}

/// Whether each group of both has another result.
fn changed(old: &Results, new: &Results) -> Result<BooleanBuffer> {
    if old.groups == new.groups {
        return differing(&old.columns, &new.columns, old.groups.len());
    }
    let (mut at_old, mut at_new) = (Vec::new(), Vec::new());
    let mut next = 0;
    // Both are in the same order, so a walk finds the pairs; those that vanish break it up.
    let is_in_new: hashbrown::HashMap<u32, u32> =
        new.groups.iter().enumerate().map(|(position, group)| (*group, position as u32)).collect();
    for (position, group) in old.groups.iter().enumerate() {
        if new.groups.get(next) == Some(group) {
            at_old.push(position as u32);
            at_new.push(next as u32);
            next += 1;
        } else if let Some(found) = is_in_new.get(group) {
            at_old.push(position as u32);
            at_new.push(*found);
            next = *found as usize + 1;
        }
    }
    let pairs = at_old.len();
    let of = |columns: &[ArrayRef], positions: Vec<u32>| {
        let positions = UInt32Array::from(positions);
        columns.iter().map(|column| take(column, &positions, None)).collect::<Result<Vec<_>, _>>()
    };
    differing(&of(&old.columns, at_old)?, &of(&new.columns, at_new)?, pairs)
}

/// The rows in which these columns differ.
fn differing(old: &[ArrayRef], new: &[ArrayRef], rows: usize) -> Result<BooleanBuffer> {
    let mut changed = BooleanBuffer::new_unset(rows);
    for (old, new) in old.iter().zip(new) {
        // Nested values do not compare; a change to an equal value does no harm.
        changed = match distinct(old, new) {
            Ok(column) => &changed | column.values(),
            Err(_) => BooleanBuffer::new_set(rows),
        };
        // A count that grew says it all.
        if changed.count_set_bits() == rows {
            break;
        }
    }
    Ok(changed)
}

fn picked(old: &Results, new: &Results, picks: Vec<u32>) -> Result<Vec<ArrayRef>> {
    let picks = UInt32Array::from(picks);
    let columns = old.columns.len().max(new.columns.len());
    let column = |position: usize| -> Result<ArrayRef> {
        Ok(match (old.columns.get(position), new.columns.get(position)) {
            (Some(old), Some(new)) => take(&concat(&[old, new])?, &picks, None)?,
            (Some(one), None) | (None, Some(one)) => take(one, &picks, None)?,
            (None, None) => unreachable!("a position is that of a column"),
        })
    };
    (0..columns).map(column).collect()
}

/// Emits rows in batches of at most `batch_rows`.
///
/// # Errors
/// If the columns do not fit the schema.
pub fn emit(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    kinds: &[RowKind],
    batch_rows: usize,
    out: &mut dyn Output,
) -> Result<()> {
    if kinds.is_empty() {
        return Ok(());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(kinds.len()));
    let rows = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
    let batch = if kinds.iter().all(|kind| *kind == RowKind::Insert) {
        ChangelogBatch::append(rows)
    } else {
        ChangelogBatch::new(rows, kinds.iter().copied().collect())
    };
    for offset in (0..kinds.len()).step_by(batch_rows) {
        out.emit(batch.slice(offset, batch_rows.min(kinds.len() - offset)));
    }
    Ok(())
}
