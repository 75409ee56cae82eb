//! From keys to dense group ids.
//!
//! Each key column becomes one 16-byte word: a number its value, a string of up to 12 bytes its
//! view, a longer one its length, first bytes and place in an arena of ours. A group's words lie
//! together, so most keys are found and compared without following a pointer. The hash is that of
//! the exchange; it is kept beside the id, so that growing rehashes nothing.
//!
//! About 5 ns a row for one short key among few groups.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryViewArray, BooleanArray, Decimal128Array, PrimitiveArray,
    StringViewArray, new_null_array,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::row::{RowConverter, SortField};
use corelane_stream::{Result, hash_columns};
use hashbrown::HashTable;

/// NULL as a word: no number and no string has it.
const NULL: u128 = 1 << 127;

/// Bytes of a string that its word holds in itself.
const INLINE_BYTES_MAX: u32 = 12;

/// Arena bytes of removed keys that are not worth a compaction.
const GARBAGE_BYTES_MIN: usize = 1 << 20;

#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    group: u32,
}

/// How a key column becomes words.
enum KeyColumn {
    /// Fixed width.
    Number(DataType),
    /// Strings and bytes of this type, handled as views.
    Bytes(DataType),
    /// Nested values, as the bytes of arrow's row format.
    Encoded(DataType, RowConverter),
}

/// A table of keys; ids are dense and those of removed keys are used again.
pub struct GroupTable {
    columns: Vec<KeyColumn>,
    table: HashTable<Slot>,
    /// One word a column, group after group.
    words: Vec<u128>,
    alive: Vec<bool>,
    free: Vec<u32>,
    /// Groups that the last `find_or_insert` made, in order.
    fresh: Vec<u32>,
    arena: Vec<u8>,
    garbage: usize,
    row_words: Vec<u128>,
    hashes: Vec<u64>,
}

