"""A table so small that every row an attacker could make of another one can be listed."""

from itertools import product

import numpy as np
from evasion_toys import LinearTwin, ToyModel, arena
from numpy.typing import NDArray

from auditor.attacks.tabular.attack import TabularSetup, build_tabular_setup
from auditor.domain.feature_relations import ColumnRelation
from auditor.domain.tasks import FeatureDirection, FeatureKind, InputFeature, InputSpace
from auditor.inputs.datasets.feature_relations import parse_relation

Rows = NDArray[np.float32]
Numbers = NDArray[np.float64]

CODES = (0.0, 1.0)
FEATURES = (
    InputFeature("a", FeatureKind.INTEGER, 0, 10),
    InputFeature("b", FeatureKind.INTEGER, 0, 10),
    InputFeature("up", FeatureKind.INTEGER, 0, 10, direction=FeatureDirection.INCREASE),
    InputFeature("flag", FeatureKind.BINARY, 0, 1, CODES),
    InputFeature("home", FeatureKind.BINARY, 0, 1, CODES, one_hot="purpose"),
    InputFeature("car", FeatureKind.BINARY, 0, 1, CODES, one_hot="purpose"),
    InputFeature("boat", FeatureKind.BINARY, 0, 1, CODES, one_hot="purpose"),
    InputFeature("fixed", low=0, high=10, immutable=True),
)
TEXTS = ("a + b <= 12", "if car == 1 then a >= 3", "flag == 0 or b >= 2")
EPS = 0.2
STEPS = 2
"""How far a, b and up move at ``EPS``."""


def space(
    features: tuple[InputFeature, ...] = FEATURES,
    texts: tuple[str, ...] = TEXTS,
    keeps: float = 1.0,
) -> InputSpace:
    names = [feature.name for feature in features]
    return InputSpace(
        low=np.array([feature.low for feature in features], dtype=np.float64),
        high=np.array([feature.high for feature in features], dtype=np.float64),
        quantum=np.zeros(len(features)),
        mutable=np.ones(len(features), dtype=np.bool_),
        features=features,
        relations=tuple(ColumnRelation(text, parse_relation(text, names), keeps) for text in texts),
    )


def keep(rows: NDArray[np.generic]) -> NDArray[np.bool_]:
    """The relations and the group, written out by hand."""
    a, b, _, flag, home, car, boat, _ = rows.astype(np.float64).T
    kept = (a + b <= 12) & ((car == 0) | (a >= 3)) & ((flag == 0) | (b >= 2))
    return np.asarray(kept & (home + car + boat == 1))


def clean_rows(count: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    drawn = 8 * count
    numbers = rng.integers(0, 11, (drawn, 3))
    flags = rng.integers(0, 2, (drawn, 1))
    purposes = np.eye(3)[rng.integers(0, 3, drawn)]
    rows = np.hstack([numbers, flags, purposes, rng.integers(0, 11, (drawn, 1))])
    return rows[keep(rows)][:count].astype(np.float32)


def everything_within_reach(row: Rows) -> Rows:
    """List every row that can be made of one at ``EPS``, itself included."""
    a, b, up, *_, fixed = (int(value) for value in row)
    steps = range(-STEPS, STEPS + 1)
    options = (
        [a + step for step in steps if 0 <= a + step <= 10],
        [b + step for step in steps if 0 <= b + step <= 10],
        [up + step for step in range(STEPS + 1) if up + step <= 10],
        [0, 1],
        [(1, 0, 0), (0, 1, 0), (0, 0, 1)],
    )
    made = [(x, y, z, flag, *group, fixed) for x, y, z, flag, group in product(*options)]
    rows = np.array(made, dtype=np.float32)
    return rows[keep(rows)]


def units_moved(clean: Rows, rows: Rows) -> NDArray[np.int64]:
    apart = clean != rows
    groups = apart[..., 4:7].any(axis=-1, keepdims=True)
    return np.concatenate([apart[..., :4], groups, apart[..., 7:]], axis=-1).sum(axis=-1)


def linear_model(seed: int) -> tuple[ToyModel, LinearTwin]:
    """A linear model whose line runs through the middle of the table."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(8, 2)) * np.array([0.3, 0.3, 0.3, 0.4, 0.4, 0.4, 0.4, 0.3])[:, None]
    middle = np.array([4, 4, 5, 0.5, 1 / 3, 1 / 3, 1 / 3, 5])
    bias = -middle @ weights
    return ToyModel(lambda x: x @ weights + bias), LinearTwin(weights, bias)


def linear_table(
    seed: int, count: int = 25, most_features: int = 0
) -> tuple[TabularSetup, ToyModel, LinearTwin, Rows]:
    """A table whose labels are the linear model's own decisions, a tenth of them wrong."""
    model, twin = linear_model(seed)
    rows = clean_rows(count, seed)
    labels = decisions(model, rows)
    labels[::10] = 1 - labels[::10]
    entered = build_tabular_setup(arena(model, rows, labels, space(), twin), most_features)
    return entered, model, twin, rows


def decisions(model: ToyModel, rows: NDArray[np.generic]) -> NDArray[np.int64]:
    """The class of the higher logit, the second one where they are equal."""
    logits = model.logits(rows.astype(np.float64))
    decided: NDArray[np.int64] = (logits[:, 1] >= logits[:, 0]).astype(np.int64)
    return decided


def breakable(
    model: ToyModel, rows: Rows, labels: NDArray[np.int64], most: int = 9
) -> NDArray[np.int64]:
    """The fewest units of each row that must move for it to be wrong; ``most + 1`` if none can."""
    found = []
    for row, label in zip(rows, labels, strict=True):
        made = everything_within_reach(row)
        wrong = made[decisions(model, made) != label]
        counts = units_moved(row, wrong)
        found.append(int(counts.min(initial=most + 1)))
    return np.array(found, dtype=np.int64)
