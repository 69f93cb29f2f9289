"""Sending requests: at a pace, again where that may help, and never past a limit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from auditor.errors import EndpointLostError
from auditor.targets.endpoints.failures import AttemptError
from auditor.targets.endpoints.limits import Allowance, Clock, Pace, Sleep

FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0
"""Seconds before the second attempt, doubled each time, up to the longest."""

Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is made again, and the most seconds that one wait may take."""

    retries: int
    most_seconds: float


def nothing() -> None:
    """Look at nothing."""


class Courier:
    """Makes requests of one server; counts ``attempts``, and of them ``retries``."""

    def __init__(
        self, allowance: Allowance, pace: Pace, patience: Patience, clock: Clock, sleep: Sleep
    ) -> None:
        self._allowance = allowance
        self._pace = pace
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self.attempts = 0
        self.retries = 0

    def send(
        self, request: Callable[[], Reply], rows: int = 0, recheck: Callable[[], object] = nothing
    ) -> tuple[Reply, float]:
        """Return the reply to ``request`` and the seconds of the attempt that brought it.

        Neither the pace's waits nor failed attempts are in them. ``recheck`` is called after a
        connection was lost, before rows go over a new one. Raises ``EndpointLostError`` where no
        attempt came through, and ``LimitReachedError``.
        """
        made = 0
        while True:
            self._pace.wait()
            self.attempts += 1
            made += 1
            start = self._clock()
            try:
                return request(), self._clock() - start
            except AttemptError as failure:
                self._bear(failure, made, rows)
                if failure.lost:
                    recheck()

    def _bear(self, failure: AttemptError, made: int, rows: int) -> None:
        """Wait until the next attempt, or say that there is none."""
        wait = max(failure.wait or 0.0, min(LONGEST_WAIT, FIRST_WAIT * 2 ** (made - 1)))
        if made > self._patience.retries or wait > self._patience.most_seconds:
            asked = f", and asks for {failure.wait:g} seconds of rest" if failure.wait else ""
            raise EndpointLostError(
                f"{failure.problem} (attempt {made} of {self._patience.retries + 1}{asked})",
                cure="See that the server is up and not overloaded, then run the audit again; "
                "`endpoint.rate`, `batch_limit` and `retries` say how it is asked.",
            ) from None
        if rows and failure.reached:
            self._allowance.repeat(rows)
        self._sleep(wait)
        self.retries += 1
