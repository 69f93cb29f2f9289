"""The twin is the model's differentiable equal, or a gap that says why not."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from onnx import TensorProto
from scipy.special import softmax
from tiny_models import Classes, Workshop

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.models import Model, Twin
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, ClassificationTask, RegressionTask, Task
from auditor.targets.gradient_check import DIRECTIONS
from auditor.targets.model import OpenedModel
from auditor.targets.session import open_model
from auditor.targets.twin import (
    DISTANCE_ROWS,
    GRADIENT_ROWS,
    MOST_DIFFERENCE,
    OpenedTwin,
    open_twin,
)

CPU = TargetSpec("cpu")


@contextmanager
def pair(
    workshop: Workshop, artifact: Artifact, task: Task, rows: Array
) -> Iterator[tuple[OpenedModel, OpenedTwin | Gap]]:
    """Open a model and its twin."""
    with (
        open_model(CPU, workshop.folder, artifact, task, rows) as model,
        open_twin(CPU, workshop.folder, artifact, model, rows) as twin,
    ):
        yield model, twin


@contextmanager
def equals(
    workshop: Workshop, artifact: Artifact, task: Task, rows: Array
) -> Iterator[tuple[OpenedModel, OpenedTwin]]:
    """Open a model and its twin, which must be its equal."""
    with pair(workshop, artifact, task, rows) as (model, twin):
        assert isinstance(twin, OpenedTwin), twin
        yield model, twin


def gap_of(workshop: Workshop, artifact: Artifact, task: Task, rows: Array) -> Gap:
    """Return the gap that stands for a twin that there cannot be."""
    with pair(workshop, artifact, task, rows) as (_, gap):
        assert isinstance(gap, Gap)
        assert gap.cure
        return gap


def test_the_twin_of_a_linear_model_has_its_weights_as_gradient(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    weights, rows = rng.normal(size=(5, 3)), rng.normal(size=(600, 5))
    artifact = workshop.linear(weights)
    with open_model(CPU, workshop.folder, artifact, classes(3), rows) as model:
        opened = model.queries  # more where the machine is so busy that sizes of requests are tried
        with open_twin(CPU, workshop.folder, artifact, model, rows) as twin:
            assert isinstance(twin, OpenedTwin), twin
            assert model.queries - opened == DISTANCE_ROWS + 2 * DIRECTIONS * GRADIENT_ROWS
            logits = twin.forward(rows)
            gradient = twin.backward(np.tile([1.0, 0.0, -1.0], (600, 1)))
    assert logits == pytest.approx(rows @ weights, abs=1e-4)
    assert gradient == pytest.approx(np.tile(weights[:, 0] - weights[:, 2], (600, 1)), abs=1e-5)
    assert twin.passes == 600
    assert twin.distance["max_difference"] < MOST_DIFFERENCE
    assert (twin.distance["agreement"], twin.distance["rows"]) == (1.0, DISTANCE_ROWS)


@pytest.mark.slow
def test_gradients_come_back_in_the_layout_of_the_data(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    weights = rng.normal(size=(60, 2)).astype(np.float32)
    artifact = workshop.save(
        [
            workshop.node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
            workshop.node("Flatten", ["t"], ["f"]),
            workshop.node("MatMul", ["f", "w"], ["y"]),
        ],
        [workshop.value("x", ["N", 3, 4, 5])],
        [workshop.value("y", ["N", 2])],
        workshop.weights(w=weights),
    )
    pictures = rng.normal(size=(7, 4, 5, 3))
    with equals(workshop, artifact, classes(2), pictures) as (model, twin):
        assert model.interface.layout == "channels_first"
        twin.forward(pictures)
        gradient = twin.backward(np.tile([1.0, 0.0], (7, 1)))
    assert gradient == pytest.approx(np.tile(weights[:, 0].reshape(4, 5, 3), (7, 1, 1, 1)), 1e-5)


@pytest.mark.slow
def test_a_binary_twin_speaks_of_the_positive_class(
    workshop: Workshop, rng: np.random.Generator
) -> None:
    weights, rows = rng.normal(size=(4, 1)), rng.normal(size=(30, 4))
    artifact = workshop.save(
        [workshop.node("MatMul", ["x", "w"], ["z"]), workshop.node("Sigmoid", ["z"], ["y"])],
        [workshop.value("x", ["N", 4])],
        [workshop.value("y", ["N", 1])],
        workshop.weights(w=weights.astype(np.float32)),
    )
    task = ClassificationTask(("no", "yes"), "no", "no")  # the first column, not the second
    with equals(workshop, artifact, task, rows) as (model, twin):
        probabilities = model.probabilities(model.predict(rows))
        assert softmax(twin.forward(rows), 1) == pytest.approx(probabilities, abs=1e-5)
        upwards = twin.backward(np.tile([1.0, -1.0], (30, 1)))
    assert upwards == pytest.approx(np.tile(weights.T, (30, 1)), abs=1e-5)


@pytest.mark.slow
def test_an_operator_without_a_derivative_is_a_gap_that_names_it(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Hardmax", ["x"], ["s"]), workshop.node("MatMul", ["s", "w"], ["y"])],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
        workshop.weights(w=(5 * np.eye(3)).astype(np.float32)),
    )
    gap = gap_of(workshop, artifact, classes(3), rng.normal(size=(9, 3)))
    assert gap.reason is GapReason.TWIN_UNSUPPORTED
    assert "Hardmax" in gap.detail


def test_a_twin_that_is_another_function_is_a_gap_with_its_distance(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    rows = rng.normal(size=(200, 3))
    artifact = workshop.linear(np.eye(3))
    with open_model(CPU, workshop.folder, artifact, classes(3), rows) as model:
        workshop.linear(np.eye(3) * 1.05)  # what the twin will be built from
        with open_twin(CPU, workshop.folder, artifact, model, rows) as gap:
            assert isinstance(gap, Gap)
    worst = np.abs(softmax(rows, 1) - softmax(rows * 1.05, 1)).max()
    assert gap.reason is GapReason.TWIN_DIFFERS
    assert f"up to {worst:.3g}" in gap.detail


def test_a_model_of_labels_only_has_no_twin(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N"], TensorProto.INT64)],
    )
    gap = gap_of(workshop, artifact, classes(3), rng.normal(size=(9, 3)))
    assert (gap.reason, "labels" in gap.detail) == (GapReason.TWIN_UNSUPPORTED, True)


@pytest.mark.slow
def test_the_twin_of_a_regression_gives_its_value(
    workshop: Workshop, rng: np.random.Generator
) -> None:
    weights, rows = rng.normal(size=(3, 1)), rng.normal(size=(90, 3))
    with equals(workshop, workshop.linear(weights), RegressionTask(0.1), rows) as (model, twin):
        assert twin.forward(rows) == pytest.approx(model.predict(rows), abs=1e-5)
        assert twin.backward(np.ones((90, 1))) == pytest.approx(np.tile(weights.T, (90, 1)), 1e-5)
    assert twin.distance["gradient_correlation"] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.slow
def test_what_is_opened_keeps_the_protocols_that_checks_rely_on(
    workshop: Workshop, classes: Classes
) -> None:
    artifact, rows = workshop.linear(np.eye(3) * 9), np.eye(3)
    with (
        open_model(
            CPU, workshop.folder, artifact, classes(3), rows, isolation=IsolationLevel.LIMITS
        ) as opened,
        open_twin(CPU, workshop.folder, artifact, opened, rows) as equal,
    ):
        assert isinstance(equal, OpenedTwin)
        model: Model = opened
        twin: Twin = equal
        assert model.deterministic
        assert twin.passes == 0
