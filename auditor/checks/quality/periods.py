"""Check of quality over time: accuracy and calibration by period."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need, title_metric
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, read_clusters
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_measurement
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import (
    BlockPanel,
    PeriodChart,
    PeriodPoint,
    format_figure_cells,
    interval_ends,
)
from auditor.domain.tasks import ClassificationTask, Floats
from auditor.metrics.data.model_answers import (
    DatasetAnswers,
    Flags,
    labelled_answers,
    shared_cluster_evidence,
    stated_outcomes,
)
from auditor.metrics.data.period_performance import PerformanceTrend, PeriodTimeline, split_periods
from auditor.metrics.performance.calibration import CERTAINTY

ROLES = (DatasetRole.REFERENCE, DatasetRole.EVALUATION, DatasetRole.PRODUCTION)
PER_PERIOD = "period"
NUMBERS = " Of a regression, accuracy is the share of predictions within the tolerance."
COURSES = {
    "accuracy": ("Accuracy from period to period", "accuracy_change"),
    "debiased_l2": ("Calibration error from period to period", "calibration_change"),
}
"""What is drawn: its title, and the metric of the change between the first and the last period."""


@dataclass(frozen=True, slots=True)
class QualityOverTimeCheck(Check):
    """Measures accuracy and calibration by period, and their change from the first period to the
    latest.

    The check uses labelled reference, evaluation and production rows with a time. If there are few
    distinct times, such as years, each is a period; otherwise rows are split into ``most`` periods
    of about equal size.

    ``accuracy_range`` is the largest difference between any two periods. The changes compare the
    latest period with the first. The intervals of the range and of both changes hold jointly. ECE
    is in the details of the debiased error, for comparison only. In a regression a row is right if
    it is within the tolerance.
    """

    most: int = 12

    id: ClassVar[str] = "quality.periods"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Quality over time"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION, Need.LABELS, Need.SCORES})
    emits: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("Accuracy", Unit.SHARE, higher_is_better=True),
        **{name: CERTAINTY[name] for name in ("slope", "intercept", "debiased_l2")},
        "accuracy_range": Metric("Largest difference in accuracy between periods", Unit.NONE),
        "accuracy_change": Metric(
            "Accuracy of the latest period, minus that of the first",
            Unit.NONE,
            higher_is_better=True,
        ),
        "calibration_change": Metric(
            "Calibration error of the latest period, minus that of the first",
            Unit.NONE,
            higher_is_better=False,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.4"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
    )
    coordinates: ClassVar[frozenset[str]] = frozenset({"period"})
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.TIME, 1)

    def __post_init__(self) -> None:
        """Refuse what makes no course."""
        if self.most < 2:  # noqa: PLR2004 -- a first and a latest one
            message = f"most is at least 2 periods, not {self.most}"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        beside = (size.beside.get(role.value, 0) for role in ROLES)
        return CheckCost(queries=size.rows + sum(beside), clean=size.rows)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score labelled rows; keep when each happened, what was stated and what came true."""
        timed = [role for role in ROLES if _timed(subject, role)]
        found = [labelled_answers(subject, role) for role in timed]
        given = [item for item in found if isinstance(item, DatasetAnswers)]
        if not given:
            return {"gap": write_gap(NO_TIMES)}
        parts = [_part(subject, item) for item in given]
        times = np.concatenate([part["times"] for part in parts])
        placed = split_periods(times.astype(np.float64), self.most)
        labelled = np.concatenate([item.labelled for item in given])
        return {
            **{name: np.concatenate([part[name] for part in parts]) for name in KEPT},
            "periods": placed.codes,
            **shared_cluster_evidence(given, labelled),
            "task": {
                "periods": list(placed.names),
                "roles": [item.data.role.value for item in given],
                "classes": isinstance(subject.task, ClassificationTask),
            },
        }

    def refuses(self, subject: Subject) -> Gap | None:
        """Say that no data have times."""
        return None if any(_timed(subject, role) for role in ROLES) else NO_TIMES

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute each period's figures, and what has changed."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        task = cast("Mapping[str, Json]", evidence["task"])
        line = PeriodTimeline(
            names=tuple(cast("list[str]", task["periods"])),
            periods=cast("NDArray[np.int32]", evidence["periods"]),
            right=cast("Flags", evidence["right"]),
            stated=cast("Floats", evidence["stated"]),
            happened=cast("Flags", evidence["happened"]),
            clusters=read_clusters(evidence),
            classes=bool(task["classes"]),
        )
        return tuple(_readings(line, task, confidence))

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show accuracy and calibration error by period."""
        panels = (_course(cls, measurements, metric) for metric in COURSES)
        return ReportBlock(parts=tuple(panel for panel in panels if panel is not None))


KEPT = ("right", "stated", "happened")
NO_TIMES = Gap(
    reason=GapReason.NEEDS_TIMES,
    detail="No labelled data that the model answered say when their rows happened.",
    cure="Name the column of times under data.evaluation.time in the audit file.",
)


def _readings(
    line: PeriodTimeline, task: Mapping[str, Json], confidence: float
) -> Iterator[Reading]:
    for period, name in enumerate(line.names):
        for reading in line.of(period, confidence):
            yield replace(reading, params={PER_PERIOD: name})
    yield from PerformanceTrend(line, cast("Sequence[str]", task["roles"])).changes(confidence)


def _timed(subject: Subject, role: DatasetRole) -> bool:
    return role in subject.datasets and subject.datasets[role].times is not None


def _part(subject: Subject, given: DatasetAnswers) -> Mapping[str, NDArray[np.generic]]:
    """Return what is kept of the labelled rows of one dataset."""
    data, rows = given.data, given.labelled
    stated, happened = stated_outcomes(subject, given)
    times = np.zeros(data.rows) if data.times is None else data.times
    kept = {"times": times, "right": given.right, "stated": stated, "happened": happened}
    return {name: values[rows] for name, values in kept.items()}


def _course(
    check: type[Check], measurements: Sequence[Measurement], metric: str
) -> BlockPanel | None:
    title, change = COURSES[metric]
    drawn = [
        (m, PeriodPoint(str(m.params.get("period", "")), *of, m.doubted))
        for m in measurements
        if m.metric == metric and (of := interval_ends(m)) is not None
    ]
    if not drawn:
        return None
    changes = "".join(
        f" {title_metric(check, change)}: {format_measurement(m).whole}."
        for m in measurements
        if m.metric == change
    )
    # Of a regression no calibration is measured
    numbers = not any(m.metric in CERTAINTY for m in measurements)
    return BlockPanel(
        title=title,
        caption=f"Each band is the interval of one period alone.{changes}{NUMBERS * numbers}",
        chart=PeriodChart(tuple(point for _, point in drawn), Unit.SHARE),
        header=("Period", title_metric(check, metric), "Interval", "How sure"),
        rows=tuple((point.name, *format_figure_cells(m)) for m, point in drawn),
    )


CHECK: type[Check] = QualityOverTimeCheck
