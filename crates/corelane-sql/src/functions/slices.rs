//! Functions whose result is a part of their input: the parts share the input's bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray};
use arrow::buffer::OffsetBuffer;
use datafusion_common::Result;
use memchr::memmem;

use super::call::Call;
use super::text::byte_of;
use super::text_builder::TextBuilder;

/// The first position is 1; 0 counts as 1; a negative one counts from the end. A negative length makes a null.
pub(super) fn substring(call: &Call) -> Result<ArrayRef> {
    let (text, start) = (call.text(0)?, call.longs(1)?);
    let length = if call.has(2) { Some(call.longs(2)?) } else { None };
    call.slice_texts(text, |row, whole| {
        let length = length.map_or(i64::MAX, |length| length.at(row));
        if length < 0 {
            return Ok(None);
        }
        let skipped = match start.at(row) {
            0 => 0,
            start if 0 < start => start - 1,
            start => match (whole.chars().count() as i64).saturating_add(start) {
                before if before < 0 => return Ok(Some("")),
                skipped => skipped,
            },
        };
        let rest = &whole[byte_of(whole, skipped as usize)..];
        Ok(Some(&rest[..byte_of(rest, length as usize)]))
    })
}

pub(super) fn left(call: &Call) -> Result<ArrayRef> {
    let (text, length) = (call.text(0)?, call.longs(1)?);
    call.slice_texts(text, |row, whole| Ok(Some(&whole[..byte_of(whole, length.at(row).max(0) as usize)])))
}

pub(super) fn right(call: &Call) -> Result<ArrayRef> {
    let (text, length) = (call.text(0)?, call.longs(1)?);
    call.slice_texts(text, |row, whole| {
        let skipped = (whole.chars().count() as i64).saturating_sub(length.at(row).max(0)).max(0);
        Ok(Some(&whole[byte_of(whole, skipped as usize)..]))
    })
}

/// Trims the characters of a set, spaces by default.
fn trim(call: &Call, cut: for<'t> fn(&'t str, &str) -> &'t str) -> Result<ArrayRef> {
    let text = call.text(0)?;
    let set = if call.has(1) { Some(call.text(1)?) } else { None };
    call.slice_texts(text, |row, whole| Ok(Some(cut(whole, set.map_or(" ", |set| set.at(row))))))
}

pub(super) fn btrim(call: &Call) -> Result<ArrayRef> {
    trim(call, |whole, set| whole.trim_matches(|letter| set.contains(letter)))
}

pub(super) fn ltrim(call: &Call) -> Result<ArrayRef> {
    trim(call, |whole, set| whole.trim_start_matches(|letter| set.contains(letter)))
}

pub(super) fn rtrim(call: &Call) -> Result<ArrayRef> {
    trim(call, |whole, set| whole.trim_end_matches(|letter| set.contains(letter)))
}

/// `SPLIT_INDEX(s, separator, index)`: 40 M rows/s on urls of 70 bytes, pieces 3 to 5.
pub(super) fn split_index(call: &Call) -> Result<ArrayRef> {
    if call.argument(1)?.array.data_type().is_integer() {
        return split_index_by_code(call);
    }
    let (text, separator, index) = (call.text(0)?, call.text(1)?, call.longs(2)?);
    if let Some(separator) = separator.constant() {
        let finder = memmem::Finder::new(separator);
        return call.slice_texts(text, |row, whole| {
            Ok(match (separator.as_bytes(), usize::try_from(index.at(row)), whole.is_empty()) {
                (_, Err(_), _) | (_, _, true) => None,
                ([], Ok(index), _) => whole.split_whitespace().nth(index),
                ([byte], Ok(index), _) => nth_piece_between(whole, *byte, index),
                (bytes, Ok(index), _) => nth_piece(whole, bytes.len(), finder.find_iter(whole.as_bytes()), index),
            })
        });
    }
    call.slice_texts(text, |row, whole| {
        let separator = separator.at(row);
        Ok(match usize::try_from(index.at(row)) {
            Ok(_) | Err(_) if whole.is_empty() => None,
            Ok(index) if separator.is_empty() => whole.split_whitespace().nth(index),
            Ok(index) => whole.split(separator).nth(index),
            Err(_) => None,
        })
    })
}

