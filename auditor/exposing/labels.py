"""What a model that gives labels alone says of a row: how much noise its decision bears."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import TEXT
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Classification, Floats, InputSpace

SCALES = (0.25, 0.5, 1.0)
"""Noise in standard deviations of each coordinate; a column of two values is flipped instead."""
FLIPS = 0.2
"""How often such a column is flipped, a unit of noise."""
TWO = 2


def decided(subject: Subject, probabilities: Floats) -> NDArray[np.int64]:
    """Return the class ``[n]`` of each row. Raises ``TypeError`` where nothing is classified."""
    if not isinstance(subject.task, Classification):
        message = "decisions are those of a classification"
        raise TypeError(message)
    return subject.task.decide(probabilities)


def steadiness(
    subject: Subject,
    inputs: Array,
    labels: NDArray[np.int64],
    right: NDArray[np.bool_],
    copies: int,
) -> Floats:
    """Return in what share ``[n]`` of noisy copies each row is given its label, itself included.

    Choquette-Choo et al. (2021, ICML), section 4.2: points that were trained on lie further from
    the decision boundary. ``right`` is what the row itself was given. One copy more on either side
    keeps shares from 0 and 1. Asks ``copies`` times ``len(SCALES)`` queries a row; texts have no
    noise, and are told by their own decision.
    """
    hits, asked = right.astype(np.float64), 1
    if inputs.dtype.kind == TEXT or isinstance(subject.model, Gap):
        return (hits + 1) / (asked + TWO)
    rng = np.random.default_rng(subject.seed)
    noise = _Noise(inputs, subject.space)
    total = copies * len(SCALES)
    for scale in SCALES:
        for _ in range(copies):
            subject.progress(asked - 1, total, "asking for labels of noisy copies")
            said = subject.model.predict(noise.added(inputs, scale, rng))
            hits += decided(subject, subject.model.probabilities(said)) == labels
            asked += 1
    return (hits + 1) / (asked + TWO)


class _Noise:
    """Noise of the size of each coordinate's spread, inside the space where one is known."""

    def __init__(self, inputs: Array, space: InputSpace | Gap) -> None:
        values = inputs.astype(np.float64)
        self.low, self.high = values.min(axis=0), values.max(axis=0)
        if not isinstance(space, Gap):
            shape = values.shape[1:]
            self.low = np.minimum(self.low, np.broadcast_to(space.low, shape))
            self.high = np.maximum(self.high, np.broadcast_to(space.high, shape))
        self.width = values.std(axis=0)
        edges = (values == values.min(axis=0)) | (values == values.max(axis=0))
        self.binary = edges.all(axis=0)
        self.ends = values.min(axis=0) + values.max(axis=0)

    def added(self, inputs: Array, scale: float, rng: np.random.Generator) -> Array:
        values = inputs.astype(np.float64)
        moved = values + scale * self.width * rng.normal(size=values.shape)
        flipped = np.where(rng.random(values.shape) < FLIPS * scale, self.ends - values, values)
        found = np.where(self.binary, flipped, np.clip(moved, self.low, self.high))
        if inputs.dtype.kind in "iub":
            found = np.rint(found)
        return found.astype(inputs.dtype)
