//! A stream's result beside the batch engine's, as multisets of whole rows.
//!
//! Results of millions of rows are compared by a checksum that does not depend on their order. A
//! wrong answer is told with a row that only one side has.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result, ensure};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::array_value_to_string;

use crate::batch_engine;

/// A result as a multiset: how many rows, and the sum of their hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    pub rows: u64,
    hash: u64,
}

/// What DataFusion answers.
pub struct BatchAnswer {
    batches: Vec<RecordBatch>,
}

impl BatchAnswer {
    /// Runs a query over one table.
    ///
    /// # Errors
    /// If DataFusion refuses the query or fails.
    pub fn to(sql: &str, table: &str, batches: &[RecordBatch]) -> Result<BatchAnswer> {
        let schema = batches.first().context("the table is empty")?.schema();
        Ok(BatchAnswer { batches: batch_engine::answer(table, schema, vec![batches.to_vec()], sql)? })
    }

    /// Checks a result; its checksum is for runs whose rows are not looked at one by one.
    ///
    /// # Errors
    /// If a row is missing or one too many: the answer is wrong.
    pub fn check(&self, found: &[RecordBatch], schema: &SchemaRef) -> Result<Checksum> {
        let types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        let (wanted_sum, found_sum) = (checksum(&self.batches, &types)?, checksum(found, &types)?);
        if wanted_sum == found_sum {
            return Ok(found_sum);
        }
        let difference = difference(&self.batches, found, &types)?;
        anyhow::bail!(
            "the answer is wrong: it has {} rows and should have {}; {difference}",
            found_sum.rows,
            wanted_sum.rows
        )
    }
}

fn checksum(batches: &[RecordBatch], types: &[DataType]) -> Result<Checksum> {
    let mut sum = Checksum { rows: 0, hash: 0 };
    each(batches, types, |rows, _| {
        sum.rows += rows.num_rows() as u64;
        sum.hash = rows.iter().fold(sum.hash, |sum, row| sum.wrapping_add(hash(row.as_ref())));
    })?;
    Ok(sum)
}

fn hash(row: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.hash(&mut hasher);
    hasher.finish()
}

/// A row that only one side has, in words.
fn difference(wanted: &[RecordBatch], found: &[RecordBatch], types: &[DataType]) -> Result<String> {
    let mut counts: HashMap<Vec<u8>, i64> = HashMap::new();
    each(wanted, types, |rows, _| rows.iter().for_each(|row| *counts.entry(row.as_ref().to_vec()).or_default() += 1))?;
    let mut extra = None;
    each(found, types, |rows, columns| {
        for (index, row) in rows.iter().enumerate() {
            let count = counts.entry(row.as_ref().to_vec()).or_default();
            *count -= 1;
            if *count < 0 {
                extra.get_or_insert_with(|| text(columns, index));
            }
        }
    })?;
    let mut missing = None;
    each(wanted, types, |rows, columns| {
        let left = |row: &[u8]| counts.get(row).is_some_and(|count| *count > 0);
        if let Some(index) = rows.iter().position(|row| left(row.as_ref())) {
            missing.get_or_insert_with(|| text(columns, index));
        }
    })?;
    let say = |row: Option<String>| row.unwrap_or_else(|| "none".to_owned());
    Ok(format!("missing: {}; too many: {}", say(missing), say(extra)))
}

fn text(columns: &[ArrayRef], row: usize) -> String {
    let values = columns.iter().map(|column| array_value_to_string(column, row).unwrap_or_default());
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// Hands on each batch as bytes that are equal where its rows are, and as columns of the wanted types.
fn each(batches: &[RecordBatch], types: &[DataType], mut visit: impl FnMut(&Rows, &[ArrayRef])) -> Result<()> {
    let converter = RowConverter::new(types.iter().map(|data_type| SortField::new(data_type.clone())).collect())?;
    for batch in batches {
        ensure!(batch.num_columns() == types.len(), "{} columns and not {}", batch.num_columns(), types.len());
        let columns = batch.columns().iter().zip(types).map(|(column, data_type)| cast(column, data_type));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        visit(&converter.convert_columns(&columns)?, &columns);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;
    use std::sync::Arc;

    fn batch(values: &[i64]) -> RecordBatch {
        RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(values.to_vec())) as ArrayRef)]).unwrap()
    }

    fn check(found: &[i64]) -> Result<Checksum> {
        let answer = BatchAnswer::to("SELECT a + 1 FROM t", "t", &[batch(&[1, 2, 2])]).unwrap();
        answer.check(&[batch(found)], &batch(&[]).schema())
    }

    #[test]
    fn order_does_not_matter_but_every_row_does() {
        assert_eq!(check(&[2, 3, 3]).unwrap(), check(&[3, 2, 3]).unwrap());
        let error = check(&[2, 2, 3]).unwrap_err().to_string();
        assert_eq!(error, "the answer is wrong: it has 3 rows and should have 3; missing: [3]; too many: [2]");
        let error = check(&[2, 3]).unwrap_err().to_string();
        assert_eq!(error, "the answer is wrong: it has 2 rows and should have 3; missing: [3]; too many: none");
    }
}
