//! From a dataflow to workers: plain data that crosses to each worker's thread, where the
//! worker's tasks are built.

use std::sync::Arc;
use std::task::Waker;

use corelane_stream::dataflow::{SinkNode, SourceNode};
use corelane_stream::{
    Clock, Dataflow, Edge as PlanEdge, Exchange, NodeKind, OperatorContext, RowErrorsFactory, SinkContext,
    SourceContext, Split,
};

use crate::config::{IdlePolicy, WorkerConfig};
use crate::control::{Control, Failure};
use crate::doorbell::{Bell, Doorbell};
use crate::edge::{Edge, EdgeRings};
use crate::exchange::Partitioner;
use crate::metrics::Slot;
use crate::operator_task::OperatorTask;
use crate::ring::{RingReceiver, RingSender, ring};
use crate::sink_task::SinkTask;
use crate::source_task::{EventTime, SourceTask};
use crate::task::{Inputs, Outputs, Task};
use crate::worker::{NoState, Worker, WorkerLimits, WorkerParts};

const NANOSECONDS_PER_MICROSECOND: u64 = 1_000;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// What all workers of a job share: the plan and what it is given.
#[derive(Clone)]
pub struct JobParts {
    pub dataflow: Arc<Dataflow>,
    pub clock: Arc<dyn Clock>,
    pub row_errors: Arc<dyn RowErrorsFactory>,
    pub control: Arc<Control>,
}

/// One worker before it is built.
pub struct WorkerBlueprint {
    index: usize,
    workers: usize,
    job: JobParts,
    config: WorkerConfig,
    doorbell: Arc<Doorbell>,
    slot: Slot,
    /// By node; empty for all but sources.
    splits: Vec<Vec<Split>>,
    empty: Arc<Vec<Vec<bool>>>,
    /// By node and port; `None` for an edge that stays on its worker.
    rings: Vec<Vec<Option<EdgeRings>>>,
}

/// Makes one blueprint for each of `configs`. `splits` are those of each node, for all workers.
pub fn blueprints(
    job: &JobParts,
    configs: &[WorkerConfig],
    splits: &[Vec<Split>],
    doorbells: &[Arc<Doorbell>],
    slots: &[Slot],
) -> Vec<WorkerBlueprint> {
    let workers = configs.len();
    let mut rings: Vec<Vec<Vec<Option<EdgeRings>>>> = (0..workers).map(|_| Vec::new()).collect();
    for node in &job.dataflow.nodes {
        let mut ports: Vec<Vec<Option<EdgeRings>>> = (0..workers).map(|_| Vec::new()).collect();
        for edge in &node.inputs {
            for (worker, half) in edge_rings(edge, configs, doorbells).into_iter().enumerate() {
                ports[worker].push(half);
            }
        }
        for (worker, ports) in ports.into_iter().enumerate() {
            rings[worker].push(ports);
        }
    }
    let empty = Arc::new(empty_nodes(&job.dataflow, splits, workers));
    let with_index = rings.into_iter().enumerate();
    with_index
        .map(|(index, rings)| WorkerBlueprint {
            index,
            workers,
            job: job.clone(),
            config: configs[index],
            doorbell: doorbells[index].clone(),
            slot: slots[index].clone(),
            splits: splits.iter().map(|splits| splits.iter().skip(index).step_by(workers).cloned().collect()).collect(),
            empty: empty.clone(),
            rings,
        })
        .collect()
}

/// Makes the rings of one edge between all workers, and hands each worker its halves.
fn edge_rings(edge: &PlanEdge, configs: &[WorkerConfig], doorbells: &[Arc<Doorbell>]) -> Vec<Option<EdgeRings>> {
    let workers = configs.len();
    if edge.exchange == Exchange::Forward || workers == 1 {
        return (0..workers).map(|_| None).collect();
    }
    let mut senders: Vec<Vec<Option<RingSender>>> = (0..workers).map(|_| Vec::new()).collect();
    let mut receivers: Vec<Vec<Option<RingReceiver>>> = (0..workers).map(|_| Vec::new()).collect();
    for from in 0..workers {
        for to in 0..workers {
            if from == to {
                senders[from].push(None);
                receivers[to].push(None);
            } else {
                let (sender, receiver) = ring(configs[to].ring_slots, &doorbells[from], &doorbells[to]);
                senders[from].push(Some(sender));
                receivers[to].push(Some(receiver));
            }
        }
    }
    let halves = senders.into_iter().zip(receivers);
    halves.map(|(senders, receivers)| Some(EdgeRings { senders, receivers })).collect()
}

