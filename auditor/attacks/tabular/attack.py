"""Rows of a table under attack, and the judge who alone counts what breaks them."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.arenas import Arena
from auditor.attacks.constraints.reaching import (
    Reach,
    columns_of_units,
    moved,
    price,
    reach,
    wholes,
)
from auditor.attacks.constraints.repairing import Effort, repair
from auditor.attacks.constraints.structure import Constraints
from auditor.attacks.frame import Standing, ask, hear
from auditor.attacks.tabular_rules import Rules, rules_of
from auditor.attacks.threats import within
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The rows of ``arena`` and what an attacker may make of them.

    Under a budget ``eps`` every numeric and integer column moves by at most that share of its
    range, whatever else moves takes any code, and no more than ``most_features`` units move
    (0: no limit). Immutable columns stay, directions and relations hold.
    """

    arena: Arena
    constraints: Constraints
    most_features: int = 0

    @property
    def rules(self) -> Rules:
        """What a row may become."""
        return Rules(self.constraints, self.most_features)

    @property
    def steps(self) -> Mask:
        """Which columns are quantities, whose change counts against the budget."""
        return self.rules.steps

    def region(self, eps: float) -> Reach:
        """Return how far each row may move under a budget."""
        return reach(self.constraints, self.arena.rows, eps)

    def distance(self, clean: Array, points: Array) -> Floats:
        """Return the least budget that allows each change (``Rules.distance``)."""
        return self.rules.distance(clean, points)

    def units(self, clean: Array, points: Array) -> NDArray[np.int64]:
        """Return how many units of each row were moved."""
        return self.rules.units(clean, points)


def table(arena: Arena, most_features: int = 0) -> Table:
    """Return the table of an arena whose space has features.

    Where the model or the data take whole numbers only, every quantity moves in steps of 1.
    """
    rules = rules_of(arena.space, most_features, whole=arena.whole)
    own = replace(arena, space=rules.constraints.space)
    return Table(own, rules.constraints, most_features)


