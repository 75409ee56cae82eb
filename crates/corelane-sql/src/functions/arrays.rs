//! Functions on arrays. Positions count from 1.
//!
//! Nearly all of them choose elements: each says for every row which elements of which argument it keeps, in
//! what order, and one gather builds the result. Elements compare in Arrow's row format, so every type works.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, StructArray, new_empty_array, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Int32Type};
use arrow::row::{Row, RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion_common::{Result, exec_err, internal_err, plan_err};
use datafusion_expr::ReturnFieldArgs;

use super::call::Call;

/// An array argument: where its rows' elements lie, and the elements in comparable form.
struct Lists<'a> {
    array: &'a ListArray,
    constant: bool,
    rows: Rows,
}

impl<'a> Lists<'a> {
    fn new(call: &'a Call, index: usize, converter: &RowConverter) -> Result<Self> {
        let array = call.list(index)?;
        let rows = converter.convert_columns(std::slice::from_ref(array.values()))?;
        Ok(Lists { array, constant: call.argument(index)?.is_constant(), rows })
    }

    fn range(&self, row: usize) -> Range<usize> {
        range(self.array, if self.constant { 0 } else { row })
    }
}

fn range(list: &ListArray, row: usize) -> Range<usize> {
    let offsets = list.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

fn converter(item: &DataType) -> Result<RowConverter> {
    Ok(RowConverter::new(vec![SortField::new(item.clone())])?)
}

fn item_of(data_type: &DataType) -> Result<&DataType> {
    match data_type {
        DataType::List(item) => Ok(item.data_type()),
        other => internal_err!("{other} is no array"),
    }
}

/// Where an element comes from: which source, which of its elements.
type Place = (usize, usize);

/// Builds arrays: `choose` appends the places of a row's elements; false is null.
fn gather(
    call: &Call,
    sources: &[ArrayRef],
    mut choose: impl FnMut(usize, &mut Vec<Place>) -> Result<bool>,
) -> Result<ArrayRef> {
    let DataType::List(item) = call.returns else { return internal_err!("{} gives an array", call.name) };
    let mut places = Vec::new();
    let mut offsets = vec![0_i32];
    let mut valid = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        let before = places.len();
        let good = !call.is_null(row) && choose(row, &mut places)?;
        if !good {
            places.truncate(before);
        }
        valid.push(good);
        match i32::try_from(places.len()) {
            Ok(offset) => offsets.push(offset),
            Err(_) => return exec_err!("{} made too many elements", call.name),
        }
    }
    let values = pick(sources, &places, item.data_type())?;
    let nulls = NullBuffer::from(valid);
    let list = ListArray::try_new(Arc::clone(item), OffsetBuffer::new(offsets.into()), values, Some(nulls))?;
    Ok(Arc::new(list))
}

/// The elements at places, in a column.
pub(super) fn pick(sources: &[ArrayRef], places: &[Place], item: &DataType) -> Result<ArrayRef> {
    if places.is_empty() {
        return Ok(new_empty_array(item));
    }
    let sources: Vec<&dyn Array> = sources.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&sources, places)?)
}

fn all(source: usize, range: Range<usize>) -> impl DoubleEndedIterator<Item = Place> {
    range.map(move |index| (source, index))
}

/// `ARRAY[x, ..]`.
pub(super) fn array(call: &Call) -> Result<ArrayRef> {
    let sources: Vec<ArrayRef> = call.arguments.iter().map(|argument| Arc::clone(&argument.array)).collect();
    gather(call, &sources, |row, out| {
        out.extend(call.arguments.iter().enumerate().map(|(source, argument)| (source, argument.index(row))));
        Ok(true)
    })
}

/// The type of an array of the first argument.
pub(super) fn array_type(args: &ReturnFieldArgs) -> Result<DataType> {
    let item = args.arg_fields.first().map_or(DataType::Null, |field| field.data_type().clone());
    Ok(DataType::new_list(item, true))
}

/// The type of the first argument's elements.
pub(super) fn element_type(args: &ReturnFieldArgs) -> Result<DataType> {
    match args.arg_fields.first().map(|field| field.data_type()) {
        Some(DataType::List(item)) => Ok(item.data_type().clone()),
        Some(other) => plan_err!("{other} is no array"),
        None => plan_err!("an array is missing"),
    }
}

