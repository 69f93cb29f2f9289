"""Read a record back from its canonical bytes."""

from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import Json, JsonPart, build_field_error, parse_json
from auditor.domain.lineage import LineageEdge
from auditor.domain.policies import AssuranceLevel, FrameworkControl, RuleEffect, Severity
from auditor.domain.readings import (
    BiasDirection,
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Unit,
)
from auditor.domain.record_consistency import refuse_inconsistent
from auditor.domain.records import RECORD_SCHEMA, AuditRecord, CheckObservation, DuplicateRows
from auditor.domain.requests import read_request
from auditor.domain.source_locations import read_source_locations
from auditor.domain.targets import EvidenceLevel, Fingerprint, ModelInterface
from auditor.errors import RecordError


def read_record(raw: bytes) -> AuditRecord:
    """Read ``record.json``. Raises ``RecordError`` unless the bytes are a canonical v1 record."""
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
        record = _record(top)
        refuse_inconsistent(record, content, raw)
    except ValueError as error:  # such as a number that has no canonical form
        raise RecordError(
            f"record.json holds what no record can: {error}", cure="Take it as it was written."
        ) from None
    return record


def _record(top: JsonPart) -> AuditRecord:
    fingerprints = top.part("fingerprints")
    return AuditRecord(
        id=top.get("id", str),
        derived_from=top.maybe("derived_from", str),
        assurance=_assurance(top),
        request=read_request(top.part("request")),
        confidence=top.get("confidence", float),
        fingerprints={
            name: read_fingerprint(fingerprints.part(name)) for name in fingerprints.value
        },
        observations=top.list_of("observations", read_observation),
        readings=top.list_of("readings", read_reading),
        findings=top.list_of("findings", read_finding),
        lineage=top.list_of("lineage", _edge),
        tool=top.mapping("tool"),
        registered=top.get("registered", str),
        finished=top.get("finished", str),
        places=read_source_locations(top.part("places")) if "places" in top.value else None,
    )


def _assurance(top: JsonPart) -> AssuranceLevel:
    name = top.get("assurance", str)
    if name not in AssuranceLevel.__members__:
        raise build_field_error("record.json.assurance", "one of A0, A1, A2, A3")
    return AssuranceLevel[name]


def read_fingerprint(part: JsonPart) -> Fingerprint:
    """Read what a target turned out to be. Raises ``RecordError`` for what is none."""
    found = Fingerprint(
        identity_facts=part.mapping("identity_facts"),
        conditions_facts=part.mapping("conditions_facts"),
        emulated=part.get("emulated", bool),
        interface=None
        if part.value.get("interface") is None
        else _interface(part.part("interface")),
        evidence=part.choice("evidence", EvidenceLevel) if "evidence" in part.value else None,
    )
    if (
        part.get("identity", str) != found.identity
        or part.get("conditions", str) != found.conditions
    ):
        raise build_field_error(part.place, "a fingerprint whose digests are those of its facts")
    return found


def _interface(part: JsonPart) -> ModelInterface:
    return ModelInterface(
        input=part.get("input", str),
        input_shape=part.numbers("input_shape"),
        input_dtype=part.get("input_dtype", str),
        fixed_batch=part.maybe("fixed_batch", int),
        layout=part.get("layout", str),
        output=part.get("output", str),
        scores=part.get("scores", str),
        because=part.get("because", str),
    )


def read_observation(part: JsonPart) -> CheckObservation:
    """Read what one check saw. Raises ``RecordError`` for what is none."""
    evidence = part.mapping("evidence")
    return CheckObservation(
        target=part.get("target", str),
        check=part.get("check", str),
        version=part.get("version", int),
        params=part.mapping("params"),
        seed=part.get("seed", int),
        evidence={name: str(item) for name, item in evidence.items()},
        deterministic=part.get("deterministic", bool),
        labels_only=bool(part.maybe("labels_only", bool)),
        committed=bool(part.maybe("committed", bool)),
        copies=_copies(part),
    )


def _copies(part: JsonPart) -> DuplicateRows | None:
    if part.maybe("copies", dict) is None:
        return None
    found = part.part("copies")
    return DuplicateRows(found.get("rows", int), found.get("distinct", int))


def read_reading(part: JsonPart) -> Reading:
    """Read one reading. Raises ``RecordError`` for what is none."""
    return read_gap(part) if part.get("kind", str) == "gap" else _measurement(part)


def read_gap(part: JsonPart) -> Gap:
    """Read what is missing. Raises ``RecordError`` for what is none."""
    metric = part.maybe("metric", str) or ""
    return Gap(
        reason=part.choice("reason", GapReason),
        detail=part.get("detail", str),
        cure=part.get("cure", str),
        target=part.get("target", str),
        check=part.get("check", str),
        metric=metric,
        params=_coordinates(part, "params") if metric else {},
    )


def _measurement(part: JsonPart) -> Measurement:
    return Measurement(
        metric=part.get("metric", str),
        value=_value(part),
        low=part.maybe("low", float),
        high=part.maybe("high", float),
        confidence=part.maybe("confidence", float),
        bound=part.choice("bound", BoundKind),
        method=part.get("method", str),
        n=part.get("n", int),
        unit=part.choice("unit", Unit),
        params=_coordinates(part, "params"),
        slice={key: str(value) for key, value in part.mapping("slice").items()},
        repeat=part.choice("repeat", Repeatability),
        doubted=part.get("doubted", bool),
        astray=part.choice("astray", BiasDirection) if "astray" in part.value else None,
        details=part.mapping("details"),
        target=part.get("target", str),
        check=part.get("check", str),
        version=part.get("version", int),
        evidence=part.texts("evidence"),
    )


def _coordinates(part: JsonPart, name: str) -> dict[str, bool | int | float | str]:
    return {key: _scalar(part, name, value) for key, value in part.mapping(name).items()}


def _value(part: JsonPart) -> float | bool | str | None:
    value = part.value.get("value")
    if value is None or isinstance(value, bool | str):
        return value
    return part.get("value", float)


def _scalar(part: JsonPart, name: str, value: Json) -> bool | int | float | str:
    if isinstance(value, bool | int | float | str):
        return value
    raise build_field_error(f"{part.place}.{name}", "an object of single values")


def read_finding(part: JsonPart) -> Finding:
    """Read one finding. Raises ``RecordError`` for what is none."""
    decide = part.value.get("would_decide")
    return Finding(
        rule=part.get("rule", str),
        title=part.get("title", str),
        target=part.get("target", str),
        measure=part.get("measure", str),
        outcome=part.choice("outcome", Outcome),
        effect=part.choice("effect", RuleEffect),
        severity=part.choice("severity", Severity),
        readings=part.numbers("readings"),
        controls=part.list_of("controls", _control),
        message=part.get("message", str),
        remediation=part.get("remediation", str),
        limits=part.get("limits", str),
        would_decide=None if decide is None else part.mapping("would_decide"),
        slice=_coordinates(part, "slice") if "slice" in part.value else {},
        waiver=part.maybe("waiver", str) or "",
    )


def _control(part: JsonPart) -> FrameworkControl:
    return FrameworkControl(part.get("framework", str), part.get("ref", str))


def _edge(part: JsonPart) -> LineageEdge:
    return LineageEdge(
        part.get("source", str),
        part.get("relation", str),
        part.get("destination", str),
        part.get("role", str),
    )
