"""Readings of the slices that were put forward, and of those that were confirmed."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

from auditor.domain.canonical import Json
from auditor.domain.checks import Metric
from auditor.domain.intervals import Interval
from auditor.domain.readings import Bound, Measurement, Reading, Unit
from auditor.stats.lattices import Conditions, Count
from auditor.stats.proportions import clopper_pearson
from auditor.stats.slices import POWER, Found, Tried, detectable

DOUBT = "rows of one cluster are not independent, and tests and intervals take them as if they were"
JOINT = "for the whole sample and all slices that were tried together"
COUNTS = {
    "slices_looked_at": "Slices that the search looked at",
    "slices_tried": "Slices that were tried on the rows held out",
    "slices_confirmed": "Slices confirmed to be worse than the rest",
}
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "error": Metric("Error rate", Unit.SHARE, higher_is_better=False),
        "worst_slice_error": Metric(
            "Error rate of the worst slice found",
            Unit.SHARE,
            Bound.AT_LEAST,
            higher_is_better=False,
        ),
        **{name: Metric(title, Unit.COUNT, exact=True) for name, title in COUNTS.items()},
    }
)
"""What checks emit that search slices and confirm them."""


@dataclass(frozen=True, slots=True)
class Names:
    """What columns and their levels are called."""

    columns: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]

    def of(self, conditions: Conditions) -> dict[str, str]:
        """Return a slice's coordinates."""
        return {self.columns[at]: self.levels[at][level] for at, level in conditions}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was put forward and tried, with the counts of all rows and of those held out.

    ``correction`` and ``level`` are those of the tests. ``clustered`` rows are not independent.
    """

    names: Names
    whole: Count
    held_out: Count
    found: Found
    tried: tuple[Tried, ...]
    correction: str
    level: float
    clustered: bool

    @property
    def confirmed(self) -> tuple[Tried, ...]:
        """The slices that are worse than the rest."""
        return tuple(item for item in self.tried if item.confirmed)

    @property
    def doubt(self) -> dict[str, Json]:
        """What makes every interval and test doubted, where rows come in clusters."""
        return {"doubt": DOUBT} if self.clustered else {}

    @property
    def effort(self) -> dict[str, Json]:
        """How far the search went."""
        found = self.found
        return {"depth": found.depth, "bad": found.bad, "weighed": found.weighed}

    def interval(self, count: Count, confidence: float) -> Interval:
        """Return an interval that holds together with those of all slices tried."""
        family = 1 + len(self.tried)
        each = clopper_pearson(count.errors, count.rows, 1 - (1 - confidence) / family)
        joint = f", bonferroni over {family}" if family > 1 else ""
        return replace(each, confidence=confidence, method=each.method + joint)

    def readings(self, confidence: float) -> tuple[Reading, ...]:
        """Return the whole sample's error, each confirmed slice's, the worst, and the counts."""
        return (*self.errors(confidence), self.worst(confidence), *self.counts())

    def errors(self, confidence: float) -> Iterator[Reading]:
        """Return the error of the whole sample, then of each confirmed slice."""
        for item in (None, *self.confirmed):
            yield Measurement.of(
                self.interval(self.whole if item is None else item.held, confidence),
                "error",
                Unit.SHARE,
                slice={} if item is None else self.names.of(item.conditions),
                doubted=self.clustered,
                details={
                    "of": "the whole sample" if item is None else "the rows held out",
                    "holds": JOINT,
                    **({} if item is None else self.told(item)),
                    **self.doubt,
                },
            )

    def worst(self, confidence: float) -> Reading:
        """Return the largest error of a confirmed slice, else that of the whole sample.

        Its upper end is the highest of all slices that were tried, confirmed or not.
        """
        whole = (self.whole, dict[str, str]())
        sure, tried = (
            [whole, *((item.held, self.names.of(item.conditions)) for item in items)]
            for items in (self.confirmed, self.tried)
        )
        count, place = max(sure, key=lambda named: named[0].rate)
        low = max(self.interval(seen, confidence).low for seen, _ in sure)
        highs = [
            (self.interval(seen, confidence).high if seen.rows else 1.0, of) for seen, of in tried
        ]
        high, highest = max(highs, key=lambda end: end[0])
        power = detectable(self.held_out, len(self.tried), self.level)
        return Measurement.of(
            replace(self.interval(count, confidence), low=low, high=high),
            "worst_slice_error",
            Unit.SHARE,
            bound=Bound.AT_LEAST,
            doubted=self.clustered,
            details={
                "slice": place,
                "upper_end_of": highest,
                "holds": JOINT,
                "power": POWER,
                "would_be_confirmed": [asdict(row) for row in power],
                **self.doubt,
            },
        )

    def counts(self) -> Iterator[Reading]:
        """Return how many slices were looked at, tried and confirmed, and which were tried."""
        told: list[Json] = [
            {"slice": self.names.of(item.conditions), **self.told(item)} for item in self.tried
        ]
        numbers = (self.found.looked, len(self.tried), len(self.confirmed))
        details: tuple[dict[str, Json], ...] = (self.effort, {"tried": told}, {})
        for metric, number, more in zip(COUNTS, numbers, details, strict=True):
            yield Measurement(
                metric=metric,
                value=number,
                method=f"split in halves, {self.correction} at {self.level:g}",
                n=self.whole.rows,
                unit=Unit.COUNT,
                doubted=self.clustered,
                details={**more, **self.doubt},
            )

    @staticmethod
    def told(item: Tried) -> dict[str, Json]:
        """Say what both halves saw of a slice."""
        counts = {"found": item.found, "held_out": item.held, "rest": item.rest}
        lift = item.held.rate / item.rest.rate if item.rest.errors else None
        return {
            **{name: {"k": count.errors, "n": count.rows} for name, count in counts.items()},
            "lift": lift,
            "p_value": item.p_value,
            "adjusted_p_value": item.adjusted,
            "confirmed": item.confirmed,
        }
