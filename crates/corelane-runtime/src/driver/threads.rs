//! Workers on plain threads: the driver where io_uring is refused.

use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use core_affinity::CoreId;
use corelane_stream::{Error, Result};

use crate::blueprint::WorkerBlueprint;
use crate::driver::{Driver, Join};
use crate::lane::{Lane, LaneEnd, Turn, panic_text};

/// One plain thread for each worker; it sleeps in the kernel's futex.
#[derive(Debug)]
pub struct ThreadDriver;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Driver for ThreadDriver {
    fn start(&self, blueprint: WorkerBlueprint, cpu: Option<usize>) -> Result<Join> {
        let index = blueprint.index();
        let thread = thread::Builder::new()
            .name(format!("corelane-{index}"))
            .spawn(move || run(blueprint, cpu))
            .map_err(|error| Error::io(format!("cannot start the thread of worker {index}: {error}")))?;
        Ok(Box::new(move || {
            thread.join().map_err(|panic| {
                Error::internal(format!("the thread of worker {index} panicked: {}", panic_text(&*panic)))
            })
        }))
    }
}

fn run(blueprint: WorkerBlueprint, cpu: Option<usize>) -> LaneEnd {
    if let Some(cpu) = cpu
        && !core_affinity::set_for_current(CoreId { id: cpu })
    {
        let index = blueprint.index();
        blueprint.control().notice(format!("worker {index} could not be bound to CPU {cpu} and runs anywhere"));
    }
    let mut lane = Lane::build(blueprint);
    let doorbell = lane.doorbell().clone();
    doorbell.attach(Waker::from(Arc::new(Unpark(thread::current()))));
    loop {
        match lane.turn() {
            Turn::Again => {}
            Turn::Park { deadline_ns } => {
                // A thread may be unparked for no reason, or by an earlier wake.
                while doorbell.is_sleeping() {
                    match deadline_ns.map(|deadline_ns| lane.nanoseconds_until(deadline_ns)) {
                        None => thread::park(),
                        Some(0) => break,
                        Some(wait_ns) => thread::park_timeout(Duration::from_nanos(wait_ns)),
                    }
                }
            }
            Turn::Ended => break,
        }
    }
    doorbell.detach();
    lane.into_end()
}
