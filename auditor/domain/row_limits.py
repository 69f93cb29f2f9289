"""Limits of the rows that a check looks at: all, those that time allows, or recorded ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from auditor.domain.evidence import Evidence


class RowLimit(Protocol):
    """Says how many rows of a check go together, when they end, and when enough of them were seen.

    ``timed``: time may end the rows, so that the evidence says which were seen. ``races``: a short
    attack goes first, and the rows that it breaks at the smallest budget are done. ``asked`` are
    the budgets that rules ask about, where they ask about some alone.
    """

    @property
    def timed(self) -> bool:
        """Whether time may end the rows before the last one."""
        ...

    @property
    def races(self) -> bool:
        """Whether cheap attacks go before dear ones."""
        ...

    @property
    def asked(self) -> tuple[float, ...]:
        """The budgets that bounded attacks go to; all, where none is named."""
        ...

    def take(self, done: int, most: int) -> int:
        """Return how many rows follow the ``done`` ones, ``most`` at most; 0 ends the check."""
        ...

    def spent(self) -> float:
        """Return the share of the time that is gone, as far as it is limited."""
        ...

    def plan_looks(self, asked: int) -> int:
        """Return how often it may be asked whether ``asked`` rows have decided what they can."""
        ...

    def is_decided(self, done: int, read: Callable[[], Evidence]) -> bool:
        """Say whether the evidence of the ``done`` rows decides all that is asked of it."""
        ...


@dataclass(frozen=True, slots=True)
class FixedRows:
    """A limit known beforehand: none, or that of a record that is repeated.

    ``parts`` is ``None`` where all rows are looked at, as many at once as memory allows.
    """

    parts: tuple[int, ...] | None = None
    races: bool = False
    looks: int = 0
    stopped: bool = False
    asked: tuple[float, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether time ended the rows that are repeated, or could have."""
        return self.parts is not None

    def take(self, done: int, most: int) -> int:
        """Return how many rows follow the ``done`` ones."""
        if self.parts is None:
            return most
        for part in self.parts:
            if done <= 0:
                return min(part, most)
            done -= part
        return 0

    def spent(self) -> float:
        """Return nothing: rows alone say how far it is."""
        return 0.0

    def plan_looks(self, asked: int) -> int:
        """Return how often the record's audit could look."""
        del asked
        return self.looks

    def is_decided(self, done: int, read: Callable[[], Evidence]) -> bool:
        """Say whether this is where the record's audit stopped, for it had decided."""
        del read
        return self.stopped and self.parts is not None and done >= sum(self.parts)


ALL_ROWS = FixedRows()
ROWS_IN_TIME = "rows_in_time"
"""The name of the evidence that says at which row a check ended, in which parts, and why."""
LEFT_BUDGETS = "left_budgets"
"""In that evidence, the budgets below all that rules name, which had to wait."""
