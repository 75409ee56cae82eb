//! From results before and after a batch to the rows of a changelog.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::{concat, take};
use arrow::datatypes::{Schema, SchemaRef};
use corelane_stream::{ChangelogBatch, Error, ErrorKind, Output, Result, RowKind};

use super::alternate::alternate;
use super::call_set::CallSet;
use super::group_table::GroupTable;
use crate::bad_rows::{BadRows, grouped_source};

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

/// The results of those groups that have one; each of the others, in order, with the reason.
///
/// # Errors
/// If the fault is not in the data.
pub fn results(calls: &mut CallSet, groups: Vec<u32>) -> Result<(Results, Vec<(u32, Error)>)> {
    if groups.is_empty() {
        return Ok((Results::default(), Vec::new()));
    }
    match calls.values(&groups) {
        Ok(columns) => return Ok((Results { groups, columns }, Vec::new())),
        Err(error) if error.kind() != ErrorKind::Data => return Err(error),
        Err(_) => {}
    }
    // Halves are tried until the groups at fault stand alone.
    let (mut good, mut failed) = (Vec::with_capacity(groups.len()), Vec::new());
    let (left, right) = groups.split_at(groups.len() / 2);
    let mut pending = vec![right, left];
    while let Some(part) = pending.pop() {
        if part.is_empty() {
            continue;
        }
        match calls.values(part) {
            Ok(_) => good.extend_from_slice(part),
            Err(error) if error.kind() != ErrorKind::Data => return Err(error),
            Err(error) if part.len() == 1 => failed.push((part[0], error)),
            Err(_) => {
                let (left, right) = part.split_at(part.len() / 2);
                pending.extend([right, left]);
            }
        }
    }
    Ok((Results::of(calls, good)?, failed))
}

/// Reports a group whose result cannot be told, by its key: columns of the output's first fields.
///
/// # Errors
/// If the policy for bad rows is to fail, or the dead letter cannot be written.
pub fn report(bad: &mut BadRows, schema: &SchemaRef, key: Vec<ArrayRef>, error: &Error) -> Result<()> {
    let fields: Vec<_> = schema.fields()[..key.len()].to_vec();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let key = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), key, &options)?;
    let reason = match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    };
    let source = grouped_source(key.schema_ref().fields().iter().map(|field| field.name().as_str()));
    bad.bad_result(&source, &key, 0, &reason)
}

/// Rows to emit: the kind and group of each, and its results.
pub struct Changes {
    pub kinds: Vec<RowKind>,
    pub groups: Vec<u32>,
    pub columns: Vec<ArrayRef>,
    /// All rows are updates: the halves of each stand side by side.
    updates_only: bool,
}

impl Changes {
    /// Results that are the first of their groups.
    pub fn inserts(results: Results) -> Changes {
        let kinds = vec![RowKind::Insert; results.groups.len()];
        Changes { kinds, groups: results.groups, columns: results.columns, updates_only: false }
    }

    /// The keys of the rows.
    ///
    /// # Errors
    /// As for `GroupTable::keys`.
    pub fn keys(&self, table: &GroupTable) -> Result<Vec<ArrayRef>> {
        if !self.updates_only {
            return table.keys(&self.groups);
        }
        let groups: Vec<u32> = self.groups.iter().step_by(2).copied().collect();
        table.keys(&groups)?.iter().map(|key| alternate(key, key)).collect()
    }
}

/// What takes the old results to the new; the groups of both are in the order of `touched`, and
/// no others. Equal results say nothing.
///
/// # Errors
/// If arrow refuses a column.
pub fn changes(touched: &[u32], old: &Results, new: &Results) -> Result<Changes> {
    let changed = changed(old, new)?;
    // Under load nearly every batch is like this: known groups, each with a new result.
    if old.groups == touched && new.groups == touched && changed.count_set_bits() == touched.len() {
        let columns = old.columns.iter().zip(&new.columns).map(|(old, new)| alternate(old, new));
        return Ok(Changes {
            kinds: [RowKind::UpdateBefore, RowKind::UpdateAfter].repeat(touched.len()),
            groups: touched.iter().map(|group| [*group; 2]).collect::<Vec<_>>().into_flattened(),
            columns: columns.collect::<Result<_>>()?,
            updates_only: true,
        });
    }
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
    Ok(Changes { kinds, groups, columns: picked(old, new, picks)?, updates_only: false })
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

/// Emits rows in batches of at most `batch_rows`, or of one update: its halves stay together, so
/// that a filter behind sees both.
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
    let mut offset = 0;
    while offset < kinds.len() {
        let end = whole_updates(kinds, offset, batch_rows);
        out.emit(batch.slice(offset, end - offset));
        offset = end;
    }
    Ok(())
}

/// The end of a batch that starts at `offset` and does not part the halves of an update.
fn whole_updates(kinds: &[RowKind], offset: usize, batch_rows: usize) -> usize {
    let end = kinds.len().min(offset + batch_rows.max(1));
    match kinds[end - 1] {
        RowKind::UpdateBefore if end - 1 == offset => kinds.len().min(end + 1),
        RowKind::UpdateBefore => end - 1,
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use RowKind::{Delete as D, Insert as I, UpdateAfter as A, UpdateBefore as B};
    use proptest::prelude::*;

    use super::*;

    fn cuts(kinds: &[RowKind], batch_rows: usize) -> Vec<usize> {
        let mut ends = vec![0];
        while ends[ends.len() - 1] < kinds.len() {
            ends.push(whole_updates(kinds, ends[ends.len() - 1], batch_rows));
        }
        ends
    }

    #[test]
    fn halves_of_an_update_stay_together() {
        assert_eq!(cuts(&[I, B, A, D, B, A], 2), [0, 1, 3, 4, 6]);
        assert_eq!(cuts(&[B, A, B, A], 1), [0, 2, 4]);
        assert_eq!(cuts(&[B, A, B, A], 3), [0, 2, 4]);
        assert_eq!(cuts(&[I, I, D], 8), [0, 3]);
    }

    proptest! {
        #[test]
        fn batches_are_as_long_as_may_be(changes in proptest::collection::vec(0..3usize, 1..30), batch_rows in 1..9usize) {
            let kinds: Vec<RowKind> = changes.iter().flat_map(|change| [&[I][..], &[D], &[B, A]][*change]).copied().collect();
            let ends = cuts(&kinds, batch_rows);
            prop_assert_eq!(ends.last(), Some(&kinds.len()));
            for (start, end) in ends.iter().zip(&ends[1..]) {
                prop_assert!(start < end && end - start <= batch_rows.max(2));
                prop_assert!(kinds[end - 1] != B);
            }
        }
    }
}
