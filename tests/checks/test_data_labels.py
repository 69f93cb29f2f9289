import numpy as np
import pytest
from judged import outcome
from scored_subjects import ends, gaps, measured, read, scored
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from surveyed_subjects import sample, surveyed

from auditor.checks.data.labels import CHECK, LabelErrorCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import GapReason

STATED = np.array([0.9, 0.8, 0.2, 0.6, 0.1, 0.3, 0.85, 0.2])
GIVEN = [0, 0, 0, 0, 1, 1, 1, 1]


def test_the_estimate_of_eight_rows_is_worked_out_on_paper() -> None:
    # See tests/metrics/stats: a third of the labels 0 and a quarter of the labels 1 are
    # contradicted.
    found = measured(
        read(LabelErrorCheck(), scored(1 - STATED, GIVEN)), "noise_share", data="evaluation"
    )
    assert found.value == pytest.approx(7 / 24)
    assert found.details["worst_rows"] == ["row-6", "row-2"]
    assert found.details["suspects"][0] == {
        "id": "row-6",
        "label": "1",
        "suggested": "0",
        "margin": -0.7,
    }


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Out-of-sample scores of digits, their labels with ninety planted mistakes, and which."""
    bunch = load_digits()
    rng = np.random.default_rng(0)
    planted = rng.choice(1797, 90, replace=False)
    labels = bunch.target.copy()
    labels[planted] = (labels[planted] + rng.integers(1, 10, 90)) % 10
    model = LogisticRegression(max_iter=300)
    stated = cross_val_predict(model, bunch.data / 16, labels, cv=5, method="predict_proba")
    return stated, labels, planted


def test_planted_mistakes_are_found_where_cleanlab_finds_them(
    digits: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    # cleanlab 2.9.0: 79 rows by its filter "confident_learning", and a share of 0.0612.
    stated, labels, planted = digits
    found = measured(read(LabelErrorCheck(), scored(stated, labels)), "noise_share")
    assert found.value == pytest.approx(0.0612, abs=5e-4)
    assert found.details["contradicted"] == 79
    assert ends(found)[0] > 0.03
    named = [int(name.removeprefix("row-")) for name in found.details["worst_rows"]]
    assert len(named) == 50
    assert np.isin(named, planted).sum() >= 49


def test_the_same_digits_with_right_labels_are_hardly_accused(
    digits: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    bunch = load_digits()
    model = LogisticRegression(max_iter=300)
    stated = cross_val_predict(model, bunch.data / 16, bunch.target, cv=5, method="predict_proba")
    clean = measured(read(LabelErrorCheck(), scored(stated, bunch.target)), "noise_share")
    planted = measured(read(LabelErrorCheck(), scored(digits[0], digits[1])), "noise_share")
    assert ends(clean)[1] < ends(planted)[0]


def test_a_model_that_has_learnt_the_mistakes_lets_no_rule_pass() -> None:
    labels = np.arange(600) % 3
    found = read(LabelErrorCheck(), scored(0.9 * np.eye(3)[labels] + 0.1 / 3, labels))
    assert measured(found, "noise_share").value == 0
    assert outcome(CHECK, found, "noise_share", MetricLimits(most=0.1)) is Outcome.UNKNOWN


def test_a_model_that_is_right_where_it_is_sure_accuses_nobody() -> None:
    labels = np.arange(600) % 3
    stated = np.eye(3)[labels] * np.linspace(0.4, 1, 600)[:, None] + 0.1
    found = measured(
        read(LabelErrorCheck(), scored(stated / stated.sum(1, keepdims=True), labels)),
        "noise_share",
    )
    assert (found.value, found.low) == (0, 0)
    assert ends(found)[1] < 0.02
    assert found.details["suspects"] == []


def test_training_labels_need_scores_of_a_model_that_has_not_learnt_them() -> None:
    stated = np.stack((STATED, 1 - STATED), axis=1)
    rows = np.arange(16.0).reshape(8, 2)
    both = surveyed(
        sample(rows, GIVEN, scores=stated),
        sample(rows, GIVEN, scores=stated, role=DatasetRole.TRAINING),
    )
    (lacking,) = gaps(read(LabelErrorCheck(), both), "learnt")
    assert (lacking.reason, lacking.params) == (GapReason.NEEDS_SCORES, {"data": "training"})
    told = measured(read(LabelErrorCheck(held_out=True), both), "noise_share", data="training")
    assert told.value == pytest.approx(7 / 24)
    bare = surveyed(sample(rows, GIVEN, scores=stated), sample(rows, role=DatasetRole.TRAINING))
    assert (
        gaps(read(LabelErrorCheck(), bare), "training data has no labels")[0].reason
        is GapReason.NEEDS_LABELS
    )


def test_that_rows_hang_together_is_one_more_doubt() -> None:
    people = ["a", "a", "b", "b", "c", "c", "d", "d"]
    alone, together = (
        measured(read(LabelErrorCheck(), scored(STATED, GIVEN, cluster=given)), "noise_share")
        for given in (None, people)
    )
    assert alone.doubted
    assert str(together.details["doubt"]).startswith(str(alone.details["doubt"]))
    assert together.details != alone.details


def test_more_rows_promise_a_shorter_interval() -> None:
    check = CHECK()
    few, many = (
        check.precision(AuditSize(rows=rows, classes=2), 0.95)["noise_share"]
        for rows in (100, 10_000)
    )
    assert many < few / 5
    assert check.precision(AuditSize(rows=0, classes=2), 0.95) == {}
    assert check.cost(AuditSize(rows=100, classes=2)).queries == 100
