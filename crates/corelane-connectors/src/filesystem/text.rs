//! Reading one file of text records, or a range of it, in constant memory.
//!
//! Bytes come in chunks into one buffer that holds at most a record more than a chunk. A record
//! that does not end within the limit is reported once and read over to the next newline, so
//! that a file of one endless line costs no more memory than any other.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::rc::Rc;

use corelane_stream::limits::{BAD_ROW_BYTES_MAX, RECORD_BYTES_MAX};
use corelane_stream::row_errors::Position;
use corelane_stream::{Error, Result};
use flate2::bufread::GzDecoder;

use super::listing::cannot_read;
use super::stdin::StdinReader;
use crate::format::decode::{BadRecord, Decoder, Input, OnBadRecord, too_long};

/// Bytes read at a time: less time than decoding them, and they stay in L2.
const CHUNK_BYTES: usize = 256 << 10;

/// A buffer for longer records than this has room for the longest.
const BUFFER_BYTES_GROWN: usize = 4 * CHUNK_BYTES;

const BUFFER_BYTES_MAX: usize = RECORD_BYTES_MAX + CHUNK_BYTES;

/// Bytes that one step may decode before it returns.
const STEP_BYTES_MAX: usize = 1 << 20;

/// How a file is compressed, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub fn of_magic(first: &[u8]) -> Compression {
        match first {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// # Errors
    /// If the file cannot be read.
    pub fn of_file(path: &str) -> Result<Compression> {
        let mut first = [0; 4];
        let mut file = File::open(path).map_err(|error| cannot_read(path, &error))?;
        let mut len = 0;
        while len < first.len() {
            match file.read(&mut first[len..]) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot_read(path, &error)),
            }
        }
        Ok(Compression::of_magic(&first[..len]))
    }
}

/// Wraps bytes in what undoes their compression.
pub(crate) fn decompress(bytes: impl Read + 'static, compression: Compression) -> io::Result<Box<dyn Read>> {
    Ok(match compression {
        Compression::None => Box::new(bytes),
        Compression::Gzip => Box::new(GzipMembers::new(BufReader::with_capacity(CHUNK_BYTES, bytes))),
        Compression::Zstd => Box::new(zstd::Decoder::new(bytes)?),
    })
}

/// A gzip file, which may be several behind each other. What else follows is no file that is cut off.
struct GzipMembers<R: BufRead> {
    /// `None` at the end.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> GzipMembers<R> {
    fn new(bytes: R) -> Self {
        GzipMembers { member: Some(GzDecoder::new(bytes)) }
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut member) = self.member.take() {
            let read = member.read(buffer);
            if buffer.is_empty() || !matches!(read, Ok(0)) {
                self.member = Some(member);
                return read;
            }
            let mut rest = member.into_inner();
            match rest.fill_buf()? {
                [] => {}
                [0x1f, ..] => self.member = Some(GzDecoder::new(rest)),
                [..] => return Err(io::Error::new(io::ErrorKind::InvalidData, "what follows its end is no gzip")),
            }
        }
        Ok(0)
    }
}

/// Counts the bytes of the file itself, before decompression.
struct Counted {
    file: File,
    bytes: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes.set(self.bytes.get() + read as u64);
        Ok(read)
    }
}

enum Bytes {
    File(Box<dyn Read>),
    Stdin(StdinReader),
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The decoder has all the rows asked for, or enough was read for one step.
    Full,
    /// Nothing to read for now.
    Pending,
    /// The range or the file has ended. What is left in a file that may grow is no record yet.
    Ended,
}

/// Where to read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Offset in the uncompressed file.
    pub start: u64,
    /// Records that start here or behind belong to others.
    pub end: u64,
    /// A record is known to start at `start`; else the first one behind the next newline is meant.
    pub aligned: bool,
    /// The number of the line at `start`, from 1, if it is known.
    pub line: Option<u64>,
    /// A record too long is being read over, which has been reported.
    pub reading_over: bool,
}

