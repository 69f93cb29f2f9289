"""Batched training of many small shadow models at once, and numeric features for any rows."""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from auditor.domain.check_subject import ProgressReporter, report_nothing
from auditor.domain.datasets import TEXT
from auditor.domain.tasks import Array, Floats

Singles = NDArray[np.float32]
MOST_VALUES = 4_000_000
"""Values that a chunk of rows may hold, of all models together."""
TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class InputScaling:
    """What makes each input coordinate of mean 0 and variance 1: ``middle`` and ``width`` [d]."""

    middle: Floats
    width: Floats

    @classmethod
    def of(cls, inputs: Array) -> "InputScaling":
        """Measure ``[n, ...]`` rows; missing numbers have no part, constant coordinates stay."""
        middle = _mean(inputs, lambda rows: rows)
        square = _mean(inputs, lambda rows: (rows - middle) ** 2)
        spread = np.sqrt(square)
        return cls(middle, np.where(spread > TINY * (1 + np.abs(middle)), spread, 1.0))

    def __call__(self, inputs: Array) -> Singles:
        """Return ``[n, d]`` scaled rows; a number that is missing becomes the mean."""
        found = np.empty((len(inputs), len(self.middle)), dtype=np.float32)
        for part in row_chunks(len(inputs), len(self.middle)):
            scaled = (_flat(inputs[part]) - self.middle) / self.width
            found[part] = np.where(np.isfinite(scaled), scaled, 0)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class ModelStack:
    """``M`` trained models of one architecture.

    ``weights`` are ``[M, d_in, d_out]`` and ``biases`` ``[M, d_out]``, one a layer; between layers
    stands a ReLU, after the last one a softmax. ``scaling`` is applied to inputs first.
    """

    scaling: InputScaling
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
        for part in row_chunks(len(inputs), self._widest):
            found[:, part] = forward_layers(self.scaling(inputs[part]), self.weights, self.biases)[
                -1
            ]
        return found

    def probabilities(self, inputs: Array) -> Singles:
        """Return ``[M, n, classes]`` probabilities of ``[n, ...]`` rows."""
        return softmax(self.logits(inputs))

    def chances(self, inputs: Array, labels: NDArray[np.int64]) -> Singles:
        """Return the probability ``[M, n]`` that each model gives the label ``[n]`` of each row.

        Unlike ``probabilities`` this never holds all classes of all rows at once.
        """
        found = np.empty((self.models, len(inputs)), dtype=np.float32)
        for part in row_chunks(len(inputs), self._widest):
            said = softmax(
                forward_layers(self.scaling(inputs[part]), self.weights, self.biases)[-1]
            )
            found[:, part] = said[:, np.arange(said.shape[1]), labels[part]]
        return found

    @property
    def _widest(self) -> int:
        inner = max(self.models * bias.shape[1] for bias in self.biases)
        return int(max(self.weights[0].shape[1], inner))


