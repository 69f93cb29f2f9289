import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import rendering_records as records
from hypothesis import given
from hypothesis import strategies as st
from prov.model import ProvDocument
from rendering_records import EVERY_RECORD, FAILING, HOSTILE, PASSING, SILENT, inputs_of

from auditor.domain.findings import Outcome, Verdict
from auditor.domain.policies import RuleEffect
from auditor.domain.provenance import build_provenance
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.reports.formats.attestations import SupportingFiles, build_vsa_statement
from auditor.reports.formats.junit import render_junit
from auditor.reports.formats.markdown import MOST_FINDINGS, escape_markdown, render_markdown
from auditor.reports.report_formats import render_all
from auditor.reports.waiver_text import list_exceptions

every_record = pytest.mark.parametrize("record", EVERY_RECORD.values(), ids=EVERY_RECORD)


def read(record: AuditRecord, name: str) -> Any:  # noqa: ANN401 -- JSON
    return json.loads(render_all(inputs_of(record))[name])


def suites(record: AuditRecord) -> ET.Element:
    return ET.fromstring(render_junit(record))  # noqa: S314 -- our own


@every_record
def test_the_same_record_gives_the_same_bytes(record: AuditRecord) -> None:
    assert render_all(inputs_of(record)) == render_all(inputs_of(record))


@every_record
def test_every_finding_is_a_sarif_result_with_a_place_and_a_fingerprint(
    record: AuditRecord,
) -> None:
    (run,) = read(record, "results.sarif")["runs"]
    assert len(run["results"]) == max(1, len(record.findings))
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place == {"artifactLocation": {"uri": "audit.yaml"}, "region": {"startLine": 1}}
        assert (result["kind"] == "fail") == (result["level"] != "none")
    prints = [json.dumps(result["partialFingerprints"]) for result in run["results"]]
    assert len(set(prints)) == len(prints)


def test_an_undecided_required_rule_is_an_error_as_a_broken_one_is() -> None:
    (run,) = read(FAILING, "results.sarif")["runs"]
    found = {result["ruleId"]: result for result in run["results"]}
    levels = {rule: (item["kind"], item["level"]) for rule, item in found.items()}
    assert levels["robust-linf"] == levels["fair-selection"] == ("fail", "error")
    assert levels["calibrated"] == ("fail", "warning")
    assert levels["accurate"] == ("pass", "none")
    assert levels["private"] == ("notApplicable", "none")


def test_a_waived_rule_is_suppressed_with_its_reason_and_withstood_is_no_pass() -> None:
    (run,) = read(PASSING, "results.sarif")["runs"]
    found = {result["ruleId"]: result for result in run["results"]}
    assert found["fair-selection"]["suppressions"][0]["justification"].startswith("Waived by W-3")
    assert found["robust-linf"]["kind"] == "informational"


