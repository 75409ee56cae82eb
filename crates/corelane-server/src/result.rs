//! The final result of a query whose rows change: its changelog folded, in an order that does not
//! depend on which worker was faster.

use std::fmt;

use arrow::datatypes::SchemaRef;
use corelane_ops::ChangelogFold;
use corelane_ops::fold::SortedRows;
use corelane_stream::{ChangelogBatch, ChangelogMode, Result};

/// Takes a changelog and gives the rows that are left of it.
pub struct ResultFold {
    fold: ChangelogFold,
}

impl fmt::Debug for ResultFold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ResultFold({} rows)", self.fold.len())
    }
}

impl ResultFold {
    /// # Errors
    /// If a column's type cannot be compared.
    pub fn new(schema: SchemaRef, mode: &ChangelogMode) -> Result<ResultFold> {
        let fold = match mode {
            ChangelogMode::Append | ChangelogMode::Retract => ChangelogFold::new(schema),
            ChangelogMode::Upsert(key) => ChangelogFold::upsert(schema, key.clone())?,
        };
        Ok(ResultFold { fold })
    }

    /// # Errors
    /// If a row is taken away that is not there: a bug of the operator before.
    pub fn push(&mut self, batch: ChangelogBatch) -> Result<()> {
        self.fold.push(batch)
    }

    /// The rows that are left, sorted by their columns from left to right, nulls first: workers
    /// race, so the order in which updates arrived says nothing.
    ///
    /// # Errors
    /// If rows cannot be sorted.
    pub fn finish(self) -> Result<SortedRows> {
        self.fold.finish_sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use corelane_stream::RowKind::{self, Delete, Insert, UpdateAfter, UpdateBefore};
    use std::sync::Arc;

    fn batch(changes: &[(RowKind, &str, i64)]) -> ChangelogBatch {
        let names: ArrayRef = Arc::new(StringArray::from_iter_values(changes.iter().map(|change| change.1)));
        let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(changes.iter().map(|change| change.2)));
        let rows = RecordBatch::try_from_iter([("name", names), ("count", counts)]).unwrap();
        ChangelogBatch::new(rows, changes.iter().map(|change| change.0).collect())
    }

    fn folded(mode: &ChangelogMode, batches: &[ChangelogBatch]) -> Vec<(String, i64)> {
        let mut fold = ResultFold::new(batches[0].schema(), mode).unwrap();
        batches.iter().for_each(|batch| fold.push(batch.clone()).unwrap());
        let rows = |batch: RecordBatch| -> Vec<(String, i64)> {
            let names = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap().clone();
            let counts = batch.column(1).as_any().downcast_ref::<Int64Array>().unwrap().clone();
            (0..batch.num_rows()).map(|row| (names.value(row).to_string(), counts.value(row))).collect()
        };
        fold.finish().unwrap().flat_map(|batch| rows(batch.unwrap())).collect()
    }

    #[test]
    fn the_result_does_not_depend_on_the_order_of_arrival() {
        let one = batch(&[(Insert, "b", 1), (UpdateBefore, "b", 1), (UpdateAfter, "b", 2), (Insert, "c", 7)]);
        let other = batch(&[(Insert, "a", 5), (Delete, "c", 7)]);
        let expected = vec![("a".to_string(), 5), ("b".to_string(), 2)];
        assert_eq!(folded(&ChangelogMode::Retract, &[one, other]), expected);
    }

    #[test]
    fn an_upsert_replaces_by_key() {
        let batches = [batch(&[(Insert, "b", 1), (UpdateAfter, "b", 2), (UpdateAfter, "a", 3), (Delete, "a", 0)])];
        assert_eq!(folded(&ChangelogMode::Upsert(vec![0]), &batches), vec![("b".to_string(), 2)]);
    }

    #[test]
    fn nothing_is_a_result_too() {
        let batches = [batch(&[(Insert, "b", 1), (Delete, "b", 1)])];
        assert_eq!(folded(&ChangelogMode::Retract, &batches), vec![]);
    }
}
