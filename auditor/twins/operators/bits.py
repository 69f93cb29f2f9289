"""Operators on the bits of integers. No gradient flows through them."""

import torch
from onnx import helper
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator
from auditor.twins.tensors import to_tensor


@operator("BitwiseAnd")
def bitwise_and(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the bits that both have."""
    return torch.bitwise_and(a, b)


@operator("BitwiseOr")
def bitwise_or(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the bits that one has."""
    return torch.bitwise_or(a, b)


@operator("BitwiseXor")
def bitwise_xor(_: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the bits that exactly one has."""
    return torch.bitwise_xor(a, b)


@operator("BitwiseNot")
def bitwise_not(_: Attributes, x: Tensor) -> Tensor:
    """Return the bits that it does not have."""
    return torch.bitwise_not(x)


@operator("BitShift")
def bit_shift(attributes: Attributes, x: Tensor, by: Tensor) -> Tensor:
    """Shift bits to the left or to the right, by as many places as the type has at most."""
    width = torch.iinfo(x.dtype).bits
    places = by.to(torch.int64)
    inside = (places >= 0) & (places < width)
    safe = torch.where(inside, places, torch.zeros_like(places))
    if attributes.text("direction") == "LEFT":
        shifted = torch.bitwise_left_shift(x.to(torch.int64), safe).to(x.dtype)
        beyond = torch.zeros_like(shifted)
    else:
        shifted = torch.bitwise_right_shift(x.to(torch.int64), safe).to(x.dtype)
        beyond = torch.where(x < 0, -1, 0).to(x.dtype)
    return torch.where(inside, shifted, beyond)


@operator("BitCast")
def bit_cast(attributes: Attributes, x: Tensor) -> Tensor:
    """Read the same bits as another type of the same width."""
    kind = helper.tensor_dtype_to_np_dtype(attributes.integer("to"))
    array = x.detach().numpy()
    if array.dtype.itemsize != kind.itemsize:
        message = f"a twin holds the bits of {array.dtype} and not those of the model's type"
        raise ValueError(message)
    return to_tensor(array.view(kind))
