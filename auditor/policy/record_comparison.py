"""Compares two audit records: changed figures, findings and settings.

A figure has moved only if its change exceeds the intervals after correction over all comparisons.
"""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.checks.measure import compute_readings
from auditor.domain.checks import TIMES, Check, depends_on_machine
from auditor.domain.evidence import read_clusters
from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import Json
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import Policy
from auditor.domain.readings import (
    BoundKind,
    ConfidenceInterval,
    Gap,
    Measurement,
    Repeatability,
    is_far_apart,
)
from auditor.domain.records import AuditRecord
from auditor.domain.row_evidence import IDS, RowFigures
from auditor.metrics.stats.cluster_robust import clustered_mean
from auditor.metrics.stats.means import LEAST_PAIRS, mean_difference, paired_difference
from auditor.metrics.stats.share_differences import LEAST_CLUSTERS, interval_difference
from auditor.policy.evaluate.engine import step_down
from auditor.policy.record_comparison_result import (
    ChangeBasis,
    ComparisonDirection,
    FindingChange,
    MetricChange,
    MetricPlace,
    RecordComparison,
)
from auditor.policy.record_differences import (
    find_declaration_changes,
    find_differences,
    find_incomparable_checks,
)

Ids = NDArray[np.str_]
Clusters = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class RowInfluences:
    """What each row ``[n]``, named by ``ids``, adds to one figure."""

    ids: Ids
    values: NDArray[np.bool_] | NDArray[np.float64]
    clusters: Clusters | None


@dataclass(frozen=True, slots=True, eq=False)
class RecordSide:
    """A record with its policy and whatever of its evidence can be read here.

    Figures whose evidence is not at hand (withheld rows, a check of another version) are taken as
    they are signed.
    """

    record: AuditRecord
    policy: Policy
    results: tuple[Result, ...]

    def signed(self) -> Mapping[MetricPlace, Measurement]:
        """Return the record's measurements by their places."""
        found = (item for item in self.record.readings if isinstance(item, Measurement))
        return {MetricPlace.of(item): item for item in found}

    def at(self, confidence: float) -> Mapping[MetricPlace, Measurement]:
        """Return the measurements at a confidence, by their places."""
        again = compute_readings(
            [item for item in self.results if isinstance(item, ObservedCheck)], confidence
        )
        fresh = {MetricPlace.of(item): item for item in again if isinstance(item, Measurement)}
        return {
            place: fresh.get(place) or rescale_interval(item, confidence)
            for place, item in self.signed().items()
        }

    def rows(self) -> Mapping[MetricPlace, RowInfluences]:
        """Return what each row adds to those figures that are means over rows."""
        signed = self.signed()
        found: dict[MetricPlace, RowInfluences] = {}
        for seen in (item for item in self.results if isinstance(item, ObservedCheck)):
            for added, rows in _added(seen):
                origin = seen.observation
                place = MetricPlace.of(
                    Measurement(
                        metric=added.metric,
                        value=None,
                        method="",
                        n=0,
                        params=added.params,
                        target=origin.target,
                        check=origin.check,
                    )
                )
                if place in signed and _is_mean(signed[place], rows):
                    found[place] = rows
        return found


def rescale_interval(measurement: Measurement, confidence: float) -> Measurement:
    """Return a measurement at another confidence, as if its interval were a normal one.

    It is what is left where the evidence is not at hand.
    """
    low, high, value = measurement.low, measurement.high, measurement.value
    known = measurement.confidence
    if low is None or high is None or known is None or not isinstance(value, float | int):
        return measurement
    factor = float(ndtri((1 + confidence) / 2) / ndtri((1 + known) / 2))
    return replace(
        measurement,
        low=value - factor * (value - low),
        high=value + factor * (high - value),
        confidence=confidence,
        method=f"{measurement.method}, widened",
    )


def _added(seen: ObservedCheck) -> list[tuple[RowFigures, RowInfluences]]:
    adds = seen.check.by_row.adds
    if adds is None or IDS not in seen.evidence:
        return []
    ids = np.asarray(cast("list[str]", seen.evidence[IDS]), dtype=np.str_)
    clusters = read_clusters(seen.evidence)
    return [(item, RowInfluences(ids, item.values, clusters)) for item in adds(seen.evidence)]


def _is_mean(measurement: Measurement, rows: RowInfluences) -> bool:
    """Whether a figure is the mean of its rows: what a check says of rows is not taken on trust."""
    value = measurement.value
    if isinstance(value, bool | str) or value is None or not len(rows.values):
        return False
    return bool(np.isclose(float(rows.values.mean()), value, rtol=1e-9, atol=1e-12))


