//! Which files a path names: one file, the matches of a glob, or all below a directory.
//!
//! Names that begin with `.` or `_` are skipped inside directories and globs, so that the hidden
//! files of our own sink and the `_SUCCESS` of other systems are not taken for data.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use corelane_stream::key::hash_bytes;
use corelane_stream::wording::io_reason;
use corelane_stream::{Error, Result};

use crate::options::did_you_mean;

/// Directories within directories that a listing follows; a loop of links ends here.
const DIRECTORY_DEPTH_MAX: usize = 64;

/// One file that a table is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileInfo {
    pub path: String,
    /// Its place among all files of the table; orders their rows.
    pub ordinal: u64,
    pub size: u64,
    pub modified_ms: i64,
    /// What tells it from another file of the same name; 0 if nothing does.
    pub identity: u64,
}

impl FileInfo {
    fn new(path: &Path, metadata: &Metadata) -> Result<Self> {
        let Some(text) = path.to_str() else {
            return Err(Error::io(format!("the name of the file '{}' is not UTF-8", path.display())));
        };
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified_ms = modified.map_or(0, |duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
        let identity = identity(metadata);
        Ok(FileInfo { path: text.to_owned(), ordinal: 0, size: metadata.len(), modified_ms, identity })
    }

    /// The file that the name stands for now, if there is one.
    pub fn now(&self) -> Option<FileInfo> {
        let metadata = fs::metadata(&self.path).ok()?;
        let file = FileInfo::new(Path::new(&self.path), &metadata).ok()?;
        Some(FileInfo { ordinal: self.ordinal, ..file })
    }

    /// Whether the name still stands for this file, with all that has been read of it.
    pub fn is_still_there(&self, read_bytes: u64) -> bool {
        fs::metadata(&self.path)
            .is_ok_and(|metadata| identity(&metadata) == self.identity && read_bytes <= metadata.len())
    }

    /// Whether both names stand for one file.
    pub fn is_same(&self, other: &FileInfo) -> bool {
        self.identity == other.identity
    }

    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// The device, the number of the file on it, which is given out again, and therefore its birth.
fn identity(metadata: &Metadata) -> u64 {
    let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let born_ns = born.map_or(0, |duration| duration.as_nanos() as u64);
    let mut bytes = [0; 24];
    for (part, number) in bytes.chunks_exact_mut(8).zip([metadata.dev(), metadata.ino(), born_ns]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    hash_bytes(&bytes)
}

/// The error for a path that cannot be read.
pub(crate) fn cannot_read(path: &str, error: &io::Error) -> Error {
    let wrong = Error::io(format!("cannot read '{path}': {}", reason(error)));
    match error.kind() {
        io::ErrorKind::NotFound => match similar(Path::new(path)) {
            Some(name) => wrong.with_hint(format!("did you mean '{name}'?")),
            None => wrong.with_hint("paths are relative to the directory that the command runs in"),
        },
        io::ErrorKind::PermissionDenied => wrong.with_hint("the user that runs the command needs read permission"),
        _ => wrong,
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => io_reason(error),
    }
}

/// A name in the same directory that looks like the one that is missing.
fn similar(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut names: Vec<String> =
        fs::read_dir(parent).ok()?.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    let name = did_you_mean(wanted, names.iter().map(String::as_str))?;
    path.with_file_name(name).to_str().map(str::to_owned)
}

/// True if the path is a pattern of names.
pub(crate) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Lists the files of a path in the order of their paths, numbered. A file that exists by the
/// very name is no pattern.
///
/// # Errors
/// If the path does not exist, or a directory cannot be read. No file at all is no error here.
pub(crate) fn list(path: &str) -> Result<Vec<FileInfo>> {
    let mut files = Vec::new();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => walk(Path::new(path), 0, &mut files)?,
        Ok(metadata) if metadata.is_file() => files.push(FileInfo::new(Path::new(path), &metadata)?),
        // Opening a pipe twice, as files are, would wait for ever or lose its first bytes.
        Ok(_) => {
            return Err(Error::io(format!("cannot read '{path}': it is a pipe, a socket or a device and not a file"))
                .with_hint("pass it as standard input: 'path' = '-'"));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_glob(path) => list_glob(path, &mut files)?,
        Err(error) => return Err(cannot_read(path, &error)),
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files.dedup_by(|left, right| left.path == right.path);
    for (ordinal, file) in files.iter_mut().enumerate() {
        file.ordinal = ordinal as u64;
    }
    Ok(files)
}

/// As `list`, but a table without a file is an error.
///
/// # Errors
/// As for `list`, and if there is no file.
pub(crate) fn list_some(path: &str) -> Result<Vec<FileInfo>> {
    let files = list(path)?;
    if !files.is_empty() {
        return Ok(files);
    }
    Err(if is_glob(path) {
        Error::io(format!("cannot read '{path}': no file matches it"))
            .with_hint("names that begin with '.' or '_' are skipped")
    } else {
        Error::io(format!("cannot read '{path}': the directory has no files"))
            .with_hint("names that begin with '.' or '_' are skipped")
    })
}

fn list_glob(pattern: &str, files: &mut Vec<FileInfo>) -> Result<()> {
    let options =
        glob::MatchOptions { require_literal_leading_dot: true, require_literal_separator: true, ..Default::default() };
    let paths = glob::glob_with(pattern, options)
        .map_err(|error| Error::invalid(format!("'{pattern}' is no pattern of names: {error}")))?;
    // What the user wrote out is meant, also if it is hidden; what the pattern found is not.
    let written_out =
        Path::new(pattern).components().take_while(|part| !is_glob(&part.as_os_str().to_string_lossy())).count();
    for path in paths {
        let path = path.map_err(|error| cannot_read(&error.path().display().to_string(), error.error()))?;
        if !path.components().skip(written_out).any(|part| is_hidden(Path::new(&part))) {
            visit(path, 0, files)?;
        }
    }
    Ok(())
}

fn walk(directory: &Path, depth: usize, files: &mut Vec<FileInfo>) -> Result<()> {
    let fault = |error: &io::Error| cannot_read(&directory.display().to_string(), error);
    if DIRECTORY_DEPTH_MAX < depth {
        return Err(Error::io(format!(
            "directories are nested deeper than {DIRECTORY_DEPTH_MAX}: '{}'",
            directory.display()
        )));
    }
    for entry in fs::read_dir(directory).map_err(|error| fault(&error))? {
        let path = entry.map_err(|error| fault(&error))?.path();
        if !is_hidden(&path) {
            visit(path, depth, files)?;
        }
    }
    Ok(())
}

fn visit(path: PathBuf, depth: usize, files: &mut Vec<FileInfo>) -> Result<()> {
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => walk(&path, depth + 1, files),
        Ok(metadata) if metadata.is_file() => {
            files.push(FileInfo::new(&path, &metadata)?);
            Ok(())
        }
        // Pipes and sockets among files hold no rows of the table.
        Ok(_) => Ok(()),
        // Gone since it was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot_read(&path.display().to_string(), &error)),
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_')))
}
