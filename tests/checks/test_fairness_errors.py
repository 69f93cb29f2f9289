from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scored_subjects import ends, gaps, measured, names, read, scored, stored

from auditor.checks.fairness.errors import CHECK, GroupErrorCheck
from auditor.checks.fairness.groups import GroupFairnessCheck
from auditor.checks.requirements import find_unmet_need
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole, TextColumn
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.tasks import RegressionTask

GAPS = ["mean_error_gap", "within_tolerance_gap"]


def rated(
    errors: ArrayLike, groups: Sequence[str], cluster: Sequence[str] | None = None
) -> Subject:
    """A regression whose truth is zero, so that what it states is its error; tolerance one."""
    stated = np.asarray(errors, dtype=np.float64)
    subject = scored(np.zeros(len(stated)), np.zeros(len(stated)), groups={"g": groups})
    dataset = replace(
        subject.datasets[DatasetRole.EVALUATION],
        labels=None,
        targets=np.zeros(len(stated)),
        scores=stated[:, None],
        cluster=None if cluster is None else TextColumn.of(cluster),
    )
    return replace(subject, task=RegressionTask(1.0), datasets={DatasetRole.EVALUATION: dataset})


def test_errors_are_those_on_paper() -> None:
    # a: 30 times +0.5 and 30 times -0.5; b: 20 times +2 and 40 times 0.
    errors = [0.5, -0.5] * 30 + [2.0] * 20 + [0.0] * 40
    readings = read(GroupErrorCheck(), rated(errors, ["a"] * 60 + ["b"] * 60))
    assert measured(readings, "mean_error", group="a").value == 0
    assert measured(readings, "mean_error", group="b").value == pytest.approx(2 / 3)
    assert measured(readings, "within_tolerance", group="a").value == 1
    assert measured(readings, "within_tolerance_gap").value == pytest.approx(1 / 3)
    gap = measured(readings, "mean_error_gap")
    assert gap.value == pytest.approx(2 / 3)
    assert (gap.details["highest"], gap.details["lowest"]) == ("b", "a")
    # Student's interval of sixty times plus or minus a half: 2.0010 sqrt(0.25/59).
    assert ends(measured(readings, "mean_error", group="a"))[1] == pytest.approx(0.13026, abs=1e-4)


