//! A worker: its tasks, its ends of the rings, and the step that runs them.
//!
//! A step never blocks and never waits: it runs tasks, downstream first, while they have input
//! and room, polls sources within a budget, and says whether anything moved. glommio, plain
//! threads and the simulator call the same step.

use std::sync::Arc;

use corelane_stream::operator::StateWriter;
use corelane_stream::{ChangelogBatch, Clock, Committable, Error, NodeId, Result};

use crate::control::{Control, Failure, Order};
use crate::edge::Edge;
use crate::memory;
use crate::metrics::{PUBLISH_NS, Slot, WorkerMetrics};
use crate::source_task::SourceTask;
use crate::task::{Task, TaskContext};

/// Tasks run between two looks at the sources and at the control.
const RUNS_PER_PASS: usize = 64;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Worked,
    /// Nothing to do before something happens, or this monotonic time.
    Idle {
        deadline_ns: Option<u64>,
    },
    /// All tasks have ended, or the job was stopped.
    Finished,
}

/// What a worker is told about how to run.
#[derive(Clone, Copy, Debug)]
pub struct WorkerLimits {
    pub task_quota_ns: u64,
    pub stall_notify_ns: u64,
    /// State that its operators may hold.
    pub memory_bytes: u64,
}

/// What a worker is made of besides its tasks.
pub struct WorkerParts {
    pub index: usize,
    pub names: Vec<String>,
    pub edges: Vec<Edge>,
    pub clock: Arc<dyn Clock>,
    pub control: Arc<Control>,
    pub slot: Slot,
    pub limits: WorkerLimits,
    pub state: Box<dyn StateWriter>,
}

/// All that one core owns. It never leaves its thread: operators are built from `Rc`s.
///
/// ```compile_fail
/// fn moves_between_threads<T: Send>() {}
/// moves_between_threads::<corelane_runtime::Worker>();
/// ```
pub struct Worker {
    parts: WorkerParts,
    /// By node.
    tasks: Vec<Task>,
    /// The node whose task runs or ran last, for messages.
    current: usize,
    /// Nodes that are sources, and which of them comes first in the next pass.
    sources: Vec<usize>,
    source_next: usize,
    /// For each node, the last node that reads it: where to go on after it ran.
    last_reader: Vec<usize>,
    metrics: WorkerMetrics,
    published_ns: u64,
}

/// The checkpoint store of a job that takes no checkpoints.
pub struct NoState;

impl StateWriter for NoState {
    fn write(&mut self, part: &str, _state: ChangelogBatch) -> Result<()> {
        Err(Error::internal(format!("cannot keep the state {part}: this job takes no checkpoints")))
    }
}

impl Worker {
    /// A worker with one task for each node; `readers[node]` are the nodes that read it.
    pub fn new(parts: WorkerParts, tasks: Vec<Task>, readers: &[Vec<usize>]) -> Worker {
        assert_eq!(tasks.len(), readers.len(), "each node has one task and its readers");
        let sources = (0..tasks.len()).filter(|node| matches!(tasks[*node], Task::Source(_))).collect();
        let last_reader =
            readers.iter().enumerate().map(|(node, readers)| readers.iter().copied().max().unwrap_or(node)).collect();
        let mut metrics = WorkerMetrics::default();
        metrics.counters.nodes.resize(tasks.len(), Default::default());
        Worker { parts, tasks, current: 0, sources, source_next: 0, last_reader, metrics, published_ns: 0 }
    }

    pub fn index(&self) -> usize {
        self.parts.index
    }

    pub fn control(&self) -> &Arc<Control> {
        &self.parts.control
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.parts.clock
    }

    /// The name of the node that ran last.
    pub fn current_node(&self) -> &str {
        &self.parts.names[self.current]
    }

    pub fn metrics_mut(&mut self) -> &mut WorkerMetrics {
        &mut self.metrics
    }

    /// Does what there is to do, for about the task quota.
    ///
    /// # Errors
    /// If a task fails; the failure names its node.
    pub fn step(&mut self) -> Result<Step, Failure> {
        let order = self.parts.control.order();
        if order == Order::Cancel {
            return Ok(Step::Finished);
        }
        let start_ns = self.parts.clock.monotonic_ns();
        let mut now_ns = start_ns;
        let stepped = self.passes(order, &mut now_ns);
        let end_ns = self.parts.clock.monotonic_ns();
        if end_ns.saturating_sub(self.published_ns) >= PUBLISH_NS {
            self.published_ns = end_ns;
            self.publish();
            if let Err(error) = self.check_memory() {
                return Err(Failure { error, worker: Some(self.parts.index), node: None });
            }
        }
        match stepped {
            Ok(step) => {
                self.measure(step, end_ns.saturating_sub(start_ns));
                Ok(step)
            }
            Err(error) => {
                Err(Failure { error, worker: Some(self.parts.index), node: Some(self.current_node().to_owned()) })
            }
        }
    }

