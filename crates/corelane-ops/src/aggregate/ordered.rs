//! Aggregates over values in their order: MIN, MAX, FIRST_VALUE, LAST_VALUE, LISTAGG, COLLECT.
//!
//! A row is encoded, order columns before the argument, into bytes that compare as the rows do
//! (arrow's row format). So the first value is the least row and the last the greatest, ties
//! included, and no result depends on the order of arrival. Where rows can be taken away, or all
//! are wanted, a group keeps each distinct row with its count.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int32Array, MapArray, StringViewBuilder, StructArray,
    new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};
use corelane_stream::{Error, Result};

use super::accumulators::{Accumulators, each_row};
use super::paged::Paged;

/// Encodes rows of order columns and one argument.
struct OrderedRows {
    converter: RowConverter,
    argument: DataType,
}

impl OrderedRows {
    fn new(argument: &DataType, order: &[DataType]) -> Result<Self> {
        let types = order.iter().chain([argument]);
        let converter = RowConverter::new(types.map(|data_type| SortField::new(data_type.clone())).collect())?;
        Ok(OrderedRows { converter, argument: argument.clone() })
    }

    /// Calls `each(row bytes, group, retracts)` for the rows that count.
    fn each(
        &self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
        mut each: impl FnMut(&[u8], usize, bool),
    ) -> Result<()> {
        let mut ordered = columns[1..].to_vec();
        ordered.push(columns[0].clone());
        let rows = self.converter.convert_columns(&ordered)?;
        each_row(groups, columns[0].logical_nulls().as_ref(), keep, retract, |row, group, retracts| {
            each(rows.row(row).data(), group, retracts);
        });
        Ok(())
    }

    /// The arguments of encoded rows.
    fn arguments<'a>(&self, rows: impl Iterator<Item = &'a [u8]>) -> Result<ArrayRef> {
        let parser = self.converter.parser();
        let columns = self.converter.convert_rows(rows.map(|row| parser.parse(row)))?;
        Ok(columns.last().cloned().unwrap_or_else(|| new_empty_array(&self.argument)))
    }

    /// One argument for each group, null where there is no row.
    fn results<'a>(&self, rows: impl Iterator<Item = Option<&'a [u8]>> + Clone) -> Result<ArrayRef> {
        let found = self.arguments(rows.clone().flatten())?;
        let mut next = 0;
        let positions = rows.map(|row| {
            row.map(|_| {
                next += 1;
                next - 1
            })
        });
        let positions: arrow::array::UInt32Array = positions.collect();
        Ok(arrow::compute::take(&found, &positions, None)?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    First,
    Last,
}

/// The first or last row of each group, where rows are never taken away.
pub struct EndRow {
    rows: OrderedRows,
    end: End,
    best: Paged<Option<Box<[u8]>>>,
    bytes: usize,
}

impl EndRow {
    /// # Errors
    /// If a type has no order.
    pub fn new(end: End, argument: &DataType, order: &[DataType]) -> Result<Self> {
        Ok(EndRow { rows: OrderedRows::new(argument, order)?, end, best: Paged::default(), bytes: 0 })
    }
}

/// Keeps `row` if it is nearer the end.
#[inline]
fn keep_best(best: &mut Option<Box<[u8]>>, row: &[u8], end: End, bytes: &mut usize) {
    match best {
        Some(standing) => {
            let displaces = match end {
                End::First => row < &**standing,
                End::Last => row > &**standing,
            };
            if displaces && standing.len() == row.len() {
                standing.copy_from_slice(row);
            } else if displaces {
                *bytes = *bytes + row.len() - standing.len();
                *standing = row.into();
            }
        }
        None => {
            *bytes += row.len();
            *best = Some(row.into());
        }
    }
}

impl Accumulators for EndRow {
    fn resize(&mut self, groups: usize) {
        self.best.grow(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()> {
        assert!(retract.is_none(), "a lone row cannot be taken away");
        let EndRow { rows, end, best, bytes } = self;
        rows.each(groups, columns, keep, None, |row, group, _| keep_best(&mut best[group], row, *end, bytes))
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        for (group, row) in groups.iter().zip(states[0].as_binary::<i32>()) {
            if let Some(row) = row {
                keep_best(&mut self.best[*group as usize], row, self.end, &mut self.bytes);
            }
        }
        Ok(())
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("row", DataType::Binary, true)]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let states = groups.iter().map(|group| self.best[*group as usize].as_deref());
        Ok(vec![Arc::new(states.collect::<BinaryArray>())])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        self.rows.results(groups.iter().map(|group| self.best[*group as usize].as_deref()))
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            let row = self.best[*group as usize].take();
            self.bytes -= row.map_or(0, |row| row.len());
        }
    }

    fn free_page(&mut self, page: usize) {
        self.best.free_page(page);
    }

    fn size_bytes(&self) -> usize {
        self.best.bytes() + self.bytes
    }
}

/// What is asked of the rows of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    End(End),
    /// All arguments as text, in order, each as often as it came.
    Joined {
        separator: String,
    },
    /// All arguments, each with how often it came.
    Collected {
        output: DataType,
    },
}

/// All rows of each group, with how often each came.
pub struct CountedRows {
    rows: OrderedRows,
    question: Question,
    sets: Paged<BTreeMap<Box<[u8]>, i64>>,
    bytes: usize,
}

/// What an entry of a set costs beside its bytes.
const ENTRY_BYTES: usize = 32;

impl CountedRows {
    /// # Errors
    /// If a type has no order.
    pub fn new(question: Question, argument: &DataType, order: &[DataType]) -> Result<Self> {
        Ok(CountedRows { rows: OrderedRows::new(argument, order)?, question, sets: Paged::default(), bytes: 0 })
    }

