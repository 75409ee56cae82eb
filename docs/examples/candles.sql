-- From JSON lines to CSV files: one-minute candles, written beside each other in a directory per symbol.
-- Run it from the root of the repository; the files appear, complete, under target/candles.

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

CREATE TABLE candles (
  minute     TIMESTAMP(3),
  open_price DECIMAL(10, 2),
  high       DECIMAL(10, 2),
  low        DECIMAL(10, 2),
  last_price DECIMAL(10, 2),
  quantity   BIGINT,
  symbol     STRING
) PARTITIONED BY (symbol) WITH (
  'connector' = 'filesystem',
  'path' = 'target/candles',
  'format' = 'csv',
  'sink.mode' = 'overwrite'
);

INSERT INTO candles
SELECT window_start, FIRST_VALUE(price), MAX(price), MIN(price), LAST_VALUE(price), SUM(quantity), symbol
FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, symbol;
