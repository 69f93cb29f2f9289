"""Decision-boundary inputs that fingerprint the hardware and software stack of a model.

Two rows of different classes are moved together until they differ in one coordinate by one step
of the input's type. Between such neighbours the last bits of every sum decide the class, so that
another instruction set, runtime or precision gives other labels. Source: Schlögl, Kupek and Böhme
2021, iNNformant: Boundary Samples as Telltale Watermarks (arXiv 2106.07303).
"""

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.json import Json, compute_digest
from auditor.domain.models import Model
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import (
    Array,
    ClassificationTask,
    FeatureKind,
    Floats,
    InputFeature,
    InputSpace,
)

Labels = NDArray[np.int64]
Decide = Callable[[Array], Labels]
"""Asks a model for the class of each row."""
COARSE, FINE = 48, 160
"""Halvings: down to some steps apart, then (one coordinate, mostly few) to neighbours."""
DISCRETE = frozenset({FeatureKind.BINARY, FeatureKind.CATEGORICAL})


@dataclass(frozen=True, slots=True, eq=False)
class InputGrid:
    """The values that an input can hold: of a dtype, and in steps where there are any.

    ``low`` and ``quantum`` broadcast to a row; ``free`` is false for coordinates that stay as
    they are, because no value between two codes means anything.
    """

    dtype: np.dtype[np.generic]
    low: Floats
    quantum: Floats
    free: NDArray[np.bool_]

    def snap(self, points: Floats) -> Floats:
        """Return the nearest values that the grid holds, as float64, which holds them all."""
        step = np.where(self.quantum > 0, self.quantum, 1.0)
        stepped = self.low + step * np.rint((points - self.low) / step)
        held = np.where(self.quantum > 0, stepped, points)
        whole = np.rint(held) if self.dtype.kind in "biu" else held
        return whole.astype(self.dtype).astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourPairs:
    """Pairs of rows ``[n, ...]``, one step apart, with the class of each on the reference."""

    near: Floats
    far: Floats
    near_class: Labels
    far_class: Labels


def input_grid(rows: Array, dtype: str, space: InputSpace | None) -> InputGrid:
    """Return the grid of rows like ``rows`` that enter a model as ``dtype``.

    The coarser of the two types holds: whole numbers where the data has whole numbers.
    """
    shape = rows.shape[1:]
    entered = np.dtype(dtype) if dtype else rows.dtype
    coarse = rows.dtype if rows.dtype.kind in "biu" else min((rows.dtype, entered), key=_fineness)
    low, quantum = (
        (np.zeros(shape), np.zeros(shape))
        if space is None
        else (np.broadcast_to(space.low, shape), np.broadcast_to(space.quantum, shape))
    )
    features: tuple[InputFeature, ...] = () if space is None else space.features
    if not features:
        free = np.ones(shape, dtype=np.bool_)
    else:
        free = np.array([item.kind not in DISCRETE and not item.one_hot for item in features])
    return InputGrid(coarse, low, quantum, free)


def find_neighbour_pairs(
    decide: Decide, first: Array, second: Array, grid: InputGrid
) -> NeighbourPairs:
    """Draw each pair of rows together until they are neighbours; pairs decided alike drop out.

    ``decide`` is asked about ``COARSE`` rows a pair, then the logarithm of the row's size, then
    as many as one coordinate takes.
    """
    near = grid.snap(first.astype(np.float64))
    far = grid.snap(np.where(grid.free, second.astype(np.float64), near))
    ask = _typed(decide, first.dtype)
    near_class, far_class = ask(near), ask(far)
    keep = near_class != far_class
    pairs = NeighbourPairs(near[keep], far[keep], near_class[keep], far_class[keep])
    if not keep.any():
        return pairs
    pairs = _halve(ask, pairs, grid, COARSE)
    return _halve(ask, _one_coordinate(ask, pairs), grid, FINE)


