//! Files as sinks: written under a hidden name, renamed when they are whole.
//!
//! Every worker writes its own part files, so nothing is exchanged for the sink's sake; only a
//! path that names one file gathers all rows on one worker. A reader of the directory sees a file
//! either complete or not at all, because `commit` does nothing but rename within a directory. Where
//! the input has an end, all files appear at that end or none; where it has none, a part appears
//! when it is rolled, and a failure costs the parts that were still open.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use corelane_stream::{
    ChangelogMode, Committable, Error, Exchange, OptionDef, Result, Sink, SinkContext, SinkSpec, TableDefinition,
};

use crate::format::encode::{self, Encoding};
use crate::options::{Options, wrong_value};

mod ledger;
mod part;
mod partition;
mod rolling;
mod writer;

use ledger::Ledger;
pub use part::{CompressedFile, FileCompression};
use partition::PartitionColumns;
use rolling::RollingPolicy;
use writer::FilesystemSink;

/// Endings of files that are compressed in a way that is not known here.
const OTHER_COMPRESSIONS: &[&str] = &["br", "bz2", "lz4", "lzo", "snappy", "sz", "xz", "zip"];

const OPTIONS: &[OptionDef] = &[
    OptionDef {
        name: "sink.mode",
        default: Some("error"),
        required: false,
        help: "If output is already there: 'error', 'overwrite' it when the job commits, or 'append' new part files.",
    },
    OptionDef {
        name: "sink.compression",
        default: Some("none"),
        required: false,
        help: "Compression of csv and json files: 'none', 'gzip' or 'zstd'; a path ending in .gz, .zst or .zstd implies it.",
    },
    OptionDef {
        name: "sink.rolling-policy.file-size",
        default: Some("128mb"),
        required: false,
        help: "A part file that has reached this size is closed and the next one begun; it may be larger by 1,024 rows.",
    },
    OptionDef {
        name: "sink.rolling-policy.rollover-interval",
        default: Some("30 min"),
        required: false,
        help: "A part file that has been open this long is closed and the next one begun.",
    },
    OptionDef {
        name: "partition.default-name",
        default: Some(super::partition_values::DEFAULT_PARTITION),
        required: false,
        help: "What stands for NULL and the empty string in the name of a partition's directory.",
    },
];

/// The options of a filesystem table that concern writing alone.
pub fn sink_options() -> Vec<OptionDef> {
    [OPTIONS, &encode::options()].concat()
}

/// What becomes of output that is already there (`sink.mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SinkMode {
    /// The job does not start. Running it twice must not double the results.
    #[default]
    Error,
    /// Old part files are removed as the first new ones are committed.
    Overwrite,
    /// New part files are added.
    Append,
}

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Exactly this file.
    File(PathBuf),
    /// A directory of part files.
    Directory(PathBuf),
}

impl Target {
    fn path(&self) -> &Path {
        match self {
            Target::File(path) | Target::Directory(path) => path,
        }
    }
}

/// How the files of one sink are made: what its workers need to know.
#[derive(Clone, Debug)]
struct FileLayout {
    target: Target,
    mode: SinkMode,
    encoding: Encoding,
    compression: FileCompression,
    /// The columns that stand in the files: all but the partition columns.
    schema: SchemaRef,
    /// Their positions in the table.
    columns: Vec<usize>,
    partitions: Option<PartitionColumns>,
    rolling: RollingPolicy,
}

/// A sink that writes files.
#[derive(Debug)]
pub struct FilesystemSinkSpec {
    layout: Arc<FileLayout>,
    ledger: Arc<Ledger>,
}

impl FilesystemSinkSpec {
    /// # Errors
    /// If an option's value is wrong, or the format cannot hold the table's columns.
    pub fn new(table: &TableDefinition) -> Result<Self> {
        let layout = FileLayout::new(table)?;
        layout.encoding.check(&layout.schema)?;
        Ok(FilesystemSinkSpec { layout: Arc::new(layout), ledger: Arc::default() })
    }
}

