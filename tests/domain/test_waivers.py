"""What a waiver may say, and what it may not."""

from dataclasses import replace
from typing import Any

import pytest
from waiver_papers import ARTIFACT, WORDS, read

from auditor.domain.waivers import (
    Waiver,
    WaiverRef,
    WaiverSubject,
    WaiverValidity,
    find_waiver_mistakes,
    is_same_person,
    parse_waiver_time,
)
from auditor.errors import WaiverError

AUDITED = WaiverSubject("model", ARTIFACT, "tests", "sha256:" + "0" * 64)


def test_a_waiver_reads_back_from_what_it_says() -> None:
    waiver = read(target="cpu", slice={"sex": "F"}, compensating=["A person looks at each."])
    again = read(**waiver.to_json())
    assert again == waiver
    assert again.digest == waiver.digest


@pytest.mark.parametrize("name", [name for name in WORDS if name != "expires"])
def test_every_setting_is_needed(name: str) -> None:
    with pytest.raises(WaiverError, match=f"waiver.yaml:{name}: {name} "):
        read(**{name: None})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"owner": " Anna@Example.org "}, "the owner as well"),
        ({"approver": "\uff4flga@example.org"}, "the owner as well"),
        ({"reason": "because"}, "no reason"),
        ({"reason": ""}, "no reason"),
        ({"expires": "2026-08-01"}, "more than 180 days"),
        ({"expires": "2026-01-01"}, "not after created"),
        ({"expires": "soon"}, "no time"),
        ({"expires": "2026-02-30"}, "no time"),
        ({"expires": "2026-05-01T00:00:00+02:00"}, "no time"),
        ({"artifact": "*"}, "64 hexadecimal digits, or `any`"),
        ({"rule": "policy.least_budget"}, "asks of the audit itself"),
        ({"rule": "two\nlines"}, "no text of one line"),
        ({"ticket": "\u202eRISK"}, "no text of one line"),
        ({"until": "2026-05-01"}, "no setting of a waiver"),
        ({"kind": "Policy"}, "is 'Policy'"),
        ({"compensating": "a text"}, "no list of texts"),
        ({"slice": {"sex": None}}, "no text and no number"),
    ],
)
def test_what_no_waiver_may_say_is_refused_in_its_own_words(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(WaiverError) as refused:
        read(**changes)
    assert said in str(refused.value)


def test_a_waiver_counts_from_its_first_moment_until_just_before_its_last() -> None:
    waiver = read()
    told = {at: waiver.life(at) for at in ("2026-01-31T23:59:59Z", waiver.created, waiver.expires)}
    assert list(told.values()) == [
        WaiverValidity.EARLY,
        WaiverValidity.VALID,
        WaiverValidity.EXPIRED,
    ]
    assert waiver.life("some day") is WaiverValidity.EXPIRED


def test_a_waiver_is_for_one_artifact_one_model_and_one_policy() -> None:
    assert read().foreign_to(AUDITED) == ""
    assert "another artifact" in read(artifact="sha256:" + "b" * 64).foreign_to(AUDITED)
    assert "the model other" in read(model="other").foreign_to(AUDITED)
    assert "the policy other" in read(policy="other").foreign_to(AUDITED)
    edition = read(policy_digest="sha256:" + "1" * 64)
    assert "another edition" in edition.foreign_to(AUDITED)
    assert read(artifact="any").foreign_to(WaiverSubject("model", None, "tests", "")) == ""
    assert read(artifact="any").foreign_to(AUDITED) == ""


def test_a_waiver_without_a_target_is_for_all_and_a_slice_is_matched_whole() -> None:
    assert read().covers("accurate", "gpu", {"sex": "F"})
    assert not read(target="cpu").covers("accurate", "gpu", {})
    women = read(slice={"sex": "F"})
    assert women.covers("accurate", "cpu", {"sex": "F"})
    assert not women.covers("accurate", "cpu", {})
    assert not women.covers("accurate", "cpu", {"sex": "F", "age": "old"})
    assert not read(slice={"age": 1}).covers("accurate", "cpu", {"age": True})
    assert not read(slice={"age": 1}).covers("accurate", "cpu", {"age": "1"})
    assert read(slice={"age": 1}).covers("accurate", "cpu", {"age": 1.0})


def test_a_waiver_is_named_with_the_place_that_it_is_for() -> None:
    assert "RISK-12 of accurate[sex=F] (" in str(read(slice={"sex": "F"}))
    assert "RISK-12 of accurate (" in str(read())


DAY = "2026-02-01T00:00:00Z"
"""When the waiver of these tests begins."""


def said_of(waiver: Waiver) -> list[tuple[str, str, str]]:
    return list(find_waiver_mistakes(waiver))


@pytest.mark.parametrize(
    ("expires", "said"),
    [
        ("2026-01-31T23:59:59Z", ["expires"]),
        (DAY, ["expires"]),
        ("2026-02-01T00:00:01Z", []),
        ("2026-07-30T23:59:59Z", []),
        ("2026-07-31T00:00:00Z", []),  # 180 days, and no second more
        ("2026-07-31T00:00:01Z", ["expires"]),
    ],
)
def test_a_waiver_ends_after_it_begins_and_within_180_days(expires: str, said: list[str]) -> None:
    assert [name for name, _, _ in said_of(replace(read(), expires=expires))] == said


@pytest.mark.parametrize("name", ["created", "expires"])
def test_a_waiver_without_a_time_never_counts_and_is_refused(name: str) -> None:
    waiver = replace(read(), **{name: "soon"})
    assert waiver.life(DAY) is WaiverValidity.EXPIRED
    assert [setting for setting, _, _ in said_of(waiver)] == ["expires"]


@pytest.mark.parametrize(
    ("reason", "refused"),
    [("", True), ("no", True), ("two words", True), ("of three words", False)],
)
def test_a_reason_has_three_words(reason: str, refused: bool) -> None:  # noqa: FBT001 -- a case
    found = said_of(replace(read(), reason=reason))
    assert found == refused * [
        ("reason", f"is {reason!r}, which is no reason", "Say why in 3 words at least.")
    ]


def test_all_mistakes_of_a_waiver_are_told_with_their_cures() -> None:
    waiver = replace(
        read(), rule="policy.covers", approver="OLGA@example.org", reason="", expires=DAY
    )
    assert said_of(waiver) == [
        (
            "rule",
            "is policy.covers, which the policy asks of the audit itself",
            "Audit again as the policy asks; no waiver covers that.",
        ),
        (
            "approver",
            "is OLGA@example.org, who is the owner as well",
            "Let somebody else approve it than who answers for the risk.",
        ),
        ("reason", "is '', which is no reason", "Say why in 3 words at least."),
        ("expires", f"is {DAY}, which is not after created ({DAY})", "Write a later time."),
    ]
    (longer,) = said_of(replace(read(), expires="2026-12-01T00:00:00Z"))
    assert longer == (
        "expires",
        f"is 2026-12-01T00:00:00Z, more than 180 days after {DAY}",
        "Let it end within 180 days; sign another one then, if it must be.",
    )


def test_a_rule_that_only_looks_like_a_precondition_may_be_waived() -> None:
    for rule in ("policy", "policies.kept", "my.policy.rule"):
        assert said_of(replace(read(), rule=rule)) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("olga@example.org", "Olga@Example.ORG", True),
        ("Olga  Berg", " olga berg ", True),
        ("\uff4flga", "olga", True),
        ("olga", "anna", False),
        ("olga berg", "olgaberg", False),
    ],
)
def test_people_are_told_apart_by_what_their_names_look_like(
    one: str,
    other: str,
    same: bool,  # noqa: FBT001 -- a case
) -> None:
    assert is_same_person(one, other) is is_same_person(other, one) is same


