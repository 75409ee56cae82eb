//! Random tables: as files for the engine, as one batch for the oracle.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::{DateTime, NaiveDate, TimeDelta};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::option;
use proptest::prelude::*;

/// How far behind the latest row another may be, as the table declares it.
const LATENESS_MS: i64 = 5_000;

/// 2024-01-01 00:00:00.
const START_MS: i64 = 1_704_067_200_000;

/// What stands for NULL in a CSV file; no text of a table is this.
const CSV_NULL: &str = "~";

const TEXTS: [&str; 14] = [
    "a",
    "b",
    "",
    "A",
    "ab",
    "x_y",
    "Zürich",
    " pad ",
    "50%",
    "日本語",
    "e\u{301}🎉",
    "say \"hi\"",
    "a,b\\c",
    "two\nlines",
];

/// Doubles that no sum is exact of.
const WILD: [f64; 9] =
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, -1e300, 1e300, f64::MIN_POSITIVE, 0.0, 123_456_789.123];

const FAR: [i64; 6] = [i64::MAX, i64::MIN, i64::MAX - 1, 0, -1, 1 << 53];

/// 2024-01-01 in days of the epoch.
const START_DAY: i32 = 19_723;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    Parquet,
    JsonGzip,
    CsvGzip,
}

/// Which file a row goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Each file holds what came after the file before it.
    InTurn,
    /// Every file spans the whole time.
    RoundRobin,
    /// By a hash of the row's number: files of different sizes, some of them empty.
    Scattered,
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
    /// Days since the start.
    day: Option<i32>,
    x: Option<f64>,
    far: Option<i64>,
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
    pub layout: Layout,
}

fn row() -> impl Strategy<Value = Row> {
    let k = option::weighted(0.85, proptest::sample::select(&TEXTS[..]));
    let small = -12i32..=12;
    let i = option::weighted(0.85, prop_oneof![3 => small, 1 => -1_000i32..=1_000]);
    let b = option::weighted(0.85, prop_oneof![2 => -20i64..=20, 1 => -1_000_000i64..=1_000_000]);
    let d = option::weighted(0.85, prop_oneof![2 => -500i64..=500, 1 => -999_999i64..=999_999]);
    let f = option::weighted(0.85, prop_oneof![2 => -40i32..=40, 1 => -4_000i32..=4_000]);
    let flag = option::weighted(0.8, any::<bool>());
    let day = option::weighted(0.85, prop_oneof![3 => 0i32..=5, 1 => -80_000i32..=80_000]);
    let x = option::weighted(0.85, proptest::sample::select(&WILD[..]));
    let far = option::weighted(0.85, proptest::sample::select(&FAR[..]));
    let step = prop_oneof![2 => Just(0i64), 4 => 1i64..=900, 1 => 900i64..=20_000];
    let behind = prop_oneof![1 => Just(0i64), 1 => 0i64..LATENESS_MS];
    ((k, i, b, d, f, flag), (day, x, far), (step, behind)).prop_map(
        |((k, i, b, d, f, flag), (day, x, far), (step_ms, behind_ms))| Row {
            k,
            i,
            b,
            d,
            f,
            flag,
            day,
            x,
            far,
            step_ms,
            behind_ms,
        },
    )
}

