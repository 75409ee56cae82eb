-- The running count of each symbol's trades; see each change with --format changelog.
-- Run it from the root of the repository.

CREATE TABLE trades (
  symbol STRING
) WITH (
  'connector' = 'filesystem',
  'path' = 'docs/examples/trades.json',
  'format' = 'json'
);

SELECT symbol, COUNT(*) AS trades
FROM trades
GROUP BY symbol;
