"""Inputs in a ball against walks on decisions, transfer and attacks of a toolbox; and why not."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_evasion_decision as walks
import test_evasion_transfer as transfers
from challenged import by, challenged, figures, observed, offered, results, why_not
from evasion_toys import box, classes, linear, subject

from auditor.attacks.art.configured_attack import ModelAccess
from auditor.attacks.art.evasion_evidence import (
    ArtAttackResult,
    ArtAttempt,
    describe_attempts,
    unattacked_result,
)
from auditor.attacks.art.failure_reasons import FailureReason
from auditor.attacks.counterexamples.refutable_claims import FAMILIES, claims_of
from auditor.attacks.evasion.attack_setup import prepare_attack_run
from auditor.checks.evasion.art import ArtEvasionCheck
from auditor.checks.evasion.decision import DecisionAttackCheck
from auditor.checks.evasion.l0 import L0EvasionCheck
from auditor.checks.evasion.l1 import L1EvasionCheck
from auditor.checks.evasion.l2 import L2EvasionCheck
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.checks.evasion.linf_query import LinfQueryCheck
from auditor.checks.evasion.transfer import TransferAttackCheck
from auditor.checks.registry import discover_checks
from auditor.domain.challenges import CounterexampleKind
from auditor.domain.check_subject import Subject
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence
from auditor.domain.readings import GapReason

WALK = DecisionAttackCheck(stages=("rays:2", "surfree:2"), rows=walks.ROWS)
CARRY = TransferAttackCheck(eps=(0.05, 0.1, 0.2), hidden=1, epochs=1)
CHECKS = discover_checks()
TESTS = Path(__file__).parents[1]
TRYING = {"challenged", "weigh_examples"}
"""What a test calls to try examples under a check."""

UNREFUTED: list[tuple[str, dict[str, Any], str]] = [
    ("evasion.masking", {}, "it looks for signs"),
    ("evasion.corruption", {}, "an average over noise that nobody chose"),
    ("evasion.certified", {"settings": {"gap": {"reason": "x"}}}, "by smoothing"),
    ("evasion.tabular", {"settings": {"undefined": "The rows are no table."}}, "no table"),
    ("evasion.patch", {"settings": {"row": [3], "twin": True}}, "nothing was covered"),
    ("evasion.spatial", {"settings": {"row": [3]}}, "rows of shape [3] are no pictures"),
    ("evasion.universal", {"settings": {"judged": 3, "prepared": 2}}, "judged on 3 others"),
    ("evasion.transfer", {"settings": {"judged": 3, "prepared": 2}}, "judged on 3 others"),
    ("evasion.linf", {"settings": {"movable": [0]}}, "nothing in a row that an attacker may"),
    ("evasion.text", {"settings": {"movable": [0]}}, "no word to change"),
    ("evasion.textattack", {"runs": {}}, "no recipe ran"),
    ("evasion.art", {"settings": {"attacks": [], "movable": [1]}}, "no attack of the toolbox"),
]
"""Evidence that no example refutes; where it is empty, no evidence of the check is refuted so."""


@cache
def walked() -> tuple[Subject, Evidence]:
    seen = walks.toy()
    return seen, observed(WALK, seen)


def nearest(seen: Subject, norm: str, *, beyond: float = 1.001) -> tuple[np.ndarray, list[str]]:
    """Of each row of a linear model that is right, the nearest point over its line."""
    _, _, weights, bias = linear(0, walks.COLUMNS)
    (data,) = seen.datasets.values()
    rows, way = np.asarray(data.inputs), weights[:, 1] - weights[:, 0]
    margin = rows @ way + bias[1] - bias[0]
    unit = np.sign(way) / np.abs(way).sum() if norm == "linf" else way / (way @ way)
    points = rows - beyond * margin[:, None] * unit
    right = np.flatnonzero((margin > 0) == (np.asarray(data.labels) == 1))
    return points[right], [f"row-{at}" for at in right]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_nearest_points_bring_the_median_distance_to_the_true_one(norm: str) -> None:
    seen, evidence = walked()
    points, names = nearest(seen, norm)
    found = challenged(WALK, seen, evidence, offered(inputs=points, rows=names))
    assert "holds" in results(found)
    before, after = (
        by(figures(WALK, one, "median_distance"), "norm") for one in (evidence, found.evidence)
    )
    true = np.sort(walks.exact(seen, norm))[walks.ROWS // 2 - 1]
    assert true < before[norm]
    assert after[norm] == pytest.approx(1.001 * true, rel=1e-6)


def test_points_that_are_no_nearer_move_no_distance() -> None:
    seen, evidence = walked()
    points, names = nearest(seen, "linf")
    first = challenged(WALK, seen, evidence, offered(inputs=points, rows=names))
    assert first.evidence is not None
    again = challenged(WALK, seen, first.evidence, offered(inputs=points, rows=names))
    assert set(results(again)) == {"broken_before"}
    assert again.evidence is None


def twinned() -> Subject:
    """A linear model and its twin."""
    model, twin, _, _ = linear(0, walks.COLUMNS)
    rows = np.random.default_rng(0).uniform(0.35, 0.65, (40, walks.COLUMNS))
    labels = model.logits(rows).argmax(axis=1)
    return subject(model, twin, rows, labels, box((walks.COLUMNS,)), classes(2))


@cache
def carried() -> tuple[Subject, Evidence]:
    seen = transfers.toy()
    return seen, observed(CARRY, seen)


def stepped(seen: Subject, names: list[str], eps: float) -> np.ndarray:
    """Each row a step of ``eps`` over the line of the linear model."""
    _, _, weights, bias = linear(0, transfers.COLUMNS)
    (data,) = seen.datasets.values()
    rows, way = np.asarray(data.inputs)[[int(name[4:]) for name in names]], weights @ [-1.0, 1.0]
    side = np.sign(rows @ way + bias[1] - bias[0])[:, None]
    return np.clip(rows - eps * side * np.sign(way), 0, 1)


def test_points_within_the_ball_count_on_the_target_however_they_were_made() -> None:
    seen, evidence = carried()
    names = [str(name) for name in evidence["ids"]]  # type: ignore[union-attr]
    found = challenged(CARRY, seen, evidence, offered(inputs=stepped(seen, names, 0.1), rows=names))
    held = sum(item == "holds" for item in results(found))
    assert held > 5
    assert set(results(found)) <= {"holds", "broken_before", "not_misclassified"}
    before, after = (
        by(figures(CARRY, one, "robust_accuracy"), "eps") for one in (evidence, found.evidence)
    )
    assert after[0.1] == pytest.approx(before[0.1] - held / len(names))


def test_points_outside_of_the_ball_and_of_rows_that_taught_refute_nothing() -> None:
    seen, evidence = carried()
    judged = [str(name) for name in evidence["ids"]][:1]  # type: ignore[union-attr]
    taught = [f"row-{at}" for at in range(200) if f"row-{at}" not in evidence["ids"]][:1]  # type: ignore[operator]
    for names, eps, result in ((judged, 0.3, "outside_budget"), (taught, 0.1, "not_looked_at")):
        offer = offered(inputs=stepped(seen, names, eps), rows=names)
        assert results(challenged(CARRY, seen, evidence, offer)) == [result]


@pytest.mark.parametrize(
    ("check", "norm", "reach"),
    [
        (LinfEvasionCheck(), "linf", 0.1),
        (LinfQueryCheck(), "linf", 0.1),
        (L2EvasionCheck(), "l2", 0.1 * transfers.COLUMNS**0.5),
        (L1EvasionCheck(), "l1", 0.1 * transfers.COLUMNS),
        (L0EvasionCheck(), "l0", transfers.COLUMNS),
    ],
    ids=["linf", "linf_query", "l2", "l1", "l0"],
)
def test_the_check_of_each_norm_takes_its_own_distance(
    check: Check, norm: str, reach: float
) -> None:
    seen, evidence = carried()
    names = [str(name) for name in evidence["ids"]]  # type: ignore[union-attr]
    (data,) = seen.datasets.values()
    rows = np.asarray(data.inputs)[[int(name[4:]) for name in names]]
    points = stepped(seen, names, 0.1)
    whole = np.flatnonzero((np.abs(points - rows) > 0.0999).all(axis=1))
    offer = offered(inputs=points[whole], rows=[names[at] for at in whole])
    within = {"holds", "not_misclassified"}
    for eps, come in ((reach * 1.001, within), (reach * 0.99, {"outside_budget"})):
        settings = {**evidence["settings"], "norm": norm, "eps": [eps]}  # type: ignore[dict-item]
        still = {**evidence, "settings": settings, "distance": np.full(len(names), np.inf)}
        found = challenged(check, seen, still, offer)
        assert set(results(found)) == come


def toolbox() -> tuple[ArtEvasionCheck, Evidence]:
    """What the toolbox sees of an attack that found nothing, and of one that could not run."""
    check = ArtEvasionCheck(
        attacks=("FastGradientMethod", "SquareAttack"), eps=(0.05, 0.1), rows=20
    )
    bout = prepare_attack_run(transfers.toy(), 20)
    nothing = ArtAttackResult(unattacked_result(bout.arena, check.budgets), ())
    refused = FailureReason(GapReason.NEEDS_TWIN, "it climbs", "give a twin")
    tried = [
        ArtAttempt("FastGradientMethod", ModelAccess.TARGET, {}, nothing),
        ArtAttempt("SquareAttack", None, {}, refused),
    ]
    return check, describe_attempts(bout, tried, check.budgets, twin=None, art="1")


def test_every_attack_of_the_toolbox_that_ran_loses_a_row_that_somebody_breaks() -> None:
    seen, (check, evidence) = transfers.toy(), toolbox()
    names = [str(name) for name in evidence["ids"]]  # type: ignore[union-attr]
    found = challenged(check, seen, evidence, offered(inputs=stepped(seen, names, 0.1), rows=names))
    held = sum(item == "holds" for item in results(found))
    assert held > 2
    after = by(figures(check, found.evidence, "robust_accuracy"), "eps")
    assert after == pytest.approx({0.05: 1.0, 0.1: 1 - held / 20})


def tried_by(path: Path) -> set[str]:
    """The checks whose classes a module names that tries examples."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    calls = {getattr(node.func, "id", "") for node in nodes if isinstance(node, ast.Call)}
    if not calls & TRYING:
        return set()
    named = {
        (node.module, alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return {
        name
        for name, check in CHECKS.items()
        if (key := (kind_of(check).__module__, kind_of(check).__name__)) in named and key[1] in used
    }


def kind_of(check: Any) -> type:  # noqa: ANN401 -- a check or its class
    return check if isinstance(check, type) else type(check)


def test_every_check_that_examples_refute_is_tried_by_a_test() -> None:
    silent = {name for name, evidence, _ in UNREFUTED if not evidence}
    tried = set[str]().union(*(tried_by(path) for path in TESTS.rglob("test_*.py")))
    assert {name for name, check in CHECKS.items() if check.by_example} - tried - silent == set()


@pytest.mark.parametrize("name", sorted(name for name in CHECKS if not CHECKS[name].by_example))
def test_every_check_that_no_example_refutes_says_why(name: str) -> None:
    why = claims_of(CHECKS[name], {}, {}, CounterexampleKind.INPUTS)
    assert isinstance(why, str)
    assert why.startswith(f"{name} cannot be challenged by examples because it ")
    assert name.partition(".")[0] in FAMILIES


def test_every_attack_says_by_which_examples_it_is_challenged() -> None:
    assert not [
        name for name in CHECKS if name.startswith("evasion.") and not CHECKS[name].by_example
    ]


@pytest.mark.parametrize(("name", "evidence", "words"), UNREFUTED)
def test_what_no_example_refutes_names_its_kind_and_the_reason(
    name: str, evidence: dict[str, Any], words: str
) -> None:
    kind = CHECKS[name].by_example
    assert kind is not None
    why = claims_of(CHECKS[name], evidence, {"words": [1]}, kind.kind)
    assert isinstance(why, str)
    assert why.startswith(f"{name} cannot be challenged by examples because")
    assert words in why


def test_numbers_of_rows_are_no_views_and_the_other_way_round() -> None:
    _, evidence = carried()
    told = why_not(CARRY, evidence, offered(rows=["row-0"], angle=[1.0]))
    assert told == "evasion.transfer is challenged by another file, one with arrays inputs and rows"
