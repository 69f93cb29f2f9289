"""Patches, views and changes for all rows: each is made or measured by the check's own threat."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import test_evasion_patch as patches
import test_evasion_universal as universal
from challenged import by, challenged, figures, observed, offered, results, why_not
from evasion_toys import LinearTwin, box, classes
from evasion_toys import subject as toy_subject
from shifted_subjects import Ruled, space, subject

from auditor.attacks.evasion.evidence import recount_rows
from auditor.checks.evasion.patch import PatchAttackCheck
from auditor.checks.evasion.spatial import SpatialAttackCheck
from auditor.checks.evasion.universal import UniversalPerturbationCheck
from auditor.domain.check_subject import Subject
from auditor.domain.evidence import Evidence
from auditor.errors import DatasetError

STICKERS = PatchAttackCheck(side=(0.1, 0.2, 0.3, 0.5), stages=("patch_search:1",))
SIDE = 33
SEEN = SpatialAttackCheck(budgets=("small", "large"), rotations=1, shifts=1, draws=1)
NOISE = UniversalPerturbationCheck(eps=(0.05, 0.1, 0.2), steps=1, rows=60)


@cache
def covered() -> tuple[Subject, Evidence]:
    seen = patches.toy((4,) * 12, twin=False)
    return seen, observed(STICKERS, seen)


def stickers(*places: tuple[int, int], value: float = 1.0, row: int = 0) -> np.ndarray:
    """The dark picture of a row, with some pixels painted."""
    found = np.zeros((1, patches.SIZE, patches.SIZE))
    found[0, 0, 0] = np.asarray(next(iter(covered()[0].datasets.values())).inputs)[row, 0, 0]
    for down, right in places:
        found[0, down, right] = value
    return found


def standing(evidence: Evidence) -> int:
    """The first row that the audit's own patches left standing."""
    kept = np.flatnonzero(recount_rows(evidence).right[-1])
    return int(str(evidence["ids"][kept[0]])[4:])  # type: ignore[index]  # texts


ROW = standing(covered()[1])
SQUARE = ((4, 4), (4, 5), (5, 4), (5, 5))


def test_a_patch_that_fits_breaks_its_picture_at_every_side_that_holds_it() -> None:
    seen, evidence = covered()
    offer = offered(inputs=stickers(*SQUARE, row=ROW), rows=[f"row-{ROW}"])
    found = challenged(STICKERS, seen, evidence, offer)
    (trial,) = found.trials
    assert (trial.result.value, trial.distance, trial.eps) == ("holds", 4.0, 4.0)
    before, after = (
        by(figures(STICKERS, one, "robust_accuracy"), "side") for one in (evidence, found.evidence)
    )
    lost = {side: before[side] - after[side] for side in before}
    assert lost == pytest.approx({0.1: 0.0, 0.2: 1 / 12, 0.3: 1 / 12, 0.5: 1 / 12})


@pytest.mark.parametrize(
    ("places", "value", "result"),
    [
        ((*SQUARE, (0, 9)), 1.0, "outside_budget"),
        (SQUARE, 2.0, "outside_space"),
        (((0, 0), (1, 1)), 0.5, "outside_space"),
        (SQUARE[:3], 1.0, "not_misclassified"),
    ],
    ids=["two patches", "brighter than white", "what may not move", "not misled"],
)
def test_what_is_no_patch_or_misleads_nobody_breaks_nothing(
    places: tuple[tuple[int, int], ...], value: float, result: str
) -> None:
    seen, evidence = covered()
    points = stickers(*places, value=value, row=ROW)
    found = challenged(STICKERS, seen, evidence, offered(inputs=points, rows=[f"row-{ROW}"]))
    assert results(found) == [result]
    assert found.evidence is None