/// By node and worker, whether no row ever leaves the node there, because there is nothing to read. Known before
/// the first row is read, it cannot be a matter of timing which rows such a worker's silence lets through.
fn empty_nodes(dataflow: &Dataflow, splits: &[Vec<Split>], workers: usize) -> Vec<Vec<bool>> {
    let mut empty: Vec<Vec<bool>> = Vec::with_capacity(dataflow.nodes.len());
    for (node, splits) in dataflow.nodes.iter().zip(splits) {
        let on_worker = |worker: usize| match &node.kind {
            NodeKind::Source(_) => splits.len() <= worker,
            NodeKind::Operator(_) | NodeKind::Sink(_) => node.inputs.iter().all(|edge| match edge.exchange {
                Exchange::Forward => empty[edge.from.0][worker],
                _ => empty[edge.from.0].iter().all(|empty| *empty),
            }),
        };
        empty.push((0..workers).map(on_worker).collect());
    }
    empty
}

/// The nodes whose rows are all on worker 0: what reads a `Gather`, and what follows it there.
fn gathered(dataflow: &Dataflow) -> Vec<bool> {
    let mut gathered: Vec<bool> = Vec::with_capacity(dataflow.nodes.len());
    for node in &dataflow.nodes {
        let all = node.inputs.iter().all(|edge| match edge.exchange {
            Exchange::Gather => true,
            Exchange::Forward => gathered[edge.from.0],
            Exchange::Hash(_) | Exchange::Rebalance | Exchange::Broadcast => false,
        });
        gathered.push(all && !node.inputs.is_empty());
    }
    gathered
}

/// A node's name in messages: the operator, or the connector and its table.
pub fn node_name(kind: &NodeKind) -> String {
    match kind {
        NodeKind::Source(SourceNode { table, spec, .. }) => format!("source {table} ({})", spec.name()),
        NodeKind::Operator(spec) => spec.name().to_owned(),
        NodeKind::Sink(SinkNode { table, spec }) => format!("sink {table} ({})", spec.name()),
    }
}

impl WorkerBlueprint {
    pub fn index(&self) -> usize {
        self.index
    }

    pub fn control(&self) -> &Arc<Control> {
        &self.job.control
    }

    pub fn doorbell(&self) -> &Arc<Doorbell> {
        &self.doorbell
    }

    pub fn idle(&self) -> IdlePolicy {
        self.config.idle
    }

    pub fn spin_ns(&self) -> u64 {
        self.config.spin_us * NANOSECONDS_PER_MICROSECOND
    }

