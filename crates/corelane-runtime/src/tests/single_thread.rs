//! Workers stepped by hand on one thread, and tasks fed by hand.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use corelane_stream::limits::EXCHANGE_ROWS_MIN;
use corelane_stream::operator::StateWriter;
use corelane_stream::{
    Barrier, BarrierKind, ChangelogBatch, CheckpointId, Dataflow, Exchange, NodeKind, Operator, Output, Progress,
    Result, Source, SourceBatch, SourceCounters, SourcePoll, Split, StreamElement, Watermark,
};
use proptest::prelude::*;

use super::toys::{ByValueGenerator, Collect, HeldClock, NoRowErrors, Numbers, Toy, operator, rows, sink, source};
use super::{KEYS, sorted, sums};
use crate::blueprint::{JobParts, blueprints};
use crate::config::{RuntimeConfig, WorkerConfig};
use crate::control::Control;
use crate::doorbell::{Bell, Doorbell};
use crate::edge::{Edge, EdgeRings};
use crate::exchange::Partitioner;
use crate::metrics::{Durations, NodeMetrics, Slot};
use crate::operator_task::OperatorTask;
use crate::ring::{Envelope, RingReceiver, RingSender, ring};
use crate::source_task::{EventTime, SourceTask};
use crate::task::{Inputs, Outputs, TaskContext};
use crate::worker::{NoState, Step, Worker};

fn workers(dataflow: Dataflow, count: usize, change: impl Fn(&mut WorkerConfig)) -> Vec<Worker> {
    let doorbells: Vec<Arc<Doorbell>> = (0..count).map(|_| Arc::default()).collect();
    let slots: Vec<Slot> = (0..count).map(|_| Slot::default()).collect();
    let mut config = RuntimeConfig::default().worker(0, 0);
    change(&mut config);
    let splits: Vec<Vec<Split>> = dataflow
        .nodes
        .iter()
        .map(|node| match &node.kind {
            NodeKind::Source(source) => source.spec.splits(count).unwrap(),
            NodeKind::Operator(_) | NodeKind::Sink(_) => Vec::new(),
        })
        .collect();
    let job = JobParts {
        dataflow: Arc::new(dataflow),
        clock: Arc::new(HeldClock::default()),
        row_errors: Arc::new(NoRowErrors),
        control: Arc::new(Control::new(doorbells.clone())),
    };
    let built = blueprints(&job, &vec![config; count], &splits, &doorbells, &slots);
    built.into_iter().map(|blueprint| blueprint.build().ok().unwrap()).collect()
}

/// Facing exchanges with rings of one slot: source -> hash -> pass -> hash -> sum -> sink.
fn facing(rows: i64) -> (Dataflow, Collect) {
    let mut dataflow = Dataflow::default();
    let collect = Collect::new(Exchange::Forward);
    let numbers = source(&mut dataflow, Numbers::new(rows, KEYS, 8));
    let pass = operator(&mut dataflow, Toy::Pass, &[(numbers, Exchange::Hash(vec![1]))]);
    let sum = operator(&mut dataflow, Toy::Sum, &[(pass, Exchange::Hash(vec![0]))]);
    sink(&mut dataflow, &collect, sum);
    (dataflow, collect)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever the order of steps, full rings never face each other for ever.
    #[test]
    fn any_order_of_steps_ends_with_the_same_answer(
        order in prop::collection::vec(0usize..4, 1..60),
        batch_rows in 1usize..2_000,
    ) {
        let (dataflow, collect) = facing(12_000);
        let mut workers = workers(dataflow, 4, |config| {
            (config.ring_slots, config.batch_rows, config.task_quota_us) = (1, batch_rows, 1);
        });
        for worker in order {
            prop_assert!(workers[worker].step().is_ok());
        }
        let mut finished = 0;
        // Each round moves something, so the rounds are bounded by the elements.
        for _ in 0..1_000_000 {
            finished = workers.iter_mut().filter_map(|worker| worker.step().ok()).filter(|step| *step == Step::Finished).count();
            if finished == 4 {
                break;
            }
        }
        prop_assert_eq!(finished, 4);
        prop_assert_eq!(sorted(&collect), sums(12_000));
    }
}

