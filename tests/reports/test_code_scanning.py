"""What a code host makes of the findings: real lines, stable identities, and its own limits."""

import gzip
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from rendering_records import FAILING, OPEN, PASSING, POLICY, SILENT, TWO_TARGETS, inputs_of

from auditor.domain.findings import Outcome
from auditor.domain.json import encode_canonical
from auditor.domain.policies import EnforcementMode, FrameworkControl, Policy
from auditor.domain.records import AuditRecord
from auditor.domain.source_locations import SourceFile, SourceLine, SourceLocations
from auditor.reports.formats.sarif import (
    MOST_ALERTS,
    MOST_RESULTS,
    render_code_scanning,
    render_sarif,
)
from auditor.reports.report_formats import render_all

AUDIT_FILE = SourceFile(
    "models/audit.yaml",
    SourceLine(1, 5),
    {
        "model.artifact": SourceLine(3, 40),
        "policy": SourceLine(9, 12),
        "data.evaluation": SourceLine(6, 30),
        "targets": SourceLine(5, 14),
    },
)
RULES = SourceFile("policies/ours.yaml", SourceLine(2, 9), {"robust-linf": SourceLine(17, 21)})
LARGEST = 10_000_000
"""Bytes that an upload may have, compressed."""


def run(record: AuditRecord, name: str = "code-scanning.sarif", policy: Policy = POLICY) -> Any:  # noqa: ANN401 -- JSON
    (found,) = json.loads(render_all(inputs_of(record, policy=policy))[name])["runs"]
    return found