impl Range {
    pub const WHOLE: Range = Range { start: 0, end: u64::MAX, aligned: true, line: Some(1), reading_over: false };
}

/// A record that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfinished {
    pub position: Position,
    /// Its first bytes, as many as a dead letter has.
    pub raw: Vec<u8>,
}

/// A place in a file of text records.
pub(crate) struct TextReader {
    path: String,
    bytes: Bytes,
    compression: Compression,
    buffer: Vec<u8>,
    begin: usize,
    filled: usize,
    /// Offset of `buffer[begin]`.
    offset: u64,
    line: Option<u64>,
    end: u64,
    /// Reading over bytes up to the next newline.
    seeking: bool,
    reading_over: bool,
    bytes_ended: bool,
    /// There was nothing more to read when it was last tried.
    dry: bool,
    /// The file may grow: its last line is no record before its newline.
    grows: bool,
    /// A compressed file that is cut off is one that grows.
    unfinished: bool,
    /// Bytes read of a compressed file.
    file_bytes: Rc<Cell<u64>>,
    /// The offset up to which bytes have been told.
    reported: u64,
}

impl TextReader {
    /// # Errors
    /// If the file cannot be opened or decompressed.
    pub fn open(path: &str, range: Range, compression: Compression, grows: bool) -> Result<Self> {
        let file_bytes = Rc::new(Cell::new(0));
        let mut file = File::open(path).map_err(|error| cannot_read(path, &error))?;
        // The newline before the range says whether a record starts at its first byte.
        let seeking = !range.aligned && 0 < range.start;
        let offset = if seeking { range.start - 1 } else { range.start };
        if compression == Compression::None {
            file.seek(SeekFrom::Start(offset)).map_err(|error| cannot_read(path, &error))?;
        }
        let counted = Counted { file, bytes: Rc::clone(&file_bytes) };
        let bytes = decompress(counted, compression).map_err(|error| cannot_read(path, &error))?;
        let mut reader = TextReader::new(path, Bytes::File(bytes), compression);
        if compression != Compression::None {
            reader.read_over(offset)?;
            if 0 < offset {
                file_bytes.set(0);
            }
        }
        Ok(TextReader {
            offset,
            line: if seeking { None } else { range.line },
            end: range.end,
            seeking: seeking || range.reading_over,
            reading_over: range.reading_over,
            grows,
            file_bytes,
            reported: range.start,
            ..reader
        })
    }

    /// The same file, of which more may be written though it is compressed.
    pub fn unfinished(self) -> Self {
        TextReader { unfinished: true, ..self }
    }

    pub fn stdin(stdin: StdinReader) -> Self {
        TextReader::new("-", Bytes::Stdin(stdin), Compression::None)
    }

    fn new(path: &str, bytes: Bytes, compression: Compression) -> Self {
        TextReader {
            path: path.to_owned(),
            bytes,
            compression,
            buffer: vec![0; CHUNK_BYTES],
            begin: 0,
            filled: 0,
            offset: 0,
            line: Some(1),
            end: u64::MAX,
            seeking: false,
            reading_over: false,
            bytes_ended: false,
            dry: false,
            grows: false,
            unfinished: false,
            file_bytes: Rc::default(),
            reported: 0,
        }
    }

    /// Has the decoder read the line that names the columns of this file, where reading does not begin with it.
    ///
    /// # Errors
    /// If the file cannot be read, or the names do not fit the table.
    pub fn read_header(&self, decoder: &mut dyn Decoder) -> Result<()> {
        if self.rest().start == 0 || !decoder.wants_header() {
            return Ok(());
        }
        let mut reader = TextReader::open(&self.path, Range::WHOLE, self.compression, false)?;
        while decoder.wants_header() && reader.step(decoder, 1, &mut |_| Ok(()))? == Step::Full {}
        // Whoever reads the file's beginning has its rows.
        decoder.flush().map(drop)
    }

