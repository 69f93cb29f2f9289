"""Group fairness readings: rates, gaps, ratios and the worst group of one grouping."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.checks import Metric
from auditor.domain.datasets import UNKNOWN, Dataset
from auditor.domain.evidence import Evidence, Item, write_clusters
from auditor.domain.json import Json
from auditor.domain.readings import (
    NEEDS,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Scalar,
    Unit,
)
from auditor.metrics.stats.cluster_robust import PROPORTION, clustered_shares
from auditor.metrics.stats.group_gaps import (
    Counts,
    GroupPairComparison,
    joint_gap,
    rate_counts,
    ratio_to_reference,
    smallest_ratio,
    tabulate,
    widest_gap,
)
from auditor.metrics.stats.group_rates import (
    TWO,
    GroupRates,
    clustered_rates,
    count_group_clusters,
    differential_fairness,
    independent_rates,
    renumber_groups,
    shrunken_rates,
)
from auditor.metrics.stats.proportions import (
    MOST_ROWS,
    clopper_pearson,
    round_up_to_two_digits,
    wilson,
)

WANTED, GIVEN, RIGHT, SELECTED = 1, 2, 4, 8
"""Flags of a row: its label is the favourable class; it was given it; its decision is right; it
counts as selected, which is to be given the favourable class, or to score above the median."""
KINDS = 16
WEIGHS_UNKNOWN = "weighs_unknown"
"""Marks a column of evidence: its rows of no known group are held against its comparisons. ``True``
stands in older evidence, where many such rows alone raised no doubt."""
COUNTED = 2
MANY_UNKNOWN = 0.1
"""Of all rows. So many with no known group can make up a gap of ten points, or hide one: who leaves
out the refused of one group and the chosen of another sees equal rates, also among those left out.
"""
BASE = "base_rate"
EVERYONE = "rows"
AMONG = {
    "selection_rate": EVERYONE,
    "tpr": "rows whose label is the favourable class",
    "fpr": "rows whose label is another class",
    "ppv": "rows that were given the favourable class",
    "npv": "rows that were given another class",
    "accuracy": EVERYONE,
    BASE: EVERYONE,
}
"""Among what each rate is counted."""
Flags = NDArray[np.uint8]
Codes = NDArray[np.integer]
Chosen = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class GroupRows:
    """The rows of one grouping: flags ``[n]``, groups ``[n]`` and, if any, clusters ``[n]``."""

    flags: Flags
    codes: Codes
    clusters: Codes | None

    def of(self, rate: str) -> tuple[Chosen, Chosen]:
        """Return which rows a rate is counted among, and which of all rows are its hits."""
        wanted, given = self.flags & WANTED > 0, self.flags & GIVEN > 0
        everyone = np.ones_like(wanted)
        table = {
            "selection_rate": (everyone, self.flags & SELECTED > 0),
            "tpr": (wanted, given),
            "fpr": (~wanted, given),
            "ppv": (given, wanted),
            "npv": (~given, ~wanted),
            "accuracy": (everyone, self.flags & RIGHT > 0),
            BASE: (everyone, wanted),
        }
        return table[rate]


@dataclass(frozen=True, slots=True, eq=False)
class GroupTable:
    """One grouping: its groups, which of them are ``compared``, and how often each rate is met.

    ``counts`` maps a rate to ``[groups, 2]``: how often, out of how many.
    """

    column: str
    groups: tuple[str, ...]
    compared: tuple[int, ...]
    rows: GroupRows
    counts: Mapping[str, Counts]

    @classmethod
    def of(
        cls, column: str, groups: Sequence[str], chosen: Sequence[str], rows: GroupRows
    ) -> "GroupTable":
        """Count the rows of a grouping; ``chosen`` are the groups that are compared."""
        cells = tabulate((rows.codes, rows.flags), (len(groups), KINDS))
        compared = tuple(at for at, name in enumerate(groups) if name in chosen)
        return cls(column, tuple(groups), compared, rows, count_rates(cells))

    def with_unknown(self) -> "GroupTable":
        """Return the same with rows of no known group as one more that is compared."""
        names = {*self.names, UNKNOWN}
        compared = tuple(at for at, name in enumerate(self.groups) if name in names)
        return replace(self, compared=compared)

    @property
    def clustered(self) -> bool:
        """Whether rows come in clusters of several."""
        return self.rows.clusters is not None

    @property
    def names(self) -> tuple[str, ...]:
        """The groups that are compared."""
        return tuple(self.groups[at] for at in self.compared)

    def counted(self, rate: str) -> Counts:
        """Return ``[compared, 2]``: how often, out of how many."""
        return self.counts[rate][list(self.compared)]

    def known(self, rate: str) -> Chosen:
        """Return which groups have a rate with an interval: by rows, or rows of two clusters."""
        some: Chosen = self.counts[rate][:, 1] > 0
        if self.rows.clusters is None:
            return some
        among, _ = self.rows.of(rate)
        codes = self.rows.codes[among]
        return count_group_clusters(codes, len(self.groups), self.rows.clusters[among]) >= TWO

    def alone(self, rate: str, confidence: float) -> tuple[ConfidenceInterval | None, ...]:
        """Return each group's rate with an interval for that group alone."""
        known = self.known(rate)
        if self.rows.clusters is None:
            return tuple(
                clopper_pearson(int(hits), int(rows), confidence) if there else None
                for (hits, rows), there in zip(self.counts[rate], known, strict=True)
            )
        found: list[ConfidenceInterval | None] = [None] * len(self.groups)
        if not known.any():
            return tuple(found)
        hits, clusters, kinds = self.among(rate, self.rows.clusters, known)
        shares = clustered_shares(hits, kinds, clusters, confidence)
        for at, value, low, high in zip(np.flatnonzero(known), *shares[:3], strict=True):
            rows = int(self.counts[rate][at, 1])
            limits = float(value), float(low), float(high)
            found[at] = ConfidenceInterval(*limits, confidence, PROPORTION, rows)
        return tuple(found)

    def together(self, rate: str, confidence: float, family: int) -> GroupRates:
        """Return the rates of the compared groups with limits for all pairs of them at once.

        Raises ``ValueError`` where fewer than two have one.
        """
        if self.rows.clusters is None:
            counts = self.counted(rate)
            return independent_rates(counts[:, 0], counts[:, 1], confidence, family)
        chosen = np.isin(np.arange(len(self.groups)), self.compared)
        hits, clusters, kinds = self.among(rate, self.rows.clusters, chosen)
        return clustered_rates(hits, (kinds, len(self.compared)), clusters, confidence, family)

    def among(self, rate: str, clusters: Codes, chosen: Chosen) -> tuple[Chosen, Codes, Codes]:
        """Return hits, clusters, and groups from 0 of the rows of a rate and of chosen groups."""
        counted, hits = self.rows.of(rate)
        inside, kinds = renumber_groups(self.rows.codes[counted], chosen)
        return hits[counted][inside], clusters[counted][inside], kinds


