"""Whether the data hold the people that the model is for, in their shares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import ConfidenceInterval, Measurement, Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.tasks import Floats
from auditor.metrics.data.population import column_levels, count_levels, no_column_gap, no_rows_gap
from auditor.metrics.data.train_test_leakage import Rows, cluster_details, independent_rows
from auditor.metrics.stats.drift import (
    LIMITS,
    goodness_of_fit,
    largest_deviation,
    share_limits,
    share_with_unknown,
)
from auditor.metrics.stats.p_values import holm

RATIO, GAP = "representation_ratio", "representation_gap"
Census = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class RepresentativenessCheck:
    """Shares of the data against those of the declared population, column by column.

    Values are shares of the rows whose level is known; rows of unknown level may be of any, and
    widen every interval. Intervals hold jointly over all levels, columns and samples. The p-value
    of the fit is no metric: few rows fit any population. Levels of fewer than ``least_rows`` rows
    are named. Of rows that hang together one stands for each cluster.
    """

    least_rows: int = 30

    id: ClassVar[str] = "data.representativeness"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "The data against the population"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION, Need.POPULATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.TRAINING})
    uses: ClassVar[tuple[str, ...]] = ()
    coordinates: ClassVar[frozenset[str]] = frozenset({"column", "data", "level"})
    emits: ClassVar[Mapping[str, Metric]] = {
        GAP: Metric(
            "Largest distance of a share from the population's", Unit.SHARE, higher_is_better=False
        ),
        "outside_share": Metric(
            "Rows of levels that the population lacks", Unit.SHARE, higher_is_better=False
        ),
        "thin_levels": Metric(
            "Levels of the population with too few rows",
            Unit.COUNT,
            higher_is_better=False,
            exact=True,
        ),
        RATIO: Metric("Share of a level over its share of the population", Unit.NONE),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.2"),
        FrameworkControl("iso-42001", "A.7.4"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: AuditSize) -> CheckCost:
        """Ask the model nothing."""
        return CheckCost()

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Half width of the share of two equal levels, if they are all there is."""
        if not size.rows:
            return {}
        low, high = share_limits(np.full(2, size.rows / 2), size.rows, confidence, 2)
        return {GAP: float(high[0] - low[0]) / 2}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Count the rows of each level."""
        samples: dict[str, Json] = {}
        for role in (DatasetRole.EVALUATION, DatasetRole.TRAINING):
            dataset = subject.datasets.get(role)
            if dataset is not None:
                rows = independent_rows(subject, dataset)
                samples[role.value] = {
                    "clustered": dataset.clustered,
                    "columns": [
                        _counted(dataset, rows, name, shares)
                        for name, shares in subject.population.items()
                    ],
                }
        return {"samples": samples, "seed": subject.seed}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compare each column's counts with the population."""
        found: list[Reading] = []
        samples = cast("Mapping[str, Mapping[str, Json]]", evidence["samples"])
        family = sum(
            len(cast("Sequence[str]", item.get("levels", ())))
            for sample in samples.values()
            for item in cast("Sequence[Census]", sample["columns"])
        )
        for role, sample in samples.items():
            columns = cast("Sequence[Census]", sample["columns"])
            tables = [_ColumnCounts.of(item, role, bool(sample["clustered"])) for item in columns]
            fits = _fits(tables, cast("int", evidence["seed"]))
            for item, table, told in zip(columns, tables, fits, strict=True):
                if "gap" in item:
                    found += [read_gap(item["gap"], name, table.params) for name in self.emits]
                else:
                    found += table.readings(confidence, family, told, self.least_rows)
        return tuple(found)


def _counted(dataset: Dataset, rows: Rows, name: str, shares: Mapping[str, float]) -> Json:
    column = column_levels(dataset, name)
    if column is None:
        return {"column": name, "gap": write_gap(no_column_gap(dataset.role, name))}
    present = {level: share for level, share in shares.items() if share > 0}
    census = count_levels(column.take(rows), tuple(present))
    if not sum(census.counts):
        return {"column": name, "gap": write_gap(no_rows_gap(dataset.role, name, shares))}
    return {
        "column": name,
        "levels": list(present),
        "shares": list(present.values()),
        "counts": list(census.counts),
        "strangers": dict(census.strangers),
        "unknown": census.unknown,
    }


