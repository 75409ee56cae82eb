//! What can go wrong, by whose hand: the user's input, the world, or a row of data.

use std::fmt;

/// Who has to act on an error. The binary maps it to an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// SQL, an option or a flag is wrong: the user changes the statement.
    Invalid,
    /// A file, a disk or a peer failed: the user changes the world.
    Io,
    /// A row could not be decoded or computed and the policy is to fail.
    Data,
    /// Whoever read our output went away, having what they wanted: there is nobody to tell.
    ReaderLeft,
    /// The job was stopped by the user.
    Interrupted,
    /// A bug of ours.
    Internal,
}

/// An error for a person: what was attempted, why it failed, what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub fn io(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Io, message)
    }

    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

/// Arrow fails on data (an overflow, a bad cast); other faults are turned into errors where
/// they arise, with the path and position that only that place knows.
impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Error::data(error.to_string())
    }
}
