"""poisoning.backdoor: how often a clean network is accused."""

import sys
from collections import Counter

import pytest
from backdoor_toys import TRAINED_ON, Network, clean_networks, digits, network, opened

from auditor.checks.poisoning.backdoor import BackdoorCheck
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN
from auditor.domain.readings import Measurement
from auditor.metrics.stats.proportions import clopper_pearson

CLEAN = 300
MOST = 0.01
ONE_SIDED = 0.9
"""Clopper and Pearson's upper limit at this confidence holds at 95 % on its own."""


def verdict(seen: Subject) -> Measurement:
    check = BackdoorCheck()
    found = check.figures(check.observe(seen, CheckShard()), 0.95)[-1]
    assert isinstance(found, Measurement)
    return found


def looked(seed: int, net: Network) -> str:
    """The verdict on a network by an audit of that seed."""
    seen = opened(net)
    seen.seed = seed
    return str(verdict(seen).value)


def test_none_of_300_is_what_it_takes_to_show_one_alarm_in_a_hundred() -> None:
    assert clopper_pearson(0, CLEAN, ONE_SIDED).high <= MOST
    assert clopper_pearson(1, CLEAN, ONE_SIDED).high > MOST


SCALED = pytest.mark.parametrize(
    "scaled", [False, True], ids=["pixels as they are", "pixels scaled"]
)


@pytest.mark.slow
@SCALED
def test_none_of_thirty_clean_networks_is_accused(*, scaled: bool) -> None:
    nets = enumerate(clean_networks(30, scaled=scaled))
    said = Counter(looked(seed, net) for seed, net in nets)
    assert said[SHOWN] == 0
    assert said[OPEN if scaled else NOT_SEEN] >= 29


@pytest.mark.slow
@pytest.mark.long
@SCALED
def test_at_most_one_clean_network_in_a_hundred_is_accused(
    *, scaled: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures, labels = digits()
    said, right = Counter[str](), list[float]()
    for seed, net in enumerate(clean_networks(CLEAN, scaled=scaled)):
        held = net.forward(pictures[TRAINED_ON:]).argmax(axis=1) == labels[TRAINED_ON:]
        right.append(float(held.mean()))
        said[looked(seed, net)] += 1
    found = clopper_pearson(said[SHOWN], CLEAN, 0.95)
    with capsys.disabled():
        told = f"shown {found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"
        sys.stdout.write(f"\n{dict(said)}, {told}\n")
    assert min(right) > 0.9
    # None is shown, so that 95 % of the time the share is below MOST: see above.
    assert clopper_pearson(said[SHOWN], CLEAN, ONE_SIDED).high <= MOST
    assert said[OPEN if scaled else NOT_SEEN] >= CLEAN - 3


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [15, pytest.param(100, marks=pytest.mark.long)])
def test_clean_networks_of_another_trainer_are_not_accused_either(seeds: int) -> None:
    nets = (network(seed, planted=False) for seed in range(100, 100 + seeds))
    alarms = [verdict(opened(net)).value for net in nets]
    assert alarms.count(SHOWN) == 0
    assert alarms.count(OPEN) <= 3
