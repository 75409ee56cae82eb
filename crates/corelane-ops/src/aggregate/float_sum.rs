//! SUM and AVG of floating-point numbers, exact until one last rounding.
//!
//! A sum is fixed point in an i128, about 2 ns a row. Prices, quantities and the like lie within
//! the range of one common unit; a group of much larger or smaller numbers has a unit of its own,
//! taken from its first. What a group's integer cannot hold, because its numbers lie far apart or
//! are too many, goes to a wide sum. Either way results do not depend on order, workers or batches.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int16Array,
    Int64Array, PrimitiveArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, Int16Type, Int64Type};
use corelane_stream::{Error, Result};

use super::accumulators::{Accumulators, each_row};
use super::paged::{Paged, with_pages};
use super::slide::{At, Step, walk};
use super::wide::{Wide, decompose};

/// The common unit is `2^-80`: 1e-8, a common price step, is exact, and sums reach 1.4e14.
const COMMON_UNIT: i16 = -80;

/// The unit of the smallest doubles: there is none below it.
const SMALLEST_UNIT: i16 = -1_074;

/// How much further than a group's first number its unit lies: half of the room that an i128 has
/// beside a mantissa, so that numbers around the first fit.
const UNIT_BELOW: i16 = 36;

/// A double's biased exponent less that of a unit, while the double is a whole number of units
/// and small enough to keep a bit of headroom.
const SHIFTS: i32 = 126 - 53;

/// The largest unit: the greatest double is as far above it as a number may be, so that what looks
/// like a double above that, an infinity or NaN, is none of its numbers.
const LARGEST_UNIT: i16 = 2_046 - 1_075 - SHIFTS as i16;

/// What a fixed-point sum cannot hold.
#[derive(Clone, Default)]
struct Rest {
    wide: Wide,
    nans: i64,
    infinities: i64,
    negative_infinities: i64,
}

/// `fixed` times `2^unit`, and the rest.
#[derive(Clone)]
struct Total {
    /// An i128, in halves so that a total is 40 bytes and not 48.
    fixed: [u64; 2],
    count: i64,
    rest: Option<Box<Rest>>,
    unit: i16,
}

impl Default for Total {
    fn default() -> Self {
        Total { fixed: [0; 2], count: 0, rest: None, unit: COMMON_UNIT }
    }
}

/// A double as a whole number of these units, if it is one and small enough.
#[inline]
fn units(value: f64, unit: i16) -> Option<i128> {
    let bits = value.to_bits();
    let shift = ((bits >> 52) & 0x7ff) as i32 - (i32::from(unit) + 1_075);
    // Subnormal numbers, which have no hidden bit, are below every unit.
    if !(0..=SHIFTS).contains(&shift) {
        return if value == 0.0 { Some(0) } else { None };
    }
    let magnitude = i128::from(bits & ((1 << 52) - 1) | 1 << 52) << shift;
    Some(if (bits as i64) < 0 { -magnitude } else { magnitude })
}

/// The unit for a group that starts with this number.
fn unit_around(value: f64) -> i16 {
    let (_, _, exponent) = decompose(value);
    (exponent as i16 - UNIT_BELOW).clamp(SMALLEST_UNIT, LARGEST_UNIT)
}

/// A number of one unit as a number of another, if that is exact and leaves a bit of headroom.
fn in_unit(fixed: i128, from: i16, to: i16) -> Option<i128> {
    let shift = i32::from(from) - i32::from(to);
    if fixed == 0 || shift == 0 {
        Some(fixed)
    } else if shift > 0 {
        let spare = fixed.unsigned_abs().leading_zeros() as i32 - 2;
        (shift <= spare).then(|| fixed << shift)
    } else {
        (fixed.trailing_zeros() as i32 >= -shift).then(|| fixed >> -shift)
    }
}

/// `2^exponent`, for the exponents of units.
fn power_of_two(exponent: i16) -> f64 {
    let exponent = i64::from(exponent);
    f64::from_bits(if exponent >= -1_022 { ((exponent + 1_023) as u64) << 52 } else { 1 << (exponent + 1_074) })
}

