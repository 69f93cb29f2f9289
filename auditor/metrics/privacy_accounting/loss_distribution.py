"""The privacy loss of one step, cut into cells and put onto a grid from above and from below."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from auditor.domain.tasks import Floats

MOST_LOSS = 600.0
"""Beyond it e^loss is not worked out, and no epsilon."""
Quantile = Callable[[Floats], Floats]
"""Gives the outcome at which the loss reaches given values."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A pair of distributions, cut where the privacy loss log(P/Q) crosses points of a grid.

    Cell ``i`` holds losses from ``offset + (first + i) * step`` to one step more, with masses
    ``p[i]`` and ``q[i]``. ``below`` and ``above`` are the masses ``(P, Q)`` of what lies outside.
    """

    step: float
    first: int
    p: Floats
    q: Floats
    below: tuple[float, float]
    above: tuple[float, float]
    offset: float = 0.0

    @property
    def points(self) -> Floats:
        """The losses ``[k + 1]`` between which the cells lie."""
        return self.offset + (self.first + np.arange(len(self.p) + 1, dtype=np.float64)) * self.step

    @property
    def fullest(self) -> float:
        """The loss of all that the fullest cell holds."""
        shared = np.minimum(self.p, self.q)
        at = int(np.argmax(shared))
        return math.log(self.p[at] / self.q[at]) if shared[at] > 0 else 0.0

    def turned(self) -> "Cells":
        """Return the cells of the pair the other way round, of log(Q/P)."""
        last = self.first + len(self.p)
        return Cells(
            self.step,
            -last,
            self.q[::-1],
            self.p[::-1],
            self.above[::-1],
            self.below[::-1],
            -self.offset,
        )


@dataclass(frozen=True, slots=True, eq=False)
class OnGrid:
    """Masses ``[k]`` of losses ``offset + (first + i) * step``, and that of infinite ones."""

    step: float
    first: int
    mass: Floats
    infinite: float = 0.0
    offset: float = 0.0

    @property
    def losses(self) -> Floats:
        """The losses ``[k]`` of the grid."""
        return self.offset + (self.first + np.arange(len(self.mass), dtype=np.float64)) * self.step


def cells_of_removal(
    noise: float, rate: float, step: float, tail: float, offset: float = 0.0
) -> Cells:
    """Cut one step that holds a record with chance ``rate``, against one that never holds it.

    P is the mixture of N(0, noise²) and N(1, noise²), Q is N(0, noise²): Zhu, Dong and Wang
    (2022), AISTATS, theorem 11. At most ``tail`` of either is left outside.
    """

    def loss(x: float) -> float:
        inside = math.log(rate) + (2 * x - 1) / (2 * noise**2)
        return inside if rate >= 1 else float(np.logaddexp(math.log1p(-rate), inside))

    def outcome(losses: Floats) -> Floats:
        if rate >= 1:
            return noise**2 * losses + 0.5
        possible = losses > math.log1p(-rate)
        kept = np.where(possible, losses, 0.0)
        with np.errstate(divide="ignore", over="ignore"):
            inside = np.log1p(np.maximum(np.expm1(kept) / rate, -1.0))
        return np.where(possible, noise**2 * inside + 0.5, -np.inf).astype(np.float64)

    reach = -float(ndtri(tail)) * noise
    least = loss(-reach) if rate >= 1 else math.log1p(-rate)
    return _cut(noise, (rate, 0.0), outcome, (least, loss(1 + reach)), (step, offset))


def cells_of_replacement(
    noise: float, rate: float, step: float, tail: float, offset: float = 0.0
) -> Cells:
    """Cut one step that holds a record with chance ``rate``, against one that holds another.

    P mixes N(0, noise²) and N(1, noise²), Q mixes N(0, noise²) and N(-1, noise²): two records
    whose clipped gradients are opposite. Schuchardt et al. (2024), NeurIPS, section 3.3. The pair
    is its own mirror image.
    """
    apart = math.log(rate) - 1 / (2 * noise**2)

    def side(x: float) -> float:
        inside = apart + x / noise**2
        return inside if rate >= 1 else float(np.logaddexp(math.log1p(-rate), inside))

    def outcome(losses: Floats) -> Floats:
        if rate >= 1:
            return losses * noise**2 / 2
        # s u² + (1 - rate)(1 - e^loss) u - s e^loss = 0 for u = e^(x / noise²).
        away = np.abs(losses)
        with np.errstate(divide="ignore"):
            shift = math.log((1 - rate) / 2) + away + np.log(-np.expm1(-away))
        root = np.logaddexp(2 * shift, 2 * apart + away) / 2
        found: Floats = np.copysign(noise**2 * (np.logaddexp(shift, root) - apart), losses)
        return found

    reach = 1 - float(ndtri(tail)) * noise
    most = side(reach) - side(-reach)
    return _cut(noise, (rate, -rate), outcome, (-most, most), (step, offset))


def _cut(
    noise: float,
    rates: tuple[float, float],
    outcome: Quantile,
    ends: tuple[float, float],
    grid: tuple[float, float],
) -> Cells:
    step, offset = grid
    first = math.floor((ends[0] - offset) / step)
    last = math.ceil((ends[1] - offset) / step)
    x = outcome(offset + np.arange(first, last + 1, dtype=np.float64) * step)
    masses = [_masses(x / noise, rate, 1 / noise) for rate in rates]
    (below_p, p, above_p), (below_q, q, above_q) = masses
    return Cells(step, first, p, q, (below_p, below_q), (above_p, above_q), offset)


def _masses(x: Floats, rate: float, shift: float) -> tuple[float, Floats, float]:
    """Return the mass below, between and above cuts ``x`` of a mixture of standard normals.

    The second has mean ``shift`` and weight ``rate``; a negative rate puts it at ``-shift``.
    """
    low, between, high = _normal(x)
    if not rate:
        return low, between, high
    moved = _normal(x - math.copysign(shift, rate))
    share = abs(rate)
    return (
        (1 - share) * low + share * moved[0],
        (1 - share) * between + share * moved[1],
        (1 - share) * high + share * moved[2],
    )


def _normal(x: Floats) -> tuple[float, Floats, float]:
    # Differences are taken in the tail in which both ends are small.
    middle = (x[1:] + x[:-1]) > 0
    between = np.where(middle, ndtr(-x[:-1]) - ndtr(-x[1:]), ndtr(x[1:]) - ndtr(x[:-1]))
    return float(ndtr(x[0])), between, float(ndtr(-x[-1]))


def from_above(cells: Cells) -> OnGrid:
    """Put the loss onto the grid so that no epsilon comes out smaller than it is.

    Each cell's mass goes to its two ends so that its P and its Q are kept, which joins the dots of
    the hockey-stick curve: Doroshenko, Ghazi, Kamath, Kumar and Manurangsi (2022), PoPETs,
    algorithm 1.
    """
    over = cells.p - _scaled(cells, cells.points[:-1])
    to_upper = np.clip(over / -math.expm1(-cells.step), 0.0, cells.p)
    mass = _placed(cells, to_upper)
    mass[0] += cells.below[0]
    return OnGrid(cells.step, cells.first, mass, cells.above[0], cells.offset)


def from_below(cells: Cells) -> OnGrid:
    """Put the loss onto the grid so that no epsilon comes out larger than it is.

    What an adversary sees is made coarser: parts of two neighbouring cells are joined whose common
    loss is just that of the point between them, and what finds no partner is rounded down. By the
    data-processing inequality either can only hide. Joining begins at both tails and meets in the
    fullest cell, so that little is left over.
    """
    points = cells.points
    short = np.maximum(_scaled(cells, points[1:]) - cells.p, 0.0)  # of the point above a cell
    over = np.maximum(cells.p - _scaled(cells, points[:-1]), 0.0)  # the point below it
    peak, up = int(np.argmax(cells.p)), np.zeros(len(cells.p))
    up[:peak], taken = _join(short[:peak], over[1 : peak + 1])
    _, given = _join(over[:peak:-1], short[peak:-1][::-1])
    up[peak:-1] = given[::-1]
    if peak < len(up):
        up[peak] = min(up[peak], 1 - (taken[-1] if peak else 0.0))
    mass = _placed(cells, up * cells.p)
    mass[-1] += cells.above[0]
    return OnGrid(cells.step, cells.first, mass, 0.0, cells.offset)


def _scaled(cells: Cells, losses: Floats) -> Floats:
    """Return e^loss times Q of each cell, where e^loss alone may not fit into a number."""
    with np.errstate(divide="ignore"):
        scaled: Floats = np.exp(losses + np.log(cells.q))
    return scaled


def _placed(cells: Cells, to_upper: Floats) -> Floats:
    """Put ``to_upper`` of each cell at its upper end and the rest at its lower."""
    mass = np.zeros(len(cells.p) + 1)
    mass[:-1] += cells.p - to_upper
    mass[1:] += to_upper
    return mass


def _join(mine: Floats, theirs: Floats) -> tuple[Floats, Floats]:
    """Return which share of each cell is joined at its point, and which of the next it takes.

    All that the cell before left over is spent, as far as the next cell can match it.
    """
    given, taken, used = np.zeros(len(mine)), np.zeros(len(mine)), 0.0
    for at, (offered, matching) in enumerate(zip(mine.tolist(), theirs.tolist(), strict=True)):
        rest = 1 - used
        if rest * offered <= matching:
            used = rest * offered / matching if matching else 0.0
            given[at] = rest
        else:
            used, given[at] = 1.0, matching / offered
        taken[at] = used
    return given, taken
