"""DataFusion on one partition, its table in memory."""

import pathlib

import datafusion
import pyarrow as pa
import pyarrow.parquet as pq

import queries

SQL = pathlib.Path(__file__).parent / "datafusion"
BATCH_ROWS = 8_192


class Engine:
    def __init__(self, data, table):
        config = datafusion.SessionConfig().with_target_partitions(1).with_batch_size(BATCH_ROWS)
        self.context = datafusion.SessionContext(config)
        if table == "measurements":
            # Read from the file in each run: reading is what that benchmark is about.
            path = f"{data}/measurements.txt"
            schema = pa.schema([("station", pa.string_view()), ("temperature", pa.float64())])
            self.context.register_csv(table, path, schema=schema, has_header=False, delimiter=";", file_extension=".txt")
            self.rows = queries.lines(path)
            return
        rows = pq.read_table(f"{data}/{table}.parquet")
        fields = [(field.name, pa.string_view() if pa.types.is_string(field.type) else field.type) for field in rows.schema]
        rows = rows.cast(pa.schema(fields))
        self.rows = rows.num_rows
        self.context.register_record_batches(table, [rows.to_batches(BATCH_ROWS)])

    def run(self, query):
        for batch in self.context.sql((SQL / f"{query}.sql").read_text()).execute_stream():
            yield batch.to_pyarrow()
