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
from trained_classifiers import CLASSIFIERS, SCORES, TREES, Exported, trained

from auditor.attacks.evasion.losses import softmax
from auditor.domain.tasks import Floats
from auditor.onnx.twin.build import DifferentiableTwin, build_twin

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


DATA = ["digits", "breast_cancer", "wine"]
SOME = [("digits", "random forest"), ("wine", "lightgbm"), ("breast_cancer", "xgboost")]
SOME += [("wine", "rbf machine, calibrated"), ("breast_cancer", "gradient boosting")]
SOME += [("wine", "histogram boosting"), ("breast_cancer", "vote")]
LONG = ("digits", "polynomial")  # 2145 columns take long to train on
REST = [(on, name) for on in DATA for name in CLASSIFIERS if (on, name) not in {*SOME, LONG}]
ALL = [pytest.param(*pair, marks=pytest.mark.slow) for pair in REST] + SOME


def twin_of(exported: Exported, *, probabilities: bool) -> DifferentiableTwin:
    kind = "probabilities" if probabilities else "logits"
    if exported.scores(exported.rows).shape[1] == 1:
        kind = "binary_logit"
    found = interface(
        exported.rows.shape[1:], name=exported.input, output=exported.output, scores=kind
    )
    return build_twin(exported.path, found)


@pytest.mark.parametrize(("on", "name"), ALL)
def test_a_trained_classifier_has_a_twin_that_says_the_same(
    tmp_path: Path, on: str, name: str
) -> None:
    exported = trained(name, on, tmp_path)
    wanted = exported.scores(exported.rows)
    logits = twin_of(exported, probabilities=name not in SCORES).forward(exported.rows)
    found = logits[:, -wanted.shape[1] :] if name in SCORES else softmax(logits)
    # ONNX Runtime computes kernels in float32: powers of large sums lose more than the rest.
    precision = 2e-5 if name.startswith("poly") else 1e-5
    size = max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, rtol=0, atol=precision * size)
    if wanted.shape[1] > 1:
        np.testing.assert_array_equal(logits.argmax(axis=1), wanted.argmax(axis=1))


def correlation(exported: Exported, step: float = 0.1) -> float:
    """Return how the twin's slopes of the loss go with differences of the runtime's own loss."""
    rows, labels = exported.rows, exported.labels
    place = (np.arange(len(rows)), labels)
    twin = twin_of(exported, probabilities=True)
    pulled = softmax(twin.forward(rows))
    pulled[place] -= 1
    gradient = twin.backward(pulled)
    assert np.isfinite(gradient).all()

    def loss(at: Floats) -> Floats:
        found: Floats = -np.log(np.maximum(exported.scores(at)[place], 1e-7))
        return found

    rng, slopes, differences = np.random.default_rng(0), [], []
    for _ in range(24):
        way = rng.choice([-1.0, 1.0], rows.shape)
        slopes.append((gradient * way).sum(axis=1))
        differences.append(loss(rows + step * way) - loss(rows - step * way))
    return float(np.corrcoef(np.ravel(slopes), np.ravel(differences))[0, 1])


LEAST = {"digits": 0.3, "wine": 0.12, "breast_cancer": 0.1}
QUICK = [("digits", "random forest"), ("wine", "xgboost")]
SLOW = [(on, name) for on in DATA for name in TREES if (on, name) not in QUICK]


@pytest.mark.parametrize(
    ("on", "name"), [*QUICK, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in SLOW)]
)
def test_slopes_of_forests_go_with_what_large_steps_do_to_the_model(
    tmp_path: Path, on: str, name: str
) -> None:
    assert correlation(trained(name, on, tmp_path)) > LEAST[on]


@pytest.mark.parametrize("name", ["random forest", "bagging"])
def test_a_class_without_a_vote_still_pulls_rows_towards_itself(tmp_path: Path, name: str) -> None:
    exported = trained(name, "digits", tmp_path)
    twin = twin_of(exported, probabilities=True)
    logits = twin.forward(exported.rows)
    rows = np.arange(len(logits))
    assert (exported.scores(exported.rows).min(axis=1) == 0).any()
    towards = np.zeros_like(logits)
    towards[rows, logits.argmin(axis=1)] = 1
    gradient = twin.backward(towards)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max(axis=1).min() > 0


def test_boosted_trees_that_are_certain_still_have_slopes(tmp_path: Path) -> None:
    exported = trained("xgboost", "breast_cancer", tmp_path)
    twin = twin_of(exported, probabilities=True)
    logits = twin.forward(exported.rows)
    gradient = twin.backward(np.tile([1.0, -1.0], (len(logits), 1)))
    assert np.abs(gradient).max(axis=1).min() > 0
