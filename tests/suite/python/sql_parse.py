"""Parses statements of a dialect from standard input and prints their literals as JSON."""

import json
import re
import sys

import sqlglot
from sqlglot import exp

PARTITION_COLUMNS = re.compile(r"WITH PARTITION COLUMNS (\(.*?\n\))\n", re.DOTALL)

# A whole statement that the parser does not know.
REFRESH = re.compile(r"^ALTER EXTERNAL TABLE [\w.]+ REFRESH;?$", re.MULTILINE)


def parsed(text, dialect):
    # The one clause that the parser does not know is a list of columns, and parsed as one.
    for columns in PARTITION_COLUMNS.findall(text):
        yield from sqlglot.parse(f"CREATE TABLE t {columns}", dialect=dialect)
    yield from sqlglot.parse(REFRESH.sub("", PARTITION_COLUMNS.sub("", text)), dialect=dialect)


literals = []
for statement in parsed(sys.stdin.read(), sys.argv[1]):
    if statement is None or isinstance(statement, exp.Semicolon):
        continue
    if isinstance(statement, exp.Command):
        sys.exit(f"not understood: {statement.sql()}")
    literals += [literal.this for literal in statement.find_all(exp.Literal) if literal.is_string]
print(json.dumps(literals))
