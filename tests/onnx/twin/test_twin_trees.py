from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, numpy_helper
from random_trees import MODES, ml_model, random_trees, rows_with_gaps
from small_models import interface, twin_of

from auditor.errors import TwinError
from auditor.onnx.graph import NodeAttributes, read_graph
from auditor.onnx.operators.ml_trees import (
    WIDTH,
    TreeArrays,
    column_widths,
    make_forest,
    read_by_ids,
)
from auditor.onnx.twin.torch_tensors import to_tensor
from auditor.onnx.twin.torch_twin import compile_graph

SEEDS = st.integers(0, 2**32 - 1)
TRANSFORMS = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]
quick = settings(max_examples=60, deadline=None)


def both(model: onnx.ModelProto, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return what ONNX Runtime says beside what the twin says, output by output."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    values = compile_graph(read_graph(model)).run({"x": to_tensor(rows)})
    said = session.run(names, {"x": rows})
    return [(wanted, values[name].numpy()) for name, wanted in zip(names, said, strict=True)]


def assert_same(model: onnx.ModelProto, rows: np.ndarray) -> None:
    for wanted, found in both(model, rows):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@quick
@given(
    seed=SEEDS,
    version=st.sampled_from([1, 3]),
    transform=st.sampled_from(TRANSFORMS),
    one_mode=st.booleans(),
    positive=st.booleans(),
    based=st.booleans(),
)
def test_a_classifier_of_several_classes_is_that_of_the_runtime(
    seed: int, version: int, transform: str, *, one_mode: bool, positive: bool, based: bool
) -> None:
    rng = np.random.default_rng(seed)
    modes = (str(rng.choice(MODES)),) if one_mode else MODES
    attributes = random_trees(rng, "class", [0, 1, 2], modes=modes, positive=positive)
    if based:
        attributes["base_values"] = [0.1, -0.2, 0.3]
    model = ml_model(
        "TreeEnsembleClassifier",
        version,
        classlabels_int64s=[10, 11, 12],
        post_transform=transform,
        **attributes,
    )
    assert_same(model, rows_with_gaps(rng))


@quick
@given(
    seed=SEEDS,
    transform=st.sampled_from(TRANSFORMS),
    classes=st.sampled_from([[0], [1], [0, 1]]),
    base=st.sampled_from([[], [0.2], [0.1, 0.3]]),
    positive=st.booleans(),
)
def test_two_classes_follow_the_rules_of_the_runtime(
    seed: int, transform: str, classes: list[int], base: list[float], *, positive: bool
) -> None:
    if len(classes) == 2 and len(base) == 1:
        base = []  # ONNX Runtime leaves one of the two scores unset
    rng = np.random.default_rng(seed)
    attributes = random_trees(rng, "class", classes, positive=positive)
    if base:
        attributes["base_values"] = base
    model = ml_model(
        "TreeEnsembleClassifier",
        3,
        classlabels_int64s=[10, 11],
        post_transform=transform,
        **attributes,
    )
    assert_same(model, rows_with_gaps(rng))


@quick
@given(
    seed=SEEDS,
    targets=st.integers(1, 3),
    aggregate=st.sampled_from(["SUM", "AVERAGE", "MIN", "MAX"]),
    transform=st.sampled_from(TRANSFORMS),
    double=st.booleans(),
    based=st.booleans(),
)
def test_a_regressor_is_that_of_the_runtime(
    seed: int, targets: int, aggregate: str, transform: str, *, double: bool, based: bool
) -> None:
    rng = np.random.default_rng(seed)
    attributes = random_trees(rng, "target", list(range(targets)))
    rows, kind = rows_with_gaps(rng), TensorProto.FLOAT
    if based:
        attributes["base_values"] = [0.1, 0.2, 0.3][:targets]
    if double:
        # Thresholds just beside a float32 are told apart only in float64.
        values = np.array(attributes["nodes_values"])
        attributes["nodes_values"] = values + 1e-12 * rng.integers(-1, 2, len(values))
        attributes, rows, kind = as_doubles(attributes), rows.astype(np.float64), TensorProto.DOUBLE
    model = ml_model(
        "TreeEnsembleRegressor",
        3,
        kind=kind,
        n_targets=targets,
        aggregate_function=aggregate,
        post_transform=transform,
        **attributes,
    )
    assert_same(model, rows)


def as_doubles(attributes: dict[str, Any]) -> dict[str, Any]:
    names = {"nodes_values", "target_weights", "base_values"} & set(attributes)
    tensors = {
        f"{name}_as_tensor": numpy_helper.from_array(np.array(attributes[name], dtype=np.float64))
        for name in names
    }
    return {name: item for name, item in attributes.items() if name not in names} | tensors


def by_places(rng: np.random.Generator, kind: type[np.floating[Any]]) -> dict[str, Any]:
    """Return two stumps over one question, in the spelling of TreeEnsemble."""
    modes = rng.integers(0, 7, 3)
    members = [[1.0, 3.0, 40.0] for mode in modes if mode == 6]
    attributes = {
        "tree_roots": [0, 2],
        "nodes_featureids": rng.integers(0, 4, 3).tolist(),
        "nodes_modes": numpy_helper.from_array(modes.astype(np.uint8)),
        "nodes_splits": numpy_helper.from_array(rng.choice([0, 1, 2], 3).astype(kind)),
        "nodes_missing_value_tracks_true": rng.integers(0, 2, 3).tolist(),
        "nodes_truenodeids": [1, 0, 3],
        "nodes_trueleafs": [0, 1, 1],
        "nodes_falsenodeids": [2, 1, 4],
        "nodes_falseleafs": [1, 1, 1],
        "leaf_targetids": [0, 1, 0, 1, 0],
        "leaf_weights": numpy_helper.from_array(rng.normal(size=5).astype(kind)),
        "n_targets": 2,
    }
    if members:
        values = np.concatenate([[*part, np.nan] for part in members]).astype(kind)
        attributes["membership_values"] = numpy_helper.from_array(values)
    return attributes


@quick
@given(
    seed=SEEDS,
    aggregate=st.integers(0, 3),
    transform=st.integers(0, 3),
    kind=st.sampled_from([np.float32, np.float64]),
)
def test_trees_by_places_are_those_of_the_runtime(
    seed: int, aggregate: int, transform: int, kind: type[np.floating[Any]]
) -> None:
    rng = np.random.default_rng(seed)
    model = ml_model(
        "TreeEnsemble",
        5,
        kind=TensorProto.FLOAT if kind is np.float32 else TensorProto.DOUBLE,
        aggregate_function=aggregate,
        post_transform=transform,
        **by_places(rng, kind),
    )
    rows = rng.choice([-1, 0, 0.5, 1, 2, 3, 40, np.nan], (30, 4)).astype(kind)
    assert_same(model, rows)


def soft(trees: TreeArrays, node: int, row: torch.Tensor, width: np.ndarray) -> torch.Tensor:
    """Return what a tree says when each node sends a row both ways, by recursion."""
    asked = trees.questions
    if asked.leaf[node]:
        votes = torch.zeros(3)
        for at in np.flatnonzero(trees.votes.given[node]):
            votes[trees.votes.target[node, at]] += float(trees.votes.weight[node, at])
        return votes
    column = int(asked.feature[node])
    threshold = asked.members[node, 0] if asked.asks_set[node] else asked.threshold[node]
    share = torch.sigmoid((float(threshold) - row[column]) / float(width[column]))
    share = 4 * share * (1 - share) if asked.asks_set[node] else share
    yes, no = (soft(trees, int(side[node]), row, width) for side in (asked.yes, asked.no))
    return share * yes + (1 - share) * no


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, modes=st.sampled_from([MODES[:1], MODES[:4], MODES]))
def test_slopes_are_those_of_soft_trees(seed: int, modes: tuple[str, ...]) -> None:
    rng = np.random.default_rng(seed)
    trees = read_by_ids(NodeAttributes(random_trees(rng, "class", [0, 1, 2], modes=modes)), "class")
    forest = make_forest(trees, 3)
    x = torch.from_numpy(rng.normal(size=(3, 5)).astype(np.float32)).requires_grad_()
    pulled = torch.from_numpy(rng.normal(size=(3, 3)).astype(np.float32))
    (found,) = torch.autograd.grad(forest(x)[0], x, pulled)
    width = column_widths(trees, forest.columns)
    says = [sum(soft(trees, int(root), row, width) for root in trees.roots) for row in x]
    (wanted,) = torch.autograd.grad((torch.stack(says) * pulled).sum(), x, allow_unused=True)
    np.testing.assert_allclose(found, torch.zeros_like(x) if wanted is None else wanted, atol=1e-4)


