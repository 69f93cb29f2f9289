"""`auditor init`, then `auditor audit` of ten models, of which nobody edits the drafted file."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxmltools
import onnxruntime
import pandas as pd
import polars as pl
import pytest
import yaml
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType as Floats32
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

Command = Callable[..., Any]
Array = NDArray[Any]
CLASSES = 200
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@dataclass(frozen=True)
class Made:
    """A model and its data in a folder, and what scikit-learn and pandas say of them.

    ``figures`` by check and metric; ``drafted`` are settings that the draft must hold.
    """

    data: str
    figures: Mapping[str, float]
    model: str | None = "model.onnx"
    drafted: Mapping[str, Any] = field(default_factory=dict)


def save(made: Any, folder: Path) -> None:  # noqa: ANN401 -- an onnx.ModelProto, which has no types
    (folder / "model.onnx").write_bytes(made.SerializeToString())


def parted(rows: Array, labels: Array, trained: int) -> tuple[Array, Array, Array, Array]:
    """Return rows and labels to train on, and those to audit by, from one shuffle."""
    order = np.random.default_rng(7).permutation(len(rows))
    rows, labels = rows[order].astype(np.float32), labels[order]
    return rows[:trained], labels[:trained], rows[trained:], labels[trained:]


def strings_in_another_order(folder: Path) -> Made:
    """Numbers stand for low, medium and high; the truth is in the midst of the table."""
    rng = np.random.default_rng(1)
    rows = np.stack(
        [rng.integers(18, 80, 600), rng.normal(40, 12, 600), rng.integers(0, 5, 600)], axis=1
    )
    grade = np.digitize(rows[:, 1] + 4 * rows[:, 2] + rng.normal(0, 3, 600), [40, 52])
    rows = rows.astype(np.float32)
    model = RandomForestClassifier(50, max_depth=6, random_state=0).fit(rows[:300], grade[:300])
    save(to_onnx(model, rows[:1], options={"zipmap": False}), folder)
    table = pd.DataFrame(rows[300:], columns=["age", "income", "children"])
    names = np.array(["low", "medium", "high"])
    table.insert(1, "risk", names[grade[300:]])
    table.insert(0, "customer_id", [f"c{at:04}" for at in range(300)])
    table["sex"] = rng.choice(["f", "m"], 300)
    table["region"] = rng.choice(["north", "south", "west"], 300)
    table.to_csv(folder / "customers.csv", index=False)
    right = accuracy_score(table["risk"], names[model.predict(rows[300:])])
    return Made(
        "customers.csv",
        {"quality.accuracy/accuracy": right},
        drafted={
            "task.classes": ["low", "medium", "high"],
            "data.evaluation.labels": "risk",
            "data.evaluation.groups": ["sex"],
            "data.evaluation.slices": ["region"],
            "data.evaluation.id": "customer_id",
        },
    )


def regression(folder: Path) -> Made:
    """The truth is the first column, and two of the inputs say who a person is."""
    rows, truth = load_diabetes(return_X_y=True, scaled=False)
    x, y, rest, wanted = parted(rows, truth, 250)
    model = GradientBoostingRegressor(random_state=0).fit(x, y)
    save(to_onnx(model, x[:1]), folder)
    table = pd.DataFrame(rest, columns=load_diabetes().feature_names)
    table.insert(0, "progression", wanted)
    table.to_csv(folder / "patients.csv", index=False)
    said = model.predict(rest)
    return Made(
        "patients.csv",
        {
            "quality.errors/mae": mean_absolute_error(wanted, said),
            "quality.errors/r2": r2_score(wanted, said),
        },
        drafted={"task.kind": "regression", "data.evaluation.labels": "progression"},
    )


def lightgbm(folder: Path) -> Made:
    rows, labels = load_breast_cancer(return_X_y=True)
    names = np.where(labels == 1, "benign", "malignant")
    x, y, rest, wanted = parted(rows, names, 300)
    model = LGBMClassifier(n_estimators=40, verbose=-1).fit(x, y)
    kinds = [("x", Floats32([None, 30]))]
    save(onnxmltools.convert_lightgbm(model, initial_types=kinds, zipmap=False), folder)
    table = pd.DataFrame(rest, columns=[f"m{at}" for at in range(30)])
    table["diagnosis"] = wanted
    table.to_csv(folder / "cells.csv", index=False)
    scores = model.predict_proba(rest)[:, 1]
    return Made(
        "cells.csv",
        {
            "quality.accuracy/accuracy": accuracy_score(wanted, model.predict(rest)),
            "quality.accuracy/auc": roc_auc_score(wanted == "malignant", scores),
        },
        drafted={"task.classes": ["benign", "malignant"]},
    )


def xgboost(folder: Path) -> Made:
    """The truth is the first column, and numbers as the model counts them."""
    rows, labels = load_wine(return_X_y=True)
    x, y, rest, wanted = parted(rows, labels, 90)
    model = XGBClassifier(n_estimators=20, max_depth=3).fit(x, y)
    save(onnxmltools.convert_xgboost(model, initial_types=[("x", Floats32([None, 13]))]), folder)
    table = pd.DataFrame(rest, columns=[f"part{at}" for at in range(13)])
    table.insert(0, "cultivar", wanted)
    table.to_csv(folder / "wines.csv", index=False)
    return Made(
        "wines.csv",
        {"quality.accuracy/accuracy": accuracy_score(wanted, model.predict(rest))},
        drafted={"task.classes": ["0", "1", "2"], "data.evaluation.labels": "cultivar"},
    )


def pipeline(folder: Path) -> Made:
    data = load_iris()
    x, y, rest, wanted = parted(data.data, data.target_names[data.target], 75)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    save(to_onnx(model, x[:1]), folder)
    table = pd.DataFrame(rest, columns=["sepal l", "sepal w", "petal l", "petal w"])
    table["species"] = wanted
    pl.DataFrame(table.to_dict("list")).write_parquet(folder / "flowers.parquet")
    return Made(
        "flowers.parquet",
        {
            "quality.accuracy/accuracy": accuracy_score(wanted, model.predict(rest)),
            "quality.accuracy/auc": roc_auc_score(
                wanted, model.predict_proba(rest), multi_class="ovr"
            ),
        },
        drafted={"task.classes": ["setosa", "versicolor", "virginica"]},
    )


def network(
    folder: Path, name: str, shape: list[int | None], *, dtype: int, first: list[Any]
) -> tuple[Array, Array]:
    """Write a small CNN whose last layer is fitted on digits; return audited pixels and labels.

    ``first`` are the nodes that make ``pixels`` [n, 1, 8, 8] in 0..1 of the input ``x``.
    """
    digits = load_digits()
    pixels = np.round(digits.images / 16 * 255).astype(np.uint8)[:, None]
    kernels = np.random.default_rng(3).normal(size=(24, 1, 3, 3)).astype(np.float32)
    body = [
        helper.make_node("Conv", ["pixels", "kernels"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["rectified"]),
        helper.make_node("MaxPool", ["rectified"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
    ]
    open_input = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [None, 1, 8, 8])

    def whole(nodes: list[Any], enters: Any, leaves: str, weights: dict[str, Array]) -> Any:  # noqa: ANN401 -- onnx
        graph = helper.make_graph(
            nodes,
            name,
            [enters],
            [helper.make_tensor_value_info(leaves, TensorProto.FLOAT, [None, None])],
            [numpy_helper.from_array(value, key) for key, value in weights.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    part = whole(body, open_input, "flat", {"kernels": kernels}).SerializeToString()
    maps = onnxruntime.InferenceSession(part).run(
        None, {"pixels": (pixels / 255).astype(np.float32)}
    )[0]
    fitted = LogisticRegression(max_iter=300).fit(maps[:900], digits.target[:900])
    head = [
        helper.make_node("Gemm", ["flat", "w", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    weights = {
        "kernels": kernels,
        "w": fitted.coef_.T.astype(np.float32),
        "b": fitted.intercept_.astype(np.float32),
        "most": np.float32(255),
    }
    enters = helper.make_tensor_value_info("x", dtype, shape)
    save(whole([*first, *body, *head], enters, "scores", weights), folder)
    return pixels[900:], digits.target[900:]


def run(folder: Path, rows: Array) -> Array:
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    scores: Array = session.run(None, {session.get_inputs()[0].name: rows})[0]
    return scores


def dynamic_axes(folder: Path) -> Made:
    """Channels last, and no axis has a size but the channels', as Keras exports them."""
    turn = helper.make_node("Transpose", ["x"], ["pixels"], perm=[0, 3, 1, 2])
    shape = [None, None, None, 1]
    pixels, wanted = network(folder, "keras", shape, dtype=TensorProto.FLOAT, first=[turn])
    rows = (pixels / 255).astype(np.float32).transpose(0, 2, 3, 1)
    np.savez(folder / "pictures.npz", images=rows, digit=wanted)
    return Made(
        "pictures.npz",
        {"quality.accuracy/accuracy": accuracy_score(wanted, run(folder, rows).argmax(axis=1))},
        drafted={"input.domain": [0.0, 1.0], "data.evaluation.labels": "digit"},
    )


