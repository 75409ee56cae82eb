//! Numeric functions. Integers and decimals stay exact; what does not fit fails the row.

use std::fmt::Write;
use std::hash::{BuildHasher, Hasher, RandomState};

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ReturnFieldArgs;

use super::call::{Argument, Call};
use super::decimal;
use super::function::constant_long;
use crate::supertype::exact_digits;

/// Integers of any width as 128 bits, so that each function is written once.
pub(super) fn integers(argument: &Argument) -> Option<Vec<i128>> {
    fn widen<T: ArrowPrimitiveType>(array: &ArrayRef) -> Vec<i128>
    where
        i128: From<T::Native>,
    {
        array.as_primitive::<T>().values().iter().map(|value| i128::from(*value)).collect()
    }
    let array = &argument.array;
    Some(match array.data_type() {
        DataType::Int8 => widen::<Int8Type>(array),
        DataType::Int16 => widen::<Int16Type>(array),
        DataType::Int32 => widen::<Int32Type>(array),
        DataType::Int64 => widen::<Int64Type>(array),
        DataType::UInt8 => widen::<UInt8Type>(array),
        DataType::UInt16 => widen::<UInt16Type>(array),
        DataType::UInt32 => widen::<UInt32Type>(array),
        DataType::UInt64 => widen::<UInt64Type>(array),
        _ => return None,
    })
}

/// Builds a column of the result's integer type, failing on what it cannot hold.
pub(super) fn map_integers(call: &Call, mut compute: impl FnMut(usize) -> Result<i128>) -> Result<ArrayRef> {
    fn narrow<T: ArrowPrimitiveType>(call: &Call, compute: &mut dyn FnMut(usize) -> Result<i128>) -> Result<ArrayRef>
    where
        T::Native: TryFrom<i128>,
    {
        call.map_values::<T>(|row| {
            let value = compute(row)?;
            match T::Native::try_from(value) {
                Ok(value) => Ok(Some(value)),
                Err(_) => exec_err!("{} gave {value}, which {} cannot hold", call.name, call.returns),
            }
        })
    }
    match call.returns {
        DataType::Int8 => narrow::<Int8Type>(call, &mut compute),
        DataType::Int16 => narrow::<Int16Type>(call, &mut compute),
        DataType::Int32 => narrow::<Int32Type>(call, &mut compute),
        DataType::Int64 => narrow::<Int64Type>(call, &mut compute),
        DataType::UInt8 => narrow::<UInt8Type>(call, &mut compute),
        DataType::UInt16 => narrow::<UInt16Type>(call, &mut compute),
        DataType::UInt32 => narrow::<UInt32Type>(call, &mut compute),
        DataType::UInt64 => narrow::<UInt64Type>(call, &mut compute),
        other => exec_err!("{} cannot make a {other}", call.name),
    }
}

/// Applies the one of three that the argument's type asks for: on integers, on decimals (by scale), on floats.
fn by_type(
    call: &Call,
    integer: fn(i128, i64) -> i128,
    exact: fn(i128, i8, i64) -> Option<i128>,
    float: fn(f64, i64) -> f64,
) -> Result<ArrayRef> {
    let argument = call.argument(0)?;
    let digits = if call.has(1) { Some(call.longs(1)?) } else { None };
    let digits = |row: usize| digits.map_or(0, |digits| digits.at(row));
    if let Some(values) = integers(argument) {
        return map_integers(call, |row| Ok(integer(values[argument.index(row)], digits(row))));
    }
    match argument.array.data_type() {
        DataType::Decimal128(_, _) => decimal::map(call, |value, scale, row| exact(value, scale, digits(row))),
        DataType::Float32 => {
            let values = call.primitive::<Float32Type>(0)?;
            call.map_total::<Float32Type>(|row| float(f64::from(values.at(row)), digits(row)) as f32)
        }
        _ => {
            let wide = cast(&argument.array, &DataType::Float64)?;
            let wide = wide.as_primitive::<Float64Type>();
            call.map_total::<Float64Type>(|row| float(wide.value(argument.index(row)), digits(row)))
        }
    }
}

pub(super) fn abs(call: &Call) -> Result<ArrayRef> {
    by_type(call, |value, _| value.abs(), |value, _, _| value.checked_abs(), |value, _| value.abs())
}

pub(super) fn sign(call: &Call) -> Result<ArrayRef> {
    let float = |value: f64, _| if value == 0.0 || value.is_nan() { value } else { value.signum() };
    by_type(call, |value, _| value.signum(), |value, scale, _| decimal::sign(value, scale), float)
}

/// That of the argument, with a digit before the point for the 1.
pub(super) fn sign_type(args: &ReturnFieldArgs) -> Result<DataType> {
    match args.arg_fields.first().map(|field| field.data_type()) {
        Some(DataType::Decimal128(precision, scale)) if precision.cast_signed() <= *scale => {
            let precision = DECIMAL128_MAX_PRECISION.min(precision + 1);
            Ok(DataType::Decimal128(precision, precision.cast_signed() - 1))
        }
        Some(other) => Ok(other.clone()),
        None => plan_err!("the function takes a number"),
    }
}

