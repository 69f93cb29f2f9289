from dataclasses import replace

import numpy as np
import pytest
from scored_subjects import ends, gaps, measured, read
from surveyed_subjects import part, surveyed

from auditor.checks.data.skew import CHECK, TrainingServingSkewCheck
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.readings import GapReason, Measurement
from auditor.metrics.stats.proportions import clopper_pearson

TRAINING, PRODUCTION, EVALUATION = (
    DatasetRole.TRAINING,
    DatasetRole.PRODUCTION,
    DatasetRole.EVALUATION,
)
IDS = tuple(f"person-{row}" for row in range(200))


def table(role: DatasetRole, ids: tuple[str, ...], **columns: list[str]) -> Dataset:
    return part(role, None, slices=columns, ids=ids)


def both(city: list[str], income: list[str]) -> Subject:
    """The same 200 people in training and, in another order, in production."""
    served = {
        "city": ["here"] * 200,
        "income": [f"{1000 + row / 7:.4f}" for row in range(200)],
    }
    order = np.random.default_rng(1).permutation(200)
    return surveyed(
        table(TRAINING, IDS, city=city or served["city"], income=income or served["income"]),
        table(
            PRODUCTION,
            tuple(IDS[row] for row in order),
            **{name: [values[row] for row in order] for name, values in served.items()},
        ),
    )


def test_rows_that_were_served_otherwise_are_counted_column_by_column() -> None:
    readings = read(TrainingServingSkewCheck(), both(["there"] * 20 + ["here"] * 180, []))
    whole = measured(readings, "skewed_share")
    oracle = clopper_pearson(20, 200, 0.95)
    assert (whole.value, *ends(whole)) == (0.1, oracle.low, oracle.high)
    worst = whole.details["worst_rows"]
    assert isinstance(worst, list)
    assert set(worst) <= set(IDS[:20])
    assert measured(readings, "skewed_column_share", column="city").value == 0.1
    assert measured(readings, "skewed_column_share", column="income").value == 0
    joint = clopper_pearson(20, 200, 0.975)
    city = measured(readings, "skewed_column_share", column="city")
    assert ends(city) == (joint.low, joint.high)
    assert city.confidence == 0.95


def test_the_same_features_in_another_order_are_the_same() -> None:
    readings = read(TrainingServingSkewCheck(), both([], []))
    assert measured(readings, "skewed_share").value == 0
    assert measured(readings, "matched_share").value == 1


def test_a_rounding_is_no_skew_and_a_unit_is() -> None:
    rounded = [f"{1000 + row / 7:.3f}" for row in range(200)]
    cents = [f"{100 * (1000 + row / 7):.2f}" for row in range(200)]
    assert measured(read(TrainingServingSkewCheck(), both([], rounded)), "skewed_share").value == 0
    assert measured(read(TrainingServingSkewCheck(), both([], cents)), "skewed_share").value == 1
    exact = measured(
        read(TrainingServingSkewCheck(tolerance=0.0), both([], rounded)), "skewed_share"
    ).value
    assert isinstance(exact, float)
    assert exact > 0.5


def test_a_value_that_is_missing_on_one_side_differs_and_on_both_it_does_not() -> None:
    ages = [str(row) for row in range(200)]
    lost = ["unknown"] * 50 + ages[50:]
    one = surveyed(table(TRAINING, IDS, age=ages), table(PRODUCTION, IDS, age=lost))
    two = surveyed(table(TRAINING, IDS, age=lost), table(PRODUCTION, IDS, age=lost))
    assert measured(read(TrainingServingSkewCheck(), one), "skewed_share").value == 0.25
    assert measured(read(TrainingServingSkewCheck(), two), "skewed_share").value == 0


def test_rows_that_only_one_table_has_are_counted() -> None:
    subject = both([], [])
    fewer = table(TRAINING, IDS[:50], city=["here"] * 50)
    subject.datasets = {TRAINING: fewer, PRODUCTION: subject.datasets[PRODUCTION]}
    readings = read(TrainingServingSkewCheck(), subject)
    assert measured(readings, "matched_share").value == 0.25
    assert measured(readings, "skewed_share").n == 50
    assert measured(readings, "skewed_share").details["only_in_one"] == ["income"]


def test_a_feature_from_after_the_event_is_found_in_every_dataset() -> None:
    when = np.arange(100.0)
    known = np.where(np.arange(100) < 5, when + 1, when)
    data = part(EVALUATION, np.full(100, 0.9), [1] * 100, times=when, as_of=known)
    readings = read(
        TrainingServingSkewCheck(), surveyed(data, replace(data, role=TRAINING, as_of=when))
    )
    leak = measured(readings, "leaked_share", data="evaluation")
    assert leak.value == 0.05
    assert leak.details["worst_rows"] == [f"evaluation-{row}" for row in range(5)]
    assert measured(readings, "leaked_share", data="training").value == 0


def test_late_rows_that_hang_together_are_doubted() -> None:
    when = np.arange(100.0)
    data = part(EVALUATION, None, times=when, as_of=when, cluster=["a", "b"] * 50)
    assert measured(read(TrainingServingSkewCheck(), surveyed(data)), "leaked_share").doubted


def test_row_numbers_join_nothing() -> None:
    numbers = tuple(str(row) for row in range(1, 4))
    city = {"city": ["here", "near", "far"]}
    subject = surveyed(table(TRAINING, numbers, **city), table(PRODUCTION, numbers, **city))
    (gap,) = gaps(read(TrainingServingSkewCheck(), subject), "name their rows by number")
    assert gap.reason is GapReason.NOT_DEFINED


def test_tables_that_share_no_row_leave_a_gap() -> None:
    city = {"city": ["here"] * 200}
    other = tuple(f"other-{row}" for row in range(200))
    subject = surveyed(table(TRAINING, IDS, **city), table(PRODUCTION, other, **city))
    assert (
        len(gaps(read(TrainingServingSkewCheck(), subject), "No row of the production data")) == 1
    )


def test_an_audit_without_both_tables_or_times_has_one_gap() -> None:
    readings = read(TrainingServingSkewCheck(), surveyed(part(EVALUATION, [0.9], [1])))
    (gap,) = gaps(readings, "does not name both")
    assert (gap.metric, len(readings)) == ("", 1)


def test_rows_that_hang_together_make_the_figures_doubted() -> None:
    subject = both([], [])
    subject.datasets = {
        role: replace(data, cluster=part(role, None, cluster=["a", "b"] * 100, ids=IDS).cluster)
        for role, data in subject.datasets.items()
    }
    found = [
        item for item in read(TrainingServingSkewCheck(), subject) if isinstance(item, Measurement)
    ]
    assert all(item.doubted for item in found if item.metric != "matched_share")


@pytest.mark.parametrize("given", [{"tolerance": 1.0}, {"most": 0}])
def test_parameters_without_meaning_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CHECK(**given)
