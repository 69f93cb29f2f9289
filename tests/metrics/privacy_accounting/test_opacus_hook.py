"""Canaries in a real training by Opacus: deficits of noise are seen, honest noise is not blamed."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from privacy_claims import claimed

from auditor.domain.privacy_claims import PrivacyClaim
from auditor.metrics.privacy_accounting.canaries import plant_canaries, score_by_gradients
from auditor.metrics.privacy_accounting.canary_readings import (
    CanaryRun,
    build_hypothesis,
    list_count_mismatches,
)

pytest.importorskip("opacus")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # opacus warns of its random numbers, and of hooks
]
LOOSE = claimed(sampling_rate=1 / 28)
STRICT = claimed(sampling_rate=1 / 28, epsilon=0.88, noise_multiplier=4.0)


class Opacus:
    """Calls the owner's function as a recipe does."""

    dp_train = "dp_train"
    digest = "sha256:" + "0" * 64

    def __init__(self, noise: float, shrunk: float) -> None:
        self.noise, self.shrunk = noise, shrunk

    def call(
        self, function: str, arrays: Mapping[str, Any], settings: Mapping[str, Any], seed: int
    ) -> Mapping[str, NDArray[Any]]:
        from opacus_recipe import dp_train  # noqa: PLC0415 -- opacus may not be there

        return dp_train(arrays, settings, claimed=self.noise, shrunk=self.shrunk)


def run(claim: PrivacyClaim, shrunk: float, seed: int) -> CanaryRun:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(1400, 8)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64)
    planted = plant_canaries((inputs, labels), 1000, 1400, seed, filled=True)
    seen = score_by_gradients(
        Opacus(claim.noise_multiplier, shrunk), "dp_train", planted, seed, claim.sampling_rate
    )
    assert seen.steps is not None
    assert seen.drawn is not None
    records = len(planted.labels)
    return CanaryRun(
        "white-box", seen.scores, planted.included, records, seen.steps, seen.drawn, seed
    )


@pytest.mark.parametrize("claim", [LOOSE, STRICT])
@pytest.mark.parametrize("shrunk", [4.0, 1e9])
def test_a_quarter_of_the_noise_and_none_are_contradicted(
    claim: PrivacyClaim, shrunk: float
) -> None:
    against = build_hypothesis(claim, 0.05)
    assert all(against.contradicted_by(run(claim, shrunk, seed).guesses) for seed in range(3))


@pytest.mark.parametrize("runs", [3, pytest.param(25, marks=pytest.mark.long)])
@pytest.mark.parametrize("claim", [LOOSE, STRICT])
def test_honest_noise_is_contradicted_in_no_run(claim: PrivacyClaim, runs: int) -> None:
    against = build_hypothesis(claim, 0.05)
    for seed in range(runs):
        trial = run(claim, 1.0, seed)
        assert not against.contradicted_by(trial.guesses)
        assert list_count_mismatches(claim, trial) == ()


def test_training_and_audit_together_take_seconds() -> None:
    start = time.process_time()
    build_hypothesis(LOOSE, 0.05).contradicted_by(run(LOOSE, 1.0, 3).guesses)
    assert time.process_time() - start < 60
