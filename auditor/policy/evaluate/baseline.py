"""The baseline's figure for a measurement, or why there is none to compare with."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from auditor.domain.baselines import Baseline, MeasurementConditions
from auditor.domain.readings import BoundKind, Gap, Measurement, Unit
from auditor.policy.evaluate.limits import FigureRange, build_figure_range
from auditor.policy.evaluate.readings_index import Key, build_place_key

Spot: TypeAlias = tuple[str, str, str, Key, Key]
TIMINGS = frozenset({Unit.SECOND, Unit.PER_SECOND})
NO_BASELINE = "a baseline record (--baseline DIR, or `baseline: DIR` in the audit file)"
SAME_SUITE = "a baseline audited with the same parameters and the same budget"


@dataclass(frozen=True, slots=True)
class BaselineAbsence:
    """Why a figure has nothing in a baseline that it could be held against, and the cure."""

    why: str
    need: str


@dataclass(frozen=True, slots=True)
class BaselineFigure:
    """The figure of a baseline at the very place of another, and how far the two were found alike.

    ``same_rows`` says whether both are of the same evaluation data (``None`` where there are none),
    ``same_suite`` that the check looked as hard, in the same way.
    """

    measurement: Measurement
    span: FigureRange
    same_rows: bool | None
    same_suite: bool


@dataclass(frozen=True, slots=True)
class BaselineReadings:
    """A baseline's measurements by where they lie, seen from an audit of ``model``."""

    baseline: Baseline
    model: str
    under: MeasurementConditions
    same_budget: bool
    confidence: float
    measurements: Mapping[Spot, Sequence[Measurement]]
    gaps: Mapping[tuple[str, str], Gap]

    def before(self, now: Measurement) -> BaselineFigure | BaselineAbsence:
        """Return the baseline's figure for a measurement, or say why none can be held against."""
        there = self.measurements.get(_spot(now), ())
        named = f"The baseline, {self.baseline},"
        if len(there) != 1:
            count = len(there)
            gap = self.gaps.get((now.target, now.check))
            if count:
                missing_why = (
                    f"has {count} readings at the very same place, so that none of them is the one"
                )
            elif gap is not None:
                missing_why = f"did not measure it: {gap.detail.rstrip('.')}"
            else:
                missing_why = "has no such reading at the same target, parameters and slice"
            missing_need = f"a baseline with a reading of {now.check}/{now.metric} there"
            return BaselineAbsence(f"The baseline, {self.baseline}, {missing_why}.", missing_need)
        (then,) = there
        span, measure = build_figure_range(then), f"{now.check}/{now.metric}"
        if then.version != now.version:
            why = f"{named} was measured by version {then.version} of {now.check}, and this by "
            need = f"a baseline that version {now.version} of {now.check} measured"
            return BaselineAbsence(
                f"{why}version {now.version}: their figures are not the same.", need
            )
        if span is None or then.unit is not now.unit:
            why = f"{named} has no figure of {measure} in the same unit."
            return BaselineAbsence(why, "a baseline whose figure is a number in the same unit")
        if then.doubted:
            why = f"{named} has a doubted figure there, and nothing is shown against a doubted one."
            return BaselineAbsence(why, "a baseline whose figure is not doubted")
        return self._unlike(then, now) or self._found(then, span, now)

    def _unlike(self, then: Measurement, now: Measurement) -> BaselineAbsence | None:
        """Say in which way the circumstances of two figures forbid to compare them."""
        own, old = self.under, self.baseline.under
        if self.baseline.name != self.model:
            why = f"The baseline is of {self.baseline}, which is another model."
            return BaselineAbsence(why, f"a baseline that is a record of {self.model}")
        machine, before = own.machines.get(now.target), old.machines.get(now.target)
        if now.unit in TIMINGS and machine != before:
            why = f"{self.baseline} was timed on another machine, or in another environment."
            return BaselineAbsence(
                f"The baseline {why}", "a baseline that was timed on this machine"
            )
        if now.unit is Unit.COUNT and own.data != old.data:
            why = f"{self.baseline} counted in other data, so that the counts are not comparable."
            return BaselineAbsence(
                f"The baseline {why}", "a baseline that was audited with the same data"
            )
        sure = min(self.confidence, now.confidence or 1.0)
        if then.confidence is not None and then.confidence < sure:
            why = f"{self.baseline} is sure of its figure at {then.confidence:g} alone."
            return BaselineAbsence(
                f"The baseline {why}", f"a baseline judged at confidence {sure:g}"
            )
        return None

    def _found(self, then: Measurement, span: FigureRange, now: Measurement) -> BaselineFigure:
        own, old = self.under, self.baseline.under
        rows, others = own.data.get("evaluation"), old.data.get("evaluation")
        place = (now.target, now.check)
        alike = own.params.get(place) == old.params.get(place)
        return BaselineFigure(
            measurement=then,
            span=span,
            same_rows=None if rows is None or others is None else rows == others,
            same_suite=then.bound is BoundKind.ESTIMATE or (alike and self.same_budget),
        )


def _spot(item: Measurement) -> Spot:
    return (
        item.target,
        item.check,
        item.metric,
        build_place_key(item.params),
        build_place_key(item.slice),
    )


def index_baseline_readings(
    baseline: Baseline,
    model: str,
    under: MeasurementConditions,
    confidence: float,
    *,
    same_budget: bool,
) -> BaselineReadings:
    """Sort a baseline's readings by place; ``under`` is how ``model`` was measured here."""
    measurements: defaultdict[Spot, list[Measurement]] = defaultdict(list)
    gaps: dict[tuple[str, str], Gap] = {}
    for reading in baseline.readings:
        if isinstance(reading, Gap):
            gaps.setdefault((reading.target, reading.check), reading)
        else:
            measurements[_spot(reading)].append(reading)
    return BaselineReadings(baseline, model, under, same_budget, confidence, measurements, gaps)
