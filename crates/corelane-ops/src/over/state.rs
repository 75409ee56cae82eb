//! The snapshot of `OVER`: four parts.
//!
//! - `watermark`: how far event time had come;
//! - `pending`: rows that wait, as they came;
//! - `keys`: for each key its counts and, for unbounded frames, what is accumulated;
//! - `held`: for each key the rows that its longest bounded frame holds. Restoring slides the
//!   frames over them again, which leaves every bounded call as it was.

use std::sync::Arc;

use arrow::array::new_null_array;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::compute;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use corelane_stream::operator::StateWriter;
use corelane_stream::{ChangelogBatch, Error, KeyGroup, Progress, Result, hash_columns};

use super::frame::Frame;
use super::{KeyRows, Over, Work};
use crate::aggregate::At;
use crate::window_assign::milliseconds;

/// Keys of which the state is written in one call.
const KEYS_PER_PIECE: usize = 4_096;

impl Over {
    /// Writes a piece of the snapshot.
    pub(super) fn write(&mut self, state: &mut dyn StateWriter) -> Result<Progress> {
        let (ids, from) = match self.writing.take() {
            Some(writing) => writing,
            None => {
                let watermark: ArrayRef = Arc::new(Int64Array::from(vec![self.watermark]));
                state.write("watermark", named(vec![("watermark".to_owned(), watermark)], 1)?)?;
                for rows in self.pending.batches() {
                    state.write("pending", ChangelogBatch::append(rows.clone()))?;
                }
                (self.keys.live(), 0)
            }
        };
        let until = (from + KEYS_PER_PIECE).min(ids.len());
        if from < until {
            let piece = &ids[from..until];
            state.write("keys", self.keys_piece(piece)?)?;
            state.write("held", self.held_piece(piece)?)?;
        }
        if until == ids.len() {
            return Ok(Progress::Done);
        }
        self.writing = Some((ids, until));
        Ok(Progress::More)
    }

