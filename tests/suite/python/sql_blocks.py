"""Runs blocks of DuckDB's SQL one after another in one session."""

import sys

import duckdb

connection = duckdb.connect()
for block in sys.argv[1:]:
    # As Arrow, since plain values of times with zones need a package more.
    connection.execute(block).to_arrow_table()
if connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'my_events'").fetchone()[0]:
    (loaded,), (there,) = (connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in ("my_events", "events"))
    assert loaded == there > 0, f"{loaded} of {there} rows are loaded"
