//! Every change as it comes, one a line: `+I[a, 1]`.

use corelane_server::text::ChangelogText;
use corelane_server::{ChangelogBatch, Result};

use super::Printer;

#[derive(Debug)]
pub struct Changelog;

impl Printer for Changelog {
    fn begin(&mut self, _out: &mut String) {}

    fn rows(&mut self, batch: &ChangelogBatch, out: &mut String) -> Result<()> {
        let text = ChangelogText::new(batch)?;
        for row in 0..batch.num_rows() {
            text.write(row, out);
            out.push('\n');
        }
        Ok(())
    }

    fn end(&mut self, _out: &mut String) -> Result<()> {
        Ok(())
    }
}
