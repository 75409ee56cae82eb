//! Column builders that a bad row can be taken out of again.
//!
//! A row is only known to be good when its last byte has been read, so every builder can be cut
//! back to the rows before it; Arrow's own builders cannot. Nulls are kept as a list of rows,
//! since most columns have few.

use std::mem;
use std::sync::Arc;

use arrow::array::builder::make_view;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, ListArray, MapArray, PrimitiveArray,
    StringViewArray, StructArray, Time32MillisecondArray, make_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, FieldRef, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use corelane_stream::{Error, Result};

use super::value::{self, Number, TimestampStyle, Wrong};
use crate::base64;
use corelane_stream::sql_type;

/// Strings up to this many bytes live in their view.
const INLINE_BYTES_MAX: usize = 12;

/// One column under construction.
#[derive(Debug)]
pub(crate) enum Column {
    Boolean(Fixed<bool>),
    Int8(Fixed<i8>),
    Int16(Fixed<i16>),
    Int32(Fixed<i32>),
    Int64(Fixed<i64>),
    Float32(Fixed<f32>),
    Float64(Fixed<f64>),
    Decimal(Fixed<i128>, u8, i8),
    Date(Fixed<i32>),
    Time(Fixed<i32>),
    Timestamp(Fixed<i64>, TimeUnit, Option<Arc<str>>),
    Text(Texts),
    Binary(Binaries),
    List(Box<Lists>),
    Map(Box<Maps>),
    Struct(Box<Structs>),
}

impl Column {
    /// # Errors
    /// If no text can be decoded into such a type.
    pub fn new(field: &FieldRef) -> Result<Column> {
        Ok(match field.data_type() {
            DataType::Boolean => Column::Boolean(Fixed::default()),
            DataType::Int8 => Column::Int8(Fixed::default()),
            DataType::Int16 => Column::Int16(Fixed::default()),
            DataType::Int32 => Column::Int32(Fixed::default()),
            DataType::Int64 => Column::Int64(Fixed::default()),
            DataType::Float32 => Column::Float32(Fixed::default()),
            DataType::Float64 => Column::Float64(Fixed::default()),
            DataType::Decimal128(precision, scale) => Column::Decimal(Fixed::default(), *precision, *scale),
            DataType::Date32 => Column::Date(Fixed::default()),
            DataType::Time32(TimeUnit::Millisecond) => Column::Time(Fixed::default()),
            DataType::Timestamp(unit, zone) => Column::Timestamp(Fixed::default(), *unit, zone.clone()),
            DataType::Utf8View => Column::Text(Texts::default()),
            DataType::Binary => Column::Binary(Binaries::default()),
            DataType::List(element) => Column::List(Box::new(Lists::new(element)?)),
            DataType::Map(entries, _) => Column::Map(Box::new(Maps::new(field, entries)?)),
            DataType::Struct(fields) => Column::Struct(Box::new(Structs::new(fields)?)),
            other => {
                let message = format!(
                    "column '{}' has the type {}, which text formats cannot hold",
                    field.name(),
                    sql_type(other)
                );
                return Err(Error::invalid(message));
            }
        })
    }

    pub fn len(&self) -> usize {
        match self {
            Column::Boolean(fixed) => fixed.values.len(),
            Column::Int8(fixed) => fixed.values.len(),
            Column::Int16(fixed) => fixed.values.len(),
            Column::Int32(fixed) | Column::Date(fixed) | Column::Time(fixed) => fixed.values.len(),
            Column::Int64(fixed) | Column::Timestamp(fixed, _, _) => fixed.values.len(),
            Column::Float32(fixed) => fixed.values.len(),
            Column::Float64(fixed) => fixed.values.len(),
            Column::Decimal(fixed, _, _) => fixed.values.len(),
            Column::Text(texts) => texts.views.len(),
            Column::Binary(binaries) => binaries.ends.len(),
            Column::List(lists) => lists.ends.len(),
            Column::Map(maps) => maps.ends.len(),
            Column::Struct(structs) => structs.len,
        }
    }

