from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scored_subjects import ends, gaps, measured, names, read, scored

from auditor.checks.quality.calibration import CHECK, Calibration
from auditor.domain.budgets import Size
from auditor.domain.readings import Measurement, Reason

METRICS = ["slope", "intercept", "debiased_l2", "ece_15"]
BIN = {"low", "high", "confidence", "accuracy", "accuracy_low", "accuracy_high", "n"}


def bins(reading: Measurement) -> Sequence[Mapping[str, float]]:
    return cast("Sequence[Mapping[str, float]]", reading.details["bins"])


def test_a_calibrated_model_is_left_in_peace() -> None:
    rng = np.random.default_rng(1)
    stated = rng.random(2000)
    readings = read(Calibration(), scored(stated, rng.random(2000) < stated))
    slope, intercept = measured(readings, "slope"), measured(readings, "intercept")
    assert ends(slope)[0] < 1 < ends(slope)[1]
    assert ends(intercept)[0] < 0 < ends(intercept)[1]
    assert ends(measured(readings, "debiased_l2"))[0] == 0
    assert cast("float", slope.details["p_value"]) > 0.05


def test_a_bold_model_is_found() -> None:
    rng = np.random.default_rng(2)
    stated = rng.uniform(0.02, 0.98, 2000)
    labels = rng.random(2000) < expit(logit(stated) / 2)
    readings = read(Calibration(), scored(stated, labels))
    slope = measured(readings, "slope")
    assert ends(slope)[1] < 0.7
    assert ends(measured(readings, "debiased_l2"))[0] > 0.05
    assert cast("float", slope.details["p_value"]) < 1e-6


def test_the_reliability_diagram_covers_every_row() -> None:
    rng = np.random.default_rng(3)
    stated = rng.random(450)
    readings = read(Calibration(), scored(stated, rng.random(450) < stated))
    for metric in ("debiased_l2", "ece_15"):
        found = bins(measured(readings, metric))
        assert sum(item["n"] for item in found) == 450
        assert all(set(item) == BIN for item in found)
        assert all(
            item["accuracy_low"] <= item["accuracy"] <= item["accuracy_high"]
            and item["low"] <= item["confidence"] <= item["high"]
            for item in found
        )
    assert [item["n"] for item in bins(measured(readings, "debiased_l2"))] == [30] * 15


def test_the_expected_error_never_passes_a_rule() -> None:
    readings = read(Calibration(), scored([0.95, 1.0], [1, 0]))
    error = measured(readings, "ece_15")
    assert error.value == pytest.approx(0.475)
    assert (error.low, error.high) == (None, None)
    assert error.doubted
    assert "comparability only" in error.method
    assert Calibration.emits["ece_15"].exact


def test_a_model_that_is_always_right_has_no_slope() -> None:
    rng = np.random.default_rng(4)
    labels = np.arange(300) % 3
    table = 0.1 * rng.dirichlet(np.ones(3), 300) + 0.9 * np.eye(3)[labels]
    readings = read(Calibration(), scored(table, labels))
    assert names(readings) == METRICS
    for metric in ("slope", "intercept"):
        (gap,) = gaps(readings, f"{metric} is not defined")
        assert gap.reason is Reason.NOT_DEFINED
        assert "300 of 300" in gap.detail
    assert ends(measured(readings, "debiased_l2"))[1] > 0


def test_a_threshold_that_separates_has_no_slope() -> None:
    readings = read(Calibration(), scored([0.1, 0.2, 0.7, 0.9], [0, 0, 1, 1]))
    assert len(gaps(readings, "tells them apart")) == 2


def test_certain_scores_are_clipped_and_counted() -> None:
    stated = [0.0, 0.0, 1.0, 1.0, 0.5, 0.4]
    slope = measured(read(Calibration(), scored(stated, [0, 1, 1, 0, 1, 0])), "slope")
    assert slope.details["clipped"] == 4


def test_few_rows_leave_the_debiased_error_a_gap() -> None:
    rng = np.random.default_rng(5)
    stated = rng.random(149)
    readings = read(Calibration(), scored(stated, rng.random(149) < stated))
    (gap,) = gaps(readings, "debiased_l2")
    assert gap.reason is Reason.TOO_FEW_ROWS
    assert "149" in gap.detail


def test_many_classes_are_judged_by_the_top_label() -> None:
    table = np.tile([0.1, 0.6, 0.3], (200, 1))
    labels = np.where(np.arange(200) < 120, 1, 2)
    readings = read(Calibration(), scored(table, labels))
    error = measured(readings, "debiased_l2")
    assert error.details["of"] == "top label"
    assert error.value == 0
    assert measured(readings, "ece_15").value == pytest.approx(0)


def test_a_binary_model_is_judged_by_its_positive_class() -> None:
    stated = np.tile([0.2, 0.8], 100)
    labels = np.tile([0, 1, 0, 1, 0, 1, 0, 1, 1, 0], 20)
    slope = measured(read(Calibration(), scored(stated, labels)), "slope")
    assert slope.details["of"] == "probability of 1"
    assert slope.value == pytest.approx(1)


def test_rows_of_one_person_make_every_figure_doubted() -> None:
    readings = read(
        Calibration(), scored([0.2, 0.8, 0.4, 0.6], [1, 1, 0, 0], cluster=["a", "a", "b", "c"])
    )
    assert all(item.doubted for item in readings if isinstance(item, Measurement))


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_any_scores_give_the_same_readings_in_the_same_order(
    rows: list[tuple[float, int]],
) -> None:
    stated, labels = zip(*rows, strict=True)
    subject = scored(stated, labels)
    expected = names(read(Calibration(), subject, 0.95))
    assert expected == names(read(Calibration(), subject, 0.999)) == METRICS


def test_what_is_expected_of_a_size_is_what_such_data_give() -> None:
    rng = np.random.default_rng(6)
    stated = rng.random(3000)
    readings = read(Calibration(), scored(stated, rng.random(3000) < stated))
    expected = Calibration().precision(Size(3000, 2), 0.95)
    assert set(expected) == {"slope", "intercept"}
    for metric, half in expected.items():
        low, high = ends(measured(readings, metric))
        assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_the_check_emits_what_it_declares() -> None:
    assert CHECK is Calibration
    assert list(Calibration.emits) == METRICS
