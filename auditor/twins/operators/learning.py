"""The linear part of ai.onnx.ml: what scikit-learn pipelines become."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.shapes import listed
from auditor.twins.registry import operator

ML = "ai.onnx.ml"


@operator("Scaler", domain=ML)
def scaler(attributes: Attributes, x: Tensor) -> Tensor:
    """Return ``(x - offset) * scale``, each one number or one a column."""
    offset = torch.tensor(attributes.numbers("offset"))
    return (x.to(torch.float32) - offset) * torch.tensor(attributes.numbers("scale"))


@operator("Normalizer", domain=ML)
def normalizer(attributes: Attributes, x: Tensor) -> Tensor:
    """Divide each row by its largest value, its L1 or its L2 norm."""
    norm = attributes.text("norm", "MAX")
    if norm == "MAX":
        length = x.amax(dim=-1, keepdim=True)
    else:
        length = torch.linalg.vector_norm(x, {"L1": 1, "L2": 2}[norm], dim=-1, keepdim=True)
    return x / torch.where(length == 0, torch.ones_like(length), length)


@operator("Imputer", domain=ML)
def imputer(attributes: Attributes, x: Tensor) -> Tensor:
    """Replace what stands for a missing value, NaN or a number."""
    replaced = attributes.number("replaced_value_float")
    missing = torch.isnan(x) if replaced != replaced else x == replaced  # noqa: PLR0124 -- NaN
    filler = attributes.numbers("imputed_value_floats") or attributes.numbers(
        "imputed_value_int64s"
    )
    return torch.where(missing, torch.tensor(filler), x)


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


@operator("OneHotEncoder", domain=ML)
def one_hot_encoder(attributes: Attributes, x: Tensor) -> Tensor:
    """Return one column a category; an unknown category gives zeros."""
    if attributes.has("cats_strings"):
        message = "a one-hot encoder of texts"
        raise ValueError(message)
    categories = torch.tensor(attributes.integers("cats_int64s"))
    return (x.unsqueeze(-1).to(torch.int64) == categories).to(torch.float32)


@operator("LinearRegressor", domain=ML)
def linear_regressor(attributes: Attributes, x: Tensor) -> Tensor:
    """Return one linear function of the row a target."""
    return _linear(attributes, x, attributes.integer("targets", 1))


@operator("LinearClassifier", domain=ML)
def linear_classifier(attributes: Attributes, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the place of the best class and ``[n, classes]`` scores after ``post_transform``."""
    classes = attributes.length("classlabels_ints") or attributes.length("classlabels_strings")
    rows = attributes.length("coefficients") // x.shape[-1]
    scores = _linear(attributes, x, rows)
    transform = attributes.text("post_transform", "NONE")
    if classes == 2 and rows == 1:  # noqa: PLR2004 -- two classes, one line between them
        scores = torch.cat([-scores, scores], 1)
    scores = _transform(scores, transform)
    return scores.argmax(1), scores


def _linear(attributes: Attributes, x: Tensor, rows: int) -> Tensor:
    weights = torch.tensor(attributes.numbers("coefficients")).reshape(rows, -1)
    intercepts = torch.tensor(attributes.numbers("intercepts", [0.0] * rows))
    return x.to(torch.float32) @ weights.t() + intercepts


def _transform(scores: Tensor, name: str) -> Tensor:
    if name == "NONE":
        return scores
    if name == "LOGISTIC":
        return torch.sigmoid(scores)
    if name == "SOFTMAX":
        return torch.softmax(scores, 1)
    message = f"the post transform {name}"
    raise ValueError(message)