fn split_index_by_code(call: &Call) -> Result<ArrayRef> {
    let (text, code, index) = (call.text(0)?, call.argument(1)?, call.longs(2)?);
    let codes = arrow::compute::cast(&code.array, &arrow::datatypes::DataType::Int64)?;
    let codes = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&codes);
    call.slice_texts(text, |row, whole| {
        let code = codes.value(code.index(row));
        Ok(match (u8::try_from(code), usize::try_from(index.at(row))) {
            (Ok(code), Ok(index)) if 0 < code && !whole.is_empty() => whole.split(char::from(code)).nth(index),
            _ => None,
        })
    })
}

/// The piece `index` of `whole`, cut at every `separator`, which is ASCII.
fn nth_piece_between(whole: &str, separator: u8, index: usize) -> Option<&str> {
    let start = match index.checked_sub(1) {
        Some(before) => nth_byte(whole.as_bytes(), separator, before)? + 1,
        None => 0,
    };
    let rest = &whole[start..];
    Some(&rest[..nth_byte(rest.as_bytes(), separator, 0).unwrap_or(rest.len())])
}

/// Where `wanted` stands for the `n`th time (from 0). Eight bytes are looked at together and their
/// matches counted: pieces of a few bytes are too short for a search that starts anew at each.
fn nth_byte(bytes: &[u8], wanted: u8, mut n: usize) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const LOW_BITS: u64 = u64::from_ne_bytes([0x7f; 8]);
    let pattern = ONES * u64::from(wanted);
    let (words, rest) = bytes.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ pattern;
        // The highest bit of each byte that is zero, which is to say equal; no byte carries into the next.
        let mut matches = !(((differs & LOW_BITS) + LOW_BITS) | differs | LOW_BITS);
        let count = ((matches >> 7).wrapping_mul(ONES) >> 56) as usize;
        if n < count {
            for _ in 0..n {
                matches &= matches - 1;
            }
            return Some(place * 8 + matches.trailing_zeros() as usize / 8);
        }
        n -= count;
    }
    let before = bytes.len() - rest.len();
    rest.iter().enumerate().filter(|(_, byte)| **byte == wanted).nth(n).map(|(place, _)| before + place)
}

/// The piece `index` of `whole`, cut at the byte offsets `cuts` of separators of `width` bytes.
fn nth_piece(whole: &str, width: usize, mut cuts: impl Iterator<Item = usize>, index: usize) -> Option<&str> {
    let start = match index.checked_sub(1) {
        Some(before) => cuts.nth(before)? + width,
        None => 0,
    };
    let end = cuts.next().unwrap_or(whole.len());
    Some(&whole[start..end])
}

/// `SPLIT(s, separator)`: all pieces; an empty separator cuts between all characters.
pub(super) fn split(call: &Call) -> Result<ArrayRef> {
    let (text, separator) = (call.text(0)?, call.text(1)?);
    let mut pieces = TextBuilder::over(call.rows, text.array);
    let mut offsets = vec![0_i32];
    let mut count = 0;
    for row in 0..call.rows {
        if !call.is_null(row) {
            let (view, whole, separator) = (text.view(row), text.at(row), separator.at(row));
            let mut append = |piece| {
                pieces.append_part(view, whole, piece);
                count += 1;
            };
            if separator.is_empty() {
                whole.char_indices().for_each(|(byte, letter)| append(&whole[byte..byte + letter.len_utf8()]));
            } else {
                whole.split(separator).for_each(append);
            }
        }
        offsets.push(count);
    }
    let arrow::datatypes::DataType::List(item) = call.returns else {
        return datafusion_common::internal_err!("SPLIT gives a list");
    };
    let offsets = OffsetBuffer::new(offsets.into());
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, pieces.finish(), call.nulls.clone())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::nth_piece_between;

    proptest! {
        #[test]
        fn pieces_are_those_of_the_library(text in "[/a日.\u{0}]{0,40}", index in 0..12_usize) {
            for separator in [b'/', b'a', 0] {
                let piece = nth_piece_between(&text, separator, index);
                prop_assert_eq!(piece, text.split(char::from(separator)).nth(index));
            }
        }
    }
}
