//! Rows on their way out: to a terminal, a pipe or a file.

mod changelog;
mod csv;
mod destination;
mod form;
mod json;
mod results;
mod table;

pub use destination::{Destination, is_standard_output};
pub use form::Form;
pub use results::{Layout, Results, Shape};
pub use table::boxed;

use std::io::{self, Write};

use corelane_server::{ChangelogBatch, Result};

use crate::exit::{Exit, Failed};

/// One format: turns rows into text.
pub trait Printer {
    /// Appends the text of a batch, or keeps what the end needs.
    ///
    /// # Errors
    /// If a column's values have no text.
    fn rows(&mut self, batch: &ChangelogBatch, out: &mut String) -> Result<()>;

    /// Appends what comes before the first row, once, even if there is none.
    fn begin(&mut self, out: &mut String);

    /// Appends what is left.
    ///
    /// # Errors
    /// As for `rows`.
    fn end(&mut self, out: &mut String) -> Result<()>;
}

/// Prints a text that a user asked for.
///
/// # Errors
/// If standard output takes no more.
pub fn print(text: &[u8]) -> std::result::Result<Exit, Failed> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(Failed::writing("standard output", &error)),
    }
}
