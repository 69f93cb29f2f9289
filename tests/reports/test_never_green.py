"""No output for a CI system is green where nothing was decided."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import FAILING, SILENT, inputs_of

from auditor.domain.findings import Outcome, Verdict
from auditor.domain.policies import RuleEffect
from auditor.domain.readings import Gap
from auditor.domain.records import AuditRecord
from auditor.reports.formats.ci import MARKS, CommentContext, render_comment
from auditor.reports.formats.github import build_annotations, format_workflow_commands
from auditor.reports.formats.gitlab import render_code_quality
from auditor.reports.formats.junit import render_junit
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.formats.sarif import render_code_scanning, render_sarif
from auditor.reports.report_formats import render_all

GAP = next(place for place, item in enumerate(FAILING.readings) if isinstance(item, Gap))


def everywhere(outcome: Outcome, **more: object) -> AuditRecord:
    found = tuple(replace(item, outcome=outcome, **more) for item in FAILING.findings)  # type: ignore[arg-type]
    return replace(FAILING, findings=found)


UNDECIDED = {
    "no finding at all": SILENT,
    "no target at all": replace(SILENT, request=replace(SILENT.request, targets=())),
    "nothing applies": everywhere(Outcome.NOT_APPLICABLE),
    "a gap everywhere": everywhere(Outcome.UNKNOWN, readings=(GAP,)),
    "only advice": everywhere(Outcome.PASSED, effect=RuleEffect.WARN),
    "only information": everywhere(Outcome.PASSED, effect=RuleEffect.INFO),
}


def errors_of(log: object) -> bool:
    (run,) = json.loads(json.dumps(log))["runs"]
    return any((item["kind"], item["level"]) == ("fail", "error") for item in run["results"])


def broken(record: AuditRecord) -> bool:
    root = ET.fromstring(render_junit(record))  # noqa: S314 -- our own
    return int(root.get("failures", "0")) + int(root.get("errors", "0")) > 0


def issues(record: AuditRecord) -> bool:
    found = json.loads(json.dumps(render_code_quality(inputs_of(record))))
    return any(item["severity"] in {"blocker", "critical", "major"} for item in found)


RED: Mapping[str, Callable[[AuditRecord], bool]] = {
    "results.sarif": lambda record: errors_of(render_sarif(inputs_of(record))),
    "code-scanning.sarif": lambda record: errors_of(render_code_scanning(inputs_of(record))),
    "junit.xml": broken,
    "code-quality.json": issues,
    "summary.md": lambda record: (
        re.match("# Approved (for deployment|by exception)", render_markdown(inputs_of(record)))
        is None
    ),
    "annotations": lambda record: any(
        line.startswith("::error ")
        for line in format_workflow_commands(build_annotations(inputs_of(record)))
    ),
    "comment": lambda record: (
        re.search(
            f"## {MARKS[Verdict.PASS]}|approved by exception",
            render_comment(inputs_of(record), CommentContext()),
        )
        is None
    ),
}


@pytest.mark.parametrize("output", RED)
@pytest.mark.parametrize("record", UNDECIDED.values(), ids=UNDECIDED)
def test_an_audit_that_decided_nothing_is_red(record: AuditRecord, output: str) -> None:
    assert record.verdict is Verdict.INCONCLUSIVE
    assert RED[output](record)


@pytest.mark.parametrize("output", RED)
@given(outcomes=st.dictionaries(st.sampled_from(range(7)), st.sampled_from(Outcome)))
def test_an_output_is_red_exactly_where_the_verdict_is_no_pass(
    output: str, outcomes: dict[int, Outcome]
) -> None:
    weighty = FAILING.findings[1].severity
    findings = tuple(
        replace(item, outcome=outcomes[place], severity=weighty)
        for place, item in enumerate(FAILING.findings)
        if place in outcomes
    )
    record = replace(FAILING, findings=findings)
    waived = output == "results.sarif" and Outcome.WAIVED in outcomes.values()
    if not waived:  # a waived finding stays an error there, marked as suppressed
        assert RED[output](record) == (record.verdict is not Verdict.PASS)


def test_a_code_quality_report_has_what_gitlab_reads() -> None:
    found = json.loads(render_all(inputs_of(FAILING))["code-quality.json"])
    assert [item["severity"] for item in found] == ["critical", "critical", "minor"]
    for item in found:
        assert set(item) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert item["location"] == {"path": "audit.yaml", "lines": {"begin": 1}}
    assert len({item["fingerprint"] for item in found}) == len(found)
