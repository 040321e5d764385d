"""Nodes to measure with: a test bed on loopback addresses, and runs and ssh clients on it."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

import ours

TESTBED = pathlib.Path(__file__).resolve().parent.parent / "testbed"
CANNOT = 77  # status of scripts/testbed where this machine lacks the rights or a tool


class Fleet:
    """So many nodes that are up. Their file systems are this machine's, `/tmp` and homes apart."""

    def __init__(self, folder, count):
        self.folder = folder  # for what is measured, beside the test bed
        self.config = folder / "bed" / "ssh_config"
        self.names = (folder / "bed" / "nodes").read_text().split()
        assert len(self.names) == count
        self.cases = folder / "cases"
        self.runs = 0
        self.errors = folder / "errors"

    def case(self, name, script, shell="/bin/sh"):
        ours.write_case(self.cases, name, script, shell)

    def command(self, case, *options):
        return [str(ours.PROGRAM), "run", "--cases", str(self.cases), case,
                "--nodes", ",".join(self.names), "--ssh-config", str(self.config),
                "--results", str(self.results), "--quiet", *options]

    def run(self, case, *options):
        """Wall time of a run in seconds, and its folder, which stays until the nodes end.

        Removing it before the next run would slow that down: ext4 looks for inodes that were not in
        use just before.
        """
        process, begin = self.start(case, *options)
        process.wait()
        took = time.perf_counter() - begin
        return took, self.record(process.returncode)

    def start(self, case, *options):
        self.runs += 1
        self.results = self.folder / f"results{self.runs}"
        with self.errors.open("wb") as errors:
            begin = time.perf_counter()
            return subprocess.Popen(
                self.command(case, *options), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors, cwd=self.folder,
            ), begin

    def record(self, status):
        """Folder of the run just made, which must have passed on all nodes."""
        words = self.errors.read_text(errors="replace").strip()[-500:]
        records = list(self.results.glob("*/run.json"))
        if status != 0 or len(records) != 1:
            raise ours.Failed(f"{len(self.names)} nodes: status {status}; {words}")
        result = json.loads(records[0].read_text())["results"][0]
        if result["outcome"] != "passed":
            raise ours.Failed(f"{len(self.names)} nodes: {json.dumps(result['outcome'])}")
        measured = {node for node, _ in result["measurements"]}
        if len(measured) != len(self.names):
            raise ours.Failed(f"{len(measured)} of {len(self.names)} nodes measured something")
        return records[0].parent

    def ssh(self, *words, output=subprocess.DEVNULL, options=()):
        """Wall time of a command on all nodes at the same time, one ssh client for each."""
        begin = time.perf_counter()
        clients = [
            subprocess.Popen(
                ["ssh", "-F", self.config, *options, name, *words],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE,
            )
            for name in self.names
        ]
        failed = [client.stderr.read() for client in clients if client.wait() != 0]
        took = time.perf_counter() - begin
        for client in clients:
            client.stderr.close()
        if failed:
            raise ours.Failed(f"{len(failed)} of {len(self.names)} ssh: {failed[0][-300:]}")
        return took


@contextlib.contextmanager
def up(count, engine="none"):
    # A path of a socket has at most 107 bytes, so the test bed gets one near the root.
    with tempfile.TemporaryDirectory(prefix="flagperf-bench-") as folder:
        folder = pathlib.Path(folder)
        begin = subprocess.Popen(
            [TESTBED, "up", folder / "bed", "--loopback", str(count), "--engine", engine,
             "--owner", str(os.getpid())],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        words = begin.communicate()[1].decode(errors="replace").strip()
        if begin.returncode == CANNOT:
            raise ours.Unsupported(f"a test bed: {words}")
        if begin.returncode != 0:
            raise ours.Failed(f"no test bed of {count} nodes: {words[-500:]}")
        try:
            yield Fleet(folder, count)
        finally:
            subprocess.run(
                [TESTBED, "down", folder / "bed", "--remove"],
                stdin=subprocess.DEVNULL, capture_output=True, check=False,
            )
