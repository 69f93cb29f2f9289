"""Exchanges of places: exact on planes, never worse than what they go on from, and billed."""

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, arena, box

from auditor.attacks.evasion.attack_protocol import AttackContext
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.minimum_norm import SparseExchange
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.query_costs import SweepResult
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats

FEW = ("sigma_zero:8",)
SHAPE = (3, 5, 6)
"""Channels, rows and columns: an image of thirty places."""


def model_of(width: int, seed: int) -> tuple[ToyModel, LinearTwin]:
    """Return a linear model that small rows fall short of by some places, and its twin."""
    way = np.random.default_rng(seed).uniform(0.1, 1.0, width)
    weights, bias = np.stack([np.zeros(width), way], axis=1), np.array([0.0, -0.55 * way.sum()])
    return ToyModel(lambda x: x @ weights + bias), LinearTwin(weights, bias)


def plane(seed: int, shape: tuple[int, ...] = (20,), held: int | None = None) -> AttackSetup:
    """Return forty rows, of which column ``held`` may not move."""
    width = int(np.prod(shape))
    model, twin = model_of(width, seed)
    clean = np.random.default_rng(seed).uniform(0.0, 0.8, (40, *shape))
    free = (np.arange(width) != held).reshape(shape)
    labels = np.zeros(40, dtype=np.int64)
    return arena(model, clean, labels, box(shape, mutable=free), twin, Norm.L0)


def attack(found: AttackSetup, *stages: str, seed: int = 3) -> SweepResult:
    return run_sweep(build_suite(stages, Norm.L0), found, (12.0,), seed, report_nothing)


def fewest(found: AttackSetup, held: int | None = None) -> Floats:
    """Return how many places the linear model needs, those that bring most; 0 where it is wrong."""
    assert isinstance(found.twin, LinearTwin)
    rows, way = found.rows.reshape(len(found.rows), -1), found.twin.weights[:, 1]
    missing = -(rows @ way + found.twin.bias[1])
    gain = way * (1 - rows) * (np.arange(len(way)) != held)
    if found.rows.ndim > 2:
        gain = gain.reshape(len(rows), SHAPE[0], -1).sum(axis=1)
    reached = np.cumsum(-np.sort(-gain, axis=1), axis=1)
    return np.where(missing < 0, 0, (reached < missing[:, None]).sum(axis=1) + 1).astype(float)


@pytest.mark.parametrize("shape", [(20,), SHAPE])
@pytest.mark.parametrize("seed", range(4))
def test_exchanges_reach_the_fewest_places_of_a_linear_model(
    seed: int, shape: tuple[int, ...]
) -> None:
    found = plane(seed, shape)
    exact = fewest(found)
    assert len(set(exact)) > 3
    assert (attack(found, "exchange:40").breaking == exact).all()


def test_exchanges_bring_down_what_few_steps_of_sigma_zero_left() -> None:
    found = plane(1)
    before, after = (attack(found, *stages).breaking for stages in (FEW, (*FEW, "exchange:10")))
    assert (after <= before).all()
    assert after.sum() < before.sum()
    assert (after == fewest(found)).all()


def test_what_is_spent_is_what_was_told() -> None:
    found = plane(0)
    right = int((fewest(found) > 0).sum())
    (made,) = build_suite(("exchange:15",), Norm.L0).minimal
    assert isinstance(found.twin, LinearTwin)
    assert isinstance(found.model, ToyModel)
    found.model.queries = 0
    swept = attack(found, "exchange:15")
    assert found.twin.passes == made.passes * right
    assert found.model.queries <= made.queries * right
    assert [bill.attack for bill in swept.log] == ["exchange, 15 steps"]


def test_a_column_that_may_not_move_stays() -> None:
    free = plane(2)
    assert isinstance(free.twin, LinearTwin)
    held = int(free.twin.weights[:, 1].argmax())
    found = plane(2, held=held)
    swept = attack(found, "exchange:40")
    assert (swept.crafted[:, held] == found.rows[:, held]).all()
    assert (swept.breaking == fewest(found, held)).all()
    assert swept.breaking.sum() > fewest(found).sum()


def test_a_success_that_the_twin_does_not_see_is_not_lost() -> None:
    model, _ = model_of(20, 0)
    rows = np.full((2, 20), 0.5)
    blind = LinearTwin(np.zeros((20, 2)), np.array([3.0, 0.0]))
    found = arena(model, rows, np.zeros(2, dtype=np.int64), box((20,)), blind, Norm.L0)
    start = rows.copy()
    start[:, :3] = 1.0
    ground = AttackContext(
        found.threat(12.0).around(rows),
        found.labels,
        found.goal,
        found.probabilities,
        start=start,
        broken=np.array([True, False]),
    )
    state = SparseExchange(4).begin(ground, np.random.default_rng(0))
    assert state.quest.length.tolist() == [3.0, np.inf]
    assert (state.best[0] == start[0]).all()
    assert (state.best[1] == rows[1]).all()
    kept = state.take(np.array([False, True]))
    assert kept.quest.length.tolist() == [np.inf]
    assert len(kept.ask().points) == 1
