"""A model of the attacker's own, taught by the target's answers (Papernot et al. 2017,
arXiv 1602.02697, without further questions; Hinton et al. 2015, arXiv 1503.02531).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.losses import softmax
from auditor.domain.canonical import Json
from auditor.domain.tasks import Array, Floats

Mask = NDArray[np.bool_]
BATCH = 32
RATE, FIRST_DECAY, SECOND_DECAY, TINY = 3e-3, 0.9, 0.999, 1e-8
STILL = 1e-9
"""A spread of less than this share of the mean is rounding error."""
SHRINK = 1e-4
"""Weight decay, which keeps the surrogate smooth: its slopes carry over better."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """How a surrogate is taught: units of its hidden layer, and passes over the answers."""

    hidden: int
    epochs: int


@dataclass(slots=True, eq=False)
class Surrogate:
    """A network of one hidden layer beside a linear one; implements ``domain.subjects.Twin``.

    ``center`` and ``scale`` standardise each coordinate; a missing value stands at the center.
    """

    center: Floats
    scale: Floats
    first: Floats
    bias: Floats
    second: Floats
    direct: Floats
    offset: Floats
    distance: Mapping[str, float] = field(default_factory=dict)
    passes: int = 0
    _active: Mask = field(default_factory=lambda: np.zeros((0, 0), dtype=np.bool_))
    _known: Mask = field(default_factory=lambda: np.zeros((0, 0), dtype=np.bool_))
    _shape: tuple[int, ...] = ()

    @property
    def parts(self) -> tuple[Floats, ...]:
        """What is learned."""
        return (self.first, self.bias, self.second, self.direct, self.offset)

    @property
    def source(self) -> Mapping[str, Json]:
        """That it is a surrogate, and the digest of its weights."""
        weights = hashlib.sha256()
        for part in (self.center, self.scale, *self.parts):
            weights.update(np.ascontiguousarray(part).tobytes())
        return {"kind": "surrogate", "digest": f"sha256:{weights.hexdigest()}"}

    def forward(self, inputs: Array) -> Floats:
        """Return ``[n, classes]`` logits."""
        flat = inputs.reshape(len(inputs), -1).astype(np.float64)
        self._known, self._shape = ~np.isnan(flat), inputs.shape
        standard = np.where(self._known, (flat - self.center) / self.scale, 0.0)
        before = standard @ self.first + self.bias
        self._active = before > 0
        bent = np.maximum(before, 0.0) @ self.second
        logits: Floats = bent + standard @ self.direct + self.offset
        return logits

    def backward(self, cotangent: Floats) -> Floats:
        """Pull ``[n, classes]`` back through the last ``forward``."""
        self.passes += len(cotangent)
        inner = (cotangent @ self.second.T) * self._active
        along = inner @ self.first.T + cotangent @ self.direct.T
        gradient: Floats = along / self.scale * self._known
        return gradient.reshape(self._shape)


def teach(rows: Array, answers: Floats, lesson: Lesson, rng: np.random.Generator) -> Surrogate:
    """Return a surrogate of the target's ``answers``: ``[n, classes]`` probabilities of ``rows``.

    Adam (Kingma & Ba 2015, arXiv 1412.6980) on the cross-entropy with the answers, batches of 32.
    """
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    known = np.where(np.isnan(flat), 0.0, flat), (~np.isnan(flat)).sum(axis=0)
    center = known[0].sum(axis=0) / np.maximum(known[1], 1)
    away = np.where(np.isnan(flat), 0.0, flat - center)
    spread = np.sqrt((away * away).sum(axis=0) / np.maximum(known[1], 1))
    # A coordinate that never moves is as good as silent: its slope must not be the steepest.
    scale = np.where(spread > STILL * np.maximum(np.abs(center), TINY), spread, np.inf)
    size, classes = flat.shape[1], answers.shape[1]
    model = Surrogate(
        center=center,
        scale=scale,
        first=rng.normal(size=(size, lesson.hidden)) * np.sqrt(2 / size),
        bias=np.zeros(lesson.hidden),
        second=np.zeros((lesson.hidden, classes)),
        direct=np.zeros((size, classes)),
        offset=np.zeros(classes),
    )
    _Pupil(model, away / scale, answers).learn(lesson.epochs, rng)
    return model


@dataclass(slots=True, eq=False)
class _Pupil:
    """A surrogate in training on standardised rows."""

    model: Surrogate
    rows: Floats
    answers: Floats
    steps: int = 0
    means: list[Floats] = field(default_factory=list)
    squares: list[Floats] = field(default_factory=list)

    def learn(self, epochs: int, rng: np.random.Generator) -> None:
        self.means = [np.zeros_like(part) for part in self.model.parts]
        self.squares = [np.zeros_like(part) for part in self.model.parts]
        total = epochs * -(-len(self.rows) // BATCH)
        for _epoch in range(epochs):
            order = rng.permutation(len(self.rows))
            for begin in range(0, len(order), BATCH):
                rate = RATE * (1 + np.cos(np.pi * self.steps / total)) / 2
                self._step(order[begin : begin + BATCH], rate)

    def _step(self, chosen: Array, rate: float) -> None:
        first, bias, second, direct, offset = self.model.parts
        rows = self.rows[chosen]
        before = rows @ first + bias
        hidden = np.maximum(before, 0.0)
        said = softmax(hidden @ second + rows @ direct + offset)
        missed = (said - self.answers[chosen]) / len(rows)
        inner = (missed @ second.T) * (before > 0)
        total = missed.sum(axis=0)
        slopes = (rows.T @ inner, inner.sum(axis=0), hidden.T @ missed, rows.T @ missed, total)
        self.steps += 1
        for place, (part, slope) in enumerate(zip(self.model.parts, slopes, strict=True)):
            mean, square = self.means[place], self.squares[place]
            mean += (1 - FIRST_DECAY) * (slope - mean)
            square += (1 - SECOND_DECAY) * (slope * slope - square)
            steady = mean / (1 - FIRST_DECAY**self.steps)
            rough = np.sqrt(square / (1 - SECOND_DECAY**self.steps)) + TINY
            np.subtract(part, rate * (steady / rough + SHRINK * part), out=part)
