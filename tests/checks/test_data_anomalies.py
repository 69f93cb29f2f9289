from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import outcome
from scored_subjects import ABSENT, ends, gaps, measured, read, stored
from sklearn.datasets import load_digits
from surveyed_subjects import sample, surveyed

from auditor.checks.data.anomalies import CHECK, AnomalyCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import GapReason
from auditor.domain.tasks import FeatureKind, InputFeature, InputSpace
from auditor.metrics.stats.proportions import clopper_pearson


def table(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 5)) * [1, 10, 100, 0.1, 1]


def beside(ours: np.ndarray, theirs: np.ndarray) -> Subject:
    return surveyed(sample(ours), sample(theirs, role=DatasetRole.TRAINING))


def test_planted_strangers_are_found_and_counted() -> None:
    ours = table(400, 1)
    ours[:20] *= 8
    found = measured(read(AnomalyCheck(), beside(ours, table(2000, 2))), "anomaly_share")
    named = {int(name.removeprefix("e")) for name in found.details["worst_rows"]}
    assert len(named & set(range(20))) >= 18
    assert found.details["k"] <= 23
    oracle = clopper_pearson(int(found.details["k"]), 400, 0.95)
    assert ends(found) == (oracle.low, oracle.high)
    assert found.details["reference_rows"] == 1000


def test_rows_like_the_training_data_are_seldom_called_strange() -> None:
    alarms = [
        measured(
            read(AnomalyCheck(), beside(table(200, seed), table(600, seed + 999))), "anomaly_share"
        )
        for seed in range(60)
    ]
    assert sum(item.value != 0 for item in alarms) <= 10  # three expected; four Monte-Carlo errors


def test_the_unit_of_a_column_does_not_matter() -> None:
    ours, theirs = table(100, 3), table(400, 4)
    ours[:10, 0] += 30
    one = stored(AnomalyCheck(), beside(ours, theirs))
    other = stored(
        AnomalyCheck(), beside(ours * [1, 1e3, 1e-4, 1, 7] + 5, theirs * [1, 1e3, 1e-4, 1, 7] + 5)
    )
    assert np.allclose(one["scores"], other["scores"])


def test_without_training_data_one_half_judges_the_other() -> None:
    rows = table(2000, 5)
    rows[:100] *= 9
    found = measured(read(AnomalyCheck(), surveyed(sample(rows))), "anomaly_share")
    assert (found.n, found.details["reference"]) == (1000, "evaluation")
    assert found.details["reference_rows"] == 500


def test_a_rare_category_and_a_missing_number_are_strange_and_codes_are_no_numbers() -> None:
    kinds = (FeatureKind.CATEGORICAL, FeatureKind.NUMERIC)
    features = tuple(InputFeature(f"x{at}", kind) for at, kind in enumerate(kinds))
    edges = np.zeros(2)
    space = InputSpace(edges, edges + 1, edges, np.ones(2, dtype=bool), features)
    rng = np.random.default_rng(6)
    theirs = np.stack((rng.choice([1.0, 2.0, 1000.0], 800), rng.normal(size=800)), axis=1)
    ours = np.stack((rng.choice([1.0, 2.0, 1000.0], 200), rng.normal(size=200)), axis=1)
    ours[:10, 0] = 3
    ours[10:20, 1] = np.nan
    seen = stored(AnomalyCheck(), replace(beside(ours, theirs), space=space))
    assert np.all(np.sort(np.argsort(-seen["scores"])[:20]) == np.arange(20))
    blind = stored(AnomalyCheck(), replace(beside(ours, theirs), space=ABSENT))
    assert not np.all(np.sort(np.argsort(-blind["scores"])[:20]) == np.arange(20))


def test_noise_among_digits_is_strange() -> None:
    digits = np.random.default_rng(9).permutation(load_digits().images)
    ours = digits[1000:1400].copy()
    ours[:20] = np.random.default_rng(7).integers(0, 17, (20, 8, 8))
    found = measured(read(AnomalyCheck(), beside(ours, digits[:1000])), "anomaly_share")
    assert {f"e{row}" for row in range(20)} <= set(found.details["worst_rows"])
    assert found.details["k"] <= 25


def test_few_rows_texts_and_no_rows_are_gaps() -> None:
    assert gaps(read(AnomalyCheck(), surveyed(sample(table(60, 1)))), "too few")[0].reason is (
        GapReason.TOO_FEW_ROWS
    )
    bare = replace(sample(table(60, 1)), inputs=None)
    assert (
        gaps(read(AnomalyCheck(), surveyed(bare)), "no inputs")[0].reason is GapReason.NEEDS_MODEL
    )
    words = sample(np.array([f"text {row}" for row in range(90)]))
    assert gaps(read(AnomalyCheck(), surveyed(words)), "no distance")[0].reason is (
        GapReason.NEEDS_NUMERIC_INPUT
    )


def test_a_reference_too_small_to_name_any_row_lets_no_rule_pass_and_strangers_fail_one() -> None:
    ours = table(400, 11)
    ours[:160] *= 50
    few, many = (read(AnomalyCheck(), beside(ours, table(rows, 12))) for rows in (40, 2000))
    assert measured(few, "anomaly_share").details["k"] == 0
    asked = MetricLimits(most=0.05)
    assert outcome(CHECK, few, "anomaly_share", asked) is Outcome.UNKNOWN
    assert outcome(CHECK, many, "anomaly_share", asked) is Outcome.FAILED


def test_rows_that_hang_together_make_the_share_doubted() -> None:
    days = [str(row // 2) for row in range(200)]
    assert measured(
        read(AnomalyCheck(), surveyed(sample(table(200, 8), cluster=days))), "anomaly_share"
    ).doubted


@settings(max_examples=15)
@given(st.integers(0, 99))
def test_the_same_seed_gives_the_same_scores(seed: int) -> None:
    subject = replace(beside(table(50, seed), table(90, seed + 100)), seed=seed)
    one, other = (stored(AnomalyCheck(), subject) for _ in range(2))
    assert np.array_equal(one["scores"], other["scores"])


def test_it_asks_the_model_nothing() -> None:
    check = CHECK()
    size = AuditSize(rows=500, classes=2, beside={"training": 5000})
    assert check.cost(size).queries == 0
    assert 0.003 < check.precision(size, 0.95)["anomaly_share"] < 0.004
    assert check.precision(AuditSize(rows=0, classes=2), 0.95) == {}
