//! GROUP BY over time windows.
//!
//! A row updates one pane, whatever the number of windows that it lies in; a window adds its
//! panes up as it closes, and a pane is freed with its last window. One table holds the groups
//! of all panes, keyed by pane and key: many small panes cost no more than one large one.
//!
//! With `Emit::Changes` results go out as they change, so there a group is a window's and a row
//! goes to each of its open windows: adding up panes for every batch would cost more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMillisecondArray, UInt32Array};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use corelane_stream::operator::StateWriter;
use corelane_stream::{
    ChangelogBatch, Error, Operator, OperatorContext, OperatorCounters, OperatorSpec, Output, Progress, Result,
    RowKind, RowPolicy, StateBound, Watermark,
};

use crate::aggregate::call_set::{CallSet, state_fields};
use crate::aggregate::changes::{Changes, Results, changes, emit, report, results};
use crate::aggregate::group_table::GroupTable;
use crate::aggregate::paged::{Paged, with_pages};
use crate::aggregate::{AggregateCall, describe, growth};
use crate::group_aggregate::Phase;
use crate::local_aggregate::{LocalAggregate, LocalPlan};
use crate::panes::Panes;
use crate::window::{Window, WindowClock};

/// When results go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// Once, as the window closes.
    Final,
    /// After each batch that changes them, as a retracting changelog.
    Changes,
}

/// Results by key and window. The output is the keys, one column a call, then `window_start`,
/// `window_end` and `window_time`; that of the local phase is the keys, `pane_start`, then the
/// calls' partial states.
#[derive(Clone, Debug)]
pub struct WindowAggregateSpec {
    /// The rows that are aggregated, inserts only: in the global phase the local one's input.
    pub input: SchemaRef,
    /// The event-time column of `input`; `None` means processing time, in a single phase.
    pub time: Option<usize>,
    pub window: Window,
    /// How the window reads times.
    pub clock: WindowClock,
    /// Columns of `input`.
    pub keys: Vec<usize>,
    /// Over columns of `input`.
    pub calls: Vec<AggregateCall>,
    pub phase: Phase,
    pub emit: Emit,
    pub policy: Arc<RowPolicy>,
}

fn time_field(name: &str, data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new(name, data_type, false))
}

impl OperatorSpec for WindowAggregateSpec {
    fn name(&self) -> &'static str {
        match self.phase {
            Phase::Single => "WindowAggregate",
            Phase::Local => "LocalWindowAggregate",
            Phase::Global => "GlobalWindowAggregate",
        }
    }

    fn detail(&self) -> String {
        let time = self.time.map_or("processing time", |time| self.input.field(time).name());
        let emit = match self.emit {
            Emit::Final => "final",
            Emit::Changes => "changes",
        };
        let rest = describe(&self.input, &self.keys, &self.calls);
        format!("window={}{}, time={time}, {rest}, emit={emit}", self.window, self.clock)
    }

    fn schema(&self) -> SchemaRef {
        let keys = self.keys.iter().map(|key| self.input.fields()[*key].clone());
        let bound = DataType::Timestamp(TimeUnit::Millisecond, None);
        let fields: Vec<_> = match self.phase {
            Phase::Single | Phase::Global => {
                let times = [
                    time_field("window_start", bound.clone()),
                    time_field("window_end", bound),
                    time_field("window_time", self.clock.time_type()),
                ];
                keys.chain(self.calls.iter().map(|call| call.output.clone())).chain(times).collect()
            }
            Phase::Local => {
                // A call that does not fit its arguments is reported by `build`.
                let states = state_fields(&self.calls, &self.input).unwrap_or_default();
                keys.chain([time_field("pane_start", bound)]).chain(states.into_iter().map(Arc::new)).collect()
            }
        };
        Arc::new(Schema::new(fields))
    }

    fn state(&self) -> StateBound {
        StateBound::Bounded(match self.phase {
            Phase::Local => "groups of a few batches".to_owned(),
            Phase::Single | Phase::Global => {
                let kept = growth(&[], self.calls.iter().filter_map(|call| call.keeps(&self.input, false)));
                let each = kept.map_or_else(String::new, |kept| format!(" each with {kept},"));
                let freed_by = if self.time.is_some() { "the watermark" } else { "the clock" };
                format!("keys of the windows open at once,{each} freed by {freed_by}")
            }
        })
    }

    fn needs_ticks(&self) -> bool {
        self.time.is_none()
    }

    fn build(&self, context: &OperatorContext) -> Result<Box<dyn Operator>> {
        let panes = Panes::new(self.window, self.clock.zone(), self.time, &self.policy, context)?;
        match self.phase {
            Phase::Single | Phase::Global => Ok(Box::new(WindowAggregate::new(self, panes, context)?)),
            Phase::Local if self.time.is_none() => {
                Err(Error::internal("windows on processing time have no local phase: workers' clocks differ"))
            }
            Phase::Local => {
                let plan = LocalPlan {
                    input: &self.input,
                    keys: &self.keys,
                    calls: &self.calls,
                    panes: Some(panes),
                    output: self.schema(),
                };
                Ok(Box::new(LocalAggregate::new(plan, context)?))
            }
        }
    }
}

