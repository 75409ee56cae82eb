//! `OVER (PARTITION BY .. ORDER BY time ROWS | RANGE BETWEEN .. PRECEDING AND CURRENT ROW)`.
//!
//! In event time rows wait until the watermark has passed them; then no row can come before them
//! any more, and they are computed and leave in the order of time and position, whatever order
//! they came in. In processing time rows are computed as they come.

mod frame;
mod history;
mod keys;
mod pending;
mod pick;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use corelane_stream::operator::StateWriter;
use corelane_stream::{
    ChangelogBatch, Clock, Error, Operator, OperatorContext, OperatorCounters, OperatorSpec, Output, Progress, Result,
    RowPolicy, StateBound, Watermark,
};
use datafusion_common::ScalarValue;

pub use self::frame::OverFrame;
use self::frame::{Frame, NewRows};
use self::history::History;
use self::keys::Keys;
use self::pending::{Due, Pending};
use self::pick::{Pick, Rule};
use crate::aggregate::{Accumulators, AggregateCall, AggregateFunction, Step, accumulators, growth};
use crate::bad_rows::{BadRows, over_source};
use crate::window_assign::milliseconds;

/// What is computed for each row.
#[derive(Clone, Debug)]
pub enum OverFunction {
    Aggregate(AggregateCall),
    /// 1 for the first row of a key, 2 for its second.
    RowNumber,
    /// The value of a column so many rows before; the frame is not looked at.
    Lag {
        argument: usize,
        offset: u64,
        default: Option<ScalarValue>,
    },
}

/// One column that the operator appends.
#[derive(Clone, Debug)]
pub struct OverCall {
    pub function: OverFunction,
    pub frame: OverFrame,
    pub output: FieldRef,
}

/// Computes each row over the rows of its key that came before; input and output only insert.
#[derive(Clone, Debug)]
pub struct OverAggregateSpec {
    /// The columns that rows keep; behind them may come their origin, for reports of late ones.
    pub input: SchemaRef,
    pub partition: Vec<usize>,
    /// The event-time column; `None` for processing time.
    pub time: Option<usize>,
    /// Columns that order rows of the same time: the row's position.
    pub order: Vec<usize>,
    pub calls: Vec<OverCall>,
    pub policy: Arc<RowPolicy>,
    /// What late and bad rows are said to come from.
    pub source: String,
}

impl OperatorSpec for OverAggregateSpec {
    fn name(&self) -> &'static str {
        "OverAggregate"
    }

    fn detail(&self) -> String {
        let name = |column: &usize| self.input.field(*column).name().clone();
        let partition: Vec<String> = self.partition.iter().map(name).collect();
        let calls: Vec<String> = self.calls.iter().map(|call| Described(call, &self.input).to_string()).collect();
        let time = self.time.as_ref().map_or_else(|| "processing time".to_owned(), name);
        format!("partitionBy=[{}], orderBy=[{time}], select=[{}]", partition.join(", "), calls.join(", "))
    }

    fn schema(&self) -> SchemaRef {
        let added = self.calls.iter().map(|call| Arc::clone(&call.output));
        Arc::new(Schema::new(self.input.fields().iter().cloned().chain(added).collect::<Vec<_>>()))
    }

    fn state(&self) -> StateBound {
        let name = |column: &usize| self.input.field(*column).name().as_str();
        let forgets = self.calls.iter().all(|call| call.forgets());
        let keys: Vec<&str> = self.partition.iter().filter(|_| !forgets).map(name).collect();
        match growth(&keys, self.calls.iter().filter_map(|call| call.keeps(&self.input))) {
            Some(growth) => StateBound::Grows(growth),
            None if self.time.is_some() => {
                StateBound::Bounded("its frames, and the rows that the watermark has not passed".to_owned())
            }
            None => StateBound::Bounded("its frames".to_owned()),
        }
    }

    fn late_by(&self) -> Option<usize> {
        self.time
    }

    fn build(&self, context: &OperatorContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(Over::new(self, context)?))
    }
}

impl OverCall {
    /// True if the watermark frees all that is kept for a key.
    fn forgets(&self) -> bool {
        let aggregates = matches!(self.function, OverFunction::Aggregate(_));
        aggregates && matches!(self.frame, OverFrame::Range { preceding_ms: Some(_) })
    }