impl GroupTable {
    /// # Errors
    /// If a column's type cannot be a key.
    pub fn new<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Result<Self> {
        let columns = types.into_iter().map(KeyColumn::new).collect::<Result<_>>()?;
        Ok(GroupTable {
            columns,
            table: HashTable::new(),
            words: Vec::new(),
            alive: Vec::new(),
            free: Vec::new(),
            fresh: Vec::new(),
            arena: Vec::new(),
            garbage: 0,
            row_words: Vec::new(),
            hashes: Vec::new(),
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
        self.alive.get(group as usize).copied().unwrap_or(false)
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
        let mut hashes = std::mem::take(&mut self.hashes);
        let mut row_words = std::mem::take(&mut self.row_words);
        hash_columns(&columns, rows, &mut hashes)?;
        let width = columns.len();
        row_words.clear();
        row_words.resize(rows * width, 0);
        let mut long = false;
        for (position, (kind, column)) in self.columns.iter().zip(&columns).enumerate() {
            long |= kind.fill(column, &mut row_words[position..], width);
        }
        groups.reserve(rows);
        match (long, width) {
            (true, _) => self.look_up_long(&columns, &hashes, &row_words, groups),
            (false, 1) => self.look_up::<1>(&hashes, &row_words, groups),
            (false, 2) => self.look_up::<2>(&hashes, &row_words, groups),
            (false, 3) => self.look_up::<3>(&hashes, &row_words, groups),
            (false, _) => self.look_up_wide(width, &hashes, &row_words, groups),
        }
        self.hashes = hashes;
        self.row_words = row_words;
        Ok(())
    }

    /// No string of these rows is long, so equal keys are equal words.
    fn look_up<const WIDTH: usize>(&mut self, hashes: &[u64], row_words: &[u128], groups: &mut Vec<u32>) {
        let (rows, _) = row_words.as_chunks::<WIDTH>();
        for (hash, row) in hashes.iter().zip(rows) {
            let found = {
                let (words, _) = self.words.as_chunks::<WIDTH>();
                self.table.find(*hash, |slot| slot.hash == *hash && words[slot.group as usize] == *row)
            };
            groups.push(match found {
                Some(slot) => slot.group,
                None => self.insert(*hash, row),
            });
        }
    }

    fn look_up_wide(&mut self, width: usize, hashes: &[u64], row_words: &[u128], groups: &mut Vec<u32>) {
        for (hash, row) in hashes.iter().zip(row_words.chunks_exact(width)) {
            let words = &self.words;
            let found = self
                .table
                .find(*hash, |slot| slot.hash == *hash && words[slot.group as usize * width..][..width] == *row);
            groups.push(match found {
                Some(slot) => slot.group,
                None => self.insert(*hash, row),
            });
        }
    }

    /// Some strings are long: their words hold where the bytes lie, in the batch or in the arena.
    fn look_up_long(&mut self, columns: &[ArrayRef], hashes: &[u64], row_words: &[u128], groups: &mut Vec<u32>) {
        let width = columns.len();
        let mut key = vec![0; width];
        for (row, (hash, words)) in hashes.iter().zip(row_words.chunks_exact(width)).enumerate() {
            let found = self.table.find(*hash, |slot| {
                let stored = &self.words[slot.group as usize * width..][..width];
                slot.hash == *hash
                    && words.iter().zip(stored).zip(columns).zip(&self.columns).all(
                        |(((word, stored), column), kind)| {
                            if !kind.is_long(*word) {
                                return word == stored;
                            }
                            *word as u64 == *stored as u64 && bytes_at(column, row) == arena_bytes(&self.arena, *stored)
                        },
                    )
            });
            let group = match found {
                Some(slot) => slot.group,
                None => {
                    for (position, column) in columns.iter().enumerate() {
                        key[position] = words[position];
                        if self.columns[position].is_long(words[position]) {
                            key[position] = u128::from(words[position] as u64) | (self.arena.len() as u128) << 64;
                            self.arena.extend_from_slice(bytes_at(column, row));
                        }
                    }
                    self.insert(*hash, &key)
                }
            };
            groups.push(group);
        }
    }

    #[cold]
    fn insert(&mut self, hash: u64, key: &[u128]) -> u32 {
        let width = self.columns.len();
        let group = match self.free.pop() {
            Some(group) => {
                self.words[group as usize * width..][..width].copy_from_slice(key);
                self.alive[group as usize] = true;
                group
            }
            None => {
                let group = u32::try_from(self.alive.len()).expect("an operator has fewer than 2^32 groups");
                self.words.extend_from_slice(key);
                self.alive.push(true);
                group
            }
        };
        if width > 0 {
            self.table.insert_unique(hash, Slot { hash, group }, |slot| slot.hash);
        }
        self.fresh.push(group);
        group
    }

    /// The keys of these groups.
    ///
    /// # Errors
    /// If a nested key cannot be decoded.
    pub fn keys(&self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let width = self.columns.len();
        let mut words = Vec::with_capacity(groups.len());
        let mut keys = Vec::with_capacity(width);
        for (position, kind) in self.columns.iter().enumerate() {
            words.clear();
            words.extend(groups.iter().map(|group| self.words[*group as usize * width + position]));
            keys.push(kind.array(&words, &self.arena)?);
        }
        Ok(keys)
    }

    /// Removes these groups; their ids will be used again.
    ///
    /// # Errors
    /// If a nested key cannot be decoded.
    pub fn remove(&mut self, groups: &[u32]) -> Result<()> {
        if groups.len() == self.len() {
            self.clear();
            return Ok(());
        }
        let keys = self.keys(groups)?;
        let mut hashes = std::mem::take(&mut self.hashes);
        hash_columns(&keys, groups.len(), &mut hashes)?;
        let width = self.columns.len();
        for (hash, group) in hashes.iter().zip(groups) {
            assert!(self.alive[*group as usize], "a group is removed once");
            if let Ok(entry) = self.table.find_entry(*hash, |slot| slot.group == *group) {
                entry.remove();
            }
            self.alive[*group as usize] = false;
            let words = &self.words[*group as usize * width..][..width];
            let long = words.iter().zip(&self.columns).filter(|(word, kind)| kind.is_long(**word));
            self.garbage += long.map(|(word, _)| *word as u32 as usize).sum::<usize>();
        }
        self.free.extend_from_slice(groups);
        self.hashes = hashes;
        if self.garbage > GARBAGE_BYTES_MIN.max(self.arena.len() / 2) {
            self.compact();
        }
        Ok(())
    }

    /// Removes every group; ids start again at 0.
    pub fn clear(&mut self) {
        self.table.clear();
        self.words.clear();
        self.alive.clear();
        self.free.clear();
        self.fresh.clear();
        self.arena.clear();
        self.garbage = 0;
    }

    /// Moves the long strings of living keys into a new arena.
    fn compact(&mut self) {
        let width = self.columns.len();
        let mut arena = Vec::with_capacity(self.arena.len().saturating_sub(self.garbage));
        for (group, alive) in self.alive.iter().enumerate() {
            if !*alive {
                continue;
            }
            for (word, kind) in self.words[group * width..][..width].iter_mut().zip(&self.columns) {
                if kind.is_long(*word) {
                    let offset = arena.len();
                    arena.extend_from_slice(arena_bytes(&self.arena, *word));
                    *word = u128::from(*word as u64) | (offset as u128) << 64;
                }
            }
        }
        self.arena = arena;
        self.garbage = 0;
    }

    /// Bytes held, roughly.
    pub fn size_bytes(&self) -> usize {
        self.table.allocation_size()
            + self.words.capacity() * size_of::<u128>()
            + self.alive.capacity()
            + self.arena.capacity()
    }
}

/// The bytes of one row of a view column.
fn bytes_at(column: &ArrayRef, row: usize) -> &[u8] {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().value(row).as_bytes(),
        _ => column.as_binary_view().value(row),
    }
}

/// The bytes of a long string by its word.
fn arena_bytes(arena: &[u8], word: u128) -> &[u8] {
    &arena[(word >> 64) as usize..][..word as u32 as usize]
}

/// Runs `$body` with `$type` as the arrow type of a fixed-width key of the type `$data_type`.
macro_rules! with_number {
    ($data_type:expr, $type:ident => $body:expr, $otherwise:expr) => {{
        macro_rules! with {
            ($arrow:ty) => {{
                type $type = $arrow;
                $body
            }};
        }
        match $data_type {
            DataType::Int8 => with!(Int8Type),
            DataType::Int16 => with!(Int16Type),
            DataType::Int32 => with!(Int32Type),
            DataType::Int64 => with!(Int64Type),
            DataType::UInt8 => with!(UInt8Type),
            DataType::UInt16 => with!(UInt16Type),
            DataType::UInt32 => with!(UInt32Type),
            DataType::UInt64 => with!(UInt64Type),
            DataType::Date32 => with!(Date32Type),
            DataType::Time32(TimeUnit::Second) => with!(Time32SecondType),
            DataType::Time32(_) => with!(Time32MillisecondType),
            DataType::Time64(TimeUnit::Microsecond) => with!(Time64MicrosecondType),
            DataType::Time64(_) => with!(Time64NanosecondType),
            DataType::Timestamp(TimeUnit::Second, _) => with!(TimestampSecondType),
            DataType::Timestamp(TimeUnit::Millisecond, _) => with!(TimestampMillisecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => with!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => with!(TimestampNanosecondType),
            _ => $otherwise,
        }
    }};
}

impl KeyColumn {
    fn new(data_type: &DataType) -> Result<Self> {
        let fixed = with_number!(data_type, _Number => true, false);
        Ok(match data_type {
            _ if fixed => KeyColumn::Number(data_type.clone()),
            DataType::Boolean | DataType::Null | DataType::Float32 | DataType::Float64 | DataType::Decimal128(_, _) => {
                KeyColumn::Number(data_type.clone())
            }
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView => KeyColumn::Bytes(data_type.clone()),
            _ => KeyColumn::Encoded(data_type.clone(), RowConverter::new(vec![SortField::new(data_type.clone())])?),
        })
    }

    /// The column in the layout that `fill` reads.
    fn prepare(&self, column: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            KeyColumn::Number(_) => column.clone(),
            KeyColumn::Bytes(DataType::Utf8View | DataType::BinaryView) => column.clone(),
            KeyColumn::Bytes(DataType::Utf8 | DataType::LargeUtf8) => cast(column, &DataType::Utf8View)?,
            KeyColumn::Bytes(_) => cast(column, &DataType::BinaryView)?,
            KeyColumn::Encoded(_, converter) => {
                let rows = converter.convert_columns(std::slice::from_ref(column))?;
                Arc::new(rows.iter().map(|row| Some(row.data())).collect::<BinaryViewArray>())
            }
        })
    }

