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
    /// Whether there was a value before is only asked where it cannot be told from the value.
    #[inline]
    fn meet(&mut self, value: N) {
        if P::displaces(value, self.value) || value.is_eq(P::last()) {
            self.value = value;
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
