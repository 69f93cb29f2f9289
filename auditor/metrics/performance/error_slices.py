"""Search for slices with high error, tested on held-out rows, and their readings."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.check_subject import Subject
from auditor.domain.checks import Metric
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import (
    BoundKind,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Unit,
)
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.slice_discovery import (
    CORRECTIONS,
    POWER,
    SliceCandidates,
    SliceSearch,
    SliceTest,
    confirm_slices,
    detectable_slices,
    discover_slices,
)
from auditor.metrics.stats.slice_lattices import CodedSample, Conditions, ErrorCount

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
            BoundKind.AT_LEAST,
            higher_is_better=False,
        ),
        **{name: Metric(title, Unit.COUNT, exact=True) for name, title in COUNTS.items()},
    }
)
"""What checks emit that search slices and confirm them."""


@dataclass(frozen=True, slots=True)
class SliceNames:
    """What columns and their levels are called."""

    columns: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]

    def of(self, conditions: Conditions) -> dict[str, str]:
        """Return a slice's coordinates."""
        return {self.columns[at]: self.levels[at][level] for at, level in conditions}


@dataclass(frozen=True, slots=True)
class SliceSearchOutcome:
    """What was put forward and tried, with the counts of all rows and of those held out.

    ``correction`` and ``level`` are those of the tests. ``clustered`` rows are not independent.
    """

    names: SliceNames
    whole: ErrorCount
    held_out: ErrorCount
    found: SliceCandidates
    tried: tuple[SliceTest, ...]
    correction: str
    level: float
    clustered: bool

    @property
    def confirmed(self) -> tuple[SliceTest, ...]:
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

    def interval(self, count: ErrorCount, confidence: float) -> ConfidenceInterval:
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
        power = detectable_slices(self.held_out, len(self.tried), self.level)
        return Measurement.of(
            replace(self.interval(count, confidence), low=low, high=high),
            "worst_slice_error",
            Unit.SHARE,
            bound=BoundKind.AT_LEAST,
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
    def told(item: SliceTest) -> dict[str, Json]:
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


Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SliceSearchSettings:
    """How slices are searched, and when they are confirmed; see ``SliceSearch`` and
    ``confirm_slices``.

    A slice has at least ``least_rows`` rows and the share ``least_share`` of the rows searched.
    Raises ``ValueError`` for what has no meaning.
    """

    depth: int
    least_rows: int
    least_share: float
    most: int
    level: float
    correction: str

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if min(self.depth, self.least_rows, self.most) < 1:
            message = "depth, least_rows and most are whole numbers of at least 1"
            raise ValueError(message)
        if not 0 <= self.least_share < 1 or not 0 < self.level < 1:
            message = f"least_share {self.least_share} and level {self.level} are shares below 1"
            raise ValueError(message)
        if self.correction not in CORRECTIONS:
            message = f"correction is one of {', '.join(CORRECTIONS)}, not {self.correction!r}"
            raise ValueError(message)

    def admits(self, rows: int, share: float) -> bool:
        """Whether a slice that holds so many rows, that share of its half, may be put forward."""
        return rows >= self.least_rows and share >= self.least_share

    def outcome(self, evidence: Evidence) -> SliceSearchOutcome | Gap:
        """Search and try what evidence holds; a Gap where a half is too small.

        It holds ``codes`` ``[columns, n]``, ``wrong`` and ``searched`` ``[n]``, the ``columns``'
        ``name`` and ``levels``, and in ``task`` how many ``clusters`` there are.
        """
        wrong = cast("Flags", evidence["wrong"])
        searched = cast("Flags", evidence["searched"])
        size = int(searched.sum())
        if min(size, len(wrong) - size) < 2 * self.least_rows:
            return self.too_few(size, len(wrong) - size)
        names = read_slice_names(evidence)
        codes = cast("NDArray[np.uint8]", evidence["codes"])
        sample = CodedSample(codes, tuple(len(named) for named in names.levels), wrong)
        least = max(self.least_rows, math.ceil(self.least_share * size))
        found = discover_slices(sample.part(searched), SliceSearch(self.depth, least, self.most))
        held_out = sample.part(~searched)
        return SliceSearchOutcome(
            names,
            ErrorCount.of(wrong),
            ErrorCount.of(held_out.wrong),
            found,
            confirm_slices(held_out, found, self.correction, self.level),
            self.correction,
            self.level,
            cast("Mapping[str, int]", evidence["task"])["clusters"] < len(wrong),
        )

    def too_few(self, searched: int, held_out: int) -> Gap:
        """Say why halves as small as these are not searched."""
        least = 2 * self.least_rows
        return Gap(
            reason=GapReason.TOO_FEW_ROWS,
            detail=f"Each half needs {least} rows, twice least_rows; {searched} were there to be "
            f"searched, and {held_out} to confirm on.",
            cure=f"Evaluate on at least {2 * least} rows, in many clusters if they come in such.",
        )


def read_slice_names(evidence: Evidence) -> SliceNames:
    """Return what the columns of evidence and their levels are called."""
    columns = cast("Sequence[Mapping[str, Json]]", evidence["columns"])
    levels = (cast("list[str]", column["levels"]) for column in columns)
    return SliceNames(tuple(str(column["name"]) for column in columns), tuple(map(tuple, levels)))


MOST_MISTAKES = 3
MOST_LABELS = 12
Indices = NDArray[np.int16]


def collect_decided_rows(subject: Subject) -> dict[str, Indices]:
    """Return what each row of the evaluation data is labelled and decided; nothing of a number."""
    labels = subject.datasets[DatasetRole.EVALUATION].labels
    if not isinstance(subject.task, ClassificationTask) or labels is None:
        return {}
    decided = subject.decisions(DatasetRole.EVALUATION)
    return {"labels": labels.astype(np.int16), "decided": decided.astype(np.int16)}


def describe_slice_errors(
    readings: Sequence[Reading], evidence: Evidence, outcome: SliceSearchOutcome
) -> tuple[Reading, ...]:
    """Add to each confirmed slice's error the labels and the mistakes of its rows held out.

    Evidence holds ``labels`` and ``decided`` ``[n]`` beside what ``SliceSearchSettings.outcome``
    reads, and the names of classes in ``task``; without them the readings stay as they are.
    """
    if "labels" not in evidence:
        return tuple(readings)
    placed = {
        tuple(outcome.names.of(item.conditions).items()): item.conditions
        for item in outcome.confirmed
    }
    return tuple(
        replace(item, details={**item.details, **dict(_contents(evidence, conditions))})
        if isinstance(item, Measurement) and (conditions := placed.get(tuple(item.slice.items())))
        else item
        for item in readings
    )


def _contents(evidence: Evidence, conditions: Conditions) -> Iterator[tuple[str, Json]]:
    names = cast("Mapping[str, Sequence[str]]", evidence["task"])["classes"]
    codes = cast("NDArray[np.uint8]", evidence["codes"])
    inside = ~cast("NDArray[np.bool_]", evidence["searched"])
    for column, level in conditions:
        inside = inside & (codes[column] == level)
    labels, decided = (
        cast("Indices", evidence[name])[inside].astype(np.int64) for name in ("labels", "decided")
    )
    yield "labels", [{"label": names[at], "n": n} for at, n in _most_frequent(labels, MOST_LABELS)]
    wrong = cast("NDArray[np.bool_]", evidence["wrong"])[inside]
    pairs = (labels * len(names) + decided)[wrong]
    yield (
        "mistakes",
        [
            {"label": names[at // len(names)], "decided": names[at % len(names)], "n": n}
            for at, n in _most_frequent(pairs, MOST_MISTAKES)
        ],
    )


def _most_frequent(codes: NDArray[np.int64], most: int) -> list[tuple[int, int]]:
    found, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return list(zip(found[order].tolist(), counts[order].tolist(), strict=True))
