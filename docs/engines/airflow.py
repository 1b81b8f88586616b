"""A backfill in Airflow by mapped tasks, each with its share of the days; the last task is the verdict.

The days come from `e3sync plan`, so that tasks get what there is to do and no more. Tasks that Airflow runs again, or
that run at the same time as those of another DAG run, do no harm: each day is published once.
"""

import json
import subprocess
from datetime import datetime, timedelta

from airflow import DAG
from airflow.decorators import task
from airflow.operators.bash import BashOperator

MIRROR = "s3://my-lake/optimizely"
DAYS = ["--from", "2026-01-01", "--to", "2026-03-31"]
TASKS = 8

# What plan calls a day that is to be transferred.
CHANGES = {"create", "replace", "extend", "complete", "repair"}

with DAG(dag_id="e3sync_backfill", schedule=None, start_date=datetime(2026, 1, 1), max_active_tasks=TASKS) as dag:

    @task
    def shares():
        """Shares of the days to transfer, the largest days dealt out first."""
        plan = subprocess.run(["e3sync", "plan", MIRROR, *DAYS, "--json"], stdout=subprocess.PIPE, text=True)
        if plan.returncode not in (0, 3):
            raise RuntimeError(f"e3sync plan ended with {plan.returncode}")
        days = [json.loads(line) for line in plan.stdout.splitlines()]
        days = [day for day in days if day["event"] == "plan" and day["action"] in CHANGES]
        days.sort(key=lambda day: day["bytes"], reverse=True)
        names = [f"type={day['type']}/date={day['date']}" for day in days]
        return [{"UNITS": "\n".join(names[number::TASKS])} for number in range(min(TASKS, len(names)))]

    mirror = BashOperator.partial(
        task_id="mirror",
        bash_command=f'printf "%s\\n" "$UNITS" | e3sync sync {MIRROR} --join --units -',
        append_env=True,
        retries=5,
        retry_delay=timedelta(minutes=5),
    ).expand(env=shares())

    # Finds everything in place, and fails where it is not.
    verdict = BashOperator(
        task_id="verdict",
        bash_command=f"e3sync sync {MIRROR} {' '.join(DAYS)} --join",
        trigger_rule="all_done",
    )
    mirror >> verdict
