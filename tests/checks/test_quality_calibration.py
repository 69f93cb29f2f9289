from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scored_subjects import ends, gaps, measured, names, read, scored

from auditor.checks.quality.calibration import CHECK, CalibrationCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.checks import OF_SCORES
from auditor.domain.readings import GapReason, Measurement

METRICS = [
    "slope", "intercept", "debiased_l2", "smece", "classwise_l2", "top_label_l2",
    "brier_reliability", "brier_resolution", "brier_uncertainty",
    "temperature_gain", "platt_gain", "ece_15",
]  # fmt: skip
BIN = {"low", "high", "confidence", "accuracy", "accuracy_low", "accuracy_high", "n"}


def bins(reading: Measurement) -> Sequence[Mapping[str, float]]:
    return cast("Sequence[Mapping[str, float]]", reading.details["bins"])


def test_a_calibrated_model_is_left_in_peace() -> None:
    rng = np.random.default_rng(1)
    stated = rng.random(2000)
    readings = read(CalibrationCheck(), scored(stated, rng.random(2000) < stated))
    slope, intercept = measured(readings, "slope"), measured(readings, "intercept")
    assert ends(slope)[0] < 1 < ends(slope)[1]
    assert ends(intercept)[0] < 0 < ends(intercept)[1]
    assert ends(measured(readings, "debiased_l2"))[0] == 0
    assert cast("float", slope.details["p_value"]) > 0.05


def test_a_bold_model_is_found() -> None:
    rng = np.random.default_rng(2)
    stated = rng.uniform(0.02, 0.98, 2000)
    labels = rng.random(2000) < expit(logit(stated) / 2)
    readings = read(CalibrationCheck(), scored(stated, labels))
    slope = measured(readings, "slope")
    assert ends(slope)[1] < 0.7
    assert ends(measured(readings, "debiased_l2"))[0] > 0.05
    assert cast("float", slope.details["p_value"]) < 1e-6


def test_the_reliability_diagram_covers_every_row() -> None:
    rng = np.random.default_rng(3)
    stated = rng.random(450)
    readings = read(CalibrationCheck(), scored(stated, rng.random(450) < stated))
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
    readings = read(CalibrationCheck(), scored([0.95, 1.0], [1, 0]))
    error = measured(readings, "ece_15")
    assert error.value == pytest.approx(0.475)
    assert (error.low, error.high) == (None, None)
    assert error.doubted
    assert "comparability only" in error.method
    assert CalibrationCheck.emits["ece_15"].exact


def test_a_model_that_is_always_right_has_no_slope() -> None:
    rng = np.random.default_rng(4)
    labels = np.arange(300) % 3
    table = 0.1 * rng.dirichlet(np.ones(3), 300) + 0.9 * np.eye(3)[labels]
    readings = read(CalibrationCheck(), scored(table, labels))
    assert set(names(readings)) == {*METRICS, "class_l2"}
    for metric in ("slope", "intercept"):
        (gap,) = gaps(readings, f"{metric} is not defined")
        assert gap.reason is GapReason.NOT_DEFINED
        assert "300 of 300" in gap.detail
    assert ends(measured(readings, "debiased_l2"))[1] > 0


def test_a_threshold_that_separates_has_no_slope() -> None:
    readings = read(CalibrationCheck(), scored([0.1, 0.2, 0.7, 0.9], [0, 0, 1, 1]))
    assert len(gaps(readings, "tells them apart")) == 2


def test_certain_scores_are_clipped_and_counted() -> None:
    stated = [0.0, 0.0, 1.0, 1.0, 0.5, 0.4]
    slope = measured(read(CalibrationCheck(), scored(stated, [0, 1, 1, 0, 1, 0])), "slope")
    assert slope.details["clipped"] == 4


def test_few_rows_leave_the_debiased_error_a_gap() -> None:
    rng = np.random.default_rng(5)
    stated = rng.random(149)
    readings = read(CalibrationCheck(), scored(stated, rng.random(149) < stated))
    (gap,) = gaps(readings, "debiased_l2")
    assert gap.reason is GapReason.TOO_FEW_ROWS
    assert "149" in gap.detail
    assert len(gaps(readings, "150 rows, and there are 149")) == 6


def test_many_classes_are_judged_by_the_top_label() -> None:
    table = np.tile([0.1, 0.6, 0.3], (200, 1))
    labels = np.where(np.arange(200) < 120, 1, 2)
    readings = read(CalibrationCheck(), scored(table, labels))
    error = measured(readings, "debiased_l2")
    assert error.details["of"] == "top label"
    assert error.value == 0
    assert measured(readings, "ece_15").value == pytest.approx(0)


def test_a_binary_model_is_judged_by_its_positive_class() -> None:
    stated = np.tile([0.2, 0.8], 100)
    labels = np.tile([0, 1, 0, 1, 0, 1, 0, 1, 1, 0], 20)
    slope = measured(read(CalibrationCheck(), scored(stated, labels)), "slope")
    assert slope.details["of"] == "probability of 1"
    assert slope.value == pytest.approx(1)


def test_rows_of_a_few_people_make_every_figure_doubted() -> None:
    readings = read(
        CalibrationCheck(), scored([0.2, 0.8, 0.4, 0.6], [1, 1, 0, 0], cluster=["a", "a", "b", "c"])
    )
    assert all(item.doubted for item in readings if isinstance(item, Measurement))


