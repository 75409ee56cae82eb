//! GROUP BY without a window: one result a group, kept up to date as a retracting changelog.
//!
//! A batch is accumulated as a whole before its groups' results go out, so a group that changes
//! a thousand times in a batch emits one update. A local phase before the exchange adds rows up
//! on the worker that read them (`local_aggregate`); the global phase then merges partial states.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use corelane_stream::operator::StateWriter;
use corelane_stream::{
    ChangelogBatch, Error, Operator, OperatorContext, OperatorCounters, OperatorSpec, Output, Progress, Result,
    RowKinds, RowPolicy, StateBound, Watermark,
};

use crate::aggregate::call_set::{CallSet, state_fields};
use crate::aggregate::changes::{Changes, Results, changes, emit, report, results};
use crate::aggregate::group_table::GroupTable;
use crate::aggregate::paged::{PAGE, Paged, with_pages};
use crate::aggregate::{AggregateCall, describe, growth};
use crate::bad_rows::BadRows;
use crate::local_aggregate::{LocalAggregate, LocalPlan};

/// Which part of an aggregation an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From rows to results.
    Single,
    /// From rows to partial states, before the exchange.
    Local,
    /// From partial states to results.
    Global,
}

/// Results by key. The output is the keys, then one column a call; that of the local phase is
/// the keys, then the calls' partial states.
#[derive(Clone, Debug)]
pub struct GroupAggregateSpec {
    /// The rows that are aggregated: in the global phase the local one's input.
    pub input: SchemaRef,
    /// Columns of `input`; none means one group of all rows.
    pub keys: Vec<usize>,
    /// Over columns of `input`; none means the distinct keys.
    pub calls: Vec<AggregateCall>,
    pub phase: Phase,
    /// Rows may be taken away again; a local phase needs an input that only appends.
    pub retracting: bool,
    /// Without keys, give the result of no rows if none came before the end of input.
    pub emit_empty: bool,
    /// No one looks at results before the end of input: they go out once, then.
    pub at_end: bool,
    pub policy: Arc<RowPolicy>,
}

impl OperatorSpec for GroupAggregateSpec {
    fn name(&self) -> &'static str {
        match self.phase {
            Phase::Single => "GroupAggregate",
            Phase::Local => "LocalGroupAggregate",
            Phase::Global => "GlobalGroupAggregate",
        }
    }

    fn detail(&self) -> String {
        let calls = describe(&self.input, &self.keys, &self.calls);
        if self.at_end && self.phase != Phase::Local { format!("{calls}, at the end of input") } else { calls }
    }

    fn schema(&self) -> SchemaRef {
        let keys = self.keys.iter().map(|key| self.input.fields()[*key].clone());
        match self.phase {
            Phase::Single | Phase::Global => {
                Arc::new(Schema::new(keys.chain(self.calls.iter().map(|call| call.output.clone())).collect::<Vec<_>>()))
            }
            Phase::Local => {
                // A call that does not fit its arguments is reported by `build`.
                let states = state_fields(&self.calls, &self.input).unwrap_or_default();
                Arc::new(Schema::new(keys.chain(states.into_iter().map(Arc::new)).collect::<Vec<_>>()))
            }
        }
    }

    fn state(&self) -> StateBound {
        let names: Vec<&str> = self.keys.iter().map(|key| self.input.field(*key).name().as_str()).collect();
        match self.phase {
            Phase::Local => StateBound::Bounded("groups of a few batches".to_owned()),
            Phase::Single | Phase::Global => {
                let kept = self.calls.iter().filter_map(|call| call.keeps(&self.input, self.retracting));
                match growth(&names, kept) {
                    Some(growth) => StateBound::Grows(growth),
                    None => StateBound::Bounded("one group".to_owned()),
                }
            }
        }
    }

    fn build(&self, context: &OperatorContext) -> Result<Box<dyn Operator>> {
        match self.phase {
            Phase::Single | Phase::Global => Ok(Box::new(GroupAggregate::new(self, context)?)),
            Phase::Local if self.retracting => {
                Err(Error::internal("a local aggregate cannot take rows away: use a single phase"))
            }
            Phase::Local => {
                let plan = LocalPlan {
                    input: &self.input,
                    keys: &self.keys,
                    calls: &self.calls,
                    panes: None,
                    output: self.schema(),
                };
                Ok(Box::new(LocalAggregate::new(plan, context)?))
            }
        }
    }
}

