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

use arrow::datatypes::SchemaRef;
use corelane_stream::{Connector, Error, OptionDef, Result, SinkSpec, SourceSpec, TableDefinition, TableOptions};

use crate::format::decode::value::TimestampStyle;
use crate::format::{CsvOptions, DECODE_OPTIONS, FormatOptions, infer};
use crate::options::Options;
pub use letters::{TableUse, check_dead_letters, check_standard_input};
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
        help: "How often to look for new and grown files; without it the files are read once as they are.",
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
        // The first file with something in it: an empty one has nothing to say.
        let files = listing::list_some(path)?;
        let file = files.iter().find(|file| 0 < file.size).unwrap_or(&files[0]);
        match &format {
            FormatOptions::Json(json) => {
                let (sample, at_end) = text::sample(&file.path, SAMPLE_BYTES_MAX)?;
                if Options::new(options).text("json.timestamp-format.standard").is_some() {
                    return infer::infer_json(&file.path, &sample, at_end, json.timestamps);
                }
                let schema = infer::infer_json(&file.path, &sample, at_end, TimestampStyle::Either)?;
                Ok(Arc::new(source::with_times_of_any_style(&schema)))
            }
            FormatOptions::Csv(csv) => {
                let (sample, at_end) = text::sample(&file.path, SAMPLE_BYTES_MAX)?;
                let given = Options::new(options);
                let delimiter = match given.text("csv.field-delimiter") {
                    Some(_) => csv.delimiter,
                    None => infer::find_delimiter(&sample, at_end, csv),
                };
                let csv = CsvOptions { delimiter, ..csv.clone() };
                let header = given.boolean("csv.header")?;
                let header = header.unwrap_or_else(|| infer::has_header(&sample, at_end, &csv));
                let csv = CsvOptions { header, ..csv };
                let schema = infer::infer_csv(&file.path, &sample, at_end, &csv)?;
                Ok(Arc::new(source::with_csv(&schema, header, delimiter)))
            }
            FormatOptions::Parquet => {
                let schema = parquet::ParquetFile::open(&file.path)?.table_schema();
                let mut names = schema.fields().iter().map(|field| field.name());
                match names.find(|name| schema.fields().iter().filter(|field| field.name() == *name).count() > 1) {
                    None => Ok(schema),
                    Some(name) => Err(Error::invalid(format!("'{}' has several columns named '{name}'", file.path))
                        .with_hint("write the file again with a name of its own for each column")),
                }
            }
        }
    }
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
