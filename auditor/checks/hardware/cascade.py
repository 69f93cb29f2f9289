"""Check of an edge-cloud cascade: which rows are deferred, and who can force or prevent it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import require_positive, sort_budgets
from auditor.attacks.evasion.goals import AttackGoal
from auditor.attacks.evasion.threat_model import is_within_budget
from auditor.attacks.hardware.deferral_attack import (
    Decide,
    ForcedDeferralGoal,
    RuleAttackEffort,
    RuleAttackResult,
    SuppressedDeferralGoal,
    attack_deferral_rule,
)
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading, Scalar, Unit
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.performance.paired_comparison import share_reading
from auditor.metrics.stats.proportions import clopper_pearson

GOALS: Mapping[str, Callable[[float, int, Decide], AttackGoal]] = {
    "forced": lambda below, width, _: ForcedDeferralGoal(below, width),
    "suppressed": lambda below, width, decide: SuppressedDeferralGoal(below, decide, width),
}


@dataclass(frozen=True, slots=True)
class CascadeRuleCheck(Check):
    """Measures how many rows the edge model defers and how well each half decides, then attacks the
    deferral rule.

    An attacker who queries the edge alone (``queries`` for each row) has two goals: make it unsure,
    so that rows it would have kept go to your cloud, or make it sure of a wrong decision, so that
    the cloud never sees the row. ``eps`` are shares of the input's range.
    """

    eps: tuple[float, ...] = (0.02, 0.05, 0.1)
    queries: int = 200
    rows: int = 100

    id: ClassVar[str] = "hardware.cascade"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Edge and cloud as one system"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {
            Need.MODEL,
            Need.EVALUATION,
            Need.LABELS,
            Need.CLASSIFICATION,
            Need.SPACE,
            Need.CASCADE,
        }
    )
    attacks_model: ClassVar[bool] = True
    emits: ClassVar[Mapping[str, Metric]] = {
        "deferral_rate": Metric("Rows that are sent to the cloud", Unit.SHARE),
        "kept_accuracy": Metric(
            "Accuracy on rows that the edge keeps", Unit.SHARE, higher_is_better=True
        ),
        "deferred_accuracy": Metric(
            "Accuracy on rows that the cloud decides", Unit.SHARE, higher_is_better=True
        ),
        "forced_deferral_rate": Metric(
            "Kept rows that an attacker sends to the cloud",
            Unit.SHARE,
            BoundKind.AT_LEAST,
            higher_is_better=False,
        ),
        "suppressed_rate": Metric(
            "Rows that an attacker keeps at the edge with a wrong decision",
            Unit.SHARE,
            BoundKind.AT_LEAST,
            higher_is_better=False,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(4)"),
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("iso-42001", "A.6.2.4"),
        FrameworkControl("mitre-atlas", "AML.T0043.001"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 50, "queries": 100},
        Budget.CI: {"rows": 200, "queries": 500},
        Budget.FULL: {"rows": 1000, "queries": 5000},
    }
    grid: ClassVar[Mapping[str, str]] = {"eps": "eps"}
    about: ClassVar[str] = (
        "A small model at the edge decides the rows that it is sure of, and sends the rest to a "
        "larger one. An attacker may make the small model sure of a wrong answer, so that the "
        "larger one never sees the row."
    )
    cures: ClassVar[tuple[str, ...]] = (
        (
            "Defer more rows (a higher limit), or let the edge decide only classes that it was "
            "trained on."
        ),
    )

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        sort_budgets(self.eps)
        require_positive(rows=self.rows, queries=self.queries)

    def cost(self, size: AuditSize) -> CheckCost:
        """Return upper bounds: every row is asked about at every budget, for both goals."""
        attacked = min(self.rows, size.rows)
        return CheckCost(queries=2 * size.rows + 2 * len(self.eps) * attacked * self.queries)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of a rate that is 0."""
        if not size.rows:
            return {}
        return {"deferral_rate": clopper_pearson(0, size.rows, confidence).high / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Ask both halves about every row, then attack the rule. A single place gives a Gap."""
        cascade, task = subject.cascade, subject.task
        dataset = subject.datasets[DatasetRole.EVALUATION]
        if isinstance(cascade, Gap):
            return {"gap": cascade.to_json()}
        if (
            not isinstance(task, ClassificationTask)
            or dataset.inputs is None
            or dataset.labels is None
        ):
            message = "a cascade needs labelled rows of a classification"
            raise TypeError(message)
        edge, cloud = cascade.edge, cascade.cloud
        seen: Evidence = {
            "edge": edge.probabilities(edge.predict(dataset.inputs)),
            "cloud": task.decide(cloud.probabilities(cloud.predict(dataset.inputs))),
            "labels": dataset.labels,
            "rule": {"below": cascade.below, "positive": task.positive_index, "eps": [*self.eps],
                     "threshold": task.threshold, "queries": self.queries},
        }  # fmt: skip
        width = len(task.classes)
        effort = RuleAttackEffort(sort_budgets(self.eps), self.queries, self.rows)
        tried = {
            name: attack_deferral_rule(
                subject, cascade, make(cascade.below, width, task.decide), effort
            )
            for name, make in GOALS.items()
        }
        return {**seen, **{k: v for name, item in tried.items() for k, v in _kept(name, item)}}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count deferrals and right decisions, and what the attacks changed."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        return (*_halves(evidence, confidence), *_attacked(evidence, confidence))


def _kept(name: str, attempt: RuleAttackResult) -> Iterator[tuple[str, NDArray[np.generic]]]:
    yield f"{name}_labels", attempt.labels
    yield f"{name}_before", attempt.before
    yield f"{name}_after", attempt.after
    yield f"{name}_distance", attempt.distance
    yield f"{name}_queries", np.array([attempt.queries])


def _halves(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    rule = cast("Mapping[str, Json]", evidence["rule"])
    edge, labels = cast("Floats", evidence["edge"]), cast("NDArray[np.int64]", evidence["labels"])
    deferred = edge.max(axis=1) < cast("float", rule["below"])
    decided = _decide(edge, rule)
    yield share_reading(
        "deferral_rate", deferred, confidence, params={"below": cast("float", rule["below"])}
    )
    yield _among("kept_accuracy", (decided == labels)[~deferred], confidence)
    cloud = cast("NDArray[np.int64]", evidence["cloud"])
    yield _among("deferred_accuracy", (cloud == labels)[deferred], confidence)


def _decide(probabilities: Floats, rule: Mapping[str, Json]) -> NDArray[np.int64]:
    if probabilities.shape[1] > 2:  # noqa: PLR2004 -- two classes have a threshold
        best: NDArray[np.int64] = probabilities.argmax(axis=1).astype(np.int64)
        return best
    positive, threshold = cast("int", rule["positive"]), cast("float", rule["threshold"])
    chosen = np.where(probabilities[:, positive] >= threshold, positive, 1 - positive)
    return chosen.astype(np.int64)


def _attacked(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    """Count, at each budget, the rows that reached a goal which they had not reached before."""
    rule = cast("Mapping[str, Json]", evidence["rule"])
    below = cast("float", rule["below"])
    for name, metric in (("forced", "forced_deferral_rate"), ("suppressed", "suppressed_rate")):
        before, after = (cast("Floats", evidence[f"{name}_{when}"]) for when in ("before", "after"))
        labels = cast("NDArray[np.int64]", evidence[f"{name}_labels"])
        goal = GOALS[name](below, before.shape[1], lambda stated: _decide(stated, rule))
        open_rows = ~goal.reached(before, labels)
        found = np.where(
            goal.reached(after, labels), cast("Floats", evidence[f"{name}_distance"]), np.inf
        )
        asked = int(cast("NDArray[np.int64]", evidence[f"{name}_queries"])[0])
        for eps in cast("list[float]", rule["eps"]):
            fell = is_within_budget(found, eps)[open_rows]
            where: dict[str, Scalar] = {"eps": eps, "norm": "linf"}
            details: dict[str, Json] = {"attack": "square", "queries": asked,
                                        "queries_a_row": rule["queries"]}  # fmt: skip
            yield _among(metric, fell, confidence, where, details)


def _among(
    metric: str,
    happened: NDArray[np.bool_],
    confidence: float,
    where: Mapping[str, Scalar] | None = None,
    details: Mapping[str, Json] | None = None,
) -> Reading:
    if len(happened):
        share = share_reading(metric, happened, confidence, params=where, details=details)
        return replace(share, bound=CascadeRuleCheck.emits[metric].bound)
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"{metric} speaks of rows of which there are none here.",
        cure="Look at the deferral rate: the edge keeps every row, or none.",
        metric=metric,
        params=where or {},
    )


CHECK: type[Check] = CascadeRuleCheck
