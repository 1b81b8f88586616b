"""Mirror days on a dask cluster: each task runs e3sync over its share of them.

    python sync_on_dask.py tcp://scheduler:8786 s3://my-lake/optimizely --from 2026-01-01 --to 2026-03-31

The scheduler's address, then the arguments of `e3sync sync`. e3sync is installed on every worker, where the token is a file
(E3SYNC_TOKEN_FILE) and the bucket's rights are the machine's own. A worker that dies costs nothing but time: dask
runs its task elsewhere, and that takes over what was begun.
"""

import json
import os
import subprocess
import sys

from dask.distributed import Client

# What plan calls a day that is to be transferred.
CHANGES = {"create", "replace", "extend", "complete", "repair"}

# Exit codes that another attempt may mend: stopped, killed, no network. What else is wrong, the closing run tells.
TRIED_AGAIN = {75, 130, 143}


def planned(arguments):
    """The days to transfer, the largest first, so that none of them is begun last."""
    plan = subprocess.run(["e3sync", "plan", *arguments, "--json"], stdout=subprocess.PIPE, text=True)
    # With 3 some days could not be planned; the closing run tells them.
    if plan.returncode not in (0, 3):
        sys.exit(plan.returncode)
    days = [json.loads(line) for line in plan.stdout.splitlines()]
    days = [day for day in days if day["event"] == "plan" and day["action"] in CHANGES]
    days.sort(key=lambda day: day["bytes"], reverse=True)
    return [f"type={day['type']}/date={day['date']}" for day in days]


def bring(days, destination, group):
    """Brings these days, in one run of e3sync."""
    command = ["e3sync", "sync", destination, "--join", "--units", "-"]
    done = subprocess.run(
        command, input="\n".join(days), text=True, stderr=subprocess.PIPE, env={**os.environ, "E3SYNC_GROUP": group}
    )
    if done.returncode in TRIED_AGAIN or done.returncode < 0:
        raise RuntimeError(f"e3sync ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.returncode


def main(scheduler, arguments):
    with Client(scheduler) as client:
        days = planned(arguments)
        group = client.id
        slices = min(len(days), 3 * sum(client.nthreads().values()))
        dealt = [days[number::slices] for number in range(slices)]
        client.gather(client.map(bring, dealt, destination=arguments[0], group=group, pure=False, retries=5))
    # Finds everything in place, and its exit code says whether it is.
    closing = subprocess.run(["e3sync", "sync", *arguments, "--join"], env={**os.environ, "E3SYNC_GROUP": group})
    sys.exit(closing.returncode)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
