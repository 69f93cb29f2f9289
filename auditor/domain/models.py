"""Interfaces of opened models, companion models and cascades, and their differentiable twins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from auditor.domain.json import Json
from auditor.domain.operator_placement import OperatorPlacement
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, Floats


@dataclass(frozen=True, slots=True)
class ModelTiming:
    """Times measured inside the process that runs the model, in seconds.

    ``single`` holds one time a call of one row, after ``warmup`` calls; ``batch`` one time a call
    of ``batch_rows`` rows; ``load`` and ``first`` are opening the session and its first call.
    ``conditions`` says what the machine was doing meanwhile, as ``{"load_average": 0.4}``. A served
    model is timed from this side; ``transport`` then holds the round trips of requests that do not
    touch it, where the server takes such. Of any other one ``processor`` holds how long the calling
    thread had a processor in each call of ``single``.
    """

    load: float
    first: float
    warmup: int
    single: Floats
    batch: Floats
    batch_rows: int
    conditions: Mapping[str, float] = field(default_factory=dict)
    transport: Floats | None = None
    processor: Floats | None = None


class Model(Protocol):
    """The opened thing that scores a batch on the target."""

    @property
    def queries(self) -> int:
        """Rows scored on the target so far, all callers together."""
        ...

    @property
    def busy(self) -> float:
        """Seconds spent on waiting for the target so far."""
        ...

    @property
    def fingerprint(self) -> Fingerprint:
        """What the target turned out to be."""
        ...

    @property
    def placement(self) -> OperatorPlacement:
        """Where the operators run, as known when the model was opened."""
        ...

    @property
    def deterministic(self) -> bool:
        """Whether the same rows gave the same scores when asked twice."""
        ...

    def predict(self, inputs: Array) -> Floats:
        """Score ``[n, ...]`` rows as the data file holds them; never cached.

        Returns ``[n, classes]`` probabilities or logits (``scores_are_logits``), binary ones as
        two columns; ``[n, 1]`` for regression. Raises ``SubjectLostError`` or
        ``ModelFailedError``.
        """
        ...

    def probabilities(self, scores: Floats) -> Floats:
        """Turn what ``predict`` returned into probabilities (softmax where they are logits)."""
        ...

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        """Time calls inside the process that runs the model; never cached."""
        ...


class Twin(Protocol):
    """A differentiable equal of the model; ``forward`` then ``backward`` gives any gradient."""

    @property
    def passes(self) -> int:
        """Rows sent through ``backward`` so far."""
        ...

    @property
    def source(self) -> Mapping[str, Json]:
        """What it was built from: ``kind`` (``TwinKind``), and the ``digest`` of its own file."""
        ...

    @property
    def distance(self) -> Mapping[str, float]:
        """Measured distance from the model on the evaluation data.

        Keys: ``max_difference`` and ``mean_difference`` of probabilities (of a regression's values
        in their standard deviation), ``agreement`` of decisions (share), ``rows``;
        ``gradient_correlation`` with central differences on the target, over ``gradient_rows``
        moved by ``step`` of the input range; ``own_difference`` and ``own_agreement`` of a model
        that is not deterministic, with itself.
        """
        ...

    def forward(self, inputs: Array) -> Floats:
        """Return ``[n, classes]`` logits of rows as the data holds them, up to a constant a row."""
        ...

    def backward(self, cotangent: Floats) -> Floats:
        """Pull ``[n, classes]`` back through the last ``forward``: the gradient in its inputs."""
        ...


def compute_seconds_per_row(model: Model | Twin) -> float | None:
    """Return the seconds a row of a model's fastest request of many rows; a served one has none.

    Of a twin, those of a row forward and backward. The fastest, for a request that had to wait for
    a processor says nothing of the model. It is told in a property ``pace``, if there is anything.
    """
    found: float | None = getattr(model, "pace", None)
    return found


NO_CASCADE = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The target is one place and no cascade of two.",
    cure="Declare a target with `cascade: {edge, cloud, below}` to audit two as one.",
)
NO_COMPANION = Gap(
    reason=GapReason.NEEDS_REFERENCE,
    detail="There is no other model to compare with.",
    cure="Name model.parent, or the target `reference`, in the audit file.",
)


def missing_companion_gap() -> Gap:
    """Return the Gap of a companion that nobody named."""
    return NO_COMPANION


@dataclass(frozen=True, slots=True)
class CompanionModel:
    """A model beside the audited one, opened when it is first asked for; the same one afterwards.

    The reference is the artifact itself, run elsewhere; the parent is what it was made from.
    """

    model: Callable[[], Model | Gap] = missing_companion_gap
    twin: Callable[[], Twin | Gap] = missing_companion_gap
    about: Mapping[str, Json] = field(default_factory=dict)


class ModelCascade(Protocol):
    """Two models as one: what the edge is unsure of is deferred to the cloud."""

    @property
    def whole(self) -> Model:
        """Both as one model: a row's scores are the edge's, or the cloud's where it is deferred."""
        ...

    @property
    def edge(self) -> Model:
        """The model that decides first."""
        ...

    @property
    def cloud(self) -> Model:
        """The model that decides what is deferred."""
        ...

    @property
    def below(self) -> float:
        """The edge's largest probability under which a row is deferred."""
        ...


PROGRAM = ".pt2"
"""The suffix of what ``torch.export.save`` writes."""


class TwinKind(StrEnum):
    """How gradients are found.

    ``auto``: the artifact's operators in torch, or ``adjoint`` where torch is not installed;
    ``adjoint``: an ONNX graph of the artifact's derivatives, run by ONNX Runtime; ``exported``: a
    torch program that the owner gives beside the artifact; ``none``: no twin is wanted.
    """

    AUTO = "auto"
    ADJOINT = "adjoint"
    EXPORTED = "exported"
    NONE = "none"

    @classmethod
    def named(cls, written: str) -> "TwinKind":
        """Return what the ``model.twin`` of an audit file asks for: a path is ``exported``."""
        words = {kind.value: kind for kind in cls if kind is not cls.EXPORTED}
        return words.get(written, cls.EXPORTED)


@dataclass(frozen=True, slots=True)
class TwinSource:
    """What a twin is built from; ``path`` and ``digest`` (``sha256:…``) are those of a file."""

    kind: TwinKind = TwinKind.AUTO
    path: Path | None = None
    digest: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form: where the file lay is nobody's business."""
        return {"kind": self.kind.value, "digest": self.digest or None}
