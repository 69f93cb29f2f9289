"""What a waiver may say, and what it may not."""

from typing import Any

import pytest
from waiver_papers import ARTIFACT, WORDS, read

from auditor.domain.waivers import Audited, Life
from auditor.errors import WaiverError

AUDITED = Audited("model", ARTIFACT, "tests", "sha256:" + "0" * 64)


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
    assert list(told.values()) == [Life.EARLY, Life.VALID, Life.EXPIRED]
    assert waiver.life("some day") is Life.EXPIRED


def test_a_waiver_is_for_one_artifact_one_model_and_one_policy() -> None:
    assert read().foreign_to(AUDITED) == ""
    assert "another artifact" in read(artifact="sha256:" + "b" * 64).foreign_to(AUDITED)
    assert "the model other" in read(model="other").foreign_to(AUDITED)
    assert "the policy other" in read(policy="other").foreign_to(AUDITED)
    edition = read(policy_digest="sha256:" + "1" * 64)
    assert "another edition" in edition.foreign_to(AUDITED)
    assert read(artifact="any").foreign_to(Audited("model", None, "tests", "")) == ""


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
