//! What a sink has left on the disk so far, and how it becomes visible or vanishes.
//!
//! Shared by the workers and the coordinator of one job, and touched once per file: the lock is
//! not on the path of rows. Files are known one by one rather than found by pattern, so that
//! aborting one job never touches the files of another one that writes to the same directory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use corelane_stream::{Committable, Error, Result};

use super::part::cannot_write;
use super::{SinkMode, Target, hidden_name};

/// Ends the name of a file that is not whole.
pub(super) const HIDDEN_SUFFIX: &str = ".inprogress";

/// Levels of directories that are looked into for part files of an earlier run.
const DEPTH_MAX: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Files that were begun and not committed.
    hidden: BTreeSet<PathBuf>,
    /// How many files were committed.
    committed: usize,
    /// Directories that did not exist before.
    created: BTreeSet<PathBuf>,
    /// Files of an earlier run, to be removed as the first new ones are committed.
    replaced: Vec<OldPart>,
}

/// A part file of an earlier run. Its name may be taken by another sink of this run, so the file itself counts.
#[derive(Debug)]
struct OldPart {
    path: PathBuf,
    inode: u64,
}

impl OldPart {
    fn of(path: PathBuf) -> io::Result<Self> {
        let inode = fs::symlink_metadata(&path)?.ino();
        Ok(OldPart { path, inode })
    }

    fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode)
    }
}

/// How to make a file visible: both names, parted by the byte that no path can hold.
pub(super) fn committable(hidden: &Path, visible: &Path) -> Committable {
    Committable([hidden.as_os_str().as_bytes(), visible.as_os_str().as_bytes()].join(&0))
}

