"""Bounds of networks hold whatever is tried, and are exact where they can be."""

from pathlib import Path

import numpy as np
import pytest
from bounded_models import Sketch, bounded, draw, lead, perceptron, smallest_lead
from onnx import helper
from small_models import interface, make_model, run, save

from auditor.errors import TwinError
from auditor.onnx.bounds import bound_propagation
from auditor.onnx.bounds.bound_propagation import MOST_KEPT
from auditor.onnx.bounds.network import bound_network
from auditor.onnx.decision_margins import TIE, ScoreRule


def attacked(seed: int, folder: Path) -> tuple[float, float, float]:
    """Bound one random row of one random network, and attack it; two bounds, and what is left."""
    rng = np.random.default_rng(1000 + seed)
    network, path, shape = draw(seed, folder)
    eps = float(rng.choice([0.001, 0.02, 0.1, 0.5]))
    row = rng.random(shape)
    label = int(run(path, row[None].astype(np.float32), "scores").argmax())
    margins = network.margins((row - eps)[None], (row + eps)[None], np.array([label]))
    left = smallest_lead(path, row, label, eps, rng)
    return float(margins["interval"][0]), float(margins["crown"][0]), left


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in (1, 2, 3))]
)
def test_nothing_that_an_attack_finds_is_beyond_the_bounds(part: int, tmp_path: Path) -> None:
    for seed in range(50 * part, 50 * part + 50):
        interval, crown, left = attacked(seed, tmp_path)
        assert interval <= crown <= left, seed


def test_lines_prove_what_intervals_cannot(tmp_path: Path) -> None:
    found = np.array([attacked(seed, tmp_path) for seed in range(40)])
    by_interval, by_lines, left = (found > 0).sum(axis=0)
    assert by_interval < by_lines <= left
    assert by_lines >= 0.7 * left  # a random network near its row is not far from straight


def test_a_transpose_that_is_kept_for_all_boxes_gives_the_very_same_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for most in (MOST_KEPT, 0):
        monkeypatch.setattr(bound_propagation, "MOST_KEPT", most)
        rng, leads = np.random.default_rng(5), list[np.ndarray]()
        for seed in range(12):
            network, _, shape = draw(seed, tmp_path)
            rows, labels = rng.random((3, *shape)), np.zeros(3, dtype=np.int64)
            leads += [
                network.margins(rows - eps, rows + eps, labels)["crown"] for eps in (0.02, 0.2)
            ]
        found[most] = np.concatenate(leads)
    assert np.isfinite(found[0]).all()
    assert found[MOST_KEPT].tobytes() == found[0].tobytes()


def test_weights_that_overflow_prove_nothing(tmp_path: Path) -> None:
    made = Sketch(np.random.default_rng(0))
    made.add("Mul", made.constant(np.array([-1e30, -1e30])))
    made.add("Relu")  # a probe between 0 and 1 gets no further
    for factor in (1e13, *[1e38] * 7):
        made.add("Mul", made.constant(np.array([factor, factor])))
    made.add("Identity", output="scores")
    network, _ = bounded(made, (2,), tmp_path)
    row = np.array([[-0.01, 0.5]])
    margins = network.margins(row - 1e-3, row + 1e-3, np.array([0]))
    assert np.isnan(margins["crown"]).all()


