"""The readings of a record, found by what they measure and where."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.policies import Rule
from auditor.domain.readings import Gap, Measurement, Reading, Scalar

SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Docket:
    """Readings with their index in the record, by target and check (and metric)."""

    measurements: Mapping[tuple[str, str, str], tuple[tuple[int, Measurement], ...]]
    gaps: Mapping[tuple[str, str], tuple[tuple[int, Gap], ...]]

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> "Docket":
        """Sort readings by what they measure, in their own order."""
        measurements: defaultdict[tuple[str, str, str], list[tuple[int, Measurement]]]
        measurements, gaps = defaultdict(list), defaultdict(list)
        for index, reading in enumerate(readings):
            if isinstance(reading, Gap):
                gaps[reading.target, reading.check].append((index, reading))
            else:
                place = (reading.target, reading.check, reading.metric)
                measurements[place].append((index, reading))
        return cls(
            {place: tuple(found) for place, found in measurements.items()},
            {place: tuple(found) for place, found in gaps.items()},
        )

    def matching(self, rule: Rule, target: str) -> tuple[tuple[int, Measurement], ...]:
        """Return the measurements on ``target`` that the rule speaks of, with their indices."""
        there = self.measurements.get((target, rule.check, rule.metric), ())
        return tuple(item for item in there if _lies_where(item[1], rule.where))

    def whole_gaps(self, rule: Rule, target: str) -> tuple[tuple[int, Gap], ...]:
        """Return why the rule's check as a whole measured nothing."""
        found = self.gaps.get((target, rule.check), ())
        return tuple(item for item in found if not item[1].metric)

    def missing(self, rule: Rule, target: str) -> tuple[tuple[int, Gap], ...]:
        """Return the gaps of the rule's own metric that its ``where`` does not rule out.

        A coordinate that a gap does not name may be any: the doubt is not in the rule's favour.
        """
        return tuple(
            (index, gap)
            for index, gap in self.gaps.get((target, rule.check), ())
            if gap.metric == rule.metric
            and all(
                _same(rule.where[key], gap.params[key]) for key in rule.where if key in gap.params
            )
        )


def _lies_where(measurement: Measurement, where: Mapping[str, Scalar]) -> bool:
    return all(_same(wanted, _coordinate(measurement, key)) for key, wanted in where.items())


def _coordinate(measurement: Measurement, key: str) -> Scalar | None:
    if key in measurement.params:
        return measurement.params[key]
    if key in measurement.slice:
        return measurement.slice[key]
    return measurement.target if key == "target" else None


def _same(wanted: Scalar, found: Scalar | None) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int | float) and isinstance(found, int | float):
        return abs(wanted - found) <= SAME
    return wanted == found
