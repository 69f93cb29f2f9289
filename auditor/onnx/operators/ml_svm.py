"""The support vector machines of ai.onnx.ml, as libsvm and liblinear keep them."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.learning_scores import (
    asks_logarithm,
    class_count,
    labels_at,
    transformed,
)
from auditor.twins.operators.vectors_coupling import coupled
from auditor.twins.operators.vectors_kernels import matrix, read_kernel
from auditor.twins.registry import prepared

ML = "ai.onnx.ml"
LEAST_PROBABILITY = 1e-7
Function = Callable[[Tensor], Tensor]
Classifier = Callable[[Tensor], tuple[Tensor, Tensor]]


@prepared("SVMRegressor", domain=ML)
def svm_regressor(attributes: Attributes) -> Function:
    """Return ``[n, 1]``: a function of the kernels, or its sign for a detector of outliers.

    The sign has the slope of the function.
    """
    supports = attributes.integer("n_supports")
    offset = attributes.numbers("rho")[0]
    one_class = bool(attributes.integer("one_class"))
    if supports:
        kernel, vectors = read_kernel(attributes), matrix(attributes, "support_vectors", supports)
        weights = matrix(attributes, "coefficients", supports)
    else:
        weights = matrix(attributes, "coefficients", attributes.length("coefficients"))

    def regress(x: Tensor) -> Tensor:
        wide = x.to(torch.float64)
        found = ((kernel(wide, vectors) if supports else wide) @ weights + offset).to(torch.float32)
        if not one_class:
            return found
        return torch.where(found > 0, 1.0, -1.0) + (found - found.detach())

    return regress


@prepared("SVMClassifier", domain=ML)
def svm_classifier(attributes: Attributes) -> Classifier:
    """Return labels and scores: a class each, or a pair of classes where there is no calibration.

    Two classes without calibration give ``-s`` and ``s``, or ``1 - s`` and ``s`` where another
    transform than LOGISTIC is asked for, as in ONNX Runtime.
    """
    if not attributes.length("vectors_per_class"):
        return _by_lines(attributes)
    decide = _decisions(attributes)
    transform = attributes.text("post_transform", "NONE")
    logarithm = asks_logarithm(attributes)
    couple = _coupling(attributes) if attributes.length("prob_a") else None
    votes = _votes(class_count(attributes))
    label = _labels(attributes, votes)

    def classify(x: Tensor) -> tuple[Tensor, Tensor]:
        decisions = decide(x)
        if couple is not None:
            return label(decisions), transformed(couple(decisions), transform, logarithm=logarithm)
        if decisions.shape[1] > 1:
            return label(decisions), transformed(decisions, transform, logarithm=logarithm)
        other = -decisions if transform in {"NONE", "LOGISTIC"} else 1 - decisions
        pair = torch.cat([other, decisions], 1)
        known = transform if transform == "LOGISTIC" else "NONE"
        return label(decisions), transformed(pair, known, logarithm=logarithm)

    return classify


def _by_lines(attributes: Attributes) -> Classifier:
    classes = class_count(attributes)
    weights = matrix(attributes, "coefficients", classes).to(torch.float32).t().contiguous()
    offset = attributes.numbers("rho")[0]
    transform = attributes.text("post_transform", "NONE")
    logarithm = asks_logarithm(attributes)

    def classify(x: Tensor) -> tuple[Tensor, Tensor]:
        scores = x.to(torch.float32) @ weights + offset
        found = transformed(scores, transform, logarithm=logarithm)
        return labels_at(attributes, scores.argmax(1)), found

    return classify


def _decisions(attributes: Attributes) -> Function:
    """Return a function to ``[n, pairs]`` decisions, positive for the first class of the pair."""
    counts = attributes.integers("vectors_per_class")
    kernel = read_kernel(attributes)
    vectors = matrix(attributes, "support_vectors", sum(counts))
    coefficients = matrix(attributes, "coefficients", len(counts) - 1)
    pairs = list(combinations(range(len(counts)), 2))
    ends = np.cumsum(counts)
    weights = torch.zeros(sum(counts), len(pairs), dtype=torch.float64)
    for column, (first, second) in enumerate(pairs):
        own = slice(ends[first] - counts[first], ends[first])
        others = slice(ends[second] - counts[second], ends[second])
        weights[own, column] = coefficients[second - 1, own]
        weights[others, column] = coefficients[first, others]
    offsets = torch.tensor(attributes.numbers("rho")[: len(pairs)], dtype=torch.float64)

    def decide(x: Tensor) -> Tensor:
        return (kernel(x.to(torch.float64), vectors) @ weights + offsets).to(torch.float32)

    return decide


def _coupling(attributes: Attributes) -> Function:
    """Return a function from decisions to ``[n, classes]`` probabilities (Platt, then coupling)."""
    classes = class_count(attributes)
    slope = torch.tensor(attributes.numbers("prob_a"))
    offset = torch.tensor(attributes.numbers("prob_b"))
    first, second = np.triu_indices(classes, 1)

    def couple(decisions: Tensor) -> Tensor:
        one = torch.sigmoid(-(decisions * slope + offset))
        one = torch.clamp(one, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        pairs = torch.zeros(len(decisions), classes, classes)
        pairs[:, first, second] = one
        pairs[:, second, first] = 1 - one
        return coupled(pairs)

    return couple


def _votes(classes: int) -> Tensor:
    """Return ``[2, pairs, classes]``: for whom a pair votes, where it decides no, and yes."""
    first, second = (torch.from_numpy(side) for side in np.triu_indices(classes, 1))
    each = torch.eye(classes, dtype=torch.int64)
    return torch.stack([each[second], each[first]])


def _labels(attributes: Attributes, votes: Tensor) -> Function:
    """Return a function from decisions to the labels with most votes."""
    no, yes = votes

    def label(decisions: Tensor) -> Tensor:
        wins = (decisions > 0).unsqueeze(-1)
        return labels_at(attributes, torch.where(wins, yes, no).sum(1).argmax(1))

    return label
