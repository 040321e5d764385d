"""The table that scripts/bench prints, and the same as JSON."""

import dataclasses
import statistics


@dataclasses.dataclass
class Row:
    """One figure. `at_most` tells which way `target` is meant; no target, no verdict."""

    figure: str
    ours: str
    rival: str = ""
    ratio: float | None = None
    pairwise: float | None = None
    target: float | None = None
    value: float | None = None  # what is held against the target
    at_most: bool = False
    unit: str = ""  # of the target; a ratio has none
    note: str = ""  # stands in the place of the verdict where there is none
    failed: bool = False  # our own figure could not be had
    details: dict = dataclasses.field(default_factory=dict)

    @property
    def ok(self):
        if self.failed:
            return False
        if self.target is None or self.value is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


def ratio_row(figure, ours, rival, unit, target=None, details=None):
    """A row of two series of figures taken in turns: ours[i] just before or after rival[i]."""
    mine, theirs = statistics.median(ours), statistics.median(rival)
    ratio = mine / theirs
    return Row(
        figure,
        f"{mine:.1f} {unit}",
        f"{theirs:.1f} {unit}",
        ratio=ratio,
        pairwise=statistics.median(a / b for a, b in zip(ours, rival)),
        target=target,
        value=ratio,
        details={"ours": ours, "rival": rival, "unit": unit, **(details or {})},
    )


def show(rows):
    head = ("figure", "ours", "rival", "ratio", "in pairs", "target", "ok?")
    cells = [head, *(line(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for index, row in enumerate(cells):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths))
        print(text.rstrip())
        if index == 0:
            print("  ".join("-" * width for width in widths))


def line(row):
    if row.target is None:
        target = ""
    else:
        target = f"{'<=' if row.at_most else '>='} {row.target:g}{' ' + row.unit if row.unit else ''}"
    verdict = {None: row.note, True: "yes", False: "NO"}[row.ok]
    ratios = ["" if ratio is None else f"{ratio:.3f}" for ratio in (row.ratio, row.pairwise)]
    return (row.figure, row.ours, row.rival, *ratios, target, verdict)
