"""Trees made at random, in the spelling of TreeEnsembleClassifier and TreeEnsembleRegressor."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from small_models import make_model

ML = "ai.onnx.ml"
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")
GRID = (-1.0, -0.5, 0.0, 0.5, 1.0)


class RandomTrees:
    """Grows trees node by node, with ids that start anew in each tree."""

    def __init__(self, rng: np.random.Generator, votes: str, targets: list[int]) -> None:
        self.rng, self.votes, self.targets = rng, votes, targets
        self.values: dict[str, list[Any]] = {
            f"nodes_{name}": []
            for name in (
                "treeids", "nodeids", "featureids", "modes", "values", "truenodeids",
                "falsenodeids", "missing_value_tracks_true",
            )
        }  # fmt: skip
        parts = ("treeids", "nodeids", "ids", "weights")
        self.values |= {f"{votes}_{name}": [] for name in parts}

    def plant(self, tree: int, depth: int, modes: tuple[str, ...], *, positive: bool) -> None:
        """Add one tree."""
        self._grow(tree, [0], depth, modes, positive=positive)

    def _grow(
        self, tree: int, taken: list[int], depth: int, modes: tuple[str, ...], *, positive: bool
    ) -> int:
        own, row = taken[0], len(self.values["nodes_treeids"])
        taken[0] += 1
        leaf = depth == 0 or (own > 0 and self.rng.random() < 0.2)
        node = {
            "treeids": tree,
            "nodeids": own,
            "featureids": 0 if leaf else int(self.rng.integers(4)),
            "modes": "LEAF" if leaf else str(self.rng.choice(modes)),
            "values": float(self.rng.choice(GRID)),
            "truenodeids": 0,
            "falsenodeids": 0,
            "missing_value_tracks_true": int(self.rng.integers(2)),
        }
        for name, value in node.items():
            self.values[f"nodes_{name}"].append(value)
        if leaf:
            self._vote(tree, own, positive=positive)
            return own
        for side in ("truenodeids", "falsenodeids"):
            child = self._grow(tree, taken, depth - 1, modes, positive=positive)
            self.values[f"nodes_{side}"][row] = child
        return own

    def _vote(self, tree: int, node: int, *, positive: bool) -> None:
        # Not every leaf votes for every target.
        for target in self.targets if self.rng.random() < 0.7 else self.targets[:1]:
            weight = float(self.rng.normal() * 0.3)
            vote = (tree, node, target, abs(weight) if positive else weight)
            for name, value in zip(("treeids", "nodeids", "ids", "weights"), vote, strict=True):
                self.values[f"{self.votes}_{name}"].append(value)


def random_trees(
    rng: np.random.Generator,
    votes: str,
    targets: list[int],
    *,
    modes: tuple[str, ...] = MODES,
    positive: bool = False,
) -> dict[str, Any]:
    """Return the attributes of one to four trees of depth three on four columns."""
    made = RandomTrees(rng, votes, targets)
    for tree in range(int(rng.integers(1, 5))):
        made.plant(tree, 3, modes, positive=positive)
    return made.values


def ml_model(
    operator: str, version: int, *, kind: int = TensorProto.FLOAT, **attributes: object
) -> onnx.ModelProto:
    """Return a model of one operator of ai.onnx.ml on four columns."""
    outputs = ["label", "scores"] if operator.endswith("Classifier") else ["scores"]
    node = helper.make_node(operator, ["x"], outputs, domain=ML, **attributes)
    model = make_model([node], {}, ["n", 4], kind=kind, outputs=tuple(outputs))
    model.opset_import[1].version = version
    return model


def rows_with_gaps(rng: np.random.Generator, count: int = 24) -> np.ndarray:
    """Return rows that hit thresholds exactly, fall between them, or are missing."""
    return rng.choice([*GRID, 0.25, np.nan], (count, 4)).astype(np.float32)
