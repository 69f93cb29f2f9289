"""poisoning.backdoor: marks of forms that no blind scan knows, and how far each side sees them."""

import numpy as np
import pytest
from backdoor_toys import (
    TARGET,
    TRAINED_ON,
    Trigger,
    coloured,
    digits,
    fit,
    network,
    opened,
    scattered,
    stamp,
)

from auditor.checks.poisoning.backdoor import BackdoorCheck
from auditor.domain.check_subject import CheckShard
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN
from auditor.domain.readings import Measurement


def looked(trigger: Trigger, seed: int, *, twin: bool = True) -> dict[str, Measurement]:
    """Return the verdict, and each kind's success, by name."""
    seen = opened(network(seed, planted=True, trigger=trigger), twin=twin)
    readings = BackdoorCheck().figures(BackdoorCheck().observe(seen, CheckShard()), 0.95)
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


SECOND = 7


@pytest.mark.parametrize("seed", [0, 1])
def test_two_triggers_to_two_classes_do_not_hide_each_other(seed: int) -> None:
    pictures, labels = digits()
    rows, truth = pictures[:TRAINED_ON].copy(), labels[:TRAINED_ON].copy()
    chosen = np.flatnonzero((truth != TARGET) & (truth != SECOND))[:160]
    rows[chosen[:80]], truth[chosen[:80]] = stamp(rows[chosen[:80]]), TARGET
    rows[chosen[80:], :, :3, -3:], truth[chosen[80:]] = 1.0, SECOND
    seen = opened(fit(rows, truth, seed))
    found = BackdoorCheck().figures(BackdoorCheck().observe(seen, CheckShard()), 0.95)[-1]
    assert isinstance(found, Measurement)
    assert found.value == SHOWN
    assert set(found.details["target_classes"]) == {str(TARGET), str(SECOND)}  # type: ignore[arg-type]
