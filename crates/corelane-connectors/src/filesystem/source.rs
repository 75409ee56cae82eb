//! Files as a source: its plan, and its bounded reading.
//!
//! A worker reads its splits one after the other, each in order. All of a worker's memory is one
//! buffer, one decoder and the batch it builds.

use std::collections::VecDeque;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use corelane_stream::row_errors::Position;
use corelane_stream::{
    BadRow, Error, OnError, OriginDetail, Result, RowErrors, RowPolicy, Source, SourceBatch, SourceContext,
    SourceCounters, SourcePoll, SourceSpec, Split, TableDefinition, TableOptions,
};

use super::follow::{self, FollowingSource, Share};
use super::layout::{Layout, is_metadata};
use super::listing::{FileInfo, cannot_read, list, list_some};
use super::parquet::{ParquetFile, RowGroup};
use super::partition_values::PartitionNames;
use super::split::{self, FileSplit, RANGE_BYTES};
use super::stdin::StdinReader;
use super::text::{Compression, Step, TextReader, Unfinished};
use crate::format::FormatOptions;
use crate::format::decode::value::TimestampStyle;
use crate::format::decode::{self, BadRecord, Decoder, Rows};
use crate::format::encode::{JsonEncoding, TextEncoding};
use crate::options::{Options, wrong_value};
use crate::origins::Origins;

/// Keys, in the metadata of an inferred schema, of what the files were found to be like: whether they
/// name their columns, what stands between two fields, and whether times are written in either
/// way. An option of the table has precedence.
const HEADER_KEY: &str = "corelane.csv.header";
const DELIMITER_KEY: &str = "corelane.csv.field-delimiter";
const TIMES_KEY: &str = "corelane.json.times";

/// Why the last record of a followed input is not read.
pub(crate) const STOPPED: &str = "the record never ended: the job was stopped before the rest of it came";

/// Marks the schema of a CSV table as inferred from files with or without a header and with this delimiter.
pub(crate) fn with_csv(schema: &Schema, header: bool, delimiter: u8) -> Schema {
    let delimiter = char::from(delimiter).to_string();
    let marks = [(HEADER_KEY.to_owned(), header.to_string()), (DELIMITER_KEY.to_owned(), delimiter)];
    schema.clone().with_metadata(marks.into())
}

/// Marks the schema of a JSON table as inferred from files with times written either way.
pub(crate) fn with_times_of_any_style(schema: &Schema) -> Schema {
    schema.clone().with_metadata([(TIMES_KEY.to_owned(), true.to_string())].into())
}

/// The delimiter that the files of a table were found to have.
pub(crate) fn inferred_delimiter(schema: &Schema) -> Option<&str> {
    schema.metadata().get(DELIMITER_KEY).map(String::as_str)
}

/// What the options leave to the files, as it was found in them.
fn with_inferred(format: &mut FormatOptions, table: &TableDefinition) -> Result<()> {
    let (options, marks) = (Options::new(&table.options), table.schema.metadata());
    match format {
        FormatOptions::Csv(csv) => {
            let inferred = marks.get(HEADER_KEY).is_some_and(|header| header == "true");
            csv.header = options.boolean("csv.header")?.unwrap_or(inferred);
            csv.inferred = marks.contains_key(HEADER_KEY);
            if options.text("csv.field-delimiter").is_none()
                && let Some(delimiter) = inferred_delimiter(&table.schema)
            {
                csv.delimiter = delimiter.as_bytes()[0];
            }
        }
        FormatOptions::Json(json) => {
            if options.text("json.timestamp-format.standard").is_none() && marks.contains_key(TIMES_KEY) {
                json.timestamps = TimestampStyle::Either;
            }
        }
        FormatOptions::Parquet => {}
    }
    Ok(())
}

/// A table of files, to be read.
#[derive(Clone, Debug)]
pub(crate) struct FilesystemSource {
    policy: Arc<RowPolicy>,
    path: String,
    format: FormatOptions,
    monitor_interval: Option<Duration>,
    /// All columns, as they lie in a CSV file.
    declared: SchemaRef,
    layout: Arc<Layout>,
    range_bytes: u64,
}

