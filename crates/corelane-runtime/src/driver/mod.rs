//! Drivers: who calls a worker's turns, on which thread and core.
//!
//! All of the engine is in the step; a driver only knows how to put a thread on a core, how to
//! put it to sleep and how to wake it.

mod glommio;
mod threads;

use corelane_stream::Result;

use crate::blueprint::WorkerBlueprint;
use crate::lane::LaneEnd;
use crate::placement::DriverKind;

pub use self::glommio::GlommioDriver;
pub use self::threads::ThreadDriver;

/// Waits for one worker's thread to end.
pub type Join = Box<dyn FnOnce() -> Result<LaneEnd> + Send>;

/// Runs workers, each on a thread of its own.
pub trait Driver {
    /// Starts a worker, bound to this CPU if one is given.
    ///
    /// # Errors
    /// If the thread cannot be started.
    fn start(&self, blueprint: WorkerBlueprint, cpu: Option<usize>) -> Result<Join>;
}

pub fn driver(kind: DriverKind) -> &'static dyn Driver {
    match kind {
        DriverKind::Glommio => &GlommioDriver,
        DriverKind::Threads => &ThreadDriver,
    }
}
