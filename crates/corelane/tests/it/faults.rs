//! What goes wrong in use, one after the other: what is said of it, and how the program ends.
//!
//! The texts are goldens: they are what a user has in hand when something is wrong.

mod data;
mod endless;
mod files;
mod follow;
mod hostile;
mod machine;
mod output;
mod policy;
mod provenance;
mod signals;
mod sql;
mod types;

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;

/// A table over a file; the rest of its options follow.
fn table(columns: &str, format: &str, path: &str, options: &str) -> String {
    let comma = if options.is_empty() { "" } else { ", " };
    format!(
        "CREATE TABLE t ({columns})\nWITH ('connector' = 'filesystem', 'format' = '{format}', 'path' = '{path}'{comma}{options});\n"
    )
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// A file with the column `a`.
fn parquet(numbers: Range<i64>) -> Vec<u8> {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    let rows = RecordBatch::try_from_iter([("a", column)]).expect("one column");
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).expect("a known type");
    writer.write(&rows).expect("memory takes all");
    writer.into_inner().expect("memory takes all")
}
