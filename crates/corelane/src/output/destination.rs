//! Where rows go: standard output, or a file that appears when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use corelane_server::files::{CompressedFile, FileCompression};

use crate::exit::{Exit, Failed, reason};
use crate::unfinished::Unfinished;

const BUFFER_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub enum Destination {
    StandardOutput(BufWriter<Stdout>),
    /// A device or a pipe that has a name: written directly.
    Device(PathBuf, CompressedFile),
    File(PendingFile),
}

impl Destination {
    pub fn standard_output() -> Destination {
        Destination::StandardOutput(BufWriter::with_capacity(BUFFER_BYTES, io::stdout()))
    }

    /// A file, or standard output if its name is `-`; nothing is visible under a file's name until
    /// `complete`.
    ///
    /// # Errors
    /// If it exists and must not be replaced, or cannot be made.
    pub fn named(path: &Path, overwrite: bool, compression: FileCompression) -> Result<Destination, Failed> {
        if is_standard_output(path) {
            return Ok(Destination::standard_output());
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                Err(Failed::new(Exit::Io, format!("cannot write to {}: this is a directory", path.display()))
                    .with_hint("name a file in it"))
            }
            Ok(found) if !found.is_file() => {
                let opened = OpenOptions::new().write(true).open(path);
                let compressed = opened.and_then(|file| CompressedFile::new(file, compression));
                let file = compressed.map_err(|error| Failed::writing(&path.display().to_string(), &error))?;
                Ok(Destination::Device(path.to_path_buf(), file))
            }
            Ok(_) | Err(_) => Ok(Destination::File(PendingFile::create(path, overwrite, compression)?)),
        }
    }

    pub fn is_terminal(&self) -> bool {
        match self {
            Destination::StandardOutput(out) => out.get_ref().is_terminal(),
            Destination::Device(_, file) => file.file().is_terminal(),
            Destination::File(_) => false,
        }
    }

    /// # Errors
    /// If it takes no more.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Failed> {
        self.attempt(|out| out.write_all(bytes.as_ref()))
    }

    /// Shows what was written so far, where somebody may be looking.
    ///
    /// # Errors
    /// If it takes no more.
    pub fn flush(&mut self) -> Result<(), Failed> {
        match self {
            Destination::StandardOutput(_) | Destination::Device(..) => self.attempt(|out| out.flush()),
            Destination::File(_) => Ok(()),
        }
    }

    /// Ends the output: a file gets its name.
    ///
    /// # Errors
    /// If the rest cannot be written, or the file cannot be given its name.
    pub fn complete(mut self) -> Result<(), Failed> {
        match self {
            Destination::StandardOutput(_) => self.attempt(|out| out.flush()),
            Destination::Device(path, file) => match file.finish() {
                Ok(_) => Ok(()),
                Err(error) => Err(Failed::writing(&path.display().to_string(), &error)),
            },
            Destination::File(pending) => pending.complete(),
        }
    }

    fn attempt(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failed> {
        match self {
            Destination::StandardOutput(out) => write(out).map_err(|error| Failed::writing("standard output", &error)),
            Destination::Device(path, out) => {
                write(out).map_err(|error| Failed::writing(&path.display().to_string(), &error))
            }
            Destination::File(pending) => write(&mut pending.out).map_err(|error| pending.name.refused(&error)),
        }
    }
}

/// A file that is being written under a hidden name beside its own.
#[derive(Debug)]
pub struct PendingFile {
    out: CompressedFile,
    name: PendingName,
}

impl PendingFile {
    fn create(path: &Path, overwrite: bool, compression: FileCompression) -> Result<PendingFile, Failed> {
        let name = PendingName::new(path, overwrite)?;
        let created = File::create(&name.hidden).and_then(|file| CompressedFile::new(file, compression));
        match created {
            Ok(out) => Ok(PendingFile { out, name }),
            Err(error) => Err(name.refused(&error)),
        }
    }

    fn complete(self) -> Result<(), Failed> {
        let PendingFile { out, mut name } = self;
        refuse_existing(&name.path, name.overwrite)?;
        let written = out.finish().and_then(|file| file.sync_all());
        let named = written.and_then(|()| fs::rename(&name.hidden, &name.path));
        named.map_err(|error| name.refused(&error))?;
        name.complete = true;
        Ok(())
    }
}

/// The names of a pending file; dropped before it is complete, the file vanishes.
#[derive(Debug)]
struct PendingName {
    path: PathBuf,
    hidden: PathBuf,
    overwrite: bool,
    complete: bool,
    _unfinished: Unfinished,
}

impl PendingName {
    fn new(path: &Path, overwrite: bool) -> Result<PendingName, Failed> {
        refuse_existing(path, overwrite)?;
        let Some(name) = path.file_name() else {
            return Err(Failed::usage(format!("cannot write to {}: this is not the name of a file", path.display())));
        };
        let hidden = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        let left = hidden.clone();
        let unfinished = Unfinished::begin(move || drop(fs::remove_file(left)));
        Ok(PendingName { path: path.to_path_buf(), hidden, overwrite, complete: false, _unfinished: unfinished })
    }

    fn refused(&self, error: &io::Error) -> Failed {
        Failed::writing(&self.path.display().to_string(), error)
    }
}

impl Drop for PendingName {
    fn drop(&mut self) {
        if !self.complete {
            // What is left behind is hidden and named after its process: harmless.
            let _ = fs::remove_file(&self.hidden);
        }
    }
}

/// True for the name that stands for standard output.
pub fn is_standard_output(path: &Path) -> bool {
    path == Path::new("-")
}

fn refuse_existing(path: &Path, overwrite: bool) -> Result<(), Failed> {
    match path.symlink_metadata() {
        Ok(_) if overwrite => Ok(()),
        Ok(_) => Err(Failed::new(Exit::Io, format!("cannot write to {}: it exists", path.display()))
            .with_hint("--overwrite replaces it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failed::new(Exit::Io, format!("cannot write to {}: {}", path.display(), reason(&error)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        let mut out = Destination::named(&path, false, FileCompression::None).unwrap();
        out.write("a\n1\n").unwrap();
        assert!(!path.exists());
        out.complete().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(folder.path()).len()), ("a\n1\n", 1));

        let refused = Destination::named(&path, false, FileCompression::None).unwrap_err();
        assert_eq!(refused.exit(), Exit::Io);
        let mut out = Destination::named(&path, true, FileCompression::None).unwrap();
        out.write("b\n").unwrap();
        out.complete().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b\n");
    }

    #[test]
    fn an_abandoned_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = Destination::named(&folder.path().join("out.csv"), false, FileCompression::None).unwrap();
        out.write("a\n").unwrap();
        drop(out);
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    #[test]
    fn a_full_device_is_an_error() {
        let mut out = Destination::named(Path::new("/dev/full"), false, FileCompression::None).unwrap();
        out.write("a\n").unwrap();
        assert_eq!(out.complete().unwrap_err().exit(), Exit::Io);
    }

    #[test]
    fn a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let refused =
            Destination::named(&folder.path().join("none/out.csv"), false, FileCompression::None).unwrap_err();
        assert_eq!(refused.exit(), Exit::Io);
    }
}
