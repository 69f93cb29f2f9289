"""Convolutions and matrix products that ONNX Runtime makes of several nodes."""

import torch
from torch import Tensor

from auditor.twins.graphs import Attributes
from auditor.twins.operators.contrib_activations import activated
from auditor.twins.operators.linear import gemm
from auditor.twins.operators.quantised import MICROSOFT
from auditor.twins.operators.windows import conv
from auditor.twins.registry import operator

BYTE = 8


@operator("FusedConv", domain=MICROSOFT)
def fused_conv(
    attributes: Attributes,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    summand: Tensor | None = None,
) -> Tensor:
    """Return the activation of a convolution and, where given, a summand."""
    found = conv(attributes, x, weight, bias)
    return activated(attributes, found if summand is None else found + summand)


@operator("FusedGemm", domain=MICROSOFT)
def fused_gemm(attributes: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """Return the activation of ``alpha * A @ B + beta * C``."""
    return activated(attributes, gemm(attributes, a, b, c))


@operator("TransposeMatMul", domain=MICROSOFT)
@operator("FusedMatMul", domain=MICROSOFT)
def fused_matmul(attributes: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return ``alpha * A @ B``, each transposed, or its first axis moved, where asked."""
    left = _turned(a, attributes.integer("transA"), attributes.integer("transBatchA"))
    right = _turned(b, attributes.integer("transB"), attributes.integer("transBatchB"))
    return attributes.number("alpha", 1.0) * torch.matmul(left, right)


@operator("FusedMatMulActivation", domain=MICROSOFT)
def fused_matmul_activation(attributes: Attributes, a: Tensor, b: Tensor) -> Tensor:
    """Return the activation of ``alpha * A @ B``."""
    return activated(attributes, fused_matmul(attributes, a, b))


def _turned(x: Tensor, last: int, batch: int) -> Tensor:
    if batch:
        x = x.movedim(0, -2)
    return x.transpose(-1, -2) if last and x.dim() > 1 else x


@operator("MatMulNBits", domain=MICROSOFT)
def matmul_nbits(  # noqa: PLR0913, PLR0917 -- the inputs that ONNX Runtime gives this operator
    attributes: Attributes,
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
    start = _starts(zeros, rows, blocks, bits)
    weights = (values.reshape(rows, blocks, block) - start) * scales.reshape(rows, blocks, 1)
    found: Tensor = x @ weights.reshape(rows, -1)[:, :columns].t()
    return found if bias is None else found + bias


def _starts(zeros: Tensor | None, rows: int, blocks: int, bits: int) -> Tensor:
    if zeros is None:
        return torch.tensor(2.0 ** (bits - 1))
    if not zeros.is_floating_point():
        zeros = _unpacked(zeros.reshape(rows, -1), bits)[:, :blocks]
    return zeros.reshape(rows, blocks, 1)


def _unpacked(packed: Tensor, bits: int) -> Tensor:
    """Return the numbers in rows of bytes, the lowest bits of each byte first, as float32."""
    shifts = torch.arange(0, BYTE, bits)
    parts = (packed.to(torch.int64).unsqueeze(-1) >> shifts) & (2**bits - 1)
    found: Tensor = parts.flatten(1).to(torch.float32)
    return found