    /// What of all rows is kept for ever.
    fn keeps(&self, input: &Schema) -> Option<String> {
        match &self.function {
            OverFunction::Aggregate(call) if self.frame.preceding().is_none() => call.keeps(input, false),
            OverFunction::Aggregate(_) | OverFunction::RowNumber | OverFunction::Lag { .. } => None,
        }
    }
}

struct Described<'a>(&'a OverCall, &'a SchemaRef);

impl fmt::Display for Described<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Described(call, schema) = self;
        match &call.function {
            OverFunction::RowNumber => out.write_str("ROW_NUMBER()")?,
            OverFunction::Lag { argument, offset, .. } => {
                write!(out, "LAG({}, {offset})", schema.field(*argument).name())?;
            }
            OverFunction::Aggregate(aggregate) => {
                let names: Vec<&str> =
                    aggregate.arguments.iter().map(|column| schema.field(*column).name().as_str()).collect();
                let distinct = if aggregate.distinct { "DISTINCT " } else { "" };
                write!(out, "{}({distinct}{}) ", aggregate.function.name(), names.join(", "))?;
                match call.frame {
                    OverFrame::Rows { preceding: Some(rows) } => write!(out, "ROWS {rows} PRECEDING")?,
                    OverFrame::Range { preceding_ms: Some(ms) } => write!(out, "RANGE {ms} ms PRECEDING")?,
                    OverFrame::Rows { preceding: None } => out.write_str("ROWS UNBOUNDED PRECEDING")?,
                    OverFrame::Range { preceding_ms: None } => out.write_str("RANGE UNBOUNDED PRECEDING")?,
                }
            }
        }
        write!(out, " AS {}", call.output.name())
    }
}

/// A call at work. Columns are those of the history.
struct Running {
    output: FieldRef,
    /// Its frame among the operator's.
    frame: usize,
    filter: Option<usize>,
    work: Work,
}

enum Work {
    RowNumber,
    Pick { argument: usize, pick: Pick },
    Accumulate { columns: Vec<usize>, accumulators: Box<dyn Accumulators>, unbounded: bool },
}

/// What is known of a key besides its frames.
#[derive(Clone, Copy, Default)]
struct KeyRows {
    count: i64,
    latest: i64,
}

struct Over {
    schema: SchemaRef,
    input_columns: usize,
    partition: Vec<usize>,
    time: Option<usize>,
    batch_rows: usize,
    /// This worker, of how many.
    place: (usize, usize),
    clock: Arc<dyn Clock>,
    bad: BadRows,
    watermark: i64,
    pending: Pending,
    due: Option<Due>,
    keys: Keys,
    key_rows: Vec<KeyRows>,
    /// Columns of the input that calls read.
    read: Vec<usize>,
    history: History,
    frames: Vec<Frame>,
    running: Vec<Running>,
    /// How long a key is remembered after its latest row, if not for ever.
    memory_ms: Option<i64>,
    /// Keys are looked through when the watermark gets here.
    next_sweep: i64,
    ids: Vec<u32>,
    numbers: Vec<i64>,
    steps: Vec<Step>,
    /// A snapshot under way: the keys to write, and which is next.
    writing: Option<(Vec<u32>, usize)>,
}

