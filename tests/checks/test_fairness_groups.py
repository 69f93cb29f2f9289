from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_subjects import ends, gaps, measured, names, read, scored, stored

from auditor.checks.fairness.groups import CHECK, GroupFairnessCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import DatasetRole, TextColumn
from auditor.domain.readings import GapReason, Measurement
from auditor.metrics.performance.group_fairness import WEIGHS_UNKNOWN

RATES = ["selection_rate", "tpr", "fpr", "ppv", "npv", "accuracy"]
GAPS = [*(f"{rate}_gap" for rate in RATES), "equalised_odds_gap"]
COMPARISONS = [*GAPS, "impact_ratio", "reference_ratio", "worst_group_accuracy"]
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
    readings = read(GroupFairnessCheck(), confused(COMPAS))
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
    readings = read(GroupFairnessCheck(), confused(COMPAS))
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
    mirrored = read(GroupFairnessCheck(), confused(COMPAS, favourable="0"))
    found = measured(mirrored, "selection_rate", group="black")
    assert found.value == pytest.approx((990 + 532) / 3696)
    assert measured(mirrored, "tpr", group="black").value == pytest.approx(990 / 1795)


def test_the_false_positive_rate_of_a_group_has_its_exact_interval() -> None:
    # Exact limits on the right denominators: 42.5-47.2 and 21.3-25.7 per cent.
    readings = read(GroupFairnessCheck(), confused(COMPAS))
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
    for _ in range(16):
        readings = read(GroupFairnessCheck(), fair(rng, 5, 2500))
        found = [item for item in readings if isinstance(item, Measurement)]
        gap_lows = [ends(item)[0] for item in found if item.metric.endswith("_gap")]
        ratio_highs = [ends(item)[1] for item in found if item.metric == "impact_ratio"]
        accused += max(gap_lows) > 0 or min(ratio_highs) < 1
    assert accused <= 4  # one expected at most; four Monte-Carlo errors


def test_a_planted_gap_is_found_and_its_groups_are_named() -> None:
    cells: Cells = {"a": (200, 50, 50, 200), "b": (200, 50, 200, 50), "c": (200, 50, 60, 190)}
    readings = read(GroupFairnessCheck(), confused(cells))
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
    alone = measured(read(GroupFairnessCheck(), one), "fpr_gap", group_column="race")
    joint = measured(read(GroupFairnessCheck(), two), "fpr_gap", group_column="race")
    assert ends(joint)[0] < ends(alone)[0] < ends(alone)[1] < ends(joint)[1]
    assert "bonferroni over 7" in alone.method
    assert "bonferroni over 14" in joint.method
    assert alone.confidence == joint.confidence == 0.95


def test_a_group_without_positives_is_a_gap_that_names_it_and_stays_possible() -> None:
    cells: Cells = {"a": (50, 10, 10, 50), "b": (50, 10, 10, 50), "c": (30, 5, 0, 0)}
    readings = read(GroupFairnessCheck(), confused(cells))
    (gap,) = gaps(readings, "tpr of race=c")
    assert gap.reason is GapReason.NOT_DEFINED
    assert (gap.metric, dict(gap.params)) == ("tpr", {"group_column": "race", "group": "c"})
    compared = measured(readings, "tpr_gap")
    assert ends(compared) == (0, 1)
    assert compared.details["without_rate"] == ["c"]
    assert ends(measured(readings, "fpr_gap"))[1] < 1


def test_one_group_cannot_be_compared() -> None:
    readings = read(GroupFairnessCheck(), confused({"a": (5, 5, 5, 5)}))
    assert names(readings) == [*RATES, *COMPARISONS]
    assert len(gaps(readings, "over race is not defined")) == 9
    assert measured(readings, "worst_group_accuracy").value == 0.5


def test_two_groups_of_which_one_has_no_rate_cannot_be_compared() -> None:
    readings = read(GroupFairnessCheck(), confused({"a": (5, 5, 5, 5), "b": (5, 5, 0, 0)}))
    (gap,) = gaps(readings, "tpr_gap over race")
    assert "a has such a rate, b has none" in gap.detail


def test_nobody_selected_has_no_ratio_and_no_predictive_value() -> None:
    readings = read(GroupFairnessCheck(), confused({"a": (5, 0, 5, 0), "b": (5, 0, 5, 0)}))
    assert measured(readings, "selection_rate_gap").value == 0
    assert len(gaps(readings, "nobody")) == 0
    assert len(gaps(readings, "impact_ratio over race")) == 1
    assert len(gaps(readings, "ppv")) == 3


