"""Privacy loss distributions: discretisation, composition by FFT, and bounds on epsilon.

Losses are rounded onto a grid both up and down, so that the true epsilon lies between two bounds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import logsumexp, ndtr, ndtri

from auditor.domain.privacy_claims import AdjacencyRelation
from auditor.domain.tasks import Floats

MOST_LOSS = 600.0
"""Beyond it e^loss is not worked out, and no epsilon."""
Quantile = Callable[[Floats], Floats]
"""Gives the outcome at which the loss reaches given values."""


@dataclass(frozen=True, slots=True, eq=False)
class PrivacyLossCells:
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

    def turned(self) -> "PrivacyLossCells":
        """Return the cells of the pair the other way round, of log(Q/P)."""
        last = self.first + len(self.p)
        return PrivacyLossCells(
            self.step,
            -last,
            self.q[::-1],
            self.p[::-1],
            self.above[::-1],
            self.below[::-1],
            -self.offset,
        )


@dataclass(frozen=True, slots=True, eq=False)
class PrivacyLossGrid:
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


def removal_loss_cells(
    noise: float, rate: float, step: float, tail: float, offset: float = 0.0
) -> PrivacyLossCells:
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


def replacement_loss_cells(
    noise: float, rate: float, step: float, tail: float, offset: float = 0.0
) -> PrivacyLossCells:
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
) -> PrivacyLossCells:
    step, offset = grid
    first = math.floor((ends[0] - offset) / step)
    last = math.ceil((ends[1] - offset) / step)
    x = outcome(offset + np.arange(first, last + 1, dtype=np.float64) * step)
    masses = [_masses(x / noise, rate, 1 / noise) for rate in rates]
    (below_p, p, above_p), (below_q, q, above_q) = masses
    return PrivacyLossCells(step, first, p, q, (below_p, below_q), (above_p, above_q), offset)


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


def round_loss_up(cells: PrivacyLossCells) -> PrivacyLossGrid:
    """Put the loss onto the grid so that no epsilon comes out smaller than it is.

    Each cell's mass goes to its two ends so that its P and its Q are kept, which joins the dots of
    the hockey-stick curve: Doroshenko, Ghazi, Kamath, Kumar and Manurangsi (2022), PoPETs,
    algorithm 1.
    """
    over = cells.p - _scaled(cells, cells.points[:-1])
    to_upper = np.clip(over / -math.expm1(-cells.step), 0.0, cells.p)
    mass = _placed(cells, to_upper)
    mass[0] += cells.below[0]
    return PrivacyLossGrid(cells.step, cells.first, mass, cells.above[0], cells.offset)


def round_loss_down(cells: PrivacyLossCells) -> PrivacyLossGrid:
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
    return PrivacyLossGrid(cells.step, cells.first, mass, 0.0, cells.offset)


def _scaled(cells: PrivacyLossCells, losses: Floats) -> Floats:
    """Return e^loss times Q of each cell, where e^loss alone may not fit into a number."""
    with np.errstate(divide="ignore"):
        scaled: Floats = np.exp(losses + np.log(cells.q))
    return scaled


def _placed(cells: PrivacyLossCells, to_upper: Floats) -> Floats:
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


TILTS = np.geomspace(1e-2, 1e2, 25)
ROUNDING = 2.0**-48
"""What the transforms may err by in a sum of masses, a step: 16 units in the last place."""


@dataclass(frozen=True, slots=True, eq=False)
class ComposedPrivacyLoss:
    """The loss of all steps together on a grid, of which at most ``unsure`` mass is misplaced."""

    loss: PrivacyLossGrid
    unsure: float

    def deltas(self, epsilons: Floats) -> Floats:
        """Return the delta at each epsilon, all of them at least 0."""
        losses, (mass, scaled) = self._tails()
        above = np.searchsorted(losses, epsilons, side="right")
        return np.maximum(0.0, mass[above] - np.exp(epsilons) * scaled[above]) + self.loss.infinite

    def epsilon(self, delta: float) -> float:
        """Return the least epsilon, at least 0, with at most ``delta``; infinity if none has."""
        if delta <= self.loss.infinite:
            return math.inf
        losses, (mass, scaled) = self._tails()
        kept = delta - self.loss.infinite
        # At a loss of the grid only what lies above it counts.
        with np.errstate(divide="ignore"):
            at_points = mass[1:] - np.exp(losses + np.log(scaled[1:]))
        below = int(np.argmax(at_points <= kept)) if (at_points <= kept).any() else len(losses)
        if mass[below] <= kept:
            return 0.0
        if scaled[below] <= 0:  # e^-loss is too small a number
            return float(losses[below - 1])
        return max(0.0, math.log(mass[below] - kept) - math.log(scaled[below]))

    def _tails(self) -> tuple[Floats, tuple[Floats, Floats]]:
        positive = self.loss.losses > 0
        losses, mass = self.loss.losses[positive], np.maximum(self.loss.mass[positive], 0.0)
        sums = (
            np.append(np.cumsum(item[::-1])[::-1], 0.0) for item in (mass, mass * np.exp(-losses))
        )
        first, second = sums
        return losses, (first, second)


def compose_loss(loss: PrivacyLossGrid, steps: int, tail: float) -> ComposedPrivacyLoss:
    """Return the loss of ``steps`` steps; at most ``tail`` lies outside of the window on a side.

    The window is found by Chernoff's bound, as in Koskela, Jälkö and Honkela (2020), AISTATS.
    """
    low, high = _window(loss, steps, tail)
    size = next_fast_len(max(high - low, len(loss.mass)) + 1, real=True)
    powered = irfft(rfft(loss.mass, size) ** steps, size)
    # The transform wraps around: index k stands for all losses that differ by a whole window.
    start = loss.first * steps
    mass = np.roll(powered, -((low - start) % size))
    infinite = -math.expm1(steps * math.log1p(-min(loss.infinite, 0.5)))
    whole = PrivacyLossGrid(loss.step, low, mass, infinite, steps * loss.offset)
    return ComposedPrivacyLoss(whole, 2 * tail + steps * ROUNDING)


def _window(loss: PrivacyLossGrid, steps: int, tail: float) -> tuple[int, int]:
    kept = loss.mass > 0
    losses = (loss.first + np.arange(len(loss.mass))[kept]) * loss.step
    weights = np.log(loss.mass[kept])
    ends = []
    for side in (-1.0, 1.0):
        tilts = TILTS / max(loss.step, float(np.sqrt(np.exp(weights) @ losses**2 * steps)))
        spread = [float(logsumexp(weights + side * tilt * losses)) for tilt in tilts]
        reach = (steps * np.array(spread) - math.log(tail)) / tilts
        ends.append(side * float(np.min(reach)) / loss.step)
    low = max(math.floor(ends[0]), loss.first * steps)
    high = min(math.ceil(ends[1]), (loss.first + len(loss.mass) - 1) * steps)
    return low, max(high, low)


NARROW = 0.002
"""The width at which a bracket is left as it is, as a share of epsilon."""
MOST_CELLS = 1 << 18
MOST_HALVINGS = 6
FINENESS, COARSEST = 16, 0.01
"""Points of the first grid a standard deviation of one step's loss, and its largest step."""
LEFT_OUT = 1e-6
"""The share of delta that may lie outside of what is worked out."""


