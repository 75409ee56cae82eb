//! Following files that grow and directories that get new ones (`source.monitor-interval`).
//!
//! The paths are dealt to lanes by a hash of their names, and each worker holds some of the lanes,
//! so that workers need not talk about a new file, and a restart on other numbers of workers
//! neither loses one nor reads it twice. A lane is one split to the rest of the system: its
//! files are read one at a time in the order of their ordinals, as they would be by one reader.
//! The last line of a file is no record until its newline comes. A file that has become shorter,
//! one that has taken the place of another, and one that was written over is a new one under the old
//! name, and read from its start. That it was written over is seen by the time of its change and by
//! what it now begins with and has where reading ended; the time alone would not do, since a file
//! that is only touched or restored would be read twice. A compressed file that is cut off has not
//! been written to its end yet.
//!
//! A Parquet file cannot grow. It is read once it has its footer, which is written last; its row
//! groups are dealt to the lanes in turn, from the one that its name falls to. One that is changed
//! after that is an error: other lanes may have read the rest of what it was.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use corelane_stream::row_errors::Position;
use corelane_stream::{Clock, Error, Result, Source, SourceBatch, SourceCounters, SourcePoll, Split};

mod lane;

use super::listing::{FileInfo, is_glob, list};
use super::parquet::{ParquetFile, RowGroup, is_unfinished};
use super::source::{RowBuilder, STOPPED};
use super::text::{Compression, Range, Step, TextReader, Unfinished};
use crate::format::decode::Decoder;
pub(crate) use lane::Share;
use lane::{Lane, mark};

/// Makes the lanes of a table; each knows all files there are, for their ordinals.
///
/// # Errors
/// If the path cannot be listed: a directory or pattern may be without files, a single file has to be there. If it
/// is one Parquet file, after which nothing can come.
pub(crate) fn lanes(path: &str, workers: usize, share: Share) -> Result<Vec<Split>> {
    let files = list(path)?;
    if share == Share::RowGroups && Path::new(path).is_file() {
        return Err(Error::invalid(format!(
            "'source.monitor-interval' follows directories and patterns of Parquet files, and '{path}' is one file, which cannot grow"
        ))
        .with_hint("give its directory or a pattern as 'path', or leave 'source.monitor-interval' out"));
    }
    Ok((0..workers).map(|lane| Lane::new(lane, workers, share, &files).to_split()).collect())
}

/// Why the last record of a file is not read whose name stands for other bytes, or none, by now.
const REPLACED: &str = "the record never ended: its file was removed, replaced or written over";

/// Why a Parquet file without a footer is not read.
const NEVER_WHOLE: &str = "the file was never complete: the job was stopped before its footer came";

/// Followed files on one worker.
pub(crate) struct FollowingSource {
    path: String,
    share: Share,
    interval: Duration,
    clock: Arc<dyn Clock>,
    lanes: Vec<Lane>,
    reading: Option<Followed>,
    /// The Parquet file whose row groups are being read.
    parquet_file: Option<ParquetFile>,
    /// Other files than the one being read have come that are not read yet.
    more_unread: bool,
    looked: bool,
    /// It has looked, and no file is its own.
    vacant: bool,
    /// When to look again.
    next_listing_ns: u64,
    rows: RowBuilder,
    decoder: Option<Box<dyn Decoder>>,
}

/// A file being read.
struct Followed {
    lane: usize,
    file: FileInfo,
    reader: Reader,
}

enum Reader {
    Text { reader: Box<TextReader>, compressed: bool },
    RowGroup { number: usize, reader: Box<RowGroup> },
}

/// What became of the next file.
enum Opened {
    Reading,
    /// There is nothing in it for this lane, or not yet.
    Nothing,
    /// Another file has come in its place since it was listed.
    Replaced,
}

