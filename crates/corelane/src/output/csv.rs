//! CSV by RFC 4180, with a header and the Unix line end.
//!
//! A null is an empty field, and so that it stays one an empty string is `""`. Nothing else is
//! quoted that need not be.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use corelane_server::text::{ColumnText, Reader};
use corelane_server::{ChangelogBatch, Result};

use super::Printer;

#[derive(Debug)]
pub struct Csv {
    schema: SchemaRef,
    delimiter: char,
    /// One value, before it is known whether it needs quotes.
    value: String,
}

impl Csv {
    pub fn new(schema: SchemaRef, delimiter: char) -> Csv {
        Csv { schema, delimiter, value: String::new() }
    }
}

/// What stands between the elements of a nested value, as in Flink's `csv.array-element-delimiter`.
const ELEMENT_DELIMITER: char = ';';

impl Printer for Csv {
    fn begin(&mut self, out: &mut String) {
        for (index, field) in self.schema.fields().iter().enumerate() {
            if index != 0 {
                out.push(self.delimiter);
            }
            quoted(field.name(), self.delimiter, out);
        }
        out.push('\n');
    }

    fn rows(&mut self, batch: &ChangelogBatch, out: &mut String) -> Result<()> {
        let reader = Reader::Csv { element_delimiter: ELEMENT_DELIMITER };
        let null: Arc<str> = Arc::from("");
        let columns = batch.rows().columns().iter().map(|column| ColumnText::new(column, reader, &null));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index != 0 {
                    out.push(self.delimiter);
                }
                if !column.is_null(row) {
                    self.value.clear();
                    column.write(row, &mut self.value);
                    quoted(&self.value, self.delimiter, out);
                }
            }
            out.push('\n');
        }
        Ok(())
    }

    fn end(&mut self, _out: &mut String) -> Result<()> {
        Ok(())
    }
}

fn quoted(value: &str, delimiter: char, out: &mut String) {
    let needs_quotes = value.is_empty() || value.contains([delimiter, '"', '\n', '\r']);
    if !needs_quotes {
        out.push_str(value);
        return;
    }
    out.push('"');
    for (index, part) in value.split('"').enumerate() {
        if index != 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
}