/// A window whose results are going out.
struct Closing {
    end: i64,
    /// Its panes added up, or `None` where the window has but one.
    merged: Option<(GroupTable, CallSet)>,
    groups: Vec<u32>,
    next: usize,
}

struct WindowAggregate {
    spec: WindowAggregateSpec,
    schema: SchemaRef,
    panes: Panes,
    /// Keys are the slot and then the spec's; a slot is the start of a pane, or for
    /// `Emit::Changes` the end of a window.
    table: GroupTable,
    calls: CallSet,
    /// The groups of each slot, in order of arrival.
    slots: BTreeMap<i64, Vec<u32>>,
    /// Ends of windows that have rows and are not closed.
    due: BTreeSet<i64>,
    /// For `Emit::Changes`, whether a group's result is out.
    emitted: Paged<bool>,
    /// For `Emit::Changes`, whether a group has no result, which has been reported.
    failed: Paged<bool>,
    /// For `Emit::Changes`, the last batch that touched a group.
    touched_by: Paged<u32>,
    batches: u32,
    closing: Option<Closing>,
    groups: Vec<u32>,
    pane_starts: Vec<i64>,
    batch_rows: usize,
    snapshot_at: usize,
}

/// Types of the slot and of the keys.
fn slot_types(spec: &WindowAggregateSpec) -> Vec<DataType> {
    let keys = spec.keys.iter().map(|key| spec.input.field(*key).data_type().clone());
    std::iter::once(DataType::Int64).chain(keys).collect()
}

impl WindowAggregate {
    fn new(spec: &WindowAggregateSpec, panes: Panes, context: &OperatorContext) -> Result<Self> {
        Ok(WindowAggregate {
            schema: spec.schema(),
            panes,
            table: GroupTable::new(&slot_types(spec))?,
            calls: CallSet::new(&spec.calls, &spec.input, false)?,
            slots: BTreeMap::new(),
            due: BTreeSet::new(),
            emitted: Paged::default(),
            failed: Paged::default(),
            touched_by: Paged::default(),
            batches: 0,
            closing: None,
            groups: Vec::new(),
            pane_starts: Vec::new(),
            batch_rows: context.batch_rows,
            snapshot_at: 0,
            spec: spec.clone(),
        })
    }

    /// The rows that count, their keys and panes.
    fn keyed(&mut self, rows: RecordBatch) -> Result<(RecordBatch, Vec<ArrayRef>)> {
        let width = self.spec.keys.len();
        if self.spec.phase != Phase::Global {
            let rows = self.panes.assign(rows, &mut self.pane_starts)?;
            let keys = self.spec.keys.iter().map(|key| rows.column(*key).clone()).collect();
            return Ok((rows, keys));
        }
        let starts = rows.column(width).as_primitive::<TimestampMillisecondType>().values();
        let late: Vec<usize> =
            (0..rows.num_rows()).filter(|row| self.panes.is_closed(self.panes.last_end(starts[*row]))).collect();
        let rows = if late.is_empty() {
            rows
        } else {
            // Only rows of a source that had been idle: the others are found by the local phase.
            for row in &late {
                self.panes.late(&rows, *row)?;
            }
            let kept = (0..rows.num_rows() as u32).filter(|row| late.binary_search(&(*row as usize)).is_err());
            take_record_batch(&rows, &UInt32Array::from_iter_values(kept))?
        };
        self.pane_starts.clear();
        self.pane_starts.extend_from_slice(rows.column(width).as_primitive::<TimestampMillisecondType>().values());
        let keys = rows.columns()[..width].to_vec();
        Ok((rows, keys))
    }

