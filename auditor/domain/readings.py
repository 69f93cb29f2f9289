"""Readings of a check: measurements with confidence intervals, or gaps with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from auditor.domain.json import Json


@dataclass(frozen=True, slots=True)
class ConfidenceInterval:
    """A point estimate with a confidence interval around it.

    ``method`` names the procedure in the field's words (``clopper-pearson``), ``n`` is the sample
    size, ``confidence`` the level at which ``[low, high]`` covers the truth.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    n: int


Scalar: TypeAlias = bool | int | float | str
Value: TypeAlias = float | bool | str | None


class BoundKind(StrEnum):
    """What a figure says of the truth: near it, or only on one side of it."""

    ESTIMATE = "estimate"
    AT_MOST = "at_most"
    AT_LEAST = "at_least"


class Unit(StrEnum):
    """The unit of a measurement's value."""

    SHARE = "share"
    SECOND = "s"
    BYTE = "B"
    PER_SECOND = "1/s"
    NAT = "nat"
    COUNT = "count"
    NONE = "none"


class BiasDirection(StrEnum):
    """On which side of the truth a doubted figure may lie, where its check can say."""

    TOO_HIGH = "too_high"
    TOO_LOW = "too_low"
    EITHER = "either"


class Repeatability(StrEnum):
    """What a second run must give: the very same figure, or one within the intervals."""

    EXACT = "exact"
    INTERVAL = "interval"


class GapReason(StrEnum):
    """Why a measurement is missing."""

    NEEDS_MODEL = "needs_model"
    NEEDS_EVALUATION_DATA = "needs_evaluation_data"
    NEEDS_LABELS = "needs_labels"
    NEEDS_GROUPS = "needs_groups"
    NEEDS_SCORES = "needs_scores"
    NEEDS_CLASSIFICATION = "needs_classification"
    NEEDS_REGRESSION = "needs_regression"
    NEEDS_NUMERIC_INPUT = "needs_numeric_input"
    NEEDS_TEXT_INPUT = "needs_text_input"
    NEEDS_TRAINING_DATA = "needs_training_data"
    NEEDS_REFERENCE_DATA = "needs_reference_data"
    NEEDS_PRODUCTION_DATA = "needs_production_data"
    NEEDS_POPULATION = "needs_population"
    NEEDS_CLAIMS = "needs_claims"
    NEEDS_DOCUMENTS = "needs_documents"
    NEEDS_RECIPE = "needs_recipe"
    NEEDS_SHADOWS = "needs_shadows"
    NEEDS_GENERATOR = "needs_generator"
    NEEDS_TIMES = "needs_times"
    NEEDS_TWIN = "needs_twin"
    NEEDS_EXTRA = "needs_extra"
    TWIN_DIFFERS = "twin_differs"
    TWIN_UNSUPPORTED = "twin_unsupported"
    TOO_FEW_ROWS = "too_few_rows"
    NOT_DEFINED = "not_defined"
    OVER_BUDGET = "over_budget"
    FELL_BACK = "fell_back"
    EMULATED = "emulated"
    SIMULATED = "simulated"
    NEEDS_REFERENCE = "needs_reference"
    NEEDS_PARENT = "needs_parent"
    NEEDS_AUTHORISATION = "needs_authorisation"
    NEEDS_RUNTIME = "needs_runtime"
    OTHER_PARAMETERS = "other_parameters"
    MODEL_CRASHED = "model_crashed"
    MODEL_HUNG = "model_hung"
    MODEL_OUT_OF_MEMORY = "model_out_of_memory"
    MODEL_FAILED = "model_failed"
    ENDPOINT_LOST = "endpoint_lost"
    TARGET_CHANGED = "target_changed"
    CHECK_CRASHED = "check_crashed"
    RECIPE_MISMATCH = "recipe_mismatch"
    RECIPE_FAILED = "recipe_failed"
    SHADOWS_MISMATCH = "shadows_mismatch"
    SHADOWS_FAILED = "shadows_failed"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A figure with what it was measured on, how sure it is, and what it may prove.

    A check leaves ``target``, ``check``, ``version`` and ``evidence`` empty; the frame fills them.
    ``low`` and ``high`` are ``None`` where the value is exact (a count over everything there is,
    a yes or no). ``params`` and ``slice`` are the coordinates at which rules select. A ``doubted``
    figure never passes; ``astray`` says which failures it does not show either.
    """

    metric: str
    value: Value
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    bound: BoundKind = BoundKind.ESTIMATE
    method: str
    n: int
    unit: Unit = Unit.NONE
    params: Mapping[str, Scalar] = field(default_factory=dict)
    slice: Mapping[str, str] = field(default_factory=dict)
    repeat: Repeatability = Repeatability.EXACT
    doubted: bool = False
    astray: BiasDirection | None = None
    details: Mapping[str, Json] = field(default_factory=dict)
    target: str = ""
    check: str = ""
    version: int = 0
    evidence: tuple[str, ...] = ()

    @classmethod
    def of(  # noqa: PLR0913 -- mirrors the fields that a check decides
        cls, interval: ConfidenceInterval, metric: str, unit: Unit, *,
        bound: BoundKind = BoundKind.ESTIMATE,
        params: Mapping[str, Scalar] | None = None,
        slice: Mapping[str, str] | None = None,  # noqa: A002 -- the record's own word
        repeat: Repeatability = Repeatability.EXACT,
        doubted: bool = False,
        astray: BiasDirection | None = None,
        details: Mapping[str, Json] | None = None,
    ) -> "Measurement":  # fmt: skip
        """Make a measurement of an interval; numbers of an array become plain ones."""
        return cls(
            metric=metric,
            value=float(interval.value),
            low=float(interval.low),
            high=float(interval.high),
            confidence=interval.confidence,
            bound=bound,
            method=interval.method,
            n=interval.n,
            unit=unit,
            params=params or {},
            slice=slice or {},
            repeat=repeat,
            doubted=doubted,
            astray=astray,
            details=details or {},
        )

    def to_json(self) -> dict[str, Json]:
        """Return the record's form of this measurement."""
        about: dict[str, Json] = {"astray": self.astray.value} if self.astray else {}
        return {
            "kind": "measurement",
            "target": self.target,
            "check": self.check,
            "version": self.version,
            "metric": self.metric,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "bound": self.bound.value,
            "method": self.method,
            "n": self.n,
            "unit": self.unit.value,
            "params": dict(self.params),
            "slice": dict(self.slice),
            "repeat": self.repeat.value,
            "doubted": self.doubted,
            **about,
            "details": dict(self.details),
            "evidence": list(self.evidence),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A measurement that should be there and is not. Gaps never pass a rule.

    ``metric`` names the one metric that is missing, at the coordinates ``params``, where the check
    measured others; empty, the whole check is missing.
    """

    reason: GapReason
    detail: str
    cure: str
    target: str = ""
    check: str = ""
    metric: str = ""
    params: Mapping[str, Scalar] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return the record's form of this gap."""
        about: dict[str, Json] = (
            {"metric": self.metric, "params": dict(self.params)} if self.metric else {}
        )
        return {
            "kind": "gap",
            "target": self.target,
            "check": self.check,
            "reason": self.reason.value,
            "detail": self.detail,
            "cure": self.cure,
            **about,
        }


Reading: TypeAlias = Measurement | Gap
