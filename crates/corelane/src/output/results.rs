//! Which format a query's rows get, and whether they can stream or must first be folded.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use comfy_table::ContentArrangement;
use corelane_server::files::{Encoder, Encoding, check_csv};
use corelane_server::{ChangelogBatch, ChangelogMode, ResultFold};

use super::Printer;
use super::changelog::Changelog;
use super::csv::Csv;
use super::destination::Destination;
use super::json::Json;
use super::table::Boxed;
use crate::arguments::Format;
use crate::exit::{Exit, Failed};

/// How rows shall look.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// What the user, or the name of the output, asked for.
    pub format: Option<Format>,
    /// What stands between two fields of CSV.
    pub delimiter: char,
    pub rows_max: Option<usize>,
    /// The rows go to a terminal.
    pub terminal: bool,
}

/// Rows a table shows on a terminal.
const TERMINAL_ROWS_MAX: usize = 40;

/// The columns of a query, and how its rows change.
#[derive(Debug)]
pub struct Shape {
    pub schema: SchemaRef,
    pub mode: ChangelogMode,
    pub bounded: bool,
}

impl Layout {
    fn format_for(&self, shape: &Shape) -> Format {
        match self.format {
            Some(format) => format,
            // On a terminal whoever follows a stream wants to see it move.
            None if self.terminal && shape.bounded => Format::Table,
            None if self.terminal => Format::Changelog,
            None => Format::Csv,
        }
    }

    fn writer(&self, format: Format, schema: SchemaRef) -> Result<Writer, Failed> {
        let printer: Box<dyn Printer> = match format {
            Format::Changelog => Box::new(Changelog),
            Format::Csv => {
                check_csv(&schema)?;
                Box::new(Csv::new(schema, self.delimiter))
            }
            Format::Json => Box::new(Json::new(&schema)),
            Format::Table => {
                let arrangement =
                    if self.terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
                let rows_max = self.rows_max.or(self.terminal.then_some(TERMINAL_ROWS_MAX));
                Box::new(Boxed::new(schema, rows_max, arrangement))
            }
            Format::Parquet => {
                let encoding = Encoding::new("parquet", &BTreeMap::new())?;
                encoding.check(&schema)?;
                return Ok(Writer::Parquet(Encoder::new(&encoding, &schema, Vec::new(), "Parquet".to_owned())?));
            }
        };
        Ok(Writer::text(printer))
    }
}

/// What turns rows into what is written.
enum Writer {
    Text {
        printer: Box<dyn Printer>,
        /// Reused from batch to batch.
        text: String,
    },
    /// Into memory, of which all that is whole is written at once.
    Parquet(Encoder<Vec<u8>>),
}

impl Writer {
    fn text(mut printer: Box<dyn Printer>) -> Writer {
        let mut text = String::new();
        printer.begin(&mut text);
        Writer::Text { printer, text }
    }

    fn rows(&mut self, batch: &ChangelogBatch) -> Result<(), Failed> {
        match self {
            Writer::Text { printer, text } => printer.rows(batch, text)?,
            Writer::Parquet(encoder) => encoder.write(batch.rows())?,
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Destination) -> Result<(), Failed> {
        match self {
            Writer::Text { text, .. } => {
                out.write(&text)?;
                text.clear();
            }
            Writer::Parquet(encoder) => {
                let bytes = encoder.destination();
                out.write(&bytes)?;
                bytes.clear();
            }
        }
        Ok(())
    }

    fn finish(self, out: &mut Destination) -> Result<(), Failed> {
        match self {
            Writer::Text { mut printer, mut text } => {
                printer.end(&mut text)?;
                out.write(&text)
            }
            Writer::Parquet(encoder) => out.write(encoder.finish()?),
        }
    }
}

/// One query's rows on their way out.
pub struct Results {
    writer: Writer,
    /// For a final result of rows that change.
    fold: Option<ResultFold>,
}

impl Results {
    /// # Errors
    /// If the query has no final result and the format prints nothing else, or the format has no
    /// place for a column's type.
    pub fn new(layout: &Layout, shape: &Shape) -> Result<Results, Failed> {
        let format = layout.format_for(shape);
        let append = shape.mode == ChangelogMode::Append;
        let streams = format == Format::Changelog || (append && format != Format::Table);
        if !shape.bounded && !streams {
            return Err(endless(format, append));
        }
        let folds = !append && format != Format::Changelog;
        let fold = folds.then(|| ResultFold::new(shape.schema.clone(), &shape.mode)).transpose()?;
        Ok(Results { writer: layout.writer(format, shape.schema.clone())?, fold })
    }

    /// # Errors
    /// If the destination takes no more.
    pub fn push(&mut self, batch: ChangelogBatch, out: &mut Destination) -> Result<(), Failed> {
        match &mut self.fold {
            Some(fold) => fold.push(batch)?,
            None => self.writer.rows(&batch)?,
        }
        self.writer.flush(out)
    }

    /// Prints what comes at the end of a job that went well.
    ///
    /// # Errors
    /// If the destination takes no more.
    pub fn finish(mut self, out: &mut Destination) -> Result<(), Failed> {
        if let Some(fold) = self.fold.take() {
            for rows in fold.finish()? {
                self.writer.rows(&ChangelogBatch::append(rows?))?;
                self.writer.flush(out)?;
            }
        }
        self.writer.finish(out)
    }
}

fn endless(format: Format, append: bool) -> Failed {
    let (format, hint) = match format {
        Format::Table if append => ("table", "use --format changelog, csv or json, which print rows as they come"),
        Format::Table => ("table", "use --format changelog, which prints changes as they come"),
        Format::Csv => ("csv", "use --format changelog, which prints changes as they come"),
        Format::Json => ("json", "use --format changelog, which prints changes as they come"),
        Format::Parquet => ("parquet", "use --format changelog and a name such as out.txt, for changes as they come"),
        Format::Changelog => unreachable!("a changelog needs no end"),
    };
    Failed::new(Exit::Sql, format!("cannot print a final result as {format}: the query's input has no end"))
        .with_hint(hint)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
