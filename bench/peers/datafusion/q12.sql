SELECT bidder, COUNT(*) AS bid_count, date_bin(INTERVAL '10 seconds', "dateTime") AS starttime,
       date_bin(INTERVAL '10 seconds', "dateTime") + INTERVAL '10 seconds' AS endtime
FROM bid GROUP BY bidder, date_bin(INTERVAL '10 seconds', "dateTime")
