//! The accumulators of all calls of one operator, over the columns of its batches.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, Schema};
use corelane_stream::Result;

use super::distinct_counts::{CALLS_MAX, DistinctCounts};
use super::{Accumulators, AggregateCall, AggregateFunction, accumulators};

/// What serves one call, or several that look at the same values.
enum Served {
    One {
        filter: Option<usize>,
        accumulators: Box<dyn Accumulators>,
    },
    /// `COUNT(DISTINCT ..)` of the same arguments: the filter of each.
    Counts {
        filters: Vec<Option<usize>>,
        counts: Box<DistinctCounts>,
    },
}

struct Bound {
    /// Which of the calls.
    calls: Vec<usize>,
    /// Arguments, then order columns.
    columns: Vec<usize>,
    served: Served,
    states: usize,
}

pub struct CallSet {
    bound: Vec<Bound>,
    calls: usize,
}

/// The calls that are served together, by their numbers. Rows that are taken away must be counted
/// for each call by itself.
fn together(calls: &[AggregateCall], retracting: bool) -> Vec<Vec<usize>> {
    let counts_distinct = |call: &AggregateCall| {
        !retracting && call.distinct && call.function == AggregateFunction::Count && !call.arguments.is_empty()
    };
    let mut together: Vec<Vec<usize>> = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        let fits = |other: &&mut Vec<usize>| {
            let first = &calls[other[0]];
            other.len() < CALLS_MAX && counts_distinct(first) && first.arguments == call.arguments
        };
        match together.iter_mut().find(fits).filter(|_| counts_distinct(call)) {
            Some(others) => others.push(number),
            None => together.push(vec![number]),
        }
    }
    together
}

impl Bound {
    fn new(calls: &[AggregateCall], numbers: Vec<usize>, input: &Schema, retracting: bool) -> Result<Self> {
        let first = &calls[numbers[0]];
        let served = match numbers.len() {
            1 => Served::One { filter: first.filter, accumulators: accumulators(first, input, retracting)? },
            _ => {
                let types = first.arguments.iter().map(|column| input.field(*column).data_type().clone());
                let counts = Box::new(DistinctCounts::new(numbers.len(), &types.collect::<Vec<_>>())?);
                Served::Counts { filters: numbers.iter().map(|number| calls[*number].filter).collect(), counts }
            }
        };
        let mut bound = Bound {
            columns: first.arguments.iter().chain(&first.order).copied().collect(),
            calls: numbers,
            served,
            states: 0,
        };
        bound.states = bound.state_fields().len();
        Ok(bound)
    }

    fn state_fields(&self) -> Vec<Field> {
        match &self.served {
            Served::One { accumulators, .. } => accumulators.state_fields(),
            Served::Counts { .. } => DistinctCounts::state_fields(),
        }
    }
}

impl CallSet {
    /// # Errors
    /// If a function does not take its arguments.
    pub fn new(calls: &[AggregateCall], input: &Schema, retracting: bool) -> Result<Self> {
        let together = together(calls, retracting).into_iter();
        let bound = together.map(|numbers| Bound::new(calls, numbers, input, retracting));
        Ok(CallSet { bound: bound.collect::<Result<_>>()?, calls: calls.len() })
    }

    pub fn resize(&mut self, groups: usize) {
        for bound in &mut self.bound {
            match &mut bound.served {
                Served::One { accumulators, .. } => accumulators.resize(groups),
                Served::Counts { counts, .. } => counts.resize(groups),
            }
        }
    }

    /// # Errors
    /// As for `Accumulators::update`.
    pub fn update(&mut self, rows: &RecordBatch, groups: &[u32], retract: Option<&[bool]>) -> Result<()> {
        let keep = |filter: &Option<usize>| filter.map(|filter| rows.column(filter).as_boolean());
        let mut columns = Vec::new();
        for bound in &mut self.bound {
            columns.clear();
            columns.extend(bound.columns.iter().map(|column| rows.column(*column).clone()));
            match &mut bound.served {
                Served::One { filter, accumulators } => {
                    accumulators.update(groups, &columns, keep(filter), retract)?;
                }
                Served::Counts { filters, counts } => {
                    assert!(retract.is_none(), "values that are counted by bits cannot be taken away");
                    counts.update(groups, &columns, &filters.iter().map(keep).collect::<Vec<_>>())?;
                }
            }
        }
        Ok(())
    }

    /// Adds partial states, the columns of all calls in turn.
    ///
    /// # Errors
    /// As for `Accumulators::merge`.
    pub fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        let mut rest = states;
        for bound in &mut self.bound {
            let (own, others) = rest.split_at(bound.states);
            match &mut bound.served {
                Served::One { accumulators, .. } => accumulators.merge(groups, own)?,
                Served::Counts { counts, .. } => counts.merge(groups, own)?,
            }
            rest = others;
        }
        Ok(())
    }

    /// # Errors
    /// As for `Accumulators::states`.
    pub fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut states = Vec::new();
        for bound in &mut self.bound {
            states.extend(match &mut bound.served {
                Served::One { accumulators, .. } => accumulators.states(groups)?,
                Served::Counts { counts, .. } => counts.states(groups)?,
            });
        }
        Ok(states)
    }

    /// The results of each call.
    ///
    /// # Errors
    /// As for `Accumulators::values`.
    pub fn values(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut values: Vec<(usize, ArrayRef)> = Vec::with_capacity(self.calls);
        for bound in &mut self.bound {
            match &mut bound.served {
                Served::One { accumulators, .. } => values.push((bound.calls[0], accumulators.values(groups)?)),
                Served::Counts { counts, .. } => {
                    let calls = bound.calls.iter().enumerate();
                    values.extend(calls.map(|(bit, call)| (*call, counts.values(bit, groups))));
                }
            }
        }
        values.sort_unstable_by_key(|(call, _)| *call);
        Ok(values.into_iter().map(|(_, column)| column).collect())
    }

    pub fn clear(&mut self, groups: &[u32]) {
        for bound in &mut self.bound {
            match &mut bound.served {
                Served::One { accumulators, .. } => accumulators.clear(groups),
                Served::Counts { counts, .. } => counts.clear(groups),
            }
        }
    }

    pub fn free_page(&mut self, page: usize) {
        for bound in &mut self.bound {
            match &mut bound.served {
                Served::One { accumulators, .. } => accumulators.free_page(page),
                Served::Counts { counts, .. } => counts.free_page(page),
            }
        }
    }

    pub fn size_bytes(&self) -> usize {
        let bytes = self.bound.iter().map(|bound| match &bound.served {
            Served::One { accumulators, .. } => accumulators.size_bytes(),
            Served::Counts { counts, .. } => counts.size_bytes(),
        });
        bytes.sum()
    }
}

/// The columns of all calls' partial states, named after the calls' outputs.
///
/// # Errors
/// If a function does not take its arguments.
pub fn state_fields(calls: &[AggregateCall], input: &Schema) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    for bound in CallSet::new(calls, input, false)?.bound {
        let output = calls[bound.calls[0]].output.name();
        fields.extend(bound.state_fields().into_iter().map(|field| {
            let name = format!("{output}.{}", field.name());
            field.with_name(name)
        }));
    }
    Ok(fields)
}
