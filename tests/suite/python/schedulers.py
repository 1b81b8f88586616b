"""Checks an example for a scheduler: a language, the example, and the document that it stands in."""

import ast
import configparser
import os
import subprocess
import sys
import tempfile

import yaml


def ends_with(call, code):
    """What the call ends with where e3sync ends with this code."""
    return in_place_of_e3sync(call, f"exit {code}")


def ends_when_stopped(call):
    """What the call ends with where it is stopped while e3sync runs."""
    return in_place_of_e3sync(call, "trap 'exit 143' TERM; kill -TERM $PPID; while :; do sleep 0.1; done")


def in_place_of_e3sync(call, script):
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "e3sync")
        with open(program, "w") as file:
            file.write(f"#!/bin/sh\n{script}\n")
        os.chmod(program, 0o755)
        return subprocess.run(call, env={"PATH": f"{folder}:/usr/bin:/bin"}).returncode


def check_codes(call):
    found = {code: ends_with(call, code) for code in (0, 1, 3, 6, 7, 75)}
    assert found == {0: 0, 1: 1, 3: 3, 6: 0, 7: 0, 75: 75}, found


def check_cron_job(job):
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    call = container["command"] + container["args"]
    check_codes(call)
    assert ends_when_stopped(call) == 143
    given_up = [rule for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    assert not {3, 75} & {code for rule in given_up for code in rule["onExitCodes"]["values"]}
    # A secret's files are root's: another user reads them as a member of the group.
    assert pod["securityContext"]["runAsUser"] and pod["securityContext"]["fsGroup"]
    (secret,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert secret["defaultMode"] & 0o040


def check_workflow(jobs):
    for job in jobs.values():
        for step in job["steps"]:
            if "run" in step:
                check_codes(["bash", "-e", "-c", step["run"]])


def check_unit(text, document):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string(text)
    paths = unit["Service"].get("ReadWritePaths", "") if "Service" in unit else ""
    made = [line.split() for line in document.splitlines() if line.startswith("sudo install -d ")]
    for path in paths.split():
        assert any(path in words for words in made), f"nothing makes {path}"


language, text, document = sys.argv[1:]
if language == "python":
    ast.parse(text)
if language == "ini":
    check_unit(text, document)
if language == "yaml":
    (example,) = yaml.safe_load_all(text)
    if example.get("kind") == "CronJob":
        check_cron_job(example["spec"]["jobTemplate"]["spec"])
    if "jobs" in example:
        check_workflow(example["jobs"])
