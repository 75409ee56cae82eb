//! Two columns as one, a row of each in turn: results before and after, as updates have them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringViewArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use arrow::downcast_primitive_array;
use corelane_stream::Result;

/// `first[0], second[0], first[1], second[1], ..`; both have one type and length. Numbers and
/// short strings are copied in one pass, without a place to look up for each value.
///
/// # Errors
/// If arrow refuses the columns.
pub fn alternate(first: &ArrayRef, second: &ArrayRef) -> Result<ArrayRef> {
    assert_eq!(first.len(), second.len(), "each row of one has its row of the other");
    let (one, other) = (first.as_ref(), second.as_ref());
    downcast_primitive_array!(
        (one, other) => Ok(Arc::new(alternate_numbers(one, other))),
        (DataType::Utf8View, DataType::Utf8View) => alternate_strings(first, second),
        _ => alternate_any(first, second),
    )
}

fn alternate_numbers<T: ArrowPrimitiveType>(one: &PrimitiveArray<T>, other: &PrimitiveArray<T>) -> PrimitiveArray<T> {
    let values = ScalarBuffer::from(in_turn(one.values(), other.values()));
    PrimitiveArray::new(values, nulls_in_turn(one, other)).with_data_type(one.data_type().clone())
}

fn alternate_strings(first: &ArrayRef, second: &ArrayRef) -> Result<ArrayRef> {
    let (one, other) = (first.as_string_view(), second.as_string_view());
    if !one.data_buffers().is_empty() || !other.data_buffers().is_empty() {
        return alternate_any(first, second);
    }
    let views = ScalarBuffer::from(in_turn(one.views(), other.views()));
    // SAFETY: every view is one of a valid array and holds its string in itself.
    Ok(Arc::new(unsafe { StringViewArray::new_unchecked(views, Arc::from([]), nulls_in_turn(one, other)) }))
}

fn alternate_any(first: &ArrayRef, second: &ArrayRef) -> Result<ArrayRef> {
    let places: Vec<(usize, usize)> = (0..first.len()).flat_map(|row| [(0, row), (1, row)]).collect();
    Ok(interleave(&[first, second], &places)?)
}

fn in_turn<N: Copy>(one: &[N], other: &[N]) -> Vec<N> {
    let pairs: Vec<[N; 2]> = one.iter().zip(other).map(|(one, other)| [*one, *other]).collect();
    pairs.into_flattened()
}

fn nulls_in_turn(one: &dyn Array, other: &dyn Array) -> Option<NullBuffer> {
    if one.null_count() + other.null_count() == 0 {
        return None;
    }
    Some((0..one.len()).flat_map(|row| [one.is_valid(row), other.is_valid(row)]).collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use corelane_stream::ChangelogBatch;

    use super::*;
    use crate::testing::{batch, schema, text};

    #[test]
    fn rows_come_in_turn() {
        let schema = schema("n BIGINT, x DOUBLE, s STRING, b BOOLEAN");
        let one = batch(&schema, "+I[1, 0.5, a, true] +I[null, 1.5, a name that is long, null]");
        let other = batch(&schema, "+I[2, null, null, false] +I[3, 2.5, b, true]");
        let columns = one.rows().columns().iter().zip(other.rows().columns());
        let columns = columns.map(|(one, other)| alternate(one, other).unwrap()).collect();
        let rows = RecordBatch::try_new(schema, columns).unwrap();
        assert_eq!(
            text(&[ChangelogBatch::append(rows)]),
            "+I[1, 0.5, a, true] +I[2, null, null, false] +I[null, 1.5, a name that is long, null] +I[3, 2.5, b, true]"
        );
    }
}