impl Over {
    fn new(spec: &OverAggregateSpec, context: &OperatorContext) -> Result<Self> {
        let mut read = Vec::new();
        let mut place = |column: usize| {
            read.iter().position(|known| *known == column).unwrap_or_else(|| {
                read.push(column);
                read.len() - 1
            })
        };
        let mut frames: Vec<Frame> = Vec::new();
        let mut running = Vec::new();
        for call in &spec.calls {
            let kind = match call.function {
                OverFunction::Lag { offset, .. } => OverFrame::Rows { preceding: Some(offset) },
                OverFunction::RowNumber => OverFrame::Rows { preceding: None },
                OverFunction::Aggregate(_) => call.frame,
            };
            let frame = frames.iter().position(|frame| frame.kind() == kind).unwrap_or_else(|| {
                frames.push(Frame::new(kind, spec.time.is_some()));
                frames.len() - 1
            });
            let (work, filter) = match &call.function {
                OverFunction::RowNumber => (Work::RowNumber, None),
                OverFunction::Lag { argument, offset, default } => {
                    let rule = Rule::Lag { offset: *offset, default: default.clone() };
                    (Work::Pick { argument: place(*argument), pick: Pick::new(rule, false) }, None)
                }
                OverFunction::Aggregate(call) => {
                    let mut call = call.clone();
                    if call.order.is_empty() && matches!(call.function, AggregateFunction::ListAgg { .. }) {
                        // The order of arrival that it joins by is that of the window.
                        call.order = spec.time.iter().chain(&spec.order).copied().collect();
                    }
                    (work(&call, &spec.input, kind.preceding().is_none(), &mut place)?, call.filter.map(&mut place))
                }
            };
            running.push(Running { output: Arc::clone(&call.output), frame, filter, work });
        }
        let memory_ms = spec.calls.iter().map(|call| call.frame.preceding().filter(|_| call.forgets()));
        let memory_ms = memory_ms.collect::<Option<Vec<i64>>>().and_then(|lengths| lengths.into_iter().max());
        Ok(Over {
            schema: spec.schema(),
            input_columns: spec.input.fields().len(),
            partition: spec.partition.clone(),
            time: spec.time,
            batch_rows: context.batch_rows.max(1),
            place: (context.worker, context.workers),
            clock: Arc::clone(&context.clock),
            bad: BadRows::open(context, &spec.policy, &spec.source)?,
            watermark: Watermark::START.0,
            pending: Pending::new(Arc::clone(&spec.input), spec.order.clone()),
            due: None,
            keys: Keys::new(&spec.input, spec.partition.clone())?,
            key_rows: Vec::new(),
            history: History::new(&spec.input.project(&read)?),
            read,
            frames,
            running,
            memory_ms: memory_ms.filter(|_| spec.time.is_some()),
            next_sweep: i64::MIN,
            ids: Vec::new(),
            numbers: Vec::new(),
            steps: Vec::new(),
            writing: None,
        })
    }

    /// Sets aside new rows until their time has come; rows without a time or too late are reported.
    fn keep(&mut self, rows: RecordBatch, time: usize) -> Result<()> {
        let times = milliseconds(rows.column(time))?;
        let watermark = self.watermark;
        let on_time = |row: usize| times.is_valid(row) && watermark < times.value(row);
        if (0..rows.num_rows()).all(on_time) {
            self.pending.push(self.own(&rows)?, times);
            return Ok(());
        }
        let mask: BooleanArray = (0..rows.num_rows()).map(|row| Some(on_time(row))).collect();
        for row in (0..rows.num_rows()).filter(|row| !mask.value(*row)) {
            if times.is_null(row) {
                let name = rows.schema_ref().field(time).name().clone();
                self.bad.bad(&rows, row, &format!("its time, column `{name}`, is null"))?;
            } else {
                self.bad.late(&rows, row, "the watermark has passed its time")?;
            }
        }
        let rows = filter_record_batch(&self.own(&rows)?, &mask)?;
        let times = milliseconds(rows.column(time))?;
        self.pending.push(rows, times);
        Ok(())
    }

    /// The rows without their origin, which is of use until they are taken in, and then only weighs.
    fn own(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let own: Vec<usize> = (0..self.input_columns).collect();
        Ok(rows.project(&own)?)
    }

    /// Computes rows that are due, a batch at a time.
    fn fire(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let peers = self.frames.iter().any(Frame::has_peers);
        while let Some(due) = &mut self.due {
            if !out.has_room() {
                return Ok(Progress::More);
            }
            match due.next(self.batch_rows, peers) {
                Some((rows, times)) => {
                    let columns = self.compute(&rows, &times)?;
                    out.emit(self.output(rows, columns)?);
                }
                None => self.due = None,
            }
        }
        self.sweep();
        Ok(Progress::Done)
    }

    /// Rows with their results; those of which one is out of range are reported instead. They
    /// stay in the frames of the rows behind them.
    fn output(&mut self, rows: RecordBatch, columns: Vec<ArrayRef>) -> Result<ChangelogBatch> {
        let mut failures = self.running.iter().filter_map(Running::failures).peekable();
        let failed = failures.peek().is_some().then(|| {
            let mut reasons: BTreeMap<usize, String> = BTreeMap::new();
            for (failed, error) in failures {
                let reason = error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"));
                for row in failed {
                    reasons.entry(*row).or_insert_with(|| reason.clone());
                }
            }
            reasons
        });
        let all = rows.columns().iter().cloned().chain(columns).collect();
        let output = RecordBatch::try_new(Arc::clone(&self.schema), all)?;
        let Some(failed) = failed else { return Ok(ChangelogBatch::append(output)) };
        let schema = rows.schema_ref();
        let source = over_source(self.partition.iter().map(|column| schema.field(*column).name().as_str()));
        for (row, reason) in &failed {
            self.bad.bad_result(&source, &rows, *row, reason)?;
        }
        let kept: BooleanArray = (0..rows.num_rows()).map(|row| Some(!failed.contains_key(&row))).collect();
        Ok(ChangelogBatch::append(filter_record_batch(&output, &kept)?))
    }

