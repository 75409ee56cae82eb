//! What to make for each column: its type and its `fields.*` options, checked.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use arrow::array::types::Decimal128Type;
use arrow::compute::kernels::cast_utils::parse_decimal;
use arrow::datatypes::{DataType, Field, Fields, Schema};
use corelane_stream::connector::LENGTH_KEY;
use corelane_stream::{Error, Result, TableOptions};

use crate::options::{Options, did_you_mean, wrong_value};
use crate::random::FieldRandom;

const TEXT_LENGTH_DEFAULT: usize = 100;
const COLLECTION_LENGTH_DEFAULT: usize = 3;
const LENGTH_MAX: usize = 1 << 20;

/// How one column's values are made.
#[derive(Clone, Debug)]
pub(super) struct FieldPlan {
    pub(super) values: FieldRandom,
    pub(super) nulls: FieldRandom,
    pub(super) null_rate: f64,
    pub(super) data_type: DataType,
    pub(super) kind: ValueKind,
}

#[derive(Clone, Debug)]
pub(super) enum ValueKind {
    Sequence { start: i64 },
    Boolean,
    Integer { min: i64, max: i64 },
    Float { min: f64, max: f64 },
    Decimal { min: i128, max: i128 },
    Text(Length),
    Bytes(Length),
    Time { max_past_ms: u64 },
    Row { fields: Fields, children: Vec<FieldPlan> },
    List { element: Box<FieldPlan>, length: usize },
    Map { key: Box<FieldPlan>, value: Box<FieldPlan>, length: usize },
}

/// How long a text is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    pub(super) max: usize,
    pub(super) vary: bool,
}

