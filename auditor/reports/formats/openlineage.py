"""OpenLineage event of an audit: its inputs, outputs, and the outcome of each rule.

Source: https://openlineage.io/spec/2-0-2/OpenLineage.json and its facets. The run completes where
the verdict is pass and fails otherwise: what listens to such events acts on ``COMPLETE``, and an
undecided model must not be promoted by silence. Lineage there knows data sets alone, so that the
model and the policy pose as such, each by its digest as version.
"""

import uuid
from collections.abc import Mapping
from urllib.parse import quote

from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.json import Json
from auditor.domain.number_text import format_exact
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.requests import DatasetRef
from auditor.reports.report_formats import ReportFormat, encode_document

SPEC = "https://openlineage.io/spec"
NAMESPACE = "auditor"
STATUS: Mapping[Outcome, str] = {
    Outcome.PASSED: "pass",
    Outcome.WITHSTOOD: "pass",
    Outcome.FAILED: "fail",
    Outcome.UNKNOWN: "fail",
    Outcome.WAIVED: "fail",
    Outcome.NOT_APPLICABLE: "skip",
}
"""What a test's status says; who waives a rule accepts a failure and does not undo it."""


def render_openlineage(record: AuditRecord) -> Mapping[str, Json]:
    """Return the one terminal event of the audit's run."""
    producer = f"urn:auditor:producer:{quote(str(record.tool.get('version', 'unknown')), safe='')}"
    run = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:auditor:run:{record.digest}")
    of_run = {
        "processing_engine": {
            **_facet(producer, "ProcessingEngineRunFacet", "1-1-1"),
            "version": str(record.tool.get("version", "unknown")),
            "name": "auditor",
        },
        "test": {
            **_facet(producer, "TestRunFacet", "1-0-1"),
            "tests": [{**_test(record, item), "status": STATUS[item.outcome],
                       "type": item.measure} for item in record.findings],
        },
    }  # fmt: skip
    request = record.request
    named = [(f"policy/{request.policy.name}", request.policy.digest)]
    if request.artifact is not None:
        named.insert(0, (f"model/{request.name}", request.artifact.digest))
    inputs: list[Json] = [
        {**_dataset(name, digest, producer), "inputFacets": {}} for name, digest in named
    ]
    return {
        "eventType": "COMPLETE" if record.verdict is Verdict.PASS else "FAIL",
        "eventTime": record.finished,
        "run": {"runId": str(run), "facets": of_run},
        "job": {
            "namespace": NAMESPACE,
            "name": f"audit {record.request.name}",
            "facets": {
                "jobType": {
                    **_facet(producer, "JobTypeJobFacet", "2-0-4"),
                    "processingType": "BATCH",
                    "integration": "AUDITOR",
                    "jobType": "AUDIT",
                }
            },
        },
        "inputs": inputs + [_data(record, item, producer) for item in request.datasets],
        "outputs": [
            {**_dataset(f"record/{record.id}", record.digest, producer), "outputFacets": {}}
        ],
        "producer": producer,
        "schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
    }


def _data(record: AuditRecord, item: DatasetRef, producer: str) -> dict[str, Json]:
    facets: dict[str, Json] = {
        "dataQualityMetrics": {
            **_facet(producer, "DataQualityMetricsInputDatasetFacet", "1-0-3"),
            "rowCount": item.rows,
            "columnMetrics": {},
        }
    }
    asserted = (
        [
            {
                **_test(record, item),
                "assertion": item.measure,
                "success": STATUS[item.outcome] == "pass",
            }
            for item in record.findings
            if item.measure.startswith("data.") and item.outcome is not Outcome.NOT_APPLICABLE
        ]
        if item.role == "evaluation"
        else []
    )
    if asserted:
        facets["dataQualityAssertions"] = {
            **_facet(producer, "DataQualityAssertionsDatasetFacet", "1-1-0"),
            "assertions": asserted,
        }
    return {**_dataset(f"data/{item.role}", item.digest, producer), "inputFacets": facets}


def _test(record: AuditRecord, finding: Finding) -> dict[str, Json]:
    said: dict[str, Json] = {
        "name": f"{finding.name} on {finding.target}",
        "severity": "error" if finding.effect is RuleEffect.DENY else "warn",
        "description": f"{finding.title} ({finding.outcome.value.replace('_', ' ')})",
        "expected": finding.limits,
        "params": {},
    }
    deciding = [record.readings[place] for place in finding.readings[:1]]
    for reading in deciding:
        if isinstance(reading, Measurement) and reading.value is not None:
            said["actual"] = format_exact(reading.value)
    return said


def _dataset(name: str, digest: str, producer: str) -> dict[str, Json]:
    version = {
        **_facet(producer, "DatasetVersionDatasetFacet", "1-0-1"),
        "datasetVersion": digest,
    }
    return {"namespace": NAMESPACE, "name": name, "facets": {"version": version}}


def _facet(producer: str, name: str, version: str) -> dict[str, Json]:
    return {
        "_producer": producer,
        "_schemaURL": f"{SPEC}/facets/{version}/{name}.json#/$defs/{name}",
    }


FORMATS = (
    ReportFormat(
        "openlineage",
        "openlineage.json",
        lambda inputs: encode_document(render_openlineage(inputs.record)),
    ),
)
