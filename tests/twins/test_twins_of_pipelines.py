import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, OneHotEncoder, StandardScaler
from small_models import interface

from auditor.attacks.losses import softmax
from auditor.domain.tasks import Floats
from auditor.twins.building import build_twin

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 5)).astype(np.float32)
X[:, 4] = RNG.integers(0, 3, 120)
TWO = (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)
THREE = RNG.integers(0, 3, 120)

numbers, codes = [0, 1, 2, 3], [4]
PIPELINES = {
    "logistic": (lambda: make_pipeline(StandardScaler(), LogisticRegression()), TWO),
    "multinomial": (lambda: make_pipeline(StandardScaler(), LogisticRegression()), THREE),
    "normalised": (lambda: make_pipeline(Normalizer(), LogisticRegression()), THREE),
    "perceptron": (lambda: make_pipeline(StandardScaler(), quick_perceptron()), TWO),
    "perceptron of three": (lambda: make_pipeline(SimpleImputer(), quick_perceptron()), THREE),
    "columns": (lambda: make_pipeline(columns(), LogisticRegression()), TWO),
}


def quick_perceptron() -> Any:  # noqa: ANN401 -- scikit-learn has no types
    return MLPClassifier((6,), max_iter=10, random_state=0)


def columns() -> Any:  # noqa: ANN401 -- scikit-learn has no types
    scaled = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer(
        [("n", scaled, numbers), ("c", OneHotEncoder(handle_unknown="ignore"), codes)]
    )


def exported(name: str, path: Path, *, zipmap: bool) -> Path:
    make, labels = PIPELINES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations, and the converter's own deprecations
        model = make().fit(X, labels)
        converted = to_onnx(model, X[:1], options={id(model): {"zipmap": zipmap}})
    path.write_bytes(converted.SerializeToString())
    return path


def probabilities(path: Path) -> Floats:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    output = session.get_outputs()[1].name
    found = session.run([output], {"X": X})[0]
    if isinstance(found, list):
        found = np.array([list(row.values()) for row in found])
    return np.asarray(found, dtype=np.float64)


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("name", list(PIPELINES))
def test_a_pipeline_has_the_logits_of_its_probabilities(
    tmp_path: Path, name: str, *, zipmap: bool
) -> None:
    path = exported(name, tmp_path / "model.onnx", zipmap=zipmap)
    output = onnx.load(path).graph.output[1].name
    scores = "zipmap" if zipmap else "probabilities"
    twin = build_twin(path, interface((5,), name="X", output=output, scores=scores))
    np.testing.assert_allclose(softmax(twin.forward(X)), probabilities(path), atol=1e-6)


@pytest.mark.parametrize("name", ["logistic", "multinomial", "perceptron"])
def test_a_pipeline_far_from_its_border_still_has_a_gradient(tmp_path: Path, name: str) -> None:
    path = exported(name, tmp_path / "model.onnx", zipmap=False)
    found = interface((5,), name="X", output="probabilities", scores="probabilities")
    twin = build_twin(path, found)
    twin.forward(1e3 * X[:4])
    cotangent = np.zeros((4, 2 if name != "multinomial" else 3))
    cotangent[:, 0], cotangent[:, 1] = 1, -1
    assert np.abs(twin.backward(cotangent)).max(axis=1).min() > 0
