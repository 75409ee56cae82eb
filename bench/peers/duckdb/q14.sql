SELECT auction, bidder, CAST(0.908 AS DECIMAL(4, 3)) * CAST(price AS DECIMAL(15, 0)) AS price,
       CASE WHEN date_part('hour', "dateTime") BETWEEN 8 AND 18 THEN 'dayTime'
            WHEN date_part('hour', "dateTime") <= 6 OR date_part('hour', "dateTime") >= 20 THEN 'nightTime'
            ELSE 'otherTime' END AS bid_time_type,
       "dateTime", extra,
       length(extra) - length(replace(extra, 'c', '')) AS c_counts
FROM bid
WHERE CAST(0.908 AS DECIMAL(4, 3)) * CAST(price AS DECIMAL(15, 0)) > 1000000
  AND CAST(0.908 AS DECIMAL(4, 3)) * CAST(price AS DECIMAL(15, 0)) < 50000000
