"""`auditor init` on models that were fitted and exported as people do it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import skl2onnx
import yaml
from onnx import TensorProto, helper
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from auditor.cli.main import ExitCode, exit_for_error
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.datasets import DatasetRole
from auditor.domain.targets import TargetSpec
from auditor.errors import ArtifactError
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.datasets.load import load_datasets
from auditor.targets.session import open_model
from auditor.workflows.init import init_audit_file

CPU = TargetSpec("cpu")
ARTIFACT = Artifact("m", "0", (FileDigest("m.onnx", 1, "0" * 64),))
Names = np.ndarray[Any, np.dtype[np.str_]]
SPECIES = np.array(["setosa", "versicolor", "virginica"])


def export(model: BaseEstimator, features: int, path: Path, **options: object) -> None:
    kinds = [("x", FloatTensorType([None, features]))]
    made = skl2onnx.convert_sklearn(
        model, initial_types=kinds, options={id(model): options} if options else None
    )
    path.write_bytes(made.SerializeToString())


def table(path: Path, columns: dict[str, Any]) -> None:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def graph(path: Path, nodes: list[Any], width: int, outputs: dict[str, list[int | None]]) -> None:
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(made, opset_imports=opset, ir_version=9), path)


def iris(folder: Path, names: Names = SPECIES) -> tuple[Any, Any]:
    rows, labels = load_iris(return_X_y=True)
    species = names[labels]
    columns = {name: rows[:, at] for at, name in enumerate(("a", "b", "c", "d"))}
    table(folder / "d.csv", {**columns, "species": species})
    return rows, species


def drafted(folder: Path, data: str = "d.csv") -> tuple[dict[str, Any], str]:
    """What is drafted, after an audit opened the model by it."""
    draft = init_audit_file(folder / "m.onnx", folder / data, folder)
    text = draft.audit
    if draft.schema is not None:
        (folder / "schema.yaml").write_text(draft.schema, encoding="utf-8")
    asked = read_audit_file(text.encode(), "audit.yaml", lambda _: CPU)
    loaded = load_datasets(asked, lambda written: folder / written)
    inputs = loaded.datasets[DatasetRole.EVALUATION].inputs
    assert inputs is not None
    with open_model(CPU, folder, ARTIFACT, loaded.task, inputs[:8]) as model:
        model.predict(inputs[:8])
    return dict(yaml.safe_load(text)), text


@pytest.mark.parametrize("zipmap", [True, False])
def test_iris_with_names_is_drafted_in_the_order_of_the_model(
    tmp_path: Path, *, zipmap: bool
) -> None:
    rows, species = iris(tmp_path)
    model = LogisticRegression(max_iter=1000).fit(rows, species)
    export(model, 4, tmp_path / "m.onnx", zipmap=zipmap)
    audit, text = drafted(tmp_path)
    assert audit["task"]["classes"] == ["setosa", "versicolor", "virginica"]
    assert "# found: the model's file lists them, in the order of its scores; " in text
    assert "% of 150 rows are right" in text


def test_a_tree_whose_order_is_not_that_of_the_labels_is_drafted_in_its_own(tmp_path: Path) -> None:
    # The model was fitted on numbers that stand for species in another order than the alphabet.
    rows, labels = load_iris(return_X_y=True)
    names = np.array(["virginica", "setosa", "versicolor"])
    iris(tmp_path, names)
    export(DecisionTreeClassifier(random_state=0).fit(rows, labels), 4, tmp_path / "m.onnx",
           zipmap=False)  # fmt: skip
    audit, text = drafted(tmp_path)
    assert audit["task"]["classes"] == names.tolist()
    assert "by scoring the data" in text


def test_classes_that_the_data_lack_are_drafted_as_the_model_names_them(tmp_path: Path) -> None:
    rows, species = iris(tmp_path)
    export(LogisticRegression(max_iter=1000).fit(rows, species), 4, tmp_path / "m.onnx")
    kept = [line for line in (tmp_path / "d.csv").read_text().splitlines() if "versi" not in line]
    (tmp_path / "d.csv").write_text("\n".join(kept) + "\n")
    audit, _ = drafted(tmp_path)
    assert audit["task"]["classes"] == ["setosa", "versicolor", "virginica"]


def test_numbers_are_put_in_their_order(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    ratings = np.array(["-1", "2", "10"])
    iris(tmp_path, ratings)
    model = LogisticRegression(max_iter=1000).fit(rows, ratings[labels].astype(int))
    export(model, 4, tmp_path / "m.onnx", zipmap=False)
    assert drafted(tmp_path)[0]["task"]["classes"] == ["-1", "2", "10"]


def test_a_regression_is_drafted_as_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(150, 3))
    price = np.round(rows @ [3.0, 2.0, 1.0] * 4)
    table(tmp_path / "d.csv", {**{f"f{at}": rows[:, at] for at in range(3)}, "price": price})
    export(LinearRegression().fit(rows, price), 3, tmp_path / "m.onnx")
    audit, _ = drafted(tmp_path)
    assert audit["task"]["kind"] == "regression"
    assert audit["data"]["evaluation"]["labels"] == "price"


def test_a_regression_of_few_values_is_no_classifier(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(150, 2))
    stars = np.clip(np.round(rows @ [1.0, 1.0]) + 3, 1, 5)
    table(tmp_path / "d.csv", {"f0": rows[:, 0], "f1": rows[:, 1], "target": stars})
    export(LinearRegression().fit(rows, stars), 2, tmp_path / "m.onnx")
    assert drafted(tmp_path)[0]["task"]["kind"] == "regression"


def test_a_protected_attribute_is_never_taken_for_the_label(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    hours, gain = rng.normal(size=(2, 200))
    income = np.where(hours + gain > 0, ">50K", "<=50K")
    sex, race = rng.choice(["f", "m"], 200), rng.choice(["a", "b", "c"], 200)
    columns = {"hours": hours, "gain": gain, "income": income, "applicant_sex": sex, "race": race}
    table(tmp_path / "d.csv", columns)
    model = LogisticRegression().fit(np.stack([hours, gain], axis=1), income)
    export(model, 2, tmp_path / "m.onnx")
    data = drafted(tmp_path)[0]["data"]["evaluation"]
    assert data["labels"] == "income"
    assert data["groups"] == ["applicant_sex", "race"]
    table(tmp_path / "d.csv", {"hours": hours, "gain": gain, "sex": sex})
    text = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path).audit
    assert yaml.safe_load(text)["data"]["evaluation"]["labels"] is None


def refused(folder: Path, data: str) -> str:
    with pytest.raises(ArtifactError) as error:
        init_audit_file(folder / "m.onnx", folder / data, folder)
    assert exit_for_error(error.value) == ExitCode.INVALID
    return error.value.problem


def test_an_autoencoder_is_refused(tmp_path: Path) -> None:
    iris(tmp_path)
    graph(tmp_path / "m.onnx", [helper.make_node("Tanh", ["x"], ["y"])], 4, {"y": [None, 4]})
    assert "neither one score a class nor one number a row" in refused(tmp_path, "d.csv")


@pytest.mark.parametrize("declared", [True, False])
def test_a_detector_is_refused(tmp_path: Path, *, declared: bool) -> None:
    rows = np.random.default_rng(3).random((20, 12)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=rows, y=np.arange(20) % 3)
    axes = helper.make_node("Constant", [], ["shape"], value_ints=[-1, 3, 4])
    nodes = [axes, helper.make_node("Reshape", ["x", "shape"], ["boxes"])]
    graph(tmp_path / "m.onnx", nodes, 12, {"boxes": [None, 3, 4] if declared else [None] * 3})
    assert "'boxes'" in refused(tmp_path, "d.npz")


def test_a_detector_with_boxes_and_scores_is_refused(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).random((20, 12)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=rows, y=np.arange(20) % 3)
    axes = helper.make_node("Constant", [], ["shape"], value_ints=[-1, 6, 2])
    nodes = [
        axes,
        helper.make_node("Reshape", ["x", "shape"], ["boxes"]),
        helper.make_node("ReduceMax", ["boxes"], ["scores"], axes=[2], keepdims=0),
    ]
    graph(tmp_path / "m.onnx", nodes, 12, {"boxes": [None, 6, 2], "scores": [None, 6]})
    assert "('boxes' [any, 6, 2], 'scores' [any, 6])" in refused(tmp_path, "d.npz")


def test_one_number_without_a_column_to_predict_is_refused(tmp_path: Path) -> None:
    rows = np.random.default_rng(4).random((20, 3)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=rows)
    axes = helper.make_node("Constant", [], ["axes"], value_ints=[1])
    nodes = [axes, helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=1)]
    graph(tmp_path / "m.onnx", nodes, 3, {"y": [None, 1]})
    assert "no column of the data holds numbers" in refused(tmp_path, "d.npz")


def test_missing_values_that_a_tree_takes_are_told_before_attacks_are_not_run(
    tmp_path: Path,
) -> None:
    rows, species = iris(tmp_path)
    export(DecisionTreeClassifier(max_depth=3).fit(rows, species), 4, tmp_path / "m.onnx")
    whole = (tmp_path / "d.csv").read_text()
    assert "are missing" not in drafted(tmp_path)[1]
    lines = whole.splitlines()
    lines[1:9] = [f",{line.split(',', 1)[1]}" for line in lines[1:9]]
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    text = drafted(tmp_path)[1]
    assert "# Values of a are missing: attacks take complete rows only" in text


def test_an_input_with_decimal_commas_is_told_and_not_replaced_in_silence(tmp_path: Path) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(rows, SPECIES[labels])
    export(model, 4, tmp_path / "m.onnx", zipmap=False)
    written = [f'"{value:.1f}"'.replace(".", ",") for value in rows[:, 2]]
    noise = np.random.default_rng(4).normal(size=len(rows)).round(2)
    columns = {"a": rows[:, 0], "b": rows[:, 1], "petal": written, "c": rows[:, 3]}
    table(tmp_path / "d.csv", {**columns, "noise": noise, "kind": SPECIES[labels]})
    doubts = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path).facts.doubts
    assert any("a decimal comma are read as texts: write those of petal" in it for it in doubts)


def churn(folder: Path) -> dict[str, Any]:
    """Write a model of two inputs, and return columns for it with their labels."""
    rng = np.random.default_rng(3)
    rows = np.stack([rng.integers(0, 90, 600), rng.normal(900, 40, 600).round(1)], axis=1)
    names = np.where(rows[:, 0] > 70 + rng.normal(0, 3, 600), "no", "yes")
    model = LogisticRegression(max_iter=5000).fit(rows.astype(np.float32), names)
    export(model, 2, folder / "m.onnx", zipmap=False)
    return {"months": rows[:, 0], "charge": rows[:, 1], "stayed": names}


def test_a_model_that_is_right_no_more_than_one_answer_is_doubted(tmp_path: Path) -> None:
    columns = churn(tmp_path)
    other = {**columns, "months": np.arange(600) % 7}
    for given, doubted in ((columns, False), (other, True)):
        table(tmp_path / "d.csv", given)
        found = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path, labels="stayed")
        told = any("one answer always gives" in it for it in found.facts.doubts)
        assert told is doubted


def test_a_file_without_a_column_that_agrees_says_so(tmp_path: Path) -> None:
    columns = churn(tmp_path)
    reversed_order = dict(reversed(columns.items()))
    table(tmp_path / "d.csv", reversed_order)
    doubts = init_audit_file(tmp_path / "m.onnx", tmp_path / "d.csv", tmp_path).facts.doubts
    assert any("No column of labels was found" in it and "--labels" in it for it in doubts)
