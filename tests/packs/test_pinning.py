"""What a policy pins is read strictly, explained, and never taken back by an heir unnoticed."""

import pytest
from pack_cases import CATALOGUES, CHECKS, HEAD, RULE, loaded, written

from auditor.domain.pins import Pins
from auditor.errors import PolicyError
from auditor.packs.explaining import explain

DIGEST = "sha256:" + "ab" * 32


def pinned(pins: str) -> Pins:
    return loaded(written(RULE, head=HEAD.replace("owner:", f"pins: {pins}, owner:"))).pins


def test_a_policy_pins_nothing_unless_it_says_so() -> None:
    assert loaded(written(RULE)).pins == Pins()


def test_pins_are_read() -> None:
    found = pinned(f"{{evaluation: ['{DIGEST}'], least_rows: 9, settings: {{task.costs: {{}}}}}}")
    assert found == Pins(evaluation=(DIGEST,), least_rows=9, settings={"task.costs": {}})


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
    said = [text for part in explain(policy, CHECKS, CATALOGUES) for _, text in part.said]
    assert any("which of their columns are the labels" in text for text in said) is told
