"""Minimal changes of a tabular counterexample: no moved unit could be restored."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.tabular.constraints.reachable_box import (
    Mask,
    ReachableBox,
    find_moved_units,
    price_moves,
    units_to_columns,
)
from auditor.attacks.tabular.constraints.repair import (
    LIMITS,
    RepairEffort,
    find_feasible_rows,
    repair_rows,
)
from auditor.attacks.tabular.constraints.row_constraints import RowConstraints
from auditor.domain.tasks import Array, Floats

HALVINGS = 8

Oracle = Callable[[Array, NDArray[np.int64]], Mask]
"""Answers which of ``[m, features]`` rows are broken; the second says which row each belongs to."""


@dataclass(frozen=True, slots=True, eq=False)
class MinimalCounterexamples:
    """Counterexamples that were made minimal.

    ``moved`` is ``[n, units]``, ``prices`` the cost of each unit's move, and ``queries`` how many
    rows the oracle was asked about. ``valid`` marks the rows that were feasible counterexamples to
    begin with, and still are; the others are returned as they came.
    """

    points: Array
    valid: Mask
    moved: Mask
    prices: Floats
    queries: int


def find_minimal_changes(
    constraints: RowConstraints,
    region: ReachableBox,
    points: Array,
    broken: Oracle,
    *,
    rounds: int = 2,
) -> MinimalCounterexamples:
    """Return feasible counterexamples of which no moved unit can be put back.

    First units are put back one by one, the cheapest move first, and what else was moved is
    repaired around it; then each number is bisected towards its clean value; then units again. The
    result is 1-minimal: with any one moved unit back at its clean value, and the others that were
    moved repaired around it, the row is not feasible or not broken. Rows go through this together.
    """
    search = _MinimalChangeSearch(constraints, region, broken)
    found = points.astype(region.clean.dtype)
    rows = np.flatnonzero(find_feasible_rows(constraints, region, found))
    valid = np.zeros(len(found), dtype=np.bool_)
    valid[rows[search.ask(found[rows], rows)]] = True
    rows = np.flatnonzero(valid)
    part = found[rows]
    for _ in range(rounds):
        part = search.shrunk(search.reverted(part, rows), rows)
    found[rows] = search.reverted(part, rows)
    return MinimalCounterexamples(
        found,
        valid,
        find_moved_units(constraints, region.clean, found),
        price_moves(constraints, region.clean, found),
        search.queries,
    )


def restore_unit(
    constraints: RowConstraints, region: ReachableBox, points: Array, unit: NDArray[np.int64]
) -> Array:
    """Return each row with one unit back at its clean value, and the moved others repaired.

    What was not moved stays. The result may be infeasible only where the clean row is.
    """
    changed = find_moved_units(constraints, region.clean, points)
    changed[np.arange(len(points)), unit] = False
    narrow = region.pinned(units_to_columns(constraints, ~changed))
    kept = units_to_columns(constraints, changed)
    proposed = np.where(kept, points, region.clean)
    return repair_rows(
        constraints, narrow, proposed, effort=RepairEffort.FULL, limits=LIMITS
    ).points


@dataclass(slots=True)
class _MinimalChangeSearch:
    constraints: RowConstraints
    region: ReachableBox
    broken: Oracle
    queries: int = 0

    def ask(self, points: Array, rows: NDArray[np.int64]) -> Mask:
        """Ask the oracle about rows, and keep count."""
        self.queries += len(points)
        if not len(points):
            return np.zeros(0, dtype=np.bool_)
        return np.asarray(self.broken(points, rows), dtype=np.bool_)

    def _accept(self, found: Array, trial: Array, tried: Mask, rows: NDArray[np.int64]) -> Mask:
        """Put the trials that are feasible and broken into ``found``; say which those were."""
        changed = (trial != self.region.clean[rows]).any(axis=1)
        good = tried & changed
        asked = np.flatnonzero(good)
        asked = asked[
            find_feasible_rows(self.constraints, self.region.take(rows[asked]), trial[asked])
        ]
        taken = asked[self.ask(trial[asked], rows[asked])]
        found[taken] = trial[taken]
        accepted = np.zeros(len(found), dtype=np.bool_)
        accepted[taken] = True
        return accepted

    def reverted(self, points: Array, rows: NDArray[np.int64]) -> Array:
        """Put units back until none can be."""
        found, region = points.copy(), self.region.take(rows)
        active = np.arange(len(found))
        while active.size:
            part, again = region.take(active), np.zeros(len(active), dtype=np.bool_)
            prices = price_moves(self.constraints, part.clean, found[active])
            for rank in range(len(self.constraints.units)):
                unit = np.argsort(prices, axis=1, kind="stable")[:, rank]
                current = found[active]
                due = find_moved_units(self.constraints, part.clean, current)[
                    np.arange(len(active)), unit
                ]
                trial = current.copy()
                if due.any():
                    trial[due] = restore_unit(
                        self.constraints, part.take(due), current[due], unit[due]
                    )
                again |= self._accept(current, trial, due, rows[active])
                found[active] = current
            active = active[again]
        return found

    def shrunk(self, points: Array, rows: NDArray[np.int64]) -> Array:
        """Bisect each moved number towards its clean value."""
        found, region = points.copy(), self.region.take(rows)
        for index, unit in enumerate(self.constraints.units):
            due = find_moved_units(self.constraints, region.clean, found)[:, index]
            if unit.choice or not due.any():
                continue
            column = unit.columns[0]
            start, clean = found[:, column].astype(np.float64), region.exact[:, column]
            # Between `near` (not broken) and `far` (broken), as shares of the way that was gone.
            near, far = np.zeros(len(found)), np.ones(len(found))
            for _ in range(HALVINGS):
                middle = (near + far) / 2
                proposed = found.astype(np.float64)
                proposed[:, column] = clean + middle * (start - clean)
                changed = find_moved_units(self.constraints, region.clean, found)
                narrow = region.pinned(units_to_columns(self.constraints, ~changed))
                trial = repair_rows(
                    self.constraints, narrow, proposed, effort=RepairEffort.FAST
                ).points
                less = self._total(region, trial) < self._total(region, found)
                accepted = self._accept(found, trial, due & less, rows)
                near, far = np.where(accepted, near, middle), np.where(accepted, middle, far)
        return found

    def _total(self, region: ReachableBox, points: Array) -> Floats:
        return np.asarray(price_moves(self.constraints, region.clean, points).sum(axis=1))
