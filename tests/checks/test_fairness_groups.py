from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_subjects import ends, gaps, measured, names, read, scored, stored

from auditor.checks.fairness.groups import CHECK, Groups
from auditor.domain.budgets import Size
from auditor.domain.readings import Measurement, Reason
from auditor.domain.subjects import Subject

RATES = ["selection_rate", "tpr", "fpr", "ppv"]
COMPARISONS = ["selection_rate_gap", "tpr_gap", "fpr_gap", "ppv_gap", "impact_ratio"]
Cells = dict[str, tuple[int, int, int, int]]
COMPAS: Cells = {"black": (990, 805, 532, 1369), "white": (1139, 349, 461, 505)}


def confused(cells: Cells, column: str = "race", favourable: str = "1") -> Subject:
    """Rows with these counts of (TN, FP, FN, TP) in each group."""
    labels: list[int] = []
    decided: list[int] = []
    members: list[str] = []
    for group, counts in cells.items():
        for (label, decision), count in zip(((0, 0), (0, 1), (1, 0), (1, 1)), counts, strict=True):
            labels += [label] * count
            decided += [decision] * count
            members += [group] * count
    stated = np.array(decided) * 0.8 + 0.1
    return scored(stated, labels, groups={column: members}, favourable=favourable)


def test_compas_has_the_published_rates() -> None:
    # ProPublica's two-year table (7,214 people, decile score of at least 5; the two larger groups).
    readings = read(Groups(), confused(COMPAS))
    published = {
        ("fpr", "black"): 0.4485,
        ("fpr", "white"): 0.2345,
        ("tpr", "black"): 1 - 0.2799,
        ("tpr", "white"): 1 - 0.4772,
        ("ppv", "black"): 0.6297,
        ("ppv", "white"): 0.5913,
    }
    for (metric, group), value in published.items():
        found = measured(readings, metric, group_column="race", group=group)
        assert found.value == pytest.approx(value, abs=5e-5)


def test_compas_has_the_published_gap_and_ratio() -> None:
    # Fairlearn: equalised-odds difference 0.213925, demographic-parity ratio 0.59164.
    readings = read(Groups(), confused(COMPAS))
    gap, ratio = measured(readings, "fpr_gap"), measured(readings, "impact_ratio")
    assert gap.value == pytest.approx(0.213925, abs=5e-7)
    assert ends(gap)[0] > 0.1
    assert ratio.value == pytest.approx(0.59164, abs=5e-6)
    assert ends(ratio)[1] < 0.8
    assert (gap.details["highest"], gap.details["lowest"]) == ("black", "white")
    assert gap.details["counts"] == {
        "black": {"k": 805, "n": 1795},
        "white": {"k": 349, "n": 1488},
    }


def test_the_favourable_class_decides_what_a_selection_is() -> None:
    mirrored = read(Groups(), confused(COMPAS, favourable="0"))
    found = measured(mirrored, "selection_rate", group="black")
    assert found.value == pytest.approx((990 + 532) / 3696)
    assert measured(mirrored, "tpr", group="black").value == pytest.approx(990 / 1795)


def test_the_false_positive_rate_of_a_group_has_its_exact_interval() -> None:
    # Exact limits on the right denominators: 42.5-47.2 and 21.3-25.7 per cent.
    readings = read(Groups(), confused(COMPAS))
    black, white = (ends(measured(readings, "fpr", group=name)) for name in ("black", "white"))
    assert np.round([*black, *white], 3).tolist() == [0.425, 0.472, 0.213, 0.257]


def fair(rng: np.random.Generator, groups: int, rows: int) -> Subject:
    members = [f"g{index % groups}" for index in range(rows)]
    return scored(
        rng.random(rows), rng.random(rows) < 0.5, groups={"group": members, "half": members}
    )


