"""Attacks that look for the nearest success: exact on planes, and never worse with more walks."""

from collections.abc import Callable

import numpy as np
import pytest
from evasion_toys import LinearTwin, ToyModel, arena, box, linear

from auditor.attacks.evasion.attack_protocol import AttackContext
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.minimum_norm import MinimumNormWalks
from auditor.attacks.evasion.norms import Norm, row_norms
from auditor.attacks.evasion.perturbation_ball import reach_plane
from auditor.attacks.evasion.query_costs import SweepResult
from auditor.attacks.evasion.suite_parser import KINDS, build_suite
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats

PLANES = (Norm.LINF, Norm.L2, Norm.L1)
WIDE = {Norm.LINF: 0.5, Norm.L2: 4.0, Norm.L1: 20.0, Norm.L0: 20.0}


def plane(seed: int, norm: Norm, classes: int = 2, rows: int = 40) -> AttackSetup:
    model, twin, _, _ = linear(seed, 20, classes)
    clean = np.random.default_rng(seed).uniform(0.2, 0.8, (rows, 20))
    labels = model.logits(clean).argmax(axis=1)
    return arena(model, clean, labels, box((20,)), twin, norm)


def attack(found: AttackSetup, stage: str, seed: int = 3) -> SweepResult:
    return run_sweep(
        build_suite((stage,), found.norm), found, (WIDE[found.norm],), seed, report_nothing
    )


def exact(found: AttackSetup) -> Floats:
    """Return how far the nearest line of a linear model is, in the box."""
    assert isinstance(found.twin, LinearTwin)
    weights, bias, rows = found.twin.weights, found.twin.bias, found.rows
    logits, own = rows @ weights + bias, found.labels
    best = np.full(len(rows), np.inf)
    for other in range(weights.shape[1]):
        way = (weights[:, [other]] - weights[:, own]).T
        gap = logits[np.arange(len(rows)), own] - logits[:, other]
        change = reach_plane(gap, way, -rows, 1 - rows, found.norm)
        reached = (change * way).sum(axis=1) >= gap - 1e-9
        length = row_norms(change, found.norm)
        best = np.where(reached & (other != own), np.minimum(best, length), best)
    return best


@pytest.mark.parametrize("norm", PLANES)
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_fab_reaches_the_exact_distance_of_a_linear_model(
    norm: Norm, classes: int, seed: int
) -> None:
    found = plane(seed, norm, classes)
    swept = attack(found, f"fab:30x{classes - 1}")
    wanted = exact(found)
    near = np.isfinite(wanted) & (wanted < WIDE[norm])
    assert near.sum() > 30
    assert (swept.breaking[near] >= wanted[near] * (1 - 1e-6)).all()
    assert (swept.breaking[near] <= wanted[near] * 1.01).all()


@pytest.mark.parametrize("norm", PLANES)
def test_fast_minimum_norm_walks_come_near_the_exact_distance(norm: Norm) -> None:
    found = plane(1, norm, 4)
    swept = attack(found, "fmn:60x4")
    wanted = exact(found)
    assert np.median(swept.breaking / wanted) <= 1.02
    assert (swept.breaking >= wanted * (1 - 1e-6)).all()


def test_sigma_zero_needs_hardly_more_places_than_a_linear_model_does() -> None:
    found = plane(2, Norm.L0)
    assert isinstance(found.twin, LinearTwin)
    way = found.twin.weights[:, 1] - found.twin.weights[:, 0]
    margin = found.rows @ way + found.twin.bias[1] - found.twin.bias[0]
    room = np.where(np.sign(margin)[:, None] * way > 0, found.rows, 1 - found.rows)
    gains = -np.sort(-np.abs(way) * room, axis=1)
    fewest = (np.cumsum(gains, axis=1) < np.abs(margin)[:, None]).sum(axis=1) + 1
    places = attack(found, "sigma_zero:150").breaking
    assert (places >= fewest).all()
    assert np.mean(places - fewest) <= 0.3


