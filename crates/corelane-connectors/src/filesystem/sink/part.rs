//! One file being written, under its hidden name.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use corelane_stream::{Committable, Error, Result};
use flate2::write::GzEncoder;

use super::FileLayout;
use super::ledger::{Ledger, committable};
use crate::format::encode::{self, Encoder, Encoding};
use crate::options::{Options, wrong_value};

/// Bytes gathered before a call into the kernel.
const WRITE_BYTES: usize = 256 << 10;

/// `sink.compression`, for the formats that do not compress by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileCompression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl FileCompression {
    /// `extension` is that of the single file, or empty.
    pub(super) fn new(options: &Options<'_>, extension: &str, encoding: &Encoding) -> Result<Self> {
        let choices =
            [("none", FileCompression::None), ("gzip", FileCompression::Gzip), ("zstd", FileCompression::Zstd)];
        let implied = FileCompression::of_ending(extension);
        let name = "sink.compression";
        let chosen = options.choice(name, &choices)?;
        if let (Some(implied), Some(chosen)) = (implied, chosen)
            && implied != chosen
        {
            let accepted = format!("what the path's ending '.{extension}' says, or may be left out");
            return Err(wrong_value(name, options.text(name).unwrap_or_default(), &accepted));
        }
        let compression = chosen.or(implied).unwrap_or_default();
        if compression != FileCompression::None && matches!(encoding, Encoding::Parquet(_)) {
            return Err(Error::invalid("a parquet file cannot be compressed as a whole")
                .with_hint("use 'parquet.compression', which compresses its pages"));
        }
        Ok(compression)
    }

    /// What the last ending of a file's name says.
    pub fn of_ending(ending: &str) -> Option<Self> {
        match ending {
            "gz" => Some(FileCompression::Gzip),
            "zst" | "zstd" => Some(FileCompression::Zstd),
            _ => None,
        }
    }

    pub(super) fn suffix(self) -> &'static str {
        match self {
            FileCompression::None => "",
            FileCompression::Gzip => ".gz",
            FileCompression::Zstd => ".zst",
        }
    }
}

/// Counts what reaches the file.
#[derive(Debug)]
pub struct CountedFile {
    file: BufWriter<File>,
    bytes: u64,
}

impl Write for CountedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A file that is compressed as it is written.
pub enum CompressedFile {
    Plain(CountedFile),
    Gzip(GzEncoder<CountedFile>),
    Zstd(zstd::Encoder<'static, CountedFile>),
}

impl fmt::Debug for CompressedFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CompressedFile({:?})", self.counted())
    }
}

impl CompressedFile {
    /// # Errors
    /// If the compressor cannot be set up.
    pub fn new(file: File, compression: FileCompression) -> io::Result<Self> {
        let file = CountedFile { file: BufWriter::with_capacity(WRITE_BYTES, file), bytes: 0 };
        Ok(match compression {
            FileCompression::None => CompressedFile::Plain(file),
            FileCompression::Gzip => CompressedFile::Gzip(GzEncoder::new(file, flate2::Compression::default())),
            FileCompression::Zstd => CompressedFile::Zstd(zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?),
        })
    }

    fn counted(&self) -> &CountedFile {
        match self {
            CompressedFile::Plain(file) => file,
            CompressedFile::Gzip(encoder) => encoder.get_ref(),
            CompressedFile::Zstd(encoder) => encoder.get_ref(),
        }
    }

    pub fn file(&self) -> &File {
        self.counted().file.get_ref()
    }

    /// Writes the end; the disk need not have it all yet.
    ///
    /// # Errors
    /// If the file takes no more.
    pub fn finish(self) -> io::Result<File> {
        let file = match self {
            CompressedFile::Plain(file) => file,
            CompressedFile::Gzip(encoder) => encoder.finish()?,
            CompressedFile::Zstd(encoder) => encoder.finish()?,
        };
        file.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Write for CompressedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            CompressedFile::Plain(file) => file.write(bytes),
            CompressedFile::Gzip(encoder) => encoder.write(bytes),
            CompressedFile::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            CompressedFile::Plain(file) => file.flush(),
            CompressedFile::Gzip(encoder) => encoder.flush(),
            CompressedFile::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// Where a part lies while it is written, and where it will lie.
#[derive(Clone, Debug)]
pub(super) struct PartPaths {
    pub(super) hidden: PathBuf,
    pub(super) visible: PathBuf,
}

/// A file being written.
pub(super) struct Part {
    paths: PartPaths,
    encoder: Encoder<CompressedFile>,
    pub(super) opened_ms: i64,
}

impl Part {
    /// Creates the file, and its directory if there is none.
    pub(super) fn create(layout: &FileLayout, ledger: &Ledger, paths: PartPaths, now_ms: i64) -> Result<Self> {
        let file = ledger.create_file(&paths.hidden)?.map_err(|error| match error.kind() {
            // Two writers of one file would mix or lose their rows.
            io::ErrorKind::AlreadyExists => already_open(&paths),
            _ => cannot_write(&paths.visible, &error),
        })?;
        let file =
            CompressedFile::new(file, layout.compression).map_err(|error| cannot_write(&paths.visible, &error))?;
        let destination = format!("'{}'", paths.visible.display());
        let encoder = Encoder::new(&layout.encoding, &layout.schema, file, destination)?;
        Ok(Part { paths, encoder, opened_ms: now_ms })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.encoder.write(rows)
    }

    /// The size of the file if it were closed now, roughly.
    pub(super) fn bytes(&mut self) -> u64 {
        let buffered = self.encoder.buffered() as u64;
        self.encoder.destination().counted().bytes + buffered
    }

    /// Makes the file whole and durable; it stays hidden until its committable is committed.
    pub(super) fn finish(self) -> Result<Committable> {
        let Part { paths, encoder, .. } = self;
        let written = encoder.finish()?.finish().and_then(|file| file.sync_all());
        written.map_err(|error| cannot_write(&paths.visible, &error))?;
        Ok(committable(&paths.hidden, &paths.visible))
    }
}

fn already_open(paths: &PartPaths) -> Error {
    Error::io(format!(
        "cannot write '{}': '{}' is there already, so another sink writes that file now",
        paths.visible.display(),
        paths.hidden.display()
    ))
    .with_hint("give each table a path of its own")
}

/// The error of a file that cannot be written.
pub(super) fn cannot_write(path: &Path, error: &io::Error) -> Error {
    encode::cannot_write(&format!("'{}'", path.display()), error)
}