@dataclass(frozen=True, slots=True, eq=False)
class _ColumnCounts:
    """The counts of one column of one sample, level by level."""

    params: Mapping[str, str]
    clustered: bool
    levels: tuple[str, ...]
    shares: Floats
    counts: Floats
    strangers: Mapping[str, int]
    unknown: int

    @classmethod
    def of(cls, item: Census, role: str, clustered: bool) -> "_ColumnCounts":  # noqa: FBT001
        """Read evidence back; a column that is missing has no levels."""
        return cls(
            {"data": role, "column": str(item["column"])},
            clustered,
            tuple(cast("Sequence[str]", item.get("levels", ()))),
            np.array(item.get("shares", ()), dtype=np.float64),
            np.array(item.get("counts", ()), dtype=np.float64),
            cast("Mapping[str, int]", item.get("strangers", {})),
            cast("int", item.get("unknown", 0)),
        )

    @property
    def rows(self) -> int:
        """How many rows have a level of the population."""
        return int(self.counts.sum())

    def readings(
        self, confidence: float, family: int, told: Mapping[str, Json], least: int
    ) -> Iterator[Measurement]:
        """Return the largest deviation, what lies outside, what is thin, and each level's ratio."""
        asked = confidence, family, self.unknown
        deviation = largest_deviation(self.counts, self.shares, *asked)
        yield self._measured(deviation, GAP, Unit.SHARE, {**told, "unknown": self.unknown})
        yield self._outside(confidence)
        yield self._thin(least)
        low, high = share_limits(self.counts, self.rows, *asked)
        for at, level in enumerate(self.levels):
            aim, count = self.shares[at], int(self.counts[at])
            ends = float(low[at] / aim), float(high[at] / aim)
            value = count / self.rows / float(aim)
            interval = ConfidenceInterval(value, *ends, confidence, LIMITS, self.rows)
            details: dict[str, Json] = {"k": count, "n": self.rows, "population": float(aim)}
            yield self._measured(interval, RATIO, Unit.NONE, details, {"level": level})

    def _outside(self, confidence: float) -> Measurement:
        """Return the share of rows of other levels; those of unknown level may all be such."""
        outside = sum(self.strangers.values())
        share = share_with_unknown(outside, self.rows + outside, self.unknown, confidence)
        details: dict[str, Json] = {"levels": dict(self.strangers), "unknown": self.unknown}
        return self._measured(share, "outside_share", Unit.SHARE, details)

    def _thin(self, least: int) -> Measurement:
        lacking: dict[str, Json] = {
            level: least - int(count)
            for level, count in zip(self.levels, self.counts, strict=True)
            if count < least
        }
        absent = [level for level, k in zip(self.levels, self.counts, strict=True) if not k]
        return Measurement(
            metric="thin_levels",
            value=len(lacking),
            method=f"levels with fewer than {least} rows",
            n=self.rows,
            unit=Unit.COUNT,
            params=self.params,
            details={"rows_needed": lacking, "absent": cast("Json", absent), "least_rows": least},
        )

    def _measured(
        self,
        interval: ConfidenceInterval,
        metric: str,
        unit: Unit,
        details: Mapping[str, Json],
        more: Mapping[str, str] | None = None,
    ) -> Measurement:
        return Measurement.of(
            interval,
            metric,
            unit,
            params={**self.params, **(more or {})},
            details={**details, **cluster_details(self.clustered)},
        )


def _fits(tables: Sequence[_ColumnCounts], seed: int) -> list[Mapping[str, Json]]:
    """Return how each column's counts fit, with p-values that hold over all of them (Holm)."""
    found = [goodness_of_fit(it.counts, it.shares, seed) if it.rows else None for it in tables]
    adjusted = iter(holm([item.p_value for item in found if item is not None]))
    return [
        {}
        if item is None
        else {
            "statistic": item.statistic,
            "p_value": item.p_value,
            "adjusted_p_value": float(next(adjusted)),
            "test": item.method,
        }
        for item in found
    ]


CHECK: type[Check] = RepresentativenessCheck