#[test]
fn an_idle_worker_says_so_and_has_sent_everything() {
    let mut dataflow = Dataflow::default();
    let collect = Collect::new(Exchange::Forward);
    let numbers = Numbers { endless: true, ..Numbers::new(100, KEYS, 2) };
    let wakers = numbers.wakers.clone();
    let polled = numbers.polled.clone();
    let from = source(&mut dataflow, numbers);
    let held = operator(&mut dataflow, Toy::HoldBack, &[(from, Exchange::Hash(vec![0]))]);
    sink(&mut dataflow, &collect, held);
    let mut workers = workers(dataflow, 2, |_| {});
    while workers.iter_mut().any(|worker| worker.step().unwrap_or(Step::Finished) == Step::Worked) {}
    assert_eq!(sorted(&collect).len(), 100);
    assert!(matches!(workers[0].step(), Ok(Step::Idle { deadline_ns: None })));
    // A source that has rung is asked again, and only then.
    let before = polled.load(Ordering::Relaxed);
    wakers.lock().unwrap()[0].wake_by_ref();
    assert!(matches!(workers[0].step(), Ok(Step::Idle { deadline_ns: None })));
    assert_eq!(polled.load(Ordering::Relaxed), before);
}

/// Worker 0's side of an exchange over two workers, and the other worker's ends.
fn exchange_of_two(exchange: Exchange, slots: usize, linger_ns: u64) -> (Edge, RingSender, RingReceiver) {
    let (here, there) = (Arc::new(Doorbell::default()), Arc::new(Doorbell::default()));
    let (outbound, at_peer) = ring(slots, &here, &there);
    let (from_peer, inbound) = ring(slots, &there, &here);
    let rings = EdgeRings { senders: vec![None, Some(outbound)], receivers: vec![None, Some(inbound)] };
    (Edge::exchange(Partitioner::new(exchange, 0, 2), rings, linger_ns), from_peer, at_peer)
}

fn batch(length: i64) -> Envelope {
    let values: Vec<(i64, i64)> = (0..length).map(|value| (value, value)).collect();
    Envelope::new(StreamElement::Batch(ChangelogBatch::append(rows(&values))), 7)
}

fn watermark(value: i64) -> Envelope {
    Envelope::new(StreamElement::Watermark(Watermark(value)), 0)
}

fn text(envelope: Option<Envelope>) -> String {
    match envelope.map(|envelope| envelope.element) {
        None => "-".to_owned(),
        Some(StreamElement::Batch(batch)) => format!("{} rows", batch.num_rows()),
        Some(StreamElement::Watermark(watermark)) => format!("watermark {}", watermark.0),
        Some(StreamElement::Barrier(barrier)) => format!("barrier {}", barrier.checkpoint.0),
    }
}

#[test]
fn an_exchange_gathers_rows_and_keeps_the_newest_watermark_behind_them() {
    let (mut edge, _from_peer, at_peer) = exchange_of_two(Exchange::Broadcast, 8, 1_000);
    edge.push(batch(300), 0).unwrap();
    edge.push(watermark(1), 0).unwrap();
    edge.push(batch(300), 10).unwrap();
    edge.push(watermark(2), 10).unwrap();
    assert!(!edge.flush_due(999).unwrap());
    assert_eq!(text(at_peer.receive()), "-");
    assert!(edge.flush_due(1_000).unwrap());
    assert_eq!(text(at_peer.receive()), "600 rows");
    assert_eq!(text(at_peer.receive()), "watermark 2");
    assert_eq!(text(at_peer.receive()), "-");
    // Enough rows go at once; a watermark alone waits for the linger or for idleness.
    edge.push(batch(EXCHANGE_ROWS_MIN as i64), 2_000).unwrap();
    assert_eq!(text(at_peer.receive()), "1024 rows");
    edge.push(watermark(3), 2_000).unwrap();
    assert_eq!(text(at_peer.receive()), "-");
    assert!(edge.flush_all(2_000).unwrap());
    assert_eq!(text(at_peer.receive()), "watermark 3");
    // Rows behind a firm watermark do not come before it.
    edge.push(batch(6), 2_000).unwrap();
    edge.push(watermark(4), 2_000).unwrap();
    edge.push(Envelope::watermark(Watermark(4), 0, true), 2_000).unwrap();
    edge.push(batch(7), 2_000).unwrap();
    assert!(edge.flush_all(2_000).unwrap());
    for expected in ["6 rows", "watermark 4", "7 rows"] {
        assert_eq!(text(at_peer.receive()), expected);
    }
    // The end and a barrier take everything with them.
    edge.push(batch(5), 3_000).unwrap();
    edge.push(Envelope::new(StreamElement::Barrier(BARRIER), 0), 3_000).unwrap();
    edge.push(watermark(Watermark::END.0), 3_000).unwrap();
    assert_eq!(text(at_peer.receive()), "5 rows");
    assert_eq!(text(at_peer.receive()), "barrier 1");
    assert_eq!(text(at_peer.receive()), format!("watermark {}", i64::MAX));
    assert!(edge.is_drained());
}