    /// Builds the worker. Call it on the worker's own thread: what it owns cannot move.
    ///
    /// # Errors
    /// If a source, an operator or a sink cannot be opened; the failure names its node.
    pub fn build(mut self) -> Result<Worker, Failure> {
        let dataflow = self.job.dataflow.clone();
        let mut edges = Vec::new();
        let mut ports = Vec::new();
        let mut outputs: Vec<Vec<usize>> = vec![Vec::new(); dataflow.nodes.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); dataflow.nodes.len()];
        for (node, rings) in std::mem::take(&mut self.rings).into_iter().enumerate() {
            let first = edges.len();
            for (edge, rings) in dataflow.nodes[node].inputs.iter().zip(rings) {
                outputs[edge.from.0].push(edges.len());
                readers[edge.from.0].push(node);
                let late_by = match &dataflow.nodes[node].kind {
                    NodeKind::Operator(spec) => spec.late_by(),
                    NodeKind::Source(_) | NodeKind::Sink(_) => None,
                };
                edges.push(self.edge(&edge.exchange, rings).late_by(late_by));
            }
            ports.push((first..edges.len()).collect::<Vec<usize>>());
        }
        let gathered = gathered(&dataflow);
        let mut tasks = Vec::with_capacity(dataflow.nodes.len());
        for (node, outputs) in outputs.into_iter().enumerate() {
            let kind = &dataflow.nodes[node].kind;
            let inputs = Inputs::new(&ports[node], &edges).with_empty(|port, channel| {
                let edge = &dataflow.nodes[node].inputs[port];
                // An edge that stays on its worker has one channel.
                let stays = edges[ports[node][port]].channels() == 1;
                self.empty[edge.from.0][if stays { self.index } else { channel }]
            });
            let here = self.index == 0 || !gathered[node];
            let task = self.task(node, kind, inputs, Outputs(outputs), here).map_err(|error| Failure {
                error,
                worker: Some(self.index),
                node: Some(node_name(kind)),
            })?;
            tasks.push(task);
        }
        let parts = WorkerParts {
            index: self.index,
            names: dataflow.nodes.iter().map(|node| node_name(&node.kind)).collect(),
            edges,
            clock: self.job.clock,
            control: self.job.control,
            slot: self.slot,
            limits: WorkerLimits {
                task_quota_ns: self.config.task_quota_us * NANOSECONDS_PER_MICROSECOND,
                stall_notify_ns: self.config.stall_notify_ms * NANOSECONDS_PER_MILLISECOND,
                memory_bytes: self.config.memory_bytes,
            },
            state: Box::new(NoState),
        };
        Ok(Worker::new(parts, tasks, &readers))
    }

    fn edge(&self, exchange: &Exchange, rings: Option<EdgeRings>) -> Edge {
        match rings {
            None => Edge::forward(),
            Some(rings) => {
                let partitioner = Partitioner::new(exchange.clone(), self.index, self.workers);
                Edge::exchange(partitioner, rings, self.config.linger_us * NANOSECONDS_PER_MICROSECOND)
            }
        }
    }

    fn task(
        &mut self,
        node: usize,
        kind: &NodeKind,
        inputs: Inputs,
        outputs: Outputs,
        here: bool,
    ) -> corelane_stream::Result<Task> {
        let bell = Bell::new(self.doorbell.clone());
        Ok(match kind {
            NodeKind::Source(source) => {
                let context = SourceContext {
                    worker: self.index,
                    workers: self.workers,
                    batch_rows: self.config.batch_rows,
                    clock: self.job.clock.clone(),
                    row_errors: self.job.row_errors.clone(),
                    waker: Waker::from(bell.clone()),
                };
                let time = match &source.watermark {
                    Some(strategy) => Some(EventTime {
                        generator: strategy.build(self.job.clock.clone())?,
                        idle_timeout_ms: strategy.idle_timeout_ms(),
                    }),
                    None => None,
                };
                let splits = std::mem::take(&mut self.splits[node]);
                let source = if splits.is_empty() { None } else { Some(source.spec.open(splits, &context)?) };
                Task::Source(SourceTask::new(source, bell, time, outputs))
            }
            NodeKind::Operator(spec) => {
                let context = OperatorContext {
                    worker: self.index,
                    workers: self.workers,
                    batch_rows: self.config.batch_rows,
                    clock: self.job.clock.clone(),
                    row_errors: self.job.row_errors.clone(),
                };
                let operator = if here { Some(spec.build(&context)?) } else { None };
                let tick_ms = (here && spec.needs_ticks()).then(|| self.job.clock.now_ms());
                Task::Operator(Box::new(OperatorTask::new(operator, inputs, outputs, tick_ms)))
            }
            NodeKind::Sink(sink) => {
                let context = SinkContext {
                    worker: self.index,
                    workers: self.workers,
                    clock: self.job.clock.clone(),
                    waker: Waker::from(bell.clone()),
                };
                let opened = if here { Some(sink.spec.open(&context)?) } else { None };
                let task = SinkTask::new(opened, inputs, bell);
                // Input that ends by itself is answered as a whole or not at all.
                let bounded = self.job.dataflow.bounded();
                Task::Sink(if bounded { task } else { task.committing_early(sink.spec.clone()) })
            }
        })
    }
}
