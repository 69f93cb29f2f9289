"""Regression errors by group: the readings of one grouping, and the gaps between groups."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from auditor.domain.json import Json
from auditor.domain.readings import (
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Floats
from auditor.metrics.performance.group_fairness import GroupTable
from auditor.metrics.stats.group_gaps import GroupPairComparison, widest_gap
from auditor.metrics.stats.group_rates import (
    LEAST_MEAN_ROWS,
    TWO,
    count_group_clusters,
    group_means,
    joint_group_means,
    renumber_groups,
)

ERROR, WITHIN = "mean_error", "within_tolerance"
OF_TABLE = "accuracy"
"""Under which name the table counts the rows within the tolerance."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupErrors:
    """One grouping's errors ``[n]``, stated less true; ``family`` sets of pairs hold jointly."""

    table: GroupTable
    errors: Floats
    tolerance: float
    confidence: float
    family: int

    def readings(self) -> Iterator[Reading]:
        """Return every reading of the grouping, in one order at any confidence."""
        middles = self.alone()
        within = self.table.alone(OF_TABLE, self.confidence)
        for at, group in enumerate(self.table.groups):
            middle, share = middles.get(at), within[at]
            yield self.of_group(ERROR, middle, group, {})
            yield self.of_group(WITHIN, share, group, {"tolerance": self.tolerance})
        yield self.error_gap()
        yield self.within_gap()

    @property
    def enough(self) -> tuple[int, ...]:
        """The groups with rows, or clusters, enough for Student's interval."""
        rows, count = self.table.rows, len(self.table.groups)
        units = np.bincount(rows.codes, minlength=count)
        if rows.clusters is not None:
            units = count_group_clusters(rows.codes, count, rows.clusters)
        return tuple(int(at) for at in np.flatnonzero(units >= LEAST_MEAN_ROWS))

    def part(self, chosen: tuple[int, ...]) -> tuple[Floats, np.ndarray, np.ndarray | None]:
        """Return errors, groups counted from 0, and clusters of the rows of chosen groups."""
        rows = self.table.rows
        flags = np.isin(np.arange(len(self.table.groups)), chosen)
        inside, codes = renumber_groups(rows.codes, flags)
        clusters = None if rows.clusters is None else rows.clusters[inside]
        return self.errors[inside], codes, clusters

    def alone(self) -> Mapping[int, ConfidenceInterval]:
        """Return the mean error of each group that has enough rows."""
        enough = self.enough
        if not enough:
            return {}
        found = group_means(*self.part(enough), self.confidence)
        return dict(zip(enough, found, strict=True))

    def of_group(
        self,
        metric: str,
        interval: ConfidenceInterval | None,
        group: str,
        details: Mapping[str, Json],
    ) -> Reading:
        """Return a group's figure, or say why it has no interval."""
        where: dict[str, Scalar] = {"group_column": self.table.column, "group": group}
        if interval is None:
            return self.lacking(metric, where, [group])
        unit = Unit.NONE if metric == ERROR else Unit.SHARE
        told = {"n": interval.n, "holds": "for this group alone", **details}
        return Measurement.of(interval, metric, unit, params=where, details=told)

    def error_gap(self) -> Reading:
        """Return the largest difference of mean errors between the compared groups."""
        name, where = f"{ERROR}_gap", {"group_column": self.table.column}
        enough = self.enough
        few = [self.table.groups[at] for at in self.table.compared if at not in enough]
        if few or len(self.table.compared) < TWO:
            return self.lacking(name, where, few)
        found = widest_gap(
            joint_group_means(*self.part(self.table.compared), self.confidence, self.family)
        )
        return self.compared(found, name, Unit.NONE)

    def within_gap(self) -> Reading:
        """Return the largest difference of the shares within the tolerance."""
        name, where = f"{WITHIN}_gap", {"group_column": self.table.column}
        known = self.table.known(OF_TABLE)
        having = [at for at in self.table.compared if known[at]]
        if len(having) < TWO:
            few = [name for name in self.table.names if not known[self.table.groups.index(name)]]
            return self.lacking(name, where, few)
        groups = self.table.together(OF_TABLE, self.confidence, self.family)
        return self.compared(widest_gap(groups), name, Unit.SHARE)

    def compared(self, found: GroupPairComparison, metric: str, unit: Unit) -> Measurement:
        """Return a gap with the two groups that differ most."""
        names = self.table.names
        details: dict[str, Json] = {
            **found.between(names),
            "tolerance": self.tolerance,
            "left_out": [name for name in self.table.groups if name not in names],
        }
        where = {"group_column": self.table.column}
        return Measurement.of(found.interval, metric, unit, params=where, details=details)

    def lacking(self, metric: str, where: Mapping[str, Scalar], few: list[str]) -> Gap:
        """Say which groups have too few rows, or that there is one group only."""
        place = f"{metric} over {self.table.column}"
        if few:
            units = "rows" if self.table.rows.clusters is None else "clusters"
            least = LEAST_MEAN_ROWS if metric.startswith(ERROR) else TWO
            return Gap(
                reason=GapReason.TOO_FEW_ROWS,
                detail=f"{place} has no interval: {', '.join(few)} has fewer than {least} {units}.",
                cure="Evaluate on more rows of these groups, or leave them out by least_share.",
                metric=metric,
                params=where,
            )
        return Gap(
            reason=GapReason.NOT_DEFINED,
            detail=f"{place} is not defined: fewer than two groups are compared.",
            cure=f"Evaluate on data that hold more groups of {self.table.column}.",
            metric=metric,
            params=where,
        )
