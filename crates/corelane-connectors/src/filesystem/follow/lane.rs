//! Who reads which followed file, and how far it has come.
//!
//! Every lane sees every file, so that all number them alike and none has to be told of a new one.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use corelane_stream::key::hash_bytes;
use corelane_stream::{Error, Result, Split};
use serde_json::{Value, json};

use super::super::layout::FILES_MAX;
use super::super::listing::FileInfo;
use super::super::split::{file_of_state, file_state, range_of_state, range_state};
use super::super::text::{Range, Unfinished};

/// What of a file is one lane's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// All of it, or nothing: a file of text that grows has one reader.
    File,
    /// Its row groups in turn: a Parquet file is whole before it is read.
    RowGroups,
}

/// How far a file has been read.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    pub file: FileInfo,
    /// What is left of a file of text.
    pub range: Range,
    /// What is left of a Parquet file.
    pub groups: Groups,
    /// Bytes of the file when it was last read to its end: it is read again once it has more.
    pub seen_bytes: u64,
    /// Tells these bytes from others; `None` before the file was first read to its end. A Parquet
    /// file has the mark of all its bytes from when it was first opened.
    pub mark: Option<u64>,
    /// What stood behind its last newline when it was last read to its end. It is kept, since it is
    /// to be told of even if the file is no longer there; a snapshot has no need of it.
    pub unfinished: Option<Unfinished>,
}

/// The place of a lane in the row groups of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Groups {
    /// The first that may have unread rows.
    pub next: usize,
    /// Rows of that one that have been read.
    pub rows_read: u64,
    /// Any of the file's is the lane's.
    pub any: bool,
}

/// Bytes at either end of what was read that tell whether a file was written over.
const MARK_BYTES: u64 = 4 << 10;

/// A hash of what the first `seen_bytes` of a file begin and end with; `None` if they cannot be read.
pub(super) fn mark(path: &str, seen_bytes: u64) -> Option<u64> {
    let file = File::open(path).ok()?;
    let len = seen_bytes.min(MARK_BYTES);
    let mut bytes = vec![0; 2 * len as usize];
    let (first, last) = bytes.split_at_mut(len as usize);
    file.read_exact_at(first, 0).ok()?;
    file.read_exact_at(last, seen_bytes - len).ok()?;
    Some(hash_bytes(&bytes))
}

impl Tail {
    pub fn new(file: FileInfo) -> Self {
        let groups = Groups::default();
        Tail { file, range: Range::WHOLE, groups, seen_bytes: 0, mark: None, unfinished: None }
    }

    /// Whether the name stands for other bytes than those that were read, as far as a listing tells.
    fn is_replaced(&self, listed: &FileInfo) -> bool {
        listed.size < self.seen_bytes || self.is_other(listed, self.seen_bytes)
    }

    /// Whether a Parquet file is not the one any more that was opened.
    fn is_changed(&self, listed: &FileInfo) -> bool {
        listed.size != self.file.size || self.is_other(listed, self.file.size)
    }

    fn is_other(&self, listed: &FileInfo, marked_bytes: u64) -> bool {
        let is_over =
            || self.mark.is_some_and(|known| mark(&listed.path, marked_bytes).is_some_and(|now| now != known));
        listed.identity != self.file.identity || (listed.modified_ms != self.file.modified_ms && is_over())
    }

    fn is_unread(&self) -> bool {
        self.seen_bytes < self.file.size
    }
}

/// A share of the paths.
#[derive(Debug)]
pub(super) struct Lane {
    lane: usize,
    lanes: usize,
    share: Share,
    /// All files of the table that this lane knows of; it reads those that are its own.
    pub known: BTreeMap<String, Tail>,
}

impl Lane {
    pub fn new(lane: usize, lanes: usize, share: Share, files: &[FileInfo]) -> Lane {
        let known = files.iter().map(|file| (file.path.clone(), Tail::new(file.clone()))).collect();
        Lane { lane, lanes, share, known }
    }

    pub fn owns(&self, path: &str) -> bool {
        self.owns_group(path, 0)
    }

    fn owns_group(&self, path: &str, group: usize) -> bool {
        path_hash(path).wrapping_add(group as u64) % self.lanes as u64 == self.lane as u64
    }

    /// The lane's next row group of a file that has so many, and how many rows of it have been read.
    pub fn next_group(&self, tail: &Tail, groups: usize) -> Option<(usize, u64)> {
        let Groups { next, rows_read, .. } = tail.groups;
        let group = (next..groups).find(|group| self.owns_group(&tail.file.path, *group))?;
        Some((group, if group == next { rows_read } else { 0 }))
    }

