//! Casts between instants (TIMESTAMP_LTZ) and what a wall clock shows: TIMESTAMP, DATE, TIME, text.
//!
//! Arrow's kernel takes the wall clock to be at UTC; here it is in the session's zone. Casts of
//! timestamps to fewer digits are here as well: Arrow rounds those before 1970 up.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use chrono::DateTime;
use corelane_ops::{WallClock, Zone};
use datafusion_common::{Result, internal_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeCast {
    wanted: DataType,
    zone: Option<Zone>,
    /// TRY_CAST: what cannot be cast is NULL.
    safe: bool,
    signature: Signature,
}

/// True if Arrow's kernel would not do.
pub(super) fn passes_time(given: &DataType, wanted: &DataType, zone: Option<Zone>) -> bool {
    use DataType::{Date32, Time32, Timestamp, Utf8, Utf8View};
    match (given, wanted) {
        (Timestamp(from, one), Timestamp(to, other)) => {
            per_second(*to) < per_second(*from) || (zone.is_some() && one.is_some() != other.is_some())
        }
        (Timestamp(_, Some(_)), Date32 | Time32(_)) | (Date32 | Time32(_) | Utf8 | Utf8View, Timestamp(_, Some(_))) => {
            zone.is_some()
        }
        _ => false,
    }
}

/// The function that casts times to a type.
pub(super) fn time_cast(wanted: &DataType, zone: Option<Zone>, safe: bool) -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::from(TimeCast { wanted: wanted.clone(), zone, safe, signature }))
}

impl ScalarUDFImpl for TimeCast {
    fn name(&self) -> &str {
        "cast_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.wanted.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let times = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [times] = times.as_slice() else { return internal_err!("a time is cast by itself") };
        Ok(ColumnarValue::Array(self.cast(times)?))
    }
}

impl TimeCast {
    fn cast(&self, times: &ArrayRef) -> Result<ArrayRef> {
        let is_instant = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(_)));
        let (from, to) = (is_instant(times.data_type()), is_instant(&self.wanted));
        let passed = self.zone.filter(|_| from != to);
        let shown = match passed {
            Some(zone) if from => shown_in(zone, times)?,
            _ => Arc::clone(times),
        };
        let plain = match &self.wanted {
            DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, None),
            other => other.clone(),
        };
        let cast = match (shown.data_type(), &plain) {
            (DataType::Timestamp(_, _), DataType::Timestamp(unit, None)) => {
                let from = timestamp_unit(shown.data_type())?;
                self.rescaled(&shown, from, *unit)?
            }
            _ => cast_with_options(&shown, &plain, &CastOptions { safe: self.safe, ..Default::default() })?,
        };
        let cast = match passed {
            Some(zone) if to => instants_in(zone, &cast, times)?,
            _ => cast,
        };
        // Only the name of the zone is new.
        Ok(cast_with_options(&cast, &self.wanted, &CastOptions { safe: self.safe, ..Default::default() })?)
    }

    /// The same times in another unit, those that are finer cut off.
    fn rescaled(&self, times: &ArrayRef, from: TimeUnit, to: TimeUnit) -> Result<ArrayRef> {
        let (from, to_scale) = (per_second(from), per_second(to));
        let unnamed = arrow::compute::cast(times, &DataType::Int64)?;
        if to_scale < from {
            let divisor = from / to_scale;
            let cut = unnamed.as_primitive::<Int64Type>().unary::<_, Int64Type>(|time| time.div_euclid(divisor));
            return Ok(arrow::compute::cast(&cut, &DataType::Timestamp(to, None))?);
        }
        let options = CastOptions { safe: self.safe, ..Default::default() };
        Ok(cast_with_options(times, &DataType::Timestamp(to, None), &options)?)
    }
}

fn timestamp_unit(data_type: &DataType) -> Result<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, _) => Ok(*unit),
        other => internal_err!("{other} is no timestamp"),
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// What the wall clock of a zone shows at instants.
fn shown_in(zone: Zone, times: &ArrayRef) -> Result<ArrayRef> {
    let mut clock = WallClock::new(zone);
    moved(times, &mut |_, ms| clock.local_ms(ms) - ms)
}

/// The instants at which the wall clock of a zone shows times. Texts may name a zone of their own.
fn instants_in(zone: Zone, times: &ArrayRef, written: &ArrayRef) -> Result<ArrayRef> {
    let names_zone: Vec<bool> = match written.data_type() {
        DataType::Utf8View => written.as_string_view().iter().map(|text| text.is_some_and(has_zone)).collect(),
        DataType::Utf8 => written.as_string::<i32>().iter().map(|text| text.is_some_and(has_zone)).collect(),
        _ => Vec::new(),
    };
    moved(times, &mut |row, ms| {
        if names_zone.get(row).copied().unwrap_or(false) {
            return 0;
        }
        DateTime::from_timestamp_millis(ms).map_or(0, |time| zone.utc_ms(time.naive_utc()) - ms)
    })
}

/// True for `2024-03-01T00:00:00Z` and `2024-03-01 00:00:00+02:00`.
fn has_zone(text: &str) -> bool {
    let after_date = text.trim().get(10..).unwrap_or_default();
    after_date.bytes().skip(1).any(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'+' | b'-'))
}

/// Timestamps moved by milliseconds that depend on the time, in milliseconds.
fn moved(times: &ArrayRef, by: &mut dyn FnMut(usize, i64) -> i64) -> Result<ArrayRef> {
    Ok(match timestamp_unit(times.data_type())? {
        TimeUnit::Second => {
            moved_as::<TimestampSecondType>(times, by, |time| time.saturating_mul(1_000), |ms| ms / 1_000)
        }
        TimeUnit::Millisecond => moved_as::<TimestampMillisecondType>(times, by, |time| time, |ms| ms),
        TimeUnit::Microsecond => {
            moved_as::<TimestampMicrosecondType>(times, by, |time| time.div_euclid(1_000), |ms| ms * 1_000)
        }
        TimeUnit::Nanosecond => {
            moved_as::<TimestampNanosecondType>(times, by, |time| time.div_euclid(1_000_000), |ms| ms * 1_000_000)
        }
    })
}

fn moved_as<T: ArrowPrimitiveType<Native = i64>>(
    times: &ArrayRef,
    by: &mut dyn FnMut(usize, i64) -> i64,
    to_ms: fn(i64) -> i64,
    from_ms: fn(i64) -> i64,
) -> ArrayRef {
    let times = times.as_primitive::<T>();
    let values = times.values().iter().enumerate();
    let moved = values.map(|(row, time)| time.saturating_add(from_ms(by(row, to_ms(*time)))));
    Arc::new(PrimitiveArray::<T>::new(moved.collect(), times.nulls().cloned()))
}
