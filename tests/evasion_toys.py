"""Small exact models, as targets and as twins, in the shape that attacks and checks expect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.goals import untargeted_goal
from auditor.attacks.evasion.losses import softmax
from auditor.attacks.evasion.norms import Norm
from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.models import ModelTiming
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputFeature, InputSpace

Function = Callable[[Floats], Floats]
NOTHING = Gap(reason=GapReason.UNSUPPORTED, detail="absent", cure="none")


@dataclass(slots=True)
class ToyModel:
    """A target that computes ``logits`` of ``[n, d]`` rows and remembers every candidate."""

    logits: Function
    deterministic: bool = True
    queries: int = 0
    fingerprint: Fingerprint = field(default_factory=lambda: Fingerprint({}, {}))
    seen: list[Array] = field(default_factory=list)
    busy: float = 0.0
    placement: OperatorPlacement = field(
        default_factory=lambda: OperatorPlacement("toy", PlacementSource.UNKNOWN)
    )

    def predict(self, inputs: Array) -> Floats:
        self.queries += len(inputs)
        self.seen.append(inputs)
        return self.logits(inputs.reshape(len(inputs), -1).astype(np.float64))

    def probabilities(self, scores: Floats) -> Floats:
        return softmax(scores)

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        raise NotImplementedError


@dataclass(slots=True)
class LinearTwin:
    """``x @ weights + bias`` with its exact gradient."""

    weights: Floats
    bias: Floats
    passes: int = 0
    distance: Mapping[str, float] = field(default_factory=lambda: {"max_difference": 0.0})
    source: Mapping[str, str] = field(default_factory=lambda: {"kind": "toy"})
    shape: tuple[int, ...] = ()

    def forward(self, inputs: Array) -> Floats:
        self.shape = inputs.shape
        return inputs.reshape(len(inputs), -1).astype(np.float64) @ self.weights + self.bias

    def backward(self, cotangent: Floats) -> Floats:
        self.passes += len(cotangent)
        return (cotangent @ self.weights.T).reshape(self.shape)


def linear(
    seed: int, coordinates: int, classes: int = 2
) -> tuple[ToyModel, LinearTwin, NDArray[np.float64], NDArray[np.float64]]:
    """Return a random linear target, its twin, and their weights and bias."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(coordinates, classes))
    bias = -0.5 * weights.sum(axis=0) + 0.1 * rng.normal(size=classes)
    return ToyModel(lambda x: x @ weights + bias), LinearTwin(weights, bias), weights, bias


def box(
    shape: tuple[int, ...],
    *,
    high: float = 1.0,
    quantum: float = 0.0,
    mutable: NDArray[np.bool_] | None = None,
    features: tuple[InputFeature, ...] = (),
) -> InputSpace:
    """Return the box from 0 to ``high``."""
    free = np.ones(shape, dtype=np.bool_) if mutable is None else mutable
    return InputSpace(
        np.zeros(shape), np.full(shape, high), np.full(shape, quantum), free, features
    )


def classes(count: int, threshold: float = 0.5) -> ClassificationTask:
    """Return the task of telling ``count`` classes apart."""
    names = tuple(str(index) for index in range(count))
    return ClassificationTask(names, names[-1], names[-1], threshold)


def arena(
    model: ToyModel,
    rows: Array,
    labels: NDArray[np.int64],
    space: InputSpace,
    twin: LinearTwin | None = None,
    norm: Norm = Norm.LINF,
    repeats: int = 1,
    most_queries: int | None = None,
) -> AttackSetup:
    """Return what an attack sees, its clean scores asked for once."""
    scores = model.predict(rows)
    return AttackSetup(
        model=model,
        twin=twin,
        goal=untargeted_goal(classes(scores.shape[1])),
        norm=norm,
        repeats=repeats,
        most_queries=most_queries,
        space=space,
        rows=rows,
        labels=labels,
        probabilities=model.probabilities(scores),
    )


def subject(
    model: ToyModel,
    twin: LinearTwin | Gap,
    rows: Array,
    labels: NDArray[np.int64],
    space: InputSpace,
    task: ClassificationTask,
) -> Subject:
    """Return what a check sees."""
    dataset = Dataset(
        role=DatasetRole.EVALUATION,
        files=(FileDigest("rows.npz", 1, "0" * 64),),
        inputs=rows,
        labels=labels,
        ids=tuple(f"row-{index}" for index in range(len(rows))),
        features=tuple(feature.name for feature in space.features),
    )
    return Subject(
        artifact=None,
        structure=NOTHING,
        signature=SignatureMaterial(),
        model=model,
        twin=twin,
        task=task,
        space=space,
        datasets={DatasetRole.EVALUATION: dataset},
        audit_seed=7,
        seed=11,
        budget=Budget.SMOKE,
        show_examples=True,
    )
