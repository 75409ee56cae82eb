//! COUNT(DISTINCT ..) of the same values several times, each with a FILTER of its own.
//!
//! `COUNT(DISTINCT bidder)` and the same for three ranges of prices would look each value up in four
//! tables. Here they share one: a member keeps a bit for each call that has counted it, so rows
//! can only be added.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field};
use corelane_stream::Result;

use super::accumulators::{any_null, counted};
use super::members::Members;
use super::paged::Paged;

/// Calls that can share a table: as many as a member has bits.
pub const CALLS_MAX: usize = 64;

pub struct DistinctCounts {
    /// Their numbers are the calls that have counted them, as bits.
    members: Members,
    /// By call, then by group.
    counts: Vec<Paged<i64>>,
    /// The calls that each row of the batch at hand counts for, as bits.
    wanted: Vec<u64>,
}

impl DistinctCounts {
    /// # Errors
    /// If an argument's type cannot be compared.
    pub fn new(calls: usize, arguments: &[DataType]) -> Result<Self> {
        assert!(calls <= CALLS_MAX, "each call has a bit");
        let counts = (0..calls).map(|_| Paged::default()).collect();
        Ok(DistinctCounts { members: Members::new(arguments)?, counts, wanted: Vec::new() })
    }

    pub fn resize(&mut self, groups: usize) {
        self.members.resize(groups);
        self.counts.iter_mut().for_each(|counts| counts.grow(groups));
    }

    /// Row `i` belongs to `groups[i]`; there is a filter, or none, for each call.
    ///
    /// # Errors
    /// If a column's values cannot be encoded.
    pub fn update(&mut self, groups: &[u32], arguments: &[ArrayRef], keeps: &[Option<&BooleanArray>]) -> Result<()> {
        let nulls = any_null(arguments);
        let mut wanted = std::mem::take(&mut self.wanted);
        wanted.clear();
        wanted.resize(groups.len(), 0);
        for (call, keep) in keeps.iter().enumerate() {
            match counted(nulls.as_ref(), *keep) {
                None => wanted.iter_mut().for_each(|calls| *calls |= 1 << call),
                Some(mask) => mark(&mask, 1 << call, &mut wanted),
            }
        }
        let picks: Vec<u32> = (0..groups.len() as u32).filter(|row| wanted[*row as usize] != 0).collect();
        if picks.len() == groups.len() {
            self.count(groups, arguments, &wanted)?;
        } else if !picks.is_empty() {
            let groups: Vec<u32> = picks.iter().map(|row| groups[*row as usize]).collect();
            let calls: Vec<u64> = picks.iter().map(|row| wanted[*row as usize]).collect();
            let picks = UInt32Array::from(picks);
            let arguments = arguments.iter().map(|column| take(column, &picks, None)).collect::<Result<Vec<_>, _>>()?;
            self.count(&groups, &arguments, &calls)?;
        }
        self.wanted = wanted;
        Ok(())
    }

    fn count(&mut self, groups: &[u32], arguments: &[ArrayRef], wanted: &[u64]) -> Result<()> {
        let ids = self.members.find(groups, arguments)?;
        for ((id, group), wanted) in ids.iter().zip(groups).zip(wanted) {
            let known = self.members.number(*id);
            let mut new = wanted & !(*known as u64);
            if new != 0 {
                *known |= new as i64;
                while new != 0 {
                    self.counts[new.trailing_zeros() as usize][*group as usize] += 1;
                    new &= new - 1;
                }
            }
        }
        Ok(())
    }

    /// Adds partial states, as `states` gave them.
    ///
    /// # Errors
    /// If the column is no such state.
    pub fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        let written = self.members.read(groups, &states[0])?;
        let calls: Vec<u64> = written.numbers.iter().map(|calls| *calls as u64).collect();
        self.count(&written.groups, &written.values, &calls)
    }

    pub fn state_fields() -> Vec<Field> {
        vec![Members::state_field()]
    }

    /// # Errors
    /// If values cannot be encoded.
    pub fn states(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.members.write(groups)?])
    }

    /// The counts of one call.
    pub fn values(&self, call: usize, groups: &[u32]) -> ArrayRef {
        let counts = &self.counts[call];
        Arc::new(Int64Array::from_iter_values(groups.iter().map(|group| counts[*group as usize])))
    }

    pub fn clear(&mut self, groups: &[u32]) {
        self.members.clear(groups);
        for counts in &mut self.counts {
            groups.iter().for_each(|group| counts[*group as usize] = 0);
        }
    }

    pub fn free_page(&mut self, page: usize) {
        self.members.free_page(page);
        self.counts.iter_mut().for_each(|counts| counts.free_page(page));
    }

    pub fn size_bytes(&self) -> usize {
        self.members.size_bytes() + self.counts.iter().map(Paged::bytes).sum::<usize>()
    }
}

fn mark(mask: &BooleanBuffer, bit: u64, wanted: &mut [u64]) {
    mask.set_indices().for_each(|row| wanted[row] |= bit);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    use super::*;

    type Row = (u32, Option<i64>, bool, bool);

    const GROUPS: [u32; 3] = [0, 1, 2];

    fn counted_rows(rows: &[Row]) -> DistinctCounts {
        let mut counts = DistinctCounts::new(3, &[DataType::Int64]).unwrap();
        counts.resize(GROUPS.len());
        let groups: Vec<u32> = rows.iter().map(|row| row.0).collect();
        let values: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
        let one: BooleanArray = rows.iter().map(|row| Some(row.2)).collect();
        let other: BooleanArray = rows.iter().map(|row| Some(row.3)).collect();
        counts.update(&groups, &[values], &[None, Some(&one), Some(&other)]).unwrap();
        counts
    }

    proptest! {
        #[test]
        fn each_call_counts_its_own(
            rows in prop::collection::vec((0..3u32, prop::option::of(0..6i64), any::<bool>(), any::<bool>()), 0..60),
            cut in 0..60usize,
        ) {
            let (first, second) = rows.split_at(cut.min(rows.len()));
            let mut counts = counted_rows(first);
            counts.merge(&GROUPS, &counted_rows(second).states(&GROUPS).unwrap()).unwrap();
            let keeps: [fn(&Row) -> bool; 3] = [|_| true, |row| row.2, |row| row.3];
            for (call, keep) in keeps.into_iter().enumerate() {
                let found = counts.values(call, &GROUPS);
                for group in GROUPS {
                    let values = rows.iter().filter(|row| row.0 == group && keep(row)).filter_map(|row| row.1);
                    let expected = values.collect::<HashSet<i64>>().len() as i64;
                    prop_assert_eq!(found.as_primitive::<Int64Type>().value(group as usize), expected);
                }
            }
            counts.clear(&[1]);
            prop_assert_eq!(counts.values(0, &[1]).as_primitive::<Int64Type>().value(0), 0);
            prop_assert_eq!(counts.members.find(&[1], &[Arc::new(Int64Array::from(vec![3]))]).unwrap().len(), 1);
        }
    }
}
