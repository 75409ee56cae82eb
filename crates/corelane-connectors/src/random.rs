//! Randomness by position: a value depends on a seed, a field and a row, and on nothing else.
//!
//! So any worker can make any range of rows, in any batches, and all agree. It is SplitMix64
//! (Steele, Lea, Flood, 2014) entered at the row's place in the sequence instead of walked to.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The random values of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldRandom(u64);

impl FieldRandom {
    /// The field's own sequence. FNV-1a over its name keeps fields apart, whatever their order.
    pub(crate) fn new(seed: u64, field: &str) -> Self {
        let name = field
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        FieldRandom(mix(mix(seed.wrapping_add(GOLDEN)) ^ name))
    }

    /// The value of a row.
    #[inline]
    pub(crate) fn at(self, row: u64) -> Random {
        Random { state: mix(self.0 ^ row.wrapping_mul(GOLDEN)) }
    }
}

/// The random values of one field of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `bound`; the bias of `bound / 2^64` is of no account here.
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from 0 to 1, without 1.
    #[inline]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Appends characters of the alphabet. Eight are made of each word, each from a byte: unevenly,
    /// by up to one part in `256 / letters`, which no reader minds.
    #[inline]
    pub(crate) fn letters(&mut self, alphabet: Alphabet, count: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + count.next_multiple_of(8), 0);
        for chunk in out[start..].chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(start + count);
        alphabet.spell(&mut out[start..]);
    }
}

/// The characters of random strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alphabet {
    /// `a` to `z`
    Lowercase,
    /// `0` to `9` and `a` to `f`
    Hexadecimal,
}

impl Alphabet {
    /// Turns bytes into characters; arithmetic rather than a table, so that the compiler can use
    /// vector instructions: about 0.3 ns a character.
    #[inline]
    fn spell(self, bytes: &mut [u8]) {
        match self {
            Alphabet::Lowercase => {
                for byte in bytes {
                    *byte = b'a' + ((u16::from(*byte) * 26) >> 8) as u8;
                }
            }
            Alphabet::Hexadecimal => {
                for byte in bytes {
                    let digit = *byte >> 4;
                    *byte = digit + if digit < 10 { b'0' } else { b'a' - 10 };
                }
            }
        }
    }
}

#[inline]
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
