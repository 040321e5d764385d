"""What the harness itself costs: around a case, beside a case, and to start."""

import statistics
import subprocess
import tempfile
import time

import ours
from table import Row

OVERHEAD_RUNS = 15
HELP_RUNS = 51
MONITOR_SECONDS = 30


def wall(command):
    """Wall time of a command, in seconds. It must succeed."""
    begin = time.perf_counter()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )
    took = time.perf_counter() - begin
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()[-500:]
        raise ours.Failed(f"{' '.join(map(str, command))}: status {done.returncode}; {words}")
    return took


def overhead(_machine, _options):
    script = "echo '[FlagPerf Result]Rank 0 nothing=1.0'"
    with tempfile.TemporaryDirectory(dir=ours.FOLDER) as folder:
        ours.write_case(f"{folder}/cases", "nothing", script)
        command = [ours.PROGRAM, "run", "--cases", f"{folder}/cases", "nothing",
                   "--results", f"{folder}/results", "--quiet"]
        whole, alone = [], []
        wall(command)  # the first start reads the program from the disk
        for _ in range(OVERHEAD_RUNS):
            alone.append(wall(["/bin/sh", "-c", script]))
            whole.append(wall(command))
    added = (statistics.median(whole) - statistics.median(alone)) * 1000
    yield Row(
        "added to a case that does nothing", f"{added:.1f} ms",
        target=150, value=added, at_most=True, unit="ms",
        details={"whole_s": whole, "alone_s": alone},
    )


def monitor(_machine, _options):
    script = f"sleep {MONITOR_SECONDS}; echo '[FlagPerf Result]Rank 0 slept={MONITOR_SECONDS}'"
    with tempfile.TemporaryDirectory(dir=ours.FOLDER) as folder:
        ours.write_case(f"{folder}/cases", "asleep", script)
        for label, options, target in (
            ("at its default rate", [], 0.1), ("at 10 Hz", ["--interval", "100ms"], 0.5),
        ):
            result = ours.run_case("asleep", "--cases", f"{folder}/cases", *options)
            costs = [cost for _node, cost in result["monitor_cost"]]
            if len(costs) != 1 or costs[0]["wall_s"] < MONITOR_SECONDS - 1:
                raise ours.Failed(f"no monitor ran beside the whole case: {costs}")
            cost = costs[0]
            # The agent's time includes the sampler's, and what both need to start and end.
            for part, seconds in (
                ("monitor", cost["sampler_cpu_s"]), ("whole agent", cost["agent_cpu_s"]),
            ):
                share = 100 * seconds / cost["wall_s"]
                yield Row(
                    f"{part} {label}, share of one core", f"{share:.3f} %",
                    target=target, value=share, at_most=True, unit="%", details=cost,
                )


def help_text(_machine, _options):
    command = [ours.PROGRAM, "--help"]
    wall(command)
    times = [wall(command) for _ in range(HELP_RUNS)]
    middle = statistics.median(times) * 1000
    yield Row(
        "flagperf --help", f"{middle:.2f} ms",
        target=10, value=middle, at_most=True, unit="ms", details={"wall_s": times},
    )
