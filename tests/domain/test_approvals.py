"""When an approval is in force, and what none may be."""

from dataclasses import replace

import pytest

from auditor.domain.approvals import (
    Approval,
    ApprovalAnswer,
    find_approval_mistakes,
    find_missing_fields,
)
from auditor.domain.json import read_json
from auditor.errors import RecordError

BEGINS, ENDS = "2026-02-01T00:00:00Z", "2026-05-01T00:00:00Z"
YES = Approval(
    record="sha256:" + "1" * 64,
    record_id="aud-1",
    by="anna@example.org",
    role="risk officer",
    answer=ApprovalAnswer.YES,
    reason="All limits are kept.",
    created=BEGINS,
    expires=ENDS,
)
FOR_EVER = replace(YES, expires=None)
CURE = "Write it as a text."


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ("2026-01-31T23:59:59Z", f"signed at {BEGINS}, which is still to come"),
        (BEGINS, ""),
        ("2026-04-30T23:59:59Z", ""),
        (ENDS, f"it expired on {ENDS}"),
        ("2026-05-01T00:00:01Z", f"it expired on {ENDS}"),
        ("some day", f"signed at {BEGINS}, which is still to come"),
    ],
)
def test_an_approval_is_in_force_from_its_first_moment_until_just_before_its_last(
    now: str, why: str
) -> None:
    assert YES.lapse(now) == why
    assert YES.expired(now) is (now not in {"2026-01-31T23:59:59Z", BEGINS, "2026-04-30T23:59:59Z"})


def test_an_approval_that_names_no_end_has_none() -> None:
    assert not FOR_EVER.expired("2999-01-01T00:00:00Z")
    assert FOR_EVER.lapse("2999-01-01T00:00:00Z") == ""
    assert FOR_EVER.lapse("2025-01-01T00:00:00Z") != ""


def test_a_time_that_cannot_be_read_never_counts() -> None:
    assert replace(YES, expires="never").expired(BEGINS)
    assert replace(YES, created="long ago").early(ENDS)
    assert YES.early("now")
    assert YES.expired("now")


def test_an_approval_reads_back_from_what_it_says() -> None:
    for approval in (YES, FOR_EVER, replace(YES, answer=ApprovalAnswer.NO)):
        assert read_json(Approval, approval.to_json(), "approval") == approval
    assert YES.to_json()["schema"] == "auditor/approval/v1"
    with pytest.raises(RecordError, match=r"approval.answer is not one of yes, no"):
        read_json(Approval, {**YES.to_json(), "answer": "perhaps"}, "approval")


def test_an_approval_says_who_said_what_and_why() -> None:
    said = f"by anna@example.org (risk officer) at {BEGINS}: All limits are kept."
    assert str(YES) == f"approved {said}"
    assert str(replace(YES, answer=ApprovalAnswer.NO)) == f"rejected {said}"


@pytest.mark.parametrize("name", ["by", "role"])
@pytest.mark.parametrize("value", ["", "  ", "two\nlines", "\u202eanna"])
def test_who_approves_is_said_on_one_line(name: str, value: str) -> None:
    found = list(find_approval_mistakes(replace(YES, **{name: value})))
    assert found == [(f"{name} is {value!r}, which is no text of one line", CURE)]


@pytest.mark.parametrize("reason", ["", "yes", "looks good"])
def test_an_approval_needs_a_reason_of_three_words(reason: str) -> None:
    problem = f"the reason is {reason!r}, which is no reason"
    assert list(find_approval_mistakes(replace(YES, reason=reason)))[-1] == (
        problem, "Say why in 3 words at least.",
    )  # fmt: skip


def test_a_reason_of_three_words_on_one_line_is_enough() -> None:
    assert list(find_missing_fields("anna", "owner", "it is good", "Say it")) == []
    assert list(find_missing_fields("anna", "owner", "it is\nvery good", "Say it")) == [
        ("reason is 'it is\\nvery good', which is no text of one line", CURE)
    ]
    assert list(find_missing_fields("anna", "owner", "good", "Say what you saw")) == [
        ("the reason is 'good', which is no reason", "Say what you saw in 3 words at least.")
    ]


@pytest.mark.parametrize(
    ("created", "expires", "refused"),
    [
        (BEGINS, None, False),
        (BEGINS, BEGINS, False),
        (BEGINS, "2026-02-01T00:00:01Z", False),
        (BEGINS, "2026-01-31T23:59:59Z", True),
        (BEGINS, "some day", True),
        ("some day", ENDS, True),
        ("some day", None, True),
    ],
)
def test_an_approval_does_not_end_before_it_begins(
    created: str,
    expires: str | None,
    refused: bool,  # noqa: FBT001 -- a case
) -> None:
    found = list(find_approval_mistakes(replace(YES, created=created, expires=expires)))
    assert found == refused * [(f"it ends at {expires}, before it begins", "Write a later time.")]
