//! Random tables: as files for the engine, as one batch for the oracle.

use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::DateTime;
use parquet::arrow::ArrowWriter;
use proptest::option;
use proptest::prelude::*;

/// How far behind the latest row another may be, as the table declares it.
const LATENESS_MS: i64 = 5_000;

/// 2024-01-01 00:00:00.
const START_MS: i64 = 1_704_067_200_000;

/// What stands for NULL in a CSV file; no text of a table is this.
const CSV_NULL: &str = "~";

const TEXTS: [&str; 9] = ["a", "b", "", "A", "ab", "x_y", "Zürich", " pad ", "50%"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    Parquet,
}

#[derive(Clone, Debug)]
pub struct Row {
    k: Option<&'static str>,
    i: Option<i32>,
    b: Option<i64>,
    /// Hundredths.
    d: Option<i64>,
    /// Quarters, so that sums of doubles are exact in any order.
    f: Option<i32>,
    flag: Option<bool>,
    /// How far event time moves on before this row, and how far behind that time the row is.
    step_ms: i64,
    behind_ms: i64,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub rows: Vec<Row>,
    /// No two rows have one event time.
    pub unique: bool,
    pub files: usize,
    pub format: Format,
}

fn row() -> impl Strategy<Value = Row> {
    let k = option::weighted(0.85, proptest::sample::select(&TEXTS[..]));
    let small = -12i32..=12;
    let i = option::weighted(0.85, prop_oneof![3 => small, 1 => -1_000i32..=1_000]);
    let b = option::weighted(0.85, prop_oneof![2 => -20i64..=20, 1 => -1_000_000i64..=1_000_000]);
    let d = option::weighted(0.85, prop_oneof![2 => -500i64..=500, 1 => -999_999i64..=999_999]);
    let f = option::weighted(0.85, prop_oneof![2 => -40i32..=40, 1 => -4_000i32..=4_000]);
    let flag = option::weighted(0.8, any::<bool>());
    let step = prop_oneof![2 => Just(0i64), 4 => 1i64..=900, 1 => 900i64..=20_000];
    let behind = prop_oneof![1 => Just(0i64), 1 => 0i64..LATENESS_MS];
    (k, i, b, d, f, flag, step, behind).prop_map(|(k, i, b, d, f, flag, step_ms, behind_ms)| Row {
        k,
        i,
        b,
        d,
        f,
        flag,
        step_ms,
        behind_ms,
    })
}

pub fn table() -> impl Strategy<Value = Table> {
    let rows = prop_oneof![
        1 => proptest::collection::vec(row(), 0..4),
        3 => proptest::collection::vec(row(), 0..60),
        2 => proptest::collection::vec(row(), 60..500),
    ];
    let format = prop_oneof![3 => Just(Format::Json), 1 => Just(Format::Csv), 1 => Just(Format::Parquet)];
    (rows, any::<bool>(), 1usize..=5, format).prop_map(|(rows, unique, files, format)| Table {
        rows,
        unique,
        files,
        format,
    })
}

