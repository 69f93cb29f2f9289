"""Readings of a check: measurements with confidence intervals, or gaps with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeAlias, cast

from auditor.domain.json import Json, JsonPart, OmitUnset, read_fields, read_json, write_fields


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
NEEDS = "needs"
"""The detail of a doubted figure that says what would take its doubt away."""


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
    figure never passes; ``astray`` says which failures it does not show either. Where all of its
    doubts push to one side, ``worst_case`` is the worst truth that they leave possible: no lower
    than ``high`` if it is astray ``too_high``, no higher than ``low`` if ``too_low``. A limit
    beyond ``worst_case`` is kept in spite of the doubt.
    """

    kind: ClassVar[str] = "measurement"
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
    astray: OmitUnset[BiasDirection | None] = None
    worst_case: OmitUnset[float | None] = None
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
        worst_case: float | None = None,
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
            worst_case=worst_case,
            details=details or {},
        )

    to_json = write_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A measurement that should be there and is not. Gaps never pass a rule.

    ``metric`` names the one metric that is missing, at the coordinates ``params``, where the check
    measured others; empty, the whole check is missing.
    """

    kind: ClassVar[str] = "gap"
    reason: GapReason
    detail: str
    cure: str
    target: str = ""
    check: str = ""
    metric: OmitUnset[str] = ""
    params: Mapping[str, Scalar] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Return the record's form; coordinates are those of a metric."""
        said = write_fields(self)
        return said if self.metric else {name: said[name] for name in said if name != "params"}

    @classmethod
    def from_json(cls, found: Json, place: str) -> "Gap":
        """Read what is missing. Raises ``RecordError`` for what is none."""
        part = JsonPart(found, place)
        whole: Mapping[str, object] = (
            {} if part.value.get("metric") else {"metric": "", "params": {}}
        )
        return read_fields(cls, part, **whole)


FAR = 10.0
"""The factor between the nearest ends of two intervals from which figures that depend on the
machine differ: a busy machine rarely makes a median that much slower, an invented figure may."""


def is_far_apart(was: Measurement, now: Measurement) -> bool:
    """Return whether the nearest ends of two figures are more than ``FAR`` times apart."""
    (_, high), (other_low, _) = sorted([_ends(was), _ends(now)])
    near, far = sorted([abs(high), abs(other_low)])
    return other_low > high and (high < 0 < other_low or far > FAR * near)


def _ends(item: Measurement) -> tuple[float, float]:
    value = item.value if isinstance(item.value, float | int) else 0.0
    low, high = (value if end is None else end for end in (item.low, item.high))
    return float(low), float(high)


Reading: TypeAlias = Measurement | Gap


def read_reading(found: Json, place: str) -> Reading:
    """Return the measurement or gap whose JSON form was found. Raises ``RecordError``."""
    return read_json(cast("type[Measurement | Gap]", Reading), found, place)