    /// Forgets all rows from `len` on, whole or half built.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Column::Boolean(fixed) => fixed.truncate(len),
            Column::Int8(fixed) => fixed.truncate(len),
            Column::Int16(fixed) => fixed.truncate(len),
            Column::Int32(fixed) | Column::Date(fixed) | Column::Time(fixed) => fixed.truncate(len),
            Column::Int64(fixed) | Column::Timestamp(fixed, _, _) => fixed.truncate(len),
            Column::Float32(fixed) => fixed.truncate(len),
            Column::Float64(fixed) => fixed.truncate(len),
            Column::Decimal(fixed, _, _) => fixed.truncate(len),
            Column::Text(texts) => texts.truncate(len),
            Column::Binary(binaries) => binaries.truncate(len),
            Column::List(lists) => lists.truncate(len),
            Column::Map(maps) => maps.truncate(len),
            Column::Struct(structs) => structs.truncate(len),
        }
    }

    pub fn push_null(&mut self) {
        match self {
            Column::Boolean(fixed) => fixed.push_null(),
            Column::Int8(fixed) => fixed.push_null(),
            Column::Int16(fixed) => fixed.push_null(),
            Column::Int32(fixed) | Column::Date(fixed) | Column::Time(fixed) => fixed.push_null(),
            Column::Int64(fixed) | Column::Timestamp(fixed, _, _) => fixed.push_null(),
            Column::Float32(fixed) => fixed.push_null(),
            Column::Float64(fixed) => fixed.push_null(),
            Column::Decimal(fixed, _, _) => fixed.push_null(),
            Column::Text(texts) => texts.push_null(),
            Column::Binary(binaries) => binaries.push_null(),
            Column::List(lists) => lists.push_null(),
            Column::Map(maps) => maps.push_null(),
            Column::Struct(structs) => structs.push_null(),
        }
    }

    /// True if the last row is null.
    pub fn last_is_null(&self) -> bool {
        let nulls = match self {
            Column::Boolean(fixed) => &fixed.nulls,
            Column::Int8(fixed) => &fixed.nulls,
            Column::Int16(fixed) => &fixed.nulls,
            Column::Int32(fixed) | Column::Date(fixed) | Column::Time(fixed) => &fixed.nulls,
            Column::Int64(fixed) | Column::Timestamp(fixed, _, _) => &fixed.nulls,
            Column::Float32(fixed) => &fixed.nulls,
            Column::Float64(fixed) => &fixed.nulls,
            Column::Decimal(fixed, _, _) => &fixed.nulls,
            Column::Text(texts) => &texts.nulls,
            Column::Binary(binaries) => &binaries.nulls,
            Column::List(lists) => &lists.nulls,
            Column::Map(maps) => &maps.nulls,
            Column::Struct(structs) => &structs.nulls,
        };
        nulls.rows.last().is_some_and(|row| *row as usize + 1 == self.len())
    }

    /// Appends a value written as text. The text must be valid UTF-8 if this is a `Text` column.
    #[inline]
    pub fn push_text(&mut self, text: &[u8], style: TimestampStyle) -> Result<(), Wrong> {
        if let Column::Text(texts) = self {
            texts.push(text);
            return Ok(());
        }
        let text = text.trim_ascii();
        match self {
            Column::Boolean(fixed) => fixed.values.push(value::parse_boolean(text)?),
            Column::Float32(fixed) => fixed.values.push(value::parse_f32(text)?),
            Column::Float64(fixed) => fixed.values.push(value::parse_f64(text)?),
            Column::Int8(_) | Column::Int16(_) | Column::Int32(_) | Column::Int64(_) | Column::Decimal(..) => {
                self.push_number(Number::whole_text(text)?)?;
            }
            Column::Date(fixed) => fixed.values.push(value::parse_date(text)?),
            Column::Time(fixed) => {
                let nanos = value::parse_time(text)?;
                fixed.values.push(i32::try_from(nanos / 1_000_000).map_err(|_| Wrong::Range)?);
            }
            Column::Timestamp(fixed, unit, zone) => {
                fixed.values.push(value::parse_timestamp(text, style, *unit, zone.is_some())?);
            }
            Column::Binary(binaries) => binaries.push_base64(text)?,
            Column::Text(_) | Column::List(_) | Column::Map(_) | Column::Struct(_) => return Err(Wrong::Form),
        }
        Ok(())
    }

    /// Appends a number.
    #[inline]
    pub fn push_number(&mut self, number: Number<'_>) -> Result<(), Wrong> {
        match self {
            Column::Int64(fixed) => fixed.values.push(number.to_i64()?),
            Column::Float64(fixed) => fixed.values.push(number.to_f64()?),
            Column::Int32(fixed) => fixed.values.push(narrow(number)?),
            Column::Int16(fixed) => fixed.values.push(narrow(number)?),
            Column::Int8(fixed) => fixed.values.push(narrow(number)?),
            Column::Float32(fixed) => fixed.values.push(number.to_f32()?),
            Column::Decimal(fixed, precision, scale) => fixed.values.push(number.to_decimal(*precision, *scale)?),
            Column::Text(texts) => texts.push(number.text),
            Column::Boolean(_)
            | Column::Date(_)
            | Column::Time(_)
            | Column::Timestamp(..)
            | Column::Binary(_)
            | Column::List(_)
            | Column::Map(_)
            | Column::Struct(_) => return Err(Wrong::Form),
        }
        Ok(())
    }

    /// Gives the rows and starts anew.
    ///
    /// # Errors
    /// If the rows break Arrow's rules, which would be a fault of the decoder.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Column::Boolean(fixed) => {
                let (values, nulls) = fixed.take();
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            Column::Int8(fixed) => primitive::<Int8Type>(fixed),
            Column::Int16(fixed) => primitive::<Int16Type>(fixed),
            Column::Int32(fixed) => primitive::<Int32Type>(fixed),
            Column::Int64(fixed) => primitive::<Int64Type>(fixed),
            Column::Float32(fixed) => primitive::<Float32Type>(fixed),
            Column::Float64(fixed) => primitive::<Float64Type>(fixed),
            Column::Decimal(fixed, precision, scale) => {
                let (values, nulls) = fixed.take();
                let array = Decimal128Array::new(values.into(), nulls);
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            Column::Date(fixed) => {
                let (values, nulls) = fixed.take();
                Arc::new(Date32Array::new(values.into(), nulls))
            }
            Column::Time(fixed) => {
                let (values, nulls) = fixed.take();
                Arc::new(Time32MillisecondArray::new(values.into(), nulls))
            }
            Column::Timestamp(fixed, unit, zone) => {
                let array = match unit {
                    TimeUnit::Second => primitive::<TimestampSecondType>(fixed),
                    TimeUnit::Millisecond => primitive::<TimestampMillisecondType>(fixed),
                    TimeUnit::Microsecond => primitive::<TimestampMicrosecondType>(fixed),
                    TimeUnit::Nanosecond => primitive::<TimestampNanosecondType>(fixed),
                };
                let data_type = DataType::Timestamp(*unit, zone.clone());
                make_array(array.to_data().into_builder().data_type(data_type).build()?)
            }
            Column::Text(texts) => Arc::new(texts.finish()),
            Column::Binary(binaries) => binaries.finish()?,
            Column::List(lists) => lists.finish()?,
            Column::Map(maps) => maps.finish()?,
            Column::Struct(structs) => structs.finish()?,
        })
    }
}

