"""The contract of a check."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from auditor.domain.budgets import AuditSize, Budget, CheckCost, CheckForecast
from auditor.domain.challenges import CounterexampleClaims
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence
from auditor.domain.explanations import NOTHING_TOLD, Explanation, ExplanationContext
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, BuildBlock, Headline, ReportTopic
from auditor.domain.row_evidence import RowEvidence


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
    ``of_machine`` depends on the machine and the moment: a second run need not find it again.
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

    An implementation is a frozen dataclass that inherits this class, and with it the defaults of
    what it leaves out. Every field has a default; ``presets`` overrides fields a budget. ``grid``
    maps a reading's coordinate in ``params`` to the field that lists the values to measure, so
    that a rule's ``where`` can join it (``{"eps": "eps"}``).

    ``wants`` is what a check does more with and can do without. ``coordinates`` names the
    coordinates of readings that are no parameters. ``of_labels`` names the metrics of scores that
    this check finds from labels. ``modules`` maps an optional library that the check needs to the
    extra that brings it. ``attacks_model`` marks an attack outside the families of attacks.
    ``by_parts`` marks a check that looks at its ``rows`` part by part and ends between two of them
    when ``Subject.row_limit`` says so; its figures are then those of the rows that were done. From
    fewer than ``fewest_rows`` of them it has none, and ends where it will not reach so many.
    ``by_row`` says what of the evidence is about single rows, ``by_example`` what counterexamples
    can refute (``None``: nothing is said). ``block`` makes what the report shows at ``place``; in a
    check of ours it may be a method, which reads the parameters. What another package gives is
    believed after ``validate_block`` alone. ``headlines`` are the metrics by which reports compare
    targets, and ``topics`` what the figures document. ``about`` says in plain words what is looked
    at, and ``cures`` what helps where that is bad.
    """

    __slots__ = ()

    id: ClassVar[str]
    version: ClassVar[int]
    title: ClassVar[str]
    needs: ClassVar[frozenset[Need]]
    emits: ClassVar[Mapping[str, Metric]]
    uses: ClassVar[tuple[str, ...]] = ()
    controls: ClassVar[tuple[FrameworkControl, ...]] = ()
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}
    wants: ClassVar[frozenset[Need]] = frozenset()
    coordinates: ClassVar[frozenset[str]] = frozenset()
    of_labels: ClassVar[frozenset[str]] = frozenset()
    modules: ClassVar[Mapping[str, str]] = {}
    attacks_model: ClassVar[bool] = False
    by_parts: ClassVar[bool] = False
    fewest_rows: ClassVar[int] = 0
    by_row: ClassVar[RowEvidence] = RowEvidence()
    by_example: ClassVar[CounterexampleClaims | None] = None
    block: ClassVar[BuildBlock | None] = None
    place: ClassVar[BlockPlace] = BlockPlace()
    about: ClassVar[str] = ""
    cures: ClassVar[tuple[str, ...]] = ()
    headlines: ClassVar[Mapping[str, Headline]] = {}
    topics: ClassVar[frozenset[ReportTopic]] = frozenset()

    @abstractmethod
    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend."""
        ...

    @abstractmethod
    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Run the model and return what was seen, enough to recompute every figure."""
        ...

    @abstractmethod
    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute the readings from evidence alone: pure, in the same order at any confidence."""
        ...

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Say the half width that each metric's interval will have at best, where it is known."""
        del size, confidence
        return {}

    def foretell(self, size: AuditSize) -> CheckForecast:
        """Say before it runs what the check does with these rows, and what they lack."""
        del size
        return CheckForecast()

    def refuses(self, subject: Subject) -> Gap | None:
        """Return the Gap that the check is known to end in before it asks the model, if it is.

        A check whose needs are met may still have nothing to do, as a patch on rows that are no
        pictures. Plans ask; an audit lets the check run and keep the evidence.
        """
        del subject
        return None

    @classmethod
    def explain(cls, scene: ExplanationContext) -> Explanation:
        """Say what a finding means and what helps; asked of checks of ours without ``about``."""
        del scene
        return NOTHING_TOLD


def uses_need(check: Check | type[Check], need: Need) -> bool:
    """Return whether a check needs something, or does more where it is there."""
    return need in check.needs or need in check.wants


def requires_scores(check: Check | type[Check], metric: str) -> bool:
    """Return whether a metric has no meaning for a model that gives labels and no scores."""
    return metric in OF_SCORES and metric not in check.of_labels


def title_metric(check: Check | type[Check] | None, metric: str) -> str:
    """Return a metric's title as its check gives it, or its name in plain words."""
    found = None if check is None else check.emits.get(metric)
    title = metric.replace("_", " ") if found is None else found.title
    return title[:1].upper() + title[1:]


def find_refusal_gap(check: Check, subject: Subject) -> Gap | None:
    """Return what ``refuses`` returns.

    Raises what looking may raise, and ``TypeError`` where the answer is no Gap.
    """
    told: object = check.refuses(subject)
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
    """Return whether a check attacks the model: by its family, or because it says so itself."""
    return check.id.partition(".")[0] in ATTACKS or check.attacks_model


def is_timing(check: Check | type[Check]) -> bool:
    """Return whether a check's figures speak of the moment in which it ran."""
    return any(metric.unit in TIMES for metric in check.emits.values())


def depends_on_machine(check: Check | type[Check], metric: str) -> bool:
    """Return whether a metric depends on the machine and the moment, as times and memory always do.

    A metric that a check does not declare never does.
    """
    found = check.emits.get(metric)
    return found is not None and (found.of_machine or found.unit in {*TIMES, Unit.BYTE})


def measures_device(check: Check | type[Check]) -> bool:
    """Return whether a check's figures are times or memory, which only the chip itself has."""
    return any(metric.unit in {*TIMES, Unit.BYTE} for metric in check.emits.values())
