"""Calibration by group of people, and the calibration gaps between groups."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from auditor.domain.checks import Metric
from auditor.domain.evidence import describe_cluster_doubt
from auditor.domain.json import Json
from auditor.domain.readings import ConfidenceInterval, Gap, GapReason, Measurement, Reading, Unit
from auditor.metrics.performance.calibration import StatedProbabilities, fit_recalibration_line
from auditor.metrics.stats.cluster_robust import clustered_mean
from auditor.metrics.stats.group_gaps import widest_gap
from auditor.metrics.stats.group_rates import joint_limits, pair_level
from auditor.metrics.stats.means import LEAST, mean_excess
from auditor.metrics.stats.recalibration import RecalibrationLine, expected_half_widths

OF_LINE = ("slope", "intercept")
FIGURES = (*OF_LINE, "in_the_large")
GROUPED: Mapping[str, Metric] = {
    "slope": Metric("Recalibration slope of a group (1 is right)", Unit.NONE),
    "intercept": Metric("Recalibration intercept of a group (0 is right)", Unit.NONE),
    "in_the_large": Metric(
        "Observed rate minus predicted probability in a group (0 is right)", Unit.NONE
    ),
    "slope_gap": Metric("Largest gap in slope", Unit.NONE, higher_is_better=False),
    "intercept_gap": Metric("Largest gap in intercept", Unit.NONE, higher_is_better=False),
    "in_the_large_gap": Metric(
        "Largest gap in observed rate minus predicted probability",
        Unit.NONE,
        higher_is_better=False,
    ),
}
"""What calibration within groups emits."""
ALONE = "for this group alone"
TWO = 2


@dataclass(frozen=True, slots=True, eq=False)
class GroupCalibration:
    """One group of a column: its rows as stated, and its figures at a confidence."""

    column: str
    name: str
    seen: StatedProbabilities
    least: int

    @property
    def place(self) -> str:
        """How the group is called."""
        return f"{self.column}={self.name}"

    def doubt(self, metric: str, line: RecalibrationLine | None) -> dict[str, Json]:
        """Say why a figure is doubted: a line may hang on the clip, rows in too few clusters."""
        if line is not None and metric in OF_LINE:
            return self.seen.doubt(line)
        return describe_cluster_doubt(self.seen.clustered and not self.seen.robust)

    @property
    def outcomes(self) -> tuple[int, int]:
        """How many rows came true, and how many did not."""
        happened = int(self.seen.happened.sum())
        return happened, len(self.seen.happened) - happened

    def line(self, confidence: float) -> RecalibrationLine | None:
        """Return the group's line; none where there are too few rows for one."""
        return (
            fit_recalibration_line(self.seen, confidence)
            if min(self.outcomes) >= self.least
            else None
        )

    def large(self, confidence: float) -> ConfidenceInterval | None:
        """Return how much more often it came true than was stated."""
        seen = self.seen
        if len(seen.stated) < LEAST:
            return None
        if seen.robust and seen.clusters is not None:
            return clustered_mean(seen.happened - seen.stated, seen.clusters, confidence)
        return mean_excess(seen.stated, seen.happened, confidence)

    def figures(
        self, line: RecalibrationLine | None, confidence: float
    ) -> dict[str, ConfidenceInterval]:
        """Return those figures that the group has, the line's among them."""
        large = self.large(confidence)
        found = {} if line is None else {"slope": line.slope, "intercept": line.intercept}
        return found if large is None else {**found, "in_the_large": large}

    def lacking(self, metric: str) -> Gap:
        """Say why the group has no such figure, and how many rows would decide."""
        yes, no = self.outcomes
        detail = f"{metric} of {self.place} is not defined: {yes} rows came true and {no} did not"
        if min(yes, no) >= self.least:
            detail += ", and a threshold tells them apart, or one probability only is stated."
            cure = f"Evaluate on more rows, or on harder ones, of {self.place}."
            return self._gap(metric, GapReason.NOT_DEFINED, detail, cure)
        if metric == "in_the_large":
            cure = f"Evaluate on {LEAST} rows of {self.place} at least."
            return self._gap(metric, GapReason.TOO_FEW_ROWS, f"{detail}.", cure)
        detail += f"; {self.least} of each are needed."
        if not min(yes, no):
            kind = "did not come true" if yes else "came true"
            would_decide = (
                f"Evaluate on more rows of {self.place}; {self.least} that {kind} are needed."
            )
        else:
            rows = math.ceil(self.least * (yes + no) / min(yes, no))
            would_decide = f"Evaluate on about {rows:,} rows of {self.place}; it has {yes + no:,}."
        return self._gap(metric, GapReason.TOO_FEW_ROWS, detail, would_decide)

    def _gap(self, metric: str, reason: GapReason, detail: str, cure: str) -> Gap:
        where = {"group_column": self.column, "group": self.name}
        return Gap(reason=reason, detail=detail, cure=cure, metric=metric, params=where)