def test_a_fair_model_of_five_groups_is_not_accused() -> None:
    rng = np.random.default_rng(1)
    accused = 0
    for _ in range(100):
        readings = read(Groups(), fair(rng, 5, 500))
        found = [item for item in readings if isinstance(item, Measurement)]
        gap_lows = [ends(item)[0] for item in found if item.metric.endswith("_gap")]
        ratio_highs = [ends(item)[1] for item in found if item.metric == "impact_ratio"]
        accused += max(gap_lows) > 0 or min(ratio_highs) < 1
    assert accused <= 12  # five expected at most; four Monte-Carlo errors


def test_a_planted_gap_is_found_and_its_groups_are_named() -> None:
    cells: Cells = {"a": (200, 50, 50, 200), "b": (200, 50, 200, 50), "c": (200, 50, 60, 190)}
    readings = read(Groups(), confused(cells))
    gap = measured(readings, "tpr_gap")
    assert gap.value == pytest.approx(0.6)
    assert ends(gap)[0] > 0.4
    assert (gap.details["highest"], gap.details["lowest"]) == ("a", "b")
    assert ends(measured(readings, "fpr_gap"))[0] == 0


def test_more_columns_widen_every_joint_interval_and_say_so() -> None:
    one = confused(COMPAS)
    dataset = next(iter(one.datasets.values()))
    members = dataset.groups["race"]
    two = scored(dataset.scores, dataset.labels, groups={"race": members, "again": members})
    alone = measured(read(Groups(), one), "fpr_gap", group_column="race")
    joint = measured(read(Groups(), two), "fpr_gap", group_column="race")
    assert ends(joint)[0] < ends(alone)[0] < ends(alone)[1] < ends(joint)[1]
    assert "bonferroni over 5" in alone.method
    assert "bonferroni over 10" in joint.method
    assert alone.confidence == joint.confidence == 0.95


def test_a_group_without_positives_is_a_gap_that_names_it_and_stays_possible() -> None:
    cells: Cells = {"a": (50, 10, 10, 50), "b": (50, 10, 10, 50), "c": (30, 5, 0, 0)}
    readings = read(Groups(), confused(cells))
    (gap,) = gaps(readings, "tpr of race=c")
    assert gap.reason is Reason.NOT_DEFINED
    assert (gap.metric, dict(gap.params)) == ("tpr", {"group_column": "race", "group": "c"})
    compared = measured(readings, "tpr_gap")
    assert ends(compared) == (0, 1)
    assert compared.details["without_rate"] == ["c"]
    assert ends(measured(readings, "fpr_gap"))[1] < 1


def test_one_group_cannot_be_compared() -> None:
    readings = read(Groups(), confused({"a": (5, 5, 5, 5)}))
    assert names(readings) == [*RATES, *COMPARISONS]
    assert len(gaps(readings, "over race is not defined")) == 5


def test_two_groups_of_which_one_has_no_rate_cannot_be_compared() -> None:
    readings = read(Groups(), confused({"a": (5, 5, 5, 5), "b": (5, 5, 0, 0)}))
    (gap,) = gaps(readings, "tpr_gap over race")
    assert "a has such a rate, b has none" in gap.detail


def test_nobody_selected_has_no_ratio_and_no_predictive_value() -> None:
    readings = read(Groups(), confused({"a": (5, 0, 5, 0), "b": (5, 0, 5, 0)}))
    assert measured(readings, "selection_rate_gap").value == 0
    assert len(gaps(readings, "nobody")) == 0
    assert len(gaps(readings, "impact_ratio over race")) == 1
    assert len(gaps(readings, "ppv")) == 3


def test_small_groups_stay_in_and_are_listed() -> None:
    cells: Cells = {"a": (200, 200, 200, 200), "b": (1, 1, 1, 1)}
    gap = measured(read(Groups(), confused(cells)), "selection_rate_gap")
    assert gap.details["small_groups"] == ["b"]
    assert ends(gap)[1] > 0.3


UNKNOWN: Cells = {"a": (20, 20, 20, 20), "b": (20, 20, 20, 20), "unknown": (4, 0, 0, 0)}


def test_unknown_is_shown_and_compared_unless_the_policy_leaves_it_out() -> None:
    with_it = read(Groups(compare_unknown=True), confused(UNKNOWN))
    without = read(Groups(compare_unknown=False), confused(UNKNOWN))
    for readings in (with_it, without):
        assert measured(readings, "selection_rate", group="unknown").n == 4
    assert measured(with_it, "selection_rate_gap").value == 0.5
    assert measured(without, "selection_rate_gap").value == 0


