//! From a key to the worker that owns it: hash, key group, worker.
//!
//! The hash is ours and fixed: the same on every run, machine and version, because checkpoints
//! are cut by key group. It mixes 64-bit words by a full multiplication (the mixing step of
//! wyhash, public domain, Wang Yi). Numbers hash by value, strings by their bytes whatever
//! layout holds them; `-0.0` hashes as `0.0` and every NaN alike, as SQL groups them.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, GenericBinaryArray, GenericByteViewArray, GenericStringArray,
    OffsetSizeTrait, PrimitiveArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, BinaryViewType, ByteViewType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, StringViewType, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::row::{RowConverter, SortField};

use crate::error::Result;

/// Key groups of every job: the unit of snapshot and of rescaling, so it bounds the number of
/// workers, and it never changes.
pub const KEY_GROUPS: u32 = 4_096;

const _: () = assert!(crate::limits::WORKERS_MAX <= KEY_GROUPS as usize);

/// A fixed share of all keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(pub u32);

impl KeyGroup {
    /// Takes bits from the middle of the hash: hash tables index with the low bits and tag with
    /// the top ones, and keys of one worker must not look alike to them.
    pub fn of(hash: u64) -> KeyGroup {
        KeyGroup(((hash >> 24) as u32) % KEY_GROUPS)
    }

    /// The worker that owns this group.
    pub fn worker(self, workers: usize) -> usize {
        self.0 as usize * workers / KEY_GROUPS as usize
    }
}

const SEED: u64 = 0xa076_1d64_78bd_642f;
const STEP: u64 = 0xe703_7ed1_a0b4_28db;
const NULL: u64 = 0x8ebc_6af0_9c88_c6e3;

/// Folds the 128-bit product of two words.
#[inline]
pub fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
pub fn hash_word(word: u64) -> u64 {
    mix(word ^ SEED, STEP)
}

#[inline]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut state = SEED ^ (bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        state = mix(state ^ u64::from_le_bytes(chunk.try_into().expect("chunks of 8")), STEP);
    }
    let tail = chunks.remainder();
    if !tail.is_empty() {
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        state = mix(state ^ u64::from_le_bytes(word), STEP);
    }
    mix(state, SEED)
}

/// Hashes rows by these columns into `hashes` (cleared first).
///
/// # Errors
/// If a column has a type that cannot be a key.
pub fn hash_columns(columns: &[ArrayRef], rows: usize, hashes: &mut Vec<u64>) -> Result<()> {
    hashes.clear();
    hashes.resize(rows, 0);
    for (position, column) in columns.iter().enumerate() {
        hash_column(column, position == 0, hashes)?;
    }
    Ok(())
}

fn hash_column(column: &ArrayRef, first: bool, hashes: &mut [u64]) -> Result<()> {
    match column.data_type() {
        DataType::Null => fold(first, hashes, |_| NULL),
        DataType::Boolean => booleans(column.as_boolean(), first, hashes),
        DataType::Int8 => integers::<Int8Type>(column, first, hashes, |value| value as u64),
        DataType::Int16 => integers::<Int16Type>(column, first, hashes, |value| value as u64),
        DataType::Int32 => integers::<Int32Type>(column, first, hashes, |value| value as u64),
        DataType::Int64 => integers::<Int64Type>(column, first, hashes, |value| value as u64),
        DataType::UInt8 => integers::<UInt8Type>(column, first, hashes, u64::from),
        DataType::UInt16 => integers::<UInt16Type>(column, first, hashes, u64::from),
        DataType::UInt32 => integers::<UInt32Type>(column, first, hashes, u64::from),
        DataType::UInt64 => integers::<UInt64Type>(column, first, hashes, |value| value),
        DataType::Float32 => integers::<Float32Type>(column, first, hashes, |value| float_word(f64::from(value))),
        DataType::Float64 => integers::<Float64Type>(column, first, hashes, float_word),
        DataType::Date32 => integers::<Date32Type>(column, first, hashes, |value| value as u64),
        DataType::Time32(TimeUnit::Second) => {
            integers::<Time32SecondType>(column, first, hashes, |value| value as u64);
        }
        DataType::Time32(_) => integers::<Time32MillisecondType>(column, first, hashes, |value| value as u64),
        DataType::Time64(TimeUnit::Microsecond) => {
            integers::<Time64MicrosecondType>(column, first, hashes, |value| value as u64);
        }
        DataType::Time64(_) => integers::<Time64NanosecondType>(column, first, hashes, |value| value as u64),
        DataType::Timestamp(TimeUnit::Second, _) => {
            integers::<TimestampSecondType>(column, first, hashes, |value| value as u64);
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            integers::<TimestampMillisecondType>(column, first, hashes, |value| value as u64);
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            integers::<TimestampMicrosecondType>(column, first, hashes, |value| value as u64);
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            integers::<TimestampNanosecondType>(column, first, hashes, |value| value as u64);
        }
        DataType::Decimal128(_, _) => integers::<Decimal128Type>(column, first, hashes, |value| {
            mix(value as u64 ^ SEED, (value >> 64) as u64 ^ STEP)
        }),
        DataType::Utf8 => strings(column.as_string::<i32>(), first, hashes),
        DataType::LargeUtf8 => strings(column.as_string::<i64>(), first, hashes),
        DataType::Utf8View => views::<StringViewType>(column.as_byte_view(), first, hashes),
        DataType::Binary => binaries(column.as_binary::<i32>(), first, hashes),
        DataType::LargeBinary => binaries(column.as_binary::<i64>(), first, hashes),
        DataType::BinaryView => views::<BinaryViewType>(column.as_byte_view(), first, hashes),
        _ => encoded(column, first, hashes)?,
    }
    Ok(())
}

