//! Exact arithmetic on decimals and integers: Flink's result types, `HALF_UP` rounding.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType, i256};
use datafusion_common::{Result, exec_err, internal_err};

use super::call::Call;

/// Applies `compute(value, scale, row)`, which keeps the scale, and brings the result to the result's scale.
pub(super) fn map(call: &Call, compute: impl Fn(i128, i8, usize) -> Option<i128>) -> Result<ArrayRef> {
    let values = call.primitive::<Decimal128Type>(0)?;
    let DataType::Decimal128(_, scale) = *call.argument(0)?.array.data_type() else {
        return internal_err!("{} takes a decimal", call.name);
    };
    fitted(call, |row| compute(values.at(row), scale, row).map(|value| (value, scale)))
}

/// Builds a column of the result's decimal type; what does not fit fails the row.
fn fitted(call: &Call, mut compute: impl FnMut(usize) -> Option<(i128, i8)>) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = *call.returns else {
        return internal_err!("{} makes a decimal", call.name);
    };
    call.map_values::<Decimal128Type>(|row| {
        let value = compute(row).and_then(|(value, from)| rescaled(value, from, scale));
        match value.filter(|value| Decimal128Type::is_valid_decimal_precision(*value, precision)) {
            Some(value) => Ok(Some(value)),
            None => exec_err!("{} gave a number that {} cannot hold", call.name, call.returns),
        }
    })
}

pub(super) fn power_of_ten(exponent: i64) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

/// The same number with another scale; digits that are dropped were zero.
fn rescaled(value: i128, from: i8, to: i8) -> Option<i128> {
    if from <= to {
        return value.checked_mul(power_of_ten(i64::from(to) - i64::from(from))?);
    }
    Some(value / power_of_ten(i64::from(from) - i64::from(to))?)
}

fn one(scale: i8) -> Option<i128> {
    power_of_ten(i64::from(scale).max(0))
}

pub(super) fn sign(value: i128, scale: i8) -> Option<i128> {
    Some(value.signum() * one(scale)?)
}

pub(super) fn floor(value: i128, scale: i8) -> Option<i128> {
    value.checked_sub(value.rem_euclid(one(scale)?))
}

pub(super) fn ceil(value: i128, scale: i8) -> Option<i128> {
    let one = one(scale)?;
    value.checked_add((one - value.rem_euclid(one)) % one)
}

/// Rounds to `digits` after the point, halves away from zero; negative digits round before the point.
pub(super) fn round(value: i128, scale: i8, digits: i64) -> Option<i128> {
    let dropped = i64::from(scale).saturating_sub(digits);
    if dropped <= 0 {
        return Some(value);
    }
    // More digits than a decimal has: it is below half.
    let Some(unit) = power_of_ten(dropped) else { return Some(0) };
    let rest = value % unit;
    let away = if unit / 2 <= rest.abs() { unit * value.signum() } else { 0 };
    (value - rest).checked_add(away)
}

pub(super) fn truncate(value: i128, scale: i8, digits: i64) -> Option<i128> {
    let dropped = i64::from(scale).saturating_sub(digits);
    if dropped <= 0 {
        return Some(value);
    }
    Some(power_of_ten(dropped).map_or(0, |unit| value - value % unit))
}

pub(super) fn round_integer(value: i128, digits: i64) -> i128 {
    round(value, 0, digits).unwrap_or(value)
}

pub(super) fn truncate_integer(value: i128, digits: i64) -> i128 {
    truncate(value, 0, digits).unwrap_or(value)
}

/// The type of a decimal rounded to a constant number of digits: one digit more before the point for the carry.
pub(super) fn rounded_type(precision: u8, scale: i8, digits: i64) -> DataType {
    if i64::from(scale) <= digits {
        return DataType::Decimal128(precision, scale);
    }
    let kept = digits.max(0) as i8;
    let wanted = 1 + i64::from(precision) - i64::from(scale) + i64::from(kept);
    DataType::Decimal128(wanted.clamp(1, i64::from(DECIMAL128_MAX_PRECISION)) as u8, kept)
}

/// The decimal that holds every number of an exact type.
pub(super) fn of_type(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Decimal128(precision, scale) => (*precision, *scale),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        _ => return None,
    })
}

pub(super) fn modulo_type(left: (u8, i8), right: (u8, i8)) -> DataType {
    let scale = left.1.max(right.1);
    let whole = |(precision, scale): (u8, i8)| i64::from(precision) - i64::from(scale);
    let precision = whole(left).min(whole(right)) + i64::from(scale);
    DataType::Decimal128(precision.clamp(1, i64::from(DECIMAL128_MAX_PRECISION)) as u8, scale)
}

