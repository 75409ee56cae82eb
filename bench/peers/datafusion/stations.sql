SELECT station, MIN(temperature), AVG(temperature), MAX(temperature) FROM measurements GROUP BY station
