//! Answers, and whether one is right.
//!
//! Counts, sums of whole numbers, least and greatest are compared exactly: a double holds them.
//! Sums and means of doubles may differ in the last places, because the check adds them up in
//! another order and rounds each time.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit};
use arrow::util::display::array_value_to_string;

/// How far a sum of doubles may be off, relative to its size.
const RELATIVE_ERROR_MAX: f64 = 1e-9;

/// The columns that name a row of a result.
pub type Key = Vec<String>;

#[derive(Clone, Copy, Debug)]
pub enum Expected {
    Exact(f64),
    Near(f64),
}

impl Expected {
    fn admits(self, found: f64) -> bool {
        match self {
            Expected::Exact(expected) => expected == found,
            Expected::Near(expected) => (expected - found).abs() <= expected.abs() * RELATIVE_ERROR_MAX,
        }
    }
}

/// What a query must give.
#[derive(Debug, Default)]
pub struct Answer(pub BTreeMap<Key, Vec<Expected>>);

impl Answer {
    /// What another engine gave, whose first `keys` columns name its rows: doubles near, all else exact.
    ///
    /// # Errors
    /// If it has a null or two rows of one name.
    pub fn of(result: &[RecordBatch], keys: usize) -> Result<Answer> {
        let Some(first) = result.first() else { return Ok(Answer::default()) };
        let doubles: Vec<bool> =
            first.columns()[keys..].iter().map(|column| column.data_type() == &DataType::Float64).collect();
        let expected = |values: Vec<f64>| -> Vec<Expected> {
            let pairs = values.into_iter().zip(&doubles);
            pairs.map(|(value, double)| if *double { Expected::Near(value) } else { Expected::Exact(value) }).collect()
        };
        Ok(Answer(read(result, keys)?.into_iter().map(|(key, values)| (key, expected(values))).collect()))
    }

    /// Checks a result whose first `keys` columns name its rows.
    ///
    /// # Errors
    /// Names the first row that is wrong, missing or one too many.
    pub fn check(&self, result: &[RecordBatch], keys: usize) -> Result<()> {
        self.check_rows(&read(result, keys)?)
    }

    /// Checks a result by the columns that name its rows.
    ///
    /// # Errors
    /// As for `check`.
    pub fn check_rows(&self, found: &BTreeMap<Key, Vec<f64>>) -> Result<()> {
        for (key, expected) in &self.0 {
            let Some(values) = found.get(key) else { bail!("the answer is wrong: {key:?} is missing") };
            let right = expected.len() == values.len()
                && expected.iter().zip(values).all(|(expected, value)| expected.admits(*value));
            ensure!(right, "the answer is wrong: {key:?} is {values:?}, not {expected:?}");
        }
        match found.keys().find(|key| !self.0.contains_key(*key)) {
            Some(key) => bail!("the answer is wrong: {key:?} should not be there"),
            None => Ok(()),
        }
    }
}

fn read(batches: &[RecordBatch], keys: usize) -> Result<BTreeMap<Key, Vec<f64>>> {
    let mut rows = BTreeMap::new();
    for batch in batches {
        let (key_columns, value_columns) = batch.columns().split_at(keys);
        // Times as milliseconds, so that no format and no unit matters.
        let plain = |column: &ArrayRef| match column.data_type() {
            DataType::Timestamp(_, _) => cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None))
                .and_then(|times| cast(&times, &DataType::Int64)),
            _ => Ok(column.clone()),
        };
        let key_columns = key_columns.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
        let values = value_columns.iter().map(|column| cast(&plain(column)?, &DataType::Float64));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let key = key_columns.iter().map(|column| array_value_to_string(column, row));
            let key = key.collect::<Result<Key, _>>()?;
            ensure!(values.iter().all(|column| column.is_valid(row)), "the answer is wrong: {key:?} has a null");
            let values = values.iter().map(|column| column.as_primitive::<Float64Type>().value(row)).collect();
            if rows.insert(key.clone(), values).is_some() {
                bail!("the answer is wrong: it has {key:?} twice");
            }
        }
    }
    Ok(rows)
}
