//! Functions on maps. A key that comes twice keeps its first place and its last value.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::row::{RowConverter, SortField};
use datafusion_common::{Result, exec_err, internal_err, plan_err};
use datafusion_expr::ReturnFieldArgs;

use super::arrays::{self, one_each, pick};
use super::call::Call;
use super::regexp;
use super::text_builder::TextBuilder;

fn map_of(key: &DataType, value: &DataType) -> DataType {
    let fields = [Field::new("key", key.clone(), false), Field::new("value", value.clone(), true)];
    let entries = DataType::Struct(Fields::from(fields.to_vec()));
    DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
}

fn entry_types(data_type: Option<&DataType>) -> Result<(DataType, DataType)> {
    if let Some(DataType::Map(entries, _)) = data_type
        && let DataType::Struct(fields) = entries.data_type()
        && let [key, value] = fields.as_ref()
    {
        return Ok((key.data_type().clone(), value.data_type().clone()));
    }
    plan_err!("a map is missing")
}

fn first_types(args: &ReturnFieldArgs) -> Result<(DataType, DataType)> {
    entry_types(args.arg_fields.first().map(|field| field.data_type()))
}

pub(super) fn keys_type(args: &ReturnFieldArgs) -> Result<DataType> {
    Ok(DataType::new_list(first_types(args)?.0, true))
}

pub(super) fn values_type(args: &ReturnFieldArgs) -> Result<DataType> {
    Ok(DataType::new_list(first_types(args)?.1, true))
}

pub(super) fn entries_type(args: &ReturnFieldArgs) -> Result<DataType> {
    let (key, value) = first_types(args)?;
    let fields = vec![Field::new("key", key, false), Field::new("value", value, true)];
    Ok(DataType::new_list(DataType::Struct(Fields::from(fields)), true))
}

/// `MAP[key, value, ..]`.
pub(super) fn map_type(args: &ReturnFieldArgs) -> Result<DataType> {
    if args.arg_fields.len() % 2 == 1 {
        return plan_err!("MAP takes keys and values in turn");
    }
    let of = |index: usize| args.arg_fields.get(index).map_or(DataType::Null, |field| field.data_type().clone());
    Ok(map_of(&of(0), &of(1)))
}

pub(super) fn text_map_type(_args: &ReturnFieldArgs) -> Result<DataType> {
    Ok(map_of(&DataType::Utf8View, &DataType::Utf8View))
}

pub(super) fn from_arrays_type(args: &ReturnFieldArgs) -> Result<DataType> {
    match args.arg_fields {
        [keys, values] => match (keys.data_type(), values.data_type()) {
            (DataType::List(key), DataType::List(value)) => Ok(map_of(key.data_type(), value.data_type())),
            _ => plan_err!("MAP_FROM_ARRAYS takes two arrays"),
        },
        _ => plan_err!("MAP_FROM_ARRAYS takes two arrays"),
    }
}

/// `a[n]` of an array, `m[key]` of a map.
pub(super) fn at_type(args: &ReturnFieldArgs) -> Result<DataType> {
    match args.arg_fields.first().map(|field| field.data_type()) {
        Some(DataType::List(item)) => Ok(item.data_type().clone()),
        other => Ok(entry_types(other)?.1),
    }
}

pub(super) fn at(call: &Call) -> Result<ArrayRef> {
    let (argument, wanted) = (call.argument(0)?, call.argument(1)?);
    let Some(map) = argument.array.as_map_opt() else { return arrays::at(call) };
    let converter = RowConverter::new(vec![SortField::new(map.key_type().clone())])?;
    let keys = converter.convert_columns(std::slice::from_ref(map.keys()))?;
    let wanted_rows = converter.convert_columns(std::slice::from_ref(&wanted.array))?;
    let places = one_each(call, |row| {
        let wanted = wanted_rows.row(wanted.index(row));
        let (offsets, index) = (map.value_offsets(), argument.index(row));
        Ok((offsets[index] as usize..offsets[index + 1] as usize).find(|entry| keys.row(*entry) == wanted))
    })?;
    pick(&[new_null_array(call.returns, 1), Arc::clone(map.values())], &places, call.returns)
}

/// The entries, or one of their columns, as an array.
fn as_list(call: &Call, values: fn(&MapArray) -> ArrayRef) -> Result<ArrayRef> {
    let argument = call.argument(0)?;
    let (Some(map), DataType::List(item)) = (argument.array.as_map_opt(), call.returns) else {
        return internal_err!("{} takes a map and gives an array", call.name);
    };
    let values = arrow::compute::cast(&values(map), item.data_type())?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), map.offsets().clone(), values, map.nulls().cloned())?))
}

pub(super) fn keys(call: &Call) -> Result<ArrayRef> {
    as_list(call, |map| Arc::clone(map.keys()))
}

pub(super) fn values(call: &Call) -> Result<ArrayRef> {
    as_list(call, |map| Arc::clone(map.values()))
}

pub(super) fn entries(call: &Call) -> Result<ArrayRef> {
    as_list(call, |map| Arc::new(map.entries().clone()))
}

