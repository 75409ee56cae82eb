//! Where a row came from, as a hidden column that rides beside it.
//!
//! A row may fail long after it was decoded: in a cast, in a sum, at a window that has closed.
//! By then its file and its bytes are out of sight, so the source gives them along where the
//! planner asks for them, as one more column that filters, exchanges and unions treat like any
//! other. Its end is the first operator that keeps state: what is kept must not hold raw bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, StructArray, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, UInt64Type};

use crate::error::Result;
use crate::row_errors::Position;
use crate::source::METADATA_KEY;

/// The metadata column that says of each row where it came from: a row of `source`, `place` and,
/// where they are wanted, the `raw` bytes.
pub const METADATA_ORIGIN: &str = "origin";

/// The column's name: no SQL name has a space at its start.
const ORIGIN_COLUMN: &str = " origin";

/// How much is told of a row's origin, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OriginDetail {
    /// Its source and its position there: enough for an error, and next to free.
    Place,
    /// Its bytes too, for a dead letter.
    Raw,
}

/// The field of the column.
pub fn origin_field(detail: OriginDetail) -> FieldRef {
    let metadata = [(METADATA_KEY.to_owned(), METADATA_ORIGIN.to_owned())];
    let field = Field::new(ORIGIN_COLUMN, DataType::Struct(parts(detail)), false);
    Arc::new(field.with_metadata(metadata.into()))
}

/// What a field tells, if it is that of the column.
pub fn origin_detail(field: &Field) -> Option<OriginDetail> {
    if field.metadata().get(METADATA_KEY).is_none_or(|name| name != METADATA_ORIGIN) {
        return None;
    }
    [OriginDetail::Place, OriginDetail::Raw]
        .into_iter()
        .find(|detail| *field.data_type() == DataType::Struct(parts(*detail)))
}

fn parts(detail: OriginDetail) -> Fields {
    let mut parts = vec![Field::new("source", DataType::Utf8View, false), Field::new("place", DataType::UInt64, false)];
    if detail == OriginDetail::Raw {
        parts.push(Field::new("raw", DataType::BinaryView, false));
    }
    parts.into()
}

/// Puts the column together. `places` are words of positions; with `raw` it tells
/// [`OriginDetail::Raw`], else [`OriginDetail::Place`].
///
/// # Errors
/// If the parts are not of one length.
pub fn origin_column(sources: ArrayRef, places: Vec<u64>, raw: Option<BinaryViewArray>) -> Result<ArrayRef> {
    let detail = if raw.is_some() { OriginDetail::Raw } else { OriginDetail::Place };
    let mut columns: Vec<ArrayRef> = vec![sources, Arc::new(UInt64Array::from(places))];
    columns.extend(raw.map(|raw| Arc::new(raw) as ArrayRef));
    Ok(Arc::new(StructArray::try_new(parts(detail), columns, None)?))
}

/// Where one row came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    pub source: &'a str,
    pub position: Position,
    /// The bytes it was decoded from, if there are any and they were kept.
    pub raw: Option<&'a [u8]>,
}

/// Reads one row of the column; `None` if it is another column.
pub fn origin_at(column: &dyn Array, row: usize) -> Option<Origin<'_>> {
    let column = column.as_struct_opt()?;
    Some(Origin {
        source: column.column_by_name("source")?.as_string_view_opt()?.value(row),
        position: Position::of_word(column.column_by_name("place")?.as_primitive_opt::<UInt64Type>()?.value(row)),
        raw: match column.column_by_name("raw") {
            Some(raw) => Some(raw.as_binary_view_opt()?.value(row)),
            None => None,
        },
    })
}

/// The same column without the bytes of rows that are gone: a filter leaves all of them where
/// they are, and a few rows of many batches would keep many batches' bytes.
pub fn compacted_origin(column: &ArrayRef) -> ArrayRef {
    let Some(rows) = column.as_struct_opt() else { return Arc::clone(column) };
    let (fields, mut columns, nulls) = rows.clone().into_parts();
    for column in &mut columns {
        if let Some(raw) = column.as_binary_view_opt() {
            *column = Arc::new(raw.gc());
        }
    }
    match StructArray::try_new(fields, columns, nulls) {
        Ok(rows) => Arc::new(rows),
        Err(_) => Arc::clone(column),
    }
}

/// A position's kind lies in the two topmost bits of its word; files are far below 2^62 bytes.
const KIND_SHIFT: u32 = 62;
const LINE: u64 = 1;
const ROW: u64 = 2;

impl Position {
    /// The position as one word.
    pub fn to_word(self) -> u64 {
        let number = |number: u64| number & ((1 << KIND_SHIFT) - 1);
        match self {
            Position::Byte(byte) => number(byte),
            Position::Line(line) => LINE << KIND_SHIFT | number(line),
            Position::Row(row) => ROW << KIND_SHIFT | number(row),
        }
    }

    pub fn of_word(word: u64) -> Position {
        let number = word & ((1 << KIND_SHIFT) - 1);
        match word >> KIND_SHIFT {
            LINE => Position::Line(number),
            ROW => Position::Row(number),
            _ => Position::Byte(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;

    use super::*;

    #[test]
    fn a_column_tells_what_went_into_it() {
        let positions = [Position::Line(3), Position::Byte(1 << 40), Position::Row(0)];
        let places: Vec<u64> = positions.iter().map(|position| position.to_word()).collect();
        let long = "a line of more bytes than lie in a view";
        let raw = BinaryViewArray::from_iter_values([long.as_bytes(), b"\xff", b""]);
        for raw in [None, Some(raw)] {
            let sources: ArrayRef = Arc::new(StringViewArray::from_iter_values(["a.json", "a.json", "b.json"]));
            let column = origin_column(sources, places.clone(), raw.clone()).expect("one length");
            let detail = if raw.is_some() { OriginDetail::Raw } else { OriginDetail::Place };
            let field = origin_field(detail);
            assert_eq!((origin_detail(&field), field.data_type()), (Some(detail), column.data_type()));
            for column in [compacted_origin(&column), column] {
                for (row, position) in positions.into_iter().enumerate() {
                    let origin = origin_at(&column, row).expect("an origin");
                    let source = if row < 2 { "a.json" } else { "b.json" };
                    let raw = raw.as_ref().map(|raw| raw.value(row));
                    assert_eq!(origin, Origin { source, position, raw });
                }
            }
        }
    }

    #[test]
    fn other_columns_tell_nothing() {
        assert_eq!(origin_detail(&Field::new(ORIGIN_COLUMN, DataType::UInt64, false)), None);
        assert_eq!(origin_at(&UInt64Array::from(vec![1]), 0), None);
    }
}
