"""DuckDB on one thread, its table in memory."""

import pathlib

import duckdb

import queries

SQL = pathlib.Path(__file__).parent / "duckdb"
# What DuckDB itself calls a row group.
BATCH_ROWS = 122_880


class Engine:
    def __init__(self, data, table):
        self.connection = duckdb.connect()
        self.execute("SET threads = 1")
        # Order of rows costs time, and no query asks for it.
        self.execute("SET preserve_insertion_order = false")
        if table == "measurements":
            # Read from the file in each run: reading is what that benchmark is about.
            self.execute(
                f"CREATE VIEW measurements AS SELECT * FROM read_csv('{data}/measurements.txt', delim = ';', "
                "header = false, columns = {'station': 'VARCHAR', 'temperature': 'DOUBLE'})"
            )
            self.rows = queries.lines(f"{data}/measurements.txt")
            return
        self.execute(f"CREATE TABLE {table} AS SELECT * FROM '{data}/{table}.parquet'")
        [(self.rows,)] = self.execute(f"SELECT COUNT(*) FROM {table}")

    def execute(self, statement):
        """Runs a statement to its end: a connection with an unfinished result refuses the next."""
        return self.connection.execute(statement).fetchall()

    def run(self, query):
        yield from self.connection.sql((SQL / f"{query}.sql").read_text()).to_arrow_reader(BATCH_ROWS)
