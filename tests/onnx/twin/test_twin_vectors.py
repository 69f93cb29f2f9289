import warnings
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from random_trees import ml_model
from sklearn.datasets import load_wine
from sklearn.svm import SVC

from auditor.onnx.graph import read_graph
from auditor.onnx.operators.ml_svm import couple_probabilities
from auditor.onnx.twin.torch_tensors import to_tensor
from auditor.onnx.twin.torch_twin import compile_graph

RNG = np.random.default_rng(11)
ROWS = RNG.normal(size=(40, 4)).astype(np.float32)
COUNTS = {2: [3, 2], 3: [3, 2, 4], 5: [2, 3, 1, 2, 2]}
KERNELS = {
    "LINEAR": [0.0, 0.0, 0.0],
    "POLY": [0.5, 1.0, 3.0],
    "RBF": [0.4, 0.0, 0.0],
    "SIGMOID": [0.3, 0.1, 0.0],
}


def machine(classes: int, kernel: str) -> dict[str, Any]:
    vectors, pairs = sum(COUNTS[classes]), classes * (classes - 1) // 2
    return {
        "classlabels_ints": list(range(10, 10 + classes)),
        "vectors_per_class": COUNTS[classes],
        "support_vectors": RNG.normal(size=vectors * 4).tolist(),
        "coefficients": RNG.normal(size=(classes - 1) * vectors).tolist(),
        "rho": RNG.normal(size=pairs).tolist(),
        "kernel_type": kernel,
        "kernel_params": KERNELS[kernel],
    }


def assert_same(operator: str, attributes: dict[str, Any]) -> None:
    model = ml_model(operator, 1, **attributes)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    values = compile_graph(read_graph(model)).run({"x": to_tensor(ROWS)})
    for output in session.get_outputs():
        (wanted,) = session.run([output.name], {"x": ROWS})
        np.testing.assert_allclose(values[output.name], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("kernel", list(KERNELS))
@pytest.mark.parametrize("classes", list(COUNTS))
def test_a_machine_votes_and_scores_as_in_the_runtime(
    classes: int, kernel: str, transform: str
) -> None:
    assert_same("SVMClassifier", {**machine(classes, kernel), "post_transform": transform})


@pytest.mark.parametrize("classes", list(COUNTS))
def test_calibrated_machines_have_the_probabilities_of_the_runtime(classes: int) -> None:
    pairs = classes * (classes - 1) // 2
    scales = {"prob_a": [-1.0] * pairs, "prob_b": np.linspace(-0.5, 0.5, pairs).tolist()}
    assert_same("SVMClassifier", {**machine(classes, "RBF"), **scales})


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX"])
def test_a_machine_of_lines_is_that_of_the_runtime(transform: str) -> None:
    lines = {
        "classlabels_ints": [0, 1, 2],
        "coefficients": RNG.normal(size=12).tolist(),
        "rho": [0.25],
        "kernel_params": [0.0, 0.0, 0.0],
        "post_transform": transform,
    }
    assert_same("SVMClassifier", lines)


@pytest.mark.parametrize("one_class", [0, 1])
@pytest.mark.parametrize("kernel", list(KERNELS))
def test_a_regressor_of_vectors_is_that_of_the_runtime(kernel: str, one_class: int) -> None:
    attributes = {
        "n_supports": 5,
        "support_vectors": RNG.normal(size=20).tolist(),
        "coefficients": RNG.normal(size=5).tolist(),
        "rho": [0.5],
        "one_class": one_class,
        "kernel_type": kernel,
        "kernel_params": KERNELS[kernel],
    }
    assert_same("SVMRegressor", attributes)


def test_coupling_two_classes_changes_nothing() -> None:
    pairs = torch.tensor([[[0.0, 0.8], [0.2, 0.0]]])
    np.testing.assert_allclose(couple_probabilities(pairs), [[0.8, 0.2]], atol=1e-6)


def test_coupling_pairs_that_agree_gives_back_the_probabilities_that_they_come_from() -> None:
    p = np.array([0.5, 0.3, 0.2])
    pairs = p[:, None] / (p[:, None] + p)
    np.fill_diagonal(pairs, 0)
    found = couple_probabilities(torch.tensor(pairs[None], dtype=torch.float32))
    np.testing.assert_allclose(found[0], p, atol=0.005 / 3)


def test_the_slope_of_coupling_is_that_of_its_exact_minimum() -> None:
    rng = np.random.default_rng(2)
    upper = np.triu(rng.uniform(0.2, 0.8, (4, 4)), 1)
    pairs = torch.tensor(upper + np.tril(1 - upper.T, -1), dtype=torch.float64)[None]
    pairs.requires_grad_()
    pull = torch.tensor(rng.normal(size=(1, 4)))
    (slope,) = torch.autograd.grad(couple_probabilities(pairs), pairs, pull)
    way = torch.tensor(rng.normal(size=(4, 4)))
    ahead, behind = (exact(pairs.detach() + step * way) for step in (1e-6, -1e-6))
    difference = ((ahead - behind) * pull).sum() / 2e-6
    np.testing.assert_allclose((slope * way).sum(), difference, rtol=1e-5)


def exact(pairs: torch.Tensor) -> torch.Tensor:
    """Minimise over probabilities by the null space of their sum."""
    r = pairs[0].numpy()
    off = 1 - np.eye(len(r))
    quadratic = -(r * r.T) * off + np.diag(((r.T * off) ** 2).sum(axis=1))
    start = np.full(len(r), 1 / len(r))
    basis = np.linalg.qr(np.c_[np.ones(len(r)), np.eye(len(r))[:, 1:]])[0][:, 1:]
    inner = np.linalg.solve(basis.T @ quadratic @ basis, -basis.T @ quadratic @ start)
    return torch.tensor((start + basis @ inner)[None])


def test_coupling_is_that_of_libsvm() -> None:
    x, y = load_wine(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    first, second = np.triu_indices(3, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn is about to drop libsvm's probabilities
        model = SVC(probability=True, decision_function_shape="ovo", random_state=0).fit(x, y)
        decided = model.decision_function(x) * model.probA_ + model.probB_
    one = np.clip(1 / (1 + np.exp(decided)), 1e-7, 1 - 1e-7)
    pairs = np.zeros((len(x), 3, 3))
    pairs[:, first, second], pairs[:, second, first] = one, 1 - one
    np.testing.assert_allclose(
        couple_probabilities(torch.tensor(pairs)), model.predict_proba(x), atol=1e-3
    )