def _halve(ask: Decide, pairs: NeighbourPairs, grid: InputGrid, rounds: int) -> NeighbourPairs:
    near, far, beyond = pairs.near.copy(), pairs.far.copy(), pairs.far_class.copy()
    axes = tuple(range(1, near.ndim))
    for _ in range(rounds):
        middle = grid.snap((near + far) / 2)
        apart = (middle != near).any(axis=axes) & (middle != far).any(axis=axes)
        live = np.flatnonzero(apart)
        if not live.size:
            break
        said = ask(middle[live])
        same = said == pairs.near_class[live]
        near[live[same]] = middle[live[same]]
        far[live[~same]] = middle[live[~same]]
        beyond[live[~same]] = said[~same]
    return NeighbourPairs(near, far, pairs.near_class, beyond)


def _one_coordinate(ask: Decide, pairs: NeighbourPairs) -> NeighbourPairs:
    """Move one coordinate after another from near to far, and stop where the class changes."""
    shape = pairs.near.shape
    near, far = (side.reshape(len(side), -1) for side in (pairs.near, pairs.far))
    differs = near != far
    rank = np.where(differs, np.cumsum(differs, axis=1) - 1, near.shape[1])
    low, high = np.zeros(len(near), dtype=np.int64), differs.sum(axis=1)
    beyond = pairs.far_class.copy()

    def moved(count: Labels) -> Floats:
        return np.where(rank < count[:, None], far, near).reshape(shape)

    while (high - low > 1).any():
        live = np.flatnonzero(high - low > 1)
        middle = (low + high) // 2
        said = ask(moved(middle)[live])
        same = said == pairs.near_class[live]
        low[live[same]] = middle[live[same]]
        high[live[~same]] = middle[live[~same]]
        beyond[live[~same]] = said[~same]
    return NeighbourPairs(moved(low), moved(high), pairs.near_class, beyond)


def _typed(decide: Decide, dtype: np.dtype[np.generic]) -> Decide:
    return lambda points: decide(points.astype(dtype))


def _fineness(dtype: np.dtype[np.generic]) -> tuple[bool, int]:
    return dtype.kind not in "biu", dtype.itemsize


POOL = 4096
"""Rows of the evaluation data between which pairs are drawn."""
CANDIDATES = 4
"""Pairs drawn for one that is needed: many have one class."""
SHOWN = 16
MOST_BYTES = 2**21
"""Of a signature's labels: a million. A record that somebody else made may hold any text."""


@dataclass(frozen=True, slots=True, eq=False)
class ChallengeInputs:
    """Inputs ``[n, ...]`` that a bit decides, and the reference's label of each."""

    inputs: Array
    expected: Labels
    about: Mapping[str, Json] = field(default_factory=dict)

    def ask(self, subject: Subject) -> Labels:
        """Return the target's labels. Raises what ``Model.predict`` raises."""
        return decide_classes(subject, cast("Model", subject.model), self.inputs)


@dataclass(frozen=True, slots=True, eq=False)
class ChallengeResponse:
    """A target's labels of challenges, and the digest of the inputs that they answer."""

    inputs: str
    labels: Labels

    def written(self) -> str:
        """Return it as one word."""
        packed = base64.urlsafe_b64encode(zlib.compress(self.labels.astype("<u2").tobytes(), 9))
        return f"{_short(self.inputs)}.{packed.decode()}"

    def same(self, other: "ChallengeResponse") -> NDArray[np.bool_] | None:
        """Return for each input whether the labels agree; ``None`` where the inputs differ."""
        if _short(self.inputs) != _short(other.inputs) or len(self.labels) != len(other.labels):
            return None
        agrees: NDArray[np.bool_] = self.labels == other.labels
        return agrees


def read_response(text: str) -> ChallengeResponse | None:
    """Read a signature back; ``None`` where the text is none."""
    inputs, _, packed = text.strip().partition(".")
    try:
        unpacking = zlib.decompressobj()
        raw = unpacking.decompress(
            base64.b64decode(packed, altchars=b"-_", validate=True), MOST_BYTES
        )
        if not unpacking.eof:  # cut off, or far larger than it looks
            return None
        labels = np.frombuffer(raw, dtype="<u2").astype(np.int64)
    except (binascii.Error, ValueError, zlib.error):
        return None
    return ChallengeResponse(inputs, labels) if len(labels) else None


