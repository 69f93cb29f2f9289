import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_subjects import ends, gaps, measured, names, read, scored, stored
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score

from auditor.checks.quality.accuracy import CHECK, AccuracyCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.readings import GapReason, Measurement
from auditor.metrics.stats.proportions import clopper_pearson

METRICS = ["accuracy", "balanced_accuracy", "auc", "nll", "brier"]


def test_each_metric_of_a_binary_model_is_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    stated = rng.random(300)
    labels = (rng.random(300) < stated).astype(int)
    readings = read(AccuracyCheck(), scored(stated, labels))
    decided = stated >= 0.5
    expected = {
        "accuracy": np.mean(decided == labels),
        "balanced_accuracy": balanced_accuracy_score(labels, decided),
        "auc": roc_auc_score(labels, stated),
        "nll": log_loss(labels, stated),
        "brier": brier_score_loss(labels, stated),
    }
    for metric, value in expected.items():
        assert measured(readings, metric).value == pytest.approx(value)


def test_each_metric_of_many_classes_is_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    labels = np.arange(240) % 4
    table = rng.dirichlet(np.ones(4), 240) * 0.5 + 0.5 * np.eye(4)[rng.permutation(labels)]
    readings = read(AccuracyCheck(), scored(table, labels))
    decided = table.argmax(axis=1)
    assert measured(readings, "accuracy").value == pytest.approx(np.mean(decided == labels))
    expected = balanced_accuracy_score(labels, decided)
    assert measured(readings, "balanced_accuracy").value == pytest.approx(expected)
    area = roc_auc_score(labels, table, multi_class="ovr")
    assert measured(readings, "auc").value == pytest.approx(area)
    assert measured(readings, "nll").value == pytest.approx(log_loss(labels, table))
    assert measured(readings, "brier").value == pytest.approx(brier_score_loss(labels, table))


def test_accuracy_has_an_interval_that_holds_pointwise() -> None:
    labels = np.array([1] * 90 + [0] * 10)
    accuracy = measured(read(AccuracyCheck(), scored(np.full(100, 0.9), labels)), "accuracy")
    oracle = clopper_pearson(90, 100, 0.95)
    assert (accuracy.value, *ends(accuracy)) == (0.9, oracle.low, oracle.high)
    assert accuracy.method == "clopper-pearson"
    assert accuracy.n == 100


def test_a_model_that_only_guesses_the_majority_is_seen_to() -> None:
    labels = np.array([1] * 90 + [0] * 10)
    readings = read(AccuracyCheck(), scored(np.full(100, 0.9), labels))
    accuracy = measured(readings, "accuracy")
    assert accuracy.details["majority_class"] == "1"
    assert accuracy.details["majority_accuracy"] == accuracy.value == 0.9
    assert measured(readings, "balanced_accuracy").value == 0.5
    assert measured(readings, "auc").value == 0.5


def test_the_worst_rows_are_the_most_confidently_wrong_ones() -> None:
    stated = [0.9, 0.99, 0.6, 0.2, 0.8]
    readings = read(AccuracyCheck(), scored(stated, [0, 0, 1, 1, 0]))
    worst = measured(readings, "accuracy").details["worst_rows"]
    assert worst == ["row-1", "row-0", "row-3", "row-4"]


def test_at_most_ten_rows_are_named() -> None:
    readings = read(AccuracyCheck(), scored(np.full(30, 0.9), np.zeros(30)))
    worst = measured(readings, "accuracy").details["worst_rows"]
    assert worst == [f"row-{index}" for index in range(10)]


def test_a_class_without_rows_leaves_what_it_defines_a_gap() -> None:
    table = np.full((20, 3), 1 / 3)
    readings = read(AccuracyCheck(), scored(table, [0, 1] * 10))
    assert names(readings) == METRICS
    for metric in ("balanced_accuracy", "auc"):
        (gap,) = gaps(readings, metric)
        assert gap.reason is GapReason.NOT_DEFINED
        assert "class 2" in gap.detail


def test_one_row_is_an_accuracy_and_no_loss() -> None:
    readings = read(AccuracyCheck(), scored([0.9], [1]))
    assert ends(measured(readings, "accuracy")) == pytest.approx((0.025, 1.0))
    assert [gap.reason for gap in gaps(readings, "fewer than")] == [GapReason.TOO_FEW_ROWS] * 2


