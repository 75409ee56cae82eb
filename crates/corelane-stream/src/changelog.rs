//! Batches of changes: rows, and what each row does to the result so far.
//!
//! An append-only stream carries no kinds at all: `None` is the fast path, and most batches of
//! most queries take it.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, UInt8Array, UInt32Array};
use arrow::compute;
use arrow::datatypes::SchemaRef;

use crate::error::Result;

/// What a row does to the result: printed `+I -U +U -D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RowKind {
    Insert = 0,
    UpdateBefore = 1,
    UpdateAfter = 2,
    Delete = 3,
}

impl RowKind {
    /// True for the kinds that add a row to the result, false for those that take one away.
    pub fn is_addition(self) -> bool {
        matches!(self, RowKind::Insert | RowKind::UpdateAfter)
    }

    fn from_code(code: u8) -> RowKind {
        match code {
            0 => RowKind::Insert,
            1 => RowKind::UpdateBefore,
            2 => RowKind::UpdateAfter,
            3 => RowKind::Delete,
            _ => unreachable!("row kinds are only made from RowKind"),
        }
    }
}

impl fmt::Display for RowKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            RowKind::Insert => "+I",
            RowKind::UpdateBefore => "-U",
            RowKind::UpdateAfter => "+U",
            RowKind::Delete => "-D",
        })
    }
}

/// The kinds of a batch's rows, one byte each.
#[derive(Clone, Debug, PartialEq)]
pub struct RowKinds(UInt8Array);

impl RowKinds {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, row: usize) -> RowKind {
        RowKind::from_code(self.0.value(row))
    }

    pub fn iter(&self) -> impl Iterator<Item = RowKind> + '_ {
        self.0.values().iter().map(|code| RowKind::from_code(*code))
    }
}

impl FromIterator<RowKind> for RowKinds {
    fn from_iter<T: IntoIterator<Item = RowKind>>(kinds: T) -> Self {
        RowKinds(kinds.into_iter().map(|kind| kind as u8).collect::<Vec<u8>>().into())
    }
}

/// Rows and their kinds; `kinds == None` means that every row is an insert.
#[derive(Clone, Debug)]
pub struct ChangelogBatch {
    rows: RecordBatch,
    kinds: Option<RowKinds>,
}

impl ChangelogBatch {
    /// A batch of inserts.
    pub fn append(rows: RecordBatch) -> Self {
        ChangelogBatch { rows, kinds: None }
    }

    /// A batch of changes, one kind for each row.
    pub fn new(rows: RecordBatch, kinds: RowKinds) -> Self {
        assert_eq!(rows.num_rows(), kinds.len(), "each row has one kind");
        ChangelogBatch { rows, kinds: Some(kinds) }
    }

    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    pub fn into_parts(self) -> (RecordBatch, Option<RowKinds>) {
        (self.rows, self.kinds)
    }

    pub fn kinds(&self) -> Option<&RowKinds> {
        self.kinds.as_ref()
    }

    /// The kind of one row.
    pub fn kind(&self, row: usize) -> RowKind {
        self.kinds.as_ref().map_or(RowKind::Insert, |kinds| kinds.get(row))
    }

    pub fn num_rows(&self) -> usize {
        self.rows.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.num_rows() == 0
    }

    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The same kinds over other columns of the same length.
    #[must_use]
    pub fn with_rows(&self, rows: RecordBatch) -> Self {
        assert_eq!(rows.num_rows(), self.num_rows(), "a projection keeps its rows");
        ChangelogBatch { rows, kinds: self.kinds.clone() }
    }

    /// Keeps the rows whose mask is true (null counts as false).
    pub fn filter(&self, mask: &BooleanArray) -> Result<Self> {
        let rows = compute::filter_record_batch(&self.rows, mask)?;
        let kinds = match &self.kinds {
            Some(kinds) => Some(retyped(&compute::filter(&kinds.0, mask)?)),
            None => None,
        };
        Ok(ChangelogBatch { rows, kinds })
    }

    /// Picks rows by position.
    pub fn take(&self, indices: &UInt32Array) -> Result<Self> {
        let rows = compute::take_record_batch(&self.rows, indices)?;
        let kinds = match &self.kinds {
            Some(kinds) => Some(retyped(&compute::take(&kinds.0, indices, None)?)),
            None => None,
        };
        Ok(ChangelogBatch { rows, kinds })
    }

    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        ChangelogBatch {
            rows: self.rows.slice(offset, length),
            kinds: self.kinds.as_ref().map(|kinds| RowKinds(kinds.0.slice(offset, length))),
        }
    }

    /// Joins batches of one schema end to end.
    pub fn concat(schema: &SchemaRef, batches: &[ChangelogBatch]) -> Result<Self> {
        let rows = compute::concat_batches(schema, batches.iter().map(|batch| &batch.rows))?;
        let kinds = if batches.iter().all(|batch| batch.kinds.is_none()) {
            None
        } else {
            Some(batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| batch.kind(row))).collect())
        };
        Ok(ChangelogBatch { rows, kinds })
    }
}

fn retyped(array: &Arc<dyn Array>) -> RowKinds {
    let codes = array.as_any().downcast_ref::<UInt8Array>().expect("kernels keep the type of their input");
    RowKinds(codes.clone())
}

/// What kinds of rows an edge carries; inferred by the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangelogMode {
    /// Inserts only.
    Append,
    /// Updates arrive as a `-U` with the old row before a `+U` with the new one.
    Retract,
    /// Updates arrive as `+U`, deletes as `-D` of the key in these columns.
    Upsert(Vec<usize>),
}

impl fmt::Display for ChangelogMode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangelogMode::Append => out.write_str("append"),
            ChangelogMode::Retract => out.write_str("retract"),
            ChangelogMode::Upsert(key) => write!(out, "upsert{key:?}"),
        }
    }
}