impl FollowingSource {
    /// Text has a decoder, Parquet has none.
    pub fn new(
        path: &str,
        interval: Duration,
        clock: Arc<dyn Clock>,
        splits: &[Split],
        rows: RowBuilder,
        decoder: Option<Box<dyn Decoder>>,
    ) -> Result<Self> {
        let share = if decoder.is_some() { Share::File } else { Share::RowGroups };
        let lanes = splits.iter().map(|split| Lane::of_split(split, share)).collect::<Result<_>>()?;
        Ok(FollowingSource {
            path: path.to_owned(),
            share,
            interval,
            clock,
            lanes,
            reading: None,
            parquet_file: None,
            more_unread: false,
            looked: false,
            vacant: false,
            next_listing_ns: 0,
            rows,
            decoder,
        })
    }

    fn look(&mut self) -> Result<()> {
        let files = match list(&self.path) {
            Ok(files) => files,
            // A file that is being replaced may be away for a moment.
            Err(_) if !is_glob(&self.path) && !Path::new(&self.path).exists() => vec![],
            Err(error) => return Err(error),
        };
        let mut lost = vec![];
        self.lanes.iter_mut().try_for_each(|lane| lane.see(&files, &mut lost))?;
        for (path, record) in &lost {
            self.rows.tell_unfinished(path, record, REPLACED)?;
        }
        self.looked = true;
        Ok(())
    }

