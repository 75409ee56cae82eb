//! MIN and MAX of fixed-width values that are never taken away.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{DataType, Field};
use corelane_stream::Result;

use super::accumulators::{Accumulators, each_row};
use super::paged::{Paged, with_pages};

/// Which of two values stays.
pub trait Prefer {
    /// True if `value` displaces `standing`; doubles are in total order, so NaN is the largest.
    fn displaces<N: ArrowNativeTypeOp>(value: N, standing: N) -> bool;

    /// What every other value displaces: it stands for a value before there is one.
    fn last<N: ArrowNativeTypeOp>() -> N;
}

pub struct Least;
pub struct Greatest;

impl Prefer for Least {
    #[inline]
    fn displaces<N: ArrowNativeTypeOp>(value: N, standing: N) -> bool {
        value.is_lt(standing)
    }

    #[inline]
    fn last<N: ArrowNativeTypeOp>() -> N {
        N::MAX_TOTAL_ORDER
    }
}

impl Prefer for Greatest {
    #[inline]
    fn displaces<N: ArrowNativeTypeOp>(value: N, standing: N) -> bool {
        value.is_gt(standing)
    }

    #[inline]
    fn last<N: ArrowNativeTypeOp>() -> N {
        N::MIN_TOTAL_ORDER
    }
}

struct Best<N, P> {
    value: N,
    seen: bool,
    prefer: PhantomData<P>,
}

impl<N: ArrowNativeTypeOp, P: Prefer> Default for Best<N, P> {
    fn default() -> Self {
        Best { value: P::last(), seen: false, prefer: PhantomData }
    }
}

impl<N: ArrowNativeTypeOp, P: Prefer> Best<N, P> {
    /// Nothing but its own equal leaves the last value standing: only then is there more to ask.
    #[inline]
    fn meet(&mut self, value: N) {
        if P::displaces(value, self.value) {
            self.value = value;
            self.seen = true;
        } else if value.is_eq(P::last()) {
            self.seen = true;
        }
    }
}

pub struct Extreme<T: ArrowPrimitiveType, P> {
    best: Paged<Best<T::Native, P>>,
    data_type: DataType,
}

impl<T: ArrowPrimitiveType, P> Extreme<T, P> {
    pub fn new(data_type: DataType) -> Self {
        Extreme { best: Paged::default(), data_type }
    }
}

impl<T: ArrowPrimitiveType, P: Prefer> Accumulators for Extreme<T, P> {
    fn resize(&mut self, groups: usize) {
        self.best.grow(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()> {
        assert!(retract.is_none(), "a lone best value cannot be taken away");
        let values = columns[0].as_primitive::<T>().values();
        with_pages!(self.best, best => each_row(groups, columns[0].nulls(), keep, None, |row, group, _| {
            best[group].meet(values[row]);
        }));
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        self.update(groups, states, None, None)
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("best", self.data_type.clone(), true)]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.values(groups)?])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        let best = groups.iter().map(|group| {
            let best = &self.best[*group as usize];
            best.seen.then_some(best.value)
        });
        Ok(Arc::new(best.collect::<PrimitiveArray<T>>().with_data_type(self.data_type.clone())))
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            self.best[*group as usize] = Best::default();
        }
    }

    fn free_page(&mut self, page: usize) {
        self.best.free_page(page);
    }

    fn size_bytes(&self) -> usize {
        self.best.bytes()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int8Array};
    use arrow::datatypes::{Float64Type, Int8Type};
    use proptest::prelude::*;

    use super::*;

    fn best<T: ArrowPrimitiveType, P: Prefer>(values: PrimitiveArray<T>) -> Option<T::Native> {
        let mut best = Extreme::<T, P>::new(T::DATA_TYPE);
        best.resize(2);
        best.update(&vec![1; values.len()], &[Arc::new(values)], None, None).unwrap();
        let found = best.values(&[0, 1]).unwrap();
        let found = found.as_primitive::<T>();
        assert!(found.is_null(0), "a group without a row has no best value");
        found.is_valid(1).then(|| found.value(1))
    }

    /// Numbers of which the least and the greatest of their type are ordinary ones.
    fn number() -> impl Strategy<Value = i8> {
        prop_oneof![Just(i8::MIN), Just(i8::MAX), any::<i8>()]
    }

    fn double() -> impl Strategy<Value = f64> {
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), -2.0..2.0f64]
    }

    proptest! {
        #[test]
        fn the_best_is_found_whatever_the_order(values in prop::collection::vec(prop::option::of(number()), 0..6)) {
            let numbers = || Int8Array::from(values.clone());
            prop_assert_eq!(best::<Int8Type, Least>(numbers()), values.iter().flatten().min().copied());
            prop_assert_eq!(best::<Int8Type, Greatest>(numbers()), values.iter().flatten().max().copied());
        }

        #[test]
        fn doubles_are_in_total_order(values in prop::collection::vec(double(), 0..6)) {
            let numbers = || Float64Array::from(values.clone());
            let bits = |value: Option<f64>| value.map(f64::to_bits);
            let least = values.iter().copied().min_by(f64::total_cmp);
            let greatest = values.iter().copied().max_by(f64::total_cmp);
            prop_assert_eq!(bits(best::<Float64Type, Least>(numbers())), bits(least));
            prop_assert_eq!(bits(best::<Float64Type, Greatest>(numbers())), bits(greatest));
        }
    }
}
