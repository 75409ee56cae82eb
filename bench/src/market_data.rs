//! Trades of 200 symbols, and `GROUP BY symbol` over them.

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray};
use std::sync::Arc;

use anyhow::Result;
use corelane_server::RowsInMemory;

use crate::answer::{Answer, Expected};
use crate::scenario::{Input, Part, Scenario, Size};

pub const QUERY: &str = "SELECT symbol, COUNT(*), AVG(price), MIN(price), MAX(price), SUM(quantity) \
                         FROM market_data GROUP BY symbol";

/// Rows of one batch, as a source would give them.
pub const BATCH_ROWS: usize = 8_192;

/// Batches of a part that differ; a longer run reads them again. 40 bytes a row, so a part is
/// larger than a core's own caches.
const BATCHES_MAX: u64 = 64;

const SYMBOLS: u64 = 200;

/// One trade.
#[derive(Clone, Copy)]
pub struct Trade {
    pub symbol: u64,
    pub price: f64,
    pub quantity: i64,
}

/// Trades from a seed, always the same ones (Marsaglia's xorshift).
pub struct Trades(u64);

impl Trades {
    pub fn new(seed: u64) -> Self {
        Trades((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn number(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

impl Iterator for Trades {
    type Item = Trade;

    fn next(&mut self) -> Option<Trade> {
        let symbol = self.number(SYMBOLS);
        let cents = 100 + self.number(100_000);
        Some(Trade { symbol, price: cents as f64 / 100.0, quantity: 1 + self.number(1_000) as i64 })
    }
}

pub fn symbol_name(symbol: u64) -> String {
    format!("SYM{symbol:03}")
}

/// What the query gives, by plain loops over the trades.
#[derive(Clone, Copy)]
struct Totals {
    count: u64,
    price: f64,
    least: f64,
    greatest: f64,
    quantity: i64,
}

pub struct BySymbol(Vec<Totals>);

impl Default for BySymbol {
    fn default() -> Self {
        let none = Totals { count: 0, price: 0.0, least: f64::INFINITY, greatest: f64::NEG_INFINITY, quantity: 0 };
        BySymbol(vec![none; SYMBOLS as usize])
    }
}

impl BySymbol {
    pub fn add(&mut self, trade: &Trade) {
        let totals = &mut self.0[trade.symbol as usize];
        totals.count += 1;
        totals.price += trade.price;
        totals.least = totals.least.min(trade.price);
        totals.greatest = totals.greatest.max(trade.price);
        totals.quantity += trade.quantity;
    }

    /// The answer where every trade came this many times.
    pub fn answer(&self, times: u64) -> Answer {
        let row = |(symbol, totals): (usize, &Totals)| {
            let values = vec![
                Expected::Exact((totals.count * times) as f64),
                Expected::Near(totals.price / totals.count as f64),
                Expected::Exact(totals.least),
                Expected::Exact(totals.greatest),
                Expected::Exact(totals.quantity as f64 * times as f64),
            ];
            (vec![symbol_name(symbol as u64)], values)
        };
        Answer(self.0.iter().enumerate().filter(|(_, totals)| totals.count > 0).map(row).collect())
    }
}

/// # Errors
/// If the rows do not fit the table.
pub fn group_by(size: Size) -> Result<Scenario> {
    let part_rows = (size.rows / size.workers as u64).max(1);
    let batches = part_rows.div_ceil(BATCH_ROWS as u64).min(BATCHES_MAX);
    let times = (part_rows / (batches * BATCH_ROWS as u64)).max(1);
    let mut totals = BySymbol::default();
    let mut parts = Vec::new();
    for worker in 0..size.workers {
        let mut trades = Trades::new(worker as u64);
        parts.push((0..batches).map(|_| batch(&mut trades, &mut totals)).collect::<Result<Part>>()?);
    }
    let rows = RowsInMemory::new(parts[0][0].schema(), parts)?.repeated(times);
    Ok(Scenario {
        name: "group-by",
        table: "CREATE TABLE market_data (symbol STRING, price DOUBLE, quantity BIGINT)".to_owned(),
        input: Input::Memory(rows),
        query: QUERY,
        keys: 1,
        rows: size.workers as u64 * batches * BATCH_ROWS as u64 * times,
        expected: totals.answer(times),
    })
}

fn batch(trades: &mut Trades, totals: &mut BySymbol) -> Result<RecordBatch> {
    let rows: Vec<Trade> = trades.take(BATCH_ROWS).collect();
    rows.iter().for_each(|trade| totals.add(trade));
    let symbols = StringViewArray::from_iter_values(rows.iter().map(|trade| symbol_name(trade.symbol)));
    let columns: [(&str, ArrayRef); 3] = [
        ("symbol", Arc::new(symbols)),
        ("price", Arc::new(Float64Array::from_iter_values(rows.iter().map(|trade| trade.price)))),
        ("quantity", Arc::new(Int64Array::from_iter_values(rows.iter().map(|trade| trade.quantity)))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}
