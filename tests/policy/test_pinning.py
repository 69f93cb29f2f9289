"""What a policy pins is read strictly, explained, and never taken back by an heir unnoticed."""

import pytest
from pack_cases import CATALOGUES, CHECKS, HEAD, RULE, loaded, written

from auditor.domain.pinned_settings import AuditPins
from auditor.domain.policies import Policy
from auditor.errors import PolicyError
from auditor.policy.explain import explain_policy
from auditor.policy.inherit import PolicySource
from auditor.policy.load import load_policy_source

DIGEST = "sha256:" + "ab" * 32


def pinned(pins: str) -> AuditPins:
    return loaded(written(RULE, head=HEAD.replace("owner:", f"pins: {pins}, owner:"))).pins


def test_a_policy_pins_nothing_unless_it_says_so() -> None:
    assert loaded(written(RULE)).pins == AuditPins()


def test_pins_are_read() -> None:
    found = pinned(f"{{evaluation: ['{DIGEST}'], least_rows: 9, settings: {{task.costs: {{}}}}}}")
    assert found == AuditPins(evaluation=(DIGEST,), least_rows=9, settings={"task.costs": {}})


@pytest.mark.parametrize(
    "pins",
    ["{evaluation: [test.csv]}", "{least_rows: -1}", "{settings: {task.cost: 1}}", "{rows: 3}"],
)
def test_what_is_no_pin_is_refused(pins: str) -> None:
    with pytest.raises(PolicyError, match="pins"):
        pinned(pins)


@pytest.mark.parametrize(("settings", "told"), [("", True), (", settings: {}", False)])
def test_pinned_data_whose_columns_are_not_pinned_say_so(settings: str, told: bool) -> None:  # noqa: FBT001
    pins = f"pins: {{evaluation: ['{DIGEST}']{settings}}}, owner:"
    policy = loaded(written(RULE, head=HEAD.replace("owner:", pins)))
    said = [text for part in explain_policy(policy, CHECKS, CATALOGUES) for _, text in part.said]
    assert any("which of their columns are the labels" in text for text in said) is told


PINNING = f"{{evaluation: ['{DIGEST}'], least_rows: 100, settings: {{task.threshold: 0.4}}}}"


def heir(pins: str | None) -> Policy:
    parent = written(
        RULE,
        head=HEAD.replace("name: mine", f"name: parent, pins: {PINNING}"),
    )
    asked = "" if pins is None else f", pins: {pins}"
    own = (
        "apiVersion: auditor/v1\nkind: Policy\nextends: parent\n"
        f"metadata: {{name: heir, version: 1.0.0, owner: me@example.org{asked}}}\n"
    )

    def find(name: str) -> PolicySource:
        return PolicySource(parent, name, name, find)

    return load_policy_source(
        PolicySource(own.encode(), "heir.yaml", "heir.yaml", find), CHECKS, CATALOGUES
    )


@pytest.mark.parametrize("pins", [None, PINNING, PINNING.replace("100", "200")])
def test_an_heir_keeps_its_parents_pins_or_pins_more(pins: str | None) -> None:
    assert heir(pins).pins.evaluation == (DIGEST,)


@pytest.mark.parametrize(
    "pins",
    [
        "{}",
        PINNING.replace("100", "99"),
        PINNING.replace("0.4", "0.2"),
        PINNING.replace("settings: {task.threshold: 0.4}", "sets: [other]"),
        PINNING.replace(f"'{DIGEST}'", f"'{DIGEST}', 'sha256:{'cd' * 32}'"),
        PINNING.replace(f"evaluation: ['{DIGEST}'], ", ""),
    ],
)
def test_an_heir_does_not_take_a_pin_back_without_a_reason(pins: str) -> None:
    with pytest.raises(PolicyError, match="this asks less"):
        heir(pins)