/// What is known of a group beside its accumulators.
#[derive(Clone, Copy, Default)]
struct GroupState {
    /// The last batch that touched it.
    touched_by: u32,
    /// Its result is out.
    emitted: bool,
    /// It has no result, which has been reported.
    failed: bool,
}

struct GroupAggregate {
    spec: GroupAggregateSpec,
    schema: SchemaRef,
    table: GroupTable,
    calls: CallSet,
    states: Paged<GroupState>,
    /// Rows of each group that were added and not taken away; empty where none can be taken away.
    rows: Paged<i64>,
    batches: u32,
    /// The group of each row of the batch at hand.
    groups: Vec<u32>,
    bad: BadRows,
    batch_rows: usize,
    worker: usize,
    /// The next group to be written by a snapshot.
    snapshot_at: usize,
    /// The next group whose result goes out at the end of input.
    emit_at: usize,
}

impl GroupAggregate {
    fn new(spec: &GroupAggregateSpec, context: &OperatorContext) -> Result<Self> {
        Ok(GroupAggregate {
            schema: spec.schema(),
            table: GroupTable::new(spec.keys.iter().map(|key| spec.input.field(*key).data_type()))?,
            calls: CallSet::new(&spec.calls, &spec.input, spec.retracting)?,
            states: Paged::default(),
            rows: Paged::default(),
            batches: 0,
            groups: Vec::new(),
            bad: BadRows::open(context, &spec.policy, &spec.policy.table)?,
            batch_rows: context.batch_rows,
            worker: context.worker,
            snapshot_at: 0,
            emit_at: 0,
            spec: spec.clone(),
        })
    }

    /// Finds the groups of these keys and makes room for new ones.
    fn find_groups(&mut self, keys: &[ArrayRef], rows: usize) -> Result<()> {
        let mut groups = std::mem::take(&mut self.groups);
        self.table.find_or_insert(keys, rows, &mut groups)?;
        self.groups = groups;
        let ids = self.table.ids();
        self.calls.resize(ids);
        self.states.grow(ids);
        if self.spec.retracting {
            self.rows.grow(ids);
        }
        Ok(())
    }

    /// The groups of this batch, each once, in order of their first rows.
    fn touched(&mut self) -> Vec<u32> {
        self.batches = self.batches.wrapping_add(1);
        let (batch, groups) = (self.batches, &self.groups);
        with_pages!(self.states, states => {
            let mut once = |group: &u32| std::mem::replace(&mut states[*group as usize].touched_by, batch) != batch;
            groups.iter().copied().filter(|group| once(group)).collect()
        })
    }

    fn accumulate(&mut self, rows: &RecordBatch, retract: Option<&[bool]>) -> Result<()> {
        if self.spec.phase == Phase::Global {
            return self.calls.merge(&self.groups, &rows.columns()[self.spec.keys.len()..]);
        }
        if self.spec.retracting {
            for (row, group) in self.groups.iter().enumerate() {
                let retracts = retract.is_some_and(|retract| retract[row]);
                self.rows[*group as usize] += if retracts { -1 } else { 1 };
            }
        }
        self.calls.update(rows, &self.groups, retract)
    }

    /// The results of these groups. A group that has none is reported once, until it has one.
    fn results(&mut self, groups: Vec<u32>) -> Result<Results> {
        let (results, failed) = results(&mut self.calls, groups)?;
        for (group, error) in &failed {
            if !std::mem::replace(&mut self.states[*group as usize].failed, true) {
                report(&mut self.bad, &self.schema, self.table.keys(&[*group])?, error)?;
            }
        }
        Ok(results)
    }