def write_groups(dataset: Dataset) -> dict[str, Item]:
    """Return the evidence of who is in which group, and in which cluster where any has several."""
    columns = dataset.groups.items()
    return {
        "codes": np.stack([_narrow(members.codes) for _, members in columns]),
        "columns": [
            {
                "name": name,
                "groups": list(members.names),
                **({WEIGHS_UNKNOWN: COUNTED} if UNKNOWN in members.names else {}),
            }
            for name, members in columns
        ],
        **write_clusters(dataset),
    }


@dataclass(frozen=True, slots=True)
class RowsWithoutGroup:
    """How many of all ``rows`` of a column are of an ``unknown`` group."""

    unknown: int
    rows: int

    @property
    def many(self) -> bool:
        """Whether a comparison of the others says little of all."""
        return self.unknown > MANY_UNKNOWN * self.rows

    def __str__(self) -> str:
        """Say how many, for a doubt."""
        return f"of {self.unknown:,} of {self.rows:,} rows"


def count_rows_without_group(evidence: Evidence) -> Mapping[str, RowsWithoutGroup]:
    """Return those columns whose rows of no known group are held against what is compared."""
    columns = cast("Sequence[Mapping[str, Json]]", evidence["columns"])
    marks = {str(it["name"]): it.get(WEIGHS_UNKNOWN) for it in columns}
    found: dict[str, RowsWithoutGroup] = {}
    for name, groups, codes in read_groups(evidence):
        if marks[name]:
            # True == 1: evidence with the older mark counts none
            counted = marks[name] == COUNTED
            unknown = int((codes == groups.index(UNKNOWN)).sum()) if counted else 0
            found[name] = RowsWithoutGroup(unknown, len(codes))
    return found


