"""What classifiers and regressors of ai.onnx.ml do to their scores at the end."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from auditor.twins.graphs import Attributes
from auditor.twins.heads import LEAST_SHARE, LOGARITHM

NEARLY_ZERO = 1e-7
ROOT_OF_TWO = 1.41421356
WINITZKI = 0.147


def asks_logarithm(attributes: Attributes) -> bool:
    """Whether the head of the graph wants logarithms of this node's scores."""
    return bool(attributes.integer(LOGARITHM))


def class_count(attributes: Attributes) -> int:
    """Return how many classes a classifier names."""
    names = ("classlabels_ints", "classlabels_int64s", "classlabels_strings")
    return max(attributes.length(name) for name in names)


def labels_at(attributes: Attributes, places: Tensor) -> Tensor:
    """Return the whole numbers that name classes; classes named by texts keep their places."""
    names = attributes.integers("classlabels_ints") or attributes.integers("classlabels_int64s")
    return torch.tensor(names)[places] if names else places


def transformed(scores: Tensor, name: str, *, logarithm: bool = False) -> Tensor:
    """Return ``[n, k]`` scores after a post transform, or the logarithm of that.

    Raises ``ValueError`` for a transform that the standard does not name.
    """
    if logarithm and name == "LOGISTIC":
        return functional.logsigmoid(scores)
    if logarithm and name == "SOFTMAX":
        return torch.log_softmax(scores, 1)
    if logarithm:
        return log_of_shares(transformed(scores, name))
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
