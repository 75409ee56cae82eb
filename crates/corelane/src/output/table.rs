//! The final result in a box, as psql and DuckDB draw it.
//!
//! Of a long result only the first and the last rows are kept, so that a table of any length
//! takes little memory where the user asked for a bound.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use comfy_table::{Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};
use corelane_server::text::ColumnText;
use corelane_server::{ChangelogBatch, Result};

use super::Printer;
use crate::quantity;

const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('┌', '─', '┬', '┐'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('└', '─', '┴', '┘'));

/// Draws a box. Columns that hold numbers are aligned to the right.
pub fn boxed(header: &[&str], numeric: &[bool], rows: Vec<Vec<String>>, arrangement: ContentArrangement) -> String {
    let cell = |(column, text): (usize, String)| {
        let alignment = if numeric[column] { CellAlignment::Right } else { CellAlignment::Left };
        Cell::new_owned(text).set_alignment(alignment)
    };
    let fits_terminal = matches!(arrangement, ContentArrangement::Dynamic);
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(arrangement);
    if fits_terminal && table.width().is_none_or(|width| width == 0) {
        table.set_width(columns_told(std::env::var("COLUMNS").ok().as_deref()));
    }
    table.set_header(header.iter().map(|name| Cell::new(name).set_alignment(CellAlignment::Left)));
    for row in rows {
        table.add_row(row.into_iter().enumerate().map(cell));
    }
    table.to_string()
}

/// The width of a terminal that does not know its own, as those of containers and builds do not.
pub(super) fn columns_told(variable: Option<&str>) -> u16 {
    variable.and_then(|text| text.trim().parse().ok()).filter(|width| *width != 0).unwrap_or(80)
}

/// Collects rows and draws them at the end.
pub struct Boxed {
    schema: SchemaRef,
    arrangement: ContentArrangement,
    /// Rows kept from the start.
    head_max: usize,
    /// Rows kept from the end.
    tail_max: usize,
    head: Vec<Vec<String>>,
    /// At least the last `tail_max` rows after the head.
    tail: VecDeque<RecordBatch>,
    tail_rows: usize,
    rows: usize,
}

impl Boxed {
    /// A box of all rows, or of the first and last ones of more than `rows_max`.
    pub fn new(schema: SchemaRef, rows_max: Option<usize>, arrangement: ContentArrangement) -> Boxed {
        let rows_max = rows_max.unwrap_or(usize::MAX);
        let (head_max, tail_max) = (rows_max.div_ceil(2), rows_max / 2);
        Boxed {
            schema,
            arrangement,
            head_max,
            tail_max,
            head: Vec::new(),
            tail: VecDeque::new(),
            tail_rows: 0,
            rows: 0,
        }
    }

    fn keep_in_tail(&mut self, rows: RecordBatch) {
        self.tail_rows += rows.num_rows();
        self.tail.push_back(rows);
        while let Some(first) = self.tail.front() {
            if self.tail_rows - first.num_rows() < self.tail_max {
                break;
            }
            self.tail_rows -= first.num_rows();
            self.tail.pop_front();
        }
    }

    fn shown(&mut self) -> Result<(Vec<Vec<String>>, usize)> {
        let mut shown = std::mem::take(&mut self.head);
        let mut tail = Vec::new();
        for rows in &self.tail {
            texts(rows, &mut tail)?;
        }
        let skipped = tail.len().saturating_sub(self.tail_max);
        let hidden = self.rows - shown.len() - (tail.len() - skipped);
        if hidden != 0 {
            shown.push(vec!["·".into(); self.schema.fields().len()]);
        }
        shown.extend(tail.into_iter().skip(skipped));
        Ok((shown, hidden))
    }
}

impl Printer for Boxed {
    fn begin(&mut self, _out: &mut String) {}

    fn rows(&mut self, batch: &ChangelogBatch, _out: &mut String) -> Result<()> {
        let rows = batch.rows();
        self.rows += rows.num_rows();
        let head = rows.num_rows().min(self.head_max - self.head.len());
        texts(&rows.slice(0, head), &mut self.head)?;
        if head < rows.num_rows() {
            self.keep_in_tail(rows.slice(head, rows.num_rows() - head));
        }
        Ok(())
    }

    fn end(&mut self, out: &mut String) -> Result<()> {
        let (shown, hidden) = self.shown()?;
        let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let numeric: Vec<bool> = self.schema.fields().iter().map(|field| field.data_type().is_numeric()).collect();
        if !names.is_empty() {
            out.push_str(&boxed(&names, &numeric, shown, self.arrangement.clone()));
            out.push('\n');
        }
        out.push_str(&quantity::rows(self.rows as u64));
        if hidden != 0 {
            let shown = quantity::thousands((self.rows - hidden) as u64);
            out.push_str(&format!(" ({shown} shown; --max-rows or --format csv shows more)"));
        }
        out.push('\n');
        Ok(())
    }
}

fn texts(rows: &RecordBatch, texts: &mut Vec<Vec<String>>) -> Result<()> {
    let columns = rows.columns().iter().map(|column| ColumnText::for_person(column)).collect::<Result<Vec<_>>>()?;
    for row in 0..rows.num_rows() {
        texts.push(columns.iter().map(|column| text(column, row)).collect());
    }
    Ok(())
}

fn text(column: &ColumnText, row: usize) -> String {
    let mut text = String::new();
    column.write(row, &mut text);
    // A line end would break the box, an escape sequence the terminal.
    if text.contains(char::is_control) { text.escape_debug().to_string() } else { text }
}