@pytest.mark.parametrize(
    "text", ["", "2026-02-30T00:00:00Z", "2026-02-01", "2026-02-01T00:00:00+00:00", f"{DAY} "]
)
def test_another_text_is_no_moment(text: str) -> None:
    assert parse_waiver_time(text) is None


def test_moments_are_ordered_as_time_is() -> None:
    found = [parse_waiver_time(at) for at in (DAY, "2026-02-01T00:00:01Z", "2026-02-01T00:01:00Z")]
    times = [item.timestamp() for item in found if item is not None]
    assert [time - times[0] for time in times] == [0, 1, 60]


def test_a_waiver_says_what_it_is_signed_for_and_nothing_that_is_not_said() -> None:
    said = {
        "apiVersion": "auditor/v1",
        "kind": "Waiver",
        **WORDS,
        "expires": "2026-05-01T00:00:00Z",
    }
    assert read().to_json() == said
    assert read(artifact="any").to_json() == {**said, "artifact": "any"}
    more = {
        "policy_digest": ARTIFACT,
        "target": "cpu",
        "slice": {"sex": "F"},
        "compensating": ["a"],
    }
    for name, value in more.items():
        assert read(**{name: value}).to_json() == {**said, name: value}


def test_what_a_waiver_says_decides_its_digest() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"rule": "other"}, {"target": "cpu"}, {"slice": {"sex": "F"}}, {"artifact": "any"}
    ]  # fmt: skip
    assert len({read(**change).digest for change in changes}) == len(changes)


def test_a_request_names_a_waiver_by_its_digests() -> None:
    ref = WaiverRef("sha256:1", "sha256:2", "sha256:3", "risk.json")
    assert ref.to_json() == {
        "digest": "sha256:1", "waiver": "sha256:2", "key": "sha256:3", "file": "risk.json",
    }  # fmt: skip


def test_why_a_waiver_is_for_something_else_is_said() -> None:
    other = "sha256:" + "b" * 64
    told = [
        read(**change).foreign_to(AUDITED)
        for change in (
            {"model": "other"},
            {"artifact": other},
            {"policy": "other"},
            {"policy_digest": other},
            {"policy_digest": AUDITED.policy_digest},
        )
    ]
    assert told == [
        "it is for the model other",
        f"it is for another artifact, {other}",
        "it is for the policy other",
        f"it is for another edition of the policy tests, {other}",
        "",
    ]


def test_a_waiver_covers_its_own_rule_alone() -> None:
    assert read(target="cpu").covers("accurate", "cpu", {})
    assert not read().covers("fair", "cpu", {})
    assert not read(target="cpu", slice={"sex": "F"}).covers("accurate", "cpu", {})
    assert not read(target="cpu", slice={"sex": "F"}).covers("accurate", "gpu", {"sex": "F"})
    assert str(read()) == "the waiver RISK-12 of accurate (approved by anna@example.org)"
