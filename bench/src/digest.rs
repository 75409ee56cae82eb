//! What the rows of a result add up to, column by column.
//!
//! A result of millions of rows cannot be kept while it is measured. So the sink reads every
//! value, as a real one would, and adds it up; a row that is taken away again is subtracted. What
//! is left must be what a batch engine's rows add up to. A digest does not see values that
//! changed rows: that is what the comparison row by row is for, on fewer rows.

use std::fmt;

use anyhow::{Result, ensure};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use corelane_stream::{ChangelogBatch, RowKinds};

use crate::gathered::Gather;

/// How far sums of doubles may be apart, relative to the sum of their sizes.
const RELATIVE_ERROR_MAX: f64 = 1e-9;

#[derive(Clone, Debug, Default)]
pub struct Digest {
    rows: i64,
    columns: Vec<Total>,
    /// Batches that could not be added up, told at the end: a sink of a benchmark does not fail.
    refused: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Total {
    /// Whole numbers and times by value, texts by a hash; wrapping.
    Whole(i64),
    /// Doubles, and the sum of their sizes, to which an error is relative.
    Double { sum: f64, size: f64 },
}

impl Digest {
    /// # Errors
    /// If a column has a type that is not known here.
    pub fn of(batches: &[RecordBatch]) -> Result<Digest> {
        let mut digest = Digest::default();
        batches.iter().try_for_each(|batch| digest.add(batch, None))?;
        Ok(digest)
    }

    fn add(&mut self, batch: &RecordBatch, kinds: Option<&RowKinds>) -> Result<()> {
        let signs: Option<Vec<i8>> =
            kinds.map(|kinds| kinds.iter().map(|kind| if kind.is_addition() { 1 } else { -1 }).collect());
        let signs = signs.as_deref();
        self.rows += signs.map_or(batch.num_rows() as i64, |signs| signs.iter().map(|sign| i64::from(*sign)).sum());
        for (index, column) in batch.columns().iter().enumerate() {
            ensure!(column.null_count() == 0, "column {index} has a null");
            let total = match column.data_type() {
                DataType::Float64 => doubles(column.as_primitive::<Float64Type>().values(), signs),
                DataType::Utf8View => texts(column.as_string_view().views(), signs)?,
                DataType::Utf8 | DataType::LargeUtf8 => {
                    texts(cast(column, &DataType::Utf8View)?.as_string_view().views(), signs)?
                }
                DataType::Timestamp(_, _) => {
                    let times = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
                    whole(times.as_primitive::<TimestampMillisecondType>().values(), signs)
                }
                _ => {
                    let numbers = cast(column, &DataType::Int64)?;
                    whole(numbers.as_primitive::<Int64Type>().values(), signs)
                }
            };
            match self.columns.get_mut(index) {
                Some(sum) => *sum = sum.plus(total),
                None => self.columns.push(total),
            }
        }
        Ok(())
    }

    /// What the same rows add up to that came this many times.
    pub fn times(&self, times: u64) -> Digest {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        Digest { rows: self.rows * times as i64, ..self.columns_times(&all, times) }
    }

    /// What the same rows add up to with the values of these columns so many times as large.
    pub fn columns_times(&self, columns: &[usize], times: u64) -> Digest {
        let mut scaled = self.clone();
        for column in columns {
            scaled.columns[*column] = match self.columns[*column] {
                Total::Whole(sum) => Total::Whole(sum.wrapping_mul(times as i64)),
                Total::Double { sum, size } => Total::Double { sum: sum * times as f64, size: size * times as f64 },
            };
        }
        scaled
    }

    /// A digest that is wrong by one row, to see that the check sees it.
    pub fn falsified(mut self) -> Digest {
        self.rows += 1;
        self
    }

