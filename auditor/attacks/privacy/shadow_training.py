"""Trains many stand-in models at once, each on rows of its own."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from auditor.domain.subjects import Progress, silent
from auditor.domain.tasks import Array
from auditor.shadows.stacks import Scaling, Singles, Stack, forward, softmax

FIRST, SECOND, SMALL = 0.9, 0.999, 1e-8
"""Adam's constants (Kingma and Ba 2015, algorithm 1)."""
AT_ONCE = 1_000_000
"""Weights, or values of a minibatch, that are trained together: more fall out of the cache."""
TARGET_AXES = 2
Include = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Settings:
    """How a stand-in is trained.

    ``hidden`` are the widths of ReLU layers; none makes it a multinomial logistic regression.
    Adam takes minibatches of ``batch`` rows for ``epochs`` passes, or as many more as make
    ``updates`` of them, at a ``rate`` that falls linearly to 0; ``decay`` shrinks the weights at
    each update (Loshchilov and Hutter 2019).
    """

    hidden: tuple[int, ...] = ()
    epochs: int = 30
    updates: int = 600
    batch: int = 64
    rate: float = 0.003
    decay: float = 0.0

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        counts = (self.epochs, self.updates, self.batch, *self.hidden)
        if min(counts) < 1 or self.rate <= 0 or self.decay < 0:
            message = f"a stand-in cannot be trained by {self}"
            raise ValueError(message)

    def course(self, rows: int) -> tuple[int, int]:
        """Return how many passes over so many rows there are, and the updates of each."""
        steps = max(1, round(rows / self.batch))
        return max(self.epochs, -(-self.updates // steps)), steps


LOGISTIC = Settings(rate=0.03)
"""A multinomial logistic regression."""


def train_stack(  # noqa: PLR0913 -- what one training takes
    inputs: Array,
    labels: NDArray[np.generic],
    classes: int,
    include: Include,
    settings: Settings = LOGISTIC,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Stack:
    """Train ``M`` models, of which model ``m`` sees the rows where ``include[m]`` ``[M, n]`` holds.

    ``inputs`` are ``[n, ...]`` numbers; each coordinate is scaled by all of them. ``labels`` are
    class indices ``[n]``, or soft targets ``[n, classes]`` to distil from, which sum to one. Each
    model draws its first weights and its minibatches from a generator of its own, so that it is
    the same whoever is trained beside it on as many rows. Models are trained in groups that fit
    into the cache. Raises ``ValueError`` for shapes that do not fit, and a model without rows.
    """
    _refuse_misfit(inputs, labels, classes, include)
    scaling = Scaling.of(inputs)
    course = settings.course(int(include.sum(axis=1).max()))
    lesson = _Lesson(scaling(inputs), labels, settings, *course)
    wide = (lesson.rows.shape[1], *settings.hidden, classes)
    seeds = np.random.SeedSequence(seed).spawn(len(include))
    groups = _groups(wide, settings.batch, len(include))
    trained: list[_Copies] = []
    for group in groups:
        copies = _Copies.drawn(wide, [np.random.default_rng(item) for item in seeds[group]])
        for epoch in range(lesson.epochs):
            done = len(trained) * lesson.epochs + epoch
            progress(done, lesson.epochs * len(groups), "training stand-in models")
            copies.attend(lesson, include[group], epoch)
        trained.append(copies)
    weights, biases = ([item.weights for item in trained], [item.biases for item in trained])
    return Stack(scaling, _joined(weights), _joined(biases))


@dataclass(frozen=True, slots=True, eq=False)
class _Lesson:
    """Scaled rows ``[n, d]``, what to learn, and in how many passes of how many steps."""

    rows: Singles
    labels: NDArray[np.generic]
    settings: Settings
    epochs: int
    steps: int


@dataclass(slots=True, eq=False)
class _Copies:
    """Models in training: all weights of a model lie in one row of ``flat``, views name them."""

    generators: list[np.random.Generator]
    flat: Singles
    weights: tuple[Singles, ...]
    biases: tuple[Singles, ...]
    slope: Singles
    weight_slopes: tuple[Singles, ...]
    bias_slopes: tuple[Singles, ...]
    mean: Singles
    square: Singles
    room: Singles
    step: int = 0

    @classmethod
    def drawn(cls, wide: tuple[int, ...], generators: list[np.random.Generator]) -> "_Copies":
        """Draw first weights by He et al. (2015); those of a logistic regression are 0."""
        layers = list(pairwise(wide))
        size = sum((one + 1) * other for one, other in layers)
        flat, slope, mean, square, room = (
            np.zeros((len(generators), size), dtype=np.float32) for _ in range(5)
        )
        weights, biases = _views(flat, layers)
        for model, generator in enumerate(generators):
            for (fan, _), weight in zip(layers, weights, strict=True):
                if len(layers) > 1:
                    weight[model] = generator.normal(0, np.sqrt(2 / fan), weight.shape[1:])
        slopes = _views(slope, layers)
        return cls(generators, flat, weights, biases, slope, *slopes, mean, square, room)

    def attend(self, lesson: _Lesson, include: Include, epoch: int) -> None:
        """Pass once over the rows that each model may see, in an order of its own."""
        settings = lesson.settings
        size = lesson.steps * settings.batch
        orders = np.stack(
            [
                np.resize(generator.permutation(np.flatnonzero(mask)), size)
                for generator, mask in zip(self.generators, include, strict=True)
            ]
        )
        for step in range(lesson.steps):
            spent = (epoch * lesson.steps + step) / (lesson.epochs * lesson.steps)
            chosen = orders[:, step * settings.batch : (step + 1) * settings.batch]
            self._learn(lesson, chosen)
            self._adam(settings.rate * (1 - spent), settings.decay)

    def _learn(self, lesson: _Lesson, chosen: NDArray[np.int64]) -> None:
        """Find the gradient of the mean loss over the ``chosen`` rows ``[M, batch]``."""
        rows, labels = lesson.rows[chosen], lesson.labels
        layers = [rows, *forward(rows, self.weights, self.biases)]
        slope = softmax(layers[-1])
        targets = labels[chosen]
        if labels.ndim == TARGET_AXES:
            slope -= targets.astype(np.float32)
        else:
            models, places = np.indices(chosen.shape)
            slope[models, places, targets] -= 1
        slope /= chosen.shape[1]
        for at in reversed(range(len(self.weights))):
            np.matmul(layers[at].transpose(0, 2, 1), slope, out=self.weight_slopes[at])
            slope.sum(axis=1, out=self.bias_slopes[at])
            if at:
                slope = np.matmul(slope, self.weights[at].transpose(0, 2, 1))
                slope *= layers[at] > 0

    def _adam(self, rate: float, decay: float) -> None:
        self.step += 1
        room = self.room
        np.subtract(self.slope, self.mean, out=room)
        room *= 1 - FIRST
        self.mean += room
        np.square(self.slope, out=room)
        room -= self.square
        room *= 1 - SECOND
        self.square += room
        np.sqrt(self.square, out=room)
        corrected = float(np.sqrt(1 - SECOND**self.step))
        room += SMALL * corrected
        np.divide(self.mean, room, out=room)
        room *= rate * corrected / (1 - FIRST**self.step)
        if decay:
            self.flat *= 1 - rate * decay
        self.flat -= room


def _groups(wide: tuple[int, ...], batch: int, models: int) -> list[slice]:
    """Part the models into as many as the cache holds at a time."""
    weight = sum((one + 1) * other for one, other in pairwise(wide))
    size = max(1, AT_ONCE // max(weight, batch * max(wide)))
    return [slice(at, at + size) for at in range(0, models, size)]


def _joined(parts: list[tuple[Singles, ...]]) -> tuple[Singles, ...]:
    return tuple(np.concatenate(layer) for layer in zip(*parts, strict=True))


def _views(
    flat: Singles, layers: list[tuple[int, int]]
) -> tuple[tuple[Singles, ...], tuple[Singles, ...]]:
    """Return weights and biases of each layer as views of ``[M, size]``."""
    weights, biases, at = [], [], 0
    for fan, out in layers:
        weights.append(flat[:, at : at + fan * out].reshape(len(flat), fan, out))
        at += fan * out
        biases.append(flat[:, at : at + out])
        at += out
    return tuple(weights), tuple(biases)


def _refuse_misfit(
    inputs: Array, labels: NDArray[np.generic], classes: int, include: Include
) -> None:
    rows = len(inputs)
    shape = (rows,) if labels.ndim < TARGET_AXES else (rows, classes)
    if include.ndim != TARGET_AXES or include.shape[1] != rows or labels.shape != shape:
        message = (
            f"{rows} rows do not fit labels of shape {labels.shape} and masks of {include.shape}"
        )
        raise ValueError(message)
    if not include.any(axis=1).all():
        message = "a stand-in cannot be trained on no rows"
        raise ValueError(message)
