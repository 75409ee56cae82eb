//! The five scenarios: what each asks of Corelane, and the same question put to a batch engine.

use super::rows::{Table, Times};

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub name: &'static str,
    /// What it is about, in a few words.
    pub what: &'static str,
    /// `CREATE TABLE`, as Corelane is told.
    pub declaration: &'static str,
    pub table_name: &'static str,
    pub query: &'static str,
    /// The same for a whole table: window functions of streams in the words of batches.
    pub batch_query: &'static str,
    /// Columns of the result, from the left, that name a row of it.
    pub keys: usize,
    pub table: Table,
    pub times: Times,
    /// What becomes of the result where rows are read several times.
    pub repeated: Repeated,
    /// Rows that each worker reads in a run of the usual size: a fraction of a second.
    pub rows_per_worker: u64,
    /// Batches in the comparison row by row, over all parts.
    pub compared_batches: usize,
}

/// What becomes of a result whose input comes several times.
#[derive(Clone, Copy, Debug)]
pub enum Repeated {
    /// Its rows come as often.
    Rows,
    /// Its rows are the same, but the values of these columns are as many times as large.
    Columns(&'static [usize]),
}

const MARKET_DATA: &str = "CREATE TABLE market_data (trader STRING, symbol STRING, price DOUBLE, quantity BIGINT)";

const MARKET_DATA_IN_TIME: &str = "CREATE TABLE market_data (trader STRING, symbol STRING, price DOUBLE, \
                                   quantity BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)";

const BY_MINUTE_IN_BATCH: &str = "SELECT trader, symbol, date_bin(INTERVAL '1 minute', ts) AS window_start, COUNT(*), \
                                  AVG(price), SUM(quantity), SUM(price * quantity) FROM market_data \
                                  GROUP BY trader, symbol, date_bin(INTERVAL '1 minute', ts)";

pub const GROUP_BY: Workload = Workload {
    name: "S2",
    what: "GROUP BY symbol, 5 aggregates, 200 symbols",
    declaration: MARKET_DATA,
    table_name: "market_data",
    query: "SELECT symbol, COUNT(*), AVG(price), MIN(price), MAX(price), SUM(quantity) FROM market_data GROUP BY symbol",
    batch_query: "SELECT symbol, COUNT(*), AVG(price), MIN(price), MAX(price), SUM(quantity) \
                  FROM market_data GROUP BY symbol",
    keys: 1,
    table: Table::Trades { symbols: 200, traders: 10 },
    times: Times::None,
    repeated: Repeated::Columns(&[1, 5]),
    rows_per_worker: 32 << 20,
    compared_batches: 256,
};

pub const BY_MINUTE: Workload = Workload {
    name: "S3a",
    what: "TUMBLE of 1 minute by trader and symbol, 4 aggregates, 2,000 groups",
    declaration: MARKET_DATA_IN_TIME,
    table_name: "market_data",
    query: "SELECT trader, symbol, window_start, COUNT(*), AVG(price), SUM(quantity), SUM(price * quantity) \
            FROM TABLE(TUMBLE(TABLE market_data, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
            GROUP BY trader, symbol, window_start, window_end",
    batch_query: BY_MINUTE_IN_BATCH,
    keys: 3,
    table: Table::Trades { symbols: 200, traders: 10 },
    times: Times::Minutes,
    repeated: Repeated::Rows,
    rows_per_worker: 8 << 20,
    compared_batches: 256,
};

/// Where half of all rows have one key: against those of the same query without that.
pub const SKEWED: [Workload; 2] = [
    Workload {
        name: "S2 skewed",
        what: "S2 with half of all rows of one symbol",
        table: Table::SkewedTrades { symbols: 200, traders: 10 },
        ..GROUP_BY
    },
    Workload {
        name: "S3a skewed",
        what: "S3a with half of all rows of one symbol and trader",
        table: Table::SkewedTrades { symbols: 200, traders: 10 },
        ..BY_MINUTE
    },
];

pub const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "S0",
        what: "filter and project",
        declaration: "CREATE TABLE orders (order_id BIGINT, customer_id BIGINT, order_date TIMESTAMP(3), \
                      total_amount DOUBLE)",
        table_name: "orders",
        query: "SELECT order_id, customer_id, order_date, total_amount FROM orders WHERE total_amount > 100",
        batch_query: "SELECT order_id, customer_id, order_date, total_amount FROM orders WHERE total_amount > 100",
        keys: 1,
        table: Table::Orders,
        times: Times::None,
        repeated: Repeated::Rows,
        rows_per_worker: 48 << 20,
        compared_batches: 16,
    },
    Workload {
        name: "S1",
        what: "moving average over the last 100 rows per symbol in time order, 10 symbols",
        declaration: MARKET_DATA_IN_TIME,
        table_name: "market_data",
        query: "SELECT symbol, ts, AVG(price) OVER (PARTITION BY symbol ORDER BY ts \
                ROWS BETWEEN 99 PRECEDING AND CURRENT ROW) FROM market_data",
        batch_query: "SELECT symbol, ts, AVG(price) OVER (PARTITION BY symbol ORDER BY ts \
                      ROWS BETWEEN 99 PRECEDING AND CURRENT ROW) FROM market_data",
        keys: 2,
        table: Table::Trades { symbols: 10, traders: 1 },
        times: Times::Unique,
        repeated: Repeated::Rows,
        rows_per_worker: 2 << 20,
        compared_batches: 16,
    },
    GROUP_BY,
    BY_MINUTE,
    Workload {
        name: "S3b",
        what: "the same with EMIT CHANGES",
        declaration: MARKET_DATA_IN_TIME,
        table_name: "market_data",
        query: "SELECT trader, symbol, window_start, COUNT(*), AVG(price), SUM(quantity), SUM(price * quantity) \
                FROM TABLE(TUMBLE(TABLE market_data, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
                GROUP BY trader, symbol, window_start, window_end EMIT CHANGES",
        batch_query: BY_MINUTE_IN_BATCH,
        keys: 3,
        table: Table::Trades { symbols: 200, traders: 10 },
        times: Times::Minutes,
        repeated: Repeated::Rows,
        rows_per_worker: 8 << 20,
        compared_batches: 256,
    },
];

impl Workload {
    /// The scenario of this name.
    pub fn named(name: &str) -> Option<&'static Workload> {
        WORKLOADS.iter().find(|workload| workload.name.eq_ignore_ascii_case(name))
    }
}
