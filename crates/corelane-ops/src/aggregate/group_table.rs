//! From keys to dense group ids.
//!
//! Each key column becomes one word (`key_column`), and a group's words lie together, so most
//! keys are found and compared without following a pointer. Rows go through in blocks whose words
//! stay in the first-level cache. Growing never moves more than a segment or starts a page.
//!
//! Where groups are few, the one that a key had last is remembered by bits of the key's hash: then
//! most rows need not look into the index. About 4 ns a row for one short key among 200 groups (2-CPU Xeon).

use arrow::array::ArrayRef;
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::DataType;
use corelane_stream::Result;
use corelane_stream::key::mix;

use super::key_arena::KeyArena;
use super::key_column::{KeyColumn, Words, bytes_at};
use super::key_index::KeyIndex;
use super::paged::{PAGE, Paged};

/// Rows whose words are made at once.
const BLOCK_ROWS: usize = 512;

/// From this share of the slots on, removing sweeps over all of them: that is a nanosecond or two
/// for each, where looking a group up is a miss of the cache or two.
const SWEPT_SHARE: usize = 8;

/// Bits of a hash by which the last group found is remembered: 64 KiB, of which few groups use little.
const RECENT_BITS: u32 = 14;

/// With more groups than this, two often share a place among the remembered ones, and to look at
/// the wrong group's words is a miss of the cache.
const RECENT_GROUPS_MAX: usize = 4_096;

const _: () = assert!(RECENT_GROUPS_MAX <= PAGE);

const SEED: u64 = 0xa076_1d64_78bd_642f;
const STEP: u64 = 0xe703_7ed1_a0b4_28db;

/// A table of keys; ids are dense and those of removed keys are used again.
pub struct GroupTable {
    columns: Vec<KeyColumn>,
    index: KeyIndex,
    words: KeyWords,
    alive: Paged<bool>,
    free: Vec<u32>,
    /// Groups that the last `find_or_insert` made, in order.
    fresh: Vec<u32>,
    arena: KeyArena,
    /// The words of the rows of a block.
    block: Vec<u128>,
    /// The group found last for each value of `RECENT_BITS` bits of a hash, which may be another
    /// key's by now, or no group any more.
    recent: Vec<u32>,
}

/// The words of groups, one a column, in pages.
struct KeyWords {
    width: usize,
    pages: Vec<Vec<u128>>,
}

impl KeyWords {
    #[inline]
    fn get(&self, group: u32) -> &[u128] {
        let group = group as usize;
        &self.pages[group / PAGE][group % PAGE * self.width..][..self.width]
    }

    /// The same where the number of columns is known.
    #[inline]
    fn get_array<const WIDTH: usize>(&self, group: u32) -> &[u128; WIDTH] {
        let group = group as usize;
        &self.pages[group / PAGE].as_chunks::<WIDTH>().0[group % PAGE]
    }

    /// Whether a group of the first page has this key. There need be no such group.
    #[inline(always)]
    fn first_page_holds<const WIDTH: usize>(&self, group: u32, key: &[u128; WIDTH]) -> bool {
        let at = group as usize * WIDTH;
        let words = self.pages.first().and_then(|page| page.get(at..at + WIDTH)?.first_chunk());
        words.is_some_and(|words| same(words, key))
    }

    fn set(&mut self, group: u32, key: &[u128]) {
        let group = group as usize;
        let page = group / PAGE;
        if page == self.pages.len() {
            self.pages.push(if page == 0 { Vec::new() } else { Vec::with_capacity(PAGE * self.width) });
        }
        let at = group % PAGE * self.width;
        let page = &mut self.pages[page];
        if at == page.len() {
            page.extend_from_slice(key);
        } else {
            page[at..at + self.width].copy_from_slice(key);
        }
    }
}

/// The hash of a row's words. It is not that of the exchange, whose keys of one worker look alike.
#[inline(always)]
fn hash_words(words: &[u128]) -> u32 {
    words.iter().fold(SEED, |state, word| mix(state ^ *word as u64, (*word >> 64) as u64 ^ STEP)) as u32
}

