"""The nearest wrong points of trees are exactly those that trying everything finds."""

import itertools
from pathlib import Path

import lightgbm
import numpy as np
import onnx
import pytest
import xgboost
from forest_models import Grove, boxes, by_trying, plant
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import interface, make_model, save

from auditor.domain.robustness_certificates import NearestMisclassification
from auditor.errors import TwinError
from auditor.onnx.decision_margins import ScoreRule
from auditor.onnx.trees.forest import (
    TreeColumn,
    largest_inputs_below,
    read_tree_ensemble,
    smallest_inputs_above,
)

STATES = 1_000_000
SLACK = 1e-6


def confirmed(
    grove: Grove, found: NearestMisclassification, labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the distance of the nearest candidate that ONNX Runtime decides wrongly."""
    nearest = np.full(len(labels), np.inf)
    for place in range(found.distance.shape[1]):
        wrong = grove.decide(found.crafted[:, place]) != labels
        there = wrong & np.isfinite(found.distance[:, place])
        nearest[there] = np.minimum(nearest[there], found.distance[there, place])
    return nearest


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in (1, 2, 3))]
)
def test_distances_are_those_that_trying_every_cell_finds(part: int, tmp_path: Path) -> None:
    for seed in range(50 * part, 50 * part + 50):
        rng = np.random.default_rng(5000 + seed)
        grove = plant(seed, tmp_path)
        rows = rng.random((3, 3)).astype(np.float32).astype(np.float64)
        quantum = np.array([0.0, 1 / 16, 0.0]) if seed % 5 == 0 else None
        fixed = (2,) if seed % 4 == 0 else ()
        around = boxes(rows, grove.decide(rows), quantum=quantum, fixed=fixed)
        found = grove.open(around).nearest(around, STATES)
        known = np.array([by_trying(grove, around, row, 8) for row in range(3)])
        np.testing.assert_allclose(found.lower, known, atol=SLACK, err_msg=str(seed))
        np.testing.assert_allclose(confirmed(grove, found, around.labels), known, atol=SLACK)


@given(seed=st.integers(0, 10_000), states=st.sampled_from([1, 5, 40, 400]))
@settings(max_examples=30)
def test_a_search_that_is_cut_short_still_proves_nothing_wrong(
    seed: int, states: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    grove = plant(seed, tmp_path_factory.mktemp("forest"), inputs=4, trees=6, depth=3, steps=5)
    rows = np.random.default_rng(seed).random((2, 4)).astype(np.float32).astype(np.float64)
    around = boxes(rows, grove.decide(rows))
    searched = grove.open(around)
    short, long = searched.nearest(around, states), searched.nearest(around, STATES)
    assert (short.lower <= long.lower + SLACK).all()
    nearest = confirmed(grove, short, around.labels)
    assert (nearest >= long.lower - SLACK).all()


def test_the_forest_says_what_onnx_runtime_says(tmp_path: Path) -> None:
    for seed in range(30):
        grove = plant(seed, tmp_path)
        rows = np.random.default_rng(seed).random((40, 3)).astype(np.float32).astype(np.float64)
        around = boxes(rows, grove.decide(rows))
        ours = grove.open(around).probabilities(rows)
        np.testing.assert_allclose(ours, grove.probabilities(rows), atol=1e-6)


def test_values_at_a_threshold_go_where_the_runtime_sends_them(tmp_path: Path) -> None:
    for seed in range(30):
        grove = plant(seed, tmp_path)
        limits = (np.arange(1, 8) / 8).astype(np.float32)
        beside = [limits, np.nextafter(limits, np.float32(0)), np.nextafter(limits, np.float32(1))]
        rows = np.array(list(itertools.product(np.concatenate(beside)[::3], repeat=3)))
        rows = rows.astype(np.float64)
        around = boxes(rows, grove.decide(rows))
        ours = grove.open(around).probabilities(rows)
        np.testing.assert_allclose(ours, grove.probabilities(rows), atol=1e-6)


def converted(kind: str, model: object, folder: Path, inputs: int, classes: int) -> Grove:
    shape = [("x", FloatTensorType([None, inputs]))]
    if kind == "lightgbm":
        made = convert_lightgbm(model, initial_types=shape, target_opset=15, zipmap=False)
    elif kind == "xgboost":
        made = convert_xgboost(model, initial_types=shape, target_opset=15)
    else:
        row = np.zeros((1, inputs), dtype=np.float32)
        made = to_onnx(model, row, options={"zipmap": False})
    made.graph.output[1].name, scores = "scores", made.graph.output[1].name
    for node in made.graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = "scores" if name == scores else name
    rule = ScoreRule(1, 0.5) if classes == 2 else ScoreRule()
    return Grove(save(made, folder), interface((inputs,), scores="probabilities"), rule, inputs)


MODELS = {
    "sklearn forest": lambda: RandomForestClassifier(15, max_depth=4, random_state=0),
    "scaled forest": lambda: make_pipeline(
        StandardScaler(), RandomForestClassifier(15, max_depth=4, random_state=0)
    ),
    "sklearn boosting": lambda: GradientBoostingClassifier(n_estimators=10, random_state=0),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=10, num_leaves=8, verbose=-1),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=10, max_depth=3),
}


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine], ids=["binary", "three classes"])
@pytest.mark.parametrize("name", list(MODELS))
def test_real_ensembles_break_where_it_is_said_and_not_before(
    name: str, load: object, tmp_path: Path
) -> None:
    rows, labels = load(return_X_y=True)  # type: ignore[operator]  # one of two loaders
    low, width = rows.min(axis=0), np.ptp(rows, axis=0)
    rows = ((rows - low) / width).astype(np.float32)
    model = MODELS[name]().fit(rows[::2], labels[::2])
    classes = len(set(labels))
    grove = converted(name.split(maxsplit=1)[0], model, tmp_path, rows.shape[1], classes)
    tested = rows[1::2][:40].astype(np.float64)
    around = boxes(tested, grove.decide(tested))
    searched = grove.open(around)
    np.testing.assert_allclose(
        searched.probabilities(tested), grove.probabilities(tested), atol=1e-5
    )
    found = searched.nearest(around, 20_000)
    nearest = confirmed(grove, found, around.labels)
    assert (nearest >= found.lower - SLACK).all()
    assert np.isfinite(nearest).mean() > 0.9
    exact = np.abs(nearest - found.lower) <= SLACK
    assert exact.mean() >= 0.5, "most searches end"
    rng = np.random.default_rng(0)
    for row in np.flatnonzero(found.lower > 0.01):
        size = found.lower[row] - SLACK
        noise = rng.choice([-1.0, 0.0, 1.0], size=(400, tested.shape[1]))
        points = np.clip(tested[row] + size * noise, 0, 1)
        inside = np.abs(points.astype(np.float32) - tested[row]).max(axis=1) < found.lower[row]
        assert (grove.decide(points[inside]) == around.labels[row]).all()


def test_ties_leave_a_gap_between_what_is_proved_and_what_is_sure(tmp_path: Path) -> None:
    # Two trees vote 0.5 each: at x > 0.25 the votes are 0.5 to 0.5, at x > 0.75 the other wins.
    told = {
        "nodes_treeids": [0, 0, 0, 1, 1, 1],
        "nodes_nodeids": [0, 1, 2] * 2,
        "nodes_featureids": [0] * 6,
        "nodes_values": [0.25, 0.0, 0.0, 0.75, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
        "nodes_truenodeids": [1, 0, 0] * 2,
        "nodes_falsenodeids": [2, 0, 0] * 2,
        "class_treeids": [0] * 6 + [1] * 6,
        "class_nodeids": [1, 1, 1, 2, 2, 2] * 2,
        "class_ids": [0, 1, 2] * 4,
        "class_weights": [0.5, 0.0, 0.0, 0.0, 0.5, 0.0] * 2,
        "classlabels_int64s": [0, 1, 2],
    }
    node = helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", **told
    )
    path = save(make_model([node], {}, ["n", 1]), tmp_path)
    grove = Grove(path, interface((1,), scores="probabilities"), ScoreRule(), 1)
    around = boxes(np.zeros((1, 1)), np.zeros(1, dtype=np.int64))
    found = grove.open(around).nearest(around, STATES)
    assert found.lower == pytest.approx(0.25)
    assert found.distance[0] == pytest.approx([0.25, 0.75])
    assert confirmed(grove, found, around.labels) == pytest.approx(
        0.75
    )  # the first class wins ties


def test_a_missing_value_proves_nothing(tmp_path: Path) -> None:
    grove = plant(0, tmp_path)
    rows = np.array([[0.5, np.nan, 0.5]])
    around = boxes(rows, np.zeros(1, dtype=np.int64))
    found = grove.open(around).nearest(around, STATES)
    assert found.lower == 0
    assert np.isinf(found.distance).all()


@given(
    thresholds=st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20),
    offset=st.floats(-2, 2, width=32),
    scale=st.floats(0.0625, 50, width=32),
)
def test_the_last_value_below_a_threshold_is_the_very_last(
    thresholds: list[float], offset: float, scale: float
) -> None:
    column = TreeColumn(0).then("Cast", np.float32(0)).then("Sub", np.float32(offset))
    column = column.then("Mul", np.float32(scale))
    limits = np.array(thresholds, dtype=np.float32)
    last = largest_inputs_below(column, limits, "float32")
    first = smallest_inputs_above(last, "float32")
    assert (column.of(last.astype(np.float32)) <= limits).all()
    assert (column.of(first.astype(np.float32)) > limits).all()


def test_whole_numbers_have_neighbours_one_apart() -> None:
    column = TreeColumn(0).then("Cast", np.float32(0))
    last = largest_inputs_below(column, np.array([2.5, 3.0, -0.5], dtype=np.float32), "int64")
    assert last.tolist() == [2, 3, -1]
    assert smallest_inputs_above(last, "int64").tolist() == [3, 4, 0]


def test_what_does_not_grow_before_the_trees_is_refused(tmp_path: Path) -> None:
    grove = plant(1, tmp_path)
    model = onnx.load(str(grove.path))
    scaler = model.graph.node[0]
    for attribute in scaler.attribute:
        if attribute.name == "scale":
            attribute.floats[0] = -1.0
    onnx.save(model, str(grove.path))
    with pytest.raises(TwinError, match="multiplied by -1"):
        read_tree_ensemble(grove.path, grove.interface, grove.rule)


def test_comparisons_without_an_order_are_refused(tmp_path: Path) -> None:
    grove = plant(0, tmp_path)
    model = onnx.load(str(grove.path))
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "nodes_modes":
            attribute.strings[0] = b"BRANCH_EQ"
    onnx.save(model, str(grove.path))
    with pytest.raises(TwinError, match="BRANCH_EQ"):
        read_tree_ensemble(grove.path, grove.interface, grove.rule)


def test_scores_of_something_else_are_no_trees(tmp_path: Path) -> None:
    node = helper.make_node("Softmax", ["x"], ["scores"])
    path = save(make_model([node], {}, ["n", 3]), tmp_path)
    assert read_tree_ensemble(path, interface((3,), scores="probabilities"), ScoreRule()) is None