def build_group_calibrations(
    column: str,
    names: Sequence[str],
    codes: NDArray[np.integer],
    seen: StatedProbabilities,
    least: int,
) -> tuple[GroupCalibration, ...]:
    """Return the groups of one column, ``codes`` ``[n]`` being places in ``names``."""
    return tuple(
        GroupCalibration(column, name, seen.part(codes == at), least)
        for at, name in enumerate(names)
    )


def group_readings(
    member: GroupCalibration,
    line: RecalibrationLine | None,
    confidence: float,
    adjusted: Mapping[str, Json],
) -> Iterator[Reading]:
    """Return the figures of one group, or why it has none; ``adjusted`` says how its test ended."""
    found = member.figures(line, confidence)
    about: dict[str, Json] = {**member.seen.about, "holds": ALONE}
    for metric in FIGURES:
        if metric not in found:
            yield member.lacking(metric)
            continue
        more = adjusted if metric != "in_the_large" else {}
        doubt = member.doubt(metric, line)
        yield Measurement.of(
            found[metric],
            metric,
            Unit.NONE,
            params={"group_column": member.column, "group": member.name},
            doubted=bool(doubt),
            details={**about, **doubt, **more},
        )


def gap_readings(
    column: str, chosen: Sequence[GroupCalibration], confidence: float, family: int
) -> Iterator[Reading]:
    """Return the largest gap of each figure between the chosen groups; ``family`` hold jointly.

    A group without the figure might be the worst: then the gap of the others is doubted, which
    lets it fail a rule and never pass one.
    """
    level = pair_level(max(TWO, len(chosen)), confidence, family)
    lines = [at.line(level) for at in chosen]
    figures = [(at, at.figures(line, level)) for at, line in zip(chosen, lines, strict=True)]
    for metric in FIGURES:
        named = [(at, found[metric]) for at, found in figures if metric in found]
        lacking = [at.name for at, found in figures if metric not in found]
        unsure = [
            at.doubt(metric, line)
            for (at, found), line in zip(figures, lines, strict=True)
            if metric in found
        ]
        if len(named) < TWO:
            incomparable_named = [at.name for at, _ in named]
            without = f", {', '.join(lacking)} has none" if lacking else " and there is no other"
            yield Gap(
                reason=GapReason.NOT_DEFINED,
                detail=f"{metric}_gap over {column} is not defined: of its groups "
                f"{', '.join(incomparable_named) or 'none'} has such a figure{without}.",
                cure=f"Evaluate on data that hold more groups of {column}, with enough rows.",
                metric=f"{metric}_gap",
                params={"group_column": column},
            )
            continue
        method = named[0][1].method
        found = widest_gap(joint_limits([item for _, item in named], confidence, method, family))
        doubt = next(filter(None, unsure), _doubt(lacking))
        yield Measurement.of(
            found.interval,
            f"{metric}_gap",
            Unit.NONE,
            params={"group_column": column},
            doubted=bool(doubt),
            details={
                "of": named[0][0].seen.of,
                "highest": named[found.highest][0].name,
                "lowest": named[found.lowest][0].name,
                "figures": {at.name: item.value for at, item in named},
                "without": [*lacking],
                **doubt,
            },
        )


def _doubt(lacking: Sequence[str]) -> dict[str, Json]:
    if lacking:
        return {"doubt": f"{', '.join(lacking)} may be further apart, and cannot be compared"}
    return {}


def gap_half_widths(rows: Sequence[int], confidence: float, family: int) -> dict[str, float]:
    """Return what the gaps between the two smallest groups have, for scores spread evenly."""
    smallest = sorted(rows)[:TWO]
    if len(smallest) < TWO or smallest[0] < LEAST:
        return {}
    level = pair_level(len(rows), confidence, family)
    slope, intercept = np.hypot(
        *(np.array(expected_half_widths(count, level)) for count in smallest)
    )
    reach = math.sqrt(chi2.ppf(level, 1) / 6 * sum(1 / count for count in smallest))
    found = zip(FIGURES, (float(slope), float(intercept), reach), strict=True)
    return {f"{metric}_gap": half for metric, half in found}
