"""Inputs of every kind go in and scores of every kind come out as [rows, classes]."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from scipy.special import expit, softmax
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from tiny_models import Classes, Workshop

from auditor.domain.artifacts import Artifact
from auditor.domain.isolation import IsolationLevel
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, ClassificationTask, RegressionTask, ScoreKind, Task
from auditor.errors import ArtifactError, ModelFailedError
from auditor.targets.model import OpenedModel
from auditor.targets.session import open_model

CPU = TargetSpec("cpu")
Fitted: TypeAlias = tuple[Array, LogisticRegression]


def opened(
    workshop: Workshop, artifact: Artifact, task: Task, sample: Array
) -> AbstractContextManager[OpenedModel]:
    return open_model(CPU, workshop.folder, artifact, task, sample, isolation=IsolationLevel.LIMITS)


def test_a_linear_model_gives_its_logits_and_their_softmax(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    weights, rows = rng.normal(size=(5, 3)), rng.normal(size=(40, 5))
    with opened(workshop, workshop.linear(weights), classes(3), rows) as model:
        scores = model.predict(rows)
        assert model.interface.scores == "logits"
        assert scores == pytest.approx(rows @ weights, abs=1e-5)
        assert model.probabilities(scores) == pytest.approx(softmax(rows @ weights, 1), abs=1e-5)


def test_probabilities_are_recognised_and_left_as_they_are(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Softmax", ["x"], ["y"], axis=-1)],
        [workshop.value("x", ["N", 4])],
        [workshop.value("y", ["N", 4])],
    )
    rows = rng.normal(size=(20, 4))
    with opened(workshop, artifact, classes(4), rows) as model:
        assert model.interface.scores == "probabilities"
        assert "add up to 1" in model.interface.because
        assert model.probabilities(model.predict(rows)) == pytest.approx(softmax(rows, 1), abs=1e-6)


def test_the_audit_file_may_say_that_scores_are_logits(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Softmax", ["x"], ["y"], axis=-1)],
        [workshop.value("x", ["N", 4])],
        [workshop.value("y", ["N", 4])],
    )
    with opened(
        workshop, artifact, classes(4, output=ScoreKind.LOGITS), rng.normal(size=(9, 4))
    ) as model:
        assert (model.interface.scores, model.scores_are_logits) == ("logits", True)


def test_saying_probabilities_of_logits_is_refused(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    rows = rng.normal(size=(9, 4))
    task = classes(3, output=ScoreKind.PROBABILITIES)
    with (
        pytest.raises(ArtifactError, match=r"do not lie in 0\.\.1"),
        opened(workshop, workshop.linear(rng.normal(size=(4, 3))), task, rows),
    ):
        pass


def test_scores_within_0_and_1_that_do_not_add_up_are_ambiguous(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Sigmoid", ["x"], ["y"])],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
    )
    with (
        pytest.raises(ModelFailedError, match="do not add up to 1"),
        opened(workshop, artifact, classes(3), rng.normal(size=(9, 3))),
    ):
        pass


@pytest.mark.parametrize("positive", ["yes", "no"])
def test_one_column_of_probabilities_speaks_of_the_positive_class(
    workshop: Workshop, rng: np.random.Generator, positive: str
) -> None:
    artifact = workshop.save(
        [workshop.node("Sigmoid", ["x"], ["y"])],
        [workshop.value("x", ["N", 1])],
        [workshop.value("y", ["N", 1])],
    )
    task = ClassificationTask(("no", "yes"), positive, positive)
    rows = rng.normal(size=(30, 1))
    with opened(workshop, artifact, task, rows) as model:
        found = model.probabilities(model.predict(rows))
        assert model.interface.scores == "binary_probability"
        assert found[:, task.positive_index] == pytest.approx(expit(rows[:, 0]), abs=1e-6)
        assert found.sum(axis=1) == pytest.approx(np.ones(30))


def test_one_column_of_logits_becomes_two(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    rows = rng.normal(size=(30, 4))
    weights = rng.normal(size=(4, 1)) * 3
    with opened(workshop, workshop.linear(weights), classes(2), rows) as model:
        found = model.probabilities(model.predict(rows))
        assert model.interface.scores == "binary_logit"
        assert found[:, 1] == pytest.approx(expit((rows @ weights)[:, 0]), abs=1e-5)


@pytest.fixture(scope="module")
def iris() -> Fitted:
    generator = np.random.default_rng(3)
    rows = generator.normal(size=(120, 4)).astype(np.float32)
    labels = np.array(["setosa", "virginica", "other"])[np.argmax(rows[:, :3], axis=1)]
    return rows, LogisticRegression().fit(rows, labels)


@pytest.mark.parametrize("zipmap", [True, False], ids=["zipmap", "label and scores"])
def test_scores_of_a_scikit_learn_model_follow_the_order_of_the_tasks_classes(
    workshop: Workshop, iris: Fitted, *, zipmap: bool
) -> None:
    rows, fitted = iris
    raw = to_onnx(fitted, rows[:1], options={"zipmap": zipmap}).SerializeToString()
    order = ("virginica", "other", "setosa") if zipmap else tuple(fitted.classes_)
    task = ClassificationTask(order, "other", "other")
    with opened(workshop, workshop.keep(raw), task, rows) as model:
        columns = [list(fitted.classes_).index(name) for name in order]
        expected = fitted.predict_proba(rows)[:, columns]
        assert model.interface.scores == ("zipmap" if zipmap else "probabilities")
        assert model.probabilities(model.predict(rows)) == pytest.approx(expected, abs=1e-5)


def test_a_zipmap_with_other_classes_than_the_task_is_refused(
    workshop: Workshop, iris: Fitted
) -> None:
    rows, fitted = iris
    raw = to_onnx(fitted, rows[:1]).SerializeToString()
    task = ClassificationTask(("setosa", "virginica", "rose"), "rose", "rose")
    with (
        pytest.raises(ArtifactError, match=r"other, setosa, virginica.*setosa, virginica, rose"),
        opened(workshop, workshop.keep(raw), task, rows),
    ):
        pass


def test_columns_in_another_order_than_the_tasks_classes_are_caught_by_the_labels(
    workshop: Workshop, iris: Fitted
) -> None:
    rows, fitted = iris
    raw = to_onnx(fitted, rows[:1], options={"zipmap": False}).SerializeToString()
    task = ClassificationTask(("virginica", "other", "setosa"), "other", "other")
    with (
        pytest.raises(ArtifactError, match="in the order of the model's scores"),
        opened(workshop, workshop.keep(raw), task, rows),
    ):
        pass


def test_a_model_that_gives_labels_only_answers_one_hot(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N"], TensorProto.INT64)],
    )
    rows = rng.normal(size=(25, 3))
    with opened(workshop, artifact, classes(3), rows) as model:
        assert model.interface.scores == "labels"
        assert (model.probabilities(model.predict(rows)) == np.eye(3)[rows.argmax(axis=1)]).all()


def test_a_label_outside_the_classes_is_refused_with_its_row(
    workshop: Workshop, classes: Classes
) -> None:
    artifact = workshop.save(
        [workshop.node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)],
        [workshop.value("x", ["N", 4])],
        [workshop.value("y", ["N"], TensorProto.INT64)],
    )
    rows = np.eye(4)
    with (
        opened(workshop, artifact, classes(3), rows[:3]) as model,
        pytest.raises(ModelFailedError, match="row 3 the label '3'"),
    ):
        model.predict(rows)


def test_two_outputs_that_could_be_the_scores_are_ambiguous(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Identity", ["x"], ["a"]), workshop.node("Neg", ["x"], ["b"])],
        [workshop.value("x", ["N", 3])],
        [workshop.value("a", ["N", 3]), workshop.value("b", ["N", 3])],
    )
    with (
        pytest.raises(ModelFailedError, match="outputs a, b could be the scores"),
        opened(workshop, artifact, classes(3), rng.normal(size=(4, 3))),
    ):
        pass


def test_a_second_output_of_another_width_does_not_matter(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Relu", ["x"], ["hidden"]), workshop.node("MatMul", ["hidden", "w"], ["y"])],
        [workshop.value("x", ["N", 5])],
        [workshop.value("hidden", ["N", 5]), workshop.value("y", ["N", 3])],
        workshop.weights(w=rng.normal(size=(5, 3)).astype(np.float32)),
    )
    with opened(workshop, artifact, classes(3), rng.normal(size=(4, 5))) as model:
        assert model.interface.output == "y"


def test_another_number_of_classes_is_refused_with_both_numbers(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    with (
        pytest.raises(ArtifactError, match=r"task has 4 classes.*'y' \(6, 3\)"),
        opened(
            workshop, workshop.linear(rng.normal(size=(5, 3))), classes(4), rng.normal(size=(6, 5))
        ),
    ):
        pass


def test_classes_that_were_taken_from_labels_are_told_with_where_they_come_from(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    task = replace(classes(4), origin="the classes were taken from the labels in t.csv")
    artifact = workshop.linear(rng.normal(size=(5, 3)))
    with (
        pytest.raises(
            ArtifactError, match=r"'y' \(6, 3\); the classes were taken from .* t\.csv\. "
        ),
        opened(workshop, artifact, task, rng.normal(size=(6, 5))),
    ):
        pass


def test_several_inputs_are_refused_by_name(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Add", ["left", "right"], ["y"])],
        [workshop.value("left", ["N", 3]), workshop.value("right", ["N", 3])],
        [workshop.value("y", ["N", 3])],
    )
    with (
        pytest.raises(ModelFailedError, match=r"several inputs \(left, right\)"),
        opened(workshop, artifact, classes(3), rng.normal(size=(4, 3))),
    ):
        pass


def test_a_regression_gives_one_number_a_row(workshop: Workshop, rng: np.random.Generator) -> None:
    rows, weights = rng.normal(size=(30, 4)), rng.normal(size=(4, 1))
    with opened(workshop, workshop.linear(weights), RegressionTask(0.1), rows) as model:
        assert model.predict(rows) == pytest.approx(rows @ weights, abs=1e-5)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_takes_any_number_of_rows(
    workshop: Workshop, classes: Classes, rng: np.random.Generator, batch: int
) -> None:
    weights, rows = rng.normal(size=(5, 3)), rng.normal(size=(11, 5))
    with opened(workshop, workshop.linear(weights, batch=batch), classes(3), rows) as model:
        assert model.interface.fixed_batch == batch
        assert model.predict(rows) == pytest.approx(rows @ weights, abs=1e-5)
        assert model.queries == 3 * 11


def test_a_fixed_batch_of_1_may_leave_the_batch_axis_out_of_its_output(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Squeeze", ["x", "axes"], ["y"])],
        [workshop.value("x", [1, 3])],
        [workshop.value("y", [3])],
        workshop.weights(axes=np.array([0], np.int64)),
    )
    rows = rng.normal(size=(7, 3)) * 9
    with opened(workshop, artifact, classes(3), rows) as model:
        assert model.predict(rows) == pytest.approx(rows, abs=1e-5)


def pooled(workshop: Workshop, declared: list[int | str]) -> Artifact:
    """Save a model whose logits are the means of the channels of a picture [N, C, H, W]."""
    return workshop.save(
        [
            workshop.node("GlobalAveragePool", ["x"], ["p"]),
            workshop.node("Flatten", ["p"], ["y"]),
        ],
        [workshop.value("x", declared)],
        [workshop.value("y", ["N", None])],
    )


def test_pictures_with_channels_last_enter_a_model_with_channels_first(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    pictures = rng.normal(size=(6, 8, 9, 3)) * 30
    with opened(workshop, pooled(workshop, ["N", 3, 8, 9]), classes(3), pictures) as model:
        assert model.interface.layout == "channels_first"
        assert model.predict(pictures) == pytest.approx(pictures.mean(axis=(1, 2)), abs=1e-4)


def test_pictures_with_channels_first_enter_a_model_with_channels_last(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("ReduceMean", ["x"], ["y"], axes=[1, 2], keepdims=0)],
        [workshop.value("x", ["N", 8, 9, 3])],
        [workshop.value("y", ["N", 3])],
    )
    pictures = rng.normal(size=(6, 3, 8, 9)) * 30
    with opened(workshop, artifact, classes(3), pictures) as model:
        assert model.interface.layout == "channels_last"
        assert model.predict(pictures) == pytest.approx(pictures.mean(axis=(2, 3)), abs=1e-4)


@pytest.mark.parametrize("row", [(8, 8), (8, 8, 1), (64,), (1, 8, 8)])
def test_grey_pictures_enter_however_they_are_stored(
    workshop: Workshop, classes: Classes, rng: np.random.Generator, row: tuple[int, ...]
) -> None:
    artifact = workshop.save(
        [workshop.node("Flatten", ["x"], ["f"]), workshop.node("MatMul", ["f", "w"], ["y"])],
        [workshop.value("x", ["N", 1, 8, 8])],
        [workshop.value("y", ["N", 2])],
        workshop.weights(w=np.eye(64, 2, dtype=np.float32)),
    )
    pictures = rng.normal(size=(5, 64)) * 5
    with opened(workshop, artifact, classes(2), pictures.reshape(5, *row)) as model:
        assert model.predict(pictures.reshape(5, *row)) == pytest.approx(pictures[:, :2], abs=1e-5)


def test_a_flat_row_is_not_guessed_into_a_coloured_picture(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    with (
        pytest.raises(ArtifactError, match=r"shape \(192,\).*\[any, 3, 8, 8\]"),
        opened(workshop, pooled(workshop, ["N", 3, 8, 8]), classes(3), rng.normal(size=(4, 192))),
    ):
        pass


def test_the_runtime_decides_between_layouts_that_fit_a_shape_left_open(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [
            workshop.node("Conv", ["x", "w"], ["c"]),
            workshop.node("GlobalAveragePool", ["c"], ["p"]),
            workshop.node("Flatten", ["p"], ["y"]),
        ],
        [workshop.value("x", ["N", None, None, None])],
        [workshop.value("y", ["N", 2])],
        workshop.weights(w=rng.normal(size=(2, 3, 1, 1)).astype(np.float32) * 9),
    )
    pictures = rng.normal(size=(10, 5, 6, 3))
    with opened(workshop, artifact, classes(2), pictures) as model:
        assert model.interface.layout == "channels_first"
        assert model.queries == 50  # one layout, the other, that again, each row alone, and few


def test_integer_inputs_take_whole_numbers_and_nothing_else(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Cast", ["x"], ["f"], to=TensorProto.FLOAT), *tail(workshop)],
        [workshop.value("x", ["N", 3], TensorProto.INT64)],
        [workshop.value("y", ["N", 3])],
    )
    rows = rng.integers(-9, 9, size=(12, 3)).astype(np.float64)
    with opened(workshop, artifact, classes(3), rows) as model:
        assert model.predict(rows) == pytest.approx(-rows)
        rows[5, 1] += 0.5
        with pytest.raises(ModelFailedError, match="takes int64, but row 5 holds"):
            model.predict(rows)


def tail(workshop: Workshop) -> list[onnx.NodeProto]:
    return [workshop.node("Neg", ["f"], ["y"])]


def test_half_precision_inputs_refuse_what_they_cannot_hold(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Neg", ["x"], ["y"])],
        [workshop.value("x", ["N", 3], TensorProto.FLOAT16)],
        [workshop.value("y", ["N", 3], TensorProto.FLOAT16)],
    )
    rows = rng.normal(size=(12, 3))
    with opened(workshop, artifact, classes(3), rows) as model:
        assert model.predict(rows) == pytest.approx(-rows, abs=2e-3)
        rows[4, 0] = 1e6
        with pytest.raises(ModelFailedError, match="takes float16, but row 4 holds 1000000"):
            model.predict(rows)


def test_numbers_are_no_texts(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [workshop.node("Identity", ["x"], ["y"])],
        [workshop.value("x", ["N", 3], TensorProto.STRING)],
        [workshop.value("y", ["N", 3], TensorProto.STRING)],
    )
    with (
        pytest.raises(ModelFailedError, match="takes text, but the data holds float64"),
        opened(workshop, artifact, classes(3), rng.normal(size=(4, 3))),
    ):
        pass


def test_the_first_row_scored_with_nan_is_named(workshop: Workshop, classes: Classes) -> None:
    artifact = workshop.save(
        [workshop.node("Log", ["x"], ["y"])],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
    )
    rows = np.full((2000, 3), 5.0)
    rows[1501, 2] = -1.0
    with (
        opened(workshop, artifact, classes(3), rows) as model,
        pytest.raises(ModelFailedError, match="row 1501 with nan"),
    ):
        model.predict(rows)


def test_scores_taken_for_probabilities_that_leave_0_and_1_are_an_error(
    workshop: Workshop, classes: Classes
) -> None:
    artifact = workshop.save(
        [workshop.node("Identity", ["x"], ["y"])],
        [workshop.value("x", ["N", 2])],
        [workshop.value("y", ["N", 2])],
    )
    rows = np.full((70, 2), 0.5)
    rows[69] = 7.0, -6.0
    with (
        opened(workshop, artifact, classes(2), rows) as model,
        pytest.raises(ModelFailedError, match="row 69 scores -6 to 7"),
    ):
        model.predict(rows)


def test_a_model_that_rolls_dice_is_not_deterministic(
    workshop: Workshop, classes: Classes, rng: np.random.Generator
) -> None:
    artifact = workshop.save(
        [
            workshop.node("RandomNormalLike", ["x"], ["noise"]),
            workshop.node("Add", ["x", "noise"], ["y"]),
        ],
        [workshop.value("x", ["N", 3])],
        [workshop.value("y", ["N", 3])],
    )
    rows = rng.normal(size=(5, 3))
    with opened(workshop, artifact, classes(3), rows) as model:
        assert not model.deterministic
        assert (model.predict(rows) != model.predict(rows)).any()
