//! `GROUP BY symbol` from text, where decoding decides: rows of 80 bytes and 5 fields as JSON.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::market_data::{BySymbol, QUERY, Trade, Trades, symbol_name};
use crate::scenario::{Input, Scenario, Size};

#[derive(Clone, Copy, Debug)]
pub enum TextFormat {
    Json,
    Csv,
}

impl TextFormat {
    fn name(self) -> &'static str {
        match self {
            TextFormat::Json => "json",
            TextFormat::Csv => "csv",
        }
    }

    /// Writes the line of a trade.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(self, out: &mut dyn Write, row: u64, trade: &Trade) -> io::Result<()> {
        let symbol = symbol_name(trade.symbol);
        let (price, quantity) = (trade.price, trade.quantity);
        let time = 1_704_067_200_000 + row;
        match self {
            TextFormat::Json => writeln!(
                out,
                r#"{{"symbol":"{symbol}","price":{price:.2},"quantity":{quantity},"side":"B","ts":{time}}}"#
            ),
            TextFormat::Csv => writeln!(out, "{symbol},{price:.2},{quantity},B,{time}"),
        }
    }

    /// `CREATE TABLE` of such lines.
    pub fn table(self, path: &Path) -> String {
        format!(
            "CREATE TABLE market_data (symbol STRING, price DOUBLE, quantity BIGINT, side STRING, ts BIGINT) \
             WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = '{}')",
            path.display(),
            self.name()
        )
    }
}

/// Writes the file and says what the query must give.
///
/// # Errors
/// If the file cannot be written.
pub fn scenario(format: TextFormat, size: Size) -> Result<Scenario> {
    let directory = tempfile::tempdir().context("cannot make a directory for the input")?;
    let path = directory.path().join("market_data");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut totals = BySymbol::default();
    for (row, trade) in (0..size.rows).zip(Trades::new(0)) {
        totals.add(&trade);
        format.write(&mut out, row, &trade).with_context(|| format!("cannot write {}", path.display()))?;
    }
    out.flush().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Scenario {
        name: format.name(),
        table: format.table(&path),
        input: Input::File(directory),
        query: QUERY,
        keys: 1,
        rows: size.rows,
        expected: totals.answer(1),
    })
}