def place(record: AuditRecord, rule: str, policy: SourceFile | None) -> tuple[str, dict[str, int]]:
    placed = replace(record, places=SourceLocations(AUDIT_FILE, policy))
    (result,) = [item for item in run(placed)["results"] if item["ruleId"] == rule]
    physical = result["locations"][0]["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical["region"]


def test_a_finding_stands_at_its_rule_where_the_policy_is_in_the_repository() -> None:
    assert place(FAILING, "robust-linf", RULES) == (
        "policies/ours.yaml",
        {"startLine": 17, "startColumn": 1, "endLine": 17, "endColumn": 22},
    )


def test_a_finding_of_a_pack_stands_where_the_audit_file_names_the_pack() -> None:
    uri, region = place(FAILING, "robust-linf", None)
    assert (uri, region["startLine"]) == ("models/audit.yaml", 9)


def test_a_result_also_points_at_what_it_is_about() -> None:
    found = run(replace(FAILING, places=SourceLocations(AUDIT_FILE, RULES)))
    about = {item["ruleId"]: item["relatedLocations"][0] for item in found["results"]}
    lines = {rule: item["physicalLocation"]["region"]["startLine"] for rule, item in about.items()}
    assert lines["robust-linf"] == 3
    assert lines["fair-selection"] == 6


def test_an_address_is_a_relative_reference_whatever_the_file_is_called() -> None:
    odd = replace(RULES, path="a:b/ä c.yaml")
    assert place(FAILING, "robust-linf", odd)[0] == "a%3Ab/%C3%A4%20c.yaml"


@pytest.mark.parametrize("record", [FAILING, PASSING, OPEN, TWO_TARGETS])
def test_only_what_is_not_kept_becomes_an_alert(record: AuditRecord) -> None:
    bad = {Outcome.FAILED, Outcome.UNKNOWN}
    expected = [item.rule for item in record.findings if item.outcome in bad]
    results = run(record)["results"]
    assert sorted(item["ruleId"] for item in results) == sorted(expected)
    assert all(item["kind"] == "fail" and "suppressions" not in item for item in results)


def test_a_silent_audit_is_an_alert() -> None:
    (result,) = run(SILENT)["results"]
    assert result["level"] == "error"


def test_an_identity_stays_in_the_next_run_and_with_another_outcome() -> None:
    later = replace(
        FAILING,
        id="aud-ffffffffffffffffffffffff",
        finished="2026-12-24T16:00:12Z",
        findings=tuple(replace(item, message="other words") for item in FAILING.findings),
        places=SourceLocations(AUDIT_FILE, RULES),
    )
    prints = [
        {item["ruleId"]: item["partialFingerprints"] for item in run(one)["results"]}
        for one in (FAILING, later)
    ]
    assert prints[0] == prints[1]


def test_targets_and_slices_of_one_rule_are_told_apart() -> None:
    some = FAILING.findings[1]
    places = [
        replace(some, target=target, slice=slice_)
        for target in ("cpu", "gpu")
        for slice_ in ({}, {"sex": "F"}, {"sex": "M"})
    ]
    results = run(replace(FAILING, findings=tuple(places)))["results"]
    hashes = {item["partialFingerprints"]["primaryLocationLineHash"] for item in results}
    assert len(hashes) == len(places)
    assert any("gpu[sex=F]" in item["message"]["text"] for item in results)


def test_neither_another_model_nor_another_policy_closes_these_alerts() -> None:
    def category(record: AuditRecord) -> str:
        return run(record)["automationDetails"]["id"].rpartition("/")[0]

    request = FAILING.request
    other = replace(FAILING, request=replace(request, name="another"))
    judged = replace(FAILING, request=replace(request, policy=replace(request.policy, name="p")))
    assert category(FAILING) == "auditor/digits-cnn/baseline"
    assert len({category(FAILING), category(other), category(judged)}) == 3


@pytest.mark.parametrize(
    ("mode", "levels"),
    [
        (EnforcementMode.ENFORCE, {"error", "warning"}),
        (EnforcementMode.WARN, {"warning"}),
        (EnforcementMode.OBSERVE, {"note"}),
    ],
)
def test_a_policy_that_stops_nothing_raises_no_error(
    mode: EnforcementMode, levels: set[str]
) -> None:
    found = run(FAILING, policy=replace(POLICY, mode=mode))
    assert {item["level"] for item in found["results"]} == levels
    rules = found["tool"]["driver"]["rules"]
    weighed = ["security-severity" in rule["properties"] for rule in rules]
    assert all(weighed) if mode is EnforcementMode.ENFORCE else not any(weighed)


@pytest.mark.parametrize("name", ["results.sarif", "code-scanning.sarif"])
@pytest.mark.parametrize("record", [FAILING, SILENT])
def test_nothing_that_is_required_is_empty(record: AuditRecord, name: str) -> None:
    found = run(record, name)
    for rule in found["tool"]["driver"]["rules"]:
        for text in ("shortDescription", "fullDescription", "help"):
            assert 0 < len(rule[text]["text"]) <= (4096 if text == "help" else 1024)
        assert rule["help"]["markdown"]
    assert all(item["message"]["text"] for item in found["results"])


def test_a_rule_has_help_in_markdown_and_the_source_of_a_framework_it_cites() -> None:
    rules = {rule["id"]: rule for rule in run(FAILING)["tool"]["driver"]["rules"]}
    assert "**Touches:**" in rules["robust-linf"]["help"]["markdown"]
    assert rules["robust-linf"]["helpUri"].startswith("https://")


def test_no_rule_has_more_tags_than_are_accepted() -> None:
    cited = tuple(FrameworkControl("eu-ai-act", f"15({number})") for number in range(40))
    findings = tuple(replace(item, controls=cited) for item in FAILING.findings)
    for rule in run(replace(FAILING, findings=findings))["tool"]["driver"]["rules"]:
        assert len(rule["properties"]["tags"]) == 20


def test_words_of_a_record_make_no_link() -> None:
    findings = tuple(
        replace(item, message="[see](https://example.org)") for item in FAILING.findings
    )
    for item in run(replace(FAILING, findings=findings))["results"]:
        assert "](" not in item["message"]["text"]


def crowd(count: int) -> AuditRecord:
    dice = random.Random(7)  # noqa: S311 -- no secret
    some = FAILING.findings[1]
    findings = tuple(
        replace(some, target=f"t{number}", message=dice.randbytes(1_500).hex())
        for number in range(count)
    )
    return replace(FAILING, findings=findings)


def test_more_findings_than_are_shown_say_so_and_the_file_is_small_enough() -> None:
    log = render_code_scanning(inputs_of(crowd(MOST_ALERTS + 1)))
    results = json.loads(encode_canonical(log))["runs"][0]["results"]
    assert len(results) == MOST_ALERTS
    assert results[-1]["ruleId"] == "auditor.more"
    assert len(gzip.compress(encode_canonical(log))) < LARGEST


@pytest.mark.slow
def test_the_whole_log_keeps_the_limit_on_results() -> None:
    log = json.loads(encode_canonical(render_sarif(inputs_of(crowd(MOST_RESULTS + 5)))))
    assert len(log["runs"][0]["results"]) == MOST_RESULTS
