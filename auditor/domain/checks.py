"""The contract of a check."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from auditor.domain.budgets import AuditSize, Budget, CheckCost, CheckForecast
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Reading, Unit
from auditor.domain.subjects import CheckShard, Subject


class Need(StrEnum):
    """What a check cannot do without. The frame turns an unmet need into a Gap."""

    ARTIFACT = "artifact"
    MODEL = "model"
    TWIN = "twin"
    EVALUATION = "evaluation"
    LABELS = "labels"
    GROUPS = "groups"
    SCORES = "scores"
    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    SPACE = "space"
    TEXT = "text"
    PARENT = "parent"
    CASCADE = "cascade"
    TRAINING = "training"
    REFERENCE = "reference"
    PRODUCTION = "production"
    POPULATION = "population"
    CLAIMS = "claims"
    RECIPE = "recipe"
    SHADOWS = "shadows"
    GENERATOR = "generator"
    PRIVACY_CLAIM = "privacy_claim"
    DOCUMENTS = "documents"


@dataclass(frozen=True, slots=True)
class Metric:
    """What a check emits under one name.

    ``higher_is_better`` is ``None`` where neither end is. ``exact`` metrics carry no interval. One
    of them without a unit is a yes, a no or a word, unless it is said to be a ``number``. What is
    ``of_machine`` hangs on the machine and the moment: a second run need not find it again.
    """

    title: str
    unit: Unit
    bound: BoundKind = BoundKind.ESTIMATE
    higher_is_better: bool | None = None
    exact: bool = False
    number: bool = False
    of_machine: bool = False


class Check(Protocol):
    """Measures; its fields are its parameters; it never decides.

    An implementation is a frozen dataclass. Every field has a default; ``presets`` overrides
    fields a budget. ``grid`` maps a reading's coordinate in ``params`` to the field that lists the
    values to measure, so that a rule's ``where`` can join it (``{"eps": "eps"}``). A check that
    lives on an optional library maps its module to the extra that brings it in ``modules``.
    """

    id: ClassVar[str]
    version: ClassVar[int]
    title: ClassVar[str]
    needs: ClassVar[frozenset[Need]]
    uses: ClassVar[tuple[str, ...]]
    emits: ClassVar[Mapping[str, Metric]]
    controls: ClassVar[tuple[FrameworkControl, ...]]
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]]
    grid: ClassVar[Mapping[str, str]]

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend."""
        ...

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Say the half width that each metric's interval will have at best, where it is known."""
        ...

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Run the model and return what was seen, enough to recompute every figure."""
        ...

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute the readings from evidence alone: pure, in the same order at any confidence."""
        ...


def uses_need(check: Check | type[Check], need: Need) -> bool:
    """Return whether a check needs something, or does more where it is there.

    A check names the latter in a class variable ``wants``, if there is anything.
    """
    wants: frozenset[Need] = getattr(check, "wants", frozenset())
    return need in check.needs or need in wants


def list_coordinates(check: Check | type[Check]) -> frozenset[str]:
    """Return the coordinates of a check's readings that are no parameters of it.

    A check names them in a class variable ``coordinates``, if there are any, so that a rule's
    ``where`` may select by them.
    """
    named: frozenset[str] = getattr(check, "coordinates", frozenset())
    return named


def requires_scores(check: Check | type[Check], metric: str) -> bool:
    """Return whether a metric has no meaning for a model that gives labels and no scores.

    A check names those of its own metrics that it finds from labels in ``of_labels``.
    """
    found: frozenset[str] = getattr(check, "of_labels", frozenset())
    return metric in OF_SCORES and metric not in found


def forecast_check(check: Check, size: AuditSize) -> CheckForecast:
    """Return what a check says of these rows before it runs; nothing where it has no word."""
    tell: Callable[[AuditSize], CheckForecast] | None = getattr(check, "foretell", None)
    return CheckForecast() if tell is None else tell(size)


def find_refusal_gap(check: Check, subject: Subject) -> Gap | None:
    """Return the one Gap that a check is known to end in before it asks the model, if it is.

    A check whose needs are met may still have nothing to do, as a patch on rows that are no
    pictures; it says so in a method ``refuses(subject)``, by the Gap that its figures will be.
    Plans ask; an audit lets the check run and keep the evidence. Raises what looking may raise,
    and ``TypeError`` where the answer is no Gap.
    """
    look: Callable[[Subject], object] | None = getattr(check, "refuses", None)
    told = None if look is None else look(subject)
    if told is not None and not isinstance(told, Gap):
        message = f"{check.id} refuses by {type(told).__name__}, which is no Gap"
        raise TypeError(message)
    return told


ATTACKS = frozenset({"evasion", "poisoning", "privacy"})
"""Families whose checks send what no ordinary caller would send."""
OF_SCORES = frozenset(
    {
        "auc", "nll", "brier", "nll_change", "brier_change", "slope", "intercept", "debiased_l2",
        "smece", "ece_15", "classwise_l2", "class_l2", "top_label_l2", "brier_reliability",
        "brier_resolution", "brier_uncertainty", "temperature_gain", "platt_gain", "in_the_large",
        "in_the_large_gap", "slope_gap", "intercept_gap", "smece_change", "max_logit_diff",
        "mean_logit_diff", "estimated_accuracy", "calibration_change", "noise_share",
    }
)  # fmt: skip
"""Metrics that speak of how sure a model is, which a model that gives labels does not say."""
TIMES = frozenset({Unit.SECOND, Unit.PER_SECOND})


def is_attack(check: Check | type[Check]) -> bool:
    """Return whether a check attacks the model: by its family, or because it says ``attacks``."""
    return check.id.partition(".")[0] in ATTACKS or bool(getattr(check, "attacks", False))


def is_timing(check: Check | type[Check]) -> bool:
    """Return whether a check's figures speak of the moment in which it ran."""
    return any(metric.unit in TIMES for metric in check.emits.values())


def depends_on_machine(check: Check | type[Check], metric: str) -> bool:
    """Return whether a metric hangs on the machine and the moment, as times and memory always do.

    A metric that a check does not declare never does.
    """
    found = check.emits.get(metric)
    return found is not None and (found.of_machine or found.unit in {*TIMES, Unit.BYTE})


def measures_device(check: Check | type[Check]) -> bool:
    """Return whether a check's figures are times or memory, which only the chip itself has."""
    return any(metric.unit in {*TIMES, Unit.BYTE} for metric in check.emits.values())
