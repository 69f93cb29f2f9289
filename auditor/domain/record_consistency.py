"""What holds of every record that auditor wrote, beyond the types of its fields."""

from auditor.domain.json import Json, build_field_error, encode_canonical
from auditor.domain.records import AuditRecord
from auditor.errors import RecordError


def refuse_inconsistent(record: AuditRecord, content: Json, raw: bytes) -> None:
    """Raise ``RecordError`` unless ``record``, read from ``content``, gives the bytes ``raw``.

    Also where its confidence is no level, a finding names a reading that is not there, or some
    evidence is committed and some is not. Raises ``ValueError`` where there is no canonical form.
    """
    if not 0 < record.confidence < 1:
        raise build_field_error("record.json.confidence", "between 0 and 1")
    there = range(len(record.readings))
    for index, finding in enumerate(record.findings):
        if not set(finding.readings) <= set(there):
            place = f"record.json.findings[{index}].readings"
            raise build_field_error(place, f"a list of places among the {len(there)} readings")
    sealed = record.request.disclosure is not None
    if any(seen.committed is not sealed for seen in record.observations):
        raise build_field_error(
            "record.json.observations", "committed as the request asks, all or none"
        )
    exact, known = encode_canonical(content) == raw, record.canonical() == raw
    if not (exact and known):
        kind = "not consistent with its own fields" if exact else "not canonical"
        raise RecordError(f"record.json is {kind}", cure="Take it as it was written.")
