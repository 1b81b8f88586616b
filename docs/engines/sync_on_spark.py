"""Mirror days on a Spark cluster: each task runs e3sync over its share of them.

    spark-submit --files "$(command -v e3sync)" sync_on_spark.py \
        s3://my-lake/optimizely --from 2026-01-01 --to 2026-03-31

The arguments are those of `e3sync sync`. Where e3sync is installed on the cluster, as by its Python wheel,
`--files` is not needed. Executors need the same environment as the driver, but not on the command line: the
token as a file (E3SYNC_TOKEN_FILE), the bucket's rights by the machines' own role.

A task that is tried again, or twice at the same time by speculation, does no harm: a day is published once, and
the other attempt waits for it.
"""

import json
import os
import shutil
import subprocess
import sys

from pyspark import SparkFiles
from pyspark.sql import SparkSession

# What plan calls a day that is to be transferred.
CHANGES = {"create", "replace", "extend", "complete", "repair"}

# Each task costs two exchanges of credentials, so that tasks have several days where there are many.
TASKS_PER_CORE = 3

# Exit codes that another attempt may mend: stopped, killed, no network. What else is wrong, the closing run tells.
TRIED_AGAIN = {75, 130, 143}


def e3sync():
    """The program: installed, or sent along with --files."""
    installed = shutil.which("e3sync")
    if installed:
        return installed
    sent = SparkFiles.get("e3sync")
    os.chmod(sent, 0o755)
    return sent


def planned(arguments):
    """The days to transfer, the largest first, so that none of them is begun last."""
    plan = subprocess.run([e3sync(), "plan", *arguments, "--json"], stdout=subprocess.PIPE, text=True)
    # With 3 some days could not be planned; the closing run tells them.
    if plan.returncode not in (0, 3):
        sys.exit(plan.returncode)
    days = [json.loads(line) for line in plan.stdout.splitlines()]
    days = [day for day in days if day["event"] == "plan" and day["action"] in CHANGES]
    days.sort(key=lambda day: day["bytes"], reverse=True)
    return [f"type={day['type']}/date={day['date']}" for day in days]


def task(arguments, group):
    """A function that brings the days that it is given, in one run of e3sync."""

    def run(days):
        days = list(days)
        if not days:
            return []
        command = [e3sync(), "sync", arguments[0], *arguments[1:], "--join", "--units", "-"]
        done = subprocess.run(
            command, input="\n".join(days), text=True, stderr=subprocess.PIPE, env={**os.environ, "E3SYNC_GROUP": group}
        )
        if done.returncode in TRIED_AGAIN or done.returncode < 0:
            raise RuntimeError(f"e3sync ended with {done.returncode}: {done.stderr[-2000:]}")
        return [done.returncode]

    return run


def without_days(arguments):
    """The arguments without the choice of days, which a task is given one by one."""
    chosen = {"--from", "--start", "--since", "--to", "--end", "--date", "--last", "--type"}
    kept, skips = [], False
    for argument in arguments:
        name = argument.split("=")[0]
        if not skips and name not in chosen:
            kept.append(argument)
        skips = not skips and name in chosen and "=" not in argument
    return kept


def main(arguments):
    spark = SparkSession.builder.appName("e3sync").getOrCreate()
    context = spark.sparkContext
    days = planned(arguments)
    if days:
        slices = min(len(days), TASKS_PER_CORE * context.defaultParallelism)
        # Every slice gets its part of the large days.
        dealt = [day for number in range(slices) for day in days[number::slices]]
        group = context.applicationId
        context.parallelize(dealt, slices).mapPartitions(task(without_days(arguments), group)).collect()
        os.environ["E3SYNC_GROUP"] = group
    # Finds everything in place, and its exit code says whether it is.
    closing = subprocess.run([e3sync(), "sync", *arguments, "--join"])
    spark.stop()
    sys.exit(closing.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
