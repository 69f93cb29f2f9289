"""Member proximity: what a permutation test says of pools whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.privacy.model_inversion_evaluation import (
    NEAREST,
    InversionJudge,
    InversionSample,
    InversionSplit,
    ProximityPool,
    ReconstructionGain,
    ReconstructionProximity,
    draw_class_means,
    draw_class_rows,
)

CLASSES = 5


def sample(seed: int, each: int, width: int = 6, shift: float = 0.0) -> InversionSample:
    """Rows of classes that stand apart."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), each)
    rows = rng.normal(size=(len(labels), width)) + 4 * np.eye(CLASSES, width)[labels] + shift
    return InversionSample(rows, labels, np.array([f"{seed}-{at}" for at in range(len(labels))]))


def pool(each: int = 20, shift: float = 0.0) -> ProximityPool:
    taken = InversionSplit(
        sample(1, each),
        sample(2, each),
        sample(3, each, shift=shift),
        sample(4, each),
        clustered=False,
    )
    return ProximityPool.of(taken, np.arange(CLASSES))


def nearness(seen: ProximityPool, made: np.ndarray, aims: np.ndarray) -> ReconstructionProximity:
    near, away = seen.nearest(made, aims)
    return ReconstructionProximity.of(near, away, seen.members, seen.classes)


def test_copies_of_members_are_nearest_to_members() -> None:
    seen = pool()
    ours = np.flatnonzero(seen.members)[::2]
    found = nearness(seen, seen.rows[ours] + 1e-6, seen.classes[ours])
    assert found.advantage(0.95, 1).value == 1
    assert found.test(999, 1).nearer == pytest.approx(0.001)
    assert found.details()["nearest_member"] < 1e-4


def test_rows_that_know_nothing_of_the_pool_are_near_to_either() -> None:
    """A short simulation: p-values are no smaller than chance makes them."""
    rng, said = np.random.default_rng(0), []
    for _ in range(300):
        taken = [
            InversionSample(
                rng.normal(size=(24, 3)), np.arange(24) % 2, np.array([str(i) for i in range(24)])
            )
            for _ in range(3)
        ]
        seen = ProximityPool.of(
            InversionSplit(taken[0], taken[0], taken[1], taken[2], clustered=False), np.arange(2)
        )
        aims = np.arange(6) % 2
        tested = nearness(seen, rng.normal(size=(6, 3)), aims).test(99, 1)
        said.append((tested.nearer, tested.farther))
    chances = np.array(said)
    for level in (0.05, 0.2):
        error = 3 * np.sqrt(level * (1 - level) / len(chances))
        assert (chances <= level).mean(axis=0).max() <= level + error
    assert 0.4 < chances[:, 0].mean() < 0.65


def test_a_shifted_sample_lies_farther_from_what_needs_no_model() -> None:
    seen = pool(shift=1.5)
    known = sample(9, 20)
    aims = np.repeat(np.arange(CLASSES), 4)
    made = draw_class_means(known, aims, np.random.default_rng(0))
    assert nearness(seen, made, aims).test(999, 1).nearer < 0.01


def test_ends_at_one_place_prove_no_more_than_one_of_them() -> None:
    seen = pool()
    ours = np.flatnonzero(seen.members)[:1]
    found = nearness(
        seen, np.repeat(seen.rows[ours], 50, axis=0), np.repeat(seen.classes[ours], 50)
    )
    assert found.distinct == (1, 1)
    assert found.advantage(0.95, 1).n == 1
    assert found.test(999, 1).smallest(0.01) == 1
    assert found.test(999, 1).nearer > 0.4


def rows_and_others(rows: int, seed: int = 1) -> ReconstructionProximity:
    """Reconstructions with two rows that are near, at distances of their own."""
    rng = np.random.default_rng(seed)
    near = rng.permutation(4 * rows)[: 2 * rows].reshape(rows, 2).astype(np.int32)
    away = np.sort(rng.uniform(1, 2, (rows, 2)), axis=1).astype(np.float32)
    members = rng.permutation(np.arange(4 * rows) % 2 == 0)
    return ReconstructionProximity(near, away, members, np.zeros(4 * rows, np.int64))


