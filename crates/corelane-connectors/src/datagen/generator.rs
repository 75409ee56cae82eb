//! Planned columns to arrays. Expected per core: 50 M numbers/s, 5 M strings of 100 characters/s.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray, MapArray, StringArray,
    StructArray, TimestampMillisecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use corelane_stream::{Error, Result, TableOptions};

use super::plan::{FieldPlan, Length, Planner, ValueKind};
use crate::generated::{RowGenerator, timestamp_option};
use crate::options::Options;
use crate::random::{Alphabet, Random};

const DAY_MS: i64 = 86_400_000;

/// Rows a second of event time, where the rows themselves are made as fast as possible.
const EVENT_ROWS_PER_SECOND: u64 = 1_000;

/// Makes the rows of one table.
#[derive(Clone, Debug)]
pub(super) struct DatagenGenerator {
    options: Arc<TableOptions>,
    /// As declared, with what is noted of the columns.
    declared: SchemaRef,
    seed: u64,
    times: RowTimes,
    schema: SchemaRef,
    columns: Vec<FieldPlan>,
    shortest_sequence: Option<u64>,
}

/// What time it is at a row.
#[derive(Clone, Copy, Debug)]
enum RowTimes {
    /// The clock's.
    Clock,
    Counted {
        start_ms: i64,
        rows_per_second: u64,
    },
}

/// The rows of a batch, or the elements of their collections, by number.
struct Positions<'a> {
    numbers: &'a [u64],
    times_ms: &'a [i64],
}

impl DatagenGenerator {
    pub(super) fn new(schema: &SchemaRef, options: &TableOptions) -> Result<Self> {
        let reader = Options::new(options);
        let seed = reader.integer("seed", 0, u64::MAX)?.unwrap_or(0);
        let rate = reader.integer("rows-per-second", 0, u64::MAX)?.filter(|rate| *rate > 0);
        let times = match timestamp_option(&reader, "start-time")? {
            None => RowTimes::Clock,
            Some(start_ms) => RowTimes::Counted { start_ms, rows_per_second: rate.unwrap_or(EVENT_ROWS_PER_SECOND) },
        };
        let planner = Planner::new(options, schema.metadata(), seed);
        let columns = planner.columns(schema)?;
        planner.check_names(options)?;
        Ok(DatagenGenerator {
            options: Arc::new(options.clone()),
            declared: Arc::clone(schema),
            seed,
            times,
            schema: Arc::clone(schema),
            columns,
            shortest_sequence: planner.shortest_sequence(),
        })
    }

    pub(super) fn shortest_sequence(&self) -> Option<u64> {
        self.shortest_sequence
    }
}

impl RowGenerator for DatagenGenerator {
    fn columns(&self, rows: Range<u64>, now_ms: i64) -> Result<Vec<ArrayRef>> {
        let numbers: Vec<u64> = rows.collect();
        let times_ms: Vec<i64> = match self.times {
            RowTimes::Clock => vec![now_ms; numbers.len()],
            RowTimes::Counted { start_ms, rows_per_second } => numbers
                .iter()
                .map(|number| start_ms.saturating_add_unsigned(number.saturating_mul(1_000) / rows_per_second))
                .collect(),
        };
        let positions = Positions { numbers: &numbers, times_ms: &times_ms };
        self.columns.iter().map(|plan| column(plan, &positions)).collect()
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn pruned(&self, schema: SchemaRef) -> Result<Arc<dyn RowGenerator>> {
        let columns = Planner::new(&self.options, self.declared.metadata(), self.seed).columns(&schema)?;
        Ok(Arc::new(DatagenGenerator { schema, columns, ..self.clone() }))
    }
}

fn column(plan: &FieldPlan, positions: &Positions<'_>) -> Result<ArrayRef> {
    let values = values(plan, positions)?;
    if plan.null_rate == 0.0 {
        return Ok(values);
    }
    let nulls = positions.numbers.iter().map(|number| plan.nulls.at(*number).unit() < plan.null_rate);
    Ok(compute::nullif(&values, &nulls.collect::<Vec<bool>>().into())?)
}

fn values(plan: &FieldPlan, positions: &Positions<'_>) -> Result<ArrayRef> {
    let numbers = positions.numbers.iter();
    let random = |number: &u64| plan.values.at(*number);
    let made: ArrayRef = match &plan.kind {
        ValueKind::Sequence { start } => {
            Arc::new(Int64Array::from_iter_values(numbers.map(|number| start.wrapping_add_unsigned(*number))))
        }
        ValueKind::Boolean => {
            Arc::new(BooleanArray::from(numbers.map(|number| random(number).below(2) == 1).collect::<Vec<_>>()))
        }
        ValueKind::Integer { min, max } => Arc::new(Int64Array::from_iter_values(
            numbers.map(|number| min.wrapping_add_unsigned(random_up_to(random(number), max.abs_diff(*min)))),
        )),
        // The distance of the largest floats is no float, so each bound is weighed alone.
        ValueKind::Float { min, max } => Arc::new(Float64Array::from_iter_values(numbers.map(|number| {
            let share = random(number).unit();
            (min * (1.0 - share) + max * share).clamp(*min, *max)
        }))),
        ValueKind::Decimal { min, max } => {
            let values = numbers.map(|number| {
                let mut random = random(number);
                let word = u128::from(random.next()) << 64 | u128::from(random.next());
                min.wrapping_add_unsigned(word % (max.abs_diff(*min) + 1))
            });
            Arc::new(Decimal128Array::from_iter_values(values).with_data_type(plan.data_type.clone()))
        }
        ValueKind::Text(length) => {
            // As Flink's random strings.
            let (offsets, bytes) = texts(*length, positions, random, |random, count, out| {
                random.letters(Alphabet::Hexadecimal, count, out);
            })?;
            Arc::new(StringArray::try_new(offsets, bytes, None)?)
        }
        ValueKind::Bytes(length) => {
            let (offsets, bytes) = texts(*length, positions, random, |random, count, out| {
                out.extend((0..count).map(|_| random.next() as u8));
            })?;
            Arc::new(BinaryArray::try_new(offsets, bytes, None)?)
        }
        ValueKind::Time { max_past_ms } => {
            let times = numbers
                .zip(positions.times_ms)
                .map(|(number, time)| time.saturating_sub_unsigned(random_up_to(random(number), *max_past_ms)));
            return times_of_type(times.collect(), &plan.data_type);
        }
        ValueKind::Row { .. } | ValueKind::List { .. } | ValueKind::Map { .. } => return collection(plan, positions),
    };
    Ok(compute::cast(&made, &plan.data_type)?)
}

fn collection(plan: &FieldPlan, positions: &Positions<'_>) -> Result<ArrayRef> {
    let count = positions.numbers.len();
    Ok(match (&plan.kind, &plan.data_type) {
        (ValueKind::Row { fields, children }, _) => {
            let children = children.iter().map(|child| column(child, positions)).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), children, None, count)?)
        }
        (ValueKind::List { element, length }, DataType::List(field)) => {
            let elements = elements(positions, *length, |positions| column(element, positions))?;
            let offsets = OffsetBuffer::from_repeated_length(*length, count);
            Arc::new(ListArray::try_new(Arc::clone(field), offsets, elements, None)?)
        }
        (ValueKind::Map { key, value, length }, DataType::Map(field, sorted)) => {
            let keys = elements(positions, *length, |positions| column(key, positions))?;
            let values = elements(positions, *length, |positions| column(value, positions))?;
            let DataType::Struct(fields) = field.data_type() else {
                return Err(Error::internal("the entries of a map are not rows"));
            };
            let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
            let offsets = OffsetBuffer::from_repeated_length(*length, count);
            Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, None, *sorted)?)
        }
        (kind, data_type) => return Err(Error::internal(format!("{kind:?} does not make {data_type}"))),
    })
}