def test_certain_and_wrong_scores_give_a_finite_loss_and_say_so() -> None:
    readings = read(AccuracyCheck(), scored([0.0, 1.0, 1.0, 0.0], [1, 1, 0, 0]))
    loss = measured(readings, "nll")
    assert loss.value == pytest.approx(-np.log(1e-7) / 2, rel=1e-6)
    assert loss.details["clipped"] == 8


def test_rows_of_one_person_each_are_rows_alone() -> None:
    stated, labels = [0.1, 0.9, 0.4, 0.6], [0, 1, 1, 0]
    alone = read(AccuracyCheck(), scored(stated, labels))
    assert read(AccuracyCheck(), scored(stated, labels, cluster="abcd")) == alone


def test_rows_that_say_the_same_ten_times_are_no_surer_than_once() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 80)
    stated = np.clip(0.5 + 0.3 * (labels - 0.5) + rng.normal(0, 0.25, 80), 0.01, 0.99)
    once = read(AccuracyCheck(), scored(stated, labels))
    persons = [f"p{row // 10}" for row in range(800)]
    often = read(
        AccuracyCheck(), scored(np.repeat(stated, 10), np.repeat(labels, 10), cluster=persons)
    )
    for metric in METRICS:
        first, again = measured(once, metric), measured(often, metric)
        assert again.value == pytest.approx(first.value)
        assert not again.doubted
        (low, high), (least, most) = ends(first), ends(again)
        assert 0.7 * (high - low) < most - least < 1.6 * (high - low)


def test_persons_of_many_unlike_rows_are_surer_than_their_number() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, 800)
    stated = np.clip(0.5 + 0.3 * (labels - 0.5) + rng.normal(0, 0.25, 800), 0.01, 0.99)
    persons = [f"p{row}" for row in rng.integers(0, 80, 800)]
    alone = read(AccuracyCheck(), scored(stated, labels))
    mixed = read(AccuracyCheck(), scored(stated, labels, cluster=persons))
    for metric in ("accuracy", "balanced_accuracy", "auc"):
        (low, high), (least, most) = ends(measured(alone, metric)), ends(measured(mixed, metric))
        assert 0.7 * (high - low) < most - least < 1.6 * (high - low)


def test_one_person_says_nothing_of_others() -> None:
    readings = read(AccuracyCheck(), scored([0.1, 0.9, 0.4, 0.6], [0, 1, 1, 0], cluster="aaaa"))
    assert [gap.metric for gap in gaps(readings, "all of one cluster")] == METRICS


def test_a_class_of_one_person_has_no_recall_that_speaks_of_others() -> None:
    readings = read(AccuracyCheck(), scored([0.1, 0.2, 0.4, 0.9], [0, 0, 1, 1], cluster="abcc"))
    assert [gap.metric for gap in gaps(readings, "all of one cluster")] == ["balanced_accuracy"]
    assert measured(readings, "accuracy").value == 0.75


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_any_scores_give_the_same_readings_in_the_same_order(
    rows: list[tuple[float, int]],
) -> None:
    stated, labels = zip(*rows, strict=True)
    subject = scored(stated, labels)
    readings = read(AccuracyCheck(), subject, 0.95)
    assert names(readings) == names(read(AccuracyCheck(), subject, 0.999)) == METRICS
    for item in readings:
        if isinstance(item, Measurement):
            low, high = ends(item)
            assert low <= item.value <= high


def test_what_is_expected_of_a_size_is_what_such_data_give() -> None:
    labels = np.array([1] * 150 + [0] * 50)
    decided = labels.astype(float)
    decided[[*range(15), *range(150, 155)]] = 1 - decided[[*range(15), *range(150, 155)]]
    readings = read(AccuracyCheck(), scored(decided * 0.8 + 0.1, labels))
    expected = AccuracyCheck().precision(AuditSize(200, 2, {"0": 50, "1": 150}), 0.95)
    assert set(expected) == {"accuracy", "balanced_accuracy"}
    for metric, half in expected.items():
        low, high = ends(measured(readings, metric))
        assert (high - low) / 2 == pytest.approx(half)


def test_nothing_is_expected_of_no_rows() -> None:
    assert AccuracyCheck().precision(AuditSize(0, 2), 0.95) == {}


def test_the_evidence_names_rows_and_holds_no_inputs() -> None:
    seen = stored(AccuracyCheck(), scored([0.2, 0.9], [0, 1]))
    assert set(seen) == {"ids", "labels", "probabilities", "decided", "task"}


def test_the_check_emits_what_it_declares() -> None:
    assert CHECK is AccuracyCheck
    assert list(AccuracyCheck.emits) == METRICS
