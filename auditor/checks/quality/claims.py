"""Check of claimed quality: whether the model is as good as its owner says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import OF_SCORES, Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, read_clusters, write_clusters
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import (
    BiasDirection,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Scalar,
    Unit,
)
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.data.model_answers import (
    KINDS,
    Flags,
    LabelledAnswers,
    Labels,
    find_dataset_answers,
    measure_claimed_metric,
)
from auditor.metrics.performance.log_probabilities import (
    CUT,
    count_clipped_labels,
    explain_log_loss_doubt,
    observe_cutoff,
    observe_log_probabilities,
    read_log_probabilities,
)

Read = TypeVar("Read", bound=Reading)
METRIC, OVERCLAIM = "claimed_minus_measured", "overclaim"
OVERCLAIMED = {True: "above 0", False: "below 0"}


@dataclass(frozen=True, slots=True)
class ClaimedQualityCheck(Check):
    """Compares each number under ``claims`` in your audit file with the value measured on the
    target.

    You can claim ``accuracy``, ``balanced_accuracy``, ``auc``, ``nll`` and ``brier`` for a
    classification; also ``tpr``, ``fpr`` and ``ppv`` of the positive class if it is binary. For a
    regression you can claim ``accuracy`` (within the tolerance) and ``mae``. Select one in a rule
    by ``where: {claim: NAME}``. Intervals are those of ``quality.accuracy`` and ``quality.errors``,
    account for clusters and hold jointly over all claims.

    ``overclaim`` has the same meaning for every metric: the share of the larger of the two numbers
    by which the claim is too good. It is above 0 if the claim is better than the measurement,
    whether a higher or a lower metric is better.
    """

    id: ClassVar[str] = "quality.claims"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Claimed and measured performance"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.CLAIMS}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        METRIC: Metric("Claimed minus measured", Unit.NONE),
        OVERCLAIM: Metric("Relative overstatement of the claim", Unit.NONE, higher_is_better=False),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("eu-ai-act", "13(3)(b)(ii)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.3"),
    )
    coordinates: ClassVar[frozenset[str]] = frozenset({"claim"})

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows, clean=size.rows)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the evaluation data, and keep what is claimed."""
        found = find_dataset_answers(subject, DatasetRole.EVALUATION)
        if isinstance(found, Gap):
            return {"gap": write_gap(found)}
        task, data = subject.task, found.data
        classes = isinstance(task, ClassificationTask)
        logits = subject.scores(DatasetRole.EVALUATION)[1] if classes else None
        decided = subject.decisions(DatasetRole.EVALUATION) if classes else None
        truth = data.labels if classes else data.targets
        none = np.empty(0, dtype=np.int64)
        return {
            "right": found.right,
            "scores": found.scores,
            "truth": none if truth is None else truth,
            "decided": none if decided is None else decided,
            **write_clusters(data),
            **(observe_log_probabilities(found.scores, logits) if classes else {}),
            "claims": dict(subject.claims),
            "task": {
                "classes": classes,
                "positive": task.positive_index if isinstance(task, ClassificationTask) else 0,
                "labels_only": subject.labels_only(DatasetRole.EVALUATION),
                **(observe_cutoff(found.scores, logits) if classes else {}),
            },
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Measure what is claimed, all claims jointly."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        claims = cast("Mapping[str, Json]", evidence["claims"])
        task = cast("Mapping[str, Json]", evidence["task"])
        classes = bool(task["classes"])
        answered = LabelledAnswers(
            right=cast("Flags", evidence["right"]),
            scores=cast("Floats", evidence["scores"]),
            labels=cast("Labels", evidence["truth"]) if classes else None,
            decided=cast("Labels", evidence["decided"]) if classes else None,
            targets=None if classes else cast("Floats", evidence["truth"]),
            positive=cast("int", task["positive"]),
            clusters=read_clusters(evidence),
            chances=read_log_probabilities(evidence),
        )
        return tuple(_readings(answered, claims, task, confidence))


def _readings(
    answered: LabelledAnswers,
    claims: Mapping[str, Json],
    task: Mapping[str, Json],
    confidence: float,
) -> Iterator[Reading]:
    numbers = {
        name: value
        for name, value in claims.items()
        if name in KINDS and isinstance(value, int | float) and not isinstance(value, bool)
    }
    level = 1 - (1 - confidence) / max(1, len(numbers))
    for name, value in claims.items():
        if name in numbers:
            found = _measured(name, answered, level, task)
        else:
            found = Gap(
                reason=GapReason.UNSUPPORTED,
                detail=f"The claim {name!r} is no number that can be held against a measurement.",
                cure=f"Numbers can be claimed of {', '.join(KINDS)}.",
            )
        if isinstance(found, Gap):
            for metric in (METRIC, OVERCLAIM):
                yield replace(found, metric=metric, params={"claim": name})
            continue
        method = found.method if len(numbers) == 1 else f"{found.method}, joint by bonferroni"
        joint = replace(found, confidence=confidence, method=method)
        claimed = float(cast("float", value))
        lost = _lost(answered) if name == "nll" and task.get(CUT) is True else 0
        interval = replace(
            joint,
            value=claimed - joint.value,
            low=claimed - joint.high,
            high=claimed - joint.low,
        )
        details: dict[str, Json] = {
            "claimed": claimed,
            "measured": joint.value,
            "promises_too_much_where": OVERCLAIMED[KINDS[name].higher_is_better],
        }
        params: dict[str, Scalar] = {"claim": name}
        difference = _doubted(
            Measurement.of(interval, METRIC, Unit.NONE, params=params, details=details),
            lost,
            BiasDirection.TOO_HIGH,
        )
        yield difference
        over = _overclaim(difference, claimed, joint, higher=KINDS[name].higher_is_better)
        yield _doubted(over, lost, BiasDirection.TOO_LOW)


def _lost(answered: LabelledAnswers) -> int:
    """Return how many labels have a probability that is cut off: they cost more than measured."""
    return 0 if answered.labels is None else count_clipped_labels(answered.scores, answered.labels)


def _doubted(found: Read, lost: int, astray: BiasDirection) -> Read:
    """Doubt a comparison with a log loss that is larger than what was measured."""
    if not lost or isinstance(found, Gap):
        return found
    details = {**found.details, "doubt": explain_log_loss_doubt(lost)}
    return replace(found, doubted=True, astray=astray, details=details)


def _measured(
    name: str, answered: LabelledAnswers, level: float, task: Mapping[str, Json]
) -> ConfidenceInterval | Gap:
    silent = task["labels_only"] and name in OF_SCORES
    if silent:
        return Gap(
            reason=GapReason.NEEDS_SCORES,
            detail=f"The data give decisions and no scores, of which {name} speaks.",
            cure="Name the model's scores under data.evaluation.scores in the audit file.",
        )
    return measure_claimed_metric(name, answered, level)


def _overclaim(
    difference: Measurement, claimed: float, found: ConfidenceInterval, *, higher: bool
) -> Reading:
    """Return by which share a claim is too good, of the larger of what is claimed and measured."""
    if min(claimed, found.low) < 0:
        return Gap(
            reason=GapReason.NOT_DEFINED,
            detail=f"A share of {claimed:g} claimed and {found.value:g} measured has no meaning: "
            "one may be below 0.",
            cure="Claim a number that cannot be negative.",
            metric=OVERCLAIM,
            params=difference.params,
        )

    def share(measured: float) -> float:
        larger = max(claimed, measured)
        over = claimed - measured if higher else measured - claimed
        return over / larger if larger else 0.0

    ends = sorted((share(found.low), share(found.high)))
    return replace(
        difference, metric=OVERCLAIM, value=share(found.value), low=ends[0], high=ends[1]
    )


CHECK: type[Check] = ClaimedQualityCheck
