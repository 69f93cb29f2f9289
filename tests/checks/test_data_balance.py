import numpy as np
import pytest
from scored_subjects import ends, gaps, measured, read
from surveyed_subjects import regressed, sample, surveyed

from auditor.checks.data.balance import CHECK, BalanceCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.metrics.stats.proportions import clopper_pearson


def noise(rows: int, columns: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def areas(found: tuple[Reading, ...]) -> list[Measurement]:
    return [it for it in found if isinstance(it, Measurement) and it.metric == "column_auc"]


def test_ninety_and_ten_rows_on_paper() -> None:
    found = read(BalanceCheck(), surveyed(sample(noise(100), [0] * 90 + [1] * 10)))
    share = measured(found, "class_share", **{"class": "1"})
    oracle = clopper_pearson(10, 100, 0.975)
    assert (share.value, *ends(share)) == (0.1, oracle.low, oracle.high)
    assert measured(found, "imbalance_ratio").value == pytest.approx(9)
    assert measured(found, "effective_classes").value == pytest.approx(1.3841, abs=1e-4)


def test_a_planted_column_that_stands_for_the_label_is_found() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 1000)
    rows = noise(1000)
    rows[:, 2] = labels + rng.normal(0, 0.1, 1000)
    best, *others = areas(read(BalanceCheck(), surveyed(sample(rows, labels))))
    assert best.params["column"] == "x2"
    assert ends(best)[0] > 0.97
    assert all(ends(item)[0] < 0.5 < ends(item)[1] for item in others)


def test_columns_that_tell_nothing_are_seldom_said_to() -> None:
    rng = np.random.default_rng(2)
    accused = 0
    for seed in range(40):
        found = read(BalanceCheck(), surveyed(sample(noise(200, 6, seed), rng.integers(0, 2, 200))))
        accused += any(ends(item)[0] > 0.5 for item in areas(found))
    assert accused <= 6  # one expected (one side of a joint interval); four Monte-Carlo errors


def test_many_classes_and_numbers_have_columns_that_give_them_away_too() -> None:
    labels = np.arange(900) % 3
    rows = noise(900)
    rows[:, 1] = labels
    best = areas(read(BalanceCheck(), surveyed(sample(rows, labels), classes=3)))[0]
    assert (best.params["column"], best.value) == ("x1", 1)
    targets = 7 * rows[:, 3]
    found = read(BalanceCheck(), regressed(sample(rows, targets=targets)))
    assert areas(found)[0].params["column"] == "x3"
    assert areas(found)[0].value > 0.98
    assert gaps(found, "no classes")[0].reason is GapReason.NEEDS_CLASSIFICATION


def test_constant_and_naming_columns_are_named() -> None:
    rows = noise(200)
    rows[:, 0] = 3
    rows[:, 1] = np.random.default_rng(3).permutation(200)
    slices = {"ticket": [f"t-{row}" for row in range(200)], "day": ["monday"] * 200}
    found = read(BalanceCheck(), surveyed(sample(rows, slices=slices)))
    assert measured(found, "constant_columns").details["columns"] == ["x0", "day"]
    assert measured(found, "identifier_columns").details["columns"] == ["x1", "ticket"]
    assert measured(found, "identifier_columns").n == 6


def test_measured_numbers_and_categories_name_no_rows() -> None:
    rows = noise(200)
    rows[:, 0] = np.arange(200) % 7
    found = read(BalanceCheck(), surveyed(sample(rows)))
    assert measured(found, "identifier_columns").value == 0
    assert measured(found, "constant_columns").value == 0


def test_what_one_group_lacks_more_often_is_found() -> None:
    rows = noise(400)
    sex = ["f", "m"] * 200
    rows[np.arange(0, 120, 2), 1] = np.nan  # sixty women
    rows[np.arange(1, 21, 2), 1] = np.nan  # ten men
    found = read(BalanceCheck(), surveyed(sample(rows, groups={"sex": sex})))
    assert measured(found, "missing_share").details["columns"] == {"x1": 70}
    assert measured(found, "missing_share").value == pytest.approx(70 / 400)
    gap = measured(found, "missing_gap", column="x1", group_column="sex")
    assert gap.value == pytest.approx(0.25)
    assert ends(gap)[0] > 0.15
    assert (gap.details["highest"], gap.details["lowest"]) == ("f", "m")


