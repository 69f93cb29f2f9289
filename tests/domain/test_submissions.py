"""Submissions read back as they were written, and nothing else reads as one."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.json import Json, compute_digest, encode_canonical, parse_json
from auditor.domain.requests import InputFile
from auditor.domain.source_locations import SourceFile, SourceLine, SourceLocations
from auditor.errors import SubmissionError
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.domain.submissions import AuditOrder, Submission, SubmissionEvent

SUBMISSION = Submission(
    id="sub-" + "0a" * 12,
    project="default",
    submitter="key-1",
    submitted="2026-01-01T00:00:00Z",
    order=AuditOrder(
        audit_file=compute_digest(b"audit"),
        source="audit.yaml",
        inputs=(InputFile("model.onnx", FileDigest("model.onnx", 5, "ab" * 32)),),
        policy=compute_digest(b"policy"),
        targets=("cpu", "edge"),
        budget=Budget.SMOKE,
        only=("quality.accuracy",),
        places=SourceLocations(
            SourceFile("ml/audit.yaml", SourceLine(1, 20), {"model": SourceLine(3, 8)})
        ),
    ),
)


def ordering(**changes: object) -> Submission:
    order = replace(SUBMISSION.order, **changes)  # type: ignore[arg-type]  # of real fields
    return replace(SUBMISSION, order=order)


EVENT = SubmissionEvent(
    submission=SUBMISSION.id, number=1, at="2026-01-01T00:00:00Z", kind="note", detail={"a": 1}
)


@pytest.mark.parametrize("value", [SUBMISSION, ordering(budget=None, places=None)])
def test_a_submission_reads_back_as_it_was(value: Submission) -> None:
    assert Submission.from_json(parse_json(encode_canonical(value.to_json()))) == value


def test_an_event_reads_back_as_it_was() -> None:
    assert SubmissionEvent.from_json(parse_json(encode_canonical(EVENT.to_json()))) == EVENT


def test_who_asks_and_when_is_no_part_of_what_is_asked() -> None:
    later = replace(SUBMISSION, id="sub-" + "1b" * 12, submitter="x", submitted="2027-01-01")
    assert later.asked == SUBMISSION.asked
    assert ordering(only=()).asked != SUBMISSION.asked
    assert replace(SUBMISSION, project="other").asked != SUBMISSION.asked


def without(name: str) -> Callable[[dict[str, Json]], Json]:
    return lambda body: {key: value for key, value in body.items() if key != name}


def but(**changes: Json) -> Callable[[dict[str, Json]], Json]:
    return lambda body: {**body, **changes}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda _body: [], "submission is not an object"),
        (without("policy"), "no field 'policy'"),
        (but(polcy="x"), "a field 'polcy' that is unknown"),
        (but(id="sub-1"), "submission.id"),
        (but(audit_file="sha256:AB"), "submission.audit_file"),
        (but(policy=7), "submission.policy"),
        (but(source="a\nb"), "submission.source"),
        (but(targets=[]), "submission.targets"),
        (but(targets=["cpu", "cpu"]), "submission.targets"),
        (but(targets="cpu"), "submission.targets"),
        (but(only=[7]), r"submission.only\[0\]"),
        (but(budget="huge"), "submission.budget"),
        (but(submitted="yesterday"), "submission.submitted"),
        (but(inputs=[{"path": "m", "name": "m", "size": -1, "sha256": "ab" * 32}]), "size"),
        (but(inputs=[{"path": "m", "name": "m", "size": True, "sha256": "ab" * 32}]), "size"),
        (but(inputs=[{"path": "m", "name": "m", "size": 1, "sha256": "ab"}]), "sha256"),
        (but(inputs=[{"path": "m", "name": "m\0", "size": 1, "sha256": "ab" * 32}]), "name"),
        (but(places={"audit_file": {"path": "/etc/passwd"}}), "path"),
    ],
)
def test_what_is_no_submission_is_refused_by_its_place(
    change: Callable[[dict[str, Json]], Json], words: str
) -> None:
    with pytest.raises(SubmissionError, match=words):
        Submission.from_json(change(SUBMISSION.to_json()))


@pytest.mark.parametrize("change", [but(kind="gone"), but(number="1"), but(detail=[]), but(at="x")])
def test_what_is_no_event_is_refused(change: Callable[[dict[str, Json]], Json]) -> None:
    with pytest.raises(SubmissionError, match="event"):
        SubmissionEvent.from_json(change(EVENT.to_json()))


def test_a_role_may_do_all_that_those_before_it_may() -> None:
    may = [[role for role in AccessRole if role.may(least)] for least in AccessRole]
    assert [len(item) for item in may] == [4, 3, 2, 1, 1]
    assert may[3] == [AccessRole.ADMIN]


def test_an_agent_does_what_nobody_else_may_and_nothing_more() -> None:
    assert [role for role in AccessRole if role.may(AccessRole.AGENT)] == [AccessRole.AGENT]
    assert [least for least in AccessRole if AccessRole.AGENT.may(least)] == [AccessRole.AGENT]


def test_a_key_holds_until_it_expires_or_somebody_ends_it() -> None:
    key = ApiKey(
        id="k", project="p", role=AccessRole.VIEWER, name="ci", secret_hash="ab" * 32,
        created="2026-01-01T00:00:00Z", expires="2026-02-01T00:00:00Z",
    )  # fmt: skip
    now, later = "2026-01-15T00:00:00Z", "2026-02-01T00:00:00Z"
    assert key.holds(now)
    assert not key.holds(later)
    assert replace(key, expires=None).holds(later)
    assert not replace(key, ended=now).holds(now)
    assert not replace(key, expires="never").holds(now)
