//! Csv as Flink writes it: quotes only where they are needed.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use corelane_stream::{Error, Result, TableOptions, sql_type};

use crate::format::display::{self, Reader};
use crate::format::{csv_options, is_csv_type};
use crate::options::{Options, wrong_value};

/// Csv and its options.
#[derive(Clone, Debug, PartialEq)]
pub struct CsvEncoding {
    field_delimiter: char,
    quote: Option<char>,
    escape: Option<char>,
    null: Arc<str>,
    element_delimiter: char,
    header: bool,
}

impl CsvEncoding {
    /// # Errors
    /// If an option's value is wrong.
    pub fn new(options: &TableOptions) -> Result<Self> {
        let csv = csv_options(&Options::new(options))?;
        let field_delimiter = char::from(csv.delimiter);
        if matches!(field_delimiter, '\n' | '\r') || csv.quote == Some(csv.delimiter) {
            let accepted = "any character but a line end and the quote character";
            return Err(wrong_value("csv.field-delimiter", &field_delimiter.escape_default().to_string(), accepted));
        }
        Ok(CsvEncoding {
            field_delimiter,
            quote: csv.quote.map(char::from),
            escape: csv.escape.map(char::from),
            null: Arc::from(csv.null_literal.unwrap_or_default()),
            element_delimiter: char::from(csv.element_delimiter),
            header: csv.header,
        })
    }

    pub(super) fn header(&self, schema: &Schema, out: &mut String) {
        if !self.header {
            return;
        }
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(self.field_delimiter);
            }
            let start = out.len();
            out.push_str(field.name());
            self.quote_if_needed(start, out);
        }
        out.push('\n');
    }

    pub(super) fn encode(&self, rows: &RecordBatch, out: &mut String) -> Result<()> {
        check_csv(rows.schema_ref())?;
        let reader = Reader::Csv { element_delimiter: self.element_delimiter };
        let columns = display::columns(rows, reader, &self.null)?;
        let free_text: Vec<bool> =
            rows.columns().iter().map(|column| self.may_need_quotes(column.data_type())).collect();
        for row in 0..rows.num_rows() {
            for (index, (column, free_text)) in columns.iter().zip(&free_text).enumerate() {
                if index > 0 {
                    out.push(self.field_delimiter);
                }
                let start = out.len();
                column.write(row, out);
                if *free_text && !column.is_null(row) {
                    self.quote_if_needed(start, out);
                }
            }
            out.push('\n');
        }
        Ok(())
    }

    /// Numbers and times are made of a few characters; only if one of those has a meaning here,
    /// or null is spelled in them, need each value be looked at.
    fn may_need_quotes(&self, data_type: &DataType) -> bool {
        let harmless = |character: char| !(character.is_ascii_alphanumeric() || " +-.:/=".contains(character));
        let plain = harmless(self.field_delimiter)
            && self.quote.is_none_or(harmless)
            && self.escape.is_none_or(harmless)
            && self.null.is_empty();
        let numeric = data_type.is_numeric() || data_type.is_temporal() || *data_type == DataType::Boolean;
        !(plain && numeric)
    }

    /// Quotes the field that stands from `start` on, if a parser would misread it: an empty
    /// string would be null, a delimiter would end the field.
    fn quote_if_needed(&self, start: usize, out: &mut String) {
        let Some(quote) = self.quote else { return };
        let field = &out.as_bytes()[start..];
        // All of them are ASCII characters, as the options are read.
        let escape = self.escape.unwrap_or(quote);
        let special = memchr::memchr3(self.field_delimiter as u8, quote as u8, b'\n', field)
            .or_else(|| memchr::memchr2(b'\r', escape as u8, field));
        if special.is_none() && *field != *self.null.as_bytes() {
            return;
        }
        let field = out.split_off(start);
        out.push(quote);
        for character in field.chars() {
            if character == quote || self.escape == Some(character) {
                out.push(escape);
            }
            out.push(character);
        }
        out.push(quote);
    }
}

/// Checks that csv has text for all columns: it has none for a MAP, and none for ARRAYs and ROWs within others.
///
/// # Errors
/// If it has none for one of them.
pub fn check_csv(schema: &Schema) -> Result<()> {
    let Some(field) = schema.fields().iter().find(|field| !is_csv_type(field.data_type())) else { return Ok(()) };
    let (name, data_type) = (field.name(), sql_type(field.data_type()));
    Err(Error::invalid(format!("column '{name}' is a {data_type}, for which csv has no text"))
        .with_hint("write json, which has one, or CAST the column to STRING"))
}