def test_what_is_missing_by_chance_accuses_no_group() -> None:
    rng = np.random.default_rng(4)
    accused = 0
    for _ in range(40):
        rows = noise(200)
        rows[rng.random(200) < 0.2, 0] = np.nan
        rows[rng.random(200) < 0.1, 1] = np.nan
        found = read(BalanceCheck(), surveyed(sample(rows, groups={"sex": ["f", "m"] * 100})))
        accused += any(
            ends(item)[0] > 0
            for item in found
            if isinstance(item, Measurement) and item.metric == "missing_gap"
        )
    assert accused <= 7  # two expected at most; four Monte-Carlo errors


def test_gaps_in_what_is_missing_hold_for_all_columns_and_samples_at_once() -> None:
    rows = noise(400)
    rows[:60, 0] = np.nan
    sex = {"sex": ["f", "m"] * 200}
    more = rows.copy()
    more[:60, 1] = np.nan
    ends_of = [
        ends(measured(read(BalanceCheck(), it), "missing_gap", data="evaluation", column="x0"))
        for it in (
            surveyed(sample(rows, groups=sex)),
            surveyed(sample(more, groups=sex)),
            surveyed(sample(more, groups=sex), sample(more, role=DatasetRole.TRAINING, groups=sex)),
        )
    ]
    alone, two, four = (high for _, high in ends_of)
    assert alone < two < four


def test_areas_of_columns_hold_for_all_that_are_listed() -> None:
    rows = noise(400)
    labels = (rows[:, 0] > 0).astype(int)
    few, many = (
        ends(
            measured(
                read(BalanceCheck(listed=count), surveyed(sample(rows, labels))),
                "column_auc",
                column="x0",
            )
        )
        for count in (1, 4)
    )
    assert few[0] > many[0]


def test_an_unknown_group_is_missing_and_no_group_of_its_own() -> None:
    race = ["a"] * 40 + ["b"] * 40 + ["unknown"] * 20
    sex = ["f", "m"] * 50
    found = read(BalanceCheck(), surveyed(sample(noise(100), groups={"race": race, "sex": sex})))
    gap = measured(found, "missing_gap")
    assert gap.params == {"data": "evaluation", "column": "race", "group_column": "sex"}
    assert measured(found, "missing_share").details["columns"] == {"race": 20}


def test_complete_data_and_data_without_groups_have_nothing_to_compare() -> None:
    complete = read(BalanceCheck(), surveyed(sample(noise(50))))
    assert gaps(complete, "Nothing is missing")[0].metric == "missing_gap"
    rows = noise(50)
    rows[0, 0] = np.nan
    assert gaps(read(BalanceCheck(), surveyed(sample(rows))), "no other groups")[0].reason is (
        GapReason.NEEDS_GROUPS
    )


def test_a_class_without_rows_has_no_ratio() -> None:
    found = read(BalanceCheck(), surveyed(sample(noise(50), [0] * 50), classes=3))
    (lacking,) = gaps(found, "No row has the class 1, 2.")
    assert lacking.metric == "imbalance_ratio"
    assert gaps(found, "no column that varies")[0].metric == "column_auc"


def test_pictures_have_classes_and_no_columns() -> None:
    found = read(BalanceCheck(), surveyed(sample(np.zeros((20, 8, 8)), [0, 1] * 10)))
    assert measured(found, "effective_classes").value == pytest.approx(2)
    assert measured(found, "constant_columns").n == 0
    assert gaps(found, "no column that varies")


def test_training_data_and_data_without_labels_are_looked_at() -> None:
    both = surveyed(sample(noise(60), [0, 1] * 30), sample(noise(80), role=DatasetRole.TRAINING))
    found = read(BalanceCheck(), both)
    lacking = [it for it in found if isinstance(it, Gap) and it.reason is GapReason.NEEDS_LABELS]
    assert [it.params["data"] for it in lacking] == ["training"] * 4
    assert measured(found, "missing_share", data="training").value == 0


def test_it_asks_the_model_nothing() -> None:
    check = CHECK()
    groups = {"sex": {"f": {"0": 100}, "m": {"0": 100}}}
    assert check.cost(AuditSize(rows=100, classes=2)).queries == 0
    assert check.precision(AuditSize(rows=100, classes=2), 0.95) == {}
    assert 0.1 < check.precision(AuditSize(200, 2, groups=groups), 0.95)["missing_gap"] < 0.2
