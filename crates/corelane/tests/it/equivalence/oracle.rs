//! DataFusion's answer to a query over a whole table at once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, TimeUnit, TimestampMillisecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};

pub fn answer(table: &RecordBatch, sql: &str) -> Result<Vec<RecordBatch>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let context = SessionContext::new_with_config(
            SessionConfig::new()
                .with_target_partitions(1)
                // It refuses plans of its own over whether a column may be null.
                .set_bool("datafusion.execution.skip_physical_aggregate_schema_check", true),
        );
        let rows = MemTable::try_new(table.schema(), vec![vec![table.clone()]]).map_err(|error| error.to_string())?;
        context.register_table("t", Arc::new(rows)).map_err(|error| error.to_string())?;
        let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
        frame.collect().await.map_err(|error| error.to_string())
    })
}

/// Rows as text in which types that hold the same values look alike.
pub fn text(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<Vec<String>> = batch.columns().iter().map(values).collect();
        lines.extend((0..batch.num_rows()).map(|row| {
            let values: Vec<&str> = columns.iter().map(|column| column[row].as_str()).collect();
            values.join(" | ")
        }));
    }
    lines
}

/// Multiples of a quarter are exact on both sides; of others nine digits are compared.
fn double(number: f64) -> String {
    if !number.is_finite() || (number * 4.0).fract() == 0.0 {
        return (number + 0.0).to_string();
    }
    let rounded = format!("{number:.8e}");
    rounded.parse::<f64>().map_or(rounded, |number| number.to_string())
}

fn values(column: &ArrayRef) -> Vec<String> {
    let plain = |column: &ArrayRef| -> Box<dyn Fn(usize) -> String> {
        match column.data_type() {
            DataType::Decimal128(_, _) => {
                let numbers = column.as_primitive::<Decimal128Type>().clone();
                Box::new(move |row| {
                    let text = numbers.value_as_string(row);
                    match text.contains('.') {
                        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                        false => text,
                    }
                })
            }
            DataType::Float64 => {
                let numbers = column.as_primitive::<Float64Type>().clone();
                Box::new(move |row| double(numbers.value(row)))
            }
            DataType::Timestamp(_, None) => {
                let times = cast(column, &DataType::Timestamp(TimeUnit::Millisecond, None)).expect("a time");
                let times = times.as_primitive::<TimestampMillisecondType>().clone();
                Box::new(move |row| times.value(row).to_string())
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                let texts = cast(column, &DataType::Utf8).expect("a text");
                Box::new(move |row| format!("{:?}", texts.as_string::<i32>().value(row)))
            }
            _ => {
                let column = column.clone();
                Box::new(move |row| {
                    let format = FormatOptions::default();
                    ArrayFormatter::try_new(&column, &format).expect("a printable type").value(row).to_string()
                })
            }
        }
    };
    let text = plain(column);
    (0..column.len()).map(|row| if column.is_null(row) { "NULL".to_owned() } else { text(row) }).collect()
}
