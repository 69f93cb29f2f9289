"""How much an endpoint may be asked, and how fast: kept before anything is sent."""

from collections.abc import Callable

from auditor.domain.endpoints import EndpointSpec
from auditor.errors import LimitReachedError

Clock = Callable[[], float]
Sleep = Callable[[float], None]


class Allowance:
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


class Pace:
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