@dataclass(frozen=True, slots=True)
class DpSgdSteps:
    """A mechanism: ``count`` steps of Gaussian noise, of ``noise`` clips, each on a Poisson sample.

    A record enters a step with chance ``rate``. Raises ``ValueError`` for what is none.
    """

    noise: float
    rate: float
    count: int
    adjacency: AdjacencyRelation = AdjacencyRelation.ADD_REMOVE

    def __post_init__(self) -> None:
        """Refuse what is no mechanism."""
        if not (self.noise > 0 and 0 < self.rate <= 1 and self.count >= 1):
            message = "noise must be positive, a rate within 0 and 1, and there must be a step"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class EpsilonBounds:
    """Two epsilons between which the true one lies; ``high`` may be infinite."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """How far the bounds lie apart, as a share of the upper one."""
        return math.inf if math.isinf(self.high) else (self.high - self.low) / max(self.high, 1e-9)


@dataclass(frozen=True, slots=True, eq=False)
class PrivacyComposition:
    """All steps together, as seen when a record comes in and when it goes, from above or below."""

    sides: tuple[ComposedPrivacyLoss, ...]
    above: bool

    def epsilon(self, delta: float) -> float:
        """Return the bound on epsilon: the larger of both sides. Beyond ``MOST_LOSS`` none is
        worked out.
        """
        found = max(
            side.epsilon(delta - side.unsure if self.above else delta + side.unsure)
            for side in self.sides
        )
        if found > MOST_LOSS:
            return math.inf if self.above else MOST_LOSS
        return found

    def deltas(self, epsilons: Floats) -> Floats:
        """Return the bounds on delta at each epsilon of at least 0."""
        found = np.max([side.deltas(epsilons) for side in self.sides], axis=0)
        unsure = max(side.unsure for side in self.sides)
        bounds: Floats = np.clip(found + (unsure if self.above else -unsure), 0.0, 1.0)
        return bounds


def epsilon_bounds(steps: DpSgdSteps, delta: float) -> EpsilonBounds:
    """Return bounds on the least epsilon that the steps keep at ``delta``.

    The grid is made finer until both agree within ``NARROW``, or would grow too large.
    """
    step = initial_grid_step(steps)
    best = EpsilonBounds(0.0, math.inf)
    for _ in range(MOST_HALVINGS):
        tail = delta * LEFT_OUT / steps.count
        cells = _cells(steps, step, tail)
        low = compose_cells(_centred(steps, cells, tail), steps, delta, above=False).epsilon(delta)
        high = compose_cells(cells, steps, delta, above=True).epsilon(delta)
        best = EpsilonBounds(max(best.low, low), min(best.high, high))
        if math.isinf(high):  # delta is below what can be resolved, however fine the grid
            break
        if best.width <= NARROW or 2 * max(len(item.p) for item in cells) > MOST_CELLS:
            break
        step /= 2
    return best


def compose_steps(steps: DpSgdSteps, delta: float, *, above: bool) -> PrivacyComposition:
    """Return all steps together on a grid that is fine enough for epsilons near ``delta``."""
    tail = delta * LEFT_OUT / steps.count
    cells = _cells(steps, initial_grid_step(steps) / 2, tail)
    cells = cells if above else _centred(steps, cells, tail)
    return compose_cells(cells, steps, delta, above=above)


def compose_cells(
    cells: tuple[PrivacyLossCells, ...], steps: DpSgdSteps, delta: float, *, above: bool
) -> PrivacyComposition:
    """Put one step's cells onto the grid, from above or below, and compose them."""
    put = round_loss_up if above else round_loss_down
    tail = delta * LEFT_OUT
    return PrivacyComposition(
        tuple(compose_loss(put(item), steps.count, tail) for item in cells), above
    )