fn values(call: &Call, index: usize) -> Result<ArrayRef> {
    Ok(Arc::clone(call.list(index)?.values()))
}

pub(super) fn cardinality(call: &Call) -> Result<ArrayRef> {
    let argument = call.argument(0)?;
    if let Some(map) = arrow::array::AsArray::as_map_opt(&argument.array) {
        return call.map_total::<Int32Type>(|row| map.value_length(argument.index(row)));
    }
    let list = call.list(0)?;
    call.map_total::<Int32Type>(|row| list.value_length(argument.index(row)))
}

/// The only element: null of an empty array, an error of several.
pub(super) fn element(call: &Call) -> Result<ArrayRef> {
    let (list, argument) = (call.list(0)?, call.argument(0)?);
    let places = one_each(call, |row| {
        let range = range(list, argument.index(row));
        if 1 < range.len() {
            return exec_err!("ELEMENT takes an array of one element, not of {}", range.len());
        }
        Ok(range.clone().next())
    })?;
    pick(&[new_null_array(call.returns, 1), values(call, 0)?], &places, call.returns)
}

/// For every row the place of an element in source 1; source 0 is a null.
pub(super) fn one_each(call: &Call, mut choose: impl FnMut(usize) -> Result<Option<usize>>) -> Result<Vec<Place>> {
    let place = |row| -> Result<Place> {
        let chosen = if call.is_null(row) { None } else { choose(row)? };
        Ok(chosen.map_or((0, 0), |index| (1, index)))
    };
    (0..call.rows).map(place).collect()
}

/// `a[n]`: null if there is no such element.
pub(super) fn at(call: &Call) -> Result<ArrayRef> {
    let (list, argument, number) = (call.list(0)?, call.argument(0)?, call.longs(1)?);
    let places = one_each(call, |row| {
        let range = range(list, argument.index(row));
        let skipped = usize::try_from(number.at(row)).ok().and_then(|number| number.checked_sub(1));
        Ok(skipped.and_then(|skipped| range.clone().nth(skipped)))
    })?;
    pick(&[new_null_array(call.returns, 1), values(call, 0)?], &places, call.returns)
}

/// The index in the array of the first element equal to the second argument, by row.
fn positions(call: &Call, mut found: impl FnMut(usize, Option<usize>)) -> Result<()> {
    let item = item_of(call.list(0)?.data_type())?;
    let converter = converter(item)?;
    let (lists, wanted) = (Lists::new(call, 0, &converter)?, call.argument(1)?);
    let wanted_rows = converter.convert_columns(std::slice::from_ref(&wanted.array))?;
    let lists_argument = call.argument(0)?;
    for row in 0..call.rows {
        let wanted = wanted_rows.row(wanted.index(row));
        let mut range = if lists_argument.is_null(row) { 0..0 } else { lists.range(row) };
        found(row, range.position(|index| lists.rows.row(index) == wanted));
    }
    Ok(())
}

/// A null can be looked for.
pub(super) fn contains(call: &Call) -> Result<ArrayRef> {
    let mut found = vec![false; call.rows];
    positions(call, |row, position| found[row] = position.is_some())?;
    let list = call.argument(0)?;
    call.map_booleans(|row| Ok((!list.is_null(row)).then_some(found[row])))
}

/// From 1; 0 if there is none.
pub(super) fn position(call: &Call) -> Result<ArrayRef> {
    let mut found = vec![0; call.rows];
    positions(call, |row, position| found[row] = position.map_or(0, |position| position as i32 + 1))?;
    call.map_total::<Int32Type>(|row| found[row])
}

pub(super) fn reverse(call: &Call) -> Result<ArrayRef> {
    let (list, argument) = (call.list(0)?, call.argument(0)?);
    gather(call, &[values(call, 0)?], |row, out| {
        out.extend(all(0, range(list, argument.index(row))).rev());
        Ok(true)
    })
}

pub(super) fn concat(call: &Call) -> Result<ArrayRef> {
    let count = call.arguments.len();
    let lists = (0..count).map(|index| call.list(index)).collect::<Result<Vec<_>>>()?;
    let sources = (0..count).map(|index| values(call, index)).collect::<Result<Vec<_>>>()?;
    gather(call, &sources, |row, out| {
        for (source, list) in lists.iter().enumerate() {
            out.extend(all(source, range(list, call.arguments[source].index(row))));
        }
        Ok(true)
    })
}

