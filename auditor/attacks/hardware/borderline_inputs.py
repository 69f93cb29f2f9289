"""Challenges at the reference's border, and signatures: what a target answered to them."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.borderlines import Labels, grid_of, neighbours
from auditor.domain.canonical import Json
from auditor.domain.datasets import Role
from auditor.domain.models import Model
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Classification

POOL = 4096
"""Rows of the evaluation data between which pairs are drawn."""
CANDIDATES = 4
"""Pairs drawn for one that is needed: many have one class."""
SHOWN = 16
MOST_BYTES = 2**21
"""Of a signature's labels: a million. A record that somebody else made may hold any text."""


@dataclass(frozen=True, slots=True, eq=False)
class Challenges:
    """Inputs ``[n, ...]`` that a bit decides, and the reference's label of each."""

    inputs: Array
    expected: Labels
    about: Mapping[str, Json] = field(default_factory=dict)

    def ask(self, subject: Subject) -> Labels:
        """Return the target's labels. Raises what ``Model.predict`` raises."""
        return decided(subject, cast("Model", subject.model), self.inputs)


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """A target's labels of challenges, and the digest of the inputs that they answer."""

    inputs: str
    labels: Labels

    def written(self) -> str:
        """Return it as one word."""
        packed = base64.urlsafe_b64encode(zlib.compress(self.labels.astype("<u2").tobytes(), 9))
        return f"{_short(self.inputs)}.{packed.decode()}"

    def same(self, other: "Signature") -> NDArray[np.bool_] | None:
        """Return for each input whether the labels agree; ``None`` where the inputs differ."""
        if _short(self.inputs) != _short(other.inputs) or len(self.labels) != len(other.labels):
            return None
        agrees: NDArray[np.bool_] = self.labels == other.labels
        return agrees


def read_signature(text: str) -> Signature | None:
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
    return Signature(inputs, labels) if len(labels) else None


def challenges(subject: Subject, count: int, seed: int) -> Challenges | Gap:
    """Make ``count`` challenges from pairs of evaluation rows, drawn together on the reference.

    Both of two neighbours are challenges. The same seed, data and reference give the same bytes.
    Returns a Gap where there is no reference, no number to move, or only one class.
    """
    reference, inputs = subject.reference.model(), subject.datasets[Role.EVALUATION].inputs
    if isinstance(reference, Gap):
        return reference
    if inputs is None or inputs.dtype.kind not in "biuf":
        return _gap(Reason.NEEDS_NUMERIC_INPUT, "The inputs are no numbers that could be moved.")
    rows = inputs[subject.sample(Role.EVALUATION, POOL)]
    rows = rows[np.isfinite(rows.astype(np.float64)).reshape(len(rows), -1).all(axis=1)]
    space = None if isinstance(subject.space, Gap) else subject.space
    interface = reference.fingerprint.interface
    grid = grid_of(rows, "" if interface is None else interface.input_dtype, space)
    first, second = _pairs(decided(subject, reference, rows), (count + 1) // 2, seed)
    found = neighbours(
        lambda points: decided(subject, reference, points), rows[first], rows[second], grid
    )
    kept = min(len(found.near), (count + 1) // 2)
    if kept == 0:
        return _gap(Reason.TOO_FEW_ROWS, "No two rows are of different classes on the reference.")
    made = np.concatenate([found.near[:kept], found.far[:kept]])[:count].astype(rows.dtype)
    expected = np.concatenate([found.near_class[:kept], found.far_class[:kept]])[:count]
    apart = np.abs(found.near[:kept] - found.far[:kept]).reshape(kept, -1).max(axis=1)
    about: dict[str, Json] = {
        "inputs_digest": "sha256:" + hashlib.sha256(made.tobytes()).hexdigest(),
        "inputs": len(made),
        "median_step": float(np.median(apart)),
        "reference": dict(subject.reference.about),
    }
    return Challenges(made, expected, about)


def decided(subject: Subject, model: Model, inputs: Array) -> Labels:
    """Return the classes that a model decides for."""
    if not isinstance(subject.task, Classification):
        message = "the task is no classification: the frame asks `needs` first"
        raise TypeError(message)
    return subject.task.decide(model.probabilities(model.predict(inputs)))


def majority(told: Labels) -> Labels:
    """Return the label that most of ``[repeats, n]`` say; of equals, the smallest."""
    counts = np.stack([(told == label).sum(axis=0) for label in range(int(told.max()) + 1)])
    found: Labels = counts.argmax(axis=0).astype(np.int64)
    return found


def commitment(nonce: str) -> str:
    """Return what may be shown of a nonce before it is used."""
    return "sha256:" + hashlib.sha256(nonce.encode()).hexdigest()


def _pairs(labels: Labels, count: int, seed: int) -> tuple[Labels, Labels]:
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, max(len(labels), 1), size=(2, CANDIDATES * count))
    if not len(labels):
        return drawn[0, :0], drawn[1, :0]
    differ = np.flatnonzero(labels[drawn[0]] != labels[drawn[1]])[: count + count // 4 + 1]
    return drawn[0, differ], drawn[1, differ]


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:SHOWN]


def _gap(reason: Reason, detail: str) -> Gap:
    return Gap(
        reason=reason,
        detail=detail,
        cure="Give evaluation data of numbers, with rows that the model decides differently.",
    )