@pytest.mark.parametrize(
    ("classes", "untargeted", "fresh"),
    [
        (2, True, [True, False, False]),
        (2, False, [True, False, False]),
        (3, True, [True, True, True, False]),
        (3, False, [True, True, False, False]),
    ],
)
def test_a_walk_on_a_way_known_already_starts_at_random(
    classes: int,
    untargeted: bool,  # noqa: FBT001 -- a parameter of the test
    fresh: list[bool],
) -> None:
    found = plane(0, Norm.L2, classes)
    ball = found.threat(1.0).around(found.rows)
    ground = AttackContext(ball, found.labels, found.goal, found.probabilities)
    quest = MinimumNormWalks.begin(ground, len(fresh), untargeted=untargeted)
    for index, first in enumerate(fresh):
        length = row_norms(quest.start(np.random.default_rng(0), 0.5), Norm.L2)
        assert (length == 0).all() if first else (length > 0.3).all(), index
        assert quest.last == (index == len(fresh) - 1)
        quest = quest if quest.last else quest.further()


def curved(seed: int, norm: Norm) -> AttackSetup:
    """Return a model whose logits are squared distances to random points: lines are not planes."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (9, 12))
    names = np.arange(9) % 3

    def logits(x: Floats) -> Floats:
        apart = ((x[:, None, :] - centres) ** 2).sum(axis=2)
        return -np.stack([apart[:, names == name].min(axis=1) for name in range(3)], axis=1)

    class Twin:
        distance, source = {"max_difference": 0.0}, {"kind": "toy"}

        def forward(self, inputs: Floats) -> Floats:
            self.points = inputs.astype(np.float64)
            return logits(self.points)

        def backward(self, cotangent: Floats) -> Floats:
            pulled = np.zeros_like(self.points)
            apart = ((self.points[:, None, :] - centres) ** 2).sum(axis=2)
            for name in range(3):
                places = np.flatnonzero(names == name)
                nearest_one = places[apart[:, places].argmin(axis=1)]
                pulled -= 2 * cotangent[:, [name]] * (self.points - centres[nearest_one])
            return pulled

    clean = rng.uniform(0.2, 0.8, (30, 12))
    return arena(
        ToyModel(logits),
        clean,
        logits(clean).argmax(axis=1),
        box((12,)),
        Twin(),
        norm,  # type: ignore[arg-type]
    )


STAGES = [
    *[(norm, stage) for norm in PLANES for stage in ("fab:15", "fmn:15")],
    (Norm.L0, "fmn:15"),
    (Norm.L0, "sigma_zero:15"),
]
EXCHANGE = (Norm.L0, "exchange:15")


@pytest.mark.parametrize(("norm", "stage"), STAGES)
def test_more_walks_never_end_farther_out(norm: Norm, stage: str) -> None:
    one, four = (attack(curved(0, norm), text).breaking for text in (stage, f"{stage}x4"))
    assert (four <= one).all()
    assert (four < one).any() or norm is Norm.L0


@pytest.mark.parametrize(("norm", "stage"), [*STAGES, EXCHANGE])
def test_the_same_seed_gives_the_same_bytes(norm: Norm, stage: str) -> None:
    # Two classes: from the second walk on the starts are random.
    first, second = (attack(plane(0, norm), f"{stage}x3", seed=5) for _ in range(2))
    assert first.crafted.tobytes() == second.crafted.tobytes()
    assert first.breaking.tobytes() == second.breaking.tobytes()


@pytest.mark.parametrize(("norm", "stage"), STAGES)
def test_what_is_spent_is_what_was_told(norm: Norm, stage: str) -> None:
    found = plane(0, norm, 4)
    (made,) = build_suite((f"{stage}x3",), norm).minimal
    assert isinstance(found.twin, LinearTwin)
    assert isinstance(found.model, ToyModel)
    found.model.queries = 0
    attack(found, f"{stage}x3")
    assert found.twin.passes == made.passes * len(found.rows)
    assert found.model.queries <= made.queries * len(found.rows)


def test_fab_works_where_a_slope_has_a_length() -> None:
    assert KINDS["fab"].norms == frozenset(PLANES)
    assert KINDS["sigma_zero"].norms == KINDS["exchange"].norms == frozenset({Norm.L0})


@pytest.mark.parametrize(("norm", "stage"), [*STAGES, EXCHANGE])
def test_a_row_that_nothing_moves_stays(norm: Norm, stage: str) -> None:
    flat: Callable[[Floats], Floats] = lambda x: np.tile([3.0, 0.0], (len(x), 1))  # noqa: E731
    twin = LinearTwin(np.zeros((20, 2)), np.array([3.0, 0.0]))
    rows = np.full((3, 20), 0.5)
    found = arena(ToyModel(flat), rows, np.zeros(3, dtype=np.int64), box((20,)), twin, norm)
    swept = attack(found, f"{stage}x2")
    assert np.isinf(swept.breaking).all()
    assert np.isfinite(swept.crafted).all()