    /// What is left to read.
    pub fn rest(&self) -> Range {
        let aligned = !self.seeking || self.reading_over;
        // While the start is being sought, the byte before it is the next one to read.
        let start = if aligned { self.offset } else { self.offset + 1 };
        Range { start, end: self.end, aligned, line: self.line, reading_over: self.reading_over }
    }

    /// The offset up to which bytes have been read, whole records or not.
    pub fn read_to(&self) -> u64 {
        self.offset + (self.filled - self.begin) as u64
    }

    /// The record that has begun and not ended where there is nothing more to read; of a compressed
    /// file that is cut off, be it empty: nobody knows whether there is more.
    pub fn unfinished_record(&self) -> Option<Unfinished> {
        let raw = &self.buffer[self.begin..self.filled];
        let cut_off = self.unfinished && self.grows;
        // One that is too long has been reported as that.
        let begun = self.dry && !self.reading_over && (!raw.is_empty() || cut_off);
        let position = self.line.map_or(Position::Byte(self.offset), Position::Line);
        begun.then(|| Unfinished { position, raw: raw[..raw.len().min(BAD_ROW_BYTES_MAX)].to_vec() })
    }

    /// Bytes of the file that have been done with since the last call; over all ranges of a file
    /// they add up to its size.
    pub fn take_file_bytes(&mut self) -> u64 {
        if self.compression != Compression::None {
            return self.file_bytes.replace(0);
        }
        let done = self.offset.min(self.end).max(self.reported);
        done - std::mem::replace(&mut self.reported, done)
    }

    /// Decodes until the decoder holds `rows_max` rows, or as long as a step may last.
    ///
    /// # Errors
    /// If the file cannot be read or decompressed, or `on_bad` fails.
    pub fn step(&mut self, decoder: &mut dyn Decoder, rows_max: usize, on_bad: &mut OnBadRecord<'_>) -> Result<Step> {
        let mut step_bytes = 0;
        loop {
            if self.seeking {
                self.seek_newline();
                if self.end <= self.offset {
                    return Ok(Step::Ended);
                }
            }
            if !self.seeking {
                let input = Input {
                    bytes: &self.buffer[self.begin..self.filled],
                    offset: self.offset,
                    line: self.line,
                    at_end: self.bytes_ended && !self.grows,
                    limit: self.end,
                };
                let progress = decoder.decode(&input, rows_max, on_bad)?;
                self.consume(progress.bytes);
                self.line = self.line.map(|line| line + progress.lines);
                step_bytes += progress.bytes;
                if progress.at_limit {
                    return Ok(Step::Ended);
                }
                if rows_max <= decoder.rows() || STEP_BYTES_MAX <= step_bytes {
                    return Ok(Step::Full);
                }
                if RECORD_BYTES_MAX < self.filled - self.begin {
                    self.refuse_record(on_bad)?;
                    continue;
                }
            }
            if self.bytes_ended {
                return Ok(Step::Ended);
            }
            match self.fill()? {
                Some(0) => self.bytes_ended = true,
                Some(read) if self.seeking => step_bytes += read,
                Some(_) => {}
                None => return Ok(Step::Pending),
            }
            if self.seeking && STEP_BYTES_MAX <= step_bytes {
                return Ok(Step::Full);
            }
        }
    }

    fn consume(&mut self, bytes: usize) {
        self.begin += bytes;
        self.offset += bytes as u64;
    }

    /// Reads over what is buffered, up to and with the next newline.
    fn seek_newline(&mut self) {
        match memchr::memchr(b'\n', &self.buffer[self.begin..self.filled]) {
            Some(newline) => {
                self.consume(newline + 1);
                if self.reading_over {
                    self.line = self.line.map(|line| line + 1);
                }
                self.seeking = false;
                self.reading_over = false;
            }
            None => self.consume(self.filled - self.begin),
        }
    }

