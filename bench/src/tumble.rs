//! A tumbling window of one minute by trader and symbol.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMillisecondArray};
use corelane_server::RowsInMemory;

use crate::answer::{Answer, Expected};
use crate::arguments::Groups;
use crate::market_data::{BATCH_ROWS, Trade, Trades, symbol_name};
use crate::scenario::{Input, Part, Scenario, Size};

const QUERY: &str = "SELECT trader, symbol, window_start, COUNT(*), AVG(price), SUM(quantity), SUM(price * quantity) \
                     FROM TABLE(TUMBLE(TABLE market_data, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
                     GROUP BY trader, symbol, window_start, window_end";

/// 2024-01-01 00:00:00 UTC.
const START_MS: i64 = 1_704_067_200_000;

const MINUTE_MS: i64 = 60_000;

/// Event time passes so fast that a minute has this many rows.
const ROWS_PER_MINUTE: u64 = 1_000_000;

/// How rows spread over groups.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// 10 traders and 200 symbols: 500 rows a group and minute.
    ManyRowsPerGroup,
    /// 50,000 traders and 200 symbols: hardly two rows of a minute share a group.
    OneRowPerGroup,
}

impl Shape {
    pub fn of(groups: Groups) -> Self {
        match groups {
            Groups::Few => Shape::ManyRowsPerGroup,
            Groups::Many => Shape::OneRowPerGroup,
        }
    }

    fn traders(self) -> u64 {
        match self {
            Shape::ManyRowsPerGroup => 10,
            Shape::OneRowPerGroup => 50_000,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Shape::ManyRowsPerGroup => "tumble, many rows a group",
            Shape::OneRowPerGroup => "tumble, one row a group",
        }
    }
}

/// Trader, symbol, start of the window.
type Group = (u64, u64, i64);

#[derive(Clone, Copy, Default)]
struct Totals {
    count: u64,
    price: f64,
    quantity: i64,
    worth: f64,
}

/// # Errors
/// If the rows do not fit the table.
pub fn tumble(shape: Shape, size: Size) -> Result<Scenario> {
    let batches = size.rows.div_ceil((BATCH_ROWS * size.workers) as u64).max(1);
    let mut totals = HashMap::new();
    let mut parts = Vec::new();
    for worker in 0..size.workers {
        let mut part = PartOfMinutes { trades: Trades::new(worker as u64), shape, workers: size.workers, made: 0 };
        parts.push((0..batches).map(|_| part.batch(&mut totals)).collect::<Result<Part>>()?);
    }
    let row = |((trader, symbol, start), totals): (&Group, &Totals)| {
        let values = vec![
            Expected::Exact(totals.count as f64),
            Expected::Near(totals.price / totals.count as f64),
            Expected::Exact(totals.quantity as f64),
            Expected::Near(totals.worth),
        ];
        (vec![trader_name(*trader), symbol_name(*symbol), start.to_string()], values)
    };
    Ok(Scenario {
        name: shape.name(),
        table: "CREATE TABLE market_data (trader STRING, symbol STRING, price DOUBLE, quantity BIGINT, \
                ts TIMESTAMP(3), WATERMARK FOR ts AS ts)"
            .to_owned(),
        input: Input::Memory(RowsInMemory::new(parts[0][0].schema(), parts)?),
        query: QUERY,
        keys: 3,
        rows: batches * (BATCH_ROWS * size.workers) as u64,
        expected: Answer(totals.iter().map(row).collect()),
    })
}

pub fn trader_name(trader: u64) -> String {
    format!("T{trader:05}")
}

/// One worker's share of the rows of each minute, in order of time.
struct PartOfMinutes {
    trades: Trades,
    shape: Shape,
    workers: usize,
    made: u64,
}

impl PartOfMinutes {
    fn batch(&mut self, totals: &mut HashMap<Group, Totals>) -> Result<RecordBatch> {
        let mut rows: Vec<(u64, Trade, i64)> = Vec::with_capacity(BATCH_ROWS);
        for _ in 0..BATCH_ROWS {
            let trader = self.trades.number(self.shape.traders());
            let time = START_MS + (self.made * self.workers as u64 * MINUTE_MS as u64 / ROWS_PER_MINUTE) as i64;
            self.made += 1;
            rows.extend(self.trades.next().map(|trade| (trader, trade, time)));
        }
        for (trader, trade, time) in &rows {
            let group = (*trader, trade.symbol, time - time.rem_euclid(MINUTE_MS));
            let totals = totals.entry(group).or_default();
            totals.count += 1;
            totals.price += trade.price;
            totals.quantity += trade.quantity;
            totals.worth += trade.price * trade.quantity as f64;
        }
        let traders = StringViewArray::from_iter_values(rows.iter().map(|row| trader_name(row.0)));
        let symbols = StringViewArray::from_iter_values(rows.iter().map(|row| symbol_name(row.1.symbol)));
        let columns: [(&str, ArrayRef); 5] = [
            ("trader", Arc::new(traders)),
            ("symbol", Arc::new(symbols)),
            ("price", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.1.price)))),
            ("quantity", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1.quantity)))),
            ("ts", Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.2)))),
        ];
        Ok(RecordBatch::try_from_iter(columns)?)
    }
}
