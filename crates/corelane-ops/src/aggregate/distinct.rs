//! DISTINCT: any aggregate over the different values of its arguments.
//!
//! All groups share one table of (group, values) with a count for each; only a value that comes
//! or goes reaches the aggregate itself. The values of a group are chained, so that a group can
//! be written or dropped without a look at the others.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, interleave, take};
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use corelane_stream::{Error, Result};

use super::accumulators::{Accumulators, any_null, counted};
use super::group_table::GroupTable;
use super::ordered::{read_entry, write_entry};
use super::paged::Paged;
use super::slide::{At, Step};

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// The first member of a group's chain.
struct Head(u32);

impl Default for Head {
    fn default() -> Self {
        Head(NONE)
    }
}

/// One value of one group.
#[derive(Clone, Copy, Default)]
struct Member {
    count: i64,
    previous: u32,
    next: u32,
}

pub struct Distinct {
    inner: Box<dyn Accumulators>,
    converter: RowConverter,
    /// Keys are the group and the arguments.
    seen: GroupTable,
    members: Paged<Member>,
    /// The first member of each group.
    heads: Paged<Head>,
    arguments: usize,
}

impl Distinct {
    /// # Errors
    /// If an argument's type cannot be compared.
    pub fn new(inner: Box<dyn Accumulators>, arguments: &[DataType]) -> Result<Self> {
        let fields = arguments.iter().map(|data_type| SortField::new(data_type.clone()));
        Ok(Distinct {
            inner,
            converter: RowConverter::new(fields.collect())?,
            seen: GroupTable::new([&DataType::UInt32].into_iter().chain(arguments))?,
            members: Paged::default(),
            heads: Paged::default(),
            arguments: arguments.len(),
        })
    }

    /// The members of these values; those that are new are linked, and stand at zero.
    fn find(&mut self, groups: &[u32], arguments: &[ArrayRef]) -> Result<Vec<u32>> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(groups.to_vec()))];
        columns.extend_from_slice(arguments);
        let mut ids = Vec::new();
        self.seen.find_or_insert(&columns, groups.len(), &mut ids)?;
        self.members.grow(self.seen.ids());
        let mut rows = ids.iter().zip(groups);
        for fresh in self.seen.fresh() {
            // Fresh members appear in the order of their rows.
            let group = rows.find(|(id, _)| *id == fresh).map(|(_, group)| *group as usize);
            let group = group.expect("a fresh member is that of a row");
            let head = std::mem::replace(&mut self.heads[group].0, *fresh);
            self.members[*fresh as usize] = Member { count: 0, previous: NONE, next: head };
            if head != NONE {
                self.members[head as usize].previous = *fresh;
            }
        }
        Ok(ids)
    }

    /// Counts a member so many times more; true if by that it came or went.
    fn turns(&mut self, id: u32, times: i64) -> bool {
        let member = &mut self.members[id as usize];
        let before = member.count > 0;
        member.count += times;
        before != (member.count > 0)
    }

    /// Counts values and tells the aggregate of those that came or went.
    fn count(&mut self, groups: &[u32], arguments: &[ArrayRef], times: impl Fn(usize) -> i64) -> Result<()> {
        let ids = self.find(groups, arguments)?;
        let (mut picks, mut went) = (Vec::new(), Vec::new());
        let (mut changed, mut retracts) = (Vec::new(), false);
        for (row, (id, group)) in ids.iter().zip(groups).enumerate() {
            if self.turns(*id, times(row)) {
                let goes = self.members[*id as usize].count <= 0;
                picks.push(row as u32);
                changed.push(goes);
                retracts |= goes;
            }
            if self.members[*id as usize].count == 0 {
                went.push((*id, *group));
            }
        }
        self.forget(went);
        if picks.is_empty() {
            return Ok(());
        }
        let picked_groups: Vec<u32> = picks.iter().map(|row| groups[*row as usize]).collect();
        let picks = UInt32Array::from(picks);
        let columns = arguments.iter().map(|column| take(column, &picks, None)).collect::<Result<Vec<_>, _>>()?;
        self.inner.update(&picked_groups, &columns, None, retracts.then_some(&changed[..]))
    }

    /// The values that enter or leave frames by these steps, and whose they are.
    fn entering(&self, steps: &[Step], chunks: &[Vec<ArrayRef>]) -> Result<(Vec<u32>, Vec<ArrayRef>)> {
        let (mut groups, mut places) = (Vec::new(), Vec::new());
        for step in steps {
            match *step {
                Step::Add { group, at } | Step::Remove { group, at } => {
                    groups.push(group);
                    places.push((at.chunk as usize, at.row as usize));
                }
                Step::Result { .. } => {}
            }
        }
        if places.is_empty() {
            return Ok((groups, Vec::new()));
        }
        let columns = (0..self.arguments).map(|column| {
            let chunks: Vec<&dyn Array> = chunks.iter().map(|chunk| chunk[column].as_ref()).collect();
            interleave(&chunks, &places)
        });
        Ok((groups, columns.collect::<Result<_, _>>()?))
    }

    /// Drops the members that are still at zero.
    fn forget(&mut self, mut went: Vec<(u32, u32)>) {
        went.retain(|(id, _)| self.members[*id as usize].count == 0);
        went.sort_unstable();
        went.dedup();
        for (id, group) in &went {
            let Member { previous, next, .. } = self.members[*id as usize];
            match previous {
                NONE => self.heads[*group as usize] = Head(next),
                _ => self.members[previous as usize].next = next,
            }
            if next != NONE {
                self.members[next as usize].previous = previous;
            }
        }
        let ids: Vec<u32> = went.into_iter().map(|(id, _)| id).collect();
        if !ids.is_empty() {
            self.seen.remove(&ids);
        }
    }

    fn members_of(&self, group: u32) -> impl Iterator<Item = u32> {
        let follow = |id: u32| (id != NONE).then_some(id);
        std::iter::successors(follow(self.heads[group as usize].0), move |id| follow(self.members[*id as usize].next))
    }
}

