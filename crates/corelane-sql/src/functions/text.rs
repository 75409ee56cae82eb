//! Functions that make new text. Positions and lengths count characters (code points).

use std::fmt::Write;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::Int32Type;
use datafusion_common::{Result, exec_err};
use memchr::{memchr_iter, memmem};

use super::call::{Call, TEXT_BYTES_MAX};
use super::text_builder::TextBuilder;

/// Texts in the wanted case already, which are most in practice, keep their bytes.
fn recase(call: &Call, ascii: impl Fn(u8) -> u8, other: impl Fn(&str) -> String) -> Result<ArrayRef> {
    let text = call.text(0)?;
    let mut builder = TextBuilder::over(call.rows, text.array);
    let mut buffer = String::new();
    for row in 0..call.rows {
        if call.is_null(row) {
            builder.append_null();
            continue;
        }
        let whole = text.at(row);
        if !whole.is_ascii() {
            builder.append(&other(whole));
        } else if whole.bytes().fold(true, |same, byte| same & (ascii(byte) == byte)) {
            // Looking at all bytes is faster than stopping at the first: it is done many at a time.
            builder.append_view(text.view(row));
        } else {
            buffer.clear();
            buffer.extend(whole.bytes().map(|byte| ascii(byte) as char));
            builder.append(&buffer);
        }
    }
    Ok(builder.finish())
}

pub(super) fn upper(call: &Call) -> Result<ArrayRef> {
    recase(call, |byte| byte.to_ascii_uppercase(), |text| text.to_uppercase())
}

pub(super) fn lower(call: &Call) -> Result<ArrayRef> {
    recase(call, |byte| byte.to_ascii_lowercase(), |text| text.to_lowercase())
}

/// Every run of letters and digits is a word.
pub(super) fn initcap(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    call.write_texts(|row, out| {
        let mut inside = false;
        for letter in text.at(row).chars() {
            if inside {
                out.extend(letter.to_lowercase());
            } else {
                out.extend(letter.to_uppercase());
            }
            inside = letter.is_alphanumeric();
        }
        Ok(true)
    })
}

pub(super) fn char_length(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    call.map_total::<Int32Type>(|row| {
        let whole = text.at(row);
        // To see that all is ASCII is several times as fast as to count characters.
        if whole.is_ascii() { whole.len() as i32 } else { whole.chars().count() as i32 }
    })
}

pub(super) fn repeat(call: &Call) -> Result<ArrayRef> {
    let (text, times) = (call.text(0)?, call.longs(1)?);
    call.write_texts(|row, out| {
        let (whole, times) = (text.at(row), times.at(row).max(0) as usize);
        if whole.len().checked_mul(times).is_none_or(|bytes| TEXT_BYTES_MAX < bytes) {
            return exec_err!("REPEAT would make a text of more than {TEXT_BYTES_MAX} bytes");
        }
        if !whole.is_empty() {
            (0..times).for_each(|_| out.push_str(whole));
        }
        Ok(true)
    })
}

/// An empty `from` matches between all characters, as in Java.
pub(super) fn replace(call: &Call) -> Result<ArrayRef> {
    let (text, from, to) = (call.text(0)?, call.text(1)?, call.text(2)?);
    match from.constant().map(str::as_bytes) {
        Some([byte]) => return replace_found(call, |whole| memchr_iter(*byte, whole), 1),
        Some(from @ [_, ..]) => {
            let finder = memmem::Finder::new(from);
            return replace_found(call, |whole| finder.find_iter(whole), from.len());
        }
        Some([]) | None => {}
    }
    call.write_texts(|row, out| {
        let (whole, from, to) = (text.at(row), from.at(row), to.at(row));
        let mut last = 0;
        for (start, found) in whole.match_indices(from) {
            out.push_str(&whole[last..start]);
            out.push_str(to);
            last = start + found.len();
        }
        out.push_str(&whole[last..]);
        Ok(true)
    })
}

/// The same of a constant that is searched for, `width` bytes long; a text without it is not copied.
fn replace_found<'t, Found: Iterator<Item = usize>>(
    call: &'t Call,
    find: impl Fn(&'t [u8]) -> Found,
    width: usize,
) -> Result<ArrayRef> {
    let (text, to) = (call.text(0)?, call.text(2)?);
    let mut builder = TextBuilder::over(call.rows, text.array);
    let mut buffer = String::new();
    for row in 0..call.rows {
        if call.is_null(row) {
            builder.append_null();
            continue;
        }
        let (whole, to) = (text.at(row), to.at(row));
        buffer.clear();
        let mut last = 0;
        for start in find(whole.as_bytes()) {
            buffer.push_str(&whole[last..start]);
            buffer.push_str(to);
            last = start + width;
        }
        if last == 0 {
            builder.append_view(text.view(row));
            continue;
        }
        buffer.push_str(&whole[last..]);
        if TEXT_BYTES_MAX < buffer.len() {
            return exec_err!("{} made a text of more than {TEXT_BYTES_MAX} bytes", call.name);
        }
        builder.append(&buffer);
    }
    Ok(builder.finish())
}

