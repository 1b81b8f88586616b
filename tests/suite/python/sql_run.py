"""Runs the statements in files and tells what their tables hold: sql_run.py duckdb|spark FILE..."""

import json
import sys


def statements(path):
    lines = [line for line in open(path, encoding="utf-8") if not line.startswith("--")]
    return [statement for statement in "".join(lines).split(";\n") if statement.strip()]


def duckdb_engine():
    import duckdb

    connection = duckdb.connect()

    def query(text):
        return connection.execute(text).fetchall()

    def columns(table):
        return {row[0]: row[1] for row in query(f"DESCRIBE {table}")}

    return query, columns


def spark_engine():
    import tempfile

    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": tempfile.mkdtemp(),
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")

    def query(text):
        return [tuple(row) for row in session.sql(text).collect()]

    def columns(table):
        return dict(session.table(table).dtypes)

    return query, columns


def told(table, query, columns):
    kinds = columns(table)
    folder, inside = ("experiment", "experiment_id") if "experiment" in kinds else ("event", "event_name")
    days = query(f"SELECT date, count(*) FROM {table} GROUP BY date")
    others = f"SELECT count(*) FROM {table} WHERE {folder} IS DISTINCT FROM {inside} AND {folder} NOT LIKE '%~%'"
    folders = query(f"SELECT DISTINCT {folder} FROM {table}")
    first = query(f"SELECT min(\"timestamp\") FROM {table}".replace('"', "`" if query.is_spark else '"'))
    return {
        "columns": kinds,
        "rows": {str(day): rows for day, rows in days},
        "folders_that_differ_from_the_files": query(others)[0][0],
        "folders": sorted(folder or "" for (folder,) in folders),
        "first": str(first[0][0]),
    }


def main():
    engine = sys.argv[1]
    query, columns = duckdb_engine() if engine == "duckdb" else spark_engine()
    query.is_spark = engine == "spark"
    tables = {}
    for path in sys.argv[2:]:
        for statement in statements(path):
            query(statement)
            table = statement.split("(")[0].split(" AS")[0].split()[-1].strip('"`')
            tables[table] = told(table, query, columns)
    print(json.dumps(tables))


main()
