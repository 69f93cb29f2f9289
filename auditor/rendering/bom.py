"""A CycloneDX 1.6 ML-BOM: the model, its files, its data, its figures, and what they attest.

Source: https://cyclonedx.org/docs/1.6/json/. The serial number is derived from the record, so
that the same record gives the same bytes.
"""

import hashlib
import uuid
from collections.abc import Mapping

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement
from auditor.domain.record_scopes import RecordScope, bound_artifact
from auditor.domain.records import AuditRecord
from auditor.rendering.attested import evidence_told
from auditor.rendering.conformance import MODEL, declarations, standards
from auditor.rendering.numbers import DASH, exact
from auditor.rendering.phrases import coordinates

MOST_METRICS = 2_000


def render_bom(record: AuditRecord) -> Mapping[str, Json]:
    """Return the bill of materials of what was audited."""
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:auditor:bom:{record.digest}")
    datasets = _datasets(record)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": record.finished,
            "tools": {"components": [_tool(record)]},
            "component": _model(record),
        },
        "components": datasets,
        "dependencies": [
            {"ref": MODEL, "dependsOn": [f"data-{at}" for at in range(len(datasets))]}
        ],
        "definitions": {"standards": standards(record)},
        "declarations": declarations(record),
    }


def _model(record: AuditRecord) -> dict[str, Json]:
    request, artifact = record.request, bound_artifact(record)
    model: dict[str, Json] = {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": request.name,
        "version": request.version,
        "modelCard": _card(record),
        "properties": _properties(
            {
                "artifact": None if artifact is None else artifact.digest,
                "scope": None if artifact == request.artifact else RecordScope.ENDPOINT.value,
                "record": record.digest,
                "verdict": record.verdict.value,
                "policy": request.policy.digest,
                "assurance": record.assurance.name,
                **{
                    f"evidence:{name}": level.value for name, level in evidence_told(record).items()
                },
            }
        ),
    }
    if artifact is not None:
        model["hashes"] = _root(record)
        model["components"] = _files(record)
    return model


def _tool(record: AuditRecord) -> dict[str, Json]:
    version = str(record.tool.get("version", "unknown"))
    return {"type": "application", "name": "auditor", "version": version}


def _root(record: AuditRecord) -> list[Json]:
    """Return the one file's digest, or the OMS root of several (digest of their digests)."""
    artifact = bound_artifact(record)
    files = () if artifact is None else tuple(sorted(artifact.files))
    if len(files) == 1:
        return [{"alg": "SHA-256", "content": files[0].sha256}]
    joined = b"".join(bytes.fromhex(file.sha256) for file in files)
    return [{"alg": "SHA-256", "content": hashlib.sha256(joined).hexdigest()}]


def _files(record: AuditRecord) -> list[Json]:
    artifact = bound_artifact(record)
    return [
        {
            "type": "file",
            "bom-ref": f"file-{place}",
            "name": file.name,
            "hashes": [{"alg": "SHA-256", "content": file.sha256}],
            "properties": _properties({"size": str(file.size)}),
        }
        for place, file in enumerate(() if artifact is None else sorted(artifact.files))
    ]


def _datasets(record: AuditRecord) -> list[Json]:
    return [
        {
            "type": "data",
            "bom-ref": f"data-{place}",
            "name": f"{item.role} data",
            "data": [{"type": "dataset", "name": item.role}],
            "properties": _properties({"digest": item.digest, "rows": str(item.rows)}),
        }
        for place, item in enumerate(record.request.datasets)
    ]


def _card(record: AuditRecord) -> dict[str, Json]:
    measured = [item for item in record.readings if isinstance(item, Measurement)]
    metrics = [_metric(item) for item in measured[:MOST_METRICS] if item.value is not None]
    datasets = range(len(record.request.datasets))
    return {
        "modelParameters": {"datasets": [{"ref": f"data-{place}"} for place in datasets]},
        "quantitativeAnalysis": {"performanceMetrics": metrics},
    }


def _metric(m: Measurement) -> dict[str, Json]:
    where = coordinates(m.params)
    bound = "" if m.bound.value == "estimate" else f" {DASH} {m.bound.value.replace('_', ' ')}"
    written: dict[str, Json] = {
        "type": f"{m.check}/{m.metric}{f' ({where})' if where else ''}{bound}",
        "value": exact(m.value),
        "slice": f"target {m.target}" + (f", {coordinates({}, m.slice)}" if m.slice else ""),
    }
    if m.low is not None and m.high is not None:
        ends = {"lowerBound": exact(m.low), "upperBound": exact(m.high)}
        written["confidenceInterval"] = ends
    return written


def _properties(named: Mapping[str, str | None]) -> list[Json]:
    return [
        {"name": f"auditor:{name}", "value": value}
        for name, value in named.items()
        if value is not None
    ]
