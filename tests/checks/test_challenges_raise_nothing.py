"""Whatever examples somebody hands over, and in which order: no figure that they bound rises."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import tabular_toys as toys
from challenged import challenged, figures, observed, offered, results
from test_challenged_balls import CARRY, WALK, carried, nearest, stepped, walked
from test_challenged_tables import WEAK, model_of, rows_of, table

from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.inputs.datasets.counterexamples import CounterexampleSet

SEEDS = range(1, 9)
TELLING = (1, 6, 7)
"""Seeds of tables with rows whose nearest wrong one is not the one that moves fewest units."""
BOUNDED = ("robust_accuracy", "min_breaking_eps", "features_moved", "median_distance")
Choice = Callable[[toys.Rows, toys.Rows], list[int]]
"""Which of the wrong rows that can be made of one are handed over."""


@cache
def audited(seed: int) -> tuple[Subject, Evidence]:
    seen = table(seed)
    return seen, observed(WEAK, seen)


def few(row: toys.Rows, wrong: toys.Rows) -> list[int]:
    """The one that moves fewest units, of those the one that moves them farthest."""
    return [int(np.lexsort([-far(row, wrong), toys.units_moved(row, wrong)])[0])]


def near(row: toys.Rows, wrong: toys.Rows) -> list[int]:
    """The nearest, of those the one that moves most units."""
    return [int(np.lexsort([-toys.units_moved(row, wrong), far(row, wrong)])[0])]


def far(row: toys.Rows, wrong: toys.Rows) -> np.ndarray:
    """How far the numbers of a row move; codes take no budget."""
    return np.abs(wrong - row)[:, :3].max(axis=1)


def handed(seen: Subject, choice: Choice) -> CounterexampleSet:
    points, names = [], []
    for at, row in enumerate(rows_of(seen)):
        made = toys.everything_within_reach(row)
        wrong = made[
            toys.decisions(model_of(seen), made) != toys.decisions(model_of(seen), row[None])
        ]
        for one in choice(row, wrong) if len(wrong) else []:
            points.append(wrong[one])
            names.append(f"row-{at}")
    return offered(inputs=np.array(points), rows=names)


def after(check: Check, seen: Subject, evidence: Evidence, *files: CounterexampleSet) -> Evidence:
    """The evidence with what holds of one file after the other; no file raises a figure."""
    for examples in files:
        found = challenged(check, seen, evidence, examples).evidence or evidence
        for metric in BOUNDED:
            now = figures(check, found, metric)
            for place, value in figures(check, evidence, metric).items():
                assert now[place] <= value, (metric, place)
        evidence = found
    return evidence


@pytest.mark.parametrize("seed", SEEDS)
def test_no_rows_of_a_table_raise_a_figure(seed: int) -> None:
    seen, evidence = audited(seed)
    rng = np.random.default_rng(seed)

    def some(_: toys.Rows, wrong: toys.Rows) -> list[int]:
        return rng.choice(len(wrong), size=int(rng.integers(0, 3))).tolist()

    drawn = [handed(seen, some) for _ in range(3)]
    counted = after(WEAK, seen, evidence, *drawn, handed(seen, few), handed(seen, near))
    assert figures(WEAK, counted, "robust_accuracy") != figures(WEAK, evidence, "robust_accuracy")


@pytest.mark.parametrize("seed", TELLING)
def test_rows_that_move_fewer_features_shield_no_row_from_a_nearer_one(seed: int) -> None:
    seen, evidence = audited(seed)
    alone = after(WEAK, seen, evidence, handed(seen, near))
    shielded = after(WEAK, seen, evidence, handed(seen, few), handed(seen, near))
    later = after(WEAK, seen, alone, handed(seen, few))
    for found in (shielded, later):
        assert figures(WEAK, found, "robust_accuracy") == figures(WEAK, alone, "robust_accuracy")


@pytest.mark.parametrize("seed", TELLING)
def test_of_several_examples_of_a_row_each_figure_counts_its_own(seed: int) -> None:
    seen, evidence = audited(seed)
    both = handed(seen, lambda row, wrong: few(row, wrong) + near(row, wrong))
    counted = after(WEAK, seen, evidence, both)
    for metric, choice in (("robust_accuracy", near), ("features_moved", few)):
        alone = after(WEAK, seen, evidence, handed(seen, choice))
        assert figures(WEAK, counted, metric) == figures(WEAK, alone, metric)


def test_no_points_in_a_ball_raise_a_figure() -> None:
    seen, evidence = walked()
    rng = np.random.default_rng(0)
    for check, norm in ((WALK, "linf"), (WALK, "l2")):
        files = []
        for beyond in (1.4, 1.001, 1.2):
            points, names = nearest(seen, norm, beyond=beyond)
            kept = rng.permutation(len(names))[: len(names) // 2]
            files.append(offered(inputs=points[kept], rows=[names[at] for at in kept]))
        assert after(check, seen, evidence, *files) is not evidence


def test_no_points_in_a_ball_that_come_again_from_afar_raise_a_figure() -> None:
    seen, evidence = carried()
    names = [str(name) for name in evidence["ids"]]  # type: ignore[union-attr]
    files = [offered(inputs=stepped(seen, names, eps), rows=names) for eps in (0.2, 0.1, 0.15)]
    counted = after(CARRY, seen, evidence, *files)
    assert "holds" not in results(challenged(CARRY, seen, counted, files[0]))
