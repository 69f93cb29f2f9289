"""Two records side by side: what moved, beyond its intervals."""

import json
from collections.abc import Mapping, Sequence

from auditor.domain.canonical import Json
from auditor.domain.checks import Check
from auditor.domain.findings import Finding
from auditor.domain.readings import Gap, Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome
from auditor.moving.around import differences, incomparable
from auditor.moving.figures import Pairs, better_up, moved
from auditor.moving.sides import Side
from auditor.moving.values import Comparison, Place, Turned

EVALUATION = "evaluation"
WORST_FIRST = (
    Outcome.FAILED,
    Outcome.UNKNOWN,
    Outcome.WAIVED,
    Outcome.WITHSTOOD,
    Outcome.PASSED,
    Outcome.NOT_APPLICABLE,
)
FindingPlace = tuple[str, str, str]


def compare(before: Side, after: Side, checks: Mapping[str, type[Check]]) -> Comparison:
    """Compare two records, figure by figure and finding by finding; pure.

    Figures are the same question where target, check, metric, parameters and slice are equal;
    checks of other versions or parameters are listed and left out. Both records must have judged at
    one confidence.
    """
    old, new = before.signed(), after.signed()
    apart = incomparable(before.record, after.record, checks)
    left_out = {(item.target, item.check) for item in apart}
    places = [place for place in new if place in old and _of(place) not in left_out]
    same_rows = _evaluation(before.record) == _evaluation(after.record) != ()
    pairs = Pairs.of(before, after, same_rows=same_rows)
    confidence = after.record.confidence
    found, tested = moved(pairs, places, confidence, better_up(places, checks, after))
    return Comparison(
        before=before.record.digest,
        after=after.record.digest,
        verdicts=(before.record.verdict, after.record.verdict),
        confidence=confidence,
        compared=tested,
        moved=found,
        findings=_findings(before.record, after.record),
        differences=differences(before.record, after.record),
        incomparable=apart,
        only_before=_only(old, new, left_out),
        only_after=_only(new, old, left_out),
        gaps_closed=_gaps(before.record, after.record),
        gaps_opened=_gaps(after.record, before.record),
    )


def _of(place: Place) -> tuple[str, str]:
    return place.target, place.check


def _evaluation(record: AuditRecord) -> tuple[str, ...]:
    return tuple(item.digest for item in record.request.datasets if item.role == EVALUATION)


def _only(
    here: Mapping[Place, Measurement],
    there: Mapping[Place, Measurement],
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


def _findings(before: AuditRecord, after: AuditRecord) -> tuple[Turned, ...]:
    old = {_place(item): item for item in before.findings}
    new = {_place(item): item for item in after.findings}
    found = [_turned(old.get(place), new.get(place)) for place in dict.fromkeys((*new, *old))]
    return tuple(sorted(found, key=lambda item: (not item.changed, _rank(item.after))))


def _rank(outcome: Outcome | None) -> int:
    return len(WORST_FIRST) if outcome is None else WORST_FIRST.index(outcome)


def _place(finding: Finding) -> FindingPlace:
    return finding.rule, finding.target, json.dumps(_slice(finding), sort_keys=True)


def _slice(finding: Finding) -> Mapping[str, Json]:
    """Return the slice that a finding is of, where its rule is split by slices."""
    found = finding.to_json().get("slice")
    return found if isinstance(found, Mapping) else {}


def _turned(before: Finding | None, after: Finding | None) -> Turned:
    shown: Sequence[Finding] = [item for item in (after, before) if item is not None]
    one = shown[0]
    return Turned(
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
