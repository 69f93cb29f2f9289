"""Small tables whose relations are known to hold on their clean rows."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.tabular.constraints.row_constraints import RowConstraints, prepare_constraints
from auditor.domain.feature_relations import ColumnRelation
from auditor.domain.tasks import FeatureDirection, FeatureKind, InputFeature, InputSpace
from auditor.inputs.datasets.feature_relations import parse_relation

Rows = NDArray[np.float64]

LOAN = InputFeature("loan", FeatureKind.INTEGER, 0, 1000)
VALUE = InputFeature("value", low=1, high=2000)
INCOME = InputFeature("income", low=1000, high=9000, immutable=True)
BURDEN = InputFeature("burden", low=0, high=100)
YEARS = InputFeature("years", FeatureKind.INTEGER, 0, 50, direction=FeatureDirection.INCREASE)
SELF = InputFeature("self", FeatureKind.BINARY, 0, 1, (0.0, 1.0))
HOME, CAR, BOAT = (
    InputFeature(name, FeatureKind.BINARY, 0, 1, (0.0, 1.0), one_hot="purpose")
    for name in ("home", "car", "boat")
)
REGION = InputFeature("region", FeatureKind.CATEGORICAL, 0, 5, (0.0, 1.0, 2.0, 5.0))
CASH = InputFeature("cash", low=0, high=10, cost=2.0)
BONDS = InputFeature("bonds", low=0, high=10)
TOTAL = InputFeature("total", low=0, high=20)
EVERYTHING = (
    *(LOAN, VALUE, INCOME, BURDEN, YEARS, SELF, HOME, CAR, BOAT, REGION, CASH, BONDS, TOTAL),
)
KEPT = (
    "loan <= 0.9 * value",
    "burden == 100 * loan / income",
    "if self == 1 then years >= 2",
    "total == cash + bonds",
    "if car == 1 then region in [1, 2]",
    "abs(cash - bonds) <= 4",
    "max(cash, bonds) >= 1 and burden < 80",
    "cash * bonds <= 70",
    "boat == 0 or loan > 50",
)
"""What ``clean_rows`` keep, all of it."""
STRAIGHT = tuple(text for text in KEPT if "cash * bonds" not in text)


def space(features: Sequence[InputFeature], texts: Sequence[str] = ()) -> InputSpace:
    names = [feature.name for feature in features]
    return InputSpace(
        low=np.array([feature.low for feature in features], dtype=np.float64),
        high=np.array([feature.high for feature in features], dtype=np.float64),
        quantum=np.zeros(len(features)),
        mutable=np.ones(len(features), dtype=np.bool_),
        features=tuple(features),
        relations=tuple(ColumnRelation(text, parse_relation(text, names)) for text in texts),
    )


def constraints(features: Sequence[InputFeature], *texts: str) -> RowConstraints:
    return prepare_constraints(space(features, texts))


def clean_rows(count: int, rng: np.random.Generator) -> Rows:
    """Draw rows over ``EVERYTHING`` that keep every relation in ``KEPT``."""
    rows = np.zeros((count, len(EVERYTHING)))
    columns = {feature.name: index for index, feature in enumerate(EVERYTHING)}

    def put(name: str, values: Rows) -> None:
        rows[:, columns[name]] = values

    put("income", rng.uniform(1000, 9000, count))
    put("loan", np.floor(rng.uniform(60, np.minimum(700, 7 * rows[:, 2] / 10), count)))
    put("value", np.minimum(2000, rows[:, 0] / rng.uniform(0.4, 0.89, count)))
    put("burden", 100 * rows[:, 0] / rows[:, 2])
    put("years", rng.integers(2, 40, count).astype(np.float64))
    put("self", rng.integers(0, 2, count).astype(np.float64))
    rows[np.arange(count), columns["home"] + rng.integers(0, 3, count)] = 1
    put("region", rng.choice([1.0, 2.0], count))
    put("cash", rng.uniform(2, 8, count))
    put("bonds", rng.uniform(2, 8, count))
    put("bonds", np.clip(rows[:, -2], rows[:, -3] - 3.9, rows[:, -3] + 3.9))
    put("bonds", np.minimum(rows[:, -2], 69 / rows[:, -3]))
    put("total", rows[:, -3] + rows[:, -2])
    return rows


seeds = st.integers(0, 2**32 - 1)
some_relations = st.lists(st.sampled_from(KEPT), unique=True)
budgets = st.sampled_from([0.01, 0.1, 0.3, 1.0])