pub(super) fn ceil(call: &Call) -> Result<ArrayRef> {
    by_type(call, |value, _| value, |value, scale, _| decimal::ceil(value, scale), |value, _| value.ceil())
}

pub(super) fn floor(call: &Call) -> Result<ArrayRef> {
    by_type(call, |value, _| value, |value, scale, _| decimal::floor(value, scale), |value, _| value.floor())
}

pub(super) fn round(call: &Call) -> Result<ArrayRef> {
    by_type(call, decimal::round_integer, decimal::round, round_float)
}

pub(super) fn truncate(call: &Call) -> Result<ArrayRef> {
    by_type(call, decimal::truncate_integer, decimal::truncate, truncate_float)
}

/// The digits of a float as it prints, without its exponent: digits, and how many come after the point.
/// Rounding what prints, not the binary fraction below it, is what Java's `BigDecimal.valueOf` does.
fn printed(value: f64) -> Option<(i128, i8)> {
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = i64::try_from(fraction.len()).ok()? - exponent.parse::<i64>().ok()?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, i8::try_from(scale).ok()?))
}

fn rounded_print(value: f64, digits: i64, half_up: bool) -> f64 {
    let Some((number, scale)) = printed(value).filter(|_| value.is_finite()) else { return value };
    if i64::from(scale) <= digits {
        return value;
    }
    let dropped = i64::from(scale).saturating_sub(digits);
    let kept = match decimal::power_of_ten(dropped) {
        Some(divisor) => number / divisor + i128::from(half_up && divisor / 2 <= number % divisor),
        None => 0,
    };
    let magnitude: f64 = format!("{kept}e{}", digits.saturating_neg()).parse().unwrap_or(value.abs());
    magnitude.copysign(value)
}

fn round_float(value: f64, digits: i64) -> f64 {
    rounded_print(value, digits, true)
}

fn truncate_float(value: f64, digits: i64) -> f64 {
    rounded_print(value, digits, false)
}

/// A decimal that is rounded keeps only the digits it was rounded to.
pub(super) fn rounded_type(args: &ReturnFieldArgs) -> Result<DataType> {
    let Some(field) = args.arg_fields.first() else { return plan_err!("ROUND takes a number") };
    let digits = if args.arg_fields.len() < 2 { Some(0) } else { constant_long(args, 1) };
    Ok(match (field.data_type(), digits) {
        (DataType::Decimal128(precision, scale), Some(digits)) => decimal::rounded_type(*precision, *scale, digits),
        (other, _) => other.clone(),
    })
}

/// A decimal without its fraction.
pub(super) fn whole_type(args: &ReturnFieldArgs) -> Result<DataType> {
    match args.arg_fields.first().map(|field| field.data_type()) {
        Some(DataType::Decimal128(precision, scale)) if 0 < *scale => Ok(DataType::Decimal128(*precision, 0)),
        Some(other) => Ok(other.clone()),
        None => plan_err!("the function takes a number"),
    }
}

/// The remainder takes the sign of the dividend; a divisor of zero fails the row.
pub(super) fn modulo(call: &Call) -> Result<ArrayRef> {
    let (dividend, divisor) = (call.argument(0)?, call.argument(1)?);
    if *call.returns == DataType::Int64
        && let (Some(left), Some(right)) =
            (dividend.array.as_primitive_opt::<Int64Type>(), divisor.array.as_primitive_opt::<Int64Type>())
    {
        return call.map_values::<Int64Type>(|row| match right.value(divisor.index(row)) {
            0 => exec_err!("MOD divides by zero"),
            other => Ok(Some(left.value(dividend.index(row)).wrapping_rem(other))),
        });
    }
    if let (Some(left), Some(right)) = (integers(dividend), integers(divisor)) {
        return map_integers(call, |row| match right[divisor.index(row)] {
            0 => exec_err!("MOD divides by zero"),
            other => Ok(left[dividend.index(row)] % other),
        });
    }
    if *call.returns != DataType::Float64 {
        return decimal::modulo(call);
    }
    let wide = |argument: &Argument| cast(&argument.array, &DataType::Float64);
    let (left, right) = (wide(dividend)?, wide(divisor)?);
    let (left, right) = (left.as_primitive::<Float64Type>(), right.as_primitive::<Float64Type>());
    call.map_total::<Float64Type>(|row| left.value(dividend.index(row)) % right.value(divisor.index(row)))
}

pub(super) fn modulo_type(args: &ReturnFieldArgs) -> Result<DataType> {
    let [left, right] = args.arg_fields else { return plan_err!("MOD takes two numbers") };
    let (left, right) = (left.data_type(), right.data_type());
    if left.is_integer() && right.is_integer() {
        return Ok(right.clone());
    }
    Ok(decimal::modulo_type(left, right).unwrap_or(DataType::Float64))
}

/// The type of a result of two numbers of which one at least is a decimal.
fn exact_type(args: &ReturnFieldArgs, of: fn((u8, i8), (u8, i8)) -> DataType) -> Result<DataType> {
    let [left, right] = args.arg_fields else { return plan_err!("an operator is of two numbers") };
    match (exact_digits(left.data_type()), exact_digits(right.data_type())) {
        (Some(left), Some(right)) => Ok(of(left, right)),
        _ => plan_err!("PLUS, MINUS, TIMES and DIVIDE take decimals and integers"),
    }
}

