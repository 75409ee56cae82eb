//! How the program ends: exit codes, and how errors read.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

pub use corelane_server::wording::io_reason as reason;
use corelane_server::{Error, ErrorKind, Failure};

/// The exit codes; scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// A row, or a bug of ours, failed the job.
    Failed,
    /// The command line, a setting or the settings file is wrong.
    Usage,
    /// The SQL is wrong.
    Sql,
    /// A file, a disk or a peer failed; also when whoever read our output went away.
    Io,
    /// SIGINT or SIGTERM.
    Interrupted,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Sql => 3,
            Exit::Io => 4,
            Exit::Interrupted => 130,
        }
    }
}

/// An end that is not a good one, and what to tell the user.
#[derive(Debug)]
pub struct Failed {
    exit: Exit,
    /// Empty if there is nothing to say: the reader of our output went away.
    message: String,
    place: Option<String>,
    hint: Option<String>,
}

impl Failed {
    pub fn new(exit: Exit, message: impl Into<String>) -> Failed {
        Failed { exit, message: message.into(), place: None, hint: None }
    }

    pub fn usage(message: impl Into<String>) -> Failed {
        Failed::new(Exit::Usage, message)
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Failed {
        self.hint = Some(hint.into());
        self
    }

    /// An error in flags, environment or settings file.
    pub fn in_settings(error: &Error) -> Failed {
        let exit = match error.kind() {
            ErrorKind::Invalid => Exit::Usage,
            other => exit_of(other),
        };
        Failed { exit, message: error.message().to_string(), place: None, hint: error.hint().map(str::to_string) }
    }

    /// An error while writing what the user asked for; `what` is `standard output` or a path.
    pub fn writing(what: &str, error: &io::Error) -> Failed {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // `corelane .. | head` has what it wanted: say nothing.
            return Failed::new(Exit::Io, "");
        }
        Failed::new(Exit::Io, format!("cannot write to {what}: {}", reason(error)))
    }

    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints the error.
    pub fn report(&self, color: bool) {
        let told_by_hook = self.exit == Exit::Failed && BUG_REPORTED.load(Ordering::SeqCst);
        if !self.message.is_empty() && !told_by_hook {
            // Where standard error is closed there is nobody to tell.
            let _ = io::stderr().write_all(self.rendered(color).as_bytes());
        }
    }

    /// The text of `report`.
    pub fn rendered(&self, color: bool) -> String {
        let (red, cyan, plain) = if color { ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error:{plain} {}\n", self.message);
        if let Some(place) = &self.place {
            let _ = writeln!(text, "{}", place.trim_end());
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "{cyan}hint:{plain} {hint}");
        }
        text
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        let message = match error.kind() {
            ErrorKind::ReaderLeft => String::new(),
            _ => error.message().to_string(),
        };
        Failed { exit: exit_of(error.kind()), message, place: None, hint: error.hint().map(str::to_string) }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed { exit: exit_of(failure.kind), message: failure.message, place: failure.place, hint: failure.hint }
    }
}

fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::Invalid => Exit::Sql,
        ErrorKind::Io | ErrorKind::ReaderLeft => Exit::Io,
        ErrorKind::Data | ErrorKind::Internal => Exit::Failed,
        ErrorKind::Interrupted => Exit::Interrupted,
    }
}

/// Set once a panic was reported, so that the job's failure it leads to is not told again.
static BUG_REPORTED: AtomicBool = AtomicBool::new(false);

/// Turns a panic, on whichever thread, into one message that a user can act on. One that a corrupt
/// file brings about in its reader is none of ours, and is told as the file's.
pub fn install_panic_hook() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if corelane_server::is_reading_guarded() {
            return;
        }
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            default(panic);
        }
        if BUG_REPORTED.swap(true, Ordering::SeqCst) {
            return;
        }
        let what = panic
            .payload()
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.payload().downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".into());
        let place = panic.location().map_or_else(String::new, |location| format!(" ({location})"));
        let _ = writeln!(
            io::stderr(),
            "error: corelane hit a bug: {what}{place}\nhint: please report it with the statement that led to it; \
             nothing of the running job was committed"
        );
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn an_error_shows_its_place_and_hint() {
        let failed = Failed::from(Failure {
            kind: ErrorKind::Invalid,
            message: "there is no table \"bids\"".into(),
            place: Some(" --> q.sql:1:15\n  |\n1 | SELECT * FROM bids\n  |               ^^^^\n".into()),
            hint: Some("did you mean bid?".into()),
        });
        expect![[r#"
            error: there is no table "bids"
             --> q.sql:1:15
              |
            1 | SELECT * FROM bids
              |               ^^^^
            hint: did you mean bid?
        "#]]
        .assert_eq(&failed.rendered(false));
        assert_eq!(failed.exit().code(), 3);
        assert!(failed.rendered(true).starts_with("\x1b[1;31merror:\x1b[0m "));
    }

    #[test]
    fn codes_by_kind() {
        let code = |kind| exit_of(kind).code();
        assert_eq!(
            [ErrorKind::Invalid, ErrorKind::Io, ErrorKind::Data, ErrorKind::Interrupted, ErrorKind::Internal].map(code),
            [3, 4, 1, 130, 1]
        );
        assert_eq!(Failed::in_settings(&Error::invalid("x")).exit(), Exit::Usage);
    }

    #[test]
    fn a_broken_pipe_is_not_told() {
        let failed = Failed::writing("standard output", &io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failed.exit(), failed.message.as_str()), (Exit::Io, ""));
        let full = Failed::writing("out.csv", &io::Error::from_raw_os_error(28));
        assert_eq!(full.message, "cannot write to out.csv: no space left on device");
    }
}
