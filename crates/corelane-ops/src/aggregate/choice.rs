//! Which accumulators serve a call.

use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use corelane_stream::{Error, Result};

use super::accumulators::Accumulators;
use super::all_null::AllNull;
use super::count::Count;
use super::distinct::Distinct;
use super::exact_sum::{ExactSum, Finish};
use super::extreme::{Extreme, Greatest, Least};
use super::float_sum::{FloatFinish, FloatSum};
use super::hyper_log_log::ApproxCountDistinct;
use super::ordered::{CountedRows, End, EndRow, Question};
use super::variance::{Spread, Variance};
use super::{AggregateCall, AggregateFunction};

/// Makes empty accumulators for a call over this input; `retracting` if rows may be taken away.
///
/// # Errors
/// If the function does not take columns of these types.
pub fn accumulators(call: &AggregateCall, input: &Schema, retracting: bool) -> Result<Box<dyn Accumulators>> {
    let types_of = |columns: &[usize]| -> Vec<DataType> {
        columns.iter().map(|column| input.field(*column).data_type().clone()).collect()
    };
    let (arguments, order) = (types_of(&call.arguments), types_of(&call.order));
    let sketched = call.function == AggregateFunction::ApproxCountDistinct;
    if sketched && retracting {
        // A sketch cannot forget, so the values are counted one by one.
        return Ok(Box::new(Distinct::new(Box::new(Count::new(arguments.len())), &arguments)?));
    }
    if call.distinct && !ignores_repeats(&call.function) && !arguments.is_empty() {
        // Repeats differ in their order columns, so the distinct values go by their own order.
        let inner = plain(call, &arguments, &[], retracting)?;
        return Ok(Box::new(Distinct::new(inner, &arguments)?));
    }
    plain(call, &arguments, &order, retracting)
}

/// True if a value that comes again changes nothing.
fn ignores_repeats(function: &AggregateFunction) -> bool {
    use AggregateFunction as F;
    match function {
        F::Min | F::Max | F::FirstValue | F::LastValue | F::ApproxCountDistinct => true,
        F::Count
        | F::Sum
        | F::Avg
        | F::StddevPop
        | F::StddevSamp
        | F::VarPop
        | F::VarSamp
        | F::ListAgg { .. }
        | F::Collect => false,
    }
}

/// The accumulators of a call without its DISTINCT.
fn plain(
    call: &AggregateCall,
    arguments: &[DataType],
    order: &[DataType],
    retracting: bool,
) -> Result<Box<dyn Accumulators>> {
    use AggregateFunction as F;
    if call.function == F::Count {
        return Ok(Box::new(Count::new(arguments.len())));
    }
    let output = call.output.data_type();
    let Some(argument) = arguments.first() else {
        return Err(Error::invalid(format!("{} takes an argument", call.function.name())));
    };
    if *argument == DataType::Null && !matches!(call.function, F::ApproxCountDistinct | F::Collect) {
        return Ok(Box::new(AllNull::new(output.clone())));
    }
    match &call.function {
        F::Sum => total(call, argument, output, Finish::Sum, FloatFinish::Sum),
        F::Avg => total(call, argument, output, average(argument, output), FloatFinish::Avg),
        F::Min => ends(End::First, argument, retracting),
        F::Max => ends(End::Last, argument, retracting),
        F::FirstValue => end_row(End::First, argument, order, retracting),
        F::LastValue => end_row(End::Last, argument, order, retracting),
        F::StddevPop => Ok(Box::new(Variance::new(Spread { sample: false, deviation: true }))),
        F::StddevSamp => Ok(Box::new(Variance::new(Spread { sample: true, deviation: true }))),
        F::VarPop => Ok(Box::new(Variance::new(Spread { sample: false, deviation: false }))),
        F::VarSamp => Ok(Box::new(Variance::new(Spread { sample: true, deviation: false }))),
        F::ListAgg { separator } => {
            Ok(Box::new(CountedRows::new(Question::Joined { separator: separator.clone() }, argument, order)?))
        }
        F::Collect => Ok(Box::new(CountedRows::new(Question::Collected { output: output.clone() }, argument, order)?)),
        F::ApproxCountDistinct => Ok(Box::new(ApproxCountDistinct::new(arguments.len()))),
        F::Count => Ok(Box::new(Count::new(arguments.len()))),
    }
}