    /// # Errors
    /// Says what differs from the right result.
    pub fn check(&self, right: &Digest) -> Result<()> {
        if let Some(why) = &self.refused {
            anyhow::bail!("the answer cannot be read: {why}");
        }
        let (rows, expected) = (self.rows, right.rows);
        ensure!(rows == expected, "the answer is wrong: it has {rows} rows, not {expected}");
        // No rows, no batches: then no column was seen.
        ensure!(rows == 0 || self.columns.len() == right.columns.len(), "the answer is wrong: {self} is not {right}");
        for (index, (found, expected)) in self.columns.iter().zip(&right.columns).enumerate() {
            let column = index + 1;
            ensure!(found.agrees(*expected), "the answer is wrong: column {column} adds up to {found}, not {expected}");
        }
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} rows", self.rows)?;
        self.columns.iter().try_for_each(|total| write!(out, ", {total}"))
    }
}

impl fmt::Display for Total {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Total::Whole(sum) => write!(out, "{sum}"),
            Total::Double { sum, .. } => write!(out, "{sum}"),
        }
    }
}

impl Total {
    fn plus(self, other: Total) -> Total {
        match (self, other) {
            (Total::Whole(one), Total::Whole(two)) => Total::Whole(one.wrapping_add(two)),
            (Total::Double { sum, size }, Total::Double { sum: more, size: larger }) => {
                Total::Double { sum: sum + more, size: size + larger }
            }
            // Only a batch of another schema gets here; such sums agree with nothing.
            (Total::Whole(_), Total::Double { .. }) | (Total::Double { .. }, Total::Whole(_)) => {
                Total::Double { sum: f64::NAN, size: f64::NAN }
            }
        }
    }

    fn agrees(self, right: Total) -> bool {
        match (self, right) {
            (Total::Whole(one), Total::Whole(two)) => one == two,
            // The size of the right result: updates that were taken back are not in it.
            (Total::Double { sum, .. }, Total::Double { sum: right, size }) => {
                (sum - right).abs() <= size * RELATIVE_ERROR_MAX
            }
            (Total::Whole(_), Total::Double { .. }) | (Total::Double { .. }, Total::Whole(_)) => false,
        }
    }
}

impl Gather for Digest {
    fn take(&mut self, batch: ChangelogBatch) {
        if let Err(error) = self.add(batch.rows(), batch.kinds()) {
            self.refused.get_or_insert(format!("{error:#}"));
        }
    }

    fn merge(&mut self, other: Digest) {
        self.rows += other.rows;
        self.refused = self.refused.take().or(other.refused);
        if self.columns.is_empty() {
            self.columns = other.columns;
        } else {
            self.columns.iter_mut().zip(other.columns).for_each(|(sum, total)| *sum = sum.plus(total));
        }
    }
}

fn whole(values: &[i64], signs: Option<&[i8]>) -> Total {
    Total::Whole(match signs {
        None => values.iter().fold(0, |sum, value| sum.wrapping_add(*value)),
        Some(signs) => values
            .iter()
            .zip(signs)
            .fold(0, |sum, (value, sign)| sum.wrapping_add(value.wrapping_mul(i64::from(*sign)))),
    })
}

/// Sums that do not wait for each other: an addition of doubles takes several cycles.
const LANES: usize = 8;

fn doubles(values: &[f64], signs: Option<&[i8]>) -> Total {
    let mut sums = [0.0; LANES];
    let mut sizes = [0.0; LANES];
    let mut add = |lane: usize, value: f64| {
        sums[lane] += value;
        sizes[lane] += value.abs();
    };
    match signs {
        None => {
            let (chunks, rest) = values.as_chunks::<LANES>();
            chunks.iter().for_each(|chunk| (0..LANES).for_each(|lane| add(lane, chunk[lane])));
            rest.iter().for_each(|value| add(0, *value));
        }
        Some(signs) => {
            values.iter().zip(signs).enumerate().for_each(|(row, (value, sign))| {
                add(row % LANES, value * f64::from(*sign));
            });
        }
    }
    Total::Double { sum: sums.iter().sum(), size: sizes.iter().sum() }
}

