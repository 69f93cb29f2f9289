import numpy as np
import pytest
from judged import outcome
from scored_subjects import ends, gaps, measured, read, stored
from surveyed_subjects import part, sample, surveyed

from auditor.checks.data.drift import CHECK, DriftCheck
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import BoundKind, GapReason, Measurement, Reading
from auditor.metrics.data.distribution_shift import read_column_counts

REFERENCE, EVALUATION, PRODUCTION = (
    DatasetRole.REFERENCE,
    DatasetRole.EVALUATION,
    DatasetRole.PRODUCTION,
)
BRIEF = DriftCheck(rows=1000, rounds=199)


def people(rng: np.random.Generator, rows: int, **more: object) -> dict[str, list[str]]:
    columns = {
        "age": rng.normal(40, 10, rows).round(2).astype(str).tolist(),
        "income": rng.lognormal(10, 1, rows).round(2).astype(str).tolist(),
        "city": rng.choice(["here", "near", "far"], rows).tolist(),
    }
    return {**columns, **more}  # type: ignore[dict-item] -- columns of texts


def two(rows: int = 2000, **changed: object) -> Subject:
    """Reference and evaluation of the same law, but for the columns that are ``changed``."""
    rng = np.random.default_rng(9)
    scores, labels = rng.random((2, rows)), rng.random((2, rows))
    truth = (labels < scores).astype(int)
    return surveyed(
        part(REFERENCE, scores[0], truth[0], slices=people(rng, rows)),
        part(EVALUATION, scores[1], truth[1], slices=people(rng, rows, **changed)),
    )


def adjusted(readings: tuple[Reading, ...], column: str) -> float:
    found = measured(readings, "distance", column=column).details["adjusted_p_value"]
    assert isinstance(found, float)
    return found


def test_a_column_that_moved_is_found_and_the_others_are_not() -> None:
    older = np.random.default_rng(1).normal(45, 10, 2000).round(2).astype(str).tolist()
    readings = read(BRIEF, two(age=older))
    age = measured(readings, "distance", column="age")
    assert ends(age)[0] > 0
    assert measured(readings, "moved", column="age").value == pytest.approx(0.5, abs=0.1)
    assert adjusted(readings, "age") < 1e-6
    for column in ("income", "city"):
        assert ends(measured(readings, "distance", column=column))[0] == 0
        assert adjusted(readings, column) > 0.01
    largest = measured(readings, "largest_distance")
    assert largest.details["column"] == "age"
    assert largest.value == age.value
    least = measured(readings, "least_p")
    assert (least.value, least.details["column"]) == (adjusted(readings, "age"), "age")
    assert least.doubted


def test_the_clean_twin_is_silent() -> None:
    readings = read(BRIEF, two())
    assert ends(measured(readings, "largest_distance"))[0] == 0
    low, high = ends(measured(readings, "classifier_auc"))
    assert low < 0.5 < high
    assert measured(readings, "classifier_p").value > 0.01  # type: ignore[operator] -- a number
    for name in "01":
        low, high = ends(measured(readings, "label_share_change", **{"class": name}))
        assert low < 0 < high


def test_a_category_that_is_new_is_found() -> None:
    readings = read(BRIEF, two(city=["new"] * 200 + ["here", "near", "far"] * 600))
    assert ends(measured(readings, "distance", column="city"))[0] > 0
    assert "jensen_shannon" in measured(readings, "distance", column="city").details


def test_columns_that_depend_otherwise_are_told_apart_though_none_moved() -> None:
    rng = np.random.default_rng(2)
    one, noise = rng.normal(size=(2, 4000))
    ages = [one[:2000], one[2000:]]
    debts = [one[:2000] + 0.5 * noise[:2000], -one[2000:] + 0.5 * noise[2000:]]
    subject = surveyed(
        *(
            part(
                role,
                None,
                slices={"age": age.astype(str).tolist(), "debt": debt.astype(str).tolist()},
            )
            for role, age, debt in zip((REFERENCE, EVALUATION), ages, debts, strict=True)
        )
    )
    readings = read(BRIEF, subject)
    assert ends(measured(readings, "largest_distance"))[0] == 0
    area = measured(readings, "classifier_auc")
    assert ends(area)[0] > 0.8
    assert area.bound is BoundKind.AT_LEAST
    assert measured(readings, "classifier_p").value == 1 / 200


def test_production_stands_before_evaluation_and_training_in_for_a_reference() -> None:
    rng = np.random.default_rng(4)
    sets = [part(role, rng.random(300), slices=people(rng, 300)) for role in DatasetRole]
    found = measured(read(BRIEF, surveyed(*sets)), "largest_distance").details
    assert (found["reference"], found["current"]) == ("reference", "production")
    less = [data for data in sets if data.role in {DatasetRole.TRAINING, EVALUATION}]
    found = measured(read(BRIEF, surveyed(*less)), "largest_distance").details
    assert (found["reference"], found["current"]) == ("training", "evaluation")


