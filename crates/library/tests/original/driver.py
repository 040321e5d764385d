"""Asks the original launchers for the commands that they would run in the containers of all hosts.

Usage: driver.py TREE < JOB, a JSON object. The launcher of the suite runs as it is, with a cluster in which every
command succeeds and no task is ever running. What it wanted to run goes to standard output: a list of objects with
case, host, what (`start` or `prepare`) and chain, the text that the container's shell would have been given.
"""
import contextlib
import io
import json
import os
import re
import sys

TREE = os.path.abspath(sys.argv[1])
JOB = json.load(sys.stdin)
SUITE = JOB["suite"]
DEPLOYED = os.path.join(TREE, SUITE)
COMMANDS = []
CURRENT = {"case": None}

LAUNCHER = os.path.join(DEPLOYED, "run_benchmarks") if SUITE == "training" else DEPLOYED
os.chdir(DEPLOYED)
sys.path.insert(0, LAUNCHER)


def config():
    keys = dict(JOB["keys"])
    keys["FLAGPERF_PATH"] = DEPLOYED
    keys["CASES"] = JOB["cases"]
    return keys


if SUITE != "training":
    with open("configs/host.yaml", "w") as file:
        json.dump(config(), file)

import run  # noqa: E402

Manager = type(run.CLUSTER_MGR)


def remote(_self, command, host, _timeout=10):
    found = re.search(r'container_manager\.py -o runcmdin .*? -r "(.*)"$', command, re.DOTALL)
    if found:
        what = "prepare" if "prepare_in_container.py" in command else "start"
        named = re.search(r"--case_name (\S+)", found.group(1))
        case = named.group(1) if named else CURRENT["case"]
        COMMANDS.append({"case": case, "host": host, "what": what, "chain": found.group(1)})
    return (1 if "-o pidrunning" in command else 0), ("", None)


def copied(_self, *_arguments, **_options):
    return 0, ("", None)


Manager._run_command_ssh_remote = remote
Manager._scp_file_to_remote_host = copied
Manager._scp_dir_from_remote_host = copied


def noting(read):
    def noted(case, *rest):
        CURRENT["case"] = case
        return read(case, *rest)

    return noted


with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    try:
        if SUITE == "training":
            keys = config()
            for name in ("HOSTS", "HOSTS_PORTS", "MASTER_PORT", "SSH_PORT"):
                setattr(run.cc, name, keys[name])
            for name, value in keys.items():
                setattr(run.tc, name, value)
            run.tc.FLAGPERF_LOG_PATH = os.path.join(DEPLOYED, keys["FLAGPERF_LOG_PATH"])
            run.get_config_from_case = noting(run.get_config_from_case)
            run.main()
        elif SUITE == "inference":
            run.config = run.DefaultMunch.fromDict(config())
            run.get_config_from_case = noting(run.get_config_from_case)
            run.compilation_result = lambda *_arguments: None
            run.main(run.config)
        else:
            run.main()
    except (SystemExit, Exception):
        # It ends with a summary of logs, and there are none.
        pass

json.dump(COMMANDS, sys.stdout)
