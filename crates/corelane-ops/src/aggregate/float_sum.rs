//! SUM and AVG of floating-point numbers, exact until one last rounding.
//!
//! Prices, quantities and the like lie within a range that fixed point in an i128 covers: about
//! 2 ns a row. What lies outside, and what that integer cannot hold any more, goes to a wide sum
//! of its group. Either way results do not depend on order, workers or batches.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
    PrimitiveArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, Int64Type};
use corelane_stream::{Error, Result};

use super::accumulators::{Accumulators, each_row};
use super::paged::{Paged, with_pages};
use super::slide::{At, Step, walk};
use super::wide::Wide;

/// The fixed-point unit is `2^-80`: 1e-8, a common price step, is exact, and sums reach 1.4e14.
const UNIT_EXPONENT: i32 = -80;

/// The biased exponents whose doubles are whole units and keep a bit of headroom: from the
/// exponent whose last mantissa bit is the unit, up to values of `2^45`.
const EXPONENT_MIN: i32 = UNIT_EXPONENT + 1_075;
const EXPONENT_SHIFTS: i32 = 126 - 53;

/// What a fixed-point sum cannot hold.
#[derive(Clone, Default)]
struct Rest {
    wide: Wide,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
}

#[derive(Clone, Default)]
struct Total {
    fixed: i128,
    count: i64,
    rest: Option<Box<Rest>>,
}

/// A double as a whole number of units, if it is one and small enough.
#[inline]
fn units(value: f64) -> Option<i128> {
    let bits = value.to_bits();
    let shift = ((bits >> 52) & 0x7ff) as i32 - EXPONENT_MIN;
    if !(0..=EXPONENT_SHIFTS).contains(&shift) {
        return if value == 0.0 { Some(0) } else { None };
    }
    let magnitude = i128::from(bits & ((1 << 52) - 1) | 1 << 52) << shift;
    Some(if (bits as i64) < 0 { -magnitude } else { magnitude })
}

impl Total {
    #[inline]
    fn add(&mut self, value: f64, retracts: bool) {
        self.count += if retracts { -1 } else { 1 };
        let Some(units) = units(value) else { return self.add_rest(value, retracts) };
        self.add_units(if retracts { -units } else { units });
    }

    #[inline]
    fn add_units(&mut self, units: i128) {
        match self.fixed.checked_add(units) {
            Some(fixed) => self.fixed = fixed,
            None => self.spill(units),
        }
    }

    #[cold]
    fn spill(&mut self, units: i128) {
        let wide = &mut self.rest.get_or_insert_default().wide;
        wide.add(self.fixed < 0, self.fixed.unsigned_abs(), UNIT_EXPONENT);
        self.fixed = units;
    }

    #[cold]
    fn add_rest(&mut self, value: f64, retracts: bool) {
        let rest = self.rest.get_or_insert_default();
        let one = if retracts { -1 } else { 1 };
        if value.is_nan() {
            rest.nans += one;
        } else if value == f64::INFINITY {
            rest.infinities += one;
        } else if value == f64::NEG_INFINITY {
            rest.negative_infinities += one;
        } else {
            rest.wide.add_double(value, retracts);
        }
    }

    fn merge_rest(&mut self, other: &Rest) {
        let rest = self.rest.get_or_insert_default();
        rest.nans += other.nans;
        rest.infinities += other.infinities;
        rest.negative_infinities += other.negative_infinities;
        rest.wide.add_wide(&other.wide);
    }

    fn sum(&self) -> f64 {
        let Some(rest) = &self.rest else {
            // The conversion rounds to nearest, the scaling is by a power of two.
            return self.fixed as f64 * (UNIT_EXPONENT as f64).exp2();
        };
        match (rest.nans > 0, rest.infinities > 0, rest.negative_infinities > 0) {
            (true, _, _) | (_, true, true) => f64::NAN,
            (_, true, _) => f64::INFINITY,
            (_, _, true) => f64::NEG_INFINITY,
            (false, false, false) => {
                let mut wide = rest.wide.clone();
                wide.add(self.fixed < 0, self.fixed.unsigned_abs(), UNIT_EXPONENT);
                wide.round()
            }
        }
    }
}

impl Rest {
    fn write(&self, bytes: &mut Vec<u8>) {
        for count in [self.nans, self.infinities, self.negative_infinities] {
            bytes.extend(count.to_le_bytes());
        }
        self.wide.write(bytes);
    }

