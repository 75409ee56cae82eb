//! Every function with arguments of every type: it is refused as it is planned, or it works.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::{can_cast_types, cast, concat};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF};

use super::super::FUNCTIONS;
use super::Harness;

/// What functions say of values, which have nothing to do with types.
const OF_VALUES: [&str; 8] = [
    " is null",
    "as a constant",
    "there is no time zone",
    "takes a constant time unit",
    "SHA2 makes",
    "needs the place of each row",
    "which an INT cannot hold",
    "the pattern",
];

/// A text that a function can do something with in each of its places.
fn text_for(name: &str) -> &'static str {
    match name {
        "EXTRACT" | "FLOOR_TO" | "CEIL_TO" | "TIMESTAMPADD" | "TIMESTAMPDIFF" => "HOUR",
        "ENCODE" | "DECODE" => "UTF-8",
        "JSON_VALUE" | "JSON_QUERY" | "JSON_EXISTS" => "$",
        "JSON_OBJECT" | "JSON_ARRAY" => "NULL",
        "IS_JSON" => "VALUE",
        "FROM_BASE64" => "MQ==",
        "CONVERT_TZ" => "UTC",
        _ => "1",
    }
}

/// A map of the keys and values that a column of one row each has.
fn map_of(key: ScalarValue, value: ScalarValue) -> ScalarValue {
    let harness = Harness::new(None);
    harness.call("MAP", &[key, value], super::Form::Constants).expect("a map is made")
}

fn list_of(item: ScalarValue) -> ScalarValue {
    ScalarValue::List(ScalarValue::new_list_nullable(std::slice::from_ref(&item), &item.data_type()))
}

/// One value of every type that a column can have.
fn values(text: &str) -> Vec<ScalarValue> {
    let text = || ScalarValue::Utf8View(Some(text.to_owned()));
    let int = || ScalarValue::Int32(Some(1));
    let instant = Some(86_400_000);
    let row = Fields::from(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8View, true)]);
    let months = ScalarValue::IntervalYearMonth(Some(1));
    let days = cast(&months.to_array().expect("a column"), &DataType::Interval(IntervalUnit::MonthDayNano));
    let columns = [int(), text()].map(|value| value.to_array().expect("a column"));
    let row = arrow::array::StructArray::new(row, columns.to_vec(), None);
    vec![
        int(),
        text(),
        ScalarValue::Null,
        ScalarValue::Int64(Some(1)),
        ScalarValue::Decimal128(Some(100), 5, 2),
        ScalarValue::Float64(Some(1.0)),
        ScalarValue::Boolean(Some(true)),
        ScalarValue::TimestampMillisecond(instant, None),
        list_of(int()),
        // Those up to here are tried three at a time.
        ScalarValue::Int8(Some(1)),
        ScalarValue::Int16(Some(1)),
        ScalarValue::Float32(Some(1.0)),
        ScalarValue::Binary(Some(b"1".to_vec())),
        ScalarValue::Date32(Some(1)),
        ScalarValue::Time32Millisecond(Some(1_000)),
        ScalarValue::TimestampMicrosecond(instant, None),
        ScalarValue::TimestampNanosecond(instant, None),
        ScalarValue::TimestampMillisecond(instant, Some("UTC".into())),
        months,
        ScalarValue::try_from_array(&days.expect("months are an interval"), 0).expect("one value"),
        list_of(text()),
        list_of(ScalarValue::Null),
        list_of(list_of(int())),
        list_of(map_of(int(), text())),
        map_of(text(), int()),
        map_of(int(), text()),
        ScalarValue::Struct(Arc::new(row)),
    ]
}

const IN_THREES: usize = 9;

/// The value, a null and the value.
fn column(value: &ScalarValue) -> ArrayRef {
    let one = value.to_array().expect("a value is a column of one row");
    let null = new_null_array(one.data_type(), 1);
    concat(&[&one, &null, &one]).expect("rows of one type")
}

