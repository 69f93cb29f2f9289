"""Policies that extend others: what they take over, and that they may only ask more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pack_cases import CATALOGUES, CHECKS, HEAD, RULE, changed, written

from auditor.domain.isolation import IsolationLevel
from auditor.domain.json import encode_canonical
from auditor.domain.policies import (
    AssuranceLevel,
    EnforcementMode,
    MetricLimits,
    Policy,
    StrictnessChange,
)
from auditor.errors import PolicyError
from auditor.policy.inherit import PolicySource
from auditor.policy.lint_remarks import LintLevel, LintRemark
from auditor.policy.load import (
    find_policy_source,
    lint_policy_source,
    list_policies,
    load_policy,
    load_policy_source,
)

PARENT = {
    "parent": written(
        changed(when='params.word == "high"', rationale="It matters."),
        {**RULE, "id": "losses", "measure": "quality.accuracy/nll", "at_least": None, "at_most": 2},
        head=HEAD.replace(
            "owner: risk@example.org",
            "owner: risk@example.org, least_budget: ci, least_assurance: A1, valid_for: 90d, "
            "approvals: 1, mode: warn, require_sealed: true, most_attempts: 5, "
            "least_isolation: landlock",
        ).replace("name: mine", "name: parent"),
    ).replace(b"    at_least: None\n", b"")
}
HEIR = "apiVersion: auditor/v1\nkind: Policy\nextends: parent\n"
ABOUT = "metadata: {name: heir, version: 2.0.0, owner: me@example.org}\n"


def found(raw: str, others: Mapping[str, bytes] = PARENT, name: str = "heir.yaml") -> PolicySource:
    """Return a policy that finds others by their names."""

    def parent(wanted: str) -> PolicySource:
        return found(others[wanted].decode(), others, wanted)

    return PolicySource(raw.encode(), name, name, parent)


def heir(text: str, others: Mapping[str, bytes] = PARENT, about: str = ABOUT) -> Policy:
    return load_policy_source(found(HEIR + about + text, others), CHECKS, CATALOGUES)


def linted(text: str, about: str = ABOUT) -> tuple[LintRemark, ...]:
    return lint_policy_source(found(HEIR + about + text), CHECKS, CATALOGUES)


def rules(policy: Policy) -> list[str]:
    return [rule.id for rule in policy.rules]


def test_an_heir_has_the_rules_of_its_parent_and_its_own_after_them() -> None:
    policy = heir(f"rules:\n  - {own()}\n")
    assert rules(policy) == ["accurate", "losses", "own"]
    assert policy.rules[0].limits == MetricLimits(least=0.8)
    assert (policy.name, policy.version) == ("heir", "2.0.0")
    assert policy.rules[0].rationale == "It matters."


def own(name: str = "own") -> str:
    settings = "title: Own, severity: low, measure: quality.accuracy/accuracy, at_least: 0.1"
    return f"{{id: {name}, {settings}}}"


def test_an_heir_without_a_word_asks_what_its_parent_asks_of_the_audit() -> None:
    policy = heir("")
    assert (policy.least_assurance, policy.valid_for_days) == (AssuranceLevel.A1, 90)
    assert (policy.least_budget.value, policy.mode) == ("ci", EnforcementMode.WARN)


def test_a_rule_with_the_id_of_an_inherited_one_stands_over_it_setting_by_setting() -> None:
    policy = heir("rules:\n  - {id: accurate, at_least: 0.9, severity: critical, when: null}\n")
    rule = policy.rules[0]
    assert rule.limits == MetricLimits(least=0.9)
    assert (rule.severity.value, rule.when, rule.title) == ("critical", None, "It is accurate")
    assert rule.origin is not None
    assert (rule.origin.policy, rule.origin.version) == ("parent", "1.0.0")
    told = {item.setting: (item.was, item.now, item.way) for item in rule.origin.changes}
    assert told == {
        "limit": ("at least 0.8", "at least 0.9", StrictnessChange.TIGHTENED),
        "when": ('params.word == "high"', "", StrictnessChange.TIGHTENED),
        "severity": ("high", "critical", StrictnessChange.TIGHTENED),
    }
    assert {item.by for item in rule.origin.changes} == {"heir"}


TIGHTER = {
    "a param": "params: {floor: 0.85}\n",
    "a range within the bound": "rules:\n  - {id: accurate, within: [0.8, 1]}\n",
    "another bound": "rules:\n  - {id: losses, at_most: 1}\n",
    "a longer grid": "checks: {evasion.linf: {eps: [0.1]}}\n",
    "a title": "rules:\n  - {id: accurate, title: Another}\n",
}
LOOSER = {
    "a lower limit": ("rules:\n  - {id: accurate, at_least: 0.7}\n", "limit: at least 0.8"),
    "a higher limit": ("rules:\n  - {id: losses, at_most: 3}\n", "limit: at most 2 → at most 3"),
    "the other side": ("rules:\n  - {id: accurate, at_most: 0.8}\n", "limit: at least 0.8"),
    "a param": ("params: {floor: 0.7}\n", "limit: at least 0.8 → at least 0.7"),
    "a param of a condition": ("params: {word: low}\n", "params.word: high → low"),
    "a condition": ("rules:\n  - {id: losses, when: 'true'}\n", "when: nothing → true"),
    "another condition": ("rules:\n  - {id: accurate, when: 'false'}\n", "when: params.word"),
    "less severe": ("rules:\n  - {id: accurate, severity: low}\n", "severity: high → low"),
    "less effect": ("rules:\n  - {id: accurate, effect: warn}\n", "effect: deny → warn"),
    "another metric": (
        "rules:\n  - {id: accurate, measure: quality.accuracy/nll}\n",
        "measure: quality.accuracy/accuracy → quality.accuracy/nll",
    ),
    "another place": (
        "rules:\n  - {id: accurate, where: {target: gpu}}\n",
        r"where: nothing → \[target=gpu\]",
    ),
}
CLAIMING = {
    "parent": PARENT["parent"].replace(b"at_least: 'params.floor'", b"at_least: claims.a - 0.1")
}


@pytest.mark.parametrize("limit", ["claims.a", "claims.a - 0.05", "claims.a - 0.1"])
def test_a_limit_of_a_claim_may_come_nearer_to_it(limit: str) -> None:
    policy = heir(f"rules:\n  - {{id: accurate, at_least: {limit}}}\n", CLAIMING)
    assert policy.rules[0].anchored is not None


@pytest.mark.parametrize("limit", ["claims.a - 0.2", "claims.b", "0.99"])
def test_a_limit_of_a_claim_may_not_become_further_from_it_or_another(limit: str) -> None:
    with pytest.raises(PolicyError, match="asks less"):
        heir(f"rules:\n  - {{id: accurate, at_least: {limit}}}\n", CLAIMING)


def test_a_bound_on_one_side_may_become_one_on_both_and_not_lose_a_side() -> None:
    both = {"parent": PARENT["parent"].replace(b"at_least: 'params.floor'", b"within: [0.8, 0.9]")}
    with pytest.raises(PolicyError, match=r"limit: within 0\.8 and 0\.9 → at least 0\.85"):
        heir("rules:\n  - {id: accurate, at_least: 0.85}\n", both)


LAXER = {
    "least_budget": ("smoke", "least_budget: ci → smoke"),
    "least_assurance": ("A0", "least_assurance: A1 → A0"),
    "least_evidence": ("any", "least_evidence: native → any"),
    "least_isolation": ("limits", "least_isolation: landlock → limits"),
    "valid_for": ("365d", "valid_for: 90d → 365d"),
    "approvals": ("0", "approvals: 1 → 0"),
    "mode": ("observe", "mode: warn → observe"),
    "require_sealed": ("false", "require_sealed: True → False"),
    "most_attempts": ("6", "most_attempts: 5 → 6"),
    "applies_to": ("'false'", "applies_to: nothing → false"),
}


@pytest.mark.parametrize("text", TIGHTER.values(), ids=TIGHTER)
def test_an_heir_may_ask_more_without_a_word(text: str) -> None:
    assert [item for item in linted(text) if item.level is LintLevel.ERROR] == []
    assert heir(text).rules


@pytest.mark.parametrize(("text", "words"), LOOSER.values(), ids=LOOSER)
def test_an_heir_may_not_ask_less_without_a_reason(text: str, words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        heir(text)


@pytest.mark.parametrize(("text", "words"), LOOSER.values(), ids=LOOSER)
def test_a_reason_to_ask_less_is_kept_and_shown_as_a_doubt(text: str, words: str) -> None:
    rule = "losses" if "losses" in text else "accurate"
    head, _, tail = text.partition("rules:\n  - {")
    tail = tail.removeprefix(f"id: {rule}, ") or "}\n"
    reasoned = f"{head}rules:\n  - {{id: {rule}, loosens: A pilot., {tail}"
    (doubt,) = [item for item in linted(reasoned) if "loosens" in item.problem]
    assert doubt.level is LintLevel.WARNING
    assert "A pilot." in doubt.problem
    (changed_rule,) = [item for item in heir(reasoned).rules if item.id == rule]
    assert changed_rule.origin is not None
    assert [item.reason for item in changed_rule.origin.loosened] == ["A pilot."]


@pytest.mark.parametrize(("name", "told"), LAXER.items(), ids=LAXER)
def test_an_heir_may_not_ask_less_of_the_audit(name: str, told: tuple[str, str]) -> None:
    value, words = told
    about = ABOUT.replace("}", f", {name}: {value}}}")
    with pytest.raises(PolicyError, match=f"heir.yaml:4: this asks less.*{words}"):
        heir("", about=about)
    reasoned = heir("", about=about.replace("}", ", loosens: A pilot.}"))
    assert [item.reason for item in reasoned.inherits[0].changes] == ["A pilot."]
    assert any(
        "A pilot." in item.problem
        for item in linted("", about.replace("}", ", loosens: A pilot.}"))
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("least_budget", "full"),
        ("least_assurance", "A3"),
        ("least_evidence", "verified"),
        ("least_isolation", "bubblewrap"),
        ("valid_for", "30d"),
        ("approvals", "2"),
        ("blind_labels", "5"),
        ("most_attempts", "3"),
        ("mode", "enforce"),
    ],
)
def test_an_heir_may_ask_more_of_the_audit(name: str, value: str) -> None:
    policy = heir("", about=ABOUT.replace("}", f", {name}: {value}}}"))
    assert [item.way for item in policy.inherits[0].changes] == [StrictnessChange.TIGHTENED]


def test_an_heir_may_not_leave_the_isolation_open() -> None:
    with pytest.raises(PolicyError, match="least_isolation: landlock → nothing"):
        heir("", about=ABOUT.replace("}", ", least_isolation: null}"))


@pytest.mark.parametrize("said", [b"least_isolation: null", b"least_isolation: limits", b""])
def test_of_two_parents_the_stricter_isolation_is_asked(said: bytes) -> None:
    laxer = PARENT["parent"].replace(b", least_isolation: landlock", b", " + said if said else b"")
    both = {"parent": PARENT["parent"], "two": laxer.replace(b"name: parent", b"name: two")}
    for order in ("[parent, two]", "[two, parent]"):
        written_ = found(HEIR.replace("parent", order) + ABOUT, both)
        policy = load_policy_source(written_, CHECKS, CATALOGUES)
        assert policy.least_isolation is IsolationLevel.LANDLOCK


def test_parameters_of_a_check_by_which_an_inherited_rule_measures_are_not_changed_silently() -> (
    None
):
    attacks = {**PARENT, "parent": PARENT["parent"] + ROBUST}
    with pytest.raises(PolicyError, match=r"evasion\.linf: steps: nothing → 1"):
        heir("checks: {evasion.linf: {steps: 1}}\n", attacks)
    about = ABOUT.replace("}", ", loosens: Faster.}")
    assert heir("checks: {evasion.linf: {steps: 1}}\n", attacks, about).checks


ROBUST = (
    b"  - {id: robust, title: R, severity: low, measure: evasion.linf/robust_accuracy, "
    b"where: {eps: 0.1}, at_least: 0.1, accept: withstood}\n"
)


def test_what_examines_attacks_is_not_changed_silently_under_rules_of_attacks() -> None:
    attack = changed(measure="evasion.linf/robust_accuracy", at_least=0.2)
    others = {"parent": written(attack, head=HEAD.replace("name: mine", "name: parent"))}
    with pytest.raises(PolicyError, match=r"evasion\.masking: rows: nothing → 1"):
        heir("checks: {evasion.masking: {rows: 1}}\n", others)
    with pytest.raises(
        PolicyError, match=r"no check 'evasion\.masking'"
    ):  # no check of attacks here
        heir("checks: {evasion.masking: {rows: 1}}\n", {"parent": written(RULE)})


def test_a_policy_that_says_itself_what_it_extends_is_doubted() -> None:
    said = written(RULE).decode() + (
        f"inherits: [{{name: strict, version: 1.0.0, digest: 'sha256:{'a' * 64}', changes: []}}]\n"
    )
    (doubt,) = lint_policy_source(found(said), CHECKS, CATALOGUES)
    assert (doubt.level, "is its own word" in doubt.problem) == (LintLevel.WARNING, True)
    others = {"parent": said.replace("name: mine", "name: parent").encode()}
    doubts = lint_policy_source(found(HEIR + ABOUT, others), CHECKS, CATALOGUES)
    assert [item.problem for item in doubts] == [doubt.problem]
    assert not linted("")


def test_what_is_accepted_may_be_taken_back_and_not_granted() -> None:
    attacks = {"parent": PARENT["parent"] + ROBUST}
    policy = heir("rules:\n  - {id: robust, accept: null}\n", attacks)
    assert not policy.rules[-1].accept_withstood
    strict = {"parent": attacks["parent"].replace(b", accept: withstood", b"")}
    with pytest.raises(PolicyError, match="accept: nothing → withstood"):
        heir("rules:\n  - {id: robust, accept: withstood}\n", strict)


def test_a_rule_is_dropped_with_a_reason_alone() -> None:
    policy = heir("drop: [{rule: losses, reason: It has labels only.}]\n")
    assert rules(policy) == ["accurate"]
    (dropped,) = policy.dropped
    assert (dropped.rule, dropped.policy, dropped.by) == ("losses", "parent", "heir")
    assert any(
        "labels only" in item.problem
        for item in linted("drop: [{rule: losses, reason: It has labels only.}]\n")
    )
    with pytest.raises(PolicyError, match=r"heir.yaml:5: drop.0.reason: this setting is missing"):
        heir("drop: [{rule: losses}]\n")
    with pytest.raises(PolicyError, match="has a rule 'absent'"):
        heir("drop: [{rule: absent, reason: Because.}]\n")


def test_what_an_heir_must_say_of_itself_is_missing_there_and_not_in_its_parent() -> None:
    with pytest.raises(
        PolicyError, match=r"heir\.yaml:4: metadata\.owner: this setting is missing"
    ):
        heir("", about="metadata: {name: heir, version: 2.0.0}\n")


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("rules:\n  - {id: accurate, loosens: Why.}\n", ABOUT),
        (f"rules:\n  - {own()[:-1]}, loosens: Why.}}\n", ABOUT),
        ("", ABOUT.replace("}", ", loosens: Why.}")),
    ],
)
def test_a_reason_that_loosens_nothing_is_refused(text: str, about: str) -> None:
    with pytest.raises(PolicyError, match=r"loosens is set, but nothing is (looser|inherited)"):
        heir(text, about=about)


def test_the_resolved_document_stands_by_itself_under_the_same_digest() -> None:
    policy = heir("rules:\n  - {id: accurate, at_least: 0.7, loosens: A pilot.}\n")
    again = load_policy(encode_canonical(policy.document), "stored", CHECKS, CATALOGUES)
    assert again.digest == policy.digest
    assert again.rules == policy.rules
    assert (again.inherits, again.dropped) == (policy.inherits, policy.dropped)


def test_a_change_of_a_parent_changes_the_digest_even_where_it_is_dropped() -> None:
    text = "drop: [{rule: losses, reason: Because.}]\n"
    other = {"parent": PARENT["parent"].replace(b"at_most: 2", b"at_most: 3")}
    assert heir(text).digest != heir(text, other).digest
    assert heir(text).digest == heir(text, {"parent": b"# a word\n" + PARENT["parent"]}).digest


def test_several_parents_are_laid_over_each_other_and_each_is_held() -> None:
    strict = PARENT["parent"].replace(b"floor: 0.8", b"floor: 0.95").replace(b"parent", b"strict")
    both = {**PARENT, "strict": strict.replace(b"valid_for: 90d", b"valid_for: 30d")}
    text = HEIR.replace("extends: parent", "extends: [parent, strict]") + ABOUT
    policy = load_policy_source(found(text, both), CHECKS, CATALOGUES)
    assert policy.rules[0].limits == MetricLimits(least=0.95)
    assert policy.valid_for_days == 30
    assert [item.name for item in policy.inherits] == ["parent", "strict"]
    turned = text.replace("[parent, strict]", "[strict, parent]")
    with pytest.raises(PolicyError, match=r"less than strict 1\.0\.0.*least 0\.95 → at least 0\.8"):
        load_policy_source(found(turned, both), CHECKS, CATALOGUES)


def test_an_heir_of_an_heir_says_who_changed_what() -> None:
    middle = (HEIR + ABOUT + "rules:\n  - {id: accurate, at_least: 0.85}\n").encode()
    text = HEIR.replace("parent", "middle") + ABOUT.replace("heir", "last")
    last = load_policy_source(
        found(text + "rules:\n  - {id: accurate, at_least: 0.9}\n", {**PARENT, "middle": middle}),
        CHECKS,
        CATALOGUES,
    )
    origin = last.rules[0].origin
    assert origin is not None
    assert (origin.policy, [item.by for item in origin.changes]) == ("parent", ["heir", "last"])


LOOSE = f"{HEIR}{ABOUT}rules:\n  - {{id: accurate, at_least: 0.7, loosens: Old sensors.}}\n"


def heir_of_a_looser_one(rules: str) -> Policy:
    text = HEIR.replace("parent", "loose") + ABOUT.replace("heir", "last") + rules
    others = {**PARENT, "loose": LOOSE.encode()}
    return load_policy_source(found(text, others), CHECKS, CATALOGUES)


def test_a_reason_to_loosen_is_no_reason_of_an_heir_to_loosen_further() -> None:
    with pytest.raises(PolicyError, match=r"less than heir.*at least 0\.7 → at least 0\.1"):
        heir_of_a_looser_one("rules:\n  - {id: accurate, at_least: 0.1}\n")


def test_a_policy_that_loosens_for_a_reason_may_be_extended_without_one() -> None:
    origin = heir_of_a_looser_one("").rules[0].origin
    assert origin is not None
    assert [(item.by, item.reason) for item in origin.changes] == [("heir", "Old sensors.")]


def test_of_several_parents_the_one_that_asks_for_most_approvals_decides() -> None:
    more = PARENT["parent"].replace(b"approvals: 1", b"approvals: 2").replace(b"parent", b"more")
    text = HEIR.replace("extends: parent", "extends: [parent, more]") + ABOUT
    policy = load_policy_source(found(text, {**PARENT, "more": more}), CHECKS, CATALOGUES)
    assert policy.approvals == 2


@pytest.mark.parametrize(
    ("before", "after"), [("null", "group"), ("group", "null"), ("group", "kind")]
)
def test_a_condition_over_all_readings_is_not_split_by_place_without_a_reason(
    before: str, after: str
) -> None:
    apart = "readings.all(a, readings.all(b, a.n - b.n < 100.0))"
    parent = written(
        changed(at_least=None, require=f"'{apart}'", for_each=before),
        head=HEAD.replace("name: mine", "name: parent"),
    )
    parent = b"\n".join(
        line for line in parent.splitlines() if b": None" not in line and b": null" not in line
    )
    split = f"rules:\n  - {{id: accurate, for_each: {after}}}\n"
    with pytest.raises(PolicyError, match=f"for_each: .* → .*{after if after != 'null' else ''}"):
        heir(split, {"parent": parent})


def test_policies_that_extend_each_other_are_refused() -> None:
    one = (HEIR.replace("parent", "two") + ABOUT).encode()
    two = (HEIR.replace("parent", "one") + ABOUT).encode()
    with pytest.raises(PolicyError, match="extends itself by way of others"):
        load_policy_source(found(one.decode(), {"one": one, "two": two}), CHECKS, CATALOGUES)


def test_policies_that_extend_each_other_too_deep_are_refused() -> None:
    chain = {f"p{at}": (HEIR.replace("parent", f"p{at + 1}") + ABOUT).encode() for at in range(9)}
    with pytest.raises(PolicyError, match="more than 4 deep"):
        load_policy_source(found(chain["p0"].decode(), chain), CHECKS, CATALOGUES)


def test_a_mistake_in_what_is_inherited_is_named_where_it_is_written() -> None:
    broken = {"parent": PARENT["parent"].replace(b"at_most: 2", b"at_most: high")}
    with pytest.raises(PolicyError, match=r"parent:\d+: rules\.1\.at_most"):
        heir("", broken)
    unknown = {"parent": PARENT["parent"].replace(b"accuracy/nll", b"accuracy/f1")}
    with pytest.raises(PolicyError, match=r"parent:16: rule losses: quality.accuracy emits no"):
        heir("", unknown)


def test_a_policy_that_extends_cannot_be_read_without_its_parents() -> None:
    with pytest.raises(PolicyError, match="extends parent, which is not at hand"):
        load_policy((HEIR + ABOUT).encode(), "heir.yaml", CHECKS, CATALOGUES)


def test_parents_are_found_beside_the_file_and_among_the_packs(tmp_path: Path) -> None:
    packs, mine = tmp_path / "packs", tmp_path / "mine"
    for folder in (packs, mine / "deep"):
        folder.mkdir(parents=True)
    (packs / "parent.yaml").write_bytes(PARENT["parent"])
    (packs / "pack.yaml").write_text(HEIR + ABOUT, encoding="utf-8")
    (mine / "own.yaml").write_text(HEIR + ABOUT, encoding="utf-8")
    last = HEIR.replace("parent", "../own.yaml") + ABOUT
    (mine / "deep" / "last.yaml").write_text(last, encoding="utf-8")
    policy = load_policy_source(
        find_policy_source("deep/last.yaml", mine, packs), CHECKS, CATALOGUES
    )
    assert rules(policy) == ["accurate", "losses"]
    assert {pack.name: pack.rules for pack in list_policies(packs)} == {"heir": 2, "parent": 2}


def numbers(low: float, high: float) -> Any:  # noqa: ANN401 -- a strategy
    return st.floats(low, high).map(lambda value: round(value, 3))


@given(numbers(0.01, 1), numbers(0.01, 1))
def test_a_limit_is_taken_over_exactly_when_it_is_no_lower(parent: float, child: float) -> None:
    others = {"parent": PARENT["parent"].replace(b"floor: 0.8", f"floor: {parent}".encode())}
    text = f"rules:\n  - {{id: accurate, at_least: {child}}}\n"
    if child >= parent:
        assert heir(text, others).rules[0].limits == MetricLimits(least=child)
    else:
        with pytest.raises(PolicyError, match="asks less"):
            heir(text, others)
