//! A row as JSON, for dead letters and messages. Not on the hot path.

use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use corelane_stream::Result;

/// One row of a batch as a JSON object; null columns are left out.
pub fn row_json(rows: &RecordBatch, row: usize) -> Result<Vec<u8>> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&rows.slice(row, 1))?;
    writer.finish()?;
    Ok(writer.into_inner().trim_ascii_end().to_vec())
}
