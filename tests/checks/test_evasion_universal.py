from typing import Any

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, box, classes, linear, subject

from auditor.checks.evasion.universal import CHECK, UniversalPerturbationCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.errors import PolicyError

EPS = (0.05, 0.1, 0.2)
COLUMNS = 10


def toy(seed: int = 0, rows: int = 120, *, one_class: bool = False) -> Subject:
    model, twin, _, _ = linear(seed, COLUMNS)
    drawn = 0.5 + 0.1 * np.random.default_rng(seed).normal(size=(8 * rows, COLUMNS)).clip(-3, 3)
    labels = model.logits(drawn).argmax(axis=1)
    chosen = np.flatnonzero(labels == 0)[:rows] if one_class else np.arange(rows)
    return subject(model, twin, drawn[chosen], labels[chosen], box((COLUMNS,)), classes(2))


def measured(readings: tuple[Reading, ...]) -> list[Measurement]:
    found = [reading for reading in readings if isinstance(reading, Measurement)]
    assert len(found) == len(readings)
    return found


def curve(check: UniversalPerturbationCheck, evidence: Evidence) -> list[Measurement]:
    readings = measured(check.figures(evidence, 0.95))
    return [item for item in readings if item.metric == "robust_accuracy"]


def test_where_all_rows_are_of_one_class_of_a_linear_model_it_is_the_closed_form() -> None:
    # One way leads from every row to the other class, so that one change is as good as many.
    seen = toy(one_class=True)
    check = UniversalPerturbationCheck(eps=EPS, rows=60)
    evidence = check.observe(seen, CheckShard())
    twin = seen.twin
    assert isinstance(twin, LinearTwin)
    data = next(iter(seen.datasets.values()))
    assert data.inputs is not None
    rows = data.inputs[[int(str(name).removeprefix("row-")) for name in evidence["ids"]]]  # type: ignore[union-attr]
    way = twin.weights[:, 1] - twin.weights[:, 0]
    for reading in curve(check, evidence):
        moved = np.clip(rows + reading.params["eps"] * np.sign(way), 0, 1)  # type: ignore[operator]
        held = moved @ way + twin.bias[1] - twin.bias[0] < 0
        assert reading.value == pytest.approx(held.mean())


def test_it_is_judged_on_rows_that_it_was_not_fitted_on() -> None:
    check = UniversalPerturbationCheck(eps=EPS)
    evidence = check.observe(toy(), CheckShard())
    first = toy().sample(next(iter(toy().datasets)), 60)
    assert evidence["ids"] == [f"row-{row}" for row in first]
    assert evidence["fitted"] == 60


def test_one_change_breaks_rows_of_both_classes_of_a_linear_model_at_most_by_halves() -> None:
    # What leads one class over the line leads the other away from it.
    check = UniversalPerturbationCheck(eps=(0.4,), rows=60)
    (reading,) = curve(check, check.observe(toy(), CheckShard()))
    assert isinstance(reading.value, float)
    assert 0.3 < reading.value < 0.7


def test_it_finds_no_more_than_an_attack_on_each_row_could() -> None:
    # The distance to the line bounds what any change of that size can do.
    seen = toy()
    check = UniversalPerturbationCheck(eps=EPS, rows=60)
    evidence = check.observe(seen, CheckShard())
    twin = seen.twin
    assert isinstance(twin, LinearTwin)
    logits = np.log(np.asarray(evidence["clean_probabilities"]))
    distance = (
        np.abs(logits[:, 1] - logits[:, 0]) / np.abs(twin.weights[:, 1] - twin.weights[:, 0]).sum()
    )
    for reading in curve(check, evidence):
        assert reading.value >= np.mean(distance > reading.params["eps"])  # type: ignore[operator]


