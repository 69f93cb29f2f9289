"""What an ART attack may ask for, and what it has asked."""

import time
from collections.abc import Callable
from dataclasses import dataclass


class LimitError(Exception):
    """An attack asked for more than it may; the message says of what."""


@dataclass(slots=True, kw_only=True)
class Meter:
    """Counts rows scored on the target and gradients of the twin, and ends what takes too long.

    ``tick`` is called at each question, and raises ``CancelledError`` when the user stopped the
    audit. ``ends`` is the time, by ``clock``, after which nothing more is answered.
    """

    tick: Callable[[], None]
    most: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    ends: float = 0.0
    queries: int = 0
    passes: int = 0

    def __post_init__(self) -> None:
        """Start the clock."""
        self.ends = self.clock() + self.seconds

    def grant(self, rows: int, most_a_row: int) -> None:
        """Begin to count anew, for an attack on ``rows`` rows."""
        self.most = rows * most_a_row
        self.queries = self.passes = 0

    def look(self) -> None:
        """Answer a question that costs neither. Raises ``LimitError`` when time is up."""
        self.tick()
        if self.clock() > self.ends:
            raise LimitError(f"took longer than {self.seconds:g} s")

    def ask(self, rows: int) -> None:
        """Let the target score some rows. Raises ``LimitError``."""
        self.look()
        if self.queries + rows > self.most:
            raise LimitError(f"asked the target for more than {self.most:,} rows")
        self.queries += rows

    def climb(self, rows: int) -> None:
        """Let the twin give gradients of some rows. Raises ``LimitError``."""
        self.look()
        if self.passes + rows > self.most:
            raise LimitError(f"took more than {self.most:,} gradients of the twin")
        self.passes += rows