/// Whether two keys are the same, without a branch or a call for each of their words.
#[inline(always)]
fn same<const WIDTH: usize>(left: &[u128; WIDTH], right: &[u128; WIDTH]) -> bool {
    left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

impl GroupTable {
    /// # Errors
    /// If a column's type cannot be a key.
    pub fn new<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Result<Self> {
        let columns: Vec<KeyColumn> = types.into_iter().map(KeyColumn::new).collect::<Result<_>>()?;
        Ok(GroupTable {
            words: KeyWords { width: columns.len(), pages: Vec::new() },
            columns,
            index: KeyIndex::new(),
            alive: Paged::default(),
            free: Vec::new(),
            fresh: Vec::new(),
            arena: KeyArena::default(),
            block: Vec::new(),
            recent: Vec::new(),
        })
    }

    /// Keys alive.
    pub fn len(&self) -> usize {
        self.alive.len() - self.free.len()
    }

    /// One more than the largest id in use.
    pub fn ids(&self) -> usize {
        self.alive.len()
    }

    pub fn is_alive(&self, group: u32) -> bool {
        (group as usize) < self.alive.len() && self.alive[group as usize]
    }

    /// Groups that the last `find_or_insert` made, in order of their rows.
    pub fn fresh(&self) -> &[u32] {
        &self.fresh
    }

    /// Finds the group of each row, making those that are new.
    ///
    /// # Errors
    /// If a nested key cannot be encoded.
    pub fn find_or_insert(&mut self, columns: &[ArrayRef], rows: usize, groups: &mut Vec<u32>) -> Result<()> {
        assert_eq!(columns.len(), self.columns.len(), "one array for each key column");
        groups.clear();
        self.fresh.clear();
        if rows == 0 {
            return Ok(());
        }
        if columns.is_empty() {
            if !self.is_alive(0) {
                self.insert(0, &[]);
            }
            groups.resize(rows, 0);
            return Ok(());
        }
        let columns: Vec<ArrayRef> =
            self.columns.iter().zip(columns).map(|(kind, column)| kind.prepare(column)).collect::<Result<_>>()?;
        groups.reserve(rows);
        if let ([kind], [column]) = (&self.columns[..], &columns[..])
            && let Some(words) = kind.short_words(column)
        {
            let words: ScalarBuffer<u128> = words.clone();
            self.look_up::<1>(&words, groups);
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.block);
        let width = columns.len();
        for first in (0..rows).step_by(BLOCK_ROWS) {
            block.resize((rows - first).min(BLOCK_ROWS) * width, 0);
            let mut long = false;
            for (position, (kind, column)) in self.columns.iter().zip(&columns).enumerate() {
                long |= kind.fill(column, first, Words { words: &mut block, width, position });
            }
            match (long, width) {
                (true, _) => self.look_up_long(&columns, first, &block, groups),
                (false, 1) => self.look_up::<1>(&block, groups),
                (false, 2) => self.look_up::<2>(&block, groups),
                (false, 3) => self.look_up::<3>(&block, groups),
                (false, _) => self.look_up_wide(&block, groups),
            }
        }
        self.block = block;
        Ok(())
    }

    /// No string of these rows is long, so equal keys are equal words.
    fn look_up<const WIDTH: usize>(&mut self, block: &[u128], groups: &mut Vec<u32>) {
        let rows = block.as_chunks::<WIDTH>().0;
        if RECENT_GROUPS_MAX < self.alive.len() {
            groups.extend(rows.iter().map(|row| self.find::<WIDTH>(hash_words(row), row)));
            return;
        }
        self.recent.resize(1 << RECENT_BITS, u32::MAX);
        groups.extend(rows.iter().map(|row| {
            let hash = hash_words(row);
            let place = hash as usize & ((1 << RECENT_BITS) - 1);
            let recent = self.recent[place];
            if self.words.first_page_holds(recent, row) && self.alive[recent as usize] {
                return recent;
            }
            let group = self.find::<WIDTH>(hash, row);
            self.recent[place] = group;
            group
        }));
    }

    fn find<const WIDTH: usize>(&mut self, hash: u32, row: &[u128; WIDTH]) -> u32 {
        let found = self.index.find(hash, |group| same(self.words.get_array(group), row));
        found.unwrap_or_else(|| self.insert(hash, row))
    }

    fn look_up_wide(&mut self, block: &[u128], groups: &mut Vec<u32>) {
        for row in block.chunks_exact(self.columns.len()) {
            let hash = hash_words(row);
            let found = self.index.find(hash, |group| self.words.get(group) == row);
            groups.push(match found {
                Some(group) => group,
                None => self.insert(hash, row),
            });
        }
    }

    /// Some strings are long: their bytes lie in the batch or in the arena.
    fn look_up_long(&mut self, columns: &[ArrayRef], first: usize, block: &[u128], groups: &mut Vec<u32>) {
        let width = columns.len();
        let mut key = vec![0; width];
        for (row, words) in block.chunks_exact(width).enumerate() {
            let (row, hash) = (first + row, hash_words(words));
            let found = self.index.find(hash, |group| {
                let stored = self.words.get(group).iter();
                words.iter().zip(stored).zip(columns).zip(&self.columns).all(|(((word, stored), column), kind)| {
                    if !kind.is_long(*word) {
                        return word == stored;
                    }
                    *word as u64 == *stored as u64 && bytes_at(column, row) == self.arena.bytes(*stored)
                })
            });
            let group = match found {
                Some(group) => group,
                None => {
                    for (position, column) in columns.iter().enumerate() {
                        let word = words[position];
                        let long = self.columns[position].is_long(word);
                        key[position] = if long { self.arena.push(word, bytes_at(column, row)) } else { word };
                    }
                    self.insert(hash, &key)
                }
            };
            groups.push(group);
        }
    }

    #[inline(never)]
    fn insert(&mut self, hash: u32, key: &[u128]) -> u32 {
        let group = match self.free.pop() {
            Some(group) => {
                self.alive[group as usize] = true;
                group
            }
            None => {
                let group = u32::try_from(self.alive.len()).expect("an operator has fewer than 2^32 groups");
                self.alive.push(true);
                group
            }
        };
        if !key.is_empty() {
            self.words.set(group, key);
            self.index.insert(hash, group);
        }
        self.fresh.push(group);
        group
    }

    /// The keys of these groups.
    ///
    /// # Errors
    /// If a nested key cannot be decoded.
    pub fn keys(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut words = Vec::with_capacity(groups.len());
        let mut keys = Vec::with_capacity(self.columns.len());
        for (position, kind) in self.columns.iter().enumerate() {
            words.clear();
            words.extend(groups.iter().map(|group| self.words.get(*group)[position]));
            keys.push(kind.array(&words, &self.arena)?);
        }
        Ok(keys)
    }

    /// Removes these groups; their ids will be used again.
    pub fn remove(&mut self, groups: &[u32]) {
        if groups.len() == self.len() {
            self.clear();
            return;
        }
        let sweeps = groups.len() * SWEPT_SHARE >= self.index.slots();
        let mut row = Vec::with_capacity(self.columns.len());
        for group in groups {
            let alive = &mut self.alive[*group as usize];
            assert!(*alive, "a group is removed once");
            *alive = false;
            let words = self.words.get(*group).iter().zip(&self.columns);
            if !sweeps {
                row.clear();
                row.extend(words.clone().map(|(word, kind)| kind.row_word(*word, &self.arena)));
                self.index.remove(hash_words(&row), *group);
            }
            for (word, kind) in words {
                if kind.is_long(*word) {
                    self.arena.remove(*word);
                }
            }
        }
        if sweeps {
            self.index.retain(|group| self.alive[group as usize]);
        }
        self.free.extend_from_slice(groups);
        if self.arena.wants_packing() {
            self.compact();
        }
    }

    /// Removes every group; ids start again at 0.
    pub fn clear(&mut self) {
        self.index.clear();
        self.words.pages.truncate(1);
        self.words.pages.iter_mut().for_each(Vec::clear);
        self.alive.clear();
        self.free.clear();
        self.fresh.clear();
        self.arena = KeyArena::default();
    }

    /// Frees the words of a page of groups that will not be asked for again.
    pub fn free_page(&mut self, page: usize) {
        if let Some(words) = self.words.pages.get_mut(page) {
            *words = Vec::new();
        }
    }

    /// Moves the long strings of living keys into a new arena.
    fn compact(&mut self) {
        let mut arena = KeyArena::default();
        for (group, alive) in self.alive.iter().enumerate() {
            if !*alive {
                continue;
            }
            let at = group % PAGE * self.columns.len();
            let words = &mut self.words.pages[group / PAGE][at..][..self.columns.len()];
            for (word, kind) in words.iter_mut().zip(&self.columns) {
                if kind.is_long(*word) {
                    *word = arena.push(*word, self.arena.bytes(*word));
                }
            }
        }
        self.arena = arena;
    }

    /// Bytes held, roughly.
    pub fn size_bytes(&self) -> usize {
        let words: usize = self.words.pages.iter().map(|page| page.capacity() * size_of::<u128>()).sum();
        self.index.bytes() + words + self.alive.bytes() + self.free.capacity() * size_of::<u32>() + self.arena.held()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::{batch, rows_of, schema};

    fn key() -> impl Strategy<Value = String> {
        let name =
            prop_oneof![Just("null".to_owned()), "[a-c]{1,2}", "[a-b]{12,14}", Just("a prefix and an end".to_owned())];
        let number = prop_oneof![Just("null".to_owned()), (-2..3i64).prop_map(|number| number.to_string())];
        (name, number, number_text()).prop_map(|(name, number, double)| format!("{name}, {number}, {double}"))
    }

    fn number_text() -> impl Strategy<Value = String> {
        prop_oneof![Just("null"), Just("0.0"), Just("1.5")].prop_map(str::to_owned)
    }

    proptest! {
        #[test]
        fn equal_keys_share_a_group_until_removed(
            batches in prop::collection::vec((prop::collection::vec(key(), 0..20), 0..5u32), 1..6),
        ) {
            let schema = schema("name STRING, number BIGINT, double DOUBLE");
            let mut table = GroupTable::new(schema.fields().iter().map(|field| field.data_type())).unwrap();
            let mut known: HashMap<String, u32> = HashMap::new();
            for (keys, remove) in batches {
                let text: String = keys.iter().map(|key| format!("+I[{key}]")).collect();
                let rows = batch(&schema, &text);
                let mut groups = Vec::new();
                table.find_or_insert(rows.rows().columns(), keys.len(), &mut groups).unwrap();
                for (key, group) in keys.iter().zip(&groups) {
                    prop_assert_eq!(*known.entry(key.clone()).or_insert(*group), *group);
                }
                prop_assert_eq!(known.len(), table.len());
                let ids: Vec<u32> = known.values().copied().collect();
                let back = table.keys(&ids).unwrap();
                let back = arrow::array::RecordBatch::try_new(schema.clone(), back).unwrap();
                let back = rows_of(&[corelane_stream::ChangelogBatch::append(back)]);
                let names: Vec<String> = known.keys().cloned().collect();
                prop_assert_eq!(back.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), names);
                let gone: Vec<String> = known.iter().filter(|(_, id)| *id % 5 == remove).map(|(key, _)| key.clone()).collect();
                let ids: Vec<u32> = gone.iter().map(|key| known.remove(key).unwrap()).collect();
                table.remove(&ids);
                table.compact();
            }
        }
    }
}
