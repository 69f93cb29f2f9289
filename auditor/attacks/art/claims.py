"""What an ART attack claims, and what the target confirms of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from auditor.attacks.arenas import Arena
from auditor.attacks.art.tools import Job, Sight
from auditor.attacks.bills import Bill, Sweep
from auditor.attacks.frame import Standing


class Crafting(Protocol):
    """Something that returns changed rows, as ART's attacks do."""

    @property
    def name(self) -> str:
        """How readings call it."""
        ...

    @property
    def sight(self) -> Sight:
        """Which model it sees."""
        ...

    @property
    def bounded(self) -> bool:
        """Whether it takes a budget."""
        ...

    @property
    def single(self) -> bool:
        """Whether it takes one row at a time."""
        ...

    def craft(self, job: Job) -> object:
        """Return ``[n, *shape]`` changed rows, or whatever else it makes of them."""
        ...


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of an attack's claims at one budget, in rows.

    ``attacked`` rows stood before it. ``claimed`` of those that it returned are wrong for the model
    that it sees, ``outside`` of these leave the threat as they were returned, and ``confirmed`` are
    wrong on the target once they are brought back into the threat.
    """

    eps: float
    attacked: int
    claimed: int
    outside: int
    confirmed: int


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """What one attack found at growing budgets, and what became of its claims."""

    sweep: Sweep
    tallies: tuple[Tally, ...]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an attack may spend: rows and gradients a row and budget, and seconds altogether."""

    most_queries: int
    seconds: float
    tick: Callable[[], None]


def untouched(arena: Arena, budgets: tuple[float, ...]) -> Sweep:
    """Return what is known before any attack."""
    return swept(arena, budgets, standing_of(arena), ())


def standing_of(arena: Arena) -> Standing:
    """Return what is known of the rows before any attack."""
    return Standing.clean(arena.rows, arena.probabilities, arena.labels, arena.goal)


def swept(
    arena: Arena, budgets: tuple[float, ...], standing: Standing, log: tuple[Bill, ...]
) -> Sweep:
    """Return what is known of the rows by now."""
    crafted = standing.crafted
    return Sweep(
        budgets=budgets,
        probabilities=standing.probabilities,
        crafted=crafted,
        distance=arena.threat(budgets[-1]).distance(arena.rows, crafted),
        breaking=standing.breaking,
        movable=tuple(int(arena.threat(eps).movable.sum()) for eps in budgets),
        log=log,
    )
