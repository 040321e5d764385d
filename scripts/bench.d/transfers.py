"""What comes from a node, against the plain tools: a long log, and many small files."""

import base64
import contextlib
import os
import random
import shutil
import statistics

import fleet
import harness
import ours
from nodes import NOTHING, settle, unless_unsupported
from table import Row, ratio_row

LOG = 1 << 30  # bytes
# The rest repeats these, at a distance that no compressor of either side looks back over.
PATTERN = 64 << 20
LOG_TARGET, LOG_ROUNDS = 0.9, 5
# The run puts this cipher first where the user has said nothing about ciphers.
SAME_CIPHER = ["-c", "aes128-gcm@openssh.com"]

FILES, SIZE = 10_000, 1024
FILES_TARGET, FILES_ROUNDS = 10, 3


@unless_unsupported
def logs(_machine, _options):
    for label, pattern, target in (
        ("text", log_text, LOG_TARGET), ("random bytes in base64", noise, None),
    ):
        # The nodes see the file systems of this machine, so one file serves both.
        with fleet.up(1) as bed, source(pattern()) as log:
            bed.case("nothing", NOTHING)
            bed.case("talkative", f"cat '{log}'; {NOTHING}")
            bed.run("nothing")
            mine, plain, quick = [], [], []

            def whole():
                took, folder = bed.run("talkative")
                kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                arrived = max(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                if arrived < LOG:
                    raise ours.Failed(f"of {LOG} bytes of log at most {arrived} of {kept} arrived")
                mine.append(LOG / took / 2**20)
                shutil.rmtree(bed.results)

            def cat(figures=plain, options=()):
                copy = bed.folder / "copy"
                with copy.open("wb") as output:
                    took = bed.ssh("cat", str(log), output=output, options=options)
                figures.append(LOG / took / 2**20)
                copy.unlink()

            def cat_quickly():
                cat(quick, SAME_CIPHER)

            for index in range(LOG_ROUNDS):
                turns = (whole, cat, cat_quickly)
                for turn in turns if index % 2 == 0 else reversed(turns):
                    turn()
                    settle()
            yield ratio_row(
                f"1 GiB of log, {label}, whole run / ssh node cat", mine, plain, "MiB/s", target,
            )
            yield ratio_row("  … / ssh node cat with the cipher of the run", mine, quick, "MiB/s", None)


@contextlib.contextmanager
def source(pattern):
    path = ours.FOLDER / "log"
    try:
        with path.open("wb") as log:
            for _ in range(LOG // len(pattern)):
                log.write(pattern)
        yield path
    finally:
        path.unlink(missing_ok=True)


def log_text():
    """What training prints: lines of a few kinds with numbers that change."""
    chance = random.Random(1)
    lines, length, step, clock = [], 0, 0, 1_700_000_000.0
    while length < PATTERN:
        step += 1
        clock += chance.random()
        rank = chance.randrange(8)
        lines.append(
            f"[{clock:.3f}] [rank{rank}] step {step} loss {8 * 0.99999**step + chance.random():.6f} "
            f"lr {3e-4 * chance.random():.3e} grad_norm {chance.lognormvariate(0, 1):.4f} "
            f"tokens/s {chance.gauss(12000, 150):.1f} mem {chance.randrange(60000, 80000)} MiB"
        )
        if step % 20 == 0:
            lines.append(
                f"[{clock:.3f}] INFO dataloader.py:{chance.randrange(400)} worker {rank} read shard-"
                f"{chance.randrange(10**6):06}.tar ({chance.getrandbits(64):016x})"
            )
        if step % 500 == 0:
            lines.append(f"[{clock:.3f}] WARNING NCCL retry {rank} -> {chance.randrange(64)}: timeout")
        length = length + len(lines[-1]) + 1
    text = ("\n".join(lines) + "\n").encode()
    return text[: PATTERN - 1] + b"\n"


def noise():
    """Lines that no compressor makes much smaller than three quarters."""
    raw = random.Random(2).randbytes(PATTERN // 77 * 57)
    text = base64.encodebytes(raw)
    return text + b"=" * (PATTERN - len(text) - 1) + b"\n"


@unless_unsupported
def files(_machine, _options):
    with fleet.up(1) as bed, tree() as folder:
        bed.case("nothing", NOTHING)
        # Both write the files; only one leaves them where they are collected.
        bed.case("leaves", f"cp -r '{folder}' \"$FLAGPERF_OUT/tree\"; {NOTHING}")
        bed.case("keeps", f"cp -r '{folder}' \"$(mktemp -d)/tree\"; {NOTHING}")
        bed.run("nothing")
        leaves, keeps, plain = [], [], []

        def with_files():
            took, run = bed.run("leaves")
            arrived = sum(len(names) for path, _, names in os.walk(run) if "/tree" in path)
            if arrived != FILES:
                raise ours.Failed(f"{arrived} of {FILES} files arrived")
            leaves.append(took)

        def scp():
            copy = bed.folder / f"copy{len(plain)}"
            command = ["scp", "-q", "-r", "-F", bed.config, f"{bed.names[0]}:{folder}", copy]
            plain.append(harness.wall(command))

        turns = (with_files, lambda: keeps.append(bed.run("keeps")[0]), scp)
        for index in range(FILES_ROUNDS):
            for turn in turns if index % 2 == 0 else reversed(turns):
                turn()
                settle()
        mine, theirs = (
            statistics.median(leaves) - statistics.median(keeps), statistics.median(plain),
        )
        yield Row(
            f"{FILES:,} files of 1 KiB, scp -r / what a run takes longer for them",
            f"{mine:.2f} s", f"{theirs:.2f} s", ratio=theirs / mine,
            target=FILES_TARGET, value=theirs / mine,
            details={"leaves_s": leaves, "keeps_s": keeps, "scp_s": plain},
        )


@contextlib.contextmanager
def tree():
    """A folder with the files, a hundred in each of its own."""
    top = ours.FOLDER / "tree"
    shutil.rmtree(top, ignore_errors=True)
    chance = random.Random(3)
    try:
        for index in range(FILES):
            path = top / f"{index // 100:03}" / f"{index:05}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{chance.randbytes(SIZE // 4).hex()}\n".ljust(SIZE, "."))
        yield top
    finally:
        shutil.rmtree(top, ignore_errors=True)
