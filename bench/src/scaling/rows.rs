//! The rows of the scenarios, made before anything is measured.
//!
//! Each worker has a part of its own, and the parts of any number of workers take the same memory
//! together: more of them must not look slower because a larger table lies further from the CPUs.
//! Where event time matters every row needs a time that no earlier row had: then the other columns
//! come round again, and the column of times is as long as the run.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;
use corelane_server::RowsInMemory;

use crate::market_data::{BATCH_ROWS, Trades, symbol_name};
use crate::tumble::trader_name;

/// 2024-01-01 00:00:00 UTC.
const START_MS: i64 = 1_704_067_200_000;

/// Batches of all parts that differ: 20 MB and more, larger than the caches of two cores.
const BATCHES_MAX: usize = 64;

/// Rows that one worker reads in a minute of event time. Twice the workers take twice the
/// traffic: a minute is not cut into smaller pieces by them.
pub const ROWS_PER_MINUTE: u64 = 1_000_000;

const ORDERS_CUSTOMERS: u64 = 100_000;

/// Amounts are whole cents up to 200.00, so `total_amount > 100` keeps about every second row:
/// the hardest share for a branch predictor.
const AMOUNT_CENTS: u64 = 20_000;

/// What a scenario reads, apart from the times of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Orders,
    /// Trades of so many symbols by so many traders.
    Trades {
        symbols: u64,
        traders: u64,
    },
    /// The same, but every second row is of one symbol and one trader.
    SkewedTrades {
        symbols: u64,
        traders: u64,
    },
}

/// How event time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// No event time is read: batches are read again and again.
    None,
    /// Of all rows of all workers, no two have the same.
    Unique,
    /// Every worker passes through a minute in `ROWS_PER_MINUTE` rows.
    Minutes,
}

/// One part for each worker.
pub struct Parts {
    pub parts: Vec<Vec<RecordBatch>>,
    /// How often each part is read.
    pub times: u64,
}

impl Parts {
    pub fn rows(&self) -> u64 {
        let once: usize = self.parts.iter().flatten().map(RecordBatch::num_rows).sum();
        once as u64 * self.times
    }

    pub fn schema(&self) -> SchemaRef {
        self.parts[0][0].schema()
    }

    /// The first batches of each part, once.
    pub fn first(&self, batches: usize) -> Parts {
        let parts = self.parts.iter().map(|part| part[..batches.min(part.len())].to_vec());
        Parts { parts: parts.collect(), times: 1 }
    }

    /// # Errors
    /// If the batches do not fit together.
    pub fn source(&self) -> Result<RowsInMemory> {
        let rows = RowsInMemory::new(self.schema(), self.parts.clone());
        Ok(rows.map_err(|error| anyhow::anyhow!("{error}"))?.repeated(self.times))
    }
}

/// Makes parts for so many workers of about so many rows each.
///
/// # Errors
/// If the columns do not fit together.
pub fn parts(table: Table, times: Times, workers: usize, rows_per_worker: u64) -> Result<Parts> {
    let batches = rows_per_worker.div_ceil(BATCH_ROWS as u64).max(1);
    let distinct = batches.min((BATCHES_MAX / workers).max(1) as u64) as usize;
    let once = (0..workers).map(|worker| base(table, worker, distinct)).collect::<Result<Vec<_>>>()?;
    if times == Times::None {
        return Ok(Parts { parts: once, times: (batches / distinct as u64).max(1) });
    }
    // Where workers have the same times, they share the columns.
    let columns_of = |worker: usize| -> Vec<ArrayRef> {
        (0..batches).map(|batch| times_of(times, worker as u64, workers as u64, batch)).collect()
    };
    let shared = columns_of(0);
    let mut parts = Vec::new();
    for (worker, once) in once.iter().enumerate() {
        let columns = if times == Times::Minutes { shared.clone() } else { columns_of(worker) };
        let batches = columns.into_iter().enumerate().map(|(index, column)| {
            let batch = &once[index % once.len()];
            let schema = batch.schema();
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let columns = names.zip(batch.columns().iter().cloned()).chain([("ts", column)]);
            Ok(RecordBatch::try_from_iter(columns)?)
        });
        parts.push(batches.collect::<Result<Vec<_>>>()?);
    }
    Ok(Parts { parts, times: 1 })
}

fn base(table: Table, worker: usize, batches: usize) -> Result<Vec<RecordBatch>> {
    let mut random = Trades::new(worker as u64);
    let batch = |batch: usize| match table {
        Table::Orders => orders(&mut random, worker, batch),
        Table::Trades { symbols, traders } => trades(&mut random, symbols, traders, &[false; BATCH_ROWS]),
        Table::SkewedTrades { symbols, traders } => {
            let hot: Vec<bool> = (0..BATCH_ROWS).map(|_| random.number(2) == 0).collect();
            trades(&mut random, symbols, traders, &hot)
        }
    };
    (0..batches).map(batch).collect()
}

