"""Polars on one thread (POLARS_MAX_THREADS=1), its frame in memory."""

import polars as pl

import queries

DAY = pl.col("dateTime").dt.strftime("%Y-%m-%d")
MINUTE = pl.col("dateTime").dt.strftime("%H:%M")
EURO = pl.lit("0.908").str.to_decimal(scale=3) * pl.col("price").cast(pl.Decimal(20, 0))
PRICE = pl.col("price")
RANKS = [PRICE < 10_000, (PRICE >= 10_000) & (PRICE < 1_000_000), PRICE >= 1_000_000]
CHANNEL_ID = pl.col("url").str.extract("(&|^)channel_id=([^&]*)", 2)
CHANNELS = {"apple": "0", "google": "1", "facebook": "2", "baidu": "3"}


def bids():
    counts = [pl.len().cast(pl.Int64).alias("total")]
    return counts + [rank.sum().cast(pl.Int64).alias(f"rank{i}") for i, rank in enumerate(RANKS)]


def distinct(column):
    counts = [pl.col(column).n_unique().cast(pl.Int64).alias(f"{column}s")]
    return counts + [
        pl.col(column).filter(rank).n_unique().cast(pl.Int64).alias(f"{column}s{i}") for i, rank in enumerate(RANKS)
    ]


def tumble(frame, key, aggregates):
    window = pl.col("dateTime").dt.truncate("10s").alias("start")
    grouped = frame.group_by(([key] if key else []) + [window]).agg(aggregates)
    return grouped.with_columns((pl.col("start") + pl.duration(seconds=10)).alias("end"))


def hop(frame):
    panes = frame.group_by("auction", pl.col("dateTime").dt.truncate("2s").alias("pane")).agg(pl.len().alias("num"))
    slides = pl.LazyFrame({"behind": [0, 2, 4, 6, 8]})
    windows = panes.join(slides, how="cross").with_columns(
        (pl.col("pane") - pl.duration(seconds=pl.col("behind"))).alias("start")
    )
    counted = windows.group_by("auction", "start").agg(pl.col("num").sum().cast(pl.Int64))
    return counted.select("auction", "num", "start", (pl.col("start") + pl.duration(seconds=10)).alias("end"))


def q14(frame):
    hour = pl.col("dateTime").dt.hour()
    night = pl.when((hour <= 6) | (hour >= 20)).then(pl.lit("nightTime")).otherwise(pl.lit("otherTime"))
    kind = pl.when(hour.is_between(8, 18)).then(pl.lit("dayTime")).otherwise(night)
    letters = pl.col("extra").str.count_matches("c", literal=True).cast(pl.Int64)
    rows = frame.with_columns(EURO.alias("euro")).filter((pl.col("euro") > 1_000_000) & (pl.col("euro") < 50_000_000))
    return rows.select("auction", "bidder", "euro", kind.alias("kind"), "dateTime", "extra", letters.alias("letters"))


def q21(frame):
    channel = pl.col("channel").str.to_lowercase()
    number = channel.replace_strict(CHANNELS, default=None, return_dtype=pl.String)
    rows = frame.filter(CHANNEL_ID.is_not_null() | channel.is_in(list(CHANNELS)))
    return rows.select("auction", "bidder", "price", "channel", pl.coalesce(number, CHANNEL_ID).alias("id"))


def q22(frame):
    parts = pl.col("url").str.split("/")
    return frame.select("auction", "bidder", "price", "channel", *[parts.list.get(i).alias(f"dir{i}") for i in (3, 4, 5)])


def market(frame):
    return frame.group_by("symbol").agg(
        pl.len().cast(pl.Int64).alias("count"), pl.col("price").mean().alias("mean"), pl.col("price").min().alias("min"),
        pl.col("price").max().alias("max"), pl.col("quantity").sum(),
    )


def minutes(frame):
    window = pl.col("ts").dt.truncate("1m").alias("start")
    return frame.group_by("trader", "symbol", window).agg(
        pl.len().cast(pl.Int64).alias("count"), pl.col("price").mean().alias("mean"), pl.col("quantity").sum(),
        (pl.col("price") * pl.col("quantity")).sum().alias("worth"),
    )


def moving(frame):
    mean = pl.col("price").rolling_mean(100, min_samples=1).over("symbol", order_by="ts")
    return frame.select("symbol", "ts", mean.alias("mean"))


QUERIES = {
    "q0": lambda frame: frame.select("auction", "bidder", "price", "dateTime", "extra"),
    "q1": lambda frame: frame.select("auction", "bidder", EURO.alias("euro"), "dateTime", "extra"),
    "q2": lambda frame: frame.filter(pl.col("auction") % 123 == 0).select("auction", "price"),
    "q5c": hop,
    "q7m": lambda frame: tumble(frame, None, [PRICE.max().alias("price")]).select("price", "start", "end"),
    "q10": lambda frame: frame.select(
        "auction", "bidder", "price", "dateTime", "extra", DAY.alias("day"), MINUTE.alias("minute")
    ),
    "q12": lambda frame: tumble(frame, "bidder", [pl.len().cast(pl.Int64).alias("bids")]).select(
        "bidder", "bids", "start", "end"
    ),
    "q14": q14,
    "q15": lambda frame: frame.group_by(DAY.alias("day")).agg(bids() + distinct("bidder") + distinct("auction")),
    "q16": lambda frame: frame.group_by("channel", DAY.alias("day")).agg(
        [MINUTE.max().alias("minute")] + bids() + distinct("bidder") + distinct("auction")
    ),
    "q17": lambda frame: frame.group_by("auction", DAY.alias("day")).agg(
        bids()
        + [PRICE.min().alias("min"), PRICE.max().alias("max"), (PRICE.sum() // pl.len()).cast(pl.Int64).alias("mean")]
        + [PRICE.sum().alias("sum")]
    ),
    "q21": q21,
    "q22": q22,
    "S0": lambda frame: frame.filter(pl.col("total_amount") > 100).select(
        "order_id", "customer_id", "order_date", "total_amount"
    ),
    "S1": moving,
    "S2": market,
    "S3a": minutes,
    "stations": lambda frame: frame.group_by("station").agg(
        pl.col("temperature").min().alias("min"), pl.col("temperature").mean().alias("mean"),
        pl.col("temperature").max().alias("max"),
    ),
}


class Engine:
    def __init__(self, data, table):
        if table == "measurements":
            # Read from the file in each run: reading is what that benchmark is about.
            path = f"{data}/measurements.txt"
            schema = {"station": pl.String, "temperature": pl.Float64}
            self.frame = lambda: pl.scan_csv(path, separator=";", has_header=False, schema=schema)
            self.rows = queries.lines(path)
            return
        rows = pl.read_parquet(f"{data}/{table}.parquet").rechunk()
        self.frame = rows.lazy
        self.rows = rows.height

    def run(self, query):
        answer = QUERIES[query](self.frame()).collect(engine="streaming" if query == "stations" else "auto")
        yield from answer.to_arrow().to_batches()
