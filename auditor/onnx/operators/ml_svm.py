"""Support vector machines of ai.onnx.ml, with kernels and pairwise coupling.

The models follow libsvm and liblinear. Kernels are computed in float64.

``couple_probabilities`` follows Wu, Lin and Weng, "Probability estimates for multi-class
classification by pairwise coupling", JMLR 5 (2004), algorithm 2: the ``p`` that minimises
``p' Q p`` over probabilities, where ``Q`` is made of the pairs. libsvm and ONNX Runtime stop early,
so their steps are repeated here for the value. The gradient is that of the minimum itself, which a
linear system gives.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_prepared
from auditor.onnx.operators.ml_linear import (
    apply_post_transform,
    class_count,
    labels_at,
    wants_logarithm,
)

MOST_LOOPS = 100
TOLERANCE = 0.005


def couple_probabilities(pairs: Tensor) -> Tensor:
    """Return ``[n, k]`` probabilities of ``[n, k, k]``: how likely ``i`` is against ``j``."""
    with torch.no_grad():
        iterated_quadratic = _quadratic(pairs)
        iterated_rows, iterated_classes = pairs.shape[:2]
        value = torch.full(
            (iterated_rows, iterated_classes), 1.0 / iterated_classes, dtype=pairs.dtype
        )
        moving = torch.arange(iterated_rows)
        for _ in range(MOST_LOOPS):
            part, p = iterated_quadratic[moving], value[moving]
            # `Q p` and `p' Q p`, added from the first class on as ONNX Runtime does
            product = torch.zeros_like(p)
            total = torch.zeros_like(p[:, 0])
            for at in range(p.shape[1]):
                product = product + part[:, :, at] * p[:, at : at + 1]
            for at in range(p.shape[1]):
                total = total + p[:, at] * product[:, at]
            off = (product - total[:, None]).abs().amax(1)
            keep = off >= TOLERANCE / iterated_classes
            if not bool(keep.any()):
                break
            moving = moving[keep]
            value[moving] = _swept(part[keep], p[keep], product[keep], total[keep])
    quadratic = _quadratic(pairs.double())
    rows, classes = pairs.shape[:2]
    ones = torch.ones(rows, classes, 1, dtype=torch.float64)
    corner = torch.zeros(rows, 1, 1, dtype=torch.float64)
    upper = torch.cat([quadratic, ones], 2)
    lower = torch.cat([ones.transpose(1, 2), corner], 2)
    wanted = torch.zeros(rows, classes + 1, dtype=torch.float64)
    wanted[:, -1] = 1
    solved: Tensor = torch.linalg.solve(torch.cat([upper, lower], 1), wanted)
    minimum = solved[:, :classes].to(pairs.dtype)
    return value + (minimum - minimum.detach())


def _quadratic(pairs: Tensor) -> Tensor:
    """Return ``[n, k, k]`` with sums of squares on the diagonal, as ONNX Runtime adds them."""
    flipped = pairs.transpose(1, 2)
    classes = pairs.shape[1]
    off = 1 - torch.eye(classes, dtype=pairs.dtype)
    diagonal = torch.zeros(pairs.shape[:2], dtype=pairs.dtype)
    for other in range(classes):
        diagonal = diagonal + off[other] * flipped[:, :, other] ** 2
    return -pairs * flipped * off + torch.diag_embed(diagonal)


def _swept(quadratic: Tensor, p: Tensor, product: Tensor, total: Tensor) -> Tensor:
    """Move one class after the other."""
    for at in range(p.shape[1]):
        own = quadratic[:, at, at]
        step = (-product[:, at] + total) / own
        p = p.clone()
        p[:, at] += step
        total = (total + step * (step * own + 2 * product[:, at])) / (1 + step) / (1 + step)
        scale = (1 + step)[:, None]
        product = (product + step[:, None] * quadratic[:, at]) / scale
        p = p / scale
    return p


Kernel = Callable[[Tensor, Tensor], Tensor]
KERNELS = ("LINEAR", "POLY", "RBF", "SIGMOID")


def read_kernel(attributes: NodeAttributes) -> Kernel:
    """Return the function of ``[n, f]`` rows and ``[m, f]`` vectors that gives ``[n, m]``.

    Raises ``ValueError`` for a kernel that the standard does not name.
    """
    name = attributes.text("kernel_type", "LINEAR")
    gamma, coef0, degree = attributes.numbers("kernel_params") or (0.0, 0.0, 0.0)
    # Squared distances; in float64 the squares may be multiplied out
    kernels: dict[str, Kernel] = {
        "LINEAR": lambda x, vectors: x @ vectors.t(),
        "POLY": lambda x, vectors: (gamma * (x @ vectors.t()) + coef0) ** degree,
        "RBF": lambda x, vectors: torch.exp(
            -gamma
            * (((x * x).sum(1, keepdim=True) + (vectors * vectors).sum(1)) - 2 * (x @ vectors.t()))
        ),
        "SIGMOID": lambda x, vectors: torch.tanh(gamma * (x @ vectors.t()) + coef0),
    }
    if name not in kernels:
        message = f"the kernel {name}"
        raise ValueError(message)
    return kernels[name]


def read_matrix(attributes: NodeAttributes, name: str, rows: int) -> Tensor:
    """Return a list of numbers as ``[rows, ...]`` in float64."""
    return torch.tensor(attributes.numbers(name), dtype=torch.float64).reshape(rows, -1)


ML = "ai.onnx.ml"
LEAST_PROBABILITY = 1e-7
Function = Callable[[Tensor], Tensor]
Classifier = Callable[[Tensor], tuple[Tensor, Tensor]]


@register_prepared("SVMRegressor", domain=ML)
def svm_regressor(attributes: NodeAttributes) -> Function:
    """Return ``[n, 1]``: a function of the kernels, or its sign for a detector of outliers.

    The sign has the slope of the function.
    """
    supports = attributes.integer("n_supports")
    offset = attributes.numbers("rho")[0]
    one_class = bool(attributes.integer("one_class"))
    if supports:
        kernel, vectors = (
            read_kernel(attributes),
            read_matrix(attributes, "support_vectors", supports),
        )
        weights = read_matrix(attributes, "coefficients", supports)
    else:
        weights = read_matrix(attributes, "coefficients", attributes.length("coefficients"))

    def regress(x: Tensor) -> Tensor:
        wide = x.to(torch.float64)
        found = ((kernel(wide, vectors) if supports else wide) @ weights + offset).to(torch.float32)
        if not one_class:
            return found
        return torch.where(found > 0, 1.0, -1.0) + (found - found.detach())

    return regress


@register_prepared("SVMClassifier", domain=ML)
def svm_classifier(attributes: NodeAttributes) -> Classifier:
    """Return labels and scores: a class each, or a pair of classes where there is no calibration.

    Two classes without calibration give ``-s`` and ``s``, or ``1 - s`` and ``s`` where another
    transform than LOGISTIC is asked for, as in ONNX Runtime.
    """
    if not attributes.length("vectors_per_class"):
        return _by_lines(attributes)
    decide = _decisions(attributes)
    transform = attributes.text("post_transform", "NONE")
    logarithm = wants_logarithm(attributes)
    couple = _coupling(attributes) if attributes.length("prob_a") else None
    # `[2, pairs, classes]`: for whom a pair votes, where it decides no, and yes
    classes = class_count(attributes)
    first, second = (torch.from_numpy(side) for side in np.triu_indices(classes, 1))
    each = torch.eye(classes, dtype=torch.int64)
    votes = torch.stack([each[second], each[first]])
    # A function from decisions to the labels with most votes
    no, yes = votes

    def label(decisions: Tensor) -> Tensor:
        wins = (decisions > 0).unsqueeze(-1)
        return labels_at(attributes, torch.where(wins, yes, no).sum(1).argmax(1))

    def classify(x: Tensor) -> tuple[Tensor, Tensor]:
        decisions = decide(x)
        if couple is not None:
            return label(decisions), apply_post_transform(
                couple(decisions), transform, logarithm=logarithm
            )
        if decisions.shape[1] > 1:
            return label(decisions), apply_post_transform(decisions, transform, logarithm=logarithm)
        other = -decisions if transform in {"NONE", "LOGISTIC"} else 1 - decisions
        pair = torch.cat([other, decisions], 1)
        known = transform if transform == "LOGISTIC" else "NONE"
        return label(decisions), apply_post_transform(pair, known, logarithm=logarithm)

    return classify


def _by_lines(attributes: NodeAttributes) -> Classifier:
    classes = class_count(attributes)
    weights = read_matrix(attributes, "coefficients", classes).to(torch.float32).t().contiguous()
    offset = attributes.numbers("rho")[0]
    transform = attributes.text("post_transform", "NONE")
    logarithm = wants_logarithm(attributes)

    def classify(x: Tensor) -> tuple[Tensor, Tensor]:
        scores = x.to(torch.float32) @ weights + offset
        found = apply_post_transform(scores, transform, logarithm=logarithm)
        return labels_at(attributes, scores.argmax(1)), found

    return classify


def _decisions(attributes: NodeAttributes) -> Function:
    """Return a function to ``[n, pairs]`` decisions, positive for the first class of the pair."""
    counts = attributes.integers("vectors_per_class")
    kernel = read_kernel(attributes)
    vectors = read_matrix(attributes, "support_vectors", sum(counts))
    coefficients = read_matrix(attributes, "coefficients", len(counts) - 1)
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


def _coupling(attributes: NodeAttributes) -> Function:
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
        return couple_probabilities(pairs)

    return couple