def scaled() -> list[Any]:
    return [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["wide", "most"], ["pixels"]),
    ]


def byte_inputs(folder: Path) -> Made:
    shape = [None, 1, 8, 8]
    rows, wanted = network(folder, "bytes", shape, dtype=TensorProto.UINT8, first=scaled())
    np.savez(folder / "pictures.npz", x=rows, y=wanted)
    return Made(
        "pictures.npz",
        {"quality.accuracy/accuracy": accuracy_score(wanted, run(folder, rows).argmax(axis=1))},
        drafted={"input.domain": [0.0, 255.0]},
    )


class Rows(CalibrationDataReader):
    """Rows by which ranges are calibrated."""

    def __init__(self, rows: Array) -> None:
        self.rows = iter([{"x": rows}])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.rows, None)


def quantised(folder: Path) -> Made:
    """Weights and activations are INT8; labels are words."""
    same = helper.make_node("Identity", ["x"], ["pixels"])
    shape = [None, 1, 8, 8]
    pixels, labels = network(folder, "int8", shape, dtype=TensorProto.FLOAT, first=[same])
    rows = (pixels / 255).astype(np.float32)
    (folder / "model.onnx").rename(folder / "float.onnx")
    quantize_static(folder / "float.onnx", folder / "model.onnx", Rows(rows[:100]))
    names = np.array(WORDS)
    np.savez(folder / "pictures.npz", x=rows, y=names[labels])
    said = names[run(folder, rows).argmax(axis=1)]
    return Made(
        "pictures.npz",
        {"quality.accuracy/accuracy": accuracy_score(names[labels], said)},
        drafted={"task.classes": names.tolist()},
    )


