-- Each row is counted once, in its pane of two seconds; a window is five panes.
SELECT auction, SUM(num) AS num, pane - behind AS window_start, pane - behind + INTERVAL '10 seconds' AS window_end
FROM (
  SELECT auction, time_bucket(INTERVAL '2 seconds', "dateTime") AS pane, COUNT(*) AS num
  FROM bid GROUP BY auction, time_bucket(INTERVAL '2 seconds', "dateTime")
) AS panes
CROSS JOIN (
  VALUES (INTERVAL '0 seconds'), (INTERVAL '2 seconds'), (INTERVAL '4 seconds'), (INTERVAL '6 seconds'),
         (INTERVAL '8 seconds')
) AS slides(behind)
GROUP BY auction, pane - behind
