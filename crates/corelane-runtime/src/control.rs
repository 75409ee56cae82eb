//! How a job is told to stop, by its user or by a failing worker.
//!
//! Workers look once a step: one load of a line that is written once in a job's life.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use corelane_stream::Error;
use crossbeam_utils::CachePadded;

use crate::doorbell::Doorbell;

/// What the workers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Order {
    Run = 0,
    /// Read no more, but finish what was read.
    Drain = 1,
    /// Stop where you are.
    Cancel = 2,
}

/// The first thing that went wrong, and where.
#[derive(Clone, Debug)]
pub struct Failure {
    pub error: Error,
    /// `None`: before or after the workers ran.
    pub worker: Option<usize>,
    /// The node's name in plans, with its table if it has one.
    pub node: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error, worker: None, node: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(out)
    }
}

/// Shared by the handle and the workers of one job.
#[derive(Debug, Default)]
pub struct Control {
    order: CachePadded<AtomicU8>,
    doorbells: Vec<Arc<Doorbell>>,
    failure: Mutex<Option<Failure>>,
    notices: Mutex<Vec<String>>,
}

/// Notices one job keeps; the rest are counted by the stall counters.
const NOTICES_MAX: usize = 64;

impl Control {
    pub fn new(doorbells: Vec<Arc<Doorbell>>) -> Control {
        Control { doorbells, ..Control::default() }
    }

    pub fn order(&self) -> Order {
        match self.order.load(Ordering::Relaxed) {
            0 => Order::Run,
            1 => Order::Drain,
            _ => Order::Cancel,
        }
    }

    /// Gives an order, unless a stronger one stands.
    pub fn give(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::AcqRel);
        for doorbell in &self.doorbells {
            doorbell.ring();
        }
    }

    /// Stops the job because of this; the first failure is the one that is reported.
    pub fn fail(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.give(Order::Cancel);
    }

    pub fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves a line for the user.
    pub fn notice(&self, line: String) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        if notices.len() < NOTICES_MAX {
            notices.push(line);
        }
    }

    pub fn notices(&self) -> Vec<String> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
