SELECT symbol, COUNT(*), AVG(price), MIN(price), MAX(price), SUM(quantity) FROM "S2" GROUP BY symbol
