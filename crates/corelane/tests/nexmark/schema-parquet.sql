-- The same events as a flat Parquet file, the columns of each kind under a prefix.
CREATE TABLE nexmark (
  event_type INT,
  p_dateTime TIMESTAMP(3),
  a_dateTime TIMESTAMP(3),
  b_auction BIGINT,
  b_bidder BIGINT,
  b_price BIGINT,
  b_channel STRING,
  b_url STRING,
  b_dateTime TIMESTAMP(3),
  b_extra STRING,
  `dateTime` AS COALESCE(b_dateTime, a_dateTime, p_dateTime),
  WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${events}', 'format' = 'parquet');

CREATE VIEW bid AS
SELECT b_auction AS auction, b_bidder AS bidder, b_price AS price, b_channel AS channel, b_url AS url,
       `dateTime`, b_extra AS extra
FROM nexmark WHERE event_type = 2;
