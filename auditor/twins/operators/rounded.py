"""Operators that round: their values are exact, and their gradient passes as if they did not.

See ``auditor.twins.rounding`` for why. ``Sign`` passes the gradient where ``|x| <= 1``, as networks
with binary activations are trained (Hubara et al. 2016, "Binarized Neural Networks", section 1.3).
"""

import numpy as np
import torch
from onnx import TensorProto, helper
from onnx.reference.ops.op_cast import cast_to
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.registry import operator
from auditor.twins.rounding import INTERNAL, straight_through
from auditor.twins.tensors import tensor_type

NARROW_INTEGERS = frozenset(
    {TensorProto.INT4, TensorProto.UINT4, TensorProto.INT2, TensorProto.UINT2}
)
NARROW_FLOATS = frozenset(
    {
        TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2,
        TensorProto.FLOAT8E5M2FNUZ, TensorProto.FLOAT8E8M0, TensorProto.FLOAT4E2M1,
    }
)  # fmt: skip


@operator("Sign")
def sign(_: Attributes, x: Tensor) -> Tensor:
    """Return the sign."""
    if not x.is_floating_point():
        return torch.sign(x)
    return straight_through(torch.sign(x), torch.clamp(x, -1, 1))


@operator("Floor")
def floor(_: Attributes, x: Tensor) -> Tensor:
    """Round down."""
    return straight_through(torch.floor(x), x)


@operator("Ceil")
def ceil(_: Attributes, x: Tensor) -> Tensor:
    """Round up."""
    return straight_through(torch.ceil(x), x)


@operator("Round")
def round_half_even(_: Attributes, x: Tensor) -> Tensor:
    """Round to the nearest integer, halves to even."""
    return straight_through(torch.round(x), x)


@operator("Smooth", domain=INTERNAL)
def smooth(_: Attributes, x: Tensor) -> Tensor:
    """Return the real numbers that integers were made of."""
    return x.to(torch.float32)


@operator("Attach", domain=INTERNAL)
def attach(_: Attributes, exact: Tensor, way: Tensor) -> Tensor:
    """Return integers as real numbers, with the gradient of what they were made of."""
    return straight_through(exact.to(torch.float32), way)


@operator("Cast")
def cast(attributes: Attributes, x: Tensor) -> Tensor:
    """Change the type. Floating-point types of 16 bits and more are all computed as float32;
    narrower ones are rounded to, because they are how a model is quantised.
    """
    kind = attributes.integer("to")
    if kind not in NARROW_INTEGERS | NARROW_FLOATS:
        return x.to(tensor_type(helper.tensor_dtype_to_np_dtype(kind)))
    saturate = bool(attributes.integer("saturate", 1))
    mode = attributes.text("round_mode", "up")
    found = cast_to(x.detach().numpy(), kind, saturate, mode)  # type: ignore[arg-type]  # an enum of protobuf is an int
    if kind in NARROW_INTEGERS:
        return torch.from_numpy(found.astype(np.int8))
    return straight_through(torch.from_numpy(found.astype(np.float32)), x)


@operator("CastLike")
def cast_like(_: Attributes, x: Tensor, other: Tensor) -> Tensor:
    """Change the type to that of another value, as a twin holds it."""
    return x.to(other.dtype)
