"""`auditor init` runs the model on the data to find out which score is that of which class."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from auditor.workflows.init import init_audit_file

ROWS = 60


def model_at(path: Path, weights: np.ndarray[Any, Any], *, sigmoid: bool = False) -> None:
    """A linear model: one score through a sigmoid, or one a class through a softmax."""
    head = helper.make_node("Sigmoid" if sigmoid else "Softmax", ["s"], ["p"])
    classes = weights.shape[1]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["s"]), head],
        "line",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(weights)])],
        [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, classes])],
        [numpy_helper.from_array(weights.astype(np.float32), "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, path)


def data_at(path: Path, names: list[str]) -> None:
    """Rows that hold 1 in the place of their class, labelled by name."""
    labels = np.arange(ROWS) % len(names)
    inputs = np.eye(len(names), dtype=np.float32)[labels]
    np.savez(path, x=inputs, y=np.array(names)[labels])


def task_of(folder: Path) -> tuple[dict[str, Any], str]:
    text = init_audit_file(folder / "m.onnx", folder / "d.npz", folder)
    task: dict[str, Any] = yaml.safe_load(text)["task"]
    return task, text


@pytest.mark.parametrize("order", [["cat", "dog", "owl"], ["owl", "cat", "dog"]])
def test_classes_are_drafted_in_the_order_of_the_models_scores(
    tmp_path: Path, order: list[str]
) -> None:
    data_at(tmp_path / "d.npz", order)
    model_at(tmp_path / "m.onnx", 9 * np.eye(3))
    task, text = task_of(tmp_path)
    assert task["classes"] == order
    assert "found by scoring the data: 100% of 60 rows are right" in text
    assert ("in the labels' own order" in text) == (order != sorted(order))
    assert task["positive"] == task["favourable"] == "owl"


@pytest.mark.parametrize(("sign", "positive"), [(9, "yes"), (-9, "no")])
def test_of_one_score_the_positive_class_is_found_and_the_classes_stay(
    tmp_path: Path, sign: int, positive: str
) -> None:
    data_at(tmp_path / "d.npz", ["no", "yes"])
    model_at(tmp_path / "m.onnx", sign * np.array([[-1], [1]]), sigmoid=True)
    task, text = task_of(tmp_path)
    assert (task["classes"], task["positive"]) == (["no", "yes"], positive)
    assert task["favourable"] == "yes"
    assert "found by scoring the data: 100% of 60 rows are right" in text


def test_a_model_that_no_order_suits_is_said_to_be_one(tmp_path: Path) -> None:
    data_at(tmp_path / "d.npz", ["no", "yes"])
    model_at(tmp_path / "m.onnx", np.zeros((2, 2)))
    _, text = task_of(tmp_path)
    assert "# Only 50% of 60 rows are right in this order, and in no other order far more" in text
    assert "guessed from the labels" in text


def test_a_model_that_cannot_score_the_data_leaves_a_guess_and_says_why(tmp_path: Path) -> None:
    data_at(tmp_path / "d.npz", ["no", "yes"])
    model_at(tmp_path / "m.onnx", np.eye(5))
    task, text = task_of(tmp_path)
    assert task["classes"] == ["no", "yes"]
    assert "Scoring the data could not show the order of the classes: a row of the data has" in text
    assert "guessed from the labels" in text
