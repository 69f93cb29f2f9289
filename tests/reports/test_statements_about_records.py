"""What the statements beside a verdict say: nothing undecided, forced or waived may look passed."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import rendering_records as records
import waiver_papers
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import (
    EVERY_RECORD,
    FAILING,
    FINDINGS,
    OPEN,
    PASSING,
    POLICY,
    SILENT,
    inputs_of,
)

from auditor.domain.artifacts import FileDigest
from auditor.domain.evidence import encode_evidence
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.json import compute_digest
from auditor.domain.policies import RuleEffect
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.targets import CallableSpec
from auditor.domain.waivers import WaiverRef
from auditor.reports.formats.attestations import (
    NOTHING,
    SupportingFiles,
    build_svr_statement,
    build_test_result_statement,
    build_vsa_statement,
    find_first_waiver_end,
    find_supporting_files,
)
from auditor.reports.report_formats import render_all
from auditor.trust.signatures.decisions import open_waiver, sign_waiver
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.model_signing import ModelFileDigests, sign_model

every_record = pytest.mark.parametrize("record", EVERY_RECORD.values(), ids=EVERY_RECORD)


def plain(statement: object) -> Any:  # noqa: ANN401 -- JSON
    return json.loads(json.dumps(statement))


def properties(record: AuditRecord) -> list[str]:
    found: list[str] = plain(build_svr_statement(record, POLICY))["predicate"]["properties"]
    return found


def results(record: AuditRecord) -> dict[str, Any]:
    found: dict[str, Any] = plain(build_test_result_statement(record, POLICY))["predicate"]
    return found


def with_outcomes(outcomes: Iterable[tuple[Outcome, RuleEffect]]) -> AuditRecord:
    """A record with one rule for each outcome, on one target."""
    base = FAILING.findings[0]
    found: list[Finding] = [
        replace(base, rule=f"rule-{place}", outcome=outcome, effect=effect)
        for place, (outcome, effect) in enumerate(outcomes)
    ]
    return replace(FAILING, findings=tuple(found))


outcomes = st.lists(st.tuples(st.sampled_from(Outcome), st.sampled_from(RuleEffect)), max_size=6)


@given(outcomes)
def test_a_result_is_passed_or_warned_only_where_the_verdict_is_pass(
    seen: list[tuple[Outcome, RuleEffect]],
) -> None:
    record = with_outcomes(seen)
    said = results(record)
    passes = record.verdict is Verdict.PASS
    assert (said["result"] in {"PASSED", "WARNED"}) == passes
    # Readers look at the list alone, too.
    assert (said["failedTests"] == []) == passes
    assert (said["result"] == "PASSED") == (passes and not said["warnedTests"])


@given(outcomes)
def test_every_rule_that_was_asked_is_in_one_list(seen: list[tuple[Outcome, RuleEffect]]) -> None:
    said = results(with_outcomes(seen))
    lists = [said["passedTests"], said["warnedTests"], said["failedTests"]]
    listed = [name for names in lists for name in names if name != "verdict"]
    asked = [
        f"rule-{place} on cpu"
        for place, (outcome, _) in enumerate(seen)
        if outcome is not Outcome.NOT_APPLICABLE
    ]
    assert sorted(listed) == asked
    kept = {Outcome.PASSED, Outcome.WITHSTOOD}
    assert len(said["passedTests"]) == sum(outcome in kept for outcome, _ in seen)


@given(outcomes)
def test_the_verdict_is_a_property_on_a_pass_alone(seen: list[tuple[Outcome, RuleEffect]]) -> None:
    record = with_outcomes(seen)
    found = properties(record)
    assert ("AUDITOR_VERDICT_PASS" in found) == (record.verdict is Verdict.PASS)
    passed = [place for place, (outcome, _) in enumerate(seen) if outcome is Outcome.PASSED]
    rules = [item for item in found if item.startswith("AUDITOR_RULE_PASSED:")]
    assert rules == [f"AUDITOR_RULE_PASSED:rule-{place}" for place in passed]


def test_a_rule_that_passed_on_one_of_two_targets_is_no_property() -> None:
    one = replace(FAILING.findings[0], outcome=Outcome.PASSED)
    other = replace(one, target="cpu-4", outcome=Outcome.UNKNOWN)
    assert properties(replace(FAILING, findings=(one, other))) == []
    assert properties(replace(FAILING, findings=(one, replace(other, outcome=Outcome.PASSED))))


def test_how_long_a_pass_is_good_for_is_a_property() -> None:
    policy = replace(POLICY, valid_for_days=90)
    found = plain(build_svr_statement(PASSING, policy))["predicate"]["properties"]
    assert "AUDITOR_VALID_FOR_90_DAYS" in found
    assert "AUDITOR_ASSURANCE_A0" in found
    failing = plain(build_svr_statement(FAILING, policy))["predicate"]["properties"]
    assert "AUDITOR_VALID_FOR_90_DAYS" not in failing


def test_what_withstood_and_what_is_not_decided_are_told_apart() -> None:
    said = results(PASSING)
    assert said["result"] == "WARNED"  # a waiver is no clean pass
    assert said["warnedTests"] == ["fair-selection on cpu"]
    assert said["urn:auditor:ext:withstood-tests"] == ["robust-linf on cpu"]
    assert results(OPEN)["urn:auditor:ext:undecided-tests"] == [
        "fair-selection on cpu",
        "private on cpu",
    ]
    assert results(SILENT)["failedTests"] == ["verdict"]


@every_record
@pytest.mark.parametrize(
    "write", [build_vsa_statement, build_svr_statement, build_test_result_statement]
)
def test_a_statement_names_its_record_its_policy_and_the_same_subjects(
    record: AuditRecord,
    write: Any,  # noqa: ANN401 -- any of the three
) -> None:
    statement = plain(write(record, POLICY))
    said = json.dumps(statement["predicate"])
    assert record.digest.removeprefix("sha256:") in said
    assert record.request.policy.digest.removeprefix("sha256:") in said
    assert statement["predicate"]["urn:auditor:ext:verdict"] == record.verdict.value
    assert statement["subject"] == plain(build_vsa_statement(record, POLICY))["subject"]


def signed_record(*, holds: bool) -> tuple[AuditRecord, dict[str, bytes], bytes]:
    """A record whose model is signed and came with a document, with its evidence."""
    signer = KeySigner(ec.derive_private_key(77, ec.SECP256R1()))
    bundle = sign_model(ModelFileDigests.of((records.MODEL_FILE,)), signer, name="model.onnx")
    kept = encode_evidence({"bundle": {"text": bundle.decode()}, "key": None, "files": []})
    looked = {"provenance.signature": {"signature": kept.digest}, "provenance.lineage": {}}
    seen = tuple(
        CheckObservation("cpu", check, 1, {}, 1, evidence) for check, evidence in looked.items()
    )
    readings = tuple(
        replace(item, value=holds) if item.check == "provenance.signature" else item
        for item in FAILING.readings
    )
    request = replace(FAILING.request, documents=(FileDigest("bom cdx.json", 9, "cd" * 32),))
    record = replace(FAILING, observations=seen, readings=readings, request=request)
    return record, {kept.digest: kept.raw}, bundle


def test_the_verdict_names_the_signature_and_the_documents_that_were_read() -> None:
    record, blobs, bundle = signed_record(holds=True)
    beside = find_supporting_files(record, blobs.__getitem__)
    inputs = plain(build_vsa_statement(record, POLICY, beside))["predicate"]["inputAttestations"]
    assert inputs[1:] == [
        {
            "uri": "urn:auditor:model-signature",
            "digest": {"sha256": compute_digest(bundle).removeprefix("sha256:")},
        },
        {"uri": "urn:auditor:document:bom%20cdx.json", "digest": {"sha256": "cd" * 32}},
    ]


def test_only_a_signature_that_holds_becomes_a_subject() -> None:
    for holds in (True, False):
        record, blobs, _ = signed_record(holds=holds)
        beside = find_supporting_files(record, blobs.__getitem__)
        named = [
            item["name"] for item in plain(build_vsa_statement(record, POLICY, beside))["subject"]
        ]
        assert ("model.sig#payload" in named) == holds
        assert beside.signature is not None


def test_what_no_check_looked_at_is_no_input() -> None:
    record, _, _ = signed_record(holds=True)
    unseen = replace(record, observations=())
    assert find_supporting_files(unseen, {}.__getitem__) == NOTHING == SupportingFiles()


def test_statements_about_a_pass_by_exception_end_with_its_waiver_and_name_it() -> None:
    signed = sign_waiver(
        waiver_papers.read(
            rule="robust-linf",
            model=PASSING.request.name,
            artifact=PASSING.request.artifact.digest if PASSING.request.artifact else None,
            policy=PASSING.request.policy.name,
            created="2026-01-01T00:00:00Z",
            expires="2026-06-01",
        ),
        waiver_papers.new_signer(),
    )
    found = open_waiver(signed, "w.json")
    ref = WaiverRef(compute_digest(signed), found.digest, compute_digest(b"key"), "w.json")
    waived = replace(FINDINGS[1], outcome=Outcome.WAIVED, waiver=found.digest)
    record = replace(
        PASSING,
        request=replace(PASSING.request, waivers=(ref,)),
        findings=(waived,),
        finished="2026-05-10T12:00:00Z",
    )
    inputs = replace(inputs_of(record), blob=lambda _: signed)
    policy = replace(inputs.policy, valid_for_days=90)
    beside = replace(NOTHING, expires=find_first_waiver_end(record, inputs.blob))
    vsa = build_vsa_statement(record, policy, beside)["predicate"]
    assert isinstance(vsa, dict)
    assert vsa["urn:auditor:ext:valid-for-days"] == 21
    assert vsa["urn:auditor:ext:waivers-end"] == "2026-06-01T00:00:00Z"
    assert "AUDITOR_PASS_BY_EXCEPTION" in vsa["verifiedLevels"]
    svr = build_svr_statement(record, policy, beside)["predicate"]
    assert isinstance(svr, dict)
    assert {"AUDITOR_VALID_FOR_21_DAYS", "AUDITOR_PASS_BY_EXCEPTION",
            "AUDITOR_RULE_WAIVED:robust-linf"} <= {*svr["properties"]}  # fmt: skip
    short = build_svr_statement(record, replace(policy, valid_for_days=7), beside)["predicate"]
    assert isinstance(short, dict)
    assert "AUDITOR_VALID_FOR_7_DAYS" in short["properties"]
    files = render_all(inputs)
    for name in ("results.sarif", "junit.xml", "bom.cdx.json"):
        assert b"1 required rule" in files[name] or b"1 of 1 required rule" in files[name], name


def test_a_pass_of_predictions_or_of_known_figures_is_marked_in_every_statement() -> None:
    request = replace(PASSING.request, artifact=None)
    alone = replace(PASSING, request=request, derived_from="sha256:" + "7" * 64)
    marks = {"AUDITOR_PREDICTIONS_ONLY", "AUDITOR_JUDGED_AGAIN"}
    for record, marked in ((alone, marks), (PASSING, set[str]())):
        inputs = inputs_of(record)
        vsa = json.loads(json.dumps(build_vsa_statement(record, inputs.policy)))["predicate"]
        svr = json.loads(json.dumps(build_svr_statement(record, inputs.policy)))["predicate"]
        assert marks & {*vsa["verifiedLevels"]} == marks & {*svr["properties"]} == marked
        assert vsa["resourceUri"].startswith(
            "urn:auditor:predictions:" if marked else "pkg:generic/"
        )
    assert vsa.get("urn:auditor:ext:judged-again-from") is None
    tests = json.dumps(build_test_result_statement(alone, inputs_of(alone).policy))
    assert " on recorded predictions" in tests
    assert " on cpu" not in tests
    files = render_all(inputs_of(alone))
    for name in ("results.sarif", "junit.xml"):
        assert b"on recorded predictions" in files[name], name
        assert b"assed on cpu" not in files[name], name
    assert b'"predictions"' in files["bom.cdx.json"]


def test_a_pass_of_a_served_model_without_a_file_speaks_of_no_package() -> None:
    answers = CallableSpec("builtins.max")
    served = tuple(replace(it, callable=answers) for it in PASSING.request.targets)
    record = replace(PASSING, request=replace(PASSING.request, artifact=None, targets=served))
    vsa = json.loads(json.dumps(build_vsa_statement(record, POLICY)))["predicate"]
    assert vsa["resourceUri"].startswith("urn:auditor:endpoint:")
    assert "AUDITOR_PREDICTIONS_ONLY" not in vsa["verifiedLevels"]
    model = json.loads(render_all(inputs_of(record))["bom.cdx.json"])["metadata"]["component"]
    told = {it["name"].rpartition(":")[2]: it["value"] for it in model["properties"]}
    assert told["scope"] == "endpoint"