def initial_grid_step(steps: DpSgdSteps) -> float:
    """Return a grid's step: a part of one step's spread, and not more cells than can be held."""
    with np.errstate(over="ignore"):
        spread = steps.rate * float(np.sqrt(np.expm1(steps.noise**-2.0)))
    # About the loss beyond which hardly anything lies: seven standard deviations out.
    reach = max(1.0, (1 + 14 * steps.noise) / (2 * steps.noise**2) + math.log(steps.rate))
    return max(min(spread / FINENESS, COARSEST), reach / (MOST_CELLS / 4))


def _cells(steps: DpSgdSteps, step: float, tail: float) -> tuple[PrivacyLossCells, ...]:
    cut = _cut_of(steps, step, tail)(0.0)
    return (cut,) if steps.adjacency is AdjacencyRelation.REPLACE else (cut, cut.turned())


def _centred(
    steps: DpSgdSteps, cells: tuple[PrivacyLossCells, ...], tail: float
) -> tuple[PrivacyLossCells, ...]:
    """Cut again so that most of the mass lies about a point of the grid, and little is rounded."""
    cut = _cut_of(steps, cells[0].step, tail)
    first, *others = cells
    return (cut(first.fullest), *(cut(-other.fullest).turned() for other in others))


def _cut_of(steps: DpSgdSteps, step: float, tail: float) -> Callable[[float], PrivacyLossCells]:
    replaced = steps.adjacency is AdjacencyRelation.REPLACE
    cut = replacement_loss_cells if replaced else removal_loss_cells
    return partial(cut, steps.noise, steps.rate, step, max(tail, 1e-250))
