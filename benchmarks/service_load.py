"""How many smoke audits a service does an hour, and how soon it answers 200 readers meanwhile.

A real service with two workers carries audits out, a few always open, while 200 readers each ask
something once a second: lists, an audit, a gate, its events. The wall figures are those of this
machine as it is; the CPU time of an audit says what it would do at rest.

    python benchmarks/service_load.py --seconds 60
"""

import argparse
import asyncio
import os
import random
import re
import sys
import tempfile
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from soaking.fleets import Fleet  # noqa: E402 -- it lies beside the scripts
from soaking.orders import Orders, order_for  # noqa: E402 -- the same

EXAMPLE = ROOT / "examples" / "docstrings" / "audit.yaml"
READERS, WORKERS, CORES = 200, 2, 2
HOURLY, SOON = 120, 0.200
LISTS = ("/v1/audits", "/v1/audits?state=running", "/v1/targets")
TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(fleet: Fleet, role: str) -> float:
    """Return the CPU time of a process and of its children that have ended (s)."""
    stat = Path(f"/proc/{fleet.running[role].pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(stat[at]) for at in (11, 12, 13, 14)) / TICK


def started(folder: Path) -> AbstractContextManager[Fleet]:
    """Start a service on SQLite, and its workers."""
    return Fleet.started(folder, None, WORKERS, None)


async def read(fleet: Fleet, paths: list[str], seconds: float) -> list[float]:
    """Let all readers ask once a second, and return how long each answer took (s).

    Each has a connection of its own: a pool of clients would be measured in place of the service.
    """
    took: list[float] = []
    head = (
        f"Host: 127.0.0.1:{fleet.port}\r\nAuthorization: Bearer {fleet.client_key()}\r\n"
        "Accept: application/json\r\n\r\n"
    )

    async def reader(number: int) -> None:
        chance = random.Random(number)  # noqa: S311 -- no secret
        await asyncio.sleep(chance.random())
        incoming, outgoing = await asyncio.open_connection("127.0.0.1", fleet.port)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            outgoing.write(f"GET {chance.choice(paths)} HTTP/1.1\r\n{head}".encode())
            answer = await incoming.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            length = re.search(rb"(?i)content-length: (\d+)", answer)
            assert length is not None, answer
            await incoming.readexactly(int(length[1]))
            took.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, began + 1 - time.perf_counter()))
        outgoing.close()

    await asyncio.gather(*(reader(number) for number in range(READERS)))
    return took


def main() -> None:
    """Load a service, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        started(Path(name)) as it,
    ):
        client, stop = it.client(), threading.Event()
        orders = Orders(client, order_for(client, EXAMPLE, (), smoke=True))
        orders.keep_open(1)
        done = next(iter(orders.open))
        while orders.open:
            orders.look()
            time.sleep(0.2)
        cpu = {role: cpu_of(it, role) for role in it.running}

        def hand_in() -> None:
            while not stop.wait(0.5):
                orders.keep_open(WORKERS + 1)

        thread = threading.Thread(target=hand_in, daemon=True)
        thread.start()
        began = time.perf_counter()
        one = f"/v1/audits/{done}"
        paths = [one, f"{one}/events", f"{one}/files", *LISTS]
        took = np.array(asyncio.run(read(it, paths, asked.seconds)))
        stop.set()
        thread.join()
        wall, count = time.perf_counter() - began, len(orders.ended) - 1
        spent = {role: cpu_of(it, role) - before for role, before in cpu.items()}
    working = sum(seconds for role, seconds in spent.items() if role != "serve")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {wall:.0f} s")
    p50, p99 = np.quantile(took, [0.5, 0.99])
    kept = "kept" if p99 < SOON else "MISSED"
    each = spent["serve"] / len(took) * 1e3
    print(f"{len(took)} answers to {READERS} readers: p50 {p50 * 1e3:.0f} ms, p99 "
          f"{p99 * 1e3:.0f} ms, CPU {each:.1f} ms each, goal 200 ms: {kept}")  # fmt: skip
    hourly = count * 3600 / wall
    kept = "kept" if hourly >= HOURLY else "MISSED"
    print(f"{count} smoke audits: {hourly:.0f} an hour, goal {HOURLY}: {kept}; {working:.0f} s of "
          f"CPU, {working / max(count, 1):.1f} s each, so {CORES * 3600 * count / working:.0f} an "
          f"hour on {CORES} cores at rest")  # fmt: skip


if __name__ == "__main__":
    main()
