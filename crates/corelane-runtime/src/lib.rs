//! Where and when a dataflow runs: pinned workers, rings between them, drivers under them.
//!
//! Each worker owns its share of every key and runs on one core; state never leaves it. Workers
//! speak only through rings, and no lock or shared counter is on the data path. A worker is a
//! synchronous `step`; glommio, plain threads and the simulator are three drivers of it.

mod alignment;
mod blueprint;
mod config;
mod control;
mod doorbell;
mod driver;
mod edge;
mod exchange;
mod job;
mod lane;
mod memory;
mod metrics;
mod operator_task;
mod placement;
mod probe;
mod ring;
mod sink_task;
mod source_task;
mod task;
#[cfg(test)]
mod tests;
mod worker;

pub use blueprint::{JobParts, WorkerBlueprint, blueprints};
pub use config::{
    CoreOverrides, CoreSet, DriverChoice, IdlePolicy, LINGER_US_DEFAULT, RuntimeConfig, SPIN_US_DEFAULT,
    STALL_NOTIFY_MS_DEFAULT, TASK_QUOTA_US_DEFAULT, WorkerConfig,
};
pub use control::{Control, Failure, Order};
pub use doorbell::Doorbell;
pub use edge::EdgeCounters;
pub use job::{JobHandle, JobProgress, JobReport, JobSetup, NodeReport, Outcome, WorkerReport, start, start_on};
pub use lane::{Lane, LaneEnd, Turn};
pub use metrics::{Durations, NodeMetrics, Slot, WorkerCounters, WorkerMetrics};
pub use placement::{DriverKind, Placement};
pub use probe::{Cpu, IoUring, MachineFacts, advice, probe};
pub use worker::{Step, Worker};
