"""The measuring part of scripts/bench, which see. Needs Python 3.11 and nothing beside it."""

import argparse
import atexit
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

import containers
import gemm
import harness
import memory
import nodes
import ours
import table
import transfers

STEPS = {
    "help": harness.help_text,
    "overhead": harness.overhead,
    "gemm": gemm.run,
    "memory": memory.run,
    "monitor": harness.monitor,
    "nodes": nodes.nodes,
    "controller": nodes.controller,
    "logs": transfers.logs,
    "files": transfers.files,
    "containers": containers.containers,
}


RESULTS = ours.FOLDER / "results.json"


@dataclasses.dataclass
class Machine:
    model: str
    kernel: str
    cpus: list  # those of one NUMA node that this process may use
    last_level_cache: int  # bytes
    load: float  # in the last minute, before anything was started


def machine():
    model = platform.machine()
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    allowed = os.sched_getaffinity(0)
    cpus = sorted(allowed)
    # Our cases run one rank a NUMA node and the rivals know no nodes, so one node is compared.
    for node in sorted(pathlib.Path("/sys/devices/system/node").glob("node[0-9]*/cpulist")):
        local = sorted(allowed & set(numbers(node.read_text())))
        if local:
            cpus = local
            break
    caches = [0]
    for size in pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        caches.append(int(size.read_text().strip().removesuffix("K")) << 10)
    return Machine(model, platform.release(), cpus, max(caches), os.getloadavg()[0])


def numbers(text):
    """The numbers of a list such as `0-3,8`."""
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Shows speed as ratios.")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"all, {', '.join(STEPS)}")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each in a comparison")
    parser.add_argument("--seconds", type=float, default=2.0, help="measurement in each turn")
    parser.add_argument("--size", type=int, default=3072, help="m, n and k of the products")
    parser.add_argument(
        "--formats", type=lambda text: text.split(","), default=list(gemm.FORMATS),
        help="formats of the products, separated by commas",
    )
    # For the shell script: which steps are meant, before anything is built for them.
    parser.add_argument("--resolve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds <= 0 or options.size < 1:
        parser.error("--rounds, --seconds and --size must be more than 0")
    for step in options.steps:
        if step not in (*STEPS, "all"):
            parser.error(f"no step `{step}`; there are: all, {', '.join(STEPS)}")
    for form in options.formats:
        if form not in gemm.FORMATS:
            parser.error(f"no format `{form}`; there are: {', '.join(gemm.FORMATS)}")
    if not options.steps or "all" in options.steps:
        options.steps = list(STEPS)
    return options


def main():
    options = arguments()
    if options.resolve:
        print(*options.steps)
        return 0
    here = machine()
    print(f"{here.model}, {len(here.cpus)} cores in use, Linux {here.kernel}, load {here.load:.2f}")
    if here.load > 0.5 * len(os.sched_getaffinity(0)):
        print("warning: this machine is busy; the figures below are not to be trusted")
    if os.geteuid() == 0:
        raise_priority()
    everything = []
    for step in options.steps:
        print(f"measuring: {step}", flush=True)
        rows = []
        try:
            # One by one, so that what was measured before a failure is kept.
            for row in STEPS[step](here, options):
                rows.append(row)
        except (ours.Failed, ours.Unsupported, OSError, subprocess.CalledProcessError) as failure:
            print(f"  {step}: {failure}", file=sys.stderr)
            rows.append(table.Row(step, "failed", failed=True))
        keep(step, here, options, rows)
        everything += rows
    print()
    table.show(everything)
    print(f"\n{RESULTS}")
    return 1 if any(row.ok is False for row in everything) else 0


def raise_priority():
    """For this process and all that it starts."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        # Where the kernel groups processes by session, the group's priority is what counts. The
        # group is that of the user's shell, so it gets its own priority back.
        group = pathlib.Path("/proc/self/autogroup")
        before = group.read_text().rpartition(" ")[2].strip()
        group.write_text("-20")
        atexit.register(group.write_text, before)
    except FileNotFoundError:
        pass  # a kernel without such groups
    except OSError as error:
        print(f"warning: other work may disturb the figures: {error}")


def keep(step, here, options, rows):
    """Writes a step's figures; those of the other steps stay as they are."""
    try:
        record = json.loads(RESULTS.read_text())
    except (FileNotFoundError, ValueError):
        record = {}
    record[step] = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": dataclasses.asdict(here),
        "load_after": os.getloadavg()[0],
        "options": vars(options),
        "figures": [{**dataclasses.asdict(row), "ok": row.ok} for row in rows],
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