def test_what_is_expected_of_a_size_is_what_such_data_give() -> None:
    rows = {"a": 60, "b": 200, "c": 100}
    errors = np.concatenate([np.repeat([0.0, 2.0], [n * 9 // 10, n // 10]) for n in rows.values()])
    readings = read(GroupErrorCheck(), rated(errors, np.repeat([*rows], [*rows.values()]).tolist()))
    groups = {"g": {name: {"": count} for name, count in rows.items()}}
    expected = GroupErrorCheck().precision(AuditSize(360, 1, {}, groups), 0.95)
    (_, high) = ends(measured(readings, "within_tolerance_gap"))
    assert expected == {"within_tolerance_gap": pytest.approx(high)}
    assert GroupErrorCheck().precision(AuditSize(360, 1), 0.95) == {}


def test_a_group_rated_too_low_is_found_and_its_fair_twin_is_not() -> None:
    rng = np.random.default_rng(0)
    noise, groups = rng.normal(size=900), ["abc"[row % 3] for row in range(900)]
    low = noise - 0.8 * (np.array(groups) == "c")
    planted, clean = (
        read(GroupErrorCheck(), rated(low, groups)),
        read(GroupErrorCheck(), rated(noise, groups)),
    )
    for metric in GAPS:
        assert ends(measured(planted, metric))[0] > 0
        assert ends(measured(clean, metric))[0] == 0
    assert measured(planted, "mean_error_gap").details["lowest"] == "c"


def test_fair_models_are_seldom_accused() -> None:
    rng = np.random.default_rng(1)
    groups = [f"g{row % 4}" for row in range(400)]
    accused = 0
    for _ in range(80):
        readings = read(GroupErrorCheck(), rated(rng.exponential(size=400) - 1, groups))
        accused += any(ends(measured(readings, metric))[0] > 0 for metric in GAPS)
    assert accused <= 11  # four expected at most; four Monte-Carlo errors


def test_rows_of_one_person_count_as_what_they_are_worth() -> None:
    rng = np.random.default_rng(2)
    persons = np.repeat(np.arange(120), 9)
    errors, groups = rng.normal(size=120)[persons], ["ab"[person % 2] for person in persons]
    told = read(GroupErrorCheck(), rated(errors, groups, [f"p{person}" for person in persons]))
    untold = read(GroupErrorCheck(), rated(errors, groups))
    for metric in GAPS:
        one, other = measured(told, metric), measured(untold, metric)
        assert one.value == pytest.approx(other.value)
        assert 2.4 < (ends(one)[1] - ends(one)[0]) / (ends(other)[1] - ends(other)[0]) < 4
        assert "cluster-robust" in one.method


def test_a_group_of_few_rows_is_a_gap_unless_it_is_left_out() -> None:
    errors, groups = [0.5, -0.5] * 70, ["a"] * 60 + ["b"] * 60 + ["c"] * 20
    readings = read(GroupErrorCheck(), rated(errors, groups))
    (gap,) = gaps(readings, "mean_error_gap")
    assert (gap.reason, gap.metric) == (GapReason.TOO_FEW_ROWS, "mean_error_gap")
    assert "c has fewer than 30 rows" in gap.detail
    without = read(GroupErrorCheck(least_share=0.2), rated(errors, groups))
    assert measured(without, "mean_error_gap").details["left_out"] == ["c"]
    assert measured(without, "within_tolerance", group="c").n == 20


def test_people_of_unknown_group_are_shown_and_not_compared() -> None:
    errors, groups = [0.5, -0.5] * 60 + [9.0] * 30, ["a"] * 60 + ["b"] * 60 + ["unknown"] * 30
    readings = read(GroupErrorCheck(), rated(errors, groups))
    assert measured(readings, "mean_error", group="unknown").value == 9
    assert measured(readings, "mean_error_gap").value == 0
    assert measured(readings, "mean_error_gap").doubted  # they are served so much worse
    with_it = read(GroupErrorCheck(compare_unknown=True), rated(errors, groups))
    assert measured(with_it, "mean_error_gap").value == 9


def test_one_group_cannot_be_compared() -> None:
    readings = read(GroupErrorCheck(), rated([0.0] * 40, ["a"] * 40))
    assert names(readings) == ["mean_error", "within_tolerance", *GAPS]
    assert [item.reason for item in readings if isinstance(item, Gap)] == [
        GapReason.NOT_DEFINED
    ] * 2


def test_each_kind_of_task_has_its_own_check_of_groups() -> None:
    regression = rated([0.0] * 4, list("abab"))
    classes = scored([0.1, 0.9], [0, 1], groups={"g": ["a", "b"]})
    assert (
        find_unmet_need(GroupErrorCheck, regression)
        is find_unmet_need(GroupFairnessCheck, classes)
        is None
    )
    other = (
        find_unmet_need(GroupErrorCheck, classes),
        find_unmet_need(GroupFairnessCheck, regression),
    )
    assert [gap.reason for gap in other if gap] == [
        GapReason.NEEDS_REGRESSION,
        GapReason.NEEDS_CLASSIFICATION,
    ]


def test_the_readings_are_the_same_at_any_confidence() -> None:
    rng = np.random.default_rng(3)
    subject = rated(rng.normal(size=300), [f"g{row % 3}" for row in range(300)])
    one, other = read(GroupErrorCheck(), subject), read(GroupErrorCheck(), subject, 0.999)
    assert names(one) == names(other)
    for narrow, wide in zip(one, other, strict=True):
        assert isinstance(narrow, Measurement)
        assert isinstance(wide, Measurement)
        assert ends(wide)[0] <= ends(narrow)[0] <= ends(narrow)[1] <= ends(wide)[1]


def test_the_evidence_holds_errors_and_codes() -> None:
    seen = stored(GroupErrorCheck(), rated([0.0] * 4, list("abab")))
    assert set(seen) == {"errors", "codes", "columns", "task"}
    assert CHECK is GroupErrorCheck
