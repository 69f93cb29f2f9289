from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from judged import outcome
from scored_subjects import ends, gaps, measured, read
from surveyed_subjects import sample, surveyed

from auditor.checks.data.representativeness import CHECK, RepresentativenessCheck
from auditor.checks.requirements import find_unmet_need
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import Gap, GapReason, Measurement

Population = Mapping[str, Mapping[str, float]]
HALF: Population = {"sex": {"f": 0.5, "m": 0.5}}


def people(population: Population, **columns: Sequence[str]) -> Subject:
    rows = len(next(iter(columns.values())))
    dataset = sample(np.arange(2.0 * rows).reshape(rows, 2), groups=columns)
    return surveyed(dataset, population=population)


def test_a_hundred_people_on_paper() -> None:
    # 30 women of 100: ratio 0.6 and 1.4; chi-square 16 on one degree, p 0.0000633.
    found = read(RepresentativenessCheck(), people(HALF, sex=["f"] * 30 + ["m"] * 70))
    gap = measured(found, "representation_gap")
    assert gap.value == pytest.approx(0.2)
    assert 0.08 < ends(gap)[0] < 0.12
    assert gap.details["statistic"] == pytest.approx(16)
    assert gap.details["p_value"] == pytest.approx(6.33e-5, rel=0.01)
    women, men = (measured(found, "representation_ratio", level=level) for level in "fm")
    assert (women.value, men.value) == pytest.approx((0.6, 1.4))
    assert ends(women)[1] < 1 < ends(men)[0]
    assert women.details == {"k": 30, "n": 100, "population": 0.5}


def test_data_drawn_from_the_population_are_seldom_accused() -> None:
    rng = np.random.default_rng(1)
    shares = {"a": 0.6, "b": 0.3, "c": 0.1}
    accused = 0
    for _ in range(60):
        drawn = rng.choice(list("abc"), 200, p=list(shares.values())).tolist()
        found = read(RepresentativenessCheck(), people({"race": shares}, race=drawn))
        ratios = [
            ends(item)
            for item in found
            if isinstance(item, Measurement) and item.metric == "representation_ratio"
        ]
        apart = any(not low <= 1 <= high for low, high in ratios)
        accused += apart or ends(measured(found, "representation_gap"))[0] > 0
    assert accused <= 8  # three expected at most; three Monte-Carlo errors


def test_joined_columns_are_compared_level_by_level() -> None:
    joint = {"f, black": 0.1, "f, white": 0.4, "m,white": 0.4, "m, black": 0.1}
    sex = ["f"] * 50 + ["m"] * 50
    race = ["black"] * 10 + ["white"] * 40 + ["black"] * 5 + ["white"] * 45
    found = read(RepresentativenessCheck(), people({"sex, race": joint}, sex=sex, race=race))
    assert measured(found, "representation_gap").value == pytest.approx(0.05)
    assert measured(found, "representation_ratio", level="m, black").value == pytest.approx(0.5)
    thin = measured(found, "thin_levels")
    assert thin.value == 2
    assert thin.details["rows_needed"] == {"f, black": 20, "m, black": 25}


def test_levels_on_one_side_only_are_told_and_unknown_rows_have_no_share() -> None:
    levels = ["f"] * 40 + ["m"] * 40 + ["x"] * 20 + ["unknown"] * 30
    found = read(
        RepresentativenessCheck(), people({"sex": {"f": 0.5, "m": 0.4, "d": 0.1}}, sex=levels)
    )
    outside = measured(found, "outside_share")
    assert (outside.value, outside.n, outside.details["levels"]) == (0.2, 100, {"x": 20})
    assert measured(found, "thin_levels").details["absent"] == ["d"]
    assert measured(found, "representation_gap").details["unknown"] == 30
    assert measured(found, "representation_ratio", level="d").value == 0