@dataclass(slots=True, eq=False, kw_only=True)
class Judge:
    """Candidates come in; those that the threat allows are scored on the target, and counted.

    ``region`` says how far each row may go. ``claimed`` marks rows that a twin called broken,
    ``queries`` counts rows scored, ``refused`` candidates that were not: they broke a relation,
    left the region or moved too many units, or repair had nothing to offer but the clean row.
    """

    table: Table
    region: Reach
    standing: Standing
    eps: float
    claimed: Mask = field(init=False)
    queries: int = 0
    refused: int = 0

    def __post_init__(self) -> None:
        """Nobody has claimed anything yet."""
        self.claimed = np.zeros(len(self.region.clean), dtype=np.bool_)

    @property
    def live(self) -> Rows:
        """Rows that can move and be harmed, and that nothing within this budget has broken yet."""
        arena, unbroken = self.table.arena, ~within(self.standing.breaking, self.eps)
        harm = arena.goal.aim(arena.labels).toward.any(axis=1)
        return np.flatnonzero(unbroken & harm & self.region.movable.any(axis=1)).astype(np.int64)

    def unbroken(self, rows: Rows) -> Mask:
        """Return which of some rows stand."""
        stands: Mask = ~within(self.standing.breaking[rows], self.eps)
        return stands

    def candidates(
        self,
        rows: Rows,
        points: Floats,
        *,
        effort: Effort = Effort.FAST,
        wanted: Floats | None = None,
        held: Mask | None = None,
    ) -> Array:
        """Return feasible rows near ``points``, one for each of ``rows``, or the clean row.

        Repair leaves quantities alone that are ``held`` (``[n, features]``) if it can.
        Where too many units moved, those that are ``wanted`` most (``[n, units]``, else the
        dearest moves) stay, and the others go back.
        """
        found = self._repaired(rows, points, effort, held)
        table, region = self.table, self.region.take(rows)
        over = np.flatnonzero(table.units(region.clean, found) > table.most_features)
        if not table.most_features or not over.size:
            return found
        part, chosen = region.take(over), found[over]
        changed = moved(table.constraints, part.clean, chosen)
        value = price(table.constraints, part.clean, chosen) if wanted is None else wanted[over]
        order = np.argsort(np.where(changed, -value, np.inf), axis=1, kind="stable")
        kept = np.zeros_like(changed)
        np.put_along_axis(kept, order[:, : table.most_features], values=True, axis=1)
        columns = columns_of_units(table.constraints, kept & changed)
        wish = np.where(columns, points[over], part.exact)
        found[over] = repair(table.constraints, part.pinned(~columns), wish, effort=effort).points
        return found

    def _repaired(self, rows: Rows, points: Floats, effort: Effort, held: Mask | None) -> Array:
        constraints, region = self.table.constraints, self.region.take(rows)
        wishes = (points != region.clean).any(axis=1)
        part = region if held is None else self._holding(region, points, held)
        found = repair(constraints, part, points, effort=effort).points
        given_up = wishes & (found == region.clean).all(axis=1)
        if held is not None and given_up.any():
            part, wish = region.take(given_up), points[given_up]
            found[given_up] = repair(constraints, part, wish, effort=effort).points
            given_up = wishes & (found == region.clean).all(axis=1)
        self.refused += int(given_up.sum())
        return found

    def _holding(self, region: Reach, points: Floats, held: Mask) -> Reach:
        """Return the region in which the quantities that are held cannot but be what they are."""
        whole = wholes(self.table.constraints, region.clean)
        value = np.clip(np.where(whole, np.rint(points), points), region.lower, region.upper)
        held = held & self.table.steps
        lower, upper = (np.where(held, value, end) for end in (region.lower, region.upper))
        return Reach(region.clean, lower, upper)

    def submit(self, rows: Rows, candidates: Array) -> tuple[Mask, Floats]:
        """Score candidates on the target, at most one for each row.

        Returns which reach the goal, and each one's margin: minus infinity where refused.
        """
        moves = (candidates != self.region.clean[rows]).any(axis=1)
        allowed = moves & self._allows(rows, candidates)
        self.refused += int((moves & ~allowed).sum())
        reached, margin = np.zeros(len(rows), dtype=np.bool_), np.full(len(rows), -np.inf)
        if allowed.any():
            judged = rows[allowed], candidates[allowed]
            reached[allowed], margin[allowed] = self._hear(*judged)
        return reached, margin

    def clean_margin(self, rows: Rows) -> Floats:
        """Return how far the clean rows are beyond the line, asking the target about each."""
        arena = self.table.arena
        scores, _ = self.ask(self.region.clean[rows])
        return arena.goal.margin(scores, arena.labels[rows])

    def claims(self, rows: Rows, probabilities: Floats) -> Mask:
        """Return for which rows the twin reaches the goal, and remember them."""
        arena = self.table.arena
        reached = arena.goal.reached(probabilities, arena.labels[rows])
        self.claimed[rows[reached]] = True
        return reached

    def _allows(self, rows: Rows, candidates: Array) -> Mask:
        return self.table.rules.permits(self.region.take(rows), candidates)

    def _hear(self, rows: Rows, candidates: Array) -> tuple[Mask, Floats]:
        arena = self.table.arena
        scores, probabilities = self.ask(candidates)
        distance = self.table.distance(self.region.clean[rows], candidates)
        labels = arena.labels[rows]
        heard = hear(scores, probabilities, arena.goal, labels, candidates, distance)
        self.standing.remember(rows, heard)
        return heard.reached, heard.margin

    def ask(self, candidates: Array) -> tuple[Floats, Floats]:
        """Return the target's scores and probabilities, averaged where it answers at random."""
        arena = self.table.arena
        self.queries += arena.repeats * len(candidates)
        return ask(arena.model, candidates, arena.repeats)
