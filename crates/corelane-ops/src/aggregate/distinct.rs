//! DISTINCT: any aggregate over the different values of its arguments.
//!
//! Each value is counted (`members`); only one that comes or goes reaches the aggregate itself.

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{filter, interleave, take};
use arrow::datatypes::{DataType, Field};
use corelane_stream::{Error, Result};

use super::accumulators::{Accumulators, any_null, counted};
use super::members::{Members, Written};
use super::slide::{At, Step};

pub struct Distinct {
    inner: Box<dyn Accumulators>,
    /// Their numbers are how often they are there.
    members: Members,
    arguments: usize,
}

impl Distinct {
    /// # Errors
    /// If an argument's type cannot be compared.
    pub fn new(inner: Box<dyn Accumulators>, arguments: &[DataType]) -> Result<Self> {
        Ok(Distinct { inner, members: Members::new(arguments)?, arguments: arguments.len() })
    }

    /// Counts a member so many times more; true if by that it came or went.
    fn turns(&mut self, id: u32, times: i64) -> bool {
        let count = self.members.number(id);
        let before = *count > 0;
        *count += times;
        before != (*count > 0)
    }

    /// Counts values and tells the aggregate of those that came or went.
    fn count(&mut self, groups: &[u32], arguments: &[ArrayRef], times: impl Fn(usize) -> i64) -> Result<()> {
        let ids = self.members.find(groups, arguments)?;
        let (mut picks, mut went) = (Vec::new(), Vec::new());
        let (mut changed, mut retracts) = (Vec::new(), false);
        for (row, (id, group)) in ids.iter().zip(groups).enumerate() {
            if self.turns(*id, times(row)) {
                let goes = *self.members.number(*id) <= 0;
                picks.push(row as u32);
                changed.push(goes);
                retracts |= goes;
            }
            if *self.members.number(*id) == 0 {
                went.push((*id, *group));
            }
        }
        self.members.forget(went);
        if picks.is_empty() {
            return Ok(());
        }
        let picked_groups: Vec<u32> = picks.iter().map(|row| groups[*row as usize]).collect();
        let picks = UInt32Array::from(picks);
        let columns = arguments.iter().map(|column| take(column, &picks, None)).collect::<Result<Vec<_>, _>>()?;
        self.inner.update(&picked_groups, &columns, None, retracts.then_some(&changed[..]))
    }

    /// The values that enter or leave frames by these steps, and whose they are.
    fn entering(&self, steps: &[Step], chunks: &[Vec<ArrayRef>]) -> Result<(Vec<u32>, Vec<ArrayRef>)> {
        let (mut groups, mut places) = (Vec::new(), Vec::new());
        for step in steps {
            match *step {
                Step::Add { group, at } | Step::Remove { group, at } => {
                    groups.push(group);
                    places.push((at.chunk as usize, at.row as usize));
                }
                Step::Result { .. } => {}
            }
        }
        if places.is_empty() {
            return Ok((groups, Vec::new()));
        }
        let columns = (0..self.arguments).map(|column| {
            let chunks: Vec<&dyn Array> = chunks.iter().map(|chunk| chunk[column].as_ref()).collect();
            interleave(&chunks, &places)
        });
        Ok((groups, columns.collect::<Result<_, _>>()?))
    }
}

impl Accumulators for Distinct {
    fn resize(&mut self, groups: usize) {
        self.inner.resize(groups);
        self.members.resize(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()> {
        let arguments = &columns[..self.arguments];
        let times = |row: usize| if retract.is_some_and(|retract| retract[row]) { -1 } else { 1 };
        let Some(mask) = counted(any_null(arguments).as_ref(), keep) else {
            return self.count(groups, arguments, times);
        };
        let rows: Vec<usize> = mask.set_indices().collect();
        let mask = BooleanArray::new(mask, None);
        let arguments = arguments.iter().map(|column| filter(column, &mask)).collect::<Result<Vec<_>, _>>()?;
        let groups: Vec<u32> = rows.iter().map(|row| groups[*row]).collect();
        self.count(&groups, &arguments, |row| times(rows[row]))
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        let Written { groups, values, numbers } = self.members.read(groups, &states[0])?;
        self.count(&groups, &values, |row| numbers[row])
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Members::state_field()]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.members.write(groups)?])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        self.inner.values(groups)
    }

    /// The members are found at once; the aggregate walks only the steps by which a value comes or goes.
    fn slide(&mut self, steps: &[Step], chunks: &[Vec<ArrayRef>]) -> Result<ArrayRef> {
        let nulls =
            chunks.iter().map(|chunk| chunk[..self.arguments].iter().filter_map(|column| column.logical_nulls()));
        let nulls: Vec<Vec<NullBuffer>> = nulls.map(Iterator::collect).collect();
        let counts = |at: At| nulls[at.chunk as usize].iter().all(|nulls| nulls.is_valid(at.row as usize));
        let mut steps = steps.to_vec();
        steps.retain(|step| match step {
            Step::Add { at, .. } | Step::Remove { at, .. } => counts(*at),
            Step::Result { .. } => true,
        });
        let (groups, columns) = self.entering(&steps, chunks)?;
        if !groups.is_empty() {
            let ids = self.members.find(&groups, &columns)?;
            let mut next = ids.iter();
            steps.retain(|step| match step {
                Step::Add { .. } => next.next().is_some_and(|id| self.turns(*id, 1)),
                Step::Remove { .. } => next.next().is_some_and(|id| self.turns(*id, -1)),
                Step::Result { .. } => true,
            });
            self.members.forget(ids.into_iter().zip(groups).collect());
        }
        let chunks: Vec<Vec<ArrayRef>> = chunks.iter().map(|chunk| chunk[..self.arguments].to_vec()).collect();
        self.inner.slide(&steps, &chunks)
    }

    fn failures(&self) -> Option<(&[usize], Error)> {
        self.inner.failures()
    }

    fn clear(&mut self, groups: &[u32]) {
        self.members.clear(groups);
        self.inner.clear(groups);
    }

    fn free_page(&mut self, page: usize) {
        self.inner.free_page(page);
        self.members.free_page(page);
    }

    fn size_bytes(&self) -> usize {
        self.inner.size_bytes() + self.members.size_bytes()
    }
}