impl Table {
    /// The event time of every row, out of order but never late.
    fn times(&self) -> Vec<i64> {
        let mut seen = std::collections::HashSet::new();
        let mut latest = START_MS;
        let mut times = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            latest += row.step_ms;
            let mut time = latest - row.behind_ms;
            while self.unique && !seen.insert(time) {
                time += 1;
                latest = latest.max(time);
            }
            times.push(time);
        }
        times
    }

    /// The rows for the oracle; `ms` is the event time as a number.
    pub fn batch(&self) -> RecordBatch {
        let mut batch = self.columns(&(0..self.rows.len()).collect::<Vec<_>>());
        let times = self.times();
        let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("ms", DataType::Int64, true)));
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(Int64Array::from(times)));
        batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of one length");
        batch
    }

    fn columns(&self, places: &[usize]) -> RecordBatch {
        let times = self.times();
        let rows = || places.iter().map(|place| &self.rows[*place]);
        let hundredths = Decimal128Array::from_iter(rows().map(|row| row.d.map(i128::from)));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("k", Arc::new(rows().map(|row| row.k).collect::<StringArray>())),
            ("i", Arc::new(rows().map(|row| row.i).collect::<Int32Array>())),
            ("b", Arc::new(rows().map(|row| row.b).collect::<Int64Array>())),
            ("d", Arc::new(hundredths.with_precision_and_scale(10, 2).expect("values within 10 digits"))),
            ("f", Arc::new(rows().map(|row| row.f.map(quarters)).collect::<Float64Array>())),
            ("ts", Arc::new(places.iter().map(|place| Some(times[*place])).collect::<TimestampMillisecondArray>())),
            ("flag", Arc::new(rows().map(|row| row.flag).collect::<BooleanArray>())),
        ];
        let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        assert!(schema.field(5).data_type() == &DataType::Timestamp(TimeUnit::Millisecond, None));
        RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect())
            .expect("columns of one length")
    }

    /// Writes the rows to files of a folder, so that several workers read them. Each file holds what came
    /// after the file before it: a worker reads its files one by one, and rows must not be late by that.
    pub fn write(&self, folder: &Path) {
        let times = self.times();
        let chunk = self.rows.len().div_ceil(self.files).max(1);
        for file in 0..self.files {
            let places: Vec<usize> = (0..self.rows.len()).filter(|place| place / chunk == file).collect();
            let path = folder.join(format!("part-{file}"));
            match self.format {
                Format::Json => self.write_text(&path, &places, |row, place| json_line(row, times[place])),
                Format::Csv => self.write_text(&path, &places, |row, place| csv_line(row, times[place])),
                Format::Parquet => {
                    let batch = self.columns(&places);
                    let out = File::create(path).expect("room for a file");
                    let mut writer = ArrowWriter::try_new(out, batch.schema(), None).expect("a parquet file");
                    writer.write(&batch).expect("a parquet file");
                    writer.close().expect("a parquet file");
                }
            }
        }
    }

    fn write_text(&self, path: &Path, places: &[usize], line: impl Fn(&Row, usize) -> String) {
        let text: String = places.iter().map(|place| line(&self.rows[*place], *place)).collect();
        std::fs::write(path, text).expect("room for a file");
    }

    /// The declaration of the table over that folder.
    pub fn declaration(&self, folder: &Path) -> String {
        let format = match self.format {
            Format::Json => "'format' = 'json'".to_owned(),
            Format::Csv => format!("'format' = 'csv', 'csv.null-literal' = '{CSV_NULL}'"),
            Format::Parquet => "'format' = 'parquet'".to_owned(),
        };
        format!(
            "CREATE TABLE t (k STRING, i INT, b BIGINT, d DECIMAL(10, 2), f DOUBLE, ts TIMESTAMP(3), flag BOOLEAN,\n  \
             WATERMARK FOR ts AS ts - INTERVAL '{}' SECOND\n) \
             WITH ('connector' = 'filesystem', 'path' = '{}', {format});\n",
            LATENESS_MS / 1_000,
            folder.display()
        )
    }
}

fn quarters(number: i32) -> f64 {
    f64::from(number) / 4.0
}

fn hundredths(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", number.abs() / 100, number.abs() % 100)
}

fn time_text(time_ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(time_ms).expect("a time of this century");
    time.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// A field that is NULL is left out in every other row, and written as null in the rest.
fn json_line(row: &Row, time_ms: i64) -> String {
    let mut fields = Vec::new();
    let explicit = time_ms % 2 == 0;
    let mut field = |name: &str, value: Option<String>| match value {
        Some(value) => fields.push(format!("\"{name}\":{value}")),
        None if explicit => fields.push(format!("\"{name}\":null")),
        None => {}
    };
    field("k", row.k.map(|text| format!("\"{text}\"")));
    field("i", row.i.map(|number| number.to_string()));
    field("b", row.b.map(|number| number.to_string()));
    field("d", row.d.map(hundredths));
    field("f", row.f.map(|number| quarters(number).to_string()));
    field("ts", Some(format!("\"{}\"", time_text(time_ms))));
    field("flag", row.flag.map(|flag| flag.to_string()));
    format!("{{{}}}\n", fields.join(","))
}

fn csv_line(row: &Row, time_ms: i64) -> String {
    let or_null = |value: Option<String>| value.unwrap_or_else(|| CSV_NULL.to_owned());
    let mut line = String::new();
    let fields = [
        or_null(row.k.map(|text| format!("\"{text}\""))),
        or_null(row.i.map(|number| number.to_string())),
        or_null(row.b.map(|number| number.to_string())),
        or_null(row.d.map(hundredths)),
        or_null(row.f.map(|number| quarters(number).to_string())),
        time_text(time_ms),
        or_null(row.flag.map(|flag| flag.to_string())),
    ];
    writeln!(line, "{}", fields.join(",")).expect("a String takes all text");
    line
}