impl FilesystemSource {
    pub fn new(table: &TableDefinition) -> Result<Self> {
        let options = Options::new(&table.options);
        let path = super::source_path(&table.options)?.to_owned();
        let mut format = FormatOptions::read(&table.options)?;
        with_inferred(&mut format, table)?;
        let monitor_interval = options.duration("source.monitor-interval")?;
        if let Some(interval) = monitor_interval {
            if interval.is_zero() {
                return Err(wrong_value("source.monitor-interval", "0", "a duration longer than nothing"));
            }
            if path == "-" {
                return Err(Error::invalid("'source.monitor-interval' cannot follow standard input")
                    .with_hint("leave the option out"));
            }
        }
        if path == "-" && format == FormatOptions::Parquet {
            return Err(Error::invalid("cannot read Parquet from standard input").with_hint("write it to a file first"));
        }
        let mut policy = RowPolicy::clone(&table.policy);
        if format.ignores_parse_errors() && policy.on_error == OnError::Fail {
            policy.on_error = OnError::Skip;
        }
        let partitions = PartitionNames::new(table, &options);
        let in_files = |field: &&FieldRef| !is_metadata(field) && !partitions.contains(field);
        let columns = table.schema.fields().iter().filter(in_files).cloned().collect::<Vec<_>>();
        let source = FilesystemSource {
            policy: Arc::new(policy),
            path,
            format,
            monitor_interval,
            declared: Arc::new(Schema::new(columns)),
            layout: Arc::new(Layout::new(Arc::clone(&table.schema), partitions)?),
            range_bytes: RANGE_BYTES,
        };
        source.check_types()?;
        Ok(source)
    }

    /// The same source cut into smaller ranges.
    #[cfg(test)]
    pub fn with_range_bytes(mut self, range_bytes: u64) -> Self {
        self.range_bytes = range_bytes;
        self
    }

    /// The error of a path, which names the table as well, if it is declared.
    fn of_table(&self, error: &Error) -> Error {
        if self.policy.table == self.path {
            return error.clone();
        }
        let named = Error::new(error.kind(), format!("table '{}': {error}", self.policy.table));
        match error.hint() {
            Some(hint) => named.with_hint(hint),
            None => named,
        }
    }

    fn check_types(&self) -> Result<()> {
        self.decoder().map(|_| ())
    }

    /// What decodes records of text; Parquet has none.
    fn decoder(&self) -> Result<Option<Box<dyn Decoder>>> {
        match self.format {
            FormatOptions::Json(_) | FormatOptions::Csv(_) => {
                decode::decoder(&self.format, &self.declared, self.layout.columns(), self.layout.origin()).map(Some)
            }
            FormatOptions::Parquet => Ok(None),
        }
    }
}

impl SourceSpec for FilesystemSource {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn detail(&self) -> String {
        format!("path={}, format={}", self.path, self.format.name())
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(self.layout.schema())
    }

    fn bounded(&self) -> bool {
        self.monitor_interval.is_none()
    }

    fn origin(&self) -> Option<OriginDetail> {
        Some(match self.format {
            FormatOptions::Json(_) | FormatOptions::Csv(_) => OriginDetail::Raw,
            FormatOptions::Parquet => OriginDetail::Place,
        })
    }

    fn with_schema(&self, schema: SchemaRef) -> Result<Arc<dyn SourceSpec>> {
        let source = FilesystemSource { layout: Arc::new(self.layout.with_schema(schema)?), ..self.clone() };
        for field in source.layout.columns().fields() {
            if self.declared.fields().find(field.name()).is_none() {
                return Err(Error::internal(format!("table '{}' has no column '{}'", self.policy.table, field.name())));
            }
        }
        source.check_types()?;
        Ok(Arc::new(source))
    }

    fn refusing_nulls(&self, columns: &[&str]) -> Option<Arc<dyn SourceSpec>> {
        let layout = Arc::new(self.layout.refusing_nulls(columns));
        Some(Arc::new(FilesystemSource { layout, ..self.clone() }))
    }

    fn splits(&self, workers: usize) -> Result<Vec<Split>> {
        if self.monitor_interval.is_some() {
            let share = match self.format {
                FormatOptions::Json(_) | FormatOptions::Csv(_) => Share::File,
                FormatOptions::Parquet => Share::RowGroups,
            };
            return follow::lanes(&self.path, workers, share).map_err(|error| self.of_table(&error));
        }
        let splits = match self.path.as_str() {
            "-" => vec![FileSplit::Stdin],
            path => {
                split::cut(list_some(path).map_err(|error| self.of_table(&error))?, &self.format, self.range_bytes)?
            }
        };
        Ok(splits.iter().map(FileSplit::to_split).collect())
    }

