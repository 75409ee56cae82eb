//! Exact sums of doubles: numbers as wide as what was added to them.
//!
//! Floating-point addition rounds at every step, so its result depends on the order of arrival
//! and a retraction does not undo an addition. Here a sum is a binary integer scaled by a power
//! of two (Kulisch's long accumulator, kept only as wide as its group needs), and is rounded once.

/// `limbs`, in two's complement, times `2^(64 * first)`. The last limb keeps two bits of headroom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wide {
    first: i32,
    limbs: Vec<u64>,
}

/// A finite double as `mantissa * 2^exponent`, its sign apart.
#[inline]
pub fn decompose(value: f64) -> (bool, u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match ((bits >> 52) & 0x7ff) as i32 {
        0 => (value.is_sign_negative(), fraction, -1_074),
        exponent => (value.is_sign_negative(), fraction | 1 << 52, exponent - 1_075),
    }
}

impl Wide {
    pub fn add_double(&mut self, value: f64, retracts: bool) {
        let (negative, mantissa, exponent) = decompose(value);
        self.add(negative != retracts, u128::from(mantissa), exponent);
    }

    /// Adds the exact square of a finite double, or takes it away.
    pub fn add_square(&mut self, value: f64, retracts: bool) {
        let (_, mantissa, exponent) = decompose(value);
        self.add(retracts, u128::from(mantissa) * u128::from(mantissa), 2 * exponent);
    }

    /// Adds `magnitude * 2^exponent`, or takes it away.
    pub fn add(&mut self, negative: bool, magnitude: u128, exponent: i32) {
        if magnitude == 0 {
            return;
        }
        let limb = exponent.div_euclid(64);
        let shift = exponent.rem_euclid(64) as u32;
        let low = magnitude << shift;
        let top = if shift == 0 { 0 } else { (magnitude >> (128 - shift)) as u64 };
        self.add_limbs(negative, limb, &[low as u64, (low >> 64) as u64, top], 0);
    }

    pub fn add_wide(&mut self, other: &Wide) {
        self.add_limbs(false, other.first, &other.limbs, other.sign());
    }

    pub fn subtract_wide(&mut self, other: &Wide) {
        self.add_limbs(true, other.first, &other.limbs, other.sign());
    }

    /// All ones for a negative number: what its limbs go on with.
    fn sign(&self) -> u64 {
        match self.limbs.last() {
            Some(limb) if (*limb as i64) < 0 => u64::MAX,
            _ => 0,
        }
    }

    fn add_limbs(&mut self, negative: bool, limb: i32, words: &[u64], sign: u64) {
        if words.is_empty() {
            return;
        }
        self.cover(limb, limb + words.len() as i32);
        let at = (limb - self.first) as usize;
        let words = words.iter().copied().chain(std::iter::repeat(sign));
        let mut carry = negative;
        for (own, word) in self.limbs[at..].iter_mut().zip(words) {
            // Subtraction adds the complement and one.
            let word = if negative { !word } else { word };
            let (sum, first) = own.overflowing_add(word);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *own = sum;
            carry = first | second;
        }
        let top = self.limbs[self.limbs.len() - 1] as i64;
        if !(-(1 << 62)..1 << 62).contains(&top) {
            self.limbs.push(self.sign());
        }
    }

    /// Makes room for the limbs `from..to` and one more for their carry.
    fn cover(&mut self, from: i32, to: i32) {
        if self.limbs.is_empty() {
            self.first = from;
        }
        if from < self.first {
            self.limbs.splice(0..0, std::iter::repeat_n(0, (self.first - from) as usize));
            self.first = from;
        }
        let (sign, length) = (self.sign(), (to - self.first + 1) as usize);
        if self.limbs.len() < length {
            self.limbs.resize(length, sign);
        }
    }

    /// The limbs of the absolute value.
    fn magnitude(&self) -> (bool, Vec<u64>) {
        let negative = self.sign() != 0;
        let mut limbs = self.limbs.clone();
        if negative {
            let mut carry = true;
            for limb in &mut limbs {
                let (sum, overflow) = (!*limb).overflowing_add(u64::from(carry));
                *limb = sum;
                carry = overflow;
            }
        }
        (negative, limbs)
    }

    /// The exact product.
    pub fn product(&self, other: &Wide) -> Wide {
        let (left_negative, left) = self.magnitude();
        let (right_negative, right) = other.magnitude();
        let mut limbs = vec![0u64; left.len() + right.len() + 1];
        for (position, left) in left.iter().enumerate() {
            let mut carry = 0u128;
            for (own, right) in limbs[position..].iter_mut().zip(right.iter().chain([&0])) {
                let sum = u128::from(*own) + u128::from(*left) * u128::from(*right) + carry;
                *own = sum as u64;
                carry = sum >> 64;
            }
        }
        let mut product = Wide::default();
        product.add_limbs(left_negative != right_negative, self.first + other.first, &limbs, 0);
        product
    }

