"""What is asked of every engine: which table each query reads, and how Flink declares it."""

NEXMARK = ["q0", "q1", "q2", "q5c", "q7m", "q10", "q12", "q14", "q15", "q16", "q17", "q21", "q22"]
SCENARIOS = ["S0", "S1", "S2", "S3a"]

# Scenarios' tables are files of their own; to a query they have the name of what is in them.
FLINK_NAMES = {"S0": "orders", "S1": "market_data", "S2": "market_data", "S3a": "market_data"}

TABLES = {
    "bid": "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, `dateTime` TIMESTAMP(3), "
    "extra STRING, WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND",
    "S0": "order_id BIGINT, customer_id BIGINT, order_date TIMESTAMP(3), total_amount DOUBLE",
    "S1": "trader STRING, symbol STRING, price DOUBLE, quantity BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts",
    "S2": "trader STRING, symbol STRING, price DOUBLE, quantity BIGINT",
    "S3a": "trader STRING, symbol STRING, price DOUBLE, quantity BIGINT, ts TIMESTAMP(3), "
    "WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND",
}

SCENARIO_SQL = {
    "S0": "SELECT order_id, customer_id, order_date, total_amount FROM orders WHERE total_amount > 100",
    "S1": "SELECT symbol, ts, AVG(price) OVER (PARTITION BY symbol ORDER BY ts ROWS BETWEEN 99 PRECEDING "
    "AND CURRENT ROW) FROM market_data",
    "S2": "SELECT symbol, COUNT(*), AVG(price), MIN(price), MAX(price), SUM(quantity) FROM market_data GROUP BY symbol",
    "S3a": "SELECT trader, symbol, window_start, COUNT(*), AVG(price), SUM(quantity), SUM(price * quantity) "
    "FROM TABLE(TUMBLE(TABLE market_data, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) "
    "GROUP BY trader, symbol, window_start, window_end",
}


def table(query):
    if query in NEXMARK:
        return "bid"
    return "measurements" if query == "stations" else query


def lines(path):
    """How many lines a file has."""
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
