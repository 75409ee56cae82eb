//! Rows that wait for the watermark, and how they come out in order.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute;
use arrow::datatypes::{SchemaRef, UInt64Type};
use arrow::row::{RowConverter, Rows, SortField};
use corelane_stream::{Error, Result};

/// Rows as they came, and their times (without nulls).
struct Waiting {
    rows: RecordBatch,
    times: Int64Array,
    latest: i64,
    in_order: bool,
    bytes: usize,
}

pub struct Pending {
    schema: SchemaRef,
    /// Columns that order rows of the same time.
    order: Vec<usize>,
    /// By their earliest time and when they came: a watermark looks only at what it passes.
    waiting: BTreeMap<(i64, u64), Waiting>,
    arrived: u64,
    bytes: usize,
}

impl Pending {
    pub fn new(schema: SchemaRef, order: Vec<usize>) -> Self {
        Pending { schema, order, waiting: BTreeMap::new(), arrived: 0, bytes: 0 }
    }

    pub fn push(&mut self, rows: RecordBatch, times: Int64Array) {
        self.arrived += 1;
        self.wait(self.arrived, rows, times);
    }

    fn wait(&mut self, arrival: u64, rows: RecordBatch, times: Int64Array) {
        let (Some(earliest), Some(latest)) = (compute::min(&times), compute::max(&times)) else { return };
        let in_order = times.values().is_sorted();
        let bytes = rows.columns().iter().map(part_bytes).sum();
        self.bytes += bytes;
        self.waiting.insert((earliest, arrival), Waiting { rows, times, latest, in_order, bytes });
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.waiting.values().map(|waiting| &waiting.rows)
    }

    /// Takes out the rows that the watermark has passed, in order.
    pub fn due(&mut self, watermark: i64) -> Result<Option<Due>> {
        let mut due: Vec<(u64, RecordBatch, Int64Array)> = Vec::new();
        while let Some(first) = self.waiting.first_entry()
            && first.key().0 <= watermark
        {
            let (_, arrival) = *first.key();
            let Waiting { rows, times, latest, in_order, bytes } = first.remove();
            self.bytes -= bytes;
            if latest <= watermark {
                due.push((arrival, rows, times));
            } else if in_order {
                let split = times.values().partition_point(|time| *time <= watermark);
                due.push((arrival, rows.slice(0, split), times.slice(0, split)));
                let left = rows.num_rows() - split;
                self.wait(arrival, rows.slice(split, left), times.slice(split, left));
            } else {
                let passed: BooleanArray = times.values().iter().map(|time| Some(*time <= watermark)).collect();
                due.push((arrival, compute::filter_record_batch(&rows, &passed)?, picked(&times, &passed)?));
                let left = compute::not(&passed)?;
                self.wait(arrival, compute::filter_record_batch(&rows, &left)?, picked(&times, &left)?);
            }
        }
        if due.is_empty() {
            return Ok(None);
        }
        // Of rows of one time the one that came first goes out first.
        due.sort_unstable_by_key(|(arrival, ..)| *arrival);
        let rows = match due.as_slice() {
            [(_, rows, _)] => rows.clone(),
            _ => compute::concat_batches(&self.schema, due.iter().map(|(_, rows, _)| rows))?,
        };
        let times: Vec<i64> = due.iter().flat_map(|(.., times)| times.values().iter().copied()).collect();
        Ok(Some(self.ordered(rows, times)?))
    }

    fn ordered(&self, rows: RecordBatch, times: Vec<i64>) -> Result<Due> {
        let ties = Ties::new(&rows, &self.order)?;
        let compare = |a: usize, b: usize| times[a].cmp(&times[b]).then_with(|| ties.compare(a, b));
        if (1..times.len()).all(|row| compare(row - 1, row).is_le()) {
            return Ok(Due { rows, times, next: 0 });
        }
        let indices = ties.sorted(&times)?;
        let times = indices.iter().map(|row| times[*row as usize]).collect();
        let rows = compute::take_record_batch(&rows, &UInt32Array::from(indices))?;
        Ok(Due { rows, times, next: 0 })
    }
}

