"""What a search may do to a row: one unit to a limit or a code, or many units at random."""

from dataclasses import dataclass

import numpy as np

from auditor.attacks.constraints.reaching import Mask, Reach
from auditor.attacks.constraints.structure import Constraints
from auditor.domain.tasks import Floats

Odds = tuple[float, float, float, float]
YES_OR_NO = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Move:
    """One unit to its lower limit, to its upper one, or (``limit`` is ``None``) to a code.

    ``column`` is the quantity, the column with the code, or the member of a group that becomes 1.
    """

    unit: int
    column: int
    limit: bool | None = None
    code: float = 1.0


def single_moves(constraints: Constraints, region: Reach) -> list[Move]:
    """Return every move of one unit that is worth a query for some row."""
    found: list[Move] = []
    for index, unit in enumerate(constraints.units):
        first, columns = unit.columns[0], list(unit.columns)
        if not region.movable[:, columns].any():
            continue
        if not unit.choice:
            found += [Move(index, first, limit) for limit in (False, True)]
        elif len(columns) > 1:
            found += [Move(index, column) for column in columns]
        else:
            codes = constraints.features[first].categories or YES_OR_NO
            found += [Move(index, first, code=float(code)) for code in codes]
    return found


def carried_out(move: Move, constraints: Constraints, region: Reach, points: Floats) -> Floats:
    """Return ``[n, features]`` points with one unit moved, in rows where it can move."""
    found = points.copy()
    if move.limit is not None:
        ends = region.upper if move.limit else region.lower
        found[:, move.column] = ends[:, move.column]
        return found
    columns = list(constraints.units[move.unit].columns)
    values = np.where(np.array(columns) == move.column, move.code, 0.0)
    free = np.asarray(region.movable[:, columns].all(axis=1))
    found[:, columns] = np.where(free[:, None], values, found[:, columns])
    return found


def combined(moves: list[Move], constraints: Constraints, region: Reach, gains: Floats) -> Floats:
    """Return clean rows after the best move of each unit that gains by one.

    ``gains`` is ``[n, moves]``: by how much each move alone brought the row nearer to harm.
    """
    units = np.array([move.unit for move in moves], dtype=np.int64)
    best = np.full((len(gains), len(constraints.units)), -np.inf)
    for unit in np.unique(units):
        best[:, unit] = gains[:, units == unit].max(axis=1)
    helped: Mask = np.asarray(best > 0)
    points, done = region.exact, np.zeros_like(helped)
    for index, move in enumerate(moves):
        due = helped[:, move.unit] & (gains[:, index] == best[:, move.unit])
        due &= ~done[:, move.unit]
        done[due, move.unit] = True
        points[due] = carried_out(move, constraints, region.take(due), points[due])
    return points


def scattered(  # noqa: PLR0913, PLR0917 -- where, from where, how far and by what chance
    constraints: Constraints,
    region: Reach,
    points: Floats,
    part: float,
    odds: Odds,
    rng: np.random.Generator,
) -> Floats:
    """Return points with a share of each row's movable units, at least one, at new values.

    ``odds`` are those of a quantity to go to its lower limit, its upper one, anywhere between, or
    back to its clean value; what has codes takes another one.
    """
    chosen = _subset(constraints, region, part, rng)
    kinds = rng.choice(len(odds), size=points.shape, p=odds)
    between = rng.uniform(region.lower, region.upper)
    values = np.choose(kinds, [region.lower, region.upper, between, region.exact])
    for index, unit in enumerate(constraints.units):
        columns = list(unit.columns)
        now = points[:, columns]
        new = _other_codes(constraints, columns, now, rng) if unit.choice else values[:, columns]
        values[:, columns] = np.where(chosen[:, index, None], new, now)
    return np.asarray(values)


def _other_codes(
    constraints: Constraints, columns: list[int], now: Floats, rng: np.random.Generator
) -> Floats:
    if len(columns) > 1:
        # Repair lets the largest column of a group win: any but the one that it is now.
        return np.asarray(rng.random(now.shape) * (now < 1.0))
    codes = np.array(constraints.features[columns[0]].categories or YES_OR_NO)
    place = np.abs(now - codes).argmin(axis=1)
    step = rng.integers(1, max(2, len(codes)), len(now))
    return np.asarray(codes[(place + step) % len(codes)][:, None])


def _subset(constraints: Constraints, region: Reach, part: float, rng: np.random.Generator) -> Mask:
    free = [region.movable[:, unit.columns].any(axis=1) for unit in constraints.units]
    movable = np.stack(free, axis=1)
    draw = np.where(movable, rng.random(movable.shape), np.inf)
    rank = np.argsort(np.argsort(draw, axis=1), axis=1)
    count = np.maximum(1, np.rint(part * movable.sum(axis=1)))
    chosen: Mask = movable & (rank < count[:, None])
    return chosen