def two_hundred_classes(folder: Path) -> Made:
    """Some classes are in no row of the data."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(32, CLASSES)).astype(np.float32)
    labels = rng.permutation(np.arange(1000) % (CLASSES - 3))
    rows = (centres.T[labels] + rng.normal(0, 0.9, (1000, 32))).astype(np.float32)
    shift = -0.5 * (centres**2).sum(axis=0)
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, CLASSES])],
        [numpy_helper.from_array(centres, "w"), numpy_helper.from_array(shift, "b")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, folder / "model.onnx")
    np.savez(folder / "rows.npz", x=rows, y=labels)
    return Made(
        "rows.npz",
        {"quality.accuracy/accuracy": accuracy_score(labels, run(folder, rows).argmax(axis=1))},
        drafted={"task.classes": [str(at) for at in range(CLASSES)]},
    )


def predictions(folder: Path) -> Made:
    """No model: what it said of people, beside who they are and what was true."""
    rng = np.random.default_rng(9)
    chance = rng.random(800)
    table = pd.DataFrame(
        {
            "case": np.arange(5000, 5800),
            "race": rng.choice(["a", "b", "c"], 800),
            "outcome": np.where(rng.random(800) < chance, "repaid", "default"),
            "p_default": np.round(1 - chance, 6),
            "p_repaid": np.round(chance, 6),
        }
    )
    table["decision"] = np.where(table["p_repaid"] >= 0.5, "repaid", "default")
    table.to_csv(folder / "predictions.csv", index=False)
    return Made(
        "predictions.csv",
        {
            "quality.accuracy/accuracy": float((table["outcome"] == table["decision"]).mean()),
            "quality.accuracy/auc": roc_auc_score(table["outcome"] == "repaid", table["p_repaid"]),
        },
        model=None,
        drafted={
            "data.evaluation.labels": "outcome",
            "data.evaluation.scores": ["p_default", "p_repaid"],
            "data.evaluation.predictions": "decision",
            "data.evaluation.groups": ["race"],
        },
    )


TEN = (
    strings_in_another_order,
    regression,
    lightgbm,
    xgboost,
    pipeline,
    dynamic_axes,
    byte_inputs,
    predictions,
    quantised,
    two_hundred_classes,
)


def value_at(document: Any, place: str) -> Any:  # noqa: ANN401 -- what YAML holds
    for part in place.split("."):
        document = document[part]
    return document


@pytest.mark.slow
@pytest.mark.parametrize("make", TEN, ids=lambda make: make.__name__)
def test_a_drafted_audit_gives_the_figures_of_scikit_learn(
    auditor: Command, tmp_path: Path, make: Callable[[Path], Made]
) -> None:
    made = make(tmp_path)
    model = [] if made.model is None else [tmp_path / made.model]
    audit = tmp_path / "audit.yaml"
    ended = auditor("init", *model, "--data", tmp_path / made.data, "--out", audit)
    assert ended.code == 0, ended.said
    drafted = yaml.safe_load(audit.read_text())
    assert {place: value_at(drafted, place) for place in made.drafted} == made.drafted
    only = [part for name in {it.split("/")[0] for it in made.figures} for part in ("--only", name)]
    ended = auditor("audit", audit, "--budget", "smoke", *only, "--out", tmp_path / "out")
    assert ended.code in {0, 1, 3}, ended.said
    readings = json.loads((tmp_path / "out" / "record.json").read_text())["readings"]
    seen = {f"{it['check']}/{it['metric']}": it.get("value") for it in readings if "metric" in it}
    for name, figure in made.figures.items():
        assert seen[name] == pytest.approx(figure, abs=1e-6), readings
