//! Toy sources, operators and sinks, and a clock that moves when it is looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use corelane_stream::dataflow::{SinkNode, SourceNode};
use corelane_stream::{
    BadRow, ChangelogBatch, ChangelogMode, CheckpointId, Clock, Committable, Dataflow, Edge, Error, Exchange, Node,
    NodeId, NodeKind, Operator, OperatorContext, OperatorSpec, Output, Progress, Result, RowErrors, RowErrorsFactory,
    RowPolicy, Sink, SinkContext, SinkSpec, Source, SourceBatch, SourceContext, SourceCounters, SourcePoll, SourceSpec,
    Split, StateBound, TimeCut, Watermark, WatermarkGenerator, WatermarkStrategy,
};

/// Moves a microsecond at each look.
#[derive(Default)]
pub struct TickingClock(AtomicU64);

impl Clock for TickingClock {
    fn now_ms(&self) -> i64 {
        (self.monotonic_ns() / 1_000_000) as i64
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.fetch_add(1_000, Ordering::Relaxed)
    }
}

/// Moves only when it is told to.
#[derive(Default)]
pub struct HeldClock(pub AtomicI64);

impl Clock for HeldClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed) as u64 * 1_000_000 + 1
    }
}

pub struct NoRowErrors;

impl RowErrors for NoRowErrors {
    fn bad(&self, _row: &BadRow<'_>) -> Result<()> {
        Ok(())
    }

    fn late(&self, _row: &BadRow<'_>) -> Result<()> {
        Ok(())
    }

    fn unfinished(&self, _row: &BadRow<'_>) -> Result<()> {
        Ok(())
    }
}

impl RowErrorsFactory for NoRowErrors {
    fn open(&self, _policy: &RowPolicy, _worker: usize) -> Result<Rc<dyn RowErrors>> {
        Ok(Rc::new(NoRowErrors))
    }
}

pub fn schema() -> SchemaRef {
    let field = |name| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![field("key"), field("value")]))
}

pub fn rows(pairs: &[(i64, i64)]) -> RecordBatch {
    let column = |of: fn(&(i64, i64)) -> i64| Arc::new(Int64Array::from_iter_values(pairs.iter().map(of)));
    RecordBatch::try_new(schema(), vec![column(|pair| pair.0), column(|pair| pair.1)]).unwrap()
}

pub fn pairs(batch: &ChangelogBatch) -> Vec<(i64, i64)> {
    let column = |index| batch.rows().column(index).as_primitive::<Int64Type>().values();
    column(0).iter().copied().zip(column(1).iter().copied()).collect()
}

/// Gives `value = 0..rows` and `key = value % keys`, in this many splits.
#[derive(Clone, Debug)]
pub struct Numbers {
    pub rows: i64,
    pub keys: i64,
    pub splits: usize,
    /// Never ends: after its rows it has nothing for now.
    pub endless: bool,
    /// Batches that all workers have taken so far.
    pub polled: Arc<AtomicUsize>,
    /// Keeps the wakers alive, as a fetching thread would.
    pub wakers: Arc<Mutex<Vec<Waker>>>,
}

impl Numbers {
    pub fn new(rows: i64, keys: i64, splits: usize) -> Numbers {
        Numbers { rows, keys, splits, endless: false, polled: Arc::default(), wakers: Arc::default() }
    }
}

impl SourceSpec for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn detail(&self) -> String {
        String::new()
    }

    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn bounded(&self) -> bool {
        !self.endless
    }

    fn with_schema(&self, _schema: SchemaRef) -> Result<Arc<dyn SourceSpec>> {
        Ok(Arc::new(self.clone()))
    }

    fn splits(&self, _workers: usize) -> Result<Vec<Split>> {
        let share = self.rows / self.splits as i64;
        let split = |index: usize| {
            let first = index as i64 * share;
            let last = if index + 1 == self.splits { self.rows } else { first + share };
            let state = [first.to_le_bytes(), last.to_le_bytes()].concat();
            Split { id: index.to_string(), weight: (last - first) as u64, state }
        };
        Ok((0..self.splits).map(split).collect())
    }

    fn open(&self, splits: Vec<Split>, context: &SourceContext) -> Result<Box<dyn Source>> {
        self.wakers.lock().unwrap().push(context.waker.clone());
        let bound = |split: &Split, at: usize| i64::from_le_bytes(split.state[at..at + 8].try_into().unwrap());
        let ranges = splits.iter().map(|split| (bound(split, 0), bound(split, 8))).collect();
        let source =
            NumbersSource { spec: self.clone(), ranges, split: 0, batch_rows: context.batch_rows as i64, rows: 0 };
        Ok(Box::new(source))
    }
}

