//! One worker's writing: rows to open parts, full parts closed, closed parts handed over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute;
use corelane_stream::{ChangelogBatch, CheckpointId, Clock, Committable, Result, RowKind, RowKinds, Sink, SinkContext};
use hashbrown::HashMap;

use super::ledger::Ledger;
use super::part::{Part, PartPaths};
use super::{FileLayout, Target, hidden_name};

/// Parts that one worker holds open; beyond it the one that was written to longest ago is closed.
/// Each costs a descriptor, a write buffer and (parquet) a row group in memory.
const OPEN_PARTS_MAX: usize = 64;

/// Rows written between two looks at the size of a part: it can be larger than it should by these.
const ROLLED_ROWS: usize = 1_024;

/// A part and when it was last written to, in writes.
struct OpenPart {
    part: Part,
    last_write: u64,
}

/// The filesystem sink on one worker.
pub(super) struct FilesystemSink {
    layout: Arc<FileLayout>,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    worker: usize,
    /// By directory, relative to the target.
    open: HashMap<PathBuf, OpenPart>,
    closed: Vec<Committable>,
    parts: u64,
    writes: u64,
}

impl FilesystemSink {
    pub(super) fn new(layout: Arc<FileLayout>, ledger: Arc<Ledger>, context: &SinkContext) -> Self {
        FilesystemSink {
            layout,
            ledger,
            clock: Arc::clone(&context.clock),
            worker: context.worker,
            open: HashMap::new(),
            closed: Vec::new(),
            parts: 0,
            writes: 0,
        }
    }

    /// Writes rows to the open part of a directory, and to the next one where that is full.
    fn write_part(&mut self, directory: &Path, rows: &RecordBatch) -> Result<()> {
        let mut start = 0;
        loop {
            let count = ROLLED_ROWS.min(rows.num_rows() - start);
            self.write_rows(directory, &rows.slice(start, count))?;
            start += count;
            if start == rows.num_rows() {
                return Ok(());
            }
        }
    }

    fn write_rows(&mut self, directory: &Path, rows: &RecordBatch) -> Result<()> {
        let now_ms = self.clock.now_ms();
        self.writes += 1;
        let last_write = self.writes;
        if !self.open.contains_key(directory) {
            if self.open.len() == OPEN_PARTS_MAX {
                self.close_oldest()?;
            }
            let part = self.create_part(directory, now_ms)?;
            self.open.insert(directory.to_owned(), OpenPart { part, last_write });
        }
        let open = self.open.get_mut(directory).expect("the part was opened above");
        open.last_write = last_write;
        open.part.write(rows)?;
        let rolls = matches!(self.layout.target, Target::Directory(_));
        if rolls && self.layout.rolling.is_full(open.part.bytes()) {
            self.close(directory)?;
        }
        Ok(())
    }

    fn create_part(&mut self, directory: &Path, now_ms: i64) -> Result<Part> {
        let paths = match &self.layout.target {
            Target::File(path) => {
                let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                PartPaths { hidden: path.with_file_name(hidden_name(&name)), visible: path.clone() }
            }
            Target::Directory(path) => self.next_paths(&path.join(directory)),
        };
        Part::create(&self.layout, &self.ledger, paths, now_ms)
    }

    /// The next free name of a part. A part of an earlier run that will be replaced leaves its name to us.
    fn next_paths(&mut self, directory: &Path) -> PartPaths {
        loop {
            let name = format!("part-{}-{}", self.worker, self.parts);
            self.parts += 1;
            let visible = directory.join(format!("{name}.{}", self.layout.extension()));
            let hidden = directory.join(hidden_name(&name));
            let taken = visible.exists() && !self.ledger.replaces(&visible);
            if !taken && !hidden.exists() {
                return PartPaths { hidden, visible };
            }
        }
    }

    fn close(&mut self, directory: &Path) -> Result<()> {
        if let Some(open) = self.open.remove(directory) {
            self.closed.push(open.part.finish()?);
        }
        Ok(())
    }

    fn close_oldest(&mut self) -> Result<()> {
        let oldest = self.open.iter().min_by_key(|(_, open)| open.last_write).map(|(directory, _)| directory.clone());
        match oldest {
            Some(directory) => self.close(&directory),
            None => Ok(()),
        }
    }

    fn close_old(&mut self, now_ms: i64) -> Result<()> {
        let rolling = self.layout.rolling;
        let old: Vec<PathBuf> = self
            .open
            .iter()
            .filter(|(_, open)| rolling.is_old(open.part.opened_ms, now_ms))
            .map(|(directory, _)| directory.clone())
            .collect();
        old.iter().try_for_each(|directory| self.close(directory))
    }

    fn close_all(&mut self) -> Result<()> {
        let mut directories: Vec<PathBuf> = self.open.keys().cloned().collect();
        directories.sort();
        directories.iter().try_for_each(|directory| self.close(directory))
    }
}

impl Sink for FilesystemSink {
    fn write(&mut self, batch: ChangelogBatch) -> Result<()> {
        let inserts = |kinds: &RowKinds| kinds.iter().all(|kind| kind == RowKind::Insert);
        assert!(batch.kinds().is_none_or(inserts), "the planner gives this sink append-only input");
        if batch.is_empty() {
            return Ok(());
        }
        if matches!(self.layout.target, Target::Directory(_)) {
            self.close_old(self.clock.now_ms())?;
        }
        let layout = Arc::clone(&self.layout);
        let rows = batch.rows().project(&layout.columns)?;
        let Some(partitions) = &layout.partitions else {
            return self.write_part(Path::new(""), &rows);
        };
        for (directory, indices) in partitions.split(batch.rows())? {
            if indices.len() == rows.num_rows() {
                self.write_part(&directory, &rows)?;
            } else {
                self.write_part(&directory, &compute::take_record_batch(&rows, &UInt32Array::from(indices))?)?;
            }
        }
        Ok(())
    }

    fn tick_ms(&self) -> Option<i64> {
        match self.layout.target {
            Target::Directory(_) => {
                self.open.values().map(|open| self.layout.rolling.due_ms(open.part.opened_ms)).min()
            }
            Target::File(_) => None,
        }
    }

    fn tick(&mut self, now_ms: i64) -> Result<()> {
        self.close_old(now_ms)
    }

    fn take_complete(&mut self) -> Vec<Committable> {
        std::mem::take(&mut self.closed)
    }

    fn prepare(&mut self, checkpoint: CheckpointId) -> Result<Vec<Committable>> {
        if let Target::File(_) = self.layout.target {
            // A single file is whole only at the end of the input.
            if checkpoint != CheckpointId::FINAL {
                return Ok(Vec::new());
            }
            if self.worker == 0 && self.open.is_empty() {
                self.write_part(Path::new(""), &RecordBatch::new_empty(Arc::clone(&self.layout.schema)))?;
            }
        }
        self.close_all()?;
        Ok(std::mem::take(&mut self.closed))
    }
}
