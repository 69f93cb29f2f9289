"""Model extraction: a linear target is copied, and mixtures are made of two parents."""

import numpy as np
from evasion_toys import linear
from hypothesis import given
from hypothesis import strategies as st

from auditor.attacks.evasion.losses import softmax
from auditor.attacks.privacy.model_extraction import (
    MIXUP,
    STRATEGIES,
    CopyAgreement,
    ExtractionPlan,
    decide_copies,
    make_queries,
    train_copies,
)
from auditor.domain.tasks import FeatureKind, InputFeature


def test_a_linear_target_is_copied_from_its_answers() -> None:
    rng = np.random.default_rng(0)
    _, _, weights, bias = linear(1, 6, 3)
    pool, held = rng.random((300, 6)), rng.random((500, 6))
    asked = make_queries(pool, 300, STRATEGIES, (), rng)
    answers = softmax(asked.rows @ weights + bias)
    plan = ExtractionPlan.of(asked, STRATEGIES, (30, 300))
    said = decide_copies(
        train_copies(asked, answers, plan.include(asked), 1), held, lambda p: p.argmax(axis=1)
    )
    right = (said == (held @ weights + bias).argmax(axis=1)).mean(axis=1)
    assert plan.cells == (("knockoff", 30), ("knockoff", 300), ("mixup", 30), ("mixup", 300))
    assert right[1] > 0.93
    assert right[1] >= right[0]


@given(st.integers(2, 40), st.integers(1, 60), st.integers(0, 99))
def test_a_mixture_lies_between_its_parents_and_bears_both_labels(
    rows: int, most: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pool, labels = rng.random((rows, 3)), rng.integers(0, 4, rows)
    asked = make_queries(pool, most, STRATEGIES, (), rng)
    low, high = pool[asked.parents].min(axis=1), pool[asked.parents].max(axis=1)
    assert ((low - 1e-12 <= asked.rows) & (asked.rows <= high + 1e-12)).all()
    told = asked.labels(labels, 4)
    assert np.allclose(told.sum(axis=1), 1)
    assert len(asked.of[MIXUP]) == most
    assert len(set(asked.of[MIXUP].tolist())) == most
    natural = asked.share == 1
    assert (told[natural].argmax(axis=1) == labels[asked.parents[natural, 0]]).all()


def test_fewer_queries_are_the_first_of_more() -> None:
    rng = np.random.default_rng(0)
    asked = make_queries(rng.random((50, 2)), 40, STRATEGIES, (), rng)
    plan = ExtractionPlan.of(asked, STRATEGIES, (10, 40))
    few, many = plan.include(asked)[2:]
    assert few.sum() == 10
    assert (many >= few).all()


def test_codes_of_a_table_are_never_mixed() -> None:
    rng = np.random.default_rng(0)
    features = (
        InputFeature("x"),
        InputFeature("code", FeatureKind.CATEGORICAL, categories=(0.0, 5.0)),
    )
    pool = np.stack([rng.random(30), rng.choice([0.0, 5.0], 30)], axis=1)
    asked = make_queries(pool, 60, STRATEGIES, features, rng)
    assert set(np.unique(asked.rows[:, 1])) == {0.0, 5.0}


def test_a_budget_beyond_the_natural_rows_has_no_knockoff() -> None:
    rng = np.random.default_rng(0)
    asked = make_queries(rng.random((20, 2)), 60, STRATEGIES, (), rng)
    assert ExtractionPlan.of(asked, STRATEGIES, (20, 60)).cells == (
        ("knockoff", 20),
        ("mixup", 20),
        ("mixup", 60),
        ("knockoff", 20),
    ), "all natural rows are taught once more, to be compared with"


def test_a_gain_is_what_answers_give_beyond_labels() -> None:
    answers, labels = np.arange(100) < 90, np.arange(100) < 60
    copy = CopyAgreement("mixup", 10, answers, labels, None)
    gain = copy.gain(0.95, 1)
    assert gain is not None
    assert gain.value == 0.3
    assert gain.low > 0.15
    wide = copy.gain(0.95, 8)
    assert wide is not None
    assert wide.low < gain.low
    assert CopyAgreement("mixup", 10, answers, None, None).gain(0.95, 1) is None