struct NumbersSource {
    spec: Numbers,
    ranges: Vec<(i64, i64)>,
    split: usize,
    batch_rows: i64,
    rows: u64,
}

impl Source for NumbersSource {
    fn poll(&mut self) -> Result<SourcePoll> {
        let Some((first, last)) = self.ranges.get_mut(self.split) else {
            let pending = SourcePoll::Pending { retry_ms: None };
            return Ok(if self.spec.endless { pending } else { SourcePoll::End });
        };
        if first == last {
            self.split += 1;
            return Ok(SourcePoll::SplitEnd(self.split - 1));
        }
        let end = (*first + self.batch_rows).min(*last);
        let values: Vec<(i64, i64)> = (*first..end).map(|value| (value % self.spec.keys, value)).collect();
        *first = end;
        self.rows += values.len() as u64;
        self.spec.polled.fetch_add(1, Ordering::Relaxed);
        Ok(SourcePoll::Batch(SourceBatch { split: self.split, rows: rows(&values) }))
    }

    fn snapshot(&self) -> Vec<Split> {
        Vec::new()
    }

    fn counters(&self) -> SourceCounters {
        SourceCounters { rows: self.rows, bytes: self.rows * 16, bad_rows: 0 }
    }
}

/// Event time is `value`.
#[derive(Debug)]
pub struct ByValue {
    pub idle_timeout_ms: Option<u64>,
}

impl WatermarkStrategy for ByValue {
    fn detail(&self) -> String {
        "value".to_owned()
    }

    fn idle_timeout_ms(&self) -> Option<u64> {
        self.idle_timeout_ms
    }

    fn build(&self, _clock: Arc<dyn Clock>) -> Result<Box<dyn WatermarkGenerator>> {
        Ok(Box::new(ByValueGenerator))
    }
}

pub struct ByValueGenerator;

impl WatermarkGenerator for ByValueGenerator {
    fn observe(
        &mut self,
        rows: &RecordBatch,
        reached: Watermark,
        cuts: &mut Vec<TimeCut>,
    ) -> Result<Option<Watermark>> {
        let mut watermark = reached;
        for (row, value) in rows.column(1).as_primitive::<Int64Type>().values().iter().enumerate() {
            if Watermark(*value) <= watermark && cuts.last().is_none_or(|last| last.watermark != watermark) {
                cuts.push(TimeCut { row, watermark });
            }
            watermark = watermark.max(Watermark(*value));
        }
        Ok(rows.column(1).as_primitive::<Int64Type>().values().iter().max().map(|value| Watermark(*value)))
    }
}

/// What a toy operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toy {
    /// Passes rows on.
    Pass,
    /// Sums values by key; gives the sums at the end, some at a time.
    Sum,
    /// Holds rows back until it is idle or at the end.
    HoldBack,
    /// Fails on the row with this value.
    FailOn(i64),
    /// Panics on the row with this value.
    PanicOn(i64),
}

#[derive(Debug)]
pub struct ToySpec(pub Toy);

impl OperatorSpec for ToySpec {
    fn name(&self) -> &'static str {
        "Toy"
    }

    fn detail(&self) -> String {
        format!("{:?}", self.0)
    }

    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn state(&self) -> StateBound {
        StateBound::Stateless
    }

    fn build(&self, _context: &OperatorContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(ToyOperator { toy: self.0, sums: BTreeMap::new(), held: Vec::new(), ended: false }))
    }
}

struct ToyOperator {
    toy: Toy,
    sums: BTreeMap<i64, i64>,
    held: Vec<ChangelogBatch>,
    ended: bool,
}

