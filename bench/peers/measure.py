"""Times one query of one engine in this process, and says what the rows of its answer add up to.

Prints a line of JSON for each timed run, and one for the answer. The data is in memory before
anything is timed; the answer is read batch by batch and dropped, as a blackhole would.
"""

import argparse
import decimal
import json
import resource
import time

import pyarrow as pa
import pyarrow.compute as pc

import engine_datafusion
import engine_duckdb
import engine_polars

ENGINES = {"datafusion": engine_datafusion, "duckdb": engine_duckdb, "polars": engine_polars}


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def total(column):
    """What a column adds up to: numbers by value, times in milliseconds, texts by their length."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = pc.cast(pc.cast(column, pa.timestamp("ms")), pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind)):
        column = pc.utf8_length(pc.cast(column, pa.string()))
    elif pa.types.is_integer(kind):
        column = pc.cast(column, pa.int64())
    elif pa.types.is_decimal(kind) and kind.scale == 0:
        column = pc.cast(column, pa.int64())
    return decimal.Decimal(str(pc.sum(column).as_py() or 0))


def add_up(batches):
    rows, totals = 0, []
    for batch in batches:
        rows += batch.num_rows
        found = [total(column) for column in batch.columns]
        totals = [a + b for a, b in zip(totals, found)] if totals else found
    return {"rows": rows, "totals": [format(value.normalize(), ".6g" if value % 1 and abs(value) > 1e9 else "f") for value in totals]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=sorted(ENGINES))
    parser.add_argument("query")
    parser.add_argument("--data", required=True)
    parser.add_argument("--table", default="bid")
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()

    engine = ENGINES[arguments.engine].Engine(arguments.data, arguments.table)
    print(json.dumps({"answer": add_up(engine.run(arguments.query))}), flush=True)
    for _ in range(arguments.repetitions):
        cpu, start = cpu_seconds(), time.perf_counter()
        for batch in engine.run(arguments.query):
            del batch
        wall, cpu = time.perf_counter() - start, cpu_seconds() - cpu
        print(json.dumps({"rows": engine.rows, "wall_s": wall, "cpu_s": cpu}), flush=True)


if __name__ == "__main__":
    main()