impl Total {
    #[inline]
    fn fixed(&self) -> i128 {
        (u128::from(self.fixed[1]) << 64 | u128::from(self.fixed[0])) as i128
    }

    #[inline]
    fn set_fixed(&mut self, fixed: i128) {
        self.fixed = [fixed as u64, (fixed >> 64) as u64];
    }

    #[inline]
    fn add(&mut self, value: f64, retracts: bool) {
        self.count += if retracts { -1 } else { 1 };
        let Some(units) = units(value, self.unit) else { return self.add_other(value, retracts) };
        self.add_units(if retracts { -units } else { units });
    }

    #[inline]
    fn add_units(&mut self, units: i128) {
        match self.fixed().checked_add(units) {
            Some(fixed) => self.set_fixed(fixed),
            None => self.spill(units),
        }
    }

    /// Moves the sum so far to the wide one, and goes on from `units`.
    #[cold]
    fn spill(&mut self, units: i128) {
        let (fixed, unit) = (self.fixed(), i32::from(self.unit));
        if fixed != 0 {
            self.rest.get_or_insert_default().wide.add(fixed < 0, fixed.unsigned_abs(), unit);
        }
        self.set_fixed(units);
    }

    /// Adds what is no number of the units in use. One that is of the common unit brings it back:
    /// a first number of another size costs its group nothing in the long run.
    #[cold]
    fn add_other(&mut self, value: f64, retracts: bool) {
        if value.is_finite() {
            let common = units(value, COMMON_UNIT);
            if self.fixed() == 0 || common.is_some() {
                self.spill(0);
                self.unit = if common.is_some() { COMMON_UNIT } else { unit_around(value) };
                if let Some(units) = units(value, self.unit) {
                    return self.set_fixed(if retracts { -units } else { units });
                }
            }
            return self.rest.get_or_insert_default().wide.add_double(value, retracts);
        }
        let one = if retracts { -1 } else { 1 };
        let rest = self.rest.get_or_insert_default();
        if value.is_nan() {
            rest.nans += one;
        } else if value > 0.0 {
            rest.infinities += one;
        } else {
            rest.negative_infinities += one;
        }
    }

    /// Adds a whole number of some unit.
    #[inline]
    fn merge_fixed(&mut self, fixed: i128, unit: i16) {
        if unit == self.unit {
            self.add_units(fixed);
        } else if fixed != 0 {
            self.merge_unit(fixed, unit);
        }
    }

