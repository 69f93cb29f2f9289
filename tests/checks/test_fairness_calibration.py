from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scored_subjects import ends, gaps, measured, names, read, scored, stored

from auditor.checks.fairness.calibration import CHECK, GroupCalibrationCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import Subject
from auditor.domain.checks import OF_SCORES
from auditor.domain.readings import GapReason, Measurement, Reading
from auditor.metrics.stats.p_values import holm

FIGURES = ["slope", "intercept", "in_the_large"]
GAPS = ["slope_gap", "intercept_gap", "in_the_large_gap"]
Scores = dict[float, tuple[int, int]]


def counted(people: dict[str, Scores]) -> Subject:
    """Rows of each group with these counts of (came true, did not) at each stated probability."""
    stated: list[float] = []
    labels: list[int] = []
    members: list[str] = []
    for group, scores in people.items():
        for score, (yes, no) in scores.items():
            stated += [score] * (yes + no)
            labels += [1] * yes + [0] * no
            members += [group] * (yes + no)
    return scored(stated, labels, groups={"race": members})


def drawn(
    rng: np.random.Generator, lines: dict[str, tuple[float, float]], rows: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows whose true log odds are each group's own line (slope, intercept) of the stated ones."""
    members = np.array(list(lines))[np.arange(rows) % len(lines)]
    stated = rng.uniform(0.02, 0.98, rows)
    slopes, intercepts = (np.array([lines[name][at] for name in members]) for at in (0, 1))
    return stated, rng.random(rows) < expit(intercepts + slopes * logit(stated)), members.tolist()


def adjusted(readings: Sequence[Reading]) -> dict[str, float]:
    return {
        str(item.params["group"]): float(str(item.details["adjusted_p_value"]))
        for item in readings
        if isinstance(item, Measurement) and item.metric == "slope"
    }


# A score of risk that means what it says of one group; of the other, where it states 0.2 and 0.8,
# 0.4 and 0.6 come true.
RIGHT: Scores = {0.2: (100, 400), 0.5: (250, 250), 0.8: (400, 100)}
BOLD: Scores = {0.2: (200, 300), 0.5: (250, 250), 0.8: (300, 200)}


def test_a_score_that_means_less_for_one_group_is_found_on_paper() -> None:
    readings = read(GroupCalibrationCheck(), counted({"white": RIGHT, "black": BOLD}))
    assert measured(readings, "slope", group="white").value == pytest.approx(1, abs=1e-6)
    bold = measured(readings, "slope", group="black")
    assert bold.value == pytest.approx(logit(0.6) / logit(0.8), abs=1e-6)
    assert ends(bold)[1] < 0.5
    gap = measured(readings, "slope_gap", group_column="race")
    assert gap.value == pytest.approx(1 - logit(0.6) / logit(0.8), abs=1e-6)
    assert ends(gap)[0] > 0.3
    assert (gap.details["highest"], gap.details["lowest"]) == ("white", "black")
    assert measured(readings, "in_the_large_gap").value == pytest.approx(0)
    assert adjusted(readings)["black"] < 1e-6 < adjusted(readings)["white"]


def test_a_risk_overstated_for_one_group_is_found_in_the_large() -> None:
    # Of the second group one in ten fewer comes true than is stated.
    under: Scores = {0.2: (50, 450), 0.5: (200, 300), 0.8: (350, 150)}
    readings = read(GroupCalibrationCheck(), counted({"a": RIGHT, "b": under}))
    found = measured(readings, "in_the_large", group="b")
    assert found.value == pytest.approx(-0.1)
    assert ends(found)[1] < -0.05
    gap = measured(readings, "in_the_large_gap")
    assert gap.value == pytest.approx(0.1)
    assert ends(gap)[0] > 0.02
    assert ends(measured(readings, "intercept", group="b"))[1] < 0


def test_a_model_calibrated_within_every_group_is_not_accused() -> None:
    rng = np.random.default_rng(1)
    accused = np.zeros(2)
    for _ in range(16):
        stated, labels, members = drawn(rng, dict.fromkeys("abcd", (1.0, 0.0)), 800)
        readings = read(GroupCalibrationCheck(), scored(stated, labels, groups={"g": members}))
        lows = [ends(measured(readings, metric))[0] for metric in GAPS]
        accused += [max(lows) > 0, min(adjusted(readings).values()) <= 0.05]
    assert (accused <= 4).all()  # one expected at most; four Monte-Carlo errors


def test_p_values_are_corrected_for_all_groups_of_all_columns() -> None:
    stated, labels, members = drawn(
        np.random.default_rng(2), {"a": (1.0, 0.0), "b": (0.8, 0.0), "c": (1.0, 0.1)}, 1500
    )
    sexes = ["f" if at % 2 else "m" for at in range(1500)]
    subject = scored(stated, labels, groups={"g": members, "sex": sexes})
    for correction in ("holm", "bh"):
        check = GroupCalibrationCheck(correction=correction)  # type: ignore[arg-type]  # one of both
        found = [item for item in read(check, subject) if item.metric == "slope"]
        tests = [item.details for item in found if isinstance(item, Measurement)]
        assert {test["adjusted_for"] for test in tests} == {f"5 groups ({correction})"}
        if correction == "holm":
            raw = [float(str(test["p_value"])) for test in tests]
            assert [test["adjusted_p_value"] for test in tests] == pytest.approx(holm(raw).tolist())


def test_more_columns_widen_every_joint_interval_and_say_so() -> None:
    stated, labels, members = drawn(
        np.random.default_rng(3), {"a": (1.0, 0.0), "b": (0.5, 0.0)}, 1000
    )
    one = read(GroupCalibrationCheck(), scored(stated, labels, groups={"g": members}))
    two = read(GroupCalibrationCheck(), scored(stated, labels, groups={"g": members, "h": members}))
    for metric in GAPS:
        alone, joint = (measured(found, metric, group_column="g") for found in (one, two))
        assert ends(joint)[0] <= ends(alone)[0] <= ends(alone)[1] < ends(joint)[1]
        assert "bonferroni over 3" in alone.method
        assert "bonferroni over 6" in joint.method


def test_a_small_group_is_a_gap_with_the_rows_that_would_decide() -> None:
    few: Scores = {0.2: (5, 25), 0.8: (5, 5)}
    readings = read(GroupCalibrationCheck(), counted({"a": RIGHT, "b": BOLD, "c": few}))
    (gap, _) = gaps(readings, "race=c is not defined")
    assert gap.reason is GapReason.TOO_FEW_ROWS
    assert "10 rows came true and 30 did not; 30 of each are needed" in gap.detail
    assert gap.cure == "Evaluate on about 120 rows of race=c; it has 40."
    assert measured(readings, "in_the_large", group="c").n == 40


def test_a_group_that_cannot_be_compared_leaves_a_gap_that_passes_no_rule() -> None:
    few: Scores = {0.2: (5, 25), 0.8: (5, 5)}
    readings = read(GroupCalibrationCheck(), counted({"a": RIGHT, "b": BOLD, "c": few}))
    slope, large = measured(readings, "slope_gap"), measured(readings, "in_the_large_gap")
    assert slope.doubted
    assert slope.details["without"] == ["c"]
    assert not large.doubted
    assert ends(large)[1] > 0.1


def test_a_group_of_which_nothing_came_true_names_what_is_missing() -> None:
    readings = read(GroupCalibrationCheck(), counted({"a": RIGHT, "b": {0.2: (0, 50)}}))
    (gap, _) = gaps(readings, "race=b is not defined")
    assert gap.cure == "Evaluate on more rows of race=b; 30 that came true are needed."
    (apart, _) = gaps(readings, "over race is not defined")
    assert "a has such a figure, b has none" in apart.detail


def test_unknown_is_shown_and_compared_only_if_asked() -> None:
    subject = counted({"a": RIGHT, "b": RIGHT, "unknown": BOLD})
    assert measured(read(GroupCalibrationCheck(), subject), "slope_gap").value == pytest.approx(0)
    asked = read(GroupCalibrationCheck(compare_unknown=True), subject)
    assert ends(measured(asked, "slope_gap"))[0] > 0.3
    assert measured(asked, "slope", group="unknown").value < 0.5  # type: ignore[operator]


def test_rows_of_a_few_people_are_doubted_and_those_of_many_are_allowed_for() -> None:
    stated, labels, members = drawn(
        np.random.default_rng(4), {"a": (1.0, 0.0), "b": (1.0, 0.0)}, 1200
    )
    for people, doubted in ((8, True), (200, False)):
        clusters = [f"{at * people // 1200}" for at in range(1200)]
        subject = scored(stated, labels, groups={"g": members}, cluster=clusters)
        found = [
            item for item in read(GroupCalibrationCheck(), subject) if isinstance(item, Measurement)
        ]
        assert {item.doubted for item in found} == {doubted}


def test_many_classes_are_judged_by_the_top_label() -> None:
    table = np.tile([0.1, 0.6, 0.3], (400, 1))
    table[::2] = [0.2, 0.7, 0.1]
    labels = np.where(np.random.default_rng(5).random(400) < table.max(axis=1), 1, 2)
    groups = {"g": ["a", "b", "b", "a"] * 100}
    found = measured(
        read(GroupCalibrationCheck(), scored(table, labels, groups=groups)), "slope_gap"
    )
    assert found.details["of"] == "top label"


ROWS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 1), st.sampled_from("abc"), st.sampled_from("xy")),
    min_size=1,
    max_size=30,
)


