//! Files to batches on one thread: our decoders beside the libraries' on the same files.
//!
//! Rows of five fields, about 80 bytes as JSON. A source is polled as a worker polls it, without a
//! job around it; the libraries read through a buffer of one megabyte. All read from the page
//! cache, and whoever reads must find the sums that went into the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use corelane_connectors::{FileRowErrors, connector};
use corelane_server::SystemClock;
use corelane_stream::limits::BATCH_ROWS_DEFAULT;
use corelane_stream::{RowPolicy, SourceContext, SourcePoll, TableDefinition};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use crate::arguments::DecodeArguments;
use crate::cpu_time;
use crate::market_data::{Trade, Trades, symbol_name};
use crate::results::{Point, Results};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
    Parquet,
}

impl Format {
    const ALL: [Format; 3] = [Format::Json, Format::Csv, Format::Parquet];

    fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }
}

/// Who decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoder {
    Corelane,
    /// arrow-json, arrow-csv or the parquet crate.
    Library,
}

impl Decoder {
    fn name(self, format: Format) -> &'static str {
        match (self, format) {
            (Decoder::Corelane, _) => "corelane",
            (Decoder::Library, Format::Json) => "arrow-json",
            (Decoder::Library, Format::Csv) => "arrow-csv",
            (Decoder::Library, Format::Parquet) => "parquet",
        }
    }
}

/// Sums over all rows, in whole numbers so that their order does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    rows: u64,
    text_bytes: u64,
    cents: i64,
    quantity: i64,
    time: i64,
}

impl Sums {
    fn add(&mut self, batch: &RecordBatch) {
        let texts = [0, 3].map(|column| batch.column(column).as_string_view());
        self.rows += batch.num_rows() as u64;
        self.text_bytes += texts.iter().flat_map(|text| text.lengths()).map(u64::from).sum::<u64>();
        let prices = batch.column(1).as_primitive::<Float64Type>();
        self.cents += prices.values().iter().map(|price| (price * 100.0).round() as i64).sum::<i64>();
        self.quantity += batch.column(2).as_primitive::<Int64Type>().values().iter().sum::<i64>();
        self.time += batch.column(4).as_primitive::<Int64Type>().values().iter().sum::<i64>();
    }
}

/// The time of decoding alone: what is read is added up between two batches, and then dropped.
#[derive(Default)]
struct Meter {
    elapsed: Duration,
    cpu: Duration,
    sums: Sums,
}

impl Meter {
    fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (cpu, start) = (cpu_time::of_this_thread(), Instant::now());
        let done = work();
        self.elapsed += start.elapsed();
        self.cpu += cpu_time::of_this_thread().saturating_sub(cpu);
        done
    }

    /// Takes every batch that there is.
    fn drain<E>(&mut self, mut next: impl FnMut() -> Option<Result<RecordBatch, E>>) -> Result<(), E> {
        while let Some(batch) = self.time(&mut next) {
            self.sums.add(&batch?);
        }
        Ok(())
    }
}

struct Files {
    folder: tempfile::TempDir,
    expected: Sums,
}

impl Files {
    fn path(&self, format: Format) -> PathBuf {
        self.folder.path().join("rows").with_extension(format.name())
    }
}

/// # Errors
/// If a file cannot be written or read, or a decoder reads something else.
pub fn measure(arguments: &DecodeArguments) -> Result<Results> {
    let files = write(arguments.rows)?;
    let mut results = Results::new("decode");
    results.notes.push("One thread, from the page cache; what was read is checked by sums.".to_owned());
    for format in Format::ALL {
        let path = files.path(format);
        let bytes = path.metadata().with_context(|| format!("cannot look at {}", path.display()))?.len();
        let mut points = [Decoder::Corelane, Decoder::Library].map(|decoder| {
            let point = Point::new(format!("{} by {}", format.name(), decoder.name(format)));
            (decoder, point.with("workers", 1).with("rows", arguments.rows).with("bytes", bytes))
        });
        for _ in 0..arguments.repetitions {
            for (decoder, point) in &mut points {
                let about = || format!("{} by {}", format.name(), decoder.name(format));
                run(*decoder, format, &path, &files.expected, point).with_context(about)?;
            }
        }
        results.points.extend(points.map(|(_, point)| point));
    }
    Ok(results)
}

fn run(decoder: Decoder, format: Format, path: &Path, expected: &Sums, point: &mut Point) -> Result<()> {
    let mut meter = Meter::default();
    match decoder {
        Decoder::Corelane => by_corelane(format, path, &mut meter)?,
        Decoder::Library => by_library(format, path, &mut meter)?,
    }
    let Meter { elapsed, cpu, sums } = meter;
    ensure!(sums == *expected, "what was read is wrong: {sums:?}, not {expected:?}");
    point.record("rows_per_second", expected.rows as f64 / elapsed.as_secs_f64());
    point.record("cpu_ns_per_row", cpu.as_nanos() as f64 / expected.rows as f64);
    Ok(())
}

fn schema() -> SchemaRef {
    let field = |(name, data_type): (&str, DataType)| Field::new(name, data_type, true);
    let fields = [
        ("symbol", DataType::Utf8View),
        ("price", DataType::Float64),
        ("quantity", DataType::Int64),
        ("side", DataType::Utf8View),
        ("ts", DataType::Int64),
    ];
    Arc::new(Schema::new(fields.map(field).to_vec()))
}