fn narrow<T: TryFrom<i64>>(number: Number<'_>) -> Result<T, Wrong> {
    T::try_from(number.to_i64()?).map_err(|_| Wrong::Range)
}

fn primitive<T: ArrowPrimitiveType>(fixed: &mut Fixed<T::Native>) -> ArrayRef
where
    T::Native: Default,
{
    let (values, nulls) = fixed.take();
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls))
}

/// The rows that are null, in order.
#[derive(Debug, Default)]
struct Nulls {
    rows: Vec<u32>,
}

impl Nulls {
    fn push(&mut self, row: usize) {
        self.rows.push(u32::try_from(row).expect("a batch has fewer rows than 2^32"));
    }

    fn truncate(&mut self, len: usize) {
        while self.rows.last().is_some_and(|row| len <= *row as usize) {
            self.rows.pop();
        }
    }

    fn take(&mut self, len: usize) -> Option<NullBuffer> {
        if self.rows.is_empty() {
            return None;
        }
        let mut valid = vec![true; len];
        for row in self.rows.drain(..) {
            valid[row as usize] = false;
        }
        Some(NullBuffer::from(valid))
    }
}

/// Values of one size.
#[derive(Debug, Default)]
pub(crate) struct Fixed<T> {
    values: Vec<T>,
    nulls: Nulls,
}

