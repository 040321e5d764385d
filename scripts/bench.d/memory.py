"""Memory bandwidth against STREAM in C, with ordinary and with non-temporal stores."""

import json
import os
import pathlib
import platform
import subprocess
import sys

import ours
from table import Row, ratio_row

SOURCE = pathlib.Path(__file__).with_name("stream.c")
CASE = "main_memory-bandwidth"
OURS = {
    "copy": CASE, "scale": f"{CASE}-scale", "add": f"{CASE}-add", "triad": f"{CASE}-triad",
}
JUDGED = ("copy", "triad")


def run(machine, options):
    # STREAM's rule: each array at least four times the last-level cache.
    size = max(256 << 20, 4 * machine.last_level_cache)
    for count in sorted({1, len(machine.cpus)}):
        yield from compare(machine.cpus[:count], size, build(size), options)


def build(size):
    """The rivals' programs by name."""
    flags = {"STREAM (gcc -O3, OpenMP)": []}
    if platform.machine() == "x86_64":
        # Arrays of more than 2 GiB in total need addresses of full length.
        flags = {name: ["-mcmodel=medium"] for name in flags}
        flags["STREAM, non-temporal stores"] = ["-mcmodel=medium", "-DNT"]
    programs = {}
    for index, (name, more) in enumerate(flags.items()):
        program = ours.FOLDER / f"stream{index}"
        command = ["gcc", "-O3", "-march=native", "-fopenmp", f"-DN={size // 8}L", *more]
        subprocess.run([*command, "-o", program, SOURCE, "-lm"], check=True)
        programs[name] = program
    return programs


def stream(program, cpus, seconds):
    environment = dict(os.environ, OMP_NUM_THREADS=str(len(cpus)), OMP_PROC_BIND="true")
    cpu_list = ",".join(map(str, cpus))
    command = ["taskset", "--cpu-list", cpu_list, program, str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return {kernel: rates["median"] for kernel, rates in json.loads(done.stdout).items()
            if kernel in OURS}


def our_rates(cpus, size, seconds):
    params = ["--param", f"bytes={size}", "--param", f"threads={len(cpus)}"]
    cpu_list = ",".join(map(str, cpus))
    found = ours.values(ours.run_case(CASE, *params, "--duration", f"{seconds:g}", cpus=cpu_list))
    return {kernel: found[metric][0] for kernel, metric in OURS.items()}


def compare(cpus, size, programs, options):
    figure = f"memory, {len(cpus)} thread{'s' if len(cpus) > 1 else ''}"
    turns = {name: lambda program=program: stream(program, cpus, options.seconds)
             for name, program in programs.items()}
    turns["ours"] = lambda: our_rates(cpus, size, options.seconds)
    taken = {name: [] for name in turns}
    try:
        turns["ours"]()
    except ours.Failed as failure:
        print(f"  {figure}: {failure}", file=sys.stderr)
        del turns["ours"]
    for index in range(options.rounds):
        order = list(turns.items())
        for name, turn in order if index % 2 == 0 else reversed(order):
            taken[name].append(turn())
    mine = taken.pop("ours")
    for kernel in OURS:
        for name, rounds in taken.items():
            rates = [rates[kernel] for rates in rounds]
            label = f"{figure}: {kernel} / {name}"
            if not mine:
                middle = sorted(rates)[len(rates) // 2]
                yield Row(label, "failed", f"{middle:.1f} GB/s", failed=True,
                          details={"rival": rates, "unit": "GB/s"})
                continue
            target = 1.0 if kernel in JUDGED else None
            yield ratio_row(label, [rates[kernel] for rates in mine], rates, "GB/s", target)