    fn check(&self) -> Result<()> {
        self.splits(1)?;
        let files = if self.path == "-" { Vec::new() } else { list(&self.path)? };
        let open = |file: &FileInfo| File::open(&file.path).map_err(|error| cannot_read(&file.path, &error));
        files.iter().try_for_each(|file| open(file).map(drop))
    }

    fn open(&self, splits: Vec<Split>, context: &SourceContext) -> Result<Box<dyn Source>> {
        let rows = RowBuilder {
            layout: Arc::clone(&self.layout),
            declared: Arc::clone(&self.declared),
            row_errors: context.row_errors.open(&self.policy, context.worker)?,
            batch_rows: context.batch_rows,
            origins: Origins::default(),
            counters: SourceCounters::default(),
        };
        if let Some(interval) = self.monitor_interval {
            let clock = Arc::clone(&context.clock);
            let source = FollowingSource::new(&self.path, interval, clock, &splits, rows, self.decoder()?)?;
            return Ok(Box::new(source));
        }
        Ok(Box::new(FileSource {
            splits: splits.iter().map(FileSplit::of_split).collect::<Result<_>>()?,
            opened: 0,
            path: None,
            reading: None,
            parquet_file: None,
            decoder: self.decoder()?,
            rows,
            context: context.clone(),
        }))
    }
}

/// What turns decoded columns into batches, and bad records into bad rows.
pub(crate) struct RowBuilder {
    layout: Arc<Layout>,
    declared: SchemaRef,
    row_errors: Rc<dyn RowErrors>,
    batch_rows: usize,
    origins: Origins,
    pub counters: SourceCounters,
}

