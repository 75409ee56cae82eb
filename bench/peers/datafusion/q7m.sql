SELECT MAX(price) AS maxprice, date_bin(INTERVAL '10 seconds', "dateTime") AS window_start,
       date_bin(INTERVAL '10 seconds', "dateTime") + INTERVAL '10 seconds' AS window_end
FROM bid GROUP BY date_bin(INTERVAL '10 seconds', "dateTime")