    fn refuse_record(&mut self, on_bad: &mut OnBadRecord<'_>) -> Result<()> {
        let raw = &self.buffer[self.begin..self.filled];
        on_bad(&BadRecord { offset: self.offset, line: self.line, raw, reason: &too_long() })?;
        self.seeking = true;
        self.reading_over = true;
        Ok(())
    }

    /// Reads more bytes into the buffer: how many, or `None` if there are none for now.
    fn fill(&mut self) -> Result<Option<usize>> {
        let pending = self.filled - self.begin;
        self.buffer.copy_within(self.begin..self.filled, 0);
        (self.begin, self.filled) = (0, pending);
        // A long record is looked through again after each fill, so fills grow with it.
        // One that is too long is known by its first byte too many.
        let wanted = (pending + CHUNK_BYTES.max(pending)).min(BUFFER_BYTES_MAX);
        if self.buffer.len() < wanted {
            // Growing on step by step would leave every smaller buffer to the allocator, which gives them back when
            // it likes. Zeroed memory costs none before it is written.
            self.replace_buffer(if wanted <= BUFFER_BYTES_GROWN { wanted } else { BUFFER_BYTES_MAX });
        } else if pending < CHUNK_BYTES && BUFFER_BYTES_GROWN < self.buffer.len() {
            self.replace_buffer(2 * CHUNK_BYTES);
        }
        let room = self.buffer.len().min(wanted);
        let read = match &mut self.bytes {
            Bytes::File(file) => loop {
                match file.read(&mut self.buffer[pending..room]) {
                    Ok(read) => break Some(read),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if self.unfinished && error.kind() == io::ErrorKind::UnexpectedEof => {
                        self.grows = true;
                        break Some(0);
                    }
                    Err(error) => return Err(self.read_error(&error)),
                }
            },
            Bytes::Stdin(stdin) => stdin.read(&mut self.buffer[pending..room])?,
        };
        self.filled += read.unwrap_or(0);
        self.dry = read.is_none_or(|read| read == 0);
        Ok(read)
    }

    fn replace_buffer(&mut self, bytes: usize) {
        let mut buffer = vec![0; bytes];
        buffer[..self.filled].copy_from_slice(&self.buffer[..self.filled]);
        self.buffer = buffer;
    }

    /// Reads over the first bytes of a compressed file.
    fn read_over(&mut self, bytes: u64) -> Result<()> {
        while self.offset < bytes {
            let buffered = (self.filled - self.begin) as u64;
            self.consume(buffered.min(bytes - self.offset) as usize);
            if self.offset < bytes && self.fill()? == Some(0) {
                break;
            }
        }
        Ok(())
    }

    fn read_error(&self, error: &io::Error) -> Error {
        let at = self.read_to();
        let name = match self.compression {
            Compression::None => return cannot_read(&self.path, error),
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        };
        let reason = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it is cut off".to_owned(),
            _ => format!("it is corrupt ({error})"),
        };
        Error::io(format!("cannot decompress '{}' ({name}) beyond byte {at} of its text: {reason}", self.path))
            .with_hint("the file has to be fetched or written again")
    }
}

/// Reads the first bytes of a file's text, and whether that is all of it. A record that is longer is read to its end,
/// as far as it may be read at all.
///
/// # Errors
/// If the file cannot be read or decompressed.
pub(crate) fn sample(path: &str, bytes_max: usize) -> Result<(Vec<u8>, bool)> {
    let mut reader = TextReader::open(path, Range::WHOLE, Compression::of_file(path)?, false)?;
    let mut text = Vec::new();
    let is_begun = |text: &[u8]| memchr::memchr(b'\n', text.trim_ascii_start()).is_none();
    while text.len() < bytes_max || (text.len() <= RECORD_BYTES_MAX && is_begun(&text)) {
        if reader.fill()? == Some(0) {
            return Ok((text, true));
        }
        text.extend_from_slice(&reader.buffer[reader.begin..reader.filled]);
        reader.consume(reader.filled - reader.begin);
    }
    Ok((text, false))
}