def test_rows_of_unknown_level_could_be_anybody_and_let_no_rule_pass() -> None:
    # 900 of 1,000 rows are unknown: women are at least 5 and at most 95 in a hundred.
    known = ["f"] * 50 + ["m"] * 50
    found = read(RepresentativenessCheck(), people(HALF, sex=known + ["unknown"] * 900))
    gap = measured(found, "representation_gap")
    assert gap.value == 0
    assert 0.45 < ends(gap)[1] < 0.48
    low, high = ends(measured(found, "representation_ratio", level="f"))
    assert low < 0.1
    assert high > 1.9
    assert ends(measured(found, "outside_share"))[1] > 0.9
    asked = MetricLimits(most=0.2)
    for metric in ("representation_gap", "outside_share"):
        assert outcome(CHECK, found, metric, asked) is Outcome.UNKNOWN
    many = read(RepresentativenessCheck(), people(HALF, sex=known * 10))
    assert outcome(CHECK, many, "representation_gap", asked) is Outcome.PASSED


def test_intervals_hold_for_all_samples_at_once() -> None:
    one = people(HALF, sex=["f", "m"] * 50)
    data = one.datasets[DatasetRole.EVALUATION]
    both = {**one.datasets, DatasetRole.TRAINING: replace(data, role=DatasetRole.TRAINING)}
    alone, beside = (
        ends(measured(read(RepresentativenessCheck(), it), "representation_gap", data="evaluation"))
        for it in (one, replace(one, datasets=both))
    )
    assert beside[1] > alone[1]


def test_a_level_of_which_the_population_has_none_lies_outside() -> None:
    found = read(
        RepresentativenessCheck(),
        people({"sex": {"f": 0.5, "m": 0.5, "x": 0.0}}, sex=["f", "m", "x", "x"]),
    )
    assert measured(found, "outside_share").value == 0.5


def test_columns_that_the_model_reads_have_levels_too() -> None:
    rows = np.repeat([[0.0, 1.5], [1.0, 2.5]], [30, 70], axis=0)
    subject = replace(surveyed(sample(rows)), population={"x0": {"0": 0.3, "1": 0.7}})
    assert measured(read(RepresentativenessCheck(), subject), "representation_gap").value == 0


def test_more_columns_widen_the_intervals() -> None:
    sex, age = ["f", "m"] * 50, ["old"] * 40 + ["young"] * 60
    alone = measured(read(RepresentativenessCheck(), people(HALF, sex=sex)), "representation_gap")
    both = read(
        RepresentativenessCheck(),
        people({**HALF, "age": {"old": 0.5, "young": 0.5}}, sex=sex, age=age),
    )
    wide = measured(both, "representation_gap", column="sex")
    assert ends(wide)[1] > ends(alone)[1]
    assert wide.details["adjusted_p_value"] == pytest.approx(1)


def test_a_column_that_is_not_there_and_levels_spelled_otherwise_are_gaps() -> None:
    found = read(
        RepresentativenessCheck(),
        people({"sex": {"F": 1, "M": 1}, "age": {"1": 1}}, sex=["f", "m"]),
    )
    assert all(isinstance(item, Gap) and item.reason is GapReason.NOT_DEFINED for item in found)
    assert len(gaps(found, "no column 'age'")) == len(gaps(found, "level of sex")) == 4


def test_training_data_are_compared_as_well_and_one_row_stands_for_each_cluster() -> None:
    rows = np.arange(20.0).reshape(10, 2)
    subject = surveyed(
        sample(rows, groups={"sex": ["f", "m"] * 5}),
        sample(
            rows,
            role=DatasetRole.TRAINING,
            groups={"sex": ["f"] * 10},
            cluster=["a"] * 5 + ["b"] * 5,
        ),
    )
    found = read(RepresentativenessCheck(), replace(subject, population=HALF))
    assert measured(found, "representation_gap", data="evaluation").value == 0
    told = measured(found, "representation_gap", data="training")
    assert (told.value, told.n, told.doubted) == (0.5, 2, False)
    assert "one row of each cluster" in str(told.details["rows_are"])


def test_without_a_population_there_is_nothing_to_compare_with() -> None:
    lacking = find_unmet_need(CHECK, people({}, sex=["f", "m"]))
    assert lacking is not None
    assert lacking.reason is GapReason.NEEDS_POPULATION
    assert Need.POPULATION in CHECK.needs


def test_it_costs_nothing_and_promises_less_than_nothing_for_no_rows() -> None:
    check = CHECK()
    assert check.cost(AuditSize(rows=10, classes=2)).queries == 0
    assert check.precision(AuditSize(rows=0, classes=2), 0.95) == {}
    assert 0.04 < check.precision(AuditSize(rows=600, classes=2), 0.95)["representation_gap"] < 0.06
