SELECT trader, symbol, date_bin(INTERVAL '1 minute', ts) AS window_start, COUNT(*), AVG(price), SUM(quantity),
       SUM(price * quantity)
FROM "S3a" GROUP BY trader, symbol, date_bin(INTERVAL '1 minute', ts)