    fn open_next(&mut self) -> Result<bool> {
        loop {
            self.more_unread = self.lanes.iter().flat_map(Lane::unread).nth(1).is_some();
            self.vacant = self.looked && !self.lanes.iter().any(Lane::owns_any);
            let mut lanes = self.lanes.iter().enumerate();
            let next = lanes.find_map(|(lane, share)| share.next_unread().map(|tail| (lane, tail)));
            let Some((lane, tail)) = next else { return Ok(false) };
            let (file, range) = (tail.file.clone(), tail.range);
            let path = file.path.clone();
            let opened = match self.share {
                Share::File => self.open_text(lane, file, range),
                Share::RowGroups => self.open_row_group(lane, file),
            };
            match opened {
                Ok(Opened::Reading) => return Ok(true),
                Ok(Opened::Nothing) => {}
                Ok(Opened::Replaced) => {
                    self.next_listing_ns = 0;
                    return Ok(false);
                }
                Err(_) if !Path::new(&path).exists() => {
                    let gone = self.lanes[lane].known.remove(&path);
                    if let Some(record) = gone.and_then(|tail| tail.unfinished) {
                        self.rows.tell_unfinished(&path, &record, REPLACED)?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn open_text(&mut self, lane: usize, file: FileInfo, range: Range) -> Result<Opened> {
        let decoder = self.decoder.as_deref_mut().expect("text formats have a decoder");
        let compression = Compression::of_file(&file.path)?;
        let grows = compression == Compression::None;
        let reader = TextReader::open(&file.path, range, compression, grows)?;
        decoder.begin_file(&file.path);
        reader.read_header(decoder)?;
        // A compressed file cannot be told to grow, unless it is cut off.
        let (reader, compressed) = if grows { (reader, false) } else { (reader.unfinished(), true) };
        let read_bytes = if compressed { 0 } else { range.start };
        if !file.is_still_there(read_bytes) {
            return Ok(Opened::Replaced);
        }
        self.reading = Some(Followed { lane, file, reader: Reader::Text { reader: Box::new(reader), compressed } });
        Ok(Opened::Reading)
    }

    /// Opens the lane's next row group of a file; the file has been read when there is none.
    fn open_row_group(&mut self, lane: usize, file: FileInfo) -> Result<Opened> {
        let share = &mut self.lanes[lane];
        let is_new = share.known[&file.path].mark.is_none();
        if is_new && is_unfinished(&file.path)? {
            // One of the lanes is to tell of it, if its rest does not come.
            let tells = share.owns(&file.path);
            let tail = share.known.get_mut(&file.path).expect("it is known");
            tail.seen_bytes = file.size;
            tail.unfinished = tells.then(|| Unfinished { position: Position::Row(0), raw: vec![] });
            return Ok(Opened::Nothing);
        }
        let open = match self.parquet_file.take() {
            Some(open) if open.path() == file.path && !is_new => open,
            Some(_) | None => self.rows.open_parquet(&file.path)?,
        };
        if is_new {
            // It may have become whole since it was listed.
            let Some(whole) = file.now() else { return Ok(Opened::Replaced) };
            let Some(mark) = mark(&whole.path, whole.size) else { return Ok(Opened::Replaced) };
            let tail = share.known.get_mut(&file.path).expect("it is known");
            (tail.file, tail.mark) = (whole, Some(mark));
        }
        let tail = &share.known[&file.path];
        let file = tail.file.clone();
        let next = share.next_group(tail, open.row_group_bytes().len());
        let tail = share.known.get_mut(&file.path).expect("it is known");
        let Some((number, rows_read)) = next else {
            tail.seen_bytes = file.size;
            return Ok(Opened::Nothing);
        };
        tail.groups.any = true;
        let reader = Box::new(self.rows.open_row_group(&open, number, rows_read)?);
        self.parquet_file = Some(open);
        self.reading = Some(Followed { lane, file, reader: Reader::RowGroup { number, reader } });
        Ok(Opened::Reading)
    }

    /// Notes how far the file being read has come.
    fn note(&mut self, ended: bool) {
        let Some(Followed { lane, file, reader }) = &self.reading else { return };
        let Some(tail) = self.lanes[*lane].known.get_mut(&file.path) else { return };
        match reader {
            Reader::Text { reader, compressed } => {
                tail.range = reader.rest();
                tail.unfinished = reader.unfinished_record().filter(|_| ended);
                if ended {
                    tail.seen_bytes = if *compressed { tail.file.size } else { tail.file.size.max(reader.read_to()) };
                    tail.mark = mark(&tail.file.path, tail.seen_bytes);
                }
            }
            Reader::RowGroup { number, reader } => {
                let (next, rows_read) = if ended { (number + 1, 0) } else { (*number, reader.rows_read()) };
                (tail.groups.next, tail.groups.rows_read) = (next, rows_read);
            }
        }
        if ended {
            self.reading = None;
        }
    }
}

impl Source for FollowingSource {
    fn poll(&mut self) -> Result<SourcePoll> {
        if self.reading.is_none() && !self.open_next()? {
            let now_ns = self.clock.monotonic_ns();
            if now_ns < self.next_listing_ns {
                let wait_ns = self.next_listing_ns - now_ns;
                return Ok(SourcePoll::Pending { retry_ms: Some(wait_ns.div_ceil(1_000_000)) });
            }
            self.look()?;
            self.next_listing_ns = now_ns + u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX / 2);
            if !self.open_next()? {
                let retry_ms = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX).max(1);
                return Ok(SourcePoll::Pending { retry_ms: Some(retry_ms) });
            }
        }
        let Followed { lane, file, reader } = self.reading.as_mut().expect("a file is open");
        let (batch, ended) = match reader {
            Reader::Text { reader, .. } => {
                let decoder = self.decoder.as_deref_mut().expect("text formats have a decoder");
                let step = self.rows.step(reader, decoder, file)?;
                (self.rows.take(decoder, file, *lane)?, step == Step::Ended)
            }
            Reader::RowGroup { reader, .. } => {
                let rows = self.rows.take_row_group(reader, file)?;
                let ended = rows.is_none();
                (rows.map(|rows| SourcePoll::Batch(SourceBatch { split: *lane, rows })), ended)
            }
        };
        self.note(ended);
        Ok(batch.unwrap_or(SourcePoll::Pending { retry_ms: Some(0) }))
    }

    fn holds_time(&self) -> bool {
        self.more_unread
    }

    fn is_vacant(&self) -> bool {
        self.vacant
    }

    fn stop(&mut self) -> Result<()> {
        let reason = match self.share {
            Share::File => STOPPED,
            Share::RowGroups => NEVER_WHOLE,
        };
        for tail in self.lanes.iter().flat_map(|lane| lane.known.values()) {
            if let Some(record) = &tail.unfinished {
                self.rows.tell_unfinished(&tail.file.path, record, reason)?;
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Vec<Split> {
        self.lanes.iter().map(Lane::to_split).collect()
    }

    fn counters(&self) -> SourceCounters {
        self.rows.counters
    }
}
