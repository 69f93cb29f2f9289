"""What a model that gives labels alone says of a row: how much noise its decision bears."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auditor.domain.datasets import TEXT
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Classification, Floats, InputSpace
from auditor.shadows.features import numbers
from auditor.shadows.stacks import Stack, chunks

SCALES = (0.25, 0.5, 1.0)
"""Noise in standard deviations of each coordinate; a column of two values is flipped instead."""
FLIPS = 0.2
"""How often such a column is flipped, a unit of noise."""
TWO = 2
Decide = Callable[[Array], NDArray[np.int64]]


def decided(subject: Subject, probabilities: Floats) -> NDArray[np.int64]:
    """Return the class ``[n]`` of each row. Raises ``TypeError`` where nothing is classified."""
    if not isinstance(subject.task, Classification):
        message = "decisions are those of a classification"
        raise TypeError(message)
    return subject.task.decide(probabilities)


def steadiness(
    subject: Subject, inputs: Array, labels: NDArray[np.int64], decide: Decide, copies: int
) -> Floats:
    """Return in what share ``[..., n]`` of noisy copies each row is given its label, itself too.

    Choquette-Choo et al. (2021, ICML), section 4.2: points that were trained on lie further from
    the decision boundary. ``decide`` is asked about the rows and ``copies`` times ``len(SCALES)``
    about noisy ones, which are the same for whoever is asked. One copy more on either side keeps
    shares from 0 and 1. Texts have no noise, and are told by their own decision.
    """
    hits, asked = (decide(inputs) == labels).astype(np.float64), 1
    if inputs.dtype.kind == TEXT:
        return _shares(hits, asked)
    rng = np.random.default_rng(subject.seed)
    noise = _Noise(inputs, subject.space)
    total = copies * len(SCALES)
    for scale in SCALES:
        for _ in range(copies):
            subject.progress(asked - 1, total, "asking for labels of noisy copies")
            hits += decide(noise.added(inputs, scale, rng)) == labels
            asked += 1
    return _shares(hits, asked)


def _shares(hits: Floats, asked: int) -> Floats:
    found: Floats = (hits + 1) / (asked + TWO)
    return found


def of_target(subject: Subject) -> Decide:
    """Return how the model decides on rows, at one query a row."""

    def decide(rows: Array) -> NDArray[np.int64]:
        if isinstance(subject.model, Gap):
            message = "there is no model to ask"
            raise TypeError(message)
        return decided(subject, subject.model.probabilities(subject.model.predict(rows)))

    return decide


def of_stack(subject: Subject, stack: Stack) -> Decide:
    """Return how stand-ins decide on rows, ``[k, n]``, by the rule by which the model does."""

    def decide(rows: Array) -> NDArray[np.int64]:
        features = numbers(rows)
        found = np.empty((stack.models, len(rows)), dtype=np.int64)
        for part in chunks(len(rows), stack.models * stack.classes):
            said = stack.probabilities(features[part]).astype(np.float64)
            found[:, part] = [decided(subject, one) for one in said]
        return found

    return decide


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