    /// Writes a word for each row, `stride` apart; true if a string is too long for its word.
    fn fill(&self, column: &ArrayRef, words: &mut [u128], stride: usize) -> bool {
        match self {
            KeyColumn::Number(data_type) => {
                fill_numbers(data_type, column, words, stride);
                false
            }
            KeyColumn::Bytes(_) | KeyColumn::Encoded(_, _) => match column.data_type() {
                DataType::Utf8View => fill_views(column.as_string_view().views(), column.nulls(), words, stride),
                _ => fill_views(column.as_binary_view().views(), column.nulls(), words, stride),
            },
        }
    }

    fn is_long(&self, word: u128) -> bool {
        match self {
            KeyColumn::Number(_) => false,
            KeyColumn::Bytes(_) | KeyColumn::Encoded(_, _) => word as u32 > INLINE_BYTES_MAX,
        }
    }

    /// The array that these words stand for.
    fn array(&self, words: &[u128], arena: &[u8]) -> Result<ArrayRef> {
        match self {
            KeyColumn::Number(data_type) => number_array(data_type, words),
            KeyColumn::Bytes(data_type @ (DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8)) => {
                let (views, buffer, nulls) = view_parts(words, arena);
                // Every view was read from a valid array, and long ones point into `buffer`.
                let strings: ArrayRef = Arc::new(StringViewArray::try_new(views, vec![buffer], nulls)?);
                if *data_type == DataType::Utf8View { Ok(strings) } else { Ok(cast(&strings, data_type)?) }
            }
            KeyColumn::Bytes(data_type) => {
                let (views, buffer, nulls) = view_parts(words, arena);
                let bytes: ArrayRef = Arc::new(BinaryViewArray::try_new(views, vec![buffer], nulls)?);
                if *data_type == DataType::BinaryView { Ok(bytes) } else { Ok(cast(&bytes, data_type)?) }
            }
            KeyColumn::Encoded(data_type, converter) => {
                let (views, buffer, _) = view_parts(words, arena);
                let bytes = BinaryViewArray::try_new(views, vec![buffer], None)?;
                let parser = converter.parser();
                let rows = bytes.iter().flatten().map(|row| parser.parse(row));
                let columns = converter.convert_rows(rows)?;
                Ok(columns.into_iter().next().unwrap_or_else(|| new_null_array(data_type, 0)))
            }
        }
    }
}

