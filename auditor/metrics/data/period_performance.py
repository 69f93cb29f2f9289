"""Model performance by time period, its trend, and the split of rows into periods."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import describe_cluster_doubt
from auditor.domain.json import Json
from auditor.domain.readings import ConfidenceInterval, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.tasks import Floats
from auditor.metrics.stats import binned_calibration
from auditor.metrics.stats.group_gaps import max_gap
from auditor.metrics.stats.recalibration import recalibrate
from auditor.metrics.stats.share_differences import (
    LEAST_CLUSTERS,
    group_share_difference,
    has_few_clusters,
    interval_difference,
    share_with_clusters,
)

Flags = NDArray[np.bool_]
LINE = ("slope", "intercept")
CHANGES = 3
"""Range and both changes hold jointly."""
ECE = "biased upward, and no interval of it is known to cover: for comparability only"


@dataclass(frozen=True, slots=True, eq=False)
class PeriodTimeline:
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
        ece = binned_calibration.expected_calibration_error(stated, happened)
        yield replace(made, details={**made.details, "ece_15": ece, "ece_15_is": ECE})

    def accuracy(self, period: int, confidence: float) -> Reading:
        """Return the share of right answers of a period."""
        rows = self.periods == period
        clusters = None if self.clusters is None else self.clusters[rows]
        if clusters is not None and np.unique(clusters).size < LEAST_CLUSTERS:
            return _undefined("accuracy", f"it has fewer than {LEAST_CLUSTERS} clusters of rows")
        return Measurement.of(
            share_with_clusters(self.right[rows], clusters, confidence), "accuracy", Unit.SHARE
        )

    def error(self, period: int, confidence: float) -> ConfidenceInterval | Gap:
        """Return the debiased calibration error of a period."""
        rows = self.periods == period
        if int(rows.sum()) < binned_calibration.LEAST_ROWS:
            return _undefined(
                "debiased_l2", f"it has fewer than {binned_calibration.LEAST_ROWS} rows"
            )
        return binned_calibration.debiased_calibration_error(
            self.stated[rows], self.happened[rows], confidence
        )

    def measured(self, interval: ConfidenceInterval, metric: str, unit: Unit) -> Measurement:
        """Make a reading; rows that come in clusters make it doubted."""
        clustered = self.clusters is not None
        return Measurement.of(
            interval, metric, unit, doubted=clustered, details=describe_cluster_doubt(clustered)
        )


@dataclass(frozen=True, slots=True, eq=False)
class PerformanceTrend:
    """A timeline from its first period to its latest, of data of these ``roles``."""

    line: PeriodTimeline
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
        if clusters is not None and has_few_clusters(clusters, latest):
            return _undefined("accuracy_change", f"fewer than {LEAST_CLUSTERS} clusters of rows")
        found = group_share_difference(line.right[ends], latest, clusters, level)
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


def _joint(
    found: ConfidenceInterval, metric: str, course: PerformanceTrend, confidence: float
) -> Measurement:
    interval = replace(found, confidence=confidence, method=f"{found.method}, joint by bonferroni")
    names = course.line.names
    details: dict[str, Json] = {"first": names[0], "latest": names[-1]}
    return Measurement.of(interval, metric, Unit.NONE, details=details)


def _undefined(metric: str, why: str) -> Gap:
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"{metric} of the period has no interval: {why}.",
        cure="Take more rows of each period, or fewer periods.",
        metric=metric,
    )


ONE_PERIOD = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="All labelled rows are of one period, so that nothing can have changed.",
    cure="Name an earlier sample with its times under data.reference in the audit file.",
)


STAMPS = 1e8
"""Numbers from here on are seconds since 1970, of 1973 and later; smaller ones stay, as a year."""
ENDLESS = datetime.max.replace(tzinfo=UTC).timestamp() // 1
"""Numbers from here on (milliseconds, or 20260301120000) are no seconds of a date, and stay too."""


@dataclass(frozen=True, slots=True, eq=False)
class RowPeriods:
    """Names of periods in order, and the period ``[n]`` of each row."""

    names: tuple[str, ...]
    codes: NDArray[np.int32]


def split_periods(times: Floats, most: int) -> RowPeriods:
    """Return at most ``most`` periods of times ``[n]``: one a distinct number where they are few,
    and else of about equally many rows, of which equal times are never parted.
    """
    distinct, place = np.unique(times, return_inverse=True)
    if distinct.size <= most:
        return RowPeriods(tuple(_written(float(at)) for at in distinct), place.astype(np.int32))
    counts = np.bincount(place)
    _, parts = np.unique((np.cumsum(counts) - counts) * most // times.size, return_inverse=True)
    names = []
    for part in range(int(parts.max()) + 1):
        within = distinct[parts == part]
        first, last = _written(float(within[0])), _written(float(within[-1]))
        names.append(first if first == last else f"{first} to {last}")
    # Give names that are the same, such as those of parts of one day, a number each
    same = {name: names.count(name) for name in names}
    return RowPeriods(
        tuple(
            name if same[name] == 1 else f"{name} ({names[: at + 1].count(name)})"
            for at, name in enumerate(names)
        ),
        parts[place].astype(np.int32),
    )


def _written(time: float) -> str:
    if not STAMPS <= time < ENDLESS:
        return f"{time:g}" if abs(time) < 1e6 else f"{time:.0f}"  # noqa: PLR2004 -- what g writes whole
    moment = datetime.fromtimestamp(time, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return moment.date().isoformat() if moment == midnight else moment.strftime("%Y-%m-%d %H:%M")