    fn keys_piece(&mut self, ids: &[u32]) -> Result<ChangelogBatch> {
        let mut columns = self.key_columns(ids)?;
        let number = |of: fn(&KeyRows) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| of(&self.key_rows[*id as usize]))))
        };
        columns.push(("count".to_owned(), number(|key| key.count)));
        columns.push(("latest".to_owned(), number(|key| key.latest)));
        for (call, running) in self.running.iter_mut().enumerate() {
            match &mut running.work {
                Work::Accumulate { accumulators, unbounded: true, .. } => {
                    for (position, column) in accumulators.states(ids)?.into_iter().enumerate() {
                        columns.push((format!("call{call}_{position}"), column));
                    }
                }
                Work::Pick { argument, pick } if pick.unbounded() => {
                    let places = ids.iter().map(|id| pick.standing(*id));
                    columns.push((format!("call{call}"), self.history.gather(*argument, places)?));
                }
                Work::RowNumber | Work::Pick { .. } | Work::Accumulate { .. } => {}
            }
        }
        named(columns, ids.len())
    }

    fn held_piece(&mut self, ids: &[u32]) -> Result<ChangelogBatch> {
        let (mut owners, mut numbers, mut times, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for id in ids {
            let bounded = || self.frames.iter().filter(|frame| frame.is_bounded());
            let Some(longest) = bounded().map(|frame| frame.held(*id)).max_by_key(|held| held.len()) else { continue };
            let first = self.key_rows[*id as usize].count - longest.len() as i64;
            let timed = bounded().filter(|frame| frame.marks_are_times()).map(|frame| frame.held(*id));
            let timed = timed.max_by_key(|held| held.len());
            for (position, (_, at)) in longest.iter().enumerate() {
                owners.push(*id);
                numbers.push(first + position as i64);
                // Rows that no frame of time holds are as old as can be: they leave it at once.
                let from_end = longest.len() - position;
                let time = timed.and_then(|timed| timed.len().checked_sub(from_end).map(|index| timed[index].0));
                times.push(time.unwrap_or(i64::MIN));
                places.push(Some(*at));
            }
        }
        let mut columns = self.key_columns(&owners)?;
        columns.push(("number".to_owned(), Arc::new(Int64Array::from(numbers))));
        columns.push(("time".to_owned(), Arc::new(Int64Array::from(times))));
        for column in 0..self.read.len() {
            columns.push((format!("value{column}"), self.history.gather(column, places.iter().copied())?));
        }
        named(columns, owners.len())
    }

    fn key_columns(&self, ids: &[u32]) -> Result<Vec<(String, ArrayRef)>> {
        let columns = self.keys.columns_of(ids)?.into_iter().enumerate();
        Ok(columns.map(|(position, column)| (format!("key{position}"), column)).collect())
    }

    /// Takes back a piece of a snapshot.
    pub(super) fn read_back(&mut self, part: &str, state: &RecordBatch) -> Result<()> {
        match part {
            "watermark" => {
                let watermark = column(state, 0)?.as_primitive_opt::<Int64Type>().and_then(compute::max);
                self.watermark = self.watermark.max(watermark.unwrap_or(i64::MIN));
                Ok(())
            }
            "pending" => {
                let rows = self.owned(state, &self.partition)?;
                if let Some(time) = self.time {
                    let times = milliseconds(column(&rows, time)?)?;
                    self.pending.push(rows, times);
                }
                Ok(())
            }
            "keys" => self.read_keys(state),
            "held" => self.read_held(state),
            other => Err(Error::internal(format!("OVER has no state called {other:?}"))),
        }
    }

    fn read_keys(&mut self, state: &RecordBatch) -> Result<()> {
        let (state, ids) = self.owned_keys(state)?;
        let mut next = self.partition.len();
        let (counts, latest) = (numbers(&state, next)?, numbers(&state, next + 1)?);
        for (row, id) in ids.iter().enumerate() {
            self.key_rows[*id as usize] = KeyRows { count: counts.value(row), latest: latest.value(row) };
        }
        next += 2;
        for call in 0..self.running.len() {
            match &mut self.running[call].work {
                Work::Accumulate { accumulators, unbounded: true, .. } => {
                    let until = next + accumulators.state_fields().len();
                    let columns = state.columns().get(next..until).ok_or_else(foreign)?;
                    accumulators.merge(&ids, columns)?;
                    next = until;
                }
                Work::Pick { argument, pick } if pick.unbounded() => {
                    let values = column(&state, next)?;
                    let columns = self.history.schema().fields().iter().enumerate();
                    let columns = columns.map(|(position, field)| match position == *argument {
                        true => Arc::clone(values),
                        false => new_null_array(field.data_type(), values.len()),
                    });
                    let first = self.history.push(columns.collect(), values.len())?;
                    for (row, id) in ids.iter().enumerate().filter(|(row, _)| values.is_valid(*row)) {
                        pick.restore(*id, At { row: first.row + row as u32, ..first });
                    }
                    next += 1;
                }
                Work::RowNumber | Work::Pick { .. } | Work::Accumulate { .. } => {}
            }
        }
        Ok(())
    }

    fn read_held(&mut self, state: &RecordBatch) -> Result<()> {
        let (state, ids) = self.owned_keys(state)?;
        let keys = self.partition.len();
        let times = numbers(&state, keys + 1)?;
        self.numbers = numbers(&state, keys)?.values().to_vec();
        let columns = state.columns().get(keys + 2..).ok_or_else(foreign)?.to_vec();
        self.slide(columns, &ids, times.values(), Frame::is_bounded)?;
        Ok(())
    }

    /// The rows whose keys, in the first columns, are this worker's, and the keys' ids.
    fn owned_keys(&mut self, state: &RecordBatch) -> Result<(RecordBatch, Vec<u32>)> {
        let columns: Vec<usize> = (0..self.partition.len()).collect();
        let state = self.owned(state, &columns)?;
        let mut ids = Vec::new();
        self.keys.ids_of(&state.columns()[..columns.len()], state.num_rows(), &mut ids)?;
        self.resize();
        Ok((state, ids))
    }

    /// The rows whose keys are this worker's: a snapshot may come from another number of workers.
    fn owned(&self, rows: &RecordBatch, key: &[usize]) -> Result<RecordBatch> {
        let (worker, workers) = self.place;
        if workers == 1 {
            return Ok(rows.clone());
        }
        if key.is_empty() {
            // Without a key all rows are gathered on one worker.
            return Ok(rows.slice(0, if worker == 0 { rows.num_rows() } else { 0 }));
        }
        let mut hashes = Vec::new();
        hash_columns(rows.project(key)?.columns(), rows.num_rows(), &mut hashes)?;
        let own: BooleanArray = hashes.iter().map(|hash| Some(KeyGroup::of(*hash).worker(workers) == worker)).collect();
        Ok(compute::filter_record_batch(rows, &own)?)
    }
}

fn named(columns: Vec<(String, ArrayRef)>, rows: usize) -> Result<ChangelogBatch> {
    let fields = columns.iter().map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(ChangelogBatch::append(RecordBatch::try_new_with_options(schema, columns, &options)?))
}

fn column(state: &RecordBatch, position: usize) -> Result<&ArrayRef> {
    state.columns().get(position).ok_or_else(foreign)
}

fn numbers(state: &RecordBatch, position: usize) -> Result<Int64Array> {
    let column = column(state, position)?;
    match column.data_type() {
        DataType::Int64 => Ok(column.as_primitive().clone()),
        _ => Err(foreign()),
    }
}

fn foreign() -> Error {
    Error::internal("the state is not that of this OVER")
}
