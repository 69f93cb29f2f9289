"""hardware.sponge and hardware.timing_leak: planted slow rows, and models that take the same."""

from pathlib import Path

import numpy as np
import pytest
from benched_subjects import ABSENT, BOX, FEATURES, benched, linear, looping, rows
from numpy.typing import ArrayLike
from scored_subjects import ends, measured, read

from auditor.checks.hardware.sponge import CHECK as SPONGE
from auditor.checks.hardware.timing_leak import CHECK as LEAK
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.checks import is_attack, is_timing
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.model_instrumentation import NO_BENCH
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats
from auditor.metrics.hardware.sponge_examples import (
    SearchSpace,
    SpongeSearchBudget,
    search_slow_inputs,
)

OF_CLASS, OF_CORRECT = {"secret": "class"}, {"secret": "correct"}
FEW = {"population": 16, "rounds": 3, "repeats": 15}


def calm(count: int = 120) -> Array:
    """Rows none of which takes the long way."""
    found = rows(count)
    found[:, 1] *= 0.4
    return found


@pytest.mark.slow
def test_a_loop_whose_trips_depend_on_the_input_is_found(tmp_path: Path) -> None:
    artifact = looping(tmp_path, 3000)
    with benched(tmp_path, artifact, calm()) as subject:
        check = SPONGE(**FEW)
        seen = check.observe(subject, None)
        found = read(check, subject)
    ratio = measured(found, "worst_to_median_latency")
    assert ratio.value > 3
    assert ends(ratio)[0] > 2
    assert ratio.details["p_value"] < 0.01
    assert ratio.details["searched"] is True
    assert seen["winner"][1] > 0.5, "the row that was found takes the long way"
    assert measured(found, "worst_latency").value > 0


def test_a_model_that_always_takes_the_same_has_no_sponge(tmp_path: Path) -> None:
    with benched(tmp_path, linear(tmp_path), calm()) as subject:
        found = read(SPONGE(**FEW), subject)
    ratio = measured(found, "worst_to_median_latency")
    assert ends(ratio)[0] < 1.5


@pytest.mark.slow
def test_without_a_space_only_rows_of_the_data_are_looked_at(tmp_path: Path) -> None:
    inputs = calm()
    inputs[17, 1] = 0.9
    with benched(tmp_path, looping(tmp_path, 3000), inputs, space=ABSENT) as subject:
        check = SPONGE(population=120, rounds=3, repeats=15)
        seen = check.observe(subject, None)
    assert seen["about"]["searched"] is False
    assert seen["about"]["row"] == subject.datasets[DatasetRole.EVALUATION].ids[17]
    assert "winner" not in seen, "a row of the data is named, and not kept"


@pytest.mark.slow
def test_a_leaking_time_is_told_from_an_honest_one(tmp_path: Path) -> None:
    """In the planted model the slow rows are exactly those that are decided as class 1."""
    inputs = calm()
    inputs[inputs[:, 0] > 0, 1] = 0.9
    labels = np.arange(len(inputs)) % 2
    with benched(tmp_path, looping(tmp_path, 1500), inputs, labels) as subject:
        found = read(LEAK(rows=80, repeats=5), subject)
    leak = measured(found, "advantage", **OF_CLASS)
    assert leak.value > 0.9
    assert ends(leak)[0] > 0.5
    assert leak.details["p_value"] <= 0.002
    apart = measured(found, "median_difference", **OF_CLASS)
    slow = leak.details["kind"] == "1"
    assert (ends(apart)[0] > 0) if slow else (ends(apart)[1] < 0)
    right = [item for item in found if isinstance(item, Gap)]
    assert {item.params["secret"] for item in right} == {"correct"}, "no decision is wrong"


def leak_evidence(taken: ArrayLike, kinds: ArrayLike, correct: ArrayLike) -> Evidence:
    kinds = np.asarray(kinds)
    return {
        "gap": None,
        "ids": np.arange(len(kinds)).astype(str),
        "taken": np.asarray(taken, dtype=np.float64),
        "class": kinds,
        "correct": np.asarray(correct),
        "half": np.random.default_rng(9).permutation(len(kinds)) % 2,
        "about": {"classes": ["a", "b"], "labelled": True, "seed": 3},
    }