fn fill_words(words: &mut [u128], stride: usize, nulls: Option<&NullBuffer>, word: impl Fn(usize) -> u128) {
    let words = words.iter_mut().step_by(stride).enumerate();
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => words.for_each(|(row, out)| *out = word(row)),
        Some(nulls) => words.for_each(|(row, out)| *out = if nulls.is_null(row) { NULL } else { word(row) }),
    }
}

fn fill_views(views: &ScalarBuffer<u128>, nulls: Option<&NullBuffer>, words: &mut [u128], stride: usize) -> bool {
    fill_words(words, stride, nulls, |row| views[row]);
    words.iter().step_by(stride).any(|word| *word as u32 > INLINE_BYTES_MAX)
}

fn fill_numbers(data_type: &DataType, column: &ArrayRef, words: &mut [u128], stride: usize) {
    let nulls = column.nulls();
    match data_type {
        DataType::Null => fill_words(words, stride, None, |_| NULL),
        DataType::Boolean => {
            let values = column.as_boolean().values();
            fill_words(words, stride, nulls, |row| u128::from(values.value(row)));
        }
        // As SQL groups them, and as they are hashed: one zero, one NaN.
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>().values();
            fill_words(words, stride, nulls, |row| float_word(f64::from(values[row])));
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().values();
            fill_words(words, stride, nulls, |row| float_word(values[row]));
        }
        DataType::Decimal128(_, _) => {
            let values = column.as_primitive::<Decimal128Type>().values();
            fill_words(words, stride, nulls, |row| values[row] as u128);
        }
        _ => with_number!(data_type, Number => {
            let values = column.as_primitive::<Number>().values();
            fill_words(words, stride, nulls, |row| u128::from(values[row] as u64));
        }, unreachable!("the other types of keys have no fixed width")),
    }
}