fn average(argument: &DataType, output: &DataType) -> Finish {
    match (argument, output) {
        (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) => {
            Finish::AvgRounded { digits: u32::try_from(to - from).unwrap_or(0) }
        }
        _ => Finish::AvgTruncated,
    }
}

fn total(
    call: &AggregateCall,
    argument: &DataType,
    output: &DataType,
    finish: Finish,
    float_finish: FloatFinish,
) -> Result<Box<dyn Accumulators>> {
    let title = format!("{} called {:?}", call.function.name(), call.output.name());
    let output = output.clone();
    Ok(match argument {
        DataType::Int8 => Box::new(ExactSum::<Int8Type>::new(finish, output, title)),
        DataType::Int16 => Box::new(ExactSum::<Int16Type>::new(finish, output, title)),
        DataType::Int32 => Box::new(ExactSum::<Int32Type>::new(finish, output, title)),
        DataType::Int64 => Box::new(ExactSum::<Int64Type>::new(finish, output, title)),
        DataType::UInt8 => Box::new(ExactSum::<UInt8Type>::new(finish, output, title)),
        DataType::UInt16 => Box::new(ExactSum::<UInt16Type>::new(finish, output, title)),
        DataType::UInt32 => Box::new(ExactSum::<UInt32Type>::new(finish, output, title)),
        DataType::UInt64 => Box::new(ExactSum::<UInt64Type>::new(finish, output, title)),
        DataType::Decimal128(_, _) => Box::new(ExactSum::<Decimal128Type>::new(finish, output, title)),
        DataType::Float32 => Box::new(FloatSum::<Float32Type>::new(float_finish, output)),
        DataType::Float64 => Box::new(FloatSum::<Float64Type>::new(float_finish, output)),
        other => return Err(Error::invalid(format!("{} takes a number, not {other}", call.function.name()))),
    })
}

fn end_row(end: End, argument: &DataType, order: &[DataType], retracting: bool) -> Result<Box<dyn Accumulators>> {
    Ok(if retracting {
        Box::new(CountedRows::new(Question::End(end), argument, order)?)
    } else {
        Box::new(EndRow::new(end, argument, order)?)
    })
}

/// MIN and MAX.
fn ends(end: End, argument: &DataType, retracting: bool) -> Result<Box<dyn Accumulators>> {
    macro_rules! extreme {
        ($type:ty) => {
            match end {
                End::First => Box::new(Extreme::<$type, Least>::new(argument.clone())),
                End::Last => Box::new(Extreme::<$type, Greatest>::new(argument.clone())),
            }
        };
    }
    if retracting {
        return end_row(end, argument, &[], true);
    }
    Ok(match argument {
        DataType::Int8 => extreme!(Int8Type),
        DataType::Int16 => extreme!(Int16Type),
        DataType::Int32 => extreme!(Int32Type),
        DataType::Int64 => extreme!(Int64Type),
        DataType::UInt8 => extreme!(UInt8Type),
        DataType::UInt16 => extreme!(UInt16Type),
        DataType::UInt32 => extreme!(UInt32Type),
        DataType::UInt64 => extreme!(UInt64Type),
        DataType::Float32 => extreme!(Float32Type),
        DataType::Float64 => extreme!(Float64Type),
        DataType::Decimal128(_, _) => extreme!(Decimal128Type),
        DataType::Date32 => extreme!(Date32Type),
        DataType::Time32(TimeUnit::Second) => extreme!(Time32SecondType),
        DataType::Time32(_) => extreme!(Time32MillisecondType),
        DataType::Time64(TimeUnit::Microsecond) => extreme!(Time64MicrosecondType),
        DataType::Time64(_) => extreme!(Time64NanosecondType),
        DataType::Timestamp(TimeUnit::Second, _) => extreme!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => extreme!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => extreme!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => extreme!(TimestampNanosecondType),
        _ => return end_row(end, argument, &[], false),
    })
}
