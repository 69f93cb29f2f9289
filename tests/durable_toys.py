"""Work whose effects are lines of a file, and a process that does it until it is killed."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import StoreError
from auditor.service.jobs.durable import DurableEngine, EngineClient, EngineConfig

PLAN = (("cpu", ("first", "second", "third")), ("edge", ("first",)))


@dataclass(frozen=True)
class LinesWork:
    """Writes a line for everything that it does, and waits where a file ``hold`` says so."""

    folder: Path
    executor: str

    def plan(self, submission: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        self._say(submission, "plan")
        return PLAN

    def observe(self, submission: str, target: str, check: str) -> None:
        self._say(submission, f"start {target} {check}")
        if submission.startswith("breaks") and check == "second":
            raise StoreError("the second broke", cure="Mend it.")
        if submission.startswith("crashes") and check == "second":
            raise ZeroDivisionError(submission)
        if submission.startswith("slow"):
            time.sleep(0.2)
        while (self.folder / f"hold {self.executor} {check}").exists():
            time.sleep(0.01)
        self._say(submission, f"end {target} {check}")

    def conclude(self, submission: str) -> None:
        self._say(submission, "conclude")

    def failed(self, submission: str, problem: str, cure: str) -> None:
        self._say(submission, f"failed {problem} | {cure}")

    def _say(self, submission: str, what: str) -> None:
        with (self.folder / submission).open("a") as file:
            file.write(f"{time.time():.3f} {self.executor}: {what}\n")


@dataclass(frozen=True)
class Line:
    """What who did, and when."""

    at: float
    executor: str
    what: str


def lines(folder: Path, submission: str) -> list[Line]:
    """Return what happened so far, with who did it when."""
    place = folder / submission
    found = [line.partition(": ") for line in place.read_text().splitlines()]
    return [Line(float(who.split()[0]), who.split()[1], what) for who, _, what in found]


def told(folder: Path, submission: str) -> list[str]:
    """Return what happened so far, without who did it."""
    place = folder / submission
    lines = place.read_text().splitlines() if place.exists() else []
    return [line.partition(": ")[2] for line in lines]


def until(true: Callable[[], bool], seconds: float = 240) -> float:
    """Wait until something is true, and return for how long."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it never came true"
        time.sleep(0.02)
    return time.monotonic() - began


def main() -> None:
    """Work at a database until told to stop; submit what is named."""
    database, schema, executor, folder, *submissions = sys.argv[1:]
    post = EngineConfig(
        database=database, executor=executor, targets=("cpu", "edge"), schema=schema,
        polling=0.1, locks=Path(folder) / "locks",
    )  # fmt: skip
    engine = DurableEngine(post, LinesWork(Path(folder), executor))
    engine.launch()
    client = EngineClient(post)
    client.connect()
    for name in submissions:
        client.submit(name)
    (Path(folder) / f"ready {executor}").touch()
    signal.sigwait({signal.SIGTERM})
    os._exit(0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main()