/// An inline text is in its view as a whole; longer ones are not used in benchmarks.
fn texts(views: &[u128], signs: Option<&[i8]>) -> Result<Total> {
    const INLINE_BYTES_MAX: u32 = 12;
    // An odd factor from the golden ratio, so that no two bytes weigh the same.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sum = 0u64;
    let mut longest = 0;
    for (row, view) in views.iter().enumerate() {
        longest = longest.max(*view as u32);
        let mixed = (*view as u64 ^ ((*view >> 64) as u64).rotate_left(29)).wrapping_mul(FACTOR);
        let sign = signs.map_or(1, |signs| i64::from(signs[row]));
        sum = sum.wrapping_add((mixed ^ (mixed >> 32)).wrapping_mul(sign as u64));
    }
    ensure!(longest <= INLINE_BYTES_MAX, "a text has {longest} bytes, more than {INLINE_BYTES_MAX}");
    Ok(Total::Whole(sum as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, StringViewArray};
    use corelane_stream::RowKind::{self, Insert, UpdateAfter, UpdateBefore};
    use std::sync::Arc;

    fn batch(rows: &[(&str, i64, f64)]) -> RecordBatch {
        let columns: [(&str, ArrayRef); 3] = [
            ("text", Arc::new(StringViewArray::from_iter_values(rows.iter().map(|row| row.0)))),
            ("whole", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)))),
            ("double", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.2)))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn changes(rows: &[(RowKind, (&str, i64, f64))]) -> Digest {
        let values: Vec<_> = rows.iter().map(|row| row.1).collect();
        let mut digest = Digest::default();
        digest.take(ChangelogBatch::new(batch(&values), rows.iter().map(|row| row.0).collect()));
        digest
    }

    #[test]
    fn updates_leave_the_last_row() {
        let right = Digest::of(&[batch(&[("a", 2, 0.3), ("b", 5, 0.5)])]).unwrap();
        let mut found = changes(&[(Insert, ("b", 5, 0.5)), (Insert, ("a", 1, 0.1))]);
        found.merge(changes(&[(UpdateBefore, ("a", 1, 0.1)), (UpdateAfter, ("a", 2, 0.3))]));
        found.check(&right).unwrap();
    }

    #[test]
    fn every_wrong_value_is_seen() {
        let right = Digest::of(&[batch(&[("a", 1, 1.0), ("b", 2, 2.0)])]).unwrap();
        for wrong in [("b", 2, 2.1), ("b", 3, 2.0), ("c", 2, 2.0)] {
            let found = Digest::of(&[batch(&[("a", 1, 1.0), wrong])]).unwrap();
            assert!(found.check(&right).is_err(), "{wrong:?}");
        }
        let told = Digest::of(&[batch(&[("a", 1, 1.0)])]).unwrap().check(&right).unwrap_err().to_string();
        assert_eq!(told, "the answer is wrong: it has 1 rows, not 2");
        right.clone().check(&right).unwrap();
        assert!(right.clone().falsified().check(&right).is_err());
    }

    #[test]
    fn rows_that_come_several_times() {
        let rows = [("a", 1, 1.5), ("bc", -2, 2.0)];
        let thrice: Vec<_> = (0..3).map(|_| batch(&rows)).collect();
        Digest::of(&thrice).unwrap().check(&Digest::of(&[batch(&rows)]).unwrap().times(3)).unwrap();
    }

    #[test]
    fn texts_count_alike_in_both_layouts() {
        let values = ["", "T00001", "twelve_bytes"];
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(values));
        let plain: ArrayRef = Arc::new(StringArray::from_iter_values(values));
        let digest = |column| Digest::of(&[RecordBatch::try_from_iter([("text", column)]).unwrap()]).unwrap();
        digest(views).check(&digest(plain)).unwrap();
        let long: ArrayRef = Arc::new(StringViewArray::from_iter_values(["thirteen_byte"]));
        assert!(Digest::of(&[RecordBatch::try_from_iter([("text", long)]).unwrap()]).is_err());
    }
}