/// The byte where the character at `position` (from 0) starts, or the end.
pub(super) fn byte_of(text: &str, position: usize) -> usize {
    if text.is_ascii() {
        return position.min(text.len());
    }
    text.char_indices().nth(position).map_or(text.len(), |(byte, _)| byte)
}

pub(super) fn overlay(call: &Call) -> Result<ArrayRef> {
    let (text, with, start) = (call.text(0)?, call.text(1)?, call.longs(2)?);
    let length = if call.has(3) { Some(call.longs(3)?) } else { None };
    call.write_texts(|row, out| {
        let (whole, with, start) = (text.at(row), with.at(row), start.at(row));
        let characters = whole.chars().count() as i64;
        if start <= 0 || characters < start {
            out.push_str(whole);
            return Ok(true);
        }
        let length = length.map_or(with.chars().count() as i64, |length| length.at(row));
        out.push_str(&whole[..byte_of(whole, start as usize - 1)]);
        out.push_str(with);
        if 0 < length && start.saturating_add(length) <= characters {
            out.push_str(&whole[byte_of(whole, (start - 1 + length) as usize)..]);
        }
        Ok(true)
    })
}

/// The position (from 1) of the `nth` match of `wanted` at or after the character `from` (from 1), or 0.
fn find(whole: &str, wanted: &str, from: i64, nth: i64) -> i64 {
    if wanted.is_empty() {
        return 1;
    }
    let mut byte = byte_of(whole, (from.max(1) - 1) as usize);
    for _ in 1..nth {
        let Some(found) = whole[byte..].find(wanted) else { return 0 };
        byte += found;
        byte += whole[byte..].chars().next().map_or(0, char::len_utf8);
    }
    match whole[byte..].find(wanted) {
        Some(found) => whole[..byte + found].chars().count() as i64 + 1,
        None => 0,
    }
}

pub(super) fn position(call: &Call) -> Result<ArrayRef> {
    let (wanted, text) = (call.text(0)?, call.text(1)?);
    let from = if call.has(2) { Some(call.longs(2)?) } else { None };
    call.map_total::<Int32Type>(|row| find(text.at(row), wanted.at(row), from.map_or(1, |from| from.at(row)), 1) as i32)
}

/// `INSTR(s, wanted[, from[, nth]])`; a negative `from` searches backwards.
pub(super) fn instr(call: &Call) -> Result<ArrayRef> {
    let (text, wanted) = (call.text(0)?, call.text(1)?);
    let from = if call.has(2) { Some(call.longs(2)?) } else { None };
    let nth = if call.has(3) { Some(call.longs(3)?) } else { None };
    call.map_values::<Int32Type>(|row| {
        let (whole, wanted) = (text.at(row), wanted.at(row));
        let (from, nth) = (from.map_or(1, |from| from.at(row)), nth.map_or(1, |nth| nth.at(row)));
        if nth <= 0 {
            return exec_err!("INSTR counts matches from 1, not {nth}");
        }
        if 0 <= from {
            return Ok(Some(if from == 0 { 0 } else { find(whole, wanted, from, nth) as i32 }));
        }
        let reverse = |text: &str| text.chars().rev().collect::<String>();
        let found = find(&reverse(whole), &reverse(wanted), from.saturating_neg(), nth);
        let end = whole.chars().count() as i64 + 2 - wanted.chars().count() as i64;
        Ok(Some(if found == 0 { 0 } else { (end - found) as i32 }))
    })
}

pub(super) fn concat(call: &Call) -> Result<ArrayRef> {
    let texts = (0..call.arguments.len()).map(|index| call.text(index)).collect::<Result<Vec<_>>>()?;
    call.write_texts(|row, out| {
        texts.iter().for_each(|text| out.push_str(text.at(row)));
        Ok(true)
    })
}

/// Null arguments are left out; a null separator makes a null.
pub(super) fn concat_ws(call: &Call) -> Result<ArrayRef> {
    let texts = (0..call.arguments.len()).map(|index| call.text(index)).collect::<Result<Vec<_>>>()?;
    call.write_texts(|row, out| {
        let Some(separator) = texts[0].get(row) else { return Ok(false) };
        let mut first = true;
        for part in texts[1..].iter().filter_map(|text| text.get(row)) {
            if !first {
                out.push_str(separator);
            }
            first = false;
            out.push_str(part);
        }
        Ok(true)
    })
}