def test_sarif_rules_carry_severity_and_controls() -> None:
    (run,) = read(FAILING, "results.sarif")["runs"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert rules["signed"]["properties"]["security-severity"] == "9.5"
    assert "eu-ai-act:15(5)" in rules["robust-linf"]["properties"]["tags"]
    assert run["automationDetails"]["id"].startswith("auditor/digits-cnn/")


def test_an_audit_that_judged_nothing_looks_green_nowhere() -> None:
    (run,) = read(SILENT, "results.sarif")["runs"]
    assert [result["level"] for result in run["results"]] == ["error"]
    assert suites(SILENT).get("errors") == "1"


@every_record
def test_junit_counts_what_it_holds(record: AuditRecord) -> None:
    root = suites(record)
    cases = list(root.iter("testcase"))
    for name, tag in (("failures", "failure"), ("errors", "error")):
        assert root.get(name) == str(sum(case.find(tag) is not None for case in cases))
    assert root.get("tests") == str(len(cases))
    skipped = sum(int(suite.get("skipped", "0")) for suite in root)
    assert skipped == sum(case.find("skipped") is not None for case in cases)
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(set(names)) == len(names)
    for case in cases:
        assert len(case) == 1
        assert {"name", "classname", "time"} == set(case.attrib)


def test_slices_of_one_rule_are_cases_of_their_own() -> None:
    some = FAILING.findings[1]
    parts = tuple(replace(some, slice={"sex": sex}) for sex in "FM")
    names = [
        case.get("name", "") for case in suites(replace(FAILING, findings=parts)).iter("testcase")
    ]
    assert [name.partition(":")[0] for name in names] == [
        "robust-linf[sex=F]",
        "robust-linf[sex=M]",
    ]


def test_a_record_without_a_target_is_no_green_suite() -> None:
    root = suites(replace(SILENT, request=replace(SILENT.request, targets=())))
    assert root.get("errors") == "1"


def test_what_failed_on_a_target_that_nobody_asked_for_is_shown() -> None:
    failed = replace(FAILING.findings[1], target="elsewhere")
    assert suites(replace(FAILING, findings=(failed,))).get("failures") == "1"


@given(st.dictionaries(st.sampled_from(range(7)), st.sampled_from(Outcome)))
def test_junit_is_green_only_when_the_verdict_is_pass(outcomes: dict[int, Outcome]) -> None:
    findings = tuple(
        replace(item, outcome=outcomes[place])
        for place, item in enumerate(FAILING.findings)
        if place in outcomes
    )
    record = replace(FAILING, findings=findings)
    root = suites(record)
    green = root.get("failures") == root.get("errors") == "0"
    assert green == (record.verdict is Verdict.PASS)


@given(st.text())
def test_any_text_makes_a_junit_file_that_can_be_read(text: str) -> None:
    findings = tuple(replace(item, message=text, title=text) for item in FAILING.findings)
    suites(replace(FAILING, findings=findings))


@every_record
def test_only_a_pass_is_attested_as_passed(record: AuditRecord) -> None:
    statement = json.loads(json.dumps(build_vsa_statement(record, records.POLICY)))
    predicate = statement["predicate"]
    passed = record.verdict is Verdict.PASS
    assert predicate["verificationResult"] == ("PASSED" if passed else "FAILED")
    exception = ["AUDITOR_PASS_BY_EXCEPTION"] if list_exceptions(record) else []
    levels = ["AUDITOR_ASSURANCE_A0", *exception]
    assert predicate["verifiedLevels"] == (levels if passed else ["FAILED"])
    assert predicate["urn:auditor:ext:verdict"] == record.verdict.value
    assert predicate["inputAttestations"][0]["digest"]["sha256"] in record.digest
    assert all(len(item["digest"]["sha256"]) == 64 for item in statement["subject"])


def test_the_statement_speaks_of_each_file_the_model_as_a_whole_and_its_signature() -> None:
    payload = "sha256:" + "ab" * 32
    statement = build_vsa_statement(FAILING, records.POLICY, SupportingFiles(payload=payload))
    subjects = json.loads(json.dumps(statement))["subject"]
    assert [item["name"] for item in subjects] == [
        "model.onnx",
        "digits-cnn@1.2.0",
        "model.sig#payload",
    ]
    assert subjects[0]["digest"]["sha256"] == records.MODEL_FILE.sha256


@every_record
def test_lineage_survives_a_foreign_reader(record: AuditRecord) -> None:
    written = render_all(inputs_of(record))["prov.json"].decode()
    document = ProvDocument.deserialize(content=written, format="json")
    again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document
    edges = [item for item in document.get_records() if item.is_relation()]
    assert len(edges) == len(set(build_provenance(record).edges))
    assert len(edges) > len(set(record.lineage))
    kinds = [set(json.loads(written).get(kind, ())) for kind in ("entity", "activity", "agent")]
    for first, second in pairwise([*kinds, kinds[0]]):
        assert not first & second


def test_every_edge_of_the_record_is_in_the_lineage() -> None:
    document = read(FAILING, "prov.json")
    relations = {name: len(items) for name, items in document.items() if name.startswith("was")}
    assert relations == {"wasGeneratedBy": 1, "wasAttributedTo": 1, "wasDerivedFrom": 1}
    assert len(document["used"]) == 2
    named = document["entity"][FAILING.digest]
    assert (named["auditor:kind"], named["auditor:verdict"]) == ("record", "fail")


@every_record
def test_every_figure_is_in_the_model_card(record: AuditRecord) -> None:
    document = read(record, "bom.cdx.json")
    card = document["metadata"]["component"]["modelCard"]
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    assert len(metrics) == sum(hasattr(item, "value") for item in record.readings)
    assert document["serialNumber"].startswith("urn:uuid:")


def test_the_model_card_gives_interval_bound_and_slice() -> None:
    document = read(FAILING, "bom.cdx.json")
    card = document["metadata"]["component"]["modelCard"]
    first = card["quantitativeAnalysis"]["performanceMetrics"][0]
    assert first["type"].startswith("evasion.linf/robust_accuracy (eps = 0.1")
    assert first["type"].endswith("at most")
    assert first["value"] == "0.41"
    assert float(first["confidenceInterval"]["upperBound"]) == pytest.approx(0.456)
    assert first["slice"] == "target cpu"


@pytest.mark.parametrize("name", ["failing", "open"])
def test_the_summary_reads_well(name: str, golden: Callable[[str, str], None]) -> None:
    record = EVERY_RECORD[name]
    written = render_markdown(inputs_of(record))
    golden(f"summary-{name}.md", written.replace(record.digest, "RECORD-DIGEST"))


@given(st.text())
def test_escaped_text_is_one_line_without_live_marks(text: str) -> None:
    written = escape_markdown(text)
    assert len(written.splitlines()) <= 1
    for mark in "*_[]|<>`":
        assert written.count(mark) == written.count("\\" + mark)
    assert not written.startswith(("#", "-", "+", "="))


def test_the_summary_of_a_hostile_record_keeps_its_table() -> None:
    written = render_markdown(inputs_of(records.HOSTILE_RECORD))
    rows = [line for line in written.splitlines() if line.startswith("| **")]
    assert len(rows) == 2
    assert all(row.replace("\\|", "").count("|") == 7 for row in rows)
    assert HOSTILE not in written


def test_advisory_rules_never_turn_a_build_red() -> None:
    advisory = tuple(
        replace(item, effect=RuleEffect.WARN, outcome=Outcome.FAILED)
        for item in FAILING.findings[1:]
    )
    root = suites(replace(FAILING, findings=(FAILING.findings[0], *advisory)))
    assert (root.get("failures"), root.get("errors")) == ("0", "0")


def test_findings_of_one_rule_at_several_places_are_told_apart_everywhere() -> None:
    first = FAILING.findings[0]
    places = ({"sex": "F"}, {"sex": "M", "eps": 0.1}, {})
    record = replace(FAILING, findings=tuple(replace(first, slice=place) for place in places))
    assert read_record(record.canonical()) == record
    (run,) = read(record, "results.sarif")["runs"]
    assert len({item["partialFingerprints"]["auditorFinding/v1"] for item in run["results"]}) == 3
    assert len(run["tool"]["driver"]["rules"]) == 1
    names = {case.get("name", "").partition(":")[0] for case in suites(record).iter("testcase")}
    rule = first.rule
    assert names == {f"{rule}[sex=F]", f"{rule}[eps=0.1,sex=M]", rule}


def test_a_summary_that_is_cut_says_how_many_findings_it_leaves_out() -> None:
    many = tuple(
        replace(records.FINDINGS[1], rule=f"rule-{place}") for place in range(MOST_FINDINGS + 7)
    )
    written = render_markdown(inputs_of(replace(records.FAILING, findings=many)))
    assert "7 more findings are in `record.json`." in written
    assert "more findings" not in render_markdown(inputs_of(records.FAILING))
