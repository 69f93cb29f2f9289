"""Forests that scikit-learn grew, and the operator that gives the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import helper

from auditor.domain.tasks import Floats
from auditor.zoo.parts import ML, OUTPUT, Parts


@dataclass(frozen=True, slots=True)
class Forest:
    """Decision trees that vote, as scikit-learn grew them."""

    trees: tuple[Any, ...]

    def scores(self, rows: Floats) -> Floats:
        """Return probabilities ``[n, classes]``."""
        asked = np.asarray(rows, dtype=np.float32)
        votes = [_shares(tree)[tree.apply(asked)] for tree in self.trees]
        return np.asarray(np.mean(votes, axis=0), dtype=np.float64)

    def parts(self, into: str = OUTPUT) -> Parts:
        """Return the operator, which writes ``into`` that name."""
        node = helper.make_node(
            "TreeEnsembleRegressor", ["x"], [into], domain=ML, **_ensemble(self.trees)
        )
        first = self.trees[0]
        return Parts((node,), (), first.n_features, _shares(first).shape[1])


def _shares(tree: Any) -> Floats:  # noqa: ANN401 -- scikit-learn's
    counts = tree.value[:, 0, :]
    shares: Floats = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _ensemble(trees: Sequence[Any]) -> dict[str, Any]:
    """Return the attributes of the operator: every node of every tree, and every leaf's shares."""
    nodes: dict[str, list[Any]] = {
        name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes")
    } | {"truenodeids": [], "falsenodeids": []}
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(trees):
        shares = _shares(tree) / len(trees)
        for node in range(tree.node_count):
            leaf = tree.children_left[node] < 0
            nodes["treeids"].append(number)
            nodes["nodeids"].append(node)
            nodes["featureids"].append(0 if leaf else int(tree.feature[node]))
            nodes["values"].append(0.0 if leaf else float(tree.threshold[node]))
            nodes["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            nodes["truenodeids"].append(0 if leaf else int(tree.children_left[node]))
            nodes["falsenodeids"].append(0 if leaf else int(tree.children_right[node]))
            if leaf:
                for place, share in enumerate(shares[node]):
                    leaves["treeids"].append(number)
                    leaves["nodeids"].append(node)
                    leaves["ids"].append(place)
                    leaves["weights"].append(float(share))
    return {
        **{f"nodes_{name}": values for name, values in nodes.items()},
        **{f"target_{name}": values for name, values in leaves.items()},
        "n_targets": shares.shape[1],
        "post_transform": "NONE",
        "aggregate_function": "SUM",
    }
