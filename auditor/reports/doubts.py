"""Why a figure is doubted, and what would make it one to be believed."""

from collections.abc import Mapping, Sequence

from auditor.domain.json import Json
from auditor.domain.readings import BiasDirection, Measurement
from auditor.domain.records import AuditRecord

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
UNSTEADY = "the model answers differently when asked again"


def list_doubt_reasons(details: Mapping[str, Json]) -> str:
    """Return why a check doubts a reading, as its details have it: in one text, or a list."""
    listed = details.get("doubts")
    several = listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ()
    told = [item for item in (details.get("doubt"), *several) if isinstance(item, str)]
    return "; ".join(item.rstrip(".") for item in told if item)


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