    /// Copies the counters to where the job's handle finds them.
    pub fn publish(&mut self) {
        for (node, task) in self.tasks.iter().enumerate() {
            let metrics = &mut self.metrics.counters.nodes[node];
            match task {
                Task::Source(task) => metrics.source = task.counters(),
                Task::Operator(task) => metrics.operator = task.counters(),
                Task::Sink(_) => {}
            }
        }
        let edges = &mut self.metrics.counters.edges;
        *edges = Default::default();
        for edge in &self.parts.edges {
            let counters = edge.counters();
            edges.messages += counters.messages;
            edges.ring_full += counters.ring_full;
            edges.ring_depth_max = edges.ring_depth_max.max(counters.ring_depth_max);
        }
        self.parts.slot.publish(&self.metrics.counters);
    }

    fn check_memory(&self) -> Result<()> {
        let WorkerParts { index, names, limits, .. } = &self.parts;
        memory::check(*index, limits.memory_bytes, names, &self.metrics.counters.nodes)
    }

    /// Ends the worker: what its sinks prepared, and what it counted.
    pub fn finish(mut self) -> (Vec<(NodeId, Vec<Committable>)>, WorkerMetrics) {
        self.publish();
        let mut prepared = Vec::new();
        for (node, task) in self.tasks.into_iter().enumerate() {
            if let Task::Sink(task) = task {
                prepared.push((NodeId(node), task.into_prepared()));
            }
        }
        (prepared, self.metrics)
    }

    fn measure(&mut self, step: Step, elapsed_ns: u64) {
        let counters = &mut self.metrics.counters;
        match step {
            Step::Worked | Step::Finished => {
                counters.steps += 1;
                counters.busy_ns += elapsed_ns;
                self.metrics.step.record(elapsed_ns);
            }
            Step::Idle { .. } => {}
        }
    }

    fn passes(&mut self, order: Order, now_ns: &mut u64) -> Result<Step> {
        let quota_ends_ns = now_ns.saturating_add(self.parts.limits.task_quota_ns);
        let mut worked = false;
        loop {
            let mut moved = self.retry_edges(*now_ns)?;
            moved |= self.run_tasks(now_ns)?;
            moved |= match order {
                Order::Run => self.poll_sources(now_ns)?,
                Order::Drain => self.end_sources(now_ns, SourceTask::stop)?,
                Order::Cancel => self.end_sources(now_ns, SourceTask::drain)?,
            };
            worked |= moved;
            if !moved || quota_ends_ns <= *now_ns {
                break;
            }
        }
        worked |= self.run_timers(now_ns)?;
        if worked {
            self.flush_due(*now_ns)?;
            return Ok(Step::Worked);
        }
        if self.run_idle(now_ns)? {
            return Ok(Step::Worked);
        }
        if self.is_finished() {
            return Ok(Step::Finished);
        }
        Ok(Step::Idle { deadline_ns: self.deadline_ns(*now_ns) })
    }

    fn retry_edges(&mut self, now_ns: u64) -> Result<bool> {
        let mut moved = false;
        for edge in &mut self.parts.edges {
            moved |= edge.retry(now_ns);
        }
        Ok(moved)
    }

    fn flush_due(&mut self, now_ns: u64) -> Result<()> {
        for edge in &mut self.parts.edges {
            edge.flush_due(now_ns)?;
        }
        Ok(())
    }

    /// Runs tasks from the last to the first. After one that did something it goes on with its
    /// last reader: a batch goes all the way down while it is in the cache.
    fn run_tasks(&mut self, now_ns: &mut u64) -> Result<bool> {
        let mut runs = 0;
        let mut end = self.tasks.len();
        while end > 0 && runs < RUNS_PER_PASS {
            let node = end - 1;
            if self.run_task(node, now_ns)? {
                runs += 1;
                self.pass_refusal(node, now_ns)?;
                end = self.last_reader[node] + 1;
            } else {
                end -= 1;
            }
        }
        Ok(runs > 0)
    }

    /// If a task has enough, tells those that work for it alone, up to their sources.
    fn pass_refusal(&mut self, node: usize, now_ns: &mut u64) -> Result<()> {
        let mut news = false;
        self.with_task(node, now_ns, |task, context| {
            if let Task::Operator(task) = task {
                news = task.refuse(context);
            }
            Ok(false)
        })?;
        for before in (0..node).rev().filter(|_| news) {
            self.with_task(before, now_ns, |task, context| match task {
                Task::Source(task) => task.end_if_refused(context),
                Task::Operator(task) => Ok(task.refuse(context)),
                Task::Sink(_) => Ok(false),
            })?;
        }
        Ok(())
    }

    fn run_task(&mut self, node: usize, now_ns: &mut u64) -> Result<bool> {
        self.with_task(node, now_ns, |task, context| match task {
            Task::Source(_) => Ok(false),
            Task::Operator(task) => task.run(context),
            Task::Sink(task) => task.run(context),
        })
    }

