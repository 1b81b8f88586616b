"""Writes a tree whose files differ in their columns, and whose experiment has zeros in front."""

import pathlib
import sys

import pyarrow
import pyarrow.parquet

DAY = pathlib.Path(sys.argv[1]) / "type=decisions" / "date=2026-11-20"


def write(name, columns):
    (DAY / name).mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.table(columns), DAY / name / "part-00000.parquet")


write("experiment=0012", {"uuid": ["a", "b"], "experiment_id": ["0012", "0012"], "is_holdback": [True, False]})
write("experiment=7", {"experiment_id": ["7"], "added_later": [1], "uuid": ["c"]})
