"""The tree ensembles of ai.onnx.ml: rows walk them exactly, slopes come back smoothly."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.learning_scores import (
    asks_logarithm,
    class_count,
    labels_at,
    transformed,
)
from auditor.twins.operators.trees_forests import make_forest
from auditor.twins.operators.trees_reading import Trees, read_by_ids, read_by_places, reals
from auditor.twins.operators.trees_sides import Sides
from auditor.twins.registry import prepared

ML = "ai.onnx.ml"
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
TRANSFORMS = ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT")
"""In the order in which ONNX Runtime counts them; the standard counts SOFTMAX before LOGISTIC."""

Scores = Callable[[Tensor], Tensor]
Votes = Callable[[Tensor], tuple[Tensor, Tensor]]


@prepared("TreeEnsembleClassifier", domain=ML)
def tree_ensemble_classifier(attributes: Attributes) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return labels and ``[n, classes]`` scores after ``post_transform``."""
    classes = class_count(attributes)
    forest = make_forest(read_by_ids(attributes, "class"), classes)
    base = torch.from_numpy(reals(attributes, "base_values"))
    transform = attributes.text("post_transform", "NONE")
    logarithm = asks_logarithm(attributes)
    sides = Sides.of(attributes, base, transform)
    # Of two classes that both get votes, ONNX Runtime gives the places as labels.
    named = classes != 2 or sides.one_sided  # noqa: PLR2004 -- two classes have rules of their own

    def classify(x: Tensor) -> tuple[Tensor, Tensor]:
        sums, voted = forest(_rows(x))
        if classes == 2:  # noqa: PLR2004 -- two classes have rules of their own
            places, scores = sides.scores(sums, voted, logarithm=logarithm)
        else:
            sums = sums + base if len(base) else sums
            places = torch.where(voted | (len(base) > 0), sums, -torch.inf).argmax(1)
            known = classes > 1 or transform == "PROBIT"
            scores = transformed(sums, transform if known else "NONE", logarithm=logarithm)
        labels = labels_at(attributes, places) if named else places
        return labels, scores.to(torch.float32)

    return classify


@prepared("TreeEnsembleRegressor", domain=ML)
def tree_ensemble_regressor(attributes: Attributes) -> Scores:
    """Return ``[n, targets]`` votes, aggregated."""
    return _regressor(
        read_by_ids(attributes, "target"),
        attributes.integer("n_targets", 1),
        aggregate=attributes.text("aggregate_function", "SUM"),
        base=torch.from_numpy(reals(attributes, "base_values")),
        transform=attributes.text("post_transform", "NONE"),
    )


@prepared("TreeEnsemble", domain=ML, since=5)
def tree_ensemble(attributes: Attributes) -> Scores:
    """Return ``[n, targets]`` votes, aggregated, of trees whose nodes are counted by place."""
    return _regressor(
        read_by_places(attributes),
        attributes.integer("n_targets", 1),
        aggregate=AGGREGATES[attributes.integer("aggregate_function", 1)],
        base=torch.zeros(0),
        transform=TRANSFORMS[attributes.integer("post_transform")],
    )


def _regressor(
    trees: Trees, targets: int, *, aggregate: str, base: Tensor, transform: str
) -> Scores:
    votes = _aggregated(trees, targets, aggregate)
    # ONNX Runtime gives a single score no other transform than this one.
    transform = transform if targets > 1 or transform == "PROBIT" else "NONE"

    def regress(x: Tensor) -> Tensor:
        scores, voted = votes(_rows(x))
        scores = scores + base if len(base) == targets else scores
        if targets > 1:
            # A target without a vote has the score 0, whatever its base value.
            scores = torch.where(voted, scores, 0.0)
        return transformed(scores, transform).to(torch.float32)

    return regress


def _aggregated(trees: Trees, targets: int, aggregate: str) -> Votes:
    """Return a function to ``[n, targets]`` votes, and which targets got any."""
    if aggregate in {"MIN", "MAX"}:
        each = [make_forest(replace(trees, roots=root[None]), targets) for root in trees.roots]
        return lambda x: _extreme([tree(x) for tree in each], aggregate)
    if aggregate not in AGGREGATES:
        message = f"the aggregate function {aggregate}"
        raise ValueError(message)
    forest = make_forest(trees, targets)
    if aggregate == "SUM":
        return forest

    def average(x: Tensor) -> tuple[Tensor, Tensor]:
        sums, voted = forest(x)
        return sums / len(trees.roots), voted

    return average


def _extreme(votes: list[tuple[Tensor, Tensor]], aggregate: str) -> tuple[Tensor, Tensor]:
    sign = 1 if aggregate == "MAX" else -1
    cast = torch.stack([voted for _, voted in votes])
    signed = torch.stack([sign * sums for sums, _ in votes])
    best = torch.where(cast, signed, -torch.inf).amax(0)
    return sign * torch.where(cast.any(0), best, 0.0), cast.any(0)


def _rows(x: Tensor) -> Tensor:
    known = x if x.is_floating_point() else x.to(torch.float32)
    return known.reshape(-1, x.shape[-1])
