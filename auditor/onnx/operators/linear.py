"""ONNX matrix products, integer products, and fused convolutions of ONNX Runtime.

Integer products are exact.
"""

from collections.abc import Callable

import torch
from onnx import helper
from torch import Tensor

from auditor.onnx.graph import NodeAttributes
from auditor.onnx.operator_registry import register_operator
from auditor.onnx.operators.activations import apply_activation
from auditor.onnx.operators.convolutions import conv
from auditor.onnx.operators.quantised import MICROSOFT, accumulator_type, subtract_zero_point
from auditor.onnx.twin.torch_tensors import tensor_type


@register_operator("MatMulInteger", since=10)
def matmul_integer(
    _: NodeAttributes,
    a: Tensor,
    b: Tensor,
    a_zero: Tensor | None = None,
    b_zero: Tensor | None = None,
) -> Tensor:
    """Return the exact product of ``a - a_zero`` (one or one a row) and ``b - b_zero``."""
    return integer_product(
        subtract_zero_point(a, zero_points_by_row(a_zero)), subtract_zero_point(b, b_zero)
    )


@register_operator("ConvInteger", since=10)
def conv_integer(
    attributes: NodeAttributes,
    x: Tensor,
    weight: Tensor,
    x_zero: Tensor | None = None,
    weight_zero: Tensor | None = None,
) -> Tensor:
    """Return the exact convolution of ``x - x_zero``, padded with zeros, by the weights."""
    return integer_convolution(
        attributes, subtract_zero_point(x, x_zero), subtract_zero_point(weight, weight_zero, 0)
    )


def integer_product(a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product of whole numbers, exact, in float64."""
    return _exact(torch.matmul, a, b, a.shape[-1])


def integer_convolution(attributes: NodeAttributes, x: Tensor, weight: Tensor) -> Tensor:
    """Return the convolution of whole numbers, exact, in float64."""

    def convolve(values: Tensor, kernel: Tensor) -> Tensor:
        return conv(attributes, values, kernel)

    return _exact(convolve, x, weight, weight[0].numel())


def zero_points_by_row(zero: Tensor | None) -> Tensor | None:
    """Return zero points of a matrix' rows as a column."""
    return zero.unsqueeze(-1) if zero is not None and zero.dim() == 1 and len(zero) > 1 else zero


def _exact(
    function: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor, terms: int
) -> Tensor:
    kind = accumulator_type(a, b, terms)
    return function(a.to(kind), b.to(kind)).to(torch.float64)


@register_operator("MatMul")
def matmul(_: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product, batched over leading axes."""
    return torch.matmul(a, b)


@register_operator("Gemm")
def gemm(attributes: NodeAttributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Return ``alpha * A @ B + beta * C``, each matrix transposed where asked."""
    left = a.t() if attributes.integer("transA") else a
    right = b.t() if attributes.integer("transB") else b
    alpha, beta = attributes.number("alpha", 1.0), attributes.number("beta", 1.0)
    product = left @ right if alpha == 1 else alpha * (left @ right)
    if c is None:
        return product
    return product + (c if beta == 1 else beta * c)


@register_operator("Einsum")
def einsum(attributes: NodeAttributes, *inputs: Tensor) -> Tensor:
    """Return the sum of products that the equation writes."""
    return torch.einsum(attributes.text("equation"), *inputs)


@register_operator("Det")
def determinant(_: NodeAttributes, x: Tensor) -> Tensor:
    """Return the determinant of each matrix in the last two axes."""
    found: Tensor = torch.linalg.det(x)
    return found


@register_operator("Trilu")
def trilu(attributes: NodeAttributes, x: Tensor, k: Tensor | None = None) -> Tensor:
    """Return the part above or below a diagonal, zeros elsewhere."""
    diagonal = 0 if k is None else int(k.item())
    return torch.triu(x, diagonal) if attributes.integer("upper", 1) else torch.tril(x, diagonal)


@register_operator("EyeLike")
def eye_like(attributes: NodeAttributes, x: Tensor) -> Tensor:
    """Return ones on a diagonal of a matrix in the shape of ``x``."""
    kind = attributes.values.get("dtype")
    dtype = x.dtype if kind is None else tensor_type(helper.tensor_dtype_to_np_dtype(int(kind)))
    ones = torch.ones(x.shape, dtype=torch.float32)
    diagonal = attributes.integer("k")
    return torch.triu(torch.tril(ones, diagonal), diagonal).to(dtype)


BYTE = 8


@register_operator("FusedConv", domain=MICROSOFT)
def fused_conv(
    attributes: NodeAttributes,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    summand: Tensor | None = None,
) -> Tensor:
    """Return the activation of a convolution and, where given, a summand."""
    found = conv(attributes, x, weight, bias)
    return apply_activation(attributes, found if summand is None else found + summand)


@register_operator("FusedGemm", domain=MICROSOFT)
def fused_gemm(attributes: NodeAttributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Return the activation of ``alpha * A @ B + beta * C``."""
    return apply_activation(attributes, gemm(attributes, a, b, c))


@register_operator("TransposeMatMul", domain=MICROSOFT)
@register_operator("FusedMatMul", domain=MICROSOFT)
def fused_matmul(attributes: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``alpha * A @ B``, each transposed, or its first axis moved, where asked."""
    left = _turned(a, attributes.integer("transA"), attributes.integer("transBatchA"))
    right = _turned(b, attributes.integer("transB"), attributes.integer("transBatchB"))
    return attributes.number("alpha", 1.0) * torch.matmul(left, right)


@register_operator("FusedMatMulActivation", domain=MICROSOFT)
def fused_matmul_activation(attributes: NodeAttributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the activation of ``alpha * A @ B``."""
    return apply_activation(attributes, fused_matmul(attributes, a, b))


def _turned(x: Tensor, last: int, batch: int) -> Tensor:
    if batch:
        x = x.movedim(0, -2)
    return x.transpose(-1, -2) if last and x.dim() > 1 else x


@register_operator("MatMulNBits", domain=MICROSOFT)
def matmul_nbits(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: NodeAttributes,
    x: Tensor,
    packed: Tensor,
    scales: Tensor,
    zeros: Tensor | None = None,
    order: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Return the product with a matrix whose columns hold blocks of few bits with a scale each.

    Raises ``ValueError`` where the blocks are put in an order of their own.
    """
    if order is not None:
        message = "weights of few bits in an order of their own"
        raise ValueError(message)
    rows, columns = attributes.integer("N"), attributes.integer("K")
    bits, block = attributes.integer("bits", 4), attributes.integer("block_size")
    blocks = -(-columns // block)
    values = _unpacked(packed.reshape(rows, -1), bits)[:, : blocks * block]
    if zeros is None:
        start = torch.tensor(2.0 ** (bits - 1))
    else:
        if not zeros.is_floating_point():
            zeros = _unpacked(zeros.reshape(rows, -1), bits)[:, :blocks]
        start = zeros.reshape(rows, blocks, 1)
    weights = (values.reshape(rows, blocks, block) - start) * scales.reshape(rows, blocks, 1)
    found: Tensor = x @ weights.reshape(rows, -1)[:, :columns].t()
    return found if bias is None else found + bias


def _unpacked(packed: Tensor, bits: int) -> Tensor:
    """Return the numbers in rows of bytes, the lowest bits of each byte first, as float32."""
    shifts = torch.arange(0, BYTE, bits)
    parts = (packed.to(torch.int64).unsqueeze(-1) >> shifts) & (2**bits - 1)
    found: Tensor = parts.flatten(1).to(torch.float32)
    return found