/// Which elements of the second array matter to those of the first.
#[derive(Clone, Copy, PartialEq)]
enum Combination {
    Union,
    Except,
    Intersect,
}

/// Distinct elements of one or two arrays, in the order they come.
fn combine(call: &Call, combination: Combination) -> Result<ArrayRef> {
    let converter = converter(item_of(call.returns)?)?;
    let first = Lists::new(call, 0, &converter)?;
    let second = if call.has(1) { Some(Lists::new(call, 1, &converter)?) } else { None };
    let mut sources = vec![values(call, 0)?];
    if second.is_some() {
        sources.push(values(call, 1)?);
    }
    gather(call, &sources, |row, out| {
        let others: Vec<Place> = second.iter().flat_map(|second| all(1, second.range(row))).collect();
        let other = |index| second.as_ref().map(|second| second.rows.row(index));
        let known: HashSet<Row> = others.iter().filter_map(|(_, index)| other(*index)).collect();
        let mut seen: HashSet<Row> = HashSet::new();
        for index in first.range(row) {
            let element = first.rows.row(index);
            let kept = match combination {
                Combination::Union => true,
                Combination::Except => !known.contains(&element),
                Combination::Intersect => known.contains(&element),
            };
            if kept && seen.insert(element) {
                out.push((0, index));
            }
        }
        if combination == Combination::Union {
            out.extend(
                others.into_iter().filter(|(_, index)| other(*index).is_some_and(|element| seen.insert(element))),
            );
        }
        Ok(true)
    })
}

pub(super) fn distinct(call: &Call) -> Result<ArrayRef> {
    combine(call, Combination::Union)
}

pub(super) fn union(call: &Call) -> Result<ArrayRef> {
    combine(call, Combination::Union)
}

pub(super) fn except(call: &Call) -> Result<ArrayRef> {
    combine(call, Combination::Except)
}

pub(super) fn intersect(call: &Call) -> Result<ArrayRef> {
    combine(call, Combination::Intersect)
}

/// Nulls can be removed.
pub(super) fn remove(call: &Call) -> Result<ArrayRef> {
    let converter = converter(item_of(call.returns)?)?;
    let (lists, unwanted) = (Lists::new(call, 0, &converter)?, call.argument(1)?);
    let unwanted_rows = converter.convert_columns(std::slice::from_ref(&unwanted.array))?;
    let argument = call.argument(0)?;
    gather(call, &[values(call, 0)?], |row, out| {
        let unwanted = unwanted_rows.row(unwanted.index(row));
        out.extend(all(0, lists.range(row)).filter(|(_, index)| lists.rows.row(*index) != unwanted));
        Ok(!argument.is_null(row))
    })
}

pub(super) fn append(call: &Call) -> Result<ArrayRef> {
    let (list, argument, added) = (call.list(0)?, call.argument(0)?, call.argument(1)?);
    gather(call, &[values(call, 0)?, Arc::clone(&added.array)], |row, out| {
        out.extend(all(0, range(list, argument.index(row))));
        out.push((1, added.index(row)));
        Ok(!argument.is_null(row))
    })
}

pub(super) fn prepend(call: &Call) -> Result<ArrayRef> {
    let (list, argument, added) = (call.list(0)?, call.argument(0)?, call.argument(1)?);
    gather(call, &[values(call, 0)?, Arc::clone(&added.array)], |row, out| {
        out.push((1, added.index(row)));
        out.extend(all(0, range(list, argument.index(row))));
        Ok(!argument.is_null(row))
    })
}

/// Both ends are kept; negative ones count from the array's end, a start of 0 is 1.
pub(super) fn slice(call: &Call) -> Result<ArrayRef> {
    let (list, argument, start) = (call.list(0)?, call.argument(0)?, call.longs(1)?);
    let end = if call.has(2) { Some(call.longs(2)?) } else { None };
    gather(call, &[values(call, 0)?], |row, out| {
        let range = range(list, argument.index(row));
        let count = range.len() as i64;
        let from_start = |number: i64| if number < 0 { count.saturating_add(number) + 1 } else { number };
        let first = from_start(start.at(row)).max(1);
        let last = from_start(end.map_or(count, |end| end.at(row))).min(count);
        if first <= last {
            out.extend(all(0, range.start + first as usize - 1..range.start + last as usize));
        }
        Ok(true)
    })
}

