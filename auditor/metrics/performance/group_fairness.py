"""The readings of one grouping: rates, the gaps between them, ratios, and the worst group."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.comparing.group_notes import (
    base_rates,
    differential,
    drawn_together,
    four_fifths,
    of_counts,
    of_rate,
    undecided_by,
)
from auditor.comparing.group_tables import AMONG, Table
from auditor.domain.canonical import Json
from auditor.domain.intervals import Interval
from auditor.domain.readings import Gap, Measurement, Reading, Reason, Scalar, Unit
from auditor.stats.gaps import Comparison, joint_gap, ratio_to, smallest_ratio, widest_gap
from auditor.stats.group_rates import TWO, GroupRates

RATES = ("selection_rate", "tpr", "fpr", "ppv", "npv", "accuracy")
ODDS, RATIO, TO_REFERENCE = "equalised_odds_gap", "impact_ratio", "reference_ratio"
WORST = "worst_group_accuracy"
WITH_BASE_RATES = ("ppv_gap", ODDS)
HOLDS = (
    "for all compared groups at once; the worst is at most as good as each, so that the lowest "
    "upper limit bounds it"
)


@dataclass(frozen=True, slots=True, eq=False)
class Comparing:
    """One grouping read at one confidence; ``family`` sets of pairs hold jointly.

    ``reference`` is the group that others are compared with, empty for the one selected most;
    ``selected`` says what it is to be selected.
    """

    table: Table
    confidence: float
    family: int
    reference: str
    selected: Mapping[str, Json]

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
        drawn = {rate: drawn_together(table, rate, self.confidence) for rate in RATES}
        for at, group in enumerate(table.groups):
            for rate in RATES:
                interval = alone[rate][at]
                if interval is None:
                    yield self.undefined(rate, at)
                    continue
                details = of_rate(table, at, rate, interval, drawn[rate])
                yield self.measurement(interval, rate, Unit.SHARE, self.said(rate, details), group)

    def gap(self, rate: str) -> tuple[Reading, Comparison | None]:
        """Return the largest gap of a rate between the compared groups, or why there is none."""
        name = f"{rate}_gap"
        lacking = self.incomparable(name, rate)
        if lacking is not None:
            return lacking, None
        groups = self.table.together(rate, self.confidence, self.family)
        found = widest_gap(groups)
        details = {
            **found.between(self.table.names),
            **of_counts(self.table, rate),
            **undecided_by(self.table, rate, groups, found),
            **(self.base() if name in WITH_BASE_RATES else {}),
            **(differential(self.table) if rate == "selection_rate" else {}),
        }
        reading = self.measurement(found.interval, name, Unit.SHARE, self.said(rate, details))
        return reading, found

    def odds(self, found: Mapping[str, Comparison | None]) -> Reading:
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
        return self.measurement(largest.interval, ODDS, Unit.SHARE, details)

    def ratio(self) -> Reading:
        """Return the impact ratio: the lowest selection rate over the highest."""
        lacking = self.incomparable(RATIO, "selection_rate") or self.nobody(RATIO)
        if lacking is not None:
            return lacking
        found = smallest_ratio(self.selection())
        details = {
            **found.between(self.table.names),
            **of_counts(self.table, "selection_rate"),
            **four_fifths(self.table),
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
                interval = ratio_to(groups, at, known.index(reference))
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
        interval = Interval(
            found[group].value,
            low,
            min(one.high for one in found.values()),
            self.confidence,
            f"lowest limits of {len(found)} groups: {found[group].method}, bonferroni over groups",
            sum(one.n for one in found.values()),
        )
        details: dict[str, Json] = {
            "group": group, "holds": HOLDS, **of_counts(table, "accuracy")
        }  # fmt: skip
        return self.measurement(interval, WORST, Unit.SHARE, details)

    def selection(self) -> GroupRates:
        """Return the selection rates of the compared groups."""
        return self.table.together("selection_rate", self.confidence, self.family)

    def base(self) -> dict[str, Json]:
        """Say how much base rates differ, and what that makes impossible."""
        return base_rates(self.table, self.confidence, self.family)

    def said(self, rate: str, details: dict[str, Json]) -> dict[str, Json]:
        """Add what it is to be selected, where that is not to be given the favourable class."""
        return {**details, **self.selected} if rate == "selection_rate" else details

    def measurement(
        self,
        interval: Interval,
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
        return Gap(reason=Reason.NOT_DEFINED, detail=detail, cure=cure, metric=metric, params=where)

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