fn timed(times: &[i64]) -> Envelope {
    let schema = Schema::new(vec![Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), true)]);
    let times = Arc::new(TimestampMillisecondArray::from(times.to_vec()));
    let rows = RecordBatch::try_new(Arc::new(schema), vec![times]).unwrap();
    Envelope::new(StreamElement::Batch(ChangelogBatch::append(rows)), 0)
}

#[test]
fn a_firm_watermark_goes_to_the_reader_of_a_late_row_alone() {
    let (edge, _from_peer, at_peer) = exchange_of_two(Exchange::Rebalance, 8, 1_000);
    let mut edge = edge.late_by(Some(0));
    let firm = |value: i64| Envelope::watermark(Watermark(value), 0, true);
    // Rows go to this worker and to its peer in turn.
    for envelope in [timed(&[5]), timed(&[5, 6]), firm(4), timed(&[4]), timed(&[7, 5]), watermark(5)] {
        edge.push(envelope, 0).unwrap();
    }
    let here: Vec<String> = std::iter::from_fn(|| edge.receive(0)).map(|found| text(Some(found))).collect();
    assert_eq!(here, ["1 rows", "watermark 4"]);
    assert_eq!(text(at_peer.receive()), "-", "none of its rows is late");
    for envelope in [timed(&[9]), timed(&[8, 4]), firm(6), timed(&[9]), timed(&[9])] {
        edge.push(envelope, 0).unwrap();
    }
    for expected in ["4 rows", "watermark 5", "-"] {
        assert_eq!(text(at_peer.receive()), expected);
    }
    assert!(edge.flush_all(0).unwrap());
    for expected in ["3 rows", "watermark 6", "-"] {
        assert_eq!(text(at_peer.receive()), expected);
    }
    let here: Vec<String> = std::iter::from_fn(|| edge.receive(0)).map(|found| text(Some(found))).collect();
    assert_eq!(here, ["3 rows", "watermark 6"]);
}

#[test]
fn a_full_ring_stops_the_producer_and_loses_nothing() {
    let (mut edge, _from_peer, at_peer) = exchange_of_two(Exchange::Broadcast, 1, 0);
    for _ in 0..3 {
        edge.push(batch(2_000), 0).unwrap();
    }
    assert!(!edge.has_room());
    // What is smaller gathers on behind the queue.
    edge.push(batch(10), 0).unwrap();
    assert!(!edge.flush_all(0).unwrap());
    for expected in ["2000 rows", "2000 rows", "2000 rows"] {
        assert_eq!(text(at_peer.receive()), expected);
        edge.retry(0);
    }
    assert!(edge.flush_all(0).unwrap());
    assert_eq!(text(at_peer.receive()), "10 rows");
    assert!(edge.counters().ring_full >= 2);
}

#[test]
fn all_rows_for_one_worker_are_not_copied() {
    let (mut edge, _from_peer, at_peer) = exchange_of_two(Exchange::Rebalance, 8, 0);
    let Envelope { element: StreamElement::Batch(sent), .. } = batch(2_000) else { unreachable!() };
    // The first goes to this worker, the second to its peer.
    for _ in 0..2 {
        edge.push(Envelope::new(StreamElement::Batch(sent.clone()), 0), 0).unwrap();
    }
    let Some(StreamElement::Batch(received)) = at_peer.receive().map(|envelope| envelope.element) else { panic!() };
    let address = |batch: &ChangelogBatch| batch.rows().column(0).to_data().buffers()[0].as_ptr();
    assert_eq!(address(&received), address(&sent));
}

const BARRIER: Barrier = Barrier { checkpoint: CheckpointId(1), kind: BarrierKind::Checkpoint };

/// Notes what it is told; its snapshot takes two calls.
#[derive(Clone, Default)]
struct Noting {
    notes: Rc<RefCell<Vec<String>>>,
    snapshots: usize,
}

impl Operator for Noting {
    fn process(&mut self, port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        self.notes.borrow_mut().push(format!("port {port}: {} rows", batch.num_rows()));
        out.emit(batch);
        Ok(Progress::Done)
    }

    fn advance(&mut self, watermark: Watermark, _out: &mut dyn Output) -> Result<Progress> {
        self.notes.borrow_mut().push(format!("watermark {}", watermark.0));
        Ok(Progress::Done)
    }

