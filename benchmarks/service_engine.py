"""What the durable engine costs beside the checks, and what more workers bring: shards that sleep.

Overhead: the wall time of an audit of 40 checks that sleep a second each, over 40 seconds.
Efficiency: how much sooner four workers, each a process of its own, end the same audits than one,
over four. The engine's own CPU time is that of this process, which takes submissions in hand.

    python benchmarks/service_engine.py
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from figures import over as figure
from figures import tell

from auditor.service.jobs.durable import DurableEngine, EngineClient, EngineConfig

OVERHEAD, EFFICIENCY = 0.05, 0.85
CHECKS, SECONDS = 40, 1.0
AUDITS, EACH, SHORT = 8, 6, 0.5
PATIENCE = 600.0


@dataclass
class Sleeping:
    """Checks that sleep, and the submissions that came to their end here."""

    checks: int
    seconds: float
    over: set[str] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def plan(self, submission: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return one target with all checks."""
        del submission
        return (("cpu", tuple(f"check-{number}" for number in range(self.checks))),)

    def observe(self, submission: str, target: str, check: str) -> None:
        """Sleep."""
        del submission, target, check
        time.sleep(self.seconds)

    def conclude(self, submission: str) -> None:
        """Say that it is over."""
        with self.changed:
            self.over.add(submission)
            self.changed.notify_all()

    def failed(self, submission: str, problem: str, cure: str) -> None:
        """Stop: nothing fails here."""
        raise AssertionError(submission, problem, cure)

    def wait(self, count: int) -> None:
        """Wait until so many have ended."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.over) >= count, PATIENCE)


def post_at(folder: Path, executor: str, *, control: bool) -> EngineConfig:
    """Return the place of a process: one that controls, or one that works."""
    return EngineConfig(
        database=f"sqlite:///{folder / 'engine.db'}", executor=executor,
        targets=() if control else ("cpu",), control=control, locks=folder / "locks",
    )  # fmt: skip


@contextmanager
def workers(folder: Path, count: int, work: Sleeping) -> Iterator[None]:
    """Start so many workers, and end them after the block."""
    asked = [sys.executable, __file__, "--work", str(folder), str(work.checks), str(work.seconds)]
    started = [subprocess.Popen([*asked, f"w{number}"]) for number in range(count)]  # noqa: S603
    try:
        while sum((folder / f"ready-w{number}").exists() for number in range(count)) < count:
            time.sleep(0.1)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def work_until_told(folder: str, checks: str, seconds: str, name: str) -> None:
    """Be a worker."""
    work = Sleeping(int(checks), float(seconds))
    engine = DurableEngine(post_at(Path(folder), name, control=False), work)
    engine.launch()
    (Path(folder) / f"ready-{name}").touch()
    signal.sigwait({signal.SIGTERM})


def timed(count: int, audits: int, checks: int, seconds: float) -> tuple[float, float]:
    """Return how long so many audits take with so many workers, and the CPU time here (s)."""
    work = Sleeping(checks, seconds)
    with tempfile.TemporaryDirectory() as name:
        post = post_at(Path(name), "control", control=True)
        engine, client = DurableEngine(post, work), EngineClient(post)
        engine.launch()
        client.connect()
        try:
            with workers(Path(name), count, work):
                client.submit("first")
                work.wait(1)  # everybody is awake
                began, cpu = time.perf_counter(), time.process_time()
                for number in range(audits):
                    client.submit(f"audit-{number}")
                work.wait(1 + audits)
                return time.perf_counter() - began, time.process_time() - cpu
        finally:
            client.close()
            engine.stop(0)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work_until_told(*asked.work)
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    wall, cpu = timed(1, 1, CHECKS, SECONDS)
    over = wall / (CHECKS * SECONDS) - 1
    kept = "kept" if over <= OVERHEAD else "MISSED"
    tell(figure("service", f"{CHECKS} checks of {SECONDS:.0f} s through the engine: wall of it",
                [1 + over], "the checks alone", better="less", goal=1 + OVERHEAD))  # fmt: skip
    print(f"{CHECKS} checks of {SECONDS:.0f} s: {wall:.2f} s, overhead {over:.1%} (CPU of the "
          f"control {cpu:.2f} s), goal {OVERHEAD:.0%}: {kept}", flush=True)  # fmt: skip
    one, four = (timed(count, AUDITS, EACH, SHORT)[0] for count in (1, 4))
    efficiency = one / four / 4
    kept = "kept" if efficiency >= EFFICIENCY else "MISSED"
    tell(figure("service", "four workers: speed of one worker's, times four", [efficiency],
                "four times one worker", goal=EFFICIENCY))  # fmt: skip
    print(f"{AUDITS} audits of {EACH} checks of {SHORT} s: 1 worker {one:.1f} s, 4 workers "
          f"{four:.1f} s, efficiency {efficiency:.2f}, goal {EFFICIENCY}: {kept}")  # fmt: skip


if __name__ == "__main__":
    main()
