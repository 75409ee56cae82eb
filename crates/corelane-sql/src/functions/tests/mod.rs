//! Calls as text, results as text. Every call is computed three ways, as constants, as columns and as a column
//! with constants, and all must agree.

mod calls;
mod properties;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use corelane_stream::Clock;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF};

use super::scalar_functions;

/// A clock that stands at 2024-05-06 07:08:09.123.
struct Stopped;

impl Clock for Stopped {
    fn now_ms(&self) -> i64 {
        1_714_979_289_123
    }

    fn monotonic_ns(&self) -> u64 {
        0
    }
}

pub(super) struct Harness {
    functions: HashMap<String, Arc<ScalarUDF>>,
    config: Arc<ConfigOptions>,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Constants,
    Columns,
    Mixed,
}

/// Rows of a column in tests: the value, a null and the value.
const ROWS: usize = 3;

impl Harness {
    pub fn new(time_zone: Option<&str>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Stopped);
        let config = ConfigOptions::new();
        Harness { functions: scalar_functions(&clock, time_zone), config: Arc::new(config) }
    }

    /// Calls a function on values; a column is cut back to its first row.
    fn call(&self, name: &str, values: &[ScalarValue], form: Form) -> Result<ScalarValue> {
        let udf = &self.functions[&name.to_ascii_lowercase()];
        let types: Vec<DataType> = values.iter().map(ScalarValue::data_type).collect();
        let coerced = udf.coerce_types(&types)?;
        let values: Vec<ScalarValue> =
            values.iter().zip(&coerced).map(|(value, to)| value.cast_to(to)).collect::<Result<_>>()?;
        let fields: Vec<FieldRef> = coerced.iter().map(|to| Arc::new(Field::new("a", to.clone(), true))).collect();
        let constants: Vec<Option<&ScalarValue>> = values.iter().map(Some).collect();
        let return_field =
            udf.return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &constants })?;
        let column = |value: &ScalarValue| -> Result<ColumnarValue> {
            let one = value.to_array()?;
            // A map's key and an object's name cannot be null.
            let keyed = matches!(udf.name(), "map" | "json_object");
            let middle = if keyed { Arc::clone(&one) } else { new_null_array(one.data_type(), 1) };
            Ok(ColumnarValue::Array(concat(&[&one, &middle, &one])?))
        };
        let args = values
            .iter()
            .enumerate()
            .map(|(index, value)| match form {
                Form::Columns => column(value),
                Form::Mixed if index == 0 => column(value),
                Form::Constants | Form::Mixed => Ok(ColumnarValue::Scalar(value.clone())),
            })
            .collect::<Result<Vec<_>>>()?;
        let returned = udf.invoke_with_args(ScalarFunctionArgs {
            args,
            arg_fields: fields,
            number_rows: if form == Form::Constants { 1 } else { ROWS },
            return_field: Arc::clone(&return_field),
            config_options: Arc::clone(&self.config),
        })?;
        assert_eq!(returned.data_type(), *return_field.data_type(), "{name}");
        let column = returned.into_array(if form == Form::Constants { 1 } else { ROWS })?;
        if form != Form::Constants && udf.is_strict() && !values.is_empty() {
            assert!(column.is_null(1) || column.data_type().is_null(), "{name} made something of a null");
        }
        ScalarValue::try_from_array(&column, 0)
    }

    fn evaluate(&self, text: &str, form: Form) -> String {
        let mut reader = Reader { harness: self, form, rest: text };
        match reader.expression() {
            Ok(value) if reader.rest.is_empty() => show(&value),
            Ok(_) => panic!("cannot read {:?} of {text}", reader.rest),
            Err(error) => format!("error: {}", error.strip_backtrace()),
        }
    }

    pub fn check(&self, text: &str, expected: &str) -> bool {
        let mut good = true;
        for form in [Form::Constants, Form::Columns, Form::Mixed] {
            // Units are constants: the first argument of some, the second of others.
            let unit_first = ["TIMESTAMPADD(", "TIMESTAMPDIFF(", "EXTRACT("].iter().any(|name| text.starts_with(name));
            let unit_second = ["FLOOR_TO(", "CEIL_TO(", "CAST_TO_DIGITS("].iter().any(|name| text.starts_with(name));
            if (unit_first && form != Form::Constants) || (unit_second && form == Form::Columns) {
                continue;
            }
            let given = self.evaluate(text, form);
            let same = match expected.strip_prefix("error: ") {
                Some(part) => given.starts_with("error: ") && given.contains(part),
                None => given == expected,
            };
            if !same {
                eprintln!("{text}\n  expected {expected}\n  given    {given}");
                good = false;
                break;
            }
        }
        good
    }
}

