import numpy as np
import pytest
from scored_subjects import ends, gaps, measured, read, stored
from surveyed_subjects import part, surveyed

from auditor.checks.data.drift import CHECK, Drift
from auditor.domain.datasets import Role
from auditor.domain.readings import Bound, Measurement, Reading, Reason
from auditor.domain.subjects import Subject
from auditor.surveying.column_counts import from_evidence

REFERENCE, EVALUATION, PRODUCTION = Role.REFERENCE, Role.EVALUATION, Role.PRODUCTION
BRIEF = Drift(rows=1000, rounds=199)


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
    assert area.bound is Bound.AT_LEAST
    assert measured(readings, "classifier_p").value == 1 / 200


def test_production_stands_before_evaluation_and_training_in_for_a_reference() -> None:
    rng = np.random.default_rng(4)
    sets = [part(role, rng.random(300), slices=people(rng, 300)) for role in Role]
    found = measured(read(BRIEF, surveyed(*sets)), "largest_distance").details
    assert (found["reference"], found["current"]) == ("reference", "production")
    less = [data for data in sets if data.role in {Role.TRAINING, EVALUATION}]
    found = measured(read(BRIEF, surveyed(*less)), "largest_distance").details
    assert (found["reference"], found["current"]) == ("training", "evaluation")


def test_whether_a_number_is_known_is_a_column_too() -> None:
    ages = ["unknown"] * 600 + np.random.default_rng(1).normal(40, 10, 1400).astype(str).tolist()
    readings = read(BRIEF, two(age=ages))
    known = measured(readings, "distance", column="age is known")
    assert known.value == pytest.approx(0.3)


def test_without_a_reference_there_is_a_gap() -> None:
    subject = surveyed(part(EVALUATION, [0.1, 0.9], [0, 1], slices={"a": ["x", "y"]}))
    (gap,) = gaps(read(BRIEF, subject), "neither reference nor training")
    assert gap.reason is Reason.NEEDS_REFERENCE_DATA


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


def test_rows_that_hang_together_make_every_figure_doubted() -> None:
    subject = two(400)
    subject.datasets = {
        role: part(
            role,
            data.scores,
            data.labels,
            cluster=["a", "b", "c", "d"] * 100,
            slices={name: list(column) for name, column in data.slices.items()},
        )
        for role, data in subject.datasets.items()
    }
    readings = read(BRIEF, subject)
    assert all(item.doubted for item in readings if isinstance(item, Measurement))


def test_the_sketch_of_the_reference_can_be_read_back() -> None:
    columns = from_evidence(stored(BRIEF, two(500)))
    assert [column.name for column in columns] == ["age", "income", "city", "score of the model"]
    assert columns[0].sketches is not None
    assert [side.known for side in columns[0].sketches] == [500, 500]
    assert columns[2].levels == ("far", "here", "near")


@pytest.mark.parametrize("name", ["rows", "rounds", "most"])
def test_parameters_without_meaning_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CHECK(**{name: 0})