    fn read(mut bytes: &[u8]) -> Option<Rest> {
        let mut count = || Some(i64::from_le_bytes(*bytes.split_off(..8)?.first_chunk()?));
        let (nans, infinities, negative_infinities) = (count()?, count()?, count()?);
        Some(Rest { nans, infinities, negative_infinities, wide: Wide::read(&mut bytes)? })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FloatFinish {
    Sum,
    Avg,
}

impl FloatFinish {
    #[inline]
    fn of(self, total: &Total) -> Option<f64> {
        match self {
            _ if total.count == 0 => None,
            FloatFinish::Sum => Some(total.sum()),
            FloatFinish::Avg => Some(total.sum() / total.count as f64),
        }
    }
}

pub struct FloatSum<T> {
    totals: Paged<Total>,
    finish: FloatFinish,
    output: DataType,
    argument: PhantomData<T>,
}

impl<T> FloatSum<T> {
    pub fn new(finish: FloatFinish, output: DataType) -> Self {
        FloatSum { totals: Paged::default(), finish, output, argument: PhantomData }
    }
}

impl<T> Accumulators for FloatSum<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64>,
{
    fn resize(&mut self, groups: usize) {
        self.totals.grow(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()> {
        let values = columns[0].as_primitive::<T>().values();
        with_pages!(self.totals, totals => each_row(groups, columns[0].nulls(), keep, retract, |row, group, retracts| {
            totals[group].add(values[row].into(), retracts);
        }));
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        let fixed = states[0].as_primitive::<Decimal128Type>().values();
        let count = states[1].as_primitive::<Int64Type>().values();
        let rests = states[2].as_binary::<i32>();
        for (row, group) in groups.iter().enumerate() {
            let total = &mut self.totals[*group as usize];
            total.add_units(fixed[row]);
            total.count += count[row];
            if rests.is_valid(row) {
                let rest = Rest::read(rests.value(row));
                total.merge_rest(&rest.ok_or_else(|| Error::internal("a partial sum of doubles is cut short"))?);
            }
        }
        Ok(())
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![
            Field::new("fixed", DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0), false),
            Field::new("count", DataType::Int64, false),
            Field::new("rest", DataType::Binary, true),
        ]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let totals = || groups.iter().map(|group| &self.totals[*group as usize]);
        let fixed = Decimal128Array::from_iter_values(totals().map(|total| total.fixed));
        let rests = totals().map(|total| {
            total.rest.as_ref().map(|rest| {
                let mut bytes = Vec::new();
                rest.write(&mut bytes);
                bytes
            })
        });
        Ok(vec![
            Arc::new(fixed.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?),
            Arc::new(Int64Array::from_iter_values(totals().map(|total| total.count))),
            Arc::new(BinaryArray::from_iter(rests)),
        ])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        let results = groups.iter().map(|group| self.finish.of(&self.totals[*group as usize]));
        let results: ArrayRef = Arc::new(results.collect::<Float64Array>());
        if self.output == DataType::Float64 { Ok(results) } else { Ok(cast(&results, &self.output)?) }
    }

    fn slide(&mut self, steps: &[Step], chunks: &[Vec<ArrayRef>]) -> Result<ArrayRef> {
        let columns: Vec<&PrimitiveArray<T>> = chunks.iter().map(|columns| columns[0].as_primitive()).collect();
        let value = |at: At| -> Option<f64> {
            let column = columns[at.chunk as usize];
            column.is_valid(at.row as usize).then(|| column.value(at.row as usize).into())
        };
        let mut results = Vec::with_capacity(steps.len() / 2);
        let finish = self.finish;
        let add = |totals: &mut Paged<Total>, group: usize, value, retracts| totals[group].add(value, retracts);
        walk(&mut self.totals, steps, value, add, |totals, group| {
            results.push(finish.of(&totals[group]));
            Ok(())
        })?;
        let results: ArrayRef = Arc::new(Float64Array::from(results));
        if self.output == DataType::Float64 { Ok(results) } else { Ok(cast(&results, &self.output)?) }
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            self.totals[*group as usize] = Total::default();
        }
    }

    fn size_bytes(&self) -> usize {
        self.totals.bytes()
    }
}
