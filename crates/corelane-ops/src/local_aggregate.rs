//! Pre-aggregation on the worker that read the rows: less to exchange, and no hot keys.
//!
//! It holds partial states for a few batches and gives them out. Where keys hardly repeat that
//! is work for nothing, so it watches its own reduction: if that is poor, each row passes as a
//! partial state of its own, and now and then it tries again.
//!
//! For windows the pane is one more key, behind the others, and late rows are found here: what
//! is held goes out before the watermark that could close its window.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;
use corelane_stream::operator::StateWriter;
use corelane_stream::{
    ChangelogBatch, Error, Operator, OperatorContext, OperatorCounters, Output, Progress, Result, Watermark,
};

use crate::aggregate::AggregateCall;
use crate::aggregate::call_set::CallSet;
use crate::aggregate::group_table::GroupTable;
use crate::panes::Panes;

/// Batches held before their states go out: at 200 keys the exchange then carries a state for
/// each 650 rows.
const BATCHES_HELD_MAX: usize = 16;

/// Groups held: their accumulators should stay in the second-level cache.
const GROUPS_HELD_MAX: usize = 65_536;

/// Bytes held, for states that have no fixed size.
const BYTES_HELD_MAX: usize = 64 << 20;

/// Fewer rows than this say nothing about how keys repeat.
const JUDGED_ROWS_MIN: usize = 4_096;

/// With fewer rows a group than this, adding up costs more than it saves.
const ROWS_PER_GROUP_MIN: usize = 2;

/// Batches that pass before adding up is tried again.
const BATCHES_PASSED: usize = 256;

/// What a local phase does.
pub struct LocalPlan<'a> {
    pub input: &'a SchemaRef,
    pub keys: &'a [usize],
    pub calls: &'a [AggregateCall],
    /// For windows.
    pub panes: Option<Panes>,
    /// Keys, the start of the pane for windows, partial states.
    pub output: SchemaRef,
}

pub struct LocalAggregate {
    keys: Vec<usize>,
    panes: Option<Panes>,
    schema: SchemaRef,
    table: GroupTable,
    calls: CallSet,
    groups: Vec<u32>,
    pane_starts: Vec<i64>,
    /// The first window end of all that is held.
    first_end: i64,
    batch_rows: usize,
    batches_held: usize,
    rows_held: usize,
    /// Batches still to pass as they are.
    passing: usize,
    /// While states go out: the next group.
    flushing: Option<usize>,
    snapshot_at: usize,
}

impl LocalAggregate {
    /// # Errors
    /// If a call or key does not fit the input.
    pub fn new(plan: LocalPlan<'_>, context: &OperatorContext) -> Result<Self> {
        let key_types = plan.output.fields()[..plan.keys.len() + usize::from(plan.panes.is_some())].iter();
        Ok(LocalAggregate {
            keys: plan.keys.to_vec(),
            table: GroupTable::new(key_types.map(|field| field.data_type()))?,
            calls: CallSet::new(plan.calls, plan.input, false)?,
            panes: plan.panes,
            schema: plan.output,
            groups: Vec::new(),
            pane_starts: Vec::new(),
            first_end: i64::MAX,
            batch_rows: context.batch_rows,
            batches_held: 0,
            rows_held: 0,
            passing: 0,
            flushing: None,
            snapshot_at: 0,
        })
    }

    /// The rows that count, and their keys.
    fn keyed(&mut self, rows: RecordBatch) -> Result<(RecordBatch, Vec<ArrayRef>)> {
        let key_columns = |rows: &RecordBatch| self.keys.iter().map(|key| rows.column(*key).clone()).collect();
        let Some(panes) = &mut self.panes else {
            let keys = key_columns(&rows);
            return Ok((rows, keys));
        };
        let rows = panes.assign(rows, &mut self.pane_starts)?;
        let mut keys: Vec<ArrayRef> = key_columns(&rows);
        if let Some(earliest) = panes.earliest() {
            self.first_end = self.first_end.min(earliest.saturating_add(panes.window().pane_ms()));
        }
        keys.push(Arc::new(TimestampMillisecondArray::from(self.pane_starts.clone())));
        Ok((rows, keys))
    }

    fn partials(&self, keys: Vec<ArrayRef>, states: Vec<ArrayRef>, rows: usize) -> Result<ChangelogBatch> {
        let columns = keys.into_iter().chain(states).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(ChangelogBatch::append(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?))
    }

