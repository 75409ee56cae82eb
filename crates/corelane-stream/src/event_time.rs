//! The times of rows as event time knows them: whole milliseconds since the epoch.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute;
use arrow::datatypes::{
    ArrowTimestampType, DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

use crate::error::{Error, Result};

const NANOS_PER_MS: i128 = 1_000_000;

/// The least and the largest time of a column; down to the millisecond, because a watermark must
/// not promise a millisecond of which a part is yet to come. `None` if no row has a time.
///
/// # Errors
/// If it is not a column of timestamps.
pub fn extremes_ms(times: &ArrayRef) -> Result<Option<(i64, i64)>> {
    Ok(match times.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => extremes_of::<TimestampSecondType>(times, 1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => extremes_of::<TimestampMillisecondType>(times, 1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => extremes_of::<TimestampMicrosecondType>(times, 1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => extremes_of::<TimestampNanosecondType>(times, 1),
        other => return Err(Error::internal(format!("event time must be a timestamp, not {other}"))),
    })
}

fn extremes_of<T: ArrowTimestampType>(times: &ArrayRef, unit_ns: i128) -> Option<(i64, i64)> {
    let times: &PrimitiveArray<T> = times.as_primitive();
    let ms = |time: i64| {
        let ms = (i128::from(time) * unit_ns).div_euclid(NANOS_PER_MS);
        ms.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    };
    let (least, greatest) = match times.null_count() {
        0 => extent(times.values())?,
        _ => (compute::min(times)?, compute::max(times)?),
    };
    Some((ms(least), ms(greatest)))
}

/// The least and the greatest number, in lanes: so no comparison waits for the one before it.
fn extent(numbers: &[i64]) -> Option<(i64, i64)> {
    const LANES: usize = 4;
    let first = *numbers.first()?;
    let (mut least, mut greatest) = ([first; LANES], [first; LANES]);
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            least[lane] = least[lane].min(chunk[lane]);
            greatest[lane] = greatest[lane].max(chunk[lane]);
        }
    }
    let least = least.iter().chain(rest).min()?;
    Some((*least, *greatest.iter().chain(rest).max()?))
}
