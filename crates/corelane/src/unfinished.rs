//! What must be undone if the program ends in the middle of its work.
//!
//! A file that is dropped before it is complete removes itself, and a job that is cancelled its
//! own. But a program that hangs and is told to stop ends without dropping anything, so whoever
//! ends it has to know what lies around.

use std::sync::{Mutex, MutexGuard, PoisonError};

type Undo = Box<dyn FnOnce() + Send>;

struct Entries {
    /// Those that were ever added.
    count: u64,
    list: Vec<(u64, Undo)>,
}

static ENTRIES: Mutex<Entries> = Mutex::new(Entries { count: 0, list: Vec::new() });

fn entries() -> MutexGuard<'static, Entries> {
    // Whole at every instant, so a panic elsewhere does not spoil it.
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Work that is not finished; finished, or undone by its owner, as soon as this is dropped.
#[derive(Debug)]
pub struct Unfinished(u64);

impl Unfinished {
    /// Begins work that is undone like this.
    pub fn begin(undo: impl FnOnce() + Send + 'static) -> Unfinished {
        let mut entries = entries();
        entries.count += 1;
        let number = entries.count;
        entries.list.push((number, Box::new(undo)));
        Unfinished(number)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        entries().list.retain(|(number, _)| *number != self.0);
    }
}

/// Undoes all that is not finished, for a program that ends now.
pub fn undo() {
    let list = std::mem::take(&mut entries().list);
    list.into_iter().for_each(|(_, undo)| undo());
}