def test_rows_of_one_person_make_every_figure_doubted() -> None:
    subject = scored(
        [0.2, 0.8] * 4,
        [0, 1] * 4,
        groups={"g": ["a", "a", "b", "b"] * 2},
        cluster=["x"] * 4 + ["y"] * 4,
    )
    found = [item for item in read(Groups(), subject) if isinstance(item, Measurement)]
    assert found
    assert all(item.doubted for item in found)


def test_three_classes_are_judged_by_the_favourable_one() -> None:
    table = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])
    subject = scored(table, [0, 1, 1, 2], groups={"g": ["a", "a", "b", "b"]})
    readings = read(Groups(), subject)
    assert measured(readings, "tpr", group="a").value == 1
    assert measured(readings, "tpr", group="b").value == 0
    assert measured(readings, "fpr", group="b").value == 1


ROWS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 1), st.sampled_from("abc"), st.sampled_from("xy")),
    min_size=1,
    max_size=30,
)


@given(ROWS)
def test_any_rows_give_the_same_readings_in_the_same_order(
    rows: Sequence[tuple[float, int, str, str]],
) -> None:
    stated, labels, one, other = zip(*rows, strict=True)
    subject = scored(stated, labels, groups={"one": one, "other": other})
    expected = [
        *([*RATES] * len(set(one))), *COMPARISONS, *([*RATES] * len(set(other))), *COMPARISONS
    ]  # fmt: skip
    readings = read(Groups(), subject, 0.95)
    assert names(readings) == names(read(Groups(), subject, 0.999)) == expected
    for item in readings:
        if isinstance(item, Measurement):
            low, high = ends(item)
            assert 0 <= low <= item.value <= high <= 1


def test_what_is_expected_of_a_size_is_what_such_data_give() -> None:
    cells: Cells = {"a": (25, 25, 25, 25), "b": (200, 200, 200, 200), "c": (15, 15, 15, 15)}
    counted = {name: {"0": counts[0] * 2, "1": counts[0] * 2} for name, counts in cells.items()}
    size = Size(960, 2, {"0": 480, "1": 480}, {"race": counted}, "1")
    readings, expected = read(Groups(), confused(cells)), Groups().precision(size, 0.95)
    assert set(expected) == set(COMPARISONS)
    for metric, half in expected.items():
        low, high = ends(measured(readings, metric))
        reach = 1 - low if metric == "impact_ratio" else high
        assert reach == pytest.approx(half)


def test_the_worst_column_decides_what_is_expected() -> None:
    wide, narrow = {"a": {"1": 20}, "b": {"1": 900}}, {"x": {"1": 460}, "y": {"1": 460}}
    both = Groups().precision(Size(920, 2, {"1": 920}, {"g": wide, "h": narrow}), 0.95)
    mirrored = Groups().precision(Size(920, 2, {"1": 920}, {"g": narrow, "h": wide}), 0.95)
    assert both == mirrored
    assert both["selection_rate_gap"] > 0.3
    assert "tpr_gap" not in both


def test_a_group_without_positives_leaves_nothing_to_expect() -> None:
    groups = {"g": {"a": {"0": 50}, "b": {"0": 50, "1": 50}}}
    expected = Groups().precision(Size(150, 2, {"0": 100, "1": 50}, groups, "1"), 0.95)
    assert expected["tpr_gap"] == 1
    assert expected["fpr_gap"] < 1


def test_the_evidence_holds_codes_and_names() -> None:
    seen = stored(Groups(), confused(COMPAS))
    assert seen["columns"] == [{"name": "race", "groups": ["black", "white"]}]
    assert set(seen) == {"ids", "labels", "decided", "codes", "columns", "task"}


def test_the_check_emits_what_it_declares() -> None:
    assert CHECK is Groups
    assert list(Groups.emits) == [*RATES, *COMPARISONS]