    fn joined(&self, groups: &[u32], separator: &str) -> Result<ArrayRef> {
        let mut results = StringViewBuilder::with_capacity(groups.len());
        for group in groups {
            let present = || self.sets[*group as usize].iter().filter(|(_, count)| **count > 0);
            let words = cast(&self.rows.arguments(present().map(|(row, _)| &**row))?, &DataType::Utf8)?;
            let mut joined = String::new();
            let mut first = true;
            for (word, (_, count)) in words.as_string::<i32>().iter().zip(present()) {
                for _ in 0..*count {
                    if !std::mem::take(&mut first) {
                        joined.push_str(separator);
                    }
                    joined.push_str(word.unwrap_or_default());
                }
            }
            results.append_option((!first).then_some(joined));
        }
        Ok(Arc::new(results.finish()))
    }

    /// A group without rows has an empty multiset.
    fn collected(&self, groups: &[u32], output: &DataType) -> Result<ArrayRef> {
        let DataType::Map(entries, sorted) = output else { return Err(Error::internal("COLLECT gives a multiset")) };
        let DataType::Struct(fields) = entries.data_type() else {
            return Err(Error::internal("a multiset has elements and counts"));
        };
        let present = |group: &u32| self.sets[*group as usize].iter().filter(|(_, count)| **count > 0);
        let elements = self.rows.arguments(groups.iter().flat_map(present).map(|(row, _)| &**row))?;
        let counts = groups.iter().flat_map(present).map(|(_, count)| {
            i32::try_from(*count).map_err(|_| Error::data("a count of COLLECT is out of range for INT"))
        });
        let counts: ArrayRef = Arc::new(Int32Array::from(counts.collect::<Result<Vec<i32>>>()?));
        let offsets = OffsetBuffer::from_lengths(groups.iter().map(|group| present(group).count()));
        let rows = StructArray::try_new(fields.clone(), vec![elements, counts], None)?;
        Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, rows, None, *sorted)?))
    }
}

/// Adds `times` to the count of a row; a row that is not there any more is dropped.
fn count_row(set: &mut BTreeMap<Box<[u8]>, i64>, row: &[u8], times: i64, bytes: &mut usize) {
    if let Some(count) = set.get_mut(row) {
        *count += times;
        if *count == 0 {
            set.remove(row);
            *bytes -= row.len() + ENTRY_BYTES;
        }
    } else {
        *bytes += row.len() + ENTRY_BYTES;
        set.insert(row.into(), times);
    }
}

impl Accumulators for CountedRows {
    fn resize(&mut self, groups: usize) {
        self.sets.grow(groups);
    }

    fn update(
        &mut self,
        groups: &[u32],
        columns: &[ArrayRef],
        keep: Option<&BooleanArray>,
        retract: Option<&[bool]>,
    ) -> Result<()> {
        let CountedRows { rows, sets, bytes, .. } = self;
        rows.each(groups, columns, keep, retract, |row, group, retracts| {
            count_row(&mut sets[group], row, if retracts { -1 } else { 1 }, bytes);
        })
    }

    fn merge(&mut self, groups: &[u32], states: &[ArrayRef]) -> Result<()> {
        for (group, entries) in groups.iter().zip(states[0].as_binary::<i32>()) {
            let set = &mut self.sets[*group as usize];
            let mut entries = entries.unwrap_or_default();
            while !entries.is_empty() {
                let (row, count) =
                    read_entry(&mut entries).ok_or_else(|| Error::internal("a partial set of rows is cut short"))?;
                count_row(set, row, count, &mut self.bytes);
            }
        }
        Ok(())
    }

    fn state_fields(&self) -> Vec<Field> {
        vec![Field::new("rows", DataType::Binary, false)]
    }

    fn states(&mut self, groups: &[u32]) -> Result<Vec<ArrayRef>> {
        let states = groups.iter().map(|group| {
            let mut bytes = Vec::new();
            for (row, count) in &self.sets[*group as usize] {
                write_entry(&mut bytes, row, *count);
            }
            bytes
        });
        Ok(vec![Arc::new(BinaryArray::from_iter_values(states))])
    }

    fn values(&mut self, groups: &[u32]) -> Result<ArrayRef> {
        let sets = groups.iter().map(|group| &self.sets[*group as usize]);
        match &self.question {
            Question::End(End::First) => {
                self.rows.results(sets.map(|set| set.iter().find(|(_, count)| **count > 0).map(|(row, _)| &**row)))
            }
            Question::End(End::Last) => self
                .rows
                .results(sets.map(|set| set.iter().rev().find(|(_, count)| **count > 0).map(|(row, _)| &**row))),
            Question::Joined { separator } => self.joined(groups, separator),
            Question::Collected { output } => self.collected(groups, output),
        }
    }

    fn clear(&mut self, groups: &[u32]) {
        for group in groups {
            let set = std::mem::take(&mut self.sets[*group as usize]);
            self.bytes -= set.keys().map(|row| row.len() + ENTRY_BYTES).sum::<usize>();
        }
    }

    fn free_page(&mut self, page: usize) {
        self.sets.free_page(page);
    }

    fn size_bytes(&self) -> usize {
        self.sets.bytes() + self.bytes
    }
}

/// Appends a row and its count.
pub(super) fn write_entry(bytes: &mut Vec<u8>, row: &[u8], count: i64) {
    bytes.extend(count.to_le_bytes());
    bytes.extend((row.len() as u32).to_le_bytes());
    bytes.extend(row);
}

/// Takes a row and its count off the front.
pub(super) fn read_entry<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], i64)> {
    let count = i64::from_le_bytes(*bytes.split_off(..8)?.first_chunk()?);
    let length = u32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?) as usize;
    Some((bytes.split_off(..length)?, count))
}