def doubt_left_out_rows(
    found: Iterable[Reading],
    beside: Iterable[Reading],
    metrics: Mapping[str, Metric],
    without: RowsWithoutGroup,
) -> Iterator[Reading]:
    """Yield readings, and doubt those that rows of no known group would surely make worse.

    ``beside`` holds the same readings with these rows as one more group, ``metrics`` says of each
    figure which way is worse. Else whom a model refuses could be left without a group. Where these
    rows are many, every comparison is doubted.
    """
    measured = (it for it in beside if isinstance(it, Measurement))
    with_unknown = {(it.metric, *it.params.items()): it for it in measured}
    for reading in found:
        other = with_unknown.get((reading.metric, *reading.params.items()))
        if isinstance(reading, Gap) or other is None or "group" in reading.params:
            yield reading
            continue
        better = metrics[reading.metric].higher_is_better
        value = cast("float", reading.value)
        low, high = cast("float", other.low), cast("float", other.high)
        column, doubt = reading.params["group_column"], ""
        if (better is False and low > value) or (better is True and high < value):
            doubt = (
                f"with the rows whose {column} is not known as a group of their own it would be "
                f"{other.value:.3g} ({low:.3g} to {high:.3g})"
            )
        elif better is not None and without.many:
            doubt = f"the {column} {without} is not known, too many to leave out of a comparison"
        if not doubt:
            yield reading
            continue
        needs = "those rows' groups, or a policy that compares them (compare_unknown)"
        details = {**reading.details, "doubt": doubt, NEEDS: needs}
        yield replace(reading, doubted=True, worst_case=None, details=details)


class GroupingReader(Protocol):
    """A dataclass that reads one grouping."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def table(self) -> GroupTable:
        """The grouping."""
        ...

    def readings(self) -> Iterator[Reading]:
        """Return every reading of it, in one order."""
        ...


def read_beside_unknown(
    reader: GroupingReader, metrics: Mapping[str, Metric], without: RowsWithoutGroup | None
) -> Iterator[Reading]:
    """Yield the readings of a grouping, held against rows of no known group if there are any.

    Where these are compared already, there is nothing to hold against.
    """
    if without is None or UNKNOWN in reader.table.names:
        return iter(reader.readings())
    beside = replace(reader, table=reader.table.with_unknown()).readings()
    return doubt_left_out_rows(reader.readings(), beside, metrics, without)


def read_groups(evidence: Evidence) -> Iterator[tuple[str, tuple[str, ...], Codes]]:
    """Yield each column's name, its groups, and the group ``[n]`` of each row."""
    columns = cast("Sequence[Mapping[str, Json]]", evidence["columns"])
    for column, codes in zip(columns, cast("Sequence[Codes]", evidence["codes"]), strict=True):
        yield str(column["name"]), tuple(cast("Sequence[str]", column["groups"])), codes


def list_compared_groups(
    groups: Sequence[str], rows: Sequence[int], least_share: float, *, unknown: bool
) -> tuple[str, ...]:
    """Return the groups that are compared: large enough, and known unless ``unknown`` are too.

    ``rows`` says how many each has.
    """
    least = least_share * sum(rows)
    return tuple(
        name
        for name, count in zip(groups, rows, strict=True)
        if count >= least and (unknown or name != UNKNOWN)
    )


def compute_row_flags(wanted: Chosen, given: Chosen, right: Chosen, selected: Chosen) -> Flags:
    """Return the flags of rows ``[n]``."""
    found: Flags = wanted.astype(np.uint8)
    for flag, rows in ((GIVEN, given), (RIGHT, right), (SELECTED, selected)):
        found |= rows.view(np.uint8) * np.uint8(flag)
    return found