fn pad(call: &Call, left: bool) -> Result<ArrayRef> {
    let (text, length, pad) = (call.text(0)?, call.longs(1)?, call.text(2)?);
    call.write_texts(|row, out| {
        let (whole, length, pad) = (text.at(row), length.at(row), pad.at(row));
        if length < 0 || pad.is_empty() {
            return Ok(false);
        }
        if TEXT_BYTES_MAX as i64 / 4 < length {
            return exec_err!("{} would make a text of {length} characters", call.name);
        }
        let length = length as usize;
        let kept = &whole[..byte_of(whole, length)];
        let missing = length - kept.chars().count();
        if !left {
            out.push_str(kept);
        }
        out.extend(pad.chars().cycle().take(missing));
        if left {
            out.push_str(kept);
        }
        Ok(true)
    })
}

pub(super) fn lpad(call: &Call) -> Result<ArrayRef> {
    pad(call, true)
}

pub(super) fn rpad(call: &Call) -> Result<ArrayRef> {
    pad(call, false)
}

pub(super) fn reverse(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    call.write_texts(|row, out| {
        out.extend(text.at(row).chars().rev());
        Ok(true)
    })
}

/// The first byte, with a sign as Java's have.
pub(super) fn ascii(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    call.map_total::<Int32Type>(|row| text.at(row).bytes().next().map_or(0, |byte| i32::from(byte.cast_signed())))
}

/// Only the low byte counts.
pub(super) fn chr(call: &Call) -> Result<ArrayRef> {
    let code = call.longs(0)?;
    call.write_texts(|row, out| {
        let code = code.at(row);
        if 0 <= code {
            out.push(char::from((code & 0xff) as u8));
        }
        Ok(true)
    })
}

/// Characters of `from` become those of `to` at the same place, or vanish if `to` is shorter.
pub(super) fn translate(call: &Call) -> Result<ArrayRef> {
    let (text, from, to) = (call.text(0)?, call.text(1)?, call.text(2)?);
    call.write_texts(|row, out| {
        let (from, to) = (from.at(row), to.at(row));
        for letter in text.at(row).chars() {
            match from.chars().position(|other| other == letter) {
                Some(index) => out.extend(to.chars().nth(index)),
                None => out.push(letter),
            }
        }
        Ok(true)
    })
}

pub(super) fn elt(call: &Call) -> Result<ArrayRef> {
    let index = call.longs(0)?;
    let texts = (1..call.arguments.len()).map(|index| call.text(index)).collect::<Result<Vec<_>>>()?;
    let number = call.argument(0)?;
    call.write_texts(|row, out| {
        if number.is_null(row) {
            return Ok(false);
        }
        let chosen = usize::try_from(index.at(row)).ok().and_then(|index| texts.get(index.checked_sub(1)?));
        Ok(chosen.and_then(|text| text.get(row)).map(|text| out.push_str(text)).is_some())
    })
}

pub(super) fn starts_with(call: &Call) -> Result<ArrayRef> {
    let (text, start) = (call.text(0)?, call.text(1)?);
    call.map_booleans(|row| Ok(Some(text.at(row).starts_with(start.at(row)))))
}

pub(super) fn ends_with(call: &Call) -> Result<ArrayRef> {
    let (text, end) = (call.text(0)?, call.text(1)?);
    call.map_booleans(|row| Ok(Some(text.at(row).ends_with(end.at(row)))))
}

/// A predicate over text that numbers answer by their type alone; a null is false.
fn is_text(call: &Call, number: bool, test: fn(&str) -> bool) -> Result<ArrayRef> {
    let argument = call.argument(0)?;
    if !argument.array.data_type().is_string() {
        return call.map_booleans(|row| Ok(Some(number && !argument.is_null(row))));
    }
    let text = call.text(0)?;
    call.map_booleans(|row| Ok(Some(text.get(row).is_some_and(test))))
}

pub(super) fn is_alpha(call: &Call) -> Result<ArrayRef> {
    is_text(call, false, |text| !text.is_empty() && text.chars().all(char::is_alphabetic))
}

pub(super) fn is_decimal(call: &Call) -> Result<ArrayRef> {
    let number = call.argument(0)?.array.data_type().is_numeric();
    is_text(call, number, |text| {
        let trimmed = text.trim().trim_end_matches(['d', 'D', 'f', 'F']);
        !trimmed.is_empty() && trimmed.bytes().any(|byte| byte.is_ascii_digit()) && trimmed.parse::<f64>().is_ok()
    })
}

pub(super) fn is_digit(call: &Call) -> Result<ArrayRef> {
    let number = call.argument(0)?.array.data_type().is_integer();
    is_text(call, number, |text| !text.is_empty() && text.chars().all(char::is_numeric))
}

pub(super) fn bin(call: &Call) -> Result<ArrayRef> {
    let number = call.longs(0)?;
    call.write_texts(|row, out| {
        let _ = write!(out, "{:b}", number.at(row));
        Ok(true)
    })
}
