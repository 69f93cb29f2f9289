from typing import Any

import numpy as np
import pytest
from evasion_toys import NOTHING, ToyModel, box, classes, linear, subject
from numpy.typing import NDArray

from auditor.checks.evasion.decision import CHECK, DecisionAttackCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Need
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.readings import BoundKind, Gap, Measurement, Reading
from auditor.errors import PolicyError

COLUMNS, ROWS = 10, 40
CHEAP = DecisionAttackCheck(stages=("rays:150", "surfree:300"), rows=ROWS)


def toy(seed: int = 0, columns: int = COLUMNS, temperature: float = 1.0) -> Subject:
    model, _, _, _ = linear(seed, columns)
    logits = model.logits
    rows = np.random.default_rng(seed).uniform(0.35, 0.65, (ROWS, columns))
    labels = logits(rows).argmax(axis=1)
    labels[:4] = 1 - labels[:4]
    blunt = ToyModel(lambda x: temperature * logits(x))
    return subject(blunt, NOTHING, rows, labels, box((columns,)), classes(2))


def exact(seen: Subject, norm: str, seed: int = 0) -> NDArray[np.float64]:
    """Return the distance to the plane of a linear model, where the box is far; 0: wrong."""
    _, _, weights, bias = linear(seed, COLUMNS)
    data = next(iter(seen.datasets.values()))
    rows = np.asarray(data.inputs, dtype=np.float64)
    way = weights[:, 1] - weights[:, 0]
    margin = rows @ way + bias[1] - bias[0]
    found = np.abs(margin) / np.linalg.norm(way, 1 if norm == "linf" else 2)
    return np.where((margin > 0) == (data.labels == 1), found, 0.0)


def measured(readings: tuple[Reading, ...], metric: str, norm: str) -> list[Measurement]:
    return [
        reading
        for reading in readings
        if isinstance(reading, Measurement)
        and (reading.metric, reading.params["norm"]) == (metric, norm)
    ]


def number(reading: Measurement) -> float:
    assert isinstance(reading.value, float)
    return reading.value


@pytest.fixture(scope="module")
def observed() -> tuple[Subject, Evidence]:
    seen = toy()
    return seen, CHEAP.observe(seen, CheckShard())


