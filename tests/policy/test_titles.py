"""A title states the requirement with the limit that its rule has."""

from collections.abc import Mapping
from typing import Any

import pytest
from pack_cases import CATALOGUES, CHECKS, HEAD, RULE, written

from auditor._resources import find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.policy.control_catalogues import load_catalogues
from auditor.policy.inherit import PolicySource
from auditor.policy.lint_remarks import LintLevel
from auditor.policy.load import find_policy_bytes, lint_policy, load_policy, load_policy_source

FOLDER = find_shipped_folder("policies")
UNTITLED: dict[str, Any] = {key: value for key, value in RULE.items() if key != "title"}
TIMED = {"measure": "hardware.latency/p99"}
HEIR = """\
apiVersion: auditor/v1
kind: Policy
extends: mine
metadata: {name: heir, version: 1.0.0, owner: me@example.org}
params: {floor: 0.9}
rules: []
"""


def title(rule: Mapping[str, Any], **changes: object) -> str:
    (found,) = load_policy(written({**rule, **changes}), "t.yaml", CHECKS, CATALOGUES).rules
    return found.title


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": "It is accurate"}, "It is accurate"),
        ({"title": "Accuracy is {limit}"}, "Accuracy is at least 80 %"),
        ({"title": "Latency is {limit}", **TIMED, "at_least": None, "at_most": "100 ms"},
         "Latency is at most 100 ms"),
        ({"title": "It is {limit}", "at_least": None, "within": [0.5, 0.9]},
         "It is between 50 % and 90 %"),
        ({"title": "It is {limit}", "at_least": "claims.accuracy - 0.02"},
         "It is at least claims.accuracy - 0.02"),
        ({"title": "It is {limit}", "at_least": "baseline - 1 %"},
         "It is at least baseline - 0.01"),
    ],
)  # fmt: skip
def test_a_title_has_the_limit_where_it_is_written(changes: dict[str, Any], words: str) -> None:
    rule = {key: value for key, value in {**RULE, **changes}.items() if value is not None}
    assert title(rule) == words


def test_a_rule_without_a_title_names_its_metric_place_and_limit() -> None:
    metric = CHECKS["quality.accuracy"].emits["accuracy"].title
    assert title(UNTITLED) == f"{metric}: at least 80 %"
    attack = {**UNTITLED, "measure": "evasion.linf/robust_accuracy", "where": {"eps": 0.1}}
    robust = CHECKS["evasion.linf"].emits["robust_accuracy"].title
    assert title(attack) == f"{robust} at eps 0.1: at least 80 %"
    asked = {key: value for key, value in UNTITLED.items() if key != "at_least"}
    signed = {**asked, "measure": "provenance.signature/verified", "require": "reading.value"}
    assert title(signed) == "The signature holds: yes"


def test_a_policy_that_extends_another_has_its_own_limit_in_the_title() -> None:
    parent = written({**RULE, "title": "Accuracy is {limit}"}, head=HEAD)
    heir = PolicySource(
        HEIR.encode(), "heir.yaml", "heir", lambda _: PolicySource(parent, "mine", "mine", _none)
    )
    policy = load_policy_source(heir, CHECKS, CATALOGUES)
    assert [rule.title for rule in policy.rules] == ["Accuracy is at least 90 %"]


def _none(name: str) -> PolicySource:
    raise AssertionError(name)


@pytest.mark.parametrize("pack", ["baseline", "edge-deployment", "model-risk"])
def test_titles_of_the_packs_state_their_limits(pack: str) -> None:
    raw, source = find_policy_bytes(pack, FOLDER, FOLDER)
    policy = load_policy(raw, source, discover_checks(), load_catalogues(FOLDER))
    for rule in policy.rules:
        assert "{" not in rule.title
        # A share, a rate or a time has its limit in the title; a limit of zero is said as "no"
        if rule.limits is not None and 0 not in {rule.limits.least, rule.limits.most}:
            assert any(word in rule.title for word in ("at least", "at most", "between")), rule.id


def test_the_titles_of_the_baseline_read_as_sentences() -> None:
    raw, source = find_policy_bytes("baseline", FOLDER, FOLDER)
    policy = load_policy(raw, source, discover_checks(), load_catalogues(FOLDER))
    titles = {rule.id: rule.title for rule in policy.rules}
    assert titles["latency"] == "99th-percentile latency is at most 100 ms"
    assert titles["explained"] == "Explained variance (R²) is at least 0.5"
    assert titles["calibration-size"] == "Probabilities are calibrated (L2 error at most 10 %)"


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({"title": "Accuracy is at least 80 %"}, []),
        ({"title": "Accuracy is at least 0.8"}, []),
        ({"title": "Accuracy is at least 90 %"}, ["90 %"]),
        ({"title": "Accuracy is at least 0.85 on 3 classes"}, ["0.85", "3"]),
        ({"title": "Accuracy of 8-bit x86 models at the 99th percentile"}, []),
        ({"title": "Accuracy of 90 % is welcome, and it is {limit}"}, []),
        ({"title": "Latency is at most 100 ms", **TIMED, "at_most": "100 ms"}, []),
        ({"title": "Latency is at most 50ms", **TIMED, "at_most": "100 ms"}, ["50 ms"]),
        ({"title": "Half stand attacks of 0.1", "measure": "evasion.linf/robust_accuracy",
          "where": {"eps": 0.1}}, []),
    ],
)  # fmt: skip
def test_a_number_in_a_title_that_is_not_the_limit_is_a_doubt(
    changes: dict[str, Any], numbers: list[str]
) -> None:
    rule = {**RULE, **changes}
    if "at_most" in rule:
        del rule["at_least"]
    found = lint_policy(written(rule), "t.yaml", CHECKS, CATALOGUES)
    told = [item for item in found if "the title has the number" in item.problem]
    assert [item.problem.split(",")[0] for item in told] == [
        f"the title has the number {number}" for number in numbers
    ]
    assert {item.level for item in told} <= {LintLevel.WARNING}
