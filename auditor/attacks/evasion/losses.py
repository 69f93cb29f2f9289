"""Attack losses: functions of logits that an attack maximises, with their gradients."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.norms import N, marked_places
from auditor.domain.tasks import Floats

Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]
CLASSES_FOR_DLR = 3


@dataclass(frozen=True, eq=False)
class ClassMask:
    """A mask ``[n, classes]`` of one side of an aim, and what every look at it asks for again."""

    mask: Mask

    @cached_property
    def lone(self) -> Labels | None:
        """The only class of each row; ``None`` where some row has none or several."""
        counts = np.count_nonzero(self.mask, axis=1)
        return self.mask.argmax(axis=1) if (counts == 1).all() else None

    @cached_property
    def places(self) -> Labels | None:
        """Where the only class of each row stands in flat ``[classes, n]`` scores."""
        return None if self.lone is None else self.lone * len(self.lone) + np.arange(len(self.lone))

    @cached_property
    def some(self) -> Mask:
        """Which rows have a class at all."""
        return np.asarray(self.mask.any(axis=1))

    @cached_property
    def full(self) -> bool:
        """Whether every row has a class."""
        return bool(self.some.all())

    @cached_property
    def by_class(self) -> Mask:
        """The mask as ``[classes, n]``, with every class of a row that has none."""
        mask = self.mask.T if self.full else self.mask.T | ~self.some
        return np.ascontiguousarray(mask)


@dataclass(frozen=True, eq=False)
class LossAim:
    """Row by row, the classes whose scores an attack raises and lowers: ``[n, classes]`` each.

    Untargeted: ``away`` from the label, ``toward`` all others. Targeted: ``toward`` one class.
    """

    toward: Mask
    away: Mask

    @cached_property
    def up(self) -> ClassMask:
        """The side that is raised."""
        return ClassMask(self.toward)

    @cached_property
    def down(self) -> ClassMask:
        """The side that is lowered."""
        return ClassMask(self.away)

    @cached_property
    def slope(self) -> Floats:
        """1 for what is raised and -1 for what is lowered: ``[n, classes]``, not to be changed."""
        slope: Floats = self.toward.astype(np.float64) - self.away
        slope.setflags(write=False)
        return slope

    def take(self, keep: NDArray[np.generic]) -> "LossAim":
        """Return the aim of some rows, with what is known of them already."""
        rows = marked_places(keep)
        part = LossAim(self.toward.take(rows, axis=0), self.away.take(rows, axis=0))
        for mine, own in ((self.up, part.up), (self.down, part.down)):
            if mine.lone is not None:
                own.__dict__["lone"] = mine.lone.take(rows)
        return part


Loss = Callable[[Floats, LossAim], tuple[Floats, Floats]]
"""``[n, classes]`` logits and an aim to a value a row and its gradient in the logits."""


def untargeted_aim(labels: Labels, classes: int) -> LossAim:
    """Return the aim away from the labels."""
    away = np.zeros((len(labels), classes), dtype=np.bool_)
    away[np.arange(len(labels)), labels] = True
    return LossAim(~away, away)


def softmax(logits: Floats) -> Floats:
    """Return ``[n, classes]`` probabilities."""
    return np.asarray(_shares(_by_class(logits)).T)


def cross_entropy(logits: Floats, aim: LossAim) -> tuple[Floats, Floats]:
    """Return ``log sum_toward exp(z) - log sum_away exp(z)`` and its gradient.

    Untargeted, the cross-entropy is ``log(1 + exp)`` of it: both order points alike and climb the
    same way, and an ascent that goes by order and sign cannot tell them apart. This form still has
    a gradient where the label's probability rounds to 1. An aim with no class to lower raises
    the plain score.
    """
    scores = _by_class(logits)
    if aim.up.places is not None and aim.down.places is not None:
        return _apart(scores, aim.up.places, aim.down.places), aim.slope
    up, pulled = _log_sum(scores, aim.up)
    if aim.down.places is None:
        down, pushed = _log_sum(scores, aim.down)
        pulled -= pushed
        return up - down, np.asarray(pulled.T)
    # The sum over one class is its score, and the slope of that is 1.
    pulled.reshape(-1)[aim.down.places] -= 1.0
    return up - scores.reshape(-1).take(aim.down.places), np.asarray(pulled.T)


def probability_margin(logits: Floats, aim: LossAim) -> tuple[Floats, Floats]:
    """Return ``max_toward p - max_away p`` and its gradient (probability margin, arXiv 2411.15210).

    Where there is one score and no other (regression) it is raised as it is.
    """
    if logits.shape[1] == 1:
        return cross_entropy(logits, aim)
    scores = _by_class(logits)
    shares = _shares(scores)
    rival, own = _best(scores, aim.up), _best(scores, aim.down)
    value = _apart(shares, rival, own)
    if aim.up.lone is not None and aim.down.lone is not None:
        return value, np.asarray((shares * (aim.slope.T - value)).T)
    cotangent = np.zeros(shares.size)
    cotangent[rival] += 1.0
    cotangent[own] -= 1.0
    return value, np.asarray((shares * (cotangent.reshape(shares.shape) - value)).T)


def logit_difference(logits: Floats, aim: LossAim) -> tuple[Floats, Floats]:
    """Return ``max_toward z - max_away z`` and its gradient."""
    scores = _by_class(logits)
    if aim.up.places is not None and aim.down.places is not None:
        return _apart(scores, aim.up.places, aim.down.places), aim.slope
    gradient, value = np.zeros(scores.size), np.zeros(len(logits))
    for side, sign in ((aim.up, 1.0), (aim.down, -1.0)):
        if side.some.any():
            best = _best(scores, side)
            gradient[best] += sign
            value += sign * scores.reshape(-1).take(best)
    return value, np.asarray(gradient.reshape(scores.shape).T)


def logit_ratio(logits: Floats, aim: LossAim) -> tuple[Floats, Floats]:
    """Return the difference of logits ratio and its gradient (Croce & Hein 2020, equations 6, 7).

    Aimed at one class of at least four, it is the targeted form, whose denominator takes the mean
    of the third and fourth largest logits. Raises ``ValueError`` for fewer than three classes,
    where the ratio is not defined.
    """
    if logits.shape[1] < CLASSES_FOR_DLR:
        message = "the difference of logits ratio needs at least three classes"
        raise ValueError(message)
    rows = np.arange(len(logits))
    order = np.argsort(logits, axis=1)
    above, gradient = logit_difference(logits, aim)
    targeted = logits.shape[1] > CLASSES_FOR_DLR and bool((aim.toward.sum(axis=1) == 1).all())
    lower = (order[:, -3], order[:, -4]) if targeted else (order[:, -3],)
    first = order[:, -1]
    third = sum((logits[rows, place] for place in lower), np.zeros(len(logits))) / len(lower)
    spread = np.maximum(logits[rows, first] - third, np.finfo(np.float64).tiny)
    value = above / spread
    gradient = gradient.copy()
    gradient[rows, first] -= value
    for place in lower:
        gradient[rows, place] += value / len(lower)
    return value, gradient / spread[:, None]


def score_lead(scores: Floats, aim: LossAim) -> Floats:
    """Return the best score to raise minus the best to lower: positive where the aim is reached."""
    up = np.where(aim.toward, scores, -np.inf).max(axis=1)
    down = np.where(aim.away, scores, -np.inf).max(axis=1)
    found: Floats = np.where(aim.away.any(axis=1), up - down, up)
    return np.where(aim.toward.any(axis=1), found, -np.inf)


def _apart(scores: Floats, up: Labels, down: Labels) -> Floats:
    """Return how far the scores at some flat places are above those at others."""
    flat = scores.reshape(-1)
    return np.asarray(flat.take(up) - flat.take(down))


def _best(scores: Floats, side: ClassMask) -> Labels:
    """Return where the best class of each row stands in flat ``[classes, n]`` scores."""
    if side.places is not None:
        return side.places
    rows = scores.shape[1]
    chosen = np.where(side.mask.T, scores, -np.inf).argmax(axis=0)
    return np.asarray(chosen * rows + np.arange(rows))


def _by_class(values: NDArray[N]) -> NDArray[N]:
    """Return ``[classes, n]``: numpy goes through many short rows several times as slowly."""
    return np.ascontiguousarray(values.T)


def _shares(scores: Floats) -> Floats:
    """Return the softmax of ``[classes, n]`` scores."""
    powers: Floats = scores - np.maximum.reduce(scores)
    np.exp(powers, out=powers)
    powers /= np.add.reduce(powers)
    return powers


def _log_sum(scores: Floats, side: ClassMask) -> tuple[Floats, Floats]:
    """Return ``log sum exp`` over a side and its gradient; zeros for rows with no class there.

    All are ``[classes, n]``.
    """
    powers = np.where(side.by_class, scores, -np.inf)
    highest = np.maximum.reduce(powers)
    powers -= highest
    np.exp(powers, out=powers)
    total = np.add.reduce(powers)
    powers /= total
    value = highest + np.log(total)
    if side.full:
        return value, powers
    return np.where(side.some, value, 0.0), np.where(side.some, powers, 0.0)


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": cross_entropy,
    "margin": probability_margin,
    "difference": logit_difference,
    "dlr": logit_ratio,
}