fn by_corelane(format: Format, path: &Path, meter: &mut Meter) -> Result<()> {
    let options = [("path", path.display().to_string()), ("format", format.name().to_owned())];
    let table = TableDefinition {
        name: "rows".to_owned(),
        schema: schema(),
        options: options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>(),
        partitioned_by: Vec::new(),
        primary_key: Vec::new(),
        policy: Arc::new(RowPolicy::default()),
    };
    let context = SourceContext {
        worker: 0,
        workers: 1,
        batch_rows: BATCH_ROWS_DEFAULT,
        clock: Arc::new(SystemClock::new()),
        row_errors: Arc::new(FileRowErrors::new()),
        waker: Waker::noop().clone(),
    };
    let mut read = || -> corelane_stream::Result<()> {
        let mut source = meter.time(|| {
            let source = connector("filesystem")?.source(&table)?;
            source.open(source.splits(1)?, &context)
        })?;
        meter.drain(|| {
            loop {
                match source.poll() {
                    Ok(SourcePoll::Batch(batch)) => return Some(Ok(batch.rows)),
                    Ok(SourcePoll::SplitEnd(_)) => {}
                    // Whoever reads ahead for the source needs the core more.
                    Ok(SourcePoll::Pending { .. }) => std::thread::sleep(Duration::from_micros(50)),
                    Ok(SourcePoll::End) => return None,
                    Err(error) => return Some(Err(error)),
                }
            }
        })
    };
    read().map_err(|error| anyhow!("{error}"))
}

fn by_library(format: Format, path: &Path, meter: &mut Meter) -> Result<()> {
    const BUFFER_BYTES: usize = 1 << 20;
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    match format {
        Format::Json => {
            let reader = arrow::json::ReaderBuilder::new(schema()).with_batch_size(BATCH_ROWS_DEFAULT);
            let mut reader = reader.build(BufReader::with_capacity(BUFFER_BYTES, file))?;
            meter.drain(|| reader.next())?;
        }
        Format::Csv => {
            let reader = arrow::csv::ReaderBuilder::new(schema()).with_batch_size(BATCH_ROWS_DEFAULT);
            let mut reader = reader.build_buffered(BufReader::with_capacity(BUFFER_BYTES, file))?;
            meter.drain(|| reader.next())?;
        }
        Format::Parquet => {
            let options = ArrowReaderOptions::new().with_schema(schema());
            let reader = meter.time(|| ParquetRecordBatchReaderBuilder::try_new_with_options(file, options))?;
            let mut reader = reader.with_batch_size(BATCH_ROWS_DEFAULT).build()?;
            meter.drain(|| reader.next())?;
        }
    }
    Ok(())
}

/// The same rows in each format.
fn write(rows: u64) -> Result<Files> {
    let mut files = Files {
        folder: tempfile::tempdir().context("cannot make a directory for the input")?,
        expected: Sums::default(),
    };
    let create = |format| {
        let path = files.path(format);
        File::create(&path).with_context(|| format!("cannot make {}", path.display()))
    };
    let mut json = BufWriter::with_capacity(1 << 20, create(Format::Json)?);
    let mut csv = BufWriter::with_capacity(1 << 20, create(Format::Csv)?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut parquet = ArrowWriter::try_new(create(Format::Parquet)?, schema(), Some(properties))?;
    let mut trades = Trades::new(0);
    let mut time = 1_704_067_200_000;
    let mut left = rows;
    while left > 0 {
        let count = left.min(BATCH_ROWS_DEFAULT as u64) as usize;
        let batch: Vec<(Trade, i64)> = trades.by_ref().take(count).zip(time..).collect();
        for (Trade { symbol, price, quantity }, time) in &batch {
            let symbol = symbol_name(*symbol);
            writeln!(
                json,
                r#"{{"symbol":"{symbol}","price":{price:.2},"quantity":{quantity},"side":"B","ts":{time}}}"#
            )?;
            writeln!(csv, "{symbol},{price:.2},{quantity},B,{time}")?;
        }
        let batch = columns(&batch)?;
        files.expected.add(&batch);
        parquet.write(&batch)?;
        time += count as i64;
        left -= count as u64;
    }
    json.flush()?;
    csv.flush()?;
    parquet.close()?;
    Ok(files)
}

fn columns(rows: &[(Trade, i64)]) -> Result<RecordBatch> {
    let symbols = StringViewArray::from_iter_values(rows.iter().map(|(trade, _)| symbol_name(trade.symbol)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(symbols),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|(trade, _)| trade.price))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(trade, _)| trade.quantity))),
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|_| "B"))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, time)| *time))),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decoder_reads_what_was_written() {
        let results = measure(&DecodeArguments { rows: 10_001, repetitions: 1 }).unwrap();
        assert_eq!(results.points.len(), 2 * Format::ALL.len());
    }

    #[test]
    fn what_is_read_wrong_is_no_figure() {
        let files = write(100).unwrap();
        let path = files.path(Format::Csv);
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replacen(",B,", ",BB,", 1)).unwrap();
        for decoder in [Decoder::Corelane, Decoder::Library] {
            let error = run(decoder, Format::Csv, &path, &files.expected, &mut Point::default()).unwrap_err();
            assert!(error.to_string().starts_with("what was read is wrong"), "{error}");
        }
    }
}
