//! SUM and AVG of integers and decimals, exact whatever the order of arrival.
//!
//! A total is 192 bits wide, so it cannot overflow on its way; only a result that does not fit
//! its type is an error, and only while it is asked for.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, Int64Array, PrimitiveArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, Int64Type};
use corelane_stream::wording::with_sql_types;
use corelane_stream::{Error, Result};

use super::accumulators::{Accumulators, each_row};
use super::paged::{Paged, with_pages};
use super::slide::{At, Step, walk};

/// `high * 2^128 + low` over `count` values.
#[derive(Clone, Copy, Default)]
struct Total {
    low: i128,
    high: i64,
    count: i64,
}

impl Total {
    #[inline]
    fn add(&mut self, value: i128) {
        let (low, overflow) = self.low.overflowing_add(value);
        self.low = low;
        if overflow {
            self.high += if value < 0 { -1 } else { 1 };
        }
    }

    #[inline]
    fn subtract(&mut self, value: i128) {
        let (low, overflow) = self.low.overflowing_sub(value);
        self.low = low;
        if overflow {
            self.high -= if value < 0 { -1 } else { 1 };
        }
    }
}

/// What becomes of a total.
#[derive(Clone, Copy, Debug)]
pub enum Finish {
    Sum,
    /// The mean truncated toward zero.
    AvgTruncated,
    /// The mean with this many more digits behind the point than the argument, rounded half up.
    AvgRounded {
        digits: u32,
    },
}

impl Finish {
    fn of(self, total: &Total) -> Option<i128> {
        if total.high != 0 {
            return None;
        }
        match self {
            Finish::Sum => Some(total.low),
            // A division of 128 bits takes ten times as long.
            Finish::AvgTruncated => Some(match i64::try_from(total.low) {
                Ok(low) if total.count != -1 => i128::from(low / total.count),
                Ok(_) | Err(_) => total.low / i128::from(total.count),
            }),
            Finish::AvgRounded { digits } => {
                let count = i128::from(total.count);
                let power = 10i128.checked_pow(digits)?;
                let whole = (total.low / count).checked_mul(power)?;
                let rest = (total.low % count).checked_mul(power)?;
                let half_up = if (rest % count).abs() * 2 >= count { rest.signum() } else { 0 };
                whole.checked_add(rest / count)?.checked_add(half_up)
            }
        }
    }
}

/// Totals of an integer or decimal argument.
pub struct ExactSum<T> {
    totals: Paged<Total>,
    finish: Finish,
    output: DataType,
    /// For messages: `SUM of "price"`.
    title: String,
    /// The results of the last `slide` that do not fit their type.
    failed: Vec<usize>,
    argument: PhantomData<T>,
}

impl<T> ExactSum<T> {
    pub fn new(finish: Finish, output: DataType, title: String) -> Self {
        ExactSum { totals: Paged::default(), finish, output, title, failed: Vec::new(), argument: PhantomData }
    }

    fn out_of_range(&self) -> Error {
        Error::data(format!("the {} is out of range for {}", self.title, with_sql_types(&self.output.to_string())))
            .with_hint("cast the argument to a wider type, such as DECIMAL(38, 0) or DOUBLE")
    }
}

impl<T> ExactSum<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128> + TryFrom<i128>,
{
    /// The results of these totals.
    fn finished(&self, totals: impl ExactSizeIterator<Item = Total>) -> Result<ArrayRef> {
        let mut failed = Vec::new();
        let results = self.fitting(totals, &mut failed)?;
        if failed.is_empty() { Ok(results) } else { Err(self.out_of_range()) }
    }

    /// The results of these totals; those that do not fit the type are null and noted in `failed`.
    fn fitting(&self, totals: impl ExactSizeIterator<Item = Total>, failed: &mut Vec<usize>) -> Result<ArrayRef> {
        if let DataType::Decimal128(precision, scale) = self.output {
            let bound = 10i128.pow(u32::from(precision)) as u128;
            let fits = |result: i128| (result.unsigned_abs() < bound).then_some(result);
            let (results, nulls) = self.results(totals, fits, failed);
            let results = Decimal128Array::new(results.into(), nulls);
            return Ok(Arc::new(results.with_precision_and_scale(precision, scale)?));
        }
        let (results, nulls) = self.results(totals, |result| T::Native::try_from(result).ok(), failed);
        let results: ArrayRef = Arc::new(PrimitiveArray::<T>::new(results.into(), nulls));
        if *results.data_type() == self.output { Ok(results) } else { Ok(cast(&results, &self.output)?) }
    }

