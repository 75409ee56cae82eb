//! Exact arithmetic on decimals and integers: Flink's result types, `HALF_UP` rounding.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType, i256};
use datafusion_common::{Result, exec_err, internal_err};

use super::call::Call;
use super::math::map_integers;
use crate::supertype::exact_digits;
use corelane_stream::sql_type;

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

/// Of two whole numbers it is the type of the divisor.
pub(super) fn modulo_type(left: &DataType, right: &DataType) -> Option<DataType> {
    let (left_digits, right_digits) = (exact_digits(left)?, exact_digits(right)?);
    let scale = i64::from(left_digits.1.max(right_digits.1));
    if scale == 0 {
        return Some(right.clone());
    }
    Some(adjusted(whole_digits(left_digits).min(whole_digits(right_digits)) + scale, scale))
}

fn whole_digits((precision, scale): (u8, i8)) -> i64 {
    i64::from(precision) - i64::from(scale)
}

/// A type of no more digits than a DECIMAL has: those before the point are kept, and six behind it.
fn adjusted(precision: i64, scale: i64) -> DataType {
    let most = i64::from(DECIMAL128_MAX_PRECISION);
    if precision <= most {
        return DataType::Decimal128(precision.max(1) as u8, scale as i8);
    }
    let scale = (most - (precision - scale)).max(scale.min(SCALE_MIN));
    DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale as i8)
}

/// Flink's type of `left + right` and of `left - right`.
pub(super) fn sum_type(left: (u8, i8), right: (u8, i8)) -> DataType {
    let scale = i64::from(left.1.max(right.1));
    adjusted(whole_digits(left).max(whole_digits(right)) + scale + 1, scale)
}

/// Flink's type of `left * right`.
pub(super) fn product_type(left: (u8, i8), right: (u8, i8)) -> DataType {
    adjusted(i64::from(left.0) + i64::from(right.0) + 1, i64::from(left.1) + i64::from(right.1))
}

pub(super) fn modulo(call: &Call) -> Result<ArrayRef> {
    let (dividend, divisor) = (call.argument(0)?, call.argument(1)?);
    let (Some(left_type), Some(right_type)) =
        (exact_digits(dividend.array.data_type()), exact_digits(divisor.array.data_type()))
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
    let rest = |row: usize| left.value(dividend.index(row)) % right.value(divisor.index(row));
    match call.returns {
        DataType::Decimal128(_, _) => fitted(call, |row| Some((rest(row), scale))),
        _ => map_integers(call, |row| Ok(rest(row))),
    }
}

fn decimals(array: &ArrayRef) -> Arc<Decimal128Array> {
    Arc::new(arrow::array::AsArray::as_primitive::<Decimal128Type>(array).clone())
}

/// The fewest digits after the point that a quotient has, and that a result keeps when it is cut to fit.
const SCALE_MIN: i64 = 6;

/// Flink's type of `left / right`.
pub(super) fn quotient_type(left: (u8, i8), right: (u8, i8)) -> DataType {
    let scale = SCALE_MIN.max(i64::from(left.1) + i64::from(right.0) + 1);
    adjusted(whole_digits(left) + i64::from(right.1) + scale, scale)
}

pub(super) fn sum(call: &Call) -> Result<ArrayRef> {
    exactly(call, true, i256::checked_add)
}

pub(super) fn difference(call: &Call) -> Result<ArrayRef> {
    exactly(call, true, i256::checked_sub)
}

pub(super) fn product(call: &Call) -> Result<ArrayRef> {
    exactly(call, false, i256::checked_mul)
}

/// Computes in 256 bits, which hold every result, and rounds that half up. A sum needs its numbers brought
/// to one scale, a product does not.
fn exactly(call: &Call, of_one_scale: bool, compute: fn(i256, i256) -> Option<i256>) -> Result<ArrayRef> {
    let (one, other) = (call.argument(0)?, call.argument(1)?);
    let (Some((_, left_scale)), Some((_, right_scale)), DataType::Decimal128(precision, scale)) =
        (exact_digits(one.array.data_type()), exact_digits(other.array.data_type()), call.returns)
    else {
        return internal_err!("{} takes exact numbers", call.name);
    };
    let (left, right) = (widest(&one.array, left_scale)?, widest(&other.array, right_scale)?);
    let exact = if of_one_scale { left_scale.max(right_scale) } else { left_scale + right_scale };
    let unit = |digits: i8| i256::from_i128(10).checked_pow(digits.unsigned_abs().into());
    let brought = |from: i8| if of_one_scale { unit(exact - from) } else { Some(i256::ONE) };
    let (Some(left_unit), Some(right_unit), Some(dropped)) =
        (brought(left_scale), brought(right_scale), unit(exact - scale))
    else {
        return internal_err!("{} has more digits than there are", call.name);
    };
    call.map_values::<Decimal128Type>(|row| {
        let left = i256::from_i128(left.value(one.index(row))).checked_mul(left_unit);
        let right = i256::from_i128(right.value(other.index(row))).checked_mul(right_unit);
        let wide = left.zip(right).and_then(|(left, right)| compute(left, right));
        let value = wide.and_then(|wide| rounded(wide, dropped));
        match value.filter(|value| Decimal128Type::is_valid_decimal_precision(*value, *precision)) {
            Some(value) => Ok(Some(value)),
            None => exec_err!("{} gave a number that {} cannot hold", call.name, sql_type(call.returns)),
        }
    })
}

/// The numbers with all digits that a decimal can have.
fn widest(array: &ArrayRef, scale: i8) -> Result<Arc<Decimal128Array>> {
    Ok(decimals(&cast(array, &DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale))?))
}

/// `x / y`, rounded half up. The dividend is widened first: 256 bits hold it whatever the scales.
pub(super) fn quotient(call: &Call) -> Result<ArrayRef> {
    let (dividend, divisor) = (call.argument(0)?, call.argument(1)?);
    let (Some((_, left_scale)), Some((_, right_scale)), DataType::Decimal128(precision, scale)) =
        (exact_digits(dividend.array.data_type()), exact_digits(divisor.array.data_type()), call.returns)
    else {
        return internal_err!("a quotient of decimals is of exact numbers");
    };
    let (left, right) = (widest(&dividend.array, left_scale)?, widest(&divisor.array, right_scale)?);
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
    rounded(i256::from_i128(dividend).checked_mul(shift)?, i256::from_i128(divisor))
}

/// `wide / divisor`, halves away from zero.
fn rounded(wide: i256, divisor: i256) -> Option<i128> {
    let (whole, rest) = (wide.checked_div(divisor)?, wide.checked_rem(divisor)?);
    let twice = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    let away = if divisor.wrapping_abs() <= twice { wide.signum() * divisor.signum() } else { i256::ZERO };
    whole.checked_add(away)?.to_i128()
}
