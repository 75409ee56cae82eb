//! How key columns become words, and words columns again.
//!
//! A word has 16 bytes: a number its value, a string of up to 12 bytes its view. A longer string
//! has its length and first bytes in the low half, and in the high half either the hash of its
//! bytes (a row's word) or where they lie in the arena (a group's word).

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
use corelane_stream::Result;
use corelane_stream::key::hash_bytes;

use super::key_arena::KeyArena;

/// NULL as a word: no number and no string has it.
const NULL: u128 = 1 << 127;

/// Bytes of a string that its word holds in itself.
const INLINE_BYTES_MAX: u32 = 12;

/// How a key column becomes words.
pub enum KeyColumn {
    /// Fixed width.
    Number(DataType),
    /// Strings and bytes of this type, handled as views.
    Bytes(DataType),
    /// Nested values, as the bytes of arrow's row format.
    Encoded(DataType, RowConverter),
}

/// The low half of a long string's word, with this as its high half.
#[inline]
pub fn long_word(word: u128, high: u64) -> u128 {
    u128::from(word as u64) | u128::from(high) << 64
}

/// The bytes of one row of a view column.
pub fn bytes_at(column: &ArrayRef, row: usize) -> &[u8] {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().value(row).as_bytes(),
        _ => column.as_binary_view().value(row),
    }
}

fn views(column: &ArrayRef) -> &ScalarBuffer<u128> {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().views(),
        _ => column.as_binary_view().views(),
    }
}

/// Whether all strings of these views are inline. Nearly always the bits of their lengths tell, in
/// lanes that do not wait for each other.
fn all_inline(views: &[u128]) -> bool {
    const LANES: usize = 4;
    let (chunks, rest) = views.as_chunks::<LANES>();
    let mut bits = [0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            bits[lane] |= chunk[lane] as u32;
        }
    }
    let bits = rest.iter().map(|view| *view as u32).chain(bits).fold(0, |all, bits| all | bits);
    // Lengths of 8 and 5, say, have the bits of 13.
    bits <= INLINE_BYTES_MAX || bits <= 15 && views.iter().all(|view| *view as u32 <= INLINE_BYTES_MAX)
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
    /// # Errors
    /// If the type cannot be a key.
    pub fn new(data_type: &DataType) -> Result<Self> {
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
    ///
    /// # Errors
    /// If a nested key cannot be encoded.
    pub fn prepare(&self, column: &ArrayRef) -> Result<ArrayRef> {
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

    /// The words of all rows where they are the column itself: short strings, of which none is null.
    pub fn short_words<'a>(&self, column: &'a ArrayRef) -> Option<&'a ScalarBuffer<u128>> {
        if matches!(self, KeyColumn::Number(_)) || column.null_count() > 0 {
            return None;
        }
        let views = views(column);
        all_inline(views).then_some(views)
    }

    /// Writes a word for each row from `first` on; true if a string is too long for its word.
    pub fn fill(&self, column: &ArrayRef, first: usize, mut words: Words<'_>) -> bool {
        match self {
            KeyColumn::Number(data_type) => {
                fill_numbers(data_type, column, first, words);
                false
            }
            KeyColumn::Bytes(_) | KeyColumn::Encoded(_, _) => {
                let views = &views(column)[first..first + words.rows()];
                fill_words(views, first, &mut words, column.nulls(), |view| view);
                !all_inline(views) && self.hash_long(column, first, words)
            }
        }
    }

    /// Gives long strings the hash of their bytes; true if there are any.
    #[cold]
    fn hash_long(&self, column: &ArrayRef, first: usize, words: Words<'_>) -> bool {
        let mut any = false;
        for (row, word) in words.words.iter_mut().skip(words.position).step_by(words.width).enumerate() {
            if self.is_long(*word) {
                any = true;
                *word = long_word(*word, hash_bytes(bytes_at(column, first + row)));
            }
        }
        any
    }

    /// The word of a row with the key of a group.
    pub fn row_word(&self, word: u128, arena: &KeyArena) -> u128 {
        if self.is_long(word) { long_word(word, hash_bytes(arena.bytes(word))) } else { word }
    }

    #[inline]
    pub fn is_long(&self, word: u128) -> bool {
        match self {
            KeyColumn::Number(_) => false,
            KeyColumn::Bytes(_) | KeyColumn::Encoded(_, _) => word as u32 > INLINE_BYTES_MAX,
        }
    }

    /// The array that the words of groups stand for.
    ///
    /// # Errors
    /// If a nested key cannot be decoded.
    pub fn array(&self, words: &[u128], arena: &KeyArena) -> Result<ArrayRef> {
        match self {
            KeyColumn::Number(data_type) => number_array(data_type, words),
            KeyColumn::Bytes(data_type @ (DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8)) => {
                let (views, buffer, nulls) = view_parts(words, arena);
                // SAFETY: short views were read from a valid array of strings; long ones keep their
                // prefix and point to all of their bytes, which are in `buffer`. Checking them
                // again costs more than looking the group up did.
                let buffers: Arc<[Buffer]> = if buffer.is_empty() { Arc::from([]) } else { Arc::from([buffer]) };
                let strings: ArrayRef = Arc::new(unsafe { StringViewArray::new_unchecked(views, buffers, nulls) });
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

/// The words of some rows, one column's of which are to be written.
pub struct Words<'a> {
    /// Those of a row lie together.
    pub words: &'a mut [u128],
    /// Key columns.
    pub width: usize,
    /// Which of them.
    pub position: usize,
}

impl Words<'_> {
    fn rows(&self) -> usize {
        self.words.len() / self.width
    }

    #[inline(always)]
    fn write(&mut self, words: impl Iterator<Item = u128>) {
        #[inline(always)]
        fn strided<const WIDTH: usize>(out: &mut [u128], position: usize, words: impl Iterator<Item = u128>) {
            assert!(position < WIDTH, "a column is one of the key's");
            for (row, word) in out.as_chunks_mut::<WIDTH>().0.iter_mut().zip(words) {
                row[position] = word;
            }
        }
        match self.width {
            1 => strided::<1>(self.words, 0, words),
            2 => strided::<2>(self.words, self.position, words),
            3 => strided::<3>(self.words, self.position, words),
            width => {
                self.words.iter_mut().skip(self.position).step_by(width).zip(words).for_each(|(out, word)| *out = word)
            }
        }
    }
}

/// Writes the words of `values`, of which the first is in the row `first`.
#[inline(always)]
fn fill_words<N: Copy>(
    values: &[N],
    first: usize,
    words: &mut Words<'_>,
    nulls: Option<&NullBuffer>,
    word: impl Fn(N) -> u128,
) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => words.write(values.iter().map(|value| word(*value))),
        Some(nulls) => {
            let rows = values.iter().enumerate();
            words.write(rows.map(|(row, value)| if nulls.is_null(first + row) { NULL } else { word(*value) }));
        }
    }
}