fn float_word(value: f64) -> u128 {
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    u128::from(value.to_bits())
}

fn number_array(data_type: &DataType, words: &[u128]) -> Result<ArrayRef> {
    Ok(match data_type {
        DataType::Null => new_null_array(data_type, words.len()),
        DataType::Boolean => {
            Arc::new(words.iter().map(|word| (*word != NULL).then_some(*word == 1)).collect::<BooleanArray>())
        }
        DataType::Float32 => {
            Arc::new(primitive::<Float32Type>(words, data_type, |word| f64::from_bits(word as u64) as f32))
        }
        DataType::Float64 => Arc::new(primitive::<Float64Type>(words, data_type, |word| f64::from_bits(word as u64))),
        DataType::Decimal128(precision, scale) => {
            let values: Decimal128Array = primitive::<Decimal128Type>(words, data_type, |word| word as i128);
            Arc::new(values.with_precision_and_scale(*precision, *scale)?)
        }
        _ => with_number!(data_type, Number => {
            Arc::new(primitive::<Number>(words, data_type, |word| {
                word as u64 as <Number as ArrowPrimitiveType>::Native
            }))
        }, unreachable!("the other types of keys have no fixed width")),
    })
}

fn primitive<T: ArrowPrimitiveType>(
    words: &[u128],
    data_type: &DataType,
    value: impl Fn(u128) -> T::Native,
) -> PrimitiveArray<T> {
    let values = words.iter().map(|word| if *word == NULL { T::Native::usize_as(0) } else { value(*word) });
    PrimitiveArray::<T>::new(values.collect(), nulls_of(words)).with_data_type(data_type.clone())
}

fn nulls_of(words: &[u128]) -> Option<NullBuffer> {
    words.contains(&NULL).then(|| words.iter().map(|word| *word != NULL).collect())
}

/// Words as views into a buffer with just their long strings.
fn view_parts(words: &[u128], arena: &[u8]) -> (ScalarBuffer<u128>, Buffer, Option<NullBuffer>) {
    let mut buffer = Vec::new();
    let views = words.iter().map(|word| {
        if *word == NULL {
            return 0;
        }
        if *word as u32 <= INLINE_BYTES_MAX {
            return *word;
        }
        let offset = buffer.len() as u128;
        buffer.extend_from_slice(arena_bytes(arena, *word));
        u128::from(*word as u64) | offset << 96
    });
    let views: ScalarBuffer<u128> = views.collect();
    (views, Buffer::from_vec(buffer), nulls_of(words))
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
                table.remove(&ids).unwrap();
                table.compact();
            }
        }
    }
}