def stump(**changes: object) -> dict[str, Any]:
    """One question, x <= 0.5, with a vote of 1 for yes and of 0 for no."""
    return {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [2, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 0],
        "target_weights": [1.0, 0.0],
        "n_targets": 1,
    } | changes


def test_a_stump_is_a_step_with_the_slope_of_a_sigmoid(tmp_path: Path) -> None:
    model = ml_model("TreeEnsembleRegressor", 1, **stump())
    twin = twin_of(model, tmp_path, interface((4,), scores="binary_logit"))
    rows = np.array([[0, 0, 0.5, 0], [0, 0, 0.5001, 0], [0, 0, np.nan, 0]])
    np.testing.assert_array_equal(twin.forward(rows)[:, 1], [1, 0, 0])
    slopes = twin.backward(np.array([[0.0, 1.0]] * 3))
    # One threshold has no spread, so its size stands in for it.
    steepest = -1 / (4 * WIDTH * 0.5)
    np.testing.assert_allclose(slopes[:, 2], [steepest, steepest, 0], rtol=1e-4)
    assert not slopes[:, [0, 1, 3]].any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nodes_truenodeids": [7, 0, 0]}, "refers to a node that it does not have"),
        ({"nodes_truenodeids": [0, 0, 0]}, "runs in circles"),
        ({"target_ids": [0, 1]}, "votes for a target that is none of the 1"),
        ({"nodes_modes": ["BRANCH_OFTEN", "LEAF", "LEAF"]}, "has the mode BRANCH_OFTEN"),
    ],
)
def test_broken_trees_are_refused_by_name(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    model = ml_model("TreeEnsembleRegressor", 1, **stump(**changes))
    model.graph.node[0].name = "forest"
    with pytest.raises(TwinError, match=rf"TreeEnsembleRegressor.*'forest'.*{said}"):
        twin_of(model, tmp_path, interface((4,)))
