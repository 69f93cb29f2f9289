"""Rate limits, row quotas, and retries for requests to an endpoint, applied before sending."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from auditor.domain.targets import EndpointSpec
from auditor.errors import EndpointLostError, LimitReachedError
from auditor.targets.endpoints.client import AttemptError

Clock = Callable[[], float]
Sleep = Callable[[float], None]


class RowQuota:
    """Counts rows against the limits of one audit, and refuses what would break them.

    A row counts once as a query, however often it has to be sent. It counts as spent each time
    that the server may have taken it, for that is what may be billed.
    """

    def __init__(self, spec: EndpointSpec) -> None:
        self._queries = spec.queries
        self._spend = spec.spend
        self._price = spec.price_per_query or 0.0
        self.asked = 0
        self.repeated = 0

    def require(self, rows: int, *, again: bool = False) -> None:
        """Raise ``LimitReachedError`` where ``rows`` more would break a limit."""
        queries = self.asked + (0 if again else rows)
        if self._queries is not None and queries > self._queries:
            raise LimitReachedError(
                f"{rows} more rows would be {queries} of the {self._queries} that the endpoint "
                "may be asked",
                cure="Raise `endpoint.queries`, or take a smaller budget.",
            )
        cost = (self.asked + self.repeated + rows) * self._price
        if self._spend is not None and cost > self._spend:
            raise LimitReachedError(
                f"{rows} more rows would bring the endpoint's cost to {cost:.6g}, and "
                f"{self._spend:.6g} may be spent",
                cure="Raise `endpoint.spend`, or take a smaller budget.",
            )

    def ask(self, rows: int) -> None:
        """Count rows that are about to be sent; see ``require``."""
        self.require(rows)
        self.asked += rows

    def repeat(self, rows: int) -> None:
        """Count rows that are about to be sent again though the server may have taken them."""
        self.require(rows, again=True)
        self.repeated += rows


class RateLimit:
    """Keeps requests ``1 / rate`` seconds apart, by their beginnings."""

    def __init__(self, rate: float | None, clock: Clock, sleep: Sleep) -> None:
        self._gap = 0.0 if rate is None else 1.0 / rate
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    def wait(self) -> None:
        """Return when the next request may begin."""
        if self._gap:
            left = self._next - self._clock()
            if left > 0:
                self._sleep(left)
            self._next = max(self._next, self._clock()) + self._gap


FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0
"""Seconds before the second attempt, doubled each time, up to the longest."""

Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is made again, and the most seconds that one wait may take."""

    retries: int
    most_seconds: float


def ignore_reply() -> None:
    """Look at nothing."""


class RequestSender:
    """Makes requests of one server; counts ``attempts``, and of them ``retries``."""

    def __init__(
        self,
        allowance: RowQuota,
        pace: RateLimit,
        patience: RetryPolicy,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._allowance = allowance
        self._pace = pace
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self.attempts = 0
        self.retries = 0

    def send(
        self,
        request: Callable[[], Reply],
        rows: int = 0,
        recheck: Callable[[], object] = ignore_reply,
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
