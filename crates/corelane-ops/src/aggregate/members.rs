//! The different values of some columns, by group, with a number for each.
//!
//! All groups share one table of (group, values). The members of a group are chained, so that a
//! group can be written or dropped without a look at the others.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, UInt32Array};
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use corelane_stream::{Error, Result};

use super::group_table::GroupTable;
use super::ordered::{read_entry, write_entry};
use super::paged::Paged;

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
    number: i64,
    previous: u32,
    next: u32,
}

pub struct Members {
    converter: RowConverter,
    /// Keys are the group and the values.
    seen: GroupTable,
    members: Paged<Member>,
    /// The first member of each group.
    heads: Paged<Head>,
}

/// Members as a partial state has them, one a row.
pub struct Written {
    pub groups: Vec<u32>,
    pub values: Vec<ArrayRef>,
    pub numbers: Vec<i64>,
}

impl Members {
    /// # Errors
    /// If values of a type cannot be compared.
    pub fn new(types: &[DataType]) -> Result<Self> {
        let fields = types.iter().map(|data_type| SortField::new(data_type.clone()));
        Ok(Members {
            converter: RowConverter::new(fields.collect())?,
            seen: GroupTable::new([&DataType::UInt32].into_iter().chain(types))?,
            members: Paged::default(),
            heads: Paged::default(),
        })
    }

    pub fn resize(&mut self, groups: usize) {
        self.heads.grow(groups);
    }

    /// The members of these values; those that are new are linked, and their number is 0.
    ///
    /// # Errors
    /// If a nested value cannot be encoded.
    pub fn find(&mut self, groups: &[u32], values: &[ArrayRef]) -> Result<Vec<u32>> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(groups.to_vec()))];
        columns.extend_from_slice(values);
        let mut ids = Vec::new();
        self.seen.find_or_insert(&columns, groups.len(), &mut ids)?;
        self.members.grow(self.seen.ids());
        let mut rows = ids.iter().zip(groups);
        for fresh in self.seen.fresh() {
            // Fresh members appear in the order of their rows.
            let group = rows.find(|(id, _)| *id == fresh).map(|(_, group)| *group as usize);
            let group = group.expect("a fresh member is that of a row");
            let head = std::mem::replace(&mut self.heads[group].0, *fresh);
            self.members[*fresh as usize] = Member { number: 0, previous: NONE, next: head };
            if head != NONE {
                self.members[head as usize].previous = *fresh;
            }
        }
        Ok(ids)
    }

    #[inline]
    pub fn number(&mut self, id: u32) -> &mut i64 {
        &mut self.members[id as usize].number
    }

    /// Drops those of these members, given with their groups, whose number is 0.
    pub fn forget(&mut self, mut went: Vec<(u32, u32)>) {
        went.retain(|(id, _)| self.members[*id as usize].number == 0);
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

    fn of(&self, group: u32) -> impl Iterator<Item = u32> {
        let follow = |id: u32| (id != NONE).then_some(id);
        std::iter::successors(follow(self.heads[group as usize].0), move |id| follow(self.members[*id as usize].next))
    }

    /// Drops all members of these groups.
    pub fn clear(&mut self, groups: &[u32]) {
        let ids: Vec<u32> = groups.iter().flat_map(|group| self.of(*group)).collect();
        for group in groups {
            self.heads[*group as usize] = Head::default();
        }
        if !ids.is_empty() {
            self.seen.remove(&ids);
        }
    }

    pub fn state_field() -> Field {
        Field::new("values", DataType::Binary, false)
    }

    /// The members of these groups, a row for each group.
    ///
    /// # Errors
    /// If values cannot be encoded.
    pub fn write(&self, groups: &[u32]) -> Result<ArrayRef> {
        let ids: Vec<u32> = groups.iter().flat_map(|group| self.of(*group)).collect();
        let keys = self.seen.keys(&ids)?;
        let rows = self.converter.convert_columns(&keys[1..])?;
        let mut rows = rows.iter();
        let states = groups.iter().map(|group| {
            let mut bytes = Vec::new();
            for (id, row) in self.of(*group).zip(&mut rows) {
                write_entry(&mut bytes, row.data(), self.members[id as usize].number);
            }
            bytes
        });
        Ok(Arc::new(BinaryArray::from_iter_values(states)))
    }

    /// What `write` wrote.
    ///
    /// # Errors
    /// If it is cut short.
    pub fn read(&self, groups: &[u32], state: &ArrayRef) -> Result<Written> {
        let parser = self.converter.parser();
        let (mut rows, mut numbers, mut of_groups) = (Vec::new(), Vec::new(), Vec::new());
        for (group, entries) in groups.iter().zip(state.as_binary::<i32>()) {
            let mut entries = entries.unwrap_or_default();
            while !entries.is_empty() {
                let entry = read_entry(&mut entries);
                let (row, number) = entry.ok_or_else(|| Error::internal("a partial set of values is cut short"))?;
                rows.push(parser.parse(row));
                numbers.push(number);
                of_groups.push(*group);
            }
        }
        Ok(Written { groups: of_groups, values: self.converter.convert_rows(rows)?, numbers })
    }

    pub fn free_page(&mut self, page: usize) {
        self.heads.free_page(page);
    }

    pub fn size_bytes(&self) -> usize {
        self.seen.size_bytes() + self.members.bytes() + self.heads.bytes()
    }
}