impl FileLayout {
    fn new(table: &TableDefinition) -> Result<Self> {
        let options = Options::new(&table.options);
        let text = options.required("path")?;
        let path = local_path(text)?;
        let encoding = Encoding::new(options.required("format")?, &table.options)?;
        let ending = if table.partitioned_by.is_empty() { ending(text) } else { None };
        let is_file = ending.is_some();
        let ending = ending.unwrap_or_default();
        if OTHER_COMPRESSIONS.contains(&ending.as_str()) {
            return Err(Error::invalid(format!(
                "cannot write '{text}': files cannot be compressed as '.{ending}' says"
            ))
            .with_hint("compressions are gzip (.gz) and zstd (.zst)"));
        }
        let compression = FileCompression::new(&options, &ending, &encoding)?;
        let modes = [("error", SinkMode::Error), ("overwrite", SinkMode::Overwrite), ("append", SinkMode::Append)];
        let mode = options.choice("sink.mode", &modes)?.unwrap_or_default();
        let rolling = RollingPolicy::new(&options)?;
        if is_file && mode == SinkMode::Append {
            return Err(Error::invalid(format!("cannot append to the single file '{}'", path.display()))
                .with_hint("name a directory, which takes new part files, or use 'sink.mode' = 'overwrite'"));
        }
        if let Some(name) = rolling::OPTION_NAMES.iter().find(|name| is_file && table.options.contains_key(**name)) {
            return Err(Error::invalid(format!("option '{name}' needs a directory, but 'path' names a single file"))
                .with_hint("name a directory in 'path', or leave the option out"));
        }
        let (columns, partitions) = split_columns(table, &options)?;
        let schema = Arc::new(Schema::new(
            columns.iter().map(|index| Arc::clone(&table.schema.fields()[*index])).collect::<Vec<_>>(),
        ));
        let target = if is_file { Target::File(path) } else { Target::Directory(path) };
        Ok(FileLayout { target, mode, encoding, compression, schema, columns, partitions, rolling })
    }

    /// The ending of part files: `csv.gz`.
    fn extension(&self) -> String {
        format!("{}{}", self.encoding.extension(), self.compression.suffix())
    }
}

/// Columns that stand in files, and those that stand in directories' names.
fn split_columns(table: &TableDefinition, options: &Options<'_>) -> Result<(Vec<usize>, Option<PartitionColumns>)> {
    let all = 0..table.schema.fields().len();
    if table.partitioned_by.is_empty() {
        return Ok((all.collect(), None));
    }
    let partitions = PartitionColumns::new(table, options)?;
    let columns: Vec<usize> = all.filter(|index| !partitions.contains(*index)).collect();
    if columns.is_empty() {
        return Err(Error::invalid(format!("table '{}' is partitioned by all of its columns", table.name))
            .with_hint("leave at least one column for the files"));
    }
    Ok((columns, Some(partitions)))
}

/// What a path that names one file ends with, in lowercase: `gz` of `out/a.csv.gz`. Any ending will do, but one that
/// does not begin with a letter is none, as in `out/2024.01.01` or `results-v1.2`. Whatever ends in `/` is a directory.
fn ending(path: &str) -> Option<String> {
    let (stem, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    let is_word = ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_ending = is_word && ending.starts_with(|first: char| first.is_ascii_alphabetic());
    (!stem.is_empty() && is_ending).then(|| ending.to_ascii_lowercase())
}

/// The path of an option's value; `file:` may stand before it.
fn local_path(text: &str) -> Result<PathBuf> {
    if text == "-" {
        return Err(Error::invalid("a filesystem table cannot be written to '-'")
            .with_hint("use 'connector' = 'print', or a SELECT, to write to standard output"));
    }
    match text.split_once("://") {
        None => Ok(PathBuf::from(text)),
        Some(("file", path)) => Ok(PathBuf::from(path)),
        Some(_) => Err(wrong_value("path", text, "a path of this machine")),
    }
}

/// `name` with a dot before it and `.inprogress` behind: hidden from `ls`, globs and our own source.
fn hidden_name(name: &str) -> OsString {
    OsString::from(format!(".{name}{}", ledger::HIDDEN_SUFFIX))
}

impl SinkSpec for FilesystemSinkSpec {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn detail(&self) -> String {
        let layout = &self.layout;
        let mut detail = format!("path={}, format={}", layout.target.path().display(), layout.encoding.extension());
        if let Some(partitions) = &layout.partitions {
            detail.push_str(&format!(", partitioned by [{}]", partitions.names().join(", ")));
        }
        detail
    }

    fn exchange(&self) -> Exchange {
        match self.layout.target {
            Target::File(_) => Exchange::Gather,
            Target::Directory(_) => Exchange::Forward,
        }
    }

    fn accept(&self, mode: &ChangelogMode) -> Result<()> {
        match mode {
            ChangelogMode::Append => Ok(()),
            ChangelogMode::Retract | ChangelogMode::Upsert(_) => {
                Err(Error::invalid("a filesystem sink cannot take updates: the lines of a file cannot be taken back")
                    .with_hint(
                        "make the query append-only, for example by aggregating over a window, \
                         or write to 'connector' = 'print'",
                    ))
            }
        }
    }

    fn check(&self) -> Result<()> {
        ledger::check(&self.layout.target, self.layout.mode)
    }

    fn begin(&self) -> Result<()> {
        self.ledger.begin(&self.layout.target, self.layout.mode)
    }

    fn open(&self, context: &SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(FilesystemSink::new(Arc::clone(&self.layout), Arc::clone(&self.ledger), context)))
    }

    fn commit(&self, committables: &[Committable]) -> Result<()> {
        self.ledger.commit(self.layout.target.path(), committables)
    }

    fn abort(&self) {
        self.ledger.abort();
    }

    fn remains(&self) -> Vec<String> {
        self.ledger.remains(self.layout.target.path())
    }
}

#[cfg(test)]
mod tests;
