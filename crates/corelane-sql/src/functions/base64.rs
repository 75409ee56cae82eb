//! Base64 as of RFC 4648, with padding.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let digit = char::from(ALPHABET[(word >> (18 - 6 * position)) as usize & 63]);
            out.push(if position <= chunk.len() { digit } else { '=' });
        }
    }
}

/// Appends the bytes; false if the text is not base64.
pub(super) fn decode(text: &str, out: &mut Vec<u8>) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if 2 < padding || (0 < padding && !text.len().is_multiple_of(4)) || digits.len() % 4 == 1 {
        return false;
    }
    for chunk in digits.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for position in 0..4 {
            let digit = match chunk.get(position) {
                Some(byte) => ALPHABET.iter().position(|digit| digit == byte),
                None => Some(0),
            };
            let Some(digit) = digit else { return false };
            word = word << 6 | digit as u32;
        }
        out.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    true
}
