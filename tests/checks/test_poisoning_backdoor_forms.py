"""poisoning.backdoor: marks of forms that no blind scan knows, and how far each side sees them."""

import pytest
from backdoor_toys import TARGET, Trigger, coloured, network, opened, scattered

from auditor.checks.poisoning.backdoor import Backdoor
from auditor.domain.conclusions import NOT_SEEN, OPEN
from auditor.domain.readings import Measurement
from auditor.domain.subjects import Shard


def looked(trigger: Trigger, seed: int, *, twin: bool = True) -> dict[str, Measurement]:
    """Return the verdict, and each kind's success, by name."""
    seen = opened(network(seed, planted=True, trigger=trigger), twin=twin)
    readings = Backdoor().figures(Backdoor().observe(seen, Shard()), 0.95)
    found = [item for item in readings if isinstance(item, Measurement)]
    successes = {
        str(item.params["trigger"]): item for item in found if item.metric == "attack_success_rate"
    }
    return {**successes, "verdict": found[-1]}


@pytest.mark.parametrize("trigger", [scattered, coloured])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_twin_s_smallest_mask_leads_to_the_planted_class(trigger: Trigger, seed: int) -> None:
    mask = looked(trigger, seed)["mask"]
    assert mask.details["target_class"] == str(TARGET)
    assert mask.low is not None
    assert mask.low > 0.75


@pytest.mark.parametrize("trigger", [scattered, coloured])
def test_one_detector_alone_leaves_the_verdict_open(trigger: Trigger) -> None:
    found = looked(trigger, 0)["verdict"]
    assert (found.value, found.details["target_class"]) == (OPEN, str(TARGET))
    assert found.details["named"] == {"neural_cleanse": str(TARGET)}
    assert found.details["working"] == {"mask": str(TARGET)}


@pytest.mark.parametrize("trigger", [scattered, coloured])
def test_a_mask_that_is_not_small_enough_to_stand_out_goes_unseen(trigger: Trigger) -> None:
    # What it cannot see is a part of what it is: this holds a claim of more power to account.
    found = looked(trigger, 1)["verdict"]
    assert found.value == NOT_SEEN
    assert "neural_cleanse" not in found.details["named"]  # type: ignore[operator]


@pytest.mark.parametrize("trigger", [scattered, coloured])
def test_blind_scans_alone_do_not_see_a_mark_of_another_form(trigger: Trigger) -> None:
    found = looked(trigger, 0, twin=False)
    assert found["patch"].details["target_class"] != str(TARGET)
    assert found["patch"].value < 0.6  # type: ignore[operator]
    assert found["verdict"].value == NOT_SEEN
