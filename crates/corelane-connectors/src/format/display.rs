//! The text of every value, as Flink spells it.
//!
//! One place for all text that leaves the engine: printed changelogs, csv and json files,
//! partition directories. A column is prepared once a batch ([`ColumnText`]); writing a value is
//! then one virtual call that appends to the caller's buffer. Arrow's own formatter is not used
//! because its floats, decimals, timestamps and nested values are spelled differently.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::buffer::NullBuffer;
use corelane_stream::{ChangelogBatch, Result};

use crate::format::decode::value::TimestampStyle;

mod cells;
mod json;
mod nested;
mod temporal;

pub use json::quote_json;
pub(crate) use nested::{json_key, write_object};

/// Who will read the text: that decides how strings, bytes, times and nested values are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A person: `[1, a, NULL]`, times in their own zone, bytes as `x'0a'`.
    Person,
    /// A csv parser, which quotes by itself: nested values are joined by this.
    Csv { element_delimiter: char },
    /// A json parser.
    Json(JsonText),
}

/// What Flink lets a table choose about its json.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonText {
    /// `json.timestamp-format.standard`
    pub timestamps: TimestampStyle,
    pub decimals: DecimalNotation,
    pub null_fields: NullFields,
}

/// `json.encode.decimal-as-plain-number`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalNotation {
    /// `1E-8`, as Java spells small decimals.
    #[default]
    Scientific,
    /// `0.00000001`
    Plain,
}

/// `json.encode.ignore-null-fields`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NullFields {
    #[default]
    Write,
    Omit,
}

/// Appends the text of one row's value; called for rows that are not null.
trait Cell {
    fn write(&self, row: usize, out: &mut String);
}

/// The values of one column, ready to be written as text.
pub struct ColumnText {
    nulls: Option<NullBuffer>,
    null: Arc<str>,
    cell: Box<dyn Cell>,
}

impl ColumnText {
    /// Prepares a column. `null` is what a null is spelled.
    ///
    /// # Errors
    /// If values of this type have no text.
    pub fn new(array: &dyn Array, reader: Reader, null: &Arc<str>) -> Result<Self> {
        let cell = cells::cell(array, reader, null)?;
        Ok(ColumnText { nulls: array.logical_nulls(), null: Arc::clone(null), cell })
    }

    /// Prepares a column for a person: a null is `NULL`.
    ///
    /// # Errors
    /// As for `new`.
    pub fn for_person(array: &dyn Array) -> Result<Self> {
        ColumnText::new(array, Reader::Person, &Arc::from("NULL"))
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends the value of a row.
    pub fn write(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            out.push_str(&self.null);
        } else {
            self.cell.write(row, out);
        }
    }
}

/// Prepares all columns of a batch.
pub(crate) fn columns(rows: &RecordBatch, reader: Reader, null: &Arc<str>) -> Result<Vec<ColumnText>> {
    rows.columns().iter().map(|column| ColumnText::new(column, reader, null)).collect()
}

/// Writes the rows of a changelog as a person reads them: `+I[1, a, NULL]`.
pub struct ChangelogText<'a> {
    batch: &'a ChangelogBatch,
    columns: Vec<ColumnText>,
}

impl<'a> ChangelogText<'a> {
    /// # Errors
    /// If a column's values have no text.
    pub fn new(batch: &'a ChangelogBatch) -> Result<Self> {
        let columns = columns(batch.rows(), Reader::Person, &Arc::from("NULL"))?;
        Ok(ChangelogText { batch, columns })
    }

    /// Appends one row, without a line end.
    pub fn write(&self, row: usize, out: &mut String) {
        write!(out, "{}[", self.batch.kind(row)).expect("strings grow");
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            column.write(row, out);
        }
        out.push(']');
    }
}

/// Appends the text of one value as a person reads it. For single values only: whoever has a
/// column of them prepares a [`ColumnText`].
///
/// # Errors
/// If values of this type have no text.
pub fn format_value(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    ColumnText::for_person(array)?.write(row, out);
    Ok(())
}

#[cfg(test)]
mod tests;
