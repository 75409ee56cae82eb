-- Trades of twenty minutes: windows of five minutes for each symbol, then the running state of each.
-- Run it from the root of the repository: cargo run --release -- run docs/examples/trades.sql

CREATE TABLE trades (
  symbol   STRING,
  price    DECIMAL(10, 2),
  quantity BIGINT,
  ts       TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = 'docs/examples/trades.json',
  'format' = 'json'
);

-- A window's row comes once the window has passed in event time.
SELECT window_start, symbol, COUNT(*) AS trades, MIN(price) AS low, MAX(price) AS high, SUM(price * quantity) AS volume
FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '5' MINUTES))
GROUP BY window_start, window_end, symbol
ORDER BY window_start, symbol;

-- Without a window: kept up to date with every trade (see it with --format changelog).
SELECT symbol, COUNT(*) AS trades, SUM(quantity) AS quantity, AVG(price) AS mean
FROM trades
GROUP BY symbol
ORDER BY symbol;