def turned(x: np.ndarray) -> np.ndarray:
    """Class 1, but where the light stands one whole pixel to the left of the middle."""
    return np.asarray(x[:, SIDE // 2, SIDE // 2 - 1] < 0.95)


@cache
def looked_at() -> tuple[Subject, Evidence]:
    inputs = np.zeros((12, SIDE, SIDE), dtype=np.float32)
    inputs[:, SIDE // 2, SIDE // 2] = 1.0
    seen = subject(Ruled(turned), inputs, np.ones(12, dtype=np.int64), space((SIDE, SIDE)))
    return seen, observed(SEEN, seen)


def robust_views(evidence: Evidence | None) -> dict[Any, float]:
    return by(figures(SEEN, evidence, "robust_accuracy"), "budget")


def test_a_view_is_made_by_the_frame_and_breaks_its_row_from_its_budget_on() -> None:
    seen, evidence = looked_at()
    assert robust_views(evidence) == {"small": 1.0, "large": 1.0}
    views = offered(rows=["row-0", "row-1"], right=[-1, -1], brightness=[0.0, 0.15])
    found = challenged(SEEN, seen, evidence, views)
    assert [item.budget for item in found.trials] == ["small", "large"]
    assert results(found) == ["holds", "holds"]
    assert robust_views(found.evidence) == pytest.approx({"small": 11 / 12, "large": 10 / 12})
    assert found.evidence is not None
    again = challenged(SEEN, seen, found.evidence, views)
    assert results(again) == ["broken_before", "broken_before"]
    mean = by(figures(SEEN, evidence, "mean_accuracy"), "budget")
    assert by(figures(SEEN, found.evidence, "mean_accuracy"), "budget") == mean


@pytest.mark.parametrize(
    ("parts", "result"),
    [
        ({"right": [9]}, "outside_budget"),
        ({"right": [-1], "angle": [45.0]}, "outside_budget"),
        ({"right": [-1], "mirrored": [True]}, "outside_budget"),
        ({"scale": [0.0]}, "outside_budget"),
        ({"down": [1]}, "not_misclassified"),
    ],
)
def test_a_view_beyond_the_budgets_or_that_misleads_nobody_breaks_nothing(
    parts: dict[str, Any], result: str
) -> None:
    seen, evidence = looked_at()
    found = challenged(SEEN, seen, evidence, offered(rows=["row-0"], **parts))
    assert results(found) == [result]
    assert found.evidence is None


def test_views_of_rows_that_are_not_there_or_under_another_label_refute_nothing() -> None:
    seen, evidence = looked_at()
    views = offered(rows=["row-99", "row-1"], right=[-1, -1], labels=["1", "0"])
    found = challenged(SEEN, seen, evidence, views)
    assert results(found) == ["not_of_the_data", "other_label"]


def test_pictures_alone_do_not_show_that_they_are_views_of_their_rows() -> None:
    _, evidence = looked_at()
    picture = np.zeros((1, SIDE, SIDE))
    told = why_not(SEEN, evidence, offered(inputs=picture, rows=["row-0"]))
    assert told == (
        "evasion.spatial is challenged by another file, one with rows and the parts of a view, "
        "as angle, down and right"
    )


@cache
def spread() -> tuple[Subject, Evidence]:
    seen = universal.toy()
    return seen, observed(NOISE, seen)


def towards(seen: Subject, eps: float) -> np.ndarray:
    """The step that leads every row of a linear model towards class 1."""
    assert isinstance(seen.twin, LinearTwin)
    return np.asarray(eps * np.sign(seen.twin.weights[:, 1] - seen.twin.weights[:, 0]))


def broken_by(seen: Subject, evidence: Evidence, change: np.ndarray) -> np.ndarray:
    """Which of the judged rows one change breaks, by the model itself."""
    (data,) = seen.datasets.values()
    at = [int(str(name)[4:]) for name in evidence["ids"]]  # type: ignore[union-attr]
    moved = np.clip(np.asarray(data.inputs)[at] + change, 0, 1)
    fell: np.ndarray = seen.model.logits(moved).argmax(axis=1) != np.asarray(data.labels)[at]  # type: ignore[union-attr]
    return fell


def test_one_change_that_breaks_more_rows_takes_the_place_of_the_audits_own() -> None:
    seen, evidence = spread()
    change = towards(seen, 0.1)
    fell = broken_by(seen, evidence, change)
    before = by(figures(NOISE, evidence, "robust_accuracy"), "eps")
    assert 1 - fell.mean() < before[0.1]
    found = challenged(NOISE, seen, evidence, offered(perturbations=change[None]))
    (trial,) = found.trials
    assert (trial.result.value, trial.eps) == ("holds", 0.1)
    assert trial.decided == f"{fell.sum()} of 60 rows wrong"
    after = by(figures(NOISE, found.evidence, "robust_accuracy"), "eps")
    assert after[0.05] == before[0.05]
    assert after[0.1] <= 1 - fell.mean()
    assert after[0.2] <= before[0.2]


def test_rows_that_different_changes_break_are_never_put_together() -> None:
    seen, evidence = spread()
    one, other = towards(seen, 0.05), -towards(seen, 0.05)
    fell = [broken_by(seen, evidence, change) for change in (one, other)]
    assert (fell[0] | fell[1]).sum() > max(each.sum() for each in fell) + 1
    found = challenged(NOISE, seen, evidence, offered(perturbations=np.stack([one, other])))
    assert "holds" in results(found)
    after = by(figures(NOISE, found.evidence, "robust_accuracy"), "eps")
    assert after[0.05] in [pytest.approx(1 - each.mean()) for each in fell]


def test_a_change_that_is_too_large_breaks_no_more_or_moves_what_may_not_refutes_nothing() -> None:
    seen, evidence = spread()
    changes = np.stack([towards(seen, 0.5), np.zeros(universal.COLUMNS)])
    found = challenged(NOISE, seen, evidence, offered(perturbations=changes))
    assert results(found) == ["outside_budget", "no_worse"]
    assert found.evidence is None
    free = np.arange(universal.COLUMNS) > 0
    (data,) = seen.datasets.values()
    fixed = toy_subject(
        seen.model, seen.twin, np.asarray(data.inputs), np.asarray(data.labels),  # type: ignore[arg-type]
        box((universal.COLUMNS,), mutable=free), classes(2),
    )  # fmt: skip
    offer = offered(perturbations=towards(fixed, 0.1)[None])
    assert results(challenged(NOISE, fixed, observed(NOISE, fixed), offer)) == ["outside_space"]


def test_a_change_for_all_rows_starts_from_none() -> None:
    with pytest.raises(DatasetError, match="put on every row"):
        offered(perturbations=np.zeros((1, 10)), rows=["row-0"])
