"""A subject has a recipe where the audit names one and gives leave, and a Gap that says why not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from evasion_toys import NOTHING, classes

from auditor.domain.artifacts import SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Task
from auditor.domain.training_recipes import NO_RECIPE, RecipeRef, RecipeSource, TrainingRecipe
from auditor.workflows.engine.audit_subject import open_subject
from auditor.workflows.engine.target_factory import AuditInputs, TargetFactory

CPU = TargetSpec("cpu")
ABSENT = cast("Any", None)


@dataclass
class Opening:
    """Remembers which recipes were opened, and how many were closed."""

    opened: list[RecipeSource] = field(default_factory=list)
    closed: int = 0

    @contextmanager
    def recipe(self, source: RecipeSource, task: Task) -> Iterator[TrainingRecipe]:
        self.opened.append(source)
        yield cast("TrainingRecipe", self)
        self.closed += 1


def named(*, allowed: bool) -> RecipeSource:
    ref = RecipeRef(digest="sha256:" + "1" * 64, function="train", allowed=allowed)
    return RecipeSource(path=Path("recipe.py"), ref=ref, time_limit=60, memory_limit=2**30)


def recipe_of(source: RecipeSource | None, opening: Opening) -> TrainingRecipe | Gap:
    materials = AuditInputs(
        artifact=None, staged=Path("here"), signature=SignatureMaterial(), task=classes(3),
        space=NOTHING, datasets={}, seed=7, budget=Budget.SMOKE, recipe=source,
    )  # fmt: skip
    openers = TargetFactory(ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT, opening.recipe, ABSENT)
    with open_subject(CPU, materials, openers, twin=lambda _: False) as subject:
        return subject.recipe


def test_a_recipe_with_leave_is_opened_and_closed_with_the_subject() -> None:
    opening, source = Opening(), named(allowed=True)
    assert recipe_of(source, opening) is cast("TrainingRecipe", opening)
    assert (opening.opened, opening.closed) == ([source], 1)


def test_a_recipe_without_leave_is_never_opened_and_the_gap_says_so() -> None:
    opening = Opening()
    found = recipe_of(named(allowed=False), opening)
    assert isinstance(found, Gap)
    assert found.reason is GapReason.NEEDS_RECIPE
    assert "no leave" in found.detail
    assert "recipe.allow: true" in found.cure
    assert opening.opened == []


def test_an_audit_without_a_recipe_says_what_to_name() -> None:
    assert recipe_of(None, Opening()) is NO_RECIPE
