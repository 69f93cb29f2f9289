import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from scored_subjects import ends, gaps, measured, names, read
from surveyed_subjects import part, regressed, surveyed

from auditor.checks.quality.periods import CHECK, QualityOverTimeCheck
from auditor.domain.check_subject import Subject
from auditor.domain.checks import find_refusal_gap
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import GapReason
from auditor.metrics.data.period_performance import split_periods
from auditor.metrics.stats.group_gaps import max_gap
from auditor.metrics.stats.share_differences import share_difference

EVALUATION, REFERENCE = DatasetRole.EVALUATION, DatasetRole.REFERENCE
YEARS = ("2015", "2016", "2017", "2018")


def years(calibrated: NDArray[np.bool_], rows: int = 6000) -> Subject:
    """Four years of the same accuracy; in some, labels follow other odds than those stated."""
    rng = np.random.default_rng(8)
    stated = rng.beta(2, 2, (4, rows))
    truth = np.where(calibrated[:, None], stated, expit(0.5 * logit(stated)))
    labels = rng.random((4, rows)) < truth
    # As many wrong answers in every year: labels are drawn anew on the side of the decision.
    right = rng.permuted(np.tile(np.arange(rows) < round(0.69 * rows), (4, 1)), axis=1)
    flat = np.where(right, stated >= 0.5, stated < 0.5)
    labels = np.where(calibrated[:, None], labels, flat)
    times = np.repeat([2015.0, 2016.0, 2017.0, 2018.0], rows)
    return surveyed(
        part(REFERENCE, stated[0], labels[0], times=times[:rows]),
        part(EVALUATION, stated[1:].ravel(), labels[1:].ravel(), times=times[rows:]),
    )


def test_calibration_that_drifts_under_flat_accuracy_is_seen() -> None:
    readings = read(QualityOverTimeCheck(), years(np.array([True, True, False, False])))
    low, high = ends(measured(readings, "accuracy_change"))
    assert low < 0 < high
    assert ends(measured(readings, "accuracy_range"))[0] == 0
    assert ends(measured(readings, "calibration_change"))[0] > 0
    assert ends(measured(readings, "slope", period="2015"))[0] < 1
    assert ends(measured(readings, "slope", period="2018"))[1] < 1


def test_the_clean_twin_is_silent() -> None:
    readings = read(QualityOverTimeCheck(), years(np.ones(4, dtype=np.bool_)))
    for metric in ("accuracy_change", "calibration_change"):
        low, high = ends(measured(readings, metric))
        assert low < 0 < high
    assert ends(measured(readings, "accuracy_range"))[0] == 0
    for year in YEARS:
        low, high = ends(measured(readings, "intercept", period=year))
        assert low < 0 < high
    gap = measured(readings, "accuracy_range")
    assert gap.details["roles"] == ["reference", "evaluation"]


def test_accuracy_that_falls_is_seen() -> None:
    right = [1] * 900 + [0] * 100 + [1] * 800 + [0] * 200
    times = np.repeat([1.0, 2.0], 1000)
    readings = read(
        QualityOverTimeCheck(), surveyed(part(EVALUATION, [0.9] * 2000, right, times=times))
    )
    change = measured(readings, "accuracy_change")
    assert change.value == pytest.approx(-0.1)
    assert ends(change)[1] < 0
    assert change.confidence == 0.95
    assert measured(readings, "accuracy_range").details["lowest"] == "2"


def test_the_gap_and_both_changes_hold_jointly() -> None:
    right = [1] * 900 + [0] * 100 + [1] * 800 + [0] * 200
    times = np.repeat([1.0, 2.0], 1000)
    readings = read(
        QualityOverTimeCheck(), surveyed(part(EVALUATION, [0.9] * 2000, right, times=times))
    )
    one_of_three = share_difference((800, 1000), (900, 1000), 1 - 0.05 / 3)
    change = measured(readings, "accuracy_change")
    assert ends(change) == pytest.approx((one_of_three.low, one_of_three.high))
    joint = max_gap([900, 800], [1000, 1000], 0.95, 3).interval
    assert ends(measured(readings, "accuracy_range")) == pytest.approx((joint.low, joint.high))


def test_rows_of_few_people_leave_a_period_a_gap_or_doubted() -> None:
    people = ["a", "b"] * 50 + [str(row // 2) for row in range(100)]
    data = part(
        EVALUATION,
        np.linspace(0.1, 0.9, 200),
        [0, 1] * 100,
        times=np.repeat([1.0, 2.0], 100),
        cluster=people,
    )
    readings = read(QualityOverTimeCheck(), surveyed(data))
    assert len(gaps(readings, "fewer than 3 clusters")) == 2
    assert measured(readings, "intercept", period="2").doubted
    assert not measured(readings, "accuracy", period="2").doubted


def test_a_regression_has_accuracy_and_no_calibration() -> None:
    truth = np.arange(100.0)
    data = part(
        EVALUATION,
        (truth + (truth >= 80))[:, None],
        targets=truth,
        times=np.repeat([2020.0, 2021.0], 50),
    )
    readings = read(QualityOverTimeCheck(), regressed(data))
    assert names(readings) == ["accuracy"] * 2 + ["accuracy_range", "accuracy_change"]
    assert measured(readings, "accuracy", period="2021").value == 0.6


def test_without_times_there_is_a_gap_with_a_cure() -> None:
    seen = surveyed(part(EVALUATION, [0.9], [1]))
    (gap,) = gaps(read(QualityOverTimeCheck(), seen), "when their rows")
    assert find_refusal_gap(QualityOverTimeCheck(), seen) == gap
    assert gap.reason is GapReason.NEEDS_TIMES
    assert "data.evaluation.time" in gap.cure


def test_one_period_is_no_course() -> None:
    data = part(EVALUATION, [0.9, 0.2] * 50, [1, 0] * 50, times=np.full(100, 3.0))
    assert {
        gap.metric for gap in gaps(read(QualityOverTimeCheck(), surveyed(data)), "one period")
    } == {
        "accuracy_range",
        "accuracy_change",
        "calibration_change",
    }


def test_few_distinct_times_are_periods_and_many_are_cut_without_parting_equal_ones() -> None:
    assert split_periods(np.array([1.7724e12, 2.0260301e13]), 12).names == (
        "1772400000000",
        "20260301000000",
    )
    assert split_periods(np.array([2016.0, 2015.0, 2016.0]), 12).names == ("2015", "2016")
    many = split_periods(np.repeat(np.arange(100.0), 10), 4)
    assert np.bincount(many.codes).tolist() == [250, 250, 250, 250]
    assert many.names[0] == "0 to 24"
    crowded = split_periods(np.concatenate([np.zeros(900), np.arange(1.0, 101)]), 4)
    assert crowded.names[0] == "0"
    assert np.all(crowded.codes[:900] == 0)


def test_seconds_since_1970_are_written_as_dates() -> None:
    day = 86_400.0
    assert split_periods(np.array([0.0, 1.0]) * day + 1.6416e9, 3).names == (
        "2022-01-08",
        "2022-01-09",
    )
    named = split_periods(np.arange(40) * 3600.0 + 1.6416e9, 2).names
    assert named == ("2022-01-08 to 2022-01-08 19:00", "2022-01-08 20:00 to 2022-01-09 15:00")


def test_a_single_period_is_no_parameter() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        CHECK(most=1)  # type: ignore[call-arg] -- a field of the check