WORST_FIRST = tuple(ComparisonDirection)


@dataclass(frozen=True, slots=True, eq=False)
class MetricPairs:
    """The figures that two records share, and the rows of those that can be compared by row."""

    before: RecordSide
    after: RecordSide
    rows: Mapping[MetricPlace, tuple[RowInfluences, RowInfluences]]

    @classmethod
    def of(cls, before: RecordSide, after: RecordSide, *, same_rows: bool) -> "MetricPairs":
        """Pair two sides; rows are paired where both saw the ``same_rows`` under the same ids."""
        if not same_rows:
            return cls(before, after, {})
        old, new = before.rows(), after.rows()
        both = {place: (old[place], new[place]) for place in old if place in new}
        paired = {place: found for place, them in both.items() if (found := _aligned(*them))}
        return cls(before, after, paired)

    def changes(self, places: Sequence[MetricPlace], confidence: float) -> list[ConfidenceInterval]:
        """Return by how much each figure changed, at a confidence."""
        apart = [place for place in places if place not in self.rows]
        old = self.before.at(confidence) if apart else {}
        new = self.after.at(confidence) if apart else {}
        return [
            _by_row(*self.rows[place], confidence)
            if place in self.rows
            else _apart(old[place], new[place], confidence)
            for place in places
        ]


def compare_metrics(
    pairs: MetricPairs,
    places: Sequence[MetricPlace],
    confidence: float,
    better_up: Mapping[MetricPlace, bool | None],
    of_machine: AbstractSet[MetricPlace] = frozenset(),
) -> tuple[tuple[MetricChange, ...], int]:
    """Return every shared figure with its change, the worse first, and how many were tested.

    A change is a finding only if its interval leaves zero out at Holm's level over all figures
    that have an interval, so that at most ``1 - confidence`` of comparisons of one model with
    itself say that anything moved. What has no interval moved where it is not the same, and a
    bound among them neither for better nor for worse. What is ``of_machine`` moved only where the
    intervals of both runs are far apart, and is never worse: a busy machine makes a tail of times
    that much longer.
    """
    old, new = pairs.before.signed(), pairs.after.signed()
    basis = {
        place: ChangeBasis.MOMENT
        if place in of_machine and not (old[place].doubted or new[place].doubted)
        else _basis(old[place], new[place], place in pairs.rows)
        for place in places
    }
    tested = [
        place for place in places if basis[place] in {ChangeBasis.ROWS, ChangeBasis.INTERVALS}
    ]
    at = cache(lambda level: pairs.changes(tested, 1 - level))
    alpha = 1 - confidence
    proven = step_down(len(tested), alpha, lambda level: _nonzero(at(level))) if tested else ()
    changes = dict(zip(tested, at(alpha), strict=True)) if tested else {}
    held = {tested[index] for index in proven}
    found = [
        _moved(old[place], new[place], basis[place], changes.get(place), better_up.get(place), held)
        for place in places
    ]
    ordered = sorted(found, key=lambda item: (WORST_FIRST.index(item.way), not item.alone))
    return tuple(ordered), len(tested)


def _moved(  # noqa: PLR0913, PLR0917 -- a figure twice, and what is known of its change
    before: Measurement,
    after: Measurement,
    basis: ChangeBasis,
    change: ConfidenceInterval | None,
    better_up: bool | None,  # noqa: FBT001 -- a property of the metric, not a switch
    held: AbstractSet[MetricPlace],
) -> MetricChange:
    found = MetricChange(before=before, after=after, basis=basis, change=change)
    if basis is ChangeBasis.EXACT and before.value != after.value:
        old, new = before.value, after.value
        if isinstance(old, str) or isinstance(new, str) or old is None or new is None:
            sign = 0.0
        else:
            sign = float(np.sign(float(new) - float(old)))
        # Of a bound without an interval nobody knows the other end, so that neither is better
        known = better_up if after.bound is BoundKind.ESTIMATE else None
        return replace(found, alone=True, way=_way(sign, known))
    if basis is ChangeBasis.MOMENT and is_far_apart(before, after):
        return replace(found, way=ComparisonDirection.OTHER)
    if change is None:
        return found
    way = (
        _way(np.sign(change.value), better_up) if found.place in held else ComparisonDirection.SAME
    )
    return replace(found, alone=bool(_nonzero([change])), way=way)


