//! Files as tables: one file, a glob, a directory, or standard input.

pub mod sink;

mod follow;
mod layout;
mod letters;
mod listing;
mod parquet;
mod partition_values;
mod source;
mod split;
mod stdin;
mod text;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use corelane_stream::{Connector, Error, OptionDef, Result, SinkSpec, SourceSpec, TableDefinition, TableOptions};

use crate::format::decode::value::TimestampStyle;
use crate::format::infer::{self, Sample};
use crate::format::{CsvOptions, DECODE_OPTIONS, FormatOptions};
use crate::options::Options;
pub use letters::{TableUse, check_dead_letters, check_standard_input};
use listing::FileInfo;
pub use parquet::is_reading_guarded;
use sink::{FilesystemSinkSpec, sink_options};
use source::FilesystemSource;

/// Bytes of text that a schema is inferred from.
const SAMPLE_BYTES_MAX: usize = 1 << 20;

const SOURCE_OPTIONS: &[OptionDef] = &[
    OptionDef {
        name: "path",
        default: None,
        required: true,
        help: "A file, a directory (read with all below it), or a pattern of names with * ? [..]; '-' is standard input.",
    },
    OptionDef {
        name: "format",
        default: None,
        required: true,
        help: "'json' (one object on each line), 'csv' or 'parquet'.",
    },
    OptionDef {
        name: "source.monitor-interval",
        default: None,
        required: false,
        help: "How often to look for new and grown files; without it the files are read once as they are. A Parquet file does not grow; new ones are followed.",
    },
];

/// `'connector' = 'filesystem'`
#[derive(Debug)]
pub struct FilesystemConnector;

impl Connector for FilesystemConnector {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn help(&self) -> &'static str {
        "Reads and writes files: JSON lines, CSV, Parquet; gzip and zstd are seen by their first bytes."
    }

    fn can_be_partitioned(&self) -> bool {
        true
    }

    fn options(&self) -> Vec<OptionDef> {
        [SOURCE_OPTIONS, DECODE_OPTIONS, &sink_options()].concat()
    }

    fn metadata(&self) -> &'static [&'static str] {
        layout::METADATA_NAMES
    }

    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceSpec>> {
        Ok(Arc::new(FilesystemSource::new(table)?))
    }

    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkSpec>> {
        let mut table = table.clone();
        if let Some(delimiter) = source::inferred_delimiter(&table.schema) {
            // What is added to files shall be written as they are.
            table.options.entry("csv.field-delimiter".to_owned()).or_insert(delimiter.to_owned());
        }
        Ok(Arc::new(FilesystemSinkSpec::new(&table)?))
    }

    fn infer_schema(&self, options: &TableOptions) -> Result<SchemaRef> {
        let path = source_path(options)?;
        if path == "-" {
            return Err(Error::invalid("the columns of standard input cannot be inferred")
                .with_hint("declare them with CREATE TABLE"));
        }
        let format = FormatOptions::read(options)?;
        // Empty files have nothing to say, unless there are no others.
        let files = listing::list_some(path)?;
        let some = files.iter().any(|file| 0 < file.size);
        let files: Vec<&FileInfo> = files.iter().filter(|file| 0 < file.size || !some).collect();
        match &format {
            FormatOptions::Json(json) => {
                let samples = samples(&files, |sample| sample.lines().count())?;
                if Options::new(options).text("json.timestamp-format.standard").is_some() {
                    return infer::infer_json(&samples, json.timestamps);
                }
                let schema = infer::infer_json(&samples, TimestampStyle::Either)?;
                Ok(Arc::new(source::with_times_of_any_style(&schema)))
            }
            FormatOptions::Csv(csv) => {
                let samples = samples(&files, |sample| sample.lines().count())?;
                let is_telling = |sample: &&Sample| sample.lines().next().is_some();
                let first = samples.iter().find(is_telling).unwrap_or(&samples[0]);
                let given = Options::new(options);
                let delimiter = match given.text("csv.field-delimiter") {
                    Some(_) => csv.delimiter,
                    None => infer::find_delimiter(&first.text, first.at_end, csv),
                };
                let csv = CsvOptions { delimiter, ..csv.clone() };
                let header = given.boolean("csv.header")?;
                let header = header.unwrap_or_else(|| infer::has_header(&first.text, first.at_end, &csv));
                let csv = CsvOptions { header, ..csv };
                let schema = infer::infer_csv(&samples, &csv)?;
                Ok(Arc::new(source::with_csv(&schema, header, delimiter)))
            }
            FormatOptions::Parquet => infer_parquet(&files),
        }
    }
}