fn paths(committable: &Committable) -> Result<(PathBuf, PathBuf)> {
    let mut names = committable.0.split(|byte| *byte == 0).map(|name| PathBuf::from(OsStr::from_bytes(name)));
    match (names.next(), names.next(), names.next()) {
        (Some(hidden), Some(visible), None) => Ok((hidden, visible)),
        _ => Err(Error::internal("a committable of the filesystem sink does not hold two paths")),
    }
}

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Every change is complete before the lock is released, so a panic elsewhere leaves it fit.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the name belongs to a file that goes as new ones are committed.
    pub(super) fn replaces(&self, path: &Path) -> bool {
        self.entries().replaced.iter().any(|old| old.path == path && old.is_there())
    }

    /// Creates a file and, as far as they are missing, the directories that it lies in.
    ///
    /// # Errors
    /// If the directories cannot be made; the inner error is that of the file.
    pub(super) fn create_file(&self, hidden: &Path) -> Result<io::Result<File>> {
        // Under the lock, so that no commit takes a directory away before the file is in it.
        let mut entries = self.entries();
        create_directory(hidden.parent().unwrap_or(Path::new("")), &mut entries)?;
        let created = File::create_new(hidden);
        if created.is_ok() {
            entries.hidden.insert(hidden.to_owned());
        }
        Ok(created)
    }

    /// Looks at what is there, before any worker writes.
    pub(super) fn begin(&self, target: &Target, mode: SinkMode) -> Result<()> {
        match target {
            Target::File(path) => self.begin_file(path, mode),
            Target::Directory(path) => self.begin_directory(path, mode),
        }
    }

    fn begin_file(&self, path: &Path, mode: SinkMode) -> Result<()> {
        check_file(path, mode)?;
        create_directory(path.parent().unwrap_or(Path::new("")), &mut self.entries())?;
        // Whatever lies there under the hidden name is stale, or the mode would not be `overwrite`.
        probe(&hidden_beside(path), path)
    }

    fn begin_directory(&self, path: &Path, mode: SinkMode) -> Result<()> {
        let found = look_into(path, mode)?;
        create_directory(path, &mut self.entries())?;
        if mode == SinkMode::Overwrite {
            self.begin_overwriting(path, found)?;
        }
        probe(&path.join(hidden_name("part-probe")), path)
    }

    fn begin_overwriting(&self, path: &Path, found: Found) -> Result<()> {
        for stale in &found.hidden {
            fs::remove_file(stale).map_err(|error| cannot_write(stale, &error))?;
        }
        let old = found.parts.into_iter().map(OldPart::of).collect::<io::Result<Vec<_>>>();
        self.entries().replaced = old.map_err(|error| cannot_write(path, &error))?;
        Ok(())
    }

    /// Renames what was prepared. Repeating it does no harm.
    pub(super) fn commit(&self, target: &Path, committables: &[Committable]) -> Result<()> {
        self.remove_replaced(target)?;
        let mut directories = BTreeSet::new();
        for committable in committables {
            let (hidden, visible) = paths(committable)?;
            match fs::rename(&hidden, &visible) {
                Ok(()) => {}
                // It was renamed by an earlier try.
                Err(error) if error.kind() == io::ErrorKind::NotFound && visible.exists() => {}
                Err(error) => return Err(cannot_write(&visible, &error)),
            }
            // A name is durable only if all directories up to the target are.
            let inside = visible.ancestors().skip(1).take_while(|path| path.starts_with(target));
            directories.extend(inside.map(Path::to_owned));
            directories.extend(target.parent().map(Path::to_owned));
            let mut entries = self.entries();
            entries.committed += usize::from(entries.hidden.remove(&hidden));
        }
        for directory in &directories {
            let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
            File::open(directory).and_then(|file| file.sync_all()).map_err(|error| cannot_write(directory, &error))?;
        }
        let mut entries = self.entries();
        // What was made for a whole result stays, even if it is empty.
        if entries.hidden.is_empty() {
            entries.created.clear();
        }
        Ok(())
    }

    /// Removes the files of an earlier run. The lock is held meanwhile: whoever commits next needs their names free.
    fn remove_replaced(&self, target: &Path) -> Result<()> {
        let mut entries = self.entries();
        let replaced = std::mem::take(&mut entries.replaced);
        for old in replaced.iter().filter(|old| old.is_there()) {
            fs::remove_file(&old.path).map_err(|error| cannot_write(&old.path, &error))?;
        }
        // Partitions that have no rows any more; those that have are kept by their files.
        let emptied = replaced.iter().flat_map(|old| old.path.ancestors().skip(1));
        for directory in emptied.filter(|path| path.starts_with(target) && *path != target) {
            let _ = fs::remove_dir(directory);
        }
        Ok(())
    }

    /// What would be kept by `abort`, and what would not.
    pub(super) fn remains(&self, target: &Path) -> Vec<String> {
        let entries = self.entries();
        let target = target.display();
        let mut lines = Vec::new();
        match entries.committed {
            0 => {}
            1 => lines.push(format!("'{target}' keeps 1 file that was complete")),
            files => lines.push(format!("'{target}' keeps {files} files that were complete")),
        }
        match entries.hidden.len() {
            0 => {}
            1 => lines.push(format!("'{target}' loses 1 file that was not complete")),
            files => lines.push(format!("'{target}' loses {files} files that were not complete")),
        }
        lines
    }

    /// Removes what was not committed, as far as that can be done.
    pub(super) fn abort(&self) {
        let entries = std::mem::take(&mut *self.entries());
        for file in &entries.hidden {
            // There is nobody left to tell, and a hidden file does no harm.
            let _ = fs::remove_file(file);
        }
        for directory in entries.created.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}

/// Looks whether `begin` would succeed: makes a file where there is a directory already, and takes it away.
pub(super) fn check(target: &Target, mode: SinkMode) -> Result<()> {
    let path = target.path();
    let directory = match target {
        Target::File(path) => {
            check_file(path, mode)?;
            path.parent().unwrap_or(Path::new(""))
        }
        Target::Directory(path) => {
            look_into(path, mode)?;
            path.as_path()
        }
    };
    let there = directory.ancestors().find(|path| path.as_os_str().is_empty() || path.exists());
    let there = there.unwrap_or(Path::new(""));
    if there.is_file() {
        return Err(not_a_directory(there));
    }
    probe(&there.join(hidden_name(&format!("check-{}", std::process::id()))), path)
}

/// The hidden name of a single file.
fn hidden_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(hidden_name(&name))
}

/// Looks at what is where a single file is to be.
fn check_file(path: &Path, mode: SinkMode) -> Result<()> {
    if path.is_dir() {
        return Err(Error::io(format!("cannot write the file '{}': it is a directory", path.display()))
            .with_hint("name a file that is not there yet, or a directory without a file's ending"));
    }
    if path.exists() && !path.is_file() {
        // The finished file would take its place, and whoever reads the pipe would wait for ever.
        return Err(Error::io(format!("cannot write the file '{}': it is a pipe or a device", path.display()))
            .with_hint("name a file, or let a SELECT print its rows and redirect the output of the program"));
    }
    if mode == SinkMode::Error {
        if path.exists() {
            return Err(already_there(path, "already exists"));
        }
        let hidden = hidden_beside(path);
        if hidden.exists() {
            return Err(unfinished(&hidden));
        }
    }
    Ok(())
}