impl<T: Default> Fixed<T> {
    fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.nulls.truncate(len);
    }

    fn push_null(&mut self) {
        self.nulls.push(self.values.len());
        self.values.push(T::default());
    }

    fn take(&mut self) -> (Vec<T>, Option<NullBuffer>) {
        let len = self.values.len();
        (mem::replace(&mut self.values, Vec::with_capacity(len)), self.nulls.take(len))
    }
}

impl Fixed<bool> {
    pub fn push(&mut self, value: bool) {
        self.values.push(value);
    }
}

/// Strings as views; those longer than a view's own bytes lie in one block.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    views: Vec<u128>,
    block: Vec<u8>,
    nulls: Nulls,
}

impl Texts {
    /// Appends a string, which must be valid UTF-8.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        debug_assert!(std::str::from_utf8(text).is_ok(), "decoders check UTF-8 before they split");
        let offset = self.block.len() as u32;
        if INLINE_BYTES_MAX < text.len() {
            self.block.extend_from_slice(text);
            assert!(u32::try_from(self.block.len()).is_ok(), "a batch of text stays below 4 GiB");
        }
        self.views.push(make_view(text, 0, offset));
    }

    fn truncate(&mut self, len: usize) {
        self.views.truncate(len);
        self.nulls.truncate(len);
    }

    fn push_null(&mut self) {
        self.nulls.push(self.views.len());
        self.views.push(0);
    }

    pub fn finish(&mut self) -> StringViewArray {
        let len = self.views.len();
        let views = mem::replace(&mut self.views, Vec::with_capacity(len));
        let block_len = self.block.len();
        let block = mem::replace(&mut self.block, Vec::with_capacity(block_len));
        let blocks = if block.is_empty() { vec![] } else { vec![Buffer::from_vec(block)] };
        // SAFETY: `push` made every view from a string that its caller had checked to be UTF-8, and
        // the bytes of long strings lie in the only block, at the offset that `push` recorded.
        unsafe { StringViewArray::new_unchecked(ScalarBuffer::from(views), blocks, self.nulls.take(len)) }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Binaries {
    bytes: Vec<u8>,
    /// Where each row ends in `bytes`.
    ends: Vec<i32>,
    nulls: Nulls,
}

impl Binaries {
    fn push_base64(&mut self, text: &[u8]) -> Result<(), Wrong> {
        base64::decode(text, &mut self.bytes).ok_or(Wrong::Form)?;
        self.ends.push(end_of(self.bytes.len()));
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(last_end(&self.ends));
        self.nulls.truncate(len);
    }

    fn push_null(&mut self) {
        self.nulls.push(self.ends.len());
        self.ends.push(end_of(self.bytes.len()));
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let len = self.ends.len();
        let bytes = Buffer::from_vec(mem::take(&mut self.bytes));
        Ok(Arc::new(BinaryArray::try_new(offsets(&mut self.ends), bytes, self.nulls.take(len))?))
    }
}

#[derive(Debug)]
pub(crate) struct Lists {
    pub element: FieldRef,
    pub elements: Column,
    ends: Vec<i32>,
    nulls: Nulls,
}

impl Lists {
    fn new(element: &FieldRef) -> Result<Self> {
        let elements = Column::new(element)?;
        Ok(Lists { element: Arc::clone(element), elements, ends: vec![], nulls: Nulls::default() })
    }

    /// Ends a row whose elements have been pushed.
    pub fn end_row(&mut self) {
        self.ends.push(end_of(self.elements.len()));
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.elements.truncate(last_end(&self.ends));
        self.nulls.truncate(len);
    }

    fn push_null(&mut self) {
        self.nulls.push(self.ends.len());
        self.end_row();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let len = self.ends.len();
        let elements = self.elements.finish()?;
        let nulls = self.nulls.take(len);
        Ok(Arc::new(ListArray::try_new(Arc::clone(&self.element), offsets(&mut self.ends), elements, nulls)?))
    }
}

#[derive(Debug)]
pub(crate) struct Maps {
    entries: FieldRef,
    fields: Fields,
    pub value: FieldRef,
    pub keys: Texts,
    pub values: Column,
    ends: Vec<i32>,
    nulls: Nulls,
}

impl Maps {
    fn new(field: &FieldRef, entries: &FieldRef) -> Result<Self> {
        match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 && *fields[0].data_type() == DataType::Utf8View => Ok(Maps {
                entries: Arc::clone(entries),
                fields: fields.clone(),
                value: Arc::clone(&fields[1]),
                keys: Texts::default(),
                values: Column::new(&fields[1])?,
                ends: vec![],
                nulls: Nulls::default(),
            }),
            _ => Err(Error::invalid(format!("column '{}' is a {}", field.name(), sql_type(field.data_type())))
                .with_hint("the keys of a MAP in a text format are STRINGs")),
        }
    }

    /// Ends a row whose keys and values have been pushed.
    pub fn end_row(&mut self) {
        self.ends.push(end_of(self.values.len()));
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.keys.truncate(last_end(&self.ends));
        self.values.truncate(last_end(&self.ends));
        self.nulls.truncate(len);
    }

    fn push_null(&mut self) {
        self.nulls.push(self.ends.len());
        self.end_row();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let len = self.ends.len();
        let columns: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), self.values.finish()?];
        let entries = StructArray::try_new(self.fields.clone(), columns, None)?;
        let nulls = self.nulls.take(len);
        Ok(Arc::new(MapArray::try_new(Arc::clone(&self.entries), offsets(&mut self.ends), entries, nulls, false)?))
    }
}

