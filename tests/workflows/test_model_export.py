"""Models of Python libraries become ONNX files that answer as their originals do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import exportable_models as models
import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import torch
import xgboost
from exportable_models import BINARY, CLASSIFIERS, MODELS, MODULES, REGRESSIONS, X, rows_of
from onnx import TensorProto, helper
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from auditor.domain.export_origin import ExportOrigin
from auditor.errors import MissingExtraError, ModelExportError
from auditor.workflows.model_export import export_model, refuse_other_columns

CLOSE = 1e-5
Rows: TypeAlias = np.ndarray[Any, Any]


class Homemade(ClassifierMixin, BaseEstimator):
    """An estimator that no converter knows."""

    def fit(self, x: Rows, y: Rows) -> "Homemade":
        self.classes_, self.n_features_in_ = np.unique(y), x.shape[1]
        return self

    def predict(self, x: Rows) -> Rows:
        return self.classes_[np.zeros(len(x), dtype=int)]


class Branching(nn.Module):
    """A module that decides by the values of all rows together."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum() > 0 else x


class Choosing(nn.Module):
    """A module with a condition that the exporter keeps, as graphs within the graph."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda rows: rows * 2, lambda rows: rows + 1, (x,))


class Odd(ClassifierMixin, BaseEstimator):
    """An estimator that fails at whatever it is asked."""

    def fit(self, _x: Rows, _y: Rows) -> "Odd":
        return self

    def __sklearn_is_fitted__(self) -> bool:
        raise RuntimeError("no idea")


def origin_of(model: object, folder: Path, rows: Rows = X) -> ExportOrigin:
    found = export_model(model, rows, folder).origin
    assert found is not None
    return found


@pytest.mark.parametrize("name", [*CLASSIFIERS, *MODULES])
def test_an_export_decides_every_row_as_its_original_does(name: str, tmp_path: Path) -> None:
    rows = rows_of(name)
    difference = origin_of(MODELS[name](), tmp_path, rows).difference
    assert (difference.equal, difference.rows) == (len(rows), len(rows))
    assert difference.largest < CLOSE


@pytest.mark.parametrize("name", REGRESSIONS)
def test_the_export_of_a_regression_gives_its_values_and_decides_nothing(
    name: str, tmp_path: Path
) -> None:
    difference = origin_of(MODELS[name](), tmp_path).difference
    assert (difference.of, difference.equal) == ("values", None)
    assert difference.largest < CLOSE * np.abs(models.NUMBERS).max()


def test_an_origin_names_the_class_its_library_and_the_exporter_with_versions(
    tmp_path: Path,
) -> None:
    told = origin_of(MODELS["forest"](), tmp_path).to_json()
    assert told["original"] == "sklearn.ensemble.RandomForestClassifier"
    assert (told["library"], told["exporter"]) == ("sklearn", "skl2onnx")
    assert all(told[f"{name}_version"] for name in ("library", "exporter"))
    assert told["opsets"]["ai.onnx"] == 18
    assert set(told["difference"]) == {"of", "rows", "largest", "equal"}
    assert told["difference"]["of"] == "probabilities"


@pytest.mark.parametrize("name", ["pipeline", "histograms", "lightgbm of numbers", "convolutions"])
def test_the_same_object_gives_the_same_bytes_whatever_the_rows(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    first = export_model(model, rows_of(name), tmp_path).path.read_bytes()
    assert export_model(model, rows_of(name)[:7], tmp_path).path.read_bytes() == first
    assert str(Path.cwd()).encode() not in first


def test_no_file_says_where_the_code_of_a_module_lies(tmp_path: Path) -> None:
    for module in (models.perceptron(), Choosing()):
        raw = export_model(module, X, tmp_path).path.read_bytes()
        assert b".py" not in raw


def test_what_a_converter_gets_wrong_is_not_audited_as_the_original(tmp_path: Path) -> None:
    asked = {"objective": "multi:softprob", "num_class": 2}  # onnxmltools 1.16 swaps them
    model = xgboost.train(asked, xgboost.DMatrix(X, BINARY), 3)
    with pytest.raises(ModelExportError, match="made another model of"):
        export_model(model, X, tmp_path)


@pytest.mark.slow
def test_another_process_with_another_order_of_sets_writes_the_same_bytes(tmp_path: Path) -> None:
    names = ("svm", "lightgbm", "xgboost alone", "perceptron")
    command = [sys.executable, models.__file__, *names]
    around = {**os.environ, "PYTHONHASHSEED": "1"}
    told = subprocess.run(command, env=around, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [models.export_digest(name, tmp_path) for name in names]


def test_each_part_of_a_module_gets_its_own_training_flag_back(tmp_path: Path) -> None:
    module = models.perceptron().train()
    module[1].eval()
    before = {name: (part.training) for name, part in module.named_modules()}
    statistics = module[1].running_mean.clone()
    export_model(module, X, tmp_path)
    assert {name: part.training for name, part in module.named_modules()} == before
    assert torch.equal(module[1].running_mean, statistics)
    assert all(weight.grad is None for weight in module.parameters())


def test_a_module_takes_any_number_of_rows(tmp_path: Path) -> None:
    path = export_model(models.perceptron(), X[:1], tmp_path).path
    (first,) = onnx.load(path).graph.input[0].type.tensor_type.shape.dim[:1]
    assert not first.dim_value


def test_indices_reach_a_module_that_takes_no_other_numbers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 2))
    rows = np.random.default_rng(0).integers(0, 10, (20, 3))
    assert origin_of(module, tmp_path, rows).difference.equal == 20


def test_without_onnxscript_a_run_of_the_module_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    told = origin_of(models.perceptron(), tmp_path)
    assert (told.exporter, told.difference.equal) == ("torch", len(X))


def test_what_recording_leaves_out_shows_in_the_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    told = origin_of(Branching(), tmp_path, np.abs(X)).difference
    assert told.largest == pytest.approx(np.abs(X).max(), rel=1e-6)


def test_a_booster_that_knows_the_names_of_columns_keeps_them(tmp_path: Path) -> None:
    frame = pd.DataFrame(X, columns=["age", "pulse", "rate", "dose"])
    model = xgboost.XGBClassifier(n_estimators=3).fit(frame, BINARY)
    assert origin_of(model, tmp_path).difference.equal == len(X)
    assert model.get_booster().feature_names == list(frame)


def test_a_path_is_returned_as_it_is(tmp_path: Path) -> None:
    for given in (tmp_path / "mine.onnx", str(tmp_path / "mine.onnx")):
        found = export_model(given, X, tmp_path)
        assert (found.path, found.origin) == (tmp_path / "mine.onnx", None)
    assert not list(tmp_path.iterdir())


def product(weights: TensorProto) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["scores"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])],
        [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_a_model_proto_is_written_as_it_is(tmp_path: Path) -> None:
    weights = np.arange(8, dtype=np.float32).reshape(4, 2)
    model = product(onnx.numpy_helper.from_array(weights, "w"))
    found = export_model(model, X, tmp_path)
    assert found.origin is None
    assert onnx.load(found.path) == model


def test_a_model_proto_with_weights_elsewhere_is_refused(tmp_path: Path) -> None:
    weights = onnx.numpy_helper.from_array(np.zeros((4, 2), dtype=np.float32), "w")
    onnx.external_data_helper.set_external_data(weights, "weights.bin")
    weights.data_location = TensorProto.EXTERNAL
    with pytest.raises(ModelExportError, match="keeps 1 tensors in other files"):
        export_model(product(weights), X, tmp_path)


@pytest.mark.slow
def test_a_model_proto_that_is_too_large_for_one_file_has_its_weights_beside_it(
    tmp_path: Path,
) -> None:
    side = 23_200
    model = product(TensorProto())
    weights = model.graph.initializer[0]
    weights.name, weights.data_type, weights.raw_data = "w", TensorProto.FLOAT, bytes(4 * side**2)
    weights.dims.extend((side, side))
    found = export_model(model, X, tmp_path)
    assert (tmp_path / "model.onnx.data").stat().st_size == 4 * side**2
    assert found.path.stat().st_size < 1000
    assert len(weights.raw_data) == 4 * side**2


NAMES = ["mean age", "b", "c", "d"]
NAMED = {
    "estimator": lambda: LogisticRegression().fit(pd.DataFrame(X, columns=NAMES), BINARY),
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(
        pd.DataFrame(X, columns=NAMES), BINARY
    ),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(
        pd.DataFrame(X, columns=NAMES), BINARY
    ),
    "booster of lightgbm": lambda: NAMED["lightgbm"]().booster_,
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=2).fit(
        pd.DataFrame(X, columns=NAMES), BINARY
    ),
    "booster of xgboost": lambda: NAMED["xgboost"]().get_booster(),
}


@pytest.mark.parametrize("name", NAMED)
def test_the_columns_must_be_those_that_the_model_was_fitted_on_in_their_order(name: str) -> None:
    model = NAMED[name]()
    refuse_other_columns(model, NAMES)
    refuse_other_columns(model, ())
    with pytest.raises(ModelExportError, match=r"was fitted on the columns mean.age, b, c, d, and"):
        refuse_other_columns(model, ["mean age", "c", "b", "d"])
    with pytest.raises(ModelExportError, match=r"fitted on d, not .* which has e instead"):
        refuse_other_columns(model, ["mean age", "b", "c", "e"])


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression().fit(X, BINARY),
        lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(X, BINARY),
        xgboost.XGBClassifier(n_estimators=2).fit(X, BINARY),
        nn.Linear(4, 2),
    ],
)
def test_a_model_that_was_fitted_on_arrays_takes_columns_of_any_name(model: object) -> None:
    refuse_other_columns(model, NAMES)


@pytest.mark.parametrize(
    ("model", "rows", "said"),
    [
        (RandomForestClassifier(), X, "RandomForestClassifier is not fitted"),
        (make_pipeline(StandardScaler(), RandomForestClassifier()), X, "Pipeline is not fitted"),
        (xgboost.XGBClassifier(), X, "XGBClassifier is not fitted"),
        (xgboost.Booster(), X, "Booster is not fitted"),
        (KMeans(2).fit(X), X, "neither a classifier nor a regressor"),
        (Homemade().fit(X, BINARY), X, "skl2onnx cannot convert .*Homemade"),
        (
            RandomForestClassifier(2).fit(X, np.stack([BINARY, BINARY], axis=1)),
            X,
            "gives each row 2 labels",
        ),
        (MODELS["forest"](), X[:, :3], "fitted on 4 features, and a row of the data has 3"),
        (MODELS["xgboost alone"](), X[:, :3], "fitted on 4 features, and a row of the data has 3"),
        (MODELS["forest"](), X[:0], "0 rows"),
        (MODELS["forest"](), np.array([["a"] * 4]), "rows of texts"),
        (MODELS["logistic"](), np.full((3, 4), np.nan), "fails on rows of the data"),
        (nn.Linear(5, 2), X, r"takes no rows of the shape \(4,\)"),
        (Branching(), X, "cannot be traced for any number of rows"),
        (Odd(), X, "Odd cannot be exported: no idea"),
        (torch.zeros(3), X, "is not a torch.nn.Module"),
        (onnx.NodeProto(), X, "is not a whole ONNX model"),
        ({"a": 1}, X, "builtins.dict cannot be exported"),
    ],
)
def test_what_cannot_be_exported_is_named_with_a_cure(
    model: object, rows: Rows, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelExportError, match=said) as refused:
        export_model(model, rows, tmp_path)
    assert refused.value.cure


@pytest.mark.parametrize(
    ("package", "name"),
    [("skl2onnx", "forest"), ("onnxmltools", "lightgbm"), ("onnxmltools", "xgboost alone")],
)
def test_a_missing_exporter_is_named_with_the_command_that_installs_it(
    package: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS[name]()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"pip install '{package}>="):
        export_model(model, X, tmp_path)


def test_no_library_is_imported_but_that_of_the_model(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from auditor.workflows.model_export import export_model\n"
        "x = np.random.default_rng(0).normal(size=(20, 4))\n"
        "model = LogisticRegression().fit(x, x[:, 0] > 0)\n"
        "export_model(model, x, Path(sys.argv[1]))\n"
        "print(*({'torch', 'lightgbm', 'xgboost', 'onnxmltools', 'onnxscript'} & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not told.stdout.split()