impl Accumulators for Distinct {
    fn resize(&mut self, groups: usize) {
        self.inner.resize(groups);
        self.heads.grow(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()> {
        let arguments = &columns[..self.arguments];
        let times = |row: usize| if retract.is_some_and(|retract| retract[row]) { -1 } else { 1 };
        let Some(mask) = counted(any_null(arguments).as_ref(), keep) else {
            return self.count(groups, arguments, times);
        };
        let rows: Vec<usize> = mask.set_indices().collect();
        let mask = BooleanArray::new(mask, None);
        let arguments = arguments.iter().map(|column| filter(column, &mask)).collect::<Result<Vec<_>, _>>()?;
        let groups: Vec<u32> = rows.iter().map(|row| groups[*row]).collect();
        self.count(&groups, &arguments, |row| times(rows[row]))
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        let parser = self.converter.parser();
        let (mut rows, mut counts, mut of_groups) = (Vec::new(), Vec::new(), Vec::new());
        for (group, entries) in groups.iter().zip(states[0].as_binary::<i32>()) {
            let mut entries = entries.unwrap_or_default();
            while !entries.is_empty() {
                let entry = read_entry(&mut entries);
                let (row, count) = entry.ok_or_else(|| Error::internal("a partial set of values is cut short"))?;
                rows.push(parser.parse(row));
                counts.push(count);
                of_groups.push(*group);
            }
        }
        let arguments = self.converter.convert_rows(rows)?;
        self.count(&of_groups, &arguments, |row| counts[row])
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("values", DataType::Binary, false)]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let ids: Vec<u32> = groups.iter().flat_map(|group| self.members_of(*group)).collect();
        let keys = self.seen.keys(&ids)?;
        let rows = self.converter.convert_columns(&keys[1..])?;
        let mut rows = rows.iter();
        let states = groups.iter().map(|group| {
            let mut bytes = Vec::new();
            for (id, row) in self.members_of(*group).zip(&mut rows) {
                write_entry(&mut bytes, row.data(), self.members[id as usize].count);
            }
            bytes
        });
        Ok(vec![Arc::new(BinaryArray::from_iter_values(states))])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        self.inner.values(groups)
    }

    /// The members are found at once; the aggregate walks only the steps by which a value comes or goes.
    fn slide(&mut self, steps: &[Step], chunks: &[Vec<ArrayRef>]) -> Result<ArrayRef> {
        let nulls =
            chunks.iter().map(|chunk| chunk[..self.arguments].iter().filter_map(|column| column.logical_nulls()));
        let nulls: Vec<Vec<NullBuffer>> = nulls.map(Iterator::collect).collect();
        let counts = |at: At| nulls[at.chunk as usize].iter().all(|nulls| nulls.is_valid(at.row as usize));
        let mut steps = steps.to_vec();
        steps.retain(|step| match step {
            Step::Add { at, .. } | Step::Remove { at, .. } => counts(*at),
            Step::Result { .. } => true,
        });
        let (groups, columns) = self.entering(&steps, chunks)?;
        if !groups.is_empty() {
            let ids = self.find(&groups, &columns)?;
            let mut next = ids.iter();
            steps.retain(|step| match step {
                Step::Add { .. } => next.next().is_some_and(|id| self.turns(*id, 1)),
                Step::Remove { .. } => next.next().is_some_and(|id| self.turns(*id, -1)),
                Step::Result { .. } => true,
            });
            self.forget(ids.into_iter().zip(groups).collect());
        }
        let chunks: Vec<Vec<ArrayRef>> = chunks.iter().map(|chunk| chunk[..self.arguments].to_vec()).collect();
        self.inner.slide(&steps, &chunks)
    }

    fn failures(&self) -> Option<(&[usize], Error)> {
        self.inner.failures()
    }

    fn clear(&mut self, groups: &[u32]) {
        let ids: Vec<u32> = groups.iter().flat_map(|group| self.members_of(*group)).collect();
        for group in groups {
            self.heads[*group as usize] = Head::default();
        }
        if !ids.is_empty() {
            self.seen.remove(&ids);
        }
        self.inner.clear(groups);
    }

    fn free_page(&mut self, page: usize) {
        self.inner.free_page(page);
        self.heads.free_page(page);
    }

    fn size_bytes(&self) -> usize {
        self.inner.size_bytes() + self.seen.size_bytes() + self.members.bytes() + self.heads.bytes()
    }
}
