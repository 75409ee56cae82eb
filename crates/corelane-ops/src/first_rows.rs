//! The first rows of each worker, in front of a `LIMIT` without an order.
//!
//! A worker reads its splits in the order of their positions, so what `LIMIT n` keeps is among the
//! first `n` rows of each. With those out it has enough, and the source can end.

use arrow::datatypes::SchemaRef;
use corelane_stream::operator::StateWriter;
use corelane_stream::{ChangelogBatch, Operator, OperatorContext, OperatorSpec, Output, Progress, Result, StateBound};

/// Rows that only append, straight from a source; they keep their columns.
#[derive(Clone, Debug)]
pub struct FirstRowsSpec {
    pub input: SchemaRef,
    /// Of each worker.
    pub rows: u64,
}

impl OperatorSpec for FirstRowsSpec {
    fn name(&self) -> &'static str {
        "FirstRows"
    }

    fn detail(&self) -> String {
        format!("{} of each worker", self.rows)
    }

    fn schema(&self) -> SchemaRef {
        self.input.clone()
    }

    fn state(&self) -> StateBound {
        StateBound::Stateless
    }

    fn build(&self, _context: &OperatorContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(FirstRows { left: usize::try_from(self.rows).unwrap_or(usize::MAX) }))
    }
}

struct FirstRows {
    left: usize,
}

impl Operator for FirstRows {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, out: &mut dyn Output) -> Result<Progress> {
        let rows = self.left.min(batch.num_rows());
        self.left -= rows;
        if rows > 0 {
            out.emit(ChangelogBatch::append(batch.rows().slice(0, rows)));
        }
        Ok(Progress::Done)
    }

    fn has_enough(&self) -> bool {
        self.left == 0
    }

    /// Nothing is kept: letting more rows through than needed changes no answer.
    fn snapshot(&mut self, _state: &mut dyn StateWriter) -> Result<Progress> {
        Ok(Progress::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Narrow, batch, context, schema, text};

    #[test]
    fn what_comes_behind_is_dropped() {
        let schema = schema("v BIGINT");
        let mut operator = FirstRowsSpec { input: schema.clone(), rows: 3 }.build(&context(9).0).unwrap();
        let mut out = Narrow::default();
        for (rows, enough) in [("+I[1] +I[2]", false), ("+I[3] +I[4]", true), ("+I[5]", true)] {
            assert_eq!(operator.process(0, batch(&schema, rows), &mut out).unwrap(), Progress::Done);
            assert_eq!(operator.has_enough(), enough);
        }
        assert_eq!(text(&out.batches), "+I[1] +I[2] +I[3]");
    }
}
