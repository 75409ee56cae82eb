//! Rows, arrays and maps: `(1, a)`, `[1, 2]` and `{k=v}` for a person, objects and lists for json.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use corelane_stream::{Error, Result};

use super::{Cell, ColumnText, JsonText, NullFields, Reader, quote_json};

pub(super) fn cell(array: &dyn Array, reader: Reader, null: &Arc<str>) -> Result<Box<dyn Cell>> {
    let null = match reader {
        Reader::Json(_) => Arc::from("null"),
        Reader::Person | Reader::Csv { .. } => Arc::clone(null),
    };
    Ok(match array.data_type() {
        DataType::Struct(_) => rows(array.as_struct(), reader, &null)?,
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            lists(list.values(), Ranges::Offsets(list.offsets().clone()), reader, &null)?
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            lists(list.values(), Ranges::LargeOffsets(list.offsets().clone()), reader, &null)?
        }
        DataType::FixedSizeList(_, length) => {
            let list = array.as_fixed_size_list();
            let length = usize::try_from(*length).expect("lengths are not negative");
            lists(list.values(), Ranges::Fixed(length), reader, &null)?
        }
        DataType::Map(..) => maps(array.as_map(), reader, &null)?,
        other => return Err(Error::internal(format!("{other} is not a nested type"))),
    })
}

/// Where the elements of each row lie.
enum Ranges {
    Offsets(OffsetBuffer<i32>),
    LargeOffsets(OffsetBuffer<i64>),
    Fixed(usize),
}

impl Ranges {
    fn get(&self, row: usize) -> Range<usize> {
        match self {
            Ranges::Offsets(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Ranges::LargeOffsets(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Ranges::Fixed(length) => row * length..(row + 1) * length,
        }
    }
}

struct Lists {
    ranges: Ranges,
    elements: ColumnText,
    reader: Reader,
}

fn lists(values: &ArrayRef, ranges: Ranges, reader: Reader, null: &Arc<str>) -> Result<Box<dyn Cell>> {
    let elements = ColumnText::new(values, reader, null)?;
    Ok(Box::new(Lists { ranges, elements, reader }))
}

impl Cell for Lists {
    fn write(&self, row: usize, out: &mut String) {
        let elements = self.ranges.get(row).map(|index| move |out: &mut String| self.elements.write(index, out));
        match self.reader {
            Reader::Person => bracketed("[", elements, ", ", "]", out),
            Reader::Json(_) => bracketed("[", elements, ",", "]", out),
            Reader::Csv { element_delimiter } => {
                bracketed("", elements, element_delimiter.encode_utf8(&mut [0; 4]), "", out);
            }
        }
    }
}

struct Rows {
    columns: Vec<ColumnText>,
    /// For json: `"name":`
    names: Vec<String>,
    reader: Reader,
}

fn rows(array: &StructArray, reader: Reader, null: &Arc<str>) -> Result<Box<dyn Cell>> {
    let columns = array.columns().iter().map(|column| ColumnText::new(column, reader, null)).collect::<Result<_>>()?;
    let names = array.fields().iter().map(|field| json_key(field)).collect();
    Ok(Box::new(Rows { columns, names, reader }))
}

/// A field's name as the key of a json object, colon included.
pub(crate) fn json_key(field: &Field) -> String {
    let mut key = String::new();
    quote_json(field.name(), &mut key);
    key.push(':');
    key
}

impl Cell for Rows {
    fn write(&self, row: usize, out: &mut String) {
        let values = self.columns.iter().map(|column| move |out: &mut String| column.write(row, out));
        match self.reader {
            Reader::Person => bracketed("(", values, ", ", ")", out),
            Reader::Csv { element_delimiter } => {
                bracketed("", values, element_delimiter.encode_utf8(&mut [0; 4]), "", out);
            }
            Reader::Json(text) => write_object(&self.names, &self.columns, row, text, out),
        }
    }
}

/// Writes a json object of one row.
pub(crate) fn write_object(names: &[String], columns: &[ColumnText], row: usize, text: JsonText, out: &mut String) {
    let fields = names
        .iter()
        .zip(columns)
        .filter(|(_, column)| text.null_fields == NullFields::Write || !column.is_null(row))
        .map(|(name, column)| {
            move |out: &mut String| {
                out.push_str(name);
                column.write(row, out);
            }
        });
    bracketed("{", fields, ",", "}", out);
}

struct Maps {
    offsets: OffsetBuffer<i32>,
    keys: ColumnText,
    values: ColumnText,
    reader: Reader,
}

fn maps(array: &MapArray, reader: Reader, null: &Arc<str>) -> Result<Box<dyn Cell>> {
    if let Reader::Csv { .. } = reader {
        return Err(Error::internal("csv has no text for a MAP, and should have said so"));
    }
    Ok(Box::new(Maps {
        offsets: array.offsets().clone(),
        // Json wants strings as keys, whatever their type is here.
        keys: ColumnText::new(array.keys(), Reader::Person, null)?,
        values: ColumnText::new(array.values(), reader, null)?,
        reader,
    }))
}

impl Cell for Maps {
    fn write(&self, row: usize, out: &mut String) {
        let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        if let Reader::Json(_) = self.reader {
            let mut key = String::new();
            let entries = range.map(|index| {
                key.clear();
                self.keys.write(index, &mut key);
                let mut quoted = String::with_capacity(key.len() + 2);
                quote_json(&key, &mut quoted);
                move |out: &mut String| {
                    out.push_str(&quoted);
                    out.push(':');
                    self.values.write(index, out);
                }
            });
            bracketed("{", entries, ",", "}", out);
        } else {
            let entries = range.map(|index| {
                move |out: &mut String| {
                    self.keys.write(index, out);
                    out.push('=');
                    self.values.write(index, out);
                }
            });
            bracketed("{", entries, ", ", "}", out);
        }
    }
}

fn bracketed<W: FnOnce(&mut String)>(
    open: &str,
    items: impl Iterator<Item = W>,
    separator: &str,
    close: &str,
    out: &mut String,
) {
    out.push_str(open);
    for (index, write) in items.enumerate() {
        if index > 0 {
            out.push_str(separator);
        }
        write(out);
    }
    out.push_str(close);
}