impl RowBuilder {
    /// Decodes one step of a text file.
    ///
    /// # Errors
    /// If the file cannot be read, or a row is bad and the policy is to fail.
    pub fn step(&mut self, reader: &mut TextReader, decoder: &mut dyn Decoder, file: &FileInfo) -> Result<Step> {
        let RowBuilder { row_errors, counters, batch_rows, .. } = self;
        let step = reader.step(decoder, *batch_rows, &mut |bad: &BadRecord<'_>| {
            counters.bad_rows += 1;
            row_errors.bad(&BadRow {
                source: &file.path,
                position: Some(bad.line.map_or(Position::Byte(bad.offset), Position::Line)),
                raw: bad.raw,
                reason: bad.reason,
            })
        });
        self.counters.bytes += reader.take_file_bytes();
        step
    }

    /// Tells of a record that will not be read to its end.
    ///
    /// # Errors
    /// If the dead letter cannot be written.
    pub fn tell_unfinished(&self, source: &str, record: &Unfinished, reason: &str) -> Result<()> {
        let Unfinished { position, raw } = record;
        self.row_errors.unfinished(&BadRow { source, position: Some(*position), raw, reason })
    }

    /// Takes the rows that the decoder holds; `None` if it holds none.
    ///
    /// # Errors
    /// If they do not fit the schema.
    pub fn take(&mut self, decoder: &mut dyn Decoder, file: &FileInfo, split: usize) -> Result<Option<SourcePoll>> {
        if decoder.rows() == 0 {
            return Ok(None);
        }
        let rows = decoder.flush()?;
        Ok(Some(SourcePoll::Batch(SourceBatch { split, rows: self.batch(rows, Position::Byte, file)? })))
    }

    /// Opens a Parquet file of the table.
    ///
    /// # Errors
    /// If it cannot be read, or is none of this table.
    pub fn open_parquet(&self, path: &str) -> Result<ParquetFile> {
        let file = ParquetFile::open(path)?;
        file.check_any_of(&self.declared)?;
        Ok(file)
    }

    /// Opens a row group behind its first `rows_read` rows.
    ///
    /// # Errors
    /// If it cannot be read as the columns of the table.
    pub fn open_row_group(&self, file: &ParquetFile, number: usize, rows_read: u64) -> Result<RowGroup> {
        file.row_group(number, rows_read, self.layout.columns(), self.batch_rows)
    }

    /// Takes the next rows of a row group; `None` at its end.
    ///
    /// # Errors
    /// If they cannot be read, or do not fit the schema.
    pub fn take_row_group(&mut self, reader: &mut RowGroup, file: &FileInfo) -> Result<Option<RecordBatch>> {
        let Some((columns, row_numbers)) = reader.next()? else { return Ok(None) };
        self.counters.bytes += reader.take_bytes();
        let places = self.layout.origin().map(|_| {
            let place = |row: &u64| Position::Row(*row).to_word();
            row_numbers.iter().map(place).collect()
        });
        let rows = Rows { columns, offsets: row_numbers, places, raw: None };
        self.batch(rows, Position::Row, file).map(Some)
    }

    /// Makes a batch of decoded rows.
    fn batch(&mut self, rows: Rows, position: fn(u64) -> Position, file: &FileInfo) -> Result<RecordBatch> {
        let Rows { columns, offsets, places, raw } = rows;
        let origin = places.map(|places| self.origins.column(&file.path, places, raw)).transpose()?;
        let batch = self.layout.batch(columns, &offsets, origin, file)?;
        let batch = self.without_nulls(batch, &offsets, position, file)?;
        self.counters.rows += batch.num_rows() as u64;
        Ok(batch)
    }

    /// Takes out the rows with NULL where none may be: text formats see to it as they decode, but
    /// Parquet knows no more than its file says, and partitions have names.
    fn without_nulls(
        &mut self,
        batch: RecordBatch,
        offsets: &[u64],
        position: fn(u64) -> Position,
        file: &FileInfo,
    ) -> Result<RecordBatch> {
        let layout = Arc::clone(&self.layout);
        let has_nulls = |column: &&usize| batch.column(**column).null_count() > 0;
        let with_nulls: Vec<usize> = layout.required().iter().filter(has_nulls).copied().collect();
        if with_nulls.is_empty() {
            return Ok(batch);
        }
        let mut keep = Vec::with_capacity(batch.num_rows());
        for (row, offset) in offsets.iter().enumerate() {
            let fault = with_nulls.iter().find(|column| batch.column(**column).is_null(row));
            keep.push(fault.is_none());
            if let Some(column) = fault {
                let name = layout.schema().field(*column).name();
                let shown = as_json(&batch, row)?;
                self.counters.bad_rows += 1;
                self.row_errors.bad(&BadRow {
                    source: &file.path,
                    position: Some(position(*offset)),
                    raw: shown.as_bytes(),
                    reason: &format!("field '{name}': it is NOT NULL but has no value"),
                })?;
            }
        }
        Ok(filter_record_batch(&batch, &BooleanArray::from(keep))?)
    }
}

