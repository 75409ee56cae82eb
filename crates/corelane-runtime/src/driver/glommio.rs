//! Workers on glommio executors: the driver where io_uring is allowed.
//!
//! We use little of glommio: an executor bound to a core, its timer, and a waker. Its own
//! spinning and its channels are slower than our rings. The worker is one task; it yields after
//! each step, so that other tasks of the executor run, and keeps one clone of its waker for good,
//! because glommio counts the clones of a waker in 16 bits.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use corelane_stream::{Error, Result};
use glommio::timer::Timer;
use glommio::{LocalExecutorBuilder, Placement};

use crate::blueprint::WorkerBlueprint;
use crate::doorbell::Doorbell;
use crate::driver::{Driver, Join};
use crate::lane::{Lane, LaneEnd, Turn};

/// Memory registered for I/O per executor; the default of 10 MiB is pinned three times over.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// One glommio executor for each worker; it sleeps in io_uring.
#[derive(Debug)]
pub struct GlommioDriver;

impl Driver for GlommioDriver {
    fn start(&self, blueprint: WorkerBlueprint, cpu: Option<usize>) -> Result<Join> {
        let index = blueprint.index();
        let refused = move |error: &dyn std::fmt::Display| {
            Error::io(format!("cannot run worker {index} on glommio: {error}")).with_hint("use --driver threads")
        };
        let placement = cpu.map_or(Placement::Unbound, Placement::Fixed);
        let executor = LocalExecutorBuilder::new(placement)
            .name("corelane")
            .io_memory(IO_MEMORY_BYTES)
            .spin_before_park(Duration::ZERO)
            .spawn(move || run(blueprint))
            .map_err(|error| refused(&error))?;
        Ok(Box::new(move || executor.join().map_err(|error| refused(&error))))
    }
}

async fn run(blueprint: WorkerBlueprint) -> LaneEnd {
    let mut lane = Lane::build(blueprint);
    let doorbell = lane.doorbell().clone();
    poll_fn(|context| {
        doorbell.attach(context.waker().clone());
        Poll::Ready(())
    })
    .await;
    loop {
        match lane.turn() {
            Turn::Again => glommio::yield_if_needed().await,
            Turn::Park { deadline_ns: None } => woken(&doorbell).await,
            Turn::Park { deadline_ns: Some(deadline_ns) } => {
                let wait_ns = lane.nanoseconds_until(deadline_ns);
                woken_or_late(&doorbell, Duration::from_nanos(wait_ns)).await;
            }
            Turn::Ended => break,
        }
    }
    doorbell.detach();
    lane.into_end()
}

/// The doorbell holds the task's waker: there is nothing to register.
async fn woken(doorbell: &Doorbell) {
    poll_fn(|_| if doorbell.is_sleeping() { Poll::Pending } else { Poll::Ready(()) }).await;
}

async fn woken_or_late(doorbell: &Doorbell, wait: Duration) {
    let mut timer = Timer::new(wait);
    poll_fn(|context| {
        if !doorbell.is_sleeping() {
            return Poll::Ready(());
        }
        Future::poll(Pin::new(&mut timer), context).map(|_| ())
    })
    .await;
}
