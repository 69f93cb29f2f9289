"""What an attack climbs: losses of logits, with their gradients."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.norms import N
from auditor.domain.tasks import Floats

Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]
CLASSES_FOR_DLR = 3


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """Row by row, the classes whose scores an attack raises and lowers: ``[n, classes]`` each.

    Untargeted: ``away`` from the label, ``toward`` all others. Targeted: ``toward`` one class.
    """

    toward: Mask
    away: Mask

    def take(self, keep: NDArray[np.generic]) -> "Aim":
        """Return the aim of some rows."""
        return Aim(self.toward[keep], self.away[keep])


Loss = Callable[[Floats, Aim], tuple[Floats, Floats]]
"""``[n, classes]`` logits and an aim to a value a row and its gradient in the logits."""


def untargeted(labels: Labels, classes: int) -> Aim:
    """Return the aim away from the labels."""
    away = np.zeros((len(labels), classes), dtype=np.bool_)
    away[np.arange(len(labels)), labels] = True
    return Aim(~away, away)


def softmax(logits: Floats) -> Floats:
    """Return ``[n, classes]`` probabilities."""
    scores = _by_class(logits)
    powers = np.exp(scores - scores.max(axis=0))
    powers /= powers.sum(axis=0)
    return np.asarray(powers.T)


def cross_entropy(logits: Floats, aim: Aim) -> tuple[Floats, Floats]:
    """Return ``log sum_toward exp(z) - log sum_away exp(z)`` and its gradient.

    Untargeted, the cross-entropy is ``log(1 + exp)`` of it: both order points alike and climb the
    same way, and an ascent that goes by order and sign cannot tell them apart. This form still has
    a gradient where the label's probability rounds to 1. An aim with no class to lower raises
    the plain score.
    """
    scores = _by_class(logits)
    up, pulled = _log_sum(scores, _by_class(aim.toward))
    down, pushed = _log_sum(scores, _by_class(aim.away))
    pulled -= pushed
    return up - down, np.asarray(pulled.T)


def margin(logits: Floats, aim: Aim) -> tuple[Floats, Floats]:
    """Return ``max_toward p - max_away p`` and its gradient (probability margin, arXiv 2411.15210).

    Where there is one score and no other (regression) it is raised as it is.
    """
    if logits.shape[1] == 1:
        return cross_entropy(logits, aim)
    rows = np.arange(len(logits))
    shares = softmax(logits)
    rival, own = _best(logits, aim.toward), _best(logits, aim.away)
    value = shares[rows, rival] - shares[rows, own]
    cotangent = np.zeros_like(shares)
    cotangent[rows, rival] += 1.0
    cotangent[rows, own] -= 1.0
    gradient = shares * (cotangent - value[:, None])
    return value, gradient


def difference(logits: Floats, aim: Aim) -> tuple[Floats, Floats]:
    """Return ``max_toward z - max_away z`` and its gradient."""
    rows = np.arange(len(logits))
    gradient = np.zeros_like(logits)
    value = np.zeros(len(logits))
    for mask, sign in ((aim.toward, 1.0), (aim.away, -1.0)):
        if mask.any():
            best = _best(logits, mask)
            gradient[rows, best] += sign
            value += sign * logits[rows, best]
    return value, gradient


def dlr(logits: Floats, aim: Aim) -> tuple[Floats, Floats]:
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
    above, gradient = difference(logits, aim)
    targeted = logits.shape[1] > CLASSES_FOR_DLR and bool((aim.toward.sum(axis=1) == 1).all())
    lower = (order[:, -3], order[:, -4]) if targeted else (order[:, -3],)
    first = order[:, -1]
    third = sum((logits[rows, place] for place in lower), np.zeros(len(logits))) / len(lower)
    spread = np.maximum(logits[rows, first] - third, np.finfo(np.float64).tiny)
    value = above / spread
    gradient[rows, first] -= value
    for place in lower:
        gradient[rows, place] += value / len(lower)
    return value, gradient / spread[:, None]


def ahead(scores: Floats, aim: Aim) -> Floats:
    """Return the best score to raise minus the best to lower: positive where the aim is reached."""
    up = np.where(aim.toward, scores, -np.inf).max(axis=1)
    down = np.where(aim.away, scores, -np.inf).max(axis=1)
    found: Floats = np.where(aim.away.any(axis=1), up - down, up)
    return np.where(aim.toward.any(axis=1), found, -np.inf)


def score_margin(scores: Floats, labels: Labels) -> Floats:
    """Return the best other score minus the label's: positive where the row is wrong."""
    return ahead(scores, untargeted(labels, scores.shape[1]))


def _best(logits: Floats, mask: Mask) -> Labels:
    chosen: Labels = np.where(mask, logits, -np.inf).argmax(axis=1).astype(np.int64)
    return chosen


def _by_class(values: NDArray[N]) -> NDArray[N]:
    """Return ``[classes, n]``: numpy goes through many short rows several times as slowly."""
    return np.ascontiguousarray(values.T)


def _log_sum(scores: Floats, mask: Mask) -> tuple[Floats, Floats]:
    """Return ``log sum exp`` over a mask and its gradient; zeros for rows with an empty mask.

    All are ``[classes, n]``.
    """
    some: Mask = np.asarray(mask.any(axis=0))
    chosen = np.where(mask if some.all() else mask | ~some, scores, -np.inf)
    highest = chosen.max(axis=0)
    powers = np.exp(chosen - highest)
    total = powers.sum(axis=0)
    powers /= total
    value = highest + np.log(total)
    if some.all():
        return value, powers
    return np.where(some, value, 0.0), np.where(some, powers, 0.0)


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": cross_entropy,
    "margin": margin,
    "difference": difference,
    "dlr": dlr,
}