/// Bytes of the rows that an array shows, which may be a small part of its buffers.
fn part_bytes(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

fn picked(times: &Int64Array, mask: &BooleanArray) -> Result<Int64Array> {
    Ok(compute::filter(times, mask)?.as_primitive().clone())
}

/// What orders rows of the same time.
enum Ties {
    None,
    Position(arrow::array::UInt64Array),
    Rows(Rows),
}

impl Ties {
    fn new(rows: &RecordBatch, order: &[usize]) -> Result<Ties> {
        let columns: Vec<_> = order.iter().map(|column| rows.column(*column).clone()).collect();
        Ok(match columns.as_slice() {
            [] => Ties::None,
            [position] if position.null_count() == 0 && position.as_primitive_opt::<UInt64Type>().is_some() => {
                Ties::Position(position.as_primitive::<UInt64Type>().clone())
            }
            columns => {
                let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
                Ties::Rows(RowConverter::new(fields)?.convert_columns(columns)?)
            }
        })
    }

    /// The order of rows by time, then ties, then arrival.
    fn sorted(&self, times: &[i64]) -> Result<Vec<u32>> {
        let count = u32::try_from(times.len());
        let count = count.map_err(|_| Error::internal("too many rows wait for one watermark"))?;
        if let Some(mut rows) = by_time(times, count) {
            self.settle(times, &mut rows);
            return Ok(rows);
        }
        Ok(match self {
            Ties::Position(positions) => {
                let keys = times.iter().zip(positions.values()).zip(0..count);
                let mut keys: Vec<(i64, u64, u32)> = keys.map(|((time, tie), row)| (*time, *tie, row)).collect();
                keys.sort_unstable();
                keys.into_iter().map(|(_, _, row)| row).collect()
            }
            Ties::None | Ties::Rows(_) => {
                let mut indices: Vec<u32> = (0..count).collect();
                indices.sort_by(|a, b| {
                    let (a, b) = (*a as usize, *b as usize);
                    times[a].cmp(&times[b]).then_with(|| self.compare(a, b))
                });
                indices
            }
        })
    }

    /// Puts rows of one time, which stand together in the order of arrival, in order.
    fn settle(&self, times: &[i64], rows: &mut [u32]) {
        for peers in rows.chunk_by_mut(|a, b| times[*a as usize] == times[*b as usize]) {
            if 1 < peers.len() {
                peers.sort_by(|a, b| self.compare(*a as usize, *b as usize));
            }
        }
    }

    #[inline]
    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        match self {
            Ties::None => std::cmp::Ordering::Equal,
            Ties::Position(positions) => positions.value(a).cmp(&positions.value(b)),
            Ties::Rows(rows) => rows.row(a).cmp(&rows.row(b)),
        }
    }
}

const DIGIT_BITS: u32 = 11;

/// The order of rows by time alone, by a stable radix sort: what waits lies close together in
/// time, so a pass or two do. `None` if times lie too far apart for that.
fn by_time(times: &[i64], count: u32) -> Option<Vec<u32>> {
    let (earliest, latest) = (*times.iter().min()?, *times.iter().max()?);
    let bits = u64::BITS - latest.checked_sub(earliest)?.unsigned_abs().leading_zeros();
    if 3 * DIGIT_BITS < bits {
        return None;
    }
    let mut rows: Vec<u32> = (0..count).collect();
    let mut sorted = vec![0; rows.len()];
    for shift in (0..bits).step_by(DIGIT_BITS as usize) {
        let digit = |row: u32| ((times[row as usize] - earliest) >> shift) as usize & ((1 << DIGIT_BITS) - 1);
        let mut starts = [0u32; 1 << DIGIT_BITS];
        rows.iter().for_each(|row| starts[digit(*row)] += 1);
        let mut start = 0;
        for slot in &mut starts {
            start += std::mem::replace(slot, start);
        }
        for row in &rows {
            let slot = &mut starts[digit(*row)];
            sorted[*slot as usize] = *row;
            *slot += 1;
        }
        std::mem::swap(&mut rows, &mut sorted);
    }
    Some(rows)
}

/// Rows in order, of which some have gone out.
pub struct Due {
    rows: RecordBatch,
    times: Vec<i64>,
    next: usize,
}

impl Due {
    /// The next rows, about so many; with `peers` rows of one time stay together.
    pub fn next(&mut self, rows: usize, peers: bool) -> Option<(RecordBatch, Vec<i64>)> {
        let Range { start, mut end } = self.next..(self.next + rows).min(self.times.len());
        if start == end {
            return None;
        }
        while peers && end < self.times.len() && self.times[end] == self.times[end - 1] {
            end += 1;
        }
        self.next = end;
        Some((self.rows.slice(start, end - start), self.times[start..end].to_vec()))
    }
}
