//! `ORDER BY .. LIMIT` over input that ends: rows come out in order, once there are no more.
//!
//! The order is total: equal keys go by the tie columns (the row's position), then by all other
//! columns, so that it never depends on how the rows arrived. With a limit only that many rows
//! are worth keeping, and the buffer is cut back to them whenever it has doubled.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{self, SortColumn, SortOptions};
use arrow::datatypes::SchemaRef;
use corelane_stream::operator::StateWriter;
use corelane_stream::{
    ChangelogBatch, Error, Operator, OperatorContext, OperatorCounters, OperatorSpec, Output, Progress, Result,
    StateBound, Watermark,
};

use crate::fold::ChangelogFold;

/// One key of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    pub column: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

/// Sorts and cuts; its input is gathered on one worker.
#[derive(Clone, Debug)]
pub struct SortLimitSpec {
    pub input: SchemaRef,
    /// Empty for a limit without an order: the first rows by `tie`.
    pub keys: Vec<SortKey>,
    pub limit: Option<u64>,
    pub offset: u64,
    /// Columns that order rows of equal keys: the row's position, ascending.
    pub tie: Vec<usize>,
    /// Rows may be taken away again, so those behind the limit are needed as well.
    pub retracting: bool,
}

impl OperatorSpec for SortLimitSpec {
    fn name(&self) -> &'static str {
        match (self.keys.is_empty(), self.limit.is_some() || 0 < self.offset) {
            (true, _) => "Limit",
            (false, true) => "SortLimit",
            (false, false) => "Sort",
        }
    }

    fn detail(&self) -> String {
        let mut parts = Vec::new();
        if !self.keys.is_empty() {
            let keys: Vec<String> = self.keys.iter().map(|key| Described(key, &self.input).to_string()).collect();
            parts.push(format!("orderBy=[{}]", keys.join(", ")));
        }
        if let Some(limit) = self.limit {
            parts.push(format!("limit={limit}"));
        }
        if 0 < self.offset {
            parts.push(format!("offset={}", self.offset));
        }
        parts.join(", ")
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.input)
    }

    fn state(&self) -> StateBound {
        match self.limit {
            Some(limit) if !self.retracting => {
                StateBound::Bounded(format!("the first {} rows", limit.saturating_add(self.offset)))
            }
            _ => StateBound::Grows("rows of the input".to_owned()),
        }
    }

    fn build(&self, context: &OperatorContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(SortLimit::new(self, context.batch_rows)))
    }
}

struct Described<'a>(&'a SortKey, &'a SchemaRef);

impl fmt::Display for Described<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Described(key, schema) = self;
        out.write_str(schema.field(key.column).name())?;
        out.write_str(if key.descending { " DESC" } else { " ASC" })?;
        out.write_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" })
    }
}

struct SortLimit {
    schema: SchemaRef,
    order: Vec<(usize, SortOptions)>,
    /// Rows that can reach the output: limit and offset.
    keep: Option<usize>,
    /// No row is taken away, so the buffer can be cut back as it fills.
    cuts: bool,
    offset: usize,
    batch_rows: usize,
    fold: ChangelogFold,
    buffered: usize,
    /// The sorted result, from its next row on.
    result: Option<RecordBatch>,
}