def test_the_bound_of_a_linear_model_is_its_closed_form(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weights, shift = rng.normal(size=(6, 3)), rng.normal(size=3)
    made = Sketch(rng)
    made.add("MatMul", made.constant(weights))
    made.add("Add", made.constant(shift), output="scores")
    network, _ = bounded(made, (6,), tmp_path)
    rows, eps = rng.random((20, 6)), 0.07
    labels = rng.integers(0, 3, size=20)
    scores = rows @ weights + shift
    every = np.full((20, 3), np.inf)
    for other in range(3):
        way = weights[:, labels].T - weights[:, other]
        ahead = scores[np.arange(20), labels] - scores[:, other]
        every[:, other] = np.where(labels == other, np.inf, ahead - eps * np.abs(way).sum(1))
    margins = network.margins(rows - eps, rows + eps, labels)
    assert margins["crown"] == pytest.approx(every.min(axis=1), abs=5e-5)
    assert (margins["crown"] <= every.min(axis=1)).all()


def test_the_bounds_of_a_known_network_are_those_on_paper(tmp_path: Path) -> None:
    # scores = (relu(x) - x / 2, 0) = (|x| / 2, 0) for x in [-1, 1]. From above the line through
    # both ends, relu(x) <= (x + 1) / 2, so that class 1 leads by x / 2 - (x + 1) / 2 = -1 / 2 or
    # more, which is the truth; intervals know no more than -1 / 2 - 1. From below a line through 0
    # gives class 0 no more than intervals do: 0 - 1 / 2.
    made = Sketch(np.random.default_rng(0))
    half = made.add("Mul", made.constant(np.float32(0.5)))
    made.last = "x"
    made.add("Relu")
    made.add("Sub", half)
    made.add("MatMul", made.constant(np.array([[1.0, 0.0]])), output="scores")
    network, _ = bounded(made, (1,), tmp_path)
    box = np.array([[-1.0], [-1.0]]), np.array([[1.0], [1.0]])
    found = network.margins(*box, np.array([0, 1]))
    assert found["interval"] == pytest.approx([-0.5, -1.5], abs=1e-4)
    assert found["crown"] == pytest.approx([-0.5, -0.5], abs=1e-4)


def test_a_box_of_no_width_holds_what_the_runtime_computes_in_float32(tmp_path: Path) -> None:
    for seed in range(30):
        network, path, shape = draw(seed, tmp_path)
        rows = 30 * np.random.default_rng(seed).normal(size=(10, *shape))
        rows = rows.astype(np.float32).astype(np.float64)
        scores = run(path, rows.astype(np.float32), "scores").reshape(10, -1)
        labels = scores.argmax(axis=1)
        said = lead(scores, labels)
        margins = network.margins(rows, rows, labels)
        for bound in margins.values():
            assert (bound <= said - TIE / 2).all()
            assert bound == pytest.approx(said, rel=1e-2, abs=1e-2)


def test_sums_that_cancel_in_float32_are_not_certified(tmp_path: Path) -> None:
    # 1e6 x - 1e6 x is 0 in theory; in float32 either class may win at random.
    made = Sketch(np.random.default_rng(0))
    large = 1e6 * np.random.default_rng(1).random((64, 1))
    made.add("Concat", "x", axis=1)
    made.add("MatMul", made.constant(np.hstack([np.vstack([large, -large]), np.zeros((128, 1))])))
    made.add("Add", made.constant(np.array([0.01, 0.0])), output="scores")
    network, path = bounded(made, (64,), tmp_path)
    rows = np.random.default_rng(2).random((50, 64))
    scores = run(path, rows.astype(np.float32), "scores")
    assert (scores[:, 0] < scores[:, 1]).any(), "rounding decides some of these rows"
    margins = network.margins(rows, rows, np.zeros(50, dtype=np.int64))
    assert (margins["crown"] < 0).all()


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_a_binary_decision_is_bounded_at_its_threshold(threshold: float, tmp_path: Path) -> None:
    made = Sketch(np.random.default_rng(0))
    made.add("MatMul", made.constant(np.array([[1.0]])))
    made.add("Sigmoid", output="scores")
    path = save(make_model(made.nodes, made.constants, ["n", 1]), tmp_path)
    told = interface((1,), scores="binary_probability")
    network = bound_network(path, told, ScoreRule(1, threshold))
    limit = np.log(threshold / (1 - threshold))
    box = np.array([[limit + 0.5]] * 2), np.array([[limit + 1.5]] * 2)
    margins = network.margins(*box, np.array([1, 0]))
    assert margins["crown"] == pytest.approx([0.5, -1.5], abs=1e-4)


def test_two_columns_are_bounded_at_the_threshold_of_the_positive_one(tmp_path: Path) -> None:
    made = Sketch(np.random.default_rng(0))
    made.add("MatMul", made.constant(np.array([[1.0, 0.0]])))
    made.add("Softmax", axis=-1, output="scores")
    path = save(make_model(made.nodes, made.constants, ["n", 1]), tmp_path)
    told = interface((1,), scores="probabilities")
    network = bound_network(path, told, ScoreRule(0, 0.8))  # p = sigmoid(x) reaches 0.8 at log 4
    margins = network.margins(np.array([[2.0]]), np.array([[3.0]]), np.array([0]))
    assert margins["crown"] == pytest.approx([2.0 - np.log(4)], abs=1e-4)


def test_a_score_beside_its_complement_is_bounded_for_either_class(tmp_path: Path) -> None:
    made = Sketch(np.random.default_rng(0))
    made.add("MatMul", made.constant(np.array([[1.0]])))
    second = made.add("Sigmoid")
    one = made.constant(np.float32(1.0))
    made.nodes.append(helper.make_node("Sub", [one, second], ["first"]))
    made.nodes.append(helper.make_node("Concat", ["first", second], ["scores"], axis=1))
    path = save(make_model(made.nodes, made.constants, ["n", 1]), tmp_path)
    told = interface((1,), scores="probabilities")
    box = np.array([[-2.0]] * 2), np.array([[-1.8]] * 2)
    first = bound_network(path, told, ScoreRule(0, 0.8)).margins(*box, np.array([0, 1]))
    assert first["crown"] == pytest.approx([1.8 - np.log(4), np.log(4) - 2], abs=1e-4)
    second_one = bound_network(path, told, ScoreRule(1, 0.8)).margins(*box, np.array([0, 1]))
    assert second_one["crown"] == pytest.approx([1.8 + np.log(4), -2 - np.log(4)], abs=1e-4)


def test_an_operator_that_no_bounds_pass_is_named(tmp_path: Path) -> None:
    made = perceptron(np.random.default_rng(0), 4, 3)
    kept = made.nodes.pop()
    made.last = kept.input[0]
    made.add("Mul", made.last)
    made.nodes.append(helper.make_node("Gemm", [made.last, *kept.input[1:]], ["scores"]))
    path = save(make_model(made.nodes, made.constants, ["n", 4]), tmp_path)
    with pytest.raises(TwinError, match=r"ai\.onnx::Mul"):
        bound_network(path, interface((4,)), ScoreRule())


@pytest.mark.parametrize(("name", "alpha"), [("LeakyRelu", -0.5), ("HardSigmoid", -0.2)])
def test_a_curve_that_falls_is_named(name: str, alpha: float, tmp_path: Path) -> None:
    made = Sketch(np.random.default_rng(0))
    made.add("MatMul", made.weight(4, 4))
    made.add(name, alpha=alpha)
    made.add("MatMul", made.weight(4, 3), output="scores")
    path = save(make_model(made.nodes, made.constants, ["n", 4]), tmp_path)
    with pytest.raises(TwinError, match=name):
        bound_network(path, interface((4,)), ScoreRule())


def test_rows_that_depend_on_each_other_are_refused(tmp_path: Path) -> None:
    made = Sketch(np.random.default_rng(0))
    made.add("ReduceMean", made.constant(np.array([0])), keepdims=1)
    made.add("Sub", "x")
    made.add("MatMul", made.weight(4, 3), output="scores")
    path = save(make_model(made.nodes, made.constants, ["n", 4]), tmp_path)
    with pytest.raises(TwinError, match="rows of a batch meet"):
        bound_network(path, interface((4,)), ScoreRule())


def test_one_sigmoid_a_class_is_refused(tmp_path: Path) -> None:
    made = perceptron(np.random.default_rng(0), 4, 3)
    made.nodes[-1].output[0] = "logits"
    made.last = "logits"
    made.add("Sigmoid", output="scores")
    path = save(make_model(made.nodes, made.constants, ["n", 4]), tmp_path)
    with pytest.raises(TwinError, match="sigmoids of their own"):
        bound_network(path, interface((4,), scores="probabilities"), ScoreRule())


def test_reshapes_by_the_batchs_own_size_are_followed(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    made = Sketch(rng)
    made.nodes.append(helper.make_node("Shape", ["x"], ["shape"]))
    zero, minus = made.constant(np.array([0])), made.constant(np.array([-1]))
    made.nodes.append(helper.make_node("Gather", ["shape", zero], ["rows"], axis=0))
    made.nodes.append(helper.make_node("Concat", ["rows", minus], ["flat"], axis=0))
    made.add("Reshape", "flat")
    made.add("MatMul", made.weight(4, 3), output="scores")
    network, path = bounded(made, (1, 2, 2), tmp_path)
    rows = rng.random((3, 1, 2, 2))
    scores = run(path, rows.astype(np.float32), "scores")
    margins = network.margins(rows, rows, scores.argmax(axis=1))
    assert margins["crown"] == pytest.approx(lead(scores, scores.argmax(axis=1)), abs=1e-4)
