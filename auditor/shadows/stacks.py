"""Stand-in models that answer together: one network, in copies with weights of their own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array, Floats

Singles = NDArray[np.float32]
MOST_VALUES = 4_000_000
"""Values that a chunk of rows may hold, of all models together."""
TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """What makes each input coordinate of mean 0 and variance 1: ``middle`` and ``width`` [d]."""

    middle: Floats
    width: Floats

    @classmethod
    def of(cls, inputs: Array) -> "Scaling":
        """Measure ``[n, ...]`` rows; missing numbers have no part, constant coordinates stay."""
        middle = _mean(inputs, lambda rows: rows)
        square = _mean(inputs, lambda rows: (rows - middle) ** 2)
        spread = np.sqrt(square)
        return cls(middle, np.where(spread > TINY * (1 + np.abs(middle)), spread, 1.0))

    def __call__(self, inputs: Array) -> Singles:
        """Return ``[n, d]`` scaled rows; a number that is missing becomes the mean."""
        found = np.empty((len(inputs), len(self.middle)), dtype=np.float32)
        for part in chunks(len(inputs), len(self.middle)):
            scaled = (_flat(inputs[part]) - self.middle) / self.width
            found[part] = np.where(np.isfinite(scaled), scaled, 0)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """``M`` trained models of one architecture.

    ``weights`` are ``[M, d_in, d_out]`` and ``biases`` ``[M, d_out]``, one a layer; between layers
    stands a ReLU, after the last one a softmax. ``scaling`` is applied to inputs first.
    """

    scaling: Scaling
    weights: tuple[Singles, ...]
    biases: tuple[Singles, ...]

    @property
    def models(self) -> int:
        """How many models there are."""
        return len(self.biases[-1])

    @property
    def classes(self) -> int:
        """How many classes each model tells apart."""
        return int(self.biases[-1].shape[1])

    def logits(self, inputs: Array) -> Singles:
        """Return what the last layer says of ``[n, ...]`` rows: ``[M, n, classes]``."""
        found = np.empty((self.models, len(inputs), self.classes), dtype=np.float32)
        for part in chunks(len(inputs), self._widest):
            found[:, part] = forward(self.scaling(inputs[part]), self.weights, self.biases)[-1]
        return found

    def probabilities(self, inputs: Array) -> Singles:
        """Return ``[M, n, classes]`` probabilities of ``[n, ...]`` rows."""
        return softmax(self.logits(inputs))

    def chances(self, inputs: Array, labels: NDArray[np.int64]) -> Singles:
        """Return the probability ``[M, n]`` that each model gives the label ``[n]`` of each row.

        Unlike ``probabilities`` this never holds all classes of all rows at once.
        """
        found = np.empty((self.models, len(inputs)), dtype=np.float32)
        for part in chunks(len(inputs), self._widest):
            said = softmax(forward(self.scaling(inputs[part]), self.weights, self.biases)[-1])
            found[:, part] = said[:, np.arange(said.shape[1]), labels[part]]
        return found

    @property
    def _widest(self) -> int:
        inner = max(self.models * bias.shape[1] for bias in self.biases)
        return int(max(self.weights[0].shape[1], inner))


def chunks(rows: int, width: int) -> Iterator[slice]:
    """Return slices that cover so many rows of so many values each, within bounds of memory."""
    size = max(1, MOST_VALUES // width)
    return (slice(start, start + size) for start in range(0, rows, size))


def forward(
    rows: Singles, weights: tuple[Singles, ...], biases: tuple[Singles, ...]
) -> list[Singles]:
    """Return what each layer gives: ``[M, n, d_out]``, after the ReLU but for the last one.

    ``rows`` are ``[n, d]``, the same for all models, or ``[M, n, d]``.
    """
    layers: list[Singles] = []
    last = len(weights) - 1
    for place, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        rows = np.matmul(rows, weight)
        rows += bias[:, None, :]
        if place < last:
            np.maximum(rows, 0, out=rows)
        layers.append(rows)
    return layers


def softmax(logits: Singles) -> Singles:
    """Return the probabilities of ``[..., classes]`` logits."""
    found: Singles = logits - logits.max(axis=-1, keepdims=True)
    np.exp(found, out=found)
    found /= found.sum(axis=-1, keepdims=True)
    return found


def _flat(inputs: Array) -> Floats:
    return np.asarray(inputs).reshape(len(inputs), -1).astype(np.float64)


def _mean(inputs: Array, of: Callable[[Floats], Floats]) -> Floats:
    """Return the mean ``[d]`` of what a function makes of the numbers that are known."""
    width = int(np.prod(inputs.shape[1:]))
    total, count = np.zeros(width), np.zeros(width)
    for part in chunks(len(inputs), width):
        rows = _flat(inputs[part])
        known = np.isfinite(rows)
        total += np.where(known, of(np.where(known, rows, 0)), 0).sum(axis=0)
        count += known.sum(axis=0)
    return total / np.maximum(count, 1)