    fn results<N: Default>(
        &self,
        totals: impl ExactSizeIterator<Item = Total>,
        fits: impl Fn(i128) -> Option<N>,
        failed: &mut Vec<usize>,
    ) -> (Vec<N>, Option<NullBuffer>) {
        let rows = totals.len();
        let mut null = Vec::new();
        let results = totals.enumerate().map(|(number, total)| {
            let result = if total.count == 0 { None } else { self.finish.of(&total).and_then(&fits) };
            result.unwrap_or_else(|| {
                null.push(number);
                if total.count != 0 {
                    failed.push(number);
                }
                N::default()
            })
        });
        let results = results.collect();
        let nulls = (!null.is_empty()).then(|| {
            let mut valid = vec![true; rows];
            null.iter().for_each(|number| valid[*number] = false);
            NullBuffer::from(valid)
        });
        (results, nulls)
    }
}

impl<T> Accumulators for ExactSum<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128> + TryFrom<i128>,
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
        let argument = columns[0].as_primitive::<T>();
        let values = argument.values();
        with_pages!(self.totals, totals => each_row(groups, columns[0].nulls(), keep, retract, |row, group, retracts| {
            let total = &mut totals[group];
            let value: i128 = values[row].into();
            let (value, count) = if retracts { (value.wrapping_neg(), -1) } else { (value, 1) };
            total.count += count;
            if size_of::<T::Native>() <= size_of::<i64>() {
                // The sum of 2^63 such values fits.
                total.low = total.low.wrapping_add(value);
            } else if retracts {
                total.subtract(values[row].into());
            } else {
                total.add(value);
            }
        }));
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        let low = states[0].as_primitive::<Decimal128Type>().values();
        let high = states[1].as_primitive::<Int64Type>().values();
        let count = states[2].as_primitive::<Int64Type>().values();
        for (row, group) in groups.iter().enumerate() {
            let total = &mut self.totals[*group as usize];
            total.add(low[row]);
            total.high += high[row];
            total.count += count[row];
        }
        Ok(())
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![
            Field::new("low", DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0), false),
            Field::new("high", DataType::Int64, false),
            Field::new("count", DataType::Int64, false),
        ]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let totals = || groups.iter().map(|group| &self.totals[*group as usize]);
        let low = Decimal128Array::from_iter_values(totals().map(|total| total.low));
        Ok(vec![
            Arc::new(low.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?),
            Arc::new(Int64Array::from_iter_values(totals().map(|total| total.high))),
            Arc::new(Int64Array::from_iter_values(totals().map(|total| total.count))),
        ])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        self.finished(groups.iter().map(|group| self.totals[*group as usize]))
    }

    fn slide(&mut self, steps: &[Step], chunks: &[Vec<ArrayRef>]) -> Result<ArrayRef> {
        let columns: Vec<&PrimitiveArray<T>> = chunks.iter().map(|columns| columns[0].as_primitive()).collect();
        let value = |at: At| -> Option<i128> {
            let column = columns[at.chunk as usize];
            column.is_valid(at.row as usize).then(|| column.value(at.row as usize).into())
        };
        let mut results = Vec::with_capacity(steps.len() / 2);
        let add = |totals: &mut Paged<Total>, group: usize, value, retracts| {
            let total = &mut totals[group];
            if retracts {
                total.subtract(value);
                total.count -= 1;
            } else {
                total.add(value);
                total.count += 1;
            }
        };
        walk(&mut self.totals, steps, value, add, |totals, group| {
            results.push(totals[group]);
            Ok(())
        })?;
        self.failed.clear();
        let mut failed = std::mem::take(&mut self.failed);
        let column = self.fitting(results.into_iter(), &mut failed);
        self.failed = failed;
        column
    }

    fn failures(&self) -> Option<(&[usize], Error)> {
        (!self.failed.is_empty()).then(|| (self.failed.as_slice(), self.out_of_range()))
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
