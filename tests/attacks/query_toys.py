"""Attacks that only query, one of each, and small cases whose answer is known."""

from collections.abc import Callable
from typing import cast

import numpy as np
from evasion_toys import ToyModel, arena, box, linear
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.budget_sweep import run_sweep
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.query_costs import SweepResult
from auditor.attacks.evasion.suite_parser import build_suite
from auditor.domain.check_subject import report_nothing
from auditor.domain.tasks import Floats

WALKS = {"rays": Norm.LINF, "surfree": Norm.L2}
SEARCHES = {
    "square": Norm.LINF,
    "square_l2": Norm.L2,
    "nes": Norm.LINF,
    "nes_l2": Norm.L2,
    "sparse_rs": Norm.L0,
    "patch_search": Norm.L0,
}
ATTACKS = WALKS | SEARCHES
WHOLE = {Norm.LINF: 1.0, Norm.L2: 4.0, Norm.L0: 4.0}
BUDGET = {Norm.LINF: 0.1, Norm.L2: 0.5, Norm.L0: 4.0}


def stage(name: str, rounds: int) -> str:
    pairs = "x3" if name.startswith("nes") else ""
    return f"{name.removesuffix('_l2')}:{rounds}{pairs}"


def hunt(
    name: str, case: AttackSetup, rounds: int, seed: int = 0, eps: float | None = None
) -> SweepResult:
    """Throw one attack at a case, a walk in the whole range."""
    norm = ATTACKS[name]
    chosen = (WHOLE if name in WALKS else BUDGET)[norm] if eps is None else eps
    return run_sweep(
        build_suite((stage(name, rounds),), norm), case, (chosen,), seed, report_nothing
    )


def flat_case(
    seed: int, norm: Norm, coordinates: int = 10, rows: int = 40
) -> tuple[AttackSetup, Floats, Floats]:
    """Return a linear model of two classes, all rows right; the slope to harm and the margin."""
    model, _, weights, bias = linear(seed, coordinates)
    inputs = np.random.default_rng(seed).uniform(0.3, 0.7, (rows, coordinates))
    labels = model.logits(inputs).argmax(axis=1)
    case = arena(model, inputs, labels, box((coordinates,)), norm=norm)
    side = np.where(labels == 1, 1.0, -1.0)[:, None]
    slope = -side * (weights[:, 1] - weights[:, 0])
    margin = -(inputs * slope).sum(axis=1) + side[:, 0] * (bias[1] - bias[0])
    return case, slope, margin


def corner_distance(case: AttackSetup, slope: Floats, margin: Floats) -> Floats:
    """Return the exact distance to the line of a linear model in Linf, the box kept."""
    rows = case.rows.astype(np.float64)

    def gain(eps: Floats) -> Floats:
        moved = np.clip(rows + eps[:, None] * np.sign(slope), 0.0, 1.0)
        return cast("Floats", ((moved - rows) * slope).sum(axis=1))

    return _bisected(gain, margin, 1.0)


def round_distance(case: AttackSetup, slope: Floats, margin: Floats) -> Floats:
    """Return the exact distance in L2: along the slope until the box stops a coordinate."""
    rows = case.rows.astype(np.float64)

    def moved(scale: Floats) -> Floats:
        return np.clip(rows + scale[:, None] * slope, 0.0, 1.0) - rows

    scale = _bisected(lambda s: (moved(s) * slope).sum(axis=1), margin, 100.0)
    return cast("Floats", np.linalg.norm(moved(scale), axis=1))


def _bisected(gain: Callable[[Floats], Floats], margin: Floats, most: float) -> Floats:
    low, high = np.zeros(len(margin)), np.full(len(margin), most)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            np.where(gain(middle) < margin, middle, low),
            np.where(gain(middle) < margin, high, middle),
        )
    return np.where(gain(np.full(len(margin), most)) < margin, np.inf, high)


def pictures(
    kind: str, shape: tuple[int, ...], norm: Norm, seed: int = 2
) -> tuple[ToyModel, AttackSetup, NDArray[np.bool_]]:
    """Return pictures of some type before a linear model of three classes; the top row is fixed."""
    size = int(np.prod(shape))
    model, _, _, _ = linear(seed, size, 3)
    high = 255.0 if kind == "uint8" else 1.0
    rows = (np.random.default_rng(seed).random((12, *shape)) * high).astype(kind)
    labels = model.logits(rows.reshape(12, size).astype(np.float64)).argmax(axis=1)
    mutable = np.ones(shape, dtype=np.bool_)
    mutable[(0,) if len(shape) == 2 else (slice(None), 0)] = False
    space = box(shape, high=high, quantum=1.0 if kind == "uint8" else 0.0, mutable=mutable)
    return model, arena(model, rows, labels, space, norm=norm), mutable


def stubborn(rows: int, shape: tuple[int, ...], norm: Norm) -> tuple[ToyModel, AttackSetup]:
    """Return a model that always says the first class, and rows of it."""
    model = ToyModel(lambda x: np.tile([1.0, 0.0], (len(x), 1)))
    inputs = np.random.default_rng(0).random((rows, *shape))
    case = arena(model, inputs, np.zeros(rows, dtype=np.int64), box(shape), norm=norm)
    return model, case