def count_rates(cells: Counts) -> Mapping[str, Counts]:
    """Return each rate's ``[groups, 2]`` from rows ``[groups, KINDS]`` by their flags."""
    by_flag = cells.reshape(len(cells), 2, 2, 2, 2)  # selected, right, given, wanted
    confusion = by_flag.sum(axis=(1, 2)).swapaxes(1, 2)
    everyone = cells.sum(axis=1)
    hits = {
        "selection_rate": by_flag[:, 1].sum(axis=(1, 2, 3)),
        "accuracy": by_flag[:, :, 1].sum(axis=(1, 2, 3)),
        BASE: confusion[:, 1].sum(axis=1),
    }
    counted = {name: np.stack((found, everyone), axis=-1) for name, found in hits.items()}
    return {**rate_counts(confusion), **counted}


def _narrow(codes: Codes) -> Codes:
    return codes.astype(np.min_scalar_type(int(codes.max(initial=0))))


SMALL = 30
"""Rows below which a group's rate is called small."""
DRAWN_BELOW = 200
"""Rows of the smallest group from which on the others have little to add to it."""
LEAST_DRAWN = 3
"""Groups from which on the intervals of rates drawn together hold by simulation."""
FOUR_FIFTHS = 0.8
"""29 CFR 1607.4 D: a selection rate below four fifths of the highest is evidence of impact."""
IMPOSSIBLE = (
    "Base rates differ beyond their joint interval: unless decisions are perfect, equal predictive "
    "values and equal false positive and false negative rates cannot all hold (Chouldechova 2017, "
    "Big Data 5; Kleinberg, Mullainathan and Raghavan 2017, ITCS). One must choose."
)


def describe_group_counts(table: GroupTable, rate: str) -> dict[str, Json]:
    """Say how often and out of how many in each group, and which are small, empty or left out."""
    counts = {
        name: (int(k), int(n))
        for name, (k, n) in zip(table.groups, table.counts[rate], strict=True)
    }
    known = table.known(rate)
    found: dict[str, Json] = {
        "counts": {name: _fraction(counts[name]) for name in table.names},
        "small_groups": [name for name in table.names if 0 < counts[name][1] < SMALL],
        "without_rate": [name for at, name in zip(table.compared, table.names, strict=True)
                         if not known[at]],
    }  # fmt: skip
    left_out: dict[str, Json] = {
        name: _fraction(counts[name]) for name in table.groups if name not in table.names
    }
    return {**found, "left_out": left_out} if left_out else found


def describe_small_groups(
    table: GroupTable, rate: str, groups: GroupRates, found: GroupPairComparison
) -> dict[str, Json]:
    """Name the groups too small for the gap found, and how many rows of theirs would decide.

    A group is one whose rate is counted among fewer than ``SMALL`` rows, or known less well than
    the gap is wide. Half widths shrink with the root of the rows that the rate is counted among;
    for a true positive rate those are rows whose label is favourable, not all rows.
    """
    gap = found.interval.value
    listed: dict[str, Json] = {}
    for place, at in enumerate(groups.index):
        rows = int(table.counted(rate)[at, 1])
        half = float(groups.high[place] - groups.low[place]) / 2
        if rows >= SMALL and half <= gap:
            continue
        needed = rows * (half / gap) ** 2 if gap > 0 else np.inf
        enough: Json = max(SMALL, round_up_to_two_digits(needed)) if needed <= MOST_ROWS else None
        listed[table.names[at]] = {"n": rows, "of": AMONG[rate], "would_decide": enough}
    return {"undecided_by": listed} if listed else {}


def base_rate_difference(table: GroupTable, confidence: float, family: int) -> dict[str, Json]:
    """Return the largest difference of base rates, and what follows where it is sure."""
    try:
        found = widest_gap(table.together(BASE, confidence, family)).interval
    except ValueError:
        return {}
    shares = {
        name: float(k / n)
        for name, (k, n) in zip(table.names, table.counted(BASE), strict=True)
        if n
    }
    differ: dict[str, Json] = {
        "rates": shares, "gap": found.value, "low": found.low, "high": found.high
    }  # fmt: skip
    return {"base_rates": {**differ, **({"note": IMPOSSIBLE} if found.low > 0 else {})}}


