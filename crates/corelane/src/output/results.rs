//! Which format a query's rows get, and whether they can stream or must first be folded.

use arrow::datatypes::SchemaRef;
use comfy_table::ContentArrangement;
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
    /// What the user asked for.
    pub format: Option<Format>,
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

    fn printer(&self, format: Format, schema: SchemaRef) -> Box<dyn Printer> {
        match format {
            Format::Changelog => Box::new(Changelog),
            Format::Csv => Box::new(Csv::new(schema)),
            Format::Json => Box::new(Json::new(&schema)),
            Format::Table => {
                let arrangement =
                    if self.terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
                let rows_max = self.rows_max.or(self.terminal.then_some(TERMINAL_ROWS_MAX));
                Box::new(Boxed::new(schema, rows_max, arrangement))
            }
        }
    }
}

/// One query's rows on their way out.
pub struct Results {
    printer: Box<dyn Printer>,
    /// For a final result of rows that change.
    fold: Option<ResultFold>,
    /// Reused from batch to batch.
    text: String,
}

impl Results {
    /// # Errors
    /// If the query has no final result and the format prints nothing else.
    pub fn new(layout: &Layout, shape: &Shape) -> Result<Results, Failed> {
        let format = layout.format_for(shape);
        let append = shape.mode == ChangelogMode::Append;
        let streams = format == Format::Changelog || (append && format != Format::Table);
        if !shape.bounded && !streams {
            return Err(endless(format, append));
        }
        let folds = !append && format != Format::Changelog;
        let fold = folds.then(|| ResultFold::new(shape.schema.clone(), &shape.mode)).transpose()?;
        let mut printer = layout.printer(format, shape.schema.clone());
        let mut text = String::new();
        printer.begin(&mut text);
        Ok(Results { printer, fold, text })
    }

    /// # Errors
    /// If the destination takes no more.
    pub fn push(&mut self, batch: ChangelogBatch, out: &mut Destination) -> Result<(), Failed> {
        match &mut self.fold {
            Some(fold) => fold.push(batch)?,
            None => self.printer.rows(&batch, &mut self.text)?,
        }
        self.write(out)
    }

    /// Prints what comes at the end of a job that went well.
    ///
    /// # Errors
    /// If the destination takes no more.
    pub fn finish(mut self, out: &mut Destination) -> Result<(), Failed> {
        if let Some(fold) = self.fold.take() {
            for rows in fold.finish()? {
                self.printer.rows(&ChangelogBatch::append(rows?), &mut self.text)?;
                self.write(out)?;
            }
        }
        self.printer.end(&mut self.text)?;
        self.write(out)
    }

    fn write(&mut self, out: &mut Destination) -> Result<(), Failed> {
        out.write(&self.text)?;
        self.text.clear();
        Ok(())
    }
}

fn endless(format: Format, append: bool) -> Failed {
    let (format, hint) = match format {
        Format::Table if append => ("table", "use --format changelog, csv or json, which print rows as they come"),
        Format::Table => ("table", "use --format changelog, which prints changes as they come"),
        Format::Csv => ("csv", "use --format changelog, which prints changes as they come"),
        Format::Json => ("json", "use --format changelog, which prints changes as they come"),
        Format::Changelog => unreachable!("a changelog needs no end"),
    };
    Failed::new(Exit::Sql, format!("cannot print a final result as {format}: the query's input has no end"))
        .with_hint(hint)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