    #[cold]
    fn merge_unit(&mut self, fixed: i128, unit: i16) {
        if let Some(fixed) = in_unit(fixed, unit, self.unit) {
            self.add_units(fixed);
        } else if let Some(own) = in_unit(self.fixed(), self.unit, unit) {
            self.set_fixed(own);
            self.unit = unit;
            self.add_units(fixed);
        } else {
            let wide = &mut self.rest.get_or_insert_default().wide;
            wide.add(fixed < 0, fixed.unsigned_abs(), i32::from(unit));
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
            // The conversion rounds to nearest. No unit is below the smallest double, so scaling
            // by a power of two then loses no bit, and goes beyond the range where it should.
            return self.fixed() as f64 * power_of_two(self.unit);
        };
        match (rest.nans > 0, rest.infinities > 0, rest.negative_infinities > 0) {
            (true, _, _) | (_, true, true) => f64::NAN,
            (_, true, _) => f64::INFINITY,
            (_, _, true) => f64::NEG_INFINITY,
            (false, false, false) => {
                let mut wide = rest.wide.clone();
                wide.add(self.fixed() < 0, self.fixed().unsigned_abs(), i32::from(self.unit));
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
        let units = states[1].as_primitive::<Int16Type>().values();
        let count = states[2].as_primitive::<Int64Type>().values();
        let rests = states[3].as_binary::<i32>();
        for (row, group) in groups.iter().enumerate() {
            let total = &mut self.totals[*group as usize];
            total.merge_fixed(fixed[row], units[row]);
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
            Field::new("unit", DataType::Int16, false),
            Field::new("count", DataType::Int64, false),
            Field::new("rest", DataType::Binary, true),
        ]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let totals = || groups.iter().map(|group| &self.totals[*group as usize]);
        let fixed = Decimal128Array::from_iter_values(totals().map(Total::fixed));
        let rests = totals().map(|total| {
            total.rest.as_ref().map(|rest| {
                let mut bytes = Vec::new();
                rest.write(&mut bytes);
                bytes
            })
        });
        Ok(vec![
            Arc::new(fixed.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?),
            Arc::new(Int16Array::from_iter_values(totals().map(|total| total.unit))),
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

    fn free_page(&mut self, page: usize) {
        self.totals.free_page(page);
    }

    fn size_bytes(&self) -> usize {
        self.totals.bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(values: &[f64]) -> Total {
        let mut total = Total::default();
        values.iter().for_each(|value| total.add(*value, false));
        total
    }

    fn exact(values: &[f64]) -> f64 {
        let mut wide = Wide::default();
        values.iter().for_each(|value| wide.add_double(*value, false));
        wide.round()
    }

    /// Numbers of every size, and some whose sizes are close.
    fn finite() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("finite", |value| value.is_finite()),
            (-9..9i32, -1_074..1_000i32).prop_map(|(digit, exponent)| f64::from(digit) * f64::from(exponent).exp2()),
            -1e6..1e6f64,
            1e307..1e308f64,
            -1e-310..1e-310f64,
        ]
    }

    #[test]
    fn a_group_of_one_size_needs_no_wide_sum() {
        for values in [[1e308, -3e305, 7e307], [0.1, -1e9, 1e-8], [4e-300, 1e-305, 2e-298], [0.0, 1e100, -0.0]] {
            let total = total(&values);
            assert!(total.rest.is_none(), "{values:?}");
            assert_eq!(total.sum(), exact(&values));
        }
        let mut merged = total(&[1e308]);
        let other = total(&[-1.5e306, 3e304]);
        merged.merge_fixed(other.fixed(), other.unit);
        assert!(merged.rest.is_none());
        assert_eq!(merged.sum(), exact(&[1e308, -1.5e306, 3e304]));
        assert_eq!(size_of::<Total>(), 40);
    }

    #[test]
    fn what_is_not_finite_is_no_number_of_any_unit() {
        for first in [f64::MAX, 1e308, 1e300, 1e297, 1.0, f64::MIN_POSITIVE, 5e-324] {
            assert_eq!(total(&[first, -first, f64::INFINITY]).sum(), f64::INFINITY, "{first}");
            assert_eq!(total(&[first, -first, -first, f64::NEG_INFINITY]).sum(), f64::NEG_INFINITY, "{first}");
            assert!(total(&[first, f64::NAN]).sum().is_nan(), "{first}");
            let mut sum = total(&[first, f64::NAN]);
            sum.add(f64::NAN, true);
            assert_eq!(sum.sum(), first);
        }
    }

    #[test]
    fn the_common_unit_comes_back() {
        let mut total = total(&[1e-30, 100.25]);
        assert_eq!(total.unit, COMMON_UNIT);
        total.add(1e-30, true);
        assert_eq!(total.sum(), 100.25);
    }

    proptest! {
        #[test]
        fn sums_are_exact_however_they_are_cut(
            values in prop::collection::vec(finite(), 0..12),
            others in prop::collection::vec(finite(), 0..12),
            taken in prop::collection::vec(finite(), 0..4),
        ) {
            let mut sum = total(&values);
            taken.iter().for_each(|value| sum.add(*value, false));
            let other = total(&others);
            sum.merge_fixed(other.fixed(), other.unit);
            if let Some(rest) = &other.rest {
                sum.merge_rest(rest);
            }
            taken.iter().for_each(|value| sum.add(*value, true));
            prop_assert_eq!(sum.sum(), exact(&[values, others].concat()));
        }
    }
}
