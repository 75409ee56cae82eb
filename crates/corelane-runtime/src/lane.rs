//! A worker's loop as its driver sees it: step, spin, park, end.
//!
//! A driver only calls `turn` and does what it says. Here is where a panic is caught, where an
//! idle worker decides between spinning and sleeping, and where it looks once more before it
//! sleeps.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use corelane_stream::{Committable, Error, NodeId};

use crate::blueprint::WorkerBlueprint;
use crate::config::IdlePolicy;
use crate::control::{Control, Failure};
use crate::doorbell::Doorbell;
use crate::metrics::WorkerMetrics;
use crate::probe::thread_cpu_ns;
use crate::worker::{Step, Worker};

/// Parks in a row after which an adaptive worker spins only half as long.
const MISSES_MAX: u32 = 8;

/// What a driver is to do next.
#[derive(Debug)]
pub enum Turn {
    /// Call `turn` again, at once.
    Again,
    /// Call `turn` again when the doorbell no longer says that the worker sleeps, or at this
    /// monotonic time.
    Park { deadline_ns: Option<u64> },
    /// The worker has ended.
    Ended,
}

/// What a worker leaves behind.
#[derive(Debug)]
pub struct LaneEnd {
    pub worker: usize,
    pub prepared: Vec<(NodeId, Vec<Committable>)>,
    pub metrics: WorkerMetrics,
    /// CPU time of the worker's thread.
    pub cpu_ns: u64,
}

/// How long to look for work before sleeping.
#[derive(Clone, Copy, Debug)]
struct Patience {
    policy: IdlePolicy,
    spin_ns_max: u64,
    spin_ns: u64,
    misses: u32,
    idle_since_ns: Option<u64>,
}

impl Patience {
    fn new(policy: IdlePolicy, spin_ns: u64) -> Patience {
        Patience { policy, spin_ns_max: spin_ns, spin_ns, misses: 0, idle_since_ns: None }
    }

    /// There was work: if it came while spinning, spinning pays.
    fn worked(&mut self) {
        if self.idle_since_ns.take().is_some() {
            self.spin_ns = self.spin_ns_max;
            self.misses = 0;
        }
    }

    /// There is no work: true if it is time to sleep.
    fn is_over(&mut self, now_ns: u64) -> bool {
        let since_ns = *self.idle_since_ns.get_or_insert(now_ns);
        match self.policy {
            IdlePolicy::Spin => false,
            IdlePolicy::Park => true,
            IdlePolicy::Adaptive => now_ns.saturating_sub(since_ns) >= self.spin_ns,
        }
    }

    fn parked(&mut self) {
        self.idle_since_ns = None;
        self.misses += 1;
        if self.misses >= MISSES_MAX {
            self.misses = 0;
            self.spin_ns /= 2;
        }
    }
}

/// One worker and its way of waiting.
pub struct Lane {
    worker: Option<Worker>,
    control: Arc<Control>,
    doorbell: Arc<Doorbell>,
    patience: Patience,
    end: LaneEnd,
}

impl Lane {
    /// Builds the worker on the thread that will run it. If that fails, the lane ends at its first turn.
    pub fn build(blueprint: WorkerBlueprint) -> Lane {
        let index = blueprint.index();
        let control = blueprint.control().clone();
        let doorbell = blueprint.doorbell().clone();
        let patience = Patience::new(blueprint.idle(), blueprint.spin_ns());
        let built = catch_unwind(AssertUnwindSafe(|| blueprint.build())).unwrap_or_else(|panic| {
            let error = Error::internal(format!("worker {index} panicked as it was built: {}", panic_text(&*panic)));
            Err(Failure { error, worker: Some(index), node: None })
        });
        let worker = built.map_err(|failure| control.fail(failure)).ok();
        let end = LaneEnd { worker: index, prepared: Vec::new(), metrics: WorkerMetrics::default(), cpu_ns: 0 };
        Lane { worker, control, doorbell, patience, end }
    }

    pub fn doorbell(&self) -> &Arc<Doorbell> {
        &self.doorbell
    }

    /// Nanoseconds until a monotonic time.
    pub fn nanoseconds_until(&self, deadline_ns: u64) -> u64 {
        self.worker.as_ref().map_or(0, |worker| deadline_ns.saturating_sub(worker.clock().monotonic_ns()))
    }

    /// Runs one step. Call it only while the doorbell does not say that the worker sleeps, or
    /// after its deadline.
    pub fn turn(&mut self) -> Turn {
        self.doorbell.end_sleep();
        match self.step() {
            Step::Worked => {
                self.patience.worked();
                Turn::Again
            }
            Step::Finished => self.finish(),
            Step::Idle { .. } => self.wait(),
        }
    }

    fn wait(&mut self) -> Turn {
        let Some(worker) = &mut self.worker else {
            return Turn::Ended;
        };
        if !self.patience.is_over(worker.clock().monotonic_ns()) {
            std::hint::spin_loop();
            return Turn::Again;
        }
        self.doorbell.begin_sleep();
        match self.step() {
            Step::Worked => {
                self.doorbell.end_sleep();
                self.patience.worked();
                Turn::Again
            }
            Step::Finished => self.finish(),
            Step::Idle { deadline_ns } => {
                self.patience.parked();
                if let Some(worker) = &mut self.worker {
                    worker.metrics_mut().counters.parks += 1;
                    worker.publish();
                }
                Turn::Park { deadline_ns }
            }
        }
    }

    /// Steps the worker; an error or a panic stops the job and ends this worker.
    fn step(&mut self) -> Step {
        let Some(worker) = &mut self.worker else {
            return Step::Finished;
        };
        let stepped = catch_unwind(AssertUnwindSafe(|| worker.step())).unwrap_or_else(|panic| {
            let (index, node) = (worker.index(), worker.current_node().to_owned());
            let error = Error::internal(format!("{node} panicked on worker {index}: {}", panic_text(&*panic)))
                .with_hint("this is a bug in corelane, please report it");
            Err(Failure { error, worker: Some(index), node: Some(node) })
        });
        stepped.unwrap_or_else(|failure| {
            self.control.fail(failure);
            Step::Finished
        })
    }

    fn finish(&mut self) -> Turn {
        self.doorbell.end_sleep();
        self.end.cpu_ns = thread_cpu_ns();
        if let Some(worker) = self.worker.take() {
            let index = worker.index();
            // What a task owns may panic once more as it is dropped.
            match catch_unwind(AssertUnwindSafe(|| worker.finish())) {
                Ok((prepared, metrics)) => {
                    self.end.prepared = prepared;
                    self.end.metrics = metrics;
                }
                Err(panic) => {
                    let text = panic_text(&*panic);
                    let error = Error::internal(format!("worker {index} panicked as it ended: {text}"));
                    self.control.fail(Failure { error, worker: Some(index), node: None });
                }
            }
        }
        Turn::Ended
    }

    pub fn into_end(self) -> LaneEnd {
        self.end
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_halves_after_eight_parks_and_comes_back() {
        let mut patience = Patience::new(IdlePolicy::Adaptive, 1_000);
        for round in 0..16 {
            assert!(!patience.is_over(round * 10_000));
            assert!(patience.is_over(round * 10_000 + 1_000));
            patience.parked();
        }
        assert_eq!(patience.spin_ns, 250);
        assert!(!patience.is_over(1_000_000));
        patience.worked();
        assert_eq!(patience.spin_ns, 1_000);
    }
}
