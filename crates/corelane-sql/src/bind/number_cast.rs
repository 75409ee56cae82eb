//! Casts of text to whole numbers and decimals as Flink does them: `'2.9'` is the INT 2, and `'1e3'`
//! the DECIMAL 1000.
//!
//! Arrow's kernel reads what has the type's own form; only the texts that it leaves are looked at here.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use datafusion_common::{Result, internal_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// Zeros that an exponent may add at most: more than a decimal has digits.
const EXPONENT_MAX: i64 = 100;

#[derive(Debug, PartialEq, Eq, Hash)]
struct NumberCast {
    wanted: DataType,
    /// TRY_CAST: what cannot be cast is NULL.
    safe: bool,
    signature: Signature,
}

/// True for the types that text is cast to here.
pub(super) fn is_exact(wanted: &DataType) -> bool {
    wanted.is_signed_integer() || matches!(wanted, DataType::Decimal128(_, _))
}

/// The function that casts texts to a type.
pub(super) fn number_cast(wanted: &DataType, safe: bool) -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::from(NumberCast { wanted: wanted.clone(), safe, signature }))
}

impl ScalarUDFImpl for NumberCast {
    fn name(&self) -> &str {
        "cast_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.wanted.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [texts] = texts.as_slice() else { return internal_err!("a text is cast by itself") };
        Ok(ColumnarValue::Array(self.cast(texts)?))
    }
}

impl NumberCast {
    fn cast(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        let safely = CastOptions { safe: true, ..Default::default() };
        let cast = cast_with_options(texts, &self.wanted, &safely)?;
        if cast.null_count() == texts.null_count() {
            return Ok(cast);
        }
        let views = cast_with_options(texts, &DataType::Utf8View, &safely)?;
        let plain: StringViewArray =
            views.as_string_view().iter().map(|text| text.map(|text| self.plain(text))).collect();
        let again = CastOptions { safe: self.safe, ..Default::default() };
        let cast = cast_with_options(&plain, &self.wanted, &safely)?;
        if self.safe || cast.null_count() == texts.null_count() {
            return Ok(cast);
        }
        // The error is to show what was written.
        cast_with_options(texts, &self.wanted, &again)?;
        Ok(cast_with_options(&plain, &self.wanted, &again)?)
    }

    /// The number in the form that Arrow reads; a text that is none stays as it is.
    fn plain<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let trimmed = text.trim();
        let plain = match self.wanted {
            DataType::Decimal128(_, _) => without_exponent(trimmed).map(Cow::Owned),
            _ => without_fraction(trimmed),
        };
        plain.unwrap_or(Cow::Borrowed(text))
    }
}

/// `2.9` is `2`; the digits that go are checked.
fn without_fraction(text: &str) -> Option<Cow<'_, str>> {
    let (whole, fraction) = text.split_once('.')?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match whole {
        "" | "+" | "-" if !fraction.is_empty() => Some(Cow::Borrowed("0")),
        whole => Some(Cow::Borrowed(whole)),
    }
}

/// `1.25e1` is `12.5`.
fn without_exponent(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent: i64 = exponent.parse().ok().filter(|exponent: &i64| exponent.abs() <= EXPONENT_MAX)?;
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let point = whole.len() as i64 + exponent;
    Some(match usize::try_from(point) {
        Ok(point) if point < all.len() => format!("{sign}0{}.{}", &all[..point], &all[point..]),
        Ok(point) => format!("{sign}{all}{}", "0".repeat(point - all.len())),
        Err(_) => format!("{sign}0.{}{all}", "0".repeat(point.unsigned_abs() as usize)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_written_out() {
        let plain = [("1e3", "1000"), ("-1.25e1", "-012.5"), ("1.25E-3", "0.00125"), ("+5e0", "5"), ("12e-1", "01.2")];
        for (text, expected) in plain {
            assert_eq!(without_exponent(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["1", "e3", "1e", "1e1000", "1x2e3", "--1e3"] {
            assert_eq!(without_exponent(text), None, "{text}");
        }
    }

    #[test]
    fn fractions_are_cut_off() {
        let plain =
            [("2.9", Some("2")), ("-2.9", Some("-2")), (".5", Some("0")), ("-.5", Some("0")), ("2.", Some("2"))];
        for (text, expected) in plain {
            assert_eq!(without_fraction(text).as_deref(), expected, "{text}");
        }
        for text in ["2", "2.x", "2.9e1", "1.2.3"] {
            assert_eq!(without_fraction(text), None, "{text}");
        }
        assert_eq!(without_fraction(".").as_deref(), Some(""), "which is no number");
    }
}
