"""Throws a cascade at rows, and beside it simple attacks that should find nothing more."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.arenas import Arena
from auditor.attacks.asking import Attack
from auditor.attacks.bills import Bill, Sweep
from auditor.attacks.masking.efforts import COPIES, Effort
from auditor.attacks.masking.probes import OneStep, OtherRows, RandomCorners
from auditor.attacks.square import Square
from auditor.attacks.suites import Suite
from auditor.attacks.sweeping import sweep
from auditor.attacks.threats import within
from auditor.domain.subjects import Progress

WHOLE = 1.0
"""The budget within which every point of the box lies."""
WHITE, STEP, CORNERS, BLACK, FREE, COPY = (
    "white_box", "one_step", "random", "black_box", "unbounded", "copies",
)  # fmt: skip
PROBES = (WHITE, STEP, CORNERS, BLACK, FREE, COPY)
SLOPES = "slopes"
TICKS = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """Passes on the progress of one probe, or of its turn ``at`` of several."""

    progress: Progress
    probe: str
    at: int = 0
    turns: int = 1

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Say how far the whole survey is."""
        stages = (*PROBES, SLOPES)
        turn = (self.at * TICKS + TICKS * done // max(1, total)) // self.turns
        self.progress(
            stages.index(self.probe) * TICKS + turn,
            len(stages) * TICKS,
            f"{self.probe.replace('_', ' ')}: {note}",
        )


@dataclass(slots=True, eq=False)
class Search:
    """What the probes found so far: the size of each row's nearest success, probe by probe."""

    arena: Arena
    seed: int
    progress: Progress
    found: dict[str, Sweep] = field(default_factory=dict)
    log: list[tuple[str, Bill]] = field(default_factory=list)

    def throw(self, probe: str, attack: Suite, budgets: tuple[float, ...]) -> None:
        """Throw a suite at all rows."""
        told = Told(self.progress, probe)
        found = sweep(attack, self.arena, budgets, self._seed(probe), told)
        self.found[probe] = found
        self.log.extend((probe, bill) for bill in found.log)

    def follow(self, probe: str, attack: Attack, budgets: tuple[float, ...]) -> None:
        """At each budget anew, throw an attack at the rows that the cascade left standing."""
        nearest = self.found[WHITE].breaking
        best = _nothing(self.arena)
        for index, eps in enumerate(budgets):
            rows = np.flatnonzero(~within(nearest, eps) & ~within(best.breaking, eps))
            if len(rows):
                told = Told(self.progress, probe, index, len(budgets))
                arena, one = part_of(self.arena, rows), Suite((attack,))
                part = sweep(one, arena, (eps,), self._seed(probe), told)
                best = _nearer(best, rows, part)
                self.log.extend((probe, bill) for bill in part.log)
        self.found[probe] = best

    def _seed(self, probe: str) -> int:
        return self.seed + PROBES.index(probe)


def search_all(arena: Arena, effort: Effort, seed: int, progress: Progress) -> Search:
    """Run every probe on all rows of an arena, all of which the model gets right.

    Raises ``CancelledError`` through ``progress``.
    """
    search = Search(arena, seed, progress)
    search.throw(WHITE, effort.cascade, effort.eps)
    search.throw(STEP, Suite((OneStep(),)), effort.eps)
    search.follow(CORNERS, RandomCorners(effort.corners), effort.eps)
    search.follow(BLACK, Square(effort.queries), effort.eps)
    search.throw(FREE, effort.unbounded, (WHOLE,))
    search.throw(COPY, Suite((OtherRows(COPIES),)), (WHOLE,))
    return search


def part_of(arena: Arena, rows: NDArray[np.int64]) -> Arena:
    """Return the arena with some of its rows."""
    return replace(
        arena,
        rows=arena.rows[rows],
        labels=arena.labels[rows],
        probabilities=arena.probabilities[rows],
    )


def _nothing(arena: Arena) -> Sweep:
    count = len(arena.rows)
    return Sweep(
        budgets=(),
        probabilities=arena.probabilities.copy(),
        crafted=arena.rows,
        distance=np.zeros(count),
        breaking=np.full(count, np.inf),
        movable=(),
        log=(),
    )


def _nearer(best: Sweep, rows: NDArray[np.int64], part: Sweep) -> Sweep:
    better = part.breaking < best.breaking[rows]
    probabilities, breaking = best.probabilities.copy(), best.breaking.copy()
    probabilities[rows[better]] = part.probabilities[better]
    breaking[rows[better]] = part.breaking[better]
    return replace(best, probabilities=probabilities, breaking=breaking)