    /// Gives each row as a partial state of its own.
    fn pass(&mut self, rows: &RecordBatch, keys: Vec<ArrayRef>, out: &mut dyn Output) -> Result<()> {
        self.groups.clear();
        self.groups.extend(0..rows.num_rows() as u32);
        self.calls.resize(self.groups.len());
        self.calls.update(rows, &self.groups, None)?;
        let states = self.calls.states(&self.groups)?;
        self.calls.clear(&self.groups);
        out.emit(self.partials(keys, states, rows.num_rows())?);
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let mut next = self.flushing.take().unwrap_or(0);
        let end = self.table.ids();
        while next < end {
            let to = end.min(next + self.batch_rows);
            let groups: Vec<u32> = (next as u32..to as u32).collect();
            let (keys, states) = (self.table.keys(&groups)?, self.calls.states(&groups)?);
            self.calls.clear(&groups);
            out.emit(self.partials(keys, states, groups.len())?);
            next = to;
            if next < end && !out.has_room() {
                self.flushing = Some(next);
                return Ok(Progress::More);
            }
        }
        if self.rows_held >= JUDGED_ROWS_MIN && self.rows_held < end * ROWS_PER_GROUP_MIN {
            self.passing = BATCHES_PASSED;
        }
        self.table.clear();
        self.first_end = i64::MAX;
        self.batches_held = 0;
        self.rows_held = 0;
        Ok(Progress::Done)
    }
}

impl Operator for LocalAggregate {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        if batch.kinds().is_some_and(|kinds| kinds.iter().any(|kind| !kind.is_addition())) {
            return Err(Error::internal("rows are taken away from a local aggregate"));
        }
        let (rows, keys) = self.keyed(batch.into_parts().0)?;
        if self.passing > 0 {
            self.passing -= 1;
            self.pass(&rows, keys, out)?;
            return Ok(Progress::Done);
        }
        self.table.find_or_insert(&keys, rows.num_rows(), &mut self.groups)?;
        self.calls.resize(self.table.ids());
        self.calls.update(&rows, &self.groups, None)?;
        self.batches_held += 1;
        self.rows_held += rows.num_rows();
        let full = self.batches_held >= BATCHES_HELD_MAX
            || self.table.len() >= GROUPS_HELD_MAX
            || self.calls.size_bytes() >= BYTES_HELD_MAX;
        if full { self.flush(out) } else { Ok(Progress::Done) }
    }

    fn advance(&mut self, watermark: Watermark, out: &mut dyn Output) -> Result<Progress> {
        let closes = match &mut self.panes {
            Some(panes) => {
                panes.pass(watermark.0);
                panes.is_closed(self.first_end)
            }
            None => false,
        };
        // Without windows nothing behind this waits for event time, only for the end.
        if closes || watermark == Watermark::END { self.flush(out) } else { Ok(Progress::Done) }
    }

    fn resume(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.flush(out)
    }

    fn idle(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.flush(out)
    }

    fn snapshot(&mut self, state: &mut dyn StateWriter) -> Result<Progress> {
        let end = self.table.ids().min(self.snapshot_at + self.batch_rows);
        let groups: Vec<u32> = (self.snapshot_at as u32..end as u32).collect();
        if !groups.is_empty() {
            let (keys, states) = (self.table.keys(&groups)?, self.calls.states(&groups)?);
            state.write("groups", self.partials(keys, states, groups.len())?)?;
        }
        self.snapshot_at = end;
        if end < self.table.ids() {
            return Ok(Progress::More);
        }
        self.snapshot_at = 0;
        Ok(Progress::Done)
    }

    fn restore(&mut self, part: &str, state: ChangelogBatch) -> Result<()> {
        if part != "groups" || state.schema() != self.schema {
            return Err(Error::internal(format!("the part {part:?} is no state of a local aggregate")));
        }
        let width = self.keys.len() + usize::from(self.panes.is_some());
        let (keys, states) = state.rows().columns().split_at(width);
        if self.panes.is_some() {
            // Their panes may end at any time now, so the next watermark sends them out.
            self.first_end = i64::MIN;
        }
        self.table.find_or_insert(keys, state.num_rows(), &mut self.groups)?;
        self.calls.resize(self.table.ids());
        self.calls.merge(&self.groups, states)?;
        self.rows_held += state.num_rows();
        Ok(())
    }

    fn counters(&self) -> OperatorCounters {
        let mut counters = OperatorCounters {
            state_keys: self.table.len() as u64,
            state_bytes: (self.table.size_bytes() + self.calls.size_bytes()) as u64,
            ..OperatorCounters::default()
        };
        if let Some(panes) = &self.panes {
            panes.bad.count(&mut counters);
        }
        counters
    }
}
