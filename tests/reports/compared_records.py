"""Two records side by side, small enough to read: what the page of a comparison is tested on."""

from dataclasses import replace

from rendering_records import BLOBS, FAILING, HOSTILE, POLICY, inputs_of

from auditor.checks.registry import discover_checks
from auditor.domain.findings import Outcome
from auditor.domain.readings import Measurement, Reading
from auditor.domain.records import AuditRecord
from auditor.policy.record_comparison import RecordSide, compare_records
from auditor.reports.html.comparison import ComparisonView
from auditor.reports.rendering_inputs import ReportInputs


def _lower(reading: Reading) -> Reading:
    """A figure that lies far below what it was; others stay."""
    number = isinstance(reading, Measurement) and isinstance(reading.value, float)
    if not number or not isinstance(reading, Measurement) or reading.low is None:
        return reading
    return replace(reading, value=reading.value / 4, low=reading.low / 5, high=reading.high / 3)  # type: ignore[operator]  # numbers, as was seen


def juxtaposed(before: AuditRecord, after: AuditRecord) -> ComparisonView:
    found = compare_records(
        RecordSide(before, POLICY, ()), RecordSide(after, POLICY, ()), discover_checks()
    )
    return ComparisonView(
        comparison=found,
        before=inputs_of(before),
        after=inputs_of(after),
        taken=("old: evasion.linf version 2 is not installed here",),
        unverified="Nobody vouches for these records.",
    )


WORSE = replace(
    FAILING,
    request=replace(FAILING.request, version=f"9 {HOSTILE}", seed=8),
    readings=tuple(_lower(item) for item in FAILING.readings[:-1]),
    findings=tuple(replace(item, outcome=Outcome.FAILED) for item in FAILING.findings[1:]),
)
WORSE_BESIDE = juxtaposed(FAILING, WORSE)
SAME_BESIDE = juxtaposed(FAILING, FAILING)


def against(before: AuditRecord, after: AuditRecord) -> ReportInputs:
    """A record that names another as its baseline, whose bytes lie among its evidence."""
    held = replace(after, request=replace(after.request, baseline=before.digest))
    return inputs_of(held, blob={**BLOBS, before.digest: before.canonical()}.__getitem__)


LOWER = replace(
    FAILING,
    request=replace(FAILING.request, version="3.2.0", seed=8),
    readings=tuple(_lower(item) for item in FAILING.readings),
    findings=tuple(replace(item, outcome=Outcome.FAILED) for item in FAILING.findings),
)
ODD = replace(FAILING, request=replace(FAILING.request, name=HOSTILE, version=HOSTILE))
SINCE = {
    "since-worse": against(FAILING, LOWER),
    "since-better": against(LOWER, FAILING),
    "since-same": against(FAILING, FAILING),
    "since-hostile": against(ODD, LOWER),
}
