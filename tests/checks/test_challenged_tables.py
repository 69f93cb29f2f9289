"""Rows that could exist refute what an attack on a table left standing, and no others do."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import tabular_toys as toys
from challenged import by, challenged, figures, observed, offered, results
from evasion_toys import NOTHING, ToyModel, classes, subject

from auditor.attacks.tabular.readings import recount_table
from auditor.checks.evasion.tabular import TabularAttackCheck
from auditor.domain.check_subject import Subject
from auditor.domain.evidence import Evidence

EPS = (0.1, toys.EPS)
WEAK = TabularAttackCheck(eps=EPS, stages=("search:1",))


def table(seed: int = 1, count: int = 30) -> Subject:
    model, _ = toys.linear_model(seed)
    rows = toys.clean_rows(count, seed)
    return subject(model, NOTHING, rows, toys.decisions(model, rows), toys.space(), classes(2))


@cache
def usual() -> tuple[Subject, Evidence]:
    seen = table()
    return seen, observed(WEAK, seen)


def model_of(seen: Subject) -> ToyModel:
    assert isinstance(seen.model, ToyModel)
    return seen.model


def rows_of(seen: Subject) -> toys.Rows:
    (data,) = seen.datasets.values()
    return np.asarray(data.inputs)


def broken(seen: Subject, evidence: Evidence) -> tuple[toys.Rows, list[str]]:
    """Of each row that the attack left standing and that can be broken, the nearest wrong one."""
    standing = {
        str(name)
        for name, kept in zip(evidence["ids"], recount_table(evidence).right[-1], strict=True)  # type: ignore[arg-type]
        if kept
    }
    found, names = [], []
    for at, row in enumerate(rows_of(seen)):
        made = toys.everything_within_reach(row)
        label = toys.decisions(model_of(seen), row[None])[0]
        wrong = made[toys.decisions(model_of(seen), made) != label]
        if f"row-{at}" in standing and len(wrong):
            found.append(wrong[toys.units_moved(row, wrong).argmin()])
            names.append(f"row-{at}")
    return np.array(found), names


def test_rows_that_could_exist_and_are_wrong_count_as_broken() -> None:
    seen, evidence = usual()
    points, names = broken(seen, evidence)
    assert len(names) > 3
    found = challenged(WEAK, seen, evidence, offered(inputs=points, rows=names))
    assert set(results(found)) == {"holds"}
    before, after = (
        by(figures(WEAK, one, "robust_accuracy"), "eps") for one in (evidence, found.evidence)
    )
    assert after[toys.EPS] == pytest.approx(before[toys.EPS] - len(names) / 30)
    moved = figures(WEAK, found.evidence, "features_moved")
    assert moved[()] <= figures(WEAK, evidence, "features_moved").get((), 6.0)
    again = challenged(WEAK, seen, found.evidence, offered(inputs=points, rows=names))  # type: ignore[arg-type]
    assert set(results(again)) == {"broken_before"}


def changed(row: toys.Rows, **columns: float) -> toys.Rows:
    names = [feature.name for feature in toys.FEATURES]
    found = row.copy()
    for name, value in columns.items():
        found[names.index(name)] = value
    return found


@pytest.mark.parametrize(
    ("columns", "result"),
    [
        ({"fixed": 5}, "outside_space"),
        ({"up": 4}, "outside_space"),
        ({"a": 5.5}, "outside_space"),
        ({"flag": 0.5}, "outside_space"),
        ({"car": 1}, "outside_space"),
        ({"home": 0, "boat": 0, "car": 0}, "outside_space"),
        ({"b": 8, "a": 6}, "outside_space"),
        ({"a": 8}, "outside_budget"),
        ({"a": 6}, "not_misclassified"),
    ],
    ids=["immutable", "direction", "whole", "code", "two", "none", "relation", "budget", "right"],
)
def test_what_could_not_exist_or_is_too_far_breaks_nothing(
    columns: dict[str, float], result: str
) -> None:
    row = np.array([[5, 6, 5, 0, 1, 0, 0, 3]], dtype=np.float32)
    rows = np.vstack([row, toys.clean_rows(9, 2)])
    seen = subject(
        ToyModel(lambda x: np.stack([np.ones(len(x)), x[:, 7] - 99], axis=1)),
        NOTHING, rows, np.zeros(10, dtype=np.int64), toys.space(), classes(2),
    )  # fmt: skip
    point = changed(row[0], **columns)[None]
    found = challenged(WEAK, seen, observed(WEAK, seen), offered(inputs=point, rows=["row-0"]))
    assert results(found) == [result]
    assert found.evidence is None


def test_more_features_than_the_check_lets_move_are_too_many() -> None:
    one = TabularAttackCheck(eps=EPS, stages=("search:1",), most_features=1)
    seen = table()
    evidence = observed(one, seen)
    points, names = broken(seen, evidence)
    counts = toys.units_moved(rows_of(seen)[[int(name[4:]) for name in names]], points)
    assert set(counts.tolist()) > {1}
    found = challenged(one, seen, evidence, offered(inputs=points, rows=names))
    told = np.array(results(found))
    assert set(told[counts == 1]) == {"holds"}
    assert set(told[counts > 1]) == {"outside_budget"}


@pytest.mark.parametrize(
    ("more", "result"),
    [
        ({"rows": ["row-999"]}, "not_of_the_data"),
        ({"labels": ["other"]}, "other_label"),
    ],
)
def test_a_row_that_is_not_there_and_a_label_that_is_disputed_refute_nothing(
    more: dict[str, Any], result: str
) -> None:
    seen, evidence = usual()
    points, names = broken(seen, evidence)
    arrays = {"inputs": points[:1], "rows": names[:1], **more}
    found = challenged(WEAK, seen, evidence, offered(**arrays))
    assert results(found) == [result]


def test_a_row_outside_of_the_sample_was_not_looked_at() -> None:
    few = TabularAttackCheck(eps=EPS, stages=("search:1",), rows=5)
    seen = table()
    evidence = observed(few, seen)
    points, names = broken(seen, usual()[1])
    outside = [at for at, name in enumerate(names) if name not in evidence["ids"]]  # type: ignore[operator]
    assert outside
    arrays = {"inputs": points[outside], "rows": [names[at] for at in outside]}
    found = challenged(few, seen, evidence, offered(**arrays))
    assert set(results(found)) == {"not_looked_at"}