impl Operator for ToyOperator {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        match self.toy {
            Toy::Pass => out.emit(batch),
            Toy::Sum => {
                for (key, value) in pairs(&batch) {
                    *self.sums.entry(key).or_default() += value;
                }
            }
            Toy::HoldBack => self.held.push(batch),
            Toy::FailOn(bad) | Toy::PanicOn(bad) => {
                if pairs(&batch).iter().any(|(_, value)| *value == bad) {
                    assert!(!matches!(self.toy, Toy::PanicOn(_)), "toy panic");
                    return Err(Error::data(format!("value {bad} is bad")));
                }
                out.emit(batch);
            }
        }
        Ok(Progress::Done)
    }

    fn advance(&mut self, watermark: Watermark, out: &mut dyn Output) -> Result<Progress> {
        if watermark != Watermark::END {
            return Ok(Progress::Done);
        }
        assert!(!std::mem::replace(&mut self.ended, true), "the end comes once");
        self.resume(out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> Result<Progress> {
        let _ = self.idle(out)?;
        while let Some((key, sum)) = self.sums.pop_first() {
            out.emit(ChangelogBatch::append(rows(&[(key, sum)])));
            if !out.has_room() {
                return Ok(Progress::More);
            }
        }
        Ok(Progress::Done)
    }

    fn idle(&mut self, out: &mut dyn Output) -> Result<Progress> {
        self.held.drain(..).for_each(|batch| out.emit(batch));
        Ok(Progress::Done)
    }
}

/// What a collecting sink saw.
#[derive(Debug, Default)]
pub struct Collected {
    pub written: Mutex<Vec<(i64, i64)>>,
    pub open: AtomicUsize,
    pub begun: AtomicUsize,
    pub aborted: AtomicUsize,
    /// The committables of each commit.
    pub commits: Mutex<Vec<Vec<Committable>>>,
}

/// Collects rows; it is slow if it has room only at each `slow`th question.
#[derive(Clone)]
pub struct Collect {
    pub collected: Arc<Collected>,
    pub exchange: Exchange,
    pub slow: usize,
    pub fail_commit: bool,
    /// Called with the number of rows after each write.
    pub watch: Arc<dyn Fn(usize) + Send + Sync>,
}

impl fmt::Debug for Collect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Collect")
    }
}

impl Collect {
    pub fn new(exchange: Exchange) -> Collect {
        Collect { collected: Arc::default(), exchange, slow: 1, fail_commit: false, watch: Arc::new(|_| {}) }
    }
}

impl SinkSpec for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn detail(&self) -> String {
        String::new()
    }

    fn exchange(&self) -> Exchange {
        self.exchange.clone()
    }

    fn accept(&self, _mode: &ChangelogMode) -> Result<()> {
        Ok(())
    }

    fn begin(&self) -> Result<()> {
        self.collected.begun.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn open(&self, context: &SinkContext) -> Result<Box<dyn Sink>> {
        self.collected.open.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(CollectSink { spec: self.clone(), waker: context.waker.clone(), asked: 0, rows: 0 }))
    }

    fn commit(&self, committables: &[Committable]) -> Result<()> {
        if self.fail_commit {
            return Err(Error::io("the disk is full"));
        }
        self.collected.commits.lock().unwrap().push(committables.to_vec());
        Ok(())
    }

    fn abort(&self) {
        self.collected.aborted.fetch_add(1, Ordering::Relaxed);
    }
}

struct CollectSink {
    spec: Collect,
    waker: Waker,
    asked: usize,
    rows: u64,
}

impl Sink for CollectSink {
    fn has_room(&mut self) -> Result<bool> {
        self.asked += 1;
        let room = self.asked.is_multiple_of(self.spec.slow);
        if !room {
            self.waker.wake_by_ref();
        }
        Ok(room)
    }

    fn write(&mut self, batch: ChangelogBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let mut written = self.spec.collected.written.lock().unwrap();
        written.extend(pairs(&batch));
        let count = written.len();
        drop(written);
        (self.spec.watch)(count);
        Ok(())
    }

    fn prepare(&mut self, checkpoint: CheckpointId) -> Result<Vec<Committable>> {
        assert_eq!(checkpoint, CheckpointId::FINAL);
        Ok(vec![Committable(self.rows.to_string().into_bytes())])
    }
}

/// Adds a node of the toy schema.
pub fn node(dataflow: &mut Dataflow, kind: NodeKind, inputs: &[(NodeId, Exchange)]) -> NodeId {
    let inputs = inputs.iter().map(|(from, exchange)| Edge { from: *from, exchange: exchange.clone() }).collect();
    dataflow.add(Node { kind, inputs, schema: schema(), changelog: ChangelogMode::Append })
}

pub fn source(dataflow: &mut Dataflow, spec: Numbers) -> NodeId {
    let watermark: Option<Arc<dyn WatermarkStrategy>> = Some(Arc::new(ByValue { idle_timeout_ms: None }));
    let kind = NodeKind::Source(SourceNode { table: "numbers".to_owned(), spec: Arc::new(spec), watermark });
    node(dataflow, kind, &[])
}

pub fn operator(dataflow: &mut Dataflow, toy: Toy, inputs: &[(NodeId, Exchange)]) -> NodeId {
    node(dataflow, NodeKind::Operator(Arc::new(ToySpec(toy))), inputs)
}

pub fn sink(dataflow: &mut Dataflow, spec: &Collect, from: NodeId) -> NodeId {
    let exchange = spec.exchange.clone();
    let kind = NodeKind::Sink(SinkNode { table: "out".to_owned(), spec: Arc::new(spec.clone()) });
    node(dataflow, kind, &[(from, exchange)])
}