def _basis(before: Measurement, after: Measurement, by_row: bool) -> ChangeBasis:  # noqa: FBT001 -- what is at hand
    if before.doubted or after.doubted:
        return ChangeBasis.DOUBTED
    if after.unit in TIMES or (_bare(after) and after.repeat is Repeatability.INTERVAL):
        return ChangeBasis.MOMENT
    if _bare(before) or _bare(after):
        return ChangeBasis.EXACT
    return ChangeBasis.ROWS if by_row else ChangeBasis.INTERVALS


def _bare(measurement: Measurement) -> bool:
    """Whether a figure has no interval."""
    plain = isinstance(measurement.value, bool | str) or measurement.value is None
    return plain or measurement.low is None or measurement.high is None


def _way(sign: float, better_up: bool | None) -> ComparisonDirection:  # noqa: FBT001 -- a property of the metric
    if better_up is None or sign == 0:
        return ComparisonDirection.OTHER
    return ComparisonDirection.BETTER if (sign > 0) == better_up else ComparisonDirection.WORSE


def _nonzero(changes: Sequence[ConfidenceInterval]) -> frozenset[int]:
    return frozenset(i for i, item in enumerate(changes) if item.low > 0 or item.high < 0)


def _aligned(
    before: RowInfluences, after: RowInfluences
) -> tuple[RowInfluences, RowInfluences] | None:
    """Return both with the rows in one order, or nothing unless they are the same rows."""
    here, there = np.argsort(before.ids, kind="stable"), np.argsort(after.ids, kind="stable")
    same = len(here) == len(there) and bool(np.all(before.ids[here] == after.ids[there]))
    if not same or len(np.unique(before.ids)) != len(before.ids):
        return None
    if before.values.dtype != np.bool_ and len(here) < LEAST_PAIRS:
        return None
    if after.clusters is not None and len(np.unique(after.clusters)) < LEAST_CLUSTERS:
        return None
    return _taken(before, here), _taken(after, there)


def _taken(
    rows: RowInfluences, order: "np.ndarray[tuple[int], np.dtype[np.intp]]"
) -> RowInfluences:
    clusters = None if rows.clusters is None else rows.clusters[order]
    return RowInfluences(rows.ids[order], rows.values[order], clusters)


def _by_row(before: RowInfluences, after: RowInfluences, confidence: float) -> ConfidenceInterval:
    old, new = before.values, after.values
    differences = new.astype(np.float64) - old.astype(np.float64)
    flags = old.dtype == np.bool_ and new.dtype == np.bool_
    if not flags and not differences.any():
        return ConfidenceInterval(0.0, 0.0, 0.0, confidence, "every row is equal", len(differences))
    if after.clusters is not None and differences.any():
        return clustered_mean(differences, after.clusters, confidence)
    if not flags:
        return mean_difference(differences, confidence)
    gained, lost = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    return paired_difference(gained, lost, len(differences), confidence)


def _apart(before: Measurement, after: Measurement, confidence: float) -> ConfidenceInterval:
    old, new = (_interval(item, confidence) for item in (before, after))
    return interval_difference(new, old)


def _interval(measurement: Measurement, confidence: float) -> ConfidenceInterval:
    value, low, high = measurement.value, measurement.low, measurement.high
    if isinstance(value, bool | str) or value is None or low is None or high is None:
        message = f"{measurement.check}/{measurement.metric} has no interval"
        raise TypeError(message)
    return ConfidenceInterval(value, low, high, confidence, measurement.method, measurement.n)


def is_higher_better(
    places: Sequence[MetricPlace], checks: Mapping[str, type[Check]], side: RecordSide
) -> dict[MetricPlace, bool | None]:
    """Return whether more is better, by the check's word, else by the policy's rules."""
    return {place: _better_up(place, checks, side) for place in places}


def _better_up(
    place: MetricPlace, checks: Mapping[str, type[Check]], side: RecordSide
) -> bool | None:
    check = checks.get(place.check)
    metric = None if check is None else check.emits.get(place.metric)
    if metric is not None and metric.higher_is_better is not None:
        return metric.higher_is_better
    asked = [
        rule.limits
        for rule in side.policy.rules
        if (rule.check, rule.metric) == (place.check, place.metric) and rule.limits is not None
    ]
    ups = {item.most is None for item in asked if (item.least is None) != (item.most is None)}
    return ups.pop() if len(ups) == 1 else None


