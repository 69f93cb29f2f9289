"""CycloneDX 1.6 ML-BOM of an audited model, with attestations (CDXA) that map rules to controls.

Source: https://cyclonedx.org/docs/1.6/json/, ``declarations`` and ``definitions``.

Every decided rule is a claim about the model, with its readings as evidence. A control lists the
claims of the rules that cite it: kept rules support it, all others count against it. There is no
conformance score, because a control requires more than the rules that cite it.

The serial number is derived from the record, so the same record gives the same bytes.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from auditor.domain.findings import KEPT, Finding, Outcome
from auditor.domain.json import Json
from auditor.domain.number_text import DASH, format_coordinates, format_exact
from auditor.domain.policies import AssuranceLevel, FrameworkControl
from auditor.domain.readings import Gap, Measurement
from auditor.domain.record_scope import RecordScope, find_bound_artifact, find_record_scope
from auditor.domain.records import AuditRecord
from auditor.reports.formats.attestations import build_verifier_id, list_evidence_levels
from auditor.reports.html.control_names import find_catalogue
from auditor.reports.report_formats import ReportFormat, encode_document
from auditor.reports.waiver_text import describe_exception, list_exceptions
from auditor.reports.wording import OUTCOMES

MODEL = "model"
ASSESSOR = "assessor"


def build_declarations(record: AuditRecord) -> dict[str, Json]:
    """Return the assessor, a claim a finding, the evidence, and what all that says of controls."""
    decided = _decided(record)
    used = sorted({place for _, item in decided for place in item.readings})
    assessor: dict[str, Json] = {
        "bom-ref": ASSESSOR,
        "organization": {"name": build_verifier_id(record)},
    }
    if record.assurance is AssuranceLevel.A0:
        assessor["thirdParty"] = False
    return {
        "assessors": [assessor],
        "attestations": [
            _attestation(record, framework, decided) for framework in _frameworks(record)
        ],
        "claims": [_claim(place, item) for place, item in decided],
        "evidence": [_evidence(record, place) for place in used],
    }


def build_standards(record: AuditRecord) -> list[Json]:
    """Return each framework that a finding cites, with the controls that its catalogue pins."""
    return [_standard(record, framework) for framework in _frameworks(record)]


def _standard(record: AuditRecord, framework: str) -> dict[str, Json]:
    pinned = find_catalogue(framework)
    titles = {} if pinned is None else dict(pinned.controls)
    # A policy may cite what no catalogue here pins; it is named, without a title.
    titles |= {item.ref: "" for item in _cited(record, framework) if item.ref not in titles}
    standard: dict[str, Json] = {
        "bom-ref": f"standard:{quote(framework, safe='')}",
        "name": framework if pinned is None else pinned.title,
        "requirements": [
            {
                "bom-ref": _requirement(FrameworkControl(framework, ref)),
                "identifier": ref,
                **({"title": title} if title else {}),
            }
            for ref, title in titles.items()
        ],
    }
    if pinned is not None:
        standard["version"] = pinned.version
        standard["externalReferences"] = [{"type": "documentation", "url": pinned.source}]
    return standard


def _attestation(
    record: AuditRecord, framework: str, decided: Sequence[tuple[int, Finding]]
) -> dict[str, Json]:
    policy = record.request.policy
    return {
        "summary": f"What the rules of {policy.name} {policy.version} found that cite {framework}",
        "assessor": ASSESSOR,
        "map": [_mapped(control, decided) for control in _cited(record, framework)],
    }


def _mapped(control: FrameworkControl, decided: Sequence[tuple[int, Finding]]) -> dict[str, Json]:
    citing = [(place, item) for place, item in decided if control in item.controls]
    kept = [place for place, item in citing if item.outcome in KEPT]
    against = [place for place, item in citing if item.outcome not in KEPT]
    rationale = (
        f"{len(kept)} of {len(citing)} rules that cite this control are kept. "
        "What it asks beyond them was not looked at."
    )
    return {
        "requirement": _requirement(control),
        "claims": [f"claim-{place}" for place in kept],
        "counterClaims": [f"claim-{place}" for place in against],
        "conformance": {"rationale": rationale},
    }


def _claim(place: int, finding: Finding) -> dict[str, Json]:
    asked = f"{finding.measure} {finding.limits}".strip()
    return {
        "bom-ref": f"claim-{place}",
        "target": MODEL,
        "predicate": f"{OUTCOMES[finding.outcome]} on {finding.target}: {finding.title} ({asked})",
        "reasoning": finding.message,
        "evidence": [f"reading-{index}" for index in dict.fromkeys(finding.readings)],
    }


def _evidence(record: AuditRecord, place: int) -> dict[str, Json]:
    reading = record.readings[place]
    metric = f"{reading.check}/{reading.metric}" if reading.metric else reading.check
    where = format_coordinates(reading.params, {} if isinstance(reading, Gap) else reading.slice)
    if isinstance(reading, Gap):
        described = f"missing: {reading.reason.value}. {reading.detail}"
    else:
        said = format_exact(reading.value) if reading.value is not None else "no value"
        if reading.low is not None and reading.high is not None:
            said += f", between {format_exact(reading.low)} and {format_exact(reading.high)}"
            said += f" at confidence {format_exact(reading.confidence)} ({reading.method})"
        bound = (
            ""
            if reading.bound.value == "estimate"
            else f", {reading.bound.value.replace('_', ' ')}"
        )
        described = said + bound + (", doubted" if reading.doubted else "")
    return {
        "bom-ref": f"reading-{place}",
        "propertyName": f"{metric}{f' ({where})' if where else ''} on {reading.target}",
        "description": described,
        "data": [
            {"name": digest, "contents": {"url": f"evidence/{digest.removeprefix('sha256:')}"}}
            for digest in (() if isinstance(reading, Gap) else reading.evidence)
        ],
        "created": record.finished,
    }


def _decided(record: AuditRecord) -> Sequence[tuple[int, Finding]]:
    return [
        (place, item)
        for place, item in enumerate(record.findings)
        if item.outcome is not Outcome.NOT_APPLICABLE
    ]


def _frameworks(record: AuditRecord) -> Sequence[str]:
    return sorted({item.framework for _, found in _decided(record) for item in found.controls})


def _cited(record: AuditRecord, framework: str) -> Sequence[FrameworkControl]:
    found: Iterator[FrameworkControl] = (
        item for _, finding in _decided(record) for item in finding.controls
    )
    cited: Mapping[str, FrameworkControl] = {
        item.ref: item for item in found if item.framework == framework
    }
    return [cited[ref] for ref in sorted(cited)]


def _requirement(control: FrameworkControl) -> str:
    return f"control:{quote(control.framework, safe='')}:{quote(control.ref, safe='')}"


MOST_METRICS = 2_000


def render_bom(record: AuditRecord) -> Mapping[str, Json]:
    """Return the bill of materials of what was audited."""
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:auditor:bom:{record.digest}")
    datasets: list[Json] = [
        {
            "type": "data",
            "bom-ref": f"data-{place}",
            "name": f"{item.role} data",
            "data": [{"type": "dataset", "name": item.role}],
            "properties": _properties({"digest": item.digest, "rows": str(item.rows)}),
        }
        for place, item in enumerate(record.request.datasets)
    ]
    version = str(record.tool.get("version", "unknown"))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": record.finished,
            "tools": {
                "components": [{"type": "application", "name": "auditor", "version": version}]
            },
            "component": _model(record),
        },
        "components": datasets,
        "dependencies": [
            {"ref": MODEL, "dependsOn": [f"data-{at}" for at in range(len(datasets))]}
        ],
        "definitions": {"standards": build_standards(record)},
        "declarations": build_declarations(record),
    }


def _model(record: AuditRecord) -> dict[str, Json]:
    request, artifact = record.request, find_bound_artifact(record)
    waived, scope = list_exceptions(record), find_record_scope(record)
    measured = [item for item in record.readings if isinstance(item, Measurement)]
    metrics = [_metric(item) for item in measured[:MOST_METRICS] if item.value is not None]
    datasets = range(len(record.request.datasets))
    model: dict[str, Json] = {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": request.name,
        "version": request.version,
        "modelCard": {
            "modelParameters": {"datasets": [{"ref": f"data-{place}"} for place in datasets]},
            "quantitativeAnalysis": {"performanceMetrics": metrics},
        },
        "properties": _properties(
            {
                "artifact": None if artifact is None else artifact.digest,
                "scope": None if scope is RecordScope.ARTIFACT else scope.value,
                "record": record.digest,
                "verdict": record.verdict.value,
                "exception": describe_exception(waived) if waived else None,
                "policy": request.policy.digest,
                "assurance": record.assurance.name,
                **{
                    f"evidence:{name}": level.value
                    for name, level in list_evidence_levels(record).items()
                },
            }
        ),
    }
    if artifact is not None:
        model["hashes"] = _root(record)
        artifact = find_bound_artifact(record)
        model["components"] = [
            {
                "type": "file",
                "bom-ref": f"file-{place}",
                "name": file.name,
                "hashes": [{"alg": "SHA-256", "content": file.sha256}],
                "properties": _properties({"size": str(file.size)}),
            }
            for place, file in enumerate(() if artifact is None else sorted(artifact.files))
        ]
    return model


def _root(record: AuditRecord) -> list[Json]:
    """Return the one file's digest, or the OMS root of several (digest of their digests)."""
    artifact = find_bound_artifact(record)
    files = () if artifact is None else tuple(sorted(artifact.files))
    if len(files) == 1:
        return [{"alg": "SHA-256", "content": files[0].sha256}]
    joined = b"".join(bytes.fromhex(file.sha256) for file in files)
    return [{"alg": "SHA-256", "content": hashlib.sha256(joined).hexdigest()}]


def _metric(m: Measurement) -> dict[str, Json]:
    where = format_coordinates(m.params)
    bound = "" if m.bound.value == "estimate" else f" {DASH} {m.bound.value.replace('_', ' ')}"
    written: dict[str, Json] = {
        "type": f"{m.check}/{m.metric}{f' ({where})' if where else ''}{bound}",
        "value": format_exact(m.value),
        "slice": f"target {m.target}" + (f", {format_coordinates({}, m.slice)}" if m.slice else ""),
    }
    if m.low is not None and m.high is not None:
        ends = {"lowerBound": format_exact(m.low), "upperBound": format_exact(m.high)}
        written["confidenceInterval"] = ends
    return written


def _properties(named: Mapping[str, str | None]) -> list[Json]:
    return [
        {"name": f"auditor:{name}", "value": value}
        for name, value in named.items()
        if value is not None
    ]


FORMATS = (
    ReportFormat(
        "cyclonedx",
        "bom.cdx.json",
        lambda inputs: encode_document(render_bom(inputs.record)),
        kept=True,
    ),
)