    fn snapshot(&mut self, state: &mut dyn StateWriter) -> Result<Progress> {
        self.snapshots += 1;
        state.write("sums", ChangelogBatch::append(rows(&[(1, 1)])))?;
        Ok(if self.snapshots == 1 { Progress::More } else { Progress::Done })
    }
}

struct Pieces(Rc<RefCell<Vec<String>>>);

impl StateWriter for Pieces {
    fn write(&mut self, part: &str, state: ChangelogBatch) -> Result<()> {
        self.0.borrow_mut().push(format!("snapshot {part}: {} rows", state.num_rows()));
        Ok(())
    }
}

/// Lends a task a context, as a worker does.
fn with_context<T>(
    edges: &mut [Edge],
    now_ns: u64,
    state: &mut dyn StateWriter,
    run: impl FnOnce(&mut TaskContext<'_>) -> Result<T>,
) -> T {
    let (mut metrics, mut hop, mut latency) = (NodeMetrics::default(), Durations::default(), Durations::default());
    let mut context = TaskContext { edges, now_ns, metrics: &mut metrics, hop: &mut hop, latency: &mut latency, state };
    run(&mut context).unwrap()
}

#[test]
fn a_channel_with_a_barrier_is_held_and_the_snapshot_cuts_between() {
    let notes: Rc<RefCell<Vec<String>>> = Rc::default();
    let (edge, from_peer, _at_peer) = exchange_of_two(Exchange::Hash(vec![0]), 8, 0);
    let mut edges = vec![edge, Edge::forward(), Edge::forward()];
    let inputs = Inputs::new(&[0, 1], &edges);
    let noting = Noting { notes: notes.clone(), snapshots: 0 };
    let mut task = OperatorTask::new(Some(Box::new(noting)), inputs, Outputs(vec![2]), None);
    // Port 0 has this worker (silent, ended) and its peer; port 1 stays on this worker.
    let barrier = Envelope::new(StreamElement::Barrier(BARRIER), 0);
    for envelope in [batch(1), barrier.clone(), batch(2)] {
        from_peer.send(envelope).unwrap();
    }
    for envelope in [batch(3), watermark(4), barrier, batch(5)] {
        edges[1].push(envelope, 0).unwrap();
    }
    let mut passed = Vec::new();
    let mut run = |edges: &mut Vec<Edge>, passed: &mut Vec<String>| {
        let mut pieces = Pieces(notes.clone());
        while with_context(edges, 0, &mut pieces, |context| task.run(context)) {
            while let Some(envelope) = edges[2].receive(0) {
                passed.push(text(Some(envelope)));
            }
        }
    };
    run(&mut edges, &mut passed);
    assert_eq!(passed, ["1 rows", "3 rows"], "the last channel of port 0 has no barrier yet");
    edges[0].push(watermark(Watermark::END.0), 0).unwrap();
    run(&mut edges, &mut passed);
    assert_eq!(passed, ["1 rows", "3 rows", "barrier 1", "2 rows", "5 rows"]);
    let expected = [
        "port 0: 1 rows",
        "port 1: 3 rows",
        "snapshot sums: 1 rows",
        "snapshot sums: 1 rows",
        "port 0: 2 rows",
        "port 1: 5 rows",
    ];
    assert_eq!(*notes.borrow(), expected);
}

/// Gives what its script says.
struct Scripted(std::collections::VecDeque<SourcePoll>);

impl Source for Scripted {
    fn poll(&mut self) -> Result<SourcePoll> {
        Ok(self.0.pop_front().unwrap_or(SourcePoll::Pending { retry_ms: None }))
    }

    fn snapshot(&self) -> Vec<Split> {
        Vec::new()
    }

    fn counters(&self) -> SourceCounters {
        SourceCounters::default()
    }
}

/// Polls a scripted source at these times, in milliseconds, and writes what it put out.
fn scripted(idle_timeout_ms: Option<u64>, script: Vec<SourcePoll>, times_ms: &[u64]) -> Vec<String> {
    let time = EventTime { generator: Box::new(ByValueGenerator), idle_timeout_ms };
    let bell = Bell::new(Arc::default());
    let mut task = SourceTask::new(Some(Box::new(Scripted(script.into()))), bell, Some(time), Outputs(vec![0]));
    let mut edges = vec![Edge::forward()];
    let mut passed = Vec::new();
    for now_ms in times_ms {
        let now_ns = now_ms * 1_000_000;
        with_context(&mut edges, now_ns, &mut NoState, |context| task.run(context));
        with_context(&mut edges, now_ns, &mut NoState, |context| task.check_idle(context));
        while let Some(envelope) = edges[0].receive(0) {
            let firm = if envelope.firm { "firm " } else { "" };
            passed.push(format!("{now_ms}: {firm}{}", text(Some(envelope))));
        }
    }
    passed
}

fn values(split: usize, values: &[i64]) -> SourcePoll {
    let pairs: Vec<(i64, i64)> = values.iter().map(|value| (0, *value)).collect();
    SourcePoll::Batch(SourceBatch { split, rows: rows(&pairs) })
}

#[test]
fn event_time_is_the_minimum_over_open_splits_behind_its_batch() {
    let script = vec![
        values(0, &[5, 9]),
        values(1, &[3]),
        values(1, &[20, 4]),
        SourcePoll::SplitEnd(0),
        SourcePoll::SplitEnd(1),
        values(2, &[7]),
        SourcePoll::End,
    ];
    let end = format!("7: watermark {}", i64::MAX);
    let expected = [
        "1: 2 rows",
        "1: watermark 9",
        "2: firm watermark 9",
        "2: 1 rows",
        "3: 2 rows",
        "4: watermark 20",
        "6: firm watermark 20",
        "6: 1 rows",
        end.as_str(),
    ];
    assert_eq!(scripted(None, script, &[1, 2, 3, 4, 5, 6, 7]), expected);
}

/// Where batches end makes no difference to which rows come behind which watermark.
#[test]
fn a_batch_is_cut_in_front_of_rows_that_are_behind_time() {
    let behind = [5, 9, 3, 4, 12, 13, 13, 20];
    let cut = ["1: 2 rows", "1: firm watermark 9", "1: 4 rows", "1: firm watermark 13", "1: 2 rows", "1: watermark 20"];
    assert_eq!(scripted(None, vec![values(0, &behind)], &[1, 1]), cut);
    let apart = behind.iter().map(|value| values(0, &[*value])).collect();
    let expected = [
        "1: 1 rows",
        "1: watermark 5",
        "2: 1 rows",
        "2: watermark 9",
        "3: firm watermark 9",
        "3: 1 rows",
        "4: 1 rows",
        "5: 1 rows",
        "5: watermark 12",
        "6: 1 rows",
        "6: watermark 13",
        "7: firm watermark 13",
        "7: 1 rows",
        "8: 1 rows",
        "8: watermark 20",
    ];
    assert_eq!(scripted(None, apart, &[1, 2, 3, 4, 5, 6, 7, 8]), expected);
}

/// What is left of a batch waits for room, and goes out though the job is told to stop.
#[test]
fn the_rest_of_a_cut_batch_is_not_lost() {
    let time = EventTime { generator: Box::new(ByValueGenerator), idle_timeout_ms: None };
    let pieces: Vec<i64> = (0..100).flat_map(|value| [value, value]).collect();
    let script = Scripted(vec![values(0, &pieces)].into());
    let mut task = SourceTask::new(Some(Box::new(script)), Bell::new(Arc::default()), Some(time), Outputs(vec![0]));
    let mut edges = vec![Edge::forward()];
    while with_context(&mut edges, 0, &mut NoState, |context| task.run(context)) {}
    assert!(!edges[0].has_room());
    with_context(&mut edges, 0, &mut NoState, |context| task.drain(context));
    let mut counted = 0;
    let mut last = None;
    while let Some(envelope) = edges[0].receive(0) {
        if let StreamElement::Batch(batch) = &envelope.element {
            counted += batch.num_rows();
        }
        last = Some(text(Some(envelope)));
    }
    assert_eq!((counted, last.as_deref()), (200, Some("watermark 9223372036854775807")));
}

#[test]
fn silent_splits_stop_counting_and_come_back() {
    let pending = || SourcePoll::Pending { retry_ms: Some(10) };
    let script = vec![values(0, &[5]), values(1, &[9]), pending(), pending(), values(0, &[6])];
    let idle = format!("150: watermark {}", i64::MIN + 1);
    let expected = [
        "0: 1 rows",
        "0: watermark 5",
        "50: 1 rows",
        "100: watermark 9",
        idle.as_str(),
        "160: firm watermark 9",
        "160: 1 rows",
    ];
    assert_eq!(scripted(Some(100), script, &[0, 50, 100, 150, 160]), expected);
}
