"""Models that remember rows, and models that do not, with rows that they saw and did not see."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from evasion_toys import ToyModel
from surveyed_subjects import sample, surveyed

from auditor.attacks.privacy.shadow_training import ModelStack, ShadowTrainingSettings, train_stack
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.targets import Fingerprint, ModelInterface
from auditor.domain.tasks import Array, Floats
from auditor.domain.training_recipes import RetrainingTask

WEIGHTS = np.random.default_rng(99).normal(size=(6, 3))
TURNED = np.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
GREEDY = ShadowTrainingSettings(hidden=(64,), epochs=100)
MODEST = ShadowTrainingSettings(epochs=5, updates=100, rate=0.03)
ROWS = 200


def drawn(rng: np.random.Generator, rows: int) -> tuple[Floats, np.ndarray]:
    """Rows of three classes that overlap."""
    return labelled(rng, rng.normal(size=(rows, 6)))


def labelled(rng: np.random.Generator, inputs: Floats) -> tuple[Floats, np.ndarray]:
    """Label rows by one law."""
    return inputs, (inputs @ WEIGHTS + rng.gumbel(size=(len(inputs), 3))).argmax(axis=1)


def _bent(inputs: Floats) -> Floats:
    """Make a line of two columns a parabola: no column's mean or spread changes, nor any two's."""
    moved = inputs.copy()
    moved[:, 0] = (inputs[:, 1] ** 2 - 1) / np.sqrt(2)
    return moved


def trained(
    inputs: Floats, labels: np.ndarray, settings: ShadowTrainingSettings, seed: int = 0
) -> ModelStack:
    return train_stack(inputs, labels, 3, np.ones((1, len(inputs)), bool), settings, seed=seed)


def exposed(
    settings: ShadowTrainingSettings = GREEDY,
    seed: int = 0,
    *,
    members: int = ROWS,
    others: int = ROWS,
    on: str = "members",
    stretched: float = 1.0,
    drifted: bool = False,
    bent: bool = False,
    strangers: int = 600,
    **fields: object,
) -> Subject:
    """A subject whose model was trained on its training data, or on ``strangers`` of neither kind.

    ``stretched`` non-members lie further out than members do, ``bent`` ones on a curve of the same
    mean and spread; the labels of ``drifted`` ones follow from their inputs in another way.
    """
    rng = np.random.default_rng([seed, 7])
    inside, outside, neither = (drawn(rng, rows) for rows in (members, others, strangers))
    if bent:
        outside = labelled(rng, _bent(outside[0]))
    if drifted:
        outside = outside[0], labelled(rng, outside[0] * TURNED)[1]
    stack = trained(*(inside if on == "members" else neither), settings, seed)
    subject = surveyed(
        sample(outside[0] * stretched, outside[1], **fields),
        sample(*inside, role=DatasetRole.TRAINING, **fields),
        classes=3,
    )
    model = ToyModel(lambda rows: stack.logits(rows)[0].astype(np.float64))
    return replace(subject, model=model, seed=seed)


def scaled(subject: Subject, factor: float, *, softmax: bool = False) -> Subject:
    """The same decisions, of logits times a factor, or of the softmax of these in float32."""
    model = subject.model
    assert isinstance(model, ToyModel)
    logits = model.logits
    kind = "probabilities" if softmax else "logits"
    face = ModelInterface("x", (6,), "float64", None, "as_is", "y", kind, "it says so")
    told = Fingerprint({}, {}, interface=face)
    if softmax:
        made: ToyModel = Telling(lambda rows: _softmax(factor * logits(rows)), fingerprint=told)
    else:
        made = ToyModel(lambda rows: factor * logits(rows), fingerprint=told)
    return replace(subject, model=made, clean={}, logits={})


class Telling(ToyModel):
    """A model that answers with probabilities."""

    def probabilities(self, scores: Floats) -> Floats:
        return np.clip(scores, 0.0, 1.0)


def _softmax(logits: Floats) -> Floats:
    single = (logits - logits.max(axis=1, keepdims=True)).astype(np.float32)
    raised = np.exp(single)
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float64)


class Retraining:
    """The recipe of a stack with these settings."""

    digest = "sha256:" + "1" * 64

    def __init__(self, settings: ShadowTrainingSettings) -> None:
        self.settings = settings
        self.rows: list[int] = []

    def answers(self, lesson: RetrainingTask, asked: Sequence[Array]) -> tuple[Floats, ...]:
        self.rows.append(len(lesson.labels))
        stack = trained(lesson.inputs, lesson.labels, self.settings, lesson.seed)
        return tuple(stack.probabilities(rows)[0].astype(np.float64) for rows in asked)
