"""Container mode, against the engine's own command on the same nodes."""

import json
import statistics
import subprocess
import time

import fleet
import ours
from nodes import unless_unsupported
from table import Row

IMAGE = "flagperf-test/busybox:1"
ONE_TARGET, MANY_TARGET, MANY, ROUNDS = 1.3, 1.5, 8, 7

# Both moments are taken inside the task, by a shell that needs no other process for it.
TASK = (
    "echo \"[FlagPerf Result]Rank 0 began=$EPOCHREALTIME\"; "
    "echo \"[FlagPerf Result]Rank 0 ended=$EPOCHREALTIME\""
)
PLAIN = ["docker", "run", "--rm", "--network", "host", "--ipc", "host", IMAGE, "true"]


@unless_unsupported
def containers(_machine, _options):
    found = {}
    for count in (1, MANY):
        with fleet.up(count, engine="docker") as bed:
            bed.case("moments", TASK, shell="/bin/bash")
            options = ("--container", "--image", IMAGE, "--engine", "docker")
            bed.run("moments", *options)
            whole, plain = [], []
            for index in range(ROUNDS):
                turns = (lambda: whole.append(added(bed, options)), lambda: plain.append(alone(bed)))
                for turn in turns if index % 2 == 0 else reversed(turns):
                    turn()
                    time.sleep(0.3)
        found[count] = (statistics.median(whole), statistics.median(plain), whole, plain)
    mine, theirs, whole, plain = found[1]
    yield Row(
        "container there and gone again, 1 node / docker run --rm … true",
        f"{mine * 1e3:.0f} ms", f"{theirs * 1e3:.0f} ms", ratio=mine / theirs, value=mine / theirs,
        target=ONE_TARGET, at_most=True, details={"added_s": whole, "docker_run_s": plain},
    )
    many, their_many, whole, plain = found[MANY]
    yield Row(
        f"the same on {MANY} nodes / on 1 node", f"{many * 1e3:.0f} ms", f"{mine * 1e3:.0f} ms",
        ratio=many / mine, value=many / mine, target=MANY_TARGET, at_most=True,
        details={"added_s": whole},
        note="the nodes share the processors of this machine",
    )
    yield Row(
        f"  … / docker run --rm … true on {MANY} nodes at the same time",
        f"{many * 1e3:.0f} ms", f"{their_many * 1e3:.0f} ms", ratio=many / their_many,
        details={"docker_run_s": plain},
    )


def added(bed, options):
    """Seconds from an image that is there to a running task, and from its end to no container."""
    _, folder = bed.run("moments", *options)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]

    def last(step, kind):
        moments = [
            event["at"] for event in events
            if kind in event["what"] and event["what"][kind]["step"] == step
        ]
        return max(moments) / 1e9

    there = last("start_container", "step_started")
    gone = last("stop_container", "step_ended")
    result = json.loads((folder / "run.json").read_text())["results"][0]
    moments = {
        metric: [one["value"] for _, one in result["measurements"] if one["metric"] == metric]
        for metric in ("began", "ended")
    }
    return max(moments["began"]) - there + gone - max(moments["ended"])


def alone(bed):
    """Seconds that the engine's own command takes, on all nodes at the same time."""
    script = "began=$EPOCHREALTIME; \"$@\" >&2 || exit; echo \"$EPOCHREALTIME $began\""
    running = [
        subprocess.Popen(
            [fleet.TESTBED, "exec", bed.folder / "bed", name, "bash", "-c", script, "bash", *PLAIN],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in bed.names
    ]
    spans = []
    for process in running:
        output, errors = process.communicate()
        if process.returncode != 0:
            raise ours.Failed(f"docker run: {errors[-300:]}")
        ended, began = map(float, output.split())
        spans.append((began, ended))
    return max(ended for _, ended in spans) - min(began for began, _ in spans)
