"""Policies in plain words, and two of them side by side."""

from collections.abc import Mapping
from typing import Any

import pytest
from pack_cases import CATALOGUES, CHECKS, HEAD, RULE, changed, loaded, written

from auditor.domain.policies import StrictnessChange
from auditor.errors import PolicyError
from auditor.policy.diff import PolicyDifference, diff_policies
from auditor.policy.explain import explain_policy
from auditor.policy.inherit import PolicySource
from auditor.policy.load import load_policy_source, read_policy_draft

ROBUST: Mapping[str, Any] = {
    "id": "robust",
    "title": "It withstands",
    "severity": "medium",
    "effect": "warn",
    "measure": "evasion.linf/robust_accuracy",
    "where": {"eps": 0.1},
    "at_least": 0.5,
    "accept": "withstood",
}


def told(rule: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said of the one rule of a policy, by topic."""
    (only,) = explain_policy(loaded(written(rule)), CHECKS, CATALOGUES, str(rule["id"]))
    return dict(only.said)


def test_an_explanation_says_when_a_doubted_figure_passes_fails_or_decides_nothing() -> None:
    outside = "it breaks the limit on a side that its doubt does not explain (failed)."
    assert told(changed())["Undecided"].endswith(
        f"doubted, unless even its worst case keeps the limit (passed) or {outside}"
    )
    relative = {**changed(), "at_least": "baseline - 0.01"}
    assert f"doubted, unless {outside[:-1]}" in told(relative)["Undecided"]


def test_a_rule_is_told_with_its_limit_in_its_own_unit_and_the_param_that_sets_it() -> None:
    said = told(changed(rationale="It matters.", remediation="Improve it.", when="target == 'cpu'"))
    assert said["Asks"] == "Accuracy of at least 80 % (set by params.floor)."
    assert said["Figure"] == "Accuracy (quality.accuracy/accuracy), an estimate with an interval."
    assert said["Only where"].startswith("`target == 'cpu'`")
    assert said["Passes"] == "where the whole interval keeps the limit."
    assert "after correction over all required rules" in said["Fails"]
    assert (said["Why"], said["Remedy"]) == ("It matters.", "Improve it.")
    assert said["Weight"].startswith("High severity. A model that fails it fails the policy")


def test_a_rule_that_no_attack_can_prove_is_told_never_to_pass() -> None:
    said = told(ROBUST)
    assert said["Asks"] == "Accuracy under attack at eps 0.1 of at least 50 %."
    assert said["Passes"].startswith("never")
    assert said["Withstood"].endswith("that is accepted.")
    assert "correction" not in said["Fails"]
    refused = told({key: value for key, value in ROBUST.items() if key != "accept"})
    assert refused["Withstood"].endswith("so that it stays undecided.")


def test_a_condition_and_a_claim_are_told_as_such() -> None:
    signed = {**RULE, "at_least": None, "measure": "provenance.signature/verified"}
    rule = {key: value for key, value in signed.items() if value is not None}
    said = told({**rule, "require": "reading.value"})
    assert said["Asks"] == "The signature holds: yes."
    claimed = told(changed(at_least="claims.accuracy - 0.02"))
    assert "at least claims.accuracy - 0.02" in claimed["Asks"]
    assert claimed["Undecided"].endswith("or nothing is claimed.")


def test_controls_are_told_with_their_titles() -> None:
    rule = changed(controls=[{"framework": "owasp-ml", "ref": "ML01"}])
    assert told(rule)["Control"] == "OWASP ML ML01, Input Manipulation"


def test_the_policy_itself_is_told_first() -> None:
    first, *rules = explain_policy(loaded(written(RULE)), CHECKS, CATALOGUES)
    assert first.heading == "mine 1.0.0, of risk@example.org"
    assert [item.heading for item in rules] == ["accurate: It is accurate"]


def test_the_isolation_is_told_where_it_is_asked() -> None:
    asks = written(RULE, head=HEAD.replace("owner: risk", "least_isolation: landlock, owner: risk"))
    first, plain = (
        explain_policy(loaded(raw), CHECKS, CATALOGUES)[0] for raw in (asks, written(RULE))
    )
    assert dict(first.said)["Isolation"].endswith("at level landlock or stronger.")
    assert "Isolation" not in dict(plain.said)
    (change,) = compared(written(RULE), asks).audit
    assert (change.was, change.now, change.way) == (
        "nothing",
        "landlock",
        StrictnessChange.TIGHTENED,
    )


def test_a_rule_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(PolicyError, match=r"no rule 'absent'.*accurate"):
        explain_policy(loaded(written(RULE)), CHECKS, CATALOGUES, "absent")


def alone(raw: bytes, name: str = "mine.yaml") -> PolicySource:
    return PolicySource(raw, name, name, lambda _: alone(written(RULE, ROBUST), "parent.yaml"))


def test_an_inherited_rule_is_told_with_where_it_comes_from_and_what_was_changed() -> None:
    text = HEAD.replace("params: {floor: 0.8, word: high}", "extends: parent") + (
        "drop: [{rule: robust, reason: No inputs.}]\n"
        "rules: [{id: accurate, at_least: 0.7, loosens: A pilot.}]\n"
    )
    policy = load_policy_source(alone(text.encode()), CHECKS, CATALOGUES)
    about, rule = explain_policy(policy, CHECKS, CATALOGUES)
    assert dict(about.said)["Dropped"].endswith("by mine: No inputs.")
    said = dict(rule.said)
    assert said["From"] == "mine 1.0.0"
    assert said["Changed"] == "Loosened by mine: limit: at least 0.8 → at least 0.7: A pilot."


def compared(old: bytes, new: bytes) -> PolicyDifference:
    was, now = (read_policy_draft(alone(raw), CHECKS, CATALOGUES) for raw in (old, new))
    return diff_policies(was, now)


def test_the_same_policy_differs_in_nothing() -> None:
    found = compared(written(RULE), b"# a comment\n" + written(RULE))
    assert (found.same, found.loosened) == (True, False)
    assert found.audit == found.params == found.added == found.removed == found.changed == ()


def test_rules_that_came_and_went_are_named() -> None:
    found = compared(written(RULE), written({**RULE, "id": "other"}))
    assert [item.rule for item in found.added] == ["other"]
    assert [item.rule for item in found.removed] == ["accurate"]
    assert found.loosened


@pytest.mark.parametrize(
    ("limit", "way"),
    [(0.9, StrictnessChange.TIGHTENED), (0.7, StrictnessChange.LOOSENED), ("80 %", None)],
)
def test_a_limit_is_compared_by_its_number(
    limit: float | str, way: StrictnessChange | None
) -> None:
    found = compared(written(RULE), written(changed(at_least=limit)))
    ways = [change.way for item in found.changed for change in item.changes]
    assert ways == ([] if way is None else [way])
    assert found.loosened is (way is StrictnessChange.LOOSENED)
    assert not found.same


def test_a_param_is_told_where_it_stands_and_where_it_bites() -> None:
    lower = written(RULE, head=HEAD.replace("floor: 0.8", "floor: 0.7"))
    found = compared(written(RULE), lower)
    assert [str(item) for item in found.params] == ["params.floor: 0.8 → 0.7"]
    ((change,),) = [item.changes for item in found.changed]
    assert str(change) == "limit: at least 0.8 → at least 0.7"
    assert found.loosened


def test_words_are_changed_and_ask_nothing() -> None:
    found = compared(written(RULE), written(changed(title="Another", rationale="Because.")))
    ways = [(change.setting, change.way) for item in found.changed for change in item.changes]
    assert ways == [("title", StrictnessChange.CHANGED), ("rationale", StrictnessChange.CHANGED)]
    assert not found.loosened


def test_what_is_asked_of_the_audit_is_compared_too() -> None:
    laxer = HEAD.replace("owner: risk", "valid_for: 90d, owner: risk")
    found = compared(written(RULE, head=laxer), written(RULE))
    assert [str(item) for item in found.audit] == ["valid_for: 90d → nothing"]
    assert found.loosened
    told_ = found.to_json()
    assert (told_["same"], told_["loosened"]) == (False, True)


def test_a_limit_from_a_baseline_is_told_and_narrows_like_a_number() -> None:
    rule = told(changed(at_least="baseline - 2 %"))
    assert "at least baseline - 0.02" in rule["Asks"]
    assert "the baseline's whole interval" in rule["Passes"]
    assert rule["Undecided"].endswith("or no baseline has a figure that it can be held against.")
    wide, close, number = (
        written(changed(at_least=limit)) for limit in ("baseline - 2 %", "baseline - 0.01", 0.9)
    )
    assert not compared(wide, close).loosened
    for old, new in ((close, wide), (close, number), (number, close)):
        assert compared(old, new).loosened
