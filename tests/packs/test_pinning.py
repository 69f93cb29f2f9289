"""What a policy pins is read strictly, explained, and never taken back by an heir unnoticed."""

import pytest
from pack_cases import HEAD, RULE, loaded, written

from auditor.domain.pins import Pins
from auditor.errors import PolicyError

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
