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
use glob::{MatchOptions, Pattern, PatternError};

use crate::options::did_you_mean;

/// Directories within directories that a listing follows; a loop of links ends here.
const DIRECTORY_DEPTH_MAX: usize = 64;

/// The part of a pattern that stands for directories at any depth.
const ANY_DIRECTORIES: &str = "**";

const PATTERN_OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

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
        io::ErrorKind::NotFound if fs::symlink_metadata(path).is_ok() => {
            Error::io(format!("cannot read '{path}': it is a link that leads to no file"))
                .with_hint("make the link anew, or name the file itself")
        }
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

fn list_glob(text: &str, files: &mut Vec<FileInfo>) -> Result<()> {
    pattern(text)?;
    // What the user wrote out is meant, also if it is hidden; what the pattern found is not.
    let hidden_from = written_out(text).components().count();
    let is_found_hidden = |path: &Path| path.components().skip(hidden_from).any(|part| is_hidden(Path::new(&part)));
    let mut see = |path: PathBuf| if is_found_hidden(&path) { Ok(()) } else { visit(path, 0, files) };
    let mut parts = text.split('/');
    let above: Vec<&str> = parts.by_ref().take_while(|part| *part != ANY_DIRECTORIES).collect();
    if above.len() == text.split('/').count() {
        return matches(text)?.into_iter().try_for_each(see);
    }
    // The glob crate would go round in circles where a link leads to a directory above it.
    let below = pattern(&[ANY_DIRECTORIES].into_iter().chain(parts).collect::<Vec<_>>().join("/"))?;
    let roots = match above.join("/") {
        above if is_glob(&above) => matches(&above)?,
        above if above.is_empty() && text.starts_with('/') => vec![PathBuf::from("/")],
        above => vec![PathBuf::from(above)],
    };
    roots.iter().try_for_each(|root| descend(root, Path::new(""), &below, 0, &mut see))
}

/// The paths that a pattern matches.
fn matches(text: &str) -> Result<Vec<PathBuf>> {
    let paths = glob::glob_with(text, PATTERN_OPTIONS).map_err(|error| no_pattern(text, &error))?;
    paths.map(|path| path.map_err(|error| cannot_read(&error.path().display().to_string(), error.error()))).collect()
}

/// A directory that matches is read with all below it.
fn takes(pattern: &Pattern, path: &Path) -> bool {
    path.ancestors().any(|path| pattern.matches_path_with(path, PATTERN_OPTIONS))
}

/// Sees the files that a pattern takes below a directory, on all levels but for those behind links.
fn descend(
    root: &Path,
    inside: &Path,
    pattern: &Pattern,
    depth: usize,
    see: &mut dyn FnMut(PathBuf) -> Result<()>,
) -> Result<()> {
    let directory = root.join(inside);
    let there = if directory.as_os_str().is_empty() { Path::new(".") } else { directory.as_path() };
    let fault = |error: &io::Error| cannot_read(&there.display().to_string(), error);
    if !there.is_dir() {
        return Ok(());
    }
    if DIRECTORY_DEPTH_MAX < depth {
        return Err(too_deep(there));
    }
    for entry in fs::read_dir(there).map_err(|error| fault(&error))? {
        let entry = entry.map_err(|error| fault(&error))?;
        let kind = entry.file_type().map_err(|error| fault(&error))?;
        let inside = inside.join(entry.file_name());
        let path = root.join(&inside);
        if is_hidden(&path) || (kind.is_symlink() && path.is_dir()) {
            continue;
        }
        if kind.is_dir() {
            descend(root, &inside, pattern, depth + 1, see)?;
        } else if takes(pattern, &inside) {
            see(path)?;
        }
    }
    Ok(())
}

/// The part of a pattern in front of its first `*`, `?` or `[..]`: whole names.
pub(crate) fn written_out(pattern: &str) -> PathBuf {
    Path::new(pattern).components().take_while(|part| !is_glob(&part.as_os_str().to_string_lossy())).collect()
}

/// # Errors
/// If the text is no pattern of names.
fn pattern(text: &str) -> Result<Pattern> {
    Pattern::new(text).map_err(|error| no_pattern(text, &error))
}

fn no_pattern(text: &str, error: &PatternError) -> Error {
    let (reason, hint) = if text.chars().nth(error.pos) == Some('[') {
        (format!("the '[' at character {} has no ']' behind it", error.pos + 1), "write [[] for a '[' in a name")
    } else {
        (
            format!("'{ANY_DIRECTORIES}' has to stand alone between two '/'"),
            "* stands for any part of a name, ** for directories at any depth, as in 'a/**/*.json'",
        )
    };
    Error::invalid(format!("'{text}' is no pattern of names: {reason}")).with_hint(hint)
}

/// Whether a table whose path is this pattern, `rest` below `prefix`, would read a file of this name, be it there or not.
pub(crate) fn is_matched(prefix: &Path, rest: &Path, file: &Path) -> bool {
    let Ok(inside) = file.strip_prefix(prefix) else { return false };
    if inside.components().any(|part| is_hidden(Path::new(&part))) {
        return false;
    }
    let Some(Ok(pattern)) = rest.to_str().map(Pattern::new) else { return false };
    takes(&pattern, inside)
}

fn walk(directory: &Path, depth: usize, files: &mut Vec<FileInfo>) -> Result<()> {
    let fault = |error: &io::Error| cannot_read(&directory.display().to_string(), error);
    if DIRECTORY_DEPTH_MAX < depth {
        return Err(too_deep(directory));
    }
    for entry in fs::read_dir(directory).map_err(|error| fault(&error))? {
        let path = entry.map_err(|error| fault(&error))?.path();
        if !is_hidden(&path) {
            visit(path, depth, files)?;
        }
    }
    Ok(())
}

fn too_deep(directory: &Path) -> Error {
    Error::io(format!("directories are nested deeper than {DIRECTORY_DEPTH_MAX}: '{}'", directory.display()))
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