/// Says what is wrong with a call: a refusal that tells nothing, or a failure that is of types.
fn fault(name: &str, udf: &ScalarUDF, arguments: &[&ScalarValue], constants: bool) -> Option<String> {
    let types: Vec<DataType> = arguments.iter().map(|value| value.data_type()).collect();
    let told = |error: &DataFusionError| match error {
        DataFusionError::Plan(message) if message.contains(name) => None,
        DataFusionError::Plan(message) if message.starts_with("there is no") || message.starts_with("'") => None,
        other => Some(format!("is refused without its name: {}", other.strip_backtrace())),
    };
    let coerced = match udf.coerce_types(&types) {
        Ok(coerced) => coerced,
        Err(error) => return told(&error),
    };
    if let Some((given, wanted)) = types.iter().zip(&coerced).find(|(given, wanted)| !can_cast_types(given, wanted)) {
        return Some(format!("asks for a cast of {given} to {wanted}"));
    }
    let cast_to = |(value, to): (&&ScalarValue, &DataType)| cast(&column(value), to);
    let columns = match arguments.iter().zip(&coerced).map(cast_to).collect::<Result<Vec<_>, _>>() {
        Ok(columns) => columns,
        Err(error) => return Some(format!("asks for a cast that fails: {error}")),
    };
    let scalars: Vec<ScalarValue> =
        columns.iter().map(|column| ScalarValue::try_from_array(column, 0).expect("the first value")).collect();
    let arg_fields: Vec<FieldRef> =
        coerced.iter().map(|data_type| Arc::new(Field::new("a", data_type.clone(), true))).collect();
    let scalar_arguments: Vec<Option<&ScalarValue>> = scalars.iter().map(|value| constants.then_some(value)).collect();
    let planned =
        udf.return_field_from_args(ReturnFieldArgs { arg_fields: &arg_fields, scalar_arguments: &scalar_arguments });
    let return_field = match planned {
        Ok(field) => field,
        Err(error) => return told(&error),
    };
    let args = match constants {
        true => scalars.into_iter().map(ColumnarValue::Scalar).collect(),
        false => columns.into_iter().map(ColumnarValue::Array).collect(),
    };
    let number_rows = if constants { 1 } else { 3 };
    let config_options = Arc::new(datafusion_common::config::ConfigOptions::new());
    let invoked = udf.invoke_with_args(ScalarFunctionArgs {
        args,
        arg_fields,
        number_rows,
        return_field: Arc::clone(&return_field),
        config_options,
    });
    let result = invoked.and_then(|value| value.into_array(number_rows));
    match result {
        Ok(column) if column.data_type() == return_field.data_type() => None,
        Ok(column) => Some(format!("gave {} and promised {}", column.data_type(), return_field.data_type())),
        Err(DataFusionError::Execution(message)) if OF_VALUES.iter().any(|part| message.contains(part)) => None,
        Err(error) => Some(format!("fails: {}", error.strip_backtrace())),
    }
}

#[test]
fn types_are_checked_as_calls_are_planned() {
    let harness = Harness::new(None);
    let mut faults = Vec::new();
    for definition in FUNCTIONS {
        let udf = &harness.functions[&definition.name.to_ascii_lowercase()];
        let values = values(text_for(definition.name));
        let mut calls: Vec<Vec<&ScalarValue>> = vec![Vec::new()];
        calls.extend(values.iter().map(|one| vec![one]));
        calls.extend(values.iter().flat_map(|one| values.iter().map(move |two| vec![one, two])));
        let few = &values[..IN_THREES];
        let pairs = few.iter().flat_map(|one| few.iter().map(move |two| (one, two)));
        calls.extend(pairs.flat_map(|(one, two)| few.iter().map(move |three| vec![one, two, three])));
        for call in calls {
            for constants in [true, false] {
                if let Some(fault) = fault(definition.name, udf, &call, constants) {
                    let types: Vec<String> =
                        call.iter().map(|value| corelane_stream::sql_type(&value.data_type())).collect();
                    faults.push(format!("{}({}) {fault}", definition.name, types.join(", ")));
                }
            }
        }
    }
    let first: Vec<&str> = faults.iter().take(50).map(String::as_str).collect();
    assert!(faults.is_empty(), "{} calls, of which the first are\n{}", faults.len(), first.join("\n"));
}
