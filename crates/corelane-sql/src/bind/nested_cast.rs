//! Casts of rows, arrays and maps: each part as a value of its own is cast, and the fields of a row by place.
//!
//! DataFusion matches fields by name, so a `ROW(1, 'x')`, whose fields have no names of their own,
//! could not be given any; and Arrow casts the parts by rules of its own. TRY_CAST is of the value as a
//! whole, as in Flink: where a part cannot be cast, all of it is NULL.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBufferBuilder, ListArray, MapArray, StructArray, make_array, new_empty_array,
    new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, concat};
use arrow::datatypes::{DataType, Field};
use corelane_ops::Zone;
use corelane_stream::sql_type;
use datafusion_common::config::ConfigOptions;
use datafusion_common::{Result, internal_err, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::casts::leaf_cast;

#[derive(Debug, PartialEq, Eq, Hash)]
struct NestedCast {
    wanted: DataType,
    zone: Option<Zone>,
    /// The function that casts to text.
    to_text: Arc<ScalarUDF>,
    /// TRY_CAST: what cannot be cast is NULL.
    safe: bool,
    signature: Signature,
}

/// True for a cast of a value with parts to another one with parts.
pub(super) fn is_nested(given: &DataType, wanted: &DataType) -> bool {
    match (given, wanted) {
        (DataType::Struct(given), DataType::Struct(wanted)) => given.len() == wanted.len(),
        (DataType::List(_), DataType::List(_)) | (DataType::Map(_, _), DataType::Map(_, _)) => true,
        _ => false,
    }
}

/// The function that casts values of one type with parts to another.
///
/// # Errors
/// If a part can never be cast.
pub(super) fn nested_cast(
    given: &DataType,
    wanted: &DataType,
    zone: Option<Zone>,
    to_text: &Arc<ScalarUDF>,
    safe: bool,
) -> Result<Arc<ScalarUDF>> {
    let signature = Signature::any(1, Volatility::Immutable);
    let cast = NestedCast { wanted: wanted.clone(), zone, to_text: Arc::clone(to_text), safe, signature };
    if !cast.is_possible(given, wanted) {
        return plan_err!("{} cannot be cast to {}", sql_type(given), sql_type(wanted));
    }
    Ok(Arc::new(ScalarUDF::from(cast)))
}

impl ScalarUDFImpl for NestedCast {
    fn name(&self) -> &str {
        "cast_nested"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.wanted.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [values] = values.as_slice() else { return internal_err!("a value is cast by itself") };
        let cast = if self.safe { self.try_cast(values)? } else { self.cast(values, &self.wanted)? };
        Ok(ColumnarValue::Array(cast))
    }
}

impl NestedCast {
    fn is_possible(&self, given: &DataType, wanted: &DataType) -> bool {
        match (given, wanted) {
            (DataType::Struct(given), DataType::Struct(wanted)) => {
                let mut fields = given.iter().zip(wanted);
                given.len() == wanted.len()
                    && fields.all(|(given, wanted)| self.is_possible(given.data_type(), wanted.data_type()))
            }
            (DataType::List(given), DataType::List(wanted)) | (DataType::Map(given, _), DataType::Map(wanted, _)) => {
                self.is_possible(given.data_type(), wanted.data_type())
            }
            _ => leaf_cast(given, wanted, self.zone, &self.to_text, false).is_some() || can_cast_types(given, wanted),
        }
    }

    /// What is at fault in a batch is found by halves: a batch without faults is cast at one go.
    fn try_cast(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let error = match self.cast(values, &self.wanted) {
            Ok(cast) => return Ok(cast),
            Err(error) => error,
        };
        match values.len() {
            0 => Err(error),
            1 => Ok(new_null_array(&self.wanted, 1)),
            count => {
                let (first, second) = (values.slice(0, count / 2), values.slice(count / 2, count - count / 2));
                Ok(concat(&[&self.try_cast(&first)?, &self.try_cast(&second)?])?)
            }
        }
    }

    fn cast(&self, values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
        if values.data_type() == wanted {
            return Ok(Arc::clone(values));
        }
        if values.is_empty() {
            return Ok(new_empty_array(wanted));
        }
        match (values.data_type(), wanted) {
            (DataType::Struct(_), DataType::Struct(fields)) => {
                let rows = values.as_struct();
                let columns = rows.columns().iter().zip(fields).map(|(column, field)| {
                    // What stands behind a null is no value.
                    self.cast(&with_nulls(column, rows.nulls())?, field.data_type())
                });
                let columns = columns.collect::<Result<Vec<_>>>()?;
                Ok(Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    columns,
                    rows.nulls().cloned(),
                    rows.len(),
                )?))
            }
            (DataType::List(_), DataType::List(item)) => {
                let list = values.as_list::<i32>();
                let (offsets, items) = used(list.offsets(), list.values(), list.nulls())?;
                let items = self.cast(&items, item.data_type())?;
                Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, list.nulls().cloned())?))
            }
            (DataType::Map(_, _), DataType::Map(entry, sorted)) => {
                let map = values.as_map();
                let entries: ArrayRef = Arc::new(map.entries().clone());
                let (offsets, entries) = used(map.offsets(), &entries, None)?;
                let entries = self.cast(&entries, entry.data_type())?.as_struct().clone();
                let nulls = map.nulls().cloned();
                Ok(Arc::new(MapArray::try_new(Arc::clone(entry), offsets, entries, nulls, *sorted)?))
            }
            (given, _) => match leaf_cast(given, wanted, self.zone, &self.to_text, false) {
                Some(function) => call(&function, values, wanted),
                None => Ok(cast_with_options(values, wanted, &CastOptions { safe: false, ..Default::default() })?),
            },
        }
    }
}

/// The elements that arrays refer to, and where they lie among these: a slice has the elements of all.
fn used(
    offsets: &OffsetBuffer<i32>,
    elements: &ArrayRef,
    nulls: Option<&NullBuffer>,
) -> Result<(OffsetBuffer<i32>, ArrayRef)> {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let elements = elements.slice(first as usize, (last - first) as usize);
    let moved: Vec<i32> = offsets.iter().map(|offset| offset - first).collect();
    let mut valid = BooleanBufferBuilder::new(elements.len());
    if let Some(nulls) = nulls.filter(|nulls| 0 < nulls.null_count()) {
        for (row, ends) in moved.windows(2).enumerate() {
            valid.append_n((ends[1] - ends[0]) as usize, nulls.is_valid(row));
        }
        let nulls = NullBuffer::new(valid.finish());
        return Ok((OffsetBuffer::new(moved.into()), with_nulls(&elements, Some(&nulls))?));
    }
    Ok((OffsetBuffer::new(moved.into()), elements))
}

/// The values, those that are null in the place of their rows among the nulls.
fn with_nulls(values: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef> {
    let Some(nulls) = nulls.filter(|nulls| 0 < nulls.null_count() && !values.data_type().is_null()) else {
        return Ok(Arc::clone(values));
    };
    let both = NullBuffer::union(values.nulls(), Some(nulls));
    Ok(make_array(values.to_data().into_builder().nulls(both).build()?))
}

fn call(function: &ScalarUDF, values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    let field = |data_type: &DataType| Arc::new(Field::new("", data_type.clone(), true));
    let cast = function.invoke_with_args(ScalarFunctionArgs {
        args: vec![ColumnarValue::Array(Arc::clone(values))],
        arg_fields: vec![field(values.data_type())],
        number_rows: values.len(),
        return_field: field(wanted),
        config_options: Arc::new(ConfigOptions::default()),
    })?;
    cast.into_array(values.len())
}