def test_small_groups_stay_in_and_are_listed() -> None:
    cells: Cells = {"a": (200, 200, 200, 200), "b": (1, 1, 1, 1)}
    gap = measured(read(GroupFairnessCheck(), confused(cells)), "selection_rate_gap")
    assert gap.details["small_groups"] == ["b"]
    assert ends(gap)[1] > 0.3


UNKNOWN: Cells = {"a": (20, 20, 20, 20), "b": (20, 20, 20, 20), "unknown": (4, 0, 0, 0)}


def test_unknown_is_shown_and_compared_unless_the_policy_leaves_it_out() -> None:
    with_it = read(GroupFairnessCheck(compare_unknown=True), confused(UNKNOWN))
    without = read(GroupFairnessCheck(compare_unknown=False), confused(UNKNOWN))
    for readings in (with_it, without):
        assert measured(readings, "selection_rate", group="unknown").n == 4
    assert measured(with_it, "selection_rate_gap").value == 0.5
    assert measured(without, "selection_rate_gap").value == 0


@pytest.mark.parametrize("clustered", [False, True])
def test_whom_a_model_refuses_is_not_hidden_by_a_missing_group(*, clustered: bool) -> None:
    # Sixty of the hundred people of b are refused, and exactly these have no group
    hidden: Cells = {"a": (0, 50, 0, 50), "b": (0, 20, 0, 20), "unknown": (30, 0, 30, 0)}
    subject = confused(hidden)
    if clustered:
        dataset = subject.datasets[DatasetRole.EVALUATION]
        pairs = TextColumn.of([f"c{row // 2}" for row in range(dataset.rows)])
        told = {DatasetRole.EVALUATION: replace(dataset, cluster=pairs)}
        subject = replace(subject, datasets=told)
    readings = read(GroupFairnessCheck(), subject)
    gap, ratio = measured(readings, "selection_rate_gap"), measured(readings, "impact_ratio")
    assert (gap.value, ratio.value) == (0, 1)
    assert gap.doubted
    assert ratio.doubted
    assert "with the rows whose race is not known as a group of their own it would be 1 (" in str(
        gap.details["doubt"]
    )
    assert not measured(readings, "fpr", group="a").doubted
    compared = read(GroupFairnessCheck(compare_unknown=True), subject)
    assert not measured(compared, "selection_rate_gap").doubted
    assert measured(compared, "selection_rate_gap").value == 1


def test_many_missing_groups_leave_every_comparison_in_doubt() -> None:
    # 80 % of a and 55 % of b are chosen: the refused of b and the chosen of a have no group
    hidden: Cells = {"a": (24, 0, 0, 50), "b": (45, 0, 0, 94), "unknown": (24, 0, 0, 50)}
    readings = read(GroupFairnessCheck(), confused(hidden))
    gap = measured(readings, "selection_rate_gap")
    assert cast("float", gap.value) < 0.01
    assert gap.doubted
    assert "of 74 of 287 rows is not known, too many" in str(gap.details["doubt"])
    assert not measured(readings, "selection_rate", group="a").doubted
    few = {**hidden, "unknown": (7, 0, 0, 14)}
    assert not measured(read(GroupFairnessCheck(), confused(few)), "selection_rate_gap").doubted


def test_missing_groups_raise_no_doubt_by_chance_alone() -> None:
    rng, doubted = np.random.default_rng(9), 0
    for _ in range(40):
        members = rng.choice(["a", "b", "unknown"], 600, p=[0.52, 0.42, 0.06]).tolist()
        seen = scored(rng.random(600), rng.random(600) < 0.5, groups={"g": members})
        readings = read(GroupFairnessCheck(), seen)
        doubted += any(item.doubted for item in readings if isinstance(item, Measurement))
    assert doubted <= 5  # at most two expected of forty; four Monte-Carlo errors more would be 7


def test_evidence_that_weighs_no_missing_group_is_read_as_it_was() -> None:
    hidden: Cells = {"a": (0, 50, 0, 50), "b": (0, 20, 0, 20), "unknown": (30, 0, 30, 0)}
    check = GroupFairnessCheck()
    evidence = dict(check.observe(confused(hidden), CheckShard()))
    columns = cast("list[dict[str, Any]]", evidence["columns"])
    evidence["columns"] = [
        {name: item for name, item in column.items() if name != WEIGHS_UNKNOWN}
        for column in columns
    ]
    found = [it for it in check.figures(evidence, 0.95) if isinstance(it, Measurement)]
    assert not any(item.doubted for item in found)