    /// Repeats each row for each of its open windows; the slots are then the windows' ends.
    fn spread(&mut self, rows: RecordBatch, keys: Vec<ArrayRef>) -> Result<(RecordBatch, Vec<ArrayRef>)> {
        if let Window::Tumble { size_ms, .. } = self.spec.window {
            // Each row has one window, and is here because that is open.
            self.pane_starts.iter_mut().for_each(|start| *start += size_ms);
            return Ok((rows, keys));
        }
        let (mut picks, mut ends) = (Vec::new(), Vec::new());
        for (row, pane) in self.pane_starts.iter().enumerate() {
            for window in self.spec.window.windows_of_pane(*pane) {
                if !self.panes.is_closed(window.end) {
                    picks.push(row as u32);
                    ends.push(window.end);
                }
            }
        }
        self.pane_starts = ends;
        let picks = UInt32Array::from(picks);
        let keys = keys.iter().map(|key| take(key, &picks, None)).collect::<Result<_, _>>()?;
        Ok((take_record_batch(&rows, &picks)?, keys))
    }

    /// Finds the groups of rows by slot and key, and notes new ones with their slots.
    fn find_groups(&mut self, slots: &[i64], keys: &[ArrayRef]) -> Result<()> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(slots.to_vec()))];
        columns.extend_from_slice(keys);
        self.table.find_or_insert(&columns, slots.len(), &mut self.groups)?;
        self.calls.resize(self.table.ids());
        self.emitted.grow(self.table.ids());
        self.failed.grow(self.table.ids());
        let mut fresh = self.table.fresh().iter().copied().peekable();
        for (group, slot) in self.groups.iter().zip(slots) {
            if fresh.peek().is_none() {
                break;
            }
            if fresh.next_if_eq(group).is_none() {
                continue;
            }
            let groups = self.slots.entry(*slot).or_default();
            if groups.is_empty() {
                match self.spec.emit {
                    Emit::Final => {
                        let ends = self.spec.window.windows_of_pane(*slot).map(|window| window.end);
                        self.due.extend(ends.filter(|end| !self.panes.is_closed(*end)));
                    }
                    Emit::Changes => {
                        self.due.insert(*slot);
                    }
                }
            }
            groups.push(*group);
        }
        Ok(())
    }

    fn accumulate(&mut self, rows: &RecordBatch) -> Result<()> {
        match self.spec.phase {
            Phase::Global => self.calls.merge(&self.groups, &rows.columns()[self.spec.keys.len() + 1..]),
            Phase::Single | Phase::Local => self.calls.update(rows, &self.groups, None),
        }
    }

    /// Emits what this batch changed in running results.
    fn emit_running(&mut self, rows: &RecordBatch, out: &mut dyn Output) -> Result<()> {
        self.batches = self.batches.wrapping_add(1);
        self.touched_by.grow(self.table.ids());
        let batch = self.batches;
        let groups = &self.groups;
        let touched: Vec<u32> = with_pages!(self.touched_by, touched_by => {
            let mut once = |group: &u32| std::mem::replace(&mut touched_by[*group as usize], batch) != batch;
            groups.iter().copied().filter(|group| once(group)).collect()
        });
        let emitted = touched.iter().copied().filter(|group| self.emitted[*group as usize]).collect();
        let old = Results::of(&mut self.calls, emitted)?;
        self.accumulate(rows)?;
        let (new, failed) = results(&mut self.calls, touched.clone())?;
        for (group, error) in &failed {
            if !std::mem::replace(&mut self.failed[*group as usize], true) {
                let key = self.table.keys(&[*group])?.split_off(1);
                report(&mut self.panes.bad, &self.schema, key, error)?;
            }
        }
        let changes = changes(&touched, &old, &new)?;
        for group in &touched {
            self.emitted[*group as usize] = false;
        }
        for group in &new.groups {
            self.emitted[*group as usize] = true;
            self.failed[*group as usize] = false;
        }
        if changes.groups.is_empty() {
            return Ok(());
        }
        let keys = changes.keys(&self.table)?;
        let Changes { kinds, columns, .. } = changes;
        let ends = keys[0].as_primitive::<Int64Type>().values();
        let times = self.time_columns(ends.iter().copied());
        let columns = keys[1..].iter().cloned().chain(columns).chain(times).collect();
        emit(&self.schema, columns, &kinds, self.batch_rows, out)
    }

    /// `window_start`, `window_end` and `window_time` of windows by their ends.
    fn time_columns(&self, ends: impl Iterator<Item = i64> + Clone) -> [ArrayRef; 3] {
        let column = |times: &mut dyn Iterator<Item = i64>| -> ArrayRef {
            Arc::new(TimestampMillisecondArray::from_iter_values(times))
        };
        let clock = self.spec.clock;
        let mut last = None;
        let mut window_time = |end: i64| match last {
            Some((known, time)) if known == end => time,
            _ => last.insert((end, clock.window_time(end))).1,
        };
        let window_times = TimestampMillisecondArray::from_iter_values(ends.clone().map(&mut window_time));
        [
            column(&mut ends.clone().map(|end| self.spec.window.bounds_ending_at(end).start)),
            column(&mut { ends }),
            Arc::new(window_times.with_data_type(clock.time_type())),
        ]
    }

    /// Closes windows in the order of their ends until all are out or the output is full.
    fn close(&mut self, out: &mut dyn Output) -> Result<Progress> {
        loop {
            let closing = match self.closing.take() {
                Some(closing) => closing,
                None => {
                    let Some(end) = self.due.first().copied().filter(|end| self.panes.is_closed(*end)) else {
                        return Ok(Progress::Done);
                    };
                    self.due.pop_first();
                    self.begin_closing(end)?
                }
            };
            if let Some(rest) = self.emit_closing(closing, out)? {
                self.closing = Some(rest);
                return Ok(Progress::More);
            }
            if !out.has_room() && self.due.first().is_some_and(|end| self.panes.is_closed(*end)) {
                return Ok(Progress::More);
            }
        }
    }

    /// Collects the results of a window: of its only pane as they lie, of several added up.
    fn begin_closing(&mut self, end: i64) -> Result<Closing> {
        if self.spec.emit == Emit::Changes {
            // The results are out.
            return Ok(Closing { end, merged: None, groups: Vec::new(), next: 0 });
        }
        let bounds = self.spec.window.bounds_ending_at(end);
        let mut panes = self.slots.range(bounds.start..bounds.end);
        if let (Some((_, groups)), None) = (panes.next(), panes.next()) {
            return Ok(Closing { end, merged: None, groups: groups.clone(), next: 0 });
        }
        let mut table = GroupTable::new(&slot_types(&self.spec)[1..])?;
        let mut merged = CallSet::new(&self.spec.calls, &self.spec.input, false)?;
        let mut groups = Vec::new();
        for (_, pane) in self.slots.range(bounds.start..bounds.end) {
            for chunk in pane.chunks(self.batch_rows) {
                table.find_or_insert(&self.table.keys(chunk)?[1..], chunk.len(), &mut groups)?;
                merged.resize(table.ids());
                merged.merge(&groups, &self.calls.states(chunk)?)?;
            }
        }
        let groups = (0..table.ids() as u32).collect();
        Ok(Closing { end, merged: Some((table, merged)), groups, next: 0 })
    }

    /// Emits a closing window; gives it back if the output is full.
    fn emit_closing(&mut self, mut closing: Closing, out: &mut dyn Output) -> Result<Option<Closing>> {
        while closing.next < closing.groups.len() {
            let to = closing.groups.len().min(closing.next + self.batch_rows);
            let groups = closing.groups[closing.next..to].to_vec();
            let (table, calls, slot_columns) = match &mut closing.merged {
                Some((table, calls)) => (&*table, calls, 0),
                None => (&self.table, &mut self.calls, 1),
            };
            let (results, failed) = results(calls, groups)?;
            for (group, error) in &failed {
                let key = table.keys(&[*group])?.split_off(slot_columns);
                report(&mut self.panes.bad, &self.schema, key, error)?;
            }
            if !results.groups.is_empty() {
                let keys = table.keys(&results.groups)?.into_iter().skip(slot_columns);
                let times = self.time_columns(std::iter::repeat_n(closing.end, results.groups.len()));
                let columns = keys.chain(results.columns).chain(times).collect();
                let kinds = vec![RowKind::Insert; results.groups.len()];
                emit(&self.schema, columns, &kinds, self.batch_rows, out)?;
            }
            closing.next = to;
            if to < closing.groups.len() && !out.has_room() {
                return Ok(Some(closing));
            }
        }
        self.free(closing.end)?;
        Ok(None)
    }

    /// Drops the slots that no later window needs.
    fn free(&mut self, end: i64) -> Result<()> {
        let dead: Vec<i64> = match self.spec.emit {
            Emit::Changes => vec![end],
            Emit::Final => {
                let start = self.spec.window.bounds_ending_at(end).start;
                let panes = self.slots.range(start..end).map(|(pane, _)| *pane);
                panes.filter(|pane| self.panes.last_end(*pane) <= end).collect()
            }
        };
        for slot in dead {
            let Some(groups) = self.slots.remove(&slot) else { continue };
            self.calls.clear(&groups);
            for group in &groups {
                self.emitted[*group as usize] = false;
                self.failed[*group as usize] = false;
            }
            self.table.remove(&groups);
        }
        Ok(())
    }

    fn snapshot_groups(&mut self, groups: &[u32], state: &mut dyn StateWriter) -> Result<()> {
        let mut columns = self.table.keys(groups)?;
        let emitted = groups.iter().map(|group| Some(self.emitted[*group as usize]));
        columns.push(Arc::new(emitted.collect::<BooleanArray>()));
        columns.extend(self.calls.states(groups)?);
        let names = columns.iter().enumerate().map(|(position, column)| {
            Arc::new(Field::new(format!("state{position}"), column.data_type().clone(), true))
        });
        let schema = Arc::new(Schema::new(names.collect::<Vec<_>>()));
        state.write("groups", ChangelogBatch::append(RecordBatch::try_new(schema, columns)?))
    }
}