def build_challenges(subject: Subject, count: int, seed: int) -> ChallengeInputs | Gap:
    """Make ``count`` challenges from pairs of evaluation rows, drawn together on the reference.

    Both of two neighbours are challenges. The same seed, data and reference give the same bytes.
    Returns a Gap where there is no reference, no number to move, or only one class.
    """
    reference, inputs = subject.reference.model(), subject.datasets[DatasetRole.EVALUATION].inputs
    if isinstance(reference, Gap):
        return reference
    if inputs is None or inputs.dtype.kind not in "biuf":
        return _gap(GapReason.NEEDS_NUMERIC_INPUT, "The inputs are no numbers that could be moved.")
    rows = inputs[subject.sample(DatasetRole.EVALUATION, POOL)]
    rows = rows[np.isfinite(rows.astype(np.float64)).reshape(len(rows), -1).all(axis=1)]
    space = None if isinstance(subject.space, Gap) else subject.space
    interface = reference.fingerprint.interface
    grid = input_grid(rows, "" if interface is None else interface.input_dtype, space)
    first, second = _pairs(decide_classes(subject, reference, rows), (count + 1) // 2, seed)
    found = find_neighbour_pairs(
        lambda points: decide_classes(subject, reference, points), rows[first], rows[second], grid
    )
    kept = min(len(found.near), (count + 1) // 2)
    if kept == 0:
        return _gap(
            GapReason.TOO_FEW_ROWS, "No two rows are of different classes on the reference."
        )
    made = np.concatenate([found.near[:kept], found.far[:kept]])[:count].astype(rows.dtype)
    expected = np.concatenate([found.near_class[:kept], found.far_class[:kept]])[:count]
    apart = np.abs(found.near[:kept] - found.far[:kept]).reshape(kept, -1).max(axis=1)
    about: dict[str, Json] = {
        "inputs_digest": compute_digest(made.tobytes()),
        "inputs": len(made),
        "median_step": float(np.median(apart)),
        "reference": dict(subject.reference.about),
    }
    return ChallengeInputs(made, expected, about)


def count_reference_queries(count: int, rows: int) -> int:
    """Return how many rows the reference is asked about at most for ``count`` challenges."""
    return min(POOL, rows) + _drawn((count + 1) // 2) * (2 + COARSE + FINE)


def decide_classes(subject: Subject, model: Model, inputs: Array) -> Labels:
    """Return the classes that a model decides for."""
    if not isinstance(subject.task, ClassificationTask):
        message = "the task is no classification: the frame asks `needs` first"
        raise TypeError(message)
    return subject.task.decide(model.probabilities(model.predict(inputs)))


def majority_labels(told: Labels) -> Labels:
    """Return the label that most of ``[repeats, n]`` say; of equals, the smallest."""
    counts = np.stack([(told == label).sum(axis=0) for label in range(int(told.max()) + 1)])
    found: Labels = counts.argmax(axis=0).astype(np.int64)
    return found


def commit_nonce(nonce: str) -> str:
    """Return what may be shown of a nonce before it is used."""
    return compute_digest(nonce.encode())


def _pairs(labels: Labels, count: int, seed: int) -> tuple[Labels, Labels]:
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, max(len(labels), 1), size=(2, CANDIDATES * count))
    if not len(labels):
        return drawn[0, :0], drawn[1, :0]
    differ = np.flatnonzero(labels[drawn[0]] != labels[drawn[1]])[: _drawn(count)]
    return drawn[0, differ], drawn[1, differ]


def _drawn(count: int) -> int:
    """Return how many pairs are drawn together for ``count``: of some one class is lost."""
    return count + count // 4 + 1


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:SHOWN]  # one that is read back is short already


def _gap(reason: GapReason, detail: str) -> Gap:
    return Gap(
        reason=reason,
        detail=detail,
        cure="Give evaluation data of numbers, with rows that the model decides differently.",
    )