def row_chunks(rows: int, width: int) -> Iterator[slice]:
    """Return slices that cover so many rows of so many values each, within bounds of memory."""
    size = max(1, MOST_VALUES // width)
    return (slice(start, start + size) for start in range(0, rows, size))


def forward_layers(
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
    for part in row_chunks(len(inputs), width):
        rows = _flat(inputs[part])
        known = np.isfinite(rows)
        total += np.where(known, of(np.where(known, rows, 0)), 0).sum(axis=0)
        count += known.sum(axis=0)
    return total / np.maximum(count, 1)


FIRST, SECOND, SMALL = 0.9, 0.999, 1e-8
"""Adam's constants (Kingma and Ba 2015, algorithm 1)."""
AT_ONCE = 1_000_000
"""Weights, or values of a minibatch, that are trained together: more fall out of the cache."""
TARGET_AXES = 2
Include = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ShadowTrainingSettings:
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


LOGISTIC = ShadowTrainingSettings(rate=0.03)
"""A multinomial logistic regression."""


def train_stack(  # noqa: PLR0913 -- what one training takes
    inputs: Array,
    labels: NDArray[np.generic],
    classes: int,
    include: Include,
    settings: ShadowTrainingSettings = LOGISTIC,
    *,
    seed: int = 0,
    progress: ProgressReporter = report_nothing,
) -> ModelStack:
    """Train ``M`` models, of which model ``m`` sees the rows where ``include[m]`` ``[M, n]`` holds.

    ``inputs`` are ``[n, ...]`` numbers; each coordinate is scaled by all of them. ``labels`` are
    class indices ``[n]``, or soft targets ``[n, classes]`` to distil from, which sum to one. Each
    model draws its first weights and its minibatches from a generator of its own, so that it is
    the same whoever is trained beside it on as many rows. Models are trained in groups that fit
    into the cache. Raises ``ValueError`` for shapes that do not fit, and a model without rows.
    """
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
    scaling = InputScaling.of(inputs)
    course = settings.course(int(include.sum(axis=1).max()))
    lesson = _TrainingTask(scaling(inputs), labels, settings, *course)
    wide = (lesson.rows.shape[1], *settings.hidden, classes)
    seeds = np.random.SeedSequence(seed).spawn(len(include))
    # Part the models into as many as the cache holds at a time
    weight = sum((one + 1) * other for one, other in pairwise(wide))
    size = max(1, AT_ONCE // max(weight, settings.batch * max(wide)))
    groups = [slice(at, at + size) for at in range(0, len(include), size)]
    trained: list[_TrainingCopies] = []
    for group in groups:
        copies = _TrainingCopies.drawn(wide, [np.random.default_rng(item) for item in seeds[group]])
        for epoch in range(lesson.epochs):
            done = len(trained) * lesson.epochs + epoch
            progress(done, lesson.epochs * len(groups), "training stand-in models")
            copies.attend(lesson, include[group], epoch)
        trained.append(copies)
    weights, biases = ([item.weights for item in trained], [item.biases for item in trained])
    return ModelStack(scaling, _joined(weights), _joined(biases))


@dataclass(frozen=True, slots=True, eq=False)
class _TrainingTask:
    """Scaled rows ``[n, d]``, what to learn, and in how many passes of how many steps."""

    rows: Singles
    labels: NDArray[np.generic]
    settings: ShadowTrainingSettings
    epochs: int
    steps: int


@dataclass(slots=True, eq=False)
class _TrainingCopies:
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
    def drawn(
        cls, wide: tuple[int, ...], generators: list[np.random.Generator]
    ) -> "_TrainingCopies":
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

    def attend(self, lesson: _TrainingTask, include: Include, epoch: int) -> None:
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
            # Find the gradient of the mean loss over the `chosen` rows `[M, batch]`
            rows, labels = lesson.rows[chosen], lesson.labels
            layers = [rows, *forward_layers(rows, self.weights, self.biases)]
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
            rate = settings.rate * (1 - spent)
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
            if settings.decay:
                self.flat *= 1 - rate * settings.decay
            self.flat -= room


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


WORDS = re.compile(r"\w+")
BUCKETS = 512
WIDEST = 4096


def to_feature_matrix(inputs: Array) -> NDArray[np.float32]:
    """Return ``[n, d]`` numbers of rows: flat inputs, or of texts ``[n]`` hashed counts of words.

    Of more than ``WIDEST`` numbers a row, neighbours are averaged. Word counts are logarithms of
    one more, in ``BUCKETS`` places (Weinberger et al. 2009, ICML).
    """
    if inputs.dtype.kind == TEXT:
        counted_found = np.zeros((len(inputs), BUCKETS), dtype=np.float32)
        for row, text in enumerate(inputs):
            for word in WORDS.findall(str(text).lower()):
                counted_found[row, zlib.crc32(word.encode()) % BUCKETS] += 1
        return np.log1p(counted_found)
    width = int(np.prod(inputs.shape[1:]))
    run = -(-width // WIDEST)
    starts = np.arange(0, width, run)
    sizes = np.diff(np.append(starts, width))
    found = np.empty((len(inputs), len(starts)), dtype=np.float32)
    for part in row_chunks(len(inputs), width):
        flat = inputs[part].reshape(-1, width).astype(np.float64)
        found[part] = flat if run == 1 else np.add.reduceat(flat, starts, axis=1) / sizes
    return found
