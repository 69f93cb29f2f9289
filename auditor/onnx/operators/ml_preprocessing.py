"""Preprocessing operators of ai.onnx.ml, such as encoders, scalers and imputers.

Texts occur only between lookup tables, because the twin's inputs are numbers. Inside the twin, a
text is a whole number taken from its digest. No gradient flows through a lookup table.
"""

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator, register_prepared
from auditor.onnx.operators.shape_operators import to_integers
from auditor.onnx.twin.torch_tensors import to_tensor

ML = "ai.onnx.ml"
NOTHING = "_Unused"
Function = Callable[[Tensor], Tensor]


def hash_text(text: bytes | str) -> int:
    """Return the whole number that stands for a text: 63 bits of its SHA-256."""
    written = text.encode() if isinstance(text, str) else text
    return int.from_bytes(hashlib.sha256(written).digest()[:8]) >> 1


def hash_texts(texts: Iterable[bytes | str]) -> Tensor:
    """Return the whole numbers that stand for texts."""
    return torch.tensor([hash_text(text) for text in texts], dtype=torch.int64)


@register_prepared("OneHotEncoder", domain=ML)
def one_hot_encoder(attributes: NodeAttributes) -> Function:
    """Return one column a category; an unknown category gives zeros.

    Raises ``ValueError`` for one where ``zeros`` forbids it.
    """
    texts = attributes.values.get("cats_strings")
    categories = hash_texts(texts) if texts else torch.tensor(attributes.integers("cats_int64s"))
    lenient = bool(attributes.integer("zeros", 1))

    def encode(x: Tensor) -> Tensor:
        found = x.unsqueeze(-1).to(torch.int64) == categories
        if not lenient and not bool(found.any(-1).all()):
            message = "a category is not among those that the model knows"
            raise ValueError(message)
        return found.to(torch.float32)

    return encode


@register_prepared("LabelEncoder", domain=ML)
def label_encoder_of_places(attributes: NodeAttributes) -> Function:
    """Return the text at a place, or the place of a text."""
    texts = hash_texts(attributes.values.get("classes_strings", ()))
    return _either_way(texts, torch.arange(len(texts)), attributes)


@register_prepared("LabelEncoder", domain=ML, since=2)
def label_encoder(attributes: NodeAttributes) -> Function:
    """Return the value that stands at a key in a table, or a default where none does."""
    values = _column(attributes, "values")
    defaults = {torch.int64: torch.tensor(attributes.integer("default_int64", -1))}
    default = defaults.get(values.dtype, torch.tensor(attributes.number("default_float", -0.0)))
    if _holds_texts(attributes, "values"):
        default = torch.tensor(hash_text(attributes.text("default_string", NOTHING)))
    given = attributes.tensor("default_tensor")
    if given is not None and given.size:
        default = _tensor(given).reshape(())
    return _table(_column(attributes, "keys"), values, default.to(values.dtype))


@register_prepared("CategoryMapper", domain=ML)
def category_mapper(attributes: NodeAttributes) -> Function:
    """Return the text that stands for a whole number, or the number that stands for a text."""
    texts = hash_texts(attributes.values.get("cats_strings", ()))
    return _either_way(texts, torch.tensor(attributes.integers("cats_int64s")), attributes)


def _either_way(texts: Tensor, numbers: Tensor, attributes: NodeAttributes) -> Function:
    """Return a table in the direction that the default of its output tells."""
    if attributes.has("default_int64") and not attributes.has("default_string"):
        return _table(texts, numbers, torch.tensor(attributes.integer("default_int64", -1)))
    unknown = hash_text(attributes.text("default_string", NOTHING))
    to_text = _table(numbers, texts, torch.tensor(unknown))
    to_number = _table(texts, numbers, torch.tensor(attributes.integer("default_int64", -1)))
    known = set(texts.tolist())

    def convert(x: Tensor) -> Tensor:
        # Numbers of classes are small and stand-ins are not, so what comes in tells which it is.
        return to_number(x) if known.intersection(x.reshape(-1).tolist()) else to_text(x)

    return convert


def _holds_texts(attributes: NodeAttributes, side: str) -> bool:
    tensor = attributes.tensor(f"{side}_tensor")
    return attributes.has(f"{side}_strings") or (tensor is not None and tensor.dtype.kind in "OSU")


def _column(attributes: NodeAttributes, side: str) -> Tensor:
    """Return the keys or the values of a table."""
    tensor = attributes.tensor(f"{side}_tensor")
    if tensor is not None:
        return _tensor(tensor).reshape(-1)
    if attributes.has(f"{side}_strings"):
        return hash_texts(attributes.values[f"{side}_strings"])
    if attributes.has(f"{side}_int64s"):
        return torch.tensor(attributes.integers(f"{side}_int64s"))
    return torch.tensor(attributes.numbers(f"{side}_floats"))


def _tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
    return hash_texts(array.reshape(-1)) if array.dtype.kind in "OSU" else to_tensor(array)


def _table(keys: Tensor, values: Tensor, default: Tensor) -> Function:
    if len(keys) != len(values):
        message = f"{len(keys)} keys stand against {len(values)} values"
        raise ValueError(message)

    def look_up(x: Tensor) -> Tensor:
        same = x.detach().unsqueeze(-1) == keys
        if keys.is_floating_point():
            same |= torch.isnan(x).unsqueeze(-1) & torch.isnan(keys)
        # The first of several equal keys counts, as in ONNX Runtime.
        return torch.where(same.any(-1), values[same.to(torch.int8).argmax(-1)], default)

    return look_up


@register_prepared("Scaler", domain=ML)
def scaler(attributes: NodeAttributes) -> Function:
    """Return ``(x - offset) * scale``, each one number or one a column."""
    offset = torch.tensor(attributes.numbers("offset"))
    scale = torch.tensor(attributes.numbers("scale"))
    return lambda x: (x.to(torch.float32) - offset) * scale


@register_operator("Normalizer", domain=ML)
def normalizer(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Divide each row by its largest value, its L1 or its L2 norm."""
    norm = attributes.text("norm", "MAX")
    if norm == "MAX":
        length = x.amax(dim=-1, keepdim=True)
    else:
        length = torch.linalg.vector_norm(x, {"L1": 1, "L2": 2}[norm], dim=-1, keepdim=True)
    return x / torch.where(length == 0, torch.ones_like(length), length)


@register_prepared("Imputer", domain=ML)
def imputer(attributes: NodeAttributes) -> Function:
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


@register_operator("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(_: NodeAttributes, x: Tensor, columns: Tensor) -> Tensor:
    """Take columns of the last axis."""
    wanted = torch.tensor(to_integers(columns), dtype=torch.int64)
    return torch.index_select(x.reshape(1, -1) if x.dim() == 1 else x, -1, wanted)


@register_operator("FeatureVectorizer", domain=ML)
def feature_vectorizer(_: NodeAttributes, *inputs: Tensor) -> Tensor:
    """Put columns side by side."""
    return torch.cat([x.to(torch.float32).reshape(x.shape[0], -1) for x in inputs], 1)


@register_operator("Binarizer", domain=ML)
def binarizer(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return 1 above a threshold, else 0; no gradient flows through it."""
    return (x > attributes.number("threshold")).to(x.dtype)
