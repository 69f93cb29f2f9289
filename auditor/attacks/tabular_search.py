"""A search for harmful rows on the target's scores alone: anywhere, unit by unit, at random."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from auditor.attacks.constraints.repairing import Effort
from auditor.attacks.square import share
from auditor.attacks.tabular import Judge, Mask, Rows
from auditor.attacks.tabular_guessing import guesses
from auditor.attacks.tabular_moves import Move, Odds, carried_out, combined, scattered, single_moves
from auditor.domain.models import Twin
from auditor.domain.tasks import Floats

Tick = Callable[[], None]
FRESH, LEAST_FRESH, MOST_FRESH = 0.15, 3, 20
"""The share of the queries that go to points anywhere in reach, and how many these are."""
FIRST = 0.2
"""The share of the queries that is spent before units are moved alone: most rows need no more."""
PROBED = 0.5
"""The largest share of the queries that goes to units moved alone."""
ASIDE = 2
"""Queries beside those: the clean row, and all moves that helped at once."""
GUESSES = 5
"""How many combinations of moves are tried for what each of them brought alone."""
LEAP, LEAP_EVERY = 3, 3
"""How many units every third late move takes: relations can bar the way there in small steps."""
HELD = 0.5
"""How often repair must make room for what was just moved, and not undo a part of it."""
ANYWHERE = (0.1, 0.1, 0.8, 0.0)
TO_LIMITS = (0.4, 0.4, 0.1, 0.1)
"""How likely a quantity goes to its lower limit, its upper one, anywhere between, or back."""


@dataclass(frozen=True, slots=True)
class Search:
    """Looks anywhere in reach, then walks on from the best point of each row.

    It moves a random share of the units, fewer and fewer (the schedule of Square Attack,
    Andriushchenko et al. 2020), and stays where the margin does not fall. On the way it moves each
    unit alone, if the queries allow, and then all those together that helped.
    """

    queries: int

    needs_twin = False
    passes = 0

    @property
    def name(self) -> str:
        """The attack and its queries."""
        return f"search, {self.queries} queries"

    @property
    def rounds(self) -> int:
        """One a query."""
        return self.queries

    def run(self, judge: Judge, _: Twin | None, rng: np.random.Generator, tick: Tick) -> int:
        """Attack the rows that stand; returns how many gradients were taken: none."""
        hunt = _Hunt(judge, judge.live, rng, tick)
        moves = single_moves(judge.table.constraints, judge.region.take(hunt.rows))
        fresh = max(LEAST_FRESH, min(MOST_FRESH, round(FRESH * self.queries)))
        fresh = min(fresh, self.queries)
        for _query in range(fresh):
            hunt.wander(1.0, ANYWHERE)
        leap = min(1.0, LEAP / len(judge.table.constraints.units))
        spent, probes = fresh, len(moves) + ASIDE + GUESSES
        if moves and probes <= PROBED * self.queries:
            for spent in range(fresh, max(fresh, round(FIRST * self.queries))):
                hunt.wander(share(spent, self.queries), TO_LIMITS)
            hunt.probe(moves)
            spent = max(fresh, round(FIRST * self.queries)) + probes
        for query in range(spent, self.queries):
            leaps = query % LEAP_EVERY == 0
            hunt.wander(leap if leaps else share(query, self.queries), TO_LIMITS)
        return 0


@dataclass(slots=True, eq=False)
class _Hunt:
    """Rows that stand, and the best point of each so far."""

    judge: Judge
    rows: Rows
    rng: np.random.Generator
    tick: Tick
    best: Floats = field(init=False)
    margin: Floats = field(init=False)

    def __post_init__(self) -> None:
        """Begin at the best that is known of each row."""
        self.best = self.judge.standing.crafted[self.rows].astype(np.float64)
        self.margin = np.full(len(self.rows), -np.inf)

    def wander(self, part: float, odds: Odds) -> None:
        """Move a share of the units at random."""
        region, constraints = self.judge.region.take(self.rows), self.judge.table.constraints
        points = scattered(constraints, region, self.best, part, odds, self.rng)
        holds = bool(constraints.relations) and self.rng.random() < HELD
        self._try(points, held=(points != self.best) if holds else None)

    def probe(self, moves: list[Move]) -> None:
        """Move each unit of the clean rows alone, then those together that helped."""
        judge, constraints = self.judge, self.judge.table.constraints
        if not len(self.rows):
            return
        region, base = judge.region, np.zeros(len(judge.region.clean))
        base[self.rows] = judge.clean_margin(self.rows)
        gains = np.full((len(base), len(moves)), -np.inf)
        for index, move in enumerate(moves):
            rows, part = self.rows, region.take(self.rows)
            gains[rows, index] = self._try(carried_out(move, constraints, part, part.exact))
        if not len(self.rows):
            return
        gains -= base[:, None]
        part = region.take(self.rows)
        self._try(combined(moves, constraints, part, gains[self.rows]), effort=Effort.FULL)
        rows, part = self.rows, region.take(self.rows)
        guessed = guesses(moves, constraints, part, gains[rows], GUESSES, self.rng)
        for points in guessed:
            self._try(points[np.isin(rows, self.rows)])

    def _try(
        self, points: Floats, effort: Effort = Effort.FAST, held: Mask | None = None
    ) -> Floats:
        """Ask about one point a row, keep the better, drop what broke; returns the margins."""
        if not len(self.rows):
            return np.zeros(0)
        self.tick()
        judge = self.judge
        wanted = self.rng.random((len(self.rows), len(judge.table.constraints.units)))
        candidates = judge.candidates(self.rows, points, effort=effort, wanted=wanted, held=held)
        _, margin = judge.submit(self.rows, candidates)
        better = margin >= self.margin
        self.best = np.where(better[:, None], candidates, self.best)
        self.margin = np.where(better, margin, self.margin)
        keep = judge.unbroken(self.rows)
        self.rows, self.best, self.margin = self.rows[keep], self.best[keep], self.margin[keep]
        return margin
