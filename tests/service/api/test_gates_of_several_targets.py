"""A gate that is asked of no target opens where the newest record on every target opens it."""

import pytest
from served_worlds import World
from several_targets import Fleet, failed

pytestmark = pytest.mark.slow


@pytest.fixture
def fleet(apart: World) -> Fleet:
    return Fleet(apart)


def test_what_passed_on_one_target_does_not_excuse_what_failed_on_another(fleet: Fleet) -> None:
    on_cpu = fleet.audits("cpu", bad=True)
    on_npu = fleet.audits("npu")
    assert fleet.asks("npu").open
    answer = fleet.asks()
    assert (answer.open, failed(answer)) == (False, {"verdict on cpu"})
    assert answer.submission == on_cpu
    (found,) = [it for it in answer.steps if it.name == "found on npu"]
    assert on_npu in found.detail


def test_a_gate_of_all_targets_opens_by_the_newest_record_on_each(fleet: Fleet) -> None:
    fleet.audits("cpu", "npu", bad=True)
    fleet.audits("cpu")
    assert failed(fleet.asks()) == {"verdict on npu"}
    fleet.audits("npu")
    answer = fleet.asks()
    assert answer.open, answer.steps
    assert {"verdict on cpu", "verdict on npu"} <= {it.name for it in answer.steps}


def test_a_gate_of_one_target_names_its_steps_as_ever(fleet: Fleet) -> None:
    fleet.audits("cpu")
    answer = fleet.asks()
    assert answer.open
    assert "verdict" in {it.name for it in answer.steps}
