"""A model that serves one row otherwise than many gives no figure that a rule believes."""

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import NodeProto
from tiny_models import Classes, Workshop

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import RegressionTask, Task
from auditor.targets.session import LONE_ROWS, PROBE_ROWS, open_model

COLUMNS = 5


def deterministic(
    workshop: Workshop, artifact: Artifact, task: Task, rng: np.random.Generator
) -> bool:
    rows, limits = rng.normal(size=(PROBE_ROWS, COLUMNS)), IsolationLevel.LIMITS
    spec, folder = TargetSpec("cpu"), workshop.folder
    with open_model(spec, folder, artifact, task, rows, isolation=limits) as model:
        assert model.queries == 3 * PROBE_ROWS + LONE_ROWS
        return model.deterministic


def switching(
    workshop: Workshop, rng: np.random.Generator, width: int, lone: Sequence[NodeProto]
) -> Artifact:
    """Return a linear model that gives ``lone`` in place of its scores ``s`` where a row is alone.

    Below a size of zero rows nothing switches, which is the honest model.
    """
    weights = rng.normal(size=(COLUMNS, width)).astype(np.float32)
    return workshop.save(
        [
            workshop.node("MatMul", ["x", "w"], ["s"]),
            *lone,
            workshop.node("Shape", ["x"], ["sizes"], end=1),
            workshop.node("Equal", ["sizes", "one"], ["lone"]),
            workshop.node("Where", ["lone", "other", "s"], ["y"]),
        ],
        [workshop.value("x", ["N", COLUMNS])],
        [workshop.value("y", ["N", width])],
        workshop.weights(w=weights, one=np.array([1]), little=np.float32([1e-4])),
    )


@pytest.mark.parametrize(
    ("width", "operator", "alike"),
    [
        (3, ["Neg", ["s"]], False),
        (3, ["Add", ["s", "little"]], True),
        (1, ["Neg", ["s"]], False),
        (1, ["Add", ["s", "little"]], True),
    ],
)
def test_a_model_must_serve_a_row_alone_as_it_serves_it_among_others(
    workshop: Workshop,
    classes: Classes,
    rng: np.random.Generator,
    width: int,
    operator: tuple[str, list[str]],
    alike: bool,  # noqa: FBT001 -- a case
) -> None:
    name, entries = operator
    artifact = switching(workshop, rng, width, [workshop.node(name, entries, ["other"])])
    task = RegressionTask(1e9) if width == 1 else classes(width)
    assert deterministic(workshop, artifact, task, rng) is alike


def test_a_model_that_refuses_a_row_alone_is_not_believed(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    # Of one row, the second one that it looks up does not exist
    picked = [
        workshop.node("Gather", ["s", "one"], ["second"], axis=0),
        workshop.node("Add", ["s", "second"], ["other"]),
    ]
    artifact = switching(workshop, rng, 3, picked)
    assert not deterministic(workshop, artifact, classes(3), rng)


def test_a_model_must_serve_few_rows_as_it_serves_many(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    """Good alone and in large requests, and bad in those of two to six rows."""
    weights = rng.normal(size=(COLUMNS, 3)).astype(np.float32)

    def serving(few: int) -> Artifact:
        return workshop.save(
            [
                workshop.node("MatMul", ["x", "w"], ["s"]),
                workshop.node("Neg", ["s"], ["other"]),
                workshop.node("Shape", ["x"], ["sizes"], end=1),
                workshop.node("Greater", ["sizes", "one"], ["several"]),
                workshop.node("Less", ["sizes", "few"], ["small"]),
                workshop.node("And", ["several", "small"], ["bad"]),
                workshop.node("Where", ["bad", "other", "s"], ["y"]),
            ],
            [workshop.value("x", ["N", COLUMNS])],
            [workshop.value("y", ["N", 3])],
            workshop.weights(w=weights, one=np.array([1]), few=np.array([few])),
        )

    assert not deterministic(workshop, serving(7), classes(3), rng)
    assert deterministic(workshop, serving(2), classes(3), rng)