/// Looks at what is where part files are to be.
fn look_into(path: &Path, mode: SinkMode) -> Result<Found> {
    if path.exists() && !path.is_dir() {
        return Err(not_a_directory(path));
    }
    let mut found = Found::default();
    if mode == SinkMode::Append || !path.exists() {
        return Ok(found);
    }
    find(path, DEPTH_MAX, &mut found).map_err(|error| cannot_write(path, &error))?;
    match mode {
        SinkMode::Overwrite => found.check_ours(path)?,
        SinkMode::Error | SinkMode::Append => found.check_empty(path)?,
    }
    Ok(found)
}

/// Creates a directory and those above it, as far as they are missing.
fn create_directory(directory: &Path, entries: &mut Entries) -> Result<()> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    let missing = directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
    entries.created.extend(missing.map(Path::to_owned));
    fs::create_dir_all(directory).map_err(|error| match directory.ancestors().find(|path| path.is_file()) {
        Some(file) => not_a_directory(file),
        None => cannot_write(directory, &error),
    })
}

fn not_a_directory(path: &Path) -> Error {
    Error::io(format!("cannot write into '{}': it is a file, not a directory", path.display()))
        .with_hint("name a directory, or give the path an ending such as '.csv' to write a single file")
}

/// It may belong to a job that still runs, so it is not ours to remove.
fn unfinished(hidden: &Path) -> Error {
    Error::io(format!("the file '{}' belongs to a job that still runs, or that was killed", hidden.display()))
        .with_hint("wait for that job; if it was killed, remove the file or add 'sink.mode' = 'overwrite' to WITH (..)")
}

fn already_there(path: &Path, how: &str) -> Error {
    Error::io(format!("the output '{}' {how}", path.display())).with_hint(
        "remove it, choose another path, or add 'sink.mode' = 'overwrite' (or 'append', for a directory) to WITH (..)",
    )
}

/// Finds out whether files can be made here at all, before any work is done.
fn probe(hidden: &Path, visible: &Path) -> Result<()> {
    File::create(hidden).map_err(|error| cannot_write(visible, &error))?;
    fs::remove_file(hidden).map_err(|error| cannot_write(visible, &error))
}

/// What lies in an output directory.
#[derive(Default)]
struct Found {
    /// Files that a sink committed.
    parts: Vec<PathBuf>,
    /// Files that a sink left behind.
    hidden: Vec<PathBuf>,
    /// All others.
    foreign: Vec<PathBuf>,
}

impl Found {
    fn check_ours(&self, path: &Path) -> Result<()> {
        let Some(foreign) = self.foreign.first() else { return Ok(()) };
        let (path, foreign) = (path.display(), foreign.display());
        Err(Error::io(format!("cannot overwrite '{path}': it holds '{foreign}', which no sink has written"))
            .with_hint("choose another directory, or move the file away"))
    }

    fn check_empty(&self, path: &Path) -> Result<()> {
        if !self.parts.is_empty() || !self.foreign.is_empty() {
            return Err(already_there(path, "is not empty"));
        }
        self.hidden.first().map_or(Ok(()), |hidden| Err(unfinished(hidden)))
    }
}

fn find(directory: &Path, depth: usize, found: &mut Found) -> io::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if name.contains('=') && depth > 0 {
                find(&path, depth - 1, found)?;
            } else {
                found.foreign.push(path);
            }
        } else if name.starts_with(".part-") && name.ends_with(HIDDEN_SUFFIX) {
            found.hidden.push(path);
        } else if is_part(&name) {
            found.parts.push(path);
        } else {
            found.foreign.push(path);
        }
    }
    Ok(())
}

/// True for `part-<worker>-<number>.<ending>`.
fn is_part(name: &str) -> bool {
    let numbers =
        name.strip_prefix("part-").and_then(|rest| rest.split_once('.')).and_then(|(stem, _)| stem.split_once('-'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(worker, part)| is_number(worker) && is_number(part))
}