impl SortLimit {
    fn new(spec: &SortLimitSpec, batch_rows: usize) -> Self {
        let mut order: Vec<(usize, SortOptions)> = Vec::new();
        let rest = spec.tie.iter().copied().chain(0..spec.input.fields().len());
        let ascending = SortOptions { descending: false, nulls_first: true };
        let keys = spec.keys.iter().map(|key| {
            let options = SortOptions { descending: key.descending, nulls_first: key.nulls_first };
            (key.column, options)
        });
        for (column, options) in keys.chain(rest.map(|column| (column, ascending))) {
            if order.iter().all(|(known, _)| *known != column) {
                order.push((column, options));
            }
        }
        let offset = usize::try_from(spec.offset).unwrap_or(usize::MAX);
        let keep = spec.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(offset));
        SortLimit {
            fold: ChangelogFold::new(Arc::clone(&spec.input)),
            schema: Arc::clone(&spec.input),
            order,
            keep,
            cuts: !spec.retracting,
            offset,
            batch_rows: batch_rows.max(1),
            buffered: 0,
            result: None,
        }
    }

    /// The rows in order, no more than can reach the output.
    fn sorted(&self, batches: &[RecordBatch]) -> Result<RecordBatch> {
        let rows = compute::concat_batches(&self.schema, batches)?;
        if rows.num_rows() > u32::MAX as usize {
            return Err(Error::internal("cannot sort more than 4,294,967,295 rows"));
        }
        let columns: Vec<SortColumn> = self
            .order
            .iter()
            .map(|(column, options)| SortColumn { values: Arc::clone(rows.column(*column)), options: Some(*options) })
            .collect();
        let indices = if columns.is_empty() {
            (0..rows.num_rows().min(self.keep.unwrap_or(usize::MAX)) as u32).collect::<UInt32Array>()
        } else {
            compute::lexsort_to_indices(&columns, self.keep)?
        };
        Ok(compute::take_record_batch(&rows, &indices)?)
    }

    /// Cuts the buffer back to the rows that can reach the output.
    fn cut(&mut self) -> Result<()> {
        let fold = std::mem::replace(&mut self.fold, ChangelogFold::new(Arc::clone(&self.schema)));
        let kept = self.sorted(&fold.finish()?)?;
        self.buffered = kept.num_rows();
        self.fold.push(ChangelogBatch::append(kept))
    }

    fn emit(&mut self, out: &mut dyn Output) -> Progress {
        let Some(rows) = self.result.take() else { return Progress::Done };
        let mut offset = 0;
        while offset < rows.num_rows() {
            if !out.has_room() {
                self.result = Some(rows.slice(offset, rows.num_rows() - offset));
                return Progress::More;
            }
            let length = self.batch_rows.min(rows.num_rows() - offset);
            out.emit(ChangelogBatch::append(rows.slice(offset, length)));
            offset += length;
        }
        Progress::Done
    }
}

impl Operator for SortLimit {
    fn process(&mut self, _port: usize, batch: ChangelogBatch, _out: &mut dyn Output) -> Result<Progress> {
        self.buffered += batch.num_rows();
        let slack = self.batch_rows;
        self.fold.push(batch)?;
        let full = self.keep.is_some_and(|keep| keep.saturating_mul(2).saturating_add(slack) < self.buffered);
        if full && self.cuts {
            self.cut()?;
        }
        Ok(Progress::Done)
    }

    fn advance(&mut self, watermark: Watermark, out: &mut dyn Output) -> Result<Progress> {
        if watermark != Watermark::END {
            return Ok(Progress::Done);
        }
        let fold = std::mem::replace(&mut self.fold, ChangelogFold::new(Arc::clone(&self.schema)));
        self.buffered = 0;
        let rows = self.sorted(&fold.finish()?)?;
        let skipped = self.offset.min(rows.num_rows());
        self.result = Some(rows.slice(skipped, rows.num_rows() - skipped));
        Ok(self.emit(out))
    }

    fn resume(&mut self, out: &mut dyn Output) -> Result<Progress> {
        Ok(self.emit(out))
    }

    fn snapshot(&mut self, state: &mut dyn StateWriter) -> Result<Progress> {
        for rows in self.fold.rows()? {
            state.write(PART, ChangelogBatch::append(rows))?;
        }
        Ok(Progress::Done)
    }

    fn restore(&mut self, part: &str, state: ChangelogBatch) -> Result<()> {
        if part != PART {
            return Err(Error::internal(format!("a sort has no state called {part:?}")));
        }
        self.buffered += state.num_rows();
        self.fold.push(state)
    }

    fn counters(&self) -> OperatorCounters {
        OperatorCounters {
            state_keys: self.fold.len() as u64,
            state_bytes: self.fold.bytes() as u64,
            ..Default::default()
        }
    }
}

