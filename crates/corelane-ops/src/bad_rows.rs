//! Rows that could not be used, on their way to what their table's policy says.
//!
//! Operators see batches, policies see rows: here one row of a batch is reported with a reason a
//! person can read, and with what is known of where it came from. A row whose bytes did not come
//! along is shown as a line of JSON. Never on the hot path.

use std::rc::Rc;

use arrow::array::RecordBatch;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use corelane_stream::limits::BAD_ROW_BYTES_MAX;
use corelane_stream::origin::{origin_at, origin_detail};
use corelane_stream::source::METADATA_KEY;
use corelane_stream::wording::with_sql_types;
use corelane_stream::{BadRow, OperatorContext, OperatorCounters, Result, RowErrors, RowPolicy};

/// Where one operator on one worker reports its bad and late rows, and how many there were.
pub struct BadRows {
    errors: Rc<dyn RowErrors>,
    /// What rows come from that do not tell themselves, in the user's words.
    source: String,
    bad: u64,
    late: u64,
}

impl BadRows {
    /// # Errors
    /// If the dead-letter output cannot be opened.
    pub fn open(context: &OperatorContext, policy: &RowPolicy, source: &str) -> Result<Self> {
        Ok(BadRows { errors: context.row_errors(policy)?, source: source.to_owned(), bad: 0, late: 0 })
    }

    /// Reports one row that could not be computed.
    ///
    /// # Errors
    /// If the policy is to fail, or the dead letter cannot be written.
    pub fn bad(&mut self, rows: &RecordBatch, row: usize, reason: &str) -> Result<()> {
        self.bad += 1;
        self.described(&self.source, rows, row, reason, |errors, row| errors.bad(row))
    }

    /// Reports one row of a result that could not be computed; `source` says of which.
    ///
    /// # Errors
    /// As for [`BadRows::bad`].
    pub fn bad_result(&mut self, source: &str, rows: &RecordBatch, row: usize, reason: &str) -> Result<()> {
        self.bad += 1;
        self.described(source, rows, row, reason, |errors, row| errors.bad(row))
    }

    /// Reports one row that came too late.
    ///
    /// # Errors
    /// If the dead letter cannot be written.
    pub fn late(&mut self, rows: &RecordBatch, row: usize, reason: &str) -> Result<()> {
        self.late += 1;
        self.described(&self.source, rows, row, reason, |errors, row| errors.late(row))
    }

    fn described(
        &self,
        source: &str,
        rows: &RecordBatch,
        row: usize,
        reason: &str,
        report: fn(&dyn RowErrors, &BadRow<'_>) -> Result<()>,
    ) -> Result<()> {
        let column = rows.schema_ref().fields().iter().position(|field| origin_detail(field).is_some());
        let origin = column.and_then(|column| origin_at(rows.column(column), row));
        let shown;
        let raw = match origin.and_then(|origin| origin.raw) {
            Some(raw) => raw,
            None => {
                shown = json(rows, row);
                shown.as_bytes()
            }
        };
        let source = origin.map_or(source, |origin| origin.source);
        let position = origin.map(|origin| origin.position);
        report(self.errors.as_ref(), &BadRow { source, position, raw, reason })
    }

    /// Adds what was counted here.
    pub fn count(&self, counters: &mut OperatorCounters) {
        counters.bad_rows += self.bad;
        counters.late_rows += self.late;
    }
}

/// What the rows of an aggregate are said to come from.
pub fn grouped_source<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    result_of("GROUP BY", keys)
}

/// What the rows of OVER are said to come from.
pub fn over_source<'a>(partition: impl IntoIterator<Item = &'a str>) -> String {
    result_of("OVER PARTITION BY", partition)
}

fn result_of<'a>(words: &str, columns: impl IntoIterator<Item = &'a str>) -> String {
    let columns: Vec<String> = columns.into_iter().map(with_sql_types).collect();
    match columns.is_empty() {
        true => "result of all rows".to_owned(),
        false => format!("result of {words} {}", columns.join(", ")),
    }
}

/// What the names of columns begin with that the planner computes because several others need them.
const SHARED_PREFIX: &str = "__common_expr_";

/// One row as a JSON object, without the columns that are not the user's.
fn json(rows: &RecordBatch, row: usize) -> String {
    let schema = rows.schema_ref();
    let of_user = |column: &usize| {
        let field = schema.field(*column);
        !field.metadata().contains_key(METADATA_KEY) && !field.name().starts_with(SHARED_PREFIX)
    };
    let shown: Vec<usize> = (0..rows.num_columns()).filter(of_user).collect();
    let mut text = Vec::new();
    let written = rows.slice(row, 1).project(&shown).and_then(|shown| {
        let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(&mut text);
        writer.write(&shown)?;
        writer.finish()
    });
    if written.is_err() {
        // A type that JSON has no word for: what matters most is the reason, which is not lost.
        return "{}".to_owned();
    }
    let mut text = String::from_utf8_lossy(&text).trim_end().to_owned();
    if BAD_ROW_BYTES_MAX < text.len() {
        text.truncate(text.floor_char_boundary(BAD_ROW_BYTES_MAX));
    }
    text
}