def test_the_same_change_is_on_every_row() -> None:
    check = UniversalPerturbationCheck(eps=(0.2,), rows=60)
    seen = toy(one_class=True)
    evidence = check.observe(seen, CheckShard())
    (change,) = np.asarray(evidence["perturbations"])
    data = next(iter(seen.datasets.values()))
    assert data.inputs is not None
    ids = [str(name).removeprefix("row-") for name in evidence["ids"]]  # type: ignore[union-attr]
    rows = data.inputs[[int(ids[place]) for place in np.asarray(evidence["crafted_rows"])]]
    assert len(rows) > 5
    np.testing.assert_allclose(
        np.asarray(evidence["crafted"]), np.clip(rows + change, 0, 1), atol=1e-6
    )


def test_accuracy_falls_as_the_budget_grows_and_a_single_change_breaks_no_more() -> None:
    check = UniversalPerturbationCheck(eps=EPS, rows=60)
    found = curve(check, check.observe(toy(3), CheckShard()))
    values = [reading.value for reading in found]
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]
    for reading in found:
        alone = reading.details["fooled_alone"]
        assert isinstance(alone, float)
        assert isinstance(reading.value, float)
        right = 1.0  # the toy's labels are what its model says
        assert alone <= right - reading.value + 1e-9


def test_a_constant_model_stays_right() -> None:
    model = ToyModel(lambda x: np.tile([3.0, 0.0], (len(x), 1)))
    twin = LinearTwin(np.zeros((4, 2)), np.array([3.0, 0.0]))
    rows, labels = np.full((40, 4), 0.5), np.zeros(40, dtype=np.int64)
    check = UniversalPerturbationCheck(eps=EPS)
    evidence = check.observe(
        subject(model, twin, rows, labels, box((4,)), classes(2)), CheckShard()
    )
    assert [reading.value for reading in curve(check, evidence)] == [1.0, 1.0, 1.0]


def test_figures_need_the_stored_evidence_and_nothing_else() -> None:
    check = UniversalPerturbationCheck(eps=EPS)
    evidence = check.observe(toy(), CheckShard())
    stored: dict[str, Any] = {
        name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()
    }
    assert check.figures(stored, 0.9) == check.figures(evidence, 0.9)


def test_the_same_subject_gives_the_same_bytes() -> None:
    first, second = (
        UniversalPerturbationCheck(eps=EPS).observe(toy(), CheckShard()) for _ in range(2)
    )
    for name in first:
        assert encode_evidence(first[name]).digest == encode_evidence(second[name]).digest, name


def test_queries_and_passes_stay_within_the_cost_that_was_told() -> None:
    seen, check = toy(), UniversalPerturbationCheck(eps=EPS)
    check.observe(seen, CheckShard())
    cost = check.cost(AuditSize(rows=120, classes=2))
    assert isinstance(seen.model, ToyModel)
    assert isinstance(seen.twin, LinearTwin)
    assert 0 < seen.model.queries <= cost.queries
    assert 0 < seen.twin.passes <= cost.passes


def test_too_few_rows_give_a_gap_that_says_how_many_there_are() -> None:
    check = UniversalPerturbationCheck(eps=EPS)
    (gap,) = check.figures(check.observe(toy(rows=15), CheckShard()), 0.95)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.TOO_FEW_ROWS
    assert "7 rows and judged on 8" in gap.detail


def test_an_input_that_nobody_can_move_gives_a_gap() -> None:
    seen, check = toy(), UniversalPerturbationCheck(eps=EPS)
    seen.space = box((COLUMNS,), mutable=np.zeros(COLUMNS, dtype=np.bool_))
    (gap,) = check.figures(check.observe(seen, CheckShard()), 0.95)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_DEFINED


def test_every_budget_gives_at_least_three_eps_and_a_bound() -> None:
    for budget in Budget:
        made = UniversalPerturbationCheck(**CHECK.presets[budget])  # type: ignore[arg-type]
        assert len(set(made.eps)) >= 3
    assert CHECK.emits["robust_accuracy"].bound is BoundKind.AT_MOST


@pytest.mark.parametrize("wrong", [{"eps": ()}, {"eps": (2.0,)}, {"steps": 0}, {"batch": 0}])
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        UniversalPerturbationCheck(**wrong)