    /// The nearest double, ties to even; infinite beyond the range.
    pub fn round(&self) -> f64 {
        let (negative, limbs) = self.magnitude();
        let Some(last) = limbs.iter().rposition(|limb| *limb != 0) else { return 0.0 };
        let lowest = self.first * 64;
        let top = lowest + last as i32 * 64 + 63 - limbs[last].leading_zeros() as i32;
        // The exponent of the lowest bit that a double can keep.
        let unit = (top - 52).max(-1_074);
        let magnitude = if top > 1_023 {
            f64::INFINITY
        } else {
            let mut mantissa = bits_from(&limbs, unit - lowest);
            let half = unit - 1 - lowest;
            if half >= 0 && bits_from(&limbs, half) & 1 == 1 && (mantissa & 1 == 1 || any_below(&limbs, half)) {
                mantissa += 1;
            }
            // A carry out of the mantissa runs into the exponent, as it should.
            match unit {
                -1_074 => f64::from_bits(mantissa),
                _ => f64::from_bits((((unit + 1_075) as u64) << 52) + (mantissa - (1 << 52))),
            }
        };
        if negative { -magnitude } else { magnitude }
    }

    /// Appends the number: limbs that say nothing are left out.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.first.to_le_bytes());
        bytes.extend((self.limbs.len() as u32).to_le_bytes());
        for limb in &self.limbs {
            bytes.extend(limb.to_le_bytes());
        }
    }

    /// Takes a number off the front of `bytes`; `None` if there is none.
    pub fn read(bytes: &mut &[u8]) -> Option<Wide> {
        let first = i32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?);
        let length = u32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?) as usize;
        let limbs = bytes.split_off(..length.checked_mul(8)?)?;
        Some(Wide { first, limbs: limbs.as_chunks().0.iter().map(|limb| u64::from_le_bytes(*limb)).collect() })
    }
}

/// The low 64 bits of `limbs >> offset`; a negative offset shifts to the left.
fn bits_from(limbs: &[u64], offset: i32) -> u64 {
    if offset < 0 {
        return if offset > -64 { limbs[0] << -offset } else { 0 };
    }
    let (limb, shift) = (offset as usize / 64, offset as u32 % 64);
    let word = |position: usize| limbs.get(position).copied().unwrap_or(0);
    if shift == 0 { word(limb) } else { word(limb) >> shift | word(limb + 1) << (64 - shift) }
}

/// True if any bit under `offset` is set.
fn any_below(limbs: &[u64], offset: i32) -> bool {
    let (limb, shift) = (offset as usize / 64, offset as u32 % 64);
    limbs[..limb.min(limbs.len())].iter().any(|limb| *limb != 0)
        || limbs.get(limb).is_some_and(|word| word & ((1 << shift) - 1) != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> Wide {
        let mut sum = Wide::default();
        for value in values {
            sum.add_double(*value, false);
        }
        sum
    }

    #[test]
    fn sums_round_once() {
        assert_eq!(sum(&[0.1; 10]).round(), 1.0);
        assert_eq!(sum(&[1e308, 1e308, -1e308]).round(), 1e308);
        assert_eq!(sum(&[f64::MAX, f64::MAX]).round(), f64::INFINITY);
        assert_eq!(sum(&[5e-324, 5e-324]).round(), 1e-323);
        assert_eq!(sum(&[1e300, 5e-324, -1e300]).round(), 5e-324);
        assert_eq!(sum(&[9_007_199_254_740_992.0, 1.0]).round(), 9_007_199_254_740_992.0, "ties go to even");
    }

    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f64>().prop_filter("finite", |value| value.is_finite()), -1e6..1e6f64]
    }

    proptest! {
        #[test]
        fn one_value_comes_back(value in finite()) {
            prop_assert_eq!(sum(&[value]).round(), value);
        }

        #[test]
        fn two_values_round_as_the_hardware_does(left in finite(), right in finite()) {
            prop_assert_eq!(sum(&[left, right]).round(), left + right);
        }

        #[test]
        fn products_round_as_the_hardware_does(left in finite(), right in finite()) {
            let product = sum(&[left]).product(&sum(&[right]));
            prop_assert_eq!(product.round(), left * right);
            let mut square = Wide::default();
            square.add_square(left, false);
            prop_assert_eq!(square.round(), left * left);
        }

        #[test]
        fn taking_away_undoes(values in prop::collection::vec(finite(), 0..20), other in prop::collection::vec(finite(), 0..20)) {
            let mut whole = sum(&values);
            whole.add_wide(&sum(&other));
            let mut bytes = Vec::new();
            whole.write(&mut bytes);
            prop_assert_eq!(Wide::read(&mut &bytes[..]), Some(whole.clone()));
            for value in &other {
                whole.add_double(*value, true);
            }
            prop_assert_eq!(whole.round(), sum(&values).round());
            whole.subtract_wide(&sum(&values));
            prop_assert!(whole.limbs.iter().all(|limb| *limb == 0));
        }
    }
}
