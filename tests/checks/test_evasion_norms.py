import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, box, classes, linear, subject
from numpy.typing import NDArray

from auditor.checks.evasion.l0 import L0EvasionCheck
from auditor.checks.evasion.l1 import L1EvasionCheck
from auditor.checks.evasion.l2 import L2EvasionCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import encode_evidence
from auditor.domain.readings import BoundKind, Measurement, Reading

CHECKS: dict[str, L2EvasionCheck | L1EvasionCheck | L0EvasionCheck] = {
    "l2": L2EvasionCheck(eps=(0.05, 0.1, 0.2), rows=80),
    "l1": L1EvasionCheck(eps=(0.1, 0.2, 0.4), rows=80),
    "l0": L0EvasionCheck(eps=(1, 2, 4), stages=("fmn:200",), rows=80),
}
COLUMNS = 12


@pytest.fixture(params=list(CHECKS))
def check(request: pytest.FixtureRequest) -> L2EvasionCheck | L1EvasionCheck | L0EvasionCheck:
    return CHECKS[request.param]


def toy(seed: int = 0) -> Subject:
    model, twin, _, _ = linear(seed, COLUMNS)
    rows = 0.5 + 0.1 * np.random.default_rng(seed).normal(size=(80, COLUMNS)).clip(-3, 3)
    labels = model.logits(rows).argmax(axis=1)
    return subject(model, twin, rows, labels, box((COLUMNS,)), classes(2))


def exact_distance(seen: Subject, norm: str) -> NDArray[np.float64]:
    """Return how far the plane of a linear model is from each row, in the box but for L2.

    The coordinates that matter most are moved first, as far as the box allows.
    """
    twin = seen.twin
    assert isinstance(twin, LinearTwin)
    data = next(iter(seen.datasets.values()))
    rows = np.asarray(data.inputs, dtype=np.float64)
    way = twin.weights[:, 1] - twin.weights[:, 0]
    margin = np.abs(rows @ way + twin.bias[1] - twin.bias[0])
    if norm == "l2":
        return margin / np.linalg.norm(way)
    side = np.sign(rows @ way + twin.bias[1] - twin.bias[0])[:, None]
    room = np.where(side * way > 0, rows, 1 - rows)
    if norm == "l1":
        order = np.argsort(-np.abs(way))
        rooms, slopes = room[:, order], np.abs(way)[order]
        before = np.cumsum(rooms * slopes, axis=1) - rooms * slopes
        used = np.clip((margin[:, None] - before) / slopes, 0, rooms)
        return np.where((rooms * slopes).sum(axis=1) < margin, np.inf, used.sum(axis=1))
    gain = np.abs(way) * room
    best = -np.sort(-gain, axis=1)
    return (np.cumsum(best, axis=1) < margin[:, None]).sum(axis=1) + 1.0


def curve(readings: tuple[Reading, ...]) -> dict[float, Measurement]:
    found = {}
    for reading in readings:
        assert isinstance(reading, Measurement)
        if reading.metric == "robust_accuracy":
            found[float(reading.params["eps"])] = reading
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_curve_of_a_linear_model_is_its_closed_form(
    check: L2EvasionCheck | L1EvasionCheck | L0EvasionCheck, seed: int
) -> None:
    seen = toy(seed)
    norm = check.id.split(".")[1]
    exact = exact_distance(seen, norm)
    for eps, reading in curve(check.figures(check.observe(seen, CheckShard()), 0.95)).items():
        robust = np.mean(exact > eps * (1 + 1e-6))
        assert isinstance(reading.value, float)
        # A walk over single places may miss a few.
        assert robust - 1e-9 <= reading.value <= robust + 0.05
        assert reading.bound is BoundKind.AT_MOST


def test_a_constant_model_stays_right(
    check: L2EvasionCheck | L1EvasionCheck | L0EvasionCheck,
) -> None:
    model = ToyModel(lambda x: np.tile([3.0, 0.0], (len(x), 1)))
    twin = LinearTwin(np.zeros((COLUMNS, 2)), np.array([3.0, 0.0]))
    rows = np.full((9, COLUMNS), 0.5)
    seen = subject(model, twin, rows, np.zeros(9, dtype=np.int64), box((COLUMNS,)), classes(2))
    readings = check.figures(check.observe(seen, CheckShard()), 0.95)
    assert {reading.value for reading in curve(readings).values()} == {1.0}
    last = readings[-1]
    assert isinstance(last, Measurement)
    assert last.details["needed"] == []
    assert last.details["cheapest"] is None


def test_the_same_subject_gives_the_same_bytes(
    check: L2EvasionCheck | L1EvasionCheck | L0EvasionCheck,
) -> None:
    first, second = (check.observe(toy(), CheckShard()) for _ in range(2))
    assert list(first) == list(second)
    for name in first:
        assert encode_evidence(first[name]).digest == encode_evidence(second[name]).digest, name


def test_what_is_spent_stays_within_the_cost_that_was_told(
    check: L2EvasionCheck | L1EvasionCheck | L0EvasionCheck,
) -> None:
    seen = toy()
    check.observe(seen, CheckShard())
    cost = check.cost(AuditSize(rows=80, classes=2))
    assert isinstance(seen.model, ToyModel)
    assert isinstance(seen.twin, LinearTwin)
    assert 0 < seen.model.queries <= cost.queries
    assert 0 < seen.twin.passes <= cost.passes


def test_every_budget_gives_at_least_three_eps(
    check: L2EvasionCheck | L1EvasionCheck | L0EvasionCheck,
) -> None:
    for budget in Budget:
        made = type(check)(**check.presets[budget])  # type: ignore[arg-type]
        assert len(set(made.eps)) >= 3


def test_the_median_breaking_change_lies_in_its_interval_and_names_the_attacks(
    check: L2EvasionCheck | L1EvasionCheck | L0EvasionCheck,
) -> None:
    seen = toy()
    last = check.figures(check.observe(seen, CheckShard()), 0.95)[-1]
    assert isinstance(last, Measurement)
    assert last.metric == "min_breaking_eps"
    assert isinstance(last.value, float)
    exact = np.sort(exact_distance(seen, check.id.split(".")[1]))
    assert last.low is not None
    assert last.high is not None
    assert last.low <= exact[39] * 1.05
    assert last.high >= exact[39] * 0.95
    assert last.details["needed"]


def test_robustness_is_told_by_class_and_adds_up(
    check: L2EvasionCheck | L1EvasionCheck | L0EvasionCheck,
) -> None:
    reading = next(iter(curve(check.figures(check.observe(toy(), CheckShard()), 0.95)).values()))
    parts = reading.details["by_class"]
    assert isinstance(parts, list)
    rows = sum(part["rows"] for part in parts)  # type: ignore[index, call-overload, misc]
    right = sum(part["rows"] * part["value"] for part in parts)  # type: ignore[index, call-overload, operator, misc]
    assert rows == 80
    assert reading.value == pytest.approx(right / 80)
