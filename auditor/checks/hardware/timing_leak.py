"""Check for a timing leak: whether a row's time reveals the decision, or that it was right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import (
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Unit,
)
from auditor.domain.row_evidence import RowEvidence
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.stats.ks_distance import (
    best_separation_rule,
    largest_ks_distance,
    separation_gain,
)
from auditor.metrics.stats.p_values import permutation_p_value, shuffle_statistic
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.quantiles import difference_of_medians

LEAST_KIND = 8
"""Rows of one kind below which nothing can be found out from half of them."""
PERMUTATIONS = 999
DECIDED, CORRECT = "class", "correct"
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TimingLeakCheck(Check):
    """Times ``rows`` rows alone, ``repeats`` times each in changing order, and searches a time
    limit that separates one decided class from all others, or right decisions from wrong ones.

    The limit is chosen on half of the rows, and its gain over guessing is measured on the other
    half: an attacker who can time single rows of your model learns at least this much. The details
    hold the p-value of the best limit, from a permutation test over all rows.
    """

    rows: int = 200
    repeats: int = 21

    id: ClassVar[str] = "hardware.timing_leak"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Information leaked by response times"
    attacks_model: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL, Need.EVALUATION, Need.CLASSIFICATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.LABELS})
    emits: ClassVar[Mapping[str, Metric]] = {
        "advantage": Metric(
            "Gain over guessing from the response time", Unit.SHARE, BoundKind.AT_LEAST,
            higher_is_better=False, of_machine=True,
        ),
        "median_difference": Metric(
            "Median latency of the separated rows, minus that of the others", Unit.SECOND
        ),
    }  # fmt: skip
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(5)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.7"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.10"),
        FrameworkControl("iso-42001", "A.6.2.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 100, "repeats": 5},
        Budget.CI: {"rows": 400, "repeats": 15},
        Budget.FULL: {"rows": 2000, "repeats": 51},
    }
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"class", "correct", "half", "ids"}), apart=frozenset({"about", "gap"})
    )
    about: ClassVar[str] = (
        "This check times the answers one by one. If the time depends on the answer, an observer "
        "of the time alone learns something about the answer."
    )
    cures: ClassVar[tuple[str, ...]] = (
        "Answer at fixed times, or in batches with indistinguishable members.",
    )

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if self.rows < 1 or self.repeats < 1:
            message = "rows and repeats must be at least 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend."""
        return CheckCost(queries=min(self.rows, size.rows) * (self.repeats + 1))

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return about the half width where nothing is told apart: rows halve, and halve again."""
        part = min(self.rows, size.rows) // 4
        if part < 1:
            return {}
        none = clopper_pearson(part // 2, part, 1 - (1 - confidence) / 2)
        return {"advantage": none.high - none.low}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Time rows one by one. Raises what ``ModelBench.each`` raises."""
        dataset, task, bench = subject.datasets[DatasetRole.EVALUATION], subject.task, subject.bench
        if not isinstance(task, ClassificationTask) or dataset.inputs is None:
            message = "a leak of classes needs a classification, and the frame asks for one"
            raise TypeError(message)
        if isinstance(bench, Gap):
            return {"gap": write_gap(bench)}
        sample = subject.sample(DatasetRole.EVALUATION, self.rows)
        decided = task.decide(subject.probabilities(DatasetRole.EVALUATION))[sample]
        taken = bench.each(dataset.inputs[sample], self.repeats)
        labels = dataset.labels
        seen = decided if labels is None else (decided == labels[sample]).astype(np.int64)
        halves = np.random.default_rng(subject.seed).permutation(len(sample)) % 2
        return {
            "gap": None,
            "ids": np.asarray(dataset.ids)[sample],
            "taken": taken,
            "class": decided,
            "correct": seen,
            "half": halves.astype(np.int64),
            "about": {
                "classes": list(task.classes),
                "labelled": labels is not None,
                "seed": subject.seed,
            },
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Find limits on one half of the rows, and count their gain on the other."""
        if evidence["gap"] is not None:
            return (read_gap(evidence["gap"]),)
        about = cast("Mapping[str, Json]", evidence["about"])
        times = np.median(cast("Floats", evidence["taken"]), axis=0)
        half = cast("Labels", evidence["half"])
        seed, found = cast("int", about["seed"]), list[Reading]()
        for secret in (DECIDED, CORRECT):
            kinds = cast("Labels", evidence[secret])
            seen = _SecretTimings(secret, times, kinds, half, cast("list[str]", about["classes"]))
            if secret == CORRECT and not about["labelled"]:
                found += [_gap(metric, secret, GapReason.NEEDS_LABELS) for metric in self.emits]
            elif not seen.enough:
                found += [_gap(metric, secret, GapReason.TOO_FEW_ROWS) for metric in self.emits]
            else:
                found += seen.readings(confidence, seed)
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _SecretTimings:
    """Times ``[n]`` (s) of rows of several ``kinds``, and the half that each row belongs to."""

    name: str
    times: Floats
    kinds: Labels
    half: Labels
    classes: Sequence[str]

    @property
    def enough(self) -> bool:
        """Whether in both halves there are two kinds with enough rows."""
        tallies = (np.unique(self.kinds[self.half == part], return_counts=True) for part in (0, 1))
        return all(int((counts >= LEAST_KIND // 2).sum()) > 1 for _, counts in tallies)

    def readings(self, confidence: float, seed: int) -> list[Reading]:
        """Return what one half's best limit gains on the other, and how far times lie apart."""
        first, times, kinds = self.half == 0, self.times[self.half == 1], self.kinds[self.half == 1]
        cut = best_separation_rule(self.times[first], self.kinds[first])
        ours = kinds == cut.kind
        apart = difference_of_medians(times[ours], times[~ours], confidence)
        gained = separation_gain(cut, times, kinds, confidence)
        if gained is None or apart is None:
            return [
                _gap(metric, self.name, GapReason.TOO_FEW_ROWS) for metric in TimingLeakCheck.emits
            ]
        right = "right" if cut.kind else "wrong"
        chances = shuffle_statistic(
            lambda mixed: largest_ks_distance(self.times, mixed),
            self.kinds,
            PERMUTATIONS,
            np.random.default_rng(seed),
        )
        more: dict[str, Any] = {
            "params": {"secret": self.name},
            "repeat": Repeatability.INTERVAL,
            "details": {
                "p_value": permutation_p_value(
                    largest_ks_distance(self.times, self.kinds), chances
                ),
                "kind": self.classes[cut.kind] if self.name == DECIDED else right,
                "limit": cut.at,
                "above": cut.above,
            },
        }
        bound = BoundKind.AT_LEAST
        return [
            Measurement.of(gained, "advantage", Unit.SHARE, bound=bound, **more),
            Measurement.of(apart, "median_difference", Unit.SECOND, **more),
        ]


def _gap(metric: str, secret: str, reason: GapReason) -> Gap:
    words = {
        GapReason.NEEDS_LABELS: "Without labels it is unknown which decisions are right.",
        GapReason.TOO_FEW_ROWS: "Fewer than two kinds have enough rows in both halves of the "
        "sample.",
    }
    return Gap(
        reason=reason,
        detail=words[reason],
        cure="Name labels, or give more rows of each class (of each kind of decision).",
        metric=metric,
        params={"secret": secret},
    )


CHECK: type[Check] = TimingLeakCheck