fn orders(random: &mut Trades, worker: usize, batch: usize) -> Result<RecordBatch> {
    let first = ((worker as i64) << 40) + (batch * BATCH_ROWS) as i64;
    let ids = Int64Array::from_iter_values(first..first + BATCH_ROWS as i64);
    let customers = (0..BATCH_ROWS).map(|_| random.number(ORDERS_CUSTOMERS) as i64);
    let customers = Int64Array::from_iter_values(customers);
    let dates = TimestampMillisecondArray::from_iter_values((0..BATCH_ROWS as i64).map(|row| START_MS + row * 1_000));
    let amounts = (0..BATCH_ROWS).map(|_| random.number(AMOUNT_CENTS) as f64 / 100.0);
    let amounts = Float64Array::from_iter_values(amounts);
    let columns: [(&str, ArrayRef); 4] = [
        ("order_id", Arc::new(ids)),
        ("customer_id", Arc::new(customers)),
        ("order_date", Arc::new(dates)),
        ("total_amount", Arc::new(amounts)),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// A hot row is of the first symbol and the first trader.
fn trades(random: &mut Trades, symbols: u64, traders: u64, hot: &[bool]) -> Result<RecordBatch> {
    let trader_names: Vec<String> = (0..traders).map(trader_name).collect();
    let symbol_names: Vec<String> = (0..symbols).map(symbol_name).collect();
    let mut pick = |names: &[String]| -> ArrayRef {
        let mut number = |hot: bool| if hot { 0 } else { random.number(names.len() as u64) as usize };
        let rows = hot.iter().map(|hot| names[number(*hot)].as_str());
        Arc::new(StringViewArray::from_iter_values(rows))
    };
    let (trader, symbol) = (pick(&trader_names), pick(&symbol_names));
    let prices = (0..BATCH_ROWS).map(|_| (100 + random.number(100_000)) as f64 / 100.0);
    let prices = Float64Array::from_iter_values(prices);
    let quantities = Int64Array::from_iter_values((0..BATCH_ROWS).map(|_| 1 + random.number(1_000) as i64));
    let columns: [(&str, ArrayRef); 4] =
        [("trader", trader), ("symbol", symbol), ("price", Arc::new(prices)), ("quantity", Arc::new(quantities))];
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn times_of(times: Times, worker: u64, workers: u64, batch: u64) -> ArrayRef {
    let first = batch * BATCH_ROWS as u64;
    let time = |row: u64| match times {
        Times::Unique => START_MS + (row * workers + worker) as i64,
        Times::None | Times::Minutes => START_MS + (row * 60_000 / ROWS_PER_MINUTE) as i64,
    };
    Arc::new(TimestampMillisecondArray::from_iter_values((first..first + BATCH_ROWS as u64).map(time)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMillisecondType;
    use std::collections::HashSet;

    fn all_times(parts: &Parts) -> Vec<Vec<i64>> {
        let times = |part: &Vec<RecordBatch>| -> Vec<i64> {
            let columns = part.iter().map(|batch| batch["ts"].as_primitive::<TimestampMillisecondType>().clone());
            columns.flat_map(|column| column.values().to_vec()).collect()
        };
        parts.parts.iter().map(times).collect()
    }

    #[test]
    fn times_rise_in_each_part_and_differ_between_rows_where_they_must() {
        let table = Table::Trades { symbols: 10, traders: 1 };
        let parts = parts(table, Times::Unique, 3, 20_000).unwrap();
        let times = all_times(&parts);
        assert!(times.iter().all(|part| part.is_sorted()));
        let different: HashSet<i64> = times.iter().flatten().copied().collect();
        assert_eq!(different.len() as u64, parts.rows());
    }

    #[test]
    fn every_second_row_of_a_skewed_table_has_one_key() {
        let table = Table::SkewedTrades { symbols: 200, traders: 10 };
        let parts = parts(table, Times::None, 1, 100_000).unwrap();
        let is_hot = |batch: &RecordBatch, row: usize| {
            ["trader", "symbol"]
                .iter()
                .zip([trader_name(0), symbol_name(0)])
                .all(|(column, name)| batch[*column].as_string_view().value(row) == name)
        };
        let hot = |batch: &RecordBatch| (0..batch.num_rows()).filter(|row| is_hot(batch, *row)).count();
        let share = parts.parts[0].iter().map(hot).sum::<usize>() as f64 / parts.rows() as f64;
        assert!((0.49..0.52).contains(&share), "{share}");
    }

    #[test]
    fn a_part_without_times_is_read_several_times() {
        let rows = 4 * BATCHES_MAX as u64 * BATCH_ROWS as u64;
        let parts = parts(Table::Orders, Times::None, 2, rows).unwrap();
        assert_eq!((parts.times, parts.rows()), (8, 2 * rows));
        assert_eq!(parts.first(3).rows(), 2 * 3 * BATCH_ROWS as u64);
        assert_eq!(parts.parts[0][0].num_columns(), 4);
    }
}
