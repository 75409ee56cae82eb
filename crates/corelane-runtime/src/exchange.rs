//! Partitioning of a batch over workers.
//!
//! Rows go by the hash of their key to the worker that owns its key group; only the key columns
//! are looked at, and the parts are cut by arrow's `take`, which is at the memory's own speed.

use arrow::array::{ArrayRef, UInt32Array};
use corelane_stream::{ChangelogBatch, Exchange, KeyGroup, Result, hash_columns};

/// How one edge of one worker chooses destinations, with the buffers it reuses.
#[derive(Debug)]
pub struct Partitioner {
    exchange: Exchange,
    workers: usize,
    /// The destination of the next batch under `Rebalance`.
    next: usize,
    hashes: Vec<u64>,
}

impl Partitioner {
    pub fn new(exchange: Exchange, worker: usize, workers: usize) -> Partitioner {
        Partitioner { exchange, workers, next: worker, hashes: Vec::new() }
    }

    /// Cuts a batch into parts and gives each to `deliver` with its destination.
    ///
    /// # Errors
    /// If a key column's type cannot be hashed, or `deliver` fails.
    pub fn partition(
        &mut self,
        batch: ChangelogBatch,
        mut deliver: impl FnMut(usize, ChangelogBatch) -> Result<()>,
    ) -> Result<()> {
        match &self.exchange {
            Exchange::Forward | Exchange::Gather => deliver(0, batch)?,
            Exchange::Rebalance => {
                deliver(self.next, batch)?;
                self.next = (self.next + 1) % self.workers;
            }
            Exchange::Broadcast => {
                for destination in 1..self.workers {
                    deliver(destination, batch.clone())?;
                }
                deliver(0, batch)?;
            }
            Exchange::Hash(columns) => {
                let keys: Vec<ArrayRef> = columns.iter().map(|column| batch.rows().column(*column).clone()).collect();
                hash_columns(&keys, batch.num_rows(), &mut self.hashes)?;
                let parts = positions_by_worker(&self.hashes, self.workers);
                for (destination, positions) in parts.into_iter().enumerate() {
                    if positions.len() == batch.num_rows() {
                        return deliver(destination, batch);
                    }
                    if !positions.is_empty() {
                        deliver(destination, batch.take(&UInt32Array::from(positions))?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Sorts row positions by the worker that owns the row's key (about 1 ns a row).
fn positions_by_worker(hashes: &[u64], workers: usize) -> Vec<Vec<u32>> {
    // A quarter above the fair share: most batches then need no second allocation.
    let share = hashes.len() / workers * 5 / 4 + 1;
    let mut parts: Vec<Vec<u32>> = (0..workers).map(|_| Vec::with_capacity(share)).collect();
    for (row, hash) in hashes.iter().enumerate() {
        parts[KeyGroup::of(*hash).worker(workers)].push(row as u32);
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use proptest::prelude::*;

    use super::*;

    fn batch(keys: &[i64]) -> ChangelogBatch {
        let schema = Arc::new(Schema::new(vec![Field::new("key", DataType::Int64, false)]));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(keys.to_vec()))]).unwrap();
        ChangelogBatch::append(rows)
    }

    fn parts(exchange: Exchange, workers: usize, keys: &[i64]) -> Vec<Vec<i64>> {
        let mut parts = vec![Vec::new(); workers];
        Partitioner::new(exchange, 0, workers)
            .partition(batch(keys), |destination, part| {
                parts[destination].extend(part.rows().column(0).as_primitive::<Int64Type>().values());
                Ok(())
            })
            .unwrap();
        parts
    }

    #[test]
    fn broadcast_and_gather() {
        assert_eq!(parts(Exchange::Broadcast, 3, &[1, 2]), vec![vec![1, 2]; 3]);
        assert_eq!(parts(Exchange::Gather, 3, &[1, 2]), vec![vec![1, 2], vec![], vec![]]);
    }

    proptest! {
        #[test]
        fn every_row_goes_to_one_worker_in_order(keys in prop::collection::vec(0i64..50, 0..300), workers in 1usize..9) {
            let parts = parts(Exchange::Hash(vec![0]), workers, &keys);
            for key in 0..50 {
                let owners = parts.iter().filter(|part| part.contains(&key)).count();
                prop_assert!(owners <= 1);
            }
            for part in &parts {
                let mut rest = keys.iter();
                prop_assert!(part.iter().all(|key| rest.any(|other| other == key)));
            }
            prop_assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), keys.len());
        }
    }
}
