"""Subjects of checks that change rows: the digits network of the examples, and rules by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.models import ModelTiming
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import Fingerprint, ModelInterface
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputFeature, InputSpace
from auditor.errors import ModelFailedError

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
NOTHING = Gap(reason=GapReason.UNSUPPORTED, detail="absent", cure="none")
Rule = Callable[[Floats], NDArray[np.bool_]]


@dataclass(slots=True)
class Ruled:
    """A target that is sure of class 1 wherever a rule over ``[n, ...]`` rows says so."""

    rule: Rule
    deterministic: bool = True
    queries: int = 0
    fingerprint: Fingerprint = field(default_factory=lambda: Fingerprint({}, {}))
    seen: list[Array] = field(default_factory=list)

    def predict(self, inputs: Array) -> Floats:
        self.queries += len(inputs)
        self.seen.append(inputs)
        says = self.rule(inputs.astype(np.float64))
        return np.stack([1.0 - says, 0.0 + says], axis=1)

    def probabilities(self, scores: Floats) -> Floats:
        return scores

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        raise NotImplementedError


@dataclass(slots=True)
class Network:
    """The digits network, run by onnxruntime in this process."""

    shape: tuple[int, ...] = (1, 8, 8)
    deterministic: bool = True
    queries: int = 0
    session: onnxruntime.InferenceSession = field(
        default_factory=lambda: onnxruntime.InferenceSession(
            DIGITS / "model.onnx", providers=["CPUExecutionProvider"]
        )
    )

    @property
    def fingerprint(self) -> Fingerprint:
        told = ModelInterface("pixels", (1, 8, 8), "float32", None, "as_is", "logits", "logits", "")
        return Fingerprint({}, {}, interface=told)

    def predict(self, inputs: Array) -> Floats:
        self.queries += len(inputs)
        pixels = inputs.reshape(-1, 1, 8, 8).astype(np.float32)
        (logits,) = self.session.run(None, {"pixels": pixels})
        return np.asarray(logits, dtype=np.float64)

    def probabilities(self, scores: Floats) -> Floats:
        raised = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        raise NotImplementedError


def refuse_blanks(rows: Floats) -> NDArray[np.bool_]:
    """A rule that cannot be asked about missing values."""
    if np.isnan(rows).any():
        raise ModelFailedError("a score is not a number", cure="none")
    return np.asarray(rows[:, 0] > 0.5)


def space(
    shape: tuple[int, ...],
    low: float = 0.0,
    high: float = 1.0,
    quantum: float = 0.0,
    features: tuple[InputFeature, ...] = (),
) -> InputSpace:
    """The box from ``low`` to ``high`` in steps of ``quantum``."""
    return InputSpace(
        np.full(shape, low),
        np.full(shape, high),
        np.full(shape, quantum),
        np.ones(shape, dtype=np.bool_),
        features,
    )


def subject(
    model: Ruled | Network,
    rows: Array,
    labels: NDArray[np.int64],
    where: InputSpace,
    *,
    cluster: TextColumn | None = None,
    show: bool = True,
) -> Subject:
    """What a check sees of labelled rows."""
    count = 10 if isinstance(model, Network) else 2
    names = tuple(str(index) for index in range(count))
    dataset = Dataset(
        role=DatasetRole.EVALUATION,
        files=(FileDigest("rows.npz", 1, "0" * 64),),
        inputs=rows,
        labels=labels.astype(np.int64),
        ids=tuple(f"row-{index}" for index in range(len(rows))),
        features=tuple(feature.name for feature in where.features),
        cluster=cluster,
    )
    return Subject(
        artifact=None,
        structure=NOTHING,
        signature=SignatureMaterial(),
        model=model,
        twin=NOTHING,
        task=ClassificationTask(names, names[-1], names[-1]),
        space=where,
        datasets={DatasetRole.EVALUATION: dataset},
        audit_seed=7,
        seed=11,
        budget=Budget.SMOKE,
        show_examples=show,
    )


def digits(*, flat: bool = False, show: bool = True) -> Subject:
    """The digits network on its held-out rows, as pictures or as flat rows."""
    with np.load(DIGITS / "test.npz") as data:
        rows, labels = data["x"], data["y"]
    rows = rows.reshape(len(rows), 64) if flat else rows
    return subject(Network(), rows, labels, space(rows.shape[1:]), show=show)