/// `+0.0` folds the two zeros, and one pattern stands for every NaN.
fn float_word(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

#[inline]
fn fold(first: bool, hashes: &mut [u64], word: impl Fn(usize) -> u64) {
    if first {
        for (row, hash) in hashes.iter_mut().enumerate() {
            *hash = hash_word(word(row));
        }
    } else {
        for (row, hash) in hashes.iter_mut().enumerate() {
            *hash = mix(*hash ^ SEED, word(row) ^ STEP);
        }
    }
}

fn integers<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    first: bool,
    hashes: &mut [u64],
    word: impl Fn(T::Native) -> u64,
) {
    let array: &PrimitiveArray<T> = column.as_primitive();
    let values = array.values();
    if array.null_count() == 0 {
        fold(first, hashes, |row| word(values[row]));
    } else {
        fold(first, hashes, |row| if array.is_null(row) { NULL } else { word(values[row]) });
    }
}

fn booleans(array: &BooleanArray, first: bool, hashes: &mut [u64]) {
    fold(first, hashes, |row| if array.is_null(row) { NULL } else { u64::from(array.value(row)) });
}

fn strings<O: OffsetSizeTrait>(array: &GenericStringArray<O>, first: bool, hashes: &mut [u64]) {
    fold(first, hashes, |row| if array.is_null(row) { NULL } else { hash_bytes(array.value(row).as_bytes()) });
}

fn binaries<O: OffsetSizeTrait>(array: &GenericBinaryArray<O>, first: bool, hashes: &mut [u64]) {
    fold(first, hashes, |row| if array.is_null(row) { NULL } else { hash_bytes(array.value(row)) });
}

fn views<T: ByteViewType>(array: &GenericByteViewArray<T>, first: bool, hashes: &mut [u64]) {
    let views = array.views();
    fold(first, hashes, |row| {
        if array.is_null(row) {
            NULL
        } else if views[row] as u32 <= INLINE_BYTES_MAX {
            hash_inline_view(views[row])
        } else {
            let value: &T::Native = array.value(row);
            let bytes: &[u8] = value.as_ref();
            hash_bytes(bytes)
        }
    });
}

/// Bytes that an arrow view holds in itself.
const INLINE_BYTES_MAX: u32 = 12;

/// What `hash_bytes` gives for the bytes of a view that holds them in itself: the length in its
/// low 32 bits, then the bytes, then zeros.
#[inline]
fn hash_inline_view(view: u128) -> u64 {
    let length = view as u32;
    let mut state = SEED ^ u64::from(length);
    if length > 0 {
        state = mix(state ^ (view >> 32) as u64, STEP);
    }
    if length > 8 {
        state = mix(state ^ (view >> 96) as u64, STEP);
    }
    mix(state, SEED)
}

/// Nested types go through arrow's row encoding, which is one-to-one.
fn encoded(column: &ArrayRef, first: bool, hashes: &mut [u64]) -> Result<()> {
    let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())])?;
    let rows = converter.convert_columns(std::slice::from_ref(column))?;
    fold(first, hashes, |row| hash_bytes(rows.row(row).as_ref()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray, StringViewArray};

    use super::*;

    fn hashes(columns: &[ArrayRef]) -> Vec<u64> {
        let mut hashes = Vec::new();
        hash_columns(columns, columns[0].len(), &mut hashes).unwrap();
        hashes
    }

    #[test]
    fn the_hash_is_pinned() {
        // Checkpoints are cut by key group: these words may never change.
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(1), Some(-7), None]));
        let names: ArrayRef = Arc::new(StringArray::from(vec!["", "a", "eight by", "longer than sixteen"]));
        expect_test::expect![[r#"
            [2302960717771869484, 4105396388567933506, 11956717589725407191, 6177401009576564604]
            [2114200320272738596, 3539177802138915025, 8973634419422234103, 6278259696066418125]
        "#]]
        .assert_eq(&format!("{:?}\n{:?}\n", hashes(&[numbers]), hashes(&[names])));
    }

    #[test]
    fn a_string_hashes_alike_in_every_layout() {
        let alphabet = "a string of more than twelve bytes";
        let words: Vec<_> = (0..alphabet.len()).map(|length| Some(&alphabet[..length])).chain([None]).collect();
        let plain: ArrayRef = Arc::new(StringArray::from(words.clone()));
        let view: ArrayRef = Arc::new(StringViewArray::from(words));
        assert_eq!(hashes(&[plain]), hashes(&[view]));
    }

    #[test]
    fn keys_spread_over_workers() {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100_000));
        let mut counts = [0usize; 7];
        for hash in hashes(&[keys]) {
            counts[KeyGroup::of(hash).worker(counts.len())] += 1;
        }
        assert!(counts.iter().all(|count| (13_000..15_600).contains(count)), "{counts:?}");
    }
}