    /// The columns of the calls for rows in order.
    fn compute(&mut self, rows: &RecordBatch, times: &[i64]) -> Result<Vec<ArrayRef>> {
        let mut ids = std::mem::take(&mut self.ids);
        self.keys.ids(rows, &mut ids)?;
        self.resize();
        self.numbers.clear();
        for (id, time) in ids.iter().zip(times) {
            let key = &mut self.key_rows[*id as usize];
            self.numbers.push(key.count);
            key.count += 1;
            key.latest = *time;
        }
        let columns = self.read.iter().map(|column| Arc::clone(rows.column(*column))).collect();
        let columns = self.slide(columns, &ids, times, |_| true)?;
        self.ids = ids;
        if self.history.wants_packing() {
            self.pack()?;
        }
        Ok(columns)
    }

    /// Takes rows, whose numbers are set, into the frames and gives the results of those calls.
    fn slide(
        &mut self,
        columns: Vec<ArrayRef>,
        ids: &[u32],
        times: &[i64],
        wanted: impl Fn(&Frame) -> bool,
    ) -> Result<Vec<ArrayRef>> {
        let first = self.history.push(columns, ids.len())?;
        let rows = NewRows { ids, numbers: &self.numbers, times, first };
        self.frames.iter_mut().filter(|frame| wanted(frame)).for_each(|frame| frame.advance(&rows));
        let mut results = Vec::with_capacity(self.running.len());
        for running in &mut self.running {
            let frame = &self.frames[running.frame];
            if !wanted(frame) {
                continue;
            }
            let steps = match running.filter {
                Some(filter) => {
                    filtered(&frame.steps, &self.history.column(filter), &mut self.steps);
                    &self.steps
                }
                None => &frame.steps,
            };
            results.push(running.slide(steps, &self.history, &self.numbers)?);
        }
        Ok(results)
    }

    fn resize(&mut self) {
        let keys = self.keys.bound();
        if keys <= self.key_rows.len() {
            return;
        }
        self.key_rows.resize(keys, KeyRows::default());
        self.frames.iter_mut().for_each(|frame| frame.resize(keys));
        for running in &mut self.running {
            match &mut running.work {
                Work::RowNumber => {}
                Work::Pick { pick, .. } => pick.resize(keys),
                Work::Accumulate { accumulators, .. } => accumulators.resize(keys),
            }
        }
    }

    /// Drops values that no frame holds any more.
    fn pack(&mut self) -> Result<()> {
        let Over { frames, running, history, .. } = self;
        history.pack(&mut |each| {
            frames.iter_mut().for_each(|frame| frame.visit(each));
            for running in running.iter_mut() {
                if let Work::Pick { pick, .. } = &mut running.work {
                    pick.visit(each);
                }
            }
        })
    }

    /// Forgets keys whose frames the watermark has emptied, once in the length of a frame.
    fn sweep(&mut self) {
        let Some(memory_ms) = self.memory_ms else { return };
        if self.watermark < self.next_sweep {
            return;
        }
        let bound = self.watermark.saturating_sub(memory_ms);
        let key_rows = &self.key_rows;
        let forgotten = self.keys.forget(|id| key_rows[id as usize].latest < bound);
        for id in &forgotten {
            self.key_rows[*id as usize] = KeyRows::default();
            self.frames.iter_mut().for_each(|frame| frame.clear(*id));
        }
        for running in &mut self.running {
            match &mut running.work {
                Work::RowNumber => {}
                Work::Pick { pick, .. } => forgotten.iter().for_each(|id| pick.clear(*id)),
                Work::Accumulate { accumulators, .. } => accumulators.clear(&forgotten),
            }
        }
        self.next_sweep = self.watermark.saturating_add(memory_ms.max(1));
    }
}

