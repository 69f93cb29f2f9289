"""Digits with poison whose place is known, and small models of them that show their last layer."""

import warnings
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from evasion_toys import ToyModel, box
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from surveyed_subjects import sample, surveyed

from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.model_instrumentation import RowEmbeddings
from auditor.domain.tasks import Array, ClassificationTask, Floats

CLASSES, TARGET = 10, 0
DIGITS = ClassificationTask(tuple(map(str, range(CLASSES))), "9", "9")


@dataclass(frozen=True)
class Poisoned:
    """Training and trusted pictures of digits, and which training rows are poison."""

    inputs: Array
    labels: NDArray[np.int64]
    bad: NDArray[np.bool_]
    trusted: Array
    truth: NDArray[np.int64]


def stamped(pictures: Array, kind: str) -> Array:
    """Pictures with a patch in a corner, or blended with one noise."""
    found = pictures.copy()
    if kind == "patch":
        found[:, 6:, 6:] = 1
    else:
        noise = np.random.default_rng(99).random((8, 8)).astype(np.float32)
        found = (0.8 * found + 0.2 * noise).astype(np.float32)
    return found


def poisoned(kind: str, share: float, seed: int, trusted: int = 400) -> Poisoned:
    rng = np.random.default_rng(seed)
    loaded = load_digits()
    order = rng.permutation(len(loaded.target))
    pictures = (loaded.images[order] / 16).astype(np.float32)
    truth = loaded.target[order].astype(np.int64)
    inputs, labels = pictures[trusted:].copy(), truth[trusted:].copy()
    bad = np.zeros(len(inputs), dtype=np.bool_)
    count = round(share * len(inputs))
    if kind == "flip":
        rows = rng.permutation(len(inputs))[:count]
        labels[rows] = (labels[rows] + rng.integers(1, CLASSES, count)) % CLASSES
        bad[rows] = True
    elif kind != "clean":
        rows = rng.permutation(np.flatnonzero(labels != TARGET))[:count]
        inputs[rows], labels[rows], bad[rows] = stamped(inputs[rows], kind), TARGET, True
    return Poisoned(inputs, labels, bad, pictures[:trusted], truth[:trusted])


@dataclass
class Network:
    """One hidden layer, as a target and as the bench that shows it."""

    hidden: tuple[Floats, Floats]
    head: tuple[Floats, Floats]
    queries: int = 0
    asked: list[int] = field(default_factory=list)

    def look(self, inputs: Array) -> Floats:
        flat = inputs.reshape(len(inputs), -1).astype(np.float64)
        return np.maximum(flat @ self.hidden[0] + self.hidden[1], 0)

    def logits(self, inputs: Array) -> Floats:
        return self.look(inputs) @ self.head[0] + self.head[1]

    def embedding(self, inputs: Array) -> RowEmbeddings:
        self.asked.append(len(inputs))
        return RowEmbeddings(self.look(inputs).astype(np.float32), "head", "Gemm", given=False)


@cache
def network(kind: str, share: float, seed: int) -> Network:
    """A network of 48 units that has learnt the poisoned digits by heart, nearly."""
    data = poisoned(kind, share, seed)
    net = MLPClassifier((48,), max_iter=40, random_state=0, learning_rate_init=3e-3, batch_size=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(data.inputs.reshape(len(data.inputs), -1), data.labels)
    first, last = zip(net.coefs_, net.intercepts_, strict=True)
    return Network(first, last)


def scanned(data: Poisoned, net: Network | None = None, **fields: object) -> Subject:
    """A subject with these training rows, trusted rows and, if given, the model."""
    subject = surveyed(
        sample(data.trusted, data.truth),
        sample(data.inputs, data.labels, role=DatasetRole.TRAINING),
        task=DIGITS,
        space=box((8, 8)),
        **fields,
    )
    if net is None:
        return subject
    return replace(subject, model=ToyModel(net.logits), bench=net)
