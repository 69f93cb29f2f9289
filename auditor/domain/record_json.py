"""Reads a record from its canonical JSON bytes."""

from auditor.domain.json import (
    JsonPart,
    build_field_error,
    encode_canonical,
    parse_json,
    read_json,
)
from auditor.domain.records import RECORD_SCHEMA, AuditRecord
from auditor.errors import RecordError


def read_record(raw: bytes) -> AuditRecord:
    """Read ``record.json``. Raises ``RecordError`` unless the bytes are a canonical v1 record.

    Also where its confidence is no level, a finding names a reading that is not there, or some
    evidence is committed and some is not.
    """
    try:
        content = parse_json(raw)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"record.json is not JSON: {error}", cure="Take it as it was written."
        ) from None
    top = JsonPart(content, "record.json")
    if top.get("schema", str) != RECORD_SCHEMA:
        raise RecordError(
            f"record.json has schema {top.value.get('schema')!r}, not {RECORD_SCHEMA!r}",
            cure="Use the version of auditor that wrote it, or a newer one.",
        )
    try:
        record = read_json(AuditRecord, content, top.place)
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
    except ValueError as error:  # such as a number that has no canonical form
        raise RecordError(
            f"record.json holds what no record can: {error}", cure="Take it as it was written."
        ) from None
    return record