fn show(value: &ScalarValue) -> String {
    let array: ArrayRef = value.to_array().expect("a scalar is a column of one row");
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).expect("every type has a text");
    formatter.value(0).to_string()
}

/// Reads `NAME(argument, ..)` with literals `'text'`, `1`, `1i` (INT), `1.5` (DECIMAL), `1e0`, `TS'..'`, `TSZ'..'`, `D'..'`, `[..]`.
struct Reader<'a> {
    harness: &'a Harness,
    form: Form,
    rest: &'a str,
}

impl Reader<'_> {
    fn skip(&mut self, text: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn list(&mut self, end: &str) -> Result<Vec<ScalarValue>> {
        let mut values = Vec::new();
        while !self.skip(end) {
            values.push(self.expression()?);
            self.skip(",");
        }
        Ok(values)
    }

    fn quoted(&mut self) -> String {
        let mut text = String::new();
        loop {
            let end = self.rest.find('\'').expect("the quote ends");
            text.push_str(&self.rest[..end]);
            self.rest = &self.rest[end + 1..];
            if !self.rest.starts_with('\'') {
                return text;
            }
            text.push('\'');
            self.rest = &self.rest[1..];
        }
    }

    fn typed(&mut self, data_type: DataType) -> Result<ScalarValue> {
        let text = ScalarValue::Utf8View(Some(self.quoted()));
        ScalarValue::try_from_array(&cast(&text.to_array()?, &data_type)?, 0)
    }

    fn expression(&mut self) -> Result<ScalarValue> {
        if self.skip("'") {
            return Ok(ScalarValue::Utf8(Some(self.quoted())));
        }
        if self.skip("TSZ'") {
            return self.typed(DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())));
        }
        if self.skip("TSU'") {
            return self.typed(DataType::Timestamp(TimeUnit::Microsecond, None));
        }
        if self.skip("TS'") {
            return self.typed(DataType::Timestamp(TimeUnit::Millisecond, None));
        }
        if self.skip("D'") {
            return self.typed(DataType::Date32);
        }
        if self.skip("[") {
            let values = self.list("]")?;
            let item = values.iter().map(ScalarValue::data_type).find(|item| !item.is_null()).unwrap_or(DataType::Null);
            let values: Vec<ScalarValue> = values.iter().map(|value| value.cast_to(&item)).collect::<Result<_>>()?;
            return Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &item)));
        }
        let end = self
            .rest
            .find(|letter: char| !letter.is_alphanumeric() && !"_.-+".contains(letter))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if word.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-') {
            return number(word);
        }
        if self.skip("(") {
            let values = self.list(")")?;
            return self.harness.call(word, &values, self.form);
        }
        Ok(match word {
            "NULL" => ScalarValue::Null,
            "TRUE" => ScalarValue::Boolean(Some(true)),
            "FALSE" => ScalarValue::Boolean(Some(false)),
            other => panic!("what is {other:?}"),
        })
    }
}

fn number(word: &str) -> Result<ScalarValue> {
    if let Some(int) = word.strip_suffix('i') {
        return Ok(ScalarValue::Int32(Some(int.parse().expect("an INT"))));
    }
    if word.contains('e') {
        return Ok(ScalarValue::Float64(Some(word.parse().expect("a DOUBLE"))));
    }
    let Some((whole, fraction)) = word.split_once('.') else {
        return Ok(ScalarValue::Int64(Some(word.parse().expect("a BIGINT"))));
    };
    let digits = format!("{whole}{fraction}");
    let precision = digits.trim_start_matches('-').len() as u8;
    Ok(ScalarValue::Decimal128(Some(digits.parse().expect("a DECIMAL")), precision, fraction.len() as i8))
}

#[test]
fn names_are_unique() {
    let mut seen = std::collections::HashSet::new();
    for name in super::FUNCTIONS.iter().flat_map(super::FunctionDef::names) {
        assert!(seen.insert(name.to_ascii_lowercase()), "{name} is there twice");
    }
}
