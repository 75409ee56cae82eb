//! Where each decoded row lies in its file, and its bytes, as far as anyone asked for them.

use std::mem;

use arrow::array::{ArrayRef, BinaryViewBuilder};
use corelane_stream::OriginDetail;
use corelane_stream::limits::BAD_ROW_BYTES_MAX;
use corelane_stream::row_errors::Position;

use super::Rows;

/// Bytes kept of a record: one more than a dead letter shows, which then says that some are missing.
const RECORD_BYTES_KEPT: usize = BAD_ROW_BYTES_MAX + 1;

/// Notes about the rows that a decoder holds.
#[derive(Debug)]
pub(crate) struct Trace {
    offsets: Vec<u64>,
    /// Words of positions.
    places: Option<Vec<u64>>,
    raw: Option<BinaryViewBuilder>,
}

impl Trace {
    pub fn new(origin: Option<OriginDetail>) -> Self {
        Trace {
            offsets: vec![],
            places: origin.map(|_| vec![]),
            raw: (origin == Some(OriginDetail::Raw)).then(BinaryViewBuilder::new),
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
            raw.append_value(&record[..record.len().min(RECORD_BYTES_KEPT)]);
        }
    }

    /// Gives the notes with the columns of their rows, and begins anew.
    pub fn take(&mut self, columns: Vec<ArrayRef>) -> Rows {
        let fresh = || Vec::with_capacity(self.offsets.len());
        let places = self.places.is_some().then(fresh);
        let offsets = fresh();
        Rows {
            columns,
            offsets: mem::replace(&mut self.offsets, offsets),
            places: mem::replace(&mut self.places, places),
            raw: self.raw.as_mut().map(BinaryViewBuilder::finish),
        }
    }
}