def test_evidence_that_does_not_count_missing_groups_is_read_as_it_was() -> None:
    alike: Cells = {"a": (0, 50, 0, 50), "b": (0, 20, 0, 20), "unknown": (0, 30, 0, 30)}
    check = GroupFairnessCheck()
    evidence = dict(check.observe(confused(alike), CheckShard()))
    now = [it for it in check.figures(evidence, 0.95) if isinstance(it, Measurement)]
    assert any(item.doubted for item in now)
    columns = cast("list[dict[str, Any]]", evidence["columns"])
    evidence["columns"] = [{**column, WEIGHS_UNKNOWN: True} for column in columns]
    found = [it for it in check.figures(evidence, 0.95) if isinstance(it, Measurement)]
    assert not any(item.doubted for item in found)


def repeated(rng: np.random.Generator, people: int, times: int) -> tuple[Subject, Subject]:
    """People of whom each is decided upon alike several times: with and without saying so."""
    persons = np.repeat(np.arange(people), times)
    stated, labels = rng.random(people)[persons], rng.integers(0, 2, people)[persons]
    groups = {"g": ["ab"[person % 2] for person in persons]}
    said = [f"p{person}" for person in persons]
    return scored(stated, labels, groups=groups, cluster=said), scored(
        stated, labels, groups=groups
    )


def test_rows_of_one_person_count_as_what_they_are_worth() -> None:
    clustered, naive = repeated(np.random.default_rng(2), 120, 9)
    told, untold = read(GroupFairnessCheck(), clustered), read(GroupFairnessCheck(), naive)
    for metric, where in (("tpr", {"group": "a"}), ("tpr_gap", {}), ("worst_group_accuracy", {})):
        one, other = measured(told, metric, **where), measured(untold, metric, **where)
        assert one.value == other.value
        assert not one.doubted
        ratio = (ends(one)[1] - ends(one)[0]) / (ends(other)[1] - ends(other)[0])
        assert 2.4 < ratio < 4  # the root of nine rows that say one thing
        assert "cluster-robust" in one.method


def test_clusters_of_one_row_are_no_clusters() -> None:
    alone, naive = repeated(np.random.default_rng(3), 40, 1)
    assert read(GroupFairnessCheck(), alone) == read(GroupFairnessCheck(), naive)


def test_a_group_in_one_cluster_has_no_interval_and_stays_possible() -> None:
    cells: Cells = {"a": (50, 10, 10, 50), "b": (50, 10, 10, 50), "c": (5, 5, 5, 5)}
    subject = confused(cells)
    dataset = next(iter(subject.datasets.values()))
    members = dataset.groups["race"]
    said = [name if name == "c" else f"{name}{at // 2}" for at, name in enumerate(members)]
    clustered = scored(dataset.scores, dataset.labels, groups={"race": members}, cluster=said)
    readings = read(GroupFairnessCheck(), clustered)
    (gap,) = gaps(readings, "tpr of race=c has no interval")
    assert "of one cluster" in gap.detail
    compared = measured(readings, "tpr_gap")
    assert (ends(compared)[1], compared.details["without_rate"]) == (1, ["c"])


def test_three_classes_are_judged_by_the_favourable_one() -> None:
    table = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])
    subject = scored(table, [0, 1, 1, 2], groups={"g": ["a", "a", "b", "b"]})
    readings = read(GroupFairnessCheck(), subject)
    assert measured(readings, "tpr", group="a").value == 1
    assert measured(readings, "tpr", group="b").value == 0
    assert measured(readings, "fpr", group="b").value == 1


ROWS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 1), st.sampled_from("abc"), st.sampled_from("xy")),
    min_size=1,
    max_size=30,
)


@settings(max_examples=10)
@given(ROWS)
def test_any_rows_give_the_same_readings_in_the_same_order(
    rows: Sequence[tuple[float, int, str, str]],
) -> None:
    stated, labels, one, other = zip(*rows, strict=True)
    subject = scored(stated, labels, groups={"one": one, "other": other})
    expected = [
        *([*RATES] * len(set(one))), *COMPARISONS, *([*RATES] * len(set(other))), *COMPARISONS
    ]  # fmt: skip
    readings = read(GroupFairnessCheck(), subject, 0.95)
    assert names(readings) == names(read(GroupFairnessCheck(), subject, 0.999))
    assert [name for name, _ in groupby(names(readings))] == expected
    for item in readings:
        if isinstance(item, Measurement):
            low, high = ends(item)
            assert 0 <= low <= item.value <= high
            assert high <= 1 or item.metric == "reference_ratio"


