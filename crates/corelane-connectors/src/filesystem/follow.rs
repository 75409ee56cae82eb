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

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use corelane_stream::key::hash_bytes;
use corelane_stream::{Clock, Error, Result, Source, SourceCounters, SourcePoll, Split};
use serde_json::{Value, json};

use super::layout::FILES_MAX;
use super::listing::{FileInfo, is_glob, list};
use super::source::{RowBuilder, STOPPED};
use super::split::{file_of_state, file_state, range_of_state, range_state};
use super::text::{Compression, Range, Step, TextReader, Unfinished};
use crate::format::decode::Decoder;

/// Makes the lanes of a table; each knows all files there are, for their ordinals.
///
/// # Errors
/// If the path cannot be listed: a directory or pattern may be without files, a single file has to be there.
pub(crate) fn lanes(path: &str, workers: usize) -> Result<Vec<Split>> {
    let files = list(path)?;
    let lanes = (0..workers).map(|lane| {
        let known = files.iter().map(|file| (file.path.clone(), Tail::new(file.clone()))).collect();
        Lane { lane, lanes: workers, known }.to_split()
    });
    Ok(lanes.collect())
}

/// How far a file has been read.
#[derive(Clone, Debug)]
struct Tail {
    file: FileInfo,
    range: Range,
    /// Bytes of the file when it was last read to its end: it is read again once it has more.
    seen_bytes: u64,
    /// Tells these bytes from others; `None` before the file was first read to its end.
    mark: Option<u64>,
    /// What stood behind its last newline when it was last read to its end. It is kept, since it is
    /// to be told of even if the file is no longer there; a snapshot has no need of it.
    unfinished: Option<Unfinished>,
}

/// Why the last record of a file is not read whose name stands for other bytes, or none, by now.
const REPLACED: &str = "the record never ended: its file was removed, replaced or written over";

/// Bytes at either end of what was read that tell whether a file was written over.
const MARK_BYTES: u64 = 4 << 10;

/// A hash of what the first `seen_bytes` of a file begin and end with; `None` if they cannot be read.
fn mark(path: &str, seen_bytes: u64) -> Option<u64> {
    let file = File::open(path).ok()?;
    let len = seen_bytes.min(MARK_BYTES);
    let mut bytes = vec![0; 2 * len as usize];
    let (first, last) = bytes.split_at_mut(len as usize);
    file.read_exact_at(first, 0).ok()?;
    file.read_exact_at(last, seen_bytes - len).ok()?;
    Some(hash_bytes(&bytes))
}

impl Tail {
    fn new(file: FileInfo) -> Self {
        Tail { file, range: Range::WHOLE, seen_bytes: 0, mark: None, unfinished: None }
    }

    /// Whether the name stands for other bytes than those that were read, as far as a listing tells.
    fn is_replaced(&self, listed: &FileInfo) -> bool {
        let is_over =
            || self.mark.is_some_and(|known| mark(&listed.path, self.seen_bytes).is_some_and(|now| now != known));
        listed.size < self.seen_bytes
            || listed.identity != self.file.identity
            || (listed.modified_ms != self.file.modified_ms && is_over())
    }
}

/// A share of the paths.
#[derive(Debug)]
struct Lane {
    lane: usize,
    lanes: usize,
    /// All files of the table that this lane knows of; it reads those that are its own.
    known: BTreeMap<String, Tail>,
}

impl Lane {
    fn owns(&self, path: &str) -> bool {
        path_hash(path) % self.lanes as u64 == self.lane as u64
    }

    fn to_split(&self) -> Split {
        let files = self.known.values().map(|tail| {
            json!({
                "file": file_state(&tail.file),
                "range": range_state(&tail.range),
                "seen_bytes": tail.seen_bytes,
                "mark": tail.mark,
            })
        });
        let state = json!({ "lane": self.lane, "lanes": self.lanes, "files": files.collect::<Vec<_>>() });
        let id = format!("lane {} of {}", self.lane, self.lanes);
        Split { id, weight: 0, state: state.to_string().into_bytes() }
    }

    fn of_split(split: &Split) -> Result<Lane> {
        let foreign = || Error::internal(format!("the split '{}' is not one of followed files", split.id));
        let state: Value = serde_json::from_slice(&split.state).map_err(|_| foreign())?;
        let number = |name: &str| state[name].as_u64().map(|number| number as usize).ok_or_else(foreign);
        let tails = state["files"].as_array().ok_or_else(foreign)?.iter().map(|state| {
            let file = file_of_state(&state["file"])?;
            let (seen_bytes, mark) = (state["seen_bytes"].as_u64()?, state["mark"].as_u64());
            let tail = Tail { range: range_of_state(&state["range"])?, seen_bytes, mark, ..Tail::new(file) };
            Some((tail.file.path.clone(), tail))
        });
        let known = tails.collect::<Option<_>>().ok_or_else(foreign)?;
        Ok(Lane { lane: number("lane")?, lanes: number("lanes")?.max(1), known })
    }

    /// Takes in what a listing found; `lost` gets the records whose ends will not come any more.
    fn see(&mut self, listed: &[FileInfo], lost: &mut Vec<(String, Unfinished)>) -> Result<()> {
        let mut new: Vec<&FileInfo> = vec![];
        for file in listed {
            match self.known.get_mut(&file.path) {
                Some(tail) => {
                    if tail.is_replaced(file) {
                        lost.extend(tail.unfinished.take().map(|record| (file.path.clone(), record)));
                        *tail = Tail::new(tail.file.clone());
                    }
                    tail.file = FileInfo { ordinal: tail.file.ordinal, ..file.clone() };
                }
                None => new.push(file),
            }
        }
        // Every lane sees every file, so that all number them alike: those that came before first.
        new.sort_by_key(|file| (file.modified_ms, &file.path));
        let next = self.known.values().map(|tail| tail.file.ordinal + 1).max().unwrap_or(0);
        if FILES_MAX <= next + new.len() as u64 {
            return Err(Error::invalid(format!("a table has at most {FILES_MAX} files")));
        }
        for (ordinal, file) in (next..).zip(new) {
            let file = FileInfo { ordinal, ..file.clone() };
            self.known.insert(file.path.clone(), Tail::new(file));
        }
        Ok(())
    }