/// Plans the columns of a table.
pub(super) struct Planner<'a> {
    options: Options<'a>,
    /// The metadata of the table's schema.
    noted: &'a HashMap<String, String>,
    seed: u64,
    /// Every `fields.*` option that means something, given or not.
    known: RefCell<BTreeSet<String>>,
    /// Rows of the shortest sequence.
    sequence_rows: RefCell<Option<u64>>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(options: &'a TableOptions, noted: &'a HashMap<String, String>, seed: u64) -> Self {
        let known = RefCell::default();
        Planner { options: Options::new(options), noted, seed, known, sequence_rows: RefCell::default() }
    }

    pub(super) fn columns(&self, schema: &Schema) -> Result<Vec<FieldPlan>> {
        schema.fields().iter().map(|field| self.field(field.name(), field)).collect()
    }

    pub(super) fn shortest_sequence(&self) -> Option<u64> {
        *self.sequence_rows.borrow()
    }

    /// Refuses `fields.*` options that `columns` had no use for.
    pub(super) fn check_names(&self, options: &TableOptions) -> Result<()> {
        let known = self.known.borrow();
        let Some(name) = options.keys().find(|name| name.starts_with("fields.") && !known.contains(*name)) else {
            return Ok(());
        };
        let error = Error::invalid(format!("option '{name}' has no meaning for this table's columns"));
        Err(error.with_hint(match did_you_mean(name, known.iter().map(String::as_str)) {
            Some(like) => format!("did you mean '{like}'?"),
            None => "it is 'fields.<column>.<option>', where the option fits the column's type and kind".to_owned(),
        }))
    }

    /// The full name of a column's option.
    fn name(&self, path: &str, option: &str) -> String {
        let name = format!("fields.{path}.{option}");
        self.known.borrow_mut().insert(name.clone());
        name
    }

    fn field(&self, path: &str, field: &Field) -> Result<FieldPlan> {
        let sequence =
            self.options.choice(&self.name(path, "kind"), &[("random", false), ("sequence", true)])?.unwrap_or(false);
        let kind = if sequence { self.sequence(path, field)? } else { self.random(path, field)? };
        let null_name = self.name(path, "null-rate");
        let null_rate = self.options.number(&null_name, 0.0, 1.0)?.unwrap_or(0.0);
        if null_rate > 0.0 && !field.is_nullable() {
            return Err(wrong_value(&null_name, &null_rate.to_string(), "0, because the column is NOT NULL"));
        }
        Ok(FieldPlan {
            values: FieldRandom::new(self.seed, path),
            nulls: FieldRandom::new(self.seed, &format!("{path}.null")),
            null_rate,
            data_type: field.data_type().clone(),
            kind,
        })
    }

    fn sequence(&self, path: &str, field: &Field) -> Result<ValueKind> {
        let data_type = field.data_type();
        if !(data_type.is_numeric() || data_type.is_string()) {
            return Err(Error::invalid(format!("column '{path}' of type {data_type} cannot be a sequence"))
                .with_hint("sequences are of numbers or strings"));
        }
        let (min, max) = integer_bounds(data_type).unwrap_or((i64::MIN, i64::MAX));
        let bound = |option: &str| -> Result<i64> {
            let name = self.name(path, option);
            match self.options.integer(&name, min, max)? {
                Some(value) => Ok(value),
                None => Err(Error::invalid(format!("option '{name}' is missing"))
                    .with_hint("a sequence needs its first value 'start' and its last value 'end'")),
            }
        };
        let (start, end) = (bound("start")?, bound("end")?);
        if end < start {
            return Err(wrong_value(&self.name(path, "end"), &end.to_string(), "a number not below 'start'"));
        }
        let rows = end.abs_diff(start).saturating_add(1);
        let mut shortest = self.sequence_rows.borrow_mut();
        *shortest = Some(shortest.map_or(rows, |others| others.min(rows)));
        Ok(ValueKind::Sequence { start })
    }

    fn random(&self, path: &str, field: &Field) -> Result<ValueKind> {
        let data_type = field.data_type();
        if let Some((min, max)) = integer_bounds(data_type) {
            let (min, max) = self.bounds(path, |name, default| {
                Ok(self.options.integer(name, min, max)?.unwrap_or(if default == Bound::Min { min } else { max }))
            })?;
            return Ok(ValueKind::Integer { min, max });
        }
        Ok(match data_type {
            DataType::Boolean => ValueKind::Boolean,
            DataType::Float32 => self.floats(path, f64::from(f32::MAX))?,
            DataType::Float64 => self.floats(path, f64::MAX)?,
            DataType::Decimal128(precision, scale) => self.decimals(path, *precision, *scale)?,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ValueKind::Text(self.text_length(path)?),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                ValueKind::Bytes(self.text_length(path)?)
            }
            DataType::Timestamp(..) | DataType::Date32 | DataType::Time32(_) | DataType::Time64(_) => {
                let past = self.options.duration(&self.name(path, "max-past"))?.unwrap_or_default();
                ValueKind::Time { max_past_ms: u64::try_from(past.as_millis()).unwrap_or(u64::MAX) }
            }
            DataType::Struct(fields) => {
                let children = fields.iter().map(|child| self.field(&format!("{path}.{}", child.name()), child));
                ValueKind::Row { fields: fields.clone(), children: children.collect::<Result<_>>()? }
            }
            DataType::List(element) => ValueKind::List {
                element: Box::new(self.field(&format!("{path}.element"), element)?),
                length: self.length(path, COLLECTION_LENGTH_DEFAULT)?,
            },
            DataType::Map(entries, _) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(Error::internal("the entries of a map are not rows"));
                };
                ValueKind::Map {
                    key: Box::new(self.field(&format!("{path}.key"), &fields[0])?),
                    value: Box::new(self.field(&format!("{path}.value"), &fields[1])?),
                    length: self.length(path, COLLECTION_LENGTH_DEFAULT)?,
                }
            }
            other => {
                return Err(Error::invalid(format!("datagen cannot make values of type {other} for column '{path}'"))
                    .with_hint("make a number or a string, and cast it in the query"));
            }
        })
    }

    /// Reads `min` and `max`, and checks that they are in order.
    fn bounds<T: PartialOrd + std::fmt::Display>(
        &self,
        path: &str,
        read: impl Fn(&str, Bound) -> Result<T>,
    ) -> Result<(T, T)> {
        let min = read(&self.name(path, "min"), Bound::Min)?;
        let max = read(&self.name(path, "max"), Bound::Max)?;
        if max < min {
            let name = self.name(path, "max");
            return Err(wrong_value(&name, &max.to_string(), &format!("a value not below the smallest, {min}")));
        }
        Ok((min, max))
    }

    fn floats(&self, path: &str, largest: f64) -> Result<ValueKind> {
        let (min, max) = self.bounds(path, |name, bound| {
            let default = if bound == Bound::Min { 0.0 } else { largest };
            Ok(self.options.number(name, -largest, largest)?.unwrap_or(default))
        })?;
        Ok(ValueKind::Float { min, max })
    }

    fn decimals(&self, path: &str, precision: u8, scale: i8) -> Result<ValueKind> {
        let largest = 10_i128.pow(u32::from(precision)) - 1;
        let (min, max) = self.bounds(path, |name, bound| {
            let Some(text) = self.options.text(name) else {
                return Ok(if bound == Bound::Min { -largest } else { largest });
            };
            parse_decimal::<Decimal128Type>(text.trim(), precision, scale)
                .map_err(|_| wrong_value(name, text, &format!("a number of type DECIMAL({precision}, {scale})")))
        })?;
        Ok(ValueKind::Decimal { min, max })
    }

    fn text_length(&self, path: &str) -> Result<Length> {
        let vary = self.options.boolean(&self.name(path, "var-len"))?.unwrap_or(false);
        let declared = self.noted.get(&format!("{LENGTH_KEY}{path}")).and_then(|length| length.parse::<usize>().ok());
        let default = declared.filter(|length| *length <= LENGTH_MAX).unwrap_or(TEXT_LENGTH_DEFAULT);
        let max = self.length(path, default)?;
        match declared {
            Some(declared) if declared < max => {
                let accepted = format!("a whole number up to {declared}, the length of the column's type");
                Err(wrong_value(&self.name(path, "length"), &max.to_string(), &accepted))
            }
            Some(_) | None => Ok(Length { max, vary }),
        }
    }

    fn length(&self, path: &str, default: usize) -> Result<usize> {
        Ok(self.options.integer(&self.name(path, "length"), 0, LENGTH_MAX)?.unwrap_or(default))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Min,
    Max,
}

/// The smallest and the largest value of an integer type.
fn integer_bounds(data_type: &DataType) -> Option<(i64, i64)> {
    Some(match data_type {
        DataType::Int8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        DataType::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        DataType::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DataType::Int64 => (i64::MIN, i64::MAX),
        DataType::UInt8 => (0, i64::from(u8::MAX)),
        DataType::UInt16 => (0, i64::from(u16::MAX)),
        DataType::UInt32 => (0, i64::from(u32::MAX)),
        DataType::UInt64 => (0, i64::MAX),
        _ => return None,
    })
}
