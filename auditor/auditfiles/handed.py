"""What can be wrong with the ``shadows`` and ``generator`` sections beyond the kind of a value."""

from collections.abc import Iterator

from auditor.auditfiles.shapes import AuditShape
from auditor.auditfiles.tasks import REGRESSION, Mistake
from auditor.domain.datasets import Role
from auditor.domain.shadows import FEWEST

ONNX = ".onnx"
MATRICES = (".npy", ".npz", ".csv")
LEARNT = (Role.TRAINING, Role.EVALUATION, Role.REFERENCE)
"""Datasets that a shadow model may have learnt from."""


def shadow_mistakes(shape: AuditShape) -> Iterator[Mistake]:
    """Name what could be no shadow models, or speaks of rows that are not there."""
    shadows = shape.shadows
    if shadows is None:
        return
    yield from _model_mistakes(shadows.models)
    if not shadows.inclusion.endswith(MATRICES):
        problem = f"is {shadows.inclusion!r}, which is no file of an array"
        cure = f"Name one of {', '.join(MATRICES)}: [models, rows] of true and false."
        yield ("shadows", "inclusion"), problem, cure
    yield from _row_mistakes(shape, shadows.rows)
    if shape.task.kind == REGRESSION:
        problem = "is set, but only classifiers have shadow models"
        yield ("shadows",), problem, "Remove it."


def generator_mistakes(shape: AuditShape) -> Iterator[Mistake]:
    """Name what could be no generator of rows that the model takes."""
    generator = shape.generator
    if generator is None:
        return
    if not generator.path.endswith(ONNX):
        problem = f"is {generator.path!r}, which is no {ONNX} file"
        cure = "Export the generator to ONNX: from latent points [n, size] to rows."
        yield ("generator", "path"), problem, cure
    why = {
        "a regression has no classes to invert": shape.task.kind == REGRESSION,
        "the model reads texts, which no generator here makes": shape.input.text is not None,
        "data.evaluation, whose rows it should make, is not": shape.data.evaluation is None,
    }
    for problem in (said for said, holds in why.items() if holds):
        yield ("generator",), f"is set, but {problem}", "Remove it."


def _model_mistakes(models: tuple[str, ...] | str) -> Iterator[Mistake]:
    if isinstance(models, str):
        return
    if len(models) < FEWEST:
        cure = f"List at least {FEWEST}, better 4 or more: LiRA takes 4."
        problem = f"lists {len(models)}, of which nobody can say whether they are alike"
        yield ("shadows", "models"), problem, cure
    for index, path in enumerate(models):
        if not path.endswith(ONNX):
            problem = f"is {path!r}, which is no {ONNX} file"
            yield ("shadows", "models", index), problem, "Export the model to ONNX."
        if path in models[:index]:
            cure = "List every model once, in the order of the rows of the matrix."
            yield ("shadows", "models", index), f"lists {path!r} a second time", cure


def _row_mistakes(shape: AuditShape, rows: tuple[str, ...]) -> Iterator[Mistake]:
    known = [role.value for role in LEARNT]
    if not rows:
        yield ("shadows", "rows"), "names no dataset", f"Name some of {', '.join(known)}."
    for index, name in enumerate(rows):
        place = ("shadows", "rows", index) if "rows" in _set(shape) else ("shadows",)
        if name not in known:
            yield place, f"is {name!r}", f"Choose from {', '.join(known)}."
        elif name in rows[:index]:
            yield place, f"names {name} twice", "Name every dataset once."
        elif getattr(shape.data, name) is None:
            problem = f"speaks of rows of data.{name}, which is not set"
            yield place, problem, f"Set data.{name}, or name other rows under shadows.rows."


def _set(shape: AuditShape) -> set[str]:
    return set() if shape.shadows is None else shape.shadows.model_fields_set
