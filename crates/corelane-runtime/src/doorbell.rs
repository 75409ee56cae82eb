//! Sleep and wake: how an idle worker costs nothing and no wake is lost.
//!
//! A worker that finds nothing to do says so, then looks once more, then parks. Whoever gives it
//! work does so first and then looks whether it said so. With a sequentially consistent fence on
//! both sides, at least one of the two sees the other. A worker that is awake costs its peers one
//! load of a line that nobody writes.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use crossbeam_utils::CachePadded;

/// One worker's doorbell; padded, so that ringing one worker leaves the caches of others alone.
#[derive(Debug, Default)]
pub struct Doorbell {
    sleeping: CachePadded<AtomicBool>,
    /// How the driver wakes this worker. The lock is taken only to wake a sleeper, which costs
    /// a system call anyway; it lets the worker take the waker back on its own thread, because a
    /// waker of glommio must not outlive its executor.
    driver: Mutex<Option<Waker>>,
}

impl Doorbell {
    /// Says how to wake the worker; the driver does so before the first step.
    pub fn attach(&self, driver: Waker) {
        *self.driver.lock().unwrap_or_else(PoisonError::into_inner) = Some(driver);
    }

    /// Drops the waker; the driver does so after the last step.
    pub fn detach(&self) {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Says that the worker is about to sleep. It must look for work once more before it does.
    pub fn begin_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub fn is_sleeping(&self) -> bool {
        self.sleeping.load(Ordering::Acquire)
    }

    pub fn end_sleep(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Wakes the worker if it sleeps. Call it after the work is where the worker will find it.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed)
            && self.sleeping.swap(false, Ordering::AcqRel)
            && let Some(driver) = &*self.driver.lock().unwrap_or_else(PoisonError::into_inner)
        {
            driver.wake_by_ref();
        }
    }
}

/// The bell of one source or sink: tells which of them has news, beside waking the worker.
#[derive(Debug)]
pub struct Bell {
    rung: AtomicBool,
    doorbell: Arc<Doorbell>,
}

impl Bell {
    pub fn new(doorbell: Arc<Doorbell>) -> Arc<Bell> {
        Arc::new(Bell { rung: AtomicBool::new(false), doorbell })
    }

    /// True if it rang since it was last asked.
    pub fn take(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.doorbell.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_a_sleeper_is_woken_and_only_once() {
        let wakes = Arc::new(Wakes::default());
        let doorbell = Arc::new(Doorbell::default());
        doorbell.attach(Waker::from(wakes.clone()));
        doorbell.ring();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        doorbell.begin_sleep();
        doorbell.ring();
        doorbell.ring();
        assert!(!doorbell.is_sleeping());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_bell_remembers_until_asked() {
        let bell = Bell::new(Arc::new(Doorbell::default()));
        assert!(!bell.take());
        Waker::from(bell.clone()).wake();
        assert!(bell.take());
        assert!(!bell.take());
    }
}
