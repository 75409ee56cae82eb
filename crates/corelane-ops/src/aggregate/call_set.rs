//! The accumulators of all calls of one operator, over the columns of its batches.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema};
use corelane_stream::Result;

use super::{Accumulators, AggregateCall, accumulators};

struct Bound {
    /// Arguments, then order columns.
    columns: Vec<usize>,
    filter: Option<usize>,
    accumulators: Box<dyn Accumulators>,
    states: usize,
}

pub struct CallSet {
    calls: Vec<Bound>,
}

impl CallSet {
    /// # Errors
    /// If a function does not take its arguments.
    pub fn new(calls: &[AggregateCall], input: &Schema, retracting: bool) -> Result<Self> {
        let calls = calls.iter().map(|call| {
            let accumulators = accumulators(call, input, retracting)?;
            Ok(Bound {
                columns: call.arguments.iter().chain(&call.order).copied().collect(),
                filter: call.filter,
                states: accumulators.state_fields().len(),
                accumulators,
            })
        });
        Ok(CallSet { calls: calls.collect::<Result<_>>()? })
    }

    pub fn resize(&mut self, groups: usize) {
        for call in &mut self.calls {
            call.accumulators.resize(groups);
        }
    }

    /// # Errors
    /// As for `Accumulators::update`.
    pub fn update(&mut self, rows: &RecordBatch, groups: &[u32], retract: Option<&[bool]>) -> Result<()> {
        let mut columns = Vec::new();
        for call in &mut self.calls {
            columns.clear();
            columns.extend(call.columns.iter().map(|column| rows.column(*column).clone()));
            let keep = call.filter.map(|filter| rows.column(filter).as_boolean());
            call.accumulators.update(groups, &columns, keep, retract)?;
        }
        Ok(())
    }

    /// Adds partial states, the columns of all calls in turn.
    ///
    /// # Errors
    /// As for `Accumulators::merge`.
    pub fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        let mut rest = states;
        for call in &mut self.calls {
            let (own, others) = rest.split_at(call.states);
            call.accumulators.merge(groups, own)?;
            rest = others;
        }
        Ok(())
    }

    /// # Errors
    /// As for `Accumulators::states`.
    pub fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut states = Vec::new();
        for call in &mut self.calls {
            states.extend(call.accumulators.states(groups)?);
        }
        Ok(states)
    }

    /// # Errors
    /// As for `Accumulators::values`.
    pub fn values(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        self.calls.iter_mut().map(|call| call.accumulators.values(groups)).collect()
    }

    pub fn clear(&mut self, groups: &[u32]) {
        for call in &mut self.calls {
            call.accumulators.clear(groups);
        }
    }

    pub fn free_page(&mut self, page: usize) {
        for call in &mut self.calls {
            call.accumulators.free_page(page);
        }
    }

    pub fn size_bytes(&self) -> usize {
        self.calls.iter().map(|call| call.accumulators.size_bytes()).sum()
    }
}

/// The columns of all calls' partial states, named after the calls' outputs.
///
/// # Errors
/// If a function does not take its arguments.
pub fn state_fields(calls: &[AggregateCall], input: &Schema) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    for call in calls {
        for field in accumulators(call, input, false)?.state_fields() {
            let name = format!("{}.{}", call.output.name(), field.name());
            fields.push(field.with_name(name));
        }
    }
    Ok(fields)
}
