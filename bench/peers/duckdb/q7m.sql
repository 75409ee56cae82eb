SELECT MAX(price) AS maxprice, time_bucket(INTERVAL '10 seconds', "dateTime") AS window_start,
       time_bucket(INTERVAL '10 seconds', "dateTime") + INTERVAL '10 seconds' AS window_end
FROM bid GROUP BY time_bucket(INTERVAL '10 seconds', "dateTime")
