"""Check of regression errors by group of people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, read_clusters
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.tasks import Floats, RegressionTask
from auditor.metrics.performance.group_fairness import (
    GroupRows,
    GroupTable,
    compute_row_flags,
    count_rows_without_group,
    list_compared_groups,
    read_beside_unknown,
    read_groups,
    write_groups,
)
from auditor.metrics.performance.group_panels import build_group_panels
from auditor.metrics.performance.group_regression_errors import ERROR, WITHIN, GroupErrors
from auditor.metrics.stats.group_gaps import gap_half_width

PLAUSIBLE = 0.9


@dataclass(frozen=True, slots=True)
class GroupErrorCheck(Check):
    """Measures a regression's errors by group: their mean, and the share of rows within your
    tolerance.

    An error is the prediction minus the truth, so predictions for a group with a positive mean are
    too high. Gaps hold jointly over both metrics and all columns. Rows of one cluster are treated
    as alike. ``compare_unknown`` and ``least_share`` work as in ``fairness.groups``.

    Evidence holds each row's groups and error, in the order of your data file.
    """

    compare_unknown: bool = False
    least_share: float = 0.0

    id: ClassVar[str] = "fairness.errors"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Differences in errors between groups"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.GROUPS, Need.REGRESSION}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        ERROR: Metric("Mean error", Unit.NONE),
        WITHIN: Metric("Share within the tolerance", Unit.SHARE, higher_is_better=True),
        f"{ERROR}_gap": Metric("Largest gap in mean error", Unit.NONE, higher_is_better=False),
        f"{WITHIN}_gap": Metric(
            "Largest gap in the share within the tolerance", Unit.SHARE, higher_is_better=False
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("eu-ai-act", "10(2)(g)"),
        FrameworkControl("eu-ai-act", "13(3)(b)(v)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.11"),
        FrameworkControl("iso-42001", "A.5.4"),
    )
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DAILY, 3)

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not 0 <= self.least_share < 1:
            message = f"least_share {self.least_share} is a share below 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows, clean=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of the widest column if nine in ten rows of a group are within tolerance."""
        found = 0.0
        for groups in size.groups.values():
            rows = [sum(counts.values()) for counts in groups.values()]
            names = tuple(groups)
            chosen = list_compared_groups(
                names, rows, self.least_share, unknown=self.compare_unknown
            )
            compared = [sum(groups[name].values()) for name in chosen]
            family = 2 * len(size.groups)
            found = max(found, gap_half_width(compared, confidence, family, PLAUSIBLE))
        return {f"{WITHIN}_gap": found} if found else {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the evaluation data; keep the groups and the error of each row."""
        task, dataset = subject.task, subject.datasets[DatasetRole.EVALUATION]
        if not isinstance(task, RegressionTask) or dataset.targets is None:
            message = "errors need a regression and its truth, and the frame asks for both"
            raise TypeError(message)
        stated = subject.probabilities(DatasetRole.EVALUATION)[:, 0]
        return {
            "errors": stated - dataset.targets,
            **write_groups(dataset),
            "task": {"tolerance": task.tolerance},
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Average over each group, and compare groups column by column."""
        columns, without = list(read_groups(evidence)), count_rows_without_group(evidence)
        errors = cast("Floats", evidence["errors"])
        clusters = read_clusters(evidence)
        tolerance = cast("Mapping[str, float]", evidence["task"])["tolerance"]
        within = np.abs(errors) <= tolerance
        flags = compute_row_flags(within, within, within, within)
        found: list[Reading] = []
        for name, groups, codes in columns:
            rows = np.bincount(codes, minlength=len(groups)).tolist()
            chosen = list_compared_groups(
                groups, rows, self.least_share, unknown=self.compare_unknown
            )
            table = GroupTable.of(name, groups, chosen, GroupRows(flags, codes, clusters))
            reader = GroupErrors(table, errors, tolerance, confidence, 2 * len(columns))
            found += read_beside_unknown(reader, self.emits, without.get(name))
        return tuple(found)

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show, grouping by grouping, the gaps between groups and the rate of each."""
        return ReportBlock(parts=build_group_panels(cls, (WITHIN,), measurements))


CHECK: type[Check] = GroupErrorCheck
