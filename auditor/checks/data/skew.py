"""Check for training-serving skew: whether served features equal the training features."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence, describe_cluster_doubt
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.report_blocks import ReportTopic
from auditor.metrics.data.model_answers import Flags
from auditor.metrics.data.training_serving_skew import FeatureJoin, join_feature_tables
from auditor.metrics.performance.paired_comparison import share_reading
from auditor.metrics.stats.proportions import clopper_pearson

MOST_NAMED = 10
SKEW = ("skewed_share", "skewed_column_share", "matched_share")


@dataclass(frozen=True, slots=True)
class TrainingServingSkewCheck(Check):
    """Compares features as they were at training with the same features as they were served, row by
    row.

    Rows of your training and production data are joined by ``id``. Two numbers differ if they are
    further apart than the share ``tolerance`` of the larger. Intervals of the columns hold jointly;
    readings show the ``most`` columns that differ most.

    ``leaked_share`` counts rows with features that became known only after the event (``as_of``
    after ``time``), in every dataset with both columns. The model could not have had these values.
    """

    tolerance: float = 1e-6
    most: int = 60

    id: ClassVar[str] = "data.skew"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Training-serving skew"
    needs: ClassVar[frozenset[Need]] = frozenset()
    wants: ClassVar[frozenset[Need]] = frozenset({Need.TRAINING, Need.PRODUCTION})
    emits: ClassVar[Mapping[str, Metric]] = {
        "skewed_share": Metric(
            "Joined rows with a feature that differs", Unit.SHARE, higher_is_better=False
        ),
        "skewed_column_share": Metric(
            "Joined rows that differ in one column", Unit.SHARE, higher_is_better=False
        ),
        "matched_share": Metric(
            "Production rows found in training data", Unit.SHARE, higher_is_better=True, exact=True
        ),
        "leaked_share": Metric(
            "Rows with features that were known only after the event",
            Unit.SHARE,
            higher_is_better=False,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.4"),
    )
    coordinates: ClassVar[frozenset[str]] = frozenset({"column", "data"})
    topics: ClassVar[frozenset[ReportTopic]] = frozenset({ReportTopic.DRIFT})

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not 0 <= self.tolerance < 1 or self.most < 1:
            message = "tolerance is a share below 1, and most is at least 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Ask the model nothing."""
        return CheckCost()

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Join the tables, and compare the times of every dataset."""
        pair = [
            subject.datasets.get(role) for role in (DatasetRole.TRAINING, DatasetRole.PRODUCTION)
        ]
        training, production = pair
        found: FeatureJoin | Gap = NO_PAIR
        if training is not None and production is not None:
            found = join_feature_tables(training, production, self.tolerance)
        late = {role.value: _late(data) for role, data in subject.datasets.items() if _timed(data)}
        if isinstance(found, Gap):
            return {"no_skew": write_gap(found), "late": late}
        differs = np.stack(list(found.differs.values()))
        anywhere: Flags = np.any(differs, axis=0)
        return {
            "late": late,
            "differs": differs,
            "columns": list(found.differs),
            "task": {
                "production": found.served,
                "clustered": any(data.clustered for data in pair if data is not None),
                "only_in_one": list(found.only_in_one),
                "worst_rows": [found.ids[row] for row in np.flatnonzero(anywhere)[:MOST_NAMED]],
            },
        }

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that there is nothing to compare, neither features nor times."""
        paired = {DatasetRole.TRAINING, DatasetRole.PRODUCTION} <= subject.datasets.keys()
        return None if paired or any(map(_timed, subject.datasets.values())) else NO_PAIR

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Count the rows that differ, and those that know too much."""
        if "no_skew" in evidence and not evidence["late"]:
            return (read_gap(evidence["no_skew"]),)
        return (*self.skew(evidence, confidence), *_leaks(evidence, confidence))

    def skew(self, evidence: Evidence, confidence: float) -> Iterator[Reading]:
        """Yield how many joined rows differ: in any column, and column by column."""
        if "no_skew" in evidence:
            yield from (read_gap(evidence["no_skew"], metric) for metric in SKEW)
            return
        differs = cast("Flags", evidence["differs"])
        names = cast("list[str]", evidence["columns"])
        task = cast("Mapping[str, Json]", evidence["task"])
        doubt = describe_cluster_doubt(task["clustered"])
        told = {name: task[name] for name in ("worst_rows", "only_in_one")}
        anywhere: Flags = np.any(differs, axis=0)
        whole = share_reading("skewed_share", anywhere, confidence, details=told)
        level = 1 - (1 - confidence) / len(names)
        order = np.argsort(-differs.sum(axis=1), kind="stable")[: self.most]
        shares = [whole]
        for at in order:
            one = share_reading(
                "skewed_column_share", differs[at], level, params={"column": names[at]}
            )
            method = f"{one.method}, joint by bonferroni"
            shares.append(replace(one, confidence=confidence, method=method))
        for item in shares:
            yield replace(item, doubted=bool(doubt), details={**item.details, **doubt})
        joined = differs.shape[1]
        yield Measurement(
            metric="matched_share",
            value=joined / cast("int", task["production"]),
            method="count",
            n=cast("int", task["production"]),
            unit=Unit.SHARE,
            details={"joined": joined},
        )


NO_PAIR = Gap(
    reason=GapReason.NEEDS_PRODUCTION_DATA,
    detail="Skew is between training and production data, and the audit does not name both.",
    cure="Name the features as they were served under data.production in the audit file, and those "
    "of training under data.training, with an id.",
)
NO_TIMES = Gap(
    reason=GapReason.NEEDS_TIMES,
    detail="No data say both when a row happened and when its features were known.",
    cure="Name the columns under time and as_of of a dataset in the audit file.",
    metric="leaked_share",
)


def _timed(data: Dataset) -> bool:
    return data.times is not None and data.as_of is not None


def _late(data: Dataset) -> Json:
    if data.times is None or data.as_of is None:
        return {}
    late = np.flatnonzero(data.as_of > data.times)
    named: list[Json] = [data.ids[row] for row in late[:MOST_NAMED]]
    return {
        "rows": data.rows, "late": len(late), "worst_rows": named, "clustered": data.clustered
    }  # fmt: skip


def _leaks(evidence: Evidence, confidence: float) -> Iterator[Reading]:
    """Yield, of each dataset, the share of rows that know what came after them."""
    late = cast("Mapping[str, Mapping[str, Json]]", evidence["late"])
    if not late:
        yield NO_TIMES
    for role, told in late.items():
        counts = cast("int", told["late"]), cast("int", told["rows"])
        doubt = describe_cluster_doubt(told["clustered"])
        yield Measurement.of(
            clopper_pearson(*counts, confidence),
            "leaked_share",
            Unit.SHARE,
            params={"data": role},
            doubted=bool(doubt),
            details={"late": counts[0], "worst_rows": told["worst_rows"], **doubt},
        )


CHECK: type[Check] = TrainingServingSkewCheck