    fn emit_changes(&mut self, rows: Changes, out: &mut dyn Output) -> Result<()> {
        let mut columns = rows.keys(&self.table)?;
        if !rows.groups.is_empty() {
            columns.extend(rows.columns);
        }
        emit(&self.schema, columns, &rows.kinds, self.batch_rows, out)
    }

    /// Drops the groups that have no row left.
    fn remove_vanished(&mut self, touched: &[u32]) -> Result<()> {
        if !self.spec.retracting {
            return Ok(());
        }
        let vanished = touched.iter().copied().filter(|group| self.rows[*group as usize] == 0);
        let vanished: Vec<u32> = vanished.collect();
        if vanished.is_empty() {
            return Ok(());
        }
        self.calls.clear(&vanished);
        for group in &vanished {
            self.states[*group as usize] = GroupState::default();
        }
        self.table.remove(&vanished);
        Ok(())
    }

    /// Without keys there is a result of no rows, too.
    fn owes_result(&self) -> bool {
        self.spec.emit_empty && self.spec.keys.is_empty() && self.worker == 0
    }

    /// The results of all groups, a batch at a time. What is out is freed: whoever gathers it needs the room.
    fn emit_all(&mut self, out: &mut dyn Output) -> Result<Progress> {
        while self.emit_at < self.table.ids() {
            if !out.has_room() {
                return Ok(Progress::More);
            }
            let end = self.table.ids().min(self.emit_at + self.batch_rows);
            let all_count = !self.spec.retracting || self.owes_result();
            let present = |group: &u32| self.table.is_alive(*group) && (all_count || self.rows[*group as usize] > 0);
            let groups = (self.emit_at as u32..end as u32).filter(present).collect();
            let new = self.results(groups)?;
            self.emit_changes(Changes::inserts(new), out)?;
            for page in self.emit_at / PAGE..end / PAGE {
                self.table.free_page(page);
                self.calls.free_page(page);
            }
            self.emit_at = end;
        }
        Ok(Progress::Done)
    }

    /// Keys, what is known of the groups, partial states.
    fn snapshot_schema(&self, states: &[ArrayRef]) -> SchemaRef {
        let keys = self.spec.keys.iter().map(|key| self.spec.input.fields()[*key].clone());
        let known = [Field::new("rows", DataType::Int64, false), Field::new("emitted", DataType::Boolean, false)];
        let states = states
            .iter()
            .enumerate()
            .map(|(position, state)| Field::new(format!("state{position}"), state.data_type().clone(), true));
        Arc::new(Schema::new(keys.chain(known.into_iter().chain(states).map(Arc::new)).collect::<Vec<_>>()))
    }
}

/// Which rows take away, if any does.
fn retractions(kinds: Option<&RowKinds>) -> Option<Vec<bool>> {
    let retract: Vec<bool> = kinds?.iter().map(|kind| !kind.is_addition()).collect();
    retract.contains(&true).then_some(retract)
}

