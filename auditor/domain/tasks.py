"""The task a model is meant for, and the input space it accepts."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from auditor.domain.feature_relations import ColumnRelation

Floats = NDArray[np.float64]
Array = NDArray[np.generic]


class ScoreKind(StrEnum):
    """What a model's scores are."""

    AUTO = "auto"
    LOGITS = "logits"
    PROBABILITIES = "probabilities"


FAVOURABLE, POSITIVE = "favourable", "positive"
"""Names in evidence and details of the class that people hope for, and the one a score is of."""
LARGE_ROW = 2**14
"""A row of more numbers is large, such as a picture of 224 x 224 pixels: a pass takes long."""
FILLED, LEAST_FILLED = "filled", 0.1
"""Name in details of the share of the declared ranges that rows span, told where it is less."""


@dataclass(frozen=True, slots=True)
class ClassificationTask:
    """One label out of ``classes`` for each row.

    ``positive`` and ``favourable`` are members of ``classes``; scores are ``[n, classes]``, a
    binary model's as ``[1-p, p]``. ``threshold`` decides binary models: the positive class is
    predicted when its probability reaches it. ``costs[label][decision]`` is what a decision costs
    its owner, at least 0 and 0 for the label itself (empty: nothing is said). A decision for
    ``reject`` is no decision at all, such as handing the row to a person. ``origin`` says in words
    where the classes come from, unless the owner listed them.
    """

    classes: tuple[str, ...]
    positive: str
    favourable: str
    threshold: float = 0.5
    output: ScoreKind = ScoreKind.AUTO
    costs: tuple[tuple[float, ...], ...] = ()
    reject: str | None = None
    origin: str = field(default="", compare=False)

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.classes) == 2  # noqa: PLR2004 -- the meaning of the word

    @property
    def positive_index(self) -> int:
        """Column of the positive class in the scores."""
        return self.classes.index(self.positive)

    def decide(self, probabilities: Floats) -> NDArray[np.int64]:
        """Return the index of the predicted class of each row of ``[n, classes]``."""
        if not self.binary:
            best: NDArray[np.int64] = np.argmax(probabilities, axis=1).astype(np.int64)
            return best
        positive = self.positive_index
        decided = np.full(len(probabilities), 1 - positive, dtype=np.int64)
        decided[probabilities[:, positive] >= self.threshold] = positive
        return decided


@dataclass(frozen=True, slots=True)
class RegressionTask:
    """A number for each row; an error beyond ``tolerance``, in its own unit, counts as wrong."""

    tolerance: float


Task = ClassificationTask | RegressionTask


def get_class_names(task: Task) -> tuple[str, ...]:
    """Return the classes that a task decides between; none of a regression."""
    return task.classes if isinstance(task, ClassificationTask) else ()


class FeatureKind(StrEnum):
    """How a column may vary."""

    NUMERIC = "numeric"
    INTEGER = "integer"
    BINARY = "binary"
    CATEGORICAL = "categorical"


class FeatureDirection(StrEnum):
    """The only way in which an attacker can move a feature."""

    INCREASE = "increase"
    DECREASE = "decrease"


@dataclass(frozen=True, slots=True)
class InputFeature:
    """One column of a tabular input.

    ``low`` and ``high`` bound it (both inclusive); ``categories`` are the codes it may take;
    ``immutable`` features are never changed by an attack, and those with a ``direction`` only that
    way. The binary columns of one ``one_hot`` group are one choice: exactly one of them is 1.
    ``cost`` is what an attacker pays for moving it over its whole range, or to another code.
    """

    name: str
    kind: FeatureKind = FeatureKind.NUMERIC
    low: float | None = None
    high: float | None = None
    categories: tuple[float, ...] = ()
    nullable: bool = False
    immutable: bool = False
    one_hot: str | None = None
    direction: FeatureDirection | None = None
    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class InputSpace:
    """Where inputs live: the box, the steps they come in, and which parts an attacker may move.

    ``low``, ``high`` and ``quantum`` have the shape of one input, without the batch axis (or
    broadcast to it); ``quantum`` 0 means continuous. ``mutable`` is true where an attack may
    change the input. A budget ``eps`` is a share of ``high - low``, so that 8/255 means the same
    for pixels in 0..1 and in 0..255, and for columns of different ranges. A row that does not keep
    every one of ``relations`` between ``features`` is none that the world can produce.
    """

    low: Floats
    high: Floats
    quantum: Floats
    mutable: NDArray[np.bool_]
    features: tuple[InputFeature, ...] = field(default=())
    relations: tuple[ColumnRelation, ...] = field(default=())

    @property
    def width(self) -> Floats:
        """The range of each coordinate."""
        return self.high - self.low

    def measure_fill(self, inputs: Array) -> float:
        """Return the share of the box that ``[n, ...]`` inputs span, 1 where nothing can be said.

        Of columns with ranges of their own it is the median over those that an attack may move.
        """
        if not len(inputs):
            return 1.0
        if not self.features:
            width = float(np.max(self.high) - np.min(self.low))
            spanned = float(np.fmax.reduce(inputs, axis=None)) - float(
                np.fmin.reduce(inputs, axis=None)
            )
            return spanned / width if width > 0 else 1.0
        moves = self.mutable & (self.width > 0)
        if not moves.any():
            return 1.0
        rows = inputs[:, moves].astype(np.float64)
        spans = np.fmax.reduce(rows, axis=0) - np.fmin.reduce(rows, axis=0)
        return float(np.median(spans / self.width[moves]))
