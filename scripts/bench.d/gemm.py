"""Matrix products against OpenBLAS, MKL and oneDNN."""

import json
import os
import subprocess
import sys
import time

import ours
from table import Row, ratio_row

RIVAL = os.path.join(os.path.dirname(__file__), "rival.py")
PYTHON = os.environ["BENCH_PYTHON"]

# Format: (libraries to compare with, the least ratio to the better of them).
FORMATS = {
    "FP64": (("numpy", "torch"), 1.0),
    "FP32": (("numpy", "torch"), 1.0),
    "BF16": (("torch",), 0.95),
    "INT8": (("torch",), 0.95),
}


class Rival:
    """A rival in a process of its own, which waits between the rounds."""

    def __init__(self, library, form, size, cpus):
        self.process = subprocess.Popen(
            [PYTHON, RIVAL, library, form, str(size), cpus],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        self.name = self.answer()["name"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise ours.Failed(self.process.stderr.read().strip()[-500:])
        return json.loads(line)

    def measure(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self.answer()["median"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run(machine, options):
    threads = sorted({1, len(machine.cpus)})
    for form in options.formats:
        for count in threads:
            try:
                yield from compare(form, machine.cpus[:count], options)
            except (ours.Failed, OSError) as failure:
                print(f"  {form}, {count} threads: {failure}", file=sys.stderr)
                yield Row(f"{form} product, {count} threads", "failed", failed=True)


def compare(form, cpus, options):
    libraries, target = FORMATS[form]
    figure = f"{form} product, n={options.size}, {len(cpus)} thread{'s' if len(cpus) > 1 else ''}"
    cpu_list = ",".join(map(str, cpus))
    try:
        our_rate(form, cpu_list, options)
    except ours.Unsupported as missing:
        yield Row(figure, "-", note=f"not supported by this processor: {missing}")
        return
    except ours.Failed as failure:
        # The rivals are still worth knowing; the missing figure shows as a failure.
        print(f"  {figure}: {failure}", file=sys.stderr)
        yield from rivals_alone(figure, libraries, form, cpu_list, options)
        return
    rivals = [Rival(library, form, options.size, cpu_list) for library in libraries]
    mine, shares, theirs = [], [], [[] for _ in rivals]

    def measure_mine():
        rate, share = our_rate(form, cpu_list, options)
        mine.append(rate)
        shares.append(share)

    turns = [measure_mine]
    for rival, rates in zip(rivals, theirs):
        turns.append(lambda rival=rival, rates=rates: rates.append(rival.measure(options.seconds)))
    for index in range(options.rounds):
        # Back and forth, so that a machine that gets slower or faster favours nobody.
        for turn in turns if index % 2 == 0 else reversed(turns):
            turn()
            # Threads of a library spin for a while after their last work.
            time.sleep(0.3)
    for rival in rivals:
        rival.close()
    rows = [
        ratio_row(
            f"{figure} / {rival.name}", mine, rates, unit(form),
            details={"share_of_peak_percent": shares},
        )
        for rival, rates in zip(rivals, theirs)
    ]
    # The target is to match the better rival.
    better = min(rows, key=lambda row: row.ratio)
    better.target = target
    yield from rows
    if all(share is not None for share in shares):
        middle = sorted(shares)[len(shares) // 2]
        yield Row(f"{figure}: share of the peak of the same run", f"{middle:.1f} %")


def rivals_alone(figure, libraries, form, cpu_list, options):
    for library in libraries:
        rival = Rival(library, form, options.size, cpu_list)
        rates = [rival.measure(options.seconds) for _ in range(options.rounds)]
        rival.close()
        middle = sorted(rates)[len(rates) // 2]
        yield Row(
            f"{figure} / {rival.name}", "failed", f"{middle:.1f} {unit(form)}",
            failed=True, details={"rival": rates, "unit": unit(form)},
        )


def unit(form):
    return "GOP/s" if form == "INT8" else "GFLOP/s"


def our_rate(form, cpu_list, options):
    """(10^9 operations a second, per cent of the peak or None) of our own product."""
    case = f"computation-{form}"
    params = [f"{name}={options.size}" for name in "mnk"]
    params.append(f"threads={cpu_list.count(',') + 1}")
    flags = [word for param in params for word in ("--param", param)]
    result = ours.run_case(case, *flags, "--duration", f"{options.seconds:g}", cpus=cpu_list)
    found = ours.values(result)
    rate, _unit = found[case]
    share = found.get(f"{case}-share")
    return rate * 1000, share[0] if share else None
