//! JSON lines: one object a row, its fields in the order of the columns.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use corelane_server::text::{ColumnText, DecimalNotation, JsonText, Reader, quote_json};
use corelane_server::{ChangelogBatch, Result};

use super::Printer;

pub struct Json {
    /// `"name":` of each column.
    names: Vec<String>,
}

impl Json {
    pub fn new(schema: &SchemaRef) -> Json {
        let name = |name: &str| {
            let mut text = String::new();
            quote_json(name, &mut text);
            text.push(':');
            text
        };
        Json { names: schema.fields().iter().map(|field| name(field.name())).collect() }
    }
}

impl Printer for Json {
    fn begin(&mut self, _out: &mut String) {}

    fn rows(&mut self, batch: &ChangelogBatch, out: &mut String) -> Result<()> {
        let reader = Reader::Json(JsonText { decimals: DecimalNotation::Plain, ..JsonText::default() });
        let null: Arc<str> = Arc::from("null");
        let columns = batch.rows().columns().iter().map(|column| ColumnText::new(column, reader, &null));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            out.push('{');
            for (index, (name, column)) in self.names.iter().zip(&columns).enumerate() {
                if index != 0 {
                    out.push(',');
                }
                out.push_str(name);
                column.write(row, out);
            }
            out.push_str("}\n");
        }
        Ok(())
    }

    fn end(&mut self, _out: &mut String) -> Result<()> {
        Ok(())
    }
}