    pub fn to_split(&self) -> Split {
        let files = self.known.values().map(|tail| {
            json!({
                "file": file_state(&tail.file),
                "range": range_state(&tail.range),
                "row_group": tail.groups.next,
                "rows_read": tail.groups.rows_read,
                "any_row_group": tail.groups.any,
                "seen_bytes": tail.seen_bytes,
                "mark": tail.mark,
            })
        });
        let state = json!({ "lane": self.lane, "lanes": self.lanes, "files": files.collect::<Vec<_>>() });
        let id = format!("lane {} of {}", self.lane, self.lanes);
        Split { id, weight: 0, state: state.to_string().into_bytes() }
    }

    /// # Errors
    /// If the split is not one of followed files.
    pub fn of_split(split: &Split, share: Share) -> Result<Lane> {
        let foreign = || Error::internal(format!("the split '{}' is not one of followed files", split.id));
        let state: Value = serde_json::from_slice(&split.state).map_err(|_| foreign())?;
        let number = |name: &str| state[name].as_u64().map(|number| number as usize).ok_or_else(foreign);
        let tails = state["files"].as_array().ok_or_else(foreign)?.iter().map(|state| {
            let file = file_of_state(&state["file"])?;
            let range = range_of_state(&state["range"])?;
            let groups = Groups {
                next: state["row_group"].as_u64()? as usize,
                rows_read: state["rows_read"].as_u64()?,
                any: state["any_row_group"].as_bool()?,
            };
            let (seen_bytes, mark) = (state["seen_bytes"].as_u64()?, state["mark"].as_u64());
            let tail = Tail { range, groups, seen_bytes, mark, ..Tail::new(file) };
            Some((tail.file.path.clone(), tail))
        });
        let known = tails.collect::<Option<_>>().ok_or_else(foreign)?;
        Ok(Lane { lane: number("lane")?, lanes: number("lanes")?.max(1), share, known })
    }

    /// Takes in what a listing found; `lost` gets the records whose ends will not come any more.
    ///
    /// # Errors
    /// If there are too many files, or a Parquet file that was read is another one now.
    pub fn see(&mut self, listed: &[FileInfo], lost: &mut Vec<(String, Unfinished)>) -> Result<()> {
        let mut new: Vec<&FileInfo> = vec![];
        for file in listed {
            let Some(tail) = self.known.get_mut(&file.path) else {
                new.push(file);
                continue;
            };
            match self.share {
                Share::File if tail.is_replaced(file) => {
                    lost.extend(tail.unfinished.take().map(|record| (file.path.clone(), record)));
                    *tail = Tail::new(tail.file.clone());
                }
                // Lanes may have read row groups of either.
                Share::RowGroups if tail.mark.is_some() && tail.is_changed(file) => return Err(changed(&file.path)),
                // It was not whole, and may be now.
                Share::RowGroups if tail.mark.is_none() => *tail = Tail::new(tail.file.clone()),
                Share::File | Share::RowGroups => {}
            }
            tail.file = FileInfo { ordinal: tail.file.ordinal, ..file.clone() };
        }
        // Those that came before first.
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

    /// Whether there is a file with something for this lane, or one of which nobody knows yet.
    pub fn owns_any(&self) -> bool {
        match self.share {
            Share::File => self.known.keys().any(|path| self.owns(path)),
            Share::RowGroups => {
                self.known.values().any(|tail| tail.groups.any || (tail.mark.is_none() && tail.is_unread()))
            }
        }
    }

    /// Its own files with bytes that have not been read.
    pub fn unread(&self) -> impl Iterator<Item = &Tail> {
        self.known.values().filter(|tail| {
            tail.is_unread()
                && match self.share {
                    Share::File => self.owns(&tail.file.path),
                    Share::RowGroups => true,
                }
        })
    }

    pub fn next_unread(&self) -> Option<&Tail> {
        self.unread().min_by_key(|tail| tail.file.ordinal)
    }
}

fn changed(path: &str) -> Error {
    Error::io(format!("the file '{path}' was changed or replaced after it was read"))
        .with_hint("a Parquet file is followed no further once it is read: write new rows to new files")
}

/// FNV-1a: stable over versions, since snapshots depend on who owns a path.
fn path_hash(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
