"""Which control is met by which reading, in the bill of materials, and by nothing undecided."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator, JsonValidator
from rendering_records import EVERY_RECORD, FAILING, PREDICTIONS_ONLY, inputs_of

from auditor.domain.findings import Outcome
from auditor.domain.policies import AssuranceLevel, FrameworkControl
from auditor.domain.records import AuditRecord
from auditor.reports.report_formats import render_all

every_record = pytest.mark.parametrize("record", EVERY_RECORD.values(), ids=EVERY_RECORD)


def bill(record: AuditRecord) -> Any:  # noqa: ANN401 -- JSON
    return json.loads(render_all(inputs_of(record))["bom.cdx.json"])


def refs(value: Any) -> Iterator[str]:  # noqa: ANN401 -- JSON
    if isinstance(value, dict):
        if "bom-ref" in value:
            yield value["bom-ref"]
        for item in value.values():
            yield from refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from refs(item)


@every_record
@pytest.mark.parametrize("validator", [JsonStrictValidator, JsonValidator])
def test_every_bill_of_materials_follows_the_cyclonedx_schema(
    record: AuditRecord, validator: type[JsonValidator]
) -> None:
    assert validator(SchemaVersion.V1_6).validate_str(json.dumps(bill(record))) is None


def test_the_strict_schema_refuses_a_member_that_it_does_not_know() -> None:
    changed = bill(FAILING)
    changed["declarations"]["claims"][0]["verdict"] = "pass"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(changed)) is not None


@every_record
def test_every_reference_leads_to_one_thing(record: AuditRecord) -> None:
    document = bill(record)
    known = list(refs(document))
    assert len(set(known)) == len(known)
    said = document["declarations"]
    named = [item["assessor"] for item in said["attestations"]]
    for mapped in (item for one in said["attestations"] for item in one["map"]):
        named += [mapped["requirement"], *mapped["claims"], *mapped["counterClaims"]]
    for claim in said["claims"]:
        named += [claim["target"], *claim["evidence"]]
    assert set(named) <= set(known)


@every_record
def test_only_what_was_kept_speaks_for_a_control(record: AuditRecord) -> None:
    kept = {Outcome.PASSED, Outcome.WITHSTOOD}
    for one in bill(record)["declarations"]["attestations"]:
        for mapped in one["map"]:
            for list_, wanted in (("claims", True), ("counterClaims", False)):
                for ref in mapped[list_]:
                    finding = record.findings[int(ref.removeprefix("claim-"))]
                    assert (finding.outcome in kept) == wanted
            assert "score" not in mapped["conformance"]


def test_a_control_leads_over_a_claim_to_the_evidence_of_its_reading() -> None:
    document = bill(FAILING)
    said = document["declarations"]
    (ai_act,) = [one for one in said["attestations"] if one["summary"].endswith("eu-ai-act")]
    (mapped,) = [one for one in ai_act["map"] if one["requirement"].endswith("15%285%29")]
    assert mapped["claims"] == []
    (ref,) = mapped["counterClaims"]
    (claim,) = [one for one in said["claims"] if one["bom-ref"] == ref]
    assert claim["predicate"].startswith("Failed on cpu: ")
    (evidence,) = [one for one in said["evidence"] if one["bom-ref"] in claim["evidence"]]
    (reading,) = [FAILING.readings[index] for index in FAILING.findings[1].readings]
    assert evidence["propertyName"].startswith("evasion.linf/robust_accuracy (eps = 0.1")
    assert evidence["description"].startswith("0.41, between 0.365 and 0.45")
    names = [item["name"] for item in evidence["data"]]
    assert names == list(getattr(reading, "evidence", ()))


def test_a_standard_pins_its_catalogue_and_names_what_the_catalogue_does_not_know() -> None:
    own = replace(
        FAILING.findings[0],
        controls=(FrameworkControl("house", "H-1"), FrameworkControl("iso-42001", "Z")),
    )
    document = bill(replace(FAILING, findings=(own, *FAILING.findings[1:])))
    standards = {item["bom-ref"]: item for item in document["definitions"]["standards"]}
    assert standards["standard:house"]["requirements"] == [
        {"bom-ref": "control:house:H-1", "identifier": "H-1"}
    ]
    iso = {item["identifier"]: item for item in standards["standard:iso-42001"]["requirements"]}
    assert "title" not in iso["Z"]
    assert iso["A.10.3"]["title"]
    assert standards["standard:eu-ai-act"]["version"]


def test_nobody_is_said_to_be_a_third_party_who_audits_alone() -> None:
    (alone,) = bill(FAILING)["declarations"]["assessors"]
    assert alone["thirdParty"] is False
    (service,) = bill(replace(FAILING, assurance=AssuranceLevel.A1))["declarations"]["assessors"]
    assert "thirdParty" not in service


def test_an_audit_of_predictions_alone_still_says_what_it_claims() -> None:
    assert bill(PREDICTIONS_ONLY)["declarations"]["claims"]
