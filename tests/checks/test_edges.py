"""What holds of every check of data, fairness and quality at the edges of what data can be."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scored_subjects import FILE, read, scored

from auditor.checks.registry import discover_checks
from auditor.checks.requirements import find_unmet_need
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import UNKNOWN, Dataset, DatasetRole, TextColumn
from auditor.domain.readings import Measurement, Unit
from auditor.domain.tasks import Floats

FAMILIES = ("data.", "fairness.", "quality.")
CHECKS = {name: check for name, check in discover_checks().items() if name.startswith(FAMILIES)}
NEARLY = 1e-9
Random = np.random.Generator


def normal(rng: Random, rows: int) -> Floats:
    return rng.normal(size=(rows, 3))


def holed(rng: Random, rows: int) -> Floats:
    return np.where(rng.random((rows, 3)) < 0.4, np.nan, rng.normal(size=(rows, 3)))


def two(rows: int) -> list[str]:
    return [("f", "m")[row % 2] for row in range(rows)]


def data(
    role: DatasetRole,
    rows: int,
    *,
    classes: int = 2,
    inputs: Callable[[Random, int], Floats] = normal,
    groups: Callable[[int], Sequence[str]] = two,
    levels: int = 3,
    alike: bool = False,
    cluster: int = 0,
    hour: float = 3600.0,
) -> Dataset:
    """A dataset whose columns are called like metrics."""
    rng = np.random.default_rng(len(role.value))
    scores = rng.random((rows, classes))
    times = np.arange(rows, dtype=np.float64) * hour
    members = TextColumn.of(groups(rows))
    return Dataset(
        role=role,
        files=(FILE,),
        inputs=inputs(rng, rows),
        labels=np.zeros(rows, np.int64) if alike else rng.integers(0, classes, rows),
        ids=tuple(f"{role.value} é{row}" for row in range(rows)),
        features=("accuracy", "x1", "x2"),
        groups={"sex": members, "accuracy_gap": members},
        slices={"city": TextColumn.of([f"city {row % levels}" for row in range(rows)])},
        cluster=TextColumn.of([str(row // cluster) for row in range(rows)]) if cluster else None,
        scores=scores / scores.sum(axis=1, keepdims=True),
        times=times,
        as_of=times,
    )


EDGES: dict[str, dict[str, Any]] = {
    "one row": {"rows": 1},
    "two rows": {"rows": 2},
    "one cluster": {"rows": 60, "cluster": 60},
    "two rows a cluster": {"rows": 120, "cluster": 2},
    "one group": {"rows": 80, "groups": lambda rows: ["f"] * rows},
    "unknown groups": {"rows": 80, "groups": lambda rows: [UNKNOWN] * rows},
    "many groups": {"rows": 150, "groups": lambda rows: [f"g{row % 100}" for row in range(rows)]},
    "300 levels": {"rows": 400, "levels": 300},
    "one label": {"rows": 80, "alike": True},
    "four classes": {"rows": 80, "classes": 4},
    "constant columns": {"rows": 80, "inputs": lambda _, rows: np.ones((rows, 3))},
    "holes": {"rows": 80, "inputs": holed},
    "nothing known": {"rows": 80, "inputs": lambda _, rows: np.full((rows, 3), np.nan)},
    "huge": {"rows": 80, "inputs": lambda rng, rows: 1e200 * normal(rng, rows)},
    "tiny": {"rows": 120, "inputs": lambda rng, rows: 1e-310 * normal(rng, rows)},
    "other letters": {"rows": 80, "groups": lambda rows: ["名, =前", "ø\n<b>"] * (rows // 2)},
    "milliseconds": {"rows": 80, "hour": 3.6e12},
}


def subject(edge: str) -> Subject:
    given = EDGES[edge]
    classes = int(given.get("classes", 2))
    claims = {"accuracy": 0.9, "auc": 0.8, "nll": 0.5, "tpr": 0.9, "balanced_accuracy": 0.7}
    return replace(
        scored(np.full((1, classes), 1 / classes), [0]),
        datasets={role: data(role, **given) for role in DatasetRole},
        clean={},
        population={"sex": {"f": 0.5, "m": 0.5}, "city": {"city 0": 0.4, "nowhere": 0.6}},
        claims=claims,
    )


@pytest.mark.parametrize("edge", EDGES)
def test_figures_are_finite_lie_in_their_intervals_and_shares_stay_below_one(edge: str) -> None:
    asked, measured = subject(edge), []
    for name, made in CHECKS.items():
        check = made()
        if find_unmet_need(check, asked) is not None:
            continue
        found = read(check, asked)
        assert found, name
        measured.append(name)
        for reading in found:
            if isinstance(reading, Measurement) and reading.low is not None:
                low, value, high = (reading.low, reading.value, reading.high)
                assert isinstance(value, float)
                assert high is not None
                assert low - NEARLY <= value <= high + NEARLY, (name, reading.metric)
                assert math.isfinite(low)
                assert math.isfinite(high)
                assert reading.unit is not Unit.SHARE or high <= 1 + NEARLY, (name, reading.metric)
    assert measured