def test_slope_intercept_and_gains_allow_for_the_rows_of_many_people() -> None:
    rng = np.random.default_rng(7)
    stated = np.repeat(rng.uniform(0.02, 0.98, 60), 10)
    labels = np.repeat(rng.random(60) < expit(logit(stated[::10]) / 2), 10)
    people = [f"person-{row // 10}" for row in range(600)]
    apart = read(CalibrationCheck(), scored(stated, labels))
    together = read(CalibrationCheck(), scored(stated, labels, cluster=people))
    for metric in ("slope", "intercept", "temperature_gain", "platt_gain"):
        sure, unsure = measured(apart, metric), measured(together, metric)
        assert not unsure.doubted
        assert "cluster-robust" in unsure.method
        assert np.diff(ends(unsure)) > 2 * np.diff(ends(sure))
    assert "hotelling_t2" in measured(together, "slope").details
    for metric in ("debiased_l2", "smece", "classwise_l2", "top_label_l2", "brier_reliability"):
        assert measured(together, metric).doubted


def test_a_calibrated_model_is_where_calibrated_models_are() -> None:
    rng = np.random.default_rng(8)
    stated = rng.random(600)
    error = measured(read(CalibrationCheck(), scored(stated, rng.random(600) < stated)), "smece")
    null = cast("Mapping[str, float]", error.details["if_calibrated"])
    assert null["low"] <= cast("float", error.value) <= null["high"]
    assert null["p_value"] > 0.05
    assert cast("Mapping[str, float]", error.details["spiegelhalter"])["p_value"] > 0.05
    assert error.details["seed"] == 7
    assert ends(error)[0] == 0


def test_a_bold_model_is_advised_to_cool_down_and_a_calibrated_one_is_not() -> None:
    rng = np.random.default_rng(9)
    stated = rng.uniform(0.02, 0.98, 3000)
    bold = read(CalibrationCheck(), scored(stated, rng.random(3000) < expit(logit(stated) / 2)))
    right = read(CalibrationCheck(), scored(stated, rng.random(3000) < stated))
    found = measured(bold, "temperature_gain")
    assert found.details["temperature"] == pytest.approx(2, rel=0.1)
    assert "temperature" in str(found.details["advice"])
    assert ends(found)[0] > 0
    for metric in ("temperature_gain", "platt_gain"):
        assert str(measured(right, metric).details["advice"]).startswith("none")


def test_the_parts_of_the_brier_score_add_up() -> None:
    rng = np.random.default_rng(10)
    stated = rng.random(500)
    readings = read(CalibrationCheck(), scored(stated, rng.random(500) < stated))
    plain = cast(
        "Mapping[str, float]", measured(readings, "brier_resolution").details["as_sampled"]
    )
    total = plain["reliability"] - plain["resolution"] + plain["uncertainty"] + plain["rest"]
    assert total == pytest.approx(plain["brier"])


def test_one_class_of_many_that_is_stated_too_boldly_is_found() -> None:
    # Where class 0 is stated at 0.8 it comes true in half of the rows, class 1 in the other half.
    table = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    rows = np.arange(900) % 3
    labels = np.where((rows == 0) & (np.arange(900) % 2 == 0), 1, rows)
    readings = read(CalibrationCheck(), scored(table[rows], labels))
    found = {
        str(item.params["class"]): item
        for item in readings
        if isinstance(item, Measurement) and item.metric == "class_l2"
    }
    assert list(found) == ["0", "1", "2"]
    assert ends(found["0"])[0] > 0.1
    assert sum(item["n"] for item in bins(found["0"])) == 900
    assert ends(measured(readings, "top_label_l2"))[0] > 0.1
    (gap,) = gaps(readings, "platt_gain is that of a binary model")
    assert gap.reason is GapReason.NOT_DEFINED


def test_both_classes_of_a_binary_model_err_alike() -> None:
    rng = np.random.default_rng(11)
    stated = rng.random(400)
    readings = read(CalibrationCheck(), scored(stated, rng.random(400) < stated**2))
    whole, alone = measured(readings, "classwise_l2"), measured(readings, "debiased_l2")
    assert (whole.value, *ends(whole)) == (alone.value, *ends(alone))
    assert "class_l2" not in names(readings)


def test_every_metric_speaks_of_how_sure_a_model_is() -> None:
    assert set(CalibrationCheck.emits) <= OF_SCORES


@settings(max_examples=6)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_any_scores_give_the_same_readings_in_the_same_order(
    rows: list[tuple[float, int]],
) -> None:
    stated, labels = zip(*rows, strict=True)
    subject = scored(stated, labels)
    expected = names(read(CalibrationCheck(), subject, 0.95))
    assert expected == names(read(CalibrationCheck(), subject, 0.999)) == METRICS


def test_what_is_expected_of_a_size_is_what_such_data_give() -> None:
    rng = np.random.default_rng(6)
    stated = rng.random(3000)
    readings = read(CalibrationCheck(), scored(stated, rng.random(3000) < stated))
    expected = CalibrationCheck().precision(AuditSize(3000, 2), 0.95)
    assert set(expected) == {"slope", "intercept"}
    for metric, half in expected.items():
        low, high = ends(measured(readings, metric))
        assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_the_check_emits_what_it_declares() -> None:
    assert CHECK is CalibrationCheck
    assert set(CalibrationCheck.emits) == {*METRICS, "class_l2"}