@pytest.mark.parametrize(("norm", "above"), [("linf", 1.02), ("l2", 1.08)])
def test_the_median_distance_is_that_of_the_closed_form(
    observed: tuple[Subject, Evidence], norm: str, above: float
) -> None:
    seen, evidence = observed
    (reading,) = measured(CHEAP.figures(evidence, 0.95), "median_distance", norm)
    true = np.sort(exact(seen, norm))
    median = float(true[ROWS // 2 - 1])
    assert median * (1 - 1e-6) <= number(reading) <= median * above
    assert reading.low is not None
    assert reading.high is not None
    assert reading.low <= median <= reading.high
    assert reading.bound is BoundKind.AT_MOST


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_curve_lies_at_most_a_little_above_the_closed_form(
    observed: tuple[Subject, Evidence], norm: str
) -> None:
    seen, evidence = observed
    true = exact(seen, norm)
    curve = measured(CHEAP.figures(evidence, 0.95), "robust_accuracy", norm)
    assert [reading.params["eps"] for reading in curve] == [
        eps for eps in CHEAP.eps if norm == "l2" or eps <= 1.0
    ]
    for reading in curve:
        robust = float(np.mean(true > float(reading.params["eps"])))
        assert robust - 1e-9 <= number(reading) <= robust + 0.1


def test_decisions_are_all_that_it_sees(observed: tuple[Subject, Evidence]) -> None:
    for temperature in (0.01, 30.0):
        again = CHEAP.observe(toy(temperature=temperature), CheckShard())
        for name in ("crafted", "l2_crafted", "distance", "l2_distance"):
            np.testing.assert_array_equal(again[name], observed[1][name])


def test_the_same_subject_gives_the_same_bytes(observed: tuple[Subject, Evidence]) -> None:
    again = CHEAP.observe(toy(), CheckShard())
    assert list(again) == list(observed[1])
    for name, item in again.items():
        assert encode_evidence(item).digest == encode_evidence(observed[1][name]).digest, name


def test_figures_need_the_stored_evidence_and_nothing_else(
    observed: tuple[Subject, Evidence],
) -> None:
    names = sorted(observed[1], reverse=True)
    stored = {name: decode_evidence(encode_evidence(observed[1][name]).raw) for name in names}
    for confidence in (0.5, 0.95, 0.999):
        assert CHEAP.figures(stored, confidence) == CHEAP.figures(observed[1], confidence)


def test_every_reading_is_one_that_the_check_announces(observed: tuple[Subject, Evidence]) -> None:
    for reading in CHEAP.figures(observed[1], 0.95):
        assert isinstance(reading, Measurement)
        announced = CHEAP.emits[reading.metric]
        assert (reading.unit, reading.bound) == (announced.unit, announced.bound)


def test_queries_a_row_are_told_and_add_up(observed: tuple[Subject, Evidence]) -> None:
    seen, evidence = observed
    assert isinstance(seen.model, ToyModel)
    told = {}
    for norm in ("linf", "l2"):
        (reading,) = measured(CHEAP.figures(evidence, 0.95), "median_distance", norm)
        told[norm] = reading.details["queries_a_row"]
        curve = measured(CHEAP.figures(evidence, 0.95), "robust_accuracy", norm)
        assert {item.details["queries_a_row"] for item in curve} == {told[norm]}
    right = (ROWS - 4) / ROWS
    assert told["linf"] == pytest.approx(right * (150 + 6))  # and six bisections of each success
    assert told["l2"] == pytest.approx(right * (300 + 6))
    assert seen.model.queries == ROWS + (ROWS - 4) * (150 + 6 + 300 + 6)
    assert seen.model.queries <= CHEAP.cost(AuditSize(rows=ROWS, classes=2)).queries


def test_a_constant_model_is_as_far_as_the_box_allows_and_costs_what_was_told() -> None:
    model = ToyModel(lambda x: np.tile([3.0, 0.0], (len(x), 1)))
    rows = np.full((9, 4), 0.5)
    seen = subject(model, NOTHING, rows, np.zeros(9, dtype=np.int64), box((4,)), classes(2))
    check = DecisionAttackCheck(stages=("surfree:20", "rays:30"))
    readings = check.figures(check.observe(seen, CheckShard()), 0.95)
    for norm, most in (("linf", 1.0), ("l2", 2.0)):
        (reading,) = measured(readings, "median_distance", norm)
        assert reading.value == most
        assert reading.details["unbroken_share"] == 1.0
        curve = measured(readings, "robust_accuracy", norm)
        assert {item.value for item in curve} == {1.0}
    refining = 2 * 9 * 6  # nothing to refine
    assert (
        model.queries == check.cost(AuditSize(rows=9, classes=2)).queries - refining == 9 + 9 * 50
    )


def test_what_one_norm_found_is_no_evidence_of_the_other() -> None:
    model = ToyModel(lambda x: np.stack([np.zeros(len(x)), x.min(axis=1) - 0.95], axis=1))
    rows = np.full((12, COLUMNS), 0.5)
    seen = subject(model, NOTHING, rows, np.zeros(12, dtype=np.int64), box((COLUMNS,)), classes(2))
    check = DecisionAttackCheck(stages=("rays:40", "surfree:40"))
    readings = check.figures(check.observe(seen, CheckShard()), 0.95)
    (corner,) = measured(readings, "median_distance", "linf")
    (noise,) = measured(readings, "median_distance", "l2")
    assert corner.value == pytest.approx(0.45, rel=0.01)  # all columns high, as RayS begins
    assert noise.value == pytest.approx(np.sqrt(COLUMNS))  # no noise is high in all columns
    assert noise.details["examples"] == []
    assert len(corner.details["examples"]) == 8  # type: ignore[arg-type]


@pytest.mark.parametrize(("stage", "norm"), [("rays:40", "linf"), ("surfree:40", "l2")])
def test_a_norm_without_a_stage_is_left_out(stage: str, norm: str) -> None:
    check = DecisionAttackCheck(stages=(stage,), rows=10)
    readings = check.figures(check.observe(toy(), CheckShard()), 0.95)
    norms = {item.params["norm"] for item in readings if isinstance(item, Measurement)}
    assert norms == {norm}


def test_the_largest_budget_of_a_users_own_is_read_off_as_well() -> None:
    check = DecisionAttackCheck(eps=(0.2, 1.0), stages=("rays:40",), rows=10)
    readings = check.figures(check.observe(toy(), CheckShard()), 0.95)
    curve = measured(readings, "robust_accuracy", "linf")
    assert [item.params["eps"] for item in curve] == [0.2, 1.0]
    check = DecisionAttackCheck(eps=(0.2,), stages=("rays:40",), rows=10)
    readings = check.figures(check.observe(toy(), CheckShard()), 0.95)
    curve = measured(readings, "robust_accuracy", "linf")
    assert [item.params["eps"] for item in curve] == [0.2]


def test_an_input_that_nobody_can_move_gives_gaps() -> None:
    seen = toy()
    seen.space = box((COLUMNS,), mutable=np.zeros(COLUMNS, dtype=np.bool_))
    check = DecisionAttackCheck(rows=5)
    readings = check.figures(check.observe(seen, CheckShard()), 0.95)
    assert len(readings) == 2
    assert all(isinstance(reading, Gap) for reading in readings)


def test_broken_rows_are_shown_with_leave_only() -> None:
    seen = toy()
    assert len(DecisionAttackCheck(rows=10).observe(seen, CheckShard())["example_clean"]) == 8  # type: ignore[arg-type]
    seen.show_examples = False
    kept = DecisionAttackCheck(rows=10).observe(seen, CheckShard())
    assert not [name for name in kept if "example" in name]


def test_progress_grows_over_both_walks() -> None:
    seen = toy()
    told: list[tuple[int, int]] = []

    def note(done: int, total: int, note: str = "") -> None:
        told.append((done, total))

    seen.progress = note
    DecisionAttackCheck(stages=("rays:20", "surfree:20"), rows=10).observe(seen, CheckShard())
    shares = [done / total for done, total in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_it_needs_no_twin() -> None:
    assert Need.TWIN not in CHECK.needs
    assert CHECK is DecisionAttackCheck
    assert CHECK.id == "evasion.decision"


def test_every_budget_gives_at_least_three_eps_in_each_norm() -> None:
    for budget in Budget:
        made = DecisionAttackCheck(**CHECK.presets[budget])  # type: ignore[arg-type]
        assert len([eps for eps in made.eps if eps <= 1.0]) >= 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"eps": ()},
        {"eps": (-1.0,)},
        {"rows": 0},
        {"stages": ()},
        {"stages": ("square:20",)},
        {"stages": ("rays",)},
        {"stages": ("rays:0",)},
        {"label": "1", "decision": "1"},
    ],
)
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        DecisionAttackCheck(**wrong)
