"""evasion.spatial: the worst view of each picture, counted on the target, within reach."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from shifted_subjects import Rule, Ruled, digits, space, subject

from auditor.attacks.evasion.spatial_transformations import BUDGETS
from auditor.checks.evasion.spatial import CHECK, SpatialAttackCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import find_refusal_gap
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.json import encode_canonical
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Repeatability
from auditor.domain.tasks import ClassificationTask
from auditor.errors import CancelledError, PolicyError

SIDE = 33


def observed(check: SpatialAttackCheck, seen: Subject) -> dict[str, Any]:
    evidence = check.observe(seen, CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


def read(
    check: SpatialAttackCheck, evidence: Evidence, confidence: float = 0.95
) -> tuple[Reading, ...]:
    readings = check.figures(evidence, confidence)
    encode_canonical([reading.to_json() for reading in readings])
    return readings


def measured(readings: tuple[Reading, ...], metric: str, **params: str | int) -> Measurement:
    (found,) = (
        item
        for item in readings
        if isinstance(item, Measurement) and item.metric == metric
        if params.items() <= dict(item.params).items()
    )
    return found


def shares(
    check: SpatialAttackCheck, seen: Subject, metric: str = "robust_accuracy"
) -> list[float]:
    readings = read(check, observed(check, seen))
    found = [item.value for item in readings if item.metric == metric]  # type: ignore[union-attr]  # all are measured
    return [float(item) for item in found]  # type: ignore[arg-type]  # all are numbers


def points(rule: Rule, rows: int = 12) -> Subject:
    """Pictures of one bright pixel in the middle, all of class 1."""
    inputs = np.zeros((rows, SIDE, SIDE), dtype=np.float32)
    inputs[:, SIDE // 2, SIDE // 2] = 1.0
    return subject(Ruled(rule), inputs, np.ones(rows, dtype=np.int64), space((SIDE, SIDE)))


def looks_at_one_pixel(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    seen: NDArray[np.bool_] = x[:, SIDE // 2, SIDE // 2] > 0.6
    return seen


def test_a_model_that_looks_at_one_pixel_breaks_by_a_shift_of_one_pixel() -> None:
    check = SpatialAttackCheck(budgets=("small",), rotations=1, draws=1)
    evidence = observed(check, points(looks_at_one_pixel))
    readings = read(check, evidence)
    assert measured(readings, "clean_accuracy").value == 1.0
    robust = measured(readings, "robust_accuracy", budget="small")
    assert robust.value == 0.0
    assert robust.details["shift_pixels"] == [1, 1]
    views = evidence["settings"]["views"][0]
    tried = {
        name for row in evidence["chosen"][0] for name in views[row] if name in {"down", "right"}
    }
    assert tried


def test_a_model_that_counts_light_cannot_be_turned_or_moved() -> None:
    def counts(x: NDArray[np.float64]) -> NDArray[np.bool_]:
        total: NDArray[np.bool_] = x.sum(axis=(1, 2)) > -1
        return total

    check = SpatialAttackCheck()
    seen = points(counts)
    assert shares(check, seen) == [1.0, 1.0, 1.0]
    assert shares(check, seen, "mean_accuracy") == [1.0, 1.0, 1.0]


def test_a_model_that_measures_light_breaks_by_light_alone() -> None:
    def dark(x: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(np.median(x, axis=(1, 2)) < 0.08)

    check = SpatialAttackCheck(draws=1)
    readings = read(check, observed(check, points(dark)))
    small, medium, large = (measured(readings, "robust_accuracy", budget=name) for name in BUDGETS)
    assert (small.value, medium.value, large.value) == (1.0, 0.0, 0.0)
    assert set(medium.details["broken_by"]) <= {"brightness", "mixed"}  # type: ignore[arg-type]  # a mapping
    assert medium.details["broken"] == 12


def test_mirror_images_count_only_where_asked_for() -> None:
    def sided(x: NDArray[np.float64]) -> NDArray[np.bool_]:
        left, right = x[:, :, : SIDE // 2], x[:, :, SIDE // 2 + 1 :]
        return np.asarray(left.sum(axis=(1, 2)) >= right.sum(axis=(1, 2)))

    seen = points(sided)
    data = seen.datasets[DatasetRole.EVALUATION]
    inputs = np.zeros((12, SIDE, SIDE), dtype=np.float32)
    inputs[:, 12:20, 2:6] = 1.0
    seen.datasets = {DatasetRole.EVALUATION: replace(data, inputs=inputs)}
    assert shares(SpatialAttackCheck(budgets=("small",)), seen) == [1.0]
    seen.clean.clear()
    assert shares(SpatialAttackCheck(budgets=("small",), flips=True), seen) == [0.0]


def test_accuracy_of_a_real_network_falls_as_the_budget_grows() -> None:
    check = SpatialAttackCheck(rows=150)
    readings = read(check, observed(check, digits()))
    clean = measured(readings, "clean_accuracy").value
    robust = [measured(readings, "robust_accuracy", budget=name).value for name in BUDGETS]
    mean = [measured(readings, "mean_accuracy", budget=name).value for name in BUDGETS]
    assert [clean, *robust] == sorted([clean, *robust], reverse=True)  # type: ignore[type-var]  # numbers
    assert robust[0] > 0.7  # type: ignore[operator]  # numbers
    assert robust[2] < 0.2  # type: ignore[operator]  # numbers
    assert all(a >= b for a, b in zip(mean, robust, strict=True))  # type: ignore[operator]  # numbers


def test_readings_come_in_one_order_at_any_confidence_and_as_declared() -> None:
    check = SpatialAttackCheck(budgets=("large", "small"))
    evidence = check.observe(points(looks_at_one_pixel), CheckShard())
    expected = [
        ("clean_accuracy", {}),
        ("robust_accuracy", {"budget": "small"}),
        ("mean_accuracy", {"budget": "small"}),
        ("robust_accuracy", {"budget": "large"}),
        ("mean_accuracy", {"budget": "large"}),
    ]
    for confidence in (0.5, 0.95, 0.9999):
        found = read(check, evidence, confidence)
        assert [(item.metric, dict(item.params)) for item in found] == expected
        for item in found:
            assert isinstance(item, Measurement)
            assert isinstance(item.value, float)
            metric = check.emits[item.metric]
            assert (item.bound, item.unit) == (metric.bound, metric.unit)
            assert item.low is not None
            assert item.high is not None
            assert item.low <= item.value <= item.high
    assert check.emits["robust_accuracy"].bound is BoundKind.AT_MOST


def test_figures_need_the_stored_evidence_and_nothing_else() -> None:
    evidence = SpatialAttackCheck().observe(digits(), CheckShard())
    stored = {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}
    assert SpatialAttackCheck().figures(stored, 0.95) == SpatialAttackCheck().figures(
        evidence, 0.95
    )


def test_the_same_subject_gives_the_same_bytes() -> None:
    first, second = (SpatialAttackCheck().observe(digits(), CheckShard()) for _ in range(2))
    assert {name: encode_evidence(item).digest for name, item in first.items()} == {
        name: encode_evidence(item).digest for name, item in second.items()
    }


def test_a_view_that_is_out_of_reach_breaks_nothing() -> None:
    check = SpatialAttackCheck(budgets=("small",), rotations=1, draws=1)
    evidence = observed(check, points(looks_at_one_pixel))
    views = evidence["settings"]["views"][0]
    evidence["settings"]["views"] = [[{**view, "angle": 11.0} for view in views]]
    assert measured(read(check, evidence), "robust_accuracy").value == 1.0


def test_queries_are_counted_and_bounded_by_the_cost() -> None:
    check = SpatialAttackCheck()
    seen = digits()
    readings = read(check, observed(check, seen))
    spent = [
        item.details["queries"]
        for item in readings
        if isinstance(item, Measurement) and item.metric == "robust_accuracy"
    ]
    assert not isinstance(seen.model, Gap)
    assert seen.model.queries == 450 + sum(spent)  # type: ignore[arg-type]  # numbers
    assert seen.model.queries <= check.cost(AuditSize(rows=450, classes=10)).queries


def test_rows_that_break_leave_the_grid_and_stay_among_the_draws() -> None:
    check = SpatialAttackCheck(budgets=("medium", "large"), draws=4)
    seen = points(looks_at_one_pixel)
    evidence = observed(check, seen)
    assert evidence["drawn_decided"].shape == (2, 4, 12)
    assert evidence["settings"]["queries"][1] == 4 * 12  # medium had broken all of them
    assert (evidence["chosen"][1] == -1).all()


def test_a_row_that_is_wrong_from_the_start_is_not_searched() -> None:
    seen = points(looks_at_one_pixel)
    data = seen.datasets[DatasetRole.EVALUATION]
    assert data.labels is not None
    labels = data.labels.copy()
    labels[:5] = 0
    seen.datasets = {DatasetRole.EVALUATION: replace(data, labels=labels)}
    check = SpatialAttackCheck(budgets=("large",))
    evidence = observed(check, seen)
    wrong = evidence["labels"] == 0
    assert (evidence["chosen"][0][wrong] == -1).all()
    robust = measured(read(check, evidence), "robust_accuracy")
    assert (robust.details["wrong_without_attack"], robust.details["broken"]) == (5, 7)


def test_the_threshold_of_the_task_decides() -> None:
    seen = points(looks_at_one_pixel)
    seen.task = ClassificationTask(("0", "1"), "1", "1", threshold=0.0)
    assert shares(SpatialAttackCheck(), seen) == [
        1.0,
        1.0,
        1.0,
    ]  # all scores reach a threshold of nothing


def test_a_table_is_a_gap() -> None:
    rows = np.random.default_rng(0).random((20, 5))
    labels = (rows[:, 0] > 0.5).astype(np.int64)
    seen = subject(Ruled(lambda x: x[:, 0] > 0.5), rows, labels, space((5,)))
    (gap,) = read(SpatialAttackCheck(), observed(SpatialAttackCheck(), seen))
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_DEFINED
    assert find_refusal_gap(SpatialAttackCheck(), seen) == gap
    assert find_refusal_gap(SpatialAttackCheck(), points(looks_at_one_pixel)) is None


def test_flat_digits_are_seen_as_the_pictures_that_they_are() -> None:
    check = SpatialAttackCheck(rows=40)
    square, flat = (observed(check, digits(flat=flat)) for flat in (False, True))
    np.testing.assert_array_equal(square["chosen"], flat["chosen"])


def test_what_comes_in_over_the_border_is_as_asked() -> None:
    def border(x: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(x[:, 0].min(axis=1) > 0.5)

    seen = points(border)
    data = seen.datasets[DatasetRole.EVALUATION]
    bright = np.full((12, SIDE, SIDE), 0.9, dtype=np.float32)
    seen.datasets = {DatasetRole.EVALUATION: replace(data, inputs=bright)}
    assert shares(SpatialAttackCheck(budgets=("small",)), seen) == [1.0]
    assert shares(SpatialAttackCheck(budgets=("small",), fill="low"), seen) == [0.0]


def test_examples_are_broken_rows_that_the_target_still_gets_wrong() -> None:
    check = SpatialAttackCheck(examples=4)
    seen = digits()
    evidence = observed(check, seen)
    after = evidence["example_adversarial"]
    assert after.shape == evidence["example_clean"].shape == (4, 1, 8, 8)
    assert not isinstance(seen.model, Gap)
    decided = seen.model.predict(after).argmax(axis=1)
    assert [str(index) for index in decided] == evidence["example_adversarial_class"]
    assert all(text.startswith("small: ") for text in evidence["example_budget"])
    assert set(evidence["example_places"]) <= set(np.flatnonzero(evidence["chosen"][0] >= 0))


def test_without_leave_no_row_of_the_data_is_kept() -> None:
    evidence = SpatialAttackCheck().observe(digits(show=False), CheckShard())
    assert not any(name.startswith("example") for name in evidence)


def test_figures_of_a_model_that_changes_its_mind_are_doubted() -> None:
    seen = points(looks_at_one_pixel)
    assert isinstance(seen.model, Ruled)
    seen.model.deterministic = False
    for reading in read(SpatialAttackCheck(), observed(SpatialAttackCheck(), seen)):
        assert isinstance(reading, Measurement)
        assert reading.doubted
        assert reading.repeat is Repeatability.INTERVAL


def test_a_user_can_stop_it_and_progress_never_runs_back() -> None:
    told: list[float] = []

    def listen(done: int, total: int, note: str = "") -> None:
        assert 0 <= done <= total
        told.append(done / total)
        if done / total > 0.5:
            raise CancelledError("stopped", cure="none")

    seen = digits()
    seen.progress = listen
    with pytest.raises(CancelledError):
        SpatialAttackCheck().observe(seen, CheckShard())
    assert told == sorted(told)


@pytest.mark.parametrize(
    "wrong",
    [{"budgets": ()}, {"budgets": ("huge",)}, {"rotations": 0}, {"draws": 0}, {"fill": "mirror"}],
)
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        SpatialAttackCheck(**wrong)


def test_every_budget_tries_three_sizes_and_more_views() -> None:
    made = [SpatialAttackCheck(**SpatialAttackCheck.presets[budget]) for budget in Budget]  # type: ignore[arg-type]  # JSON of its fields
    costs = [check.cost(AuditSize(rows=5000, classes=10)).queries for check in made]
    assert costs == sorted(set(costs))
    assert all(check.growing == ("small", "medium", "large") for check in made)


def test_the_class_is_the_check() -> None:
    assert CHECK is SpatialAttackCheck
    assert CHECK.id == "evasion.spatial"
