//! From the hash of a key to its group: a hash table that grows a little at a time.
//!
//! A table that doubles moves everything it holds in one step. So the groups are spread over
//! segments of a few thousand, by linear hashing (Litwin, 1980): whenever the segments are full
//! on average, the next one in turn is split in two, which moves no more than it holds.

use hashbrown::HashTable;

/// Groups of a segment on average. A segment that was just split has about as many, which fill
/// three quarters of 8,192 buckets; it grows to 16,384 once, and is split again with twice as many.
const SEGMENT_GROUPS: usize = 6_000;

/// Bits of a hash that a segment's table finds its bucket by; the others choose the segment.
const BUCKET_BITS: u32 = 14;

const _: () = assert!(2 * SEGMENT_GROUPS <= (1 << BUCKET_BITS) * 7 / 8);

/// A group and the hash of its key: growing computes no hash again.
#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    group: u32,
}

/// The hash as a segment's table takes it, which tags with the top bits and indexes by the low ones.
#[inline]
fn spread(hash: u32) -> u64 {
    u64::from(hash) | u64::from(hash) << 32
}

/// Groups by hash.
pub struct KeyIndex {
    segments: Vec<HashTable<Slot>>,
    /// The segments when each had been split equally often, a power of two.
    level: usize,
    /// How many of those have been split once more.
    split: usize,
    len: usize,
}

impl KeyIndex {
    pub fn new() -> Self {
        KeyIndex { segments: vec![HashTable::new()], level: 1, split: 0, len: 0 }
    }

    #[inline]
    fn segment(&self, hash: u32) -> usize {
        let bits = (hash >> BUCKET_BITS) as usize;
        let segment = bits & (self.level - 1);
        if segment < self.split { bits & (2 * self.level - 1) } else { segment }
    }

    /// The group with this hash that `is_it`.
    #[inline(always)]
    pub fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let segment = &self.segments[self.segment(hash)];
        segment.find(spread(hash), |slot| slot.hash == hash && is_it(slot.group)).map(|slot| slot.group)
    }

    /// Adds a group that is not there.
    pub fn insert(&mut self, hash: u32, group: u32) {
        self.len += 1;
        if self.len > self.segments.len() * SEGMENT_GROUPS {
            self.split_next();
        }
        let segment = self.segment(hash);
        self.segments[segment].insert_unique(spread(hash), Slot { hash, group }, |slot| spread(slot.hash));
    }

    fn split_next(&mut self) {
        let mut old = HashTable::with_capacity(SEGMENT_GROUPS);
        std::mem::swap(&mut old, &mut self.segments[self.split]);
        self.segments.push(HashTable::with_capacity(SEGMENT_GROUPS));
        self.split += 1;
        if self.split == self.level {
            self.level *= 2;
            self.split = 0;
        }
        for slot in old {
            let segment = self.segment(slot.hash);
            self.segments[segment].insert_unique(spread(slot.hash), slot, |slot| spread(slot.hash));
        }
    }

    pub fn remove(&mut self, hash: u32, group: u32) {
        let segment = self.segment(hash);
        if let Ok(entry) = self.segments[segment].find_entry(spread(hash), |slot| slot.group == group) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// Keeps the groups for which `keep` is true; a few nanoseconds for each slot, free ones too.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        for segment in &mut self.segments {
            segment.retain(|slot| keep(slot.group));
        }
        self.len = self.segments.iter().map(HashTable::len).sum();
    }

    /// Slots, taken or free.
    pub fn slots(&self) -> usize {
        self.segments.iter().map(HashTable::capacity).sum()
    }

    /// Empties it; one segment keeps its room.
    pub fn clear(&mut self) {
        self.segments.truncate(1);
        self.segments[0].clear();
        (self.level, self.split, self.len) = (1, 0, 0);
    }

    pub fn bytes(&self) -> usize {
        self.segments.iter().map(HashTable::allocation_size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(group: u32) -> u32 {
        corelane_stream::key::hash_word(u64::from(group)) as u32
    }

    #[test]
    fn groups_are_found_while_segments_split() {
        let mut index = KeyIndex::new();
        let groups = 11 * SEGMENT_GROUPS as u32;
        for group in 0..groups {
            index.insert(hash(group), group);
        }
        assert_eq!(index.segments.len(), 11);
        assert!(index.segments.iter().all(|segment| segment.len() < 2 * SEGMENT_GROUPS + 1_000));
        assert!((0..groups).all(|group| index.find(hash(group), |found| found == group).is_some()));
        index.remove(hash(5), 5);
        index.retain(|group| group % 3 != 0);
        for group in 0..groups {
            let found = index.find(hash(group), |found| found == group).is_some();
            assert_eq!(found, group != 5 && group % 3 != 0);
        }
        index.clear();
        assert_eq!(index.find(hash(1), |_| true), None);
    }
}
