from dataclasses import replace

import numpy as np
import pytest
from scored_subjects import ends, gaps, measured, read, scored

from auditor.checks.quality.errors import RegressionErrorCheck
from auditor.checks.requirements import find_unmet_need
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole, TextColumn
from auditor.domain.readings import GapReason
from auditor.domain.tasks import RegressionTask

METRICS = ["within_tolerance", "mae", "rmse", "bias", "r2"]


def predicted(truth: list[float], said: list[float], cluster: list[str] | None = None) -> Subject:
    subject = scored([0.5] * len(truth), [0] * len(truth))
    data = replace(
        subject.datasets[DatasetRole.EVALUATION],
        labels=None,
        targets=np.array(truth, dtype=np.float64),
        scores=np.array(said, dtype=np.float64)[:, None],
        cluster=None if cluster is None else TextColumn.of(cluster),
    )
    return replace(subject, task=RegressionTask(1.0), datasets={DatasetRole.EVALUATION: data})


TRUTH = [float(row % 10) for row in range(40)]
SAID = [value + (2.0 if row % 4 == 0 else 0.5) for row, value in enumerate(TRUTH)]


def test_errors_are_those_of_paper_and_pencil() -> None:
    readings = read(RegressionErrorCheck(), predicted(TRUTH, SAID))
    assert measured(readings, "within_tolerance").value == 0.75
    assert measured(readings, "within_tolerance").details["worst_rows"][0] == "row-0"
    assert measured(readings, "mae").value == pytest.approx((10 * 2 + 30 * 0.5) / 40)
    assert measured(readings, "bias").value == pytest.approx(0.875)
    square = (10 * 4 + 30 * 0.25) / 40
    assert measured(readings, "rmse").value == pytest.approx(square**0.5)
    assert measured(readings, "r2").value == pytest.approx(1 - square / 8.25)


def test_a_classification_that_is_declared_a_regression_is_doubted() -> None:
    coin = [float(row % 2) for row in range(40)]
    near = [value + (0.4 if row % 4 else 0.1) for row, value in enumerate(coin)]
    readings = read(RegressionErrorCheck(), predicted(coin, near))
    for metric in METRICS:
        assert measured(readings, metric).doubted
        assert "classification" in measured(readings, metric).details["doubt"]
    three = predicted([*coin[:-1], 2.0], near)
    assert not measured(read(RegressionErrorCheck(), three), "r2").doubted


@pytest.mark.parametrize("explained", [0.5, 0.75, 0.95])
def test_no_regression_with_normal_errors_has_a_wider_interval_than_foreseen(
    explained: float,
) -> None:
    rng = np.random.default_rng(3)
    said = rng.normal(size=2000) * explained**0.5
    truth = said + rng.normal(size=2000) * (1 - explained) ** 0.5
    found = measured(read(RegressionErrorCheck(), predicted([*truth], [*said])), "r2")
    low, high = ends(found)
    expected = RegressionErrorCheck().precision(AuditSize(2000, 1), 0.95)["r2"]
    assert (high - low) / 2 <= expected * 1.05


def test_few_rows_say_how_many_are_needed() -> None:
    readings = read(RegressionErrorCheck(), predicted(TRUTH[:9], SAID[:9]))
    assert [gap.metric for gap in gaps(readings, "fewer than 30 rows")] == METRICS[1:]
    persons = [f"p{row % 20}" for row in range(40)]
    readings = read(RegressionErrorCheck(), predicted(TRUTH, SAID, persons))
    assert [gap.metric for gap in gaps(readings, "fewer than 30 clusters")] == METRICS[1:]


def test_one_cluster_says_nothing_of_others() -> None:
    readings = read(RegressionErrorCheck(), predicted(TRUTH, SAID, ["p"] * 40))
    assert [gap.metric for gap in gaps(readings, "has no interval")] == METRICS


def test_exact_predictions_have_errors_of_nothing_and_no_interval_of_r2() -> None:
    readings = read(RegressionErrorCheck(), predicted(TRUTH, TRUTH))
    assert measured(readings, "mae").value == 0
    assert [gap.metric for gap in gaps(readings, "exact")] == ["r2"]


def test_a_classification_has_no_such_errors() -> None:
    gap = find_unmet_need(RegressionErrorCheck(), scored([0.2, 0.9], [0, 1]))
    assert gap is not None
    assert gap.reason is GapReason.NEEDS_REGRESSION