def describe_differential_fairness(table: GroupTable) -> dict[str, Json]:
    """Return the smoothed differential fairness of selections, a point figure over all groups."""
    counts = table.counted("selection_rate")
    return {"differential_fairness": differential_fairness(counts[:, 0], counts[:, 1])}


def four_fifths_ratios(table: GroupTable) -> dict[str, Json]:
    """Return each group's selection rate over the highest, and which are below four fifths."""
    counts = table.counted("selection_rate")
    shares = {name: k / n for name, (k, n) in zip(table.names, counts.tolist(), strict=True) if n}
    best = max(shares.values())
    ratios = {name: share / best for name, share in shares.items()}
    below: list[Json] = [name for name, ratio in ratios.items() if ratio < FOUR_FIFTHS]
    return {"ratios": {**ratios}, "below_four_fifths": below}


def describe_group_rate(
    table: GroupTable,
    at: int,
    rate: str,
    found: ConfidenceInterval,
    drawn: Mapping[int, ConfidenceInterval],
) -> dict[str, Json]:
    """Say of one group's rate how it was counted, and what all groups together say of it."""
    hits, rows = (int(number) for number in table.counts[rate][at])
    shown: dict[str, Json] = {"k": hits, "n": rows, "holds": "for this group alone"}
    if not table.clustered:
        score = wilson(hits, rows, found.confidence)
        shown["wilson"] = [score.low, score.high]
    if at in drawn:
        one = drawn[at]
        shown["shrunk"] = {
            "value": one.value, "low": one.low, "high": one.high, "method": one.method
        }  # fmt: skip
    if rows < SMALL:
        shown["small"] = True
    if table.groups[at] == UNKNOWN:
        shown["unknown"] = "rows whose group is missing; no group of people"
    return shown


def shrink_group_rates(
    table: GroupTable, rate: str, confidence: float
) -> Mapping[int, ConfidenceInterval]:
    """Return the compared groups' rates drawn towards what they have in common.

    None where fewer than ``LEAST_DRAWN`` have one, none is small, or rows come in clusters, of
    which the law that they are drawn from knows nothing.
    """
    counts = table.counted(rate)
    few = np.count_nonzero(counts[:, 1]) < LEAST_DRAWN
    if table.clustered or few or counts[:, 1].min() >= DRAWN_BELOW:
        return {}
    found = shrunken_rates(counts[:, 0], counts[:, 1], confidence)
    return dict(zip(table.compared, found, strict=True))


def _fraction(counts: tuple[int, int]) -> dict[str, Json]:
    return {"k": counts[0], "n": counts[1]}


RATES = ("selection_rate", "tpr", "fpr", "ppv", "npv", "accuracy")
ODDS, RATIO, TO_REFERENCE = "equalised_odds_gap", "impact_ratio", "reference_ratio"
WORST = "worst_group_accuracy"
WITH_BASE_RATES = ("ppv_gap", ODDS)
HOLDS = (
    "for all compared groups at once; the worst is at most as good as each, so that the lowest "
    "upper limit bounds it"
)


