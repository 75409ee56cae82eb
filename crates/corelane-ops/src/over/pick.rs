//! Calls whose result is one of the frame's own values: LAG, FIRST_VALUE, LAST_VALUE, MIN, MAX.
//!
//! They keep places, never values. MIN and MAX keep a queue in which no value is followed by one
//! that displaces it: its front is the result, and each row enters and leaves it at most once.

use std::cmp::Ordering;
use std::collections::VecDeque;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, StringViewArray, downcast_primitive,
    new_null_array,
};
use arrow::compute;
use arrow::datatypes::DataType;
use corelane_stream::{Error, Result};
use datafusion_common::ScalarValue;

use super::history::gathered;
use crate::aggregate::{At, Step};

#[derive(Clone, Debug)]
pub enum Rule {
    /// The value this many rows before, or the default if there are not so many.
    Lag {
        offset: u64,
        default: Option<ScalarValue>,
    },
    First,
    Last,
    Least,
    Greatest,
}

pub struct Pick {
    rule: Rule,
    /// Rows never leave the frame.
    unbounded: bool,
    queues: Vec<VecDeque<At>>,
}

/// True if MIN and MAX of this type are picked here.
pub fn can_order(data_type: &DataType) -> bool {
    data_type.is_primitive() || matches!(data_type, DataType::Boolean | DataType::Utf8View)
}

impl Pick {
    pub fn new(rule: Rule, unbounded: bool) -> Self {
        Pick { rule, unbounded, queues: Vec::new() }
    }

    /// Rows never leave: the queue is one value.
    pub fn unbounded(&self) -> bool {
        self.unbounded
    }

    pub fn resize(&mut self, keys: usize) {
        if self.queues.len() < keys {
            self.queues.resize_with(keys, VecDeque::new);
        }
    }

    pub fn clear(&mut self, key: u32) {
        self.queues[key as usize] = VecDeque::new();
    }

    pub fn visit(&mut self, each: &mut dyn FnMut(&mut At)) {
        self.queues.iter_mut().flatten().for_each(each);
    }

    /// The place of the key's one value, where the frame is unbounded.
    pub fn standing(&self, key: u32) -> Option<At> {
        self.queues[key as usize].front().copied()
    }

    /// Takes back what `standing` gave.
    pub fn restore(&mut self, key: u32, at: At) {
        self.queues[key as usize] = VecDeque::from([at]);
    }

    /// Walks the steps over the chunks of the argument.
    pub fn slide(&mut self, steps: &[Step], chunks: &[ArrayRef], data_type: &DataType) -> Result<ArrayRef> {
        let none = match &self.rule {
            Rule::Lag { default: Some(default), .. } => {
                let none = default.to_array_of_size(1);
                let none = none.map_err(|error| Error::internal(format!("the default of LAG is no value: {error}")))?;
                compute::cast(&none, data_type)?
            }
            _ => new_null_array(data_type, 1),
        };
        let picked = match self.rule {
            Rule::Lag { offset, .. } => {
                let far = |queue: &VecDeque<At>| queue.front().filter(|_| queue.len() as u64 == offset + 1).copied();
                self.walk(steps, |queue, at, _| queue.push_back(at), far)
            }
            Rule::First => {
                let nulls: Vec<_> = chunks.iter().map(|chunk| chunk.logical_nulls()).collect();
                let add = |queue: &mut VecDeque<At>, at: At, unbounded: bool| {
                    let valid = nulls[at.chunk as usize].as_ref().is_none_or(|nulls| nulls.is_valid(at.row as usize));
                    if valid && (!unbounded || queue.is_empty()) {
                        queue.push_back(at);
                    }
                };
                self.walk(steps, add, front)
            }
            Rule::Last => {
                let nulls: Vec<_> = chunks.iter().map(|chunk| chunk.logical_nulls()).collect();
                let add = |queue: &mut VecDeque<At>, at: At, _| {
                    if nulls[at.chunk as usize].as_ref().is_none_or(|nulls| nulls.is_valid(at.row as usize)) {
                        queue.clear();
                        queue.push_back(at);
                    }
                };
                self.walk(steps, add, front)
            }
            Rule::Least => self.extreme(steps, chunks, data_type, Ordering::Less),
            Rule::Greatest => self.extreme(steps, chunks, data_type, Ordering::Greater),
        };
        gathered(&none, chunks, picked.into_iter())
    }

    #[inline(always)]
    fn walk(
        &mut self,
        steps: &[Step],
        mut add: impl FnMut(&mut VecDeque<At>, At, bool),
        result: impl Fn(&VecDeque<At>) -> Option<At>,
    ) -> Vec<Option<At>> {
        let mut results = Vec::with_capacity(steps.len() / 2);
        for step in steps {
            match *step {
                Step::Add { group, at } => add(&mut self.queues[group as usize], at, self.unbounded),
                Step::Remove { group, at } => {
                    // Rows leave in the order they came, so one that is still here is in front.
                    self.queues[group as usize].pop_front_if(|oldest| *oldest == at);
                }
                Step::Result { group } => results.push(result(&self.queues[group as usize])),
            }
        }
        results
    }

    fn extreme(
        &mut self,
        steps: &[Step],
        chunks: &[ArrayRef],
        data_type: &DataType,
        wanted: Ordering,
    ) -> Vec<Option<At>> {
        macro_rules! primitive {
            ($t:ty) => {
                self.extreme_of(
                    steps,
                    wanted,
                    &chunks.iter().map(|chunk| chunk.as_primitive::<$t>()).collect::<Vec<_>>(),
                )
            };
        }
        downcast_primitive! {
            data_type => (primitive),
            DataType::Boolean => {
                self.extreme_of(steps, wanted, &chunks.iter().map(|chunk| chunk.as_boolean()).collect::<Vec<_>>())
            }
            _ => self.extreme_of(steps, wanted, &chunks.iter().map(|chunk| chunk.as_string_view()).collect::<Vec<_>>()),
        }
    }

    fn extreme_of<C: Ordered>(&mut self, steps: &[Step], wanted: Ordering, chunks: &[&C]) -> Vec<Option<At>> {
        let compare =
            |a: At, b: At| chunks[a.chunk as usize].compare(a.row as usize, chunks[b.chunk as usize], b.row as usize);
        let add = |queue: &mut VecDeque<At>, at: At, unbounded: bool| {
            if chunks[at.chunk as usize].is_null(at.row as usize) {
                return;
            }
            let displaces = |other: At| {
                let order = compare(at, other);
                order == wanted || order == Ordering::Equal
            };
            while queue.pop_back_if(|other| displaces(*other)).is_some() {}
            // For ever, the best is all that can be a result.
            if !unbounded || queue.is_empty() {
                queue.push_back(at);
            }
        };
        self.walk(steps, add, front)
    }
}

fn front(queue: &VecDeque<At>) -> Option<At> {
    queue.front().copied()
}

/// A column whose values have an order.
trait Ordered: Array {
    fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering;
}

impl<T: ArrowPrimitiveType> Ordered for arrow::array::PrimitiveArray<T> {
    #[inline]
    fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        ArrowNativeTypeOp::compare(self.value(row), other.value(other_row))
    }
}

impl Ordered for BooleanArray {
    fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.value(row).cmp(&other.value(other_row))
    }
}

impl Ordered for StringViewArray {
    fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.value(row).cmp(other.value(other_row))
    }
}
