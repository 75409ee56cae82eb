//! The aggregate that all hand-written designs share: columns in, a table of groups.
//!
//! As good as one writes it for this one query: keys of up to 12 bytes as one word, two passes
//! over a batch, one row of accumulators a group. It does less than Corelane's operator (doubles
//! are added as they come, not exactly; nothing is emitted before the end), so the designs differ
//! from each other by what they share, and all of them from Corelane also by that.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Float64Type, Int64Type};
use hashbrown::HashTable;

/// The columns of a batch that the query reads.
pub struct Columns<'a> {
    symbols: &'a StringViewArray,
    prices: &'a [f64],
    quantities: &'a [i64],
}

impl<'a> Columns<'a> {
    pub fn of(batch: &'a RecordBatch) -> Columns<'a> {
        Columns {
            symbols: batch["symbol"].as_string_view(),
            prices: batch["price"].as_primitive::<Float64Type>().values(),
            quantities: batch["quantity"].as_primitive::<Int64Type>().values(),
        }
    }

    /// The rows of each partition, by key.
    pub fn split(&self, rows: &mut [Vec<u32>]) {
        rows.iter_mut().for_each(Vec::clear);
        let partitions = rows.len() as u64;
        for (row, view) in self.symbols.views().iter().enumerate() {
            // Not the bits that the table takes its bucket and tag from.
            let middle = (hash(*view) << 8) >> 32;
            rows[((middle * partitions) >> 32) as usize].push(row as u32);
        }
    }
}

#[derive(Clone, Copy)]
struct Totals {
    symbol: u128,
    count: i64,
    price: f64,
    least: f64,
    greatest: f64,
    quantity: i64,
}

/// The state of the query.
#[derive(Clone, Default)]
pub struct Groups {
    table: HashTable<u32>,
    totals: Vec<Totals>,
    /// The group of each row of the batch at hand.
    found: Vec<u32>,
}

impl Groups {
    /// Adds all rows of a batch.
    pub fn add(&mut self, columns: &Columns<'_>) {
        self.add_rows(columns, 0..columns.prices.len());
    }

    /// Adds some rows of a batch.
    pub fn add_some(&mut self, columns: &Columns<'_>, rows: &[u32]) {
        self.add_rows(columns, rows.iter().map(|row| *row as usize));
    }

    fn add_rows(&mut self, columns: &Columns<'_>, rows: impl Iterator<Item = usize> + Clone) {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        let views = columns.symbols.views();
        found.extend(rows.clone().map(|row| self.group(views[row])));
        for (row, group) in rows.zip(&found) {
            let totals = &mut self.totals[*group as usize];
            let price = columns.prices[row];
            totals.count += 1;
            totals.price += price;
            totals.least = totals.least.min(price);
            totals.greatest = totals.greatest.max(price);
            totals.quantity += columns.quantities[row];
        }
        self.found = found;
    }

    fn group(&mut self, symbol: u128) -> u32 {
        let Groups { table, totals, .. } = self;
        let same = |group: &u32| totals[*group as usize].symbol == symbol;
        if let Some(group) = table.find(hash(symbol), same) {
            return *group;
        }
        let group = totals.len() as u32;
        totals.push(Totals {
            symbol,
            count: 0,
            price: 0.0,
            least: f64::INFINITY,
            greatest: f64::NEG_INFINITY,
            quantity: 0,
        });
        table.insert_unique(hash(symbol), group, |group| hash(totals[*group as usize].symbol));
        group
    }

    /// Adds the groups of another table.
    pub fn merge(&mut self, other: &Groups) {
        for more in &other.totals {
            let group = self.group(more.symbol);
            let totals = &mut self.totals[group as usize];
            totals.count += more.count;
            totals.price += more.price;
            totals.least = totals.least.min(more.least);
            totals.greatest = totals.greatest.max(more.greatest);
            totals.quantity += more.quantity;
        }
    }

    /// The result of the query.
    ///
    /// # Errors
    /// If a symbol is no text.
    pub fn result(&self) -> Result<RecordBatch> {
        let symbols = self.totals.iter().map(|totals| symbol_text(totals.symbol)).collect::<Result<Vec<_>>>()?;
        let whole =
            |of: fn(&Totals) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(self.totals.iter().map(of))) };
        let doubles = |of: fn(&Totals) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(self.totals.iter().map(of)))
        };
        let columns: [(&str, ArrayRef); 6] = [
            ("symbol", Arc::new(StringViewArray::from_iter_values(symbols))),
            ("count", whole(|totals| totals.count)),
            ("average", doubles(|totals| totals.price / totals.count as f64)),
            ("least", doubles(|totals| totals.least)),
            ("greatest", doubles(|totals| totals.greatest)),
            ("quantity", whole(|totals| totals.quantity)),
        ];
        Ok(RecordBatch::try_from_iter(columns)?)
    }
}

/// The text within a view: its length, then its bytes.
fn symbol_text(view: u128) -> Result<String> {
    let bytes = view.to_le_bytes();
    let length = view as u32 as usize;
    anyhow::ensure!(length <= bytes.len() - 4, "a symbol has {length} bytes; 12 fit");
    Ok(String::from_utf8(bytes[4..4 + length].to_vec())?)
}

/// Multiplies the halves and folds the product (as wyhash does).
fn hash(word: u128) -> u64 {
    let product =
        u128::from(word as u64 ^ 0xa076_1d64_78bd_642f) * u128::from((word >> 64) as u64 ^ 0xe703_7ed1_a0b4_28db);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::scaling::rows::{Table, Times, parts};

    #[test]
    fn splitting_and_merging_change_nothing() {
        let table = Table::Trades { symbols: 200, traders: 2 };
        let parts = parts(table, Times::None, 1, 20_000).unwrap().parts.remove(0);
        let mut whole = Groups::default();
        let mut partitions = vec![Groups::default(); 3];
        let mut rows = vec![Vec::new(); 3];
        for batch in &parts {
            let columns = Columns::of(batch);
            whole.add(&columns);
            columns.split(&mut rows);
            partitions.iter_mut().zip(&rows).for_each(|(groups, rows)| groups.add_some(&columns, rows));
        }
        assert!(partitions.iter().all(|groups| groups.totals.len() > 30), "keys are spread");
        let mut merged = Groups::default();
        partitions.iter().for_each(|groups| merged.merge(groups));
        let digest = |groups: &Groups| Digest::of(&[groups.result().unwrap()]).unwrap();
        digest(&merged).check(&digest(&whole)).unwrap();
        assert_eq!(whole.totals.len(), 200);
    }
}
