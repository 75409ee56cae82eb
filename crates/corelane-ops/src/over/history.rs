//! The values that frames may still need: chunks of columns that only grow, and are packed when
//! most of their rows are dead.
//!
//! Frames hold positions, not values, so calls over one frame share them and any type will do.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute;
use arrow::datatypes::{Schema, SchemaRef};
use corelane_stream::Result;

use crate::aggregate::At;

/// Rows below which packing is not worth its while.
const PACKED_ROWS_MIN: usize = 32_768;

/// Rows below which a chunk is grown by copying rather than followed by another.
const CHUNK_ROWS_MIN: usize = 1_024;

/// Shows every place that someone holds, to read or to change.
pub type Visit<'a> = dyn FnMut(&mut dyn FnMut(&mut At)) + 'a;

pub struct History {
    schema: SchemaRef,
    chunks: Vec<RecordBatch>,
    rows: usize,
    /// Rows that were alive when last packed.
    packed: usize,
}

impl History {
    /// Any column may be null here, whatever its field says.
    pub fn new(schema: &Schema) -> Self {
        let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        History { schema, chunks: Vec::new(), rows: 0, packed: 0 }
    }

    /// Appends rows; gives the place of the first, the others follow.
    pub fn push(&mut self, columns: Vec<ArrayRef>, rows: usize) -> Result<At> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        self.rows += rows;
        if let Some(last) = self.chunks.last_mut()
            && last.num_rows() < CHUNK_ROWS_MIN
        {
            let first = At { chunk: 0, row: last.num_rows() as u32 };
            *last = compute::concat_batches(&self.schema, [&*last, &batch])?;
            return Ok(At { chunk: self.chunks.len() as u32 - 1, ..first });
        }
        self.chunks.push(batch);
        Ok(At { chunk: self.chunks.len() as u32 - 1, row: 0 })
    }

    /// One column of each chunk.
    pub fn column(&self, column: usize) -> Vec<ArrayRef> {
        self.chunks.iter().map(|chunk| chunk.column(column).clone()).collect()
    }

    /// Some columns of each chunk.
    pub fn columns(&self, columns: &[usize]) -> Vec<Vec<ArrayRef>> {
        let of = |chunk: &RecordBatch| columns.iter().map(|column| chunk.column(*column).clone()).collect();
        self.chunks.iter().map(of).collect()
    }

    /// The values at these places, null where there is none.
    pub fn gather(&self, column: usize, places: impl Iterator<Item = Option<At>>) -> Result<ArrayRef> {
        let none = new_null_array(self.schema.field(column).data_type(), 1);
        gathered(&none, &self.column(column), places)
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(RecordBatch::get_array_memory_size).sum()
    }

    /// True if by now most rows must be dead.
    pub fn wants_packing(&self) -> bool {
        2 * self.packed + PACKED_ROWS_MIN < self.rows
    }

    /// Drops the rows whose places nobody holds.
    pub fn pack(&mut self, visit: &mut Visit<'_>) -> Result<()> {
        let mut alive: Vec<Vec<bool>> = self.chunks.iter().map(|chunk| vec![false; chunk.num_rows()]).collect();
        visit(&mut |at| alive[at.chunk as usize][at.row as usize] = true);
        let mut places: Vec<Vec<u32>> = Vec::with_capacity(alive.len());
        let mut kept = Vec::with_capacity(alive.len());
        let mut next = 0;
        for (chunk, alive) in self.chunks.iter().zip(alive) {
            let place = |alive: &bool| {
                let place = next;
                next += u32::from(*alive);
                place
            };
            places.push(alive.iter().map(place).collect());
            kept.push(compute::filter_record_batch(chunk, &BooleanArray::from(alive))?);
        }
        let packed = compute::concat_batches(&self.schema, &kept)?;
        visit(&mut |at| *at = At { chunk: 0, row: places[at.chunk as usize][at.row as usize] });
        self.rows = packed.num_rows();
        self.packed = self.rows;
        self.chunks = if self.rows == 0 { Vec::new() } else { vec![packed] };
        Ok(())
    }
}

/// The values at these places among chunks of one column; `none`, one value, where there is no place.
pub fn gathered(none: &ArrayRef, chunks: &[ArrayRef], places: impl Iterator<Item = Option<At>>) -> Result<ArrayRef> {
    let mut arrays: Vec<&dyn Array> = vec![none.as_ref()];
    arrays.extend(chunks.iter().map(AsRef::as_ref));
    let places = places.map(|at| at.map_or((0, 0), |at| (at.chunk as usize + 1, at.row as usize)));
    Ok(compute::interleave(&arrays, &places.collect::<Vec<_>>())?)
}