/// A row of which there are no bytes any more.
fn as_json(rows: &RecordBatch, row: usize) -> Result<String> {
    let fields = rows.schema_ref().fields().iter().enumerate();
    let told: Vec<usize> = fields.filter(|(_, field)| !is_metadata(field)).map(|(index, _)| index).collect();
    let encoding = TextEncoding::Json(JsonEncoding::new(&TableOptions::default())?);
    let mut text = String::new();
    encoding.encode(&rows.slice(row, 1).project(&told)?, &mut text)?;
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// Bounded files on one worker.
struct FileSource {
    splits: VecDeque<FileSplit>,
    /// How many splits have been opened.
    opened: usize,
    /// The file of the split opened last.
    path: Option<String>,
    reading: Option<Reading>,
    /// The file whose row groups are being read, and most likely the next one's too.
    parquet_file: Option<ParquetFile>,
    decoder: Option<Box<dyn Decoder>>,
    rows: RowBuilder,
    context: SourceContext,
}

enum Reading {
    Text {
        file: FileInfo,
        reader: Box<TextReader>,
        stdin: bool,
    },
    RowGroup {
        file: FileInfo,
        row_group: usize,
        reader: Box<RowGroup>,
        bytes: u64,
    },
    /// The rows are out; the end of the split is to be told.
    Ended,
}

impl FileSource {
    fn open_next(&mut self) -> Result<bool> {
        let Some(split) = self.splits.pop_front() else { return Ok(false) };
        self.opened += 1;
        let is_same = self.path.is_some() && self.path.as_deref() == split.path();
        self.path = split.path().map(str::to_owned);
        self.reading = Some(match split {
            FileSplit::Text { file, range } => {
                let reader = TextReader::open(&file.path, range, Compression::of_file(&file.path)?, false)?;
                let decoder = self.decoder.as_deref_mut().expect("text formats have a decoder");
                if !is_same {
                    decoder.begin_file(&file.path);
                }
                reader.read_header(decoder)?;
                Reading::Text { file, reader: Box::new(reader), stdin: false }
            }
            FileSplit::Stdin => {
                let reader = TextReader::stdin(StdinReader::start(self.context.waker.clone())?);
                let decoder = self.decoder.as_deref_mut().expect("text formats have a decoder");
                decoder.begin_file("-");
                let file = FileInfo { path: "-".to_owned(), ordinal: 0, size: 0, modified_ms: 0, identity: 0 };
                Reading::Text { file, reader: Box::new(reader), stdin: true }
            }
            FileSplit::RowGroup { file, row_group, rows_read, bytes } => {
                let open = match self.parquet_file.take() {
                    Some(open) if open.path() == file.path => open,
                    Some(_) | None => self.rows.open_parquet(&file.path)?,
                };
                let reader = self.rows.open_row_group(&open, row_group, rows_read)?;
                self.parquet_file = Some(open);
                Reading::RowGroup { file, row_group, reader: Box::new(reader), bytes }
            }
        });
        Ok(true)
    }
}

impl Source for FileSource {
    fn poll(&mut self) -> Result<SourcePoll> {
        if self.reading.is_none() && !self.open_next()? {
            return Ok(SourcePoll::End);
        }
        let split = self.opened - 1;
        match self.reading.as_mut().expect("a split is open") {
            Reading::Text { file, reader, stdin } => {
                let decoder = self.decoder.as_deref_mut().expect("text formats have a decoder");
                let step = self.rows.step(reader, decoder, file)?;
                let batch = self.rows.take(decoder, file, split)?;
                // Only standard input may have nothing for now, and its thread wakes the worker.
                let wait = if *stdin && step == Step::Pending { None } else { Some(0) };
                match (step, batch) {
                    (Step::Ended, batch) => {
                        self.reading = batch.is_some().then_some(Reading::Ended);
                        Ok(batch.unwrap_or(SourcePoll::SplitEnd(split)))
                    }
                    (Step::Full | Step::Pending, Some(batch)) => Ok(batch),
                    (Step::Full | Step::Pending, None) => Ok(SourcePoll::Pending { retry_ms: wait }),
                }
            }
            Reading::RowGroup { file, reader, .. } => {
                let Some(rows) = self.rows.take_row_group(reader, file)? else {
                    self.reading = None;
                    return Ok(SourcePoll::SplitEnd(split));
                };
                Ok(SourcePoll::Batch(SourceBatch { split, rows }))
            }
            Reading::Ended => {
                self.reading = None;
                Ok(SourcePoll::SplitEnd(split))
            }
        }
    }

    fn holds_time(&self) -> bool {
        // Splits are in the order of their files, so the last one tells whether another file follows.
        self.splits.back().is_some_and(|last| last.path() != self.path.as_deref())
    }

    fn stop(&mut self) -> Result<()> {
        // What is unread of a file will be there for whoever reads it again.
        let Some(Reading::Text { file, reader, stdin: true }) = &self.reading else { return Ok(()) };
        let unfinished = reader.unfinished_record();
        unfinished.map_or(Ok(()), |record| self.rows.tell_unfinished(&file.path, &record, STOPPED))
    }

    fn snapshot(&self) -> Vec<Split> {
        let current = match &self.reading {
            Some(Reading::Text { file, reader, stdin: false }) => {
                Some(FileSplit::Text { file: file.clone(), range: reader.rest() })
            }
            Some(Reading::Text { .. }) => Some(FileSplit::Stdin),
            Some(Reading::RowGroup { file, row_group, reader, bytes }) => {
                let (row_group, bytes) = (*row_group, *bytes);
                Some(FileSplit::RowGroup { file: file.clone(), row_group, rows_read: reader.rows_read(), bytes })
            }
            Some(Reading::Ended) | None => None,
        };
        current.iter().chain(&self.splits).map(FileSplit::to_split).collect()
    }

    fn counters(&self) -> SourceCounters {
        self.rows.counters
    }
}
