"""What can be wrong with the ``recipe`` section beyond the kind of each value."""

from collections.abc import Iterator
from keyword import iskeyword

from auditor.auditfiles.shapes import AuditShape
from auditor.auditfiles.tasks import REGRESSION, Mistake

SUFFIX = ".py"
LEAST_MEMORY = 2**28
"""Bytes without which no Python with numpy starts."""


def recipe_mistakes(shape: AuditShape) -> Iterator[Mistake]:
    """Name what could be no recipe, or trains what is not trained again."""
    recipe = shape.recipe
    if recipe is None:
        return
    if not recipe.path.endswith(SUFFIX):
        problem = f"is {recipe.path!r}, which is no Python file"
        yield ("recipe", "path"), problem, "Name a .py file that defines train(X, y, seed)."
    for name in ("function", "dp_train"):
        called = getattr(recipe, name)
        if called is not None and (not called.isidentifier() or iskeyword(called)):
            problem = f"is {called!r}, which is no name of a function"
            yield ("recipe", name), problem, "Write the function's name alone, as in train."
    if recipe.time_limit <= 0:
        problem = f"is {recipe.time_limit:g}, which is no time to train in"
        yield ("recipe", "time_limit"), problem, "Write the seconds that one training may take."
    if recipe.memory_limit < LEAST_MEMORY:
        problem = f"is {recipe.memory_limit} bytes, in which no Python starts"
        cure = f"Write the bytes that training may take, at least {LEAST_MEMORY}."
        yield ("recipe", "memory_limit"), problem, cure
    if shape.task.kind == REGRESSION:
        problem = "is set, but only classifiers are trained again"
        yield ("recipe",), problem, "Remove it."
