import numpy as np
import pytest

from auditor.attacks.poisoning.training_scan import LOW, ClassScale, SuspicionScores
from auditor.metrics.stats.proportions import clopper_pearson

NONE = np.empty(0)


def scored(poison: int, seed: int = 0, away: float = 9.0) -> SuspicionScores:
    rng = np.random.default_rng(seed)
    training = np.concatenate((rng.normal(away, 1, poison), rng.normal(size=1000 - poison)))
    return SuspicionScores(training, rng.normal(size=400), NONE)


def test_rows_far_beyond_all_trusted_ones_are_shown_and_named() -> None:
    found = scored(40)
    assert found.p_value() < 1e-4
    named = found.named(0.1)
    assert named[:40].all()
    assert named[40:].sum() <= 10
    precision = found.precision(named, 0.95)
    assert precision.low <= named[:40].sum() / named.sum() <= precision.high
    beyond = int((found.trusted >= found.training[named].min()).sum())
    rate = clopper_pearson(beyond, 400, 0.95)
    assert precision.low == pytest.approx(max(0, 1 - 1000 * rate.high / named.sum()))


def test_the_same_law_on_both_sides_shows_nothing() -> None:
    found = [scored(0, seed).p_value() for seed in range(100)]
    assert min(found) > 0.001
    assert not any(scored(0, seed).differs() for seed in range(100))


def test_a_whole_that_lies_higher_differs() -> None:
    rng = np.random.default_rng(1)
    assert SuspicionScores(rng.normal(1, 1, 500), rng.normal(size=300), NONE).differs()


def test_more_trusted_rows_show_less_and_planted_scores_that_hide_show_nothing() -> None:
    rng = np.random.default_rng(2)
    training = rng.normal(size=1000)
    few, many = (
        SuspicionScores(training, rng.normal(size=size), NONE).least_share(0.001)
        for size in (100, 2000)
    )
    assert few is not None
    assert many is not None
    assert many < few
    hidden = SuspicionScores(training, rng.normal(size=400), np.full(400, -1.0))
    assert hidden.least_share(0.001) is None


def test_poison_of_the_least_share_is_shown() -> None:
    share = scored(0).least_share(0.01)
    assert share is not None
    assert scored(round(share * 1000), away=50.0).p_value() <= 0.02


def test_rows_without_a_score_are_never_named() -> None:
    found = scored(40)
    training = np.where(np.arange(1000) < 10, -np.inf, found.training)
    part = SuspicionScores(training, found.trusted, NONE)
    assert not part.named(0.2)[:10].any()
    assert (part.chances()[:10] == 1).all()


def test_a_yardstick_moves_little_where_half_of_a_class_is_poison() -> None:
    rng = np.random.default_rng(3)
    clean = rng.normal(size=400)
    mixed = np.concatenate((clean, np.full(400, 30.0)))
    labels = np.zeros(800, dtype=np.int64)
    stick = ClassScale.of(mixed, labels, np.ones(800, dtype=np.bool_), 1)
    assert LOW == (0.05, 0.25)
    assert stick.middle[0] == pytest.approx(np.quantile(clean, 0.5), abs=0.05)
    told = stick.measure(mixed, labels, np.ones(800, dtype=np.bool_))
    assert told[400:].min() > 15
    assert np.isneginf(stick.measure(mixed, labels, np.zeros(800, dtype=np.bool_))).all()