impl Operator for WindowAggregate {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        if batch.kinds().is_some_and(|kinds| kinds.iter().any(|kind| !kind.is_addition())) {
            return Err(Error::internal("rows are taken away from a window"));
        }
        let (rows, keys) = self.keyed(batch.into_parts().0)?;
        match self.spec.emit {
            Emit::Final => {
                let panes = std::mem::take(&mut self.pane_starts);
                self.find_groups(&panes, &keys)?;
                self.pane_starts = panes;
                self.accumulate(&rows)?;
            }
            Emit::Changes => {
                let (rows, keys) = self.spread(rows, keys)?;
                let ends = std::mem::take(&mut self.pane_starts);
                self.find_groups(&ends, &keys)?;
                self.pane_starts = ends;
                self.emit_running(&rows, out)?;
            }
        }
        Ok(Progress::Done)
    }

    fn advance(&mut self, watermark: Watermark, out: &mut dyn Output) -> Result<Progress> {
        // Event time says nothing of processing time, but the end is the end of both.
        if self.spec.time.is_some() || watermark == Watermark::END {
            self.panes.pass(watermark.0);
        }
        self.close(out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.close(out)
    }

    fn tick(&mut self, now_ms: i64, out: &mut dyn Output) -> Result<Option<i64>> {
        if self.spec.time.is_some() {
            return Ok(None);
        }
        self.panes.pass(now_ms - 1);
        match self.close(out)? {
            // A tick cannot stop half way: the rest goes out with the next.
            Progress::More => Ok(Some(now_ms)),
            Progress::Done => {
                let next = self.due.first().map(|end| self.panes.closes_at(*end));
                Ok(next.or(Some(now_ms + self.spec.window.pane_ms())))
            }
        }
    }

    fn snapshot(&mut self, state: &mut dyn StateWriter) -> Result<Progress> {
        let end = self.table.ids().min(self.snapshot_at + self.batch_rows);
        let groups: Vec<u32> =
            (self.snapshot_at as u32..end as u32).filter(|group| self.table.is_alive(*group)).collect();
        if !groups.is_empty() {
            self.snapshot_groups(&groups, state)?;
        }
        self.snapshot_at = end;
        if end < self.table.ids() {
            return Ok(Progress::More);
        }
        self.snapshot_at = 0;
        let passed: ArrayRef = Arc::new(Int64Array::from(vec![self.panes.passed_ms()]));
        let passed = RecordBatch::try_from_iter([("passed_ms", passed)])?;
        state.write("time", ChangelogBatch::append(passed))?;
        Ok(Progress::Done)
    }

    fn restore(&mut self, part: &str, state: ChangelogBatch) -> Result<()> {
        let (rows, width) = (state.rows(), self.spec.keys.len() + 1);
        match part {
            "time" if rows.num_columns() == 1 => {
                for passed_ms in rows.column(0).as_primitive::<Int64Type>().values() {
                    self.panes.pass(*passed_ms);
                }
                self.due.retain(|end| !self.panes.is_closed(*end));
                Ok(())
            }
            "groups" if rows.num_columns() > width => {
                let columns = rows.columns();
                let slots = columns[0].as_primitive::<Int64Type>().values().clone();
                self.find_groups(&slots, &columns[1..width])?;
                let emitted = columns[width].as_boolean();
                for (row, group) in self.groups.iter().enumerate() {
                    self.emitted[*group as usize] |= emitted.value(row);
                }
                self.calls.merge(&self.groups, &columns[width + 1..])
            }
            _ => Err(Error::internal(format!("the part {part:?} is no state of a window"))),
        }
    }

    fn counters(&self) -> OperatorCounters {
        let mut counters = OperatorCounters {
            state_keys: self.table.len() as u64,
            state_bytes: (self.table.size_bytes() + self.calls.size_bytes()) as u64,
            ..OperatorCounters::default()
        };
        self.panes.bad.count(&mut counters);
        counters
    }
}

#[cfg(test)]
mod tests;