/// How an aggregate is computed over a frame.
fn work(call: &AggregateCall, input: &Schema, unbounded: bool, place: &mut impl FnMut(usize) -> usize) -> Result<Work> {
    use AggregateFunction as F;
    let argument = call.arguments.first().copied();
    let ordered = argument.is_some_and(|argument| pick::can_order(input.field(argument).data_type()));
    let rule = match call.function {
        F::FirstValue => Some(Rule::First),
        F::LastValue => Some(Rule::Last),
        F::Min if ordered => Some(Rule::Least),
        F::Max if ordered => Some(Rule::Greatest),
        F::Count | F::Sum | F::Avg | F::Min | F::Max | F::ListAgg { .. } | F::Collect | F::ApproxCountDistinct => None,
        F::StddevPop | F::StddevSamp | F::VarPop | F::VarSamp => None,
    };
    Ok(match (rule, argument) {
        (Some(rule), Some(argument)) => Work::Pick { argument: place(argument), pick: Pick::new(rule, unbounded) },
        _ => Work::Accumulate {
            columns: call.arguments.iter().chain(&call.order).map(|column| place(*column)).collect(),
            accumulators: accumulators(call, input, !unbounded)?,
            unbounded,
        },
    })
}

impl Running {
    /// Which results of the last batch are out of range, and why.
    fn failures(&self) -> Option<(&[usize], Error)> {
        match &self.work {
            Work::RowNumber | Work::Pick { .. } => None,
            Work::Accumulate { accumulators, .. } => accumulators.failures(),
        }
    }

    fn slide(&mut self, steps: &[Step], history: &History, numbers: &[i64]) -> Result<ArrayRef> {
        match &mut self.work {
            Work::RowNumber => Ok(Arc::new(Int64Array::from_iter_values(numbers.iter().map(|number| number + 1)))),
            Work::Pick { argument, pick } => {
                let data_type = self.output.data_type();
                pick.slide(steps, &history.column(*argument), data_type)
            }
            Work::Accumulate { columns, accumulators, .. } => accumulators.slide(steps, &history.columns(columns)),
        }
    }
}

/// The steps of the rows whose filter is true.
fn filtered(steps: &[Step], filter: &[ArrayRef], kept: &mut Vec<Step>) {
    let filter: Vec<&BooleanArray> = filter.iter().map(|chunk| chunk.as_boolean()).collect();
    kept.clear();
    kept.extend(steps.iter().copied().filter(|step| match step {
        Step::Add { at, .. } | Step::Remove { at, .. } => {
            let chunk = filter[at.chunk as usize];
            chunk.is_valid(at.row as usize) && chunk.value(at.row as usize)
        }
        Step::Result { .. } => true,
    }));
}

impl Operator for Over {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        let (rows, kinds) = batch.into_parts();
        if kinds.is_some_and(|kinds| kinds.iter().any(|kind| !kind.is_addition())) {
            return Err(Error::internal("OVER takes no retractions"));
        }
        if rows.num_rows() == 0 {
            return Ok(Progress::Done);
        }
        match self.time {
            Some(time) => self.keep(rows, time)?,
            None => {
                let rows = self.own(&rows)?;
                let times = vec![self.clock.now_ms(); rows.num_rows()];
                let columns = self.compute(&rows, &times)?;
                out.emit(self.output(rows, columns)?);
            }
        }
        Ok(Progress::Done)
    }

    fn advance(&mut self, watermark: Watermark, out: &mut dyn Output) -> Result<Progress> {
        if self.time.is_none() || watermark.0 <= self.watermark {
            return Ok(Progress::Done);
        }
        self.watermark = watermark.0;
        self.due = self.pending.due(watermark.0)?;
        self.fire(out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.fire(out)
    }

    fn snapshot(&mut self, state: &mut dyn StateWriter) -> Result<Progress> {
        self.write(state)
    }

    fn restore(&mut self, part: &str, state: ChangelogBatch) -> Result<()> {
        self.read_back(part, &state.into_parts().0)
    }

    fn counters(&self) -> OperatorCounters {
        let mut counters = OperatorCounters {
            state_keys: self.keys.len() as u64,
            state_bytes: (self.history.bytes() + self.pending.bytes()) as u64,
            ..Default::default()
        };
        self.bad.count(&mut counters);
        counters
    }
}
