"""Runs on many nodes: what the harness adds, and what its controller needs."""

import os
import statistics
import time

import fleet
import harness
import ours
from table import Row

COUNTS = (1, 2, 4, 8, 64, 256)
JUDGED, TARGET = 64, 1.5

# Seconds from start to end with 2 s of work, by number of nodes.
SOURCE = "measured apart"
ORIGINAL = {1: 67.6, 2: 73.9, 4: 86.8, 8: 112.9}
SUPERBENCH = {1: 15.3, 2: 15.8, 4: 25.1, 8: 45.9}

MEASURED = (64, 256)  # nodes, for the controller
PROJECTED = (1_000, 10_000)
SECONDS = 10.125  # an odd number, by which the processes of the case are known
TICK = os.sysconf("SC_CLK_TCK")

NOTHING = "echo '[FlagPerf Result]Rank 0 nothing=1.0'"


def unless_unsupported(step):
    """Of a step: a machine on which no test bed can be had gets a row that says so."""
    def measure(machine, options):
        try:
            yield from step(machine, options)
        except ours.Unsupported as missing:
            yield Row(step.__name__, "-", note=f"not measured: {missing}")
    return measure


@unless_unsupported
def nodes(_machine, _options):
    for count in COUNTS:
        with fleet.up(count) as bed:
            bed.case("nothing", NOTHING)
            bed.run("nothing")  # places the program
            bed.ssh("true")
            alone, whole, plain = [], [], []
            turns = [lambda: whole.append(bed.run("nothing")[0]), lambda: plain.append(bed.ssh("true"))]
            for index in range(2 if count > JUDGED else 5):
                alone.append(harness.wall(["/bin/sh", "-c", NOTHING]))
                for turn in turns if index % 2 == 0 else reversed(turns):
                    turn()
                    # What the nodes still do to end their sessions shall not burden the next.
                    settle(count)
        case = statistics.median(alone)
        added = [took - case for took in whole]
        mine, theirs = statistics.median(added), statistics.median(plain)
        judged = count == JUDGED
        yield Row(
            f"added to a case that does nothing, {count} node{'s' if count > 1 else ''}"
            " / ssh node true, in parallel",
            f"{mine:.2f} s", f"{theirs:.2f} s",
            ratio=mine / theirs, value=mine / theirs,
            pairwise=statistics.median(a / b for a, b in zip(added, plain)),
            target=TARGET if judged else None, at_most=True,
            details={"whole_s": whole, "alone_s": alone, "ssh_s": plain},
        )
        for name, known in (("FlagPerf, the original", ORIGINAL), ("SuperBench", SUPERBENCH)):
            if count in known:
                took = known[count] - 2
                yield Row(
                    f"  … / {name}, {SOURCE}: {known[count]} s with 2 s of work",
                    f"{mine:.2f} s", f"{took:.1f} s", ratio=mine / took,
                    details={"source": SOURCE, "whole_s": known[count], "work_s": 2},
                )


def settle(count=1):
    """Lets the nodes end the sessions of the turn before."""
    time.sleep(0.3 + count / 64)


@unless_unsupported
def controller(_machine, _options):
    measured = {}
    for count in MEASURED:
        with fleet.up(count) as bed:
            bed.case("nothing", NOTHING)
            bed.case("asleep", f"sleep {SECONDS}; {NOTHING}")
            bed.run("nothing")
            measured[count] = watch(bed)
        found = measured[count]
        for name, (unit, scale) in TEXTS.items():
            total = found[name] / scale
            yield Row(
                f"controller, {count} nodes: {name}", f"{total:.2f} {unit}",
                details=found if name == "peak memory" else {},
            )
    small, large = MEASURED
    for name, (unit, scale) in TEXTS.items():
        slope = (measured[large][name] - measured[small][name]) / (large - small) / scale
        rest = measured[small][name] / scale - slope * small
        projected = ", ".join(
            f"{rest + slope * count:,.1f} {unit} at {count:,}" for count in PROJECTED
        )
        yield Row(
            f"controller, projected: {name}", projected,
            note=f"{rest:.3g} + {slope:.3g} a node",
            details={"fixed": rest, "per_node": slope, "unit": unit},
        )


# What is measured: (unit in which it is shown, so many of the unit it is measured in).
TEXTS = {
    "peak memory": ("MiB", 1024),
    "memory of its ssh clients": ("MiB", 1024),
    "processor, whole run": ("s", 1),
    "processor of its ssh clients, whole run": ("s", 1),
    "cores in use while the case runs": ("cores", 1),
    "cores in use by its ssh clients": ("cores", 1),
}


def watch(bed):
    """What the controller of a run of `asleep` needs."""
    process, begin = bed.start("asleep", "--interval", "1s")
    peak, mine, clients, points, next_look = 0, 0.0, 0, [], 0.0
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        peak = max(peak, kibibytes(process.pid, "status", "VmHWM"))
        mine = max(mine, processor(process.pid))
        now = time.monotonic()
        if not points and now > next_look:
            next_look = now + 0.5
            if asleep() == len(bed.names):
                members = children(process.pid)
                clients = sum(kibibytes(pid, "smaps_rollup", "Pss") for pid in members)
                points.append(point(process.pid, members))
        elif len(points) == 1 and now > points[0][0] + 0.6 * SECONDS:
            points.append(point(process.pid, members))
        time.sleep(0.01)
    process.returncode = os.waitstatus_to_exitcode(status)
    bed.record(process.returncode)
    if len(points) < 2:
        raise ours.Failed("the case was not seen on all nodes for long enough")
    (first, mine1, theirs1), (last, mine2, theirs2) = points
    return {
        "peak memory": peak,
        "memory of its ssh clients": clients,
        "processor, whole run": mine,
        # The kernel adds up a process and the children that it waited for.
        "processor of its ssh clients, whole run": usage.ru_utime + usage.ru_stime - mine,
        "cores in use while the case runs": (mine2 - mine1) / (last - first),
        "cores in use by its ssh clients": (theirs2 - theirs1) / (last - first),
        "wall_s": time.perf_counter() - begin,
    }


def point(pid, members):
    return time.monotonic(), processor(pid), sum(map(processor, members))


def processes():
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            yield int(entry.name)


def asleep():
    """On how many nodes the case `asleep` is under way."""
    command = f"sleep\0{SECONDS}\0".encode()
    return sum(read(pid, "cmdline") == command for pid in processes())


def children(parent):
    return [pid for pid in processes() if fields(pid)[1:2] == [str(parent)]]


def read(pid, name):
    """A file of a process, empty if the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def fields(pid):
    """Of `stat`, from the state on, which is behind the name in brackets."""
    return read(pid, "stat").decode(errors="replace").rpartition(")")[2].split()


def processor(pid):
    """Seconds of processor time of a process so far."""
    return sum(map(int, fields(pid)[11:13])) / TICK


def kibibytes(pid, file, name):
    for line in read(pid, file).decode().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0
