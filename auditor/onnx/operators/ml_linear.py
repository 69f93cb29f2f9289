"""Linear models of ai.onnx.ml, and the post-transforms of scores that its classifiers share."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_prepared
from auditor.onnx.output_heads import LEAST_SHARE, LOGARITHM

NEARLY_ZERO = 1e-7
ROOT_OF_TWO = 1.41421356
WINITZKI = 0.147


def wants_logarithm(attributes: NodeAttributes) -> bool:
    """Whether the head of the graph wants logarithms of this node's scores."""
    return bool(attributes.integer(LOGARITHM))


def class_count(attributes: NodeAttributes) -> int:
    """Return how many classes a classifier names."""
    names = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
    return max(attributes.length(name) for name in names)


def labels_at(attributes: NodeAttributes, places: Tensor) -> Tensor:
    """Return the whole numbers that name classes; classes named by texts keep their places."""
    names = attributes.integers("classlabels_ints") or attributes.integers("classlabels_int64s")
    return torch.tensor(names)[places] if names else places


def apply_post_transform(scores: Tensor, name: str, *, logarithm: bool = False) -> Tensor:
    """Return ``[n, k]`` scores after a post transform, or the logarithm of that.

    Raises ``ValueError`` for a transform that the standard does not name.
    """
    if logarithm and name == "LOGISTIC":
        return functional.logsigmoid(scores)
    if logarithm and name == "SOFTMAX":
        return torch.log_softmax(scores, 1)
    if logarithm:
        return log_of_shares(apply_post_transform(scores, name))
    if name not in TRANSFORMS:
        message = f"the post transform {name}"
        raise ValueError(message)
    return TRANSFORMS[name](scores)


def log_of_shares(scores: Tensor) -> Tensor:
    """Return logarithms of shares of votes; a share of 0 has one too, and a slope."""
    return torch.log(torch.clamp(scores, min=0.0) + LEAST_SHARE)


def probit(scores: Tensor) -> Tensor:
    """Return quantiles of the normal distribution by ONNX Runtime's formula (Winitzki 2008)."""
    centred = 2 * scores - 1
    log = torch.log((1 - centred) * (1 + centred))
    half = 2 / (3.14159 * WINITZKI) + 0.5 * log
    squared = torch.sqrt(half * half - log / WINITZKI) - half
    size = torch.sqrt(torch.clamp(squared, min=1e-14))
    return ROOT_OF_TWO * torch.where(centred < 0, -size, size)


def softmax_of_others_than_zero(scores: Tensor) -> Tensor:
    """Return a softmax in which scores of 0 stay 0."""
    largest = scores.amax(1, keepdim=True)
    counted = scores.abs() > NEARLY_ZERO
    powers = torch.where(counted, torch.exp(scores - largest), scores * torch.exp(-largest))
    return powers / powers.sum(1, keepdim=True)


TRANSFORMS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "NONE": lambda scores: scores,
    "LOGISTIC": torch.sigmoid,
    "SOFTMAX": lambda scores: torch.softmax(scores, 1),
    "SOFTMAX_ZERO": softmax_of_others_than_zero,
    "PROBIT": probit,
}


ML = "ai.onnx.ml"


@register_prepared("LinearRegressor", domain=ML)
def linear_regressor(attributes: NodeAttributes) -> Callable[[Tensor], Tensor]:
    """Return one linear function of the row a target."""
    line = _lines(attributes, attributes.integer("targets", 1))
    transform = attributes.text("post_transform", "NONE")

    def regress(x: Tensor) -> Tensor:
        scores = line(x)
        # ONNX Runtime gives a single score no other transform than this one.
        known = scores.shape[1] > 1 or transform == "PROBIT"
        return apply_post_transform(scores, transform) if known else scores

    return regress


@register_prepared("LinearClassifier", domain=ML)
def linear_classifier(attributes: NodeAttributes) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return labels and ``[n, classes]`` scores after ``post_transform``.

    One line between two classes gives LOGISTIC of ``-s`` and ``s``, or else ``1 - s`` and ``s``.
    """
    classes = class_count(attributes)
    rows = attributes.length("intercepts") or max(classes, 1)
    line = _lines(attributes, rows)
    transform = attributes.text("post_transform", "NONE")
    logarithm = wants_logarithm(attributes)

    def classify(x: Tensor) -> tuple[Tensor, Tensor]:
        scores = line(x)
        if rows > 1:
            found = apply_post_transform(scores, transform, logarithm=logarithm)
            return labels_at(attributes, scores.argmax(1)), found
        labels = labels_at(attributes, (scores[:, 0] > 0).to(torch.int64))
        return labels, _sides(scores, classes, transform, logarithm=logarithm)

    return classify


def _sides(scores: Tensor, classes: int, transform: str, *, logarithm: bool) -> Tensor:
    if classes != 2:  # noqa: PLR2004 -- two classes, one line between them
        return apply_post_transform(scores, transform, logarithm=logarithm)
    if transform == "PROBIT":
        message = "ONNX Runtime makes no second score out of one PROBIT"
        raise ValueError(message)
    if transform == "LOGISTIC":
        pair = torch.cat([-scores, scores], 1)
        return apply_post_transform(pair, transform, logarithm=logarithm)
    return apply_post_transform(torch.cat([1 - scores, scores], 1), "NONE", logarithm=logarithm)


def _lines(attributes: NodeAttributes, rows: int) -> Callable[[Tensor], Tensor]:
    weights = torch.tensor(attributes.numbers("coefficients")).reshape(rows, -1).t().contiguous()
    intercepts = torch.tensor(attributes.numbers("intercepts", [0.0] * rows))
    return lambda x: x.to(torch.float32).reshape(-1, weights.shape[0]) @ weights + intercepts
