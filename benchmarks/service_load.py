"""How soon a service answers 200 readers while an audit runs, and how many audits it does an hour.

A real service with two workers: one smoke audit runs at any time (``--open`` says otherwise), while
200 readers, in a process of their own, each ask something once a second: lists, targets, an audit,
its events and its files. The wall figures are those of this machine as it is; the CPU times say
what an answer and an audit cost at rest, and what of the machine the readers themselves took.

    python benchmarks/service_load.py --seconds 60
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from figures import over
from figures import tell as put

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from soaking.fleets import Fleet  # noqa: E402 -- it lies beside the scripts
from soaking.orders import Orders, order_for  # noqa: E402 -- the same

EXAMPLE = ROOT / "examples" / "docstrings" / "audit.yaml"
READERS, WORKERS, CORES = 200, 2, 2
HOURLY, SOON = 120, 0.200
LISTS = ("/v1/audits", "/v1/audits?state=running", "/v1/targets")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """How long answers took (s), what the readers cost, and each process by its role (s of CPU)."""

    took: np.ndarray[Any, Any]
    wall: float
    readers: float
    spent: dict[str, float]
    audits: int


def cpu_of(fleet: Fleet, role: str) -> float:
    """Return the CPU time of a process and of its children that have ended (s)."""
    stat = Path(f"/proc/{fleet.running[role].pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(stat[at]) for at in (11, 12, 13, 14)) / TICK


def read(fleet: Fleet, done: str, seconds: float) -> tuple[np.ndarray[Any, Any], float]:
    """Let readers ask in another process; return the times of answers and its CPU time (s)."""
    one = f"/v1/audits/{done}"
    asked = {
        "port": fleet.port, "key": fleet.client_key(), "readers": READERS, "seconds": seconds,
        "paths": [one, f"{one}/events", f"{one}/files", *LISTS],
    }  # fmt: skip
    told = subprocess.run(  # noqa: S603 -- our own command
        [sys.executable, Path(__file__).with_name("service_readers.py")],
        input=json.dumps(asked), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(told.stdout)
    return np.array(found["took"]), float(found["cpu"])


@contextmanager
def kept_running(orders: Orders, count: int) -> Iterator[None]:
    """Keep so many audits open as long as the block lasts."""
    stop = threading.Event()

    def hand_in() -> None:
        while not stop.wait(0.5):
            orders.keep_open(count)

    orders.keep_open(count)
    thread = threading.Thread(target=hand_in, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def measured(fleet: Fleet, seconds: float, count: int) -> Measured:
    """Carry one audit out, then keep others running while readers ask."""
    with fleet.client() as client:
        orders = Orders(client, order_for(client, EXAMPLE, (), smoke=True))
        orders.keep_open(1)
        done = next(iter(orders.open))
        while orders.open:
            orders.look()
            time.sleep(0.2)
        began, before = time.perf_counter(), {role: cpu_of(fleet, role) for role in fleet.running}
        with kept_running(orders, count):
            took, readers = read(fleet, done, seconds)
        spent = {role: cpu_of(fleet, role) - cpu for role, cpu in before.items()}
        return Measured(
            took, time.perf_counter() - began, readers, spent, len(orders.ended) - 1
        )  # fmt: skip


def tell(found: Measured, count: int) -> None:
    """Print what was measured."""
    answers = len(found.took)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {found.wall:.0f} s; audits "
          f"open at any time: {count}")  # fmt: skip
    p50, p99 = np.quantile(found.took, [0.5, 0.99])
    kept = "kept" if p99 < SOON else "MISSED"
    each, readers = (1e3 * cpu / answers for cpu in (found.spent["serve"], found.readers))
    print(f"{answers} answers to {READERS} readers, {answers / found.wall:.0f}/s: p50 "
          f"{p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms, goal 200 ms: {kept}; CPU of an answer "
          f"{each:.2f} ms, of its reader {readers:.2f} ms")  # fmt: skip
    working = sum(seconds for role, seconds in found.spent.items() if role != "serve")
    hourly = found.audits * 3600 / found.wall
    kept = "kept" if hourly >= HOURLY else "MISSED"
    put(
        over(
            "service",
            f"an answer to one of {READERS} readers while audits run: p99 wall",
            [p99 / SOON],
            f"the goal of {SOON} s",
            better="less",
            goal=1,
        ),
        over("service", "smoke audits an hour", [hourly / HOURLY], f"the goal of {HOURLY}", goal=1),
    )
    print(f"{found.audits} smoke audits: {hourly:.0f} an hour, goal {HOURLY}: {kept}; "
          f"{working:.0f} s of CPU, {working / max(found.audits, 1):.1f} s each, so "
          f"{CORES * 3600 * found.audits / max(working, 1e-9):.0f} an hour on {CORES} cores "
          "at rest")  # fmt: skip


def main() -> None:
    """Load a service, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--open", type=int, default=1, help="audits that are open at any time")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        Fleet.started(Path(name), None, WORKERS, None) as fleet,
    ):
        tell(measured(fleet, asked.seconds, asked.open), asked.open)


if __name__ == "__main__":
    main()
