"""Runs our own program for scripts/bench and reads what it recorded."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

PROGRAM = pathlib.Path(os.environ["FLAGPERF"])
FOLDER = pathlib.Path(os.environ["BENCH_FOLDER"])


class Unsupported(Exception):
    """The processor lacks what the case needs."""


class Failed(Exception):
    """The program did not do what was asked of it."""


def run_case(case, *options, cpus=None):
    """Runs one case and returns its entry of `results` in run.json."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=FOLDER))
    command = [str(PROGRAM), "run", *options, case, "--results", str(scratch), "--quiet"]
    if cpus:
        command = ["taskset", "--cpu-list", cpus, *command]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        records = list(scratch.glob("*/run.json"))
        if len(records) != 1:
            raise Failed(f"{' '.join(command)}: no record; {done.stderr.strip()[-500:]}")
        results = json.loads(records[0].read_text())["results"]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if len(results) != 1:
        raise Failed(f"{case}: {len(results)} results instead of one; {done.stderr.strip()[-500:]}")
    outcome = results[0]["outcome"]
    if isinstance(outcome, dict) and "unsupported" in outcome:
        raise Unsupported(outcome["unsupported"]["feature"])
    if outcome != "passed":
        raise Failed(f"{case}: {json.dumps(outcome)}")
    return results[0]


def values(result):
    """{metric: (value, unit)} of a result; the ranks of a node are added up."""
    found = {}
    for _node, measurement in result["measurements"]:
        value, unit = found.get(measurement["metric"], (0.0, measurement["unit"]))
        found[measurement["metric"]] = (value + measurement["value"], unit)
    return found


def write_case(folder, name, script, shell="/bin/sh"):
    """Makes a case that runs a line of shell."""
    path = pathlib.Path(folder, name)
    path.mkdir(parents=True)
    # JSON's strings and lists are also TOML's.
    argv = json.dumps([shell, "-c", script])
    path.joinpath("case.toml").write_text(
        f'summary = "Made by scripts/bench"\nentry.argv = {argv}\n'
    )
