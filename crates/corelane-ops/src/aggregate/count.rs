//! COUNT: rows, or rows in which no argument is null.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type};
use corelane_stream::Result;

use super::accumulators::{Accumulators, any_null, each_row};
use super::paged::{Paged, with_pages};
use super::slide::{At, Step, walk};

pub struct Count {
    counts: Paged<i64>,
    /// How many columns are arguments; order columns follow them.
    arguments: usize,
}

impl Count {
    pub fn new(arguments: usize) -> Self {
        Count { counts: Paged::default(), arguments }
    }
}

impl Accumulators for Count {
    fn resize(&mut self, groups: usize) {
        self.counts.grow(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()> {
        let nulls = any_null(&columns[..self.arguments]);
        with_pages!(self.counts, counts => each_row(groups, nulls.as_ref(), keep, retract, |_, group, retracts| {
            counts[group] += if retracts { -1 } else { 1 };
        }));
        Ok(())
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        let partial = states[0].as_primitive::<Int64Type>().values();
        for (group, partial) in groups.iter().zip(partial) {
            self.counts[*group as usize] += partial;
        }
        Ok(())
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("count", DataType::Int64, false)]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.values(groups)?])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from_iter_values(groups.iter().map(|group| self.counts[*group as usize]))))
    }

    fn slide(&mut self, steps: &[Step], chunks: &[Vec<ArrayRef>]) -> Result<ArrayRef> {
        let nulls: Vec<_> = chunks.iter().map(|columns| any_null(&columns[..self.arguments])).collect();
        let counted = |at: At| match &nulls[at.chunk as usize] {
            Some(nulls) => nulls.is_valid(at.row as usize).then_some(()),
            None => Some(()),
        };
        let mut results = Vec::with_capacity(steps.len() / 2);
        let add = |counts: &mut Paged<i64>, group: usize, (), retracts| counts[group] += if retracts { -1 } else { 1 };
        walk(&mut self.counts, steps, counted, add, |counts, group| {
            results.push(counts[group]);
            Ok(())
        })?;
        Ok(Arc::new(Int64Array::from(results)))
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            self.counts[*group as usize] = 0;
        }
    }

    fn free_page(&mut self, page: usize) {
        self.counts.free_page(page);
    }

    fn size_bytes(&self) -> usize {
        self.counts.bytes()
    }
}