fn fill_numbers(data_type: &DataType, column: &ArrayRef, first: usize, mut words: Words<'_>) {
    let nulls = column.nulls();
    macro_rules! fill {
        ($type:ty, $word:expr) => {{
            let values = column.as_primitive::<$type>().values();
            fill_words(&values[first..], first, &mut words, nulls, $word);
        }};
    }
    match data_type {
        DataType::Null => words.write(std::iter::repeat(NULL)),
        DataType::Boolean => {
            let values: Vec<bool> = column.as_boolean().values().slice(first, words.rows()).iter().collect();
            fill_words(&values, first, &mut words, nulls, u128::from);
        }
        // As SQL groups them, and as they are hashed: one zero, one NaN.
        DataType::Float32 => fill!(Float32Type, |value| float_word(f64::from(value))),
        DataType::Float64 => fill!(Float64Type, float_word),
        DataType::Decimal128(_, _) => fill!(Decimal128Type, |value| value as u128),
        _ => with_number!(data_type, Number => fill!(Number, |value| u128::from(value as u64)),
            unreachable!("the other types of keys have no fixed width")),
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
fn view_parts(words: &[u128], arena: &KeyArena) -> (ScalarBuffer<u128>, Buffer, Option<NullBuffer>) {
    let mut buffer = Vec::new();
    let views = words.iter().map(|word| {
        if *word == NULL {
            return 0;
        }
        if *word as u32 <= INLINE_BYTES_MAX {
            return *word;
        }
        let offset = buffer.len() as u128;
        buffer.extend_from_slice(arena.bytes(*word));
        u128::from(*word as u64) | offset << 96
    });
    let views: ScalarBuffer<u128> = views.collect();
    (views, Buffer::from_vec(buffer), nulls_of(words))
}