def test_whether_a_number_is_known_is_a_column_too() -> None:
    ages = ["unknown"] * 600 + np.random.default_rng(1).normal(40, 10, 1400).astype(str).tolist()
    readings = read(BRIEF, two(age=ages))
    known = measured(readings, "distance", column="age is known")
    assert known.value == pytest.approx(0.3)


@pytest.mark.parametrize("kinds", [300, 20_000])
def test_rare_levels_that_are_all_new_are_not_hidden_among_all_others(kinds: int) -> None:
    sides = [[f"{side}-{row % kinds}" for row in range(20_000)] for side in ("old", "new")]
    subject = surveyed(
        *(
            part(role, None, slices={"street": streets})
            for role, streets in zip((REFERENCE, EVALUATION), sides, strict=True)
        )
    )
    readings = read(BRIEF, subject)
    found = measured(readings, "distance", column="street")
    assert (found.value, ends(found)[1]) == pytest.approx((1.0, 1.0))
    assert (
        outcome(CHECK, readings, "largest_distance", MetricLimits(most=0.3)) is not Outcome.PASSED
    )


def test_how_far_a_constant_has_moved_is_a_gap_unless_it_stayed() -> None:
    rng = np.random.default_rng(5)
    subject = surveyed(
        sample(np.stack([np.zeros(500), np.ones(500)], axis=1), role=REFERENCE),
        sample(np.stack([np.zeros(500), rng.normal(1e6, 1, 500)], axis=1)),
    )
    readings = read(BRIEF, subject)
    assert measured(readings, "moved", column="x0").value == 0
    (gap,) = gaps(readings, "has no spread")
    assert (gap.metric, gap.params) == ("moved", {"column": "x1"})
    assert outcome(CHECK, readings, "moved", MetricLimits(most=1.0)) is Outcome.UNKNOWN


def test_numbers_beyond_what_squares_can_hold_leave_a_gap_and_no_crash() -> None:
    before = np.random.default_rng(6).normal(size=(300, 1)) * 1e300
    subject = surveyed(sample(before, role=REFERENCE), sample(-before * 2))
    readings = read(BRIEF, subject)
    assert gaps(readings, "has no spread")[0].metric == "moved"
    assert ends(measured(readings, "distance", column="x0"))[1] <= 1


def test_the_column_that_moved_farthest_is_read_though_others_changed_more() -> None:
    rng = np.random.default_rng(7)
    before, now = rng.normal(size=(2, 1000, 3))
    now[:, 0] += 0.5
    now[:20, 2] += 1e4
    subject = surveyed(sample(before, role=REFERENCE), sample(now))
    readings = read(DriftCheck(rows=100, rounds=99, most=1), subject)
    assert measured(readings, "distance", column="x0").value > 0.1
    assert measured(readings, "moved", column="x2").value > 100


def test_evidence_names_no_level_that_only_somebody_has() -> None:
    names = [f"person {row}" for row in range(100)]
    subject = surveyed(
        *(
            part(role, None, slices={"name": names, "city": ["here", "far"] * 50})
            for role in (REFERENCE, EVALUATION)
        )
    )
    seen = stored(BRIEF, subject)
    assert "person" not in str(seen["columns"])
    assert "here" in str(seen["columns"])
    found = measured(read(BRIEF, subject), "distance", column="name")
    assert (found.value, ends(found)[1]) == (0, 1)


def test_more_columns_widen_the_intervals() -> None:
    cities = ["here", "far"] * 200
    one, five = (
        surveyed(
            *(
                part(role, None, slices={f"city {at}": cities for at in range(count)})
                for role in (REFERENCE, EVALUATION)
            )
        )
        for count in (1, 5)
    )
    alone, beside = (
        ends(measured(read(BRIEF, it), "distance", column="city 0")) for it in (one, five)
    )
    assert beside[1] > alone[1]


def test_the_largest_change_may_be_that_of_another_column_known_less_well() -> None:
    # One column surely changed; of one with many levels a greater change is possible.
    streets = [f"street {row % 150}" for row in range(900)]
    sides = [["here"] * 450 + ["far"] * 450, ["here"] * 540 + ["far"] * 360]
    subject = surveyed(
        *(
            part(role, None, slices={"city": cities, "street": streets})
            for role, cities in zip((REFERENCE, EVALUATION), sides, strict=True)
        )
    )
    readings = read(BRIEF, subject)
    largest = measured(readings, "largest_distance")
    city, street = (measured(readings, "distance", column=name) for name in ("city", "street"))
    assert (largest.value, largest.details["column"]) == (city.value, "city")
    assert ends(largest) == (ends(city)[0], ends(street)[1])
    assert ends(street)[1] > ends(city)[1]


