//! Where each decoded row lies in its file, and its bytes, as far as anyone asked for them.

use std::mem;

use arrow::array::{ArrayRef, BinaryViewArray, make_view};
use arrow::buffer::{Buffer, ScalarBuffer};
use corelane_stream::limits::BAD_ROW_BYTES_MAX;
use corelane_stream::row_errors::Position;
use corelane_stream::{OriginDetail, Result};

use super::Rows;

/// Bytes kept of a record: one more than a dead letter shows, which then says that some are missing.
const RECORD_BYTES_KEPT: usize = BAD_ROW_BYTES_MAX + 1;

/// Notes about the rows that a decoder holds.
#[derive(Debug)]
pub(crate) struct Trace {
    offsets: Vec<u64>,
    /// Words of positions.
    places: Option<Vec<u64>>,
    raw: Option<Records>,
}

impl Trace {
    pub fn new(origin: Option<OriginDetail>) -> Self {
        Trace {
            offsets: vec![],
            places: origin.map(|_| vec![]),
            raw: (origin == Some(OriginDetail::Raw)).then(Records::default),
        }
    }

    /// Notes the next row.
    #[inline]
    pub fn push(&mut self, offset: u64, line: Option<u64>, record: &[u8]) {
        self.offsets.push(offset);
        if let Some(places) = &mut self.places {
            places.push(line.map_or(Position::Byte(offset), Position::Line).to_word());
        }
        if let Some(raw) = &mut self.raw {
            raw.push(&record[..record.len().min(RECORD_BYTES_KEPT)]);
        }
    }

    /// Gives the notes with the columns of their rows, and begins anew.
    ///
    /// # Errors
    /// If they break Arrow's rules, which would be a fault here.
    pub fn take(&mut self, columns: Vec<ArrayRef>) -> Result<Rows> {
        let fresh = || Vec::with_capacity(self.offsets.len());
        let places = self.places.is_some().then(fresh);
        let offsets = fresh();
        Ok(Rows {
            columns,
            offsets: mem::replace(&mut self.offsets, offsets),
            places: mem::replace(&mut self.places, places),
            raw: self.raw.as_mut().map(Records::take).transpose()?,
        })
    }
}

/// The bytes of records, one after the other in one block that is as long as they are: a block of
/// a builder has room to grow, which a batch of few rows would carry along.
#[derive(Debug, Default)]
struct Records {
    views: Vec<u128>,
    block: Vec<u8>,
}

impl Records {
    fn push(&mut self, record: &[u8]) {
        // A batch is the rows of one step, which reads little more than a record above a mebibyte.
        let offset = u32::try_from(self.block.len()).expect("a batch of records stays below 4 GiB");
        self.block.extend_from_slice(record);
        self.views.push(make_view(record, 0, offset));
    }

    fn take(&mut self) -> Result<BinaryViewArray> {
        let (rows, bytes) = (self.views.len(), self.block.len());
        let views = mem::replace(&mut self.views, Vec::with_capacity(rows));
        let block = mem::replace(&mut self.block, Vec::with_capacity(bytes));
        Ok(BinaryViewArray::try_new(ScalarBuffer::from(views), vec![Buffer::from_vec(block)], None)?)
    }
}
