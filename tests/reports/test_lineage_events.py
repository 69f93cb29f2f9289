"""The lineage event holds against the classes of the OpenLineage client, facet by facet."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde
from rendering_records import EVERY_RECORD, FAILING, OPEN, PASSING, SILENT, inputs_of

from auditor.domain.findings import Outcome, Verdict
from auditor.domain.records import AuditRecord
from auditor.reports.report_formats import render_all

every_record = pytest.mark.parametrize("record", EVERY_RECORD.values(), ids=EVERY_RECORD)
FACETS = {
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "test": facet_v2.test_run.TestRunFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    "dataQualityMetrics": (
        facet_v2.data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet
    ),
    "dataQualityAssertions": (
        facet_v2.data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet
    ),
}
PARTS = {
    "tests": facet_v2.test_run.TestExecution,
    "assertions": facet_v2.data_quality_assertions_dataset.Assertion,
}


def event(record: AuditRecord) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render_all(inputs_of(record))["openlineage.json"])
    return found


def facets(written: Mapping[str, Any]) -> dict[str, Any]:
    """The client's own facets; a member that one does not know is refused, and one it lacks."""
    made = {}
    for name, members in written.items():
        given = {key: value for key, value in members.items() if not key.startswith("_")}
        for key in given.keys() & PARTS.keys():
            given[key] = [PARTS[key](**item) for item in given[key]]
        made[name] = FACETS[name](producer=members["_producer"], **given)
    return made


def remade(written: Mapping[str, Any]) -> event_v2.RunEvent:
    inputs = [
        event_v2.InputDataset(
            item["namespace"], item["name"], inputFacets=facets(item["inputFacets"]),
            facets=facets(item["facets"]),
        )
        for item in written["inputs"]
    ]  # fmt: skip
    outputs = [
        event_v2.OutputDataset(item["namespace"], item["name"], facets=facets(item["facets"]))
        for item in written["outputs"]
    ]
    job, run = written["job"], written["run"]
    return event_v2.RunEvent(
        eventType=event_v2.RunState(written["eventType"]),
        eventTime=written["eventTime"],
        run=event_v2.Run(run["runId"], facets=facets(run["facets"])),
        job=event_v2.Job(job["namespace"], job["name"], facets=facets(job["facets"])),
        inputs=inputs,
        outputs=outputs,
        producer=written["producer"],
    )


@every_record
def test_the_client_makes_the_very_same_event(record: AuditRecord) -> None:
    written = event(record)
    assert Serde.to_dict(remade(written)) == written
    UUID(written["run"]["runId"])


def test_a_facet_that_the_client_does_not_know_is_noticed() -> None:
    written = event(FAILING)
    written["run"]["facets"]["test"]["tests"][0]["verdict"] = "pass"
    with pytest.raises(TypeError):
        remade(written)


@every_record
def test_only_a_pass_completes(record: AuditRecord) -> None:
    passes = record.verdict is Verdict.PASS
    assert event(record)["eventType"] == ("COMPLETE" if passes else "FAIL")


def test_a_test_is_green_only_where_its_rule_was_kept() -> None:
    for record in (PASSING, OPEN, FAILING):
        tests = event(record)["run"]["facets"]["test"]["tests"]
        assert len(tests) == len(record.findings)
        for item, finding in zip(tests, record.findings, strict=True):
            kept = finding.outcome in {Outcome.PASSED, Outcome.WITHSTOOD}
            assert (item["status"] == "pass") == kept
    assert event(SILENT)["eventType"] == "FAIL"


def test_what_is_asked_of_the_data_is_asserted_of_the_evaluation_data() -> None:
    asked = replace(FAILING.findings[0], measure="data.labels/noise_share")
    unknown = replace(asked, outcome=Outcome.UNKNOWN)
    written = event(replace(FAILING, findings=(asked, unknown, FAILING.findings[1])))
    by_name = {item["name"]: item["inputFacets"] for item in written["inputs"]}
    asserted = by_name["data/evaluation"]["dataQualityAssertions"]["assertions"]
    assert [item["success"] for item in asserted] == [True, False]
    others = [name for name, item in by_name.items() if "dataQualityAssertions" in item]
    assert others == ["data/evaluation"]


def test_every_input_has_its_digest_as_version() -> None:
    request = FAILING.request
    written = event(FAILING)
    versions = {item["facets"]["version"]["datasetVersion"] for item in written["inputs"]}
    assert request.artifact is not None
    wanted = {request.artifact.digest, request.policy.digest}
    assert versions == wanted | {item.digest for item in request.datasets}
    (output,) = written["outputs"]
    assert output["facets"]["version"]["datasetVersion"] == FAILING.digest