pub(super) fn quotient_type(args: &ReturnFieldArgs) -> Result<DataType> {
    exact_type(args, decimal::quotient_type)
}

pub(super) fn sum_type(args: &ReturnFieldArgs) -> Result<DataType> {
    exact_type(args, decimal::sum_type)
}

pub(super) fn product_type(args: &ReturnFieldArgs) -> Result<DataType> {
    exact_type(args, decimal::product_type)
}

fn map_double(call: &Call, compute: fn(f64) -> f64) -> Result<ArrayRef> {
    let number = call.doubles(0)?;
    call.map_total::<Float64Type>(|row| compute(number.at(row)))
}

fn map_doubles(call: &Call, compute: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (left, right) = (call.doubles(0)?, call.doubles(1)?);
    call.map_total::<Float64Type>(|row| compute(left.at(row), right.at(row)))
}

macro_rules! of_one_double {
    ($($name:ident => $compute:expr;)*) => {
        $(pub(super) fn $name(call: &Call) -> Result<ArrayRef> {
            map_double(call, $compute)
        })*
    };
}

of_one_double! {
    sqrt => f64::sqrt;
    exp => f64::exp;
    ln => f64::ln;
    log10 => f64::log10;
    log2 => |number| number.ln() / std::f64::consts::LN_2;
    sin => f64::sin;
    cos => f64::cos;
    tan => f64::tan;
    cot => |number| 1.0 / number.tan();
    asin => f64::asin;
    acos => f64::acos;
    atan => f64::atan;
    sinh => f64::sinh;
    cosh => f64::cosh;
    tanh => f64::tanh;
    degrees => f64::to_degrees;
    radians => f64::to_radians;
}

pub(super) fn power(call: &Call) -> Result<ArrayRef> {
    // Java: a base of 1 and an exponent of NaN or infinity give NaN, where C gives 1.
    map_doubles(call, |base, exponent| {
        let undefined = exponent.is_nan() || (exponent.is_infinite() && base.abs() == 1.0);
        if undefined { f64::NAN } else { base.powf(exponent) }
    })
}

pub(super) fn atan2(call: &Call) -> Result<ArrayRef> {
    map_doubles(call, f64::atan2)
}

/// `LOG(x)` is natural, `LOG(base, x)` to a base.
pub(super) fn log(call: &Call) -> Result<ArrayRef> {
    if call.has(1) { map_doubles(call, |base, number| number.ln() / base.ln()) } else { ln(call) }
}

pub(super) fn pi(call: &Call) -> Result<ArrayRef> {
    call.map_total::<Float64Type>(|_| std::f64::consts::PI)
}

pub(super) fn e(call: &Call) -> Result<ArrayRef> {
    call.map_total::<Float64Type>(|_| std::f64::consts::E)
}

/// A number whose bits depend on all bits of another: the mixing step of SplitMix64.
pub(crate) fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(STEP);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers (SplitMix64), begun anew for each batch from the operating system's
/// randomness.
fn random_numbers() -> impl FnMut() -> u64 {
    let mut state = RandomState::new().build_hasher().finish();
    move || {
        let number = scattered(state);
        state = state.wrapping_add(STEP);
        number
    }
}

/// A number in `0.0 .. 1.0`.
pub(crate) fn fraction(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number in `0 .. bound`.
pub(crate) fn bounded(random: u64, bound: i64) -> i32 {
    ((u128::from(random) * bound as u128) >> 64) as i32
}

pub(super) fn random(call: &Call) -> Result<ArrayRef> {
    if call.has(0) {
        return unplaced(call);
    }
    let mut next = random_numbers();
    call.map_total::<Float64Type>(|_| fraction(next()))
}

pub(super) fn random_integer(call: &Call) -> Result<ArrayRef> {
    if call.has(1) {
        return unplaced(call);
    }
    let (bound, mut next) = (call.longs(0)?, random_numbers());
    call.map_values::<Int32Type>(|row| match bound.at(row) {
        bound @ 1..=0x7fff_ffff => Ok(Some(bounded(next(), bound))),
        bound => exec_err!("RAND_INTEGER takes a bound from 1 to 2147483647, not {bound}"),
    })
}

/// Where a seed is given, the plan puts a function of the row's position in the place of this one.
fn unplaced(call: &Call) -> Result<ArrayRef> {
    exec_err!("{} with a seed needs the place of each row", call.name)
}

/// Version 4 of RFC 9562.
pub(super) fn uuid(call: &Call) -> Result<ArrayRef> {
    let mut next = random_numbers();
    let mut other = random_numbers();
    call.write_texts(|_, out| {
        let (high, low) = (next(), other());
        let (node, sequence) = (low & 0xffff_ffff_ffff, (low >> 48) & 0x3fff | 0x8000);
        let _ = write!(
            out,
            "{:08x}-{:04x}-4{:03x}-{sequence:04x}-{node:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff
        );
        Ok(true)
    })
}
