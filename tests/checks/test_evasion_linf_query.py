from typing import Any

import numpy as np
import pytest
from evasion_toys import NOTHING, ToyModel, box, classes, linear, subject

from auditor.attacks.evasion.run_check import REFINE
from auditor.checks.evasion.linf_query import LinfQueryCheck
from auditor.domain.budgets import AuditSize
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.readings import Measurement
from auditor.errors import PolicyError


def toy(model: ToyModel) -> Subject:
    rows = np.random.default_rng(0).uniform(0.2, 0.8, (40, 10))
    labels = model.logits(rows).argmax(axis=1)
    return subject(model, NOTHING, rows, labels, box((10,)), classes(2))


def test_further_stages_attack_what_the_search_leaves() -> None:
    model, _, _, _ = linear(0, 10)
    check = LinfQueryCheck(eps=(0.1,), iterations=1, stages=("nes:10x5",))
    readings = check.figures(check.observe(toy(model), CheckShard()), 0.95)
    assert isinstance(readings[1], Measurement)
    details = readings[1].details
    assert details["stages"] == ["square, 1 queries", "nes, 10 steps of 5 pairs"]
    log = details["log"]
    assert isinstance(log, list)
    square, nes = log[0], log[1]
    assert nes["live"] == square["live"] - square["broken"]  # type: ignore[index, call-overload, operator]
    assert nes["broken"] > 0  # type: ignore[index, call-overload, operator]


def test_queries_of_all_stages_are_told_before() -> None:
    model = ToyModel(lambda x: np.tile([3.0, 0.0], (len(x), 1)))
    check = LinfQueryCheck(eps=(0.1, 0.2), iterations=7, restarts=2, stages=("nes:3x4", "square:5"))
    check.observe(toy(model), CheckShard())
    assert model.queries == 40 + 40 * 2 * (2 * 7 + 3 * 9 + 5)
    assert check.cost(AuditSize(rows=40, classes=2)).queries == model.queries + 40 * REFINE


@pytest.mark.parametrize(
    "wrong",
    [
        {"iterations": 0},
        {"restarts": 0},
        {"stages": ("margin:20",)},
        {"stages": ("rays:20",)},
        {"stages": ("nes",)},
    ],
)
def test_stages_that_do_not_live_on_scores_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        LinfQueryCheck(**wrong)
