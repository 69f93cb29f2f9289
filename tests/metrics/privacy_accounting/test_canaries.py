"""Canaries among rows, and the hook that writes them into gradients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from private_training import PrivateTraining

from auditor.errors import RecipeError
from auditor.metrics.privacy_accounting.canaries import (
    LOUD,
    NOBODY,
    CanaryHook,
    CanaryScores,
    DpRecipe,
    canary_auc,
    plant_canaries,
    score_by_confidence,
    score_by_gradients,
)
from auditor.metrics.privacy_accounting.canary_readings import (
    BLACK,
    CanaryRun,
    IdealCanaries,
    describe_power,
    read_canary_run,
    write_canary_run,
)

ROWS = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
LABELS = np.arange(300) % 3
DATA = (ROWS, LABELS)


@given(st.integers(2, 250), st.integers(250, 900), st.integers(0, 99))
def test_filled_data_has_as_many_records_as_are_claimed(
    canaries: int, records: int, seed: int
) -> None:
    planted = plant_canaries(DATA, canaries, records, seed, filled=True)
    assert len(planted.labels) == len(planted.inputs) == len(planted.canary) == records
    inside = planted.canary[planted.canary != NOBODY]
    assert sorted(inside) == list(np.flatnonzero(planted.included))


def test_canaries_come_in_by_a_fair_coin_each_and_lie_at_the_corners_of_the_data() -> None:
    planted = plant_canaries(DATA, 1000, 1200, 3, filled=False)
    assert planted.included.mean() == pytest.approx(0.5, abs=0.06)
    assert planted.rows.dtype == ROWS.dtype
    corners = (planted.rows == ROWS.min(axis=0)) | (planted.rows == ROWS.max(axis=0))
    assert corners.all()
    assert set(planted.classes) == {0, 1, 2}
    where = planted.canary != NOBODY
    assert (planted.inputs[where] == planted.rows[planted.canary[where]]).all()
    assert (planted.labels[where] == planted.classes[planted.canary[where]]).all()


def test_the_same_seed_plants_the_same_and_another_seed_others() -> None:
    first, again = (plant_canaries(DATA, 50, 300, 3, filled=True) for _ in range(2))
    assert (first.inputs == again.inputs).all()
    assert (first.included != plant_canaries(DATA, 50, 300, 4, filled=True).included).any()


def test_who_is_in_has_nothing_to_do_with_what_training_draws_from_the_same_seed() -> None:
    planted = plant_canaries(DATA, 1000, 1200, 3, filled=True)
    rng = np.random.default_rng(3)
    agreeing = [(rng.random(1000) < 0.5) == planted.included for _ in range(60)]
    assert np.mean(agreeing, axis=1) == pytest.approx(0.5, abs=0.08)


def test_the_hook_gives_each_canary_a_coordinate_of_its_own_and_no_other() -> None:
    hook = CanaryHook({"canary": np.array([NOBODY, 1, NOBODY, 0])}, {"canaries": 2, "rate": 0.5})
    joined = hook.join(np.ones((3, 4)), np.array([0, 1, 3]))
    assert joined[0].tolist() == [1, 1, 1, 1, 0, 0]
    assert joined[1].tolist() == [0, 0, 0, 0, 0, LOUD]
    assert joined[2].tolist() == [0, 0, 0, 0, LOUD, 0]


def test_the_hook_sums_up_what_it_is_told_of_steps() -> None:
    hook = CanaryHook({"canary": np.array([NOBODY])}, {"canaries": 2, "rate": 0.5})
    hook.saw(np.array([1.0, -1.0]), 7)
    first = hook.seen()["scores"]
    hook.saw(np.array([-1.0, 3.0]), 3)
    seen = hook.seen()
    assert first[0] > first[1]
    assert seen["scores"][0] < seen["scores"][1]
    assert (seen["steps"].tolist(), seen["drawn"].tolist()) == ([2], [10])


def test_without_noise_the_sums_tell_every_canary() -> None:
    planted = plant_canaries(DATA, 100, 300, 5, filled=True)
    recipe = PrivateTraining(noise=1e-9, rate=0.1, steps=200)
    assert isinstance(recipe, DpRecipe)
    seen = score_by_gradients(recipe, "dp_train", planted, 5, 0.1)
    assert canary_auc(seen.scores, planted.included) == 1
    assert seen.steps == 200
    assert seen.drawn == pytest.approx(200 * 30, rel=0.05)


def test_a_private_training_that_returns_other_things_is_refused() -> None:
    planted = plant_canaries(DATA, 100, 300, 5, filled=True)
    with pytest.raises(RecipeError, match="no scores of 100 canaries"):
        score_by_gradients(PrivateTraining(silent=True), "dp_train", planted, 5, 0.1)


@pytest.mark.parametrize("untold", ["steps", "drawn"])
def test_a_hook_that_was_told_nothing_is_refused_with_the_cure(untold: str) -> None:
    class Untold(PrivateTraining):
        def call(self, *asked: Any) -> Mapping[str, NDArray[Any]]:  # noqa: ANN401 -- of DpRecipe
            return {**super().call(*asked), untold: np.array([0])}

    planted = plant_canaries(DATA, 100, 300, 5, filled=True)
    with pytest.raises(RecipeError, match="saw nothing of the canaries") as raised:
        score_by_gradients(Untold(rate=0.1, steps=3), "dp_train", planted, 5, 0.1)
    assert "hook.attach" in raised.value.cure


@pytest.mark.parametrize(("noise", "rate", "steps"), [(1.0, 0.0356, 560), (0.5, 0.3, 4)])
def test_the_separation_that_noise_gives_is_that_of_simulated_canaries(
    noise: float, rate: float, steps: int
) -> None:
    told = IdealCanaries(40_000, noise, rate, steps).told(1.0)
    drawn = canary_auc(*told.scores(40_000, np.random.default_rng(0)))
    assert told.separation == pytest.approx(drawn, abs=0.01)


def test_a_plain_recipe_is_asked_for_all_canaries_at_once() -> None:
    planted = plant_canaries(DATA, 40, 300, 5, filled=False)
    recipe = PrivateTraining(rate=0.1, steps=50)
    seen = score_by_confidence(recipe, planted, 5)
    assert seen.scores.shape == (40,)
    assert np.isfinite(seen.scores).all()
    assert len(recipe.lessons) == 1


def test_a_run_survives_as_evidence() -> None:
    planted = plant_canaries(DATA, 40, 300, 5, filled=True)
    seen = CanaryScores(np.arange(40.0))
    trial = read_canary_run(write_canary_run(BLACK, planted, seen, 5))
    assert isinstance(trial, CanaryRun)
    assert (trial.mode, trial.records, trial.steps, trial.drawn) == (BLACK, 300, 0, 0)
    assert (trial.scores == seen.scores).all()


@pytest.mark.parametrize(
    ("factor", "words"),
    [(4.0, "4 times"), (np.inf, "without any noise"), (None, "not even")],
)
def test_power_is_said_in_words(factor: float | None, words: str) -> None:
    assert words in describe_power(factor, "white-box")
    assert "unknown" in describe_power(factor, BLACK)
