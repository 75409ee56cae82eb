//! The sink that prints the changelog: `+I[1, a]`, a row a line.
//!
//! All rows go through one worker, so that lines never mix and an update's `-U` stands before
//! its `+U`. Printing is not transactional: what was printed stays printed.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use corelane_stream::wording::io_reason;
use corelane_stream::{
    ChangelogBatch, ChangelogMode, CheckpointId, Committable, Connector, Error, ErrorKind, Exchange, OptionDef, Result,
    Sink, SinkContext, SinkSpec, SourceSpec, TableDefinition, TableOptions,
};

use crate::format::display::ChangelogText;
use crate::options::Options;

/// Text gathered before it is written; more is written at once when there is nothing else to do.
const TEXT_BYTES: usize = 64 << 10;

#[derive(Debug)]
pub struct PrintConnector;

impl Connector for PrintConnector {
    fn name(&self) -> &'static str {
        "print"
    }

    fn help(&self) -> &'static str {
        "Prints every change of the table as a line such as +I[1, a]."
    }

    fn options(&self) -> Vec<OptionDef> {
        vec![
            OptionDef {
                name: "print-identifier",
                default: None,
                required: false,
                help: "A text before every line, to tell several tables apart: identifier> +I[1, a].",
            },
            OptionDef {
                name: "standard-error",
                default: Some("false"),
                required: false,
                help: "Whether to print to standard error rather than to standard output.",
            },
        ]
    }

    fn can_be_read(&self) -> bool {
        false
    }

    fn source(&self, table: &TableDefinition) -> Result<Arc<dyn SourceSpec>> {
        Err(Error::invalid(format!("table '{}' cannot be read: 'print' is only a sink", table.name)))
    }

    fn sink(&self, table: &TableDefinition) -> Result<Arc<dyn SinkSpec>> {
        Ok(Arc::new(PrintSpec::new(&table.options)?))
    }

    fn infer_schema(&self, _: &TableOptions) -> Result<SchemaRef> {
        Err(Error::invalid("'print' has no columns of its own")
            .with_hint("declare the columns: CREATE TABLE t (a INT, ..) WITH ('connector' = 'print')"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    StandardOutput,
    StandardError,
}

#[derive(Debug)]
pub struct PrintSpec {
    prefix: String,
    destination: Destination,
}

impl PrintSpec {
    /// # Errors
    /// If an option's value is wrong.
    pub fn new(options: &TableOptions) -> Result<Self> {
        let options = Options::new(options);
        let prefix = options.text("print-identifier").filter(|text| !text.is_empty());
        let to_error = options.boolean("standard-error")?.unwrap_or(false);
        Ok(PrintSpec {
            prefix: prefix.map_or_else(String::new, |text| format!("{text}> ")),
            destination: if to_error { Destination::StandardError } else { Destination::StandardOutput },
        })
    }
}

impl SinkSpec for PrintSpec {
    fn name(&self) -> &'static str {
        "print"
    }

    fn detail(&self) -> String {
        match self.destination {
            Destination::StandardOutput => "to standard output".to_owned(),
            Destination::StandardError => "to standard error".to_owned(),
        }
    }

    fn exchange(&self) -> Exchange {
        Exchange::Gather
    }

    fn accept(&self, _: &ChangelogMode) -> Result<()> {
        Ok(())
    }

    fn open(&self, _: &SinkContext) -> Result<Box<dyn Sink>> {
        let prefix = self.prefix.clone();
        Ok(match self.destination {
            Destination::StandardOutput => Box::new(PrintSink::new(prefix, io::stdout(), "standard output")),
            Destination::StandardError => Box::new(PrintSink::new(prefix, io::stderr(), "standard error")),
        })
    }

    fn commit(&self, _: &[Committable]) -> Result<()> {
        Ok(())
    }

    fn abort(&self) {}
}

struct PrintSink<W: Write> {
    prefix: String,
    out: W,
    /// For messages: what `out` is.
    destination: &'static str,
    text: String,
}

impl<W: Write> PrintSink<W> {
    fn new(prefix: String, out: W, destination: &'static str) -> Self {
        PrintSink { prefix, out, destination, text: String::new() }
    }

    fn flush(&mut self) -> Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        // One call takes the stream's lock once, so that lines of others do not come between.
        let written = self.out.write_all(self.text.as_bytes()).and_then(|()| self.out.flush());
        self.text.clear();
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Error::new(
                ErrorKind::ReaderLeft,
                format!("cannot write to {}: its reader has closed it", self.destination),
            ),
            _ => Error::io(format!("cannot write to {}: {}", self.destination, io_reason(&error))),
        })
    }
}

impl<W: Write> Sink for PrintSink<W> {
    fn write(&mut self, batch: ChangelogBatch) -> Result<()> {
        let rows = ChangelogText::new(&batch)?;
        for row in 0..batch.num_rows() {
            self.text.push_str(&self.prefix);
            rows.write(row, &mut self.text);
            self.text.push('\n');
            if self.text.len() >= TEXT_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<()> {
        self.flush()
    }

    fn prepare(&mut self, _: CheckpointId) -> Result<Vec<Committable>> {
        self.flush()?;
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, RecordBatch};
    use corelane_stream::{ErrorKind, RowKind};
    use expect_test::expect;

    use super::*;

    fn batch() -> ChangelogBatch {
        let column: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(1), None]));
        let rows = RecordBatch::try_from_iter([("a", column)]).expect("one column");
        let kinds = [RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter].into_iter().collect();
        ChangelogBatch::new(rows, kinds)
    }

    #[test]
    fn lines_are_kinds_and_values() {
        let mut printed = Vec::new();
        let mut sink = PrintSink::new("t> ".to_owned(), &mut printed, "standard output");
        sink.write(batch()).expect("memory takes all");
        assert_eq!(sink.prepare(CheckpointId::FINAL).expect("memory takes all"), []);
        expect![[r"
            t> +I[1]
            t> -U[1]
            t> +U[NULL]
        "]]
        .assert_eq(&String::from_utf8(printed).expect("text"));
    }

    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_broken_pipe_is_an_error_that_says_so() {
        let mut sink = PrintSink::new(String::new(), ClosedPipe, "standard output");
        sink.write(batch()).expect("it is only buffered");
        let error = sink.idle().expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::ReaderLeft);
        expect!["cannot write to standard output: its reader has closed it"].assert_eq(error.message());
    }
}
