//! Aggregates over NULL itself: there is nothing to keep, and the result is null.

use arrow::array::{ArrayRef, BooleanArray, new_null_array};
use arrow::datatypes::{DataType, Field};
use corelane_stream::Result;

use super::accumulators::Accumulators;

pub struct AllNull {
    output: DataType,
}

impl AllNull {
    pub fn new(output: DataType) -> Self {
        AllNull { output }
    }
}

impl Accumulators for AllNull {
    fn resize(&mut self, _groups: usize) {}

    fn update(
        &mut self,
        _groups: &[u32],
        _columns: &[ArrayRef],
        _keep: Option<&BooleanArray>,
        _retract: Option<&[bool]>,
    ) -> Result<()> {
        Ok(())
    }

    fn merge(&mut self, _groups: &[u32], _states: &[ArrayRef]) -> Result<()> {
        Ok(())
    }

    fn state_fields(&self) -> Vec<Field> {
        Vec::new()
    }

    fn states(&mut self, _groups: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(Vec::new())
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        Ok(new_null_array(&self.output, groups.len()))
    }

    fn clear(&mut self, _groups: &[u32]) {}

    fn free_page(&mut self, _page: usize) {}

    fn size_bytes(&self) -> usize {
        0
    }
}