pub fn table() -> impl Strategy<Value = Table> {
    let rows = prop_oneof![
        1 => proptest::collection::vec(row(), 0..4),
        3 => proptest::collection::vec(row(), 0..60),
        2 => proptest::collection::vec(row(), 60..500),
    ];
    let format = prop_oneof![
        4 => Just(Format::Json),
        2 => Just(Format::Csv),
        2 => Just(Format::Parquet),
        1 => Just(Format::JsonGzip),
        1 => Just(Format::CsvGzip),
    ];
    let layout = prop_oneof![Just(Layout::InTurn), Just(Layout::RoundRobin), Just(Layout::Scattered)];
    (rows, any::<bool>(), 1usize..=9, format, layout).prop_map(|(rows, unique, files, format, layout)| Table {
        rows,
        unique,
        files,
        format,
        layout,
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

    /// The file of a row.
    fn file_of(&self, place: usize) -> usize {
        match self.layout {
            Layout::InTurn => place / self.rows.len().div_ceil(self.files).max(1),
            Layout::RoundRobin => place % self.files,
            Layout::Scattered => (place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % self.files,
        }
    }

    /// The rows of each file, in order.
    fn places(&self) -> Vec<Vec<usize>> {
        let of_file = |file| (0..self.rows.len()).filter(|place| self.file_of(*place) == file).collect();
        (0..self.files).map(of_file).collect()
    }

    /// The rows for the oracle, in order of arrival: file by file. `ms` is the event time as a number,
    /// `pos` the place in that order.
    pub fn batch(&self) -> RecordBatch {
        let places: Vec<usize> = self.places().concat();
        let batch = self.columns(&places);
        let times = self.times();
        let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("ms", DataType::Int64, true)));
        fields.push(Arc::new(Field::new("pos", DataType::Int64, true)));
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(places.iter().map(|place| Some(times[*place])).collect::<Int64Array>()));
        columns.push(Arc::new(Int64Array::from_iter_values(0..places.len() as i64)));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of one length")
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
            ("day", Arc::new(rows().map(|row| row.day.map(|day| START_DAY + day)).collect::<Date32Array>())),
            ("x", Arc::new(rows().map(|row| row.x).collect::<Float64Array>())),
            ("far", Arc::new(rows().map(|row| row.far).collect::<Int64Array>())),
        ];
        let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), true);
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        assert!(schema.field(5).data_type() == &DataType::Timestamp(TimeUnit::Millisecond, None));
        RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect())
            .expect("columns of one length")
    }

    /// Writes the rows to files of a folder, so that several workers read them.
    pub fn write(&self, folder: &Path) {
        let times = self.times();
        for (file, places) in self.places().into_iter().enumerate() {
            let path = folder.join(format!("part-{file}"));
            let json = || places.iter().map(|place| json_line(&self.rows[*place], times[*place])).collect::<String>();
            let csv = || places.iter().map(|place| csv_line(&self.rows[*place], times[*place])).collect::<String>();
            let bytes = match self.format {
                Format::Json => json().into_bytes(),
                Format::Csv => csv().into_bytes(),
                Format::JsonGzip => gzip(&json()),
                Format::CsvGzip => gzip(&csv()),
                Format::Parquet => parquet(&self.columns(&places)),
            };
            std::fs::write(path, bytes).expect("room for a file");
        }
    }

    /// The declaration of the table over that folder.
    pub fn declaration(&self, folder: &Path) -> String {
        let format = match self.format {
            Format::Json | Format::JsonGzip => "'format' = 'json'".to_owned(),
            Format::Csv | Format::CsvGzip => format!("'format' = 'csv', 'csv.null-literal' = '{CSV_NULL}'"),
            Format::Parquet => "'format' = 'parquet'".to_owned(),
        };
        format!(
            "CREATE TABLE t (k STRING, i INT, b BIGINT, d DECIMAL(10, 2), f DOUBLE, ts TIMESTAMP(3), flag BOOLEAN,\n  \
             day DATE, x DOUBLE, far BIGINT,\n  \
             WATERMARK FOR ts AS ts - INTERVAL '{}' SECOND\n) \
             WITH ('connector' = 'filesystem', 'path' = '{}', {format});\n",
            LATENESS_MS / 1_000,
            folder.display()
        )
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("memory takes all")
}

/// In small row groups, so that workers share a file.
fn parquet(rows: &RecordBatch) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(50)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).expect("a parquet file");
    writer.write(rows).expect("a parquet file");
    writer.into_inner().expect("a parquet file")
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

fn day_text(day: i32) -> String {
    let start = NaiveDate::from_ymd_opt(2024, 1, 1).expect("a day of this century");
    (start + TimeDelta::days(i64::from(day))).format("%Y-%m-%d").to_string()
}

/// As JSON and CSV write a DOUBLE, also one that is no number.
fn double_text(number: f64) -> String {
    match number {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        number => format!("{number:?}"),
    }
}

fn json_string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
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
    field("k", row.k.map(json_string));
    field("i", row.i.map(|number| number.to_string()));
    field("b", row.b.map(|number| number.to_string()));
    field("d", row.d.map(hundredths));
    field("f", row.f.map(|number| quarters(number).to_string()));
    field("ts", Some(format!("\"{}\"", time_text(time_ms))));
    field("flag", row.flag.map(|flag| flag.to_string()));
    field("day", row.day.map(|day| format!("\"{}\"", day_text(day))));
    field("x", row.x.map(|x| if x.is_finite() { double_text(x) } else { json_string(&double_text(x)) }));
    field("far", row.far.map(|far| far.to_string()));
    format!("{{{}}}\n", fields.join(","))
}

fn csv_line(row: &Row, time_ms: i64) -> String {
    let or_null = |value: Option<String>| value.unwrap_or_else(|| CSV_NULL.to_owned());
    let mut line = String::new();
    let fields = [
        or_null(row.k.map(|text| format!("\"{}\"", text.replace('"', "\"\"")))),
        or_null(row.i.map(|number| number.to_string())),
        or_null(row.b.map(|number| number.to_string())),
        or_null(row.d.map(hundredths)),
        or_null(row.f.map(|number| quarters(number).to_string())),
        time_text(time_ms),
        or_null(row.flag.map(|flag| flag.to_string())),
        or_null(row.day.map(day_text)),
        or_null(row.x.map(double_text)),
        or_null(row.far.map(|far| far.to_string())),
    ];
    writeln!(line, "{}", fields.join(",")).expect("a String takes all text");
    line
}
