"""Tables of ai.onnx.ml from values to values. No gradient flows through a table.

Texts occur only between tables, for what a twin is given are numbers: inside a twin a text is a
whole number, taken from its digest.
"""

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import prepared
from auditor.twins.tensors import to_tensor

ML = "ai.onnx.ml"
NOTHING = "_Unused"
Function = Callable[[Tensor], Tensor]


def stand_in(text: bytes | str) -> int:
    """Return the whole number that stands for a text: 63 bits of its SHA-256."""
    written = text.encode() if isinstance(text, str) else text
    return int.from_bytes(hashlib.sha256(written).digest()[:8]) >> 1


def stand_ins(texts: Iterable[bytes | str]) -> Tensor:
    """Return the whole numbers that stand for texts."""
    return torch.tensor([stand_in(text) for text in texts], dtype=torch.int64)


@prepared("OneHotEncoder", domain=ML)
def one_hot_encoder(attributes: Attributes) -> Function:
    """Return one column a category; an unknown category gives zeros.

    Raises ``ValueError`` for one where ``zeros`` forbids it.
    """
    texts = attributes.values.get("cats_strings")
    categories = stand_ins(texts) if texts else torch.tensor(attributes.integers("cats_int64s"))
    lenient = bool(attributes.integer("zeros", 1))

    def encode(x: Tensor) -> Tensor:
        found = x.unsqueeze(-1).to(torch.int64) == categories
        if not lenient and not bool(found.any(-1).all()):
            message = "a category is not among those that the model knows"
            raise ValueError(message)
        return found.to(torch.float32)

    return encode


@prepared("LabelEncoder", domain=ML)
def label_encoder_of_places(attributes: Attributes) -> Function:
    """Return the text at a place, or the place of a text."""
    texts = stand_ins(attributes.values.get("classes_strings", ()))
    return _either_way(texts, torch.arange(len(texts)), attributes)


@prepared("LabelEncoder", domain=ML, since=2)
def label_encoder(attributes: Attributes) -> Function:
    """Return the value that stands at a key in a table, or a default where none does."""
    values = _column(attributes, "values")
    defaults = {torch.int64: torch.tensor(attributes.integer("default_int64", -1))}
    default = defaults.get(values.dtype, torch.tensor(attributes.number("default_float", -0.0)))
    if _holds_texts(attributes, "values"):
        default = torch.tensor(stand_in(attributes.text("default_string", NOTHING)))
    given = attributes.tensor("default_tensor")
    if given is not None and given.size:
        default = _tensor(given).reshape(())
    return _table(_column(attributes, "keys"), values, default.to(values.dtype))


@prepared("CategoryMapper", domain=ML)
def category_mapper(attributes: Attributes) -> Function:
    """Return the text that stands for a whole number, or the number that stands for a text."""
    texts = stand_ins(attributes.values.get("cats_strings", ()))
    return _either_way(texts, torch.tensor(attributes.integers("cats_int64s")), attributes)


def _either_way(texts: Tensor, numbers: Tensor, attributes: Attributes) -> Function:
    """Return a table in the direction that the default of its output tells."""
    if attributes.has("default_int64") and not attributes.has("default_string"):
        return _table(texts, numbers, torch.tensor(attributes.integer("default_int64", -1)))
    unknown = stand_in(attributes.text("default_string", NOTHING))
    to_text = _table(numbers, texts, torch.tensor(unknown))
    to_number = _table(texts, numbers, torch.tensor(attributes.integer("default_int64", -1)))
    known = set(texts.tolist())

    def convert(x: Tensor) -> Tensor:
        # Numbers of classes are small and stand-ins are not, so what comes in tells which it is.
        return to_number(x) if known.intersection(x.reshape(-1).tolist()) else to_text(x)

    return convert


def _holds_texts(attributes: Attributes, side: str) -> bool:
    tensor = attributes.tensor(f"{side}_tensor")
    return attributes.has(f"{side}_strings") or (tensor is not None and tensor.dtype.kind in "OSU")


def _column(attributes: Attributes, side: str) -> Tensor:
    """Return the keys or the values of a table."""
    tensor = attributes.tensor(f"{side}_tensor")
    if tensor is not None:
        return _tensor(tensor).reshape(-1)
    if attributes.has(f"{side}_strings"):
        return stand_ins(attributes.values[f"{side}_strings"])
    if attributes.has(f"{side}_int64s"):
        return torch.tensor(attributes.integers(f"{side}_int64s"))
    return torch.tensor(attributes.numbers(f"{side}_floats"))


def _tensor(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Tensor:
    return stand_ins(array.reshape(-1)) if array.dtype.kind in "OSU" else to_tensor(array)


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
