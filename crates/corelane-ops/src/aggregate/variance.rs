//! STDDEV and VAR, from exact sums of the values and of their squares.
//!
//! `n * sum(x^2) - sum(x)^2` cancels badly in doubles; here it is exact and rounded once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use corelane_stream::{Error, Result};

use super::accumulators::{Accumulators, each_row};
use super::paged::Paged;
use super::slide::{At, Step, walk};
use super::wide::Wide;

#[derive(Clone, Default)]
struct Moments {
    count: i64,
    /// Values that are infinite or no number.
    not_finite: i64,
    sum: Wide,
    squares: Wide,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Divide by `n - 1` instead of `n`.
    pub sample: bool,
    /// The square root of the variance.
    pub deviation: bool,
}

impl Moments {
    fn add(&mut self, value: f64, retracts: bool) {
        let one = if retracts { -1 } else { 1 };
        self.count += one;
        if value.is_finite() {
            self.sum.add_double(value, retracts);
            self.squares.add_square(value, retracts);
        } else {
            self.not_finite += one;
        }
    }

    fn spread(&self, spread: Spread) -> Option<f64> {
        let divisor = if spread.sample { self.count - 1 } else { self.count };
        if divisor <= 0 {
            return None;
        }
        if self.not_finite > 0 {
            return Some(f64::NAN);
        }
        let mut count = Wide::default();
        count.add(false, self.count.unsigned_abs().into(), 0);
        let mut scaled = count.product(&self.squares);
        scaled.subtract_wide(&self.sum.product(&self.sum));
        let variance = scaled.round() / (self.count as f64 * divisor as f64);
        Some(if spread.deviation { variance.sqrt() } else { variance })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.not_finite.to_le_bytes());
        self.sum.write(bytes);
        self.squares.write(bytes);
    }

    fn merge(&mut self, mut bytes: &[u8]) -> Option<()> {
        self.count += i64::from_le_bytes(*bytes.split_off(..8)?.first_chunk()?);
        self.not_finite += i64::from_le_bytes(*bytes.split_off(..8)?.first_chunk()?);
        self.sum.add_wide(&Wide::read(&mut bytes)?);
        self.squares.add_wide(&Wide::read(&mut bytes)?);
        Some(())
    }
}

pub struct Variance {
    moments: Paged<Moments>,
    spread: Spread,
}

impl Variance {
    pub fn new(spread: Spread) -> Self {
        Variance { moments: Paged::default(), spread }
    }
}

impl Accumulators for Variance {
    fn resize(&mut self, groups: usize) {
        self.moments.grow(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()> {
        let doubles = cast(&columns[0], &DataType::Float64)?;
        let values = doubles.as_primitive::<Float64Type>().values();
        let moments = &mut self.moments;
        each_row(groups, doubles.nulls(), keep, retract, |row, group, retracts| {
            moments[group].add(values[row], retracts);
        });
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        for (group, bytes) in groups.iter().zip(states[0].as_binary::<i32>()) {
            let merged = bytes.and_then(|bytes| self.moments[*group as usize].merge(bytes));
            merged.ok_or_else(|| Error::internal("a partial variance is cut short"))?;
        }
        Ok(())
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("moments", DataType::Binary, false)]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let states = groups.iter().map(|group| {
            let mut bytes = Vec::new();
            self.moments[*group as usize].write(&mut bytes);
            bytes
        });
        Ok(vec![Arc::new(BinaryArray::from_iter_values(states))])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        let values = groups.iter().map(|group| self.moments[*group as usize].spread(self.spread));
        Ok(Arc::new(values.collect::<Float64Array>()))
    }

    fn slide(&mut self, steps: &[Step], chunks: &[Vec<ArrayRef>]) -> Result<ArrayRef> {
        let doubles = chunks.iter().map(|columns| cast(&columns[0], &DataType::Float64));
        let doubles: Vec<ArrayRef> = doubles.collect::<Result<_, _>>()?;
        let doubles: Vec<&Float64Array> = doubles.iter().map(AsArray::as_primitive).collect();
        let value = |at: At| {
            let column = doubles[at.chunk as usize];
            column.is_valid(at.row as usize).then(|| column.value(at.row as usize))
        };
        let mut results = Vec::with_capacity(steps.len() / 2);
        let spread = self.spread;
        let add = |moments: &mut Paged<Moments>, group: usize, value, retracts| moments[group].add(value, retracts);
        walk(&mut self.moments, steps, value, add, |moments, group| {
            results.push(moments[group].spread(spread));
            Ok(())
        })?;
        Ok(Arc::new(Float64Array::from(results)))
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            self.moments[*group as usize] = Moments::default();
        }
    }

    fn free_page(&mut self, page: usize) {
        self.moments.free_page(page);
    }

    fn size_bytes(&self) -> usize {
        // Two sums of about five limbs each.
        self.moments.bytes() + self.moments.len() * 80
    }
}