/// The one part of a snapshot: the rows so far.
const PART: &str = "rows";

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Narrow, Pieces, batch, context, rows_of, schema, text};

    fn spec(keys: &[(usize, bool)], limit: Option<u64>, offset: u64, tie: &[usize]) -> SortLimitSpec {
        let keys = keys.iter().map(|(column, descending)| SortKey {
            column: *column,
            descending: *descending,
            nulls_first: !descending,
        });
        SortLimitSpec {
            input: schema("k STRING, v BIGINT, p BIGINT"),
            keys: keys.collect(),
            limit,
            offset,
            tie: tie.to_vec(),
            retracting: false,
        }
    }

    fn run(spec: &SortLimitSpec, batches: &[String], batch_rows: usize) -> Vec<ChangelogBatch> {
        let (context, _) = context(batch_rows);
        let mut operator = spec.build(&context).unwrap();
        let mut out = Narrow::default();
        for (index, rows) in batches.iter().enumerate() {
            let progress = operator.process(0, batch(&spec.input, rows), &mut out).unwrap();
            out.drain(operator.as_mut(), progress).unwrap();
            if index % 2 == 1 {
                let pieces = Pieces::of(operator.as_mut()).unwrap();
                operator = spec.build(&context).unwrap();
                pieces.restore(operator.as_mut()).unwrap();
            }
        }
        let progress = operator.advance(Watermark(5), &mut out).unwrap();
        out.drain(operator.as_mut(), progress).unwrap();
        assert!(out.batches.is_empty(), "nothing comes out before the end");
        let progress = operator.advance(Watermark::END, &mut out).unwrap();
        out.drain(operator.as_mut(), progress).unwrap();
        out.batches
    }

    fn check(spec: &SortLimitSpec, batches: &[&str], expected: Expect) {
        let batches: Vec<String> = batches.iter().map(ToString::to_string).collect();
        expected.assert_eq(&text(&run(spec, &batches, 2)));
    }

    #[test]
    fn rows_come_out_in_order_and_ties_by_position() {
        check(
            &spec(&[(0, false)], None, 0, &[2]),
            &["+I[b, 1, 9] +I[a, 5, 7]", "+I[null, 0, 8] +I[b, 2, 1]", "+I[a, 4, 3]"],
            expect!["+I[null, 0, 8] +I[a, 4, 3] +I[a, 5, 7] +I[b, 2, 1] +I[b, 1, 9]"],
        );
        check(
            &spec(&[(1, true)], Some(2), 1, &[2]),
            &["+I[b, 1, 9] +I[a, 5, 7]", "+I[c, null, 8] +I[b, 2, 1]", "+I[a, 4, 3]"],
            expect!["+I[a, 4, 3] +I[b, 2, 1]"],
        );
    }

    #[test]
    fn a_limit_alone_takes_the_first_by_position() {
        check(
            &spec(&[], Some(2), 0, &[2]),
            &["+I[b, 1, 9] +I[a, 5, 7] +I[c, 0, 8]", "+I[b, 2, 1]"],
            expect!["+I[b, 2, 1] +I[a, 5, 7]"],
        );
    }

    #[test]
    fn what_was_retracted_is_not_sorted() {
        check(
            &SortLimitSpec { retracting: true, ..spec(&[(1, false)], Some(2), 0, &[]) },
            &["+I[a, 1, 0] +I[b, 2, 0]", "-U[a, 1, 0] +U[a, 9, 0] +I[c, 3, 0]", "-D[c, 3, 0]"],
            expect!["+I[b, 2, 0] +I[a, 9, 0]"],
        );
    }

    #[test]
    fn rows_behind_the_limit_can_still_be_retracted() {
        check(
            &SortLimitSpec { retracting: true, ..spec(&[(1, false)], Some(1), 0, &[]) },
            &["+I[a, 1, 0] +I[b, 2, 0] +I[c, 3, 0] +I[d, 4, 0] +I[e, 5, 0]", "-D[e, 5, 0] -D[a, 1, 0]"],
            expect!["+I[b, 2, 0]"],
        );
    }

    #[test]
    fn an_offset_past_the_end_leaves_nothing() {
        check(&spec(&[(1, false)], Some(u64::MAX), u64::MAX, &[]), &["+I[a, 1, 0]"], expect![""]);
        check(&spec(&[(1, false)], Some(0), 0, &[]), &["+I[a, 1, 0] +I[a, 1, 0]", "+I[b, 0, 0]"], expect![""]);
    }

    proptest! {
        #[test]
        fn sorting_is_sorting(
            rows in prop::collection::vec((0u8..5, 0u8..5), 0..60),
            cut in 1usize..9,
            limit in prop::option::of(0u64..8),
            offset in 0u64..4,
        ) {
            let lines: Vec<String> =
                rows.iter().enumerate().map(|(position, (k, v))| format!("+I[{k}, {v}, {position}]")).collect();
            let batches: Vec<String> = lines.chunks(cut).map(|chunk| chunk.join(" ")).collect();
            let spec = spec(&[(1, true), (0, false)], limit, offset, &[2]);
            let found: Vec<String> = rows_of(&run(&spec, &batches, 3)).into_iter().map(|(_, row)| row).collect();
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_key(|row| (std::cmp::Reverse(rows[*row].1), rows[*row].0, *row));
            let expected = order.iter().map(|row| format!("{}, {}, {row}", rows[*row].0, rows[*row].1));
            let expected: Vec<String> =
                expected.skip(offset as usize).take(limit.unwrap_or(u64::MAX) as usize).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
