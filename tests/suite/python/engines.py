"""Reads what a page for an engine starts, or plays the engine that it is for.

    engines.py tasks FILE          the tasks of a job: their command and what the engine tells each of them, as JSON
    engines.py airflow FILE        runs the tasks of a page for Airflow, with stand-ins for its classes
    engines.py dask FILE ARGS      runs the page on a cluster of this machine, and kills a worker in the middle
"""

import concurrent.futures
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
import types

JOB_NAME = "e3sync-backfill"


def kubernetes_tasks(text):
    import yaml

    (job,) = yaml.safe_load_all(text)
    spec = job["spec"]
    assert (job["apiVersion"], job["kind"], spec["completionMode"]) == ("batch/v1", "Job", "Indexed")
    pod = spec["template"]["spec"]
    # Kubernetes takes a policy for failures only with this one for restarts.
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    env = {}
    for variable in container["env"]:
        if "value" in variable:
            env[variable["name"]] = variable["value"]
        else:
            assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['batch.kubernetes.io/job-name']"
            env[variable["name"]] = job["metadata"]["name"]
    assert env["E3SYNC_SHARD_COUNT"] == str(spec["completions"])
    codes = {}
    for rule in spec["podFailurePolicy"]["rules"]:
        for code in rule.get("onExitCodes", {}).get("values", []):
            codes[code] = rule["action"]
    # Whatever another attempt may mend is left to backoffLimitPerIndex.
    assert not {75, 130, 137, 143} & codes.keys() and spec["backoffLimitPerIndex"] > 0
    assert codes == {2: "FailJob", 4: "FailJob", 1: "FailIndex", 3: "FailIndex", 5: "FailIndex", 6: "FailIndex"}, codes
    (secret,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert secret["defaultMode"] & 0o040 and pod["securityContext"]["fsGroup"]
    told = [{"JOB_COMPLETION_INDEX": str(index), **env} for index in range(spec["completions"])]
    return container["command"] + container["args"], told


def cloud_run_tasks(text):
    import yaml

    (job,) = yaml.safe_load_all(text)
    assert (job["apiVersion"], job["kind"]) == ("run.googleapis.com/v1", "Job")
    execution = job["spec"]["template"]["spec"]
    (container,) = execution["template"]["spec"]["containers"]
    assert all("value" not in variable for variable in container["env"]), "a token is no plain value"
    count = execution["taskCount"]
    told = [
        {
            "CLOUD_RUN_EXECUTION": job["metadata"]["name"] + "-x7k2p",
            "CLOUD_RUN_TASK_INDEX": str(index),
            "CLOUD_RUN_TASK_COUNT": str(count),
        }
        for index in range(count)
    ]
    return container["command"] + container["args"], told


def aws_batch_tasks(text):
    """By the models of requests that Amazon's own client checks them with."""
    import botocore.session
    import botocore.validate

    definition = json.loads(re.search(r"--cli-input-json '(.*?)'\n", text, re.DOTALL).group(1))
    batch = botocore.session.get_session().get_service_model("batch")
    shape = batch.operation_model("RegisterJobDefinition").input_shape
    report = botocore.validate.ParamValidator().validate(definition, shape)
    assert not report.has_errors(), report.generate_report()
    submission = re.search(r"^aws batch submit-job (.*)$", text, re.MULTILINE).group(1)
    options = dict(re.findall(r"--(\S+) (\S+)", submission))
    known = batch.operation_model("SubmitJob").input_shape.members
    for option in options:
        assert re.sub(r"-(.)", lambda match: match.group(1).upper(), option) in known, option
    assert options["job-definition"] == definition["jobDefinitionName"]
    count = int(options["array-properties"].removeprefix("size="))
    job = "b7a4f3c2-0000-4000-8000-000000000001"
    told = [
        {
            "AWS_BATCH_JOB_ID": f"{job}:{index}",
            "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
            "AWS_BATCH_JOB_ARRAY_SIZE": str(count),
        }
        for index in range(count)
    ]
    return definition["containerProperties"]["command"], told


TASKS = {"kubernetes.yaml": kubernetes_tasks, "cloud_run.yaml": cloud_run_tasks, "aws_batch.sh": aws_batch_tasks}


def tasks(path):
    with open(path) as file:
        command, told = TASKS[os.path.basename(path)](file.read())
    print(json.dumps({"command": command, "told": told}))


class Dag:
    """Stands in for airflow.DAG, and for what runs its tasks: mapped ones side by side, then the others."""

    current = None

    def __init__(self, dag_id, **_):
        self.tasks = []
        Dag.current = self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self):
        env = {**os.environ, "AIRFLOW_CTX_DAG_RUN_ID": "manual__2026-11-21T00:00:00+00:00"}
        for task in self.tasks:
            calls = [{**env, **mapped} for mapped in task.mapped] if task.mapped is not None else [env]
            with concurrent.futures.ThreadPoolExecutor(len(calls) or 1) as pool:
                run = lambda env: subprocess.run(["bash", "-c", task.arguments["bash_command"]], env=env).returncode
                codes = list(pool.map(run, calls))
            print(task.arguments["task_id"], codes, file=sys.stderr)
            assert task.mapped is None or len(codes) > 1, "the days are shared"
            assert not any(codes), codes