@dataclass(frozen=True, slots=True, eq=False)
class GroupReadings:
    """One grouping read at one confidence; ``family`` sets of pairs hold jointly.

    ``reference`` is the group that others are compared with, empty for the one selected most;
    ``named`` says which class is favourable, ``selected`` what it is to be selected where that is
    not to be given this class.
    """

    table: GroupTable
    confidence: float
    family: int
    reference: str
    selected: Mapping[str, Json]
    named: Mapping[str, Json] = field(default_factory=dict)

    def readings(self) -> Iterator[Reading]:
        """Return every reading of the grouping, in one order at any confidence."""
        yield from self.rates()
        found = {rate: self.gap(rate) for rate in RATES}
        for rate, (reading, _) in found.items():
            yield reading
            if rate == RATES[-1]:
                yield self.odds({name: found[name][1] for name in ("tpr", "fpr")})
        yield self.ratio()
        yield from self.to_reference()
        yield self.worst()

    def rates(self) -> Iterator[Reading]:
        """Return each group's rates, or why a group has none."""
        table = self.table
        alone = {rate: table.alone(rate, self.confidence) for rate in RATES}
        drawn = {rate: shrink_group_rates(table, rate, self.confidence) for rate in RATES}
        for at, group in enumerate(table.groups):
            for rate in RATES:
                interval = alone[rate][at]
                if interval is None:
                    yield self.undefined(rate, at)
                    continue
                details = describe_group_rate(table, at, rate, interval, drawn[rate])
                yield self.measurement(interval, rate, Unit.SHARE, self.said(rate, details), group)

    def gap(self, rate: str) -> tuple[Reading, GroupPairComparison | None]:
        """Return the largest gap of a rate between the compared groups, or why there is none."""
        name = f"{rate}_gap"
        lacking = self.incomparable(name, rate)
        if lacking is not None:
            return lacking, None
        groups = self.table.together(rate, self.confidence, self.family)
        found = widest_gap(groups)
        details = {
            **found.between(self.table.names),
            **describe_group_counts(self.table, rate),
            **describe_small_groups(self.table, rate, groups, found),
            **(self.base() if name in WITH_BASE_RATES else {}),
            **(describe_differential_fairness(self.table) if rate == "selection_rate" else {}),
        }
        reading = self.measurement(found.interval, name, Unit.SHARE, self.said(rate, details))
        return reading, found

    def odds(self, found: Mapping[str, GroupPairComparison | None]) -> Reading:
        """Return the larger gap of true and false positive rates, which hold jointly already."""
        known = {rate: one for rate, one in found.items() if one is not None}
        if len(known) < len(found):
            lacking = ", ".join(f"{rate}_gap" for rate in found if rate not in known)
            return self.missing(
                ODDS,
                f"{ODDS} over {self.table.column} is not defined: {lacking} is not, and the other "
                "alone could look fair.",
                "Evaluate on rows of both kinds in at least two groups.",
            )
        which, largest = joint_gap(tuple(known.values()))
        details: dict[str, Json] = {
            "rate": tuple(known)[which],
            **largest.between(self.table.names),
            "of": {rate: one.interval.value for rate, one in known.items()},
            **self.base(),
        }
        return self.measurement(largest.interval, ODDS, Unit.SHARE, self.said("tpr", details))

    def ratio(self) -> Reading:
        """Return the impact ratio: the lowest selection rate over the highest."""
        lacking = self.incomparable(RATIO, "selection_rate") or self.nobody(RATIO)
        if lacking is not None:
            return lacking
        found = smallest_ratio(self.selection())
        details = {
            **found.between(self.table.names),
            **describe_group_counts(self.table, "selection_rate"),
            **four_fifths_ratios(self.table),
        }
        said = self.said("selection_rate", details)
        return self.measurement(found.interval, RATIO, Unit.NONE, said)

    def to_reference(self) -> Iterator[Reading]:
        """Return each other group's selection rate over that of the reference group."""
        table, name = self.table, TO_REFERENCE
        lacking = self.incomparable(name, "selection_rate") or self.nobody(name)
        if lacking is not None:
            yield lacking
            return
        groups = self.selection()
        known = [table.names[at] for at in groups.index]
        reference = self.reference or known[int(groups.rates.argmax())]
        if reference not in known or groups.rates[known.index(reference)] == 0:
            why = f"its reference group {reference!r} has no selection rate above zero"
            detail = f"{name} over {table.column} is not defined: {why}."
            yield self.missing(name, detail, "Name a group under `reference` that is compared.")
            return
        chosen = "declared" if self.reference else "selected most often"
        for at, group in enumerate(known):
            if group != reference:
                interval = ratio_to_reference(groups, at, known.index(reference))
                details: dict[str, Json] = {"reference": reference, "reference_is": chosen}
                said = self.said("selection_rate", details)
                yield self.measurement(interval, name, Unit.NONE, said, group)

    def worst(self) -> Reading:
        """Return the accuracy of the group served worst, by limits that hold for all groups."""
        table = self.table
        level = 1 - (1 - self.confidence) / max(1, len(table.compared))
        alone = table.alone("accuracy", level)
        known = {table.groups[at]: alone[at] for at in table.compared}
        found = {name: one for name, one in known.items() if one is not None}
        if not found:
            detail = f"{WORST} over {table.column} is not defined: no group has an accuracy."
            cure = f"Evaluate on data that hold groups of {table.column}, in many clusters each."
            return self.missing(WORST, detail, cure)
        group = min(found, key=lambda name: found[name].value)
        low = min(one.low for one in found.values()) if len(found) == len(known) else 0.0
        interval = ConfidenceInterval(
            found[group].value,
            low,
            min(one.high for one in found.values()),
            self.confidence,
            f"lowest limits of {len(found)} groups: {found[group].method}, bonferroni over groups",
            sum(one.n for one in found.values()),
        )
        details: dict[str, Json] = {
            "group": group, "holds": HOLDS, **describe_group_counts(table, "accuracy")
        }  # fmt: skip
        return self.measurement(interval, WORST, Unit.SHARE, details)

    def selection(self) -> GroupRates:
        """Return the selection rates of the compared groups."""
        return self.table.together("selection_rate", self.confidence, self.family)

    def base(self) -> dict[str, Json]:
        """Say how much base rates differ, and what that makes impossible."""
        return base_rate_difference(self.table, self.confidence, self.family)

    def said(self, rate: str, details: dict[str, Json]) -> dict[str, Json]:
        """Add the favourable class where it counts, and what it is to be selected."""
        named = {} if rate == "accuracy" else self.named
        selected = self.selected if rate == "selection_rate" else {}
        return {**details, **named, **selected}

    def measurement(
        self,
        interval: ConfidenceInterval,
        metric: str,
        unit: Unit,
        details: Mapping[str, Json],
        group: str | None = None,
    ) -> Measurement:
        """Make a reading at its coordinates."""
        return Measurement.of(interval, metric, unit, params=self.where(group), details=details)

    def where(self, group: str | None) -> dict[str, Scalar]:
        """Return the coordinates of a reading."""
        named: dict[str, Scalar] = {} if group is None else {"group": group}
        return {"group_column": self.table.column, **named}

    def missing(self, metric: str, detail: str, cure: str, group: str | None = None) -> Gap:
        """Return the Gap of one metric at its coordinates, so that no rule overlooks it."""
        where = self.where(group)
        return Gap(
            reason=GapReason.NOT_DEFINED, detail=detail, cure=cure, metric=metric, params=where
        )

    def undefined(self, rate: str, at: int) -> Gap:
        """Say why one group has no such rate."""
        place, among = f"{self.table.column}={self.table.groups[at]}", AMONG[rate]
        if self.table.counts[rate][at, 1]:
            why = f"{rate} of {place} has no interval: its {among} are of one cluster."
            return self.missing(rate, why, "Evaluate on more clusters.", self.table.groups[at])
        detail = f"{rate} of {place} is not defined: it has no {among}."
        cure = f"Evaluate on data in which {place} has {among}."
        return self.missing(rate, detail, cure, self.table.groups[at])

    def incomparable(self, metric: str, rate: str) -> Gap | None:
        """Say why groups cannot be compared, where they cannot."""
        known = self.table.known(rate)
        named = {self.table.groups[at]: bool(known[at]) for at in self.table.compared}
        having = [name for name, there in named.items() if there]
        if len(having) >= TWO:
            return None
        lacking = ", ".join(name for name in named if name not in having)
        return self.missing(
            metric,
            f"{metric} over {self.table.column} is not defined: of its groups "
            f"{', '.join(having) or 'none'} has such a rate"
            f"{f', {lacking} has none' if lacking else ' and there is no other'}.",
            f"Evaluate on data that hold more groups of {self.table.column}, with enough rows.",
        )

    def nobody(self, metric: str) -> Gap | None:
        """Say that nobody is selected, where that is so."""
        if self.table.counted("selection_rate")[:, 0].any():
            return None
        return self.missing(
            metric,
            f"{metric} over {self.table.column} is not defined: no row of any group was selected.",
            "Look at task.threshold and task.favourable: nobody is selected.",
        )
