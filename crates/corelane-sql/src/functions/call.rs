//! A call as a kernel sees it: typed columns in, one column out.
//!
//! A constant is a column of one row whose index is masked to 0, so a kernel reads columns and
//! constants alike and without a branch.

use arrow::array::PrimitiveBuilder;
use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, BooleanBuilder, GenericBinaryArray, ListArray,
    PrimitiveArray, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use corelane_stream::Clock;
use datafusion_common::{Result, exec_err, internal_err};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

use super::function::missing;
use super::text_builder::TextBuilder;

/// Bytes of one text that a function may make.
pub(super) const TEXT_BYTES_MAX: usize = 256 << 20;

/// A column, or a constant as a column of one row.
pub(super) struct Argument {
    pub array: ArrayRef,
    mask: usize,
}

impl Argument {
    pub fn new(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Argument { array: Arc::clone(array), mask: usize::MAX },
            ColumnarValue::Scalar(scalar) => Argument { array: scalar.to_array()?, mask: 0 },
        })
    }

    pub fn is_constant(&self) -> bool {
        self.mask == 0
    }

    /// The index in `array` of the value for `row`.
    pub fn index(&self, row: usize) -> usize {
        row & self.mask
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.array.data_type().is_null() || self.array.is_null(row & self.mask)
    }
}

pub(super) struct Call<'a> {
    pub name: &'static str,
    pub arguments: Vec<Argument>,
    pub rows: usize,
    pub returns: &'a DataType,
    /// Rows that are null because an argument is; `None` where the kernel sees to nulls itself.
    pub nulls: Option<NullBuffer>,
    pub clock: &'a dyn Clock,
    pub time_zone: Option<&'a str>,
}

/// Text by row.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub array: &'a StringViewArray,
    mask: usize,
}

impl<'a> Text<'a> {
    pub fn at(&self, row: usize) -> &'a str {
        self.array.value(row & self.mask)
    }

    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.array.is_valid(row & self.mask).then(|| self.at(row))
    }

    /// The view of the text at `row`, for results that share its bytes.
    pub fn view(&self, row: usize) -> u128 {
        self.array.views()[row & self.mask]
    }

    /// The text, if it is one for all rows.
    pub fn constant(&self) -> Option<&'a str> {
        (self.mask == 0).then(|| self.at(0))
    }
}

/// Numbers by row.
#[derive(Clone, Copy)]
pub(super) struct Values<'a, T> {
    slice: &'a [T],
    mask: usize,
}

impl<T: Copy> Values<'_, T> {
    pub fn at(&self, row: usize) -> T {
        self.slice[row & self.mask]
    }
}

impl Call<'_> {
    pub fn argument(&self, index: usize) -> Result<&Argument> {
        match self.arguments.get(index) {
            Some(argument) => Ok(argument),
            None => missing(self.name, index),
        }
    }

    pub fn has(&self, index: usize) -> bool {
        index < self.arguments.len()
    }

    pub fn text(&self, index: usize) -> Result<Text<'_>> {
        let argument = self.argument(index)?;
        match argument.array.as_string_view_opt() {
            Some(array) => Ok(Text { array, mask: argument.mask }),
            None => self.mistyped(index),
        }
    }

    pub fn primitive<T: ArrowPrimitiveType>(&self, index: usize) -> Result<Values<'_, T::Native>> {
        let argument = self.argument(index)?;
        match argument.array.as_primitive_opt::<T>() {
            Some(array) => Ok(Values { slice: array.values(), mask: argument.mask }),
            None => self.mistyped(index),
        }
    }

    pub fn longs(&self, index: usize) -> Result<Values<'_, i64>> {
        self.primitive::<Int64Type>(index)
    }

    pub fn doubles(&self, index: usize) -> Result<Values<'_, f64>> {
        self.primitive::<Float64Type>(index)
    }

    pub fn bytes(&self, index: usize) -> Result<&GenericBinaryArray<i32>> {
        match self.argument(index)?.array.as_binary_opt::<i32>() {
            Some(array) => Ok(array),
            None => self.mistyped(index),
        }
    }

    pub fn booleans(&self, index: usize) -> Result<&BooleanArray> {
        match self.argument(index)?.array.as_boolean_opt() {
            Some(array) => Ok(array),
            None => self.mistyped(index),
        }
    }

    pub fn list(&self, index: usize) -> Result<&ListArray> {
        match self.argument(index)?.array.as_list_opt::<i32>() {
            Some(array) => Ok(array),
            None => self.mistyped(index),
        }
    }

    fn mistyped<T>(&self, index: usize) -> Result<T> {
        let given = self.argument(index)?.array.data_type().clone();
        internal_err!("{} cannot take {given} as argument {}", self.name, index + 1)
    }

    /// True if the result is null there because an argument is.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Builds a column of text: `write` appends a row's text to an empty buffer; false is null.
    pub fn write_texts(&self, mut write: impl FnMut(usize, &mut String) -> Result<bool>) -> Result<ArrayRef> {
        let mut builder = TextBuilder::new(self.rows);
        let mut buffer = String::new();
        for row in 0..self.rows {
            if self.is_null(row) {
                builder.append_null();
                continue;
            }
            buffer.clear();
            if write(row, &mut buffer)? {
                if TEXT_BYTES_MAX < buffer.len() {
                    return exec_err!("{} made a text of more than {TEXT_BYTES_MAX} bytes", self.name);
                }
                builder.append(&buffer);
            } else {
                builder.append_null();
            }
        }
        Ok(builder.finish())
    }

    /// Builds a column of parts of `text`, which share its bytes: nothing is copied.
    pub fn slice_texts<'t>(
        &self,
        text: Text<'t>,
        mut slice: impl FnMut(usize, &'t str) -> Result<Option<&'t str>>,
    ) -> Result<ArrayRef> {
        let mut builder = TextBuilder::over(self.rows, text.array);
        for row in 0..self.rows {
            if self.is_null(row) {
                builder.append_null();
                continue;
            }
            let whole = text.at(row);
            match slice(row, whole)? {
                Some(part) => builder.append_part(text.view(row), whole, part),
                None => builder.append_null(),
            }
        }
        Ok(builder.finish())
    }

    /// Builds a column of numbers or times of the result's type.
    pub fn map_values<T: ArrowPrimitiveType>(
        &self,
        mut compute: impl FnMut(usize) -> Result<Option<T::Native>>,
    ) -> Result<ArrayRef> {
        let mut builder = PrimitiveBuilder::<T>::with_capacity(self.rows);
        for row in 0..self.rows {
            if self.is_null(row) {
                builder.append_null();
            } else {
                builder.append_option(compute(row)?);
            }
        }
        Ok(Arc::new(builder.finish().with_data_type(self.returns.clone())))
    }

    /// [`Call::map_values`] for what can neither fail nor be null: one pass without branches,
    /// also over null rows, whose values are then masked.
    pub fn map_total<T: ArrowPrimitiveType>(&self, mut compute: impl FnMut(usize) -> T::Native) -> Result<ArrayRef> {
        let values: Vec<T::Native> = (0..self.rows).map(&mut compute).collect();
        let array = PrimitiveArray::<T>::new(values.into(), self.nulls.clone());
        Ok(Arc::new(array.with_data_type(self.returns.clone())))
    }

    pub fn map_booleans(&self, mut compute: impl FnMut(usize) -> Result<Option<bool>>) -> Result<ArrayRef> {
        let mut builder = BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            if self.is_null(row) {
                builder.append_null();
            } else {
                builder.append_option(compute(row)?);
            }
        }
        Ok(Arc::new(builder.finish()))
    }
}