/// What files begin with: as many as have enough records together.
fn samples(files: &[&FileInfo], records: impl Fn(&Sample) -> usize) -> Result<Vec<Sample>> {
    let mut samples = vec![];
    let mut found = 0;
    for file in files.iter().take(infer::SAMPLE_RECORDS) {
        if infer::SAMPLE_RECORDS <= found {
            break;
        }
        let (text, at_end) = text::sample(&file.path, SAMPLE_BYTES_MAX)?;
        let sample = Sample { path: file.path.clone(), text, at_end };
        sample.check_encoding()?;
        found += records(&sample);
        samples.push(sample);
    }
    Ok(samples)
}

/// The columns of the first files, as many as have enough rows together. A column that one of them lacks, or may
/// lack, is NULL there.
fn infer_parquet(files: &[&FileInfo]) -> Result<SchemaRef> {
    let mut columns: Vec<Field> = vec![];
    let (mut rows, mut opened) = (0, 0);
    for file in files {
        if infer::SAMPLE_RECORDS as u64 <= rows {
            break;
        }
        let open = parquet::ParquetFile::open(&file.path)?;
        let schema = open.table_schema();
        let mut names = schema.fields().iter().map(|field| field.name());
        let is_repeated = |name: &&String| schema.fields().iter().filter(|field| field.name() == *name).count() > 1;
        if let Some(name) = names.find(is_repeated) {
            return Err(Error::invalid(format!("'{}' has several columns named '{name}'", file.path))
                .with_hint("write the file again with a name of its own for each column"));
        }
        for known in &mut columns {
            if schema.fields().find(known.name()).is_none_or(|(_, field)| field.is_nullable()) {
                known.set_nullable(true);
            }
        }
        for field in schema.fields() {
            if !columns.iter().any(|known| known.name() == field.name()) {
                let is_everywhere = opened == 0 && !field.is_nullable();
                columns.push(field.as_ref().clone().with_nullable(!is_everywhere));
            }
        }
        rows += open.rows();
        opened += 1;
    }
    if opened < files.len() {
        columns.iter_mut().for_each(|column| column.set_nullable(true));
    }
    Ok(Arc::new(Schema::new(columns)))
}

fn source_path(options: &TableOptions) -> Result<&str> {
    let path = Options::new(options).required("path")?;
    Ok(path.strip_prefix("file://").unwrap_or(path))
}

/// The options of the table that a bare path stands for: `SELECT .. FROM 'trades.csv.gz'`.
///
/// # Errors
/// If the name does not tell the format.
pub fn table_options_for_path(path: &str) -> Result<TableOptions> {
    let lower = path.to_ascii_lowercase();
    let plain = [".gz", ".zst", ".zstd"].iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
    let extension = plain.rsplit('/').next().unwrap_or(plain).rsplit_once('.').map_or("", |(_, extension)| extension);
    let given: &[(&str, &str)] = match extension {
        "json" | "jsonl" | "ndjson" => &[("format", "json")],
        "csv" => &[("format", "csv")],
        "tsv" | "tab" => &[("format", "csv"), ("csv.field-delimiter", "\\t")],
        "parquet" | "pq" => &[("format", "parquet")],
        _ => {
            return Err(Error::invalid(format!("cannot tell the format of '{path}' by its name"))
                .with_hint("names end in .json, .jsonl, .ndjson, .csv, .tsv (perhaps with .gz or .zst) or .parquet; use CREATE TABLE for others"));
        }
    };
    let table = [("connector", "filesystem"), ("path", path)];
    Ok(given.iter().chain(&table).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

#[cfg(test)]
mod tests;
