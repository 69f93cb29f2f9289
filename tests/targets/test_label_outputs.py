"""Labels beside the scores are held against what the scores decide."""

import numpy as np
import pytest
from onnx import TensorProto
from tiny_models import Classes, Workshop

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.targets import LabelOutput, ModelInterface, TargetSpec
from auditor.domain.tasks import Array, Task
from auditor.targets.session import LABELLED_ROWS, LONE_ROWS, PROBE_ROWS, open_model

COLUMNS, ROWS = 4, 600


def met(workshop: Workshop, artifact: Artifact, task: Task, rows: Array) -> ModelInterface:
    spec, limits = TargetSpec("cpu"), IsolationLevel.LIMITS
    with open_model(spec, workshop.folder, artifact, task, rows, isolation=limits) as model:
        more = LABELLED_ROWS - PROBE_ROWS if model.interface.labels else 0
        assert model.queries == 3 * PROBE_ROWS + LONE_ROWS + more
        return model.interface


def labelling(workshop: Workshop, rng: np.random.Generator, above: float) -> Artifact:
    """Return a model whose labels are another class where the first input is above a number."""
    return workshop.save(
        [
            workshop.node("MatMul", ["x", "w"], ["s"]),
            workshop.node("Softmax", ["s"], ["probabilities"], axis=-1),
            workshop.node("ArgMax", ["s"], ["best"], axis=1, keepdims=0),
            workshop.node("ArgMin", ["s"], ["worst"], axis=1, keepdims=0),
            workshop.node("Gather", ["x", "first"], ["one"], axis=1),
            workshop.node("Greater", ["one", "above"], ["lying"]),
            workshop.node("Where", ["lying", "worst", "best"], ["label"]),
            workshop.node("ReduceSum", ["s"], ["total"], keepdims=1),
            workshop.node("Expand", ["total", "shape"], ["embedding"]),
        ],
        [workshop.value("x", ["N", COLUMNS])],
        [
            workshop.value("label", ["N"], TensorProto.INT64),
            workshop.value("probabilities", ["N", 3]),
            workshop.value("embedding", [1, 7]),
        ],
        workshop.weights(
            w=rng.normal(size=(COLUMNS, 3)).astype(np.float32),
            first=np.array(0),
            above=np.float32(above),
            shape=np.array([1, 7]),
        ),
    )


@pytest.mark.parametrize(("above", "doubted"), [(9.0, False), (2.5, False), (1.0, True)])
def test_labels_that_contradict_the_scores_leave_every_figure_in_doubt(
    workshop: Workshop,
    classes: Classes,
    rng: np.random.Generator,
    above: float,
    doubted: bool,  # noqa: FBT001 -- a case
) -> None:
    rows = rng.normal(size=(ROWS, COLUMNS))
    face = met(workshop, labelling(workshop, rng, above), classes(3), rows)
    lying = int((rows[:LABELLED_ROWS, 0].astype(np.float32) > above).sum())
    assert face.labels == (LabelOutput("label", LABELLED_ROWS, lying),)
    assert face.unread == ("embedding",)
    assert bool(face.labels[0].doubt) is doubted
    if doubted:
        assert "output “label” names another class than its scores in" in face.labels[0].doubt


def test_a_number_that_is_no_class_is_no_label(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    counted = workshop.save(
        [
            workshop.node("MatMul", ["x", "w"], ["y"]),
            workshop.node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
            workshop.node("Add", ["best", "many"], ["visits"]),
        ],
        [workshop.value("x", ["N", COLUMNS])],
        [workshop.value("y", ["N", 3]), workshop.value("visits", ["N"], TensorProto.INT64)],
        workshop.weights(w=rng.normal(size=(COLUMNS, 3)).astype(np.float32), many=np.array(90)),
    )
    face = met(workshop, counted, classes(3), rng.normal(size=(ROWS, COLUMNS)))
    assert (face.labels, face.unread) == ((), ("visits",))


def test_inputs_with_a_default_that_a_caller_may_set_are_named(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    switched = workshop.save(
        [workshop.node("MatMul", ["x", "w"], ["s"]), workshop.node("Add", ["s", "mode"], ["y"])],
        [workshop.value("x", ["N", COLUMNS]), workshop.value("mode", [3])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(
            w=rng.normal(size=(COLUMNS, 3)).astype(np.float32), mode=np.zeros(3, np.float32)
        ),
    )
    face = met(workshop, switched, classes(3), rng.normal(size=(ROWS, COLUMNS)))
    assert face.defaults == ("mode",)