@pytest.mark.slow
def test_times_that_know_nothing_give_no_advantage() -> None:
    """Over 40 draws of pure noise, the interval of the gain holds 0, and p is no smaller than
    chance has it.
    """
    rng = np.random.default_rng(5)
    small, beyond = 0, 0
    for _ in range(40):
        kinds = rng.integers(2, size=120)
        times = rng.exponential(size=(3, 120)) + 1
        seen = leak_evidence(times, kinds, rng.integers(2, size=120))
        found = LEAK().figures(seen, 0.95)
        leak = measured(found, "advantage", **OF_CLASS)
        small += leak.details["p_value"] < 0.05
        beyond += not leak.low <= 0 <= leak.high
    assert small <= 6
    assert beyond <= 4


def test_right_decisions_that_are_faster_are_told() -> None:
    rng = np.random.default_rng(5)
    correct = np.arange(200) % 4 > 0
    times = np.where(correct, 1.0, 1.5) + rng.exponential(size=(5, 200)) * 0.1
    seen = leak_evidence(times, rng.integers(2, size=200), correct.astype(int))
    leak = measured(LEAK().figures(seen, 0.95), "advantage", **OF_CORRECT)
    assert leak.value > 0.9
    assert leak.details["kind"] in {"right", "wrong"}


def test_without_a_bench_both_are_gaps(tmp_path: Path) -> None:
    with benched(tmp_path, linear(tmp_path), calm()) as subject:
        subject.bench = NO_BENCH
        for check in (SPONGE(**FEW), LEAK()):
            (gap,) = read(check, subject)
            assert isinstance(gap, Gap)
            assert gap.reason is GapReason.UNSUPPORTED


@pytest.mark.parametrize("check", [SPONGE, LEAK])
def test_both_are_attacks_and_speak_of_time(check: type) -> None:
    assert is_attack(check)
    assert is_timing(check)


def test_a_search_climbs_to_the_slowest_corner() -> None:
    """A known answer: the time is the sum of the features, so the upper corner is the worst."""
    base = np.zeros((20, FEATURES), dtype=np.float32)

    def take(crowd: Array) -> Floats:
        total: Floats = crowd.astype(np.float64).sum(axis=1)
        return total

    space = SearchSpace.of(BOX, base)
    found = search_slow_inputs(
        base, space, take, SpongeSearchBudget(30, 6), np.random.default_rng(0)
    )
    assert found[0].tolist() == [4.0, 1.0, 1.0, 1.0]


def test_what_may_not_move_stays_and_steps_are_kept() -> None:
    base = np.full((6, FEATURES), 0.5, dtype=np.float32)
    fixed = SearchSpace(
        BOX.low, BOX.high, np.array([0.0, 0.25, 0.25, 0.25]),
        np.array([True, True, False, True]), base.dtype,
    )  # fmt: skip
    found = search_slow_inputs(
        base, fixed, lambda crowd: crowd.sum(axis=1).astype(float), SpongeSearchBudget(20, 3),
        np.random.default_rng(1),
    )  # fmt: skip
    assert (found[:, 2] == 0.5).all()
    assert ((found[:, [1, 3]] * 4) % 1 == 0).all()
    assert ((found >= BOX.low) & (found <= BOX.high)).all()


@pytest.mark.parametrize("budget", list(Budget))
@pytest.mark.parametrize("check", [SPONGE, LEAK])
def test_costs_cover_what_is_asked(budget: Budget, check: type, tmp_path: Path) -> None:
    made = check(**check.presets[budget])
    assert made.cost(AuditSize(5000, 2)).queries > made.repeats
    if budget is Budget.SMOKE:
        with benched(tmp_path, linear(tmp_path), calm()) as subject:
            made.observe(subject, None)
            assert subject.bench.queries <= made.cost(AuditSize(120, 2)).queries