@settings(max_examples=20)
@given(ROWS)
def test_any_rows_give_the_same_readings_in_the_same_order(
    rows: Sequence[tuple[float, int, str, str]],
) -> None:
    stated, labels, one, other = zip(*rows, strict=True)
    subject = scored(stated, labels, groups={"one": one, "other": other})
    expected = [*(FIGURES * len(set(one))), *GAPS, *(FIGURES * len(set(other))), *GAPS]
    check = GroupCalibrationCheck(least_rows=2)
    readings = read(check, subject, 0.95)
    assert names(readings) == names(read(check, subject, 0.999)) == expected
    for item in readings:
        if isinstance(item, Measurement):
            low, high = ends(item)
            assert low <= item.value <= high


def test_what_is_expected_of_a_size_is_what_such_data_give() -> None:
    rng = np.random.default_rng(6)
    stated = rng.random(4000)
    members = ["a" if at % 4 else "b" for at in range(4000)]
    subject = scored(stated, rng.random(4000) < stated, groups={"g": members})
    size = AuditSize(4000, 2, groups={"g": {"a": {"0": 3000}, "b": {"1": 1000}}})
    expected = GroupCalibrationCheck().precision(size, 0.95)
    assert set(expected) == set(GAPS)
    readings = read(GroupCalibrationCheck(), subject)
    for metric, half in expected.items():
        found = measured(readings, metric)
        assert ends(found)[1] - float(str(found.value)) == pytest.approx(half, rel=0.2)


def test_unfit_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="least_rows 0"):
        GroupCalibrationCheck(least_rows=0)
    with pytest.raises(ValueError, match="correction"):
        GroupCalibrationCheck(correction="none")  # type: ignore[arg-type]  # what a policy may say


def test_the_evidence_holds_codes_and_one_probability() -> None:
    seen = stored(GroupCalibrationCheck(), counted({"a": RIGHT, "b": BOLD}))
    assert seen["columns"] == [{"name": "race", "groups": ["a", "b"]}]
    assert set(seen) == {"ids", "stated", "happened", "codes", "columns", "task"}


def test_the_check_emits_what_it_declares() -> None:
    assert CHECK is GroupCalibrationCheck
    assert list(GroupCalibrationCheck.emits) == [*FIGURES, *GAPS]
    assert set(GroupCalibrationCheck.emits) <= OF_SCORES