def test_what_is_expected_of_a_size_is_what_such_data_give() -> None:
    cells: Cells = {"a": (25, 25, 25, 25), "b": (200, 200, 200, 200), "c": (15, 15, 15, 15)}
    counted = {name: {"0": counts[0] * 2, "1": counts[0] * 2} for name, counts in cells.items()}
    size = AuditSize(960, 2, {"0": 480, "1": 480}, {"race": counted}, "1")
    readings, expected = (
        read(GroupFairnessCheck(), confused(cells)),
        GroupFairnessCheck().precision(size, 0.95),
    )
    assert set(expected) == {*GAPS, "impact_ratio"}
    for metric, half in expected.items():
        low, high = ends(measured(readings, metric))
        reach = 1 - low if metric == "impact_ratio" else high
        assert reach == pytest.approx(half)


def test_the_worst_column_decides_what_is_expected() -> None:
    wide, narrow = {"a": {"1": 20}, "b": {"1": 900}}, {"x": {"1": 460}, "y": {"1": 460}}
    both = GroupFairnessCheck().precision(
        AuditSize(920, 2, {"1": 920}, {"g": wide, "h": narrow}), 0.95
    )
    mirrored = GroupFairnessCheck().precision(
        AuditSize(920, 2, {"1": 920}, {"g": narrow, "h": wide}), 0.95
    )
    assert both == mirrored
    assert both["selection_rate_gap"] > 0.3
    assert "tpr_gap" not in both


def test_a_group_without_positives_leaves_nothing_to_expect() -> None:
    groups = {"g": {"a": {"0": 50}, "b": {"0": 50, "1": 50}}}
    expected = GroupFairnessCheck().precision(
        AuditSize(150, 2, {"0": 100, "1": 50}, groups, "1"), 0.95
    )
    assert expected["tpr_gap"] == 1
    assert expected["fpr_gap"] < 1


def test_the_evidence_holds_codes_and_names() -> None:
    seen = stored(GroupFairnessCheck(), confused(COMPAS))
    assert seen["columns"] == [{"name": "race", "groups": ["black", "white"]}]
    assert set(seen) == {"flags", "codes", "columns", "task"}
    assert (seen["flags"].dtype, seen["codes"].dtype) == (np.uint8, np.uint8)


def test_equalised_odds_hold_jointly_at_no_further_cost() -> None:
    # Agarwal et al. (2018): the larger of both gaps; Fairlearn gives 0.213925 for these rows.
    readings = read(GroupFairnessCheck(), confused(COMPAS))
    odds = measured(readings, "equalised_odds_gap")
    both = [measured(readings, f"{rate}_gap") for rate in ("tpr", "fpr")]
    assert odds.value == pytest.approx(0.213925, abs=5e-7)
    assert ends(odds) == tuple(max(end) for end in zip(*map(ends, both), strict=True))
    assert odds.details["rate"] == "fpr"


def test_equalised_odds_of_one_rate_alone_are_a_gap_that_says_so() -> None:
    readings = read(GroupFairnessCheck(), confused({"a": (5, 5, 5, 5), "b": (5, 5, 0, 0)}))
    (gap,) = gaps(readings, "equalised_odds_gap")
    assert "the other alone could look fair" in gap.detail


def test_where_base_rates_differ_the_impossibility_is_told() -> None:
    told = measured(read(GroupFairnessCheck(), confused(COMPAS)), "ppv_gap").details["base_rates"]
    assert told["rates"]["black"] == pytest.approx(1901 / 3696)
    assert told["low"] > 0
    assert "Chouldechova 2017" in told["note"]
    alike: Cells = {"a": (40, 10, 10, 40), "b": (30, 20, 20, 30)}
    assert (
        "note"
        not in measured(read(GroupFairnessCheck(), confused(alike)), "ppv_gap").details[
            "base_rates"
        ]
    )


def test_a_group_too_small_for_the_gap_is_told_how_many_of_which_rows_would_decide() -> None:
    cells: Cells = {"a": (500, 500, 300, 700), "b": (200, 200, 6, 6)}
    gap = measured(read(GroupFairnessCheck(), confused(cells)), "tpr_gap")
    told = gap.details["undecided_by"]
    assert list(told) == ["b"]
    assert told["b"]["n"] == 12
    assert "label is the favourable class" in told["b"]["of"]
    assert 30 < told["b"]["would_decide"] < 200
    assert (
        "undecided_by"
        not in measured(read(GroupFairnessCheck(), confused(COMPAS)), "fpr_gap").details
    )