def test_many_levels_that_stayed_are_not_accused() -> None:
    rng = np.random.default_rng(3)
    sides = [[f"{n}" for n in rng.choice(list(map(chr, range(97, 700))), 4000)] for _ in "ab"]
    subject = surveyed(
        *(
            part(role, None, slices={"street": streets})
            for role, streets in zip((REFERENCE, EVALUATION), sides, strict=True)
        )
    )
    readings = read(BRIEF, subject)
    assert ends(measured(readings, "distance", column="street"))[0] == 0
    assert adjusted(readings, "street") > 0.01


def test_without_a_reference_there_is_a_gap() -> None:
    subject = surveyed(part(EVALUATION, [0.1, 0.9], [0, 1], slices={"a": ["x", "y"]}))
    (gap,) = gaps(read(BRIEF, subject), "neither reference nor training")
    assert gap.reason is GapReason.NEEDS_REFERENCE_DATA


def test_a_reference_without_labels_leaves_label_shift_a_gap() -> None:
    subject = two()
    held = subject.datasets[REFERENCE]
    bare = part(REFERENCE, held.scores, slices={name: list(c) for name, c in held.slices.items()})
    subject.datasets = {REFERENCE: bare, EVALUATION: subject.datasets[EVALUATION]}
    (gap,) = gaps(read(BRIEF, subject), "labels of the reference")
    assert gap.metric == "label_share_change"


def test_labels_that_come_otherwise_are_estimated_and_never_believed() -> None:
    rng = np.random.default_rng(6)
    truth = [(rng.random(6000) < share).astype(int) for share in (0.5, 0.3)]
    scores = [np.where(rng.random(6000) < 0.85, labels, 1 - labels) for labels in truth]
    subject = surveyed(
        part(REFERENCE, scores[0], truth[0]), part(PRODUCTION, scores[1], [0] * 6000)
    )
    found = measured(read(BRIEF, subject), "label_share_change", **{"class": "1"})
    low, high = ends(found)
    assert low < truth[1].mean() - truth[0].mean() < high < 0
    assert found.doubted


def persons(seed: int, *, told: bool) -> Subject:
    """Fifty persons of ten rows each on either side, all from one world."""
    rng = np.random.default_rng(seed)
    sides = []
    for role in (REFERENCE, PRODUCTION):
        sexes, ages = rng.integers(0, 2, 50), rng.normal(40, 9, 50)
        sides.append(
            part(
                role,
                None,
                slices={
                    "sex": np.repeat([("f", "m")[sex] for sex in sexes], 10).tolist(),
                    "age": [str(age) for age in np.repeat(ages, 10)],
                },
                cluster=[f"{role.value}{row // 10}" for row in range(500)] if told else None,
            )
        )
    return surveyed(*sides)


def test_persons_of_many_rows_are_no_drift_where_it_is_told_who_they_are() -> None:
    alarms = dict.fromkeys((True, False), 0)
    for seed in range(20):
        for told in alarms:
            found = measured(read(BRIEF, persons(seed, told=told)), "largest_distance")
            alarms[told] += ends(found)[0] > 0
            assert not found.doubted
    assert alarms[True] <= 2
    assert alarms[False] >= 8


def test_one_row_stands_for_each_cluster_and_what_takes_all_of_them_is_doubted() -> None:
    subject = two(400)
    subject.datasets = {
        role: part(
            role,
            data.scores,
            data.labels,
            cluster=[str(row // 4) for row in range(400)],
            slices={name: list(column) for name, column in data.slices.items()},
        )
        for role, data in subject.datasets.items()
    }
    readings = read(BRIEF, subject)
    largest = measured(readings, "largest_distance")
    assert largest.details["rows"] == [100, 100]
    assert "one row of each cluster" in str(largest.details["rows_are"])
    doubted = {item.metric for item in readings if isinstance(item, Measurement) and item.doubted}
    assert doubted == {"least_p", "classifier_p", "label_share_change"}


def test_a_classifier_that_has_nothing_to_tell_apart_says_so() -> None:
    seen = dict(stored(BRIEF, two(400)))
    held_out = seen["held_out"]
    assert isinstance(held_out, np.ndarray)
    told = gaps(
        DriftCheck().figures({**seen, "held_out": np.zeros_like(held_out)}, 0.95), "one side"
    )
    assert [gap.metric for gap in told] == ["classifier_auc", "classifier_p"]


def test_the_sketch_of_the_reference_can_be_read_back() -> None:
    columns = read_column_counts(stored(BRIEF, two(500)))
    assert [column.name for column in columns] == ["age", "income", "city", "score of the model"]
    assert columns[0].sketches is not None
    assert [side.known for side in columns[0].sketches] == [500, 500]
    assert columns[2].levels == ("far", "here", "near")


@pytest.mark.parametrize("name", ["rows", "rounds", "most"])
def test_parameters_without_meaning_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CHECK(**{name: 0})
