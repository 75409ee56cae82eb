//! Designs that run the query on several threads, by what the threads share.
//!
//! All take the same batches: any thread may read any key. All give right answers, which costs
//! each of them something, and that is what is measured.

use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Instant;

use anyhow::{Result, anyhow};
use arrow::array::RecordBatch;

use super::groups::{Columns, Groups};
use crate::cpu_time;
use crate::results::cpus_in_order;
use crate::scaling::counters::pin;
use crate::scaling::rows::Parts;

/// What a run took.
pub struct Run {
    pub result: RecordBatch,
    pub elapsed_ns: u64,
    /// By thread.
    pub cpu_ns: Vec<u64>,
    /// Batches that were computed again because another thread was faster.
    pub repeated: u64,
}

/// One engine for all, behind a lock: its state is copied out under the read lock and put back
/// under the write lock, for each batch. If another thread has put back its own in between, that
/// one's rows are not in this copy, so the batch is computed again on a new copy.
pub fn shared_engine(parts: &Parts, batch_rows: usize) -> Result<Run> {
    struct Engine {
        groups: Groups,
        version: u64,
    }
    let engine = RwLock::new(Engine { groups: Groups::default(), version: 0 });
    let mut run = on_threads(parts, batch_rows, |_| {
        |batch: &RecordBatch| {
            let columns = Columns::of(batch);
            let mut repeated = 0;
            loop {
                let (mut groups, version) = {
                    let engine = engine.read().unwrap_or_else(PoisonError::into_inner);
                    (engine.groups.clone(), engine.version)
                };
                groups.add(&columns);
                let mut engine = engine.write().unwrap_or_else(PoisonError::into_inner);
                if engine.version == version {
                    *engine = Engine { groups, version: version + 1 };
                    return repeated;
                }
                repeated += 1;
            }
        }
    })?;
    run.result = engine.into_inner().unwrap_or_else(PoisonError::into_inner).groups.result()?;
    Ok(run)
}

/// One engine for each partition of the keys, each behind its own lock: a thread splits its batch
/// by key and adds each share under the lock of the engine that has its keys.
pub fn engine_per_partition(parts: &Parts, batch_rows: usize) -> Result<Run> {
    let partitions = parts.parts.len();
    let engines: Vec<Mutex<Groups>> = (0..partitions).map(|_| Mutex::default()).collect();
    let engines = &engines;
    let mut run = on_threads(parts, batch_rows, |thread| {
        let mut rows = vec![Vec::new(); partitions];
        move |batch: &RecordBatch| {
            let columns = Columns::of(batch);
            columns.split(&mut rows);
            // Each begins with another engine, so that they do not follow each other around.
            for partition in (0..partitions).map(|index| (thread + index) % partitions) {
                let mut groups = engines[partition].lock().unwrap_or_else(PoisonError::into_inner);
                groups.add_some(&columns, &rows[partition]);
            }
            0
        }
    })?;
    let mut all = Groups::default();
    engines.iter().for_each(|groups| all.merge(&groups.lock().unwrap_or_else(PoisonError::into_inner)));
    run.result = all.result()?;
    Ok(run)
}

/// Nothing shared: each thread has groups of its own, and they are added up once at the end. No
/// stream could do only that, for it never ends; it shows what the aggregate itself costs.
pub fn nothing_shared(parts: &Parts, batch_rows: usize) -> Result<Run> {
    let partial: Vec<Mutex<Groups>> = parts.parts.iter().map(|_| Mutex::default()).collect();
    let partial = &partial;
    let mut run = on_threads(parts, batch_rows, |thread| {
        // Locked once for the whole run: nobody else asks for it.
        let mut groups = partial[thread].lock().unwrap_or_else(PoisonError::into_inner);
        move |batch: &RecordBatch| {
            groups.add(&Columns::of(batch));
            0
        }
    })?;
    let mut all = Groups::default();
    partial.iter().for_each(|groups| all.merge(&groups.lock().unwrap_or_else(PoisonError::into_inner)));
    run.result = all.result()?;
    Ok(run)
}

/// Reads each part on a thread of its own; `worker` makes what a thread does with a batch, which
/// says how often it had to begin again.
fn on_threads<W, B>(parts: &Parts, batch_rows: usize, worker: W) -> Result<Run>
where
    W: Fn(usize) -> B + Sync,
    B: FnMut(&RecordBatch) -> u64,
{
    let cpus = cpus_in_order();
    let read = |thread: usize, part: &[RecordBatch]| {
        pin(cpus.get(thread % cpus.len().max(1)).copied());
        let before = cpu_time::of_this_thread();
        let mut step = worker(thread);
        let mut repeated = 0;
        for _ in 0..parts.times {
            for batch in part {
                for start in (0..batch.num_rows()).step_by(batch_rows) {
                    repeated += step(&batch.slice(start, batch_rows.min(batch.num_rows() - start)));
                }
            }
        }
        ((cpu_time::of_this_thread() - before).as_nanos() as u64, repeated)
    };
    let read = &read;
    let start = Instant::now();
    let ends = std::thread::scope(|scope| {
        let parts = parts.parts.iter().enumerate();
        let threads: Vec<_> = parts.map(|(thread, part)| scope.spawn(move || read(thread, part))).collect();
        let ends = threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked")));
        ends.collect::<Result<Vec<_>>>()
    })?;
    Ok(Run {
        result: Groups::default().result()?,
        elapsed_ns: start.elapsed().as_nanos() as u64,
        cpu_ns: ends.iter().map(|end| end.0).collect(),
        repeated: ends.iter().map(|end| end.1).sum(),
    })
}
