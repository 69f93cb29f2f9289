"""A process that does steps as the names of submissions say: ``toy_hands.py FOLDER DESCRIPTOR``.

To plan ``slow-…`` takes a moment, to plan ``hang-…`` takes for ever the first time, ``deaf-…``
too and lets nothing be closed, ``kill-…`` ends the process, and ``held-…`` does so as well the
first time and leaves another behind that holds the line. Every step leaves a line in ``told``.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from auditor.domain.json import Json
from auditor.service.server.worker_process import RpcChannel

FOLDER, LINE = Path(sys.argv[1]), int(sys.argv[2])


def told() -> list[str]:
    place = FOLDER / "told"
    return place.read_text().split() if place.exists() else []


def plan(submission: str) -> Json:
    kind = submission.partition("-")[0]
    first = submission not in told()
    with (FOLDER / "told").open("a") as lines:
        lines.write(f"{submission}\n")
    if kind == "slow":
        time.sleep(0.5)
    if kind == "held" and first:
        os.set_inheritable(LINE, True)  # noqa: FBT003 -- of the system
        subprocess.Popen(["sleep", "120"], pass_fds=(LINE,))
    if kind == "kill" or (kind == "held" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if kind in {"hang", "deaf"} and first:
        time.sleep(600)
    return []


def leave(submission: str) -> Json:
    return plan(f"left:{submission}")


def close() -> Json:
    if "deaf-0" in told():
        time.sleep(600)
    return None


with socket.socket(fileno=LINE) as line:
    RpcChannel(line, {"plan": plan, "leave": leave, "close": close}).attend()
os._exit(0)
