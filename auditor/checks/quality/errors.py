"""Check of regression errors: how far predicted numbers miss the truth."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, read_clusters, write_clusters
from auditor.domain.gaps import too_few_rows_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.row_evidence import RowEvidence, RowFigures
from auditor.domain.tasks import Floats, RegressionTask
from auditor.metrics.stats.means import LEAST_ERRORS, mean_error, r_squared, root_mean_square
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.share_differences import share_with_clusters

MOST_WORST_ROWS = 10
PLAUSIBLE = 0.9
STEEPEST = 4 / 27**0.5
"""The largest that ``2 R (1 - R²)`` can be, which over the root of the rows is R²'s error."""
MOST_CLASSES = 2
"""So few values of the truth are classes."""
CLASSES = "the truth takes at most two values, so the task is a classification"
Clusters = NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class RegressionErrorCheck(Check):
    """Measures the errors of a regression, in the unit of the predicted value.

    ``within_tolerance`` is the share of rows with an error within the tolerance of your task;
    ``bias`` is the mean of prediction minus truth. If your rows come in clusters, errors are
    cluster-robust. If the truth takes only one or two values, all figures are doubted: the task is
    a classification, and rules for one should judge it.
    """

    id: ClassVar[str] = "quality.errors"
    version: ClassVar[int] = 2
    title: ClassVar[str] = "Regression errors on the target"
    needs: ClassVar[frozenset[Need]] = frozenset(
        {Need.EVALUATION, Need.LABELS, Need.SCORES, Need.REGRESSION}
    )
    emits: ClassVar[Mapping[str, Metric]] = {
        "within_tolerance": Metric("Within tolerance", Unit.SHARE, higher_is_better=True),
        "mae": Metric("Mean absolute error", Unit.NONE, higher_is_better=False),
        "rmse": Metric("Root mean square error", Unit.NONE, higher_is_better=False),
        "bias": Metric("Mean error (prediction minus truth)", Unit.NONE),
        "r2": Metric("Explained variance (R²)", Unit.NONE, higher_is_better=True),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "15(1)"),
        FrameworkControl("eu-ai-act", "15(3)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.3"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.5"),
        FrameworkControl("iso-42001", "A.6.2.4"),
    )
    by_row: ClassVar[RowEvidence] = RowEvidence(
        each=frozenset({"clusters", "ids", "predicted", "truth"}),
        apart=frozenset({"task"}),
        counted=frozenset({"within_tolerance"}),
        adds=lambda evidence: _MissedRows.of(evidence).adds(),
    )

    def cost(self, size: AuditSize) -> CheckCost:
        """Score every row once; other checks of the same audit share the scores."""
        return CheckCost(queries=size.rows, clean=size.rows)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half widths for nine in ten rows within tolerance and normal errors."""
        if not size.rows:
            return {}
        likely = clopper_pearson(round(PLAUSIBLE * size.rows), size.rows, confidence)
        explained = STEEPEST * float(ndtri((1 + confidence) / 2)) / math.sqrt(size.rows)
        return {"within_tolerance": (likely.high - likely.low) / 2, "r2": explained}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Score the evaluation data; keep each row's truth and prediction."""
        task, dataset = subject.task, subject.datasets[DatasetRole.EVALUATION]
        if not isinstance(task, RegressionTask) or dataset.targets is None:
            message = "errors need a regression and its truth, and the frame asks for both"
            raise TypeError(message)
        return {
            "ids": np.asarray(dataset.ids),
            "truth": dataset.targets,
            "predicted": np.ascontiguousarray(subject.probabilities(DatasetRole.EVALUATION)[:, 0]),
            "task": {"tolerance": float(task.tolerance)},
            **write_clusters(dataset),
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute each metric from predictions and truth alone."""
        seen = _MissedRows.of(evidence)
        found: tuple[Reading, ...] = (seen.within(confidence), *seen.sizes(confidence))
        if len(np.unique(seen.truth)) > MOST_CLASSES:
            return found
        return tuple(
            item
            if isinstance(item, Gap)
            else replace(item, doubted=True, details={**item.details, "doubt": CLASSES})
            for item in found
        )


@dataclass(frozen=True, slots=True, eq=False)
class _MissedRows:
    """Rows ``[n]`` with their truth and by how much they were missed."""

    ids: NDArray[np.str_]
    truth: Floats
    errors: Floats
    tolerance: float
    clusters: Clusters

    @classmethod
    def of(cls, evidence: Evidence) -> "_MissedRows":
        """Read evidence back."""
        task = cast("Mapping[str, Json]", evidence["task"])
        truth = cast("Floats", evidence["truth"])
        return cls(
            cast("NDArray[np.str_]", evidence["ids"]),
            truth,
            cast("Floats", evidence["predicted"]) - truth,
            cast("float", task["tolerance"]),
            read_clusters(evidence),
        )

    def adds(self) -> tuple[RowFigures, ...]:
        """Return what each row adds to the figures that are means over rows."""
        return (
            RowFigures("within_tolerance", np.abs(self.errors) <= self.tolerance),
            RowFigures("mae", np.abs(self.errors)),
            RowFigures("bias", self.errors),
        )

    def within(self, confidence: float) -> Reading:
        """Return the share of rows whose error does no harm."""
        near = np.abs(self.errors) <= self.tolerance
        details: dict[str, Json] = {"tolerance": self.tolerance, "worst_rows": self.worst_rows()}
        if self.clusters is not None and not self.clusters.any():
            return self.too_few("within_tolerance", 2)
        interval = share_with_clusters(near, self.clusters, confidence)
        return Measurement.of(interval, "within_tolerance", Unit.SHARE, details=details)

    def sizes(self, confidence: float) -> Iterator[Reading]:
        """Return how large errors are, or why so few rows do not say."""
        metrics = ("mae", "rmse", "bias", "r2")
        units = len(self.truth) if self.clusters is None else len(np.unique(self.clusters))
        if units < LEAST_ERRORS:
            yield from (self.too_few(metric, LEAST_ERRORS) for metric in metrics)
            return
        errors, clusters = self.errors, self.clusters
        found = (
            mean_error(np.abs(errors), confidence, clusters),
            root_mean_square(errors, confidence, clusters),
            mean_error(errors, confidence, clusters),
        )
        for metric, interval in zip(metrics[:3], found, strict=True):
            yield Measurement.of(interval, metric, Unit.NONE)
        if not errors.any() or not np.ptp(self.truth):
            yield Gap(
                reason=GapReason.NOT_DEFINED,
                detail="r2 has no interval: every prediction is exact, or every truth is the same.",
                cure="Evaluate on rows that differ, and look at whether the truth is among the "
                "inputs.",
                metric="r2",
            )
        else:
            part = r_squared(self.truth, errors, confidence, clusters)
            yield Measurement.of(part, "r2", Unit.NONE)

    def worst_rows(self) -> list[Json]:
        """Return the ids of the rows that were missed by most."""
        order = np.argsort(-np.abs(self.errors), kind="stable")[:MOST_WORST_ROWS]
        return [str(name) for name in self.ids[order]]

    def too_few(self, metric: str, least: int) -> Gap:
        """Say how many rows a metric needs."""
        return too_few_rows_gap(
            metric, least, "rows" if self.clusters is None else "clusters of rows"
        )


CHECK: type[Check] = RegressionErrorCheck
