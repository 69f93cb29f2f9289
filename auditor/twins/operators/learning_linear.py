"""The linear models of ai.onnx.ml."""

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.learning_scores import (
    asks_logarithm,
    class_count,
    labels_at,
    transformed,
)
from auditor.twins.registry import prepared

ML = "ai.onnx.ml"


@prepared("LinearRegressor", domain=ML)
def linear_regressor(attributes: Attributes) -> Callable[[Tensor], Tensor]:
    """Return one linear function of the row a target."""
    line = _lines(attributes, attributes.integer("targets", 1))
    transform = attributes.text("post_transform", "NONE")

    def regress(x: Tensor) -> Tensor:
        scores = line(x)
        # ONNX Runtime gives a single score no other transform than this one.
        known = scores.shape[1] > 1 or transform == "PROBIT"
        return transformed(scores, transform) if known else scores

    return regress


@prepared("LinearClassifier", domain=ML)
def linear_classifier(attributes: Attributes) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return labels and ``[n, classes]`` scores after ``post_transform``.

    One line between two classes gives LOGISTIC of ``-s`` and ``s``, or else ``1 - s`` and ``s``.
    """
    classes = class_count(attributes)
    rows = attributes.length("intercepts") or max(classes, 1)
    line = _lines(attributes, rows)
    transform = attributes.text("post_transform", "NONE")
    logarithm = asks_logarithm(attributes)

    def classify(x: Tensor) -> tuple[Tensor, Tensor]:
        scores = line(x)
        if rows > 1:
            found = transformed(scores, transform, logarithm=logarithm)
            return labels_at(attributes, scores.argmax(1)), found
        labels = labels_at(attributes, (scores[:, 0] > 0).to(torch.int64))
        return labels, _sides(scores, classes, transform, logarithm=logarithm)

    return classify


def _sides(scores: Tensor, classes: int, transform: str, *, logarithm: bool) -> Tensor:
    if classes != 2:  # noqa: PLR2004 -- two classes, one line between them
        return transformed(scores, transform, logarithm=logarithm)
    if transform == "PROBIT":
        message = "ONNX Runtime makes no second score out of one PROBIT"
        raise ValueError(message)
    if transform == "LOGISTIC":
        pair = torch.cat([-scores, scores], 1)
        return transformed(pair, transform, logarithm=logarithm)
    return transformed(torch.cat([1 - scores, scores], 1), "NONE", logarithm=logarithm)


def _lines(attributes: Attributes, rows: int) -> Callable[[Tensor], Tensor]:
    weights = torch.tensor(attributes.numbers("coefficients")).reshape(rows, -1).t().contiguous()
    intercepts = torch.tensor(attributes.numbers("intercepts", [0.0] * rows))
    return lambda x: x.to(torch.float32).reshape(-1, weights.shape[0]) @ weights + intercepts
