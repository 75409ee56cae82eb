//! Text to and from bytes: hexadecimal digits, base64, character sets, percent escapes.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_err};

use super::base64;
use super::call::Call;

pub(super) fn write_hex(bytes: &[u8], upper: bool, out: &mut String) {
    let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(digits[usize::from(byte >> 4)]));
        out.push(char::from(digits[usize::from(byte & 15)]));
    }
}

/// Upper-case digits of a number or of a text's bytes.
pub(super) fn hex(call: &Call) -> Result<ArrayRef> {
    let argument = call.argument(0)?;
    if argument.array.data_type().is_integer() {
        let numbers = arrow::compute::cast(&argument.array, &DataType::Int64)?;
        let numbers = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&numbers);
        return call.write_texts(|row, out| {
            let _ = write!(out, "{:X}", numbers.value(argument.index(row)));
            Ok(true)
        });
    }
    if *argument.array.data_type() == DataType::Binary {
        let bytes = call.bytes(0)?;
        return call.write_texts(|row, out| {
            write_hex(bytes.value(argument.index(row)), true, out);
            Ok(true)
        });
    }
    let text = call.text(0)?;
    call.write_texts(|row, out| {
        write_hex(text.at(row).as_bytes(), true, out);
        Ok(true)
    })
}

/// Builds a column of bytes: `write` appends a row's bytes to an empty buffer; false is null.
fn write_bytes(call: &Call, mut write: impl FnMut(usize, &mut Vec<u8>) -> Result<bool>) -> Result<ArrayRef> {
    let mut builder = BinaryBuilder::new();
    let mut buffer = Vec::new();
    for row in 0..call.rows {
        buffer.clear();
        if !call.is_null(row) && write(row, &mut buffer)? {
            builder.append_value(&buffer);
        } else {
            builder.append_null();
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// Null if a character is no digit. Of an odd number of digits the first is replaced by a zero byte, as in Flink.
pub(super) fn unhex(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    write_bytes(call, |row, out| {
        let mut digits = text.at(row).as_bytes();
        if digits.len() % 2 == 1 {
            if !digits[0].is_ascii_hexdigit() {
                return Ok(false);
            }
            out.push(0);
            digits = &digits[1..];
        }
        for pair in digits.chunks_exact(2) {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Ok(false) };
            out.push((high << 4 | low) as u8);
        }
        Ok(true)
    })
}

pub(super) fn to_base64(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    call.write_texts(|row, out| {
        base64::encode(text.at(row).as_bytes(), out);
        Ok(true)
    })
}

pub(super) fn from_base64(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    let mut bytes = Vec::new();
    call.write_texts(|row, out| {
        bytes.clear();
        if !base64::decode(text.at(row), &mut bytes) {
            return exec_err!("FROM_BASE64 cannot read '{}': it is not base64", text.at(row));
        }
        out.push_str(&String::from_utf8_lossy(&bytes));
        Ok(true)
    })
}

#[derive(Clone, Copy)]
enum Charset {
    Ascii,
    Latin1,
    Utf8,
    Utf16 { big_endian: bool, mark: bool },
}

impl Charset {
    fn parse(name: &str) -> Result<Self> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "US-ASCII" => Charset::Ascii,
            "ISO-8859-1" => Charset::Latin1,
            "UTF-8" => Charset::Utf8,
            "UTF-16BE" => Charset::Utf16 { big_endian: true, mark: false },
            "UTF-16LE" => Charset::Utf16 { big_endian: false, mark: false },
            "UTF-16" => Charset::Utf16 { big_endian: true, mark: true },
            _ => return exec_err!("there is no character set '{name}'"),
        })
    }

    /// What a set lacks becomes `?`.
    fn encode(self, text: &str, out: &mut Vec<u8>) {
        let narrow = |out: &mut Vec<u8>, limit: u32| {
            out.extend(text.chars().map(|letter| if (letter as u32) < limit { letter as u32 as u8 } else { b'?' }));
        };
        match self {
            Charset::Ascii => narrow(out, 0x80),
            Charset::Latin1 => narrow(out, 0x100),
            Charset::Utf8 => out.extend_from_slice(text.as_bytes()),
            Charset::Utf16 { big_endian, mark } => {
                if mark {
                    out.extend_from_slice(&[0xfe, 0xff]);
                }
                for unit in text.encode_utf16() {
                    out.extend_from_slice(&if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() });
                }
            }
        }
    }

    /// Bytes that are no character become U+FFFD.
    fn decode(self, bytes: &[u8], out: &mut String) {
        match self {
            Charset::Ascii => {
                out.extend(bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }));
            }
            Charset::Latin1 => out.extend(bytes.iter().map(|byte| char::from(*byte))),
            Charset::Utf8 => out.push_str(&String::from_utf8_lossy(bytes)),
            Charset::Utf16 { big_endian, mark } => {
                let (big_endian, bytes) = match bytes {
                    [0xfe, 0xff, rest @ ..] if mark => (true, rest),
                    [0xff, 0xfe, rest @ ..] if mark => (false, rest),
                    _ => (big_endian, bytes),
                };
                let units = bytes.chunks(2).map(|pair| match *pair {
                    [first, second] if big_endian => u16::from_be_bytes([first, second]),
                    [first, second] => u16::from_le_bytes([first, second]),
                    _ => 0xfffd,
                });
                out.extend(char::decode_utf16(units).map(|letter| letter.unwrap_or('\u{fffd}')));
            }
        }
    }
}

pub(super) fn encode(call: &Call) -> Result<ArrayRef> {
    let (text, charset) = (call.text(0)?, call.text(1)?);
    write_bytes(call, |row, out| {
        Charset::parse(charset.at(row))?.encode(text.at(row), out);
        Ok(true)
    })
}

pub(super) fn decode(call: &Call) -> Result<ArrayRef> {
    let (bytes, argument, charset) = (call.bytes(0)?, call.argument(0)?, call.text(1)?);
    call.write_texts(|row, out| {
        Charset::parse(charset.at(row))?.decode(bytes.value(argument.index(row)), out);
        Ok(true)
    })
}

/// As a form of HTML sends it: a space is a plus.
pub(super) fn url_encode(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    call.write_texts(|row, out| {
        for byte in text.at(row).bytes() {
            match byte {
                b' ' => out.push('+'),
                b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
                _ => {
                    out.push('%');
                    write_hex(&[byte], true, out);
                }
            }
        }
        Ok(true)
    })
}

/// Null if an escape is malformed.
pub(super) fn url_decode(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    let mut bytes = Vec::new();
    call.write_texts(|row, out| {
        bytes.clear();
        let mut rest = text.at(row).bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                    let (Some(high), Some(low)) = (digit(), digit()) else { return Ok(false) };
                    (high << 4 | low) as u8
                }
                other => other,
            });
        }
        out.push_str(&String::from_utf8_lossy(&bytes));
        Ok(true)
    })
}
