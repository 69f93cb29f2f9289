"""Whether the numbers that a model states are equally right for groups of people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, read_clusters
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import Floats, RegressionTask
from auditor.metrics.performance.group_errors import ERROR, WITHIN, GroupErrors
from auditor.metrics.performance.group_fairness import (
    GroupRows,
    GroupTable,
    compute_row_flags,
    list_compared_groups,
    read_groups,
    write_groups,
)


@dataclass(frozen=True, slots=True)
class GroupErrorCheck:
    """A regression's errors by group: their mean, and how many rows are within the tolerance.

    An error is what is stated less what is true, so that a group with a positive mean is rated too
    high. Gaps hold jointly over both metrics and all columns; rows of one cluster are taken as
    alike. ``compare_unknown`` and ``least_share`` are as in ``fairness.groups``. Evidence holds
    each row's groups and error, in the order of the data file.
    """

    compare_unknown: bool = False
    least_share: float = 0.0

    id: ClassVar[str] = "fairness.errors"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Equal errors of groups"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.GROUPS, Need.REGRESSION}
    )
    uses: ClassVar[tuple[str, ...]] = ()
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
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        """Refuse parameters that have no meaning."""
        if not 0 <= self.least_share < 1:
            message = f"least_share {self.least_share} is a share below 1"
            raise ValueError(message)

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Say nothing: groups of a regression are not counted before the run."""
        return {}

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
        columns = list(read_groups(evidence))
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
            family = 2 * len(columns)
            found += GroupErrors(table, errors, tolerance, confidence, family).readings()
        return tuple(found)


CHECK: type[Check] = GroupErrorCheck