impl Operator for GroupAggregate {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        let (rows, kinds) = batch.into_parts();
        let retract = retractions(kinds.as_ref());
        if retract.is_some() && !self.spec.retracting {
            return Err(Error::internal("rows are taken away from an aggregate that was planned for inserts only"));
        }
        let keys: Vec<ArrayRef> = match self.spec.phase {
            Phase::Global => rows.columns()[..self.spec.keys.len()].to_vec(),
            Phase::Single | Phase::Local => self.spec.keys.iter().map(|key| rows.column(*key).clone()).collect(),
        };
        self.find_groups(&keys, rows.num_rows())?;
        if self.spec.at_end {
            self.accumulate(&rows, retract.as_deref())?;
            return Ok(Progress::Done);
        }
        let touched = self.touched();
        let emitted = touched.iter().copied().filter(|group| self.states[*group as usize].emitted).collect();
        let old = Results::of(&mut self.calls, emitted)?;
        self.accumulate(&rows, retract.as_deref())?;
        let retracting = self.spec.retracting;
        let present = |group: &u32| !retracting || self.rows[*group as usize] > 0;
        let present = touched.iter().copied().filter(present).collect();
        let new = self.results(present)?;
        self.emit_changes(changes(&touched, &old, &new)?, out)?;
        for group in &old.groups {
            self.states[*group as usize].emitted = false;
        }
        for group in &new.groups {
            let state = &mut self.states[*group as usize];
            state.emitted = true;
            state.failed = false;
        }
        self.remove_vanished(&touched)?;
        Ok(Progress::Done)
    }

    fn advance(&mut self, watermark: Watermark, out: &mut dyn Output) -> Result<Progress> {
        if watermark != Watermark::END {
            return Ok(Progress::Done);
        }
        let none_came = self.owes_result() && !self.table.is_alive(0);
        if none_came {
            self.find_groups(&[], 1)?;
        }
        if self.spec.at_end {
            return self.emit_all(out);
        }
        if none_came {
            let new = self.results(vec![0])?;
            self.states[0].emitted = !new.groups.is_empty();
            self.emit_changes(Changes::inserts(new), out)?;
        }
        Ok(Progress::Done)
    }

    fn resume(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.emit_all(out)
    }

    fn snapshot(&mut self, state: &mut dyn StateWriter) -> Result<Progress> {
        let end = self.table.ids().min(self.snapshot_at + self.batch_rows);
        let groups: Vec<u32> =
            (self.snapshot_at as u32..end as u32).filter(|group| self.table.is_alive(*group)).collect();
        if !groups.is_empty() {
            let states = self.calls.states(&groups)?;
            let schema = self.snapshot_schema(&states);
            let known = groups.iter().map(|group| self.states[*group as usize]);
            let rows = |group: &u32| if self.spec.retracting { self.rows[*group as usize] } else { 0 };
            let mut columns = self.table.keys(&groups)?;
            columns.push(Arc::new(Int64Array::from_iter_values(groups.iter().map(rows))));
            columns.push(Arc::new(known.map(|known| Some(known.emitted)).collect::<BooleanArray>()));
            columns.extend(states);
            state.write("groups", ChangelogBatch::append(RecordBatch::try_new(schema, columns)?))?;
        }
        self.snapshot_at = end;
        if end < self.table.ids() {
            return Ok(Progress::More);
        }
        self.snapshot_at = 0;
        Ok(Progress::Done)
    }

    fn restore(&mut self, part: &str, state: ChangelogBatch) -> Result<()> {
        let width = self.spec.keys.len();
        if part != "groups" || state.rows().num_columns() < width + 2 {
            return Err(Error::internal(format!("the part {part:?} is no state of an aggregate")));
        }
        let columns = state.rows().columns();
        self.find_groups(&columns[..width], state.num_rows())?;
        let rows = columns[width].as_primitive::<Int64Type>().values();
        let emitted = columns[width + 1].as_boolean();
        for (row, group) in self.groups.iter().enumerate() {
            self.states[*group as usize].emitted |= emitted.value(row);
            if self.spec.retracting {
                self.rows[*group as usize] += rows[row];
            }
        }
        self.calls.merge(&self.groups, &columns[width + 2..])
    }

    fn counters(&self) -> OperatorCounters {
        let known = self.states.bytes() + self.rows.bytes();
        let mut counters = OperatorCounters {
            state_keys: self.table.len() as u64,
            state_bytes: (self.table.size_bytes() + self.calls.size_bytes() + known) as u64,
            ..OperatorCounters::default()
        };
        self.bad.count(&mut counters);
        counters
    }
}

#[cfg(test)]
mod tests;
