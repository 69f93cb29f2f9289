"""Workflow commands: one line each, whatever the words are, and no more than are shown."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import FAILING, HOSTILE_RECORD, PASSING, POLICY, inputs_of

from auditor.domain.policies import EnforcementMode
from auditor.domain.records import AuditRecord
from auditor.domain.source_locations import SourceFile, SourceLine, SourceLocations
from auditor.reports.finding_locations import SourceLocation
from auditor.reports.formats.github import (
    AnnotationLevel,
    CiAnnotation,
    build_annotations,
    format_workflow_commands,
)

PLACES = SourceLocations(
    SourceFile("audit.yaml", SourceLine(1, 1)),
    SourceFile("ours.yaml", SourceLine(1, 1), {"robust-linf": SourceLine(17, 3)}),
)


def lines(record: AuditRecord) -> list[str]:
    return list(format_workflow_commands(build_annotations(inputs_of(record))))


def test_what_is_not_kept_is_annotated_at_its_line_as_bad_as_it_is() -> None:
    found = lines(replace(FAILING, places=PLACES))
    heads = [line.partition(",title=")[0] for line in found]
    assert heads == [
        "::error file=ours.yaml,line=17",
        "::error file=ours.yaml,line=1",
        "::warning file=ours.yaml,line=1",
    ]
    assert found[0].endswith("::Failed on cpu: Robust accuracy breaks at least 0.5.")


def test_what_is_kept_is_not_annotated() -> None:
    assert lines(PASSING) == []


def unescaped(text: str) -> str:
    for code, sign in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, sign)
    return text


@given(st.text(max_size=150), st.text(max_size=150), st.text(max_size=50))
def test_a_command_is_one_line_that_a_runner_reads_back(
    title: str, message: str, path: str
) -> None:
    line = CiAnnotation(AnnotationLevel.ERROR, title, message, SourceLocation(f"a{path}")).command()
    assert "\n" not in line
    assert "\r" not in line
    head, _, said = line.removeprefix("::error ").partition("::")
    parts = dict(part.split("=", 1) for part in head.split(","))
    assert unescaped(parts["file"]) == f"a{path}"
    assert set(parts) == {"file", "line", "title"}
    assert "::" not in head
    shown = (
        CiAnnotation(AnnotationLevel.ERROR, "", message).command().partition("::error title=::")[2]
    )
    assert said == shown


def test_what_separates_parts_of_a_command_is_escaped() -> None:
    found = CiAnnotation(
        AnnotationLevel.ERROR, "a: 5 %,b::c", "50 %: a, b\nc", SourceLocation("d,e:f.yaml")
    )
    assert found.command() == (
        "::error file=d%2Ce%3Af.yaml,line=1,title=a%3A 5 %25%2Cb%3A%3Ac::50 %25: a, b%0Ac"
    )


def test_hostile_words_begin_no_command_of_their_own() -> None:
    for line in lines(HOSTILE_RECORD):
        assert line.startswith(("::error ", "::warning ", "::notice "))


@pytest.mark.parametrize("count", [10, 11, 400])
def test_no_more_of_a_kind_are_written_than_a_step_shows(count: int) -> None:
    some = FAILING.findings[1]
    crowd = tuple(replace(some, target=f"t{number}") for number in range(count))
    found = lines(replace(FAILING, findings=crowd))
    assert len(found) == 10
    assert (f"and {count - 9} more" in found[-1]) == (count > 10)


@pytest.mark.parametrize(
    ("mode", "kind"), [(EnforcementMode.WARN, "warning"), (EnforcementMode.OBSERVE, "notice")]
)
def test_a_policy_that_stops_nothing_raises_no_error(mode: EnforcementMode, kind: str) -> None:
    found = build_annotations(inputs_of(FAILING, policy=replace(POLICY, mode=mode)))
    assert {item.kind.value for item in found} == {kind}
