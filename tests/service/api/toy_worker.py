"""A worker that does steps as the names of submissions say: ``toy_worker.py FOLDER DESCRIPTOR``.

To plan ``slow-…`` takes a moment, to plan ``hang-…`` takes for ever the first time, ``deaf-…``
does so too, ``kill-…`` ends the process, and ``held-…`` does so as well the first time and leaves
another behind that holds the line. What is in ``todo`` is done until it stands in ``done``, each
submission in a thread of its own, as an engine does. Every step leaves a line in ``told``.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from auditor.domain.json import read_json
from auditor.service.jobs.job_steps import StepFailure, StepRunner, attempt_step
from auditor.service.server.worker_main import ServiceLine
from auditor.service.server.worker_process import WorkerOrder

FOLDER, LINE = Path(sys.argv[1]), int(sys.argv[2])


def lines(name: str) -> list[str]:
    place = FOLDER / name
    return place.read_text().splitlines() if place.exists() else []


def write(name: str, line: str) -> None:
    with (FOLDER / name).open("a") as file:
        file.write(f"{line}\n")


def plan(submission: str) -> None:
    kind = submission.partition("-")[0]
    first = submission not in lines("told")
    write("told", submission)
    if kind == "slow":
        time.sleep(0.5)
    if kind == "held" and first:
        os.set_inheritable(LINE, True)  # noqa: FBT003 -- of the system
        subprocess.Popen(["sleep", "120"], pass_fds=(LINE,))
    if kind == "kill" or (kind == "held" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if kind in {"hang", "deaf"} and first:
        time.sleep(600)


with socket.socket(fileno=LINE) as opened:
    line = ServiceLine(opened)
    order = read_json(WorkerOrder, next(line.messages).value, "order")
    threading.Thread(target=line.attend, daemon=True).start()
    steps = StepRunner(suspects=order.suspects, note=line.note_step)

    def carry_out(submission: str) -> None:
        failed = attempt_step(steps.run, plan, submission)
        said = f" {failed.problem}" if isinstance(failed, StepFailure) else ""
        write("done", f"{submission}{said}")

    line.send({"working": True})
    begun: set[str] = set()
    while not line.stop.wait(0.02):
        over = {it.partition(" ")[0] for it in lines("done")}
        for name in lines("todo"):
            if name not in over | begun:
                begun.add(name)
                threading.Thread(target=carry_out, args=(name,), daemon=True).start()
    if "deaf-0" in begun:
        time.sleep(600)
os._exit(0)