EVALUATION = "evaluation"
WORST_OUTCOMES_FIRST = (
    Outcome.FAILED,
    Outcome.UNKNOWN,
    Outcome.WAIVED,
    Outcome.WITHSTOOD,
    Outcome.PASSED,
    Outcome.NOT_APPLICABLE,
)
FindingPlace = tuple[str, str, str]


def compare_records(
    before: RecordSide, after: RecordSide, checks: Mapping[str, type[Check]]
) -> RecordComparison:
    """Compare two records, figure by figure and finding by finding; pure.

    Figures are the same question where target, check, metric, parameters and slice are equal;
    checks of other versions or parameters, and those that rest on a setting that was declared
    otherwise, are listed and left out. Both records must have judged at one confidence.
    """
    old, new = before.signed(), after.signed()
    declared = find_declaration_changes(before.record, after.record)
    apart = find_incomparable_checks(before.record, after.record, checks, declared)
    left_out = {(item.target, item.check) for item in apart}
    places = [place for place in new if place in old and _of(place) not in left_out]
    same_rows = _evaluation(before.record) == _evaluation(after.record) != ()
    pairs = MetricPairs.of(before, after, same_rows=same_rows)
    confidence = after.record.confidence
    of_machine = {
        place
        for place in places
        if place.check in checks and depends_on_machine(checks[place.check], place.metric)
    }
    ups = is_higher_better(places, checks, after)
    found, tested = compare_metrics(pairs, places, confidence, ups, of_machine)
    return RecordComparison(
        before=before.record.digest,
        after=after.record.digest,
        verdicts=(before.record.verdict, after.record.verdict),
        confidence=confidence,
        compared=tested,
        moved=found,
        findings=_findings(before.record, after.record),
        declared=declared,
        differences=find_differences(before.record, after.record),
        incomparable=apart,
        only_before=_only(old, new, left_out),
        only_after=_only(new, old, left_out),
        gaps_closed=_gaps(before.record, after.record),
        gaps_opened=_gaps(after.record, before.record),
    )


def _of(place: MetricPlace) -> tuple[str, str]:
    return place.target, place.check


def _evaluation(record: AuditRecord) -> tuple[str, ...]:
    return tuple(item.digest for item in record.request.datasets if item.role == EVALUATION)


def _only(
    here: Mapping[MetricPlace, Measurement],
    there: Mapping[MetricPlace, Measurement],
    left_out: set[tuple[str, str]],
) -> tuple[Measurement, ...]:
    return tuple(
        item for place, item in here.items() if place not in there and _of(place) not in left_out
    )


def _gaps(here: AuditRecord, there: AuditRecord) -> tuple[Gap, ...]:
    """Return what is missing here and not there: one gap of a place, whatever its reason."""
    known = {_missing(item) for item in there.readings if isinstance(item, Gap)}
    gaps = (item for item in here.readings if isinstance(item, Gap))
    return tuple(item for item in gaps if _missing(item) not in known)


def _missing(gap: Gap) -> tuple[str, str, str, str]:
    return gap.target, gap.check, gap.metric, json.dumps(dict(gap.params), sort_keys=True)


def _findings(before: AuditRecord, after: AuditRecord) -> tuple[FindingChange, ...]:
    old = {_place(item): item for item in before.findings}
    new = {_place(item): item for item in after.findings}
    found = [_turned(old.get(place), new.get(place)) for place in dict.fromkeys((*new, *old))]
    return tuple(sorted(found, key=lambda item: (not item.changed, _rank(item.after))))


def _rank(outcome: Outcome | None) -> int:
    return len(WORST_OUTCOMES_FIRST) if outcome is None else WORST_OUTCOMES_FIRST.index(outcome)


def _place(finding: Finding) -> FindingPlace:
    return finding.rule, finding.target, json.dumps(_slice(finding), sort_keys=True)


def _slice(finding: Finding) -> Mapping[str, Json]:
    """Return the slice that a finding is of, where its rule is split by slices."""
    found = finding.to_json().get("slice")
    return found if isinstance(found, Mapping) else {}


def _turned(before: Finding | None, after: Finding | None) -> FindingChange:
    shown: Sequence[Finding] = [item for item in (after, before) if item is not None]
    one = shown[0]
    return FindingChange(
        rule=one.rule,
        target=one.target,
        slice=_slice(one),
        title=one.title,
        effect=one.effect,
        before=None if before is None else before.outcome,
        after=None if after is None else after.outcome,
        asked_before="" if before is None else before.limits,
        asked_after="" if after is None else after.limits,
    )