    /// Polls the sources in turn until one gives something, beginning with another one each time.
    fn poll_sources(&mut self, now_ns: &mut u64) -> Result<bool> {
        for turn in 0..self.sources.len() {
            let position = (self.source_next + turn) % self.sources.len();
            let polled = self.with_source(self.sources[position], now_ns, SourceTask::run)?;
            if polled {
                self.source_next = (position + 1) % self.sources.len();
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn end_sources(
        &mut self,
        now_ns: &mut u64,
        end: fn(&mut SourceTask, &mut TaskContext<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let mut ended = false;
        for position in 0..self.sources.len() {
            ended |= self.with_source(self.sources[position], now_ns, end)?;
        }
        Ok(ended)
    }

    /// Tells operators, sources and sinks of time that has passed.
    fn run_timers(&mut self, now_ns: &mut u64) -> Result<bool> {
        let mut moved = false;
        for node in 0..self.tasks.len() {
            let ticks = self.tasks[node].tick_ms().is_some();
            let now_ms = if ticks { self.parts.clock.now_ms() } else { 0 };
            moved |= self.with_task(node, now_ns, |task, context| match task {
                Task::Source(task) => task.check_idle(context),
                Task::Operator(task) if ticks => task.tick(now_ms, context),
                Task::Sink(task) if ticks => task.tick(now_ms),
                Task::Operator(_) | Task::Sink(_) => Ok(false),
            })?;
        }
        Ok(moved)
    }

    /// There is nothing to read: what was held back to make larger batches goes out.
    fn run_idle(&mut self, now_ns: &mut u64) -> Result<bool> {
        let mut moved = false;
        for node in 0..self.tasks.len() {
            moved |= self.with_task(node, now_ns, |task, context| match task {
                Task::Source(_) => Ok(false),
                Task::Operator(task) => task.idle(context),
                Task::Sink(task) => task.idle(),
            })?;
        }
        for edge in &mut self.parts.edges {
            moved |= edge.flush_all(*now_ns)?;
        }
        Ok(moved)
    }

    fn is_finished(&self) -> bool {
        let ended = self.tasks.iter().all(|task| match task {
            Task::Source(task) => task.is_finished(),
            Task::Operator(task) => task.is_finished(),
            Task::Sink(task) => task.is_finished(),
        });
        ended && self.parts.edges.iter().all(Edge::is_drained)
    }

    fn deadline_ns(&self, now_ns: u64) -> Option<u64> {
        let deadlines = self.tasks.iter().filter_map(|task| match task {
            Task::Source(task) => task.deadline_ns(now_ns),
            Task::Operator(_) | Task::Sink(_) => task.tick_ms().map(|tick_ms| {
                let wait_ms = tick_ms.saturating_sub(self.parts.clock.now_ms()).max(0) as u64;
                now_ns.saturating_add(wait_ms.saturating_mul(1_000_000))
            }),
        });
        deadlines.min()
    }

    fn with_source(
        &mut self,
        node: usize,
        now_ns: &mut u64,
        run: impl FnOnce(&mut SourceTask, &mut TaskContext<'_>) -> Result<bool>,
    ) -> Result<bool> {
        self.with_task(node, now_ns, |task, context| match task {
            Task::Source(task) => run(task, context),
            Task::Operator(_) | Task::Sink(_) => Ok(false),
        })
    }

    /// Lends a task what it works with, and charges its time to its node if it did anything.
    fn with_task(
        &mut self,
        node: usize,
        now_ns: &mut u64,
        run: impl FnOnce(&mut Task, &mut TaskContext<'_>) -> Result<bool>,
    ) -> Result<bool> {
        self.current = node;
        let WorkerMetrics { counters, hop, latency, .. } = &mut self.metrics;
        let mut context = TaskContext {
            edges: &mut self.parts.edges,
            now_ns: *now_ns,
            metrics: &mut counters.nodes[node],
            hop,
            latency,
            state: self.parts.state.as_mut(),
        };
        let worked = run(&mut self.tasks[node], &mut context)?;
        if worked {
            let end_ns = self.parts.clock.monotonic_ns();
            let elapsed_ns = end_ns.saturating_sub(*now_ns);
            *now_ns = end_ns;
            counters.nodes[node].busy_ns += elapsed_ns;
            if elapsed_ns > self.parts.limits.stall_notify_ns {
                counters.stalls += 1;
                if counters.stalls.is_power_of_two() {
                    self.parts.control.notice(format!(
                        "worker {} was held up for {} ms by {} ({} times so far)",
                        self.parts.index,
                        elapsed_ns / 1_000_000,
                        self.parts.names[node],
                        counters.stalls,
                    ));
                }
            }
        }
        Ok(worked)
    }
}