class BashOperator:
    """Stands in for airflow.operators.bash.BashOperator."""

    def __init__(self, **arguments):
        self.arguments, self.mapped = arguments, None
        Dag.current.tasks.append(self)

    @classmethod
    def partial(cls, **arguments):
        return cls(**arguments)

    def expand(self, env):
        assert self.arguments["append_env"], "the mapped variables would be all that the command has"
        self.mapped = env
        return self

    def __rshift__(self, other):
        tasks = Dag.current.tasks
        assert tasks.index(self) < tasks.index(other)
        return other


def airflow(path):
    names = ["airflow", "airflow.decorators", "airflow.operators", "airflow.operators.bash"]
    modules = {name: types.ModuleType(name) for name in names}
    modules["airflow"].DAG = Dag
    modules["airflow.decorators"].task = lambda function: function
    modules["airflow.operators.bash"].BashOperator = BashOperator
    sys.modules.update(modules)
    runpy.run_path(path)
    Dag.current.run()


def children_of(process):
    """The processes that a process has started."""
    found = []
    for task in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{task}/children") as children:
            found += [int(child) for child in children.read().split()]
    return found


def runs_e3sync(process):
    with open(f"/proc/{process}/cmdline", "rb") as words:
        return b"--units" in words.read().split(b"\0")


def has_begun_a_day(process, mirror):
    """Whether a lock of the mirror names the process."""
    folder = os.path.join(mirror, "_e3sync/locks")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name)) as lock:
            if f"process {process} " in lock.read():
                return True
    return False


def worker_with_a_task(processes, mirror):
    """A worker that runs e3sync, and that run; nothing while there is none."""
    for worker in processes:
        try:
            runs = [child for child in children_of(worker) if runs_e3sync(child) and has_begun_a_day(child, mirror)]
        except OSError:
            continue
        if runs:
            return [worker, *runs]
    return None


def kill_one(cluster, mirror):
    """Kills a worker in the middle of a task, with what it runs, as a lost machine would end."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lost = worker_with_a_task([nanny.pid for nanny in cluster.workers.values() if nanny.pid], mirror)
        if lost:
            for process in reversed(lost):
                os.kill(process, signal.SIGKILL)
            print(f"killed worker {lost[0]}", file=sys.stderr)
            return
        time.sleep(0.01)


def dask(path, arguments):
    from dask.distributed import LocalCluster

    with LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, protocol="tcp://", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        killer = threading.Thread(target=kill_one, args=[cluster, arguments[0]])
        killer.start()
        sys.argv = [path, cluster.scheduler_address, *arguments]
        try:
            runpy.run_path(path, run_name="__main__")
        finally:
            killer.join()


def main():
    kind, path, *arguments = sys.argv[1:]
    if kind == "tasks":
        tasks(path)
    elif kind == "airflow":
        airflow(path)
    else:
        dask(path, arguments)


if __name__ == "__main__":
    main()