pub(super) fn modulo(call: &Call) -> Result<ArrayRef> {
    let (dividend, divisor) = (call.argument(0)?, call.argument(1)?);
    let (Some(left_type), Some(right_type)) = (of_type(dividend.array.data_type()), of_type(divisor.array.data_type()))
    else {
        return internal_err!("MOD takes exact numbers");
    };
    let scale = left_type.1.max(right_type.1);
    // As wide as can be: the scale grows before the remainder makes the number small.
    let wide = DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale);
    let (left, right) = (cast(&dividend.array, &wide)?, cast(&divisor.array, &wide)?);
    let (left, right) = (decimals(&left), decimals(&right));
    let overflowed =
        |row: usize| !call.is_null(row) && (left.is_null(dividend.index(row)) || right.is_null(divisor.index(row)));
    if (0..call.rows).any(overflowed) {
        return exec_err!("MOD cannot bring its numbers to one scale");
    }
    if (0..call.rows).any(|row| !call.is_null(row) && right.value(divisor.index(row)) == 0) {
        return exec_err!("MOD divides by zero");
    }
    fitted(call, |row| Some((left.value(dividend.index(row)) % right.value(divisor.index(row)), scale)))
}

fn decimals(array: &ArrayRef) -> Arc<arrow::array::Decimal128Array> {
    Arc::new(arrow::array::AsArray::as_primitive::<Decimal128Type>(array).clone())
}

/// The fewest digits after the point that a quotient has, and keeps when it is cut to fit.
const QUOTIENT_SCALE_MIN: i64 = 6;

/// Flink's type of `left / right`.
pub(super) fn quotient_type(left: (u8, i8), right: (u8, i8)) -> DataType {
    let [(left_precision, left_scale), (right_precision, right_scale)] =
        [left, right].map(|(precision, scale)| (i64::from(precision), i64::from(scale)));
    let scale = QUOTIENT_SCALE_MIN.max(left_scale + right_precision + 1);
    let whole = left_precision - left_scale + right_scale;
    let most = i64::from(DECIMAL128_MAX_PRECISION);
    let (precision, scale) = if whole + scale <= most {
        (whole + scale, scale)
    } else {
        (most, (most - whole).max(scale.min(QUOTIENT_SCALE_MIN)))
    };
    DataType::Decimal128(precision.clamp(1, most) as u8, scale as i8)
}

/// `x / y`, rounded half up. The dividend is widened first: 256 bits hold it whatever the scales.
pub(super) fn quotient(call: &Call) -> Result<ArrayRef> {
    let (dividend, divisor) = (call.argument(0)?, call.argument(1)?);
    let (Some((_, left_scale)), Some((_, right_scale)), DataType::Decimal128(precision, scale)) =
        (of_type(dividend.array.data_type()), of_type(divisor.array.data_type()), call.returns)
    else {
        return internal_err!("a quotient of decimals is of exact numbers");
    };
    let exact = |array: &ArrayRef, scale: i8| cast(array, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale));
    let (left, right) = (exact(&dividend.array, left_scale)?, exact(&divisor.array, right_scale)?);
    let (left, right) = (decimals(&left), decimals(&right));
    let shift = i64::from(*scale) + i64::from(right_scale) - i64::from(left_scale);
    let shift = u32::try_from(shift).ok().and_then(|shift| i256::from_i128(10).checked_pow(shift));
    let Some(shift) = shift else { return internal_err!("a quotient has at least the digits of its dividend") };
    call.map_values::<Decimal128Type>(|row| {
        let divisor = right.value(divisor.index(row));
        if divisor == 0 {
            return exec_err!("division by zero");
        }
        let value = divided(left.value(dividend.index(row)), shift, divisor);
        match value.filter(|value| Decimal128Type::is_valid_decimal_precision(*value, *precision)) {
            Some(value) => Ok(Some(value)),
            None => exec_err!("a quotient is too large for {}", call.returns),
        }
    })
}

fn divided(dividend: i128, shift: i256, divisor: i128) -> Option<i128> {
    let (wide, divisor) = (i256::from_i128(dividend).checked_mul(shift)?, i256::from_i128(divisor));
    let (whole, rest) = (wide.checked_div(divisor)?, wide.checked_rem(divisor)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    let away = if divisor.wrapping_abs() <= twice { wide.signum() * divisor.signum() } else { i256::ZERO };
    whole.checked_add(away)?.to_i128()
}