/// Makes `length` elements for each row.
fn elements(
    positions: &Positions<'_>,
    length: usize,
    make: impl Fn(&Positions<'_>) -> Result<ArrayRef>,
) -> Result<ArrayRef> {
    let number = |number: &u64| number.wrapping_mul(length as u64);
    let numbers: Vec<u64> =
        positions.numbers.iter().flat_map(|n| (0..length as u64).map(move |i| number(n).wrapping_add(i))).collect();
    let times_ms: Vec<i64> = positions.times_ms.iter().flat_map(|time| std::iter::repeat_n(*time, length)).collect();
    make(&Positions { numbers: &numbers, times_ms: &times_ms })
}

fn random_up_to(mut random: Random, max: u64) -> u64 {
    match max.checked_add(1) {
        Some(bound) => random.below(bound),
        None => random.next(),
    }
}

fn texts(
    length: Length,
    positions: &Positions<'_>,
    random: impl Fn(&u64) -> Random,
    write: impl Fn(&mut Random, usize, &mut Vec<u8>),
) -> Result<(OffsetBuffer<i32>, Buffer)> {
    let mut bytes = Vec::with_capacity(if length.vary { 0 } else { length.max * positions.numbers.len() });
    let mut ends = Vec::with_capacity(positions.numbers.len() + 1);
    ends.push(0);
    for number in positions.numbers {
        let mut random = random(number);
        // As in Flink: from 1 to the length.
        let count =
            if length.vary && length.max > 1 { 1 + random.below(length.max as u64) as usize } else { length.max };
        write(&mut random, count, &mut bytes);
        ends.push(i32::try_from(bytes.len()).map_err(|_| {
            Error::invalid("a batch of generated rows has more than 2 GiB of text in one column")
                .with_hint("lower 'fields.<column>.length' or --batch-rows")
        })?);
    }
    Ok((OffsetBuffer::new(ends.into()), Buffer::from_vec(bytes)))
}

/// Instants as a timestamp, a date or a time of day.
fn times_of_type(times_ms: Vec<i64>, data_type: &DataType) -> Result<ArrayRef> {
    let cast = |times: Vec<i64>, from: DataType| -> Result<ArrayRef> {
        Ok(compute::cast(&compute::cast(&Int64Array::from(times), &from)?, data_type)?)
    };
    match data_type {
        DataType::Date32 => {
            let days = times_ms.iter().map(|time| time.div_euclid(DAY_MS)).collect::<Vec<_>>();
            Ok(compute::cast(&compute::cast(&Int64Array::from(days), &DataType::Int32)?, data_type)?)
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let nanos = times_ms.iter().map(|time| time.rem_euclid(DAY_MS) * 1_000_000).collect();
            cast(nanos, DataType::Time64(TimeUnit::Nanosecond))
        }
        DataType::Timestamp(_, zone) => {
            let times = TimestampMillisecondArray::from(times_ms).with_timezone_opt(zone.clone());
            Ok(compute::cast(&times, data_type)?)
        }
        other => Err(Error::internal(format!("{other} is not a time"))),
    }
}
