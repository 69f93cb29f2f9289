"""A sign of life while an agent works, how far it is, and whether there is a reason to go on."""

import threading
import time
from types import TracebackType
from typing import Self

from auditor.agent.assigned import Assigned
from auditor.agent.calls import AgentCalls
from auditor.domain.agents import Progress
from auditor.domain.checks import Check
from auditor.domain.observed import Result
from auditor.errors import AuditorError, CancelledError
from auditor.refusals import UnreachableError

PACE = 2.0
"""Seconds between two words on how far a check is."""


class Beating:
    """Tells a service, in a thread and as long as the block lasts, that a lease is worked on.

    It is the watch of the check too, which it stops where there is no reason to go on.
    """

    def __init__(self, calls: AgentCalls, assigned: Assigned, pace: float = PACE) -> None:
        self._calls = calls
        self._lease = assigned.lease
        self._pace = min(pace, assigned.seconds / 4)
        self._silence = assigned.seconds / 3
        self._over = threading.Event()
        self._told: Progress | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._beat, name="auditor-beat", daemon=True)

    def __enter__(self) -> Self:
        """Begin to tell."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Tell no more."""
        self._over.set()
        self._thread.join()

    def started(self, target: str, check: Check) -> None:
        """Say nothing: the lease says that it begins."""

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Say how far the check is. Raises ``CancelledError`` where it is to stop."""
        self._told = Progress(done, total, note)
        self.refuse_stopped()

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Say nothing: the result does."""

    def refuse_stopped(self) -> None:
        """Raise ``CancelledError`` where there is no reason to go on."""
        if self._stopped:
            raise CancelledError("the service wants it no more", cure="Take another lease.")

    def _beat(self) -> None:
        last, before = time.monotonic(), self._told
        while not self._over.wait(self._pace):
            told, now = self._told, time.monotonic()
            if told is before and now - last < self._silence:
                continue
            try:
                going = self._calls.progress(self._lease, None if told is before else told)
            except UnreachableError:
                continue  # the check goes on; what it sees may still come first
            except AuditorError:
                self._stopped = True
                return
            last, before, self._stopped = now, told, not going.go_on
