"""The preparing part of ai.onnx.ml: what scikit-learn pipelines do to columns before a model."""

from collections.abc import Callable

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.registry import operator, prepared

ML = "ai.onnx.ml"
Function = Callable[[Tensor], Tensor]


@prepared("Scaler", domain=ML)
def scaler(attributes: Attributes) -> Function:
    """Return ``(x - offset) * scale``, each one number or one a column."""
    offset = torch.tensor(attributes.numbers("offset"))
    scale = torch.tensor(attributes.numbers("scale"))
    return lambda x: (x.to(torch.float32) - offset) * scale


@operator("Normalizer", domain=ML)
def normalizer(attributes: Attributes, x: Tensor) -> Tensor:
    """Divide each row by its largest value, its L1 or its L2 norm."""
    norm = attributes.text("norm", "MAX")
    if norm == "MAX":
        length = x.amax(dim=-1, keepdim=True)
    else:
        length = torch.linalg.vector_norm(x, {"L1": 1, "L2": 2}[norm], dim=-1, keepdim=True)
    return x / torch.where(length == 0, torch.ones_like(length), length)


@prepared("Imputer", domain=ML)
def imputer(attributes: Attributes) -> Function:
    """Replace what stands for a missing value, NaN or a number."""
    replaced = attributes.number("replaced_value_float")
    filler = torch.tensor(
        attributes.numbers("imputed_value_floats") or attributes.numbers("imputed_value_int64s")
    )
    if attributes.has("imputed_value_int64s"):
        replaced = float(attributes.integer("replaced_value_int64"))

    def impute(x: Tensor) -> Tensor:
        missing = torch.isnan(x) if replaced != replaced else x == replaced  # noqa: PLR0124 -- NaN
        return torch.where(missing, filler.to(x.dtype), x)

    return impute


@operator("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(_: Attributes, x: Tensor, columns: Tensor) -> Tensor:
    """Take columns of the last axis."""
    wanted = torch.tensor(listed(columns), dtype=torch.int64)
    return torch.index_select(x.reshape(1, -1) if x.dim() == 1 else x, -1, wanted)


@operator("FeatureVectorizer", domain=ML)
def feature_vectorizer(_: Attributes, *inputs: Tensor) -> Tensor:
    """Put columns side by side."""
    return torch.cat([x.to(torch.float32).reshape(x.shape[0], -1) for x in inputs], 1)


@operator("Binarizer", domain=ML)
def binarizer(attributes: Attributes, x: Tensor) -> Tensor:
    """Return 1 above a threshold, else 0; no gradient flows through it."""
    return (x > attributes.number("threshold")).to(x.dtype)