def test_small_groups_are_shown_raw_and_drawn_towards_the_others() -> None:
    cells: Cells = dict.fromkeys("abcdefgh", (40, 10, 10, 40)) | {"z": (1, 4, 1, 4)}
    found = measured(read(GroupFairnessCheck(), confused(cells)), "selection_rate", group="z")
    assert found.value == 0.8
    shrunk = found.details["shrunk"]
    assert 0.5 < shrunk["value"] < 0.7
    assert found.details["small"] is True
    assert shrunk["high"] - shrunk["low"] < ends(found)[1] - ends(found)[0]


def test_the_worst_group_is_bounded_by_the_limits_of_all() -> None:
    cells: Cells = {"a": (80, 20, 20, 80), "b": (60, 40, 40, 60), "c": (7, 3, 3, 7)}
    worst = measured(read(GroupFairnessCheck(), confused(cells)), "worst_group_accuracy")
    assert (worst.value, worst.details["group"]) == (0.6, "b")
    assert ends(worst)[0] < 0.45  # the twenty rows of c might be worse than b
    assert ends(worst)[1] < 0.7


def test_ratios_are_to_the_declared_group_or_to_the_one_selected_most() -> None:
    best = read(GroupFairnessCheck(), confused(COMPAS))
    ratio = measured(best, "reference_ratio")
    assert (ratio.params["group"], ratio.details["reference"]) == ("white", "black")
    assert (ratio.value, ends(ratio)) == (
        measured(best, "impact_ratio").value,
        ends(measured(best, "impact_ratio")),
    )
    declared = read(GroupFairnessCheck(reference=("race=white",)), confused(COMPAS))
    assert measured(declared, "reference_ratio", group="black").value == pytest.approx(
        1 / 0.59164, abs=1e-4
    )
    assert measured(best, "impact_ratio").details["below_four_fifths"] == ["white"]


def test_a_reference_of_no_column_keeps_a_rule_on_ratios_from_passing() -> None:
    readings = read(GroupFairnessCheck(reference=("rase=white",)), confused(COMPAS))
    (gap,) = gaps(readings, "'rase=white' is of no column")
    assert gap.metric == "reference_ratio"


def test_a_reference_that_is_not_there_is_a_gap() -> None:
    readings = read(GroupFairnessCheck(reference=("race=asian",)), confused(COMPAS))
    assert len(gaps(readings, "reference group 'asian'")) == 1


def test_local_law_144_ranks_by_the_median_and_shows_who_is_left_out() -> None:
    # 6 RCNY 5-301: scoring rates are shares above the median of the sample, ratios are against the
    # best; a category below two per cent may be left out, and is shown; so are unknown ones.
    scores = [0.1, 0.2, 0.3, 0.9] * 30 + [0.1, 0.6, 0.7, 0.8] * 30 + [0.95, 0.95] + [0.5] * 4
    sex = ["f"] * 120 + ["m"] * 120 + ["x"] * 2 + ["unknown"] * 4
    subject = scored(scores, [0, 1] * 123, groups={"sex": sex})
    law = GroupFairnessCheck(rate="scoring", least_share=0.02)
    readings = read(law, subject)
    assert measured(readings, "selection_rate", group="f").value == 0.25
    assert measured(readings, "selection_rate", group="m").value == 0.75
    ratio = measured(readings, "impact_ratio")
    assert ratio.value == pytest.approx(1 / 3)
    assert ratio.details["left_out"] == {"unknown": {"k": 0, "n": 4}, "x": {"k": 2, "n": 2}}
    assert ratio.details["selected"] == "scored above the median of all rows"
    assert measured(readings, "reference_ratio").params["group"] == "f"


def test_decisions_rank_nobody_so_that_scoring_rates_are_gaps() -> None:
    subject = scored([0.0, 1.0] * 50, [0, 1] * 50, groups={"sex": ["f"] * 50 + ["m"] * 50})
    readings = read(GroupFairnessCheck(rate="scoring"), subject)
    assert {gap.metric for gap in gaps(readings, "Nobody is ranked")} == {
        "selection_rate",
        "selection_rate_gap",
        "impact_ratio",
        "reference_ratio",
    }
    assert measured(read(GroupFairnessCheck(), subject), "impact_ratio").value == 1


@pytest.mark.parametrize(
    "wrong", [{"least_share": 1.0}, {"rate": "median"}, {"reference": ("Male",)}]
)
def test_parameters_without_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"share|reference"):
        GroupFairnessCheck(**wrong)


def test_the_check_emits_what_it_declares() -> None:
    assert CHECK is GroupFairnessCheck
    assert list(GroupFairnessCheck.emits) == [*RATES, *COMPARISONS]