/// `ARRAY_SORT(a[, ascending[, nulls first]])`: nulls come first if ascending, last if not.
pub(super) fn sort(call: &Call) -> Result<ArrayRef> {
    let converter = converter(item_of(call.returns)?)?;
    let (lists, values) = (Lists::new(call, 0, &converter)?, values(call, 0)?);
    let flag = |index: usize, row: usize, default: bool| -> Result<bool> {
        if !call.has(index) {
            return Ok(default);
        }
        Ok(call.booleans(index)?.value(call.argument(index)?.index(row)))
    };
    gather(call, &[Arc::clone(&values)], |row, out| {
        let ascending = flag(1, row, true)?;
        let nulls_first = flag(2, row, ascending)?;
        let start = out.len();
        out.extend(all(0, lists.range(row)));
        out[start..].sort_by(|(_, left), (_, right)| match (values.is_null(*left), values.is_null(*right)) {
            (true, true) => Ordering::Equal,
            (true, false) if nulls_first => Ordering::Less,
            (false, true) if !nulls_first => Ordering::Less,
            (true, false) | (false, true) => Ordering::Greater,
            (false, false) if ascending => lists.rows.row(*left).cmp(&lists.rows.row(*right)),
            (false, false) => lists.rows.row(*right).cmp(&lists.rows.row(*left)),
        });
        Ok(true)
    })
}

fn extreme(call: &Call, wanted: Ordering) -> Result<ArrayRef> {
    let converter = converter(call.returns)?;
    let (lists, values) = (Lists::new(call, 0, &converter)?, values(call, 0)?);
    let places = one_each(call, |row| {
        let better = |best: usize, index: usize| {
            if lists.rows.row(index).cmp(&lists.rows.row(best)) == wanted { index } else { best }
        };
        Ok(lists.range(row).filter(|index| values.is_valid(*index)).reduce(better))
    })?;
    pick(&[new_null_array(call.returns, 1), values], &places, call.returns)
}

/// Nulls do not count.
pub(super) fn max(call: &Call) -> Result<ArrayRef> {
    extreme(call, Ordering::Greater)
}

/// Nulls do not count.
pub(super) fn min(call: &Call) -> Result<ArrayRef> {
    extreme(call, Ordering::Less)
}

/// `ARRAY_JOIN(a, separator[, null text])`: without a text for them nulls are left out.
pub(super) fn join(call: &Call) -> Result<ArrayRef> {
    let (list, argument, separator) = (call.list(0)?, call.argument(0)?, call.text(1)?);
    let instead = if call.has(2) { Some(call.text(2)?) } else { None };
    let values = values(call, 0)?;
    let formatter = ArrayFormatter::try_new(values.as_ref(), &FormatOptions::default())?;
    call.write_texts(|row, out| {
        let mut first = true;
        for index in range(list, argument.index(row)) {
            let missing = values.is_null(index);
            if missing && instead.is_none() {
                continue;
            }
            if !first {
                out.push_str(separator.at(row));
            }
            first = false;
            match instead {
                Some(instead) if missing => out.push_str(instead.at(row)),
                _ => {
                    use std::fmt::Write;
                    let _ = write!(out, "{}", formatter.value(index));
                }
            }
        }
        Ok(true)
    })
}

/// `ROW(x, ..)`.
pub(super) fn row(call: &Call) -> Result<ArrayRef> {
    let DataType::Struct(fields) = call.returns else { return internal_err!("ROW gives a row") };
    let mut columns = Vec::with_capacity(fields.len());
    for argument in &call.arguments {
        let places: Vec<Place> = (0..call.rows).map(|row| (0, argument.index(row))).collect();
        columns.push(pick(std::slice::from_ref(&argument.array), &places, argument.array.data_type())?);
    }
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None)?))
}

/// A row of fields named as Flink names them.
pub(super) fn row_type(args: &ReturnFieldArgs) -> Result<DataType> {
    let field = |(index, field): (usize, &arrow::datatypes::FieldRef)| {
        arrow::datatypes::Field::new(format!("EXPR${index}"), field.data_type().clone(), true)
    };
    Ok(DataType::Struct(args.arg_fields.iter().enumerate().map(field).collect()))
}
