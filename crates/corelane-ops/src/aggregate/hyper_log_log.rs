//! APPROX_COUNT_DISTINCT: HyperLogLog of 2^14 registers (standard error 0.8 %), with the
//! estimator of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017),
//! which needs no tables. Small groups keep only the registers that are set.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field};
use corelane_stream::key::hash_word;
use corelane_stream::{Error, Result, hash_columns};

use super::accumulators::{Accumulators, any_null, each_row};
use super::paged::Paged;

const PRECISION: u32 = 14;
const REGISTERS: usize = 1 << PRECISION;

/// Bits of a hash that are left to find the rank in.
const RANK_BITS: usize = 64 - PRECISION as usize;

/// With more set registers than this, an entry of 4 bytes each costs a quarter of all registers.
const SPARSE_MAX: usize = 1_024;

#[derive(Clone)]
enum Sketch {
    /// `register << 8 | rank`, sorted.
    Sparse(Vec<u32>),
    Dense(Box<[u8]>),
}

impl Default for Sketch {
    fn default() -> Self {
        Sketch::Sparse(Vec::new())
    }
}

impl Sketch {
    #[inline]
    fn add(&mut self, hash: u64) {
        let register = (hash >> RANK_BITS) as u32;
        let rank = (hash << PRECISION | 1 << (PRECISION - 1)).leading_zeros() + 1;
        self.raise(register, rank as u8);
    }

    fn raise(&mut self, register: u32, rank: u8) {
        match self {
            Sketch::Dense(registers) => {
                let standing = &mut registers[register as usize];
                *standing = (*standing).max(rank);
            }
            Sketch::Sparse(entries) => {
                let at = entries.partition_point(|entry| entry >> 8 < register);
                match entries.get_mut(at).filter(|entry| **entry >> 8 == register) {
                    Some(entry) => *entry = (*entry).max(register << 8 | u32::from(rank)),
                    None => {
                        entries.insert(at, register << 8 | u32::from(rank));
                        if entries.len() > SPARSE_MAX {
                            self.make_dense();
                        }
                    }
                }
            }
        }
    }

    fn make_dense(&mut self) {
        let mut registers = vec![0; REGISTERS].into_boxed_slice();
        for (register, rank) in self.ranks() {
            registers[register as usize] = rank;
        }
        *self = Sketch::Dense(registers);
    }

    /// The registers that are set.
    fn ranks(&self) -> Vec<(u32, u8)> {
        match self {
            Sketch::Sparse(entries) => entries.iter().map(|entry| (entry >> 8, *entry as u8)).collect(),
            Sketch::Dense(registers) => {
                let ranks = registers.iter().enumerate().filter(|(_, rank)| **rank > 0);
                ranks.map(|(register, rank)| (register as u32, *rank)).collect()
            }
        }
    }

    fn estimate(&self) -> i64 {
        let mut counts = [0u32; RANK_BITS + 2];
        let ranks = self.ranks();
        for (_, rank) in &ranks {
            counts[usize::from(*rank)] += 1;
        }
        let registers = REGISTERS as f64;
        let unset = (REGISTERS - ranks.len()) as f64;
        let mut sum = registers * tau(1.0 - f64::from(counts[RANK_BITS + 1]) / registers);
        for count in counts[1..=RANK_BITS].iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += registers * sigma(unset / registers);
        (registers * registers / (2.0 * std::f64::consts::LN_2) / sum).round() as i64
    }

    fn write(&self) -> Vec<u8> {
        match self {
            Sketch::Sparse(entries) => entries.iter().flat_map(|entry| entry.to_le_bytes()).collect(),
            Sketch::Dense(registers) => registers.to_vec(),
        }
    }

    /// Takes in what `write` gave: as many bytes as there are registers are all of them.
    fn merge(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.len() == REGISTERS {
            for (register, rank) in bytes.iter().enumerate().filter(|(_, rank)| **rank > 0) {
                self.raise(register as u32, *rank);
            }
            return Some(());
        }
        let (entries, rest) = bytes.as_chunks();
        for entry in entries {
            let entry = u32::from_le_bytes(*entry);
            if entry >> 8 >= REGISTERS as u32 {
                return None;
            }
            self.raise(entry >> 8, entry as u8);
        }
        rest.is_empty().then_some(())
    }
}

const _: () = assert!(SPARSE_MAX * 4 < REGISTERS);

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// About how many different values each group has.
#[derive(Default)]
pub struct ApproxCountDistinct {
    sketches: Paged<Sketch>,
    hashes: Vec<u64>,
    arguments: usize,
}

impl ApproxCountDistinct {
    pub fn new(arguments: usize) -> Self {
        ApproxCountDistinct { arguments, ..Self::default() }
    }
}

impl Accumulators for ApproxCountDistinct {
    fn resize(&mut self, groups: usize) {
        self.sketches.grow(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()> {
        assert!(retract.is_none(), "a sketch forgets which values it saw");
        let arguments = &columns[..self.arguments];
        hash_columns(arguments, groups.len(), &mut self.hashes)?;
        let (sketches, hashes) = (&mut self.sketches, &self.hashes[..]);
        each_row(groups, any_null(arguments).as_ref(), keep, None, |row, group, _| {
            // One more mixing: the hash of a small number is its product alone.
            sketches[group].add(hash_word(hashes[row]));
        });
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        for (group, bytes) in groups.iter().zip(states[0].as_binary::<i32>()) {
            let merged = self.sketches[*group as usize].merge(bytes.unwrap_or_default());
            merged.ok_or_else(|| Error::internal("a partial sketch is damaged"))?;
        }
        Ok(())
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("sketch", DataType::Binary, false)]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let states = groups.iter().map(|group| self.sketches[*group as usize].write());
        Ok(vec![Arc::new(BinaryArray::from_iter_values(states))])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        let estimates = groups.iter().map(|group| self.sketches[*group as usize].estimate());
        Ok(Arc::new(Int64Array::from_iter_values(estimates)))
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            self.sketches[*group as usize] = Sketch::default();
        }
    }

    fn free_page(&mut self, page: usize) {
        self.sketches.free_page(page);
    }

    fn size_bytes(&self) -> usize {
        self.sketches.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_within_three_per_cent() {
        let mut sketch = Sketch::default();
        let mut other = Sketch::default();
        let mut added = 0;
        for target in [0, 1, 10, 500, 2_000, 20_000, 300_000] {
            for value in added..target {
                sketch.add(hash_word(hash_word(value)));
                if value % 2 == 0 {
                    other.add(hash_word(hash_word(value)));
                }
            }
            added = target;
            let error = (sketch.estimate() - target as i64).unsigned_abs();
            assert!(error as f64 <= target as f64 * 0.03, "{} for {target}", sketch.estimate());
        }
        let whole = sketch.estimate();
        sketch.merge(&other.write()).unwrap();
        assert_eq!(sketch.estimate(), whole, "what was seen adds nothing");
    }
}
