"""Explains why a figure is doubted, and how to make it reliable."""

from auditor.domain.readings import BiasDirection, Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.report_panels import UNSTEADY, list_doubt_reasons

QUIET = (
    "Audit again on a quiet machine: close what else runs there, and give the target no more "
    "threads than it has free processors."
)
STEADY = "Turn on deterministic kernels of the runtime, and fix threads and batch size."
ASTRAY = {
    BiasDirection.TOO_HIGH: ", may be too high,",
    BiasDirection.TOO_LOW: ", may be too low,",
    BiasDirection.EITHER: ", may be too high or too low,",
}


def explain_doubt(record: AuditRecord, reading: Measurement) -> str:
    """Return why a reading is doubted, or nothing where the record does not say."""
    said = list_doubt_reasons(reading.details)
    return said or (UNSTEADY if _unsteady(record, reading) else "")


def suggest_doubt_cure(record: AuditRecord, reading: Measurement) -> str:
    """Return what would help a doubted reading; of times, the machine is what was doubted."""
    if not reading.doubted:
        return ""
    if "doubts" in reading.details:
        return QUIET
    return STEADY if not list_doubt_reasons(reading.details) and _unsteady(record, reading) else ""


def _unsteady(record: AuditRecord, reading: Measurement) -> bool:
    return any(
        not item.deterministic
        for item in record.observations
        if (item.target, item.check) == (reading.target, reading.check)
    )
