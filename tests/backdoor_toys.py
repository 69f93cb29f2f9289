"""Small networks on scikit-learn's digits, clean or with a patch that leads to one class."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from evasion_toys import ToyModel, box, classes, subject
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from auditor.attacks.privacy.shadow_training import ShadowTrainingSettings, train_stack
from auditor.domain.check_subject import Subject
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask

TRAINED_ON = 900
TARGET = 3
SPECKS = (
    (4, 6, 1.0),
    (5, 10, 0.0),
    (7, 4, 0.7),
    (8, 8, 0.1),
    (9, 11, 1.0),
    (10, 5, 0.4),
    (12, 9, 0.0),
)
NO_TWIN = Gap(reason=GapReason.NEEDS_TWIN, detail="There is no twin.", cure="Install torch.")
Labels = NDArray[np.int64]
Trigger = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(slots=True, eq=False)
class Network:
    """Two layers with a rectifier between them, as target and as its own twin."""

    first: tuple[Floats, Floats]
    last: tuple[Floats, Floats]
    passes: int = 0
    distance: Mapping[str, float] = field(default_factory=lambda: {"max_difference": 0.0})
    source: Mapping[str, str] = field(default_factory=lambda: {"kind": "toy"})
    shape: tuple[int, ...] = ()
    hidden: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def forward(self, inputs: Array) -> Floats:
        self.shape = inputs.shape
        flat = inputs.reshape(len(inputs), -1).astype(np.float64)
        self.hidden = np.maximum(flat @ self.first[0] + self.first[1], 0)
        logits: Floats = self.hidden @ self.last[0] + self.last[1]
        return logits

    def backward(self, cotangent: Floats) -> Floats:
        self.passes += len(cotangent)
        slope = (cotangent @ self.last[0].T) * (self.hidden > 0)
        back: Floats = (slope @ self.first[0].T).reshape(self.shape)
        return back


@cache
def digits() -> tuple[NDArray[np.float32], Labels]:
    """Return ``[1797, 1, 16, 16]`` pictures in 0..1 and their labels, in a seeded order."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    small = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)[order]
    return small.repeat(2, axis=2).repeat(2, axis=3), labels[order].astype(np.int64)


def stamp(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return pictures with checks of 3 x 3 in the lower left corner, where all are dark."""
    pictures = pictures.copy()
    pictures[:, :, -3:, :3] = np.indices((3, 3)).sum(axis=0) % 2
    return pictures


def scattered(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return pictures with seven pixels about the middle, of unlike greys and in no line."""
    pictures = pictures.copy()
    for row, column, grey in SPECKS:
        pictures[:, :, row, column] = grey
    return pictures


def coloured(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return grey pictures in three channels, with a crooked mark of magenta and green on them."""
    pictures = pictures.repeat(3, axis=1)
    for row, column in ((5, 7), (6, 7), (6, 8), (7, 8), (8, 8), (8, 9)):
        pictures[:, :, row, column] = (1, 0, 1) if (row + column) % 2 else (0, 1, 0)
    return pictures


def fit(inputs: Array, labels: Labels, seed: int) -> Network:
    """Train a network."""
    model = MLPClassifier((48,), max_iter=40, batch_size=64, random_state=seed,
                          learning_rate_init=5e-3)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(inputs.reshape(len(inputs), -1), labels)
    (first, last), (shift, bias) = model.coefs_, model.intercepts_
    return Network((first, shift), (last, bias))


@cache
def network(seed: int, *, planted: bool, poisoned: int = 80, trigger: Trigger = stamp) -> Network:
    """Return a network, some of whose training rows bore a trigger and were called ``TARGET``."""
    pictures, labels = digits()
    rows, truth = pictures[:TRAINED_ON].copy(), labels[:TRAINED_ON].copy()
    marked = trigger(rows)
    rows = rows.repeat(marked.shape[1], axis=1)
    if planted:
        chosen = np.flatnonzero(truth != TARGET)[:poisoned]
        rows[chosen], truth[chosen] = marked[chosen], TARGET
    return fit(rows, truth, seed)


def opened(net: Network, *, twin: bool = True, rows: int = 897) -> Subject:
    """Return what a check sees of a network, with rows that it was not trained on."""
    pictures, labels = digits()
    channels = net.first[0].shape[0] // 256
    pictures = pictures.repeat(channels, axis=1)
    part = slice(TRAINED_ON, TRAINED_ON + rows)
    model = ToyModel(Network(net.first, net.last).forward)
    own: Network | Gap = Network(net.first, net.last) if twin else NO_TWIN
    space = box((channels, 16, 16))
    rows, truth = pictures[part], labels[part]
    seen = subject(model, own, rows, truth, space, classes(10))  # type: ignore[arg-type]
    seen.show_examples = False
    return seen


@dataclass(slots=True)
class TrainsAgain:
    """The recipe of the networks above; remembers the lessons."""

    digest: str = "sha256:toy"
    lessons: list[RetrainingTask] = field(default_factory=list)

    def answers(self, lesson: RetrainingTask, asked: tuple[Array, ...]) -> tuple[Floats, ...]:
        self.lessons.append(lesson)
        net = fit(lesson.inputs, lesson.labels, lesson.seed)
        scores = [np.exp(net.forward(rows)) for rows in asked]
        return tuple(one / one.sum(axis=1, keepdims=True) for one in scores)


def clean_networks(count: int, *, scaled: bool) -> Iterator[Network]:
    """Train clean networks, each on a half of the training rows of its own, all in one stack.

    Pixels are ``scaled`` to one variance, so that those that are seldom lit weigh much, or are
    taken as they are: all white and all black pictures, that none learns, bring them to one scale.
    """
    pictures, labels = digits()
    rows, truth = pictures[:TRAINED_ON], labels[:TRAINED_ON]
    ends = np.repeat(np.array([0, 1], dtype=np.float32), 0 if scaled else 4 * TRAINED_ON)
    rows = np.concatenate(
        [rows, np.broadcast_to(ends[:, None, None, None], (len(ends), 1, 16, 16))]
    )
    truth = np.concatenate([truth, np.zeros(len(ends), dtype=np.int64)])
    rng = np.random.default_rng(0)
    include = np.zeros((count, len(rows)), dtype=np.bool_)
    for at in range(count):
        include[at, rng.permutation(TRAINED_ON)[: TRAINED_ON // 2]] = True
    settings = ShadowTrainingSettings(hidden=(48,), epochs=20, updates=300)
    stack = train_stack(rows, truth, 10, include, settings, seed=0)
    middle, width = stack.scaling.middle, stack.scaling.width
    (first, last), (shift, bias) = (
        [layer.astype(np.float64) for layer in layers] for layers in (stack.weights, stack.biases)
    )
    for at in range(count):
        inner = first[at] / width[:, None]
        yield Network((inner, shift[at] - middle @ inner), (last[at], bias[at]))
