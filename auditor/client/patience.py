"""How long a client bears with a service that it cannot reach."""

from collections.abc import Callable

from auditor.refusals import UnreachableError

LONG = 600.0
"""Seconds for which a service may be away that was there before: as long as a restart takes."""
FIRST, LONGEST = 0.5, 5.0


class Patience:
    """Waits ever longer for a service that was reached before, and gives up in the end.

    One that was never reached, unless it is said to have been ``met``, is not waited for: its
    address may be wrong. Times are in seconds.
    """

    def __init__(
        self,
        seconds: float,
        pause: Callable[[float], None],
        clock: Callable[[], float],
        *,
        met: bool = False,
    ) -> None:
        self._seconds = seconds
        self._pause = pause
        self._clock = clock
        self._met = met
        self._lost_at: float | None = None
        self._next = FIRST

    def found(self) -> None:
        """Take note that the service answered."""
        self._met = True
        self._lost_at = None
        self._next = FIRST

    def lost(self, error: UnreachableError) -> None:
        """Wait a little before the next try. Raises ``error`` where it is time to give up."""
        now = self._clock()
        since = now if self._lost_at is None else self._lost_at
        if not self._met or now - since >= self._seconds:
            raise error
        self._lost_at = since
        self._pause(self._next)
        self._next = min(2 * self._next, LONGEST)
