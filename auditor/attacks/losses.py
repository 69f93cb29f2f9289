"""What an attack climbs: losses of logits, with their gradients."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

Labels = NDArray[np.int64]
Loss = Callable[[Floats, Labels], tuple[Floats, Floats]]
"""``[n, classes]`` logits and labels to a value a row and its gradient in the logits."""

CLASSES_FOR_DLR = 3


def softmax(logits: Floats) -> Floats:
    """Return ``[n, classes]`` probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def cross_entropy(logits: Floats, labels: Labels) -> tuple[Floats, Floats]:
    """Return ``log sum_{c != y} exp(z_c) - z_y`` and its gradient.

    The cross-entropy is ``log(1 + exp)`` of it: both order points alike and climb the same way,
    and an ascent that goes by order and sign cannot tell them apart. This form still has a
    gradient where the label's probability rounds to 1.
    """
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, labels] = -np.inf
    highest = others.max(axis=1, keepdims=True)
    value = highest[:, 0] + np.log(np.exp(others - highest).sum(axis=1)) - logits[rows, labels]
    gradient = softmax(others)
    gradient[rows, labels] = -1.0
    return value, gradient


def margin(logits: Floats, labels: Labels) -> tuple[Floats, Floats]:
    """Return ``max_{c != y} p_c - p_y`` and its gradient (probability margin, arXiv 2411.15210)."""
    rows = np.arange(len(logits))
    shares = softmax(logits)
    rival = _rival(logits, labels)
    value = shares[rows, rival] - shares[rows, labels]
    cotangent = np.zeros_like(shares)
    cotangent[rows, rival] += 1.0
    cotangent[rows, labels] -= 1.0
    gradient = shares * (cotangent - value[:, None])
    return value, gradient


def dlr(logits: Floats, labels: Labels) -> tuple[Floats, Floats]:
    """Return the difference of logits ratio and its gradient (Croce & Hein 2020, equation 6).

    Raises ``ValueError`` for fewer than three classes, where the ratio is not defined.
    """
    if logits.shape[1] < CLASSES_FOR_DLR:
        message = "the difference of logits ratio needs at least three classes"
        raise ValueError(message)
    rows = np.arange(len(logits))
    order = np.argsort(logits, axis=1)
    first, third = order[:, -1], order[:, -3]
    rival = _rival(logits, labels)
    above = logits[rows, rival] - logits[rows, labels]
    spread = np.maximum(logits[rows, first] - logits[rows, third], np.finfo(np.float64).tiny)
    value = above / spread
    gradient = np.zeros_like(logits)
    gradient[rows, rival] += 1.0
    gradient[rows, labels] -= 1.0
    gradient[rows, first] -= value
    gradient[rows, third] += value
    return value, gradient / spread[:, None]


def score_margin(scores: Floats, labels: Labels) -> Floats:
    """Return the best other score minus the label's: positive where the row is wrong."""
    rows = np.arange(len(scores))
    ahead: Floats = scores[rows, _rival(scores, labels)] - scores[rows, labels]
    return ahead


def _rival(scores: Floats, labels: Labels) -> Labels:
    others = scores.copy()
    others[np.arange(len(scores)), labels] = -np.inf
    best: Labels = others.argmax(axis=1).astype(np.int64)
    return best


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": cross_entropy,
    "margin": margin,
    "dlr": dlr,
}