def test_the_least_advantage_shown_falls_with_the_rows() -> None:
    values = [rows_and_others(rows).test(1999, 1).smallest(0.01) for rows in (4, 10, 40, 200)]
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    assert values[1] > 0.5
    assert values[-1] < 0.35


def test_the_least_advantage_is_shown_by_this_very_test_four_times_in_five() -> None:
    found = rows_and_others(60)
    least = found.test(999, 1).smallest(0.01)
    rng, said = np.random.default_rng(3), []
    first = np.unique(found.near[:, 0])
    for _ in range(150):
        members = np.zeros(240, dtype=np.bool_)
        members[first] = rng.random(len(first)) < (1 + least) / 2
        rest = np.setdiff1d(np.arange(240), first)
        members[rng.permutation(rest)[: 120 - int(members.sum())]] = True
        drawn = ReconstructionProximity(found.near, found.away, members, found.classes)
        said.append(drawn.test(399, 2).nearer <= 0.01)
    error = 3 * np.sqrt(0.8 * 0.2 / len(said))
    assert abs(np.mean(said) - 0.8) < error + 0.02


@given(st.integers(1, 40), st.integers(0, 99))
def test_neighbours_are_of_the_same_class_and_sorted(each: int, seed: int) -> None:
    seen = pool(max(each, 2))
    aims = np.arange(CLASSES)
    near, away = seen.nearest(sample(seed, 1).inputs, aims)
    there = near >= 0
    assert (seen.classes[near[there]] == np.broadcast_to(aims[:, None], near.shape)[there]).all()
    assert (np.diff(np.where(np.isfinite(away), away, 1e9), axis=1) >= 0).all()
    assert there.sum(axis=1).tolist() == [min(NEAREST, 2 * max(each, 2))] * CLASSES


def test_the_judge_knows_its_classes_and_the_mean_looks_like_one() -> None:
    judge, known = InversionJudge.of(sample(1, 30), CLASSES, 3), sample(2, 30)
    aims = np.arange(CLASSES)
    assert judge.hits(known.inputs, known.labels).mean() > 0.9
    assert judge.hits(draw_class_means(known, aims, np.random.default_rng(0)), aims).all()
    assert (known.labels[draw_class_rows(known, aims, np.random.default_rng(0))] == aims).all()


def test_a_gain_is_over_the_better_baseline() -> None:
    hits, mean, row = (np.arange(10) < count for count in (9, 4, 7))
    aims = np.arange(10)
    gain = ReconstructionGain(hits, mean, row, aims).over_baseline(0.95, 1)
    assert gain.value == pytest.approx(0.2)
    assert ReconstructionGain(hits, row, mean, aims).over_baseline(0.95, 1).value == gain.value
    assert ReconstructionGain(hits, mean, row, aims).over_baseline(0.95, 6).low < gain.low


def test_starts_that_all_end_alike_in_a_class_prove_no_more_than_one() -> None:
    """A short simulation: an attack no better than its baseline, all or none of a class."""
    rng, covered, starts = np.random.default_rng(0), 0, 5
    aims = np.repeat(np.arange(10), starts)
    for _ in range(400):
        ours, theirs = (np.repeat(rng.random(10) < 0.5, starts) for _ in range(2))
        found = ReconstructionGain(ours, theirs, theirs, aims).over_baseline(0.95, 1)
        covered += found.low <= 0 <= found.high
    assert covered >= 0.93 * 400


def test_a_gain_that_all_classes_agree_on_counts_each_of_them_once() -> None:
    aims = np.repeat(np.arange(4), 50)
    every, none = np.ones(200, dtype=np.bool_), np.zeros(200, dtype=np.bool_)
    found = ReconstructionGain(every, none, none, aims).over_baseline(0.95, 1)
    assert (found.value, found.n) == (1, 200)
    assert found.low < 0.5
    one = ReconstructionGain(every, none, none, np.zeros(200, np.int64)).over_baseline(0.95, 1)
    assert (one.low, one.high) == (-1, 1)