/// A row of columns; the root of a record is one too.
#[derive(Debug)]
pub(crate) struct Structs {
    pub fields: Fields,
    pub columns: Vec<Column>,
    /// Which column the n-th key of an object belongs to, as far as the last object showed.
    pub key_order: Vec<KnownKey>,
    /// The columns that are NOT NULL.
    required: Vec<usize>,
    len: usize,
    nulls: Nulls,
}

/// A key as it is written in JSON, and the column it belongs to, if any.
#[derive(Debug)]
pub(crate) struct KnownKey {
    pub raw: Box<[u8]>,
    pub column: Option<usize>,
}

impl Structs {
    pub fn new(fields: &Fields) -> Result<Self> {
        let columns = fields.iter().map(Column::new).collect::<Result<Vec<_>>>()?;
        let required = (0..fields.len()).filter(|index| !fields[*index].is_nullable()).collect();
        Ok(Structs { fields: fields.clone(), columns, key_order: vec![], required, len: 0, nulls: Nulls::default() })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Ends a row whose columns have all been pushed; says which column is null and must not be.
    pub fn end_row(&mut self) -> Result<(), usize> {
        debug_assert!(self.columns.iter().all(|column| column.len() == self.len + 1), "every column has the row");
        if let Some(index) = self.required.iter().find(|index| self.columns[**index].last_is_null()) {
            return Err(*index);
        }
        self.len += 1;
        Ok(())
    }

    pub fn truncate(&mut self, len: usize) {
        for column in &mut self.columns {
            column.truncate(len);
        }
        self.nulls.truncate(len);
        self.len = len;
    }

    fn push_null(&mut self) {
        self.nulls.push(self.len);
        for column in &mut self.columns {
            column.push_null();
        }
        self.len += 1;
    }

    pub fn finish_columns(&mut self) -> Result<Vec<ArrayRef>> {
        self.len = 0;
        self.columns.iter_mut().map(Column::finish).collect()
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let len = self.len;
        let columns = self.finish_columns()?;
        let nulls = self.nulls.take(len);
        Ok(Arc::new(StructArray::try_new_with_length(self.fields.clone(), columns, nulls, len)?))
    }
}

fn end_of(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a batch stays below 2 GiB")
}

fn last_end(ends: &[i32]) -> usize {
    ends.last().map_or(0, |end| *end as usize)
}

fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.append(ends);
    OffsetBuffer::new(offsets.into())
}