/// Puts a map together from its entries, given by row.
fn build(
    call: &Call,
    keys: ArrayRef,
    values: ArrayRef,
    offsets: Vec<i32>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let DataType::Map(field, sorted) = call.returns else { return internal_err!("{} gives a map", call.name) };
    let DataType::Struct(fields) = field.data_type() else { return internal_err!("a map has entries") };
    if 0 < keys.null_count() || keys.data_type().is_null() && !keys.is_empty() {
        return exec_err!("a key of {} is null", call.name);
    }
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(field), OffsetBuffer::new(offsets.into()), entries, nulls, *sorted)?))
}

pub(super) fn map(call: &Call) -> Result<ArrayRef> {
    let sources = |first: usize| -> Vec<ArrayRef> {
        call.arguments.iter().skip(first).step_by(2).map(|argument| Arc::clone(&argument.array)).collect()
    };
    let (key_sources, value_sources) = (sources(0), sources(1));
    let Some(key_type) = key_sources.first().map(|source| source.data_type().clone()) else {
        return exec_err!("MAP takes at least one key and value");
    };
    let converter = RowConverter::new(vec![SortField::new(key_type)])?;
    let rows = key_sources.iter().map(|source| converter.convert_columns(std::slice::from_ref(source)));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let (mut key_places, mut value_places, mut offsets) = (Vec::new(), Vec::new(), vec![0_i32]);
    for row in 0..call.rows {
        let start = key_places.len();
        for pair in 0..key_sources.len() {
            let key_place = (pair, call.arguments[2 * pair].index(row));
            let value_place = (pair, call.arguments[2 * pair + 1].index(row));
            let key = rows[pair].row(key_place.1);
            let known = key_places[start..]
                .iter()
                .position(|(source, index): &(usize, usize)| rows[*source].row(*index) == key);
            match known {
                Some(known) => value_places[start + known] = value_place,
                None => {
                    key_places.push(key_place);
                    value_places.push(value_place);
                }
            }
        }
        offsets.push(key_places.len() as i32);
    }
    let keys = pick(&key_sources, &key_places, key_sources[0].data_type())?;
    let values = pick(&value_sources, &value_places, value_sources[0].data_type())?;
    build(call, keys, values, offsets, None)
}

pub(super) fn from_arrays(call: &Call) -> Result<ArrayRef> {
    let (keys, values) = (call.list(0)?, call.list(1)?);
    let (mut key_places, mut value_places, mut offsets) = (Vec::new(), Vec::new(), vec![0_i32]);
    for row in 0..call.rows {
        if !call.is_null(row) {
            let range = |list: &ListArray, index: usize| {
                let offsets = list.value_offsets();
                offsets[index] as usize..offsets[index + 1] as usize
            };
            let (key, value) = (range(keys, call.argument(0)?.index(row)), range(values, call.argument(1)?.index(row)));
            if key.len() != value.len() {
                return exec_err!(
                    "MAP_FROM_ARRAYS takes arrays of one length, not of {} and {}",
                    key.len(),
                    value.len()
                );
            }
            key_places.extend(key.map(|index| (0, index)));
            value_places.extend(value.map(|index| (0, index)));
        }
        offsets.push(key_places.len() as i32);
    }
    let (key_source, value_source) = (Arc::clone(keys.values()), Arc::clone(values.values()));
    let key_column = pick(std::slice::from_ref(&key_source), &key_places, key_source.data_type())?;
    let value_column = pick(std::slice::from_ref(&value_source), &value_places, value_source.data_type())?;
    build(call, key_column, value_column, offsets, call.nulls.clone())
}

/// `STR_TO_MAP(text[, between pairs[, between key and value]])`: the separators are regular expressions, `,` and `=`.
pub(super) fn str_to_map(call: &Call) -> Result<ArrayRef> {
    let text = call.text(0)?;
    let separator = |index: usize| if call.has(index) { call.text(index).map(Some) } else { Ok(None) };
    let (between_pairs, between_both) = (separator(1)?, separator(2)?);
    let (mut keys, mut values) = (TextBuilder::over(call.rows, text.array), TextBuilder::over(call.rows, text.array));
    let mut offsets = vec![0_i32];
    let mut count = 0;
    for row in 0..call.rows {
        if !call.is_null(row) && !text.at(row).is_empty() {
            let (view, whole) = (text.view(row), text.at(row));
            let pairs = regexp::split(whole, between_pairs.map_or(",", |text| text.at(row)), usize::MAX)?;
            let pairs = pairs.iter().map(|pair| regexp::split(pair, between_both.map_or("=", |text| text.at(row)), 2));
            let pairs = pairs.collect::<Result<Vec<_>>>()?;
            for (index, pair) in pairs.iter().enumerate() {
                let same = |other: &Vec<&str>| other.first() == pair.first();
                if pairs[..index].iter().any(same) {
                    continue;
                }
                let last = pairs.iter().rev().find(|other| same(other)).unwrap_or(pair);
                keys.append_part(view, whole, pair.first().copied().unwrap_or(""));
                match last.get(1) {
                    Some(value) => values.append_part(view, whole, value),
                    None => values.append_null(),
                }
                count += 1;
            }
        }
        offsets.push(count);
    }
    build(call, keys.finish(), values.finish(), offsets, call.nulls.clone())
}
