"""Which moves to make together, guessed from what each of them brought alone."""

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.constraints.reaching import Mask, Reach
from auditor.attacks.constraints.repairing import feasible
from auditor.attacks.constraints.structure import Constraints
from auditor.attacks.tabular_moves import Move, carried_out
from auditor.domain.tasks import Array, Floats

Choices = NDArray[np.bool_]
Rows = NDArray[np.intp]
DRAWN = 128
"""Combinations that are drawn for each row; drawing and checking them asks nobody."""
MOST_NOISE = 1.0
"""How much chance there is in the last combination drawn, beside what the best move brings; there
is none in the first."""
WORST = -10.0
ROWS_AT_ONCE = 64


def guesses(  # noqa: PLR0913, PLR0917 -- what is known of the rows, and how many to make
    moves: list[Move],
    constraints: Constraints,
    region: Reach,
    gains: Floats,
    count: int,
    rng: np.random.Generator,
) -> Floats:
    """Return ``[count, n, features]`` possible rows whose moves promise most, the best first.

    ``gains`` is ``[n, moves]``: by how much each move alone brought the row nearer to harm (minus
    infinity: not known). A combination promises their sum, which is exact for a linear model. No
    repair is needed: combinations that break a relation are passed over. Where fewer are left the
    clean row fills up.
    """
    found = np.repeat(region.exact[None], count, axis=0)
    for start in range(0, len(gains), ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(gains)))
        chosen = _drawn(moves, constraints, gains[rows], rng)
        points, possible = _made(moves, constraints, region.take(rows), chosen)
        known = np.where(np.isfinite(gains[rows]), gains[rows], 0.0)
        promise = np.einsum("ndm,nm->nd", chosen, known)
        promise = np.where(possible, promise, -np.inf)
        for place, best in enumerate(_first_distinct(promise, count).T):
            good = possible[np.arange(len(rows)), best]
            found[place, rows[good]] = points[np.arange(len(rows)), best][good]
    return found


def _made(
    moves: list[Move], constraints: Constraints, region: Reach, chosen: Choices
) -> tuple[Floats, Mask]:
    """Return the rows ``[n, DRAWN, features]`` that combinations make, and which could exist."""
    wide = region.take(np.repeat(np.arange(len(chosen)), DRAWN))
    points, flat = wide.exact, chosen.reshape(-1, len(moves))
    for index, move in enumerate(moves):
        due = flat[:, index]
        points[due] = carried_out(move, constraints, wide.take(due), points[due])
    typed: Array = points.astype(region.clean.dtype)
    possible = feasible(constraints, wide, typed) & (typed != wide.clean).any(axis=1)
    return points.reshape(len(chosen), DRAWN, -1), possible.reshape(-1, DRAWN)


def _drawn(
    moves: list[Move], constraints: Constraints, gains: Floats, rng: np.random.Generator
) -> Choices:
    """Return combinations ``[n, DRAWN, moves]``, at most one move of each unit; first the best."""
    most = gains.max(axis=1, initial=0.0)
    scale = np.where(most > 0, most, 1.0)
    chance = np.linspace(0.0, MOST_NOISE, DRAWN)[:, None]
    chosen = np.zeros((len(gains), DRAWN, len(moves)), dtype=np.bool_)
    units = np.array([move.unit for move in moves])
    for unit in range(len(constraints.units)):
        own = np.flatnonzero(units == unit)
        if not own.size:
            continue
        stay = np.zeros((len(gains), 1))
        merit = np.hstack([stay, np.maximum(gains[:, own], WORST * scale[:, None])])
        noise = chance * rng.gumbel(size=(len(gains), DRAWN, 1 + len(own)))
        pick = (merit[:, None, :] / scale[:, None, None] + noise).argmax(axis=2)
        for place, move in enumerate(own):
            chosen[:, :, move] = pick == place + 1
    return chosen


def _first_distinct(promise: Floats, count: int) -> Rows:
    """Return the places of each row's highest promises, equal ones once."""
    order = np.argsort(-promise, axis=1, kind="stable")
    ranked = np.take_along_axis(promise, order, axis=1)
    again = np.zeros_like(ranked, dtype=np.bool_)
    again[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    first = np.argsort(again, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(order, first, axis=1)
