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
}

pub struct Least;
pub struct Greatest;

impl Prefer for Least {
    #[inline]
    fn displaces<N: ArrowNativeTypeOp>(value: N, standing: N) -> bool {
        value.is_lt(standing)
    }
}

impl Prefer for Greatest {
    #[inline]
    fn displaces<N: ArrowNativeTypeOp>(value: N, standing: N) -> bool {
        value.is_gt(standing)
    }
}

#[derive(Clone, Copy, Default)]
struct Best<N> {
    value: N,
    seen: bool,
}

pub struct Extreme<T: ArrowPrimitiveType, P> {
    best: Paged<Best<T::Native>>,
    data_type: DataType,
    prefer: PhantomData<P>,
}

impl<T: ArrowPrimitiveType, P> Extreme<T, P> {
    pub fn new(data_type: DataType) -> Self {
        Extreme { best: Paged::default(), data_type, prefer: PhantomData }
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
            let (best, value) = (&mut best[group], values[row]);
            if !best.seen || P::displaces(value, best.value) {
                *best = Best { value, seen: true };
            }
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
            let best = self.best[*group as usize];
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