    fn owns_any(&self) -> bool {
        self.known.keys().any(|path| self.owns(path))
    }

    /// Its own files with bytes that have not been read.
    fn unread(&self) -> impl Iterator<Item = &Tail> {
        self.known.values().filter(|tail| tail.seen_bytes < tail.file.size && self.owns(&tail.file.path))
    }

    fn next_unread(&self) -> Option<&Tail> {
        self.unread().min_by_key(|tail| tail.file.ordinal)
    }
}

/// FNV-1a: stable over versions, since snapshots depend on who owns a path.
fn path_hash(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Followed files on one worker.
pub(crate) struct FollowingSource {
    path: String,
    interval: Duration,
    clock: Arc<dyn Clock>,
    lanes: Vec<Lane>,
    reading: Option<Followed>,
    /// Other files than the one being read have come that are not read yet.
    more_unread: bool,
    /// It has looked, and no file is its own.
    vacant: bool,
    /// When to look again.
    next_listing_ns: u64,
    rows: RowBuilder,
    decoder: Box<dyn Decoder>,
}

/// A file being read.
struct Followed {
    lane: usize,
    file: FileInfo,
    reader: Box<TextReader>,
    compressed: bool,
}

impl FollowingSource {
    pub fn new(
        path: &str,
        interval: Duration,
        clock: Arc<dyn Clock>,
        splits: Vec<Split>,
        rows: RowBuilder,
        decoder: Box<dyn Decoder>,
    ) -> Result<Self> {
        let lanes = splits.iter().map(Lane::of_split).collect::<Result<_>>()?;
        Ok(FollowingSource {
            path: path.to_owned(),
            interval,
            clock,
            lanes,
            reading: None,
            more_unread: false,
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
            Err(_) if !is_glob(&self.path) && !std::path::Path::new(&self.path).exists() => vec![],
            Err(error) => return Err(error),
        };
        let mut lost = vec![];
        self.lanes.iter_mut().try_for_each(|lane| lane.see(&files, &mut lost))?;
        for (path, record) in &lost {
            self.rows.tell_unfinished(path, record, REPLACED)?;
        }
        self.vacant = !self.lanes.iter().any(Lane::owns_any);
        Ok(())
    }

    fn open_next(&mut self) -> Result<bool> {
        self.more_unread = self.lanes.iter().flat_map(Lane::unread).nth(1).is_some();
        for (lane, share) in self.lanes.iter_mut().enumerate() {
            let Some(tail) = share.next_unread() else { continue };
            let (file, range) = (tail.file.clone(), tail.range);
            let opened = Compression::of_file(&file.path).and_then(|compression| {
                let grows = compression == Compression::None;
                let reader = TextReader::open(&file.path, range, compression, grows)?;
                // A compressed file cannot be told to grow, unless it is cut off.
                Ok(if grows { (reader, false) } else { (reader.unfinished(), true) })
            });
            let (reader, compressed) = match opened {
                Ok(opened) => opened,
                Err(_) if !std::path::Path::new(&file.path).exists() => {
                    let gone = share.known.remove(&file.path);
                    if let Some(record) = gone.and_then(|tail| tail.unfinished) {
                        self.rows.tell_unfinished(&file.path, &record, REPLACED)?;
                    }
                    return self.open_next();
                }
                Err(error) => return Err(error),
            };
            let read_bytes = if compressed { 0 } else { range.start };
            if !file.is_still_there(read_bytes) {
                // Another file has come in its place since it was listed.
                self.next_listing_ns = 0;
                return Ok(false);
            }
            self.reading = Some(Followed { lane, file, reader: Box::new(reader), compressed });
            return Ok(true);
        }
        Ok(false)
    }

    /// Notes how far the file being read has come.
    fn note(&mut self, ended: bool) {
        let Some(Followed { lane, file, reader, compressed }) = &self.reading else { return };
        let Some(tail) = self.lanes[*lane].known.get_mut(&file.path) else { return };
        tail.range = reader.rest();
        tail.unfinished = reader.unfinished_record().filter(|_| ended);
        if ended {
            tail.seen_bytes = if *compressed { tail.file.size } else { tail.file.size.max(reader.read_to()) };
            tail.mark = mark(&tail.file.path, tail.seen_bytes);
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
        let followed = self.reading.as_mut().expect("a file is open");
        let step = self.rows.step(&mut followed.reader, self.decoder.as_mut(), &followed.file)?;
        let batch = self.rows.take(self.decoder.as_mut(), &followed.file, followed.lane)?;
        self.note(step == Step::Ended);
        Ok(batch.unwrap_or(SourcePoll::Pending { retry_ms: Some(0) }))
    }

    fn holds_time(&self) -> bool {
        self.more_unread
    }

    fn is_vacant(&self) -> bool {
        self.vacant
    }

    fn stop(&mut self) -> Result<()> {
        for tail in self.lanes.iter().flat_map(|lane| lane.known.values()) {
            if let Some(record) = &tail.unfinished {
                self.rows.tell_unfinished(&tail.file.path, record, STOPPED)?;
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
