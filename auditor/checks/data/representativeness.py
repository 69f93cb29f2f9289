"""Check of representativeness: whether the data hold a declared population in its shares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.gaps import read_gap, write_gap
from auditor.domain.json import Json
from auditor.domain.number_text import format_count, format_number, join_interval
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import ConfidenceInterval, Measurement, Reading, Unit
from auditor.domain.report_blocks import BlockPlace, Reads, ReportBlock, ReportSection
from auditor.domain.report_panels import (
    BlockPanel,
    IntervalChart,
    IntervalRow,
    interval_ends,
    name_sample,
)
from auditor.domain.tasks import Floats
from auditor.metrics.data.leakage_effect import Rows, cluster_details, independent_rows
from auditor.metrics.data.population_counts import (
    column_levels,
    count_levels,
    no_column_gap,
    no_rows_gap,
)
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
MOST_LEVELS_DRAWN = 12
POPULATION = (
    "Dots are shares of the rows with their intervals, which hold jointly; squares are the shares "
    "of the population that the audit declares."
)


@dataclass(frozen=True, slots=True)
class RepresentativenessCheck(Check):
    """Compares shares in your data with those of the declared population, column by column.

    Shares count rows with a known level. Rows of unknown level could have any level and widen every
    interval. Intervals hold jointly over all levels, columns and samples. Levels with fewer than
    ``least_rows`` rows are listed. Each cluster of related rows counts as one row.

    The p-value of the fit is no metric, because a few rows fit any population.
    """

    least_rows: int = 30

    id: ClassVar[str] = "data.representativeness"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Representativeness of the data for the population"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EVALUATION, Need.POPULATION})
    wants: ClassVar[frozenset[Need]] = frozenset({Need.TRAINING})
    coordinates: ClassVar[frozenset[str]] = frozenset({"column", "data", "level"})
    emits: ClassVar[Mapping[str, Metric]] = {
        GAP: Metric(
            "Largest difference between a share and that of the population",
            Unit.SHARE,
            higher_is_better=False,
        ),
        "outside_share": Metric(
            "Rows with levels that the population does not have", Unit.SHARE, higher_is_better=False
        ),
        "thin_levels": Metric(
            "Levels of the population with too few rows",
            Unit.COUNT,
            higher_is_better=False,
            exact=True,
        ),
        RATIO: Metric("Share of a level, divided by its share of the population", Unit.NONE),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "10(3)"),
        FrameworkControl("eu-ai-act", "10(2)(f)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.2"),
        FrameworkControl("iso-42001", "A.7.4"),
    )
    place: ClassVar[BlockPlace] = BlockPlace(ReportSection.DATA, 1, once=True)

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

    @classmethod
    def block(cls, measurements: Sequence[Measurement], evidence: Reads) -> ReportBlock:
        """Show, for each column of the population, the data's shares beside the population's."""
        ratios = [m for m in measurements if m.metric == "representation_ratio"]
        places = dict.fromkeys((name_sample(m), str(m.params.get("column", ""))) for m in ratios)
        panels: list[BlockPanel] = []
        for sample, column in places:
            mine = [m for m in ratios if m.params.get("column", "") == column]
            levels = [_level(m) for m in mine if name_sample(m) == sample]
            shown = [level for level in levels if level is not None]
            if shown:
                about = POPULATION if not panels else "The same for other rows or levels."
                title = f"Composition of the {sample}, by {column}"
                hidden = len(shown) - MOST_LEVELS_DRAWN
                more = f" {hidden} more levels are in the table only." if hidden > 0 else ""
                rows = tuple(row for drawn, _ in shown[:MOST_LEVELS_DRAWN] for row in drawn)
                panels.append(
                    BlockPanel(
                        title=title,
                        caption=about + more,
                        chart=IntervalChart(rows, Unit.SHARE),
                        header=(
                            "Level",
                            "Share of rows",
                            "Interval",
                            "Share of the population",
                            "Rows",
                        ),
                        rows=tuple(told for _, told in shown),
                    )
                )
        return ReportBlock(parts=tuple(panels))


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
        # The share of rows of other levels; those of unknown level may all be such
        outside = sum(self.strangers.values())
        share = share_with_unknown(outside, self.rows + outside, self.unknown, confidence)
        outside_details: dict[str, Json] = {"levels": dict(self.strangers), "unknown": self.unknown}
        yield self._measured(share, "outside_share", Unit.SHARE, outside_details)
        lacking: dict[str, Json] = {
            level: least - int(count)
            for level, count in zip(self.levels, self.counts, strict=True)
            if count < least
        }
        absent = [level for level, k in zip(self.levels, self.counts, strict=True) if not k]
        yield Measurement(
            metric="thin_levels",
            value=len(lacking),
            method=f"levels with fewer than {least} rows",
            n=self.rows,
            unit=Unit.COUNT,
            params=self.params,
            details={"rows_needed": lacking, "absent": cast("Json", absent), "least_rows": least},
        )
        low, high = share_limits(self.counts, self.rows, *asked)
        for at, level in enumerate(self.levels):
            aim, count = self.shares[at], int(self.counts[at])
            ends = float(low[at] / aim), float(high[at] / aim)
            value = count / self.rows / float(aim)
            interval = ConfidenceInterval(value, *ends, confidence, LIMITS, self.rows)
            details: dict[str, Json] = {"k": count, "n": self.rows, "population": float(aim)}
            yield self._measured(interval, RATIO, Unit.NONE, details, {"level": level})

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


LevelRows = tuple[tuple[IntervalRow, IntervalRow], tuple[str, ...]]


def _level(m: Measurement) -> LevelRows | None:
    aim, hits, of = m.details.get("population"), m.details.get("k"), interval_ends(m)
    if of is None or not isinstance(aim, int | float) or not isinstance(hits, int):
        return None
    if not 0 < aim <= 1:
        return None
    name = str(m.params.get("level", ""))
    share, low, high = (min(1.0, max(0.0, end * aim)) for end in of)
    shown = [format_number(value, Unit.SHARE) for value in (share, low, high, aim)]
    told = (name, shown[0], join_interval(shown[1], shown[2]), shown[3], format_count(hits))
    ours = IntervalRow(name, share, low, high, 0, m.doubted)
    return (ours, IntervalRow("population", aim, aim, aim, 1)), told


CHECK: type[Check] = RepresentativenessCheck
