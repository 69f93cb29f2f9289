"""Figures of a model by period, and how they have changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.clusters import doubts
from auditor.domain.intervals import Interval
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Unit
from auditor.domain.tasks import Floats
from auditor.stats import binning
from auditor.stats.differences import (
    LEAST_CLUSTERS,
    difference,
    few_clusters,
    interval_difference,
    share,
)
from auditor.stats.gaps import max_gap
from auditor.stats.recalibration import recalibrate

Flags = NDArray[np.bool_]
LINE = ("slope", "intercept")
CHANGES = 3
"""Range and both changes hold jointly."""
ECE = "biased upward, and no interval of it is known to cover: for comparability only"


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Labelled rows ``[n]`` by period: which were answered right, what was stated of each, and
    whether that came true; ``clusters`` ``[n]`` hang together.
    """

    names: tuple[str, ...]
    periods: NDArray[np.int32]
    right: Flags
    stated: Floats
    happened: Flags
    clusters: NDArray[np.int64] | None
    classes: bool

    def of(self, period: int, confidence: float) -> Iterator[Reading]:
        """Yield the figures of a period."""
        yield self.accuracy(period, confidence)
        if not self.classes:
            return
        rows = self.periods == period
        stated, happened = self.stated[rows], self.happened[rows]
        line = recalibrate(stated, happened, confidence)
        for metric in LINE:
            if line is None:
                yield _undefined(metric, "one threshold tells apart what came true and what not")
            else:
                yield self.measured(getattr(line, metric), metric, Unit.NONE)
        error = self.error(period, confidence)
        if isinstance(error, Gap):
            yield error
            return
        made = self.measured(error, "debiased_l2", Unit.SHARE)
        ece = binning.expected_error(stated, happened)
        yield replace(made, details={**made.details, "ece_15": ece, "ece_15_is": ECE})

    def accuracy(self, period: int, confidence: float) -> Reading:
        """Return the share of right answers of a period."""
        rows = self.periods == period
        clusters = None if self.clusters is None else self.clusters[rows]
        if clusters is not None and np.unique(clusters).size < LEAST_CLUSTERS:
            return _undefined("accuracy", f"it has fewer than {LEAST_CLUSTERS} clusters of rows")
        return Measurement.of(share(self.right[rows], clusters, confidence), "accuracy", Unit.SHARE)

    def error(self, period: int, confidence: float) -> Interval | Gap:
        """Return the debiased calibration error of a period."""
        rows = self.periods == period
        if int(rows.sum()) < binning.LEAST_ROWS:
            return _undefined("debiased_l2", f"it has fewer than {binning.LEAST_ROWS} rows")
        return binning.debiased_l2(self.stated[rows], self.happened[rows], confidence)

    def measured(self, interval: Interval, metric: str, unit: Unit) -> Measurement:
        """Make a reading; rows that come in clusters make it doubted."""
        clustered = self.clusters is not None
        return Measurement.of(interval, metric, unit, doubted=clustered, details=doubts(clustered))


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """A timeline from its first period to its latest, of data of these ``roles``."""

    line: Timeline
    roles: Sequence[str]

    def changes(self, confidence: float) -> Iterator[Reading]:
        """Yield the range over periods, and how the latest differs from the first."""
        line, last = self.line, len(self.line.names) - 1
        metrics = ("accuracy_range", "accuracy_change", *(["calibration_change"] * line.classes))
        if not last:
            for metric in metrics:
                yield replace(ONE_PERIOD, metric=metric)
            return
        level = 1 - (1 - confidence) / CHANGES
        yield self.range(confidence)
        yield self.accuracy_change(confidence, level)
        if line.classes:
            yield self.calibration_change(confidence, level)

    def range(self, confidence: float) -> Measurement:
        """Return the largest difference of accuracy between two periods."""
        line = self.line
        rows = np.bincount(line.periods, minlength=len(line.names))
        right = np.bincount(line.periods[line.right], minlength=len(line.names))
        found = max_gap(right, rows, confidence, CHANGES)
        details: dict[str, Json] = {
            **found.between(line.names),
            "roles": list(self.roles),
        }
        made = line.measured(found.interval, "accuracy_range", Unit.NONE)
        return replace(made, details={**made.details, **details})

    def accuracy_change(self, confidence: float, level: float) -> Reading:
        """Return the latest accuracy, less the first."""
        line, last = self.line, len(self.line.names) - 1
        ends = (line.periods == 0) | (line.periods == last)
        latest = line.periods[ends] == last
        clusters = None if line.clusters is None else line.clusters[ends]
        if clusters is not None and few_clusters(clusters, latest):
            return _undefined("accuracy_change", f"fewer than {LEAST_CLUSTERS} clusters of rows")
        found = difference(line.right[ends], latest, clusters, level)
        return _joint(found, "accuracy_change", self, confidence)

    def calibration_change(self, confidence: float, level: float) -> Reading:
        """Return the latest calibration error, less the first."""
        latest = self.line.error(len(self.line.names) - 1, level)
        first = self.line.error(0, level)
        if isinstance(latest, Gap):
            return replace(latest, metric="calibration_change")
        if isinstance(first, Gap):
            return replace(first, metric="calibration_change")
        made = _joint(interval_difference(latest, first), "calibration_change", self, confidence)
        return replace(made, doubted=self.line.clusters is not None)


def _joint(found: Interval, metric: str, course: Course, confidence: float) -> Measurement:
    interval = replace(found, confidence=confidence, method=f"{found.method}, joint by bonferroni")
    names = course.line.names
    details: dict[str, Json] = {"first": names[0], "latest": names[-1]}
    return Measurement.of(interval, metric, Unit.NONE, details=details)


def _undefined(metric: str, why: str) -> Gap:
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"{metric} of the period has no interval: {why}.",
        cure="Take more rows of each period, or fewer periods.",
        metric=metric,
    )


ONE_PERIOD = Gap(
    reason=Reason.NOT_DEFINED,
    detail="All labelled rows are of one period, so that nothing can have changed.",
    cure="Name an earlier sample with its times under data.reference in the audit file.",
)
